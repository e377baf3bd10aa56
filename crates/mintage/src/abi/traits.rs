//! The traits that map Rust types to component types.

use super::{CanonicalAbi, InstanceTypes, InterfaceType, LiftContext, LowerContext};
use crate::error::Result;

/// A Rust type that represents a component type.
///
/// | component type | Rust type |
/// |---|---|
/// | `bool`, `char`, `s8` to `s64`, `u8` to `u64` | `bool`, `char`, `i8` to `i64`, `u8` to `u64` |
/// | `f32`, `f64` | `f32`, `f64` |
/// | `string` | `String`, `str`, `Cow<str>`, [`WasmStr`](crate::component::WasmStr) |
/// | `list<t>` | `Vec<T>`, `[T]`, [`WasmList<T>`](crate::component::WasmList) |
/// | `list<u8>` | `Bytes` and `BytesMut` of the crate `bytes`, with the feature `bytes` |
/// | `list<t, n>` | `[T; N]` |
/// | `map<k, v>` | `HashMap<K, V>`, `BTreeMap<K, V>` |
/// | `option<t>` | `Option<T>` |
/// | `result<t, e>`, `result<t>`, `result<_, e>`, `result` | `Result<T, E>`, with `()` for none |
/// | `tuple<...>` | tuples of up to 17 |
/// | `record`, `variant`, `enum` | types that [derive](macro@crate::ComponentType) this trait |
/// | `flags` | types that [`flags!`](crate::flags) makes |
/// | `own<r>`, `borrow<r>` | [`Resource`](crate::Resource), [`ResourceAny`](crate::ResourceAny) |
/// | `stream<t>` | [`StreamReader<T>`](crate::StreamReader), [`StreamAny`](crate::StreamAny) |
/// | `future<t>` | [`FutureReader<T>`](crate::FutureReader), [`FutureAny`](crate::FutureAny) |
/// | `error-context` | [`ErrorContext`](crate::ErrorContext) |
///
/// References, `Box`, `Rc` and `Arc` of a type are passed as the type itself. What is
/// lifted can be boxed, and `Box` or `Arc` of a slice or `str`.
///
/// To implement it by hand for a record, build [`ABI`](Self::ABI) with [`CanonicalAbi::record_of`]
/// and take the types of the fields from [`LowerContext::record_types`] and
/// [`LiftContext::record_types`]. For a variant use [`CanonicalAbi::variant_of`], for flags
/// [`CanonicalAbi::flags`].
pub trait ComponentType {
    /// Size, alignment and number of flat values.
    const ABI: CanonicalAbi;

    /// Whether lowering and lifting use the component type that they are given. If they do not, a
    /// tuple need not look up the types of its fields.
    #[doc(hidden)]
    const NEEDS_TYPE: bool = true;

    /// Size in bytes in a 32-bit memory.
    const SIZE: usize = Self::ABI.size32 as usize;

    /// Number of words of a flat value. 0 for types that are too large to be passed flat.
    const FLAT: usize = match Self::ABI.flat_count {
        Some(count) => count as usize,
        None => 0,
    };

    /// Returns whether this Rust type represents the component type `ty`.
    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool;

    /// Returns the component type in the syntax of WIT, for messages.
    fn describe() -> String;
}

/// A Rust type whose values can be passed to a guest.
///
/// All methods are called with a type for which [`ComponentType::matches`] holds.
pub trait Lower: ComponentType {
    /// Stores the value as flat words (`lower_flat`). `dst` has [`ComponentType::FLAT`] words, and
    /// every word must be written.
    ///
    /// # Errors
    ///
    /// If the guest's `realloc` traps or returns bad memory, or if the value cannot be represented.
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()>;

    /// Stores the value at `offset` in guest memory (`store`), where [`ComponentType::SIZE`] bytes
    /// are known to exist.
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

    /// Stores consecutive values from `offset` on, where their bytes are known to exist.
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
/// All methods are called with a type for which [`ComponentType::matches`] holds. Their input comes
/// from the guest and is not trusted.
pub trait Lift: ComponentType + Sized {
    /// Makes a value from its flat words (`lift_flat`), of which there are [`ComponentType::FLAT`].
    ///
    /// # Errors
    ///
    /// If the words, or the memory that they point to, are not a value of the type.
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self>;

    /// Makes a value from its bytes (`load`), of which there are [`ComponentType::SIZE`].
    ///
    /// # Errors
    ///
    /// As [`Lift::lift_flat`].
    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self>;

    /// Makes values that are consecutive in `bytes`.
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

/// One element of a parameter or result list, as a type check sees it.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ListElement {
    /// [`ComponentType::matches`].
    pub matches: fn(InterfaceType, &InstanceTypes<'_>) -> bool,
    /// [`ComponentType::describe`].
    pub describe: fn() -> String,
}

/// A list of parameters or results: a tuple. The names are the component's, and only the types are
/// compared.
pub trait ComponentNamedList: ComponentType {
    /// The elements in order.
    #[doc(hidden)]
    const ELEMENTS: &'static [ListElement];
}
