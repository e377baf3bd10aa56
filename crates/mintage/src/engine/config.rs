//! [`Config`]: the settings of an [`Engine`](crate::Engine).

pub use mintage_environ::OptLevel;
use mintage_environ::{Feature, Features, Tunables};
pub use mintage_runtime::PoolConfig;

/// The settings of an [`Engine`](crate::Engine). An artifact can be loaded by engines whose machine
/// code settings are those that it was compiled with.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) tunables: Tunables,
    pub(crate) max_wasm_stack: usize,
    pub(crate) max_address_space: u64,
    pub(crate) threads: Option<usize>,
    #[cfg(feature = "compiler")]
    pub(crate) compile_limits: mintage_compile::CompileLimits,
    pub(crate) verify_artifacts: bool,
    pub(crate) pool: PoolConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tunables: Tunables::default(),
            max_wasm_stack: 512 << 10,
            // A process has 128 TiB. This is 170 memories with their guards (or 56 with 64-bit
            // indexes); the largest known components have a hundred core instances, which share a
            // few memories.
            max_address_space: 1 << 40,
            threads: None,
            #[cfg(feature = "compiler")]
            compile_limits: mintage_compile::CompileLimits::new(),
            verify_artifacts: false,
            pool: PoolConfig::default(),
        }
    }
}

impl Config {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// How hard the code generator tries; default: [`OptLevel::Speed`].
    pub fn opt_level(&mut self, level: OptLevel) -> &mut Self {
        self.tunables.opt_level = level;
        self
    }

    /// Bytes of address space that a 32-bit memory can grow into; default: 4 GiB, which is the most
    /// that such a memory uses.
    ///
    /// With less, accesses are checked explicitly where the guard is too small, and growth past it
    /// fails.
    pub fn memory_reservation(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory_reservation = bytes;
        self
    }

    /// Bytes of address space that a 64-bit memory can grow into; default: 16 GiB.
    ///
    /// This is for memories that declare no maximum. A memory that declares a maximum gets that
    /// much, be it less or more, up to eight times this setting. A memory that starts larger gets
    /// what it starts with. Growth past the reservation fails.
    /// [`max_instance_address_space`](Self::max_instance_address_space) and
    /// [`PoolConfig::total_address_space`] limit the sums.
    pub fn memory64_reservation(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory64_reservation = bytes;
        self
    }

    /// Bytes of inaccessible address space behind each memory; default: 2 GiB.
    pub fn memory_guard_size(&mut self, bytes: u64) -> &mut Self {
        self.tunables.memory_guard = bytes;
        self
    }

    /// Entries that a table can grow to when it declares no smaller maximum; default: 2^20.
    pub fn table_reservation(&mut self, entries: u32) -> &mut Self {
        self.tunables.table_reservation = entries;
        self
    }

    /// Bytes of address space of each component instance's heap of exceptions and other objects, if
    /// its code can make any; default: 512 MiB, and at most 1 GiB are used. Objects take at most
    /// half of it at a time.
    pub fn gc_heap_reservation(&mut self, bytes: u32) -> &mut Self {
        self.tunables.gc_heap_reservation = bytes;
        self
    }

    /// Bytes of stack that a guest may use, counted from the host's outermost call; default: 512
    /// KiB.
    ///
    /// 256 KiB below are kept for host functions. Where the stack of the calling thread has less
    /// than both, guests may use what is left above these 256 KiB, and a call that finds nothing
    /// left is [`Trap::StackOverflow`](crate::Trap::StackOverflow). A thread whose whole stack is
    /// smaller than 272 KiB cannot call guests.
    ///
    /// The engine does not know where stacks end that the host has made itself (those of
    /// coroutines). Each needs at least the bytes set here and 256 KiB, counted from the place of
    /// the call.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Self {
        self.max_wasm_stack = bytes;
        self
    }

    /// Bytes of address space that an instance may take, accessible or not; default: 1 TiB. Each
    /// memory takes its reservation and its guard, unless set otherwise 6 GiB, or 18 GiB for a
    /// 64-bit memory without a declared maximum. When a process has none left (there are 128 TiB),
    /// all allocations in it fail.
    pub fn max_instance_address_space(&mut self, bytes: u64) -> &mut Self {
        self.max_address_space = bytes;
        self
    }

    /// Whether functions are compiled in parallel; default: yes, with as many threads as the
    /// machine has processors, which all engines of the process share. If not, or where the system
    /// starts no threads, the thread that asks compiles.
    pub fn parallel_compilation(&mut self, parallel: bool) -> &mut Self {
        self.threads = if parallel { None } else { Some(1) };
        self
    }

    /// Limits of what compiling one component may take, of time and memory: for hosts that compile
    /// what others send them. They are no part of the artifact.
    #[cfg(feature = "compiler")]
    pub fn compile_limits(&mut self, limits: &mintage_compile::CompileLimits) -> &mut Self {
        self.compile_limits = limits.clone();
        self
    }

    /// The number of threads that compile; 0 means as many as the machine has processors.
    pub fn compilation_threads(&mut self, threads: usize) -> &mut Self {
        self.threads = (threads != 0).then_some(threads);
        self
    }

    /// Whether the code generator checks its own input, for tests and fuzzing; default: in debug
    /// builds.
    pub fn debug_verifier(&mut self, enable: bool) -> &mut Self {
        self.tunables.debug_verifier = enable;
        self
    }

    /// Whether machine code keeps the map to byte offsets in the component that backtraces show;
    /// default: yes.
    pub fn generate_address_map(&mut self, generate: bool) -> &mut Self {
        self.tunables.address_map = generate;
        self
    }

    /// Whether [`Component::deserialize_file`](crate::Component::deserialize_file) compares every
    /// byte of an artifact with its hash; default: no, which leaves loading time independent of the
    /// artifact's size.
    pub fn verify_artifacts(&mut self, verify: bool) -> &mut Self {
        self.verify_artifacts = verify;
        self
    }

    /// Whether guests can be interrupted from other threads
    /// ([`Store::interrupt_handle`](crate::Store::interrupt_handle),
    /// [`Store::set_deadline`](crate::Store::set_deadline)); default: no, which costs nothing. With
    /// it, machine code tests a word in memory wherever a function is entered and at the head of
    /// each loop, and the runtime does between pieces of long operations.
    pub fn interruptible(&mut self, interruptible: bool) -> &mut Self {
        self.tunables.interruptible = interruptible;
        self
    }

    /// Whether the operators that guests execute are counted
    /// ([`Store::set_fuel`](crate::Store::set_fuel)); default: no, which costs nothing. With it,
    /// machine code counts and tests in each stretch of code without branches.
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

    /// How many instances the engine can have at a time, and what it keeps for the next ones.
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

    /// Whether every NaN that arithmetic gives is the canonical one; default: no. With it, floats
    /// have the same bits on every processor, and each operation on them takes about two
    /// instructions more.
    pub fn cranelift_nan_canonicalization(&mut self, canonicalize: bool) -> &mut Self {
        self.tunables.nan_canonicalization = canonicalize;
        self
    }

    /// Whether relaxed SIMD gives the same results on every processor, at some cost; default: no.
    pub fn relaxed_simd_deterministic(&mut self, deterministic: bool) -> &mut Self {
        self.tunables.relaxed_simd_deterministic = deterministic;
        self
    }

    /// Whether each allocation of an object collects what is not reachable: slow, for tests.
    #[doc(hidden)]
    pub fn gc_zeal(&mut self, zeal: bool) -> &mut Self {
        self.tunables.gc_zeal = zeal;
        self
    }

    /// Whether every export of every core instance is kept and can be reached through
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
