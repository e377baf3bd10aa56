//! Options and results.

use super::matches_payload;
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::error::Result;

/// Returns the layout of a payload. A case without one has `()` in Rust and `None` in the layout.
const fn payload<T: ComponentType>() -> Option<CanonicalAbi> {
    if T::SIZE == 0 { None } else { Some(T::ABI) }
}

/// Lowers one case of a variant with two cases.
fn lower_case_flat<T: Lower>(
    case: u64,
    value: Option<(&T, Option<InterfaceType>)>,
    cx: &mut LowerContext<'_>,
    dst: &mut [u64],
) -> Result<()> {
    let (discriminant, words) = dst.split_at_mut(1);
    discriminant[0] = case;
    let used = match value {
        Some((value, Some(ty))) => {
            value.lower_flat(cx, ty, &mut words[..T::FLAT])?;
            T::FLAT
        }
        _ => 0,
    };
    words[used..].fill(0);
    Ok(())
}

impl<T: ComponentType> ComponentType for Option<T> {
    const ABI: CanonicalAbi = CanonicalAbi::variant_of(&[None, payload::<T>()]);
    const NEEDS_TYPE: bool = T::NEEDS_TYPE;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        matches!(ty, InterfaceType::Option(id) if T::matches(*types.option(id), types))
    }

    fn describe() -> String {
        format!("option<{}>", T::describe())
    }
}

impl<T: ComponentType> OptionLayout for Option<T> {
    const PAYLOAD: usize = CanonicalAbi::payload_offset(&[None, payload::<T>()]) as usize;
}

/// The offset of the payload of a variant with two cases.
trait OptionLayout {
    const PAYLOAD: usize;
}

impl<T: Lower> Lower for Option<T> {
    #[inline]
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let ty = if T::NEEDS_TYPE {
            cx.element_type(ty)
        } else {
            ty
        };
        let value = self.as_ref().map(|value| (value, Some(ty)));
        lower_case_flat(u64::from(self.is_some()), value, cx, dst)
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        cx.write(offset, [u8::from(self.is_some())]);
        let ty = if T::NEEDS_TYPE {
            cx.element_type(ty)
        } else {
            ty
        };
        self.as_ref().map_or(Ok(()), |value| {
            value.lower_memory(cx, ty, offset + Self::PAYLOAD)
        })
    }
}

impl<T: Lift> Lift for Option<T> {
    #[inline]
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        if LiftContext::flat_discriminant(src[0], 2)? == 0 {
            return Ok(None);
        }
        let ty = if T::NEEDS_TYPE {
            cx.element_type(ty)
        } else {
            ty
        };
        T::lift_flat(cx, ty, &src[1..][..T::FLAT]).map(Some)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        if LiftContext::memory_discriminant(bytes, 2)? == 0 {
            return Ok(None);
        }
        let ty = if T::NEEDS_TYPE {
            cx.element_type(ty)
        } else {
            ty
        };
        T::lift_memory(cx, ty, &bytes[Self::PAYLOAD..][..T::SIZE]).map(Some)
    }
}

impl<T: ComponentType, E: ComponentType> OptionLayout for Result<T, E> {
    const PAYLOAD: usize = CanonicalAbi::payload_offset(&[payload::<T>(), payload::<E>()]) as usize;
}

impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    const ABI: CanonicalAbi = CanonicalAbi::variant_of(&[payload::<T>(), payload::<E>()]);

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        let InterfaceType::Result(id) = ty else {
            return false;
        };
        let &(ok, err) = types.result(id);
        matches_payload::<T>(ok, types) && matches_payload::<E>(err, types)
    }

    fn describe() -> String {
        let (ok, err) = (T::describe(), E::describe());
        match (T::SIZE, E::SIZE) {
            (0, 0) => "result".into(),
            (_, 0) => format!("result<{ok}>"),
            (0, _) => format!("result<_, {err}>"),
            _ => format!("result<{ok}, {err}>"),
        }
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let (ok, err) = cx.result_types(ty);
        match self {
            Ok(value) => lower_case_flat(0, Some((value, ok)), cx, dst),
            Err(value) => lower_case_flat(1, Some((value, err)), cx, dst),
        }
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        cx.write(offset, [u8::from(self.is_err())]);
        match (self, cx.result_types(ty)) {
            (Ok(value), (Some(ty), _)) => value.lower_memory(cx, ty, offset + Self::PAYLOAD),
            (Err(value), (_, Some(ty))) => value.lower_memory(cx, ty, offset + Self::PAYLOAD),
            _ => Ok(()),
        }
    }
}

/// The type in place of a payload that the component type lacks. The Rust type is `()`, which has
/// no words and no bytes.
const NO_PAYLOAD: InterfaceType = InterfaceType::Bool;

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        let (ok, err) = cx.result_types(ty);
        match LiftContext::flat_discriminant(src[0], 2)? {
            0 => T::lift_flat(cx, ok.unwrap_or(NO_PAYLOAD), &src[1..][..T::FLAT]).map(Ok),
            _ => E::lift_flat(cx, err.unwrap_or(NO_PAYLOAD), &src[1..][..E::FLAT]).map(Err),
        }
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let (ok, err) = cx.result_types(ty);
        match LiftContext::memory_discriminant(bytes, 2)? {
            0 => T::lift_memory(
                cx,
                ok.unwrap_or(NO_PAYLOAD),
                &bytes[Self::PAYLOAD..][..T::SIZE],
            )
            .map(Ok),
            _ => E::lift_memory(
                cx,
                err.unwrap_or(NO_PAYLOAD),
                &bytes[Self::PAYLOAD..][..E::SIZE],
            )
            .map(Err),
        }
    }
}
