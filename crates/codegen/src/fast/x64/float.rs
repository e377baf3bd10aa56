//! Operations on floats, and conversions.

use super::assembler::{
    Arithmetic, Flag, Floating, Operand, Precision, RAX, RCX, Shift, Width, XMM0, XMM1, Xmm,
};
use super::moves::Location;
use super::{Done, Emitter, precision, width};
use crate::fast::plan::Unsupported;
use cranelift_codegen::ir::{Inst, Opcode, Value, types};
use mintage_environ::Trap;

/// The handling of floats that are out of the range of the result's type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OutOfRange {
    Trap,
    /// The nearest integer, or 0 for a NaN.
    Saturate,
}

impl Emitter<'_> {
    /// Emits an operation on floats.
    pub(super) fn float(&mut self, inst: Inst, opcode: Opcode) -> Result<bool, Unsupported> {
        use OutOfRange::{Saturate, Trap};
        match opcode {
            Opcode::Fadd => self.floating(inst, Floating::Add)?,
            Opcode::Fsub => self.floating(inst, Floating::Subtract)?,
            Opcode::Fmul => self.floating(inst, Floating::Multiply)?,
            Opcode::Fdiv => self.floating(inst, Floating::Divide)?,
            Opcode::Fmin => self.extremum(inst, Floating::Minimum)?,
            Opcode::Fmax => self.extremum(inst, Floating::Maximum)?,
            Opcode::Sqrt => self.square_root(inst)?,
            // The modes of the instruction; bit 3 keeps it from raising a flag.
            Opcode::Nearest => self.round(inst, 8)?,
            Opcode::Floor => self.round(inst, 9)?,
            Opcode::Ceil => self.round(inst, 10)?,
            Opcode::Trunc => self.round(inst, 11)?,
            Opcode::Fneg | Opcode::Fabs => self.change_sign(inst, opcode)?,
            Opcode::Fcopysign => self.copy_sign(inst)?,
            Opcode::Fpromote | Opcode::Fdemote => self.change_precision(inst)?,
            Opcode::FcvtFromSint => self.signed_to_float(inst)?,
            Opcode::FcvtFromUint => self.unsigned_to_float(inst)?,
            Opcode::FcvtToSint => self.float_to_signed(inst, Trap)?,
            Opcode::FcvtToSintSat => self.float_to_signed(inst, Saturate)?,
            Opcode::FcvtToUint => self.float_to_unsigned(inst, Trap)?,
            Opcode::FcvtToUintSat => self.float_to_unsigned(inst, Saturate)?,
            Opcode::Bitcast => self.bitcast(inst)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn precision_of(&self, value: Value) -> Result<Precision, Unsupported> {
        let ty = self.type_of(value);
        precision(ty).ok_or(Unsupported::Type(ty))
    }

    /// Moves a float to a register.
    fn get_float_in(&mut self, value: Value, register: Xmm) -> Done {
        let at = self.get_float(value, register)?;
        if at != register {
            self.assembler.move_float(register, at);
        }
        Ok(())
    }

    fn floating(&mut self, inst: Inst, op: Floating) -> Done {
        let (a, b) = (self.argument(inst, 0), self.argument(inst, 1));
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let mut to = self.float_target(result, XMM0);
        if self.location_of(b) == Some(Location::Float(to.0)) {
            to = XMM0;
        }
        let by = self.get_float(b, XMM1)?;
        self.get_float_in(a, to)?;
        self.assembler.floating(op, precision, to, by);
        self.set_float(result, to);
        Ok(())
    }

    /// Emits the minimum or maximum: a NaN if either operand is one, and -0 is less than 0.
    fn extremum(&mut self, inst: Inst, op: Floating) -> Done {
        let (a, b) = (self.argument(inst, 0), self.argument(inst, 1));
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let [unordered, differ, end] = [(); 3].map(|()| self.assembler.label());
        let by = self.get_float(b, XMM1)?;
        self.get_float_in(a, XMM0)?;
        self.assembler.compare_floats(precision, XMM0, by);
        self.assembler.jump_if(Flag::Unordered, unordered);
        self.assembler.jump_if(Flag::NotEqual, differ);
        // Equal floats differ in their signs at most.
        match op {
            Floating::Minimum => self.assembler.or_floats(XMM0, by),
            _ => self.assembler.and_floats(XMM0, by),
        }
        self.assembler.jump(end);
        self.assembler.bind(unordered);
        self.assembler.floating(Floating::Add, precision, XMM0, by);
        self.assembler.jump(end);
        self.assembler.bind(differ);
        self.assembler.floating(op, precision, XMM0, by);
        self.assembler.bind(end);
        self.set_float(result, XMM0);
        Ok(())
    }

    fn square_root(&mut self, inst: Inst) -> Done {
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let from = self.get_float(self.argument(inst, 0), XMM0)?;
        let to = self.float_target(result, XMM0);
        self.assembler
            .floating(Floating::SquareRoot, precision, to, from);
        self.set_float(result, to);
        Ok(())
    }

    fn round(&mut self, inst: Inst, mode: u8) -> Done {
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let from = self.get_float(self.argument(inst, 0), XMM0)?;
        let to = self.float_target(result, XMM0);
        self.assembler.round(precision, to, from, mode);
        self.set_float(result, to);
        Ok(())
    }

    /// Returns the width of a float, and the number of its sign bit.
    fn sign_of(&self, value: Value) -> Result<(Width, u8), Unsupported> {
        Ok(match self.precision_of(value)? {
            Precision::Single => (Width::Double, 31),
            Precision::Double => (Width::Quad, 63),
        })
    }

    fn change_sign(&mut self, inst: Inst, opcode: Opcode) -> Done {
        let result = self.result(inst);
        let (width, sign) = self.sign_of(result)?;
        let from = self.get_float(self.argument(inst, 0), XMM0)?;
        self.assembler.float_to_bits(width, RAX, from);
        match opcode {
            Opcode::Fneg => self.assembler.invert_bit(width, RAX, sign),
            _ => self.assembler.clear_bit(width, RAX, sign),
        }
        let to = self.float_target(result, XMM0);
        self.assembler.bits_to_float(width, to, RAX);
        self.set_float(result, to);
        Ok(())
    }

    fn copy_sign(&mut self, inst: Inst) -> Done {
        let result = self.result(inst);
        let (width, sign) = self.sign_of(result)?;
        let magnitude = self.get_float(self.argument(inst, 0), XMM0)?;
        self.assembler.float_to_bits(width, RAX, magnitude);
        let signed = self.get_float(self.argument(inst, 1), XMM0)?;
        self.assembler.float_to_bits(width, RCX, signed);
        self.assembler.clear_bit(width, RAX, sign);
        self.assembler.shift(Shift::RightUnsigned, width, RCX, sign);
        self.assembler.shift(Shift::Left, width, RCX, sign);
        self.assembler.arithmetic(Arithmetic::Or, width, RAX, RCX);
        let to = self.float_target(result, XMM0);
        self.assembler.bits_to_float(width, to, RAX);
        self.set_float(result, to);
        Ok(())
    }

    fn change_precision(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let from = self.precision_of(value)?;
        let value = self.get_float(value, XMM0)?;
        let to = self.float_target(result, XMM0);
        self.assembler.convert_float(from, to, value);
        self.set_float(result, to);
        Ok(())
    }

    fn signed_to_float(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        let ty = self.type_of(value);
        if !matches!(ty, types::I32 | types::I64) {
            return Err(Unsupported::Type(ty));
        }
        let from = self.operand(value, RAX)?;
        self.convert_integer(inst, width(ty), from)
    }

    /// Converts a signed integer to the result of an instruction.
    fn convert_integer(&mut self, inst: Inst, width: Width, from: impl Into<Operand>) -> Done {
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let to = self.float_target(result, XMM0);
        // The conversion keeps the upper bits, and would wait for them.
        self.assembler.zero_float(to);
        self.assembler.integer_to_float(precision, width, to, from);
        self.set_float(result, to);
        Ok(())
    }

    fn unsigned_to_float(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        match self.type_of(value) {
            types::I64 => {}
            types::I32 => {
                // Zero-extended, it is a signed integer of 64 bits.
                let from = self.get(value, RAX)?;
                return self.convert_integer(inst, Width::Quad, from);
            }
            other => return Err(Unsupported::Type(other)),
        }
        let result = self.result(inst);
        let precision = self.precision_of(result)?;
        let quad = Width::Quad;
        let (large, end) = (self.assembler.label(), self.assembler.label());
        self.get_in(value, RAX)?;
        self.assembler.zero_float(XMM0);
        self.assembler.test(quad, RAX, RAX);
        self.assembler.jump_if(Flag::Negative, large);
        self.assembler.integer_to_float(precision, quad, XMM0, RAX);
        self.assembler.jump(end);
        self.assembler.bind(large);
        // Half of it. The lowest bit stays, so that it is rounded in the same direction.
        self.assembler.load(quad, RCX, RAX);
        self.assembler.shift(Shift::RightUnsigned, quad, RAX, 1);
        self.assembler
            .arithmetic_constant(Arithmetic::And, quad, RCX, 1);
        self.assembler.arithmetic(Arithmetic::Or, quad, RAX, RCX);
        self.assembler.integer_to_float(precision, quad, XMM0, RAX);
        self.assembler
            .floating(Floating::Add, precision, XMM0, XMM0);
        self.assembler.bind(end);
        self.set_float(result, XMM0);
        Ok(())
    }

    /// Sets a register to a float.
    fn set_float_constant(&mut self, precision: Precision, to: Xmm, value: f64) {
        let bits = match precision {
            Precision::Single => u64::from((value as f32).to_bits()),
            Precision::Double => value.to_bits(),
        };
        self.assembler.set_constant(RCX, bits);
        self.assembler.bits_to_float(Width::Quad, to, RCX);
    }

    fn float_to_signed(&mut self, inst: Inst, out_of_range: OutOfRange) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let precision = self.precision_of(value)?;
        let ty = self.type_of(result);
        let width = match ty {
            types::I32 => Width::Double,
            types::I64 => Width::Quad,
            other => return Err(Unsupported::Type(other)),
        };
        let end = self.assembler.label();
        self.get_float_in(value, XMM0)?;
        self.assembler.float_to_integer(precision, width, RAX, XMM0);
        // The least integer, which is also the result for what does not fit, overflows here.
        self.assembler
            .arithmetic_constant(Arithmetic::Compare, width, RAX, 1);
        self.assembler.jump_if(Flag::NoOverflow, end);
        self.assembler.compare_floats(precision, XMM0, XMM0);
        match out_of_range {
            OutOfRange::Trap => {
                self.trap_if(Flag::Unordered, Trap::BadConversionToInteger);
                // The least float that is truncated to the least integer, or the greatest that is
                // not.
                let (bound, flag) = match (precision, width) {
                    (Precision::Double, Width::Double) => {
                        (f64::from(i32::MIN) - 1.0, Flag::BelowOrEqual)
                    }
                    (_, Width::Double) => (f64::from(i32::MIN), Flag::Below),
                    (_, Width::Quad) => (i64::MIN as f64, Flag::Below),
                };
                self.set_float_constant(precision, XMM1, bound);
                self.assembler.compare_floats(precision, XMM0, XMM1);
                self.trap_if(flag, Trap::IntegerOverflow);
                self.assembler.zero_float(XMM1);
                self.assembler.compare_floats(precision, XMM0, XMM1);
                self.trap_if(Flag::Above, Trap::IntegerOverflow);
            }
            OutOfRange::Saturate => {
                let ordered = self.assembler.label();
                self.assembler.jump_if(Flag::Ordered, ordered);
                self.assembler.set_constant(RAX, 0);
                self.assembler.jump(end);
                self.assembler.bind(ordered);
                self.assembler.zero_float(XMM1);
                self.assembler.compare_floats(precision, XMM0, XMM1);
                // Floats that are too small saturate to the least integer.
                self.assembler.jump_if(Flag::BelowOrEqual, end);
                let greatest = match width {
                    Width::Double => i32::MAX as u64,
                    Width::Quad => i64::MAX as u64,
                };
                self.assembler.set_constant(RAX, greatest);
            }
        }
        self.assembler.bind(end);
        self.set(result, RAX);
        Ok(())
    }

    fn float_to_unsigned(&mut self, inst: Inst, out_of_range: OutOfRange) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let precision = self.precision_of(value)?;
        let quad = Width::Quad;
        let [bad, end] = [(); 2].map(|()| self.assembler.label());
        self.get_float_in(value, XMM0)?;
        let greatest = match self.type_of(result) {
            types::I32 => {
                self.assembler.float_to_integer(precision, quad, RAX, XMM0);
                self.assembler.load(quad, RCX, RAX);
                self.assembler.shift(Shift::RightUnsigned, quad, RCX, 32);
                self.assembler.jump_if(Flag::Equal, end);
                u32::MAX.into()
            }
            types::I64 => {
                let large = self.assembler.label();
                self.set_float_constant(precision, XMM1, (1u64 << 63) as f64);
                self.assembler.compare_floats(precision, XMM0, XMM1);
                // A NaN is unordered, which is below, too.
                self.assembler.jump_if(Flag::AboveOrEqual, large);
                self.assembler.float_to_integer(precision, quad, RAX, XMM0);
                self.assembler.test(quad, RAX, RAX);
                self.assembler.jump_if(Flag::NotNegative, end);
                self.assembler.jump(bad);
                self.assembler.bind(large);
                self.assembler
                    .floating(Floating::Subtract, precision, XMM0, XMM1);
                self.assembler.float_to_integer(precision, quad, RAX, XMM0);
                self.assembler.test(quad, RAX, RAX);
                self.assembler.jump_if(Flag::Negative, bad);
                self.assembler.invert_bit(quad, RAX, 63);
                self.assembler.jump(end);
                u64::MAX
            }
            other => return Err(Unsupported::Type(other)),
        };
        self.assembler.bind(bad);
        match out_of_range {
            OutOfRange::Trap => {
                self.assembler.compare_floats(precision, XMM0, XMM0);
                self.trap_if(Flag::Unordered, Trap::BadConversionToInteger);
                self.trap_if(Flag::Ordered, Trap::IntegerOverflow);
            }
            OutOfRange::Saturate => {
                // A NaN is not above zero.
                self.assembler.zero_float(XMM1);
                self.assembler.compare_floats(precision, XMM0, XMM1);
                self.assembler.set_constant(RAX, 0);
                self.assembler.set_constant(RCX, greatest);
                self.assembler.move_if(Flag::Above, RAX, RCX);
            }
        }
        self.assembler.bind(end);
        self.set(result, RAX);
        Ok(())
    }

    fn bitcast(&mut self, inst: Inst) -> Done {
        let value = self.argument(inst, 0);
        let result = self.result(inst);
        let (from, to) = (self.type_of(value), self.type_of(result));
        match (from.is_float(), to.is_float()) {
            (true, false) => {
                let from = self.get_float(value, XMM0)?;
                let register = self.target(result, RAX);
                self.assembler.float_to_bits(width(to), register, from);
                self.set(result, register);
            }
            (false, true) => {
                let bits = self.get(value, RAX)?;
                let register = self.float_target(result, XMM0);
                self.assembler.bits_to_float(width(from), register, bits);
                self.set_float(result, register);
            }
            (false, false) => {
                let from = self.get(value, RAX)?;
                self.set(result, from);
            }
            (true, true) => {
                let from = self.get_float(value, XMM0)?;
                self.set_float(result, from);
            }
        }
        Ok(())
    }
}
