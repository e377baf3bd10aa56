//! Calls: direct, through tables and references, and of builtins; and tail calls.

use super::exceptions::Callee;
use super::memory::Place;
use super::{CALL_VALUES, Translator};
use crate::abi;
use crate::canon::adapter;
use crate::emit::{self, Values, trap_code};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, SigRef, Value, types};
use mintage_environ::{
    Builtin, FuncEntry, FuncIndex, FuncKey, HeapType, SigId, Signatures, TableId, Trap, TypeId,
};
use mintage_program::Const;
use std::mem::offset_of;
use wasmparser::Operator;

/// The largest number of element segments that are searched for an entry of a constant table.
const MAX_SEARCHED_SEGMENTS: usize = 256;

/// The place that a callee returns to.
#[derive(Clone, Copy)]
pub(super) enum ReturnTo {
    /// The current function, with results for its operand stack.
    Here,
    /// The caller of the current function, whose frame the callee replaces.
    Caller,
}

impl<'a> Translator<'a, '_> {
    pub(super) fn call_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match *operator {
            Operator::Call { function_index } => {
                self.call_function(function_index, ReturnTo::Here)?
            }
            Operator::ReturnCall { function_index } => {
                self.call_function(function_index, ReturnTo::Caller)?
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } => self.call_table(type_index, table_index, ReturnTo::Here)?,
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => self.call_table(type_index, table_index, ReturnTo::Caller)?,
            Operator::CallRef { type_index } => self.call_reference(type_index, ReturnTo::Here),
            Operator::ReturnCallRef { type_index } => {
                self.call_reference(type_index, ReturnTo::Caller)
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn call_function(&mut self, function: u32, to: ReturnTo) -> Result<()> {
        let func = FuncIndex::from_u32(function);
        let callee = self.instance.callee(self.instance_id, self.module, func);
        self.call(callee.key, callee.sig, to)
    }

    fn call_table(&mut self, ty: u32, table: u32, to: ReturnTo) -> Result<()> {
        let table = self.instance.tables[table as usize];
        self.call_indirect(table, self.func_type(ty), to)
    }

    fn call_reference(&mut self, ty: u32, to: ReturnTo) {
        let code = self.code_of_reference();
        self.call_code(code, self.func_type(ty), to);
    }

    /// Calls a function directly, with arguments from the operand stack.
    fn call(&mut self, key: FuncKey, sig: SigId, to: ReturnTo) -> Result<()> {
        if let ReturnTo::Here = to
            && self.inline(key, sig)?
        {
            return Ok(());
        }
        let arguments = self.take_arguments(sig);
        if let (FuncKey::Adapter(id), ReturnTo::Here) = (key, to)
            && let Some(adapter) = adapter::inlinable(self.input.program, id)
        {
            let results = adapter::body(
                &self.input,
                &mut self.builder,
                self.declarations,
                adapter,
                self.ctx,
                &arguments[1..],
            )?;
            self.stack.extend_from_slice(&results);
            return Ok(());
        }
        let signature = self.signature(sig);
        let callee = self
            .declarations
            .function(self.builder.func, key, |_| signature);
        match to {
            ReturnTo::Here => {
                let callee = Callee::Direct(callee);
                let results = match key {
                    FuncKey::CoreFunc { .. } => self.catching_call(callee, &arguments),
                    // Exceptions do not leave a component instance.
                    _ => self.plain_call(callee, &arguments),
                };
                self.push_results(sig, &results);
            }
            ReturnTo::Caller => {
                self.ins().return_call(callee, &arguments);
                self.reachable = false;
            }
        }
        Ok(())
    }

    fn call_indirect(&mut self, table: TableId, sig: SigId, to: ReturnTo) -> Result<()> {
        let index = self.pop();
        if let Some(index) = self.known_integer(index)
            && let Some(entry) = self.constant_entry(table, index)
        {
            match entry {
                Const::Func(callee) if self.signatures().is_subtype(callee.sig, sig) => {
                    self.call(callee.key, callee.sig, to)?;
                }
                Const::Func(_) => self.trap(trap_code(Trap::BadSignature)),
                _ => self.trap(trap_code(Trap::IndirectCallToNull)),
            }
            return Ok(());
        }

        let Some(entry) = self.table_place(table, index) else {
            return Ok(());
        };
        let Place {
            address,
            offset,
            flags,
        } = entry;
        let signature_offset = offset + offset_of!(FuncEntry, signature) as i32;
        let code_offset = offset + offset_of!(FuncEntry, code_offset) as i32;
        let signature_word = self
            .ins()
            .load(types::I32, flags, address, signature_offset);
        if self.holds_only(table, sig) {
            self.ins()
                .trapz(signature_word, trap_code(Trap::IndirectCallToNull));
        } else {
            self.check_signature(signature_word, sig);
        }
        let code = self.ins().uload32(flags, address, code_offset);
        let code = self.code_address(code);
        self.call_code(code, sig, to);
        Ok(())
    }

    /// Pops a function reference. Returns the address of its code, and traps if it is null.
    fn code_of_reference(&mut self) -> Value {
        let reference = self.pop();
        self.ins().trapz(reference, trap_code(Trap::NullReference));
        let code = self.ins().ireduce(types::I32, reference);
        let code = self.ins().uextend(types::I64, code);
        self.code_address(code)
    }

    /// Returns the address at offset `code` of the text.
    fn code_address(&mut self, code: Value) -> Value {
        let text_base = self.declarations.text_base(self.builder.func);
        let text_base = self.ins().symbol_value(abi::POINTER, text_base);
        self.ins().iadd(text_base, code)
    }

    /// Calls the function at address `code`, with arguments from the operand stack.
    fn call_code(&mut self, code: Value, sig: SigId, to: ReturnTo) {
        let arguments = self.take_arguments(sig);
        let signature = self.signature(sig);
        match to {
            ReturnTo::Here => {
                let results = self.catching_call(Callee::Indirect(signature, code), &arguments);
                self.push_results(sig, &results);
            }
            ReturnTo::Caller => {
                self.ins().return_call_indirect(signature, code, &arguments);
                self.reachable = false;
            }
        }
    }

    /// Returns whether the type of `table` says that every entry is null or a function of type
    /// `sig`.
    fn holds_only(&self, table: TableId, sig: SigId) -> bool {
        let table = self.input.program.tables.get(table);
        match table.map(|table| table.element.heap) {
            Some(HeapType::Concrete(TypeId::Func(ty))) => self.signatures().is_subtype(ty, sig),
            _ => false,
        }
    }

    /// Traps unless `word`, the signature word of a table entry, stands for `sig` or a subtype of
    /// it.
    ///
    /// A null entry has the word 0 and fails the same comparison. Cold code then finds out which of
    /// the two traps it is.
    fn check_signature(&mut self, word: Value, sig: SigId) {
        let good = self.builder.create_block();
        let bad = self.builder.create_block();
        let first = i64::from(FuncEntry::signature_word(sig));
        let matches = match self.signatures().subtypes(sig) {
            0 => self.ins().icmp_imm_u(IntCC::Equal, word, first),
            subtypes => {
                let distance = self.ins().iadd_imm_s(word, -first);
                let limit = i64::from(subtypes);
                self.ins()
                    .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, distance, limit)
            }
        };
        self.ins().brif(matches, good, [], bad, []);
        self.builder.seal_block(good);
        self.builder.seal_block(bad);
        self.builder.set_cold_block(bad);
        self.builder.switch_to_block(bad);
        self.ins().trapz(word, trap_code(Trap::IndirectCallToNull));
        self.ins().trap(trap_code(Trap::BadSignature));
        self.builder.switch_to_block(good);
    }

    /// Returns entry `index` of `table`, if it exists and nothing can change the table while code
    /// runs.
    fn constant_entry(&self, table: TableId, index: u64) -> Option<Const> {
        let program = self.input.program;
        let init = program.tables.get(table)?;
        let in_bounds = index < u64::from(self.input.layout.tables[table].minimum);
        if init.mutable || !in_bounds || program.image_elems.len() > MAX_SEARCHED_SEGMENTS {
            return None;
        }
        // Later segments overwrite earlier ones.
        let segments = program
            .image_elems
            .iter()
            .rev()
            .filter(|segment| segment.table == table);
        let mut hits = segments.filter_map(|segment| {
            let at = index.checked_sub(u64::from(segment.offset))?;
            segment.values.get(usize::try_from(at).ok()?).copied()
        });
        Some(hits.next().unwrap_or(init.fill))
    }

    /// Calls a builtin. Returns its result if it has one.
    pub(super) fn call_builtin(&mut self, builtin: Builtin, arguments: &[Value]) -> Option<Value> {
        self.charge(CALL_VALUES);
        self.charge_live_references();
        let (builder, ctx) = (&mut self.builder, self.ctx);
        emit::call_builtin(builder, self.declarations, builtin, ctx, arguments)
    }

    /// Pops the arguments of a call of a function with signature `sig`, and prepends `ctx`.
    fn take_arguments(&mut self, sig: SigId) -> Values {
        let count = self.signatures()[sig].params.len();
        self.charge(CALL_VALUES);
        self.charge_copies(count);
        let mut arguments = Values::from_slice(&[self.ctx]);
        arguments.extend_from_slice(self.top(count));
        self.stack.truncate(self.stack.len() - count);
        arguments
    }

    fn push_results(&mut self, sig: SigId, results: &[Value]) {
        self.stack.extend_from_slice(results);
        for (&value, &ty) in results.iter().zip(&self.signatures()[sig].results) {
            self.trace(value, ty);
        }
    }

    pub(super) fn signatures(&self) -> &'a Signatures {
        &self.input.program.interface.signatures
    }

    fn signature(&mut self, sig: SigId) -> SigRef {
        let signatures = self.signatures();
        self.declarations.signature(self.builder.func, sig, || {
            abi::wasm_signature(&signatures[sig])
        })
    }
}
