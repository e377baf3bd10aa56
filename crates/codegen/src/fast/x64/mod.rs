//! Machine code for x86-64, one instruction after the other.
//!
//! ```text
//! assembler     the encoding of instructions
//! convention    where arguments and results are passed
//! moves         moves that happen at once
//! control       branches, calls, returns and traps
//! integer       operations on integers, loads and stores
//! float         operations on floats, and conversions
//! ```
//!
//! Integers are kept zero-extended to 64 bits, in registers and in the frame. `RAX`, `RCX`, `RDX`,
//! `R11`, `XMM0`, `XMM1` and `XMM15` hold no value for longer than one instruction of the
//! intermediate code. `RDI` holds none either, unless it is the context pointer of a function
//! without calls; in others that is `RBX`.

mod assembler;
mod control;
mod convention;
mod float;
mod integer;
mod moves;

use super::allocate::{Arrivals, Place, Registers, allocate};
use super::plan::{Plan, Role, Unsupported};
use crate::isa::{self, COLD_CALL_CONV};
use crate::output;
use crate::unbound::{NO_LOCATION, UnboundFunction, UnboundRelocation};
use assembler::{
    Arithmetic, Assembler, Flag, Gpr, Label, Memory, Precision, RAX, RBP, RBX, RDI, RSP, Width, Xmm,
};
use convention::Passed;
use cranelift_codegen::entity::{EntityRef, SecondaryMap};
use cranelift_codegen::ir::{
    Block, Function, GlobalValueData, Inst, Opcode, SigRef, StackSlot, TrapCode, Type, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use mintage_environ::{StackMap, Trap};
use moves::{Location, Source};
use smallvec::SmallVec;

const REGISTERS: Registers = Registers {
    // RSI, R8, R9, R10.
    clobbered: &[6, 8, 9, 10],
    // R12 to R15. RBX is the context pointer.
    preserved: &[12, 13, 14, 15],
    floats: &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
};

/// The bytes of a word of the frame.
const WORD: u32 = 8;
/// The alignment of the stack pointer at calls.
const STACK_ALIGNMENT: u32 = 16;
/// The bytes that a callee stores before it checks the stack limit: the return address and the
/// frame pointer.
const SETUP_AREA: u32 = 16;
/// The size of the smallest guard page. A frame that reaches further touches each page.
const PAGE: u32 = 4096;
/// The largest frame.
const MAX_FRAME: u32 = 16 * PAGE;

/// Compiles `func` for `isa`.
pub(super) fn compile(
    isa: &dyn TargetIsa,
    func: &Function,
    plan: &mut Plan,
    address_map: bool,
) -> Result<UnboundFunction, Unsupported> {
    let (parameters, incoming) = convention::parameters(&func.signature)?;
    let results = convention::results(&func.signature)?;
    let clobbers = |inst| {
        let signature = func.dfg.call_signature(inst);
        !signature.is_some_and(|signature| preserves_registers(func, signature))
    };
    plan.make(func, clobbers)?;
    let allocation = allocate(plan, &REGISTERS, &parameters);
    let is_leaf = plan.calls.is_empty();
    let mut saved: SmallVec<[Gpr; 8]> = SmallVec::new();
    if !is_leaf {
        saved.push(RBX);
    }
    let preserved = REGISTERS.preserved.iter();
    saved.extend(
        preserved
            .filter(|&&register| allocation.integers & 1 << register != 0)
            .map(|&register| Gpr(register)),
    );
    let frame = Frame::new(func, saved.len() as u32, allocation.slots, is_leaf)?;
    let has_count = isa
        .isa_flags()
        .iter()
        .any(|flag| flag.name == "has_popcnt" && flag.as_bool() == Some(true));
    let mut emitter = Emitter {
        func,
        plan,
        places: allocation.places,
        assembler: Assembler::default(),
        blocks: SecondaryMap::new(),
        starts: Vec::new(),
        back_edges: Vec::new(),
        context: if is_leaf { RDI } else { RBX },
        frame,
        saved,
        parameters,
        results,
        incoming,
        stubs: Vec::new(),
        traps: Vec::new(),
        relocations: Vec::new(),
        stack_maps: Vec::new(),
        addresses: Vec::new(),
        address_map,
        location: NO_LOCATION,
        has_count,
    };
    emitter.function()?;
    emitter.finish(isa)
}

impl Arrivals for convention::Passing {
    fn register(&self, parameter: u32) -> Option<u8> {
        match *self.get(parameter as usize)? {
            Passed::Integer(register) => Some(register.0),
            Passed::Float(register) => Some(register.0),
            Passed::Stack(_) => None,
        }
    }

    fn is_in_memory(&self, parameter: u32) -> bool {
        matches!(self.get(parameter as usize), Some(Passed::Stack(_)))
    }
}

/// Returns whether a call preserves all registers. Its only argument is the caller's context
/// pointer, whose register holds nothing else.
fn preserves_registers(func: &Function, signature: SigRef) -> bool {
    let signature = &func.dfg.signatures[signature];
    signature.call_conv == COLD_CALL_CONV && signature.params.len() == 1
}

/// The layout of a frame, from the frame pointer down: registers that are saved, words for values,
/// stack slots of the function, arguments on the stack.
struct Frame {
    /// The number of words of saved registers.
    saved: u32,
    /// The distance of each stack slot from the frame pointer.
    slots: Vec<i32>,
    /// The size in bytes.
    size: u32,
    /// The bytes that are needed until the next check of the stack limit.
    checked: u32,
}

impl Frame {
    fn new(func: &Function, saved: u32, words: u32, is_leaf: bool) -> Result<Self, Unsupported> {
        let mut size = (saved + words)
            .checked_mul(WORD)
            .ok_or(Unsupported::Frame)?;
        let mut slots = Vec::with_capacity(func.sized_stack_slots.len());
        for slot in func.sized_stack_slots.values() {
            let alignment = (1u32 << slot.align_shift).max(WORD);
            if alignment > STACK_ALIGNMENT || slot.size > MAX_FRAME || size > MAX_FRAME {
                return Err(Unsupported::Frame);
            }
            size = (size + slot.size).next_multiple_of(alignment);
            slots.push(-(size as i32));
        }
        if !func.dynamic_stack_slots.is_empty() {
            return Err(Unsupported::Frame);
        }
        let mut outgoing = 0;
        for signature in func.dfg.signatures.values() {
            outgoing = outgoing.max(convention::parameters(signature)?.1);
        }
        let size = (size.saturating_add(outgoing)).next_multiple_of(STACK_ALIGNMENT);
        if size > MAX_FRAME {
            return Err(Unsupported::Frame);
        }
        Ok(Self {
            saved,
            slots,
            size,
            checked: size + if is_leaf { 0 } else { SETUP_AREA },
        })
    }

    /// Returns the distance of a word for values from the frame pointer.
    fn word(&self, number: u32) -> i32 {
        -(((self.saved + number + 1) * WORD) as i32)
    }

    fn slot(&self, slot: StackSlot) -> i32 {
        self.slots[slot.index()]
    }
}

/// A trap at the end of the function.
struct Stub {
    label: Label,
    trap: Trap,
    location: u32,
}

struct Emitter<'a> {
    func: &'a Function,
    plan: &'a Plan,
    places: Vec<Place>,
    assembler: Assembler,
    blocks: SecondaryMap<Block, Option<Label>>,
    /// The offsets of the blocks so far.
    starts: Vec<u32>,
    /// Backward branches: the offsets of the blocks that they are in, and go to.
    back_edges: Vec<(u32, u32)>,
    /// The register of the context pointer.
    context: Gpr,
    frame: Frame,
    /// The registers that are saved, in the order of their words.
    saved: SmallVec<[Gpr; 8]>,
    parameters: convention::Passing,
    results: convention::Passing,
    /// The bytes of parameters on the stack.
    incoming: u32,
    stubs: Vec<Stub>,
    traps: Vec<(u32, Trap)>,
    relocations: Vec<UnboundRelocation>,
    stack_maps: Vec<StackMap>,
    /// As in an [`UnboundFunction`], but absolute.
    addresses: Vec<(u32, u32)>,
    address_map: bool,
    /// The location of the current instruction.
    location: u32,
    /// Whether the processor counts bits.
    has_count: bool,
}

type Done = Result<(), Unsupported>;

impl Emitter<'_> {
    fn function(&mut self) -> Done {
        let func = self.func;
        self.locate(func.params.base_srcloc().bits());
        self.enter()?;
        let mut blocks = func.layout.blocks().peekable();
        while let Some(block) = blocks.next() {
            let label = self.label(block);
            self.assembler.bind(label);
            self.starts.push(self.assembler.offset());
            let next = blocks.peek().copied();
            for inst in func.layout.block_insts(block) {
                if self.is_left_out(inst) {
                    continue;
                }
                self.locate(func.srcloc(inst).bits());
                self.instruction(inst, next)?;
            }
        }
        Ok(())
    }

    /// Returns whether an instruction has no code of its own.
    fn is_left_out(&self, inst: Inst) -> bool {
        match *self.func.dfg.inst_results(inst) {
            [result] => {
                let role = self.plan.role(result);
                let is_copy = self.plan.root(result) != result;
                is_copy || !matches!(role, Role::Interval(_))
            }
            _ => false,
        }
    }

    fn instruction(&mut self, inst: Inst, next: Option<Block>) -> Done {
        let opcode = self.func.dfg.insts[inst].opcode();
        if self.control(inst, opcode, next)? || self.integer(inst, opcode)? {
            return Ok(());
        }
        match self.float(inst, opcode)? {
            true => Ok(()),
            false => Err(Unsupported::Opcode(opcode)),
        }
    }

    /// Emits the prologue.
    fn enter(&mut self) -> Done {
        self.assembler.push(RBP);
        self.assembler.load(Width::Quad, RBP, RSP);
        let Frame { size, checked, .. } = self.frame;
        if checked > 0 {
            if let Some(limit) = self.func.stack_limit {
                let GlobalValueData::Load { base, offset, .. } = self.func.global_values[limit]
                else {
                    return Err(Unsupported::Unexpected);
                };
                if !matches!(self.func.global_values[base], GlobalValueData::VMContext) {
                    return Err(Unsupported::Unexpected);
                }
                let limit = Memory::at(RDI, offset.into());
                self.assembler.load(Width::Quad, RAX, limit);
                if checked >= 32 << 10 {
                    // The sum below could overflow.
                    self.arithmetic(Arithmetic::Compare, RAX, RSP);
                    self.trap_if(Flag::Above, Trap::StackOverflow);
                }
                let plus = Memory::at(RAX, checked as i32);
                self.assembler.address(RAX, plus);
                self.arithmetic(Arithmetic::Compare, RAX, RSP);
                self.trap_if(Flag::Above, Trap::StackOverflow);
            }
            for page in 1..=checked / PAGE {
                let place = Memory::at(RSP, -((page * PAGE) as i32));
                self.assembler.store_constant(Width::Double, place, 0);
            }
        }
        if size > 0 {
            self.arithmetic_constant(Arithmetic::Sub, RSP, size as i32);
        }
        for (number, register) in self.saved.clone().into_iter().enumerate() {
            let place = saved_place(number);
            self.assembler.store(Width::Quad, place, register);
        }
        let Some(entry) = self.func.layout.entry_block() else {
            return Err(Unsupported::Unexpected);
        };
        let parameters = self.func.dfg.block_params(entry);
        self.receive(parameters, self.parameters.clone());
        Ok(())
    }

    /// Emits the end of a function, up to the return or jump.
    fn leave(&mut self) {
        for (number, register) in self.saved.clone().into_iter().enumerate() {
            self.assembler
                .load(Width::Quad, register, saved_place(number));
        }
        if self.frame.size > 0 {
            self.assembler.load(Width::Quad, RSP, RBP);
        }
        self.assembler.pop(RBP);
    }

    fn finish(mut self, isa: &dyn TargetIsa) -> Result<UnboundFunction, Unsupported> {
        for stub in std::mem::take(&mut self.stubs) {
            self.locate(stub.location);
            self.assembler.bind(stub.label);
            self.trap(stub.trap);
        }
        let start = self.func.params.base_srcloc().bits();
        let mut addresses = std::mem::take(&mut self.addresses);
        for (_, location) in &mut addresses {
            if *location != NO_LOCATION {
                *location = location.wrapping_sub(start);
            }
        }
        let code = self.assembler.finish().ok_or(Unsupported::Unexpected)?;
        let code_size = i32::try_from(code.len()).map_err(|_| Unsupported::Unexpected)? as u32;
        self.traps.sort_unstable_by_key(|&(offset, _)| offset);
        let loops = output::loops(&self.starts, &self.back_edges, &[], code_size);
        Ok(UnboundFunction {
            code,
            alignment: isa::function_alignment(isa, !loops.is_empty()),
            loops,
            relocations: self.relocations,
            traps: self.traps,
            catches: Vec::new(),
            stack_maps: self.stack_maps,
            addresses,
        })
    }

    /// Notes that the code that follows belongs to a location.
    fn locate(&mut self, location: u32) {
        self.location = location;
        if !self.address_map {
            return;
        }
        let offset = match self.addresses.is_empty() {
            true => 0,
            // The first byte is the function's own.
            false => self.assembler.offset().max(1),
        };
        if self
            .addresses
            .last()
            .is_some_and(|&(last, _)| last == offset)
        {
            self.addresses.pop();
        }
        if self.addresses.last().map(|&(_, location)| location) != Some(location) {
            self.addresses.push((offset, location));
        }
    }

    fn type_of(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    fn argument(&self, inst: Inst, index: usize) -> Value {
        self.func.dfg.inst_args(inst)[index]
    }

    fn result(&self, inst: Inst) -> Value {
        self.func.dfg.inst_results(inst)[0]
    }

    /// Returns the label of a block, for a branch to it or for its start.
    fn label(&mut self, block: Block) -> Label {
        let assembler = &mut self.assembler;
        let label = *self.blocks[block].get_or_insert_with(|| assembler.label());
        if let Some(to) = assembler.place(label)
            && let Some(&from) = self.starts.last()
        {
            self.back_edges.push((from, to));
        }
        label
    }

    /// Returns where a value is, if it has a place.
    fn location_of(&self, value: Value) -> Option<Location> {
        match self.plan.role(value) {
            Role::Context => Some(Location::Integer(self.context.0)),
            Role::Interval(number) => Some(match self.places.get(number as usize)? {
                Place::Integer(register) => Location::Integer(*register),
                Place::Float(register) => Location::Float(*register),
                Place::Slot(number) => Location::Frame(self.frame.word(*number)),
                Place::Incoming(number) => match self.parameters.get(*number as usize)? {
                    Passed::Stack(offset) => Location::Frame((SETUP_AREA + offset) as i32),
                    Passed::Integer(_) | Passed::Float(_) => return None,
                },
            }),
            _ => None,
        }
    }

    /// Returns a value as the source of a move.
    fn source(&self, value: Value) -> Result<Source, Unsupported> {
        match self.plan.role(value) {
            Role::Constant(bits) => Ok(Source::Constant(bits)),
            _ => Ok(Source::Location(
                self.location_of(value).ok_or(Unsupported::Unexpected)?,
            )),
        }
    }

    /// Returns a register that holds an integer, which is `scratch` unless it has one.
    fn get(&mut self, value: Value, scratch: Gpr) -> Result<Gpr, Unsupported> {
        match self.plan.role(value) {
            Role::Fused(inst) => self.compute(inst, scratch)?,
            _ => match self.source(value)? {
                Source::Location(Location::Integer(register)) => return Ok(Gpr(register)),
                source => {
                    let to = Location::Integer(scratch.0);
                    moves::one(&mut self.assembler, to, source, None);
                }
            },
        }
        Ok(scratch)
    }

    /// Moves an integer to a register.
    fn get_in(&mut self, value: Value, register: Gpr) -> Done {
        let at = self.get(value, register)?;
        if at != register {
            self.assembler.load(Width::Quad, register, at);
        }
        Ok(())
    }

    /// Returns an integer as an operand that is read with at most its own width. It is in `scratch`
    /// unless it has a place.
    fn operand(&mut self, value: Value, scratch: Gpr) -> Result<assembler::Operand, Unsupported> {
        if let Some(Location::Frame(distance)) = self.location_of(value) {
            return Ok(Memory::at(RBP, distance).into());
        }
        Ok(self.get(value, scratch)?.into())
    }

    /// Returns a register that holds a float, which is `scratch` unless it has one.
    fn get_float(&mut self, value: Value, scratch: Xmm) -> Result<Xmm, Unsupported> {
        match self.source(value)? {
            Source::Location(Location::Float(register)) => Ok(Xmm(register)),
            source => {
                let precision = precision(self.type_of(value));
                let to = Location::Float(scratch.0);
                moves::one(&mut self.assembler, to, source, precision);
                Ok(scratch)
            }
        }
    }

    /// Returns the register that a result should be computed in, which is `scratch` unless it has
    /// one.
    fn target(&self, value: Value, scratch: Gpr) -> Gpr {
        match self.location_of(value) {
            Some(Location::Integer(register)) => Gpr(register),
            _ => scratch,
        }
    }

    fn float_target(&self, value: Value, scratch: Xmm) -> Xmm {
        match self.location_of(value) {
            Some(Location::Float(register)) => Xmm(register),
            _ => scratch,
        }
    }

    /// Moves a result from the register that it was computed in to its place.
    fn set(&mut self, value: Value, register: Gpr) {
        self.put(value, Location::Integer(register.0));
    }

    fn set_float(&mut self, value: Value, register: Xmm) {
        self.put(value, Location::Float(register.0));
    }

    fn put(&mut self, value: Value, from: Location) {
        if let Some(to) = self.location_of(value)
            && to != from
        {
            let precision = precision(self.type_of(value));
            moves::one(&mut self.assembler, to, Source::Location(from), precision);
        }
    }

    fn arithmetic(&mut self, op: Arithmetic, to: Gpr, by: Gpr) {
        self.assembler.arithmetic(op, Width::Quad, to, by);
    }

    fn arithmetic_constant(&mut self, op: Arithmetic, to: Gpr, by: i32) {
        self.assembler.arithmetic_constant(op, Width::Quad, to, by);
    }

    /// Notes that the next instruction may trap.
    fn may_trap(&mut self, trap: Option<TrapCode>) -> Done {
        if let Some(code) = trap {
            let trap = output::trap(code).map_err(|_| Unsupported::Unexpected)?;
            self.traps.push((self.assembler.offset(), trap));
        }
        Ok(())
    }

    /// Emits a trap.
    fn trap(&mut self, trap: Trap) {
        self.traps.push((self.assembler.offset(), trap));
        self.assembler.halt();
    }

    /// Emits a trap that happens if a flag is set.
    fn trap_if(&mut self, flag: Flag, trap: Trap) {
        let label = self.stub(trap);
        self.assembler.jump_if(flag, label);
    }

    /// Returns the place of a trap at the end of the function.
    fn stub(&mut self, trap: Trap) -> Label {
        let location = self.location;
        if let Some(last) = self.stubs.last()
            && (last.trap, last.location) == (trap, location)
        {
            return last.label;
        }
        let label = self.assembler.label();
        self.stubs.push(Stub {
            label,
            trap,
            location,
        });
        label
    }
}

/// Returns the word that a register is saved in.
fn saved_place(number: usize) -> Memory {
    Memory::at(RBP, -((number as i32 + 1) * WORD as i32))
}

/// Returns the width of operations on an integer.
fn width(ty: Type) -> Width {
    match ty {
        types::I64 => Width::Quad,
        _ => Width::Double,
    }
}

/// Returns the precision of a float.
fn precision(ty: Type) -> Option<Precision> {
    match ty {
        types::F32 => Some(Precision::Single),
        types::F64 => Some(Precision::Double),
        _ => None,
    }
}

/// Returns whether an instruction is a call that replaces the frame of the caller.
fn is_tail_call(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::ReturnCall | Opcode::ReturnCallIndirect)
}
