//! [`StreamAny`] and [`FutureAny`]: readable ends of streams and futures whose types are known only
//! at run time.

use crate::abi::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext, matches_payload, read_u32,
};
use crate::error::{Result, bail, ensure};
use crate::store::HeldEnd;
use crate::types::{Type, TypeScope};
use mintage_environ::component::AsyncValue;
use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

/// The type of what a stream or future passes.
#[derive(Clone)]
pub(crate) enum Payload {
    /// As the guest knows it that has passed the end to the host.
    Guest(TypeScope, Option<InterfaceType>),
    /// A type of the host.
    Host {
        ty: TypeId,
        matches: fn(Option<InterfaceType>, &InstanceTypes<'_>) -> bool,
    },
}

impl Payload {
    /// Returns the Rust type `T` as a payload.
    pub fn host<T: ComponentType + 'static>() -> Payload {
        Payload::Host {
            ty: TypeId::of::<T>(),
            matches: matches_payload::<T>,
        }
    }

    /// Returns whether the Rust type `T` stands for the payload.
    pub fn is<T: ComponentType + 'static>(&self) -> bool {
        match self {
            Payload::Guest(scope, payload) => {
                let types = &scope.interface().types;
                let types = InstanceTypes::new(types, scope.host_resources());
                matches_payload::<T>(*payload, &types)
            }
            Payload::Host { ty, .. } => *ty == TypeId::of::<T>(),
        }
    }

    /// Returns whether `payload`, in a guest's component, is the same type.
    fn is_of_guest(&self, scope: &TypeScope, payload: Option<InterfaceType>) -> bool {
        match self {
            Payload::Guest(own_scope, own) => {
                own.map(|ty| Type::new(own_scope, ty)) == payload.map(|ty| Type::new(scope, ty))
            }
            Payload::Host { matches, .. } => {
                let types = &scope.interface().types;
                matches(payload, &InstanceTypes::new(types, scope.host_resources()))
            }
        }
    }
}

/// Takes an end from a guest, with the type that it has there.
fn lift(
    cx: &mut LiftContext<'_>,
    value: AsyncValue,
    handle: u32,
) -> Result<(Arc<HeldEnd>, Payload)> {
    let end = cx.lift_end(value, handle)?;
    let payload = value.payload(cx.types());
    let scope = cx.handles()?.type_scope();
    Ok((end, Payload::Guest(scope, payload)))
}

/// Gives a guest an end, if it has the type that the guest expects.
fn lower(
    cx: &mut LowerContext<'_>,
    value: AsyncValue,
    end: &HeldEnd,
    own: &Payload,
) -> Result<u32> {
    let payload = value.payload(cx.types());
    let scope = cx.handles()?.type_scope();
    ensure!(
        own.is_of_guest(&scope, payload),
        "type mismatch: expected `{}`, found a reader of another type",
        cx.types().display(value.ty())
    );
    cx.lower_end(value, end)
}

/// Defines a readable end.
macro_rules! any {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            pub(crate) end: Arc<HeldEnd>,
            pub(crate) payload: Payload,
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.end).finish()
            }
        }

        impl PartialEq for $name {
            /// Returns whether both are the same end.
            fn eq(&self, other: &Self) -> bool {
                self.end.id == other.end.id
            }
        }

        impl Eq for $name {}

        impl $name {
            /// Returns the type of a value.
            fn value(ty: InterfaceType) -> Result<AsyncValue> {
                match ty {
                    InterfaceType::$kind(id) => Ok(AsyncValue::$kind(id)),
                    _ => bail!("type mismatch: the value is not a {}", $what),
                }
            }
        }

        impl ComponentType for $name {
            const ABI: CanonicalAbi = CanonicalAbi::scalar(4);

            fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
                matches!(ty, InterfaceType::$kind(_))
            }

            fn describe() -> String {
                $what.into()
            }
        }

        impl Lower for $name {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                dst[0] = lower(cx, Self::value(ty)?, &self.end, &self.payload)?.into();
                Ok(())
            }

            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                let handle = lower(cx, Self::value(ty)?, &self.end, &self.payload)?;
                cx.write(offset, handle.to_le_bytes());
                Ok(())
            }
        }

        impl Lift for $name {
            fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
                let (end, payload) = lift(cx, Self::value(ty)?, src[0] as u32)?;
                Ok($name { end, payload })
            }

            fn lift_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                let (end, payload) = lift(cx, Self::value(ty)?, read_u32(bytes, 0))?;
                Ok($name { end, payload })
            }
        }
    };
}

any! {
    /// The readable end of a `stream<T>`, where `T` is known only at run time. Copies of the value
    /// are the same end, and the stream is closed when the last one is dropped. See
    /// [`StreamReader`](crate::StreamReader).
    StreamAny, Stream, "stream"
}
any! {
    /// The readable end of a `future<T>`, where `T` is known only at run time. Copies of the value
    /// are the same end, and the future is closed when the last one is dropped. See
    /// [`FutureReader`](crate::FutureReader).
    FutureAny, Future, "future"
}
