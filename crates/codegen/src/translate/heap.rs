//! The object heap: allocation, and where the fields of objects are.
//!
//! An allocation moves a word in the head of the component instance, and asks the runtime only
//! where that would pass the limit in the word beside it. A field is `[ctx + reference +
//! constant]`: the heap is at a constant distance from `ctx`.
//!
//! What is allocated holds whatever stood there before. Every field is to be written before the
//! next instruction at which the runtime could look at the object: a call or another allocation.

use super::Translator;
use crate::abi::{self, POINTER};
use crate::emit::{Region, trap_code};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mintage_environ::layout::HeapLayout;
use mintage_environ::objects::Stored;
use mintage_environ::{Builtin, StorageType, Trap, ValType, limit};

/// How many records of live references take as much room as an argument does.
const REFERENCES_PER_ARGUMENT: usize = 4;

/// Where a field is: address and displacement of a CLIF load or store.
pub(super) struct Field {
    pub address: Value,
    pub offset: i32,
}

impl<'a> Translator<'a, '_> {
    /// The object heap of this component instance.
    pub(super) fn heap(&self) -> Result<&'a HeapLayout> {
        let domain = &self.input.layout.domains[self.instance.domain];
        domain.heap.as_ref().context(
            "internal error: code uses an object heap, and its component instance has none",
        )
    }

    /// A reference to a new object of `size` bytes (64-bit, a multiple of [`HeapLayout::ALIGN`])
    /// that starts with the word `header`.
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
        self.builder.declare_value_needs_stack_map(reference);
        let header = self.iconst(types::I32, i64::from(header));
        let Field { address, offset } = self.field(reference, 0)?;
        let flags = self.object_flags();
        self.ins().store(flags, header, address, offset);
        Ok(reference)
    }

    /// Writes a field of an object that is new.
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

    /// The value of type `ty` in a field of an object that exists.
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

    /// Reads a field; a packed one is extended with its sign if it is `signed`, and otherwise with
    /// zeros.
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

    /// Flags of an access to the first `end` bytes of the object that `reference`, which may be
    /// null, refers to.
    pub(super) fn checked_flags(&mut self, reference: Value, end: u64) -> MemFlagsData {
        if end <= HeapLayout::FIRST {
            return self.nullable_object_flags();
        }
        self.ins().trapz(reference, trap_code(Trap::NullReference));
        self.object_flags()
    }

    /// Whether the collector follows values of type `ty` here: where there is no heap, there is
    /// nothing that it could move.
    pub(super) fn is_traced(&self, ty: ValType) -> bool {
        ty.is_traced()
            && self.input.layout.domains[self.instance.domain]
                .heap
                .is_some()
    }

    /// Makes the collector find, and update, a new value of type `ty` wherever it is live across a
    /// call. To be called for every such value when it is made.
    pub(super) fn trace(&mut self, value: Value, ty: ValType) {
        if self.is_traced(ty) {
            self.builder.declare_value_needs_stack_map(value);
        }
    }

    /// Notes a call, which takes a record of all references that are live across it: these are in
    /// locals or on the operand stack.
    pub(super) fn charge_live_references(&mut self) {
        if self.input.layout.domains[self.instance.domain]
            .heap
            .is_some()
        {
            self.charge((self.locals.traced + self.stack.len()) / REFERENCES_PER_ARGUMENT);
        }
    }

    /// The same as [`trace`](Self::trace) for the top of the operand stack.
    pub(super) fn trace_top(&mut self, ty: ValType) {
        let value = self.top(1)[0];
        self.trace(value, ty);
    }

    /// The place `offset` bytes behind the start of an object.
    pub(super) fn field(&mut self, reference: Value, offset: u32) -> Result<Field> {
        let heap = self.heap()?;
        let ctx = self.ctx;
        let address = self.ins().iadd(ctx, reference);
        // Below `ctx`, so that the sum is within 32 bits whatever the offset.
        let offset = i64::from(heap.offset) + i64::from(offset);
        let offset = i32::try_from(offset)
            .with_context(|| limit!(ComponentSize, "an object has more than 2 GiB"))?;
        Ok(Field { address, offset })
    }

    /// Flags of an access to an object that exists.
    pub(super) fn object_flags(&mut self) -> MemFlagsData {
        let region = self.declarations.region(self.builder.func, Region::Objects);
        // Objects are aligned to 8 bytes, vectors in them to no more.
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }

    /// Flags of an access through a reference that may be null, to one of the first
    /// [`HeapLayout::FIRST`] bytes of an object: it traps by a fault if the reference is null.
    pub(super) fn nullable_object_flags(&mut self) -> MemFlagsData {
        let region = self.declarations.region(self.builder.func, Region::Objects);
        MemFlagsData::new()
            .with_trap_code(Some(trap_code(Trap::NullReference)))
            .with_alias_region(Some(region))
    }
}
