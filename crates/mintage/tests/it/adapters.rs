//! Adapters from one component to another: what they refuse, and what they ask `realloc` for. That
//! values come through unchanged is tested in `crates/fuzzing`.

use mintage::{Component, Engine, Linker, Result, Store, Trap};

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// A wrong byte at every position of strings whose lengths are around those of the fast paths.
#[test]
fn short_invalid_strings_trap() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (component $C
            (core module $M
                (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "f") (param i32 i32)))
            (core instance $m (instantiate $M))
            (func (export "f") (param "s" string)
                (canon lift (core func $m "f") (memory (core memory $m "mem")) (realloc
                  (core func $m "realloc")))))
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
            (func (export "run") (param "len" u32) (param "at" u32) (canon lift
              (core func $main "run"))))
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
                    assert_eq!(
                        error.downcast_ref::<Trap>(),
                        Some(&Trap::InvalidUtf8),
                        "{len} {at}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// What `realloc` of the destination is asked for, call by call, for a string that crosses: old
/// size, alignment, new size. Written down from `store_string_into_range` of the specification,
/// independently of how the adapter does it.
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
            // `$C` logs three words for each call of its realloc from 4096 on; blocks never move,
            // and start at 32768.
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
                            (if (i32.ne (local.get $old) (select (i32.const 0) (i32.const 32768)
                              (i32.eqz (local.get 1))))
                                (then unreachable))
                            (call $log (local.get 1)) (call $log (local.get 2)) (call $log
                              (local.get 3))
                            (i32.const 32768))
                        (func (export "f") (param i32 i32))
                        (func (export "log") (result i32)
                            (i32.store (i32.const 0) (i32.const 4096))
                            (i32.store (i32.const 4) (i32.shr_u (i32.sub (global.get $end)
                              (i32.const 4096)) (i32.const 2)))
                            (global.set $end (i32.const 4096))
                            (i32.const 0)))
                    (core instance $m (instantiate $M))
                    (func (export "f") (param "s" string) (canon lift
                      (core func $m "f") string-encoding={to}
                        (memory (core memory $m "mem")) (realloc (core func $m "realloc"))))
                    (func (export "log") (result (list u32)) (canon lift (core func $m "log")
                      (memory (core memory $m "mem")))))
                (instance $c (instantiate $C))
                (component $D
                    (import "f" (func $f (param "s" string)))
                    (core module $Memory (memory (export "mem") 1)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                          (i32.const 1024)))
                    (core instance $memory (instantiate $Memory))
                    (core func $f (canon lower (func $f) (memory
                      (core memory $memory "mem")) string-encoding={from}))
                    (func (export "f") (param "s" string) (canon lift
                      (core func $f) string-encoding={from}
                        (memory (core memory $memory "mem")) (realloc
                          (core func $memory "realloc")))))
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
