//! Fuel: what a guest executes is counted, and it stops when it would execute more than it has been
//! given.
//!
//! Every operator costs one, but for those that only give code its form or drop a value, which cost
//! nothing (see [`is_free`]), and every function one more where it is entered. What adapters,
//! trampolines and the runtime do is the operator's that asked for it: `memory.fill` costs one,
//! however long it takes.
//!
//! Where `Tunables::fuel_by_length` asks for it, bulk operations cost one more for each
//! [`FUEL_BYTES`] bytes of memory, objects or table entries that they write, and an adapter does
//! for those that a list or string takes in the memory that it comes from. What is started is paid
//! in full, and before anything is written or checked. This is never part of a segment: whether a
//! length is a constant is a matter of the code generator.
//!
//! Operators that are always executed one after the other, without a call in between, are a
//! segment. It is paid as a whole before its first operator is executed, so no guest ever executes
//! what it has no fuel for, and what the host finds in the counter is exact whenever it is called
//! or the guest has returned. A trap leaves the segment that it ends paid in full. Segments are
//! those of WebAssembly, so that the count depends neither on the effort of the code generator nor
//! on the processor.
//!
//! Each store has one counter, at which the control blocks of all its instances point. It runs
//! upwards to its overflow, which the addition itself tells of. Its value is also in a variable,
//! which keeps loads out of loops; it is stored with each change, since nobody could get it out of
//! a register when a fault ends the guest.

use super::Translator;
use super::state::{Region, trap_code};
use crate::abi;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use mintage_environ::{ControlBlock, FUEL_BYTES, Trap, Tunables, control_offsets};
use wasmparser::Operator;

/// The counting in a function under translation.
pub(super) struct Meter {
    /// The counter's value.
    counter: Variable,
    segment: Option<Segment>,
}

/// A segment whose end has not been reached.
struct Segment {
    /// The constant that is added to the counter at its start.
    cost: Inst,
    operators: i64,
}

impl<'a> Translator<'a, '_> {
    /// Starts to count, in the function's first block; costs one. No code at all unless fuel is to
    /// be counted.
    pub(super) fn start_meter(&mut self) {
        if !self.input.tunables.consume_fuel {
            return;
        }
        let counter = self.builder.declare_var(I64);
        self.meter = Some(Meter {
            counter,
            segment: None,
        });
        self.reload_fuel();
        self.spend();
    }

    /// Counts an operator that is about to be translated, or skipped. It counts even where the code
    /// generator knows that an operator before it traps: how much it knows depends on settings, and
    /// what the guest pays must not.
    pub(super) fn count(&mut self, operator: &Operator<'a>) {
        if let Some(Meter { segment, .. }) = &self.meter
            && (self.reachable || segment.is_some())
            && !is_free(operator)
        {
            self.spend();
        }
    }

    /// Ends the segment if the operator that has just been translated or skipped does.
    pub(super) fn counted(&mut self, operator: &Operator<'a>) {
        if self.meter.is_none() {
            return;
        }
        if ends_segment(operator) {
            self.end_segment();
        }
        if self.reachable && is_call(operator) {
            self.reload_fuel();
        }
    }

    /// Takes the counter from memory, where others have changed it: behind calls, however they come
    /// back.
    pub(super) fn reload_fuel(&mut self) {
        if let Some(Meter { counter, .. }) = self.meter {
            let (word, flags) = self.fuel_word();
            let value = self.ins().load(I64, flags, word, 0);
            self.builder.def_var(counter, value);
        }
    }

    /// Pays for an operation on `count` items of `size` bytes, a power of two, by its length, if
    /// that is to be paid.
    pub(super) fn pay_length(&mut self, count: Value, size: u32) {
        let Some(Meter { counter, .. }) = self.meter else {
            return;
        };
        if !self.input.tunables.fuel_by_length {
            return;
        }
        let wide = self.type_of(count) == I64;
        let count = self.zero_extended(count);
        let cost = length_cost(&mut self.builder, count, size, wide);
        let before = self.builder.use_var(counter);
        let after = self
            .ins()
            .uadd_overflow_trap(before, cost, trap_code(Trap::OutOfFuel));
        self.builder.def_var(counter, after);
        let (word, flags) = self.fuel_word();
        self.ins().store(flags, after, word, 0);
    }

    /// Adds one to the cost of the segment, which starts here if there is none.
    fn spend(&mut self) {
        let Some(Meter { counter, segment }) = &mut self.meter else {
            return;
        };
        if let Some(segment) = segment {
            segment.operators += 1;
            return;
        }
        let counter = *counter;
        // What it is will be known at the end of the segment.
        let cost = self.iconst(I64, 0);
        let segment = Segment {
            cost: self.builder.func.dfg.value_def(cost).unwrap_inst(),
            operators: 1,
        };
        let before = self.builder.use_var(counter);
        let after = self
            .ins()
            .uadd_overflow_trap(before, cost, trap_code(Trap::OutOfFuel));
        self.builder.def_var(counter, after);
        let (word, flags) = self.fuel_word();
        self.ins().store(flags, after, word, 0);
        if let Some(meter) = &mut self.meter {
            meter.segment = Some(segment);
        }
    }

    fn end_segment(&mut self) {
        let segment = self.meter.as_mut().and_then(|meter| meter.segment.take());
        if let Some(Segment { cost, operators }) = segment {
            self.builder.func.dfg.insts[cost] = InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm: Imm64::new(operators),
            };
        }
    }

    /// The address of the store's counter, and the flags of an access to it.
    fn fuel_word(&mut self) -> (Value, MemFlagsData) {
        let word = word(&mut self.builder, self.ctx);
        (word, self.trusted(Region::Fuel))
    }
}

/// The address of the store's counter.
fn word(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    let offset = ControlBlock::from_ctx(control_offsets::fuel);
    // The pointer is written at instantiation and never again.
    let constant = MemFlagsData::trusted().with_readonly().with_can_move();
    builder.ins().load(abi::POINTER, constant, ctx, offset)
}

/// Pays for `bytes` (64-bit, below 2^63) outside of a core function, where nobody has the counter
/// in a variable.
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
    let word = word(builder, ctx);
    let flags = MemFlagsData::trusted();
    let before = builder.ins().load(I64, flags, word, 0);
    let after = builder
        .ins()
        .uadd_overflow_trap(before, cost, trap_code(Trap::OutOfFuel));
    builder.ins().store(flags, after, word, 0);
}

/// What `count` items (64-bit) of `size` bytes, a power of two, cost. `wide` says that they may be
/// 2^63 and more.
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

/// Whether an operator costs nothing: those that stand for no instruction.
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

/// Whether what comes next may be executed another number of times than the operator, or see the
/// counter, for all that validation knows.
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
