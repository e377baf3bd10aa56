//! `wasi:clocks`.

use crate::common::output;
use mintage_wasi::{HostMonotonicClock, HostWallClock};
use std::time::{Duration, Instant};

const WALL: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.12" "now" (func $wall-now (param i32)))
    (import "wasi:clocks/wall-clock@0.2.12" "resolution" (func $wall-resolution (param i32)))"#;

/// Clocks that stand still.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::new(1, 2)
    }

    fn now(&self) -> Duration {
        Duration::new(1 << 33, 999_999_999)
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        7
    }

    fn now(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn clocks_of_the_host() {
    let fields = r#"(func $run (result i32)
        (call $print-number (call $now))
        (call $print-number (call $resolution))
        ;; An instant that has passed.
        (call $assert (call $ready (call $subscribe-instant (i64.const 5))))
        (call $wall-now (i32.const 96))
        (call $print-number (i64.load (i32.const 96)))
        (call $print-number (i64.load32_u (i32.const 104)))
        (call $wall-resolution (i32.const 96))
        (call $print-number (i64.load (i32.const 96)))
        (call $print-number (i64.load32_u (i32.const 104)))
        (i32.const 0))"#;
    let printed = output(&with_wall(fields), |builder| {
        builder.wall_clock(Still).monotonic_clock(Still);
    });
    assert_eq!(
        printed,
        "18446744073709551615\n7\n8589934592\n999999999\n1\n2\n"
    );
}

fn with_wall(fields: &str) -> String {
    format!("{WALL}\n{fields}")
}

#[test]
fn clocks_of_the_system() {
    let fields = r#"(func $run (result i32)
        (local $start i64)
        (local.set $start (call $now))
        (call $block (call $subscribe-duration (i64.const 10000000)))
        (call $assert (i64.ge_u
            (i64.sub (call $now) (local.get $start)) (i64.const 10000000)))
        (call $block (call $subscribe-instant (i64.add (call $now) (i64.const 10000000))))
        (call $assert (i64.ge_u
            (i64.sub (call $now) (local.get $start)) (i64.const 20000000)))
        ;; 2020-01-01 to 2100-01-01.
        (call $wall-now (i32.const 96))
        (call $assert (i64.gt_u (i64.load (i32.const 96)) (i64.const 1577836800)))
        (call $assert (i64.lt_u (i64.load (i32.const 96)) (i64.const 4102444800)))
        (i32.const 0))"#;
    let start = Instant::now();
    assert_eq!(output(&with_wall(fields), |_| {}), "");
    assert!(start.elapsed() >= Duration::from_millis(40));
}
