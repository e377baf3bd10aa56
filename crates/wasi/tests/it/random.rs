//! `wasi:random`.

use crate::common::{cause, output};
use mintage_wasi::Deterministic;

const IMPORTS: &str = r#"
    (import "wasi:random/random@0.2.12" "get-random-bytes" (func $random (param i64 i32)))
    (import "wasi:random/random@0.2.12" "get-random-u64" (func $random-u64 (result i64)))
    (import "wasi:random/insecure@0.2.12" "get-insecure-random-bytes"
        (func $insecure (param i64 i32)))
    (import "wasi:random/insecure@0.2.12" "get-insecure-random-u64"
        (func $insecure-u64 (result i64)))
    (import "wasi:random/insecure-seed@0.2.12" "insecure-seed" (func $seed (param i32)))"#;

#[test]
fn numbers_of_the_host() {
    let fields = format!(
        r#"{IMPORTS}
        (func $run (result i32)
            (call $random (i64.const 7) (i32.const 96))
            (call $print-list (i32.const 96))
            (call $insecure (i64.const 3) (i32.const 96))
            (call $print-list (i32.const 96))
            (call $random (i64.const 0) (i32.const 96))
            (call $assert (i32.eqz (i32.load (i32.const 100))))
            (call $print-number (call $random-u64))
            (call $print-number (call $insecure-u64))
            (call $seed (i32.const 96))
            (call $print-number (i64.load (i32.const 96)))
            (call $print-number (i64.load (i32.const 104)))
            (i32.const 0))"#
    );
    let printed = output(&fields, |builder| {
        builder
            .secure_random(Deterministic::new(b"abc".to_vec()))
            .insecure_random(Deterministic::new(vec![b'x']))
            .insecure_random_seed((9 << 64) | 8);
    });
    let secure = u64::from_be_bytes(*b"bcabcabc");
    let insecure = u64::from_be_bytes([b'x'; 8]);
    assert_eq!(
        printed,
        format!("abcabca\nxxx\n{secure}\n{insecure}\n8\n9\n")
    );
}

#[test]
fn numbers_of_the_system_differ() {
    let fields = format!(
        r#"{IMPORTS}
        (func $run (result i32)
            (call $assert (i64.ne (call $random-u64) (call $random-u64)))
            (call $assert (i64.ne (call $insecure-u64) (call $insecure-u64)))
            (call $random (i64.const 1000000) (i32.const 96))
            (call $assert (i32.eq (i32.load (i32.const 100)) (i32.const 1000000)))
            ;; The last eight bytes have been written as well.
            (call $assert (i64.ne (i64.const 0) (i64.load
                (i32.add (i32.load (i32.const 96)) (i32.const 999992)))))
            (i32.const 0))"#
    );
    assert_eq!(output(&fields, |_| {}), "");
}

#[test]
fn too_many_at_once_trap() {
    let ask = |call: &str| format!("{IMPORTS} (func $run (result i32) {call} (i32.const 0))");
    for (function, len, shown) in [
        ("random", "4294967296", "4294967296"),
        ("insecure", "67108865", "67108865"),
        ("random", "-1", "18446744073709551615"),
    ] {
        let call = format!("(call ${function} (i64.const {len}) (i32.const 96))");
        assert_eq!(
            cause(&ask(&call), |_| {}),
            format!(
                "the guest asks for {shown} random bytes at once; \
                 `WasiCtxBuilder::max_random_size` allows 67108864"
            )
        );
    }
    let call = "(call $random (i64.const 11) (i32.const 96))";
    let cause = cause(&ask(call), |builder| {
        builder.max_random_size(10);
    });
    assert!(cause.ends_with("allows 10"), "{cause}");
}
