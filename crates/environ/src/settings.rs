//! Settings that change the machine code or the layout. They are part of an artifact and must match
//! at load.

use crate::Features;
use serde::{Deserialize, Serialize};

/// Bytes that cost one unit of fuel where bulk operations are paid by their length; what is started
/// is paid in full.
pub const FUEL_BYTES: u32 = 64;

/// How hard the code generator tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptLevel {
    /// Fast compilation.
    None,
    /// Fast code.
    #[default]
    Speed,
    /// Fast code that is also small.
    SpeedAndSize,
}

/// Settings that machine code and layout depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunables {
    /// How hard the code generator tries.
    pub opt_level: OptLevel,
    /// Bytes of address space that a 32-bit memory can grow into; 4 GiB at most are used.
    pub memory_reservation: u64,
    /// Bytes of address space that a 64-bit memory can grow into if it declares no maximum. One
    /// that declares a maximum gets that, up to [`DECLARED_FACTOR`](crate::layout::DECLARED_FACTOR)
    /// times this.
    pub memory64_reservation: u64,
    /// Bytes of inaccessible address space behind each memory. An access whose reach lies within
    /// reservation and guard needs no bounds check.
    pub memory_guard: u64,
    /// Entries that a table can grow to when it declares no smaller maximum.
    pub table_reservation: u32,
    /// Bytes of address space of each object heap; 1 GiB at most are used. Objects take at most
    /// half of it at a time.
    pub gc_heap_reservation: u32,
    /// Whether each allocation collects, for tests of the collector.
    pub gc_zeal: bool,
    /// Whether the code generator checks its own input (slow; for tests and fuzzing).
    pub debug_verifier: bool,
    /// Whether code carries the map from code offsets to byte offsets of the component, for
    /// backtraces.
    pub address_map: bool,
    /// Whether functions test the interrupt word of the store where they are entered and at the
    /// head of each loop.
    pub interruptible: bool,
    /// Whether the operators that guests execute are counted, and guests stop when the store's fuel
    /// is used up.
    pub consume_fuel: bool,
    /// Whether bulk operations consume fuel by their length besides that of the operator:
    /// [`FUEL_BYTES`] bytes cost one.
    pub fuel_by_length: bool,
    /// Whether every NaN that arithmetic gives is the canonical one, so that guests compute the
    /// same everywhere.
    pub nan_canonicalization: bool,
    /// Whether the operators of relaxed SIMD give the same results everywhere.
    pub relaxed_simd_deterministic: bool,
    /// Whether every export of every core instance is kept reachable and listed (for the `.wast`
    /// runner).
    pub core_exports: bool,
    /// Which components are accepted.
    pub features: Features,
}

impl Default for Tunables {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::Speed,
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
