//! Booleans, numbers and characters as [`Val`]s, which are converted without a look at anything but
//! their type.

use super::Val;
use crate::abi::{InterfaceType, Scalar};
use crate::error::Result;

impl Val {
    /// Returns the flat word of a scalar of type `ty`, or `None` if the value is none.
    #[inline]
    pub(crate) fn scalar_word(&self, ty: InterfaceType) -> Option<u64> {
        use InterfaceType as T;
        Some(match (self, ty) {
            (Val::Bool(v), T::Bool) => v.to_word(),
            (Val::S8(v), T::S8) => v.to_word(),
            (Val::U8(v), T::U8) => v.to_word(),
            (Val::S16(v), T::S16) => v.to_word(),
            (Val::U16(v), T::U16) => v.to_word(),
            (Val::S32(v), T::S32) => v.to_word(),
            (Val::U32(v), T::U32) => v.to_word(),
            (Val::S64(v), T::S64) => v.to_word(),
            (Val::U64(v), T::U64) => v.to_word(),
            (Val::Float32(v), T::F32) => v.to_word(),
            (Val::Float64(v), T::F64) => v.to_word(),
            (Val::Char(v), T::Char) => v.to_word(),
            _ => return None,
        })
    }

    /// Makes a value of the flat word of a scalar of type `ty`. Returns `None` for other types.
    ///
    /// # Errors
    ///
    /// When the word is not a value of the type.
    #[inline]
    pub(crate) fn of_scalar_word(ty: InterfaceType, word: u64) -> Option<Result<Val>> {
        use InterfaceType as T;
        Some(match ty {
            T::Bool => bool::of_word(word).map(Val::Bool),
            T::S8 => i8::of_word(word).map(Val::S8),
            T::U8 => u8::of_word(word).map(Val::U8),
            T::S16 => i16::of_word(word).map(Val::S16),
            T::U16 => u16::of_word(word).map(Val::U16),
            T::S32 => i32::of_word(word).map(Val::S32),
            T::U32 => u32::of_word(word).map(Val::U32),
            T::S64 => i64::of_word(word).map(Val::S64),
            T::U64 => u64::of_word(word).map(Val::U64),
            T::F32 => f32::of_word(word).map(Val::Float32),
            T::F64 => f64::of_word(word).map(Val::Float64),
            T::Char => char::of_word(word).map(Val::Char),
            _ => return None,
        })
    }
}
