//! Settings that change the machine code or the layout. They are part of an artifact and must match at load.

use serde::{Deserialize, Serialize};

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

/// Proposals for the component model that are accepted besides what is settled (Explainer.md, "Gated Features").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposals {
    /// `implements` on imports and exports.
    pub implements: bool,
    /// `map<k, v>`.
    pub map: bool,
    /// `list<t, n>`.
    pub fixed_length_lists: bool,
    /// `error-context` and its built-ins.
    pub error_context: bool,
}

/// Settings that machine code and layout depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunables {
    /// How hard the code generator tries.
    pub opt_level: OptLevel,
    /// Bytes of address space that a 32-bit memory can grow into; 4 GiB at most are used.
    pub memory_reservation: u64,
    /// Bytes of inaccessible address space behind each memory. An access whose reach lies within reservation and guard
    /// needs no bounds check.
    pub memory_guard: u64,
    /// Entries that a table can grow to when it declares no smaller maximum.
    pub table_reservation: u32,
    /// Whether the code generator checks its own input (slow; for tests and fuzzing).
    pub debug_verifier: bool,
    /// Whether code carries the map from code offsets to byte offsets of the component, for backtraces.
    pub address_map: bool,
    /// Whether functions test the interrupt word of the store where they are entered and at the head of each loop.
    pub interruptible: bool,
    /// Whether every export of every core instance is kept reachable and listed (for the `.wast` runner).
    pub core_exports: bool,
    /// Which components are accepted.
    pub proposals: Proposals,
}

impl Default for Tunables {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::Speed,
            memory_reservation: 4 << 30,
            memory_guard: 2 << 30,
            table_reservation: 1 << 20,
            debug_verifier: cfg!(debug_assertions),
            address_map: true,
            interruptible: false,
            core_exports: false,
            proposals: Proposals::default(),
        }
    }
}
