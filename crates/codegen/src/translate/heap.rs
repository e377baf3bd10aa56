//! The GC heap: allocation and the places of fields.
//!
//! An allocation adds to a word in the head of the component instance. It calls the runtime only if
//! the sum would exceed the limit in the next word. A field is `[ctx + reference + constant]`,
//! because the heap is at a constant distance from `ctx`.
//!
//! New objects are not cleared. Every field must be written before the next instruction at which
//! the runtime may look at the object: a call or another allocation.

use super::Translator;
use crate::abi::{self, POINTER};
use crate::emit::{Region, trap_code};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mintage_environ::layout::HeapLayout;
use mintage_environ::objects::Stored;
use mintage_environ::{Builtin, StorageType, Trap, ValType, limit};

/// The number of records of live references that take as much memory as one argument.
const REFERENCES_PER_ARGUMENT: usize = 4;

/// The place of a field: address and displacement of a CLIF load or store.
pub(super) struct Field {
    pub address: Value,
    pub offset: i32,
}

impl<'a> Translator<'a, '_> {
    /// Returns the GC heap of this component instance.
    pub(super) fn heap(&self) -> Result<&'a HeapLayout> {
        let domain = &self.input.layout.domains[self.instance.domain];
        domain
            .heap
            .as_ref()
            .context("internal error: code uses a GC heap, but its component instance has none")
    }

    /// Allocates an object of `size` bytes (64-bit, a multiple of [`HeapLayout::ALIGN`]) that
    /// starts with the word `header`. Returns a reference to it.
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
        let allocated =
            allocated.context("internal error: the allocating builtin has no result")?;
        let allocated = self.ins().uextend(POINTER, allocated);
        self.ins().jump(rest, [&allocated.into()]);

        self.builder.switch_to_block(fast);
        self.ins().store(words, end, ctx, heap.next_slot);
        self.ins().jump(rest, [&next.into()]);

        self.builder.seal_block(rest);
        self.builder.switch_to_block(rest);
        self.builder.declare_value_needs_stack_map(reference);
        let header = self.iconst(types::I32, i64::from(header));
        let Field { address, offset } = self.field(reference, 0)?;
        let flags = self.object_flags();
        self.ins().store(flags, header, address, offset);
        Ok(reference)
    }

    /// Writes a field of a new object.
    pub(super) fn store_new_field(
        &mut self,
        object: Value,
        offset: u32,
        stored: Stored,
        value: Value,
    ) -> Result<()> {
        let field = self.field(object, offset)?;
        let flags = self.object_flags();
        self.store_field(field, flags, stored, value);
        Ok(())
    }

    /// Writes a field.
    pub(super) fn store_field(
        &mut self,
        field: Field,
        flags: MemFlagsData,
        stored: Stored,
        value: Value,
    ) {
        let Field { address, offset } = field;
        let narrow = self.type_of(value).bytes() > stored.size;
        let ins = self.ins();
        match stored.size {
            1 => ins.istore8(flags, value, address, offset),
            2 => ins.istore16(flags, value, address, offset),
            4 if narrow => ins.istore32(flags, value, address, offset),
            _ => ins.store(flags, value, address, offset),
        };
    }

    /// Reads a field of type `ty` of an object that is known to exist.
    pub(super) fn load_existing_field(
        &mut self,
        object: Value,
        offset: u32,
        ty: ValType,
    ) -> Result<Value> {
        let field = self.field(object, offset)?;
        let flags = self.object_flags();
        Ok(self.load_field(field, flags, StorageType::Val(ty), false))
    }

    /// Reads a field. A packed one is sign-extended if it is `signed`, and otherwise zero-extended.
    pub(super) fn load_field(
        &mut self,
        field: Field,
        flags: MemFlagsData,
        storage: StorageType,
        signed: bool,
    ) -> Value {
        let Field { address, offset } = field;
        let ins = self.ins();
        let value = match storage {
            StorageType::I8 if signed => ins.sload8(types::I32, flags, address, offset),
            StorageType::I8 => ins.uload8(types::I32, flags, address, offset),
            StorageType::I16 if signed => ins.sload16(types::I32, flags, address, offset),
            StorageType::I16 => ins.uload16(types::I32, flags, address, offset),
            StorageType::Val(ty) if ty.is_traced() => ins.uload32(flags, address, offset),
            StorageType::Val(ty) => ins.load(abi::clif_type(ty), flags, address, offset),
        };
        self.trace(value, storage.unpacked());
        value
    }

    /// Returns flags of an access to the first `end` bytes of the object that `reference` refers
    /// to, which may be null.
    pub(super) fn checked_flags(&mut self, reference: Value, end: u64) -> MemFlagsData {
        if end <= HeapLayout::FIRST {
            return self.nullable_object_flags();
        }
        self.ins().trapz(reference, trap_code(Trap::NullReference));
        self.object_flags()
    }

    /// Returns whether the collector traces values of type `ty` here. Without a heap there is
    /// nothing that it could move.
    pub(super) fn is_traced(&self, ty: ValType) -> bool {
        ty.is_traced()
            && self.input.layout.domains[self.instance.domain]
                .heap
                .is_some()
    }

    /// Makes the collector find and update a new value of type `ty` wherever it is live across a
    /// call. Every such value must be traced when it is made.
    pub(super) fn trace(&mut self, value: Value, ty: ValType) {
        if self.is_traced(ty) {
            self.builder.declare_value_needs_stack_map(value);
        }
    }

    /// Charges for a call, which records all references that are live across it: those in locals
    /// and on the operand stack.
    pub(super) fn charge_live_references(&mut self) {
        if self.input.layout.domains[self.instance.domain]
            .heap
            .is_some()
        {
            self.charge((self.locals.traced + self.stack.len()) / REFERENCES_PER_ARGUMENT);
        }
    }

    /// Does the same as [`trace`](Self::trace) for the top of the operand stack.
    pub(super) fn trace_top(&mut self, ty: ValType) {
        let value = self.top(1)[0];
        self.trace(value, ty);
    }

    /// Returns the place `offset` bytes after the start of an object.
    pub(super) fn field(&mut self, reference: Value, offset: u32) -> Result<Field> {
        let heap = self.heap()?;
        let ctx = self.ctx;
        let address = self.ins().iadd(ctx, reference);
        // The heap lies below `ctx`, so the sum fits in 32 bits whatever the offset is.
        let offset = i64::from(heap.offset) + i64::from(offset);
        let offset = i32::try_from(offset)
            .with_context(|| limit!(ComponentSize, "a GC object has more than 2 GiB"))?;
        Ok(Field { address, offset })
    }

    /// Returns flags of an access to an object that is known to exist.
    pub(super) fn object_flags(&mut self) -> MemFlagsData {
        let region = self.declarations.region(self.builder.func, Region::Objects);
        // Objects are aligned to 8 bytes, and so are vectors in them.
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }

    /// Returns flags of an access through a reference that may be null, to one of the first
    /// [`HeapLayout::FIRST`] bytes of an object. A null reference faults.
    pub(super) fn nullable_object_flags(&mut self) -> MemFlagsData {
        let region = self.declarations.region(self.builder.func, Region::Objects);
        MemFlagsData::new()
            .with_trap_code(Some(trap_code(Trap::NullReference)))
            .with_alias_region(Some(region))
    }
}
