//! The guest: component instances of one kind, which call each other in one direction, and do what
//! the host says.

use crate::op::Op;
use std::fmt::Write as _;

/// How a function is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its type is not `async`.
    Plain,
    /// Its type is `async`, and it is lifted without `async`.
    Blocking,
    /// It is lifted with `async` and a callback.
    Callback,
    /// It is lifted with `async` and without a callback.
    Stackful,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Plain, Kind::Blocking, Kind::Callback, Kind::Stackful];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Blocking => "blocking",
            Kind::Callback => "callback",
            Kind::Stackful => "stackful",
        }
    }

    /// Returns whether the type of the function is `async`.
    pub fn is_async_type(self) -> bool {
        self != Kind::Plain
    }

    /// Returns whether the task excludes others that do so, too.
    pub fn is_exclusive(self) -> bool {
        matches!(self, Kind::Blocking | Kind::Callback)
    }

    /// Returns whether the function gives its result by `task.return`.
    pub fn is_async_lift(self) -> bool {
        matches!(self, Kind::Callback | Kind::Stackful)
    }
}

/// The component instances. One calls only those after it.
pub const DOMAINS: usize = 3;

/// Where a caller wants the result of the call of a thread.
pub fn result_place(thread: u32) -> u32 {
    4096 + (thread & 255) * 8
}

/// The bit of the number of a call of the host that returns at once.
pub const AT_ONCE: u32 = 1 << 20;

/// Where a caller wants the result of a call of the host.
pub fn host_result_place(number: u32) -> u32 {
    8192 + (number & 255) * 8
}

/// Returns the result of a call of the host.
pub fn host_result(number: u32) -> u32 {
    (number & 0xffff) * 3
}

/// Where buffers are.
pub const BUFFERS: u32 = 1024;

/// The bytes of all buffers together.
pub const BUFFER_BYTES: u32 = 256;

/// What `r2` is where a function begins.
pub const BEGINS: u32 = 0xfeed;

/// The built-ins: name, canonical definition, core parameters and result.
const BUILTINS: &[(&str, &str, &str)] = &[
    ("task-cancel", "task.cancel", ""),
    ("set-new", "waitable-set.new", "(result i32)"),
    (
        "set-wait",
        "waitable-set.wait (memory $mem)",
        "(param i32 i32) (result i32)",
    ),
    (
        "set-poll",
        "waitable-set.poll (memory $mem)",
        "(param i32 i32) (result i32)",
    ),
    ("set-drop", "waitable-set.drop", "(param i32)"),
    ("join", "waitable.join", "(param i32 i32)"),
    (
        "subtask-cancel",
        "subtask.cancel",
        "(param i32) (result i32)",
    ),
    (
        "subtask-cancel-async",
        "subtask.cancel async",
        "(param i32) (result i32)",
    ),
    ("subtask-drop", "subtask.drop", "(param i32)"),
    ("backpressure-inc", "backpressure.inc", ""),
    ("backpressure-dec", "backpressure.dec", ""),
    ("get0", "context.get i32 0", "(result i32)"),
    ("set0", "context.set i32 0", "(param i32)"),
    ("get1", "context.get i32 1", "(result i32)"),
    ("set1", "context.set i32 1", "(param i32)"),
    ("thread-index", "thread.index", "(result i32)"),
    ("resume-later", "thread.resume-later", "(param i32)"),
    ("suspend", "thread.suspend", "(result i32)"),
    ("yield", "thread.yield", "(result i32)"),
    (
        "suspend-then-resume",
        "thread.suspend-then-resume",
        "(param i32) (result i32)",
    ),
    (
        "yield-then-resume",
        "thread.yield-then-resume",
        "(param i32) (result i32)",
    ),
    (
        "suspend-then-promote",
        "thread.suspend-then-promote",
        "(param i32) (result i32)",
    ),
    (
        "yield-then-promote",
        "thread.yield-then-promote",
        "(param i32) (result i32)",
    ),
];

/// Adds the built-ins on streams or futures.
fn add_ends(builtins: &mut Vec<(String, String, String)>, kind: &str) {
    let length = if kind == "stream" { " i32" } else { "" };
    let copy = format!("(param i32 i32{length}) (result i32)");
    let mut add = |name: &str, canon: String, ty: &str| {
        builtins.push((
            format!("{kind}-{name}"),
            format!("{kind}.{canon}"),
            ty.into(),
        ));
    };
    add("new", format!("new ${kind}"), "(result i64)");
    for (name, op) in [("read", "read"), ("write", "write")] {
        add(name, format!("{op} ${kind} async (memory $mem)"), &copy);
        add(
            &format!("{name}-sync"),
            format!("{op} ${kind} (memory $mem)"),
            &copy,
        );
        let cancel = format!("cancel-{op} ${kind}");
        add(
            &format!("cancel-{name}"),
            cancel.clone(),
            "(param i32) (result i32)",
        );
        let name = format!("cancel-{name}-async");
        add(&name, format!("{cancel} async"), "(param i32) (result i32)");
    }
    add(
        "drop-reader",
        format!("drop-readable ${kind}"),
        "(param i32)",
    );
    add(
        "drop-writer",
        format!("drop-writable ${kind}"),
        "(param i32)",
    );
    add("forward", format!("forward ${kind}"), "(param i32 i32)");
}

/// Returns the text of the component.
pub fn component() -> String {
    let mut text = String::from(
        "(component\n(import \"next\" (func $next (param \"thread\" u32) (param \"r0\" u32) \
         (param \"r1\" u32) (param \"r2\" u32) (result u64)))\n\
         (import \"host\" (func $host async (param \"id\" u32) (result u32)))\n\
         (type $stream (stream u8))\n(type $future (future u8))\n\
         (type $end (variant (case \"n\" u32) (case \"stream\" $stream) \
         (case \"future\" $future)))\n(export $end-out \"end\" (type $end))\n",
    );
    for domain in (0..DOMAINS).rev() {
        add_domain(&mut text, domain);
    }
    for domain in 0..DOMAINS {
        for kind in Kind::ALL {
            let kind = kind.name();
            writeln!(
                text,
                "(export \"{kind}{domain}\" (func $d{domain} \"{kind}\"))"
            )
            .expect("strings take all");
        }
    }
    text + ")"
}

/// Returns the type of a function, after `(func`.
fn signature(kind: Kind) -> String {
    let is_async = if kind.is_async_type() { "async " } else { "" };
    format!("{is_async}(param \"id\" u32) (param \"e\" $end) (result $end)")
}

/// Adds a component and its instance.
fn add_domain(text: &mut String, domain: usize) {
    let mut imports = String::from(
        "(import \"next\" (func $next (param \"thread\" u32) (param \"r0\" u32) \
         (param \"r1\" u32) (param \"r2\" u32) (result u64)))\n\
         (import \"host\" (func $host async (param \"id\" u32) (result u32)))\n\
         (type $stream (stream u8))\n(type $future (future u8))\n\
         (type $end-def (variant (case \"n\" u32) (case \"stream\" $stream) \
         (case \"future\" $future)))\n(import \"end\" (type $end (eq $end-def)))\n",
    );
    let mut with = String::from(
        "(with \"next\" (func $next)) (with \"host\" (func $host)) (with \"end\" (type $end-out))",
    );
    let (mut lowers, mut table) = (String::new(), String::new());
    let mut core = vec![(
        "next".to_string(),
        "(param i32 i32 i32 i32) (result i64)".to_string(),
    )];
    lowers.push_str(
        "(canon lower (func $next) (core func $next))
        (canon lower (func $host) (core func $host))
        (canon lower (func $host) async (memory $mem) (core func $host-async))\n",
    );
    core.push(("host".into(), "(param i32) (result i32)".into()));
    core.push(("host-async".into(), "(param i32 i32) (result i32)".into()));
    for callee in domain + 1..DOMAINS {
        for kind in Kind::ALL {
            let name = format!("{}{callee}", kind.name());
            let ty = signature(kind);
            imports += &format!("(import \"{name}\" (func ${name} {ty}))\n");
            with += &format!(" (with \"{name}\" (func $d{callee} \"{}\"))", kind.name());
            for (way, option, result) in [("sync", "", ""), ("async", "async", "(result i32)")] {
                if way == "async" && !kind.is_async_type() {
                    // Nothing calls this place.
                    table += &format!(" ${name}-sync");
                    continue;
                }
                let name = format!("{name}-{way}");
                lowers += &format!(
                    "(canon lower (func ${}{callee}) {option} (memory $mem) (core func ${name}))\n",
                    kind.name()
                );
                table += &format!(" ${name}");
                core.push((name, format!("(param i32 i32 i32 i32) {result}")));
            }
        }
    }
    let mut builtins: Vec<(String, String, String)> = BUILTINS
        .iter()
        .map(|&(name, canon, ty)| (name.into(), canon.into(), ty.into()))
        .collect();
    add_ends(&mut builtins, "stream");
    add_ends(&mut builtins, "future");
    let task_return = "task.return (result $end) (memory $mem)";
    builtins.push((
        "task-return".into(),
        task_return.into(),
        "(param i32 i32)".into(),
    ));
    for (name, canon, ty) in builtins {
        lowers += &format!("(canon {canon} (core func ${name}))\n");
        core.push((name, ty));
    }
    lowers += "(core type $start (func (param i32)))\n\
        (alias core export $memory \"threads\" (core table $threads))\n\
        (canon thread.new-indirect $start (core table $threads) (core func $thread-new))\n";
    core.push(("thread-new".into(), "(param i32 i32) (result i32)".into()));
    let core_imports: String = core
        .iter()
        .map(|(name, ty)| format!("(import \"\" \"{name}\" (func ${name} {ty}))\n"))
        .collect();
    let core_exports: String = core
        .iter()
        .map(|(name, _)| format!("(export \"{name}\" (func ${name}))\n"))
        .collect();
    let lifts: String = Kind::ALL.into_iter().map(lift).collect();
    let module = module(&core_imports, &table);
    write!(
        text,
        "(component $c{domain}\n{imports}
        (core module $memory
            (memory (export \"mem\") 1)
            (table (export \"threads\") 1 funcref))
        (core instance $memory (instantiate $memory))
        (alias core export $memory \"mem\" (core memory $mem))
        {lowers}{module}
        (core instance $i (instantiate $m
            (with \"memory\" (instance $memory))
            (with \"\" (instance {core_exports}))))
        {lifts})
        (instance $d{domain} (instantiate $c{domain} {with}))\n"
    )
    .expect("strings take all");
}

/// Returns the definition of an exported function.
fn lift(kind: Kind) -> String {
    let (name, ty) = (kind.name(), signature(kind));
    let options = match kind {
        Kind::Plain | Kind::Blocking => "(memory $mem)",
        Kind::Callback => "async (memory $mem) (callback (core func $i \"again\"))",
        Kind::Stackful => "async (memory $mem)",
    };
    format!("(func (export \"{name}\") {ty} (canon lift (core func $i \"{name}\") {options}))\n")
}

/// Returns the core module, which does one operation after the other.
fn module(imports: &str, table: &str) -> String {
    let cases: String = (0..Op::ALL.len())
        .rev()
        .map(|number| format!("(block $op{number}\n"))
        .collect();
    let labels: String = (0..Op::ALL.len()).map(|n| format!(" $op{n}")).collect();
    let bodies: String = Op::ALL
        .iter()
        .map(|&(op, text)| {
            let body = match op {
                Op::End => "(return (local.get $a) (local.get $b))",
                _ => text,
            };
            format!(")\n{body}\n(br $next)\n")
        })
        .collect();
    let begins = |then: &str| {
        format!(
            "(call $set0 (local.get $t))
             (call $run (local.get $t) (local.get $d) (local.get $v) (i32.const {BEGINS})) {then}"
        )
    };
    let (drop_one, by_pointer) = (
        begins("(drop) (drop)"),
        begins(
            "(local.set $d) (local.set $v)
             (i32.store (i32.const 16) (local.get $d)) (i32.store (i32.const 20) (local.get $v))
             (i32.const 16)",
        ),
    );
    let callback = begins("(drop)");
    format!(
        r#"(core module $m
        (import "memory" "mem" (memory 1))
        (import "memory" "threads" (table $threads 1 funcref))
        {imports}
        (type $lowered-sync (func (param i32 i32 i32 i32)))
        (type $lowered-async (func (param i32 i32 i32 i32) (result i32)))
        (table $funcs funcref (elem{table}))
        (elem (table $threads) (i32.const 0) func $thread)
        (func $run (param $t i32) (param $r0 i32) (param $r1 i32) (param $r2 i32)
                (result i32 i32)
            (local $wide i64) (local $op i32) (local $a i32) (local $b i32) (local $c i32)
            (local $disc i32) (local $val i32) (local $ret i32)
            (loop $next
                (local.set $wide (call $next
                    (local.get $t) (local.get $r0) (local.get $r1) (local.get $r2)))
                (local.set $op (i32.and (i32.wrap_i64 (local.get $wide)) (i32.const 255)))
                (local.set $a (i32.and (i32.const 0xffffff)
                    (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 8)))))
                (local.set $b (i32.and (i32.const 0xffff)
                    (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 32)))))
                (local.set $c (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 48))))
                (local.set $disc (i32.and (local.get $c) (i32.const 3)))
                (local.set $val (i32.shr_u (local.get $c) (i32.const 2)))
                (local.set $ret (i32.add (i32.const 4096)
                    (i32.shl (i32.and (local.get $a) (i32.const 255)) (i32.const 3))))
                (local.set $r0 (i32.const 0))
                (local.set $r1 (i32.const 0))
                (local.set $r2 (i32.const 0))
                (block $end
                {cases}
                (br_table{labels} $end (local.get $op))
                {bodies}
                )
                unreachable)
            unreachable)
        (func $thread (param $t i32)
            (call $set0 (local.get $t))
            (call $run (local.get $t) (i32.const 0) (i32.const 0) (i32.const {BEGINS}))
            (drop) (drop))
        (func (export "plain") (param $t i32) (param $d i32) (param $v i32) (result i32)
            {by_pointer})
        (func (export "blocking") (param $t i32) (param $d i32) (param $v i32) (result i32)
            {by_pointer})
        (func (export "callback") (param $t i32) (param $d i32) (param $v i32) (result i32)
            {callback})
        (func (export "stackful") (param $t i32) (param $d i32) (param $v i32)
            {drop_one})
        (func (export "again") (param i32 i32 i32) (result i32)
            (call $run (call $get0) (local.get 0) (local.get 1) (local.get 2)) (drop)))"#
    )
}
