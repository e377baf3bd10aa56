//! Operators on references. A function reference is a table entry, any other is a GC reference;
//! null is zero.

use super::Translator;
use crate::abi;
use crate::emit::trap_code;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use mintage_environ::{FuncEntry, FuncIndex, FuncKey, SigId, Trap};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn reference_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::RefNull { .. } => self.push_integer(abi::REFERENCE, 0),
            Operator::RefIsNull => {
                let reference = self.pop();
                let flag = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                self.push_flag(flag);
            }
            Operator::RefFunc { function_index } => {
                let func = FuncIndex::from_u32(function_index);
                let callee = self.instance.callee(self.instance_id, self.module, func);
                let reference = self.function_reference(callee.key, callee.sig);
                self.push(reference);
            }
            Operator::RefAsNonNull => {
                let reference = self.top(1)[0];
                self.ins().trapz(reference, trap_code(Trap::NullReference));
            }
            _ => return false,
        }
        true
    }

    /// Returns the table entry of a function, a constant to which the linker adds the code offset.
    pub(super) fn function_reference(&mut self, key: FuncKey, sig: SigId) -> Value {
        let signature_word = FuncEntry::new(0, sig).to_u64() as i64;
        let entry = self
            .declarations
            .text_offset(self.builder.func, key, signature_word);
        self.ins().symbol_value(abi::REFERENCE, entry)
    }
}
