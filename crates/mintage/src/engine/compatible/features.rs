//! [`WasmFeatures`]: features of WebAssembly as a set.

use super::Config;
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of features of WebAssembly; see [`Config::wasm_features`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct WasmFeatures(u64);

impl WasmFeatures {
    /// Returns the empty set.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Returns the set of all features.
    pub const fn all() -> Self {
        Self((1 << Bit::End as u64) - 1)
    }

    /// Returns the bits of the set. Their meaning may change.
    pub const fn bits(&self) -> u64 {
        self.0
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Returns whether all features of `other` are in this set.
    pub const fn contains(&self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether a feature is in both sets.
    pub const fn intersects(&self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the features of both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds features.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Removes features.
    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Adds or removes features.
    pub fn set(&mut self, other: Self, on: bool) {
        match on {
            true => self.insert(other),
            false => self.remove(other),
        }
    }
}

impl BitOr for WasmFeatures {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for WasmFeatures {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl fmt::Debug for WasmFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        f.debug_set().entries(names.map(|(_, name)| name)).finish()
    }
}

/// Features that cannot be changed: `always` or `never` supported.
macro_rules! fixed {
    ($callback:ident! $($rows:tt)*) => {
        $callback! {
            {
                MUTABLE_GLOBAL "Mutable globals that are imported or exported. Always on.";
                SATURATING_FLOAT_TO_INT "Conversions that saturate. Always on.";
                SIGN_EXTENSION "Operators that extend signs. Always on.";
                REFERENCE_TYPES "Reference types. Always on.";
                MULTI_VALUE "Multiple results. Always on.";
                BULK_MEMORY "Bulk operations. Always on.";
                FLOATS "Floats. Always on.";
                COMPONENT_MODEL "Components. Always on.";
                SHARED_EVERYTHING_THREADS "Not supported.";
                STACK_SWITCHING "Not supported.";
                LEGACY_EXCEPTIONS "Not supported.";
                MEMORY_CONTROL "Not supported.";
                CM_GC "Not supported.";
            }
            $($rows)*
        }
    };
}

macro_rules! define {
    (
        { $($fixed:ident $fixed_doc:literal;)* }
        $($name:ident $setter:ident $flag:ident $default:ident, $doc:literal $($more:literal)*;)*
    ) => {
        /// The number of each feature.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of constants")]
        #[repr(u64)]
        enum Bit {
            $($flag,)*
            $($fixed,)*
            End,
        }

        const _: () = assert!((Bit::End as u64) < 64);

        /// The features, by the names of the flags of `wasmparser`.
        impl WasmFeatures {
            $(
                #[doc = concat!("Has the meaning of [`Config::", stringify!($setter), "`].")]
                pub const $flag: Self = Self(1 << Bit::$flag as u64);
            )*
            $(
                #[doc = $fixed_doc]
                pub const $fixed: Self = Self(1 << Bit::$fixed as u64);
            )*
        }

        const NAMES: &[(WasmFeatures, &str)] = &[
            $((WasmFeatures::$flag, stringify!($flag)),)*
            $((WasmFeatures::$fixed, stringify!($fixed)),)*
        ];

        impl Config {
            /// Turns features on or off. Features that are always on stay so. To turn on one that
            /// is not supported has no effect: components that use it are refused.
            pub fn wasm_features(&mut self, features: WasmFeatures, enable: bool) -> &mut Self {
                $(
                    if features.contains(WasmFeatures::$flag) {
                        self.$setter(enable);
                    }
                )*
                self
            }
        }
    };
}

macro_rules! rows {
    ($($rows:tt)*) => {
        fixed!(define! $($rows)*);
    };
}

mintage_environ::features!(rows);

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::{Feature, Features};

    #[test]
    fn features_are_set_one_by_one_and_together() {
        let mut config = Config::new();
        config.wasm_features(WasmFeatures::all(), true);
        assert_eq!(config.tunables.features, Features::all());
        config.wasm_features(WasmFeatures::SIMD | WasmFeatures::CM_MAP, false);
        let mut expected = Features::all();
        (expected.simd, expected.map) = (false, false);
        assert_eq!(config.tunables.features, expected);
        config.wasm_features(WasmFeatures::BULK_MEMORY, false);
        assert_eq!(config.tunables.features, expected);
        config.wasm_features(WasmFeatures::all(), false);
        let mut none = Features::all();
        for feature in Feature::ALL {
            none.set(feature, false);
        }
        assert_eq!(config.tunables.features, none);
    }

    #[test]
    fn sets() {
        let mut set = WasmFeatures::empty();
        assert!(set.is_empty() && WasmFeatures::all().contains(set));
        set |= WasmFeatures::SIMD;
        set.set(WasmFeatures::GC, true);
        assert_eq!(format!("{set:?}"), r#"{"SIMD", "GC"}"#);
        assert!(set.contains(WasmFeatures::GC) && set.intersects(WasmFeatures::all()));
        set.remove(WasmFeatures::SIMD);
        assert_eq!(set, WasmFeatures::GC);
        assert_eq!(set.bits().count_ones(), 1);
    }
}
