//! Moves that happen at once: of arguments and results, and of values that blocks are passed.

use super::assembler::{Assembler, Gpr, Memory, Precision, RBP, RSP, Width, Xmm};
use hashbrown::HashMap;
use smallvec::SmallVec;

/// The register through which a value goes from memory to memory.
pub(super) const MOVE_SCRATCH: Gpr = Gpr(11);
/// The register that holds a value while a cycle of moves goes round.
const CYCLE_SCRATCH: Xmm = Xmm(15);

/// A place that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Location {
    Integer(u8),
    Float(u8),
    /// At this distance from the frame pointer.
    Frame(i32),
    /// At this distance from the stack pointer.
    Outgoing(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Location(Location),
    Constant(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub to: Location,
    pub from: Source,
    /// The precision of the value, if it is a float.
    pub precision: Option<Precision>,
}

pub(super) type Moves = SmallVec<[Move; 8]>;

/// The number of moves from which on their targets are hashed.
const MANY: usize = 16;

/// Makes all moves at once: each reads what its source held before the first of them.
pub(super) fn emit(assembler: &mut Assembler, moves: &mut Moves) {
    moves.retain(|at| at.from != Source::Location(at.to));
    if let &mut [single] = moves.as_mut_slice() {
        return one(assembler, single.to, single.from, single.precision);
    }
    let hashed: HashMap<Location, usize> = match moves.len() > MANY {
        true => moves
            .iter()
            .enumerate()
            .map(|(at, next)| (next.to, at))
            .collect(),
        false => HashMap::new(),
    };
    // The move that overwrites the source of another one.
    let overwriter = |from: Source| match from {
        Source::Location(from) if moves.len() > MANY => hashed.get(&from).copied(),
        Source::Location(from) => moves.iter().position(|at| at.to == from),
        Source::Constant(_) => None,
    };
    // The number of moves that have yet to read the target of each.
    let mut readers: SmallVec<[u32; 8]> = SmallVec::from_elem(0, moves.len());
    for at in moves.iter() {
        if let Some(overwriter) = overwriter(at.from) {
            readers[overwriter] += 1;
        }
    }
    let mut done: SmallVec<[bool; 8]> = SmallVec::from_elem(false, moves.len());
    let ready = (0..moves.len()).filter(|&at| readers[at] == 0);
    let mut ready: SmallVec<[usize; 8]> = ready.collect();
    while let Some(at) = ready.pop() {
        let Move {
            to,
            from,
            precision,
        } = moves[at];
        one(assembler, to, from, precision);
        done[at] = true;
        if let Some(next) = overwriter(from) {
            readers[next] -= 1;
            if readers[next] == 0 {
                ready.push(next);
            }
        }
    }
    // The rest are cycles, in which each target is read once.
    for first in 0..moves.len() {
        if done[first] {
            continue;
        }
        let saved = Location::Float(CYCLE_SCRATCH.0);
        let broken = moves[first];
        one(
            assembler,
            saved,
            Source::Location(broken.to),
            broken.precision,
        );
        let mut at = first;
        loop {
            let Move {
                to,
                from,
                precision,
            } = moves[at];
            done[at] = true;
            match overwriter(from) {
                Some(next) if !done[next] => {
                    one(assembler, to, from, precision);
                    at = next;
                }
                _ => {
                    one(assembler, to, Source::Location(saved), precision);
                    break;
                }
            }
        }
    }
}

/// Moves one value. Integers, and floats on their way through memory or a register of the other
/// class, move as 64 bits.
pub(super) fn one(
    assembler: &mut Assembler,
    to: Location,
    from: Source,
    precision: Option<Precision>,
) {
    use Location::{Float, Integer};
    let quad = Width::Quad;
    let from = match from {
        Source::Location(from) => from,
        Source::Constant(value) => return constant(assembler, to, value),
    };
    match (to, from) {
        (Integer(to), Integer(from)) => assembler.load(quad, Gpr(to), Gpr(from)),
        (Integer(to), Float(from)) => assembler.float_to_bits(quad, Gpr(to), Xmm(from)),
        (Integer(to), from) => assembler.load(quad, Gpr(to), memory(from)),
        (Float(to), Integer(from)) => assembler.bits_to_float(quad, Xmm(to), Gpr(from)),
        (Float(to), Float(from)) => assembler.move_float(Xmm(to), Xmm(from)),
        (Float(to), from) => match precision {
            Some(precision) => assembler.load_float(precision, Xmm(to), memory(from)),
            None => assembler.bits_to_float(quad, Xmm(to), memory(from)),
        },
        (to, Integer(from)) => assembler.store(quad, memory(to), Gpr(from)),
        (to, Float(from)) => match precision {
            Some(precision) => assembler.store_float(precision, memory(to), Xmm(from)),
            None => assembler.float_to_bits(quad, memory(to), Xmm(from)),
        },
        (to, from) => {
            assembler.load(quad, MOVE_SCRATCH, memory(from));
            assembler.store(quad, memory(to), MOVE_SCRATCH);
        }
    }
}

fn constant(assembler: &mut Assembler, to: Location, value: u64) {
    match (to, i32::try_from(value as i64)) {
        (Location::Integer(to), _) => assembler.set_constant(Gpr(to), value),
        (Location::Float(to), _) if value == 0 => assembler.zero_float(Xmm(to)),
        (Location::Float(to), _) => {
            assembler.set_constant(MOVE_SCRATCH, value);
            assembler.bits_to_float(Width::Quad, Xmm(to), MOVE_SCRATCH);
        }
        (to, Ok(short)) => assembler.store_constant(Width::Quad, memory(to), short),
        (to, Err(_)) => {
            assembler.set_constant(MOVE_SCRATCH, value);
            assembler.store(Width::Quad, memory(to), MOVE_SCRATCH);
        }
    }
}

fn memory(location: Location) -> Memory {
    match location {
        Location::Frame(distance) => Memory::at(RBP, distance),
        Location::Outgoing(distance) => Memory::at(RSP, distance),
        Location::Integer(_) | Location::Float(_) => {
            unreachable!("registers are handled before")
        }
    }
}
