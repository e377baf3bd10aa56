//! [`Plan`]: how each value of a function is represented, and how long it is needed.
//!
//! Instructions are numbered in the order of the layout, two positions each: operands are read at
//! the first and results are written at the second. In that order each value is defined before it
//! is used, because code is laid out in the order in which it was translated. Only loops go back,
//! and they have one entry, so a value from before a loop that is used within is needed until the
//! loop's end.

use cranelift_codegen::entity::{EntityRef, SecondaryMap};
use cranelift_codegen::ir::{
    ArgumentPurpose, Block, Function, Inst, InstructionData, Opcode, Type, Value, ValueDef, types,
};

/// Why a function cannot be compiled by this tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsupported {
    /// An instruction.
    Opcode(Opcode),
    /// A value of this type.
    Type(Type),
    /// Its own convention, or that of a callee.
    Convention,
    /// A block that is laid out before what it depends on.
    Layout,
    /// A very large frame.
    Frame,
    /// A processor without a fast tier, or without an instruction.
    Processor,
    /// Something that translation does not make.
    Unexpected,
}

/// How a value is represented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing needs it.
    #[default]
    Unused,
    /// The context pointer, which has a register of its own.
    Context,
    /// A constant, zero-extended to 64 bits, or the bits of a float.
    Constant(u64),
    /// The same 64 bits as another value.
    Same(Value),
    /// Computed by the one instruction that uses it, as part of it.
    Fused(Inst),
    /// In the place of this interval.
    Interval(u32),
}

/// The registers that can hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Integer,
    Float,
}

/// The time that a value needs a place.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub start: u32,
    pub end: u32,
    /// How often the value is accessed, where each loop counts as a few rounds.
    pub weight: u32,
    pub class: Class,
    /// The interval whose register would save a move.
    pub hint: Option<u32>,
    /// The number of the parameter of the function, if it is one.
    pub parameter: Option<u32>,
}

/// The largest number of levels that fused instructions nest.
const MAX_FUSED_DEPTH: u8 = 2;
/// The base-two logarithm of the rounds that a loop is taken to make.
const LOOP_WEIGHT_LOG2: u32 = 3;
/// The depth of loops from which on deeper ones weigh no more.
const MAX_LOOP_WEIGHT: u32 = 5;

// Kinds of uses.
const BY_OTHERS: u8 = 1;
const AS_CONDITION: u8 = 2;
const AS_ADDRESS: u8 = 4;
const IN_SUM: u8 = 8;

/// The role of a value, and the facts that decide it.
#[derive(Clone, Copy, Default)]
struct Facts {
    role: Role,
    uses: u32,
    /// The kinds of uses.
    kinds: u8,
    /// The number of levels of fused instructions, if this is the result of one.
    fused_depth: u8,
    /// For the parameter of a block that comes later, the interval of an argument for it.
    passed: Option<u32>,
}

/// The representation of the values of a function. Its buffers are reused from function to
/// function.
#[derive(Default)]
pub(super) struct Plan {
    /// By value.
    facts: Vec<Facts>,
    pub intervals: Vec<Interval>,
    /// The positions of calls that do not preserve registers.
    pub calls: Vec<u32>,
    /// The positions of blocks.
    starts: SecondaryMap<Block, u32>,
}

/// A loop: the position of its head, and the position of its last instruction.
#[derive(Clone, Copy)]
struct Loop {
    start: u32,
    end: u32,
}

impl Plan {
    /// Plans `func`. `is_call` tells whether a call clobbers registers.
    pub fn make(
        &mut self,
        func: &Function,
        is_call: impl Fn(Inst) -> bool,
    ) -> Result<(), Unsupported> {
        self.facts.clear();
        self.facts.resize(func.dfg.num_values(), Facts::default());
        self.intervals.clear();
        self.calls.clear();
        self.starts.clear();
        let loops = self.count(func)?;
        self.measure(func, &loops, is_call);
        Ok(())
    }

    /// Returns how a value is represented, other than as another value.
    pub fn role(&self, value: Value) -> Role {
        self.facts[self.root(value).index()].role
    }

    /// Returns the value whose place `value` shares.
    pub fn root(&self, value: Value) -> Value {
        match self.facts[value.index()].role {
            // The root of a value is found when its role is set.
            Role::Same(root) => root,
            _ => value,
        }
    }

    fn facts(&mut self, value: Value) -> &mut Facts {
        &mut self.facts[value.index()]
    }

    /// Counts the uses of each value, and finds constants, copies and loops.
    fn count(&mut self, func: &Function) -> Result<Vec<Loop>, Unsupported> {
        let dfg = &func.dfg;
        let mut loops: Vec<Loop> = Vec::new();
        let mut position = 0;
        // Positions start at 2, so that 0 means that a block has not been seen.
        for block in func.layout.blocks() {
            position += 2;
            self.starts[block] = position;
            for (number, &parameter) in dfg.block_params(block).iter().enumerate() {
                class(dfg.value_type(parameter))?;
                let is_context = func.layout.entry_block() == Some(block)
                    && (func.signature.params.get(number))
                        .is_some_and(|param| param.purpose == ArgumentPurpose::VMContext);
                self.facts(parameter).role = match is_context {
                    true => Role::Context,
                    false => Role::Interval(u32::MAX),
                };
            }
            for inst in func.layout.block_insts(block) {
                position += 2;
                let data = &dfg.insts[inst];
                let opcode = data.opcode();
                for (index, &argument) in dfg.inst_args(inst).iter().enumerate() {
                    let kind = match (opcode, index) {
                        (Opcode::Brif | Opcode::Trapz | Opcode::Trapnz, _) => AS_CONDITION,
                        (Opcode::Select | Opcode::SelectSpectreGuard, 0) => AS_CONDITION,
                        (opcode, 0) if is_load(opcode) => AS_ADDRESS,
                        (opcode, 1) if is_store(opcode) => AS_ADDRESS,
                        (Opcode::Iadd, _) => IN_SUM,
                        _ => BY_OTHERS,
                    };
                    self.count_use(func, argument, kind)?;
                }
                for call in data.branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
                    for argument in call.args(&dfg.value_lists) {
                        let argument = argument.as_value().ok_or(Unsupported::Opcode(opcode))?;
                        self.count_use(func, argument, BY_OTHERS)?;
                    }
                    let target = call.block(&dfg.value_lists);
                    let start = self.starts[target];
                    if start != 0 {
                        let end = position;
                        loops.push(Loop { start, end });
                    }
                }
                for &result in dfg.inst_results(inst) {
                    class(dfg.value_type(result))?;
                    self.facts(result).role = Role::Interval(u32::MAX);
                }
                if let &[result] = dfg.inst_results(inst) {
                    self.find_copy(func, data, result);
                }
            }
        }
        Ok(merge(loops))
    }

    fn count_use(&mut self, func: &Function, value: Value, kind: u8) -> Result<(), Unsupported> {
        if self.facts[value.index()].role == Role::Unused {
            // Not the result of an instruction so far, so it should be another name of one.
            let original = self.root(func.dfg.resolve_aliases(value));
            if original == value || self.facts[original.index()].role == Role::Unused {
                return Err(Unsupported::Layout);
            }
            self.facts(value).role = match self.role(original) {
                Role::Constant(bits) => Role::Constant(bits),
                _ => Role::Same(original),
            };
        }
        let root = self.root(value);
        let facts = self.facts(root);
        facts.uses = facts.uses.saturating_add(1);
        facts.kinds |= kind;
        Ok(())
    }

    /// Gives a constant, or a value that equals another one, its role.
    fn find_copy(&mut self, func: &Function, data: &InstructionData, result: Value) {
        let dfg = &func.dfg;
        let role = match *data {
            InstructionData::UnaryImm { imm, .. } => {
                let bits = dfg.value_type(result).bits();
                Role::Constant(imm.bits() as u64 & (u64::MAX >> (64 - bits)))
            }
            InstructionData::UnaryIeee32 { imm, .. } => Role::Constant(imm.bits().into()),
            InstructionData::UnaryIeee64 { imm, .. } => Role::Constant(imm.bits()),
            // Values are kept zero-extended.
            InstructionData::Unary {
                opcode: Opcode::Uextend,
                arg,
            } => match self.role(arg) {
                Role::Constant(bits) => Role::Constant(bits),
                _ => Role::Same(self.root(arg)),
            },
            InstructionData::Unary {
                opcode: Opcode::Ireduce,
                arg,
            } => {
                let bits = dfg.value_type(result).bits();
                match self.role(arg) {
                    Role::Constant(value) => Role::Constant(value & (u64::MAX >> (64 - bits))),
                    _ if significant_bits(func, self.root(arg)) <= bits => {
                        Role::Same(self.root(arg))
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        if let Role::Same(root) = role {
            // This instruction emits no code, so only the uses of its result count.
            let facts = self.facts(root);
            facts.uses -= 1;
            if facts.uses == 0 {
                facts.kinds = 0;
            }
        }
        self.facts(result).role = role;
    }

    /// Finds out how long each value is needed.
    fn measure(&mut self, func: &Function, loops: &[Loop], is_call: impl Fn(Inst) -> bool) {
        let dfg = &func.dfg;
        let mut open: Vec<Loop> = Vec::new();
        let mut loops = loops.iter().copied().peekable();
        let mut position = 0;
        for block in func.layout.blocks() {
            position += 2;
            while open.last().is_some_and(|at| at.end < position) {
                open.pop();
            }
            while let Some(next) = loops.next_if(|at| at.start <= position) {
                open.push(next);
            }
            let is_entry = func.layout.entry_block() == Some(block);
            for (number, &parameter) in dfg.block_params(block).iter().enumerate() {
                if self.facts[parameter.index()].role != Role::Context {
                    let number = is_entry.then_some(number as u32);
                    self.define(func, parameter, position, number, open.len());
                }
            }
            for inst in func.layout.block_insts(block) {
                position += 2;
                let data = &dfg.insts[inst];
                if !self.computes(func, inst) {
                    continue;
                }
                for &argument in dfg.inst_args(inst) {
                    self.touch(func, argument, position, &open);
                }
                for call in data.branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
                    let parameters = dfg.block_params(call.block(&dfg.value_lists));
                    let arguments = call.args(&dfg.value_lists);
                    for (argument, &parameter) in arguments.zip(parameters) {
                        if let Some(argument) = argument.as_value() {
                            self.touch(func, argument, position, &open);
                            self.suggest(argument, parameter);
                        }
                    }
                }
                if data.opcode().is_call() && is_call(inst) {
                    self.calls.push(position);
                }
                for &result in dfg.inst_results(inst) {
                    self.define(func, result, position + 1, None, open.len());
                }
            }
        }
    }

    /// Decides whether an instruction is emitted where it stands. If not, its result gets a role.
    fn computes(&mut self, func: &Function, inst: Inst) -> bool {
        let dfg = &func.dfg;
        let data = &dfg.insts[inst];
        let opcode = data.opcode();
        let &[result] = dfg.inst_results(inst) else {
            return true;
        };
        match self.facts[result.index()].role {
            Role::Constant(_) | Role::Same(_) => return false,
            _ => {}
        }
        let Facts { uses, kinds, .. } = self.facts[result.index()];
        let has_effect = opcode.is_call() || opcode.can_trap() || opcode.other_side_effects();
        let may_trap = data.memflags_trap_code(dfg).is_some();
        if uses == 0 && !has_effect && !may_trap {
            self.facts(result).role = Role::Unused;
            return false;
        }
        if uses != 1 {
            return true;
        }
        let fused = match opcode {
            Opcode::Icmp | Opcode::Fcmp => kinds == AS_CONDITION,
            Opcode::StackAddr => kinds == AS_ADDRESS,
            Opcode::Iadd if dfg.value_type(result) == types::I64 => match kinds {
                AS_ADDRESS => true,
                IN_SUM => dfg
                    .inst_args(inst)
                    .iter()
                    .any(|&term| matches!(self.role(term), Role::Constant(_) | Role::Context)),
                _ => false,
            },
            _ => false,
        };
        let depth = |value: &Value| self.facts[self.root(*value).index()].fused_depth;
        let depth = 1 + dfg.inst_args(inst).iter().map(depth).max().unwrap_or(0);
        if !fused || depth > MAX_FUSED_DEPTH {
            return true;
        }
        self.facts(result).fused_depth = depth;
        self.facts(result).role = Role::Fused(inst);
        false
    }

    /// Begins the interval of a value.
    fn define(
        &mut self,
        func: &Function,
        value: Value,
        position: u32,
        parameter: Option<u32>,
        depth: usize,
    ) {
        self.facts(value).role = Role::Interval(self.intervals.len() as u32);
        self.intervals.push(Interval {
            start: position,
            end: position,
            weight: weight(depth),
            class: match func.dfg.value_type(value).is_float() {
                true => Class::Float,
                false => Class::Integer,
            },
            hint: self.facts[value.index()].passed,
            parameter,
        });
    }

    /// Notes that the instruction at `position` reads a value.
    fn touch(&mut self, func: &Function, value: Value, position: u32, open: &[Loop]) {
        match self.role(value) {
            Role::Interval(index) => {
                let interval = &mut self.intervals[index as usize];
                let mut end = position;
                // The outermost loop that the value comes from outside of.
                if open
                    .last()
                    .is_some_and(|inner| inner.start > interval.start)
                {
                    let outer = open.partition_point(|at| at.start <= interval.start);
                    end = open[outer].end + 1;
                }
                interval.end = interval.end.max(end);
                interval.weight = interval.weight.saturating_add(weight(open.len()));
            }
            Role::Fused(inst) => {
                for &argument in func.dfg.inst_args(inst) {
                    self.touch(func, argument, position, open);
                }
            }
            _ => {}
        }
    }

    /// Suggests that `argument` and the parameter of a block that it is passed to share a register.
    fn suggest(&mut self, argument: Value, parameter: Value) {
        let Role::Interval(from) = self.role(argument) else {
            return;
        };
        match self.facts[parameter.index()].role {
            // The block comes later.
            Role::Interval(u32::MAX) => self.facts(parameter).passed = Some(from),
            // The block is the head of a loop.
            Role::Interval(to) => self.intervals[from as usize].hint = Some(to),
            _ => {}
        }
    }
}

fn is_load(opcode: Opcode) -> bool {
    use Opcode::{AtomicLoad, Load, Sload8, Sload16, Sload32, Uload8, Uload16, Uload32};
    matches!(
        opcode,
        AtomicLoad | Load | Sload8 | Sload16 | Sload32 | Uload8 | Uload16 | Uload32
    )
}

fn is_store(opcode: Opcode) -> bool {
    use Opcode::{AtomicStore, Istore8, Istore16, Istore32, Store};
    matches!(opcode, AtomicStore | Istore8 | Istore16 | Istore32 | Store)
}

fn weight(depth: usize) -> u32 {
    1 << (LOOP_WEIGHT_LOG2 * MAX_LOOP_WEIGHT.min(depth as u32))
}

fn class(ty: Type) -> Result<Class, Unsupported> {
    match ty {
        types::I8 | types::I16 | types::I32 | types::I64 => Ok(Class::Integer),
        types::F32 | types::F64 => Ok(Class::Float),
        other => Err(Unsupported::Type(other)),
    }
}

/// Returns the number of low bits of an integer that can be other than zero.
fn significant_bits(func: &Function, value: Value) -> u32 {
    let bits = func.dfg.value_type(value).bits();
    match func.dfg.value_def(value) {
        ValueDef::Result(inst, _) => match func.dfg.insts[inst].opcode() {
            Opcode::Uload8 => 8,
            Opcode::Uload16 => 16,
            Opcode::Uload32 => 32,
            _ => bits,
        },
        _ => bits,
    }
}

/// Sorts loops by their heads, and makes one of those with the same head. The result is nested: a
/// loop that reaches beyond the end of one that it begins in makes that one longer.
fn merge(mut loops: Vec<Loop>) -> Vec<Loop> {
    loops.sort_unstable_by_key(|at| (at.start, at.end));
    let mut merged: Vec<Loop> = Vec::new();
    // The indexes of the loops that contain the current place, outermost first.
    let mut open: Vec<usize> = Vec::new();
    for next in loops {
        while open.last().is_some_and(|&at| merged[at].end < next.start) {
            open.pop();
        }
        for &at in open.iter().rev() {
            if merged[at].end >= next.end {
                break;
            }
            merged[at].end = next.end;
        }
        if open.last().is_none_or(|&at| merged[at].start != next.start) {
            open.push(merged.len());
            merged.push(next);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_nested() {
        let at = |start, end| Loop { start, end };
        let merged = merge(vec![at(20, 30), at(10, 25), at(10, 22), at(40, 41)]);
        let merged: Vec<_> = merged.iter().map(|at| (at.start, at.end)).collect();
        assert_eq!(merged, [(10, 30), (20, 30), (40, 41)]);
    }
}
