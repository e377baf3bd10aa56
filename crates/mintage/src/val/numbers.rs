//! Lists of numbers as [`Val`]s, which are converted without a look at the type for each element.

use super::Val;
use crate::abi::{InterfaceType, Lift, LiftContext, LowerContext};
use crate::error::Result;

impl Val {
    /// Makes a `list<u8>` of bytes.
    ///
    /// Each element takes [`size_of::<Val>()`](size_of) bytes of host memory. Where the type of a
    /// function is known, typed calls take and return bytes as they are.
    ///
    /// ```
    /// use mintage::Val;
    ///
    /// let list = Val::bytes(b"ab");
    /// assert_eq!(list, Val::List(vec![Val::U8(97), Val::U8(98)]));
    /// assert_eq!(list.to_bytes(), Some(b"ab".to_vec()));
    /// assert_eq!(Val::U8(97).to_bytes(), None);
    /// ```
    pub fn bytes(bytes: &[u8]) -> Val {
        Val::List(bytes.iter().copied().map(Val::U8).collect())
    }

    /// Returns the bytes of a `list<u8>`, or `None` if the value is not a list of `u8` only.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let Val::List(items) = self else { return None };
        let bytes = items.iter().map(|item| match item {
            Val::U8(byte) => Some(*byte),
            _ => None,
        });
        bytes.collect()
    }
}

/// Makes the values of a list of numbers of type `element`. Returns `None` if its elements are not
/// numbers.
pub(super) fn lift(
    cx: &mut LiftContext<'_>,
    element: InterfaceType,
    bytes: &[u8],
) -> Result<Option<Vec<Val>>> {
    fn each<T: Lift>(
        cx: &mut LiftContext<'_>,
        element: InterfaceType,
        bytes: &[u8],
        val: fn(T) -> Val,
    ) -> Result<Option<Vec<Val>>> {
        let mut items = Vec::with_capacity(bytes.len() / T::SIZE);
        for bytes in bytes.chunks_exact(T::SIZE) {
            items.push(val(T::lift_memory(cx, element, bytes)?));
        }
        Ok(Some(items))
    }
    use InterfaceType as T;
    match element {
        T::U8 => each(cx, element, bytes, Val::U8),
        T::S8 => each(cx, element, bytes, Val::S8),
        T::U16 => each(cx, element, bytes, Val::U16),
        T::S16 => each(cx, element, bytes, Val::S16),
        T::U32 => each(cx, element, bytes, Val::U32),
        T::S32 => each(cx, element, bytes, Val::S32),
        T::U64 => each(cx, element, bytes, Val::U64),
        T::S64 => each(cx, element, bytes, Val::S64),
        T::F32 => each(cx, element, bytes, Val::Float32),
        T::F64 => each(cx, element, bytes, Val::Float64),
        _ => Ok(None),
    }
}

/// Stores a list of numbers of type `element` from `start` on, where there is room. Returns whether
/// it did: not if the elements are not numbers, or one of the values has another type.
pub(super) fn lower(
    items: &[Val],
    cx: &mut LowerContext<'_>,
    element: InterfaceType,
    start: usize,
) -> bool {
    /// Stores the items of one kind.
    macro_rules! each {
        ($kind:ident) => {{
            let are_of_kind = items.iter().all(|item| matches!(item, Val::$kind(_)));
            if are_of_kind {
                let numbers = items.iter().map_while(|item| match item {
                    Val::$kind(number) => Some(number.to_le_bytes()),
                    _ => None,
                });
                cx.write_items(start, items.len(), numbers);
            }
            are_of_kind
        }};
    }
    use InterfaceType as T;
    match element {
        T::U8 => each!(U8),
        T::S8 => each!(S8),
        T::U16 => each!(U16),
        T::S16 => each!(S16),
        T::U32 => each!(U32),
        T::S32 => each!(S32),
        T::U64 => each!(U64),
        T::S64 => each!(S64),
        T::F32 => each!(Float32),
        T::F64 => each!(Float64),
        _ => false,
    }
}
