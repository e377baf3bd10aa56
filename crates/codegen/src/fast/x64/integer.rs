//! Operations on integers, comparisons, loads and stores.

use super::assembler::{
    Arithmetic, Flag, Gpr, Memory, Operand, RAX, RBP, RCX, RDX, Shift, Width, XMM0, XMM1,
};
use super::moves::Location;
use super::{Done, Emitter, precision, width};
use crate::fast::plan::{Role, Unsupported};
use crate::output;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Inst, InstructionData, Opcode, TrapCode, Type, Value, types};
use mintage_environ::Trap;

/// A condition of the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Flag(Flag),
    /// Two floats that were compared are equal, and neither is a NaN.
    Equal,
    /// Two floats that were compared differ, or one is a NaN.
    NotEqual,
}

impl Condition {
    pub fn inverse(self) -> Self {
        match self {
            Condition::Flag(flag) => Condition::Flag(flag.inverse()),
            Condition::Equal => Condition::NotEqual,
            Condition::NotEqual => Condition::Equal,
        }
    }
}

/// How a value in memory becomes one in a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extension {
    Zero,
    Sign,
}

impl Emitter<'_> {
    /// Emits an operation on integers, a comparison, a load or a store.
    pub(super) fn integer(&mut self, inst: Inst, opcode: Opcode) -> Result<bool, Unsupported> {
        use Extension::{Sign, Zero};
        match opcode {
            Opcode::Iadd => self.arithmetic_on(inst, Arithmetic::Add)?,
            Opcode::Isub => self.arithmetic_on(inst, Arithmetic::Sub)?,
            Opcode::Band if self.is_integer(inst) => self.arithmetic_on(inst, Arithmetic::And)?,
            Opcode::Bor if self.is_integer(inst) => self.arithmetic_on(inst, Arithmetic::Or)?,
            Opcode::Bxor if self.is_integer(inst) => self.arithmetic_on(inst, Arithmetic::Xor)?,
            Opcode::Imul => self.multiply(inst)?,
            Opcode::Ineg | Opcode::Bnot if self.is_integer(inst) => self.negate(inst, opcode)?,
            Opcode::Udiv | Opcode::Urem => self.divide_unsigned(inst, opcode)?,
            Opcode::Sdiv | Opcode::Srem => self.divide_signed(inst, opcode)?,
            Opcode::Ishl => self.shift(inst, Shift::Left)?,
            Opcode::Ushr => self.shift(inst, Shift::RightUnsigned)?,
            Opcode::Sshr => self.shift(inst, Shift::RightSigned)?,
            Opcode::Rotl => self.shift(inst, Shift::RotateLeft)?,
            Opcode::Rotr => self.shift(inst, Shift::RotateRight)?,
            Opcode::Clz | Opcode::Ctz => self.count_zeros(inst, opcode)?,
            Opcode::Popcnt => self.count_ones(inst)?,
            Opcode::Sextend => self.sign_extend(inst)?,
            Opcode::Ireduce => self.reduce(inst)?,
            Opcode::Icmp | Opcode::Fcmp => self.truth_value(inst)?,
            Opcode::Select | Opcode::SelectSpectreGuard => self.select(inst)?,
            Opcode::UaddOverflowTrap => self.add_or_trap(inst)?,
            Opcode::StackAddr => {
                let result = self.result(inst);
                let register = self.target(result, RAX);
                self.compute(inst, register)?;
                self.set(result, register);
            }
            Opcode::GetFramePointer => {
                let result = self.result(inst);
                self.set(result, RBP);
            }
            Opcode::Load => self.load(inst, None, Zero)?,
            Opcode::AtomicLoad => self.load(inst, None, Zero)?,
            Opcode::Uload8 => self.load(inst, Some(8), Zero)?,
            Opcode::Uload16 => self.load(inst, Some(16), Zero)?,
            Opcode::Uload32 => self.load(inst, Some(32), Zero)?,
            Opcode::Sload8 => self.load(inst, Some(8), Sign)?,
            Opcode::Sload16 => self.load(inst, Some(16), Sign)?,
            Opcode::Sload32 => self.load(inst, Some(32), Sign)?,
            Opcode::Store => self.store(inst, None)?,
            Opcode::Istore8 => self.store(inst, Some(8))?,
            Opcode::Istore16 => self.store(inst, Some(16))?,
            Opcode::Istore32 => self.store(inst, Some(32))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_integer(&self, inst: Inst) -> bool {
        self.type_of(self.result(inst)).is_int()
    }

    /// Returns a constant that an instruction of the given width can hold, sign-extended.
    fn immediate(&self, value: Value, width: Width) -> Option<i32> {
        let Role::Constant(bits) = self.plan.role(value) else {
            return None;
        };
        match width {
            Width::Double => Some(bits as u32 as i32),
            Width::Quad => i32::try_from(bits as i64).ok(),
        }
    }

    /// Zero-extends a result that is narrower than the operation that computed it.
    fn narrow(&mut self, ty: Type, register: Gpr) {
        if matches!(ty, types::I8 | types::I16) {
            self.assembler
                .zero_extend(ty.bits() as u8, register, register);
        }
    }

    fn arithmetic_on(&mut self, inst: Inst, op: Arithmetic) -> Done {
        let (mut a, mut b) = (self.argument(inst, 0), self.argument(inst, 1));
        let result = self.result(inst);
        let ty = self.type_of(result);
        let width = width(ty);
        let mut to = self.target(result, RAX);
        if op != Arithmetic::Sub {
            let at_target = self.location_of(b) == Some(Location::Integer(to.0));
            let is_constant = matches!(self.plan.role(a), Role::Constant(_));
            if at_target || is_constant {
                (a, b) = (b, a);
            }
        }
        if let Role::Fused(_) = self.plan.role(a) {
            // Its operands may be where the result goes.
            to = RAX;
        }
        if let Some(constant) = self.immediate(b, width) {
            let from = self.get(a, to)?;
            match op {
                Arithmetic::Add if from != to => {
                    // The address of something that is nowhere is just a sum.
                    let sum = Memory::at(from, constant);
                    match width {
                        Width::Quad => self.assembler.address(to, sum),
                        Width::Double => {
                            self.assembler.load(Width::Double, to, from);
                            self.assembler.arithmetic_constant(op, width, to, constant);
                        }
                    }
                }
                _ => {
                    if from != to {
                        self.assembler.load(Width::Quad, to, from);
                    }
                    self.assembler.arithmetic_constant(op, width, to, constant);
                }
            }
        } else {
            if self.location_of(b) == Some(Location::Integer(to.0)) {
                to = RAX;
            }
            let by = self.operand(b, RCX)?;
            self.get_in(a, to)?;
            self.assembler.arithmetic(op, width, to, by);
        }
        self.narrow(ty, to);
        self.set(result, to);
        Ok(())
    }

    fn multiply(&mut self, inst: Inst) -> Done {
        let (mut a, mut b) = (self.argument(inst, 0), self.argument(inst, 1));
        let result = self.result(inst);
        let ty = self.type_of(result);
        if !ty.is_int() {
            return Err(Unsupported::Type(ty));
        }
        let width = width(ty);
        let mut to = self.target(result, RAX);
        if matches!(self.plan.role(a), Role::Constant(_)) {
            (a, b) = (b, a);
        }
        if let Some(constant) = self.immediate(b, width) {
            let from = self.operand(a, RAX)?;
            self.assembler.multiply_constant(width, to, from, constant);
        } else {
            if self.location_of(b) == Some(Location::Integer(to.0)) {
                to = RAX;
            }
            let by = self.operand(b, RCX)?;
            self.get_in(a, to)?;
            self.assembler.multiply(width, to, by);
        }
        self.narrow(ty, to);
        self.set(result, to);
        Ok(())
    }

    fn negate(&mut self, inst: Inst, opcode: Opcode) -> Done {
        let result = self.result(inst);
        let ty = self.type_of(result);
        let to = self.target(result, RAX);
        self.get_in(self.argument(inst, 0), to)?;
        match opcode {
            Opcode::Ineg => self.assembler.negate(width(ty), to),
            _ => self.assembler.invert(width(ty), to),
        }
        self.narrow(ty, to);
        self.set(result, to);
        Ok(())
    }

    /// Moves the operands of a division to `RAX` and `RCX`. Traps if the divisor is zero.
    fn divisor(&mut self, inst: Inst) -> Result<Width, Unsupported> {
        let (a, b) = (self.argument(inst, 0), self.argument(inst, 1));
        let width = match self.type_of(a) {
            types::I32 => Width::Double,
            types::I64 => Width::Quad,
            other => return Err(Unsupported::Type(other)),
        };
        self.get_in(b, RCX)?;
        self.get_in(a, RAX)?;
        match self.plan.role(b) {
            Role::Constant(divisor) if divisor != 0 => {}
            _ => {
                self.assembler.test(width, RCX, RCX);
                self.trap_if(Flag::Equal, Trap::IntegerDivisionByZero);
            }
        }
        Ok(width)
    }

    fn divide_unsigned(&mut self, inst: Inst, opcode: Opcode) -> Done {
        let width = self.divisor(inst)?;
        self.assembler.set_constant(RDX, 0);
        self.assembler.divide(false, width, RCX);
        let result = self.result(inst);
        self.set(result, if opcode == Opcode::Udiv { RAX } else { RDX });
        Ok(())
    }

    fn divide_signed(&mut self, inst: Inst, opcode: Opcode) -> Done {
        let width = self.divisor(inst)?;
        let compare = Arithmetic::Compare;
        let (divide, end) = (self.assembler.label(), self.assembler.label());
        let remainder = opcode == Opcode::Srem;
        let divisor = self.immediate(self.argument(inst, 1), width);
        if divisor.is_none_or(|divisor| divisor == -1) {
            self.assembler.arithmetic_constant(compare, width, RCX, -1);
            self.assembler.jump_if(Flag::NotEqual, divide);
            if remainder {
                // The remainder is 0, but the processor traps if the quotient overflows.
                self.assembler.set_constant(RDX, 0);
                self.assembler.jump(end);
            } else {
                let least = match width {
                    Width::Double => 1 << 31,
                    Width::Quad => 1 << 63,
                };
                self.assembler.set_constant(RDX, least);
                self.assembler.arithmetic(compare, width, RAX, RDX);
                self.trap_if(Flag::Equal, Trap::IntegerOverflow);
            }
        }
        self.assembler.bind(divide);
        self.assembler.extend_dividend(width);
        self.assembler.divide(true, width, RCX);
        self.assembler.bind(end);
        let result = self.result(inst);
        self.set(result, if remainder { RDX } else { RAX });
        Ok(())
    }

    fn shift(&mut self, inst: Inst, op: Shift) -> Done {
        let (a, count) = (self.argument(inst, 0), self.argument(inst, 1));
        let result = self.result(inst);
        let width = match self.type_of(result) {
            types::I32 => Width::Double,
            types::I64 => Width::Quad,
            other => return Err(Unsupported::Type(other)),
        };
        let to = self.target(result, RAX);
        if let Role::Constant(count) = self.plan.role(count) {
            self.get_in(a, to)?;
            let count = count as u8 & (width.bits() - 1);
            if count != 0 {
                self.assembler.shift(op, width, to, count);
            }
        } else {
            self.get_in(count, RCX)?;
            self.get_in(a, to)?;
            self.assembler.shift_by_cl(op, width, to);
        }
        self.set(result, to);
        Ok(())
    }

    fn count_zeros(&mut self, inst: Inst, opcode: Opcode) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let width = match self.type_of(value) {
            types::I32 => Width::Double,
            types::I64 => Width::Quad,
            other => return Err(Unsupported::Type(other)),
        };
        let bits = u64::from(width.bits());
        let from = self.operand(value, RCX)?;
        if opcode == Opcode::Ctz {
            self.assembler.lowest_bit(width, RAX, from);
            self.assembler.set_constant(RDX, bits);
            self.assembler.move_if(Flag::Equal, RAX, RDX);
        } else {
            self.assembler.highest_bit(width, RAX, from);
            // Of 0, this becomes `bits`.
            self.assembler.set_constant(RDX, 2 * bits - 1);
            self.assembler.move_if(Flag::Equal, RAX, RDX);
            self.assembler
                .arithmetic_constant(Arithmetic::Xor, width, RAX, bits as i32 - 1);
        }
        self.set(result, RAX);
        Ok(())
    }

    fn count_ones(&mut self, inst: Inst) -> Done {
        if !self.has_count {
            return Err(Unsupported::Processor);
        }
        let value = self.argument(inst, 0);
        let width = match self.type_of(value) {
            types::I64 => Width::Quad,
            types::I32 => Width::Double,
            other => return Err(Unsupported::Type(other)),
        };
        let result = self.result(inst);
        let to = self.target(result, RAX);
        let from = self.operand(value, RAX)?;
        self.assembler.count_bits(width, to, from);
        self.set(result, to);
        Ok(())
    }

    fn sign_extend(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let ty = self.type_of(result);
        let to = self.target(result, RAX);
        let from = self.operand(value, RAX)?;
        let bits = self.type_of(value).bits() as u8;
        self.assembler.sign_extend(bits, width(ty), to, from);
        self.narrow(ty, to);
        self.set(result, to);
        Ok(())
    }

    fn reduce(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let to = self.target(result, RAX);
        let from = self.operand(value, RAX)?;
        match self.type_of(result) {
            types::I32 => self.assembler.load(Width::Double, to, from),
            narrow => self.assembler.zero_extend(narrow.bits() as u8, to, from),
        }
        self.set(result, to);
        Ok(())
    }

    /// Sets the flags. Returns the condition that tells whether a truth value holds.
    pub(super) fn condition(&mut self, value: Value) -> Result<Condition, Unsupported> {
        if let Role::Fused(inst) = self.plan.role(value)
            && let Opcode::Icmp | Opcode::Fcmp = self.func.dfg.insts[inst].opcode()
        {
            return self.compare(inst);
        }
        let width = width(self.type_of(self.plan.root(value)));
        let register = self.get(value, RAX)?;
        self.assembler.test(width, register, register);
        Ok(Condition::Flag(Flag::NotEqual))
    }

    fn compare(&mut self, inst: Inst) -> Result<Condition, Unsupported> {
        let (a, b) = (self.argument(inst, 0), self.argument(inst, 1));
        match self.func.dfg.insts[inst] {
            InstructionData::IntCompare { cond, .. } => {
                let ty = self.type_of(a);
                let narrow = matches!(ty, types::I8 | types::I16);
                if narrow && cond.unsigned() != cond {
                    return Err(Unsupported::Type(ty));
                }
                let width = width(ty);
                if let Some(constant) = self.immediate(b, width) {
                    let by_sign = matches!(
                        cond,
                        IntCC::Equal
                            | IntCC::NotEqual
                            | IntCC::SignedLessThan
                            | IntCC::SignedGreaterThanOrEqual
                    );
                    if constant == 0 && by_sign {
                        let a = self.get(a, RAX)?;
                        self.assembler.test(width, a, a);
                    } else {
                        let a = self.operand(a, RAX)?;
                        let compare = Arithmetic::Compare;
                        self.assembler
                            .arithmetic_constant(compare, width, a, constant);
                    }
                } else {
                    let b = self.operand(b, RCX)?;
                    let a = self.get(a, RAX)?;
                    self.assembler.arithmetic(Arithmetic::Compare, width, a, b);
                }
                Ok(Condition::Flag(flag(cond)))
            }
            InstructionData::FloatCompare { cond, .. } => {
                let precision = precision(self.type_of(a)).ok_or(Unsupported::Unexpected)?;
                let (a, b, condition) = match cond {
                    FloatCC::Equal => (a, b, Condition::Equal),
                    FloatCC::NotEqual => (a, b, Condition::NotEqual),
                    // A comparison with a NaN sets the flags of "below" and "equal".
                    FloatCC::GreaterThan => (a, b, Condition::Flag(Flag::Above)),
                    FloatCC::GreaterThanOrEqual => (a, b, Condition::Flag(Flag::AboveOrEqual)),
                    FloatCC::LessThan => (b, a, Condition::Flag(Flag::Above)),
                    FloatCC::LessThanOrEqual => (b, a, Condition::Flag(Flag::AboveOrEqual)),
                    FloatCC::Ordered => (a, b, Condition::Flag(Flag::Ordered)),
                    FloatCC::Unordered => (a, b, Condition::Flag(Flag::Unordered)),
                    _ => return Err(Unsupported::Opcode(Opcode::Fcmp)),
                };
                let b = self.get_float(b, XMM1)?;
                let a = self.get_float(a, XMM0)?;
                self.assembler.compare_floats(precision, a, b);
                Ok(condition)
            }
            _ => Err(Unsupported::Unexpected),
        }
    }

    /// Sets a value to 1 or 0.
    fn truth_value(&mut self, inst: Inst) -> Done {
        let result = self.result(inst);
        let to = self.target(result, RAX);
        let condition = self.compare(inst)?;
        self.set_truth(condition, to);
        self.set(result, to);
        Ok(())
    }

    fn set_truth(&mut self, condition: Condition, to: Gpr) {
        let (first, ordered, op) = match condition {
            Condition::Flag(flag) => {
                self.assembler.set_flag(flag, to);
                self.assembler.zero_extend(8, to, to);
                return;
            }
            Condition::Equal => (Flag::Equal, Flag::Ordered, Arithmetic::And),
            Condition::NotEqual => (Flag::NotEqual, Flag::Unordered, Arithmetic::Or),
        };
        self.assembler.set_flag(first, RAX);
        self.assembler.set_flag(ordered, RCX);
        self.assembler.arithmetic(op, Width::Double, RAX, RCX);
        self.assembler.zero_extend(8, to, RAX);
    }

    fn select(&mut self, inst: Inst) -> Done {
        let [condition, yes, no] = [0, 1, 2].map(|index| self.argument(inst, index));
        let result = self.result(inst);
        let condition = self.condition(condition)?;
        if self.type_of(result).is_float() {
            return self.select_float(condition, yes, no, result);
        }
        // Moves do not change the flags.
        let yes = self.operand(yes, RCX)?;
        let (start, moved, flags): (_, _, &[Flag]) = match condition {
            Condition::Flag(flag) => (no, yes, &[flag]),
            Condition::NotEqual => (no, yes, &[Flag::NotEqual, Flag::Unordered]),
            Condition::Equal => {
                self.get_operand_in(yes, RAX);
                let no = self.operand(no, RCX)?;
                self.assembler.move_if(Flag::NotEqual, RAX, no);
                self.assembler.move_if(Flag::Unordered, RAX, no);
                self.set(result, RAX);
                return Ok(());
            }
        };
        self.get_in(start, RAX)?;
        for &flag in flags {
            self.assembler.move_if(flag, RAX, moved);
        }
        self.set(result, RAX);
        Ok(())
    }

    fn get_operand_in(&mut self, operand: Operand, register: Gpr) {
        if operand != register.into() {
            self.assembler.load(Width::Quad, register, operand);
        }
    }

    fn select_float(&mut self, condition: Condition, yes: Value, no: Value, result: Value) -> Done {
        let (otherwise, end) = (self.assembler.label(), self.assembler.label());
        self.jump_on(condition.inverse(), otherwise);
        let yes = self.get_float(yes, XMM0)?;
        self.set_float(result, yes);
        self.assembler.jump(end);
        self.assembler.bind(otherwise);
        let no = self.get_float(no, XMM0)?;
        self.set_float(result, no);
        self.assembler.bind(end);
        Ok(())
    }

    fn add_or_trap(&mut self, inst: Inst) -> Done {
        let InstructionData::IntAddTrap { args, code, .. } = self.func.dfg.insts[inst] else {
            return Err(Unsupported::Unexpected);
        };
        let trap = output::trap(code).map_err(|_| Unsupported::Unexpected)?;
        let result = self.result(inst);
        let width = match self.type_of(result) {
            types::I32 => Width::Double,
            types::I64 => Width::Quad,
            other => return Err(Unsupported::Type(other)),
        };
        let by = self.operand(args[1], RCX)?;
        self.get_in(args[0], RAX)?;
        self.assembler.arithmetic(Arithmetic::Add, width, RAX, by);
        self.trap_if(Flag::Below, trap);
        self.set(result, RAX);
        Ok(())
    }

    /// Computes the result of an instruction that is part of the one that uses it.
    pub(super) fn compute(&mut self, inst: Inst, to: Gpr) -> Done {
        match self.func.dfg.insts[inst].opcode() {
            Opcode::Icmp | Opcode::Fcmp => {
                let condition = self.compare(inst)?;
                self.set_truth(condition, to);
            }
            _ => {
                let place = self.place_of(inst, 0, to)?;
                self.assembler.address(to, place);
            }
        }
        Ok(())
    }

    /// Returns the place that is `displacement` bytes after the result of a sum or the address of a
    /// stack slot. `scratch` and `RDX` may be part of it.
    fn place_of(
        &mut self,
        inst: Inst,
        displacement: i32,
        scratch: Gpr,
    ) -> Result<Memory, Unsupported> {
        match self.func.dfg.insts[inst] {
            InstructionData::StackAddr {
                stack_slot, offset, ..
            } => {
                let start = self.frame.slot(stack_slot);
                let distance = start.checked_add(offset.into());
                let distance = distance.and_then(|start| start.checked_add(displacement));
                Ok(Memory::at(RBP, distance.ok_or(Unsupported::Frame)?))
            }
            InstructionData::Binary {
                opcode: Opcode::Iadd,
                args: [a, b],
            } => {
                let displaced = |value| {
                    self.immediate(value, Width::Quad)
                        .and_then(|constant| displacement.checked_add(constant))
                };
                if let Some(displacement) = displaced(b) {
                    return self.place(a, displacement, scratch);
                }
                if let Some(displacement) = displaced(a) {
                    return self.place(b, displacement, scratch);
                }
                // A sum within the sum has at most one register of its own.
                let (inner, outer) = match self.plan.role(b) {
                    Role::Fused(_) => (b, a),
                    _ => (a, b),
                };
                let mut place = self.place(inner, displacement, scratch)?;
                if place.index.is_some() {
                    self.assembler.address(scratch, place);
                    place = Memory::at(scratch, 0);
                }
                place.index = Some(self.get(outer, RDX)?);
                Ok(place)
            }
            _ => Err(Unsupported::Unexpected),
        }
    }

    /// Returns the place that is `displacement` bytes after the address in a value. `scratch` and
    /// `RDX` may be part of it.
    fn place(
        &mut self,
        address: Value,
        displacement: i32,
        scratch: Gpr,
    ) -> Result<Memory, Unsupported> {
        match self.plan.role(address) {
            Role::Fused(inst) => self.place_of(inst, displacement, scratch),
            _ => Ok(Memory::at(self.get(address, scratch)?, displacement)),
        }
    }

    /// Returns the place of a load or store, and its trap.
    fn access(
        &mut self,
        inst: Inst,
        address: Value,
    ) -> Result<(Memory, Option<TrapCode>), Unsupported> {
        let data = &self.func.dfg.insts[inst];
        let displacement = data.load_store_offset().unwrap_or(0);
        let trap = data.memflags_trap_code(&self.func.dfg);
        Ok((self.place(address, displacement, RAX)?, trap))
    }

    fn load(&mut self, inst: Inst, stored: Option<u8>, extend: Extension) -> Done {
        let result = self.result(inst);
        let ty = self.type_of(result);
        let (place, trap) = self.access(inst, self.argument(inst, 0))?;
        if let Some(precision) = precision(ty) {
            let to = self.float_target(result, XMM0);
            self.may_trap(trap)?;
            self.assembler.load_float(precision, to, place);
            self.set_float(result, to);
            return Ok(());
        }
        let to = self.target(result, RAX);
        let bits = stored.unwrap_or(ty.bits() as u8);
        self.may_trap(trap)?;
        match (bits, extend) {
            (8 | 16, Extension::Zero) => self.assembler.zero_extend(bits, to, place),
            (8 | 16 | 32, Extension::Sign) => {
                self.assembler.sign_extend(bits, width(ty), to, place);
                self.narrow(ty, to);
            }
            (32, Extension::Zero) => self.assembler.load(Width::Double, to, place),
            _ => self.assembler.load(Width::Quad, to, place),
        }
        self.set(result, to);
        Ok(())
    }

    fn store(&mut self, inst: Inst, stored: Option<u8>) -> Done {
        let (value, address) = (self.argument(inst, 0), self.argument(inst, 1));
        let ty = self.type_of(value);
        let bits = stored.unwrap_or(ty.bits() as u8);
        let (place, trap) = self.access(inst, address)?;
        let width = match bits {
            64 => Width::Quad,
            _ => Width::Double,
        };
        if bits >= 32
            && let Some(constant) = self.immediate(value, width)
        {
            self.may_trap(trap)?;
            self.assembler.store_constant(width, place, constant);
            return Ok(());
        }
        if let Some(precision) = precision(ty) {
            let value = self.get_float(value, XMM0)?;
            self.may_trap(trap)?;
            self.assembler.store_float(precision, place, value);
            return Ok(());
        }
        let value = self.get(value, RCX)?;
        self.may_trap(trap)?;
        match bits {
            8 | 16 => self.assembler.store_narrow(bits, place, value),
            _ => self.assembler.store(width, place, value),
        }
        Ok(())
    }
}

fn flag(condition: IntCC) -> Flag {
    match condition {
        IntCC::Equal => Flag::Equal,
        IntCC::NotEqual => Flag::NotEqual,
        IntCC::SignedLessThan => Flag::Less,
        IntCC::SignedGreaterThanOrEqual => Flag::GreaterOrEqual,
        IntCC::SignedGreaterThan => Flag::Greater,
        IntCC::SignedLessThanOrEqual => Flag::LessOrEqual,
        IntCC::UnsignedLessThan => Flag::Below,
        IntCC::UnsignedGreaterThanOrEqual => Flag::AboveOrEqual,
        IntCC::UnsignedGreaterThan => Flag::Above,
        IntCC::UnsignedLessThanOrEqual => Flag::BelowOrEqual,
    }
}
