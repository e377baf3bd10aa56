//! Arrays, which are lists of fixed length.
//!
//! To the Canonical ABI, a `list<t, n>` is a tuple of `n` values of one type.

use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::error::{Error, Result};
use std::array;

/// Returns the type of the elements of the list or tuple `ty`, all of which have the same type.
/// Elements that do not use their type get `ty` itself.
fn element_type(types: &[InterfaceType], ty: InterfaceType) -> InterfaceType {
    types.first().copied().unwrap_or(ty)
}

impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    const ABI: CanonicalAbi = CanonicalAbi::record_of(&[T::ABI; N]);
    const NEEDS_TYPE: bool = T::NEEDS_TYPE;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        let InterfaceType::Tuple(id) = ty else {
            return false;
        };
        types
            .fixed_length_list(id)
            .is_some_and(|(element, length)| length == N && T::matches(element, types))
    }

    fn describe() -> String {
        format!("list<{}, {N}>", T::describe())
    }
}

impl<T: Lower, const N: usize> Lower for [T; N] {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let element = element_type(cx.tuple_types(ty), ty);
        for (item, words) in self.iter().zip(dst.chunks_exact_mut(T::FLAT)) {
            item.lower_flat(cx, element, words)?;
        }
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let element = element_type(cx.tuple_types(ty), ty);
        T::lower_slice(self, cx, element, offset)
    }
}

/// Makes an array of the values that `lift` returns for each index.
fn try_array<T, const N: usize>(mut lift: impl FnMut(usize) -> Result<T>) -> Result<[T; N]> {
    let mut failed: Option<Error> = None;
    let items: [Option<T>; N] = array::from_fn(|i| match failed {
        None => lift(i).map_err(|error| failed = Some(error)).ok(),
        Some(_) => None,
    });
    match failed {
        None => Ok(items.map(|item| item.expect("nothing failed, so each item was lifted"))),
        Some(error) => Err(error),
    }
}

impl<T: Lift, const N: usize> Lift for [T; N] {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        let element = element_type(cx.tuple_types(ty), ty);
        try_array(|i| T::lift_flat(cx, element, &src[i * T::FLAT..][..T::FLAT]))
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let element = element_type(cx.tuple_types(ty), ty);
        try_array(|i| T::lift_memory(cx, element, &bytes[i * T::SIZE..][..T::SIZE]))
    }
}
