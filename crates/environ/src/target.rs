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

impl Target {
    /// Returns whether code has landing pads where calls and jumps through registers lead, so that
    /// the processor may enforce them.
    pub fn has_landing_pads(&self) -> bool {
        self.cpu_features
            .iter()
            .any(|feature| feature == "use_bti=true")
    }
}

/// The target that an embedder asks for. The default is the processor and system that this runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetRequest {
    /// The target triple; `None` for that of this host.
    pub triple: Option<String>,
    /// The features of the processor.
    pub features: CpuFeatures,
}

/// The features of the processor that code may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum CpuFeatures {
    /// Those of this host, if the target is this host's. Otherwise as `Baseline`.
    #[default]
    Host,
    /// Those that every supported processor of the architecture has.
    Baseline,
    /// Those of the baseline and these, by the code generator's names without `has_`. A name may
    /// also be that of a kind of processor.
    These(Vec<String>),
}
