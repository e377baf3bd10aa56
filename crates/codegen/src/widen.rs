//! Indices are kept as 64 bits.
//!
//! An index of a 32-bit memory is extended to 64 bits before it is added to an address. For the
//! result of an addition, say, that takes no instruction, since the processor clears the upper half
//! of the register. The code generator does not look further than that: it extends a loaded value,
//! or a variable of a loop, at each use. That costs an instruction. Where a loop follows a linked
//! list, it also costs a cycle for each element.
//!
//! So a load whose value becomes an index loads 64 bits, the upper half zero. A parameter of a
//! block that becomes an index has 64 bits, if that takes no instruction in the branches to it. The
//! value of 32 bits is the lower half of the other one, in the same register.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef,
};
use hashbrown::HashMap;

/// The number of parameters of a block that are looked at. Finding the argument for a parameter
/// takes time with its number, for each of maybe many branches.
const MAX_PARAMETERS: usize = 64;

/// Widens what becomes an index.
pub(crate) fn widen_indices(func: &mut Function) {
    let extensions = extensions(func);
    if extensions.is_empty() {
        return;
    }
    let phis = phis(func, &extensions);
    let mut wide = HashMap::new();
    for &(_, value) in &extensions {
        widen_load(func, value, &mut wide);
    }
    for phi in &phis {
        for edge in &phi.edges {
            widen_load(func, edge.argument, &mut wide);
        }
        widen_parameter(func, phi.parameter, &mut wide);
    }
    let mut arguments = Vec::new();
    for phi in &phis {
        for edge in &phi.edges {
            let argument = wide_argument(func, edge, &wide);
            arguments.push((edge.branch, edge.target, phi.number, argument));
        }
    }
    pass(func, arguments);
    for (inst, value) in extensions {
        if let Some(&wide) = wide.get(&value) {
            let extended = func.dfg.first_result(inst);
            func.layout.remove_inst(inst);
            func.dfg.detach_inst_results(inst);
            func.dfg.change_to_alias(extended, wide);
        }
    }
}

/// A parameter of a block that becomes an index, or the argument of one that does.
struct Phi {
    parameter: Value,
    /// The place among the parameters of the block.
    number: usize,
    edges: Vec<Edge>,
    /// Whether the block is the head of a loop.
    is_loop: bool,
}

/// A branch to the block of a [`Phi`].
struct Edge {
    branch: Inst,
    /// The place among the targets of the branch.
    target: usize,
    argument: Value,
    /// Whether this goes back to the head of a loop.
    is_back: bool,
}

/// Returns the instructions that extend 32 bits to 64, and what they extend.
fn extensions(func: &Function) -> Vec<(Inst, Value)> {
    let mut found = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            if let InstructionData::Unary {
                opcode: Opcode::Uextend,
                arg,
            } = func.dfg.insts[inst]
                && func.dfg.value_type(arg) == I32
                && func.dfg.value_type(func.dfg.first_result(inst)) == I64
            {
                found.push((inst, func.dfg.resolve_aliases(arg)));
            }
        }
    }
    found
}

/// Returns the parameters of blocks to widen.
fn phis(func: &Function, extensions: &[(Inst, Value)]) -> Vec<Phi> {
    let mut numbers: HashMap<Value, usize> = HashMap::new();
    let mut pending: Vec<Value> = Vec::new();
    for &(_, value) in extensions {
        if is_phi(func, value) && !numbers.contains_key(&value) {
            numbers.insert(value, numbers.len());
            pending.push(value);
        }
    }
    if pending.is_empty() {
        return Vec::new();
    }
    let roots = pending.len();
    let branches = branches(func);
    let mut phis: Vec<Option<Phi>> = Vec::new();
    let mut next = 0;
    while let Some(&parameter) = pending.get(next) {
        next += 1;
        let phi = phi(func, &branches, parameter);
        for edge in phi.iter().flat_map(|phi| &phi.edges) {
            if is_phi(func, edge.argument) && !numbers.contains_key(&edge.argument) {
                numbers.insert(edge.argument, numbers.len());
                pending.push(edge.argument);
            }
        }
        phis.push(phi);
    }

    // Drop those with an argument whose extension takes an instruction, unless that is in front of
    // a loop, and then those that depend on them.
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); phis.len()];
    let mut bad = Vec::new();
    for (index, phi) in phis.iter().enumerate() {
        let Some(phi) = phi else {
            bad.push(index);
            continue;
        };
        let in_branches = phi.edges.iter().filter(|edge| !phi.is_loop || edge.is_back);
        for edge in in_branches {
            match numbers.get(&edge.argument) {
                Some(&argument) => dependents[argument].push(index),
                None if extends_for_free(func, edge.argument) => {}
                None => bad.push(index),
            }
        }
    }
    while let Some(index) = bad.pop() {
        phis[index] = None;
        bad.append(&mut dependents[index]);
    }

    // Keep those that an index depends on.
    let mut kept = Vec::new();
    let mut pending: Vec<usize> = (0..roots).collect();
    while let Some(index) = pending.pop() {
        let Some(phi) = phis[index].take() else {
            continue;
        };
        let arguments = phi.edges.iter().map(|edge| &edge.argument);
        pending.extend(arguments.filter_map(|argument| numbers.get(argument)));
        kept.push(phi);
    }
    kept
}

/// A branch: where it goes, the instruction, the place among the targets of the instruction, and
/// whether it goes back.
type Branch = (Block, Inst, usize, bool);

/// Returns all branches, ordered by where they go.
fn branches(func: &Function) -> Vec<Branch> {
    let mut branches = Vec::new();
    let mut reached: SecondaryMap<Block, bool> = SecondaryMap::new();
    for block in func.layout.blocks() {
        reached[block] = true;
        let Some(inst) = func.layout.last_inst(block) else {
            continue;
        };
        let targets = func.dfg.insts[inst]
            .branch_destination(&func.dfg.jump_tables, &func.dfg.exception_tables);
        for (index, target) in targets.iter().enumerate() {
            let target = target.block(&func.dfg.value_lists);
            branches.push((target, inst, index, reached[target]));
        }
    }
    branches.sort_unstable();
    branches
}

/// Returns a block parameter with the arguments that branches pass for it. `None` if one of them is
/// the result of a call.
fn phi(func: &Function, branches: &[Branch], parameter: Value) -> Option<Phi> {
    let ValueDef::Param(block, number) = func.dfg.value_def(parameter) else {
        return None;
    };
    let start = branches.partition_point(|&(target, ..)| target < block);
    let branches = branches[start..]
        .iter()
        .take_while(|&&(target, ..)| target == block);
    let mut phi = Phi {
        parameter,
        number,
        edges: Vec::new(),
        is_loop: false,
    };
    for &(_, branch, target, is_back) in branches {
        let targets = func.dfg.insts[branch]
            .branch_destination(&func.dfg.jump_tables, &func.dfg.exception_tables);
        let argument = targets[target].args(&func.dfg.value_lists).nth(number)?;
        phi.is_loop |= is_back;
        phi.edges.push(Edge {
            branch,
            target,
            argument: func.dfg.resolve_aliases(argument.as_value()?),
            is_back,
        });
    }
    Some(phi)
}

/// Returns whether a value is a parameter of a block that may be widened.
fn is_phi(func: &Function, value: Value) -> bool {
    match func.dfg.value_def(value) {
        ValueDef::Param(block, number) => {
            Some(block) != func.layout.entry_block() && number < MAX_PARAMETERS
        }
        _ => false,
    }
}

/// Returns whether a value is extended without another instruction.
fn extends_for_free(func: &Function, value: Value) -> bool {
    use Opcode::{Band, Bor, Bxor, Iadd, Iconst, Imul, Ishl, Isub, Load, Uextend, Ushr};
    let ValueDef::Result(inst, 0) = func.dfg.value_def(value) else {
        return false;
    };
    match func.dfg.insts[inst].opcode() {
        Iadd | Isub | Imul | Band | Bor | Bxor | Ishl | Ushr | Iconst | Load | Uextend => true,
        _ => lower_half(func, value).is_some(),
    }
}

/// Returns the value that was loaded, if `value` is its lower half, and the upper one is zero.
fn lower_half(func: &Function, value: Value) -> Option<Value> {
    let definition = |value| match func.dfg.value_def(value) {
        ValueDef::Result(inst, 0) => Some(func.dfg.insts[inst]),
        _ => None,
    };
    let InstructionData::Unary {
        opcode: Opcode::Ireduce,
        arg,
    } = definition(value)?
    else {
        return None;
    };
    let arg = func.dfg.resolve_aliases(arg);
    let opcode = definition(arg)?.opcode();
    matches!(opcode, Opcode::Uload8 | Opcode::Uload16 | Opcode::Uload32).then_some(arg)
}

/// Makes a load of 32 bits one that extends them.
fn widen_load(func: &mut Function, value: Value, wide: &mut HashMap<Value, Value>) {
    if wide.contains_key(&value) {
        return;
    }
    let ValueDef::Result(inst, 0) = func.dfg.value_def(value) else {
        return;
    };
    let InstructionData::Load { opcode, .. } = &mut func.dfg.insts[inst] else {
        return;
    };
    if *opcode != Opcode::Load {
        return;
    }
    *opcode = Opcode::Uload32;
    let loaded = func.dfg.replace_result(value, I64);
    let location = func.srcloc(inst);
    let mut cursor = FuncCursor::new(func).after_inst(inst).with_srcloc(location);
    let half = cursor.ins().ireduce(I32, loaded);
    func.dfg.change_to_alias(value, half);
    wide.insert(value, loaded);
}

/// Makes a parameter of a block one of 64 bits.
fn widen_parameter(func: &mut Function, value: Value, wide: &mut HashMap<Value, Value>) {
    let ValueDef::Param(block, _) = func.dfg.value_def(value) else {
        return;
    };
    let parameter = func.dfg.replace_block_param(value, I64);
    let mut cursor = FuncCursor::new(func).at_first_insertion_point(block);
    let half = cursor.ins().ireduce(I32, parameter);
    func.dfg.change_to_alias(value, half);
    wide.insert(value, parameter);
}

/// Returns 64 bits to pass for the parameter of a [`Phi`].
fn wide_argument(func: &mut Function, edge: &Edge, wide: &HashMap<Value, Value>) -> Value {
    let known = wide.get(&edge.argument).copied();
    known
        .or_else(|| lower_half(func, edge.argument))
        .unwrap_or_else(|| {
            let location = func.srcloc(edge.branch);
            let cursor = FuncCursor::new(func).at_inst(edge.branch);
            let mut cursor = cursor.with_srcloc(location);
            cursor.ins().uextend(I64, edge.argument)
        })
}

/// Passes other arguments. Each is of a branch and one of its targets, for the parameter of a
/// number.
fn pass(func: &mut Function, mut arguments: Vec<(Inst, usize, usize, Value)>) {
    arguments.sort_unstable();
    let dfg = &mut func.dfg;
    for group in arguments.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (branch, target, ..) = group[0];
        let targets = dfg.insts[branch]
            .branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
        let mut new = group.iter().peekable();
        let mut place = 0..;
        targets[target].update_args(&mut dfg.value_lists, |old| {
            let place = place.next();
            match new.next_if(|&&(.., number, _)| Some(number) == place) {
                Some(&(.., value)) => BlockArg::Value(value),
                None => old,
            }
        });
    }
}
