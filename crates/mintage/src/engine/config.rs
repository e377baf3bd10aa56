//! [`Config`]: the settings of an [`Engine`](crate::Engine).

use super::compatible::{Caps, Refused, WasmBacktraceDetails};
#[cfg(feature = "compiler")]
use crate::error::Context;
use crate::error::{Result, ensure};
#[cfg(feature = "compiler")]
use mintage_compile::FunctionCache;
#[cfg(feature = "compiler")]
use mintage_environ::{CpuFeatures, TargetRequest};
use mintage_environ::{Feature, Features, Tunables};
pub use mintage_environ::{Inlining, OptLevel};
pub use mintage_runtime::PoolConfig;
use mintage_runtime::StackPool;
use std::sync::Arc;

/// The settings of an [`Engine`](crate::Engine).
///
/// Some settings change the machine code. An engine loads an artifact only if its own settings of
/// that kind are the ones that the artifact was compiled with; see
/// [`match_artifact`](Self::match_artifact).
///
/// ```
/// use mintage::{Config, Engine, OptLevel};
///
/// # fn main() -> mintage::Result<()> {
/// let mut config = Config::new();
/// config
///     .opt_level(OptLevel::Speed)
///     .max_wasm_stack(1 << 20)
///     .interruptible(true)
///     .consume_fuel(true);
/// let engine = Engine::new(&config)?;
/// # let _ = engine;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) tunables: Tunables,
    pub(crate) max_wasm_stack: usize,
    async_stack_size: usize,
    pub(crate) max_address_space: u64,
    pub(crate) schedule_seed: Option<u64>,
    pub(crate) threads: Option<usize>,
    #[cfg(feature = "compiler")]
    pub(crate) compile_limits: mintage_compile::CompileLimits,
    #[cfg(feature = "compiler")]
    pub(crate) target: TargetRequest,
    pub(crate) verify_artifacts: bool,
    pub(crate) backtrace_details: bool,
    pub(crate) pool: PoolConfig,
    pub(crate) epochs: bool,
    #[cfg(feature = "compiler")]
    pub(crate) compiles: bool,
    #[cfg(feature = "compiler")]
    pub(crate) functions: Option<FunctionCache>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<super::Cache>,
    /// Limits of all stores.
    pub(crate) caps: Option<Caps>,
    pub(super) refused: Refused,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tunables: Tunables::default(),
            max_wasm_stack: 512 << 10,
            async_stack_size: 2 << 20,
            // A process has 128 TiB. This is 170 memories with their guards (or 56 with 64-bit
            // indexes); the largest known components have a hundred core instances, which share a
            // few memories.
            max_address_space: 1 << 40,
            schedule_seed: None,
            threads: None,
            #[cfg(feature = "compiler")]
            compile_limits: mintage_compile::CompileLimits::new(),
            #[cfg(feature = "compiler")]
            target: TargetRequest::default(),
            verify_artifacts: false,
            backtrace_details: false,
            pool: PoolConfig::default(),
            epochs: false,
            #[cfg(feature = "compiler")]
            compiles: true,
            #[cfg(feature = "compiler")]
            functions: None,
            #[cfg(feature = "cache")]
            cache: None,
            caps: None,
            refused: Refused::default(),
        }
    }
}

impl Config {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how much the code generator optimizes; default: [`OptLevel::Speed`].
    pub fn opt_level(&mut self, level: OptLevel) -> &mut Self {
        self.tunables.opt_level = level;
        self
    }

    /// Sets which functions are compiled into their callers; default: [`Inlining::Yes`], small
    /// ones.
    ///
    /// A small function has a few operators and no control flow, or only calls another one. It is
    /// missing from backtraces: what happens in it is reported at the call. With
    /// [`OptLevel::None`], and with [`consume_fuel`](Self::consume_fuel), nothing is inlined.
    pub fn compiler_inlining(&mut self, inlining: Inlining) -> &mut Self {
        self.tunables.inlining = inlining;
        self
    }

    /// Sets the bytes of address space that a 32-bit memory can grow into; default: 4 GiB, the
    /// maximum size of such a memory.
    ///
    /// With a smaller reservation, accesses need explicit bounds checks where the guard is too
    /// small. A memory cannot grow past its reservation.
    pub fn memory_reservation(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory_reservation = bytes;
        self
    }

    /// Sets the bytes of address space that a 64-bit memory can grow into; default: 16 GiB.
    ///
    /// This is the reservation of memories that declare no maximum. A memory that declares a
    /// maximum reserves that much, but at most eight times this setting. A memory whose initial
    /// size is larger reserves its initial size. A memory cannot grow past its reservation.
    /// [`max_instance_address_space`](Self::max_instance_address_space) and
    /// [`PoolConfig::total_address_space`] limit the sums.
    pub fn memory64_reservation(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory64_reservation = bytes;
        self
    }

    /// Sets the bytes of inaccessible address space after each memory; default: 2 GiB.
    pub fn memory_guard_size(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory_guard = bytes;
        self
    }

    /// Sets the number of entries that a table can grow to if it declares no smaller maximum;
    /// default: 2^20.
    pub fn table_reservation(&mut self, entries: u32) -> &mut Self {
        self.tunables.table_reservation = entries;
        self
    }

    /// Sets the bytes of address space of a component instance's GC heap, which holds exceptions
    /// and other objects; default: 512 MiB. At most 1 GiB is used. Objects take at most half of
    /// the heap at a time. A component instance has a GC heap only if its code can allocate
    /// objects.
    pub fn gc_heap_reservation(&mut self, bytes: u64) -> &mut Self {
        self.tunables.gc_heap_reservation = bytes.min(1 << 30) as u32;
        self
    }

    /// Sets the bytes of stack that guests may use, counted from the host's outermost call;
    /// default: 512 KiB.
    ///
    /// A reserve of 256 KiB below is kept for host functions. If the stack of the calling thread is
    /// too small for both, guests may use what is left above the reserve. A call that finds nothing
    /// left fails with [`Trap::StackOverflow`](crate::Trap::StackOverflow). A thread whose whole
    /// stack is smaller than 272 KiB cannot call guests.
    ///
    /// The engine does not know the ends of stacks that the host allocates itself, such as those of
    /// coroutines. Such a stack needs this many bytes and 256 KiB more, counted from the place of
    /// the call.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Self {
        self.max_wasm_stack = bytes;
        self
    }

    /// Sets the bytes of the stack of an asynchronous call that may be suspended; default: 2 MiB.
    ///
    /// The guest may use [`max_wasm_stack`](Self::max_wasm_stack) of them, and host functions that
    /// are not asynchronous the rest, at least 256 KiB. A stack is made larger if it is too small
    /// for both. An asynchronous host function runs on the stack of the thread that polls the call,
    /// except for its first poll.
    pub fn async_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.async_stack_size = bytes;
        self
    }

    /// Makes the pool of stacks for asynchronous calls.
    pub(crate) fn stacks(&self) -> Arc<StackPool> {
        StackPool::new(self.async_stack_size, self.max_wasm_stack, &self.pool)
    }

    /// Sets a seed for the order of asynchronous code, where the Component Model allows several;
    /// default: none, so that tasks go on first come, first served.
    ///
    /// The seed decides which thread goes on that is ready, which event of a waitable set is
    /// delivered first, which call that waits enters first, how many threads run while a call is
    /// cancelled, and whether a thread goes on at once that need not wait. A guest that is right
    /// works with each seed. The same seed and the same inputs make the same choices, so that a
    /// test can repeat an order. [`Store::set_schedule_seed`](crate::Store::set_schedule_seed) sets
    /// the seed of one store.
    pub fn schedule_seed(&mut self, seed: Option<u64>) -> &mut Self {
        self.schedule_seed = seed;
        self
    }

    /// Sets the bytes of address space that an instance may take, accessible or not; default: 1
    /// TiB.
    ///
    /// Each memory takes its reservation and its guard: by default 6 GiB, or 18 GiB for a 64-bit
    /// memory without a declared maximum. A process has 128 TiB of address space; exhausting it
    /// makes every allocation in the process fail.
    pub fn max_instance_address_space(&mut self, bytes: u64) -> &mut Self {
        self.max_address_space = bytes;
        self
    }

    /// Sets whether functions are compiled in parallel; default: on.
    ///
    /// The compiler threads, one per processor, are shared by all engines of the process that do
    /// not set [`compilation_threads`](Self::compilation_threads). If this is off, or if the system
    /// cannot start threads, the calling thread compiles.
    pub fn parallel_compilation(&mut self, parallel: bool) -> &mut Self {
        self.threads = if parallel { None } else { Some(1) };
        self
    }

    /// Sets limits on the time and memory that compiling one component may take, for hosts that
    /// compile components of others. The limits are not part of the artifact.
    #[cfg(feature = "compiler")]
    pub fn compile_limits(&mut self, limits: &mintage_compile::CompileLimits) -> &mut Self {
        self.compile_limits = limits.clone();
        self
    }

    /// Sets the number of threads that compile. 0, the default, means one per processor.
    pub fn compilation_threads(&mut self, threads: usize) -> &mut Self {
        self.threads = (threads != 0).then_some(threads);
        self
    }

    /// Sets whether the code generator verifies its own input, for tests and fuzzing; default: on
    /// in debug builds.
    pub fn debug_verifier(&mut self, enable: bool) -> &mut Self {
        self.tunables.debug_verifier = enable;
        self
    }

    /// Sets whether an artifact maps machine code to byte offsets in the component, which
    /// backtraces show; default: on.
    pub fn generate_address_map(&mut self, generate: bool) -> &mut Self {
        self.tunables.address_map = generate;
        self
    }

    /// Sets whether [`Component::deserialize_file`](crate::Component::deserialize_file) compares
    /// every byte of an artifact with its hash; default: off, so that the time of loading does not
    /// depend on the size of the artifact.
    pub fn verify_artifacts(&mut self, verify: bool) -> &mut Self {
        self.verify_artifacts = verify;
        self
    }

    /// Sets whether backtraces have source locations
    /// ([`FrameInfo::symbols`](crate::FrameInfo::symbols)), for components that are compiled with
    /// debug information (DWARF); default: off.
    ///
    /// A component then keeps its debug information in memory, outside of its artifact. A component
    /// that [`cache`](Self::cache) had for a file reads it from the file when it is needed. A
    /// component that is loaded from an artifact has none.
    pub fn wasm_backtrace_details(&mut self, details: WasmBacktraceDetails) -> &mut Self {
        self.backtrace_details = match details {
            WasmBacktraceDetails::Enable => true,
            WasmBacktraceDetails::Disable => false,
            WasmBacktraceDetails::Environment => {
                std::env::var_os("WASMTIME_BACKTRACE_DETAILS").is_some_and(|value| value == "1")
            }
        };
        self
    }

    /// Sets whether guests can be interrupted from other threads
    /// ([`Store::interrupt_handle`](crate::Store::interrupt_handle),
    /// [`Store::set_deadline`](crate::Store::set_deadline)); default: off, which costs nothing.
    ///
    /// If this is on, machine code tests a word in memory at each function entry and loop head, and
    /// the runtime tests it between the pieces of long operations.
    pub fn interruptible(&mut self, interruptible: bool) -> &mut Self {
        self.tunables.interruptible = interruptible;
        self
    }

    /// Sets whether stores have epoch deadlines
    /// ([`Store::set_epoch_deadline`](crate::Store::set_epoch_deadline)), which
    /// [`Engine::increment_epoch`](crate::Engine::increment_epoch) reaches; default: off.
    ///
    /// This includes [`interruptible`](Self::interruptible), and costs guests nothing more. The
    /// guests of a new store trap until its epoch deadline is set.
    /// [`Store::set_deadline`](crate::Store::set_deadline) stops guests at a time, without a thread
    /// of the host that counts epochs.
    pub fn epoch_interruption(&mut self, enable: bool) -> &mut Self {
        self.epochs = enable;
        self
    }

    /// Sets whether engines compile components, or only load artifacts; default: on.
    #[cfg(feature = "compiler")]
    pub fn enable_compiler(&mut self, enable: bool) -> &mut Self {
        self.compiles = enable;
        self
    }

    /// Sets the processor that code is generated for; default: `host`.
    ///
    /// - `host`: the one that this runs on, with all that it offers. For another
    ///   [`target`](Self::target), the same as `baseline`.
    /// - `baseline`: what every supported processor of the architecture has. On x86-64 that is up
    ///   to SSE 4.1.
    /// - Names of features, separated by commas, such as `avx2,bmi1` or `lse,fp16`: these and the
    ///   baseline. On x86-64, names of kinds of processors stand for their features, such as
    ///   `x86-64-v3`.
    ///
    /// A host loads an artifact only if its processor has the features.
    /// [`Engine::new`](crate::Engine::new) fails if the architecture has no feature of a name.
    #[cfg(feature = "compiler")]
    pub fn cpu(&mut self, cpu: &str) -> &mut Self {
        self.target.features = match cpu {
            "host" => CpuFeatures::Host,
            "baseline" => CpuFeatures::Baseline,
            names => CpuFeatures::These(names.split(',').map(str::to_string).collect()),
        };
        self
    }

    /// Sets the cache in which compiled components are looked up and kept; default: none.
    ///
    /// `Component::new` and the other functions that compile a component then load its machine code
    /// from the cache if it is there. It is there if the same program has compiled the same bytes
    /// with the same settings on the same kind of processor. [`Cache`](super::Cache) describes what
    /// is trusted.
    ///
    /// The cache also has compiled functions. A large component that shares most of its functions
    /// with one before it, as components of one JavaScript engine do, is compiled in a fraction of
    /// the time. [`enable_incremental_compilation`](Self::enable_incremental_compilation) replaces
    /// this by a store of the host's.
    ///
    /// A cache that cannot be used is not an error, and neither is an entry that is damaged or not
    /// authentic. The component is then compiled.
    #[cfg(feature = "cache")]
    pub fn cache(&mut self, cache: Option<super::Cache>) -> &mut Self {
        self.cache = cache;
        self
    }

    /// Returns the settings as they apply to an engine: with all that they include.
    ///
    /// # Errors
    ///
    /// If a setting cannot be honoured. The error names it.
    pub(crate) fn settled(&self) -> Result<Config> {
        self.refused.check()?;
        ensure!(
            self.max_wasm_stack > 0,
            "`Config::max_wasm_stack` is 0, so no guest could run"
        );
        #[cfg(feature = "compiler")]
        if self.target != TargetRequest::default() {
            mintage_compile::check_target(&self.target).context("`Config::cpu`")?;
        }
        let mut config = self.clone();
        config.tunables.interruptible |= config.epochs;
        Ok(config)
    }

    /// Sets whether the operators that guests execute consume fuel
    /// ([`Store::set_fuel`](crate::Store::set_fuel)); default: off, which costs nothing.
    ///
    /// If this is on, machine code counts and tests once in each basic block.
    pub fn consume_fuel(&mut self, enable: bool) -> &mut Self {
        self.tunables.consume_fuel = enable;
        self
    }

    /// Makes bulk operations consume fuel in proportion to their length, where
    /// [`consume_fuel`](Self::consume_fuel) is on. Default: off, so `memory.fill` costs one unit
    /// whatever its length.
    ///
    /// With this setting, each started 64 bytes cost one unit more than the operator itself:
    ///
    /// - `memory.fill`, `memory.copy` and `memory.init` pay for their bytes.
    /// - `table.fill`, `table.copy`, `table.init` and `table.grow` pay 8 bytes per entry.
    ///   `table.grow` pays for the entries that it asks for, even if it does not get them.
    /// - `array.new`, `array.new_default`, `array.new_data`, `array.new_elem`, `array.fill`,
    ///   `array.copy`, `array.init_data` and `array.init_elem` pay for the size of their elements:
    ///   references take 4 bytes, references to functions 8.
    /// - A call from one component to another pays for each list and string that it passes, by its
    ///   bytes in the memory of the side that passes it.
    ///
    /// `memory.grow` writes nothing and pays nothing for its length.
    ///
    /// An operator pays before it checks or writes anything. If there is not enough fuel, the guest
    /// traps with [`Trap::OutOfFuel`](crate::Trap::OutOfFuel) and the operation has no effect.
    /// Lists and strings are paid for before they are copied.
    pub fn fuel_by_length(&mut self, enable: bool) -> &mut Self {
        self.tunables.fuel_by_length = enable;
        self
    }

    /// Sets the number of instances that the engine can have at a time, and what it keeps for later
    /// ones.
    ///
    /// ```
    /// use mintage::{Config, Engine, PoolConfig};
    ///
    /// # fn main() -> mintage::Result<()> {
    /// let engine = Engine::new(Config::new().pool(
    ///     PoolConfig::new().total_component_instances(1000).total_keep_resident(64 << 20),
    /// ))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool(&mut self, config: &PoolConfig) -> &mut Self {
        self.pool = config.clone();
        self
    }

    /// Sets whether every NaN that arithmetic produces is the canonical one; default: off.
    ///
    /// If this is on, floats have the same bits on every processor. Each float operation then takes
    /// about two more instructions.
    pub fn cranelift_nan_canonicalization(&mut self, canonicalize: bool) -> &mut Self {
        self.tunables.nan_canonicalization = canonicalize;
        self
    }

    /// Sets whether relaxed SIMD has the same results on every processor, at some cost; default:
    /// off.
    pub fn relaxed_simd_deterministic(&mut self, deterministic: bool) -> &mut Self {
        self.tunables.relaxed_simd_deterministic = deterministic;
        self
    }

    /// Sets whether each allocation of an object runs the garbage collector. This is slow, and for
    /// tests.
    #[doc(hidden)]
    pub fn gc_zeal(&mut self, zeal: bool) -> &mut Self {
        self.tunables.gc_zeal = zeal;
        self
    }

    /// Sets whether every export of every core instance is kept, for access through
    /// [`core`](crate::core).
    #[doc(hidden)]
    pub fn core_exports(&mut self, keep: bool) -> &mut Self {
        self.tunables.core_exports = keep;
        self
    }
}

/// A default in words.
macro_rules! default {
    (true) => {
        "on"
    };
    (false) => {
        "off"
    };
}

macro_rules! setters {
    ($($name:ident $setter:ident $flag:ident $default:ident, $doc:literal $($more:literal)*;)*) => {
        /// Features that components, and the modules in them, may use.
        impl Config {
            /// Turns a feature on or off, for hosts that take its name from elsewhere.
            #[doc(hidden)]
            pub fn wasm_feature(&mut self, feature: &Feature, enable: bool) -> &mut Self {
                self.tunables.features.set(feature, enable);
                self
            }

            /// Turns all features on, for tests of everything that is supported.
            #[doc(hidden)]
            pub fn wasm_all_features(&mut self) -> &mut Self {
                self.tunables.features = Features::all();
                self
            }

            $(
                #[doc = concat!("Sets whether ", $doc, "; default: ", default!($default), ".")]
                $(#[doc = $more])*
                pub fn $setter(&mut self, enable: bool) -> &mut Self {
                    self.tunables.features.$name = enable;
                    self
                }
            )*
        }
    };
}

mintage_environ::features!(setters);
