//! The traits that tie Rust types to component types.

use super::{CanonicalAbi, InstanceTypes, InterfaceType, LiftContext, LowerContext};
use crate::error::Result;

/// A Rust type that stands for a component type.
///
/// To implement it by hand for a record, build [`ABI`](Self::ABI) with [`CanonicalAbi::record_of`]
/// and take the types of the fields from [`LowerContext::record_types`] and
/// [`LiftContext::record_types`]; for a variant use [`CanonicalAbi::variant_of`], for flags
/// [`CanonicalAbi::flags`].
pub trait ComponentType {
    /// Size, alignment and number of flat values.
    const ABI: CanonicalAbi;

    /// Whether lowering and lifting look at the component type that they are given. Without it
    /// tuples need not look up the types of their fields.
    #[doc(hidden)]
    const NEEDS_TYPE: bool = true;

    /// Bytes in a 32-bit memory.
    const SIZE: usize = Self::ABI.size32 as usize;

    /// Words that the value takes when it is flat. 0 for types that are too large to be passed
    /// flat.
    const FLAT: usize = match Self::ABI.flat_count {
        Some(count) => count as usize,
        None => 0,
    };

    /// Whether the component type `ty` is the one that this Rust type stands for.
    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool;

    /// The component type as WIT writes it, for messages.
    fn describe() -> String;
}

/// A Rust type whose values can be passed to a guest.
///
/// All methods are called with a type for which [`ComponentType::matches`] holds.
pub trait Lower: ComponentType {
    /// Stores the value as [`ComponentType::FLAT`] words, which is the length of `dst`. Every word
    /// must be written.
    ///
    /// # Errors
    ///
    /// When the guest's `realloc` fails or gives bad memory, or when the value is not
    /// representable.
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()>;

    /// Stores the value at `offset` in guest memory, where [`ComponentType::SIZE`] bytes are known
    /// to exist.
    ///
    /// # Errors
    ///
    /// As [`Lower::lower_flat`].
    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()>;

    /// Stores values side by side from `offset` on, where their bytes are known to exist.
    ///
    /// # Errors
    ///
    /// As [`Lower::lower_flat`].
    #[doc(hidden)]
    fn lower_slice(
        items: &[Self],
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()>
    where
        Self: Sized,
    {
        for (i, item) in items.iter().enumerate() {
            item.lower_memory(cx, ty, offset + i * Self::SIZE)?;
        }
        Ok(())
    }
}

/// A Rust type whose values can be taken from a guest.
///
/// All methods are called with a type for which [`ComponentType::matches`] holds. What they read
/// comes from the guest and is not trusted.
pub trait Lift: ComponentType + Sized {
    /// Makes a value from its flat words, [`ComponentType::FLAT`] of them.
    ///
    /// # Errors
    ///
    /// When the words, or the memory that they point to, hold no value of the type.
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self>;

    /// Makes a value from its bytes, [`ComponentType::SIZE`] of them.
    ///
    /// # Errors
    ///
    /// As [`Lift::lift_flat`].
    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self>;

    /// Makes values that lie side by side in `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Lift::lift_flat`].
    #[doc(hidden)]
    fn lift_slice(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Vec<Self>> {
        cx.charge(bytes.len() / Self::SIZE, size_of::<Self>())?;
        bytes
            .chunks_exact(Self::SIZE)
            .map(|bytes| Self::lift_memory(cx, ty, bytes))
            .collect()
    }
}

/// What a type check needs to know of one element of a parameter or result list.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ListElement {
    /// [`ComponentType::matches`].
    pub matches: fn(InterfaceType, &InstanceTypes<'_>) -> bool,
    /// [`ComponentType::describe`].
    pub describe: fn() -> String,
}

/// A list of parameters or results: a tuple. (The names are the component's; only the types are
/// compared.)
pub trait ComponentNamedList: ComponentType {
    /// The elements in order.
    #[doc(hidden)]
    const ELEMENTS: &'static [ListElement];
}
