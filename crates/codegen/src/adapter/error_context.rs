//! Error contexts (CanonicalABI.md, `canon error-context.new` and what follows): the built-ins, and
//! passing one on.
//!
//! Messages and handle tables are the runtime's. What is left to machine code is the test of
//! `may_leave`, and to ask `realloc` for the room of a message.

use super::fuse::Fuse;
use super::place::{From, To};
use super::with_entry;
use crate::compiler::{Input, Scratch};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mintage_environ::component::{CanonicalAbi, StringEncoding};
use mintage_environ::{Builtin, Trap};
use mintage_program::{CanonBuiltin, CanonOp};

/// Emits a canonical built-in on error contexts.
pub(crate) fn error_context_builtin(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    scratch: &mut Scratch,
) -> Result<()> {
    let CanonBuiltin { op, options, sig } = builtin;
    with_entry(input, *sig, scratch, |builder, imports, ctx, parameters| {
        let mut fuse = Fuse::new(*input, builder, imports, ctx, options, options)?;
        fuse.check_may_leave();
        match (op, parameters) {
            (CanonOp::ErrorContextNew, &[pointer, units]) => {
                Ok(vec![fuse.new_error_context(pointer, units)?])
            }
            (CanonOp::ErrorContextDebugMessage, &[handle, pointer]) => {
                fuse.debug_message(handle, pointer)?;
                Ok(Vec::new())
            }
            (CanonOp::ErrorContextDrop, &[handle]) => {
                let domain = fuse.number(options.domain.as_u32());
                fuse.call_builtin(Builtin::ErrorContextDrop, &[domain, handle]);
                Ok(Vec::new())
            }
            _ => bail!("internal error: {} has another signature", op.name()),
        }
    })
}

impl Fuse<'_, '_, '_> {
    /// An error context: the destination gets a handle of it, and the source keeps its own.
    pub(super) fn error_context(&mut self, from: &mut From<'_>, to: &mut To) -> Result<()> {
        let handle = self.read_int(4, false, from)?;
        let [src, dst] =
            [self.src.domain, self.dst.domain].map(|domain| self.number(domain.as_u32()));
        let passed = self
            .call_builtin(Builtin::TransferErrorContext, &[src, dst, handle])
            .context("internal error: passing an error context gives none")?;
        self.write_int(4, passed, to);
        Ok(())
    }

    /// `error-context.new`: the runtime checks the string and keeps what it likes of it.
    fn new_error_context(&mut self, pointer: Value, units: Value) -> Result<Value> {
        let side = self.src;
        let memory = side
            .memory
            .context("internal error: `error-context.new` has no memory")?;
        let numbers = [side.domain.as_u32(), memory.as_u32(), side.encoding as u32];
        let [domain, memory, encoding] = numbers.map(|number| self.number(number));
        let [pointer, units] = [pointer, units].map(|value| self.widen(value));
        self.call_builtin(
            Builtin::ErrorContextNew,
            &[domain, memory, encoding, pointer, units],
        )
        .context("internal error: a new error context has no handle")
    }

    /// `error-context.debug-message`: the message in a block of `realloc`, and its place and length
    /// at `pointer`.
    fn debug_message(&mut self, handle: Value, pointer: Value) -> Result<()> {
        let side = self.dst;
        let pointer = self.widen(pointer);
        let pair = self.spilled(side, pointer, CanonicalAbi::POINTER_PAIR)?;
        let domain = self.number(side.domain.as_u32());
        let encoding = self.number(side.encoding as u32);
        let units = self
            .call_builtin(Builtin::ErrorContextUnits, &[domain, handle, encoding])
            .context("internal error: the message of an error context has no length")?;
        let mut units = self.widen(units);
        let bytes = match side.encoding {
            StringEncoding::Utf8 => units,
            StringEncoding::Utf16 => self.builder.ins().iadd(units, units),
            StringEncoding::CompactUtf16 => {
                // The tag is one where units have two bytes.
                let tag = self.builder.ins().ushr_imm_u(units, 31);
                let count = self.builder.ins().band_imm_u(units, 0x7fff_ffff);
                if side.index64 {
                    let tag = self.builder.ins().ishl_imm_u(tag, 63);
                    units = self.builder.ins().bor(count, tag);
                }
                self.builder.ins().ishl(count, tag)
            }
        };
        let align = if side.encoding == StringEncoding::Utf8 {
            1
        } else {
            2
        };
        let block = self.realloc(None, align, bytes, Trap::ReallocStringOutOfBounds)?;
        let place = self.address(side, block)?;
        let arguments = [domain, handle, encoding, place.address, bytes];
        self.call_builtin(Builtin::ErrorContextMessage, &arguments);
        self.write_pair(&mut To::Memory(pair), block, units)
    }

    /// A constant argument of a builtin.
    fn number(&mut self, number: u32) -> Value {
        self.iconst(types::I32, i64::from(number))
    }
}
