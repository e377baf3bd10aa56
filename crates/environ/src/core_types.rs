//! Core WebAssembly types: of values, and of what references refer to.

use crate::{ObjectTypeId, SigId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a reference can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HeapType {
    /// Any function.
    Func,
    /// Nothing, among functions.
    NoFunc,
    /// Any host value.
    Extern,
    /// Nothing, among host values.
    NoExtern,
    /// Any exception.
    Exn,
    /// Nothing, among exceptions.
    NoExn,
    /// Any value of the guest's own: an object or a 31-bit integer.
    Any,
    /// Any value that can be compared with `ref.eq`.
    Eq,
    /// A 31-bit integer.
    I31,
    /// Any struct.
    Struct,
    /// Any array.
    Array,
    /// Nothing, among values of the guest's own.
    None,
    /// What a module defines.
    Concrete(TypeId),
}

/// A type that core modules define; types that are equal have one number, whichever modules define
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TypeId {
    /// A function type.
    Func(SigId),
    /// A struct or array type.
    Object(ObjectTypeId),
}

impl HeapType {
    /// Whether all of its values are functions: [`FuncEntry`] words, which no collector follows.
    pub const fn is_function(self) -> bool {
        matches!(
            self,
            HeapType::Func | HeapType::NoFunc | HeapType::Concrete(TypeId::Func(_))
        )
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Concrete(TypeId::Func(id)) => return write!(f, "{id:?}"),
            HeapType::Concrete(TypeId::Object(id)) => return write!(f, "{id:?}"),
        })
    }
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
/// References are 64-bit words everywhere (registers, globals, tables), and null is zero. A
/// function reference is a [`FuncEntry`], every other one a [`Reference`] with a zero high half.
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
    /// The bytes that a value takes in a global and in an argument array (which has 8-byte words; a
    /// vector takes two).
    pub const fn size(self) -> u32 {
        match self {
            ValType::I32 | ValType::F32 => 4,
            ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
            ValType::V128 => 16,
        }
    }

    /// Whether values are references that the collector follows: all but those to functions.
    pub const fn is_traced(self) -> bool {
        matches!(self, ValType::Ref(RefType { heap, .. }) if !heap.is_function())
    }

    /// The 8-byte words that a value takes in an argument array.
    pub const fn words(self) -> usize {
        match self {
            ValType::V128 => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RefType::FUNC => f.write_str("funcref"),
            RefType::EXTERN => f.write_str("externref"),
            RefType {
                nullable: true,
                heap,
            } => write!(f, "(ref null {heap})"),
            RefType {
                nullable: false,
                heap,
            } => write!(f, "(ref {heap})"),
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
            ValType::Ref(ty) => return ty.fmt(f),
        })
    }
}

/// A reference to something else than a function. Fields of objects hold these 32 bits; everywhere
/// else they are a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Null.
    Null,
    /// A 31-bit integer, in the low bits of this one.
    I31(u32),
    /// The host's value with this number, which is below 2^30.
    Host(u32),
    /// The object at this offset from the start of the object heap: a multiple of 8.
    Object(u32),
}

impl Reference {
    /// The most that the number of a host's value can be.
    pub const MAX_HOST: u32 = (1 << 30) - 1;
    /// The bits of a word that tell what it is: zero in references to objects and in null.
    pub const TAG: u32 = 0b11;
    /// The tag bit of 31-bit integers alone.
    pub const I31_TAG: u32 = 0b01;
    /// The tag of host values.
    pub const HOST_TAG: u32 = 0b10;

    /// The reference as it stands in fields.
    pub const fn to_u32(self) -> u32 {
        match self {
            Reference::Null => 0,
            Reference::I31(value) => value << 1 | Self::I31_TAG,
            Reference::Host(number) => number << 2 | Self::HOST_TAG,
            Reference::Object(offset) => offset,
        }
    }

    /// The reference that these bits stand for.
    pub const fn from_u32(word: u32) -> Self {
        match word & Self::TAG {
            0 if word == 0 => Reference::Null,
            0 => Reference::Object(word),
            Self::HOST_TAG => Reference::Host(word >> 2),
            _ => Reference::I31(word >> 1),
        }
    }
}

/// A function reference, as it stands in tables, globals and registers: position independent, null
/// is all zero.
///
/// In a register it is one 64-bit word with the code offset in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FuncEntry {
    /// Offset of the function from the start of the text; never 0 for a function, since a trap
    /// stands there.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart_by_their_low_bits() {
        for reference in [
            Reference::Null,
            Reference::I31(0),
            Reference::I31(1),
            Reference::I31(u32::MAX >> 1),
            Reference::Host(0),
            Reference::Host(Reference::MAX_HOST),
            Reference::Object(8),
        ] {
            assert_eq!(Reference::from_u32(reference.to_u32()), reference);
        }
    }
}
