//! Branches, calls, returns and traps.

use super::assembler::{
    Arithmetic, Flag, Gpr, Label, Memory, Operand, RAX, RCX, RDX, RSP, Shift, Width,
};
use super::convention::{self, Passed, Passing};
use super::integer::Condition;
use super::moves::{self, Location, Move, Moves, Source};
use super::{Done, Emitter, SETUP_AREA, is_tail_call, precision, preserves_registers};
use crate::compiled::RelocationKind;
use crate::fast::plan::{Role, Unsupported};
use crate::output;
use crate::unbound::UnboundRelocation;
use cranelift_codegen::ir::{
    Block, BlockCall, ExternalName, GlobalValueData, Inst, InstructionData, Opcode, SigRef, Value,
    types,
};
use mintage_environ::{FrameSlots, StackMap};
use std::sync::Arc;

/// The callee of a call.
enum Callee {
    /// The function with this name among those that are declared.
    Name(u32),
    /// The code at the address in this register.
    Address(Gpr),
}

impl Emitter<'_> {
    /// Emits an instruction that branches, calls, returns or traps.
    pub(super) fn control(
        &mut self,
        inst: Inst,
        opcode: Opcode,
        next: Option<Block>,
    ) -> Result<bool, Unsupported> {
        let func = self.func;
        let data = &func.dfg.insts[inst];
        match (opcode, *data) {
            (Opcode::Jump, InstructionData::Jump { destination, .. }) => {
                self.edge(destination, next)?;
            }
            (Opcode::Brif, InstructionData::Brif { arg, blocks, .. }) => {
                self.branch(arg, blocks, next)?;
            }
            (Opcode::BrTable, InstructionData::BranchTable { arg, table, .. }) => {
                let table = &func.dfg.jump_tables[table];
                self.branch_table(arg, table.as_slice(), table.default_block())?;
            }
            (Opcode::Trap, InstructionData::Trap { code, .. }) => {
                self.may_trap(Some(code))?;
                self.assembler.halt();
            }
            (Opcode::Trapz | Opcode::Trapnz, InstructionData::CondTrap { arg, code, .. }) => {
                let trap = output::trap(code).map_err(|_| Unsupported::Unexpected)?;
                let condition = self.condition(arg)?;
                let stub = self.stub(trap);
                match opcode {
                    Opcode::Trapz => self.jump_on(condition.inverse(), stub),
                    _ => self.jump_on(condition, stub),
                }
            }
            (Opcode::Call | Opcode::ReturnCall, InstructionData::Call { func_ref, .. }) => {
                let callee = &func.dfg.ext_funcs[func_ref];
                let ExternalName::User(name) = callee.name else {
                    return Err(Unsupported::Unexpected);
                };
                let callee_name = Callee::Name(name.as_u32());
                let arguments = func.dfg.inst_args(inst);
                self.call(inst, opcode, callee.signature, callee_name, arguments)?;
            }
            (
                Opcode::CallIndirect | Opcode::ReturnCallIndirect,
                InstructionData::CallIndirect { sig_ref, .. },
            ) => {
                let [address, arguments @ ..] = func.dfg.inst_args(inst) else {
                    return Err(Unsupported::Unexpected);
                };
                self.get_in(*address, RAX)?;
                self.call(inst, opcode, sig_ref, Callee::Address(RAX), arguments)?;
            }
            (Opcode::Return, _) => self.return_(inst)?,
            (Opcode::SymbolValue, InstructionData::UnaryGlobalValue { global_value, .. }) => {
                let result = self.result(inst);
                self.symbol(&func.global_values[global_value], result)?;
            }
            (Opcode::Nop, _) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Jumps to a block with arguments, unless it is the next one.
    fn edge(&mut self, call: BlockCall, next: Option<Block>) -> Done {
        let mut moves = self.edge_moves(call)?;
        moves::emit(&mut self.assembler, &mut moves);
        let target = call.block(&self.func.dfg.value_lists);
        if next != Some(target) {
            let label = self.label(target);
            self.assembler.jump(label);
        }
        Ok(())
    }

    /// Returns the moves of arguments to the parameters of a block.
    fn edge_moves(&self, call: BlockCall) -> Result<Moves, Unsupported> {
        let dfg = &self.func.dfg;
        let target = call.block(&dfg.value_lists);
        let arguments = call.args(&dfg.value_lists);
        let mut moves = Moves::new();
        for (argument, &parameter) in arguments.zip(dfg.block_params(target)) {
            let argument = argument.as_value().ok_or(Unsupported::Unexpected)?;
            let to = self.location_of(parameter).ok_or(Unsupported::Unexpected)?;
            let from = self.source(argument)?;
            if from != Source::Location(to) {
                moves.push(Move {
                    to,
                    from,
                    precision: precision(self.type_of(parameter)),
                });
            }
        }
        Ok(moves)
    }

    fn branch(&mut self, condition: Value, calls: [BlockCall; 2], next: Option<Block>) -> Done {
        let condition = self.condition(condition)?;
        let block = |call: BlockCall| call.block(&self.func.dfg.value_lists);
        let [then, otherwise] = calls.map(block);
        let [then_moves, otherwise_moves] = calls.map(|call| self.edge_moves(call));
        match (then_moves?.is_empty(), otherwise_moves?.is_empty()) {
            (true, true) if next == Some(then) => {
                let target = self.label(otherwise);
                self.jump_on(condition.inverse(), target);
            }
            (true, false) if next == Some(then) => {
                let target = self.label(then);
                self.jump_on(condition, target);
                self.edge(calls[1], None)?;
            }
            (true, _) => {
                let target = self.label(then);
                self.jump_on(condition, target);
                self.edge(calls[1], next)?;
            }
            (false, true) => {
                let target = self.label(otherwise);
                self.jump_on(condition.inverse(), target);
                self.edge(calls[0], next)?;
            }
            (false, false) => {
                let skipped = self.assembler.label();
                self.jump_on(condition.inverse(), skipped);
                self.edge(calls[0], None)?;
                self.assembler.bind(skipped);
                self.edge(calls[1], next)?;
            }
        }
        Ok(())
    }

    /// Jumps if a condition holds.
    pub(super) fn jump_on(&mut self, condition: Condition, to: Label) {
        match condition {
            Condition::Flag(flag) => self.assembler.jump_if(flag, to),
            Condition::Equal => {
                let skipped = self.assembler.label();
                self.assembler.jump_if(Flag::Unordered, skipped);
                self.assembler.jump_if(Flag::Equal, to);
                self.assembler.bind(skipped);
            }
            Condition::NotEqual => {
                self.assembler.jump_if(Flag::Unordered, to);
                self.assembler.jump_if(Flag::NotEqual, to);
            }
        }
    }

    fn branch_table(&mut self, index: Value, calls: &[BlockCall], default: BlockCall) -> Done {
        let count = i32::try_from(calls.len()).map_err(|_| Unsupported::Unexpected)?;
        let mut edges: Vec<(Label, BlockCall)> = Vec::new();
        let mut target = |emitter: &mut Self, call: BlockCall| -> Result<Label, Unsupported> {
            if emitter.edge_moves(call)?.is_empty() {
                return Ok(emitter.label(call.block(&emitter.func.dfg.value_lists)));
            }
            let label = emitter.assembler.label();
            edges.push((label, call));
            Ok(label)
        };
        let default = target(self, default)?;
        let targets: Vec<Label> = calls
            .iter()
            .map(|&call| target(self, call))
            .collect::<Result<_, _>>()?;
        self.get_in(index, RCX)?;
        self.assembler.set_constant(RAX, 0);
        let compare = Arithmetic::Compare;
        self.assembler
            .arithmetic_constant(compare, Width::Double, RCX, count);
        self.assembler.jump_if(Flag::AboveOrEqual, default);
        // A mispredicted comparison reads the first entry.
        self.assembler.move_if(Flag::AboveOrEqual, RCX, RAX);
        let table = self.assembler.label();
        self.assembler.address(RAX, Operand::Label(table));
        self.assembler.shift(Shift::Left, Width::Double, RCX, 2);
        let entry = Memory {
            base: RAX,
            index: Some(RCX),
            displacement: 0,
        };
        self.assembler.sign_extend(32, Width::Quad, RDX, entry);
        self.arithmetic(Arithmetic::Add, RAX, RDX);
        self.assembler.jump_to(RAX);
        self.assembler.bind(table);
        for target in targets {
            self.assembler.distance(target, table);
        }
        for (label, call) in edges {
            self.assembler.bind(label);
            self.edge(call, None)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        inst: Inst,
        opcode: Opcode,
        signature: SigRef,
        callee: Callee,
        arguments: &[Value],
    ) -> Done {
        let func = self.func;
        let convention = &func.dfg.signatures[signature];
        let (parameters, stack) = convention::parameters(convention)?;
        let results = convention::results(convention)?;
        if is_tail_call(opcode) && (stack > 0 || self.incoming > 0) {
            return Err(Unsupported::Opcode(opcode));
        }
        let is_context = |&value: &Value| self.plan.role(value) == Role::Context;
        if preserves_registers(func, signature) && !arguments.iter().all(is_context) {
            return Err(Unsupported::Convention);
        }
        self.pass(arguments, parameters)?;
        if is_tail_call(opcode) {
            self.leave();
            match callee {
                Callee::Name(name) => {
                    self.assembler.jump_outside();
                    self.relocate(name, 4, -4);
                }
                Callee::Address(register) => self.assembler.jump_to(register),
            }
            return Ok(());
        }
        match callee {
            Callee::Name(name) => {
                self.assembler.call();
                self.relocate(name, 4, -4);
            }
            Callee::Address(register) => self.assembler.call_to(register),
        }
        self.stack_map(inst)?;
        if preserves_registers(func, signature) {
            return Ok(());
        }
        if stack > 0 {
            // The callee has removed its arguments.
            self.arithmetic_constant(Arithmetic::Sub, RSP, stack as i32);
        }
        self.receive(func.dfg.inst_results(inst), results);
        Ok(())
    }

    /// Moves arguments or results to where they are passed.
    fn pass(&mut self, values: &[Value], passing: Passing) -> Done {
        let mut moves = Moves::new();
        for (&value, passed) in values.iter().zip(passing) {
            let to = match passed {
                Passed::Integer(register) => Location::Integer(register.0),
                Passed::Float(register) => Location::Float(register.0),
                Passed::Stack(offset) => Location::Outgoing(offset as i32),
            };
            moves.push(Move {
                to,
                from: self.source(value)?,
                precision: precision(self.type_of(value)),
            });
        }
        moves::emit(&mut self.assembler, &mut moves);
        Ok(())
    }

    /// Moves parameters or results from where they are passed.
    pub(super) fn receive(&mut self, values: &[Value], passing: Passing) {
        let mut moves = Moves::new();
        for (&value, passed) in values.iter().zip(passing) {
            let ty = self.type_of(value);
            let from = match passed {
                Passed::Integer(register) if self.plan.role(value) == Role::Context => {
                    if register != self.context {
                        self.assembler.load(Width::Quad, self.context, register);
                    }
                    continue;
                }
                Passed::Integer(register) => {
                    if ty != types::I64 {
                        self.assembler.load(Width::Double, register, register);
                    }
                    Location::Integer(register.0)
                }
                Passed::Float(register) => Location::Float(register.0),
                // Integers on the stack are zero-extended.
                Passed::Stack(offset) => Location::Frame((SETUP_AREA + offset) as i32),
            };
            if let Some(to) = self.location_of(value) {
                moves.push(Move {
                    to,
                    from: Source::Location(from),
                    precision: precision(ty),
                });
            }
        }
        moves::emit(&mut self.assembler, &mut moves);
    }

    /// Notes the references in the frame at a call that was just emitted.
    fn stack_map(&mut self, inst: Inst) -> Done {
        let Some(entries) = self.func.dfg.user_stack_map_entries(inst) else {
            return Ok(());
        };
        let distance = |slot, offset: u32| {
            let distance = -self.frame.slot(slot);
            u32::try_from(distance).ok()?.checked_sub(offset)
        };
        let distances = entries
            .iter()
            .map(|entry| distance(entry.slot, entry.offset).ok_or(Unsupported::Unexpected))
            .collect::<Result<Vec<u32>, _>>()?;
        if distances.is_empty() {
            return Ok(());
        }
        let slots = FrameSlots::new(distances).ok_or(Unsupported::Unexpected)?;
        self.stack_maps.push(StackMap {
            return_offset: self.assembler.offset(),
            slots: Arc::new(slots),
        });
        Ok(())
    }

    fn return_(&mut self, inst: Inst) -> Done {
        self.pass(self.func.dfg.inst_args(inst), self.results.clone())?;
        self.leave();
        let incoming = u16::try_from(self.incoming).map_err(|_| Unsupported::Frame)?;
        self.assembler.return_(incoming);
        Ok(())
    }

    /// Sets a value to an address in the text, or to an offset in it.
    fn symbol(&mut self, symbol: &GlobalValueData, result: Value) -> Done {
        let GlobalValueData::Symbol {
            name: ExternalName::User(name),
            offset,
            colocated,
            tls: false,
        } = symbol
        else {
            return Err(Unsupported::Unexpected);
        };
        let register = self.target(result, RAX);
        if *colocated {
            self.assembler.address(register, Operand::Relocated);
            self.relocate(name.as_u32(), 4, offset.bits() - 4);
        } else {
            self.assembler.set_wide_constant(register, 0);
            self.relocate(name.as_u32(), 8, offset.bits());
        }
        self.set(result, register);
        Ok(())
    }

    /// Lets the last `bytes` bytes of the code be filled in with the place of a function.
    fn relocate(&mut self, name: u32, bytes: u32, addend: i64) {
        self.relocations.push(UnboundRelocation {
            offset: self.assembler.offset() - bytes,
            kind: match bytes {
                4 => RelocationKind::PcRelative4,
                _ => RelocationKind::TextOffset8,
            },
            name,
            addend,
        });
    }
}
