//! The machine that code was made for. It is part of an artifact and must match at load.

use serde::{Deserialize, Serialize};

/// The machine that code was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The target triple, such as `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// Settings of the instruction set, as `name=value`, sorted. A host runs the code when it has
    /// every one whose value is not `false`.
    pub cpu_features: Vec<String>,
}
