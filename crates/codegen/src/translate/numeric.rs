//! Numeric operators. Each is one CLIF instruction with the same meaning, apart from conversions of
//! width and of truth values.
//!
//! CLIF agrees with WebAssembly on shift and rotate counts (modulo the width), on traps of
//! divisions (by zero, and overflow of the signed quotient; the remainder of the overflowing
//! division is 0), on `fmin` and `fmax` (a NaN wins, -0 is less than +0), on rounding (half to
//! even), on `fcvt_to_*` (traps for NaN and for overflow after truncation) and on their saturating
//! forms.

use super::Translator;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32, F64, I8, I16, I32, I64};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn numeric_operator(&mut self, operator: &Operator<'a>) -> bool {
        self.integer_operator(operator)
            || self.comparison_operator(operator)
            || self.float_operator(operator)
            || self.conversion_operator(operator)
    }

    fn integer_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I32Add | Operator::I64Add => self.binary(|ins, a, b| ins.iadd(a, b)),
            Operator::I32Sub | Operator::I64Sub => self.binary(|ins, a, b| ins.isub(a, b)),
            Operator::I32Mul | Operator::I64Mul => self.binary(|ins, a, b| ins.imul(a, b)),
            Operator::I32DivS | Operator::I64DivS => self.binary(|ins, a, b| ins.sdiv(a, b)),
            Operator::I32DivU | Operator::I64DivU => self.binary(|ins, a, b| ins.udiv(a, b)),
            Operator::I32RemS | Operator::I64RemS => self.binary(|ins, a, b| ins.srem(a, b)),
            Operator::I32RemU | Operator::I64RemU => self.binary(|ins, a, b| ins.urem(a, b)),
            Operator::I32And | Operator::I64And => self.binary(|ins, a, b| ins.band(a, b)),
            Operator::I32Or | Operator::I64Or => self.binary(|ins, a, b| ins.bor(a, b)),
            Operator::I32Xor | Operator::I64Xor => self.binary(|ins, a, b| ins.bxor(a, b)),
            Operator::I32Shl | Operator::I64Shl => self.binary(|ins, a, b| ins.ishl(a, b)),
            Operator::I32ShrS | Operator::I64ShrS => self.binary(|ins, a, b| ins.sshr(a, b)),
            Operator::I32ShrU | Operator::I64ShrU => self.binary(|ins, a, b| ins.ushr(a, b)),
            Operator::I32Rotl | Operator::I64Rotl => self.binary(|ins, a, b| ins.rotl(a, b)),
            Operator::I32Rotr | Operator::I64Rotr => self.binary(|ins, a, b| ins.rotr(a, b)),
            Operator::I32Clz | Operator::I64Clz => self.unary(|ins, a| ins.clz(a)),
            Operator::I32Ctz | Operator::I64Ctz => self.unary(|ins, a| ins.ctz(a)),
            Operator::I32Popcnt | Operator::I64Popcnt => self.unary(|ins, a| ins.popcnt(a)),
            Operator::I32Extend8S => self.sign_extend(I8, I32),
            Operator::I32Extend16S => self.sign_extend(I16, I32),
            Operator::I64Extend8S => self.sign_extend(I8, I64),
            Operator::I64Extend16S => self.sign_extend(I16, I64),
            Operator::I64Extend32S => self.sign_extend(I32, I64),
            _ => return false,
        }
        true
    }

    fn comparison_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I32Eqz | Operator::I64Eqz => {
                let value = self.pop();
                let flag = self.ins().icmp_imm_u(IntCC::Equal, value, 0);
                self.push_flag(flag);
            }
            Operator::I32Eq | Operator::I64Eq => self.compare(IntCC::Equal),
            Operator::I32Ne | Operator::I64Ne => self.compare(IntCC::NotEqual),
            Operator::I32LtS | Operator::I64LtS => self.compare(IntCC::SignedLessThan),
            Operator::I32LtU | Operator::I64LtU => self.compare(IntCC::UnsignedLessThan),
            Operator::I32GtS | Operator::I64GtS => self.compare(IntCC::SignedGreaterThan),
            Operator::I32GtU | Operator::I64GtU => self.compare(IntCC::UnsignedGreaterThan),
            Operator::I32LeS | Operator::I64LeS => self.compare(IntCC::SignedLessThanOrEqual),
            Operator::I32LeU | Operator::I64LeU => self.compare(IntCC::UnsignedLessThanOrEqual),
            Operator::I32GeS | Operator::I64GeS => self.compare(IntCC::SignedGreaterThanOrEqual),
            Operator::I32GeU | Operator::I64GeU => self.compare(IntCC::UnsignedGreaterThanOrEqual),
            Operator::F32Eq | Operator::F64Eq => self.compare_floats(FloatCC::Equal),
            Operator::F32Ne | Operator::F64Ne => self.compare_floats(FloatCC::NotEqual),
            Operator::F32Lt | Operator::F64Lt => self.compare_floats(FloatCC::LessThan),
            Operator::F32Gt | Operator::F64Gt => self.compare_floats(FloatCC::GreaterThan),
            Operator::F32Le | Operator::F64Le => self.compare_floats(FloatCC::LessThanOrEqual),
            Operator::F32Ge | Operator::F64Ge => self.compare_floats(FloatCC::GreaterThanOrEqual),
            _ => return false,
        }
        true
    }

    fn float_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::F32Add | Operator::F64Add => self.binary(|ins, a, b| ins.fadd(a, b)),
            Operator::F32Sub | Operator::F64Sub => self.binary(|ins, a, b| ins.fsub(a, b)),
            Operator::F32Mul | Operator::F64Mul => self.binary(|ins, a, b| ins.fmul(a, b)),
            Operator::F32Div | Operator::F64Div => self.binary(|ins, a, b| ins.fdiv(a, b)),
            Operator::F32Min | Operator::F64Min => self.binary(|ins, a, b| ins.fmin(a, b)),
            Operator::F32Max | Operator::F64Max => self.binary(|ins, a, b| ins.fmax(a, b)),
            Operator::F32Copysign | Operator::F64Copysign => {
                self.binary(|ins, a, b| ins.fcopysign(a, b))
            }
            Operator::F32Abs | Operator::F64Abs => self.unary(|ins, a| ins.fabs(a)),
            Operator::F32Neg | Operator::F64Neg => self.unary(|ins, a| ins.fneg(a)),
            Operator::F32Sqrt | Operator::F64Sqrt => self.unary(|ins, a| ins.sqrt(a)),
            Operator::F32Ceil | Operator::F64Ceil => self.unary(|ins, a| ins.ceil(a)),
            Operator::F32Floor | Operator::F64Floor => self.unary(|ins, a| ins.floor(a)),
            Operator::F32Trunc | Operator::F64Trunc => self.unary(|ins, a| ins.trunc(a)),
            Operator::F32Nearest | Operator::F64Nearest => self.unary(|ins, a| ins.nearest(a)),
            _ => return false,
        }
        true
    }

    fn conversion_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I32WrapI64 => self.unary(|ins, a| ins.ireduce(I32, a)),
            Operator::I64ExtendI32S => self.unary(|ins, a| ins.sextend(I64, a)),
            Operator::I64ExtendI32U => self.unary(|ins, a| ins.uextend(I64, a)),
            Operator::I32TruncF32S | Operator::I32TruncF64S => {
                self.unary(|ins, a| ins.fcvt_to_sint(I32, a))
            }
            Operator::I32TruncF32U | Operator::I32TruncF64U => {
                self.unary(|ins, a| ins.fcvt_to_uint(I32, a))
            }
            Operator::I64TruncF32S | Operator::I64TruncF64S => {
                self.unary(|ins, a| ins.fcvt_to_sint(I64, a))
            }
            Operator::I64TruncF32U | Operator::I64TruncF64U => {
                self.unary(|ins, a| ins.fcvt_to_uint(I64, a))
            }
            Operator::I32TruncSatF32S | Operator::I32TruncSatF64S => {
                self.unary(|ins, a| ins.fcvt_to_sint_sat(I32, a))
            }
            Operator::I32TruncSatF32U | Operator::I32TruncSatF64U => {
                self.unary(|ins, a| ins.fcvt_to_uint_sat(I32, a))
            }
            Operator::I64TruncSatF32S | Operator::I64TruncSatF64S => {
                self.unary(|ins, a| ins.fcvt_to_sint_sat(I64, a))
            }
            Operator::I64TruncSatF32U | Operator::I64TruncSatF64U => {
                self.unary(|ins, a| ins.fcvt_to_uint_sat(I64, a))
            }
            Operator::F32ConvertI32S | Operator::F32ConvertI64S => {
                self.unary(|ins, a| ins.fcvt_from_sint(F32, a))
            }
            Operator::F32ConvertI32U | Operator::F32ConvertI64U => {
                self.unary(|ins, a| ins.fcvt_from_uint(F32, a))
            }
            Operator::F64ConvertI32S | Operator::F64ConvertI64S => {
                self.unary(|ins, a| ins.fcvt_from_sint(F64, a))
            }
            Operator::F64ConvertI32U | Operator::F64ConvertI64U => {
                self.unary(|ins, a| ins.fcvt_from_uint(F64, a))
            }
            Operator::F32DemoteF64 => self.unary(|ins, a| ins.fdemote(F32, a)),
            Operator::F64PromoteF32 => self.unary(|ins, a| ins.fpromote(F64, a)),
            Operator::I32ReinterpretF32 => self.reinterpret(I32),
            Operator::I64ReinterpretF64 => self.reinterpret(I64),
            Operator::F32ReinterpretI32 => self.reinterpret(F32),
            Operator::F64ReinterpretI64 => self.reinterpret(F64),
            _ => return false,
        }
        true
    }

    fn unary(&mut self, emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let operand = self.pop();
        let result = emit(self.ins(), operand);
        self.push(result);
    }

    fn binary(&mut self, emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
        let (first, second) = self.pop2();
        let result = emit(self.ins(), first, second);
        self.push(result);
    }

    fn compare(&mut self, condition: IntCC) {
        let (first, second) = self.pop2();
        let flag = self.ins().icmp(condition, first, second);
        self.push_flag(flag);
    }

    fn compare_floats(&mut self, condition: FloatCC) {
        let (first, second) = self.pop2();
        let flag = self.ins().fcmp(condition, first, second);
        self.push_flag(flag);
    }

    /// Pushes a CLIF truth value, which is 8 bits wide, as an `i32`.
    pub(super) fn push_flag(&mut self, flag: Value) {
        let value = self.ins().uextend(I32, flag);
        self.push(value);
    }

    fn sign_extend(&mut self, from: Type, to: Type) {
        let value = self.pop();
        let low = self.ins().ireduce(from, value);
        let value = self.ins().sextend(to, low);
        self.push(value);
    }

    fn reinterpret(&mut self, ty: Type) {
        self.unary(|ins, a| ins.bitcast(ty, MemFlagsData::new(), a));
    }
}
