//! Each feature of WebAssembly has a setting. If it is off, the error for a component that uses it
//! names the setting.

use mintage::{Component, Config, Engine, ErrorKind};

/// The setting's name, the setting, and a core module that needs it.
type Feature = (
    &'static str,
    fn(&mut Config, bool) -> &mut Config,
    &'static str,
);

const FEATURES: &[Feature] = &[
    (
        "wasm_simd",
        Config::wasm_simd,
        "(func (drop (v128.const i64x2 0 0)))",
    ),
    (
        "wasm_multi_memory",
        Config::wasm_multi_memory,
        "(memory 0) (memory 0)",
    ),
    (
        "wasm_extended_const",
        Config::wasm_extended_const,
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    ),
    ("wasm_memory64", Config::wasm_memory64, "(memory i64 0)"),
    (
        "wasm_memory64",
        Config::wasm_memory64,
        "(table i64 0 funcref)",
    ),
    (
        "wasm_tail_call",
        Config::wasm_tail_call,
        "(func $f return_call $f)",
    ),
    (
        "wasm_function_references",
        Config::wasm_function_references,
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
    ),
    (
        "wasm_gc",
        Config::wasm_gc,
        "(type $s (struct)) (func (export \"f\") (drop (struct.new $s)))",
    ),
    (
        "wasm_relaxed_simd",
        Config::wasm_relaxed_simd,
        "(func (param v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 0)))",
    ),
    (
        "wasm_wide_arithmetic",
        Config::wasm_wide_arithmetic,
        "(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 2)))",
    ),
    ("wasm_threads", Config::wasm_threads, "(func atomic.fence)"),
    (
        "wasm_custom_page_sizes",
        Config::wasm_custom_page_sizes,
        "(memory 1 (pagesize 1))",
    ),
    (
        "wasm_exceptions",
        Config::wasm_exceptions,
        "(tag $t) (func (throw $t))",
    ),
    (
        "wasm_exceptions",
        Config::wasm_exceptions,
        "(func (param exnref) (throw_ref (local.get 0)))",
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
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        let expected = format!("`Config::{name}` turns on");
        assert!(
            format!("{error:?}").contains(&expected),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn shared_memories_are_refused() {
    for module in [
        "(memory 1 2 shared)",
        "(import \"\" \"m\" (memory 1 2 shared))",
    ] {
        let engine = Engine::new(&Config::new()).unwrap();
        let error = Component::new(&engine, format!("(component (core module {module}))")).err();
        let error = format!("{:?}", error.expect("a shared memory is refused"));
        assert!(
            error.contains("shared memory, which is not supported"),
            "{error}"
        );
    }
}
