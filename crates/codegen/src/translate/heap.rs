//! The object heap: allocation, and where the fields of objects are.
//!
//! An allocation moves a word in the head of the component instance, and asks the runtime only where that would pass the limit
//! in the word beside it. A field is `[ctx + reference + constant]`: the heap is at a constant distance from `ctx`.
//!
//! What is allocated holds whatever stood there before. Every field is to be written before the next instruction at which
//! the runtime could look at the object: a call or another allocation.

use super::Translator;
use super::state::{Region, trap_code};
use crate::abi::POINTER;
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mintage_environ::layout::HeapLayout;
use mintage_environ::{Builtin, Trap};

/// Where a field is: address and displacement of a CLIF load or store.
pub(super) struct Field {
    pub address: Value,
    pub offset: i32,
}

impl<'a> Translator<'a, '_> {
    /// The object heap of this component instance.
    pub(super) fn heap(&self) -> Result<&'a HeapLayout> {
        let domain = &self.input.layout.domains[self.instance.domain];
        domain
            .heap
            .as_ref()
            .context("internal error: code uses an object heap, and its component instance has none")
    }

    /// A reference to a new object of `size` bytes (64-bit, a multiple of [`HeapLayout::ALIGN`]) that starts with the word `header`.
    pub(super) fn allocate(&mut self, header: u32, size: Value) -> Result<Value> {
        let heap = self.heap()?;
        let ctx = self.ctx;
        let words = self.trusted(Region::HeapWords);
        let fast = self.builder.create_block();
        let slow = self.builder.create_block();
        let rest = self.builder.create_block();
        let reference = self.builder.append_block_param(rest, POINTER);

        let next = self.ins().load(POINTER, words, ctx, heap.next_slot);
        let limit = self.ins().load(POINTER, words, ctx, heap.limit_slot);
        let end = self.ins().iadd(next, size);
        let exceeds = self.ins().icmp(IntCC::UnsignedGreaterThan, end, limit);
        self.ins().brif(exceeds, slow, [], fast, []);
        self.builder.seal_block(fast);
        self.builder.seal_block(slow);
        self.builder.set_cold_block(slow);

        self.builder.switch_to_block(slow);
        let domain = self.iconst(types::I32, i64::from(self.instance.domain.as_u32()));
        let allocated = self.call_builtin(Builtin::HeapAllocate, &[domain, size]);
        let allocated = allocated.context("internal error: the builtin gives a reference")?;
        let allocated = self.ins().uextend(POINTER, allocated);
        self.ins().jump(rest, [&allocated.into()]);

        self.builder.switch_to_block(fast);
        self.ins().store(words, end, ctx, heap.next_slot);
        self.ins().jump(rest, [&next.into()]);

        self.builder.seal_block(rest);
        self.builder.switch_to_block(rest);
        let header = self.iconst(types::I32, i64::from(header));
        let Field { address, offset } = self.field(reference, 0)?;
        let flags = self.object_flags();
        self.ins().store(flags, header, address, offset);
        Ok(reference)
    }

    /// The place `offset` bytes behind the start of an object.
    pub(super) fn field(&mut self, reference: Value, offset: u32) -> Result<Field> {
        let heap = self.heap()?;
        let ctx = self.ctx;
        let address = self.ins().iadd(ctx, reference);
        // Below `ctx`, so that the sum is within 32 bits whatever the offset.
        let offset = i64::from(heap.offset) + i64::from(offset);
        let offset = i32::try_from(offset).context("an object has more than 2 GiB")?;
        Ok(Field { address, offset })
    }

    /// Flags of an access to an object that exists.
    pub(super) fn object_flags(&mut self) -> MemFlagsData {
        self.trusted(Region::Objects)
    }

    /// Flags of an access through a reference that may be null, to one of the first [`HeapLayout::FIRST`] bytes of an object: it traps
    /// by a fault if the reference is null.
    pub(super) fn nullable_object_flags(&mut self) -> MemFlagsData {
        let region = self.imports.region(self.builder.func, Region::Objects);
        MemFlagsData::new()
            .with_aligned()
            .with_trap_code(Some(trap_code(Trap::NullReference)))
            .with_alias_region(Some(region))
    }
}
