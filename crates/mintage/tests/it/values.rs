//! Values of all types through a guest and a host function and back: dynamically and over Rust
//! types, in all encodings.

use crate::common;
use mintage::__internal::{CanonicalAbi, InstanceTypes, InterfaceType, LiftContext, LowerContext};
use mintage::{
    Component, ComponentType, Config, Engine, ErrorContext, Lift, Linker, Lower, Result, Store,
    StoreContextMut, Val,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// Sends each value through the component and expects it back.
fn check_dynamic(engine: &Engine, component: &Component, values: &[Val]) -> Result<()> {
    let mut linker = Linker::<Vec<Val>>::new(engine);
    linker
        .root()
        .func_new("host", |mut store, _ty, params, results| {
            store.data_mut().push(params[0].clone());
            results[0] = params[0].clone();
            Ok(())
        })?;
    let mut store = Store::new(engine, Vec::new());
    let instance = linker.instantiate(&mut store, component)?;
    let echo = instance
        .get_func(&mut store, "echo")
        .expect("the component exports `echo`");
    let mut results = [Val::Bool(false)];
    for value in values {
        echo.call(&mut store, std::slice::from_ref(value), &mut results)?;
        assert_eq!(results[0], *value);
    }
    assert_eq!(store.data(), values, "what the host function saw");
    let freed = instance
        .get_typed_func::<(), (u32,)>(&mut store, "freed")?
        .call(&mut store, ())?;
    assert_eq!(
        freed,
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
        .wasm_component_model_error_context(true)
        .wasm_component_model_fixed_length_lists(true);
    Engine::new(&config).unwrap()
}

/// One type with some values.
fn check(defs: &str, ty: &str, flat: &[&str], values: &[Val]) {
    let engine = engine();
    for encoding in ENCODINGS {
        common::echo(&engine, defs, ty, flat, encoding)
            .and_then(|component| check_dynamic(&engine, &component, values))
            .unwrap_or_else(|error| panic!("{ty} in {encoding}: {error:?}"));
    }
}

/// One Rust type with some values.
fn check_typed<T>(ty: &str, flat: &[&str], values: &[T])
where
    T: ComponentType + Lower + Lift + Clone + PartialEq + Debug + Send + Sync + 'static,
{
    check_typed_with("", ty, flat, values);
}

pub fn check_typed_with<T>(defs: &str, ty: &str, flat: &[&str], values: &[T])
where
    T: ComponentType + Lower + Lift + Clone + PartialEq + Debug + Send + Sync + 'static,
{
    let engine = engine();
    for encoding in ENCODINGS {
        let run = || -> Result<()> {
            let component = common::echo(&engine, defs, ty, flat, encoding)?;
            let mut linker = Linker::<Vec<T>>::new(&engine);
            linker
                .root()
                .func_wrap("host", |mut store, (value,): (T,)| {
                    store.data_mut().push(value.clone());
                    Ok((value,))
                })?;
            let mut store = Store::new(&engine, Vec::new());
            let instance = linker.instantiate(&mut store, &component)?;
            let echo = instance.get_typed_func::<(&T,), (T,)>(&mut store, "echo")?;
            for value in values {
                assert_eq!(echo.call(&mut store, (value,))?.0, *value);
            }
            assert_eq!(store.data(), values);
            Ok(())
        };
        run().unwrap_or_else(|error| panic!("{ty} in {encoding}: {error:?}"));
    }
}

fn string(text: &str) -> Val {
    Val::String(text.into())
}

fn some(val: Val) -> Option<Box<Val>> {
    Some(Box::new(val))
}

const TEXTS: [&str; 6] = [
    "",
    "a",
    "plain ascii text",
    "grüße",
    "世界",
    "mixed: ä 世 🌍",
];

#[test]
fn scalars() {
    check("", "bool", &["i32"], &[Val::Bool(true), Val::Bool(false)]);
    check("", "s8", &["i32"], &[i8::MIN, -1, 0, i8::MAX].map(Val::S8));
    check("", "u8", &["i32"], &[0, 200, u8::MAX].map(Val::U8));
    check(
        "",
        "s16",
        &["i32"],
        &[i16::MIN, -1, 0, i16::MAX].map(Val::S16),
    );
    check("", "u16", &["i32"], &[0, u16::MAX].map(Val::U16));
    check(
        "",
        "s32",
        &["i32"],
        &[i32::MIN, -1, 0, i32::MAX].map(Val::S32),
    );
    check("", "u32", &["i32"], &[0, u32::MAX].map(Val::U32));
    check(
        "",
        "s64",
        &["i64"],
        &[i64::MIN, -1, 0, i64::MAX].map(Val::S64),
    );
    check("", "u64", &["i64"], &[0, u64::MAX].map(Val::U64));
    check(
        "",
        "f32",
        &["f32"],
        &[0.0, -0.0, 1.5, f32::INFINITY, f32::NAN].map(Val::Float32),
    );
    check(
        "",
        "f64",
        &["f64"],
        &[0.0, -0.0, 1.5, f64::NEG_INFINITY, f64::NAN].map(Val::Float64),
    );
    check(
        "",
        "char",
        &["i32"],
        &['\0', 'a', '\u{d7ff}', '\u{e000}', '\u{10ffff}'].map(Val::Char),
    );
}

#[test]
fn strings_and_lists() {
    check("", "string", &["i32", "i32"], &TEXTS.map(string));
    let lists = [
        Val::List(vec![]),
        Val::List((0..300).map(Val::U32).collect()),
    ];
    check("", "(list u32)", &["i32", "i32"], &lists);
    let lists = [Val::List(vec![]), Val::List(TEXTS.map(string).into())];
    check("", "(list string)", &["i32", "i32"], &lists);
    let nested = Val::List(
        (0..4)
            .map(|n| Val::List((0..n).map(Val::U8).collect()))
            .collect(),
    );
    check("", "(list (list u8))", &["i32", "i32"], &[nested]);
}

#[test]
fn records_and_tuples() {
    let pair = |n, s| Val::Record(vec![("n".into(), Val::U64(n)), ("s".into(), string(s))]);
    check(
        r#"(type $r' (record (field "n" u64) (field "s" string))) (import "r" (type $r (eq $r')))"#,
        "$r",
        &["i64", "i32", "i32"],
        &[pair(0, ""), pair(u64::MAX, "ä")],
    );
    check(
        "",
        "(tuple u8 f64)",
        &["i32", "f64"],
        &[Val::Tuple(vec![Val::U8(3), Val::Float64(0.1)])],
    );
    check("", "(tuple s8)", &["i32"], &[Val::Tuple(vec![Val::S8(-3)])]);
    // 17 words: the parameter is passed in memory.
    let fields = "u8 u16 u32 u64 s8 s16 s32 s64 f32 f64 bool char u8 u8 u8 string";
    let value = Val::Tuple(vec![
        Val::U8(1),
        Val::U16(2),
        Val::U32(3),
        Val::U64(4),
        Val::S8(-5),
        Val::S16(-6),
        Val::S32(-7),
        Val::S64(-8),
        Val::Float32(9.5),
        Val::Float64(-10.5),
        Val::Bool(true),
        Val::Char('ß'),
        Val::U8(13),
        Val::U8(14),
        Val::U8(15),
        string("sixteen"),
    ]);
    check("", &format!("(tuple {fields})"), &[], &[value]);
}

#[test]
fn variants() {
    let variant = |name: &str, payload| Val::Variant(name.into(), payload);
    check(
        r#"(type $v' (variant (case "none") (case "float" f32) (case "long" u64)
          (case "text" string) (case "wide" f64)))
           (import "v" (type $v (eq $v')))"#,
        "$v",
        &["i32", "i64", "i32"],
        &[
            variant("none", None),
            variant("float", some(Val::Float32(-1.25))),
            variant("long", some(Val::U64(u64::MAX))),
            variant("text", some(string("grüße"))),
            variant("wide", some(Val::Float64(1e300))),
        ],
    );
    check(
        r#"(type $e' (enum "red" "green" "blue")) (import "e" (type $e (eq $e')))"#,
        "$e",
        &["i32"],
        &["red", "green", "blue"].map(|name| Val::Enum(name.into())),
    );
    check(
        "",
        "(option string)",
        &["i32", "i32", "i32"],
        &[Val::Option(None), Val::Option(some(string("x")))],
    );
    check(
        "",
        "(result f32 (error u64))",
        &["i32", "i64"],
        &[
            Val::Result(Ok(some(Val::Float32(0.5)))),
            Val::Result(Err(some(Val::U64(1 << 63)))),
        ],
    );
    check(
        "",
        "(result)",
        &["i32"],
        &[Val::Result(Ok(None)), Val::Result(Err(None))],
    );
    let many: String = (0..300).map(|i| format!("\"e{i}\" ")).collect();
    check(
        &format!(r#"(type $e' (enum {many})) (import "e" (type $e (eq $e')))"#),
        "(list $e)",
        &["i32", "i32"],
        &[Val::List(
            (0..300).map(|i| Val::Enum(format!("e{i}"))).collect(),
        )],
    );
}

#[test]
fn flags() {
    for count in [1usize, 8, 9, 16, 17, 32] {
        let names: String = (0..count).map(|i| format!("\"f{i}\" ")).collect();
        let defs = format!(r#"(type $f' (flags {names})) (import "f" (type $f (eq $f')))"#);
        let set = |keep: fn(usize) -> bool| {
            Val::Flags(
                (0..count)
                    .filter(|&i| keep(i))
                    .map(|i| format!("f{i}"))
                    .collect(),
            )
        };
        let values = [set(|_| false), set(|_| true), set(|i| i % 3 == 0)];
        check(&defs, "$f", &["i32"], &values);
        check(
            &defs,
            "(list $f)",
            &["i32", "i32"],
            &[Val::List(values.into())],
        );
    }
}

#[test]
fn rust_types() {
    check_typed("bool", &["i32"], &[true, false]);
    check_typed("s8", &["i32"], &[i8::MIN, i8::MAX]);
    check_typed("u8", &["i32"], &[u8::MIN, u8::MAX]);
    check_typed("s16", &["i32"], &[i16::MIN, i16::MAX]);
    check_typed("u16", &["i32"], &[u16::MIN, u16::MAX]);
    check_typed("s32", &["i32"], &[i32::MIN, i32::MAX]);
    check_typed("u32", &["i32"], &[u32::MIN, u32::MAX]);
    check_typed("s64", &["i64"], &[i64::MIN, i64::MAX]);
    check_typed("u64", &["i64"], &[u64::MIN, u64::MAX]);
    check_typed("f32", &["f32"], &[0.5, f32::MIN]);
    check_typed("f64", &["f64"], &[0.5, f64::MAX]);
    check_typed("char", &["i32"], &['a', '🌍']);
    check_typed("string", &["i32", "i32"], &TEXTS.map(String::from));
    check_typed("string", &["i32", "i32"], &TEXTS.map(Box::<str>::from));
    check_typed("(list u8)", &["i32", "i32"], &[vec![], vec![7u8; 1000]]);
    check_typed(
        "(list u64)",
        &["i32", "i32"],
        &[vec![], vec![u64::MAX; 100]],
    );
    check_typed(
        "(list f32)",
        &["i32", "i32"],
        &[vec![0.5f32, 1.5].into_boxed_slice()],
    );
    check_typed(
        "(list (tuple u8 string))",
        &["i32", "i32"],
        &[TEXTS.map(|text| (9u8, text.to_string())).to_vec()],
    );
    check_typed("(option u32)", &["i32", "i32"], &[None, Some(u32::MAX)]);
    check_typed(
        "(result u8 (error string))",
        &["i32", "i32", "i32"],
        &[Ok(200u8), Err("no".to_string())],
    );
    check_typed("(result)", &["i32"], &[Ok::<(), ()>(()), Err(())]);
    check_typed(
        "(tuple u8 u64 (option char))",
        &["i32", "i64", "i32", "i32"],
        &[(1u8, u64::MAX, Some('x'))],
    );
    check_typed(
        "(tuple string string string string string string (tuple string string) string)",
        &[],
        &[{
            let text = |n: usize| TEXTS[n].to_string();
            (
                text(0),
                text(1),
                text(2),
                text(3),
                text(4),
                text(5),
                (text(0), text(1)),
                text(2),
            )
        }],
    );
}

#[test]
fn rust_pointers() {
    let lists = [Arc::<[u16]>::from([]), Arc::from([1, 2, 3])];
    check_typed("(list u16)", &["i32", "i32"], &lists);
    check_typed("string", &["i32", "i32"], &TEXTS.map(Arc::<str>::from));
    check_typed("string", &["i32", "i32"], &TEXTS.map(Cow::Borrowed));
}

/// Tuples of more than 12 fields have none of the standard traits.
#[test]
fn tuples_of_seventeen() -> Result<()> {
    type Long = (
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u8,
        u64,
    );
    let engine = engine();
    let ty = format!("(tuple {}u64)", "u8 ".repeat(16));
    let component = common::echo(&engine, "", &ty, &[], "utf8")?;
    let mut linker = Linker::<()>::new(&engine);
    let host = |_: StoreContextMut<'_, ()>, (value,): (Long,)| Ok((value,));
    linker.root().func_wrap("host", host)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let echo = instance.get_typed_func::<(Long,), (Long,)>(&mut store, "echo")?;
    let long = (
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        u64::MAX,
    );
    let (back,) = echo.call(&mut store, (long,))?;
    assert_eq!(
        (back.0, back.7, back.8, back.15, back.16),
        (1, 8, 9, 16, u64::MAX)
    );
    Ok(())
}

/// Lists of numbers are converted in a way of their own.
#[test]
fn dynamic_lists_of_numbers() {
    let lists: [(&str, Vec<Val>); 10] = [
        ("u8", [0, 200, u8::MAX].map(Val::U8).into()),
        ("s8", [i8::MIN, -1].map(Val::S8).into()),
        ("u16", [0x102, u16::MAX].map(Val::U16).into()),
        ("s16", [-2, i16::MIN].map(Val::S16).into()),
        ("u32", [0x0102_0304, u32::MAX].map(Val::U32).into()),
        ("s32", [-2, i32::MIN].map(Val::S32).into()),
        (
            "u64",
            [0x0102_0304_0506_0708, u64::MAX].map(Val::U64).into(),
        ),
        ("s64", [-2, i64::MIN].map(Val::S64).into()),
        ("f32", [-0.0, 1.5, f32::NAN].map(Val::Float32).into()),
        ("f64", [-0.0, 1.5, f64::NAN].map(Val::Float64).into()),
    ];
    for (ty, items) in lists {
        let lists = [Val::List(items), Val::List(Vec::new())];
        check("", &format!("(list {ty})"), &["i32", "i32"], &lists);
    }
}

#[test]
fn arrays_are_lists_of_fixed_length() {
    let words = ["i32"; 3];
    check_typed("(list u8 3)", &words, &[[1u8, 2, 3], [0, 255, 7]]);
    check_typed("(list f64 1)", &["f64"], &[[-0.5f64]]);
    let texts = [["a", "ü"].map(String::from), ["", "世"].map(String::from)];
    check_typed("(list string 2)", &["i32"; 4], &texts);
    let nested = [[Some(1u32), None], [None, Some(u32::MAX)]];
    check_typed("(list (list (option u32) 2) 2)", &["i32"; 8], &[nested]);
    // Too many to be flat.
    check_typed("(list u64 20)", &[], &[[u64::MAX; 20]]);
    check_typed(
        "(list (list u16 3))",
        &["i32", "i32"],
        &[vec![[1u16, 2, 3]; 4]],
    );
    // The type of elements that need it comes through.
    let results = [[Ok(1u8), Err("no".to_string())]];
    check_typed("(list (result u8 (error string)) 2)", &["i32"; 6], &results);

    fn other<T: Lift + Lower + 'static>(ty: &str) -> String {
        let component = common::echo(&engine(), "", ty, &["i32"; 3], "utf8").unwrap();
        let mut linker = Linker::<()>::new(component.engine());
        let host = |_: StoreContextMut<'_, ()>, (x,): (T,)| Ok((x,));
        linker.root().func_wrap("host", host).unwrap();
        let mut store = Store::new(component.engine(), ());
        common::message(linker.instantiate(&mut store, &component))
    }
    for message in [
        other::<[u8; 3]>("(tuple u8 u8 u8)"),
        other::<[u8; 3]>("(list s8 3)"),
        other::<(u8, u8, u8)>("(list u8 3)"),
    ] {
        assert!(message.contains("`list<u8, 3>`"), "{message}");
    }
}

#[cfg(feature = "bytes")]
#[test]
fn bytes_are_lists() {
    use bytes::{Bytes, BytesMut};
    let values = [Bytes::new(), Bytes::from_static(b"bytes")];
    check_typed("(list u8)", &["i32", "i32"], &values);
    check_typed("(list u8)", &["i32", "i32"], &values.map(BytesMut::from));
}

/// A record whose traits are written by hand.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    x: u8,
    label: Option<String>,
}

impl ComponentType for Point {
    const ABI: CanonicalAbi = CanonicalAbi::record_of(&[u8::ABI, <Option<String>>::ABI]);

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        let InterfaceType::Record(id) = ty else {
            return false;
        };
        match &*types.record(id).fields {
            [(x, x_ty), (label, label_ty)] => {
                (&**x, &**label) == ("x", "label")
                    && u8::matches(*x_ty, types)
                    && <Option<String>>::matches(*label_ty, types)
            }
            _ => false,
        }
    }

    fn describe() -> String {
        "record { x: u8, label: option<string> }".into()
    }
}

impl Lower for Point {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let fields = cx.record_types(ty);
        let (x, label) = dst.split_at_mut(u8::FLAT);
        self.x.lower_flat(cx, fields[0].1, x)?;
        self.label.lower_flat(cx, fields[1].1, label)
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let fields = cx.record_types(ty);
        let mut end = 0;
        let x = u8::ABI.next_field(&mut end, false) as usize;
        self.x.lower_memory(cx, fields[0].1, offset + x)?;
        let label = <Option<String>>::ABI.next_field(&mut end, false) as usize;
        self.label.lower_memory(cx, fields[1].1, offset + label)
    }
}

impl Lift for Point {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        let fields = cx.record_types(ty);
        let (x, label) = src.split_at(u8::FLAT);
        Ok(Point {
            x: u8::lift_flat(cx, fields[0].1, x)?,
            label: Lift::lift_flat(cx, fields[1].1, label)?,
        })
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let fields = cx.record_types(ty);
        let mut end = 0;
        let x = u8::ABI.next_field(&mut end, false) as usize;
        let x = u8::lift_memory(cx, fields[0].1, &bytes[x..][..u8::SIZE])?;
        let label = <Option<String>>::ABI.next_field(&mut end, false) as usize;
        let label = Lift::lift_memory(cx, fields[1].1, &bytes[label..][..<Option<String>>::SIZE])?;
        Ok(Point { x, label })
    }
}

#[test]
fn traits_can_be_written_by_hand() {
    let defs = r#"(type $p' (record (field "x" u8) (field "label" (option string))))
        (import "p" (type $p (eq $p')))"#;
    let points = [
        Point {
            x: 200,
            label: None,
        },
        Point {
            x: 3,
            label: Some("grüße".into()),
        },
    ];
    check_typed_with(defs, "$p", &["i32", "i32", "i32", "i32"], &points);
    check_typed_with(
        defs,
        "(list $p)",
        &["i32", "i32"],
        &[vec![], points.to_vec()],
    );
}

#[test]
fn maps() {
    let entry = |key: &str, value: u8| (string(key), Val::U8(value));
    let map = "(map string u8)";
    let entries = TEXTS.map(|text| entry(text, text.len() as u8));
    check(
        "",
        map,
        &["i32", "i32"],
        &[
            Val::Map(Vec::new()),
            Val::Map(vec![entry("twice", 1), entry("twice", 2)]),
            Val::Map(entries.into()),
        ],
    );
    check(
        r#"(type $m (map u64 bool)) (type $t (tuple u8 $m))"#,
        "(list $t)",
        &["i32", "i32"],
        &[Val::List(vec![Val::Tuple(vec![
            Val::U8(1),
            Val::Map(vec![
                (Val::U64(u64::MAX), Val::Bool(true)),
                (Val::U64(0), Val::Bool(false)),
            ]),
        ])])],
    );
    let texts = TEXTS.map(|text| (text.to_string(), text.len() as u8));
    check_typed(
        map,
        &["i32", "i32"],
        &[HashMap::new(), HashMap::from(texts.clone())],
    );
    check_typed(
        map,
        &["i32", "i32"],
        &[BTreeMap::new(), BTreeMap::from(texts)],
    );
}

#[test]
fn error_contexts() {
    let contexts = TEXTS.map(ErrorContext::new);
    check(
        "",
        "error-context",
        &["i32"],
        &contexts.clone().map(Val::ErrorContext),
    );
    check_typed("error-context", &["i32"], &contexts);
    check_typed(
        "(list error-context)",
        &["i32", "i32"],
        &[contexts.to_vec()],
    );
    let results = [Ok(7u8), Err(ErrorContext::new("no"))];
    check_typed(
        "(result u8 (error error-context))",
        &["i32", "i32"],
        &results,
    );
    let dynamic = [
        Val::Result(Ok(some(Val::U8(7)))),
        Val::Result(Err(some(Val::ErrorContext(contexts[2].clone())))),
    ];
    check(
        "",
        "(result u8 (error error-context))",
        &["i32", "i32"],
        &dynamic,
    );
}

#[test]
fn maps_and_error_contexts_are_types_of_their_own() -> Result<()> {
    let engine = engine();
    let mismatch = |ty: &str, flat: &[&str], value: Val, expected: &str| -> Result<()> {
        let component = common::echo(&engine, "", ty, flat, "utf8")?;
        let error = check_dynamic(&engine, &component, &[value]).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        Ok(())
    };
    let list = Val::List(vec![Val::Tuple(vec![Val::U8(1), Val::U8(2)])]);
    mismatch(
        "(map u8 u8)",
        &["i32", "i32"],
        list,
        "expected `map<u8, u8>`, found a value of kind `list`",
    )?;
    let bad_key = Val::Map(vec![
        (Val::U8(1), Val::U8(2)),
        (Val::Bool(true), Val::U8(2)),
    ]);
    mismatch(
        "(map u8 u8)",
        &["i32", "i32"],
        bad_key,
        "in element 1 of a map: type mismatch: expected `u8`",
    )?;
    mismatch(
        "error-context",
        &["i32"],
        Val::U32(1),
        "expected `error-context`, found a value of kind `u32`",
    )?;

    let component = common::echo(&engine, "", "(map u8 u8)", &["i32", "i32"], "utf8")?;
    let mut linker = Linker::<()>::new(&engine);
    linker
        .root()
        .func_wrap("host", |_, (map,): (HashMap<u8, u8>,)| Ok((map,)))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let typed = instance.get_typed_func::<(Vec<(u8, u8)>,), (Vec<(u8, u8)>,)>(&mut store, "echo");
    let error = format!("{:#}", typed.unwrap_err());
    assert!(
        error.contains("the component has `map<u8, u8>`, the Rust type has `list<tuple<u8, u8>>`"),
        "{error}"
    );
    // Of a key that comes twice, the last value counts.
    let func = instance
        .get_func(&mut store, "echo")
        .expect("the component exports `echo`");
    let twice = Val::Map(vec![(Val::U8(1), Val::U8(2)), (Val::U8(1), Val::U8(3))]);
    let mut result = [Val::Bool(false)];
    func.call(&mut store, &[twice], &mut result)?;
    assert_eq!(result[0], Val::Map(vec![(Val::U8(1), Val::U8(3))]));
    Ok(())
}
