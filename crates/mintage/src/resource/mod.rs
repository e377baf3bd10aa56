//! Resources: values that stay with their owner and are passed by handle.
//!
//! | file | what it has |
//! |---|---|
//! | `typed.rs` | [`Resource`], [`ResourceDynamic`]: resources of the host |
//! | `host.rs` | their representation, 32 bits, and who owns it |
//! | `any.rs` | [`ResourceAny`]: a resource of guest or host, by an entry in the store |
//! | `guard.rs` | [`ResourceGuard`]: a resource that is dropped with a Rust value |
//! | `table.rs` | [`ResourceTable`]: values of the host by representation |
//!
//! The entries behind [`ResourceAny`]s are in `store/handles.rs`.

/// Implements the Canonical ABI for a type whose values are passed as handles, by its functions
/// `lower` and `lift` between values and indexes of handles. The closure tells whether a type check
/// accepts a resource type, and the expression describes the type.
macro_rules! passed_by_handle {
    ([$($generics:tt)*] $ty:ty, |$id:ident, $types:ident| $matches:expr, $describe:expr) => {
        impl<$($generics)*> $crate::abi::ComponentType for $ty {
            const ABI: $crate::abi::CanonicalAbi = $crate::abi::CanonicalAbi::scalar(4);

            fn matches(
                ty: $crate::abi::InterfaceType,
                $types: &$crate::abi::InstanceTypes<'_>,
            ) -> bool {
                use $crate::abi::InterfaceType;
                match ty {
                    InterfaceType::Own($id) | InterfaceType::Borrow($id) => $matches,
                    _ => false,
                }
            }

            fn describe() -> String {
                $describe
            }
        }

        impl<$($generics)*> $crate::abi::Lower for $ty {
            fn lower_flat(
                &self,
                cx: &mut $crate::abi::LowerContext<'_>,
                ty: $crate::abi::InterfaceType,
                dst: &mut [u64],
            ) -> $crate::Result<()> {
                dst[0] = u64::from(self.lower(cx, ty)?);
                Ok(())
            }

            fn lower_memory(
                &self,
                cx: &mut $crate::abi::LowerContext<'_>,
                ty: $crate::abi::InterfaceType,
                offset: usize,
            ) -> $crate::Result<()> {
                let index = self.lower(cx, ty)?;
                cx.write(offset, index.to_le_bytes());
                Ok(())
            }
        }

        impl<$($generics)*> $crate::abi::Lift for $ty {
            fn lift_flat(
                cx: &mut $crate::abi::LiftContext<'_>,
                ty: $crate::abi::InterfaceType,
                src: &[u64],
            ) -> $crate::Result<Self> {
                Self::lift(cx, ty, src[0] as u32)
            }

            fn lift_memory(
                cx: &mut $crate::abi::LiftContext<'_>,
                ty: $crate::abi::InterfaceType,
                bytes: &[u8],
            ) -> $crate::Result<Self> {
                Self::lift(cx, ty, $crate::abi::read_u32(bytes, 0))
            }
        }
    };
}

mod any;
mod guard;
mod host;
mod table;
mod typed;

pub use any::ResourceAny;
pub use guard::ResourceGuard;
pub use table::{ResourceTable, ResourceTableError};
pub use typed::{Resource, ResourceDynamic};
