//! [`AdapterEmitter`]: the two sides of an adapter, checked places, calls.
//!
//! Pointers and lengths are 64-bit values here, whatever the index type of their memory. They are
//! zero-extended when they are read and reduced when they are written, so the same arithmetic
//! serves 32-bit and 64-bit memories.

use super::value::{Destination, Place, Source};
use crate::emit::{
    self, Declarations, FunctionEmitter, Input, Region, Values, control_block, trap_code,
};
use crate::metering::{self, Meter};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::component::{
    AsyncValue, CanonOptions, CanonicalAbi, ComponentTypes, CoreCallee, InterfaceType,
    StringEncoding,
};
use mintage_environ::{Builtin, DomainId, MemoryId, Trap};

/// One of the two component instances of an adapter.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub domain: DomainId,
    /// Its context pointer.
    pub ctx: Value,
    /// The memory of its canonical options.
    pub memory: Option<MemoryId>,
    /// The address of that memory's first byte.
    base: Value,
    /// Whether pointers and lengths in its memory are 64 bits wide.
    pub index64: bool,
    pub encoding: StringEncoding,
    realloc: Option<CoreCallee>,
}

/// The handles that the caller lends to the callee.
pub(crate) enum Loans {
    /// There are none.
    None,
    /// The runtime has a list of them, for the call of this number.
    Listed(Value),
    /// These handles of these component instances, which the adapter knows itself.
    Known(Vec<(DomainId, Value)>),
}

/// An adapter, or the inlined body of one, under construction.
pub(crate) struct AdapterEmitter<'a, 'f, 'b> {
    input: Input<'a>,
    pub types: &'a ComponentTypes,
    pub builder: &'f mut FunctionBuilder<'b>,
    declarations: &'f mut Declarations,
    /// The side that values come from: the caller and, once it has returned, the callee.
    pub src: Side,
    /// The side that values go to.
    pub dst: Side,
    /// The loans of this call, as it ends them.
    pub loans: Loans,
    /// The flags of the destination side. While values are lowered, only the bit that is cleared
    /// for its `realloc` changes. Loading the flags once keeps out of loops a load that would wait
    /// for the store before it.
    dst_flags: Value,
}

impl<'a, 'f, 'b> AdapterEmitter<'a, 'f, 'b> {
    /// Starts an adapter at the current place of `builder`, for a caller with the context pointer
    /// `ctx`.
    pub fn new(
        input: Input<'a>,
        builder: &'f mut FunctionBuilder<'b>,
        declarations: &'f mut Declarations,
        ctx: Value,
        caller: &CanonOptions,
        callee: &CanonOptions,
    ) -> Result<Self> {
        let distance = input.ctx_distance(caller.domain, callee.domain)?;
        let callee_ctx = emit::plus(builder, ctx, distance);
        let mut side = |options: &CanonOptions, ctx| {
            let memory = options.memory.map(|id| &input.layout.memories[id]);
            Side {
                domain: options.domain,
                ctx,
                memory: options.memory,
                base: emit::plus(
                    builder,
                    ctx,
                    memory.map_or(0, |memory| memory.offset as i64),
                ),
                index64: memory.is_some_and(|memory| memory.index64),
                encoding: options.string_encoding,
                realloc: options.realloc,
            }
        };
        let (src, dst) = (side(caller, ctx), side(callee, callee_ctx));
        let dst_flags = control_block::load_flags(builder, callee_ctx);
        Ok(Self {
            dst_flags,
            loans: Loans::None,
            input,
            types: &input.program.interface.types,
            builder,
            declarations,
            src,
            dst,
        })
    }

    /// Starts the body of a function of its own, in place of `new`.
    pub fn of_function(
        emitter: &'f mut FunctionEmitter<'a, 'b>,
        caller: &CanonOptions,
        callee: &CanonOptions,
    ) -> Result<Self> {
        let ctx = emitter.ctx;
        let (builder, declarations) = (&mut emitter.builder, &mut *emitter.declarations);
        Self::new(emitter.input, builder, declarations, ctx, caller, callee)
    }

    /// Swaps the sides, for the results after the parameters.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.src, &mut self.dst);
        self.dst_flags = control_block::load_flags(self.builder, self.dst.ctx);
    }

    /// Traps unless the caller may call out.
    pub fn check_may_leave(&mut self) {
        control_block::check_may_leave(self.builder, self.src.ctx);
    }

    /// Gives the callee the caller's stack limit.
    pub fn pass_stack_limit(&mut self) {
        if self.src.domain != self.dst.domain {
            control_block::pass_stack_limit(self.builder, self.src.ctx, self.dst.ctx);
        }
    }

    /// Calls a core function of `side`, which now has the given flags, with `may_leave` cleared.
    fn call_confined(
        &mut self,
        side: Side,
        flags: Value,
        callee: CoreCallee,
        arguments: &[Value],
    ) -> Values {
        let confined = control_block::without_may_leave(self.builder, flags);
        control_block::store_flags(self.builder, side.ctx, confined);
        let results = self.call(side, callee, arguments);
        control_block::store_flags(self.builder, side.ctx, flags);
        results
    }

    /// Calls `post-return` of the source side.
    pub fn post_return(&mut self, callee: CoreCallee, arguments: &[Value]) {
        let flags = control_block::load_flags(self.builder, self.src.ctx);
        self.call_confined(self.src, flags, callee, arguments);
    }

    /// Calls a core function of `side`.
    pub fn call(&mut self, side: Side, callee: CoreCallee, arguments: &[Value]) -> Values {
        emit::call_core(
            self.builder,
            self.declarations,
            &self.input.program.interface.signatures,
            callee,
            side.ctx,
            arguments,
        )
    }

    /// Checks in with the store if the guest is interrupted; see [`metering::check_in`].
    pub fn check_in(&mut self) {
        metering::check_in(
            self.input.tunables,
            self.builder,
            self.declarations,
            &mut Meter::off(),
            self.src.ctx,
        );
    }

    /// Pays for a list or string of `bytes` (below 2^33); see [`metering::pay_bytes`].
    pub fn pay_bytes(&mut self, bytes: Value) {
        metering::pay_bytes(self.input.tunables, self.builder, self.src.ctx, bytes);
    }

    /// Calls a builtin on behalf of the source side. Returns its result if it has one.
    pub fn call_builtin(&mut self, builtin: Builtin, arguments: &[Value]) -> Option<Value> {
        let ctx = self.src.ctx;
        emit::call_builtin(self.builder, self.declarations, builtin, ctx, arguments)
    }

    /// Calls the `realloc` of the destination side for `size` bytes, in place of block `old`
    /// (pointer and size) if there is one. Returns a pointer that is aligned and in bounds;
    /// `outside` is the trap if it is out of bounds.
    pub fn realloc(
        &mut self,
        old: Option<(Value, Value)>,
        align: u32,
        size: Value,
        outside: Trap,
    ) -> Result<Value> {
        let side = self.dst;
        let realloc = side
            .realloc
            .context("internal error: the canonical options have no `realloc`")?;
        let zero = self.size(0);
        let (old, old_size) = old.unwrap_or((zero, zero));
        let align_value = self.size(align);
        let arguments = [old, old_size, align_value, size].map(|value| self.as_index(side, value));
        // A task of its own, so that `context.get` and its like see nothing of the others
        // (CanonicalABI.md, `LiftLowerContext.reallocate`).
        let task = match super::asks_for_tasks(self.input.program, side.domain) {
            true => self.enter_task(),
            false => None,
        };
        let results = self.call_confined(side, self.dst_flags, realloc, &arguments);
        self.exit_task(task);
        let pointer = *results
            .first()
            .context("internal error: `realloc` has no result")?;
        let pointer = self.widen(pointer);
        self.check_aligned(pointer, align, Trap::ReallocUnaligned);
        self.check_bounds(side, pointer, size, outside)?;
        Ok(pointer)
    }

    /// Asks the destination side for a block for spilled parameters. Returns its pointer and place.
    pub fn block_for(&mut self, abi: CanonicalAbi) -> Result<(Value, Destination)> {
        let size = self.size(abi.size(self.dst.index64));
        let align = abi.align(self.dst.index64);
        let pointer = self.realloc(None, align, size, Trap::ReallocOutOfBounds)?;
        let place = self.address(self.dst, pointer);
        Ok((pointer, Destination::Memory(place)))
    }

    /// Checks a pointer to spilled parameters or results. Returns their place.
    pub fn spilled(&mut self, side: Side, pointer: Value, abi: CanonicalAbi) -> Result<Place> {
        self.check_aligned(pointer, abi.align(side.index64), Trap::UnalignedPointer);
        let size = self.size(abi.size(side.index64));
        self.check_bounds(side, pointer, size, Trap::PointerOutOfBounds)?;
        Ok(self.address(side, pointer))
    }

    /// Traps if `pointer` is not a multiple of `align`.
    pub fn check_aligned(&mut self, pointer: Value, align: u32, trap: Trap) {
        if align > 1 {
            let rest = self.builder.ins().band_imm_u(pointer, i64::from(align) - 1);
            self.builder.ins().trapnz(rest, trap_code(trap));
        }
    }

    /// Traps if `size` bytes (below 2^33) at `pointer` are not in bounds of the memory of `side`.
    pub fn check_bounds(
        &mut self,
        side: Side,
        pointer: Value,
        size: Value,
        trap: Trap,
    ) -> Result<()> {
        let id = side
            .memory
            .context("internal error: the canonical options have no `memory`")?;
        let layout = &self.input.layout.memories[id];
        let end = if layout.index64 {
            self.builder
                .ins()
                .uadd_overflow_trap(pointer, size, trap_code(trap))
        } else {
            self.builder.ins().iadd(pointer, size)
        };
        let bytes = if layout.minimum == layout.capacity {
            self.iconst(types::I64, layout.minimum as i64)
        } else {
            let region = self.declarations.region(self.builder.func, Region::Sizes);
            let flags = MemFlagsData::trusted().with_alias_region(Some(region));
            self.builder
                .ins()
                .load(types::I64, flags, side.ctx, layout.size_slot)
        };
        self.trap_if(IntCC::UnsignedGreaterThan, end, bytes, trap);
        Ok(())
    }

    /// Traps if the comparison holds.
    pub fn trap_if(&mut self, condition: IntCC, left: Value, right: Value, trap: Trap) {
        let fails = self.builder.ins().icmp(condition, left, right);
        self.builder.ins().trapnz(fails, trap_code(trap));
    }

    /// Traps if `value` is greater than `limit`.
    pub fn trap_above(&mut self, value: Value, limit: u32, trap: Trap) {
        let limit = self.iconst(self.type_of(value), i64::from(limit));
        self.trap_if(IntCC::UnsignedGreaterThan, value, limit, trap);
    }

    /// Returns the place at a checked pointer of `side`.
    pub fn address(&mut self, side: Side, pointer: Value) -> Place {
        Place {
            address: self.builder.ins().iadd(side.base, pointer),
            offset: 0,
        }
    }

    /// Reads from memory of the source side.
    pub fn load(&mut self, ty: Type, place: Place) -> Value {
        let flags = self.memory_flags(self.src);
        self.builder
            .ins()
            .load(ty, flags, place.address, place.offset)
    }

    /// Writes to memory of the destination side.
    pub fn store(&mut self, value: Value, place: Place) {
        let flags = self.memory_flags(self.dst);
        self.builder
            .ins()
            .store(flags, value, place.address, place.offset);
    }

    /// Returns flags of accesses to the memory of a side. Accesses are checked, but if a check were
    /// missing, the fault would still be a trap.
    pub fn memory_flags(&mut self, side: Side) -> MemFlagsData {
        let region = side.memory.map(|id| {
            self.declarations
                .region(self.builder.func, Region::Memory(id))
        });
        MemFlagsData::new().with_alias_region(region)
    }

    /// Returns a pointer or length as 64 bits.
    pub fn widen(&mut self, value: Value) -> Value {
        emit::widen(self.builder, value)
    }

    /// Returns a pointer or length with the width of indexes of `side`.
    pub fn as_index(&mut self, side: Side, value: Value) -> Value {
        match side.index64 {
            true => value,
            false => self.builder.ins().ireduce(types::I32, value),
        }
    }

    /// Returns a constant argument of a builtin.
    pub fn number(&mut self, number: u32) -> Value {
        self.iconst(types::I32, i64::from(number))
    }

    /// Returns a constant pointer or length.
    pub fn size(&mut self, size: u32) -> Value {
        self.iconst(types::I64, i64::from(size))
    }

    pub fn iconst(&mut self, ty: Type, value: i64) -> Value {
        self.builder.ins().iconst(ty, value)
    }

    pub fn type_of(&self, value: Value) -> Type {
        self.builder.func.dfg.value_type(value)
    }

    /// Reads the pointer and the length of a string or list.
    pub fn read_pair(&mut self, from: &mut Source<'_>) -> Result<(Value, Value)> {
        let (pointer, length) = match from {
            Source::Flat(values) => (Source::next(values)?, Source::next(values)?),
            Source::Memory(place) => {
                let (ty, size) = index_type(self.src);
                (self.load(ty, *place), self.load(ty, place.at(size)?))
            }
        };
        Ok((self.widen(pointer), self.widen(length)))
    }

    /// Writes the pointer and the length of a string or list.
    pub fn write_pair(
        &mut self,
        to: &mut Destination,
        pointer: Value,
        length: Value,
    ) -> Result<()> {
        let [pointer, length] = [pointer, length].map(|value| self.as_index(self.dst, value));
        match to {
            Destination::Flat(values) => values.extend([pointer, length]),
            Destination::Memory(place) => {
                self.store(pointer, *place);
                self.store(length, place.at(index_type(self.dst).1)?);
            }
        }
        Ok(())
    }

    /// Passes a value of type `ty`.
    pub fn transfer(
        &mut self,
        ty: InterfaceType,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        use InterfaceType as T;
        match ty {
            T::Bool => self.bool(from, to),
            T::S8 => self.int(1, true, from, to),
            T::U8 => self.int(1, false, from, to),
            T::S16 => self.int(2, true, from, to),
            T::U16 => self.int(2, false, from, to),
            T::S32 | T::U32 => self.int(4, false, from, to),
            T::S64 | T::U64 => self.whole(types::I64, from, to),
            T::F32 => self.whole(types::F32, from, to),
            T::F64 => self.whole(types::F64, from, to),
            T::Char => self.char(from, to),
            T::Flags(id) => self.flag_set(self.types.flags(id).len(), from, to),
            T::String => self.string(from, to),
            T::List(_) | T::Map(_) => {
                let element = self.types.element(ty);
                self.list(
                    element.context("internal error: a list has no elements")?,
                    from,
                    to,
                )
            }
            T::Record(id) => {
                let fields: Vec<_> = self
                    .types
                    .record(id)
                    .fields
                    .iter()
                    .map(|&(_, ty)| ty)
                    .collect();
                self.fields(&fields, from, to)
            }
            T::Tuple(id) => self.fields(self.types.tuple(id), from, to),
            T::Variant(_) | T::Enum(_) | T::Option(_) | T::Result(_) => self.variant(ty, from, to),
            T::Own(id) => self.own(id, from, to),
            T::Borrow(id) => self.borrow(id, from, to),
            T::Stream(id) => self.end(AsyncValue::Stream(id), from, to),
            T::Future(id) => self.end(AsyncValue::Future(id), from, to),
            T::ErrorContext => self.error_context(from, to),
        }
    }

    /// Creates a block without parameters.
    pub fn block(&mut self) -> Block {
        self.builder.create_block()
    }
}

/// Returns the type of a side's pointers, and its size.
fn index_type(side: Side) -> (Type, u32) {
    match side.index64 {
        true => (types::I64, 8),
        false => (types::I32, 4),
    }
}
