//! A register or a word of the frame for each interval, by one scan in the order of their starts.
//!
//! A value has one place for all of its life, so no moves are needed where control flow joins,
//! except for parameters of blocks. Where registers run out, the interval that would gain least
//! from one goes to the frame.

use super::plan::{Class, Interval, Plan};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The registers of a processor that values can be in, by their numbers in machine code, each at
/// most 31.
pub(super) struct Registers {
    /// Registers for integers that calls clobber.
    pub clobbered: &'static [u8],
    /// Registers for integers that calls preserve.
    pub preserved: &'static [u8],
    /// Registers for floats. Calls clobber all of them.
    pub floats: &'static [u8],
}

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A register for integers.
    Integer(u8),
    /// A register for floats.
    Float(u8),
    /// A word of the frame.
    Slot(u32),
    /// The word in which the caller passed this parameter of the function.
    Incoming(u32),
}

pub(super) struct Allocation {
    /// By the numbers of intervals.
    pub places: Vec<Place>,
    /// The number of words in the frame.
    pub slots: u32,
    /// The set of registers for integers that are used.
    pub integers: u32,
}

/// Where the parameters of a function arrive, by their numbers.
pub(super) trait Arrivals {
    /// Returns the register that a parameter arrives in.
    fn register(&self, parameter: u32) -> Option<u8>;

    /// Returns whether a parameter arrives in memory, and can stay there.
    fn is_in_memory(&self, parameter: u32) -> bool;
}

/// Allocates places for the values of `plan`.
pub(super) fn allocate(plan: &Plan, registers: &Registers, arrivals: &impl Arrivals) -> Allocation {
    let assigned = assign(plan, registers, arrivals);
    let mut allocation = Allocation {
        places: Vec::with_capacity(assigned.len()),
        slots: 0,
        integers: 0,
    };
    // Free words, and occupied ones with the end of the interval in each.
    let mut free: Vec<u32> = Vec::new();
    let mut taken: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    for (interval, assigned) in plan.intervals.iter().zip(assigned) {
        let place = match (interval.class, assigned, interval.parameter) {
            (Class::Integer, Some(register), _) => {
                allocation.integers |= 1 << register;
                Place::Integer(register)
            }
            (Class::Float, Some(register), _) => Place::Float(register),
            (_, None, Some(number)) if arrivals.is_in_memory(number) => Place::Incoming(number),
            (_, None, _) => {
                while let Some(&Reverse((end, slot))) = taken.peek()
                    && end < interval.start
                {
                    taken.pop();
                    free.push(slot);
                }
                let slot = free.pop().unwrap_or_else(|| {
                    allocation.slots += 1;
                    allocation.slots - 1
                });
                taken.push(Reverse((interval.end, slot)));
                Place::Slot(slot)
            }
        };
        allocation.places.push(place);
    }
    allocation
}

/// Returns the register of each interval that has one.
fn assign(plan: &Plan, registers: &Registers, arrivals: &impl Arrivals) -> Vec<Option<u8>> {
    let set_of = |numbers: &[u8]| numbers.iter().fold(0u32, |set, &at| set | 1 << at);
    let preserved = set_of(registers.preserved);
    let clobbered = set_of(registers.clobbered);
    let all_floats = set_of(registers.floats);
    let intervals = &plan.intervals;
    let (mut integers, mut floats) = (Scan::default(), Scan::default());
    let mut assigned: Vec<Option<u8>> = vec![None; intervals.len()];
    // The registers for integers that were used so far.
    let mut used = 0;
    for (number, interval) in intervals.iter().enumerate() {
        let across = crosses_call(&plan.calls, interval);
        let (scan, set) = match (interval.class, across) {
            (Class::Integer, true) => (&mut integers, preserved),
            (Class::Integer, false) => (&mut integers, preserved | clobbered),
            (Class::Float, true) => (&mut floats, 0),
            (Class::Float, false) => (&mut floats, all_floats),
        };
        scan.expire(interval.start, intervals);
        let hinted = match interval.hint {
            Some(hint) => assigned[hint as usize],
            None => interval.parameter.and_then(|at| arrivals.register(at)),
        };
        let free = set & !scan.occupied;
        let choice = match hinted {
            Some(register) if free & 1 << register != 0 => Some(register),
            // Registers that cost nothing to use come first.
            _ => [free & clobbered, free & used, free]
                .into_iter()
                .find(|&some| some != 0)
                .map(|some| some.trailing_zeros() as u8),
        };
        let choice = choice.or_else(|| {
            let least = scan.least(set, intervals)?;
            (value_of(&intervals[least]) < value_of(interval)).then(|| {
                let register = assigned[least].take().expect("it occupies a register");
                scan.release(register);
                register
            })
        });
        if let Some(register) = choice {
            assigned[number] = Some(register);
            scan.occupy(register, number);
            if interval.class == Class::Integer {
                used |= 1 << register;
            }
        }
    }
    assigned
}

/// Returns the accesses that a register would save for each position that it is occupied.
fn value_of(interval: &Interval) -> u64 {
    (u64::from(interval.weight) << 24) / u64::from(interval.end - interval.start + 4)
}

fn crosses_call(calls: &[u32], interval: &Interval) -> bool {
    let first = calls.partition_point(|&call| call < interval.start);
    calls.get(first).is_some_and(|&call| call < interval.end)
}

/// The registers of one class during the scan.
#[derive(Default)]
struct Scan {
    occupied: u32,
    /// The interval in each register that is occupied.
    holders: [u32; 32],
    /// No interval ends before this position.
    next_end: u32,
}

impl Scan {
    fn expire(&mut self, position: u32, intervals: &[Interval]) {
        if position <= self.next_end {
            return;
        }
        self.next_end = u32::MAX;
        let mut rest = self.occupied;
        while rest != 0 {
            let register = rest.trailing_zeros();
            rest &= rest - 1;
            let end = intervals[self.holders[register as usize] as usize].end;
            if end < position {
                self.occupied &= !(1 << register);
            } else {
                self.next_end = self.next_end.min(end);
            }
        }
    }

    fn occupy(&mut self, register: u8, number: usize) {
        self.occupied |= 1 << register;
        self.holders[usize::from(register)] = number as u32;
        // Its end is looked at before long.
        self.next_end = 0;
    }

    fn release(&mut self, register: u8) {
        self.occupied &= !(1 << register);
    }

    /// Returns the interval in a register of `set` that gains least from it.
    fn least(&self, set: u32, intervals: &[Interval]) -> Option<usize> {
        let mut least = None;
        let mut rest = self.occupied & set;
        while rest != 0 {
            let register = rest.trailing_zeros();
            rest &= rest - 1;
            let number = self.holders[register as usize] as usize;
            let value = value_of(&intervals[number]);
            if least.is_none_or(|(least, _)| value < least) {
                least = Some((value, number));
            }
        }
        least.map(|(_, number)| number)
    }
}
