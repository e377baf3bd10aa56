//! Trampolines between wasm code and the host, one per lowered import, builtin and entered
//! signature.
//!
//! ```text
//! wasm -> LowerImport -> host function     arguments and results in an array of 8-byte words
//! wasm -> Builtin     -> runtime           arguments in registers, a result or a trap code back
//! host -> Entry       -> wasm              arguments and results in an array of 8-byte words
//! ```
//!
//! The two that leave wasm code record their frame first: the runtime walks the stack from there.

use crate::abi::{self, POINTER};
use crate::compiler::{Input, Scratch};
use crate::{short, translate};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, ExtFuncData, ExternalName, FuncRef, InstBuilder, MemFlagsData,
    Signature as ClifSignature, StackSlotData, StackSlotKind, TrapCode, Type, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::FunctionBuilder;
use mintage_environ::builtin::{BuiltinResult, GROWTH_ENDED, RAISE_SLOT};
use mintage_environ::{
    Builtin, ControlBlock, FuncKey, HostImport, Index as _, LowerId, SigId, Trap, ValType,
    control_offsets, exit_offsets, host_import_offsets,
};

/// Words of an argument array from which on the trampoline checks the stack limit itself; below,
/// the reserve that the runtime keeps for host functions covers it.
const LARGE_ARRAY: usize = 64;
/// Base-two logarithm of the size of a word of an argument array.
const WORD_LOG2: u8 = 3;
const WORD: i32 = 1 << WORD_LOG2;
/// Flags of an access to an argument array: in bounds, but only words are aligned, vectors are not.
const ARRAY_ACCESS: MemFlagsData = MemFlagsData::new().with_notrap();

/// The trampoline from wasm code to lowered import `id`.
pub(crate) fn lower_import(input: &Input<'_>, id: LowerId, scratch: &mut Scratch) -> Result<()> {
    let lower = input
        .program
        .interface
        .lowers
        .get(id)
        .context("internal error: no such lowered import")?;
    let signature = &input.program.interface.signatures[lower.sig];
    let words = signature.array_words();
    let mut trampoline = Trampoline::new(
        input,
        abi::wasm_signature(signature),
        words >= LARGE_ARRAY,
        scratch,
    );
    trampoline.check_may_leave();
    trampoline.record_exit(FuncKey::LowerImport(id));

    let parameters = trampoline.parameters();
    let array = trampoline.call_import(id.index(), words, &signature.params, &parameters);
    let results = trampoline.load_words(array, &signature.results);
    trampoline.builder.ins().return_(&results);
    trampoline.finish();
    Ok(())
}

/// The trampoline from wasm code to `builtin` of the runtime.
pub(crate) fn builtin(input: &Input<'_>, builtin: Builtin, scratch: &mut Scratch) -> Result<()> {
    let mut trampoline = Trampoline::new(input, abi::builtin_signature(builtin), false, scratch);
    let parameters = trampoline.parameters();
    short::emit(&mut trampoline.builder, builtin, &parameters);
    trampoline.record_exit(FuncKey::Builtin(builtin));
    let func = trampoline.builtin_address(builtin.as_u32() as usize);
    let mut arguments = vec![trampoline.ctx];
    arguments.extend(parameters);
    let host = abi::builtin_host_signature(builtin, &**input.isa);
    let mut results = trampoline.call_host(host, func, &arguments);
    match builtin.result() {
        BuiltinResult::Never => {
            let code = TrapCode::unwrap_user(Trap::UnreachableCodeReached as u8);
            trampoline.builder.ins().trap(code);
            trampoline.finish();
            return Ok(());
        }
        BuiltinResult::Value(_) => {}
        BuiltinResult::TrapCode => {
            let code = results.remove(0);
            trampoline.raise_if(code, code);
        }
        BuiltinResult::Growth => {
            // The -1 of growth that is refused is no trap: one more than the end, and so the
            // largest difference.
            let (builder, ended) = (&mut trampoline.builder, GROWTH_ENDED as i64);
            let ended = builder.ins().iconst(types::I64, ended);
            let code = builder.ins().isub(ended, results[0]);
            let codes = i64::from(u8::MAX);
            let traps = builder
                .ins()
                .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, code, codes);
            let code = builder.ins().ireduce(types::I32, code);
            trampoline.raise_if(traps, code);
        }
        BuiltinResult::Fallible(_) => {
            let code = trampoline.builder.ins().ushr_imm_u(results[0], 32);
            let code = trampoline.builder.ins().ireduce(types::I32, code);
            trampoline.raise_if(code, code);
            results[0] = trampoline.builder.ins().ireduce(types::I32, results[0]);
        }
    }
    trampoline.builder.ins().return_(&results);
    trampoline.finish();
    Ok(())
}

/// The adapter from the host to any wasm function with signature `sig`.
pub(crate) fn entry(input: &Input<'_>, sig: SigId, scratch: &mut Scratch) -> Result<()> {
    let signature = input
        .program
        .interface
        .signatures
        .get(sig)
        .context("internal error: no such signature")?;
    let mut trampoline = Trampoline::new(input, abi::entry_signature(&**input.isa), false, scratch);
    let [code, array] = trampoline.parameters()[..] else {
        unreachable!("an entry adapter has three parameters")
    };
    let mut arguments = vec![trampoline.ctx];
    arguments.extend(trampoline.load_words(array, &signature.params));
    let results = trampoline.call_host(abi::wasm_signature(signature), code, &arguments);
    trampoline.store_words(array, &signature.results, &results);
    trampoline.builder.ins().return_(&[]);
    trampoline.finish();
    Ok(())
}

/// A trampoline under construction.
pub(crate) struct Trampoline<'a, 'f> {
    isa: &'a dyn TargetIsa,
    pub builder: FunctionBuilder<'f>,
    entry: Block,
    pub ctx: Value,
}

impl<'a, 'f> Trampoline<'a, 'f> {
    pub fn new(
        input: &Input<'a>,
        signature: ClifSignature,
        check_stack: bool,
        scratch: &'f mut Scratch,
    ) -> Self {
        let func = &mut scratch.context.func;
        func.signature = signature;
        if check_stack {
            translate::check_stack_limit(func);
        }
        let mut builder = FunctionBuilder::new(func, &mut scratch.builder);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        builder.seal_block(entry);
        let ctx = builder.block_params(entry)[0];
        Self {
            isa: &**input.isa,
            builder,
            entry,
            ctx,
        }
    }

    pub fn finish(mut self) {
        self.builder.seal_all_blocks();
        self.builder.finalize(self.isa.frontend_config());
    }

    /// The parameters behind `ctx`.
    pub fn parameters(&self) -> Vec<Value> {
        self.builder.block_params(self.entry)[1..].to_vec()
    }

    /// A word that does not change while an instance lives.
    fn immutable_word(&mut self, base: Value, offset: i32) -> Value {
        self.builder.ins().load(
            POINTER,
            MemFlagsData::trusted().with_readonly().with_can_move(),
            base,
            offset,
        )
    }

    /// An immutable word of the control block.
    pub fn control_word(&mut self, offset: i32) -> Value {
        self.immutable_word(self.ctx, ControlBlock::from_ctx(offset))
    }

    fn builtin_address(&mut self, slot: usize) -> Value {
        let builtins = self.control_word(control_offsets::builtins);
        self.immutable_word(builtins, slot as i32 * size_of::<usize>() as i32)
    }

    /// Traps when the component instance must not call out: its `realloc` or `post-return` runs.
    pub fn check_may_leave(&mut self) {
        let offset = ControlBlock::from_ctx(control_offsets::flags);
        let ins = self.builder.ins();
        let flags = ins.load(types::I64, MemFlagsData::trusted(), self.ctx, offset);
        let may_leave = self
            .builder
            .ins()
            .band_imm_u(flags, ControlBlock::MAY_LEAVE as i64);
        let code = TrapCode::unwrap_user(Trap::CannotLeaveComponent as u8);
        self.builder.ins().trapz(may_leave, code);
    }

    /// Records where wasm code is left: this frame, and a pc in this trampoline, which is `key`.
    pub fn record_exit(&mut self, key: FuncKey) {
        let signature = self.builder.func.signature.clone();
        let this = self.import_key(key, signature);
        let record = self.control_word(control_offsets::current);
        let fp = self.builder.ins().get_frame_pointer(POINTER);
        let pc = self.builder.ins().func_addr(POINTER, this);
        self.builder
            .ins()
            .store(MemFlagsData::trusted(), fp, record, exit_offsets::fp);
        self.builder
            .ins()
            .store(MemFlagsData::trusted(), pc, record, exit_offsets::pc);
    }

    fn call_host(
        &mut self,
        signature: ClifSignature,
        func: Value,
        arguments: &[Value],
    ) -> Vec<Value> {
        let signature = self.builder.import_signature(signature);
        let call = self.builder.ins().call_indirect(signature, func, arguments);
        self.builder.inst_results(call).to_vec()
    }

    /// Calls the function in entry `number` of the host table with an array of `words` words that
    /// starts with `values`: the array, with its results. The frame must have been recorded.
    pub fn call_import(
        &mut self,
        number: usize,
        words: usize,
        types: &[ValType],
        values: &[Value],
    ) -> Value {
        let slot = self.builder.create_sized_stack_slot(StackSlotData::new(
            StackSlotKind::ExplicitSlot,
            words as u32 * WORD as u32,
            WORD_LOG2,
        ));
        let array = self.builder.ins().stack_addr(POINTER, slot, 0);
        self.store_words(array, types, values);

        let imports = self.control_word(control_offsets::host_imports);
        let entry = number as i32 * size_of::<HostImport>() as i32;
        let func = self.immutable_word(imports, entry + host_import_offsets::func);
        let data = self.immutable_word(imports, entry + host_import_offsets::data);
        let host = abi::host_import_signature(self.isa);
        let arguments = [self.ctx, data, array];
        let failed = self.call_host(host, func, &arguments)[0];
        // Code 0: the host function left its error with the runtime.
        let code = self.builder.ins().iconst(types::I32, 0);
        self.raise_if(failed, code);
        array
    }

    /// Calls a function of the program by its key.
    pub fn call_key(
        &mut self,
        key: FuncKey,
        signature: ClifSignature,
        arguments: &[Value],
    ) -> Vec<Value> {
        let func = self.import_key(key, signature);
        let call = self.builder.ins().call(func, arguments);
        self.builder.inst_results(call).to_vec()
    }

    fn import_key(&mut self, key: FuncKey, signature: ClifSignature) -> FuncRef {
        let func = &mut self.builder.func;
        let signature = func.import_signature(signature);
        let name = func.declare_imported_user_function(abi::external_name(key));
        func.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: true,
            patchable: false,
        })
    }

    /// Ends the call into wasm code with trap `code` if `condition` is not zero.
    fn raise_if(&mut self, condition: Value, code: Value) {
        let raise = self.builder.create_block();
        let rest = self.builder.create_block();
        self.builder.set_cold_block(raise);
        self.builder.ins().brif(condition, raise, [], rest, []);

        self.builder.switch_to_block(raise);
        let stub = self.builtin_address(RAISE_SLOT);
        let arguments = [self.ctx, code];
        self.call_host(abi::raise_signature(self.isa), stub, &arguments);
        // The stub does not come back.
        self.builder
            .ins()
            .trap(TrapCode::unwrap_user(Trap::UnreachableCodeReached as u8));

        self.builder.switch_to_block(rest);
    }

    /// Writes `values` to an array of words: 4-byte values in the low half, vectors over two words.
    fn store_words(&mut self, array: Value, types: &[ValType], values: &[Value]) {
        for ((_, offset), &value) in places(types).zip(values) {
            self.builder.ins().store(ARRAY_ACCESS, value, array, offset);
        }
    }

    /// Reads values from an array of words.
    fn load_words(&mut self, array: Value, types: &[ValType]) -> Vec<Value> {
        let load = |(ty, offset)| self.builder.ins().load(ty, ARRAY_ACCESS, array, offset);
        places(types).map(load).collect()
    }
}

/// The type and the byte offset in an argument array of each of `types`.
fn places(types: &[ValType]) -> impl Iterator<Item = (Type, i32)> {
    let mut words = 0;
    types.iter().map(move |&ty| {
        let offset = words * WORD;
        words += ty.words() as i32;
        (abi::clif_type(ty), offset)
    })
}
