//! Translation of core functions: from WebAssembly operators to CLIF.
//!
//! Bodies have been validated, so operand types and stack heights are taken for granted. The walk
//! keeps the operand stack as SSA values and the control stack as [`control::Frame`]s. Unreachable
//! code is skipped, not translated, so it needs no operands.
//!
//! To add an operator, add it to the `match` of its family, which is a file. A new family is a
//! file, and a line in [`Translator::operator`].

mod arrays;
mod atomic;
mod bulk;
mod call;
mod cast;
mod control;
mod exceptions;
mod global;
mod heap;
mod inlined;
mod locals;
mod memory;
mod numeric;
mod references;
mod simd;
mod structs;
mod table;
mod variable;
mod wide;

use crate::abi;
use crate::emit::{
    Declarations, Effort, Input, Region, StackCheck, Workspace, known_integer, open,
};
use crate::metering::{self, Meter};
use anyhow::{Context as _, Result, bail, ensure};
use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder, MemFlagsData, SourceLoc, TrapCode, Type, Value, types,
};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use mintage_environ::{
    CoreInstanceId, FuncIndex, FuncKey, ObjectTypeId, SigId, Tunables, limit, unsupported,
};
use mintage_program::{Body, CoreInstance, Module, Program};
use smallvec::SmallVec;
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// The operand stack and the control stack of a translation, reused from function to function.
#[derive(Default)]
pub(crate) struct Stacks {
    stack: Vec<Value>,
    frames: Vec<control::Frame>,
}

/// The state of the translation of one function.
struct Translator<'a, 'f> {
    input: Input<'a>,
    /// The module and instance that indices are of: those of the function, or of one that is
    /// inlined into it.
    module: &'a Module<'a>,
    instance: &'a CoreInstance,
    instance_id: CoreInstanceId,
    /// The number of calls, one in the other, that are inlined at the current place.
    inlined_into: usize,
    builder: FunctionBuilder<'f>,
    /// The signatures, functions and alias regions that the function refers to.
    declarations: &'f mut Declarations,
    /// The operand stack.
    stack: &'f mut Vec<Value>,
    /// The control stack; the function itself is at the bottom.
    frames: &'f mut Vec<control::Frame>,
    /// The open `try_table`s.
    scopes: Vec<exceptions::CatchScope>,
    /// Whether the current place is reachable.
    reachable: bool,
    /// The number of blocks that were opened since the current place became unreachable.
    skipped_blocks: u32,
    /// The context pointer.
    ctx: Value,
    /// The charges so far for things that are not values but need memory like values.
    charged: usize,
    /// The number of operands that were copied to calls and branches so far.
    copied: usize,
    /// The variables of locals and parameters.
    locals: locals::Locals,
    /// The largest height of the operand stack so far.
    depth: usize,
    /// The counting of operators for fuel.
    meter: Meter,
}

/// The charge for a block, in values: the code generator uses as much memory for it.
const BLOCK_VALUES: usize = 64;
/// The charge for a call, in values.
const CALL_VALUES: usize = 32;
/// The charge for a target of `br_table`, in values.
const TARGET_VALUES: usize = 64;

/// The largest number of blocks of a function that is optimized. Optimization and register
/// allocation take time with the square of it.
const MAX_OPTIMIZED_BLOCKS: usize = 1 << 15;
/// The largest number of instructions of a function that is optimized. More take long enough
/// without optimization.
const MAX_OPTIMIZED_INSTRUCTIONS: usize = 1 << 20;
/// The largest number of locals and operands of a function that is optimized. Optimization and
/// register allocation take time with the square of it.
const MAX_OPTIMIZED_WIDTH: usize = 1 << 13;
/// The largest number of values for each instruction of a function that is optimized, in addition
/// to [`OPTIMIZED_VALUES_ALWAYS`]. Copies for calls and branches count as values. Ordinary code has
/// about one value per instruction. Nested loops over many locals have hundreds, each of which is
/// live in all the blocks.
const OPTIMIZED_VALUES: usize = 4;
/// The number of values that a function may have whatever its number of instructions is.
const OPTIMIZED_VALUES_ALWAYS: usize = 1 << 12;

/// Translates function `func` of core instance `instance_id` to CLIF, which is left in the
/// workspace.
pub(crate) fn core_function(
    input: &Input<'_>,
    instance_id: CoreInstanceId,
    func: FuncIndex,
    workspace: &mut Workspace,
    stacks: &mut Stacks,
) -> Result<()> {
    let instance = input
        .program
        .instances
        .get(instance_id)
        .context("internal error: no such core instance")?;
    let module = &input.program.modules[instance.module];
    let sig = *module
        .funcs
        .get(func)
        .context("internal error: no such function")?;
    let body = module.body(func);
    let body = *body.context("internal error: an imported function has no body")?;

    let Stacks { stack, frames } = stacks;
    stack.clear();
    frames.clear();
    let signature = abi::wasm_signature(&input.program.interface.signatures[sig]);
    let clif = &mut workspace.context.func;
    let (builder, entry) = open(clif, &mut workspace.builder, signature, StackCheck::OnEntry);
    let ctx = builder.block_params(entry)[0];
    let mut translator = Translator {
        input: *input,
        module,
        instance,
        instance_id,
        inlined_into: 0,
        builder,
        declarations: &mut workspace.declarations,
        stack,
        frames,
        scopes: Vec::new(),
        reachable: true,
        skipped_blocks: 0,
        ctx,
        charged: 0,
        copied: 0,
        locals: locals::Locals::default(),
        depth: 0,
        meter: Meter::off(),
    };
    translator.body(&body, entry, sig)?;
    translator.builder.seal_all_blocks();
    let (effort, copied) = (translator.effort(), translator.copied);
    translator.builder.finalize(input.isa.frontend_config());
    workspace.effort = effort;
    workspace.copied = copied;
    Ok(())
}

/// Returns the location of a core function, if code has locations.
pub(crate) fn start(program: &Program<'_>, key: FuncKey, tunables: &Tunables) -> Option<SourceLoc> {
    let body = program.body(key)?;
    tunables.address_map.then(|| location(body.offset as u64))
}

/// Returns the location of the code for byte `offset` of the component.
fn location(offset: u64) -> SourceLoc {
    SourceLoc::new(u32::try_from(offset).unwrap_or(u32::MAX))
}

impl<'a, 'f> Translator<'a, 'f> {
    fn body(&mut self, body: &Body<'a>, entry: Block, sig: SigId) -> Result<()> {
        // The first location is the function's own, for backtraces.
        if self.input.tunables.address_map {
            let start = location(body.offset as u64);
            self.builder.func.params.ensure_base_srcloc(start);
        }
        let body = FunctionBody::new(BinaryReader::new(body.bytes, body.offset as u64));
        let mut operators = self.declare_variables(&body, entry, sig)?;
        self.open_function(sig);
        self.set_location(operators.original_position());
        self.start_meter();
        self.check_in();
        self.meter.enter(&mut self.builder);
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            self.set_location(offset);
            self.meter
                .before(&mut self.builder, &operator, self.reachable);
            if self.reachable {
                self.operator(&operator)
                    .and_then(|()| self.check_size())
                    .with_context(|| format!("at byte offset {offset:#x}"))?;
            } else {
                self.skip(&operator);
            }
            self.meter
                .after(&mut self.builder, &operator, self.reachable);
        }
        Ok(())
    }

    /// Starts to count fuel if it is consumed.
    fn start_meter(&mut self) {
        if self.input.tunables.consume_fuel {
            let flags = self.trusted(Region::Fuel);
            self.meter = Meter::start(&mut self.builder, self.ctx, flags);
        }
    }

    /// Pays for an operation on `count` items of `size` bytes, a power of two, if lengths cost
    /// fuel.
    fn pay_length(&mut self, count: Value, size: u32) {
        let tunables = self.input.tunables;
        if tunables.consume_fuel && tunables.fuel_by_length {
            let wide = self.type_of(count) == types::I64;
            let count = self.zero_extended(count);
            self.meter.pay_length(&mut self.builder, count, size, wide);
        }
    }

    /// Checks in with the store; see [`metering::check_in`].
    fn check_in(&mut self) {
        let tunables = self.input.tunables;
        if tunables.interruptible || tunables.consume_fuel {
            self.charge(CALL_VALUES);
            self.charge_live_references();
        }
        metering::check_in(
            tunables,
            &mut self.builder,
            self.declarations,
            &mut self.meter,
            self.ctx,
        );
    }

    /// Sets the location of the code that follows to byte `offset` of the component.
    fn set_location(&mut self, offset: u64) {
        if self.input.tunables.address_map {
            self.builder.set_srcloc(location(offset));
        }
    }

    /// Translates one reachable operator.
    fn operator(&mut self, operator: &Operator<'a>) -> Result<()> {
        // In order of how often the families occur in real code.
        let known = self.variable_operator(operator)
            || self.numeric_operator(operator)
            || self.access_operator(operator)
            || self.control_operator(operator)?
            || self.call_operator(operator)?
            || self.global_operator(operator)
            || self.simd_operator(operator)?
            || self.memory_operator(operator)
            || self.bulk_operator(operator)
            || self.reference_operator(operator)
            || self.table_operator(operator)
            || self.wide_operator(operator)
            || self.atomic_operator(operator)
            || self.exception_operator(operator)?
            || self.struct_operator(operator)?
            || self.array_operator(operator)?
            || self.cast_operator(operator)?;
        if !known {
            bail!(unsupported!(
                "the operator {} is not supported yet",
                operator_name(operator)
            ));
        }
        Ok(())
    }

    /// Charges for something that counts like `count` values.
    fn charge(&mut self, count: usize) {
        self.charged += count;
    }

    /// Charges for `count` operands that are copied to a call or a branch.
    fn charge_copies(&mut self, count: usize) {
        self.copied += count;
    }

    /// Returns the number of values of the function, counting operands that are copied to calls and
    /// branches.
    fn values(&self) -> usize {
        self.copied + self.builder.func.dfg.num_values()
    }

    /// Returns how much effort the function is worth.
    fn effort(&self) -> Effort {
        let dfg = &self.builder.func.dfg;
        let too_large = dfg.num_blocks() > MAX_OPTIMIZED_BLOCKS
            || dfg.num_insts() > MAX_OPTIMIZED_INSTRUCTIONS
            || self.locals.count + self.depth > MAX_OPTIMIZED_WIDTH
            || self.values() > dfg.num_insts() * OPTIMIZED_VALUES + OPTIMIZED_VALUES_ALWAYS;
        match too_large {
            false => Effort::Full,
            true => Effort::Least,
        }
    }

    /// Fails if the function has too many values.
    fn check_size(&mut self) -> Result<()> {
        self.depth = self.depth.max(self.stack.len());
        let most = self.input.function_values;
        ensure!(
            self.charged + self.values() + self.builder.func.dfg.num_blocks() * BLOCK_VALUES
                <= most,
            limit!(
                ComponentSize,
                "the function has more than {most} values; split it, or raise \
                 `CompileLimits::function_values`"
            )
        );
        Ok(())
    }

    /// Returns the flags of an access to `region` that is in bounds and aligned.
    fn trusted(&mut self, region: Region) -> MemFlagsData {
        let region = self.declarations.region(self.builder.func, region);
        MemFlagsData::trusted().with_alias_region(Some(region))
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops an operand.
    fn pop(&mut self) -> Value {
        self.stack.pop().expect("validated code finds its operands")
    }

    /// Pops two operands, which are returned in the order in which they were pushed.
    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Pops three operands, which are returned in the order in which they were pushed.
    fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// Returns the `count` topmost operands in the order in which they were pushed.
    fn top(&self, count: usize) -> &[Value] {
        &self.stack[self.stack.len() - count..]
    }

    /// Returns the `count` topmost operands as arguments of a branch.
    fn top_arguments(&mut self, count: usize) -> SmallVec<[BlockArg; 8]> {
        self.charge_copies(count);
        self.top(count)
            .iter()
            .copied()
            .map(BlockArg::from)
            .collect()
    }

    fn ins(&mut self) -> FuncInstBuilder<'_, 'f> {
        self.builder.ins()
    }

    /// Returns the function type at `index` of the module's types.
    fn func_type(&self, index: u32) -> SigId {
        self.module
            .func_type(index)
            .expect("validated code names function types where it must")
    }

    /// Returns the struct or array type at `index` of the module's types.
    fn object_type(&self, index: u32) -> ObjectTypeId {
        self.module
            .object_type(index)
            .expect("validated code names struct and array types where it must")
    }

    fn type_of(&self, value: Value) -> Type {
        self.builder.func.dfg.value_type(value)
    }

    fn iconst(&mut self, ty: Type, value: i64) -> Value {
        self.ins().iconst(ty, value)
    }

    /// Returns the number that `value` is known to be, zero-extended.
    fn known_integer(&self, value: Value) -> Option<u64> {
        known_integer(self.builder.func, value)
    }

    /// Ends the current block with a trap. The code that follows is unreachable.
    fn trap(&mut self, code: TrapCode) {
        self.ins().trap(code);
        self.reachable = false;
    }
}

/// Returns the name of an operator without its immediates.
fn operator_name(operator: &Operator<'_>) -> String {
    let text = format!("{operator:?}");
    text.split([' ', '{', '('])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_named_without_immediates() {
        assert_eq!(operator_name(&Operator::I8x16Splat), "I8x16Splat");
        assert_eq!(
            operator_name(&Operator::ReturnCall { function_index: 3 }),
            "ReturnCall"
        );
    }
}
