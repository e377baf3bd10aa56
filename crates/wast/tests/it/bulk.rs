//! Bulk operations on arrays and memories, compared with loops over their elements by guest code.
//!
//! Covers every element type, constant and variable lengths around the engine's thresholds, and
//! overlaps in both directions. Each test runs in every cell of the matrix, and with interruptible
//! code, which does long operations in several steps.

use crate::matrix::{Bounds, config, matrix};
use mintage::{Engine, OptLevel};

/// An element type.
struct Element {
    ty: &'static str,
    /// The operator that reads an element.
    get: &'static str,
    /// The size in bytes. `None` for references.
    size: Option<u32>,
    /// An expression for a value that depends on `$i`.
    numbered: &'static str,
    /// An expression for a value to fill with.
    value: &'static str,
    /// An expression for the default value.
    zero: &'static str,
    /// An expression that compares `$x` and `$y`.
    same: &'static str,
}

const ELEMENTS: &[Element] = &[
    Element {
        ty: "i8",
        get: "array.get_u",
        size: Some(1),
        numbered: "(i32.mul (local.get $i) (i32.const 7))",
        value: "(i32.const 0xfa5)",
        zero: "(i32.const 0)",
        same: "(i32.eq (local.get $x) (local.get $y))",
    },
    Element {
        ty: "i16",
        get: "array.get_s",
        size: Some(2),
        numbered: "(i32.mul (local.get $i) (i32.const 777))",
        value: "(i32.const 0xf1234)",
        zero: "(i32.const 0)",
        same: "(i32.eq (local.get $x) (local.get $y))",
    },
    Element {
        ty: "i32",
        get: "array.get",
        size: Some(4),
        numbered: "(i32.mul (local.get $i) (i32.const 77777777))",
        value: "(i32.const 0x89abcdef)",
        zero: "(i32.const 0)",
        same: "(i32.eq (local.get $x) (local.get $y))",
    },
    Element {
        ty: "i64",
        get: "array.get",
        size: Some(8),
        numbered: "(i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 0x123456789ab))",
        value: "(i64.const 0x89abcdef01234567)",
        zero: "(i64.const 0)",
        same: "(i64.eq (local.get $x) (local.get $y))",
    },
    Element {
        ty: "f32",
        get: "array.get",
        size: Some(4),
        numbered: "(f32.convert_i32_u (local.get $i))",
        value: "(f32.const -nan:0x345678)",
        zero: "(f32.const 0)",
        same: "(i32.eq (i32.reinterpret_f32 (local.get $x)) (i32.reinterpret_f32 (local.get $y)))",
    },
    Element {
        ty: "f64",
        get: "array.get",
        size: Some(8),
        numbered: "(f64.convert_i32_u (local.get $i))",
        value: "(f64.const -0x1.23456789abcdep7)",
        zero: "(f64.const 0)",
        same: "(i64.eq (i64.reinterpret_f64 (local.get $x)) (i64.reinterpret_f64 (local.get $y)))",
    },
    Element {
        ty: "v128",
        get: "array.get",
        size: Some(16),
        numbered: "(i16x8.splat (local.get $i))",
        value: "(v128.const i64x2 0x0123456789abcdef 0xfedcba9876543210)",
        zero: "(v128.const i64x2 0 0)",
        same: "(i32.eqz (v128.any_true (v128.xor (local.get $x) (local.get $y))))",
    },
    // An object that moves in every collection.
    Element {
        ty: "eqref",
        get: "array.get",
        size: None,
        numbered: "(ref.i31 (local.get $i))",
        value: "(global.get $object)",
        zero: "(ref.null eq)",
        same: "(ref.eq (local.get $x) (local.get $y))",
    },
    Element {
        ty: "(ref null $number)",
        get: "array.get",
        size: None,
        numbered: "(select (result (ref null $number)) (ref.func $one) (ref.func $two) \
            (i32.and (local.get $i) (i32.const 1)))",
        value: "(ref.func $three)",
        zero: "(ref.null $number)",
        same: "(i32.eq (call $number (local.get $x)) (call $number (local.get $y)))",
    },
];

/// Lengths that functions contain as constants.
const LENGTHS: &[u32] = &[
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129,
];

/// Functions that take a length and a position, change an array by an operator and another array by
/// a loop, and compare the two.
fn array_functions(name: &str, length: &str, data: bool) -> String {
    let mut functions = format!(
        r#"
  (func $fill{name} (export "fill{name}") (param $n i32) (param $at i32) (result i32)
    (local $a (ref $a)) (local $b (ref $a)) (local $i i32)
    (local.set $a (call $numbered (i32.add {length} (i32.add (local.get $at) (i32.const 2)))))
    (local.set $b (call $numbered (array.len (local.get $a))))
    (array.fill $a (local.get $a) (local.get $at) (call $value) {length})
    (call $set (local.get $b) (local.get $at) (call $value) {length})
    (call $same (local.get $a) (local.get $b)))
  (func $new{name} (export "new{name}") (param $n i32) (param $at i32) (result i32)
    (local $a (ref $a)) (local $b (ref $a))
    (local.set $b (call $numbered {length}))
    (call $set (local.get $b) (i32.const 0) (call $value) {length})
    (local.set $a (array.new $a (call $value) {length}))
    (if (i32.eqz (call $same (local.get $a) (local.get $b))) (then (return (i32.const 0))))
    (call $set (local.get $b) (i32.const 0) (call $zero) {length})
    (call $same (array.new_default $a {length}) (local.get $b)))
  (func $copy{name} (export "copy{name}") (param $n i32) (param $at i32) (result i32)
    (local $a (ref $a)) (local $b (ref $a)) (local $old (ref $a)) (local $i i32)
    (local.set $a (call $numbered (i32.add {length} (i32.add (local.get $at) (i32.const 2)))))
    (local.set $b (call $numbered (array.len (local.get $a))))
    (local.set $old (call $numbered (array.len (local.get $a))))
    (array.copy $a $a (local.get $a) (local.get $at) (local.get $a) (i32.const 1) {length})
    (call $move (local.get $b) (local.get $at) (local.get $old) (i32.const 1) {length})
    (if (i32.eqz (call $same (local.get $a) (local.get $b))) (then (return (i32.const 0))))
    (call $move (local.get $old) (i32.const 0) (local.get $b) (i32.const 0) (array.len
      (local.get $b)))
    (array.copy $a $a (local.get $a) (i32.const 0) (local.get $a) (local.get $at) {length})
    (call $move (local.get $b) (i32.const 0) (local.get $old) (local.get $at) {length})
    (call $same (local.get $a) (local.get $b)))"#
    );
    if data {
        functions += &format!(
            r#"
  (func $data{name} (export "data{name}") (param $n i32) (param $at i32) (result i32)
    (local $a (ref $a)) (local $b (ref $a)) (local $i i32)
    (local.set $a (call $numbered (i32.add {length} (i32.add (local.get $at) (i32.const 2)))))
    (local.set $b (call $numbered (array.len (local.get $a))))
    (array.init_data $a $d (local.get $a) (local.get $at) (local.get $at) {length})
    (call $from_data (local.get $b) (local.get $at) {length})
    (if (i32.eqz (call $same (local.get $a) (local.get $b))) (then (return (i32.const 0))))
    (local.set $a (array.new_data $a $d (local.get $at) {length}))
    (call $move (local.get $b) (i32.const 0) (local.get $b) (local.get $at) {length})
    (call $same_to (local.get $a) (local.get $b) {length}))"#
        );
    }
    functions
}

/// Returns the script for an element type.
fn array_script(element: &Element) -> (String, usize) {
    let Element {
        ty,
        get,
        numbered,
        value,
        zero,
        same,
        ..
    } = element;
    let unpacked = if ty.starts_with('i') && get.contains('_') {
        "i32"
    } else {
        ty
    };
    let bytes: String = (0u32..4200)
        .map(|at| format!("\\{:02x}", at.wrapping_mul(2654435761) >> 24))
        .collect();
    let mut script = format!(
        r#"(module
  (type $number (func (result i32))) (type $s (struct)) (type $i8 (array (mut i8))) (type $a (array
    (mut {ty})))
  (data $d "{bytes}")
  (global $object (mut (ref null $s)) (ref.null $s))
  (func $one (type $number) (i32.const 1)) (func $two (type $number) (i32.const 2)) (func $three
    (type $number) (i32.const 3))
  (elem declare func $one $two $three)
  (func $number (param $f (ref null $number)) (result i32)
    (if (result i32) (ref.is_null (local.get $f)) (then (i32.const 0)) (else (call_ref $number
      (local.get $f)))))
  (func $start (global.set $object (struct.new $s)))
  (start $start)
  (func $value (result {unpacked}) {value})
  (func $zero (result {unpacked}) {zero})
  (func $numbered (param $n i32) (result (ref $a)) (local $a (ref $a)) (local $i i32)
    (local.set $a (array.new_default $a (local.get $n)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (local.get $n)))
        (array.set $a (local.get $a) (local.get $i) {numbered})
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $a))
  (func $set (param $a (ref $a)) (param $at i32) (param $value {unpacked}) (param $n i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (array.set $a (local.get $a) (local.get $at) (local.get $value))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))
  (func $move (param $a (ref $a)) (param $at i32) (param $b (ref $a)) (param $from i32)
    (param $n i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (array.set $a (local.get $a) (local.get $at) ({get} $a (local.get $b) (local.get $from)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))
  (func $equal (param $x {unpacked}) (param $y {unpacked}) (result i32) {same})
  (func $same (param $a (ref $a)) (param $b (ref $a)) (result i32)
    (i32.and
      (i32.eq (array.len (local.get $a)) (array.len (local.get $b)))
      (call $same_to (local.get $a) (local.get $b) (array.len (local.get $b)))))
  (func $same_to (param $a (ref $a)) (param $b (ref $a)) (param $i i32) (result i32)
    (loop $next
      (if (i32.eqz (local.get $i)) (then (return (i32.const 1))))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next
        (call $equal ({get} $a (local.get $a) (local.get $i)) ({get} $a (local.get $b)
          (local.get $i)))))
    (i32.const 0))
"#
    );
    if let Some(size) = element.size {
        // The elements of a segment, as bytes.
        let byte = |at: u32| {
            format!(
                "(i64.extend_i32_u (array.get_u $i8 (local.get $bytes) (i32.add (local.get $from) \
                 (i32.const {at}))))"
            )
        };
        let word = |from: u32, count: u32| {
            (0..count).fold("(i64.const 0)".to_owned(), |word, at| {
                format!(
                    "(i64.or {word} (i64.shl {} (i64.const {})))",
                    byte(from + at),
                    8 * at
                )
            })
        };
        let value = match *ty {
            "v128" => format!(
                "(i64x2.replace_lane 1 (i64x2.splat {}) {})",
                word(0, 8),
                word(8, 8)
            ),
            "i64" => word(0, 8),
            "f64" => format!("(f64.reinterpret_i64 {})", word(0, 8)),
            "f32" => format!("(f32.reinterpret_i32 (i32.wrap_i64 {}))", word(0, 4)),
            _ => format!("(i32.wrap_i64 {})", word(0, size)),
        };
        script += &format!(
            r#"
  (global $bytes (mut (ref null $i8)) (ref.null $i8))
  (func $from_data (param $a (ref $a)) (param $at i32) (param $n i32) (local $from i32)
    (local $bytes (ref $i8))
    (local.set $bytes (array.new_data $i8 $d (i32.const 0) (i32.const 4200)))
    (local.set $from (local.get $at))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (array.set $a (local.get $a) (local.get $at) {value})
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const {size})))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))
"#
        );
    }
    let data = element.size.is_some();
    let names: &[&str] = if data {
        &["fill", "new", "copy", "data"]
    } else {
        &["fill", "new", "copy"]
    };
    // All short lengths and some long ones, at several positions.
    script += &array_functions("", "(local.get $n)", data);
    for name in names {
        script += &format!(
            r#"
  (func (export "{name}-all") (param $from i32) (param $to i32) (param $at i32) (result i32)
    (loop $next
      (if (i32.eqz (call ${name} (local.get $from) (local.get $at))) (then (return
        (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $to))))
    (i32.const -1))"#
        );
    }
    for &length in LENGTHS {
        script += &array_functions(&length.to_string(), &format!("(i32.const {length})"), data);
    }
    script += ")\n";
    let mut assertions = 0;
    for name in names {
        for (from, to) in [(0, 140), (255, 259)] {
            for at in [0, 1, 5] {
                script += &format!(
                    "(assert_return (invoke \"{name}-all\" (i32.const {from}) (i32.const {to}) \
                     (i32.const {at})) (i32.const -1))\n"
                );
                assertions += 1;
            }
        }
        // Debug builds do this in several steps.
        if *name != "data" {
            for at in [0, 1, 3, 500] {
                script += &format!(
                    "(assert_return (invoke \"{name}\" (i32.const 3000) (i32.const {at})) \
                     (i32.const 1))\n"
                );
                assertions += 1;
            }
        }
        for length in LENGTHS {
            for at in [0, 2] {
                script += &format!(
                    "(assert_return (invoke \"{name}{length}\" (i32.const 0) (i32.const {at})) \
                     (i32.const 1))\n"
                );
                assertions += 1;
            }
        }
    }
    (script, assertions)
}

/// Returns the script for memories with the index type `index`. Each function changes the first
/// memory by an operator and the second memory by a loop.
fn memory_script(index: &str) -> (String, usize) {
    let [i, x] = ["i", "x"].map(|local| match index {
        "i32" => format!("(local.get ${local})"),
        _ => format!("(i32.wrap_i64 (local.get ${local}))"),
    });
    let bytes: String = (0u32..3000)
        .map(|at| format!("\\{:02x}", at.wrapping_mul(2654435761) >> 24))
        .collect();
    let mut script = format!(
        r#"(module
  (memory $m {index} 1) (memory $loop {index} 1) (memory $bytes 1)
  (data (memory $bytes) (i32.const 0) "{bytes}")
  (data $d "{bytes}")
  (func $start (local $i {index})
    (loop $next
      (i32.store16 $m (local.get $i) (i32.mul (i32.const 40503) {i}))
      (i32.store16 $loop (local.get $i) (i32.mul (i32.const 40503) {i}))
      (local.set $i (index.add (local.get $i) (index.const 2)))
      (br_if $next (index.lt_u (local.get $i) (index.const 0x10000)))))
  (start $start)
  (func $same (export "same") (result i32) (local $i {index})
    (loop $next
      (if (i64.ne (i64.load $m (local.get $i)) (i64.load $loop (local.get $i))) (then (return
        (i32.const 0))))
      (local.set $i (index.add (local.get $i) (index.const 8)))
      (br_if $next (index.lt_u (local.get $i) (index.const 0x10000))))
    (i32.const 1))
  (func $fill-loop (param $at {index}) (param $value i32) (param $n {index})
    (block $done
      (loop $next
        (br_if $done (index.eqz (local.get $n)))
        (i32.store8 $loop (local.get $at) (local.get $value))
        (local.set $at (index.add (local.get $at) (index.const 1)))
        (local.set $n (index.sub (local.get $n) (index.const 1)))
        (br $next))))
  (func $copy-loop (param $at {index}) (param $from {index}) (param $n {index})
    (local $step {index})
    (local.set $step (index.const 1))
    (if (index.gt_u (local.get $at) (local.get $from))
      (then
        (local.set $step (index.const -1))
        (local.set $at (index.add (local.get $at) (index.sub (local.get $n) (index.const 1))))
        (local.set $from (index.add (local.get $from) (index.sub (local.get $n) (index.const 1))))))
    (block $done
      (loop $next
        (br_if $done (index.eqz (local.get $n)))
        (i32.store8 $loop (local.get $at) (i32.load8_u $loop (local.get $from)))
        (local.set $at (index.add (local.get $at) (local.get $step)))
        (local.set $from (index.add (local.get $from) (local.get $step)))
        (local.set $n (index.sub (local.get $n) (index.const 1)))
        (br $next))))
  (func $init-loop (param $at {index}) (param $from i32) (param $n i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (i32.store8 $loop (local.get $at) (i32.load8_u $bytes (local.get $from)))
        (local.set $at (index.add (local.get $at) (index.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))
  (func $small (param $x {index}) (result i32) {x})
"#
    );
    let mut function = |name: &str, length: &str| {
        let small = if length.contains("local") {
            "(call $small (local.get $n))".to_owned()
        } else {
            length.replace("index", "i32")
        };
        script += &format!(
            r#"
  (func $fill{name} (export "fill{name}") (param $n {index}) (param $at {index})
    (param $from {index}) (result i32)
    (memory.fill $m (local.get $at) (i32.const 0x1b7) {length})
    (call $fill-loop (local.get $at) (i32.const 0xb7) {length})
    (call $same))
  (func $copy{name} (export "copy{name}") (param $n {index}) (param $at {index})
    (param $from {index}) (result i32)
    (memory.copy $m $m (local.get $at) (local.get $from) {length})
    (call $copy-loop (local.get $at) (local.get $from) {length})
    (call $same))
  (func $init{name} (export "init{name}") (param $n {index}) (param $at {index})
    (param $from {index}) (result i32)
    (memory.init $m $d (local.get $at) (call $small (local.get $from)) {small})
    (call $init-loop (local.get $at) (call $small (local.get $from)) {small})
    (call $same))"#
        );
    };
    function("", "(local.get $n)");
    for length in LENGTHS {
        function(&length.to_string(), &format!("(index.const {length})"));
    }
    script += ")\n";
    let mut assertions = 0;
    for name in ["fill", "copy", "init"] {
        let mut invoke = |name: &str, [n, at, from]: [u32; 3]| {
            script += &format!(
                "(assert_return (invoke \"{name}\" (index.const {n}) (index.const {at}) \
                 (index.const {from})) (i32.const 1))\n"
            );
            assertions += 1;
        };
        for length in LENGTHS {
            for (at, from) in [(100, 103), (203, 200), (65536 - 129, 0)] {
                invoke(name, [*length, at, from]);
                invoke(&format!("{name}{length}"), [0, at, from]);
            }
        }
        // Debug builds do this in several steps.
        for (length, at, from) in [
            (2500, 1, 0),
            (2500, 0, 1),
            (2047, 7, 500),
            (2048, 500, 7),
            (1025, 3000, 700),
        ] {
            invoke(name, [length, at, from]);
        }
        if name != "init" {
            invoke(name, [60_000, 77, 5000]);
            invoke(name, [60_000, 5000, 77]);
        }
    }
    let script = script.replace("index", index);
    (script, assertions)
}

fn check(engine: &Engine, (script, assertions): (String, usize)) {
    let report =
        mintage_wast::run(engine, &script).unwrap_or_else(|error| panic!("{error:#}\n{script}"));
    assert!(
        report.failures.is_empty() && report.skipped.is_empty(),
        "{:#?}",
        report.failures
    );
    assert_eq!(report.assertions, assertions);
}

fn arrays(engine: &Engine) {
    for element in ELEMENTS {
        check(engine, array_script(element));
    }
}

fn memories(engine: &Engine) {
    for index in ["i32", "i64"] {
        check(engine, memory_script(index));
    }
}

matrix! {
    array_operations: arrays;
    memory_operations: memories;
}

#[test]
fn in_pieces() {
    for (opt_level, bounds) in [
        (OptLevel::Speed, Bounds::Guard),
        (OptLevel::None, Bounds::Explicit),
    ] {
        let mut config = config(opt_level, bounds);
        config
            .interruptible(true)
            .consume_fuel(true)
            .fuel_by_length(true);
        let engine = Engine::new(&config).unwrap();
        arrays(&engine);
        memories(&engine);
    }
}
