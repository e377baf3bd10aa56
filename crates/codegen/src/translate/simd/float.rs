//! Arithmetic on float lanes. The notes on CLIF in `numeric` hold for lanes as well.

use super::LANE_ORDER;
use crate::translate::Translator;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{F32X4, F64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn vector_float_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::F32x4Abs => self.lanewise(F32X4, |ins, a| ins.fabs(a)),
            Operator::F64x2Abs => self.lanewise(F64X2, |ins, a| ins.fabs(a)),
            Operator::F32x4Neg => self.lanewise(F32X4, |ins, a| ins.fneg(a)),
            Operator::F64x2Neg => self.lanewise(F64X2, |ins, a| ins.fneg(a)),
            Operator::F32x4Sqrt => self.lanewise(F32X4, |ins, a| ins.sqrt(a)),
            Operator::F64x2Sqrt => self.lanewise(F64X2, |ins, a| ins.sqrt(a)),
            Operator::F32x4Ceil => self.lanewise(F32X4, |ins, a| ins.ceil(a)),
            Operator::F64x2Ceil => self.lanewise(F64X2, |ins, a| ins.ceil(a)),
            Operator::F32x4Floor => self.lanewise(F32X4, |ins, a| ins.floor(a)),
            Operator::F64x2Floor => self.lanewise(F64X2, |ins, a| ins.floor(a)),
            Operator::F32x4Trunc => self.lanewise(F32X4, |ins, a| ins.trunc(a)),
            Operator::F64x2Trunc => self.lanewise(F64X2, |ins, a| ins.trunc(a)),
            Operator::F32x4Nearest => self.lanewise(F32X4, |ins, a| ins.nearest(a)),
            Operator::F64x2Nearest => self.lanewise(F64X2, |ins, a| ins.nearest(a)),
            Operator::F32x4Add => self.lanewise2(F32X4, |ins, a, b| ins.fadd(a, b)),
            Operator::F64x2Add => self.lanewise2(F64X2, |ins, a, b| ins.fadd(a, b)),
            Operator::F32x4Sub => self.lanewise2(F32X4, |ins, a, b| ins.fsub(a, b)),
            Operator::F64x2Sub => self.lanewise2(F64X2, |ins, a, b| ins.fsub(a, b)),
            Operator::F32x4Mul => self.lanewise2(F32X4, |ins, a, b| ins.fmul(a, b)),
            Operator::F64x2Mul => self.lanewise2(F64X2, |ins, a, b| ins.fmul(a, b)),
            Operator::F32x4Div => self.lanewise2(F32X4, |ins, a, b| ins.fdiv(a, b)),
            Operator::F64x2Div => self.lanewise2(F64X2, |ins, a, b| ins.fdiv(a, b)),
            Operator::F32x4Min => self.lanewise2(F32X4, |ins, a, b| ins.fmin(a, b)),
            Operator::F64x2Min => self.lanewise2(F64X2, |ins, a, b| ins.fmin(a, b)),
            Operator::F32x4Max => self.lanewise2(F32X4, |ins, a, b| ins.fmax(a, b)),
            Operator::F64x2Max => self.lanewise2(F64X2, |ins, a, b| ins.fmax(a, b)),
            Operator::F32x4PMin => self.pseudo_minimum(F32X4),
            Operator::F64x2PMin => self.pseudo_minimum(F64X2),
            Operator::F32x4PMax => self.pseudo_maximum(F32X4),
            Operator::F64x2PMax => self.pseudo_maximum(F64X2),
            _ => return false,
        }
        true
    }

    /// Selects the lane of the second operand if it is less than that of the first, and otherwise
    /// the lane of the first, also for NaNs and zeros of either sign.
    pub(super) fn pseudo_minimum(&mut self, lanes: Type) {
        let (first, second) = self.pop2_lanes(lanes);
        self.choose_less(lanes, [second, first], [second, first]);
    }

    /// Selects the lane of the second operand if that of the first is less, and otherwise the lane
    /// of the first.
    pub(super) fn pseudo_maximum(&mut self, lanes: Type) {
        let (first, second) = self.pop2_lanes(lanes);
        self.choose_less(lanes, [first, second], [second, first]);
    }

    /// Pushes the lanes of `then` where `less` is less than `greater`, and those of `otherwise`
    /// elsewhere. The code generator recognizes this form as one instruction.
    fn choose_less(
        &mut self,
        lanes: Type,
        [less, greater]: [Value; 2],
        [then, otherwise]: [Value; 2],
    ) {
        let condition = self.ins().fcmp(FloatCC::LessThan, less, greater);
        let mask = self.ins().bitcast(lanes, LANE_ORDER, condition);
        let vector = self.ins().bitselect(mask, then, otherwise);
        self.push_lanes(vector);
    }
}
