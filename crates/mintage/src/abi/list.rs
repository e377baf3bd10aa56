//! Lists, and pointers to values.

use super::context::read_u32;
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext, MAX_LIST_BYTE_LENGTH,
};
use crate::error::{Result, ensure};
use std::rc::Rc;
use std::sync::Arc;

impl<T: ComponentType> ComponentType for [T] {
    const ABI: CanonicalAbi = CanonicalAbi::POINTER_PAIR;
    const NEEDS_TYPE: bool = T::NEEDS_TYPE;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        matches!(ty, InterfaceType::List(id) if T::matches(*types.list(id), types))
    }

    fn describe() -> String {
        format!("list<{}>", T::describe())
    }
}

/// Stores a list's elements (`store_list_into_range`). Returns the pointer and the length.
/// `realloc` is also called for an empty list.
fn lower_list<T: Lower>(
    items: &[T],
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
) -> Result<(u32, u32)> {
    let size = items.len().saturating_mul(T::SIZE);
    ensure!(
        size <= MAX_LIST_BYTE_LENGTH,
        "list of {size} bytes is longer than the limit of {MAX_LIST_BYTE_LENGTH}"
    );
    let element = if T::NEEDS_TYPE {
        cx.element_type(ty)
    } else {
        ty
    };
    let offset = cx.allocate(T::ABI.align32, size)?;
    T::lower_slice(items, cx, element, offset)?;
    Ok((offset as u32, items.len() as u32))
}

fn lift_list<T: Lift>(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    pointer: u32,
    len: u32,
) -> Result<Vec<T>> {
    let bytes = cx.list(pointer, len, T::SIZE, T::ABI.align32)?;
    let element = if T::NEEDS_TYPE {
        cx.element_type(ty)
    } else {
        ty
    };
    T::lift_slice(cx, element, bytes)
}

impl<T: Lower> Lower for [T] {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let (pointer, len) = lower_list(self, cx, ty)?;
        dst[0] = u64::from(pointer);
        dst[1] = u64::from(len);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let (pointer, len) = lower_list(self, cx, ty)?;
        cx.write(offset, pointer.to_le_bytes());
        cx.write(offset + 4, len.to_le_bytes());
        Ok(())
    }
}

impl<T: Lift> Lift for Vec<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        lift_list(cx, ty, src[0] as u32, src[1] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        lift_list(cx, ty, read_u32(bytes, 0), read_u32(bytes, 4))
    }
}

/// Implements lifting for a type that is made from another.
macro_rules! lift_from {
    ([$($generics:tt)*] $ty:ty, $from:ty) => {
        impl<$($generics)*> Lift for $ty {
            fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
                <$from>::lift_flat(cx, ty, src).map(Into::into)
            }

            fn lift_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                <$from>::lift_memory(cx, ty, bytes).map(Into::into)
            }
        }
    };
}

pub(super) use lift_from;

lift_from!([T: Lift] Box<[T]>, Vec<T>);
lift_from!([T: Lift] Arc<[T]>, Vec<T>);

/// The lowering side for a type that dereferences to another. Its last parameter, if it has one, is
/// bounded by the trait.
macro_rules! forward {
    ([$($described:tt)*] [$($lowered:tt)*] $ty:ty => $target:ty) => {
        impl<$($described)*> ComponentType for $ty {
            const ABI: CanonicalAbi = <$target as ComponentType>::ABI;
            const NEEDS_TYPE: bool = <$target as ComponentType>::NEEDS_TYPE;

            fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
                <$target as ComponentType>::matches(ty, types)
            }

            fn describe() -> String {
                <$target as ComponentType>::describe()
            }
        }

        impl<$($lowered)*> Lower for $ty {
            #[inline]
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                <$target as Lower>::lower_flat(self, cx, ty, dst)
            }

            #[inline]
            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                <$target as Lower>::lower_memory(self, cx, ty, offset)
            }
        }
    };
    ([] $ty:ty => $target:ty) => {
        forward!([] [] $ty => $target);
    };
    ([$($generics:tt)+] $ty:ty => $target:ty) => {
        forward!([$($generics)+ ComponentType] [$($generics)+ Lower] $ty => $target);
    };
}

#[cfg(feature = "bytes")]
pub(super) use forward;

forward!([T:] Vec<T> => [T]);
forward!(['a, T: ?Sized +] &'a T => T);
forward!([T: ?Sized +] Box<T> => T);
forward!([T: ?Sized +] Rc<T> => T);
forward!([T: ?Sized +] Arc<T> => T);

impl<T: Lift> Lift for Box<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        T::lift_flat(cx, ty, src).map(Box::new)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        T::lift_memory(cx, ty, bytes).map(Box::new)
    }
}
