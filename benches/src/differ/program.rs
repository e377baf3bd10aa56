//! Random components whose results do not depend on the order in which their tasks run.
//!
//! A program has a few component instances, each of which imports functions of those before it. All
//! functions are of `async` type. Each is lifted in one of two ways, and does random things one
//! after the other: it calls functions of others synchronously or asynchronously, two at a time,
//! yields, calls the host, passes a stream and writes to it. The result is a sum of all that it
//! got. Tasks share no state, so that any order of what goes on at the same time has one result.

use std::fmt::Write as _;

/// The number of functions that each component instance exports.
const FUNCTIONS: usize = 3;

/// Random numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// The parameter of a function. Each result is a `u32`.
#[derive(Clone, Copy)]
enum Takes {
    Number,
    Bytes,
    Stream,
}

impl Takes {
    fn params(self) -> &'static str {
        match self {
            Takes::Number => r#"(param "n" u32)"#,
            Takes::Bytes => r#"(param "bytes" (list u8))"#,
            Takes::Stream => r#"(param "stream" (stream u8))"#,
        }
    }

    fn core_params(self) -> &'static str {
        match self {
            Takes::Number | Takes::Stream => "(param i32)",
            Takes::Bytes => "(param i32 i32)",
        }
    }
}

#[derive(Clone, Copy)]
struct Function {
    component: usize,
    number: usize,
    takes: Takes,
    has_callback: bool,
}

impl Function {
    fn name(self) -> String {
        format!("f{}-{}", self.component, self.number)
    }
}

/// Returns the text of the program of a seed. It exports `run: async func(n: u32) -> u64`, and
/// imports `host: async func(times: u32) -> u32`, which returns its argument.
pub fn program(seed: u64) -> String {
    let mut numbers = Numbers(seed);
    let count = 2 + numbers.below(3);
    let mut wat = String::from(
        "(component\n  (import \"host\" (func $host async (param \"times\" u32) (result u32)))\n",
    );
    let mut functions: Vec<Function> = Vec::new();
    for component in 0..count {
        let own: Vec<_> = (0..FUNCTIONS)
            .map(|number| Function {
                component,
                number,
                takes: match numbers.below(4) {
                    0 => Takes::Bytes,
                    1 => Takes::Stream,
                    _ => Takes::Number,
                },
                has_callback: numbers.one_in(2),
            })
            .collect();
        define(&mut wat, &mut numbers, &functions, &own);
        functions.extend(own);
    }
    // The last one is called by the host, through a function that takes a number.
    let main = Function {
        component: count,
        number: 0,
        takes: Takes::Number,
        has_callback: numbers.one_in(2),
    };
    define(&mut wat, &mut numbers, &functions, &[main]);
    let _ = writeln!(
        wat,
        r#"  (component $outer
    (import "f" (func $f async (param "n" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (param i32) (result i64)
        (i64.extend_i32_u (call $f (local.get 0)))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (param "n" u32) (result u64) (canon lift (core func $i "run"))))
  (instance $outer (instantiate $outer (with "f" (func $c{count} "{}"))))
  (export "run" (func $outer "run")))"#,
        main.name()
    );
    wat
}

/// The built-ins that each core module imports: name, core type, definition.
const BUILTINS: &[(&str, &str, &str)] = &[
    ("return", "(param i32)", "task.return (result u32)"),
    ("yield", "(result i32)", "thread.yield"),
    ("get", "(result i32)", "context.get i32 0"),
    ("set", "(param i32)", "context.set i32 0"),
    ("set-new", "(result i32)", "waitable-set.new"),
    (
        "set-wait",
        "(param i32 i32) (result i32)",
        "waitable-set.wait (memory (core memory $memory \"memory\"))",
    ),
    ("set-drop", "(param i32)", "waitable-set.drop"),
    ("join", "(param i32 i32)", "waitable.join"),
    ("subtask-drop", "(param i32)", "subtask.drop"),
    ("new", "(result i64)", "stream.new $bytes"),
    (
        "read",
        "(param i32 i32 i32) (result i32)",
        "stream.read $bytes async (memory (core memory $memory \"memory\"))",
    ),
    (
        "write",
        "(param i32 i32 i32) (result i32)",
        "stream.write $bytes async (memory (core memory $memory \"memory\"))",
    ),
    (
        "drop-readable",
        "(param i32)",
        "stream.drop-readable $bytes",
    ),
    (
        "drop-writable",
        "(param i32)",
        "stream.drop-writable $bytes",
    ),
];

/// What each core module has: an allocator, and a wait for a call.
const HELPERS: &str = r#"
      ;; Waits for an asynchronous call that has returned `status`.
      (func $await (param $status i32) (local $subtask i32) (local $set i32) (local $event i32)
        (if (i32.eq (local.get $status) (i32.const 2)) (then (return)))
        (local.set $subtask (i32.shr_u (local.get $status) (i32.const 4)))
        (local.set $set (call $set-new))
        (local.set $event (call $alloc (i32.const 8)))
        (call $join (local.get $subtask) (local.get $set))
        (loop $again
          (if (i32.ne (call $set-wait (local.get $set) (local.get $event)) (i32.const 1))
            (then unreachable))
          (br_if $again (i32.ne (i32.load offset=4 (local.get $event)) (i32.const 2))))
        (call $forget (local.get $subtask) (local.get $set)))
      (func $forget (param $subtask i32) (param $set i32)
        (call $join (local.get $subtask) (i32.const 0))
        (call $subtask-drop (local.get $subtask))
        (call $set-drop (local.get $set)))
      (func $sum (param $at i32) (param $len i32) (result i32) (local $sum i32)
        (block $end (loop $again
          (br_if $end (i32.eqz (local.get $len)))
          (local.set $len (i32.sub (local.get $len) (i32.const 1)))
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
            (i32.load8_u (i32.add (local.get $at) (local.get $len)))))
          (br $again)))
        (local.get $sum))
      (func $fill (param $at i32) (param $len i32) (param $byte i32)
        (memory.fill (local.get $at) (local.get $byte) (local.get $len)))
      ;; Waits for a copy that has returned `status`, and returns how it has ended.
      (func $settle (param $end i32) (param $status i32) (result i32)
        (local $set i32) (local $event i32)
        (if (i32.ne (local.get $status) (i32.const -1)) (then (return (local.get $status))))
        (local.set $set (call $set-new))
        (local.set $event (call $alloc (i32.const 8)))
        (call $join (local.get $end) (local.get $set))
        (drop (call $set-wait (local.get $set) (local.get $event)))
        (call $join (local.get $end) (i32.const 0))
        (call $set-drop (local.get $set))
        (i32.load offset=4 (local.get $event)))
      ;; Reads a stream to its end, `len` bytes at a time, and returns the sum of the bytes.
      (func $read-all (param $stream i32) (param $len i32) (result i32)
        (local $at i32) (local $sum i32) (local $got i32)
        (local.set $at (call $alloc (local.get $len)))
        (loop $again
          (local.set $got (call $settle (local.get $stream)
            (call $read (local.get $stream) (local.get $at) (local.get $len))))
          (memory.fill (i32.add (local.get $at) (i32.shr_u (local.get $got) (i32.const 4)))
            (i32.const 0) (i32.sub (local.get $len) (i32.shr_u (local.get $got) (i32.const 4))))
          (local.set $sum (i32.add (local.get $sum) (call $bytes (local.get $at) (local.get $len))))
          (br_if $again (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $drop-readable (local.get $stream))
        (local.get $sum))
      ;; The sum of bytes, however they are divided.
      (func $bytes (param $at i32) (param $len i32) (result i32) (local $sum i32)
        (block $end (loop $again
          (br_if $end (i32.eqz (local.get $len)))
          (local.set $len (i32.sub (local.get $len) (i32.const 1)))
          (local.set $sum (i32.add (local.get $sum)
            (i32.load8_u (i32.add (local.get $at) (local.get $len)))))
          (br $again)))
        (local.get $sum))
      ;; Writes bytes to a stream until all are written, or no one reads.
      (func $write-all (param $stream i32) (param $at i32) (param $len i32) (local $done i32)
        (block $end (loop $again
          (br_if $end (i32.eqz (local.get $len)))
          (local.set $done (call $settle (local.get $stream)
            (call $write (local.get $stream) (local.get $at) (local.get $len))))
          (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $done) (i32.const 4))))
          (local.set $len (i32.sub (local.get $len) (i32.shr_u (local.get $done) (i32.const 4))))
          (br_if $again (i32.eqz (i32.and (local.get $done) (i32.const 15)))))))
"#;

/// Defines a component with functions that may call `others`, and its instance.
fn define(wat: &mut String, numbers: &mut Numbers, others: &[Function], own: &[Function]) {
    let at = own[0].component;
    let mut imports = String::new();
    let mut lowers = String::new();
    let mut core_imports = String::new();
    let mut given = String::new();
    let mut with = String::from("(with \"host\" (func $host))");
    for (name, ty, definition) in BUILTINS {
        let _ = writeln!(lowers, "    (core func ${name} (canon {definition}))");
        let _ = writeln!(
            core_imports,
            "      (import \"\" \"{name}\" (func ${name} {ty}))"
        );
        let _ = write!(given, " (export \"{name}\" (func ${name}))");
    }
    let mut import = |name: &str, takes: Takes, from: Option<usize>| {
        let params = takes.params();
        let (name, params) = match from {
            None => ("host", r#"(param "times" u32)"#),
            Some(_) => (name, params),
        };
        let _ = writeln!(
            imports,
            "    (import \"{name}\" (func ${name} async {params} (result u32)))"
        );
        let memory = "(memory (core memory $memory \"memory\"))";
        let _ = writeln!(
            lowers,
            "    (core func ${name} (canon lower (func ${name}) {memory}))\n    \
             (core func ${name}' (canon lower (func ${name}) async {memory}))"
        );
        let core = takes.core_params();
        let _ = writeln!(
            core_imports,
            "      (import \"\" \"{name}\" (func ${name} {core} (result i32)))\n      \
             (import \"\" \"{name}'\" (func ${name}' {core} (param i32) (result i32)))"
        );
        let _ = write!(
            given,
            " (export \"{name}\" (func ${name})) (export \"{name}'\" (func ${name}'))"
        );
        if let Some(component) = from {
            let _ = write!(with, " (with \"{name}\" (func $c{component} \"{name}\"))");
        }
    };
    import("host", Takes::Number, None);
    for other in others {
        import(&other.name(), other.takes, Some(other.component));
    }
    let mut bodies = String::new();
    let mut lifts = String::new();
    for function in own {
        body(&mut bodies, numbers, others, *function);
        let name = function.name();
        let options = match function.has_callback {
            true => format!(" async (callback (core func $i \"{name}-callback\"))"),
            false => String::new(),
        };
        let _ = writeln!(
            lifts,
            "    (func (export \"{name}\") async {} (result u32) \
             (canon lift (core func $i \"{name}\"){options} \
             (memory (core memory $memory \"memory\")) \
             (realloc (core func $memory \"realloc\"))))",
            function.takes.params()
        );
    }
    let _ = writeln!(
        wat,
        r#"  (component $c{at}
    (type $bytes (stream u8))
{imports}    (core module $memory
      (memory (export "memory") 4)
      (global $next (mut i32) (i32.const 1024))
      (func $alloc (export "alloc") (param $len i32) (result i32)
        (global.set $next (i32.add (global.get $next)
          (i32.and (i32.add (local.get $len) (i32.const 7)) (i32.const -8))))
        (i32.sub (global.get $next)
          (i32.and (i32.add (local.get $len) (i32.const 7)) (i32.const -8))))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3))))
    (core instance $memory (instantiate $memory))
{lowers}    (core module $m
      (import "" "memory" (memory 4))
      (import "" "alloc" (func $alloc (param i32) (result i32)))
{core_imports}{HELPERS}{bodies})
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory "memory")) (export "alloc" (func $memory "alloc")){given}))))
{lifts})
  (instance $c{at} (instantiate $c{at} {with}))"#
    );
}

/// Writes the core functions of a function: what it does first, and its callback.
///
/// The state of a task between callbacks is in memory, at the address in its storage: the sum, and
/// the set and the subtask that it waits for, with the room for the result.
fn body(wat: &mut String, numbers: &mut Numbers, others: &[Function], function: Function) {
    let name = function.name();
    let locals = "(local $sum i32) (local $p i32) (local $q i32) (local $s i32) (local $t i32) \
                  (local $stream i64)";
    let start = match function.takes {
        Takes::Number => "(local.get 0)".to_string(),
        Takes::Bytes => "(call $sum (local.get 0) (local.get 1))".to_string(),
        Takes::Stream => {
            let len = 1 + numbers.below(40);
            format!("(call $read-all (local.get 0) (i32.const {len}))")
        }
    };
    let _ = writeln!(
        wat,
        "      (func (export \"{name}\") {} (result i32) {locals}
        (local.set $sum {start})",
        function.takes.core_params()
    );
    let steps = numbers.below(4);
    (0..steps).for_each(|_| step(wat, numbers, others));
    if !function.has_callback {
        wat.push_str("        (local.get $sum))\n");
        return;
    }
    let ends = numbers.below(3);
    let callee = numbers_of(others, numbers);
    match (ends, callee) {
        (0, _) => wat.push_str("        (call $return (local.get $sum)) (i32.const 0))\n"),
        // It waits for a call in its callback.
        (1, Some(callee)) => {
            let _ = writeln!(
                wat,
                "        (local.set $p (call $alloc (i32.const 16)))
        (local.set $s (call ${}' (i32.add (local.get $sum) (i32.const 1))
          (i32.add (local.get $p) (i32.const 12))))
        (i32.store (local.get $p) (local.get $sum))
        (call $set (local.get $p))
        (if (i32.eq (local.get $s) (i32.const 2)) (then (return (i32.const 1))))
        (i32.store offset=4 (local.get $p) (call $set-new))
        (i32.store offset=8 (local.get $p) (i32.shr_u (local.get $s) (i32.const 4)))
        (call $join (i32.load offset=8 (local.get $p)) (i32.load offset=4 (local.get $p)))
        (i32.or (i32.const 2) (i32.shl (i32.load offset=4 (local.get $p)) (i32.const 4))))",
                callee.name()
            );
        }
        _ => wat.push_str(
            "        (local.set $p (call $alloc (i32.const 16)))
        (i32.store (local.get $p) (local.get $sum))
        (i32.store offset=12 (local.get $p) (i32.const 0))
        (call $set (local.get $p))
        (i32.const 1))\n",
        ),
    }
    let _ = writeln!(
        wat,
        "      (func (export \"{name}-callback\") (param $event i32) (param i32) (param $code i32)
        (result i32) {locals}
        (local.set $p (call $get))
        ;; The call has only started.
        (if (i32.and (i32.eq (local.get $event) (i32.const 1))
            (i32.ne (local.get $code) (i32.const 2)))
          (then (return
            (i32.or (i32.const 2) (i32.shl (i32.load offset=4 (local.get $p)) (i32.const 4))))))
        (if (i32.eq (local.get $event) (i32.const 1))
          (then (call $forget
            (i32.load offset=8 (local.get $p)) (i32.load offset=4 (local.get $p)))))
        (local.set $sum (i32.add (i32.load (local.get $p)) (i32.load offset=12 (local.get $p))))"
    );
    let steps = numbers.below(3);
    (0..steps).for_each(|_| step(wat, numbers, others));
    wat.push_str("        (call $return (local.get $sum)) (i32.const 0))\n");
}

/// Returns a random function that takes a number, if there is one.
fn numbers_of(functions: &[Function], numbers: &mut Numbers) -> Option<Function> {
    let of_number = |function: &&Function| matches!(function.takes, Takes::Number);
    let found: Vec<_> = functions.iter().filter(of_number).collect();
    match found.len() {
        0 => None,
        len => Some(*found[numbers.below(len)]),
    }
}

/// Writes something that a function does.
fn step(wat: &mut String, numbers: &mut Numbers, others: &[Function]) {
    if numbers.one_in(60) {
        wat.push_str("        unreachable\n");
        return;
    }
    let add = |what: &str| format!("(local.set $sum (i32.add (local.get $sum) {what}))");
    let text = match numbers.below(if others.is_empty() { 4 } else { 9 }) {
        0 => "(drop (call $yield))".to_string(),
        1 => {
            let times = numbers.below(3);
            add(&format!("(call $host (i32.const {times}))"))
        }
        2 => {
            let times = numbers.below(3);
            format!(
                "(local.set $q (call $alloc (i32.const 8)))
        (call $await (call $host' (i32.const {times}) (local.get $q)))
        {}",
                add("(i32.load (local.get $q))")
            )
        }
        3 => "(local.set $sum (i32.mul (local.get $sum) (i32.const 7)))".to_string(),
        4 | 5 => {
            let callee = others[numbers.below(others.len())];
            call(numbers, callee)
        }
        _ => {
            let Some(first) = numbers_of(others, numbers) else {
                return;
            };
            let second = numbers_of(others, numbers).unwrap_or(first);
            // Two calls at a time, waited for in either order.
            let order = match numbers.one_in(2) {
                true => ["$s", "$t"],
                false => ["$t", "$s"],
            };
            format!(
                "(local.set $q (call $alloc (i32.const 16)))
        (local.set $s (call ${}' (local.get $sum) (local.get $q)))
        (local.set $t (call ${}' (i32.const 5) (i32.add (local.get $q) (i32.const 8))))
        (call $await (local.get {})) (call $await (local.get {}))
        {}",
                first.name(),
                second.name(),
                order[0],
                order[1],
                add("(i32.add (i32.load (local.get $q)) (i32.load offset=8 (local.get $q)))")
            )
        }
    };
    let _ = writeln!(wat, "        {text}");
}

/// Returns a call of a function that takes anything.
fn call(numbers: &mut Numbers, callee: Function) -> String {
    let name = callee.name();
    let is_async = numbers.one_in(2);
    let len = numbers.below(200);
    let fill = format!(
        "(local.set $q (call $alloc (i32.const 256)))
        (call $fill (local.get $q) (i32.const {len}) (local.get $sum))"
    );
    let add = |what: &str| format!("(local.set $sum (i32.add (local.get $sum) {what}))");
    let result = add("(i32.load offset=248 (local.get $q))");
    let room = "(i32.add (local.get $q) (i32.const 248))";
    match (callee.takes, is_async) {
        (Takes::Number, false) => add(&format!("(call ${name} (local.get $sum))")),
        (Takes::Number, true) => format!(
            "{fill}
        (call $await (call ${name}' (local.get $sum) {room}))
        {result}"
        ),
        (Takes::Bytes, false) => format!(
            "{fill}\n        {}",
            add(&format!("(call ${name} (local.get $q) (i32.const {len}))"))
        ),
        (Takes::Bytes, true) => format!(
            "{fill}
        (call $await (call ${name}' (local.get $q) (i32.const {len}) {room}))
        {result}"
        ),
        // The callee reads while this writes.
        (Takes::Stream, _) => {
            let first = numbers.below(len + 1);
            format!(
                "{fill}
        (local.set $stream (call $new))
        (local.set $s (call ${name}' (i32.wrap_i64 (local.get $stream)) {room}))
        (local.set $t (i32.wrap_i64 (i64.shr_u (local.get $stream) (i64.const 32))))
        (call $write-all (local.get $t) (local.get $q) (i32.const {first}))
        (call $write-all (local.get $t) (i32.add (local.get $q) (i32.const {first}))
          (i32.const {}))
        (call $drop-writable (local.get $t))
        (call $await (local.get $s))
        {result}",
                len - first
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_valid() {
        for seed in 0..300 {
            let text = program(seed);
            let bytes = wat::parse_str(&text);
            let bytes = bytes.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
            let features = wasmparser::WasmFeatures::all();
            let validated = wasmparser::Validator::new_with_features(features).validate_all(&bytes);
            validated.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        }
    }
}
