//! Small components with extreme demands: each is rejected or compiled in bounded time and memory.
//! A binary of its own, because it measures the peak memory of its process.

mod common;

use common::Outcome::{Error, Fine};
use common::{Case, check};
use wasm_encoder::{
    CodeSection, ComponentBuilder, ComponentExportKind, ComponentTypeSection, ComponentValType,
    Encode, ExportKind, ExportSection, Function, FunctionSection, Module, ModuleArg,
    PrimitiveValType, RawSection, Section, TypeSection, ValType,
};

/// Builds a component that defines `count` list types.
fn many_types(count: u32) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    for _ in 0..count {
        types
            .defined_type()
            .list(ComponentValType::Primitive(PrimitiveValType::U8));
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&types);
    component.finish()
}

/// Builds a component with a core module whose type section has `count` entries, encoded in `body`.
fn core_types(count: u32, body: &[u8]) -> Vec<u8> {
    let mut section = Vec::new();
    count.encode(&mut section);
    section.extend_from_slice(body);
    let mut module = Module::HEADER.to_vec();
    RawSection {
        id: wasm_encoder::SectionId::Type.into(),
        data: &section,
    }
    .append_to(&mut module);
    let mut component = ComponentBuilder::default();
    let module = component.core_module_raw(None, &module);
    component.core_instantiate(None, module, []);
    component.finish()
}

/// Builds a million struct types in chains of subtypes, each of the maximum depth.
fn chains_of_subtypes() -> Vec<u8> {
    let count = 1_000_000;
    let mut body = Vec::new();
    for ty in 0..count {
        body.push(0x50); // `sub`
        match ty % 64 {
            // Fields make many of the chains different.
            0 => body.push(0),
            _ => {
                body.push(1);
                (ty - 1).encode(&mut body);
            }
        }
        body.push(0x5f); // `struct`
        let fields = ty / 64 % 14;
        fields.encode(&mut body);
        for field in 0..fields {
            let kinds = [0x7f, 0x7e, 0x7d];
            body.extend([kinds[(ty / 64 / 3_u32.pow(field % 10)) as usize % 3], 0]);
        }
    }
    core_types(count, &body)
}

/// Builds a recursive group of `count` function types, each with a reference to the next as
/// parameter.
fn recursive_group(count: u32) -> Vec<u8> {
    let mut body = vec![0x4e]; // `rec`
    count.encode(&mut body);
    for ty in 0..count {
        body.extend([0x60, 1, 0x63]); // `func` with a parameter, `(ref null ...)`
        i64::from((ty + 1) % count).encode(&mut body);
        body.push(0);
    }
    core_types(1, &body)
}

/// Builds function types, each of which is a subtype of the one before.
fn deep_chain(chain: u32) -> Vec<u8> {
    let mut body = vec![0x50, 0, 0x60, 0, 0];
    for ty in 1..chain {
        body.extend([0x50, 1]);
        (ty - 1).encode(&mut body);
        body.extend([0x60, 0, 0]);
    }
    core_types(chain, &body)
}

/// Builds a function with `locals` references to GC objects, all of which are live across each of
/// `calls` calls.
fn live_references(locals: u32, calls: u32) -> Vec<u8> {
    let mut text = format!(
        "(component (core module $M (type $s (struct)) (func $f)
           (func (export \"run\") (local {}) ",
        "(ref null $s) ".repeat(locals as usize)
    );
    for local in 0..locals {
        text += &format!("(local.set {local} (struct.new $s)) ");
    }
    text += &"call $f ".repeat(calls as usize);
    for local in 0..locals {
        text += &format!("(drop (ref.as_non_null (local.get {local}))) ");
    }
    // Exporting the function makes it reachable.
    text += ")) (core instance $m (instantiate $M)) (func (export \"run\") \
             (canon lift (core func $m \"run\"))))";
    wat::parse_str(text).unwrap()
}

/// Builds a function that allocates `count` structs with 10,000 fields each.
fn large_structs(count: u32) -> Vec<u8> {
    let text = format!(
        "(component (core module $M (type $s (struct (field {}))) (func (export \"run\") {}))
           (core instance $m (instantiate $M)) (func (export \"run\") (canon lift
             (core func $m \"run\"))))",
        "i64 ".repeat(10_000),
        "(drop (struct.new_default $s)) ".repeat(count as usize)
    );
    wat::parse_str(text).unwrap()
}

/// Builds a function with nested `try_table`s, each for a different tag, and calls inside.
fn handlers(scopes: usize, calls: usize) -> Vec<u8> {
    let scope = |tag: usize| format!("try_table (catch {tag} 0) ");
    let text = format!(
        "(component (core module $M {} (func $f (block)) (func $g {} {} {}) (start $g)) \
         (core instance (instantiate $M)))",
        "(tag) ".repeat(scopes),
        (0..scopes).map(scope).collect::<String>(),
        "call $f ".repeat(calls),
        "end ".repeat(scopes)
    );
    wat::parse_str(text).unwrap()
}

/// Builds a function that calls another one and does nothing else, as that one does, and so on.
fn forwarders(count: usize) -> Vec<u8> {
    let calls: String = (1..=count).map(|i| format!("(func call {i})")).collect();
    let text = format!(
        "(component (core module $M {calls} (func (block)) (start 0)) \
         (core instance (instantiate $M)))"
    );
    wat::parse_str(text).unwrap()
}

/// Builds a constant expression that allocates an array.
fn constant_objects(length: u32) -> Vec<u8> {
    let text = format!(
        "(component (core module $M
           (type $a (array i64))
           (global (ref $a) (array.new $a (i64.const 1) (i32.const {length}))))
         (core instance (instantiate $M)))"
    );
    wat::parse_str(text).unwrap()
}

/// Builds a function whose parameter consists of pairs nested `depth` deep, and a call of it
/// through an adapter.
fn doubled_type(depth: u32) -> Vec<u8> {
    let mut text = String::from("(component $root (type $t0 u8)\n");
    for level in 0..depth {
        text += &format!("(type $t{} (tuple $t{level} $t{level}))\n", level + 1);
    }
    text += &format!(
        r#"(component $C
             (core module $M (memory (export "m") 100)
               (func (export "f") (param i32)) (func (export "r") (param i32 i32 i32 i32)
                 (result i32) (i32.const 0)))
             (core instance $i (instantiate $M))
             (func (export "f") (param "x" (list $t{depth})) (canon lift (core func $i "f2")
               (memory (core memory $i "m"))
               (realloc (core func $i "r")))))
           "#
    );
    text = text.replace(
        "(func (export \"f\") (param i32))",
        "(func (export \"f2\") (param i32 i32))",
    );
    text += &format!(
        r#"(component $D (import "f" (func $f (param "x" (list $t{depth}))))
             (core module $M (memory (export "m") 100))
             (core instance $m (instantiate $M))
             (core func $g (canon lower (func $f) (memory (core memory $m "m"))))
             (core module $N (import "" "g" (func $g (param i32 i32)))
               (func (export "run") (call $g (i32.const 0) (i32.const 1))))
             (core instance $n (instantiate $N (with "" (instance (export "g" (func $g))))))
             (func (export "run") (canon lift (core func $n "run"))))
           (instance $c (instantiate $C))
           (instance $d (instantiate $D (with "f" (func $c "f"))))
           (export "run" (func $d "run")))"#
    );
    wat::parse_str(&text).unwrap()
}

/// Builds components nested `depth` deep.
fn nested(depth: usize) -> Vec<u8> {
    let header = wasm_encoder::Component::HEADER;
    let mut sizes = vec![header.len()];
    for _ in 0..depth {
        let inner = sizes[sizes.len() - 1];
        let mut length = Vec::new();
        inner.encode(&mut length);
        sizes.push(header.len() + 1 + length.len() + inner);
    }
    let mut bytes = Vec::new();
    for inner in sizes[..depth].iter().rev() {
        bytes.extend_from_slice(&header);
        bytes.push(wasm_encoder::ComponentSectionId::Component.into());
        inner.encode(&mut bytes);
    }
    bytes.extend_from_slice(&header);
    bytes
}

/// Builds component types nested `depth` deep.
fn nested_types(depth: usize) -> Vec<u8> {
    let mut section = vec![1];
    section.extend(std::iter::repeat_n([0x41, 1, 1], depth).flatten());
    section.extend([0x41, 0]);
    let mut component = wasm_encoder::Component::new();
    component.section(&RawSection {
        id: wasm_encoder::ComponentSectionId::Type.into(),
        data: &section,
    });
    component.finish()
}

/// Builds list types nested `depth` deep.
fn deep_value_type(depth: u32) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.defined_type().primitive(PrimitiveValType::U8);
    for level in 0..depth {
        types.defined_type().list(ComponentValType::Type(level));
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&types);
    component.finish()
}

/// Builds `levels` components, each of which instantiates the one before twice. The first has a
/// core instance.
fn doubled_instances(levels: usize) -> Vec<u8> {
    let mut text = String::from(
        r#"(component
             (component $c0
               (core module $M (func (export "f")))
               (core instance $i (instantiate $M))
               (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    for level in 0..levels {
        text += &format!(
            r#"(component $c{} (alias outer 1 $c{level} (component $c))
                 (instance $a (instantiate $c)) (instance $b (instantiate $c))
                 (export "f" (func $a "f")) (export "g" (func $b "f")))"#,
            level + 1
        );
    }
    text += &format!("(instance $all (instantiate $c{levels})) (export \"f\" (func $all \"f\")))");
    wat::parse_str(&text).unwrap()
}

/// Builds `levels` instances, each of which exports the one before under two names.
fn doubled_exports(levels: usize) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &Module::new());
    component.core_instantiate(None, module, std::iter::empty::<(&str, ModuleArg)>());
    let mut instance =
        component.instantiate_exports(None, std::iter::empty::<(&str, ComponentExportKind, u32)>());
    for _ in 0..levels {
        let twice = ["a", "b"].map(|name| (name, ComponentExportKind::Instance, instance));
        instance = component.instantiate_exports(None, twice);
    }
    component.export("all", ComponentExportKind::Instance, instance, None);
    component.finish()
}

/// Builds an import of an instance type that nests two instances at each level.
fn doubled_imports(levels: u32) -> Vec<u8> {
    let mut text = String::from("(component (type $t0 (instance (export \"f\" (func))))\n");
    for level in 0..levels {
        text += &format!(
            "(type $t{} (instance (alias outer 1 $t{level} (type)) (export \"a\" (instance (type \
             0))) (export \"b\" (instance (type 0)))))\n",
            level + 1
        );
    }
    text += &format!("(import \"all\" (instance (type $t{levels}))))");
    wat::parse_str(&text).unwrap()
}

/// Builds `instances` core instances of a module with `functions` functions, all of them reachable.
fn many_functions(instances: u32, functions: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut section = FunctionSection::new();
    let mut code = CodeSection::new();
    for index in 0..functions {
        section.function(0);
        let mut body = Function::new([]);
        let mut instructions = body.instructions();
        match index + 1 < functions {
            true => instructions.call(index + 1),
            false => instructions.i32_const(0),
        };
        for constant in 0..50 {
            instructions.i32_const(constant).i32_add();
        }
        instructions.end();
        code.function(&body);
    }
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&section)
        .section(&exports)
        .section(&code);

    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module);
    let (ty, mut func) = component.type_function(None);
    func.params([("x", PrimitiveValType::U32); 0])
        .result(Some(PrimitiveValType::U32.into()));
    for index in 0..instances {
        let instance =
            component.core_instantiate(None, module, std::iter::empty::<(&str, ModuleArg)>());
        let core = component.core_alias_export(None, instance, "f", ExportKind::Func);
        let func = component.lift_func(None, core, ty, []);
        component.export(format!("f{index}"), ComponentExportKind::Func, func, None);
    }
    component.finish()
}

/// Builds `levels` instances of a component that re-exports an imported instance with `width`
/// functions.
fn passed_on(levels: usize, width: usize) -> Vec<u8> {
    let exports = (0..width)
        .map(|index| format!("(export \"f{index}\" (func $f))"))
        .collect::<String>();
    let declared = (0..width)
        .map(|index| format!("(export \"f{index}\" (func))"))
        .collect::<String>();
    let mut text = format!(
        r#"(component (type $T (instance {declared}))
             (core module $M (func (export "f")))
             (core instance $m (instantiate $M))
             (func $f (canon lift (core func $m "f")))
             (component $C (alias outer 1 $T (type $T)) (import "i" (instance $i (type $T)))
               (export "i" (instance $i)))
             (instance $i0 {exports})"#
    );
    for level in 0..levels {
        text += &format!(
            "(instance $c{level} (instantiate $C (with \"i\" (instance $i{level}))))
             (alias export $c{level} \"i\" (instance $i{}))\n",
            level + 1
        );
    }
    text += &format!("(export \"f\" (func $i{levels} \"f0\")))");
    wat::parse_str(&text).unwrap()
}

/// Builds `instances` instances of a component, each with an adapter for a function of `width`
/// values.
fn many_adapters(instances: usize, width: usize) -> Vec<u8> {
    let ty = format!(
        "(list (tuple {}))",
        "(option u8) (option u16) ".repeat(width / 2)
    );
    let mut text = format!(
        r#"(component
             (core module $M (memory (export "m") 1) (func (export "f") (param i32 i32))
               (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
             (core instance $m (instantiate $M))
             (func $f (param "x" {ty}) (canon lift (core func $m "f") (memory (core memory $m "m"))
               (realloc (core func $m "r"))))
             (component $D (import "f" (func $f (param "x" {ty})))
               (core module $M (memory (export "m") 1))
               (core instance $m (instantiate $M))
               (core func $g (canon lower (func $f) (memory (core memory $m "m"))))
               (core module $N (import "" "g" (func $g (param i32 i32)))
                 (func (export "run") (call $g (i32.const 0) (i32.const 1))))
               (core instance $n (instantiate $N (with "" (instance (export "g" (func $g))))))
               (func (export "run") (canon lift (core func $n "run"))))"#
    );
    for index in 0..instances {
        text += &format!(
            "(instance $d{index} (instantiate $D (with \"f\" (func $f)))) \
             (export \"f{index}\" (func $d{index} \"run\"))\n"
        );
    }
    text.push(')');
    wat::parse_str(&text).unwrap()
}

/// Cases run one by one, because the memory of parallel ones could not be told apart.
#[test]
fn explosions() {
    let chosen = std::env::var("EXPLOSION").unwrap_or_default();
    let cases: &[Case] = &[
        ("a million types", || many_types(1_000_000), Fine),
        (
            "more than a million types",
            || many_types(1_000_001),
            Error("exceeds"),
        ),
        (
            "a million function types",
            || core_types(1_000_000, &[0x60, 0, 0].repeat(1_000_000)),
            Fine,
        ),
        ("chains of subtypes", chains_of_subtypes, Fine),
        ("subtypes as deep as can be", || deep_chain(64), Fine),
        (
            "subtypes that are too deep",
            || deep_chain(65),
            Error("too deep"),
        ),
        (
            "a recursive group of a million types",
            || recursive_group(1_000_000),
            Fine,
        ),
        ("some live references", || live_references(500, 500), Fine),
        (
            "live references",
            || live_references(25_000, 25_000),
            Error("has more than 16777216 values"),
        ),
        ("large structs", || large_structs(3_000), Fine),
        (
            "functions that only call the next one",
            || forwarders(200_000),
            Fine,
        ),
        (
            "handlers of many calls",
            || handlers(2_000, 5_000),
            Error("split it"),
        ),
        ("handlers of calls, fewer", || handlers(20, 2_000), Fine),
        (
            "constant objects of 100 MiB",
            || constant_objects(100 << 17),
            Fine,
        ),
        (
            "constant objects of more than the heap has",
            || constant_objects(260 << 17),
            Error("constant expressions"),
        ),
        (
            "constant objects of 32 GiB",
            || constant_objects(u32::MAX),
            Error("constant expressions"),
        ),
        (
            "doubled type",
            || doubled_type(40),
            Error("effective type size exceeds the limit"),
        ),
        (
            "doubled type, within the validator's limit",
            || doubled_type(17),
            Error("has a type of more than"),
        ),
        ("doubled type, small enough", || doubled_type(6), Fine),
        (
            "nested components",
            || nested(100_000),
            Error("modules and components count exceeds limit"),
        ),
        (
            "nested components, within the validator's limit",
            || nested(998),
            Fine,
        ),
        (
            "nested component types",
            || nested_types(100_000),
            Error("nest"),
        ),
        (
            "deep value type",
            || deep_value_type(100_000),
            Error("type nesting is too deep"),
        ),
        (
            "doubled instances",
            || doubled_instances(40),
            Error("more than 10000 nested component instances"),
        ),
        ("doubled exports", || doubled_exports(40), Error("exceeds")),
        (
            "doubled exports, within the validator's limit",
            || doubled_exports(15),
            Fine,
        ),
        ("doubled imports", || doubled_imports(40), Error("exceeds")),
        (
            "doubled imports, within the validator's limit",
            || doubled_imports(15),
            Fine,
        ),
        (
            "many instances",
            || many_functions(5_000, 1),
            Error("instances count exceeds limit"),
        ),
        (
            "instances passed on",
            || passed_on(900, 10_000),
            Error("too large"),
        ),
        (
            "instances passed on, a little",
            || passed_on(100, 1_000),
            Fine,
        ),
        (
            "many adapters",
            || many_adapters(900, 4_000),
            Error("instantiate fewer components"),
        ),
        ("many adapters, a few", || many_adapters(5, 100), Fine),
        (
            "repeated code",
            || many_functions(4_000, 1_000),
            Error("compiled again"),
        ),
        ("repeated code, a little", || many_functions(20, 20), Fine),
    ];
    for (name, bytes, expected) in cases {
        if name.contains(&chosen) {
            let expected = match expected {
                Fine => Fine,
                Error(text) => Error(text),
            };
            check(name, &bytes(), expected);
        }
    }
}
