//! The components under test.

use anyhow::{Context, Result};
use std::fmt::Write;

/// The number of entries of the table, and of calls through it, in [`Guest::CallIndirect`].
pub const TABLE_ENTRIES: u32 = 1 << 16;

/// A component under test. None imports anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guest {
    /// SpiderMonkey with a small script: `greet: func(name: string) -> string`, `fib: func(n: u32) -> u64`.
    Greet,
    /// `add: func(a: s32, b: s32) -> s32`.
    Add,
    /// `echo: func(text: string) -> string`.
    Echo,
    /// `run: func(mask: u32) -> u64`, see [`call_indirect`].
    CallIndirect,
    /// Two components: `string`, `bytes`, `words`, `pairs`, `fields` and `method`, each `func(n: u32) -> u64`, make `n` calls
    /// from one to the other.
    Adapters,
}

impl Guest {
    /// The file name of its artifact.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greet => "greet",
            Self::Add => "add",
            Self::Echo => "echo",
            Self::CallIndirect => "call-indirect",
            Self::Adapters => "adapters",
        }
    }

    /// The component's bytes; the JavaScript guest is built when it is missing.
    pub fn wasm(self) -> Result<Vec<u8>> {
        match self {
            Self::Greet => {
                let path = mintage_example_spidermonkey::guest::path()?;
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            }
            Self::Add => Ok(wat::parse_str(include_str!("../guests/add.wat"))?),
            Self::Echo => Ok(wat::parse_str(include_str!("../guests/echo.wat"))?),
            Self::CallIndirect => Ok(wat::parse_str(call_indirect()?)?),
            Self::Adapters => Ok(wat::parse_str(include_str!("../guests/adapters.wat"))?),
        }
    }
}

/// The text of a component with a full table, whose entry `k` is a function of its own that answers `k + 1`.
///
/// `run(mask)` makes one indirect call per table entry: the call numbered `i` goes to the entry `i & mask`, so that the
/// mask 0 always calls the first and the mask `TABLE_ENTRIES - 1` calls each once. It answers the sum, which
/// [`call_indirect_sum`] foretells. No compiler can know the callee, since the mask is a parameter.
fn call_indirect() -> Result<String> {
    let mut wat = String::new();
    writeln!(wat, "(component (core module $module")?;
    writeln!(wat, "  (type $callee (func (result i32)))")?;
    writeln!(wat, "  (table {TABLE_ENTRIES} {TABLE_ENTRIES} funcref)")?;
    write!(wat, "  (elem (i32.const 0) func")?;
    for entry in 0..TABLE_ENTRIES {
        write!(wat, " $f{entry}")?;
    }
    writeln!(wat, ")")?;
    for entry in 0..TABLE_ENTRIES {
        writeln!(wat, "  (func $f{entry} (type $callee) (i32.const {}))", entry + 1)?;
    }
    writeln!(
        wat,
        r#"  (func (export "run") (param $mask i32) (result i64)
    (local $i i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u
        (call_indirect (type $callee) (i32.and (local.get $i) (local.get $mask))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const {TABLE_ENTRIES}))))
    (local.get $sum)))
  (core instance $core (instantiate $module))
  (func (export "run") (param "mask" u32) (result u64) (canon lift (core func $core "run"))))"#
    )?;
    Ok(wat)
}

/// What `run(mask)` of [`Guest::CallIndirect`] answers.
pub fn call_indirect_sum(mask: u32) -> u64 {
    (0..TABLE_ENTRIES).map(|call| u64::from(call & mask) + 1).sum()
}

/// What `fib(n)` of [`Guest::Greet`] answers: the nth Fibonacci number modulo 2^32.
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

    #[test]
    fn expected_answers() {
        assert_eq!([0, 1, 2, 10, 47].map(fib), [0, 1, 1, 55, 2_971_215_073]);
        assert_eq!(fib(48), 4_807_526_976 - (1 << 32));
        assert_eq!(call_indirect_sum(0), 65_536);
        assert_eq!(call_indirect_sum(TABLE_ENTRIES - 1), 65_536 * 65_537 / 2);
    }

    #[test]
    fn text_guests_assemble() -> Result<()> {
        for guest in [Guest::Add, Guest::Echo, Guest::CallIndirect, Guest::Adapters] {
            guest.wasm().with_context(|| guest.name())?;
        }
        Ok(())
    }
}
