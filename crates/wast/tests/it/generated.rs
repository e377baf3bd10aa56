//! Generated scripts that are too many to write by hand: all pairs of string encodings, all joins
//! of variant payloads, all numbers of flags, parameters on both sides of the limits. They run in
//! every cell of the matrix.
//!
//! In each script a value goes from the host through instances of two components to a host function
//! that returns it, and all the way back. On each way the host lowers and lifts the value, and an
//! adapter passes it in between.

use crate::matrix::matrix;
use mintage::Engine;
use std::fmt::Write;

/// A memory and a `realloc` that never frees memory. Growing blocks keep their contents.
const LIBC: &str = r#"
  (core module $Libc
    (memory (export "memory") 40)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32)
      (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (local.get $old)
        (then (memory.copy (local.get $at) (local.get $old) (local.get $old-size))))
      (local.get $at)))"#;

/// Runs a script with the given number of assertions, all of which must hold.
fn check(engine: &Engine, script: &str, assertions: usize) {
    let report =
        mintage_wast::run(engine, script).unwrap_or_else(|error| panic!("{error:#}\n{script}"));
    assert!(
        report.failures.is_empty() && report.skipped.is_empty(),
        "{:#?}\n{script}",
        report.failures
    );
    assert_eq!(report.assertions, assertions, "{script}");
}

/// A function type and values to pass.
struct Case {
    /// Named types: name and definition.
    types: Vec<(&'static str, String)>,
    /// Component-level parameters and result.
    params: Vec<String>,
    result: String,
    /// Core parameters of the lowered function, without the return pointer.
    flat_params: Vec<&'static str>,
    /// The core result. `None` if the result is passed in memory.
    flat_result: Option<&'static str>,
    /// Arguments with the result.
    values: Vec<(String, String)>,
}

/// Returns a component that passes the values of `case` to the host and back. `caller` and `callee`
/// are the canonical options on the two sides of the adapter.
fn chain(case: &Case, caller: &str, callee: &str) -> String {
    let mut text = format!("(component $root{LIBC}\n");
    let params = (0..).zip(&case.params);
    let params = params.map(|(index, ty)| format!("(param \"p{index}\" {ty})"));
    let func = format!(
        "{} (result {})",
        params.collect::<Vec<_>>().join(" "),
        case.result
    );
    let mut with = String::new();
    for (name, definition) in &case.types {
        writeln!(text, "  (type ${name}-def {definition})").unwrap();
        writeln!(
            text,
            "  (import \"{name}\" (type ${name} (eq ${name}-def)))"
        )
        .unwrap();
        write!(with, " (with \"{name}\" (type ${name}))").unwrap();
    }
    writeln!(text, "  (import \"echo\" (func $echo {func}))").unwrap();

    // A core module that calls a lowered function, which takes a return pointer, from a lifted
    // one, which returns the pointer.
    let flat = case.flat_params.join(" ");
    let gets = (0..case.flat_params.len()).map(|index| format!("(local.get {index})"));
    let gets = gets.collect::<Vec<_>>().join(" ");
    let (lowered, body, result) = match case.flat_result {
        Some(ty) => (
            format!("(param {flat}) (result {ty})"),
            format!("(call $f {gets})"),
            ty,
        ),
        None => (
            format!("(param {flat} i32)"),
            format!("(call $f {gets} (i32.const 64)) (i32.const 64)"),
            "i32",
        ),
    };
    writeln!(
        text,
        "  (core module $Shim (import \"\" \"f\" (func $f {lowered}))
    (func (export \"f\") (param {flat}) (result {result}) {body}))"
    )
    .unwrap();
    for (name, options) in [("Inner", callee), ("Outer", caller)] {
        writeln!(text, "  (component ${name}").unwrap();
        writeln!(text, "    (alias outer $root $Libc (core module $Libc))").unwrap();
        writeln!(text, "    (alias outer $root $Shim (core module $Shim))").unwrap();
        for (ty, _) in &case.types {
            writeln!(text, "    (alias outer $root ${ty}-def (type ${ty}-def))").unwrap();
            writeln!(text, "    (import \"{ty}\" (type ${ty} (eq ${ty}-def)))").unwrap();
        }
        let canon = format!(
            "(memory (core memory $libc \"memory\")) \
             (realloc (core func $libc \"realloc\")) {options}"
        );
        writeln!(
            text,
            "    (import \"f\" (func $f {func}))
    (core instance $libc (instantiate $Libc))
    (core func $g (canon lower (func $f) {canon}))
    (core instance $shim (instantiate $Shim (with \"\" (instance (export \"f\" (func $g))))))
    (func (export \"f\") {func} (canon lift (core func $shim \"f\") {canon})))"
        )
        .unwrap();
    }
    writeln!(
        text,
        "  (instance $inner (instantiate $Inner (with \"f\" (func $echo)){with}))
  (instance $outer (instantiate $Outer (with \"f\" (func $inner \"f\")){with}))
  (func (export \"f\") (alias export $outer \"f\")))"
    )
    .unwrap();
    for (args, result) in &case.values {
        writeln!(text, "(assert_return (invoke \"f\" {args}) {result})").unwrap();
    }
    text
}

/// Returns the case of a function that returns its only parameter.
fn echo(
    name: &'static str,
    definition: String,
    flat: &[&'static str],
    values: Vec<String>,
) -> Case {
    Case {
        types: vec![(name, definition)],
        params: vec![format!("${name}")],
        result: format!("${name}"),
        flat_params: flat.to_vec(),
        flat_result: (flat.len() == 1).then(|| flat[0]),
        values: values
            .into_iter()
            .map(|value| (value.clone(), value))
            .collect(),
    }
}

fn check_case(engine: &Engine, case: &Case) {
    check(engine, &chain(case, "", ""), case.values.len());
}

const ENCODINGS: [&str; 3] = [
    "string-encoding=utf8",
    "string-encoding=utf16",
    "string-encoding=latin1+utf16",
];

/// Strings around all limits of the encodings, from empty to long.
fn strings() -> Vec<String> {
    let mut strings = vec![String::new()];
    // The first and last character of each length in UTF-8, UTF-16 and Latin-1, and those next to
    // the surrogates.
    let limits = [
        '\u{1}',
        '\u{7f}',
        '\u{80}',
        '\u{ff}',
        '\u{100}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
    ];
    for limit in limits {
        strings.push(limit.into());
        // The character at the start, in the middle and at the end of characters that are shorter
        // in each encoding.
        for length in [1, 15, 16, 33, 200] {
            strings.push(format!("{limit}{}", "a".repeat(length)));
            strings.push(format!(
                "{}{limit}{}",
                "a".repeat(length),
                "é".repeat(length)
            ));
            strings.push(format!("{}{limit}", "é".repeat(length)));
        }
        strings.push(limit.to_string().repeat(70));
    }
    strings.push(limits.iter().collect::<String>().repeat(20));
    strings.push("x".repeat(60_000));
    strings.push(format!("{}☃", "é".repeat(30_000)));
    strings
}

fn literal(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            'a'..='z' => escaped.push(character),
            other => write!(escaped, "\\u{{{:x}}}", u32::from(other)).unwrap(),
        }
    }
    format!("(str.const \"{escaped}\")")
}

fn transcoding(engine: &Engine) {
    let values = strings()
        .iter()
        .map(|text| literal(text))
        .collect::<Vec<_>>();
    let case = Case {
        types: Vec::new(),
        params: vec!["string".into()],
        result: "string".into(),
        flat_params: vec!["i32", "i32"],
        flat_result: None,
        values: values
            .iter()
            .map(|value| (value.clone(), value.clone()))
            .collect(),
    };
    for caller in ENCODINGS {
        for callee in ENCODINGS {
            check(engine, &chain(&case, caller, callee), case.values.len());
        }
    }
}

/// Variants of every two payload types, which come with their core type and two values.
fn joins(engine: &Engine) {
    let payloads = [
        ("u8", "i32", ["(u8.const 0)", "(u8.const 255)"]),
        ("s16", "i32", ["(s16.const -32768)", "(s16.const 32767)"]),
        ("u32", "i32", ["(u32.const 0)", "(u32.const 0xffffffff)"]),
        (
            "char",
            "i32",
            ["(char.const \"a\")", "(char.const \"\\u{10ffff}\")"],
        ),
        (
            "s64",
            "i64",
            ["(s64.const -1)", "(s64.const 0x7fffffffffffffff)"],
        ),
        (
            "f32",
            "f32",
            ["(f32.const -0)", "(f32.const 0x1.fffffep+127)"],
        ),
        ("f64", "f64", ["(f64.const -0)", "(f64.const -0x1p-1074)"]),
    ];
    for (a, a_core, a_values) in payloads {
        for (b, b_core, b_values) in payloads {
            let joined = match (a_core, b_core) {
                (a, b) if a == b => a,
                ("i32", "f32") | ("f32", "i32") => "i32",
                _ => "i64",
            };
            let mut values = vec!["(variant.const \"none\")".to_string()];
            values.extend(
                a_values
                    .iter()
                    .map(|value| format!("(variant.const \"a\" {value})")),
            );
            values.extend(
                b_values
                    .iter()
                    .map(|value| format!("(variant.const \"b\" {value})")),
            );
            let definition = format!("(variant (case \"none\") (case \"a\" {a}) (case \"b\" {b}))");
            check_case(engine, &echo("t", definition, &["i32", joined], values));
        }
    }
}

/// Payloads with different numbers of core values. The longer one determines the number.
fn uneven_joins(engine: &Engine) {
    let definition =
        "(variant (case \"a\" (tuple u8 f32 s64)) (case \"b\" f64) (case \"c\" string))";
    let values = vec![
        "(variant.const \"a\" (tuple.const (u8.const 200) (f32.const 1.5) (s64.const -5)))"
            .to_string(),
        "(variant.const \"b\" (f64.const -2.25))".to_string(),
        "(variant.const \"c\" (str.const \"hello\"))".to_string(),
    ];
    // `u8`, `f64` and a pointer join to `i64`; `f32` and a length join to `i32`.
    check_case(
        engine,
        &echo(
            "t",
            definition.into(),
            &["i32", "i64", "i32", "i64"],
            values,
        ),
    );
}

/// Enums and variants with discriminants of one and two bytes. (The validator allows at most 10,000
/// cases.)
fn discriminants(engine: &Engine) {
    for count in [1, 2, 255, 256, 257, 1000] {
        let names = (0..count).map(|index| format!("\"c{index}\""));
        let definition = format!("(enum {})", names.collect::<Vec<_>>().join(" "));
        let chosen = [0, count / 2, count - 1];
        let values = chosen
            .iter()
            .map(|index| format!("(enum.const \"c{index}\")"));
        check_case(engine, &echo("t", definition, &["i32"], values.collect()));

        let cases = (0..count).map(|index| format!("(case \"c{index}\" u16)"));
        let definition = format!("(variant {})", cases.collect::<Vec<_>>().join(" "));
        let values = chosen
            .iter()
            .map(|index| format!("(variant.const \"c{index}\" (u16.const {index}))"));
        let mut case = echo("t", definition, &["i32", "i32"], values.collect());
        check_case(engine, &case);
        // Lists are in memory, where the size of the discriminant matters.
        case.params = vec!["(list $t)".into()];
        case.result = "(list $t)".into();
        let all = case
            .values
            .iter()
            .map(|(value, _)| value.as_str())
            .collect::<Vec<_>>();
        let all = format!("(list.const {})", all.join(" "));
        case.values = vec![(all.clone(), all)];
        check_case(engine, &case);
    }
}

/// 1 to 32 flags, which is the maximum, as values and in lists, where their size matters.
fn flags(engine: &Engine) {
    for count in 1..=32 {
        let names = (0..count)
            .map(|index| format!("\"f{index}\""))
            .collect::<Vec<_>>();
        let all = format!("(flags.const {})", names.join(" "));
        let values = vec![
            "(flags.const)".to_string(),
            all.clone(),
            format!("(flags.const {})", names[count - 1]),
        ];
        let definition = format!("(flags {})", names.join(" "));
        check_case(
            engine,
            &echo("t", definition.clone(), &["i32"], values.clone()),
        );
        let list = format!("(list.const {} {})", values.join(" "), values.join(" "));
        let mut case = echo("t", definition, &["i32", "i32"], vec![list]);
        case.params = vec!["(list $t)".into()];
        case.result = "(list $t)".into();
        check_case(engine, &case);
    }
    let names = (0..33)
        .map(|index| format!("\"f{index}\""))
        .collect::<Vec<_>>();
    let script = format!(
        "(assert_invalid (component (type (flags {}))) \"cannot have more than 32 flags\")",
        names.join(" ")
    );
    check(engine, &script, 1);
}

/// 1, 15, 16, 17 and 40 parameters, which are returned as a tuple. More than 16 are passed in
/// memory.
fn parameters(engine: &Engine) {
    let kinds = [
        ("u8", "i32", "u8.const 2"),
        ("s64", "i64", "s64.const -3"),
        ("f32", "f32", "f32.const 0.5"),
        ("f64", "f64", "f64.const 1e300"),
        ("bool", "i32", "bool.const true"),
    ];
    for count in [2, 15, 16, 17, 40] {
        let chosen = (0..count)
            .map(|index| kinds[index % kinds.len()])
            .collect::<Vec<_>>();
        let types = chosen.iter().map(|kind| kind.0).collect::<Vec<_>>();
        let tuple = format!("(tuple {})", types.join(" "));
        let values = chosen
            .iter()
            .map(|kind| format!("({})", kind.2))
            .collect::<Vec<_>>();
        let value = format!("(tuple.const {})", values.join(" "));
        let flat = match count {
            0..=16 => chosen.iter().map(|kind| kind.1).collect(),
            _ => vec!["i32"],
        };
        let case = Case {
            types: Vec::new(),
            params: vec![tuple.clone()],
            result: tuple,
            flat_params: flat,
            flat_result: None,
            values: vec![(value.clone(), value)],
        };
        check_case(engine, &case);
    }
}

/// Instances nested up to the validator's limit. Each level adds one to the result. Outer aliases
/// refer across all levels.
fn nesting(engine: &Engine) {
    let levels = 40;
    let mut text = String::from(
        r#"(component $root
  (core module $Add
    (import "" "f" (func $f (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))
  (import "echo" (func $echo (param "x" u32) (result u32)))
"#,
    );
    for level in 0..levels {
        writeln!(
            text,
            "(component $c{level} (import \"f\" (func $echo (param \"x\" u32) (result u32)))"
        )
        .unwrap();
    }
    for level in (0..levels).rev() {
        let inner = match level + 1 == levels {
            true => String::from("(alias export $self \"f\" (func $next))"),
            false => format!(
                "(instance $inner (instantiate $c{} (with \"f\" (func $self \"f\")))) \
                 (alias export $inner \"f\" (func $next))",
                level + 1
            ),
        };
        writeln!(
            text,
            "(alias outer $root $Add (core module $Add))
             (core func $g (canon lower (func $echo)))
             (core instance $i (instantiate $Add (with \"\" (instance (export \"f\" (func $g))))))
             (func $h (param \"x\" u32) (result u32) (canon lift (core func $i \"f\")))
             (instance $self (export \"f\" (func $h)))
             {inner}
             (export \"f\" (func $next)))"
        )
        .unwrap();
    }
    writeln!(
        text,
        "(instance $all (instantiate $c0 (with \"f\" (func $echo))))
         (func (export \"f\") (alias export $all \"f\")))
         (assert_return (invoke \"f\" (u32.const 100)) (u32.const {}))",
        100 + levels
    )
    .unwrap();
    check(engine, &text, 1);
}

matrix! {
    encoding_pairs: transcoding;
    variant_joins: joins;
    variant_joins_of_uneven_length: uneven_joins;
    discriminant_sizes: discriminants;
    flag_counts: flags;
    parameter_limits: parameters;
    nested_levels: nesting;
}
