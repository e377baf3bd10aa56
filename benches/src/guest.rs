//! The components under test.

use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Number of table entries, and of calls through them, in [`Guest::CallIndirect`].
pub const TABLE_ENTRIES: u32 = 1 << 16;

/// A component under test. It has no imports, except for [`WAIT`], [`TASKS`],
/// [`Guest::Commands`] and [`Guest::Corpus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guest {
    /// SpiderMonkey with a small script; see the example's `greet.wit`.
    Greet,
    /// Exports `run-same` and `run-different: func(mask: u32) -> u64`; see [`call_indirect`].
    CallIndirect,
    /// Exports `run: func(n: u32) -> u64`; see [`chain`]. The field is the number of core
    /// instances.
    Chain(u32),
    /// Exports `run: func(n: u32) -> u64`; see [`starting`]. The field says whether it has a start
    /// function.
    Starting(bool),
    /// A component in a file.
    Text {
        /// The name of the file.
        name: &'static str,
        /// The contents of the file.
        wat: &'static str,
    },
    /// The program `commands.rs`, which uses WASI; see [`commands`](crate::commands).
    Commands,
    /// A program that `tests/wasi/corpus.sh` has built, such as `sqlite.p2`.
    Corpus(&'static str),
}

/// The guest in a file of the folder `guests` or `kernels`.
macro_rules! text {
    ($path:literal) => {
        $crate::guest::Guest::Text {
            name: $path,
            wat: include_str!(concat!("../", $path)),
        }
    };
}
pub(crate) use text;

/// Exports `add: func(a: s32, b: s32) -> s32`.
pub const ADD: Guest = text!("guests/add.wat");
/// Exports `echo: func(text: string) -> string`.
pub const ECHO: Guest = text!("guests/echo.wat");
/// Two components. The exports `string`, `bytes`, `words`, `pairs`, `fields` and `method`, each of
/// type `func(n: u32) -> u64`, make `n` calls from one component to the other.
pub const ADAPTERS: Guest = text!("guests/adapters.wat");
/// Imports `wait: func(times: u32) -> u32`, an asynchronous host function that is pending so many
/// times. Exports `run: func(times: u32) -> u64`, which calls it once and returns its result, and
/// `plain: func(n: u32) -> u64`, which returns `n`.
pub const WAIT: Guest = text!("guests/wait.wat");
/// Two components. Each export, of type `async func(n: u32) -> u64`, does something `n` times that
/// asynchronous components do. `wait` calls its import `host: async func(times: u32) -> u32`, which
/// is pending so many times, and returns its result.
pub const TASKS: Guest = text!("guests/tasks.wat");

impl Guest {
    /// Returns the file name of the artifact.
    pub fn file_name(self) -> String {
        match self {
            Self::Greet => "greet".to_string(),
            Self::CallIndirect => "call-indirect".to_string(),
            Self::Chain(instances) => format!("chain-{instances}"),
            Self::Starting(starts) => format!("starting-{starts}"),
            Self::Text { name, .. } => name.replace('/', "-"),
            Self::Commands => "commands".to_string(),
            Self::Corpus(name) => name.to_string(),
        }
    }

    /// Returns whether the component is there or can be made.
    pub fn exists(self) -> bool {
        match self {
            Self::Corpus(name) => in_corpus(name).is_file(),
            _ => true,
        }
    }

    /// Returns the component's bytes. Builds the JavaScript guest if it is missing.
    pub fn wasm(self) -> Result<Vec<u8>> {
        match self {
            Self::Greet => {
                let path = mintage_example_spidermonkey::guest::path()?;
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            }
            Self::CallIndirect => Ok(wat::parse_str(call_indirect()?)?),
            Self::Chain(instances) => Ok(wat::parse_str(chain(instances)?)?),
            Self::Starting(starts) => Ok(wat::parse_str(starting(starts))?),
            Self::Text { wat, .. } => Ok(wat::parse_str(wat)?),
            Self::Commands => Ok(include_bytes!("../guests/commands.wasm").to_vec()),
            Self::Corpus(name) => {
                let path = in_corpus(name);
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            }
        }
    }
}

/// Returns the path of a program of the corpus: in the folder that the variable `WASI_CORPUS`
/// names, by default in that of `tests/wasi/corpus.sh`.
fn in_corpus(name: &str) -> PathBuf {
    let folder = std::env::var_os("WASI_CORPUS")
        .map_or_else(|| in_target("wasi-corpus/guests"), PathBuf::from);
    folder.join(format!("{name}.wasm"))
}

/// Returns the path of something in cargo's target directory.
pub(crate) fn in_target(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    target.unwrap_or_else(usual).join(path)
}

/// Returns the text of a component with two full tables. In the first, entry `k` is a separate
/// function that returns `k + 1`. In the second, all entries are the first of these functions.
///
/// `run-different(mask)` and `run-same(mask)` make as many indirect calls as a table has entries,
/// and return the sum of the results. Call `i` goes to the entry `i & mask`: the mask 0 calls the
/// first entry each time, the mask `TABLE_ENTRIES - 1` calls each entry once. Since the mask is a
/// parameter, no compiler can know the callee.
fn call_indirect() -> Result<String> {
    let mut wat = String::new();
    writeln!(wat, "(component (core module $module")?;
    writeln!(wat, "  (type $callee (func (result i32)))")?;
    for (table, step) in [("different", 1), ("same", 0)] {
        write!(
            wat,
            "  (table ${table} {TABLE_ENTRIES} {TABLE_ENTRIES} funcref) (elem (table ${table}) \
             (i32.const 0) func"
        )?;
        for entry in 0..TABLE_ENTRIES {
            write!(wat, " $f{}", entry * step)?;
        }
        writeln!(wat, ")")?;
        writeln!(
            wat,
            r#"  (func (export "run-{table}") (param $mask i32) (result i64)
    (local $i i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u
        (call_indirect ${table} (type $callee) (i32.and (local.get $i) (local.get $mask))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const {TABLE_ENTRIES}))))
    (local.get $sum))"#
        )?;
    }
    for entry in 0..TABLE_ENTRIES {
        writeln!(
            wat,
            "  (func $f{entry} (type $callee) (i32.const {}))",
            entry + 1
        )?;
    }
    writeln!(wat, ") (core instance $core (instantiate $module))")?;
    for table in ["different", "same"] {
        writeln!(
            wat,
            r#"  (func (export "run-{table}") (param "mask" u32) (result u64) (canon lift
              (core func $core "run-{table}")))"#
        )?;
    }
    writeln!(wat, ")")?;
    Ok(wat)
}

/// Returns the text of a component with the given number of core instances. Each has its own
/// memory, global and table, and imports the function of the one before. `run(n)` passes through
/// all of them, each of which adds one to `n`.
fn chain(instances: u32) -> Result<String> {
    let mut wat = String::from(
        r#"(component
  (core module $end (func (export "run") (param i64) (result i64) (local.get 0)))
  (core module $link
    (import "before" "run" (func $before (param i64) (result i64)))
    (memory 1)
    (data (i32.const 0) "\01")
    (global $calls (mut i32) (i32.const 0))
    (table 1 1 funcref)
    (elem (i32.const 0) $before)
    (func (export "run") (param $n i64) (result i64)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i64.add
        (call_indirect (param i64) (result i64) (local.get $n) (i32.const 0))
        (i64.load8_u (i32.const 0)))))
  (core module $front
    (import "before" "run" (func $before (param i64) (result i64)))
    (func (export "run") (param $n i32) (result i64) (call $before (i64.extend_i32_u
      (local.get $n)))))
  (core instance $i0 (instantiate $end))
"#,
    );
    for number in 1..=instances {
        let before = number - 1;
        writeln!(
            wat,
            r#"  (core instance $i{number} (instantiate $link (with "before"
              (instance $i{before}))))"#
        )?;
    }
    writeln!(
        wat,
        r#"  (core instance $front (instantiate $front (with "before" (instance $i{instances}))))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $front "run"))))"#
    )?;
    Ok(wat)
}

/// The last word that the start function of [`starting`] writes.
pub const STARTED: u64 = 3_007_012_782_569_390_081;

/// Returns the text of a component that fills a page of memory in about a millisecond, either in
/// its start function or when `run` is called. `run(0)` returns the last word.
fn starting(starts: bool) -> String {
    let start = if starts { "(start $fill)" } else { "" };
    format!(
        r#"(component
  (core module $module
    (memory 1)
    (func $fill (local $i i32) (local $x i64)
      (local.set $x (i64.const 1))
      (loop $next
        (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005))
          (i64.const 1)))
        (i64.store (i32.and (local.get $i) (i32.const 4088)) (local.get $x))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8)))
          (i32.const 6553600)))))
    {start}
    (func (export "run") (param $n i32) (result i64)
      (if (i64.eqz (i64.load (i32.const 4088))) (then (call $fill)))
      (i64.load (i32.const 4088))))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))"#
    )
}

/// Returns the result of `fib(n)` of [`Guest::Greet`]: the nth Fibonacci number modulo 2^32.
pub fn fib(n: u32) -> u64 {
    let (mut current, mut next) = (0_u32, 1_u32);
    for _ in 0..n {
        (current, next) = (next, current.wrapping_add(next));
    }
    u64::from(current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::KERNELS;

    #[test]
    fn expected_answers() {
        assert_eq!([0, 1, 2, 10, 47].map(fib), [0, 1, 1, 55, 2_971_215_073]);
        assert_eq!(fib(48), 4_807_526_976 - (1 << 32));
    }

    #[test]
    fn text_guests_assemble() -> Result<()> {
        let generated = [
            Guest::CallIndirect,
            Guest::Chain(3),
            Guest::Starting(true),
            Guest::Starting(false),
        ];
        let kernels = KERNELS.iter().map(|kernel| kernel.guest);
        for guest in [ADD, ECHO, ADAPTERS, WAIT, TASKS]
            .into_iter()
            .chain(generated)
            .chain(kernels)
        {
            if guest != Guest::Greet {
                guest.wasm().with_context(|| guest.file_name())?;
            }
        }
        Ok(())
    }
}
