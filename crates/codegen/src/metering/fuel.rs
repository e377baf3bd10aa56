//! Fuel: counts the operators that a guest executes, and stops the guest when its fuel is used up.
//!
//! Every operator costs one unit, except those that only structure the code or drop a value, which
//! are free (see [`is_free`]). Entering a function costs one more. Work of adapters, trampolines
//! and the runtime is part of the operator that causes it: `memory.fill` costs one, however long it
//! takes.
//!
//! If `Tunables::fuel_by_length` is set, bulk operations cost one more unit for each [`FUEL_BYTES`]
//! bytes of memory, objects or table entries that they write. An adapter pays in the same way for
//! the bytes that a list or string takes in the memory that it comes from. A fraction costs a whole
//! unit, and is paid before anything is checked or written. Lengths are never part of a segment
//! (see below), because whether the code generator knows a length as a constant must not change the
//! count.
//!
//! A segment is a sequence of operators that are always executed one after the other without a call
//! in between. It is paid as a whole before its first operator. So a guest never executes an
//! operator that it has no fuel for, and the counter is exact whenever the host is called or the
//! guest has returned. A segment that a trap ends stays paid in full. Segments follow from the
//! WebAssembly code alone, so that the count depends neither on the optimization level nor on the
//! processor.
//!
//! At loop heads and function entries, the guest also checks in with its store if the counter has
//! passed the pause (see [`check_in`](super::check_in)).
//!
//! Each store has one counter, which the control blocks of all its instances point at. It counts
//! upwards, and the carry of the addition tells that fuel has run out. A variable holds its value
//! as well, which keeps loads out of loops. Each change is stored, because a value in a register is
//! lost when a fault ends the guest.

use crate::emit::{control_block, trap_code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use mintage_environ::{FUEL_BYTES, FuelWords, Trap, Tunables};
use wasmparser::Operator;

/// The meter of a function under construction. It emits no code if fuel is not consumed.
pub(crate) struct Meter(Option<Counting>);

impl Meter {
    /// Returns a meter that counts nothing and emits no code.
    pub fn off() -> Self {
        Meter(None)
    }

    /// Returns a meter that counts from the current block on, the first of the function. `flags`
    /// are those of accesses to the counter.
    pub fn start(builder: &mut FunctionBuilder<'_>, ctx: Value, flags: MemFlagsData) -> Self {
        let mut counting = Counting {
            counter: builder.declare_var(I64),
            segment: None,
            ctx,
            flags,
        };
        counting.reload(builder);
        Meter(Some(counting))
    }

    /// Returns whether fuel is consumed.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Pays one unit for entering the function.
    pub fn enter(&mut self, builder: &mut FunctionBuilder<'_>) {
        if let Some(counting) = &mut self.0 {
            counting.spend(builder);
        }
    }

    /// Returns whether the guest has to check in because of the fuel that it has consumed, if fuel
    /// is consumed at all.
    pub fn pauses(&mut self, builder: &mut FunctionBuilder<'_>) -> Option<Value> {
        self.0.as_mut().map(|counting| counting.pauses(builder))
    }

    /// Counts an operator that is about to be translated or, if it is not `reachable`, skipped.
    /// Within a segment a skipped operator counts as well: how early the code generator notices
    /// that an operator traps depends on settings, and the cost must not.
    pub fn before(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        operator: &Operator<'_>,
        reachable: bool,
    ) {
        if let Some(counting) = &mut self.0
            && (reachable || counting.segment.is_some())
            && !is_free(operator)
        {
            counting.spend(builder);
        }
    }

    /// Ends the segment if the operator that was just translated or skipped ends it. `reachable`
    /// tells whether the next operator is reachable.
    pub fn after(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        operator: &Operator<'_>,
        reachable: bool,
    ) {
        let Some(counting) = &mut self.0 else { return };
        if ends_segment(operator) {
            counting.end_segment(builder);
        }
        if reachable && is_call(operator) {
            counting.reload(builder);
        }
    }

    /// Reads the counter again where others may have changed it: after calls, however they return.
    pub fn reload(&mut self, builder: &mut FunctionBuilder<'_>) {
        if let Some(counting) = &mut self.0 {
            counting.reload(builder);
        }
    }

    /// Pays for an operation on `count` items (64-bit) of `size` bytes, a power of two. `wide`
    /// means that the count may be 2^63 or more.
    pub fn pay_length(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        count: Value,
        size: u32,
        wide: bool,
    ) {
        if let Some(counting) = &mut self.0 {
            let cost = length_cost(builder, count, size, wide);
            counting.pay(builder, cost);
        }
    }
}

/// The counting of a function that consumes fuel.
struct Counting {
    /// The counter's value.
    counter: Variable,
    /// The segment whose end has not been reached.
    segment: Option<Segment>,
    /// The function's context pointer.
    ctx: Value,
    /// Flags of accesses to the store's counter.
    flags: MemFlagsData,
}

struct Segment {
    /// The instruction that makes the constant that is added to the counter at the start of the
    /// segment.
    cost: Inst,
    operators: i64,
}

impl Counting {
    /// Reads the counter from memory.
    fn reload(&mut self, builder: &mut FunctionBuilder<'_>) {
        let value = self.load(builder, FuelWords::COUNTER);
        builder.def_var(self.counter, value);
    }

    /// Returns whether the counter has passed the pause.
    fn pauses(&mut self, builder: &mut FunctionBuilder<'_>) -> Value {
        let pause = self.load(builder, FuelWords::PAUSE);
        let counter = builder.use_var(self.counter);
        builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, counter, pause)
    }

    fn load(&self, builder: &mut FunctionBuilder<'_>, offset: i32) -> Value {
        let words = control_block::fuel_words(builder, self.ctx);
        builder.ins().load(I64, self.flags, words, offset)
    }

    /// Adds `cost` to the counter; traps if there is too little fuel.
    fn pay(&mut self, builder: &mut FunctionBuilder<'_>, cost: Value) {
        let before = builder.use_var(self.counter);
        let after = builder
            .ins()
            .uadd_overflow_trap(before, cost, trap_code(Trap::OutOfFuel));
        builder.def_var(self.counter, after);
        let words = control_block::fuel_words(builder, self.ctx);
        builder
            .ins()
            .store(self.flags, after, words, FuelWords::COUNTER);
    }

    /// Adds one to the cost of the segment, which starts here if there is none.
    fn spend(&mut self, builder: &mut FunctionBuilder<'_>) {
        if let Some(segment) = &mut self.segment {
            segment.operators += 1;
            return;
        }
        // The cost is known, and written here, at the end of the segment.
        let cost = builder.ins().iconst(I64, 0);
        self.segment = Some(Segment {
            cost: builder.func.dfg.value_def(cost).unwrap_inst(),
            operators: 1,
        });
        self.pay(builder, cost);
    }

    fn end_segment(&mut self, builder: &mut FunctionBuilder<'_>) {
        if let Some(Segment { cost, operators }) = self.segment.take() {
            builder.func.dfg.insts[cost] = InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm: Imm64::new(operators),
            };
        }
    }
}

/// Pays for `bytes` (64-bit, below 2^63) outside of core functions, where no variable holds the
/// counter.
pub(crate) fn pay_bytes(
    tunables: &Tunables,
    builder: &mut FunctionBuilder<'_>,
    ctx: Value,
    bytes: Value,
) {
    if !tunables.consume_fuel || !tunables.fuel_by_length {
        return;
    }
    let cost = length_cost(builder, bytes, 1, false);
    let words = control_block::fuel_words(builder, ctx);
    let (flags, counter) = (MemFlagsData::trusted(), FuelWords::COUNTER);
    let before = builder.ins().load(I64, flags, words, counter);
    let after = builder
        .ins()
        .uadd_overflow_trap(before, cost, trap_code(Trap::OutOfFuel));
    builder.ins().store(flags, after, words, counter);
}

/// Returns the cost of `count` items (64-bit) of `size` bytes, a power of two. `wide` means that
/// the count may be 2^63 or more.
fn length_cost(builder: &mut FunctionBuilder<'_>, count: Value, size: u32, wide: bool) -> Value {
    let items = FUEL_BYTES / size;
    let (log2, rest) = (i64::from(items.ilog2()), i64::from(items - 1));
    if !wide {
        let count = builder.ins().iadd_imm_u(count, rest);
        return builder.ins().ushr_imm_u(count, log2);
    }
    let whole = builder.ins().ushr_imm_u(count, log2);
    let rest = builder.ins().band_imm_u(count, rest);
    let started = builder.ins().icmp_imm_u(IntCC::NotEqual, rest, 0);
    let started = builder.ins().uextend(I64, started);
    builder.ins().iadd(whole, started)
}

/// Returns whether an operator is free because it stands for no instruction.
fn is_free(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Nop
            | Operator::Drop
            | Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::Else
            | Operator::End
            | Operator::Return
            | Operator::Unreachable
    )
}

/// Returns whether, as far as validation can tell, the next operator may be executed another number
/// of times than this one, or may see the counter.
fn ends_segment(operator: &Operator<'_>) -> bool {
    is_call(operator)
        || matches!(
            operator,
            Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::End
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::BrOnNull { .. }
                | Operator::BrOnNonNull { .. }
                | Operator::BrOnCast { .. }
                | Operator::BrOnCastFail { .. }
                | Operator::Return
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. }
                | Operator::Throw { .. }
                | Operator::ThrowRef
                | Operator::Unreachable
        )
}

fn is_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. }
    )
}
