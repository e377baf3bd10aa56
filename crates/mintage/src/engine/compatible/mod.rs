//! Settings by the names that hosts of Wasmtime use: those that have another name or another form
//! here, those that mean nothing here, and those that cannot be honoured.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | settings that have a meaning, and their types |
//! | `ignored.rs` | settings without effect, each with the reason |
//! | `features.rs` | [`WasmFeatures`] |
//! | `pooling.rs` | [`PoolingAllocationConfig`] |

#[macro_use]
mod ignored;
mod features;
mod pooling;

pub use features::WasmFeatures;
pub(crate) use pooling::Caps;
pub use pooling::{InstanceAllocationStrategy, PoolingAllocationConfig};

use super::{Config, OptLevel};
#[cfg(feature = "compiler")]
use crate::error::Context;
use crate::error::{Result, bail};
use mintage_environ::unsupported;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A compiler; see [`Config::strategy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The best one for the host: Cranelift.
    #[default]
    Auto,
    /// Cranelift, which optimizes.
    Cranelift,
    /// A compiler that takes little time. Here it is the fast tier.
    Winch,
}

/// A garbage collector; see [`Config::collector`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Collector {
    /// The engine's collector.
    #[default]
    Auto,
    /// Counts of references.
    DeferredReferenceCounting,
    /// No collection.
    Null,
    /// Copies live objects.
    Copying,
}

/// A register allocator; see [`Config::cranelift_regalloc_algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegallocAlgorithm {
    /// Allocates well, and takes time for it.
    Backtracking,
    /// Allocates fast.
    SinglePass,
}

/// A profiler of the host system; see [`Config::profiler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfilingStrategy {
    /// None.
    None,
    /// A map of functions for `perf`.
    PerfMap,
    /// A dump of machine code for `perf`.
    JitDump,
    /// VTune.
    VTune,
    /// The profiler of Wasmtime's interpreter.
    Pulley,
}

/// Whether backtraces have source locations; see [`Config::wasm_backtrace_details`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasmBacktraceDetails {
    /// They do.
    Enable,
    /// They do not.
    Disable,
    /// They do if the environment variable `WASMTIME_BACKTRACE_DETAILS` is `1` when this is set.
    Environment,
}

/// A setting that can be left to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Enabled {
    /// The engine decides.
    Auto,
    /// On.
    Yes,
    /// Off.
    No,
}

/// The version that artifacts are marked with; see [`Config::module_version`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ModuleVersionStrategy {
    /// The version of the engine.
    #[default]
    WasmtimeVersion,
    /// A version of the host's own.
    Custom(String),
    /// None.
    None,
}

/// Settings that an engine cannot be made with, by the name of the setter, each with the reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(BTreeMap<&'static str, String>);

impl Refused {
    /// Notes whether a setting, as it is now, cannot be honoured.
    fn set(&mut self, setter: &'static str, reason: Option<String>) {
        match reason {
            Some(reason) => _ = self.0.insert(setter, reason),
            None => _ = self.0.remove(setter),
        }
    }

    /// Fails if there is such a setting.
    ///
    /// # Errors
    ///
    /// The error names all of them.
    pub fn check(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let settings = self.0.iter();
        let settings: Vec<String> = settings
            .map(|(setter, reason)| format!("`Config::{setter}`: {reason}"))
            .collect();
        bail!(unsupported!("{}", settings.join("; ")))
    }
}

/// Settings for hosts that port from Wasmtime. Each has its meaning, or says that it has no effect,
/// so that the host need not remove it. A value that cannot be honoured is an error of
/// [`Engine::new`](crate::Engine::new), which names the setting.
impl Config {
    /// Has the effect of [`opt_level`](Self::opt_level).
    pub fn cranelift_opt_level(&mut self, level: OptLevel) -> &mut Self {
        self.opt_level(level)
    }

    /// Has the effect of [`debug_verifier`](Self::debug_verifier).
    pub fn cranelift_debug_verifier(&mut self, enable: bool) -> &mut Self {
        self.debug_verifier(enable)
    }

    /// Chooses the compiler. [`Strategy::Winch`] has the effect of [`OptLevel::None`], which
    /// chooses the fast tier. The others have no effect.
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Self {
        match strategy {
            Strategy::Auto | Strategy::Cranelift => self,
            Strategy::Winch => self.opt_level(OptLevel::None),
        }
    }

    /// Sets the target of the code: a triple, such as `aarch64-unknown-linux-gnu`, or an
    /// architecture alone. The default is the system that this runs on.
    ///
    /// An engine for another target compiles components to artifacts
    /// ([`Engine::precompile_component`](crate::Engine::precompile_component)), and loads none.
    /// [`cpu`](Self::cpu) sets what code may use of the processor.
    ///
    /// # Errors
    ///
    /// If code cannot be generated for the target.
    #[cfg(feature = "compiler")]
    pub fn target(&mut self, target: &str) -> Result<&mut Self> {
        let request = mintage_environ::TargetRequest {
            triple: Some(target.into()),
            features: mintage_environ::CpuFeatures::Baseline,
        };
        mintage_compile::check_target(&request).context("`Config::target`")?;
        self.target.triple = request.triple;
        Ok(self)
    }

    /// Sets the target of the code, which must be the system that this runs on: its architecture,
    /// and its operating system if the triple names one.
    ///
    /// # Errors
    ///
    /// If `target` is another architecture or operating system.
    #[cfg(not(feature = "compiler"))]
    pub fn target(&mut self, target: &str) -> Result<&mut Self> {
        use std::env::consts::{ARCH, OS};
        let mut parts = target.split('-');
        let architecture = parts.next() == Some(ARCH);
        let system = parts.any(|part| part == OS) || !target.contains('-');
        crate::error::ensure!(
            architecture && system,
            unsupported!(
                "`Config::target`: without a compiler, the target is this system ({ARCH}-{OS}), \
                 not `{target}`"
            )
        );
        Ok(self)
    }

    /// Sets whether guests can be debugged, which is not supported: an engine cannot be made with
    /// `true`.
    pub fn guest_debug(&mut self, enable: bool) -> &mut Self {
        self.refuse_if(enable, "guest_debug", "guests cannot be debugged")
    }

    /// Sets whether a trap makes a core dump, which is not supported: an engine cannot be made with
    /// `true`. Traps have backtraces ([`WasmBacktrace`](crate::WasmBacktrace)).
    pub fn coredump_on_trap(&mut self, enable: bool) -> &mut Self {
        self.refuse_if(enable, "coredump_on_trap", "there are no core dumps")
    }

    /// Sets whether accesses to memory are checked for errors of the guest's allocator, which is
    /// not supported: an engine cannot be made with `true`.
    pub fn wmemcheck(&mut self, enable: bool) -> &mut Self {
        self.refuse_if(enable, "wmemcheck", "uses of guest memory are not checked")
    }

    /// Sets whether faults of the processor are traps of guests, which is always so: an engine
    /// cannot be made with `false`.
    pub fn signals_based_traps(&mut self, enable: bool) -> &mut Self {
        let reason = "machine code relies on faults for bounds checks, so they cannot be off";
        self.refuse_if(!enable, "signals_based_traps", reason)
    }

    /// Chooses a profiler. None is supported: an engine can only be made with
    /// [`ProfilingStrategy::None`].
    pub fn profiler(&mut self, profiler: ProfilingStrategy) -> &mut Self {
        let refused = profiler != ProfilingStrategy::None;
        let reason = format!("`ProfilingStrategy::{profiler:?}` is not supported");
        self.refuse_if(refused, "profiler", &reason)
    }

    /// Turns on a flag of the code generator. This is not supported: an engine cannot be made
    /// afterwards.
    pub fn cranelift_flag_enable(&mut self, flag: &str) -> &mut Self {
        let reason = format!("flags of the code generator cannot be set (`{flag}`)");
        self.refuse_if(true, "cranelift_flag_enable", &reason)
    }

    /// Sets a flag of the code generator. This is not supported: an engine cannot be made
    /// afterwards.
    pub fn cranelift_flag_set(&mut self, name: &str, value: &str) -> &mut Self {
        let reason = format!("flags of the code generator cannot be set (`{name}={value}`)");
        self.refuse_if(true, "cranelift_flag_set", &reason)
    }

    /// Sets whether garbage is collected at each allocation, for tests, whatever the number is.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn gc_zeal_alloc_counter(&mut self, counter: Option<NonZeroU32>) -> Result<&mut Self> {
        Ok(self.gc_zeal(counter.is_some()))
    }

    /// Chooses how the memory of instances is managed. It is always pooled; see
    /// [`InstanceAllocationStrategy`].
    pub fn allocation_strategy(
        &mut self,
        strategy: impl Into<InstanceAllocationStrategy>,
    ) -> &mut Self {
        let (pool, caps) = strategy.into().settings();
        self.pool = pool;
        self.caps = caps;
        self
    }

    fn refuse_if(&mut self, refused: bool, setter: &'static str, reason: &str) -> &mut Self {
        self.refused.set(setter, refused.then(|| reason.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;

    /// Returns the message of the error that an engine with these settings is.
    fn refusal(set: impl FnOnce(&mut Config) -> &mut Config) -> Option<String> {
        let mut config = Config::new();
        Engine::new(set(&mut config))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_honoured_is_an_error_that_names_the_setting() {
        type Set = fn(&mut Config) -> &mut Config;
        let refused: [(&str, Set); 7] = [
            ("guest_debug", |config| config.guest_debug(true)),
            ("coredump_on_trap", |config| config.coredump_on_trap(true)),
            ("wmemcheck", |config| config.wmemcheck(true)),
            ("signals_based_traps", |config| {
                config.signals_based_traps(false)
            }),
            ("profiler", |config| {
                config.profiler(ProfilingStrategy::PerfMap)
            }),
            ("cranelift_flag_enable", |config| {
                config.cranelift_flag_enable("enable_pinned_reg")
            }),
            ("cranelift_flag_set", |config| {
                config.cranelift_flag_set("opt_level", "none")
            }),
        ];
        for (setter, set) in refused {
            let message = refusal(set).unwrap();
            assert!(
                message.contains(&format!("`Config::{setter}`")),
                "{message}"
            );
        }
        // All of them, and not those that were set otherwise afterwards.
        let message = refusal(|config| {
            config.coredump_on_trap(true).wmemcheck(true);
            config.guest_debug(true).guest_debug(false)
        });
        let message = message.unwrap();
        assert!(message.contains("::coredump_on_trap") && message.contains("::wmemcheck"));
        assert!(!message.contains("guest_debug"), "{message}");

        let accepted: [Set; 7] = [
            |config| config.strategy(Strategy::Winch),
            |config| config.strategy(Strategy::Cranelift),
            |config| config.guest_debug(false),
            |config| config.coredump_on_trap(false),
            |config| config.wmemcheck(false),
            |config| config.signals_based_traps(true),
            |config| config.profiler(ProfilingStrategy::None),
        ];
        for set in accepted {
            assert_eq!(refusal(set), None);
        }
        let mut config = Config::new();
        config.strategy(Strategy::Winch);
        assert_eq!(config.tunables.opt_level, OptLevel::None);
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn targets_are_supported_or_refused() {
        let mut config = Config::new();
        for target in [
            "x86_64",
            "x86_64-linux",
            "x86_64-unknown-linux-gnu",
            "x86_64-alpine-linux-musl",
            "aarch64",
            "aarch64-unknown-linux-gnu",
        ] {
            config.target(target).unwrap();
        }
        for target in [
            "",
            "pulley64",
            "riscv64gc-unknown-linux-gnu",
            "x86_64-unknown-none",
            "x86_64-pc-windows-msvc",
            "aarch64-apple-darwin",
            "aarch64-linux-android",
        ] {
            let error = format!("{:#}", config.target(target).unwrap_err());
            assert!(
                error.contains("`Config::target`") && error.contains(target),
                "{error}"
            );
        }
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn features_must_exist() {
        let mut config = Config::new();
        config.target("aarch64").unwrap();
        for cpu in ["host", "baseline", "lse", "lse,fp16,dotprod,i8mm"] {
            Engine::new(config.cpu(cpu)).unwrap();
        }
        let mut refuse = |cpu: &str| format!("{:#}", Engine::new(config.cpu(cpu)).err().unwrap());
        let error = refuse("lse,avx2");
        assert!(
            error.contains("`Config::cpu`: unknown CPU feature `avx2` on aarch64; use one of")
                && error.contains("dotprod, fp16"),
            "{error}"
        );
        for cpu in ["", "use_csdb", "has_lse"] {
            assert!(refuse(cpu).contains("unknown CPU feature"), "{cpu}");
        }
        let mut config = Config::new();
        config.target("x86_64").unwrap();
        Engine::new(config.cpu("x86-64-v3")).unwrap();
        Engine::new(config.cpu("avx2,fma,bmi1")).unwrap();
    }

    #[test]
    fn other_names_have_their_effect() {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::SpeedAndSize);
        assert_eq!(config.tunables.opt_level, OptLevel::SpeedAndSize);
        for on in [true, false] {
            config.cranelift_debug_verifier(on);
            assert_eq!(config.tunables.debug_verifier, on);
            config
                .gc_zeal_alloc_counter(NonZeroU32::new(on.into()))
                .unwrap();
            assert_eq!(config.tunables.gc_zeal, on);
        }
    }
}
