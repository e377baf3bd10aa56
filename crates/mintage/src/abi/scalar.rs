//! Booleans, numbers and characters.

use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::Trap;
use crate::error::{Result, trap};

/// Returns the `char` with this code point.
fn lift_char(code: u32) -> Result<char> {
    match char::from_u32(code) {
        Some(c) => Ok(c),
        None => trap!(Trap::InvalidChar, "invalid `char` bit pattern {code:#x}"),
    }
}

/// Makes a float of its bits. A NaN becomes the canonical one (`canonicalize_nan32`), so that its
/// payload carries no information.
fn lift_f32(bits: u32) -> f32 {
    let value = f32::from_bits(bits);
    if value.is_nan() {
        f32::from_bits(0x7fc0_0000)
    } else {
        value
    }
}

/// As [`lift_f32`] (`canonicalize_nan64`).
fn lift_f64(bits: u64) -> f64 {
    let value = f64::from_bits(bits);
    if value.is_nan() {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else {
        value
    }
}

/// A type whose values take one flat word, whatever the component.
pub(crate) trait Scalar: Sized {
    /// Returns the flat word.
    fn to_word(&self) -> u64;

    /// Makes a value of a flat word.
    ///
    /// # Errors
    ///
    /// When the word is not a value.
    fn of_word(word: u64) -> Result<Self>;
}

/// Implements the traits for a type with a fixed number of bytes. `$word` makes a flat word of a
/// value and `$unword` the reverse; `$store` makes the number that is stored in memory, `$load` the
/// reverse.
macro_rules! scalar {
    (
        $ty:ty, $variant:ident, $name:literal, $stored:ty,
        word: $word:expr, unword: $unword:expr, store: $store:expr, load: $load:expr
    ) => {
        impl ComponentType for $ty {
            const ABI: CanonicalAbi = CanonicalAbi::scalar(size_of::<$stored>() as u32);
            const NEEDS_TYPE: bool = false;

            fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
                ty == InterfaceType::$variant
            }

            fn describe() -> String {
                $name.into()
            }
        }

        impl Scalar for $ty {
            #[inline]
            fn to_word(&self) -> u64 {
                const WORD: fn($ty) -> u64 = $word;
                WORD(*self)
            }

            #[inline]
            fn of_word(word: u64) -> Result<Self> {
                const UNWORD: fn(u64) -> Result<$ty> = $unword;
                UNWORD(word)
            }
        }

        impl Lower for $ty {
            #[inline]
            fn lower_flat(
                &self,
                _cx: &mut LowerContext<'_>,
                _ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                dst[0] = self.to_word();
                Ok(())
            }

            #[inline]
            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                _ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                const STORE: fn($ty) -> $stored = $store;
                cx.write(offset, STORE(*self).to_le_bytes());
                Ok(())
            }

            #[inline]
            fn lower_slice(
                items: &[Self],
                cx: &mut LowerContext<'_>,
                _ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                const STORE: fn($ty) -> $stored = $store;
                let stored = items.iter().map(|&item| STORE(item).to_le_bytes());
                cx.write_items(offset, items.len(), stored);
                Ok(())
            }
        }

        impl Lift for $ty {
            #[inline]
            fn lift_flat(
                _cx: &mut LiftContext<'_>,
                _ty: InterfaceType,
                src: &[u64],
            ) -> Result<Self> {
                Self::of_word(src[0])
            }

            #[inline]
            fn lift_memory(
                _cx: &mut LiftContext<'_>,
                _ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                let mut stored = [0; size_of::<$stored>()];
                stored.copy_from_slice(bytes);
                const LOAD: fn($stored) -> Result<$ty> = $load;
                LOAD(<$stored>::from_le_bytes(stored))
            }

            #[inline]
            fn lift_slice(
                cx: &mut LiftContext<'_>,
                _ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Vec<Self>> {
                cx.charge(bytes.len() / Self::SIZE, size_of::<Self>())?;
                const LOAD: fn($stored) -> Result<$ty> = $load;
                let mut items = Vec::with_capacity(bytes.len() / Self::SIZE);
                for bytes in bytes.chunks_exact(Self::SIZE) {
                    let mut stored = [0; size_of::<$stored>()];
                    stored.copy_from_slice(bytes);
                    items.push(LOAD(<$stored>::from_le_bytes(stored))?);
                }
                Ok(items)
            }
        }
    };
}

/// An integer of at most 32 bits: zero or sign extended to 32 bits when flat; the bits above its
/// width are ignored when lifting (`lift_flat_unsigned`, `lift_flat_signed`).
macro_rules! integer {
    ($ty:ident, $variant:ident, $name:literal, $extended:ty) => {
        scalar!($ty, $variant, $name, $ty,
            word: |value| u64::from(<$extended>::from(value) as u32),
            unword: |word| Ok(word as $ty),
            store: |value| value,
            load: Ok);
    };
}

integer!(u16, U16, "u16", u32);
integer!(u32, U32, "u32", u32);
integer!(i8, S8, "s8", i32);
integer!(i16, S16, "s16", i32);
integer!(i32, S32, "s32", i32);

scalar!(u64, U64, "u64", u64,
    word: |v| v,
    unword: Ok,
    store: |v| v,
    load: Ok);
scalar!(i64, S64, "s64", i64,
    word: |v| v as u64,
    unword: |word| Ok(word as i64),
    store: |v| v,
    load: Ok);
scalar!(bool, Bool, "bool", u8,
    word: u64::from,
    unword: |word| Ok(word as u32 != 0),
    store: u8::from,
    load: |v| Ok(v != 0));
scalar!(char, Char, "char", u32,
    word: u64::from,
    unword: |word| lift_char(word as u32),
    store: u32::from,
    load: lift_char);
scalar!(f32, F32, "f32", u32,
    word: |v| u64::from(v.to_bits()),
    unword: |word| Ok(lift_f32(word as u32)),
    store: f32::to_bits,
    load: |v| Ok(lift_f32(v)));
scalar!(f64, F64, "f64", u64,
    word: f64::to_bits,
    unword: |word| Ok(lift_f64(word)),
    store: f64::to_bits,
    load: |v| Ok(lift_f64(v)));

impl ComponentType for u8 {
    const ABI: CanonicalAbi = CanonicalAbi::scalar(1);
    const NEEDS_TYPE: bool = false;

    fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
        ty == InterfaceType::U8
    }

    fn describe() -> String {
        "u8".into()
    }
}

impl Scalar for u8 {
    #[inline]
    fn to_word(&self) -> u64 {
        u64::from(*self)
    }

    #[inline]
    fn of_word(word: u64) -> Result<Self> {
        Ok(word as u8)
    }
}

/// Written by hand, so that lists of bytes are one copy in every build.
impl Lower for u8 {
    #[inline]
    fn lower_flat(
        &self,
        _cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[0] = self.to_word();
        Ok(())
    }

    #[inline]
    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        cx.write(offset, [*self]);
        Ok(())
    }

    #[inline]
    fn lower_slice(
        items: &[Self],
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        cx.write_bytes(offset, items);
        Ok(())
    }
}

impl Lift for u8 {
    #[inline]
    fn lift_flat(_cx: &mut LiftContext<'_>, _ty: InterfaceType, src: &[u64]) -> Result<Self> {
        Self::of_word(src[0])
    }

    #[inline]
    fn lift_memory(_cx: &mut LiftContext<'_>, _ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        Ok(bytes[0])
    }

    #[inline]
    fn lift_slice(cx: &mut LiftContext<'_>, _ty: InterfaceType, bytes: &[u8]) -> Result<Vec<Self>> {
        cx.charge(bytes.len(), 1)?;
        Ok(bytes.to_vec())
    }
}
