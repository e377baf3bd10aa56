//! Core WebAssembly types, and the interner of signatures.

use crate::{Index, SigId};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a reference can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HeapType {
    /// Any function.
    Func,
    /// Any host value.
    Extern,
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefType {
    /// Whether null is a value of the type.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

impl RefType {
    /// `funcref`.
    pub const FUNC: RefType = RefType {
        nullable: true,
        heap: HeapType::Func,
    };
    /// `externref`.
    pub const EXTERN: RefType = RefType {
        nullable: true,
        heap: HeapType::Extern,
    };
}

/// A core value type.
///
/// References are 64-bit words everywhere (registers, globals, tables): a function reference is a [`FuncEntry`], an external
/// reference is the host's number plus one; null is zero in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// The bytes that a value takes in a global and in an argument array (which has 8-byte words; a vector takes two).
    pub const fn size(self) -> u32 {
        match self {
            ValType::I32 | ValType::F32 => 4,
            ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
            ValType::V128 => 16,
        }
    }

    /// The 8-byte words that a value takes in an argument array.
    pub const fn words(self) -> usize {
        match self {
            ValType::V128 => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::Ref(RefType {
                nullable: true,
                heap: HeapType::Func,
            }) => "funcref",
            ValType::Ref(RefType {
                nullable: true,
                heap: HeapType::Extern,
            }) => "externref",
            ValType::Ref(RefType {
                nullable: false,
                heap: HeapType::Func,
            }) => "(ref func)",
            ValType::Ref(RefType {
                nullable: false,
                heap: HeapType::Extern,
            }) => "(ref extern)",
        })
    }
}

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

/// All core signatures of a program, each once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signatures(IndexSet<Signature>);

impl Signatures {
    /// The number of `signature`, which is added when it is new.
    pub fn intern(&mut self, signature: Signature) -> SigId {
        SigId::from_u32(self.0.insert_full(signature).0 as u32)
    }

    /// The number of `signature`, when it was interned.
    pub fn find(&self, signature: &Signature) -> Option<SigId> {
        self.0.get_index_of(signature).map(|i| SigId::from_u32(i as u32))
    }

    /// The signature with this number, or `None` for a number that was never given out.
    pub fn get(&self, id: SigId) -> Option<&Signature> {
        self.0.get_index(id.index())
    }

    /// All signatures in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SigId, &Signature)> {
        self.0
            .iter()
            .enumerate()
            .map(|(i, sig)| (SigId::from_u32(i as u32), sig))
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
        &self.0[id.index()]
    }
}

/// A function reference, as it stands in tables, globals and registers: position independent, null is all zero.
///
/// In a register it is one 64-bit word with the code offset in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FuncEntry {
    /// Offset of the function from the start of the text; never 0 for a function, since a trap stands there.
    pub code_offset: u32,
    /// The function's signature number plus one.
    pub signature: u32,
}

const _: () = assert!(size_of::<FuncEntry>() == 8);

impl FuncEntry {
    /// The null reference.
    pub const NULL: FuncEntry = FuncEntry {
        code_offset: 0,
        signature: 0,
    };

    /// A reference to the function at `code_offset` with signature `sig`.
    pub const fn new(code_offset: u32, sig: SigId) -> Self {
        Self {
            code_offset,
            signature: Self::signature_word(sig),
        }
    }

    /// The word that the entry of a function with signature `sig` holds.
    pub const fn signature_word(sig: SigId) -> u32 {
        sig.as_u32() + 1
    }

    /// The entry as one word.
    pub const fn to_u64(self) -> u64 {
        self.code_offset as u64 | (self.signature as u64) << 32
    }

    /// The entry from one word.
    pub const fn from_u64(word: u64) -> Self {
        Self {
            code_offset: word as u32,
            signature: (word >> 32) as u32,
        }
    }
}
