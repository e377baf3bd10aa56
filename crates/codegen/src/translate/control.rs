//! Structured control flow: the control stack, branches, and the unreachable code after them.
//!
//! The first branch to the end of a block creates the CLIF block there. If nothing branches to the
//! end, the results of the block just stay on the operand stack.

use super::{TARGET_VALUES, Translator};
use crate::abi;
use crate::emit::{Values, trap_code};
use anyhow::{Result, ensure};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockCall, InstBuilder, JumpTableData, Value};
use mintage_environ::{SigId, Trap, ValType, limit};
use wasmparser::{BlockType, BrTable, Operator};

/// The largest number of targets of a `br_table`, the same as in browsers.
const MAX_TABLE_TARGETS: u32 = 65520;

/// An open block.
pub(crate) struct Frame {
    kind: Kind,
    results: Results,
    /// The height of the operand stack below the block's own operands.
    height: usize,
    /// The CLIF block after the end, once something branches to it. Its parameters are the results.
    next: Option<Block>,
}

/// The results of a block. Blocks can be nested deeply, so this is small.
#[derive(Clone, Copy)]
pub(super) enum Results {
    None,
    One(ValType),
    Of(SigId),
}

enum Kind {
    /// The body of the function, a `block`, or an `if` after its `else`.
    Block,
    /// A `loop`. Branches go to its header, whose first parameters are those of the loop; the
    /// construction of SSA form adds more.
    Loop { header: Block, parameters: usize },
    /// A `try_table`.
    Try,
    /// An `if` before its `else`.
    If {
        otherwise: Block,
        parameters: Values,
    },
}

impl<'a> Translator<'a, '_> {
    pub(super) fn control_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match *operator {
            Operator::Nop => {}
            Operator::Unreachable => self.trap(trap_code(Trap::UnreachableCodeReached)),
            Operator::Block { blockty } => self.open(blockty, |_, _| Kind::Block),
            Operator::Loop { blockty } => self.open(blockty, Self::loop_header),
            Operator::If { blockty } => {
                let condition = self.pop();
                self.open(blockty, |this, parameters| {
                    this.branch_on(condition, parameters)
                });
            }
            Operator::TryTable { ref try_table } => {
                self.open_scope(try_table)?;
                self.open(try_table.ty, |_, _| Kind::Try);
            }
            Operator::Else => self.start_else(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.branch(relative_depth),
            Operator::BrIf { relative_depth } => self.branch_if(relative_depth),
            Operator::BrOnNull { relative_depth } => self.branch_on_null(relative_depth),
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(relative_depth),
            Operator::BrTable { ref targets } => self.branch_table(targets)?,
            Operator::Return => self.branch(self.frames.len() as u32 - 1),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Follows the nesting of unreachable code.
    pub(super) fn skip(&mut self, operator: &Operator<'a>) {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                self.skipped_blocks += 1;
            }
            Operator::Else if self.skipped_blocks == 0 => self.start_else(),
            Operator::End => match self.skipped_blocks.checked_sub(1) {
                Some(depth) => self.skipped_blocks = depth,
                None => self.end(),
            },
            _ => {}
        }
    }

    /// Opens the bottom frame, whose end is the end of the function.
    pub(super) fn open_function(&mut self, sig: SigId) {
        self.frames.push(Frame {
            kind: Kind::Block,
            results: Results::Of(sig),
            height: 0,
            next: None,
        });
    }

    fn open(&mut self, ty: BlockType, kind: impl FnOnce(&mut Self, &[ValType]) -> Kind) {
        let (parameters, results): (&'a [ValType], Results) = match ty {
            BlockType::Empty => (&[], Results::None),
            BlockType::Type(ty) => (&[], Results::One(self.operand_type(ty))),
            BlockType::FuncType(index) => {
                let sig = self.func_type(index);
                (
                    &self.input.program.interface.signatures[sig].params,
                    Results::Of(sig),
                )
            }
        };
        let kind = kind(self, parameters);
        let height = self.stack.len() - parameters.len();
        self.frames.push(Frame {
            kind,
            results,
            height,
            next: None,
        });
    }

    fn loop_header(&mut self, parameters: &[ValType]) -> Kind {
        let header = self.builder.create_block();
        for &ty in parameters {
            self.append_parameter(header, ty);
        }
        let arguments = self.top_arguments(parameters.len());
        self.ins().jump(header, &arguments);
        self.stack.truncate(self.stack.len() - parameters.len());
        self.builder.switch_to_block(header);
        self.stack
            .extend_from_slice(self.builder.block_params(header));
        self.check_in();
        Kind::Loop {
            header,
            parameters: parameters.len(),
        }
    }

    fn branch_on(&mut self, condition: Value, parameters: &[ValType]) -> Kind {
        let then = self.builder.create_block();
        let otherwise = self.builder.create_block();
        self.ins().brif(condition, then, [], otherwise, []);
        self.builder.seal_block(then);
        self.builder.seal_block(otherwise);
        self.builder.switch_to_block(then);
        self.charge_copies(parameters.len());
        Kind::If {
            otherwise,
            parameters: self.top(parameters.len()).into(),
        }
    }

    fn start_else(&mut self) {
        let index = self.frames.len() - 1;
        if self.reachable {
            self.jump_to_end(index);
        }
        let frame = &mut self.frames[index];
        let Kind::If {
            otherwise,
            parameters,
        } = std::mem::replace(&mut frame.kind, Kind::Block)
        else {
            unreachable!("validated code has `else` only in an `if`")
        };
        self.stack.truncate(frame.height);
        self.stack.extend_from_slice(&parameters);
        self.builder.switch_to_block(otherwise);
        self.reachable = true;
    }

    fn end(&mut self) {
        let index = self.frames.len() - 1;
        if let Kind::If { .. } = self.frames[index].kind {
            // Without an `else`, a false condition passes the parameters on as results.
            self.start_else();
        }
        if self.reachable && self.frames[index].next.is_some() {
            self.jump_to_end(index);
        }
        let frame = self.frames.pop().expect("the frame was just looked at");
        match frame.kind {
            Kind::Loop { header, .. } => self.builder.seal_block(header),
            Kind::Try => self.close_scope(),
            Kind::Block | Kind::If { .. } => {}
        }
        if let Some(next) = frame.next {
            self.builder.switch_to_block(next);
            self.stack.truncate(frame.height);
            self.stack
                .extend_from_slice(self.builder.block_params(next));
            self.builder.seal_block(next);
            self.reachable = true;
        } else if !self.reachable {
            self.stack.truncate(frame.height);
        }
        if self.frames.is_empty() && self.reachable {
            let results: Values = self.top(self.result_count(frame.results)).into();
            self.ins().return_(&results);
            self.reachable = false;
        }
    }

    /// Jumps to the end of the frame at `index`, with the results on top of the operand stack.
    fn jump_to_end(&mut self, index: usize) {
        let next = self.next_of(index);
        let arguments = self.top_arguments(self.result_count(self.frames[index].results));
        self.ins().jump(next, &arguments);
        self.reachable = false;
    }

    fn result_count(&self, results: Results) -> usize {
        match results {
            Results::None => 0,
            Results::One(_) => 1,
            Results::Of(sig) => self.input.program.interface.signatures[sig].results.len(),
        }
    }

    /// Returns the CLIF block after the end of the frame at `index`.
    fn next_of(&mut self, index: usize) -> Block {
        if let Some(next) = self.frames[index].next {
            return next;
        }
        let next = self.builder.create_block();
        match self.frames[index].results {
            Results::None => {}
            Results::One(ty) => {
                self.append_parameter(next, ty);
            }
            Results::Of(sig) => {
                for &ty in &self.input.program.interface.signatures[sig].results {
                    self.append_parameter(next, ty);
                }
            }
        }
        self.frames[index].next = Some(next);
        next
    }

    fn append_parameter(&mut self, block: Block, ty: ValType) {
        let parameter = self.builder.append_block_param(block, abi::clif_type(ty));
        self.trace(parameter, ty);
    }

    /// Returns the CLIF block that a branch to label `depth` goes to, and the number of operands
    /// that it passes.
    pub(super) fn label(&mut self, depth: u32) -> (Block, usize) {
        let index = self.frames.len() - 1 - depth as usize;
        if let Kind::Loop { header, parameters } = self.frames[index].kind {
            (header, parameters)
        } else {
            (
                self.next_of(index),
                self.result_count(self.frames[index].results),
            )
        }
    }

    fn branch(&mut self, depth: u32) {
        let (target, count) = self.label(depth);
        let arguments = self.top_arguments(count);
        self.ins().jump(target, &arguments);
        self.reachable = false;
    }

    fn branch_if(&mut self, depth: u32) {
        let condition = self.pop();
        self.branch_where(condition, depth);
    }

    /// Branches if the reference on top of the operand stack is null, without passing it.
    fn branch_on_null(&mut self, depth: u32) {
        let reference = self.pop();
        let is_null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.branch_where(is_null, depth);
        self.push(reference);
    }

    /// Branches if the reference on top of the operand stack is not null, and passes it.
    fn branch_on_non_null(&mut self, depth: u32) {
        let reference = self.top(1)[0];
        self.branch_where(reference, depth);
        self.pop();
    }

    /// Branches if `condition` is not zero.
    pub(super) fn branch_where(&mut self, condition: Value, depth: u32) {
        let (target, count) = self.label(depth);
        let arguments = self.top_arguments(count);
        let rest = self.builder.create_block();
        self.ins().brif(condition, target, &arguments, rest, []);
        self.builder.seal_block(rest);
        self.builder.switch_to_block(rest);
    }

    fn branch_table(&mut self, table: &BrTable<'a>) -> Result<()> {
        ensure!(
            table.len() <= MAX_TABLE_TARGETS,
            limit!(
                ComponentSize,
                "`br_table` has {} targets, more than the limit of {MAX_TABLE_TARGETS}; split the \
                 function",
                table.len()
            )
        );
        self.charge(table.len() as usize * TARGET_VALUES);
        let index = self.pop();
        let mut calls: Vec<BlockCall> = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            calls.push(self.block_call(depth?));
        }
        let default = self.block_call(table.default());
        let table = self
            .builder
            .create_jump_table(JumpTableData::new(default, &calls));
        self.ins().br_table(index, table);
        self.reachable = false;
        Ok(())
    }

    fn block_call(&mut self, depth: u32) -> BlockCall {
        let (target, count) = self.label(depth);
        let arguments = self.top_arguments(count);
        self.builder.func.dfg.block_call(target, &arguments)
    }
}
