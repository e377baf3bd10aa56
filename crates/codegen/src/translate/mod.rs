//! A core function, WebAssembly operators to CLIF.
//!
//! Bodies are validated before they come here, so operand types and stack heights are taken for
//! granted. The walk keeps the operand stack as SSA values and the control stack as
//! [`control::Frame`]s; code that cannot be reached is skipped, not translated, so it needs no
//! operands.
//!
//! To add an operator: add it to the `match` of its family's file; a new family is one file and one
//! line in [`Translator::operator`].

mod arrays;
mod atomic;
mod bulk;
mod call;
mod cast;
mod control;
mod exceptions;
mod global;
mod heap;
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
use crate::compiler::{Effort, Input, Scratch};
use crate::emit::{Declarations, Region, StackCheck, known_integer, open};
use crate::metering::{self, Meter};
use anyhow::{Context as _, Result, bail, ensure};
use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder, MemFlagsData, SourceLoc, TrapCode, Type, Value, types,
};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use mintage_environ::{CoreInstanceId, FuncIndex, ObjectTypeId, SigId, limit, unsupported};
use mintage_program::{Body, CoreInstance, Module};
use smallvec::SmallVec;
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// Storage of the translation, reused from function to function.
#[derive(Default)]
pub(crate) struct Buffers {
    pub declarations: Declarations,
    stack: Vec<Value>,
    frames: Vec<control::Frame>,
}

/// The translation of one function.
struct Translator<'a, 'f> {
    input: Input<'a>,
    module: &'a Module<'a>,
    instance: &'a CoreInstance,
    instance_id: CoreInstanceId,
    builder: FunctionBuilder<'f>,
    /// What the function refers to: signatures, functions, alias regions.
    declarations: &'f mut Declarations,
    /// The operand stack.
    stack: &'f mut Vec<Value>,
    /// The control stack; the function itself is at the bottom.
    frames: &'f mut Vec<control::Frame>,
    /// The `try_table`s that are open.
    scopes: Vec<exceptions::CatchScope>,
    /// Whether the current place can be reached.
    reachable: bool,
    /// How many blocks were opened since the current place cannot be reached.
    skipped_blocks: u32,
    /// The context pointer.
    ctx: Value,
    /// What counts like values so far, besides those that there are.
    charged: usize,
    /// Operands that were copied to calls and branches so far.
    copied: usize,
    /// Locals and parameters.
    locals: locals::Locals,
    /// The most operands so far.
    depth: usize,
    /// What counts the operators, if fuel is to be consumed.
    meter: Meter,
}

/// What a block, a call and a target of a `br_table` count as, in values: by what the code
/// generator takes for one.
const BLOCK_VALUES: usize = 64;
const CALL_VALUES: usize = 32;
const TARGET_VALUES: usize = 64;

/// The most blocks of a function that is optimized, and the most locals and operands that it may
/// have at a time: beyond, both optimization and the choice of registers take time with the square.
/// With so many instructions they take long enough, too.
const MAX_OPTIMIZED_BLOCKS: usize = 1 << 15;
const MAX_OPTIMIZED_INSTRUCTIONS: usize = 1 << 20;
const MAX_OPTIMIZED_WIDTH: usize = 1 << 13;
/// How many values, with those that are copied to calls and branches, a function may have for each
/// of its instructions, and in any case, to be optimized. Ordinary code has about one; nested loops
/// over many locals have hundreds, of which each is live in all the blocks.
const OPTIMIZED_VALUES: usize = 4;
const OPTIMIZED_VALUES_ALWAYS: usize = 1 << 12;

/// Translates function `func` of core instance `instance_id` to CLIF, left in the scratch context.
pub(crate) fn core_function(
    input: &Input<'_>,
    instance_id: CoreInstanceId,
    func: FuncIndex,
    scratch: &mut Scratch,
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
    let body = func
        .as_u32()
        .checked_sub(module.imported_funcs)
        .and_then(|index| module.bodies.get(index as usize));
    let body = *body.context("internal error: an imported function has no body")?;

    let Buffers {
        declarations,
        stack,
        frames,
    } = &mut scratch.buffers;
    declarations.clear();
    stack.clear();
    frames.clear();
    let signature = abi::wasm_signature(&input.program.interface.signatures[sig]);
    let clif = &mut scratch.context.func;
    let (builder, entry) = open(clif, &mut scratch.builder, signature, StackCheck::OnEntry);
    let ctx = builder.block_params(entry)[0];
    let mut translator = Translator {
        input: *input,
        module,
        instance,
        instance_id,
        builder,
        declarations,
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
    let (effort, values) = (translator.effort(), translator.values());
    translator.builder.finalize(input.isa.frontend_config());
    scratch.effort = effort;
    scratch.values = values;
    Ok(())
}

impl<'a, 'f> Translator<'a, 'f> {
    fn body(&mut self, body: &Body<'a>, entry: Block, sig: SigId) -> Result<()> {
        let body = FunctionBody::new(BinaryReader::new(body.bytes, body.offset as u64));
        let mut operators = self.declare_variables(&body, entry, sig)?;
        self.open_function(sig);
        self.set_location(operators.original_position());
        self.check_interrupt();
        self.start_meter();
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

    /// Starts to count fuel, if it is to be consumed.
    fn start_meter(&mut self) {
        if self.input.tunables.consume_fuel {
            let flags = self.trusted(Region::Fuel);
            self.meter = Meter::start(&mut self.builder, self.ctx, flags);
        }
    }

    /// Pays for an operation on `count` items of `size` bytes, a power of two, if lengths are to be
    /// paid for.
    fn pay_length(&mut self, count: Value, size: u32) {
        let tunables = self.input.tunables;
        if tunables.consume_fuel && tunables.fuel_by_length {
            let wide = self.type_of(count) == types::I64;
            let count = self.zero_extended(count);
            self.meter.pay_length(&mut self.builder, count, size, wide);
        }
    }

    /// Traps when the guest is to stop; see [`metering::check_interrupt`].
    fn check_interrupt(&mut self) {
        metering::check_interrupt(self.input.tunables, &mut self.builder, self.ctx);
    }

    /// Code from here on is that of the operator at byte `offset` of the component.
    fn set_location(&mut self, offset: u64) {
        if self.input.tunables.address_map {
            self.builder
                .set_srcloc(SourceLoc::new(u32::try_from(offset).unwrap_or(u32::MAX)));
        }
    }

    /// Translates one operator that can be reached.
    fn operator(&mut self, operator: &Operator<'a>) -> Result<()> {
        // Ordered by how often the families occur in real code.
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

    /// Notes that something counts like `count` values.
    fn charge(&mut self, count: usize) {
        self.charged += count;
    }

    /// Notes that `count` operands are copied to a call or a branch.
    fn charge_copies(&mut self, count: usize) {
        self.copied += count;
    }

    /// The function's values, with the operands that are copied to calls and branches.
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

    /// Takes the top of the operand stack.
    fn pop(&mut self) -> Value {
        self.stack.pop().expect("validated code finds its operands")
    }

    /// Takes the two topmost operands, in the order in which they were pushed.
    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Takes the three topmost operands, in the order in which they were pushed.
    fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// The `count` topmost operands, in the order in which they were pushed.
    fn top(&self, count: usize) -> &[Value] {
        &self.stack[self.stack.len() - count..]
    }

    /// The `count` topmost operands as arguments of a branch.
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

    /// The function type at `index` of the module's types.
    fn func_type(&self, index: u32) -> SigId {
        self.module
            .func_type(index)
            .expect("validated code names function types where it must")
    }

    /// The struct or array type at `index` of the module's types.
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

    /// The number that `value` is, when that is known here; zero-extended.
    fn known_integer(&self, value: Value) -> Option<u64> {
        known_integer(self.builder.func, value)
    }

    /// Ends the current block with a trap; what follows cannot be reached.
    fn trap(&mut self, code: TrapCode) {
        self.ins().trap(code);
        self.reachable = false;
    }
}

/// The operator's name without its immediates.
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
