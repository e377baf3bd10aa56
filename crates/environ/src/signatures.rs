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
    /// A signature from slices.
    pub fn new(params: &[ValType], results: &[ValType]) -> Self {
        Self {
            params: params.into(),
            results: results.into(),
        }
    }

    /// The 8-byte words of an argument array that carries the parameters in and the results out.
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

/// A function type: a signature, and its place among the types that modules declare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct FuncType {
    signature: Signature,
    /// How many proper subtypes it has; their numbers follow its own.
    subtypes: u32,
    /// Tells types of one signature apart: `None` for the type that is final, has no supertype and
    /// is alone in its recursive group, which is what `(func ...)` by itself declares.
    declaration: Option<u32>,
}

/// The key of the type that `(func ...)` by itself declares.
#[derive(PartialEq, Eq)]
struct Plain<'s>(&'s Signature);

impl Hash for Plain<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        0u32.hash(state);
        None::<u32>.hash(state);
    }
}

impl Equivalent<FuncType> for Plain<'_> {
    fn equivalent(&self, ty: &FuncType) -> bool {
        ty.declaration.is_none() && ty.signature == *self.0
    }
}

/// All function types of a program, each once.
///
/// Numbers are a walk over the trees of subtypes, each type before its subtypes: those of a type
/// are a range that starts at the type. So one comparison tells whether a function is of a type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signatures(IndexSet<FuncType, DefaultHashBuilder>);

impl Signatures {
    /// The number of the type that `(func ...)` by itself declares with `signature`; it is added
    /// when it is new.
    pub fn intern(&mut self, signature: Signature) -> SigId {
        self.add(FuncType {
            signature,
            subtypes: 0,
            declaration: None,
        })
    }

    /// Adds a type that differs from all others by more than its signature. Its `subtypes` proper
    /// subtypes are to follow.
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

    /// The number of the type that `(func ...)` by itself declares with `signature`, when it was
    /// added.
    pub fn find(&self, signature: &Signature) -> Option<SigId> {
        self.0
            .get_index_of(&Plain(signature))
            .map(|i| SigId::from_u32(i as u32))
    }

    /// The signature with this number, or `None` for a number that was never given out.
    pub fn get(&self, id: SigId) -> Option<&Signature> {
        self.0.get_index(id.index()).map(|ty| &ty.signature)
    }

    /// How many proper subtypes a type has: the numbers that follow its own.
    pub fn subtypes(&self, id: SigId) -> u32 {
        self.0[id.index()].subtypes
    }

    /// Whether `id` is `other` or a subtype of it.
    pub fn is_subtype(&self, id: SigId, other: SigId) -> bool {
        id.as_u32().wrapping_sub(other.as_u32()) <= self.subtypes(other)
    }

    /// All signatures in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SigId, &Signature)> {
        self.0
            .iter()
            .enumerate()
            .map(|(i, ty)| (SigId::from_u32(i as u32), &ty.signature))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
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
    fn types_of_one_signature_are_told_apart() {
        let signature = || Signature::new(&[ValType::I32], &[]);
        let mut signatures = Signatures::default();
        let base = signatures.declare(signature(), 2);
        let sub = signatures.declare(signature(), 1);
        let subsub = signatures.declare(signature(), 0);
        assert_eq!(signatures.find(&signature()), None);
        let plain = signatures.intern(signature());
        assert_eq!(signatures.intern(signature()), plain);
        assert_eq!(signatures.find(&signature()), Some(plain));
        assert_eq!(signatures.find(&Signature::new(&[], &[])), None);
        let all = [base, sub, subsub, plain];
        let subtypes = |of: SigId| all.map(|id| signatures.is_subtype(id, of));
        assert_eq!(subtypes(base), [true, true, true, false]);
        assert_eq!(subtypes(sub), [false, true, true, false]);
        assert_eq!(subtypes(subsub), [false, false, true, false]);
        assert_eq!(subtypes(plain), [false, false, false, true]);
    }
}
