//! Maps: in memory they are lists of entries, and an entry is a tuple of key and value.
//!
//! A guest may pass a key more than once. In a Rust map its last value counts;
//! [`Val::Map`](crate::Val::Map) has all entries.

use super::context::read_u32;
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext, MAX_LIST_BYTE_LENGTH,
};
use crate::error::{Result, ensure};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

fn matches<K: ComponentType, V: ComponentType>(
    ty: InterfaceType,
    types: &InstanceTypes<'_>,
) -> bool {
    let InterfaceType::Map(id) = ty else {
        return false;
    };
    let &(key, value) = types.map(id);
    K::matches(key, types) && V::matches(value, types)
}

/// Stores the entries of a map. Returns the pointer and the number.
fn lower<K: Lower, V: Lower>(
    entries: impl ExactSizeIterator<Item = (K, V)>,
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
) -> Result<(u32, u32)> {
    let len = entries.len();
    let size = len.saturating_mul(<(K, V)>::SIZE);
    ensure!(
        size <= MAX_LIST_BYTE_LENGTH,
        "map of {size} bytes is longer than the limit of {MAX_LIST_BYTE_LENGTH}"
    );
    let entry_type = cx.element_type(ty);
    let start = cx.allocate(<(K, V)>::ABI.align32, size)?;
    for (i, entry) in entries.enumerate() {
        entry.lower_memory(cx, entry_type, start + i * <(K, V)>::SIZE)?;
    }
    Ok((start as u32, len as u32))
}

/// Lifts the entries of a map. Each is charged twice: as it is read, and in the Rust map.
fn lift<K: Lift, V: Lift>(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    pointer: u32,
    len: u32,
) -> Result<Vec<(K, V)>> {
    let bytes = cx.list(pointer, len, <(K, V)>::SIZE, <(K, V)>::ABI.align32)?;
    cx.charge(len as usize, size_of::<(K, V)>())?;
    let entry_type = cx.element_type(ty);
    <(K, V)>::lift_slice(cx, entry_type, bytes)
}

macro_rules! map_type {
    ([$($generics:tt)*] $ty:ty, [$($lower:tt)*] [$($lift:tt)*]) => {
        impl<K: ComponentType, V: ComponentType, $($generics)*> ComponentType for $ty {
            const ABI: CanonicalAbi = CanonicalAbi::POINTER_PAIR;

            fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
                matches::<K, V>(ty, types)
            }

            fn describe() -> String {
                format!("map<{}, {}>", K::describe(), V::describe())
            }
        }

        impl<K: Lower, V: Lower, $($lower)*> Lower for $ty {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                let (pointer, len) = lower(self.iter(), cx, ty)?;
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
                let (pointer, len) = lower(self.iter(), cx, ty)?;
                cx.write(offset, pointer.to_le_bytes());
                cx.write(offset + 4, len.to_le_bytes());
                Ok(())
            }
        }

        impl<K: Lift + $($lift)*> Lift for $ty {
            fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
                Ok(lift(cx, ty, src[0] as u32, src[1] as u32)?.into_iter().collect())
            }

            fn lift_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                Ok(lift(cx, ty, read_u32(bytes, 0), read_u32(bytes, 4))?.into_iter().collect())
            }
        }
    };
}

map_type!([] BTreeMap<K, V>, [] [Ord, V: Lift]);
map_type!([S] HashMap<K, V, S>, [S] [Eq + Hash, V: Lift, S: BuildHasher + Default]);
