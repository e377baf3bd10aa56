//! Values of all types from one component instance to another and back, through adapters.
//!
//! ```text
//! host -> front -> adapter -> back -> host function -> back -> adapter -> front -> host
//! ```
//!
//! Both components hand on what they get: flat values as they are, spilled ones as pointers. So each value crosses the
//! adapter twice, and comes out in two places where it can be compared.

use mintage::{Component, Config, Engine, ErrorContext, Linker, Result, Store, Trap, Val};
use mintage_environ::component::{ComponentTypes, FlatTypes, InterfaceType, Record, Variant};
use proptest::prelude::*;
use std::fmt::Write;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// A type, and its WIT form as the text format writes it.
#[derive(Clone, Debug)]
enum Ty {
    Primitive(&'static str),
    List(Box<Ty>),
    Record(Vec<Ty>),
    Tuple(Vec<Ty>),
    Variant(Vec<Option<Ty>>),
    Enum(usize),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    Flags(usize),
    /// A map from primitive values.
    Map(&'static str, Box<Ty>),
    ErrorContext,
}

const PRIMITIVES: [&str; 13] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
];

/// Types under construction: the text of their definitions, and the same for the Canonical ABI.
#[derive(Default)]
struct Definitions {
    types: ComponentTypes,
    text: String,
    /// Names of the types that must be imported where they are used.
    named: Vec<String>,
    count: usize,
}

impl Definitions {
    /// Defines `ty`: how it is named from here on.
    fn define(&mut self, ty: &Ty) -> (String, InterfaceType) {
        let field = |i: usize| Box::<str>::from(format!("f{i}"));
        let (text, id, must_be_named) = match ty {
            Ty::Primitive(name) => return (name.to_string(), primitive(name)),
            Ty::ErrorContext => return ("error-context".to_string(), InterfaceType::ErrorContext),
            Ty::Map(key, value) => {
                let (text, value) = self.define(value);
                (
                    format!("(map {key} {text})"),
                    self.types.intern_map(primitive(key), value),
                    false,
                )
            }
            Ty::List(element) => {
                let (text, element) = self.define(element);
                (format!("(list {text})"), self.types.intern_list(element), false)
            }
            Ty::Option(payload) => {
                let (text, payload) = self.define(payload);
                (format!("(option {text})"), self.types.intern_option(payload), false)
            }
            Ty::Tuple(fields) => {
                let (texts, fields): (Vec<_>, Vec<_>) = fields.iter().map(|ty| self.define(ty)).unzip();
                let id = self.types.intern_tuple(fields.into());
                (format!("(tuple {})", texts.join(" ")), id, false)
            }
            Ty::Record(fields) => {
                let (mut text, mut ids) = ("(record".to_string(), Vec::new());
                for (i, ty) in fields.iter().enumerate() {
                    let (name, id) = self.define(ty);
                    write!(text, " (field \"f{i}\" {name})").unwrap();
                    ids.push((field(i), id));
                }
                let id = self.types.intern_record(Record { fields: ids.into() });
                (text + ")", id, true)
            }
            Ty::Variant(cases) => {
                let (mut text, mut ids) = ("(variant".to_string(), Vec::new());
                for (i, case) in cases.iter().enumerate() {
                    let case = case.as_ref().map(|ty| self.define(ty));
                    let payload = case.as_ref().map_or("", |(name, _)| name);
                    write!(text, " (case \"f{i}\" {payload})").unwrap();
                    ids.push((field(i), case.map(|(_, id)| id)));
                }
                let id = self.types.intern_variant(Variant { cases: ids.into() });
                (text + ")", id, true)
            }
            Ty::Result(ok, error) => {
                let mut define = |ty: &Option<Box<Ty>>| ty.as_ref().map(|ty| self.define(ty));
                let (ok, error) = (define(ok), define(error));
                let ok_text = ok.as_ref().map_or("", |(name, _)| name);
                let error_text = error
                    .as_ref()
                    .map_or(String::new(), |(name, _)| format!("(error {name})"));
                let id = self
                    .types
                    .intern_result(ok.as_ref().map(|ok| ok.1), error.as_ref().map(|error| error.1));
                (format!("(result {ok_text} {error_text})"), id, false)
            }
            Ty::Enum(count) => {
                let names: Box<[_]> = (0..*count).map(field).collect();
                let text = format!("(enum {})", quoted(&names));
                (text, self.types.intern_enum(names), true)
            }
            Ty::Flags(count) => {
                let names: Box<[_]> = (0..*count).map(field).collect();
                let text = format!("(flags {})", quoted(&names));
                (text, self.types.intern_flags(names), true)
            }
        };
        let name = format!("t{}", self.count);
        self.count += 1;
        if must_be_named {
            writeln!(
                self.text,
                "(type ${name}' {text}) (import \"{name}\" (type ${name} (eq ${name}')))"
            )
            .unwrap();
            self.named.push(name.clone());
        } else {
            writeln!(self.text, "(type ${name} {text})").unwrap();
        }
        (format!("${name}"), id)
    }
}

fn quoted(names: &[Box<str>]) -> String {
    names.iter().map(|name| format!("\"{name}\" ")).collect()
}

fn primitive(name: &str) -> InterfaceType {
    use InterfaceType as T;
    let all = [
        T::Bool,
        T::S8,
        T::U8,
        T::S16,
        T::U16,
        T::S32,
        T::U32,
        T::S64,
        T::U64,
        T::F32,
        T::F64,
        T::Char,
        T::String,
    ];
    all[PRIMITIVES.iter().position(|&primitive| primitive == name).unwrap()]
}

/// The text of the whole: both components, the front one with strings in `front`, the other one with strings in `back`.
fn text(ty: &Ty, front: &str, back: &str) -> String {
    let mut definitions = Definitions::default();
    let (name, id) = definitions.define(ty);
    let mut flat = FlatTypes::default();
    definitions.types.flatten(id, false, &mut flat);
    let flat: Vec<String> = flat.as_slice().iter().map(|ty| ty.to_string()).collect();
    let params = if flat.len() > 16 {
        "i32".to_string()
    } else {
        flat.join(" ")
    };
    let args: String = (0..params.split(' ').count())
        .map(|i| format!("(local.get {i}) "))
        .collect();
    let (result, host_type, body) = match &flat[..] {
        [result] => (
            result.clone(),
            format!("(param {params}) (result {result})"),
            format!("(call $host {args})"),
        ),
        _ => {
            // Aligned for every type, and large enough.
            let body = format!("(call $host {args} (i32.const 1024)) (i32.const 1024)");
            ("i32".into(), format!("(param {params} i32)"), body)
        }
    };
    let definitions_text = &definitions.text;
    let component = |encoding: &str| {
        format!(
            r#"(component
            {definitions_text}
            (import "host" (func $host (param "x" {name}) (result {name})))
            (core module $libc
                (memory (export "mem") 64)
                (global $next (mut i32) (i32.const 65536))
                (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                    (local $start i32)
                    (if (i32.le_u (local.get $new) (local.get $size))
                        (then (if (local.get $old) (then (return (local.get $old))))))
                    ;; Memory that was never zero, so that what an adapter does not write shows.
                    (local.set $start (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                    (global.set $next (i32.add (local.get $start) (local.get $new)))
                    (memory.fill (local.get $start) (i32.const 0xa5) (local.get $new))
                    (memory.copy (local.get $start) (local.get $old) (local.get $size))
                    (local.get $start)))
            (core instance $libc (instantiate $libc))
            (core func $host (canon lower (func $host) (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc")) string-encoding={encoding}))
            (core module $m
                (import "" "host" (func $host {host_type}))
                (global $freed (mut i32) (i32.const 0))
                (func (export "echo") (param {params}) (result {result}) {body})
                (func (export "post") (param {result}) (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
                (func (export "freed") (result i32) (global.get $freed)))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "echo") (param "x" {name}) (result {name})
                (canon lift (core func $i "echo") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))
                    (post-return (core func $i "post")) string-encoding={encoding}))
            (func (export "freed") (result u32) (canon lift (core func $i "freed"))))"#
        )
    };
    let (front, back) = (component(front), component(back));
    let with: String = definitions
        .named
        .iter()
        .map(|name| format!("(with \"{name}\" (type ${name}))"))
        .collect();
    format!(
        r#"(component
        {definitions_text}
        (import "host" (func $host (param "x" {name}) (result {name})))
        (component $back {})
        (component $front {})
        (instance $b (instantiate $back {with} (with "host" (func $host))))
        (instance $f (instantiate $front {with} (with "host" (func $b "echo"))))
        (func (export "echo") (alias export $f "echo"))
        (func (export "freed") (alias export $b "freed")))"#,
        &back["(component".len()..back.len() - 1],
        &front["(component".len()..front.len() - 1],
    )
}

/// Sends each value round and expects it back.
fn run(engine: &Engine, ty: &Ty, front: &str, back: &str, values: &[Val]) -> Result<()> {
    let component = Component::new(engine, text(ty, front, back))?;
    let mut linker = Linker::<Vec<Val>>::new(engine);
    linker.root().func_new("host", |mut store, _ty, params, results| {
        store.data_mut().push(params[0].clone());
        results[0] = params[0].clone();
        Ok(())
    })?;
    let mut store = Store::new(engine, Vec::new());
    let instance = linker.instantiate(&mut store, &component)?;
    let echo = instance
        .get_func(&mut store, "echo")
        .expect("the component exports `echo`");
    let mut results = [Val::Bool(false)];
    for value in values {
        echo.call(&mut store, std::slice::from_ref(value), &mut results)?;
        assert_eq!(results[0], *value);
    }
    assert_eq!(store.data(), values, "what the host function saw");
    let freed = instance.get_typed_func::<(), (u32,)>(&mut store, "freed")?;
    assert_eq!(
        freed.call(&mut store, ())?,
        (values.len() as u32,),
        "post-return follows each call"
    );
    Ok(())
}

/// With the proposals that have types of their own.
fn engine() -> Engine {
    let mut config = Config::new();
    config
        .wasm_component_model_map(true)
        .wasm_component_model_error_context(true);
    Engine::new(&config).unwrap()
}

/// One type with some values, in all pairs of encodings if it has strings.
fn check(ty: &Ty, values: &[Val]) {
    let engine = engine();
    let encodings = if format!("{ty:?}").contains("string") {
        &ENCODINGS[..]
    } else {
        &ENCODINGS[..1]
    };
    for front in encodings {
        for back in encodings {
            run(&engine, ty, front, back, values)
                .unwrap_or_else(|error| panic!("{ty:?} from {front} to {back}: {error:?}"));
        }
    }
}

/// A source of choices.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 8] = [
            "",
            "a",
            "plain ascii text, and not too short",
            "grüße",
            "世界",
            "🌍",
            "\u{ff}\u{100}",
            "\0",
        ];
        (0..self.below(5)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }

    /// A type; `depth` more levels at most.
    fn ty(&mut self, depth: usize) -> Ty {
        if depth == 0 || self.below(5) == 0 {
            return Ty::Primitive(PRIMITIVES[self.below(PRIMITIVES.len())]);
        }
        let some = |random: &mut Random, most: usize| -> Vec<Ty> {
            (0..1 + random.below(most)).map(|_| random.ty(depth - 1)).collect()
        };
        match self.below(12) {
            0 | 1 => Ty::List(Box::new(self.ty(depth - 1))),
            2 => Ty::Record(some(self, 6)),
            3 => Ty::Tuple(some(self, 5)),
            4 | 5 => {
                let cases = some(self, 5).into_iter();
                Ty::Variant(cases.map(|ty| (self.below(4) != 0).then_some(ty)).collect())
            }
            6 => Ty::Enum([1, 3, 256, 257][self.below(4)]),
            7 => Ty::Option(Box::new(self.ty(depth - 1))),
            8 => {
                let side = |random: &mut Random| (random.below(3) != 0).then(|| Box::new(random.ty(depth - 1)));
                Ty::Result(side(self), side(self))
            }
            // What a map holds must not hold a handle.
            9 => Ty::Map(["u8", "u64", "char", "string"][self.below(4)], Box::new(self.ty(0))),
            10 => Ty::ErrorContext,
            _ => Ty::Flags([1, 8, 9, 16, 17, 32][self.below(6)]),
        }
    }

    fn value(&mut self, ty: &Ty) -> Val {
        let name = |i: usize| format!("f{i}");
        // Small, large and all bits.
        let bits = [self.next() % 4, !(self.next() % 4), self.next()][self.below(3)];
        match ty {
            Ty::Primitive("bool") => Val::Bool(bits & 1 == 1),
            Ty::Primitive("s8") => Val::S8(bits as i8),
            Ty::Primitive("u8") => Val::U8(bits as u8),
            Ty::Primitive("s16") => Val::S16(bits as i16),
            Ty::Primitive("u16") => Val::U16(bits as u16),
            Ty::Primitive("s32") => Val::S32(bits as i32),
            Ty::Primitive("u32") => Val::U32(bits as u32),
            Ty::Primitive("s64") => Val::S64(bits as i64),
            Ty::Primitive("u64") => Val::U64(bits),
            Ty::Primitive("f32") => Val::Float32(f32::from_bits(bits as u32)),
            Ty::Primitive("f64") => Val::Float64(f64::from_bits(bits)),
            Ty::Primitive("char") => Val::Char(char::from_u32(bits as u32 % 0x11_0000).unwrap_or('\u{e000}')),
            Ty::Primitive(_) => Val::String(self.text()),
            Ty::List(element) => Val::List((0..self.below(6)).map(|_| self.value(element)).collect()),
            Ty::Record(fields) => {
                let fields = fields.iter().enumerate();
                Val::Record(fields.map(|(i, ty)| (name(i), self.value(ty))).collect())
            }
            Ty::Tuple(fields) => Val::Tuple(fields.iter().map(|ty| self.value(ty)).collect()),
            Ty::Variant(cases) => {
                let case = self.below(cases.len());
                Val::Variant(name(case), cases[case].as_ref().map(|ty| Box::new(self.value(ty))))
            }
            Ty::Enum(count) => Val::Enum(name(self.below(*count))),
            Ty::Option(payload) => Val::Option((bits & 1 == 1).then(|| Box::new(self.value(payload)))),
            Ty::Result(ok, error) => {
                let mut payload = |ty: &Option<Box<Ty>>| ty.as_ref().map(|ty| Box::new(self.value(ty)));
                Val::Result(if bits & 1 == 1 {
                    Ok(payload(ok))
                } else {
                    Err(payload(error))
                })
            }
            Ty::Map(key, value) => {
                let entry = |random: &mut Random| (random.value(&Ty::Primitive(key)), random.value(value));
                Val::Map((0..self.below(6)).map(|_| entry(self)).collect())
            }
            Ty::ErrorContext => Val::ErrorContext(ErrorContext::new(self.text())),
            Ty::Flags(count) => Val::Flags((0..*count).filter(|_| self.below(2) == 1).map(name).collect()),
        }
    }
}

/// Random values of a type.
fn check_random(ty: &Ty) {
    let mut random = Random(7);
    let values: Vec<Val> = (0..40).map(|_| random.value(ty)).collect();
    check(ty, &values);
}

fn p(name: &'static str) -> Ty {
    Ty::Primitive(name)
}

#[test]
fn scalars() {
    for name in PRIMITIVES {
        check_random(&p(name));
    }
    for count in 1..=32 {
        check_random(&Ty::Flags(count));
    }
    // More than 10,000 cases are not valid: no discriminant has four bytes.
    for count in [1, 2, 255, 256, 257, 10_000] {
        check_random(&Ty::Enum(count));
    }
}

#[test]
fn lists() {
    for name in PRIMITIVES {
        check_random(&Ty::List(Box::new(p(name))));
    }
    for count in [8, 9, 16, 17, 32] {
        check_random(&Ty::List(Box::new(Ty::Flags(count))));
    }
    let pair = Ty::Tuple(vec![p("u32"), p("string")]);
    check_random(&Ty::List(Box::new(pair)));
    check_random(&Ty::List(Box::new(Ty::List(Box::new(p("u16"))))));
    check_random(&Ty::List(Box::new(Ty::Tuple(vec![p("u8"), p("u32")]))));
    check_random(&Ty::List(Box::new(Ty::Record(vec![
        p("u32"),
        p("s16"),
        p("u8"),
        p("s8"),
    ]))));
    let long = Val::List((0..100_000).map(Val::U32).collect());
    check(&Ty::List(Box::new(p("u32"))), &[long]);
    let texts = Val::List((0..2000).map(|n| Val::String(format!("{n} ä"))).collect());
    check(&Ty::List(Box::new(p("string"))), &[texts]);
}

#[test]
fn maps_and_error_contexts() {
    for value in ["u8", "u64", "string"] {
        check_random(&Ty::Map("u16", Box::new(p(value))));
        check_random(&Ty::Map("string", Box::new(Ty::Option(Box::new(p(value))))));
    }
    check_random(&Ty::Map("char", Box::new(Ty::Map("bool", Box::new(p("f64"))))));
    check_random(&Ty::ErrorContext);
    check_random(&Ty::List(Box::new(Ty::ErrorContext)));
    check_random(&Ty::Result(Some(Box::new(p("u64"))), Some(Box::new(Ty::ErrorContext))));
}

/// Discriminants of one byte and of two, with payloads that are aligned to one byte or to more.
#[test]
fn many_cases() {
    for count in [255, 256, 257, 300] {
        for (every, payload) in [(2, "u8"), (7, "string"), (64, "u64")] {
            let case = |i: usize| (i % every == 0).then(|| p(payload));
            check_random(&Ty::Variant((0..count).map(case).collect()));
        }
    }
}

/// Each way in which core types of cases join, and the boundary between flat and spilled.
#[test]
fn compounds() {
    let (i32, i64, f32, f64) = (p("u32"), p("u64"), p("f32"), p("f64"));
    let all = [&i32, &i64, &f32, &f64];
    for a in all {
        for b in all {
            check_random(&Ty::Result(Some(Box::new(a.clone())), Some(Box::new(b.clone()))));
            let wide = Ty::Tuple(vec![b.clone(), a.clone()]);
            check_random(&Ty::Variant(vec![Some(a.clone()), None, Some(wide)]));
        }
    }
    check_random(&Ty::Variant(vec![
        Some(p("string")),
        Some(f64.clone()),
        Some(p("char")),
        None,
        Some(p("s8")),
    ]));
    for count in [1, 2, 15, 16, 17, 40] {
        check_random(&Ty::Tuple(vec![p("u8"); count]));
        check_random(&Ty::Record((0..count).map(|i| p(PRIMITIVES[i % 12])).collect()));
    }
    // Fields of one type in a row are a loop or a copy when they are too many to be flat, wherever they start.
    for name in ["u64", "char", "string"] {
        for count in [8, 9, 16, 17, 18, 33] {
            let fields = [vec![p("u8"); 3], vec![p(name); count], vec![p("u16"); 1]].concat();
            check_random(&Ty::Option(Box::new(Ty::Tuple(fields))));
        }
    }
    check_random(&Ty::Option(Box::new(Ty::Tuple(vec![p("string"); 8]))));
    check_random(&Ty::Result(None, None));
    // Loops in loops: 2^14 leaves, more than an adapter may have written out.
    let cube = (0..7).fold(p("char"), |ty, _| Ty::Tuple(vec![ty; 4]));
    check(
        &Ty::List(Box::new(cube.clone())),
        &[Val::List(vec![Random(1).value(&cube); 2])],
    );
    // A tree of 2^6 leaves.
    let tree = (0..6).fold(p("string"), |ty, _| Ty::Tuple(vec![ty.clone(), ty]));
    check_random(&tree);
    let deep = (0..40).fold(p("u32"), |ty, _| Ty::Option(Box::new(ty)));
    check_random(&deep);
}

/// Every length around the words that short strings are copied by, with a character that is not ASCII at every place.
#[test]
fn short_strings() {
    let letters: String = ('a'..='z').cycle().take(70).collect();
    let mut texts: Vec<Val> = (0..70).map(|len| Val::String(letters[..len].into())).collect();
    for len in 0..68 {
        for at in 0..=len {
            texts.push(Val::String(format!("{}ß{}", &letters[..at], &letters[at..len])));
        }
    }
    check(&p("string"), &texts);
    let bytes = |len| Val::List((0..len).map(|byte| Val::U8(255 - byte)).collect());
    check(&Ty::List(Box::new(p("u8"))), &(0..70).map(bytes).collect::<Vec<_>>());
}

/// A wrong byte at every place of strings around those lengths.
#[test]
fn short_strings_that_are_wrong() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (component $C
            (core module $M
                (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "f") (param i32 i32)))
            (core instance $m (instantiate $M))
            (func (export "f") (param "s" string)
                (canon lift (core func $m "f") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
        (instance $c (instantiate $C))
        (component $D
            (import "f" (func $f (param "s" string)))
            (core module $Memory (memory (export "mem") 1))
            (core instance $memory (instantiate $Memory))
            (core func $f (canon lower (func $f) (memory (core memory $memory "mem"))))
            (core module $Main
                (import "" "f" (func $f (param i32 i32)))
                (import "memory" "mem" (memory 1))
                (func (export "run") (param $len i32) (param $at i32)
                    (memory.fill (i32.const 99) (i32.const 97) (local.get $len))
                    (i32.store8 (i32.add (i32.const 99) (local.get $at)) (i32.const 255))
                    (call $f (i32.const 99) (local.get $len))))
            (core instance $main (instantiate $Main
                (with "memory" (instance $memory)) (with "" (instance (export "f" (func $f))))))
            (func (export "run") (param "len" u32) (param "at" u32) (canon lift (core func $main "run"))))
        (instance $d (instantiate $D (with "f" (func $c "f"))))
        (func (export "run") (alias export $d "run")))"#;
    let pre = Linker::<()>::new(&engine).instantiate_pre(&Component::new(&engine, text)?)?;
    for len in 0..=66 {
        for at in 0..=len {
            let mut store = Store::new(&engine, ());
            let instance = pre.instantiate(&mut store)?;
            let run = instance.get_typed_func::<(u32, u32), ()>(&mut store, "run")?;
            let result = run.call(&mut store, (len, at));
            match at == len {
                true => result?,
                false => {
                    let error = result.expect_err("the byte is wrong");
                    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::InvalidUtf8), "{len} {at}");
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_type(seed in any::<u64>()) {
        let mut random = Random(seed);
        let ty = random.ty(4);
        let values: Vec<Val> = (0..20).map(|_| random.value(&ty)).collect();
        let (front, back) = (ENCODINGS[random.below(3)], ENCODINGS[random.below(3)]);
        let engine = engine();
        if let Err(error) = run(&engine, &ty, front, back, &values) {
            panic!("{ty:?} from {front} to {back}: {error:?}");
        }
    }
}

/// What `realloc` of the destination is asked for, call by call, for a string that crosses: old size, alignment, new size.
/// Written down from `store_string_into_range` of the specification, independently of how the adapter does it.
fn expected_reallocs(text: &str, from: &str, to: &str) -> Vec<[u32; 3]> {
    let utf8 = text.len() as u32;
    let utf16 = text.encode_utf16().count() as u32;
    let latin1 = text.chars().all(|char| u32::from(char) < 256);
    // The host lowers a compact string to Latin-1 where it fits.
    let from = match from {
        "latin1+utf16" if latin1 => "latin1",
        "latin1+utf16" => "tagged utf16",
        other => other,
    };
    let units = if from == "utf8" { utf8 } else { utf16 };
    let shrunk = |mut calls: Vec<[u32; 3]>, align: u32, used: u32| {
        let [_, _, size] = calls[calls.len() - 1];
        if used < size {
            calls.push([size, align, used]);
        }
        calls
    };
    match (from, to) {
        ("utf8", "utf8") => vec![[0, 1, utf8]],
        (_, "utf8") if text.is_ascii() => vec![[0, 1, units]],
        (_, "utf8") => {
            let worst = units * if from == "latin1" { 2 } else { 3 };
            shrunk(vec![[0, 1, units], [units, 1, worst]], 1, utf8)
        }
        ("utf8", "utf16") => shrunk(vec![[0, 2, 2 * utf8]], 2, 2 * utf16),
        (_, "utf16") => vec![[0, 2, 2 * utf16]],
        ("latin1", _) => vec![[0, 2, units]],
        ("tagged utf16", _) => vec![[0, 2, 2 * utf16]],
        (_, _) if latin1 => shrunk(vec![[0, 2, units]], 2, utf16),
        (_, _) => shrunk(vec![[0, 2, units], [units, 2, 2 * units]], 2, 2 * utf16),
    }
}

#[test]
fn realloc_protocol_of_strings() -> Result<()> {
    let engine = Engine::default();
    let texts = [
        "",
        "a",
        "plain",
        "grüße",
        "ß",
        "\u{ff}",
        "\u{100}",
        "世界",
        "mixed 世 🌍",
        "ascii, then ß",
        "🌍",
    ];
    for from in ENCODINGS {
        for to in ENCODINGS {
            // `$C` logs three words for each call of its realloc from 4096 on; blocks never move, and start at 32768.
            let text = format!(
                r#"(component
                (component $C
                    (core module $M
                        (memory (export "mem") 1)
                        (global $end (mut i32) (i32.const 4096))
                        (func $log (param i32)
                            (i32.store (global.get $end) (local.get 0))
                            (global.set $end (i32.add (global.get $end) (i32.const 4))))
                        (func (export "realloc") (param $old i32) (param i32 i32 i32) (result i32)
                            (if (i32.ne (local.get $old) (select (i32.const 0) (i32.const 32768) (i32.eqz (local.get 1))))
                                (then unreachable))
                            (call $log (local.get 1)) (call $log (local.get 2)) (call $log (local.get 3))
                            (i32.const 32768))
                        (func (export "f") (param i32 i32))
                        (func (export "log") (result i32)
                            (i32.store (i32.const 0) (i32.const 4096))
                            (i32.store (i32.const 4) (i32.shr_u (i32.sub (global.get $end) (i32.const 4096)) (i32.const 2)))
                            (global.set $end (i32.const 4096))
                            (i32.const 0)))
                    (core instance $m (instantiate $M))
                    (func (export "f") (param "s" string) (canon lift (core func $m "f") string-encoding={to}
                        (memory (core memory $m "mem")) (realloc (core func $m "realloc"))))
                    (func (export "log") (result (list u32)) (canon lift (core func $m "log") (memory (core memory $m "mem")))))
                (instance $c (instantiate $C))
                (component $D
                    (import "f" (func $f (param "s" string)))
                    (core module $Memory (memory (export "mem") 1)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
                    (core instance $memory (instantiate $Memory))
                    (core func $f (canon lower (func $f) (memory (core memory $memory "mem")) string-encoding={from}))
                    (func (export "f") (param "s" string) (canon lift (core func $f) string-encoding={from}
                        (memory (core memory $memory "mem")) (realloc (core func $memory "realloc")))))
                (instance $d (instantiate $D (with "f" (func $c "f"))))
                (func (export "f") (alias export $d "f"))
                (func (export "log") (alias export $c "log")))"#
            );
            let component = Component::new(&engine, text)?;
            let mut store = Store::new(&engine, ());
            let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
            let f = instance.get_typed_func::<(&str,), ()>(&mut store, "f")?;
            let log = instance.get_typed_func::<(), (Vec<u32>,)>(&mut store, "log")?;
            for text in texts {
                f.call(&mut store, (text,))?;
                let (words,) = log.call(&mut store, ())?;
                let expected = expected_reallocs(text, from, to).concat();
                assert_eq!(words, expected, "{text:?} from {from} to {to}");
            }
        }
    }
    Ok(())
}
