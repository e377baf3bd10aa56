//! Settings without effect.

use super::{Collector, Config, ModuleVersionStrategy, RegallocAlgorithm};
use crate::error::Result;
use std::num::NonZeroUsize;

/// Defines setters without effect: the name of each, the type of its value, and the reason.
macro_rules! ignored {
    ($owner:ident: $($setter:ident($ty:ty) $reason:literal;)*) => {
        /// Settings without effect, for hosts that port from Wasmtime.
        impl $owner {
            $(
                #[doc = concat!("Has no effect. ", $reason)]
                pub fn $setter(&mut self, _: $ty) -> &mut Self {
                    self
                }
            )*
        }

        /// Calls all of these setters.
        #[cfg(test)]
        fn set_ignored(config: &mut $owner, on: bool) {
            use $crate::engine::compatible::ignored::tests::Sample;
            $(config.$setter(<$ty>::sample(on));)*
        }
    };
}

ignored! { Config:
    async_support(bool) "No setting is needed for asynchronous calls.";
    async_stack_zeroing(bool) "Guests cannot read the stacks that they run on.";
    concurrency_support(bool) "No setting is needed for it.";
    collector(Collector) "There is one collector, which copies live objects.";
    cranelift_regalloc_algorithm(RegallocAlgorithm)
        "Registers are allocated with as much care as [`opt_level`](Self::opt_level) asks for.";
    cranelift_wasmtime_debug_checks(bool) "Machine code has no such checks.";
    debug_adapter_modules(bool) "There are no adapter modules: adapters are machine code.";
    debug_info(bool)
        "Debuggers cannot show the source of guests. Backtraces can: see \
         [`wasm_backtrace_details`](Self::wasm_backtrace_details).";
    debug_symbols(bool) "Artifacts always have symbols of functions.";
    force_memory_init_memfd(bool) "Initial contents of memories are mapped from a file.";
    gc_heap_guard_size(u64) "GC heaps are inside the address space of their instance.";
    gc_heap_initial_size(u64) "GC heaps grow when they are needed.";
    gc_heap_may_move(bool) "GC heaps grow in place.";
    gc_heap_reservation_for_growth(u64) "GC heaps grow in place.";
    gc_support(bool)
        "[`wasm_gc`](Self::wasm_gc) and [`wasm_exceptions`](Self::wasm_exceptions) turn off what \
         needs a collector.";
    guard_before_linear_memory(bool)
        "Accesses never reach below a memory, so no guard is needed there.";
    macos_use_mach_ports(bool) "It is for another operating system.";
    memory_guaranteed_dense_image_size(u64)
        "Initial contents of memories are mapped or copied, whichever is faster.";
    memory_init_cow(bool) "Initial contents of memories are mapped copy-on-write in any case.";
    memory_may_move(bool) "Memories never move. They grow within their reservation.";
    memory_reservation_for_growth(u64) "Memories never move. They grow within their reservation.";
    metadata_for_gc_heap_corruption(bool) "There are no such checks.";
    metadata_for_internal_asserts(bool) "There are no such checks.";
    native_unwind_info(bool)
        "Machine code has frame pointers, by which tools find its callers.";
    shared_memory(bool) "Shared memories are not supported. Components that have one are refused.";
    table_lazy_init(bool) "Tables are initialized when a component is compiled.";
    wasm_backtrace(bool)
        "Errors always have a [`WasmBacktrace`](crate::WasmBacktrace), which costs nothing until a \
         guest traps.";
    wasm_backtrace_max_frames(Option<NonZeroUsize>)
        "The innermost 20 frames of a backtrace are kept, and the number of the others.";
    wasm_branch_hinting(bool) "Hints are accepted, and change nothing.";
    wasm_bulk_memory(bool)
        "Bulk operations are part of each version of WebAssembly that components use.";
    wasm_component_model(bool) "Components are what the engine runs.";
    wasm_component_model_gc(bool)
        "Values that pass as objects are not supported. Components that use them are refused.";
    wasm_legacy_exceptions(bool)
        "The legacy instructions (`try`, `catch`, `delegate`) are not supported. Components that \
         use them are refused.";
    wasm_multi_value(bool)
        "Multiple results are part of each version of WebAssembly that components use.";
    wasm_reference_types(bool)
        "Reference types are part of each version of WebAssembly that components use.";
    wasm_shared_everything_threads(bool)
        "The proposal is not supported. Components that use it are refused.";
    wasm_stack_switching(bool)
        "The proposal is not supported. Components that use it are refused.";
    x86_float_abi_ok(bool) "Machine code calls no functions with floats.";
}

/// More settings without effect, for hosts that port from Wasmtime.
impl Config {
    /// Has no effect. An artifact loads only in the version of the engine that has made it.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn module_version(&mut self, _strategy: ModuleVersionStrategy) -> Result<&mut Self> {
        Ok(self)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::Engine;
    use crate::engine::Enabled;

    /// A type of settings.
    pub trait Sample {
        /// Returns one of two values.
        fn sample(on: bool) -> Self;
    }

    macro_rules! sample {
        ($($ty:ty: $off:expr, $on:expr;)*) => {
            $(impl Sample for $ty {
                fn sample(on: bool) -> Self {
                    if on { $on } else { $off }
                }
            })*
        };
    }

    sample! {
        bool: false, true;
        u32: 0, u32::MAX;
        u64: 0, u64::MAX;
        usize: 0, usize::MAX;
        Option<NonZeroUsize>: None, NonZeroUsize::new(1);
        Enabled: Enabled::No, Enabled::Yes;
        Collector: Collector::Null, Collector::Copying;
        RegallocAlgorithm: RegallocAlgorithm::SinglePass, RegallocAlgorithm::Backtracking;
    }

    #[test]
    fn settings_without_effect_change_nothing() {
        let before = format!("{:?}", Config::new());
        for on in [true, false] {
            let mut config = Config::new();
            set_ignored(&mut config, on);
            let version = ModuleVersionStrategy::Custom("mine".into());
            config.module_version(version).unwrap();
            assert_eq!(format!("{config:?}"), before);
            Engine::new(&config).unwrap();
        }
    }
}
