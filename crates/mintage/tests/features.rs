//! Each feature of WebAssembly is a setting: on, a component that uses it compiles; off, the error says what turns it on.

use mintage::{Component, Config, Engine};

/// The setting's name, the setting, and a core module that needs it.
type Feature = (&'static str, fn(&mut Config, bool) -> &mut Config, &'static str);

const FEATURES: &[Feature] = &[
    ("wasm_simd", Config::wasm_simd, "(func (drop (v128.const i64x2 0 0)))"),
    ("wasm_multi_memory", Config::wasm_multi_memory, "(memory 0) (memory 0)"),
    (
        "wasm_extended_const",
        Config::wasm_extended_const,
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    ),
    ("wasm_memory64", Config::wasm_memory64, "(memory i64 0)"),
    ("wasm_memory64", Config::wasm_memory64, "(table i64 0 funcref)"),
    ("wasm_tail_call", Config::wasm_tail_call, "(func $f return_call $f)"),
    (
        "wasm_function_references",
        Config::wasm_function_references,
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
    ),
];

fn compile(config: &Config, module: &str) -> mintage::Result<Component> {
    let engine = Engine::new(config)?;
    Component::new(
        &engine,
        format!("(component (core module $M {module}) (core instance (instantiate $M)))"),
    )
}

#[test]
fn each_feature_has_a_setting() {
    for (name, set, module) in FEATURES {
        let mut config = Config::new();
        set(&mut config, true);
        compile(&config, module).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        set(&mut config, false);
        let error = compile(&config, module)
            .err()
            .unwrap_or_else(|| panic!("{name} cannot be turned off"));
        let expected = format!("`Config::{name}` turns on");
        assert!(format!("{error:?}").contains(&expected), "{name}: {error:?}");
    }
}
