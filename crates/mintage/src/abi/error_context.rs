//! Error contexts: the guest's handle of one is an index, the host's is the value itself.

use super::context::read_u32;
use super::handle::no_handles;
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::ErrorContext;
use crate::error::{Context, Result, handle_trap};

impl LowerContext<'_> {
    /// Gives the guest an error context: the index of its handle.
    fn lower_error_context(&mut self, context: &ErrorContext) -> Result<u32> {
        let domain = self.handles()?.domain;
        let instance = self.guest.instance().with_context(no_handles)?;
        instance
            .lower_error_context(domain, context.clone())
            .map_err(handle_trap)
    }
}

impl LiftContext<'_> {
    /// Takes an error context from the guest, which keeps its handle.
    fn lift_error_context(&mut self, handle: u32) -> Result<ErrorContext> {
        let (handles, instance) = self.handles.as_ref().with_context(no_handles)?;
        instance
            .lift_error_context(handles.domain, handle)
            .map_err(handle_trap)
    }
}

impl ComponentType for ErrorContext {
    const ABI: CanonicalAbi = CanonicalAbi::scalar(4);
    const NEEDS_TYPE: bool = false;

    fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
        ty == InterfaceType::ErrorContext
    }

    fn describe() -> String {
        "error-context".into()
    }
}

impl Lower for ErrorContext {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[0] = u64::from(cx.lower_error_context(self)?);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let handle = cx.lower_error_context(self)?;
        cx.write(offset, handle.to_le_bytes());
        Ok(())
    }
}

impl Lift for ErrorContext {
    fn lift_flat(cx: &mut LiftContext<'_>, _ty: InterfaceType, src: &[u64]) -> Result<Self> {
        cx.lift_error_context(src[0] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, _ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        cx.lift_error_context(read_u32(bytes, 0))
    }
}
