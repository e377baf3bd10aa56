//! Core WebAssembly value types, and the representation of references.

use crate::{ObjectTypeId, SigId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A heap type: what a reference can refer to (core specification, "Heap Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HeapType {
    /// Any function.
    Func,
    /// The bottom of the function types: only null.
    NoFunc,
    /// Any host value.
    Extern,
    /// The bottom of the host's types: only null.
    NoExtern,
    /// Any exception.
    Exn,
    /// The bottom of the exception types: only null.
    NoExn,
    /// Any internal value: a struct, an array or a 31-bit integer.
    Any,
    /// Any value that can be compared with `ref.eq`.
    Eq,
    /// A 31-bit integer.
    I31,
    /// Any struct.
    Struct,
    /// Any array.
    Array,
    /// The bottom of the internal types: only null.
    None,
    /// A type that a module defines.
    Concrete(TypeId),
}

/// A type that core modules define. Equal types have the same number, whichever modules define
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TypeId {
    /// A function type.
    Func(SigId),
    /// A struct or array type.
    Object(ObjectTypeId),
}

impl HeapType {
    /// Returns whether all values are functions: [`FuncEntry`] words, which the collector does not
    /// trace.
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
    /// The type of the referents.
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
/// In registers, globals and tables, a reference is a 64-bit word, and null is zero. A function
/// reference is a [`FuncEntry`]. Any other reference is a [`Reference`] with a zero high half.
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
    /// Returns the size in bytes of a value in a global.
    pub const fn size(self) -> u32 {
        match self {
            ValType::I32 | ValType::F32 => 4,
            ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
            ValType::V128 => 16,
        }
    }

    /// Returns whether values are references that the collector traces: all but those to functions.
    pub const fn is_traced(self) -> bool {
        matches!(self, ValType::Ref(RefType { heap, .. }) if !heap.is_function())
    }

    /// Returns the number of 8-byte words of a value in an argument array.
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

/// A reference to anything but a function. It has 32 bits, which are widened to a 64-bit word
/// everywhere but in fields of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Null.
    Null,
    /// A 31-bit integer.
    I31(u32),
    /// The host's value with this number, which is below 2^30.
    Host(u32),
    /// The object at this offset in the GC heap, a multiple of 8.
    Object(u32),
}

impl Reference {
    /// The highest number of a host's value.
    pub const MAX_HOST: u32 = (1 << 30) - 1;
    /// The tag bits, which are zero in null and in references to objects.
    pub const TAG: u32 = 0b11;
    /// The tag bit that only 31-bit integers have.
    pub const I31_TAG: u32 = 0b01;
    /// The tag of the host's values.
    pub const HOST_TAG: u32 = 0b10;

    /// Returns the representation of the reference.
    pub const fn to_u32(self) -> u32 {
        match self {
            Reference::Null => 0,
            Reference::I31(value) => value << 1 | Self::I31_TAG,
            Reference::Host(number) => number << 2 | Self::HOST_TAG,
            Reference::Object(offset) => offset,
        }
    }

    /// Returns the reference with this representation.
    pub const fn from_u32(word: u32) -> Self {
        match word & Self::TAG {
            0 if word == 0 => Reference::Null,
            0 => Reference::Object(word),
            Self::HOST_TAG => Reference::Host(word >> 2),
            _ => Reference::I31(word >> 1),
        }
    }
}

/// A function reference: an entry of a table, or a value of a global. It does not depend on the
/// address of the text, and null is all zeros.
///
/// In a register it is one 64-bit word with the code offset in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FuncEntry {
    /// Offset of the function from the start of the text. It is never 0, since the text starts with
    /// an instruction that traps.
    pub code_offset: u32,
    /// The number of the function's type plus one.
    pub signature: u32,
}

const _: () = assert!(size_of::<FuncEntry>() == 8);

impl FuncEntry {
    /// The null reference.
    pub const NULL: FuncEntry = FuncEntry {
        code_offset: 0,
        signature: 0,
    };

    /// Makes a reference to the function of type `sig` at `code_offset`.
    pub const fn new(code_offset: u32, sig: SigId) -> Self {
        Self {
            code_offset,
            signature: Self::signature_word(sig),
        }
    }

    /// Returns the [`signature`](Self::signature) of entries for functions of type `sig`.
    pub const fn signature_word(sig: SigId) -> u32 {
        sig.as_u32() + 1
    }

    /// Returns the entry as one word.
    pub const fn to_u64(self) -> u64 {
        self.code_offset as u64 | (self.signature as u64) << 32
    }

    /// Returns the entry that this word represents.
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
    fn references_round_trip_through_their_tags() {
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
