//! The settings that machine code and layout depend on. They are part of an artifact and must match
//! the engine's at load.

use crate::Features;
use serde::{Deserialize, Serialize};

/// The number of bytes per unit of fuel if bulk operations pay for their length. A fraction costs a
/// whole unit.
pub const FUEL_BYTES: u32 = 64;

/// The optimization level of the code generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptLevel {
    /// Optimizes for compile time: functions are compiled by a fast tier where there is one for the
    /// processor (x86-64), and by Cranelift without optimization otherwise.
    None,
    /// Optimizes for speed.
    #[default]
    Speed,
    /// Optimizes for speed and code size.
    SpeedAndSize,
}

/// The functions that are compiled into their callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Inlining {
    /// Small ones, in the module of the caller and in others.
    #[default]
    Yes,
    /// None.
    No,
}

/// The settings that machine code and layout depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunables {
    /// The optimization level of the code generator.
    pub opt_level: OptLevel,
    /// The functions that are compiled into their callers. See [`inlines`](Self::inlines).
    pub inlining: Inlining,
    /// Bytes of address space that a 32-bit memory can grow into, at most 4 GiB.
    pub memory_reservation: u64,
    /// Bytes of address space that a 64-bit memory without a declared maximum can grow into. A
    /// declared maximum is reserved instead, up to
    /// [`DECLARED_FACTOR`](crate::layout::DECLARED_FACTOR) times this number.
    pub memory64_reservation: u64,
    /// Bytes of inaccessible address space after the reservation of each memory. An access that
    /// cannot reach past reservation and guard needs no bounds check.
    pub memory_guard: u64,
    /// The number of entries that a table can grow to if it declares no smaller maximum.
    pub table_reservation: u32,
    /// Bytes of address space of each GC heap, at most 1 GiB. Since the heap has two halves,
    /// objects can take half of it.
    pub gc_heap_reservation: u32,
    /// Whether each allocation runs a collection, for tests of the collector.
    pub gc_zeal: bool,
    /// Whether Cranelift verifies its input, which is slow. For tests and fuzzing.
    pub debug_verifier: bool,
    /// Whether artifacts have a map from code offsets to byte offsets of the component, for
    /// backtraces.
    pub address_map: bool,
    /// Whether functions test the store's interrupt word at their entry and at each loop head.
    pub interruptible: bool,
    /// Whether executed operators consume fuel, and guests stop when the store runs out of it.
    pub consume_fuel: bool,
    /// Whether bulk operations also consume fuel for their length, one unit for [`FUEL_BYTES`]
    /// bytes.
    pub fuel_by_length: bool,
    /// Whether each NaN that arithmetic produces is canonical, so that results do not depend on the
    /// processor.
    pub nan_canonicalization: bool,
    /// Whether the results of relaxed SIMD operators do not depend on the processor.
    pub relaxed_simd_deterministic: bool,
    /// Whether all exports of all core instances are kept reachable and listed, for the `.wast`
    /// runner.
    pub core_exports: bool,
    /// The features that components may use.
    pub features: Features,
}

impl Default for Tunables {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::Speed,
            inlining: Inlining::Yes,
            memory_reservation: 4 << 30,
            // Four times a 32-bit memory; 3,600 instances with one such memory fit the address
            // space of the default pool.
            memory64_reservation: 16 << 30,
            memory_guard: 2 << 30,
            table_reservation: 1 << 20,
            gc_heap_reservation: 512 << 20,
            gc_zeal: false,
            debug_verifier: cfg!(debug_assertions),
            address_map: true,
            interruptible: false,
            consume_fuel: false,
            fuel_by_length: false,
            nan_canonicalization: false,
            relaxed_simd_deterministic: false,
            core_exports: false,
            features: Features::default(),
        }
    }
}

impl Tunables {
    /// Returns whether small functions are compiled into their callers. They are not where code is
    /// not optimized, and where calls are counted.
    pub fn inlines(&self) -> bool {
        self.inlining == Inlining::Yes && self.opt_level != OptLevel::None && !self.consume_fuel
    }
}
