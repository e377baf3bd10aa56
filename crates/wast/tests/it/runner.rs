//! The script runner: failures that it must notice, and linking of instances.

use mintage::{Config, Engine};
use mintage_wast::{Report, run};

fn report(script: &str) -> Report {
    run(
        &Engine::new(Config::new().core_exports(true)).unwrap(),
        script,
    )
    .unwrap()
}

/// Checks the lines on which a script fails.
fn check(script: &str, failing: &[usize]) {
    let report = report(script);
    let lines = report
        .failures
        .iter()
        .map(|failure| failure.line)
        .collect::<Vec<_>>();
    assert_eq!(lines, failing, "{:#?}", report.failures);
}

#[test]
fn wrong_results_and_traps_are_failures() {
    check(
        r#"(module
            (func (export "one") (result i32) (i32.const 1))
            (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
            (func (export "nan") (result f32) (f32.const nan:0x200000))
            (func (export "stop") (unreachable))
            (func $deep (export "deep") (call $deep))
            (global (export "g") i32 (i32.const 5)))
        (assert_return (invoke "one") (i32.const 1))
        (assert_return (invoke "one") (i32.const 2))
        (assert_return (invoke "one") (i64.const 1))
        (assert_return (invoke "one"))
        (assert_return (invoke "two") (i32.const 1) (i64.const 2))
        (assert_return (invoke "two") (i32.const 1))
        (assert_return (invoke "nan") (f32.const nan:0x200000))
        (assert_return (invoke "nan") (f32.const nan:canonical))
        (assert_return (invoke "stop"))
        (assert_return (get "g") (i32.const 5))
        (assert_return (get "g") (i32.const 6))
        (assert_return (get "h") (i32.const 5))
        (assert_trap (invoke "stop") "unreachable")
        (assert_trap (invoke "stop") "integer overflow")
        (assert_trap (invoke "one") "unreachable")
        (assert_trap (invoke "none") "unreachable")
        (assert_trap (invoke "one" (i32.const 1)) "unreachable")
        (assert_exhaustion (invoke "deep") "call stack exhausted")
        (assert_exhaustion (invoke "stop") "call stack exhausted")
        (invoke "stop")"#,
        &[9, 10, 11, 13, 15, 16, 18, 19, 21, 22, 23, 24, 26, 27],
    );
}

#[test]
fn accepted_modules_are_failures_where_rejection_is_expected() {
    check(
        r#"(assert_invalid (module (func (result i32))) "type mismatch")
        (assert_invalid (module) "type mismatch")
        (assert_malformed (module quote "(func") "unexpected")
        (assert_malformed (module quote "(func)") "unexpected")
        (assert_malformed (module binary "\00asm\01\00\00\00") "magic")
        (assert_unlinkable (module (import "spectest" "unknown" (func))) "unknown import")
        (assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")
        (assert_unlinkable (module (func (result i32))) "unknown import")
        (assert_unlinkable (module (func $f (unreachable)) (start $f)) "unknown import")
        (assert_trap (module (func $f (unreachable)) (start $f)) "unreachable")
        (assert_trap (module (func $f) (start $f)) "unreachable")
        (assert_invalid (component (core module (func (result i32)))) "type mismatch")
        (assert_invalid (component) "type mismatch")"#,
        &[2, 4, 5, 7, 8, 9, 11, 13],
    );
}

#[test]
fn directives_on_a_missing_instance_are_skipped() {
    let report = report(
        r#"(module $m (import "nowhere" "f" (func)))
        (assert_return (invoke "f"))
        (assert_return (invoke $m "f"))
        (register "m")
        (module (func (export "f")))
        (assert_return (invoke "f"))
        (assert_trap (invoke $m "f") "unreachable")"#,
    );
    assert_eq!(
        report
            .failures
            .iter()
            .map(|failure| failure.line)
            .collect::<Vec<_>>(),
        [1]
    );
    let skipped = report
        .skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.because_of))
        .collect::<Vec<_>>();
    assert_eq!(skipped, [(2, 1), (3, 1), (4, 1), (7, 1)]);
    assert_eq!((report.assertions, report.actions), (1, 1));
}

/// Instances share state through imports. Calls before a later instance is linked keep their
/// effect. Instances without imports do not share state.
#[test]
fn registered_instances_share_state() {
    check(
        r#"(module $counter
            (global $n (export "n") (mut i32) (i32.const 0))
            (memory (export "memory") 1)
            (func (export "next") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (global.get $n)))
        (register "counter" $counter)
        (assert_return (invoke $counter "next") (i32.const 1))
        (module $a
            (import "counter" "next" (func $next (result i32)))
            (import "counter" "memory" (memory 1))
            (func (export "next") (result i32) (call $next))
            (func (export "write") (i32.store (i32.const 8) (i32.const 99))))
        (assert_return (invoke $a "next") (i32.const 2))
        (assert_return (invoke $counter "next") (i32.const 3))
        (invoke $a "write")
        (module $b
            (import "counter" "memory" (memory 1))
            (import "counter" "n" (global $n (mut i32)))
            (func (export "read") (result i32) (i32.load (i32.const 8)))
            (func (export "n") (result i32) (global.get $n)))
        (assert_return (invoke $b "read") (i32.const 99))
        (assert_return (invoke $b "n") (i32.const 3))
        (assert_return (invoke $a "next") (i32.const 4))
        (assert_return (invoke $b "n") (i32.const 4))
        (assert_return (get $counter "n") (i32.const 4))
        (module $other
            (memory 1)
            (func (export "read") (result i32) (i32.load (i32.const 8))))
        (assert_return (invoke $other "read") (i32.const 0))"#,
        &[],
    );
}

/// A module that fails to link leaves the instances that it imports from unchanged.
#[test]
fn failed_links_change_nothing() {
    check(
        r#"(module $m
            (memory (export "memory") 1)
            (func (export "read") (result i32) (i32.load8_u (i32.const 0))))
        (register "m" $m)
        (assert_unlinkable
            (module (import "m" "memory" (memory 1)) (import "m" "unknown" (func)) (data
              (i32.const 0) "x"))
            "unknown import")
        (assert_return (invoke $m "read") (i32.const 0))"#,
        &[],
    );
}

/// Failures in threads are reported in the order of lines, wherever the script waits for the
/// thread.
#[test]
fn threads_are_waited_for() {
    let report = report(
        r#"(module $m (func (export "two") (result i32) (i32.const 2)))
        (thread $a
            (module (func (export "one") (result i32) (i32.const 1)))
            (assert_return (invoke "one") (i32.const 2))
            (assert_return (invoke $m "two") (i32.const 2))
            (thread $inner
                (assert_return (invoke "one") (i32.const 1))))
        (assert_return (invoke $m "two") (i32.const 3))
        (wait $b)
        (wait $a)
        (wait $a)
        (thread $not-waited-for (assert_return (invoke "f")))
        (thread $sharing (shared (module $m))
            (assert_return (invoke $m "two") (i32.const 2)))
        (wait $sharing)"#,
    );
    let lines = report
        .failures
        .iter()
        .map(|failure| failure.line)
        .collect::<Vec<_>>();
    assert_eq!(lines, [4, 5, 7, 8, 9, 11, 12, 13], "{:#?}", report.failures);
    assert!(
        report.failures[7]
            .cause
            .contains("shared memories are not supported")
    );
    let skipped = report
        .skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.because_of))
        .collect::<Vec<_>>();
    assert_eq!(skipped, [(15, 13)]);
    // The module on line 1; a module and a thread in the first thread; three threads; one `wait`.
    assert_eq!((report.assertions, report.actions), (0, 6));
}

/// A header changes the settings of its own script only.
#[test]
fn headers_change_settings() {
    let two_memories = "(assert_invalid (module (memory 1) (memory 1)) \"multi-memory\")";
    check(two_memories, &[1]);
    check(&format!(";;! multi_memory = false\n{two_memories}"), &[]);
    check(&format!("\n;;! multi_memory = false\n{two_memories}"), &[3]);
    for (header, expected) in [
        (";;! multi_memory", "name = value"),
        (";;! multi_memories = true", "unknown name"),
    ] {
        let engine = Engine::new(Config::new().core_exports(true)).unwrap();
        let error = format!("{:#}", run(&engine, header).unwrap_err());
        assert!(
            error.contains("line 1") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn host_functions_of_component_scripts() {
    check(
        r#"(component
            (import "echo-number" (func $echo (param "x" u32) (result u32)))
            (import "fail" (func $fail))
            (core func $echo (canon lower (func $echo)))
            (core func $fail (canon lower (func $fail)))
            (core module $m
                (import "host" "echo" (func $echo (param i32) (result i32)))
                (import "host" "fail" (func $fail))
                (func (export "echo") (param i32) (result i32) (call $echo (i32.add (local.get 0)
                  (i32.const 1))))
                (func (export "fail") (call $fail)))
            (core instance $i (instantiate $m (with "host" (instance
                (export "echo" (func $echo)) (export "fail" (func $fail))))))
            (func (export "echo") (param "x" u32) (result u32) (canon lift (core func $i "echo")))
            (func (export "fail") (canon lift (core func $i "fail"))))
        (assert_return (invoke "echo" (u32.const 41)) (u32.const 42))
        (assert_return (invoke "echo" (u32.const 41)) (u32.const 41))
        (assert_trap (invoke "fail") "the host function failed")"#,
        &[17],
    );
}

/// Components import instances of registered components, which share their state. Earlier calls
/// keep their effect.
#[test]
fn registered_component_instances_share_state() {
    check(
        r#"(component definition $Counter
            (core module $m
                (global $n (mut i32) (i32.const 0))
                (func (export "next") (result i32)
                    (global.set $n (i32.add (global.get $n) (i32.const 1)))
                    (global.get $n)))
            (core instance $i (instantiate $m))
            (func (export "next") (result u32) (canon lift (core func $i "next"))))
        (component instance $a $Counter)
        (component instance $b $Counter)
        (register "a" $a)
        (register "b" $b)
        (assert_return (invoke $a "next") (u32.const 1))
        (component $user
            (import "a" (instance $a (export "next" (func (result u32)))))
            (import "b" (instance $b (export "next" (func (result u32)))))
            (core func $next-a (canon lower (func $a "next")))
            (core func $next-b (canon lower (func $b "next")))
            (func (export "next-a") (result u32) (canon lift (core func $next-a)))
            (func (export "next-b") (result u32) (canon lift (core func $next-b))))
        (assert_return (invoke $user "next-a") (u32.const 2))
        (assert_return (invoke $user "next-a") (u32.const 3))
        (assert_return (invoke $user "next-b") (u32.const 1))
        (assert_return (invoke $a "next") (u32.const 4))
        (assert_return (invoke $b "next") (u32.const 2))
        (component instance $c $Counter)
        (assert_return (invoke $c "next") (u32.const 1))
        (assert_unlinkable
            (component (import "a" (instance (export "last" (func)))))
            "missing")
        (assert_unlinkable
            (component (import "unknown" (func)))
            "unknown")"#,
        &[],
    );
}

#[test]
fn messages_of_rejected_components_count() {
    check(
        r#"(assert_invalid (component (export "x" (func 0))) "unknown function 0")
        (assert_invalid (component (export "x" (func 0))) "unknown instance 0")
        (assert_malformed (component quote "(func") "expected")
        (assert_malformed (component quote "(func") "unknown operator")
        (component definition $D (import "x" (func (param "a" 5))))
        (component instance $i $D)
        (assert_return (invoke $i "f"))"#,
        &[2, 4, 5],
    );
}

#[test]
fn proposals_are_off_by_default_and_say_what_turns_them_on() {
    check(
        r#"(assert_invalid (component (type
          (map u8 u8))) "`Config::wasm_component_model_map` turns on")
        (assert_invalid (component (type
          (list u8 3))) "`Config::wasm_component_model_fixed_length_lists` turns on")
        (assert_invalid
            (component (import "a" (implements "a:b/c") (instance)))
            "`Config::wasm_component_model_implements` turns on")
        (assert_invalid (component
          (type error-context)) "`Config::wasm_component_model_error_context` turns on")
        (assert_invalid
            (component (core func (canon error-context.drop)))
            "`Config::wasm_component_model_error_context` turns on")
        (assert_invalid
            (component (core func (canon thread.index)))
            "`Config::wasm_component_model_threading` turns on")
        (assert_invalid (component (import "v" (value u8))) "not supported yet")
        (assert_invalid (component (import "a:b:c/d" (func))) "expected `/`")"#,
        &[],
    );
}
