//! Function types and their numbers.

use crate::{Index, SigId, ValType};
use hashbrown::DefaultHashBuilder;
use indexmap::{Equivalent, IndexSet};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};

/// The type of a core function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// Parameter types.
    pub params: Box<[ValType]>,
    /// Result types.
    pub results: Box<[ValType]>,
}

impl Signature {
    /// Makes a signature from slices.
    pub fn new(params: &[ValType], results: &[ValType]) -> Self {
        Self {
            params: params.into(),
            results: results.into(),
        }
    }

    /// Returns the number of 8-byte words of an argument array, which passes the parameters in and
    /// the results out.
    pub fn array_words(&self) -> usize {
        let words = |types: &[ValType]| types.iter().map(|ty| ty.words()).sum::<usize>();
        words(&self.params).max(words(&self.results))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| {
            f.write_str("(")?;
            for (i, ty) in types.iter().enumerate() {
                write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        list(f, &self.results)
    }
}

/// A function type: a signature, and its place in the type hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct FuncType {
    signature: Signature,
    /// The number of proper subtypes, whose numbers follow this type's own.
    subtypes: u32,
    /// Distinguishes types with equal signatures. `None` is the type that a bare `(func ...)`
    /// declares: final, without a supertype, and alone in its recursive group.
    declaration: Option<u32>,
}

/// A lookup key: the type that a bare `(func ...)` with this signature declares.
#[derive(PartialEq, Eq)]
struct BareFunc<'s>(&'s Signature);

impl Hash for BareFunc<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        0u32.hash(state);
        None::<u32>.hash(state);
    }
}

impl Equivalent<FuncType> for BareFunc<'_> {
    fn equivalent(&self, ty: &FuncType) -> bool {
        ty.declaration.is_none() && ty.signature == *self.0
    }
}

/// All function types of a program, each once.
///
/// Types are numbered in pre-order over the trees of subtypes. A type and its subtypes are
/// therefore a range of numbers, and one comparison tells whether a function has a type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signatures(IndexSet<FuncType, DefaultHashBuilder>);

impl Signatures {
    /// Returns the number of the type that a bare `(func ...)` declares with `signature`, and adds
    /// the type if it is new.
    pub fn intern(&mut self, signature: Signature) -> SigId {
        self.add(FuncType {
            signature,
            subtypes: 0,
            declaration: None,
        })
    }

    /// Adds a type that is distinct from all others, even those with the same signature. Its
    /// `subtypes` proper subtypes must be added right after it.
    pub fn declare(&mut self, signature: Signature, subtypes: u32) -> SigId {
        self.add(FuncType {
            signature,
            subtypes,
            declaration: Some(self.0.len() as u32),
        })
    }

    fn add(&mut self, ty: FuncType) -> SigId {
        SigId::from_u32(self.0.insert_full(ty).0 as u32)
    }

    /// Returns the number of the type that a bare `(func ...)` declares with `signature`, if it was
    /// added.
    pub fn find(&self, signature: &Signature) -> Option<SigId> {
        self.0
            .get_index_of(&BareFunc(signature))
            .map(|i| SigId::from_u32(i as u32))
    }

    /// Returns the signature with this number, if there is one.
    pub fn get(&self, id: SigId) -> Option<&Signature> {
        self.0.get_index(id.index()).map(|ty| &ty.signature)
    }

    /// Returns the number of proper subtypes of a type, whose numbers follow its own.
    pub fn subtypes(&self, id: SigId) -> u32 {
        self.0[id.index()].subtypes
    }

    /// Returns whether `id` is `other` or a subtype of it.
    pub fn is_subtype(&self, id: SigId, other: SigId) -> bool {
        id.as_u32().wrapping_sub(other.as_u32()) <= self.subtypes(other)
    }

    /// Returns all signatures in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SigId, &Signature)> {
        self.0
            .iter()
            .enumerate()
            .map(|(i, ty)| (SigId::from_u32(i as u32), &ty.signature))
    }

    /// Returns the number of types.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::ops::Index<SigId> for Signatures {
    type Output = Signature;

    fn index(&self, id: SigId) -> &Signature {
        &self.0[id.index()].signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_with_equal_signatures_are_distinct() {
        let signature = || Signature::new(&[ValType::I32], &[]);
        let mut signatures = Signatures::default();
        let base = signatures.declare(signature(), 2);
        let sub = signatures.declare(signature(), 1);
        let subsub = signatures.declare(signature(), 0);
        assert_eq!(signatures.find(&signature()), None);
        let bare = signatures.intern(signature());
        assert_eq!(signatures.intern(signature()), bare);
        assert_eq!(signatures.find(&signature()), Some(bare));
        assert_eq!(signatures.find(&Signature::new(&[], &[])), None);
        let all = [base, sub, subsub, bare];
        let subtypes = |of: SigId| all.map(|id| signatures.is_subtype(id, of));
        assert_eq!(subtypes(base), [true, true, true, false]);
        assert_eq!(subtypes(sub), [false, true, true, false]);
        assert_eq!(subtypes(subsub), [false, false, true, false]);
        assert_eq!(subtypes(bare), [false, false, false, true]);
    }
}
