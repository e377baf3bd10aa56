//! The features of components and core modules that can be turned on and off, listed once.
//!
//! To add a feature, add a row to [`features!`](crate::features). The validator's flag, the setter
//! of the library's `Config`, the command's option `-W`, the advice in errors and the test matrix
//! expand from it.

use serde::{Deserialize, Serialize};

/// Calls the given macro with a row for each feature.
///
/// A row has the name of the field in [`Features`], the name of `Config`'s setter, the name of the
/// constant in `wasmparser::WasmFeatures`, the default, a clause that says what components or
/// modules may do, and more documentation for the setter, whose links are relative to `Config`.
#[macro_export]
macro_rules! features {
    ($callback:ident) => {
        $callback! {
            simd wasm_simd SIMD true, "modules may use fixed-width SIMD";
            multi_memory wasm_multi_memory MULTI_MEMORY true,
                "modules may have more than one memory";
            extended_const wasm_extended_const EXTENDED_CONST true,
                "constant expressions may add, subtract and multiply integers";
            memory64 wasm_memory64 MEMORY64 true,
                "memories and tables may have 64-bit indexes"
                "Accesses to such memories have explicit bounds checks."
                "[`memory64_reservation`](Self::memory64_reservation) limits their size.";
            tail_call wasm_tail_call TAIL_CALL true,
                "functions may make tail calls (`return_call` and `return_call_indirect`)";
            function_references wasm_function_references FUNCTION_REFERENCES true,
                "modules may use typed function references (`call_ref`) and non-null references";
            gc wasm_gc GC true,
                "modules may use structs, arrays, 31-bit integers and casts, with a garbage \
collector"
                "It needs [`wasm_function_references`](Self::wasm_function_references)."
                "[`gc_heap_reservation`](Self::gc_heap_reservation) limits the size of objects.";
            relaxed_simd wasm_relaxed_simd RELAXED_SIMD true,
                "modules may use relaxed SIMD, whose results can depend on the processor"
                "See [`relaxed_simd_deterministic`](Self::relaxed_simd_deterministic).";
            wide_arithmetic wasm_wide_arithmetic WIDE_ARITHMETIC true,
                "modules may use 128-bit additions, subtractions and products";
            threads wasm_threads THREADS true,
                "modules may use atomic operators"
                "Shared memories are not supported.";
            custom_page_sizes wasm_custom_page_sizes CUSTOM_PAGE_SIZES false,
                "memories may have pages of one byte"
                "The proposal is not finished.";
            exceptions wasm_exceptions EXCEPTIONS true,
                "modules may throw and catch exceptions"
                "The legacy instructions (`try`, `catch`, `delegate`) are not supported.";
            implements wasm_component_model_implements CM_IMPLEMENTS false,
                "components may declare which interface an import or export `implements`";
            map wasm_component_model_map CM_MAP false,
                "components may use `map<k, v>`"
                "To the host it is a [`Val::Map`](crate::Val::Map), or a"
                "[`HashMap`](std::collections::HashMap) or \
[`BTreeMap`](std::collections::BTreeMap).";
            fixed_length_lists wasm_component_model_fixed_length_lists CM_FIXED_LENGTH_LISTS false,
                "components may use `list<t, n>`, lists of fixed length"
                "To the host it is a [`Val::FixedLengthList`](crate::Val::FixedLengthList), or an"
                "array.";
            error_context wasm_component_model_error_context CM_ERROR_CONTEXT false,
                "components may use `error-context` and its built-ins"
                "To the host it is an [`ErrorContext`](crate::ErrorContext).";
            component_async wasm_component_model_async CM_ASYNC true,
                "components may use asynchronous functions, streams and futures";
            async_stackful wasm_component_model_async_stackful CM_ASYNC_STACKFUL false,
                "components may lift functions with `async` and without a `callback`"
                "Such a task keeps its stack while it waits.";
            more_async_builtins wasm_component_model_more_async_builtins CM_MORE_ASYNC_BUILTINS
                false,
                "components may use the synchronous and asynchronous variants of built-ins on \
streams, futures and subtasks that were not standardized at first";
            threading wasm_component_model_threading CM_THREADING false,
                "components may use the built-ins on threads (`thread.new-indirect` and others)"
                "Only one of them runs at a time.";
            forward wasm_component_model_forward CM_FORWARD false,
                "components may use `stream.forward` and `future.forward`";
            component_memory64 wasm_component_model_memory64 CM64 false,
                "components may pass values to each other through 64-bit memories"
                "Values that pass to or from the host need a 32-bit memory.";
        }
    };
}

macro_rules! define {
    ($(
        $name:ident $setter:ident $flag:ident $default:literal,
            $doc:literal $($more:literal)*;
    )*) => {
        /// Features that are accepted in addition to core WebAssembly 2.0 and the stable,
        /// synchronous component model.
        ///
        /// A feature is listed once the whole pipeline supports it. Finished proposals are on by
        /// default.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Features {
            $(#[doc = concat!("Whether ", $doc, ".")] pub $name: bool,)*
        }

        impl Default for Features {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Features {
            /// Returns the features with all of them turned on.
            pub const fn all() -> Self {
                Self { $($name: true,)* }
            }
        }

        impl Feature {
            /// Every feature, in the order of the fields of [`Features`].
            pub const ALL: &[Feature] = &[$(Feature {
                name: stringify!($name),
                setter: stringify!($setter),
                doc: $doc,
                default: $default,
                field: |features| &mut features.$name,
            },)*];
        }
    };
}

/// A feature, as an item of [`Feature::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// The name of the field in [`Features`].
    pub name: &'static str,
    /// The name of `Config`'s setter.
    pub setter: &'static str,
    /// A clause that says what components or modules may do with the feature.
    pub doc: &'static str,
    /// Whether the feature is on by default.
    pub default: bool,
    field: fn(&mut Features) -> &mut bool,
}

features!(define);

impl Features {
    /// Turns a feature on or off.
    pub fn set(&mut self, feature: &Feature, on: bool) {
        *(feature.field)(self) = on;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_each_feature_turns_all_on() {
        let mut features = Features::default();
        for feature in Feature::ALL {
            features.set(feature, true);
        }
        assert_eq!(features, Features::all());
    }
}
