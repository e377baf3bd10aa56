//! Lists. One copy suffices if all bytes of an element can be taken as they are; other elements are
//! passed in a loop.

use super::emitter::AdapterEmitter;
use super::value::{Destination, Place, Source};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mintage_environ::component::{ComponentTypes, InterfaceType, MAX_LIST_BYTE_LENGTH};
use mintage_environ::{Builtin, Trap};

impl AdapterEmitter<'_, '_, '_> {
    /// Passes a list of `element`s.
    pub(super) fn list(
        &mut self,
        element: InterfaceType,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let abi = self.types.abi(element);
        let src_size = abi.size(self.src.index64).max(1);
        let dst_size = abi.size(self.dst.index64).max(1);
        let (pointer, length) = self.read_pair(from)?;
        self.trap_above(length, MAX_LIST_BYTE_LENGTH / src_size, Trap::ListTooLong);
        self.check_aligned(pointer, abi.align(self.src.index64), Trap::UnalignedPointer);
        let src_bytes = self.times(length, src_size);
        self.check_bounds(self.src, pointer, src_bytes, Trap::ListOutOfBounds)?;
        self.pay_bytes(src_bytes);

        let dst_bytes = match src_size == dst_size {
            true => src_bytes,
            false => self.times(length, dst_size),
        };
        let align = abi.align(self.dst.index64);
        let block = self.realloc(None, align, dst_bytes, Trap::ReallocListOutOfBounds)?;
        let src = self.address(self.src, pointer).address;
        let dst = self.address(self.dst, block).address;
        if is_copied_bytewise(self.types, element) {
            self.copy_bytes(dst, src, src_bytes);
        } else {
            let end = self.builder.ins().iadd(src, src_bytes);
            self.elements(element, (src, end, src_size), (dst, dst_size))?;
        }
        self.write_pair(to, block, length)
    }

    /// Passes `count` values of one type that are laid out as in a list.
    pub(super) fn repeated(
        &mut self,
        ty: InterfaceType,
        count: u32,
        src: Place,
        dst: Place,
    ) -> Result<()> {
        let abi = self.types.abi(ty);
        let (src_size, dst_size) = (abi.size(self.src.index64), abi.size(self.dst.index64));
        let [src, dst] = [src, dst].map(|place| {
            self.builder
                .ins()
                .iadd_imm_s(place.address, i64::from(place.offset))
        });
        let bytes = self.iconst(types::I64, i64::from(src_size) * i64::from(count));
        self.pay_bytes(bytes);
        if is_copied_bytewise(self.types, ty) {
            self.copy_bytes(dst, src, bytes);
            return Ok(());
        }
        let end = self.builder.ins().iadd(src, bytes);
        self.elements(ty, (src, end, src_size), (dst, dst_size))
    }

    /// Passes `count` values of one type between checked addresses of both memories.
    pub(super) fn copy_values(
        &mut self,
        ty: InterfaceType,
        src: Value,
        dst: Value,
        count: Value,
    ) -> Result<()> {
        let abi = self.types.abi(ty);
        let (src_size, dst_size) = (abi.size(self.src.index64), abi.size(self.dst.index64));
        let bytes = self.times(count, src_size);
        self.pay_bytes(bytes);
        if is_copied_bytewise(self.types, ty) {
            self.copy_bytes(dst, src, bytes);
            return Ok(());
        }
        let end = self.builder.ins().iadd(src, bytes);
        self.elements(ty, (src, end, src_size), (dst, dst_size))
    }

    /// Passes elements in a loop, given addresses and element sizes of both sides. The loop can be
    /// long, so it tests for interruption.
    fn elements(
        &mut self,
        element: InterfaceType,
        (src, src_end, src_size): (Value, Value, u32),
        (dst, dst_size): (Value, u32),
    ) -> Result<()> {
        let (head, body, end) = (self.block(), self.block(), self.block());
        let src_at = self.builder.append_block_param(head, types::I64);
        let dst_at = self.builder.append_block_param(head, types::I64);
        self.builder.ins().jump(head, &[src.into(), dst.into()]);

        self.builder.switch_to_block(head);
        let done = self.builder.ins().icmp(IntCC::Equal, src_at, src_end);
        self.builder.ins().brif(done, end, [], body, []);

        self.builder.switch_to_block(body);
        self.check_in();
        let place = |address| Place { address, offset: 0 };
        self.transfer(
            element,
            &mut Source::Memory(place(src_at)),
            &mut Destination::Memory(place(dst_at)),
        )?;
        let src_next = self.builder.ins().iadd_imm_u(src_at, i64::from(src_size));
        let dst_next = self.builder.ins().iadd_imm_u(dst_at, i64::from(dst_size));
        self.builder
            .ins()
            .jump(head, &[src_next.into(), dst_next.into()]);

        self.builder.switch_to_block(end);
        Ok(())
    }

    /// Multiplies a length by a constant. The product must be below 2^64.
    pub(super) fn times(&mut self, length: Value, factor: u32) -> Value {
        match factor {
            1 => length,
            factor => self.builder.ins().imul_imm_u(length, i64::from(factor)),
        }
    }

    /// Copies bytes between checked addresses.
    pub(super) fn copy_bytes(&mut self, dst: Value, src: Value, bytes: Value) {
        self.call_builtin(Builtin::CopyBytes, &[dst, src, bytes]);
    }
}

/// Returns whether every sequence of bytes is a value of type `ty` and every byte belongs to the
/// value: padding must not be copied. Such types have the same layout in 32-bit and 64-bit
/// memories.
fn is_copied_bytewise(types: &ComponentTypes, ty: InterfaceType) -> bool {
    use InterfaceType as T;
    let packed = |fields: Vec<InterfaceType>| {
        let size = fields
            .iter()
            .map(|&field| types.abi(field).size32)
            .sum::<u32>();
        size == types.abi(ty).size32 && fields.iter().all(|&field| is_copied_bytewise(types, field))
    };
    match ty {
        T::S8 | T::U8 | T::S16 | T::U16 | T::S32 | T::U32 | T::S64 | T::U64 | T::F32 | T::F64 => {
            true
        }
        T::Flags(id) => types.flags(id).len() as u32 == 8 * types.abi(ty).size32,
        T::Record(id) => packed(types.record(id).fields.iter().map(|&(_, ty)| ty).collect()),
        T::Tuple(id) => packed(types.tuple(id).to_vec()),
        _ => false,
    }
}
