//! The features of the engine as flags of the parser.

use mintage_environ::{Feature, Features};
use wasmparser::WasmFeatures;

macro_rules! define {
    ($(
        $name:ident $setter:ident $flag:ident $default:literal, $doc:literal $($more:literal)*;
    )*) => {
        /// The parser's flags, in the order of [`Feature::ALL`].
        const FLAGS: &[WasmFeatures] = &[$(WasmFeatures::$flag),*];

        /// Returns the features as flags of the parser. The validator then accepts exactly what is
        /// supported and turned on.
        pub fn wasm_features(features: Features) -> WasmFeatures {
            let mut accepted = WasmFeatures::WASM2.union(WasmFeatures::COMPONENT_MODEL);
            $(accepted.set(WasmFeatures::$flag, features.$name);)*
            accepted
        }
    };
}

mintage_environ::features!(define);

/// Returns the feature that turns `flag` on, if there is one.
pub(crate) fn of_flag(flag: WasmFeatures) -> Option<&'static Feature> {
    let position = FLAGS.iter().position(|known| known.contains(flag));
    position.map(|position| &Feature::ALL[position])
}
