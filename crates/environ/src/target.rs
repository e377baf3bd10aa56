//! The target of compilation. It is part of an artifact and must match the host at load.

use serde::{Deserialize, Serialize};

/// The processor and operating system that code is generated for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The target triple, such as `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// Settings of the instruction set, as `name=value`, sorted. A host can run the code if it has
    /// each setting whose value is not `false`.
    pub cpu_features: Vec<String>,
}
