//! Calls through the whole pipeline: values, traps with their frames, host functions, nesting.

use crate::common::*;
use mintage_compile::NoProgress;
use mintage_environ::{Trap, Tunables};
use mintage_runtime::{
    HostAccess, InstanceHandle, Limits, LoadCheck, Stopped, StoreWords, call_confined,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn arguments_go_in_and_results_come_out() {
    let code = code(
        r#"(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
           (func (export "f64") (param f64 i64) (result f64) (f64.add (local.get 0)
             (f64.convert_i64_s (local.get 1))))
           (global $g (mut i32) (i32.const 40))
           (func (export "count") (result i32)
             (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))"#,
    );
    let instance = instantiate(&code);
    let handle = instance.handle();
    assert_eq!(invoke(handle, "add", &[2, 40]).unwrap() as u32, 42);
    assert_eq!(
        f64::from_bits(invoke(handle, "f64", &[1.5f64.to_bits(), 2]).unwrap()),
        3.5
    );
    assert_eq!(invoke(handle, "count", &[]).unwrap() as u32, 41);
    assert_eq!(invoke(handle, "count", &[]).unwrap() as u32, 42);
    let other = instantiate(&code);
    assert_eq!(invoke(other.handle(), "count", &[]).unwrap() as u32, 41);
    assert_eq!(other.tag(), 7);
    assert!(!instance.is_poisoned());
}

/// Every kind of trap, by a signal or by the raise stub.
#[test]
fn traps_name_their_frames() {
    let code = code(
        r#"(memory 1) (table 2 funcref) (type $v (func)) (type $i (func (result i32)))
           (func $seven (result i32) (i32.const 7))
           (elem (i32.const 1) func $seven)
           (func $load (param i32) (result i32) (block) (i32.load (local.get 0)))
           (func $divide (param i32 i32) (result i32)
             (block) (i32.div_s (local.get 0) (local.get 1)))
           (func $outer (export "load") (result i32) (i32.add (call $load (i32.const 65533))
             (i32.const 1)))
           (func $far (export "far") (result i32) (i32.load offset=0x7fffffff (i32.const -1)))
           (func $far2 (export "far2") (result i32) (i32.load offset=0xffffffff (i32.const -1)))
           (func $store (export "store") (i64.store (i32.const 65529) (i64.const 1)))
           (func $zero (export "zero") (result i32) (call $divide (i32.const 1) (i32.const 0)))
           (func $overflow (export "overflow") (result i32)
             (call $divide (i32.const 0x80000000) (i32.const -1)))
           (func $nan (export "nan") (result i32) (i32.trunc_f32_s (f32.const nan)))
           (func $unreachable (export "unreachable") (unreachable))
           (func $null (export "null") (call_indirect (type $v) (i32.const 0)))
           (func $type (export "type") (call_indirect (type $v) (i32.const 1)))
           (func $bounds (export "bounds") (drop (call_indirect (type $i) (i32.const 2))))
           (func $fill (export "fill") (memory.fill (i32.const 65535) (i32.const 1)
             (i32.const 2)))"#,
    );
    let instance = instantiate(&code);
    for (export, expected, frames) in [
        ("load", Trap::MemoryOutOfBounds, &["load", "outer"][..]),
        ("far", Trap::MemoryOutOfBounds, &["far"]),
        ("far2", Trap::MemoryOutOfBounds, &["far2"]),
        ("store", Trap::MemoryOutOfBounds, &["store"]),
        ("zero", Trap::IntegerDivisionByZero, &["divide", "zero"]),
        ("overflow", Trap::IntegerOverflow, &["divide", "overflow"]),
        ("nan", Trap::BadConversionToInteger, &["nan"]),
        (
            "unreachable",
            Trap::UnreachableCodeReached,
            &["unreachable"],
        ),
        ("null", Trap::IndirectCallToNull, &["null"]),
        ("type", Trap::BadSignature, &["type"]),
        ("bounds", Trap::TableOutOfBounds, &["bounds"]),
        ("fill", Trap::MemoryOutOfBounds, &["fill"]),
    ] {
        // A thread must be able to trap again.
        assert_trap(invoke(instance.handle(), export, &[]), expected, frames);
        assert_trap(invoke(instance.handle(), export, &[]), expected, frames);
    }
    assert!(instance.is_poisoned());
}

#[test]
fn frames_have_offsets_in_the_component() {
    let fields =
        r#"(func $inner (unreachable)) (func $outer (export "f") (nop) (call $inner) (nop))"#;
    let component =
        format!("(component (core module $m {fields}) (core instance (instantiate $m)))");
    let bytes = wat::parse_str(component).unwrap();
    let report = trap(invoke(instantiate(&code(fields)).handle(), "f", &[]));
    let opcodes: Vec<u8> = report
        .backtrace
        .frames
        .iter()
        .map(|frame| bytes[frame.offset.unwrap() as usize])
        .collect();
    assert_eq!(opcodes, [0x00, 0x10], "{report}");
    let text = report.to_string();
    assert!(
        text.contains(
            "unreachable` instruction executed\nwasm backtrace:\n    0: m!inner (core[0]:f0) at 0x"
        ),
        "{text}"
    );
}

/// A guest that calls itself without end, with small frames or with large ones.
const RECURSION: &str = r#"
    (func $down (export "down") (param i64) (result i64)
      (i64.add (call $down (i64.add (local.get 0) (i64.const 1))) (local.get 0)))"#;

#[test]
fn stack_overflow_on_stacks_of_any_size() {
    let code = code(RECURSION);
    for stack in [288 << 10, 512 << 10, 1 << 20, 16 << 20] {
        let code = code.clone();
        let thread = std::thread::Builder::new()
            .stack_size(stack)
            .spawn(move || {
                let instance = instantiate_with(
                    &table(&code, |_| Ok(())),
                    Limits {
                        stack_bytes: 4 << 20,
                        ..Limits::default()
                    },
                );
                for _ in 0..2 {
                    let report = trap(invoke(instance.handle(), "down", &[0]));
                    assert_eq!(report.trap, Trap::StackOverflow);
                    assert_eq!(report.backtrace.frames.len(), 20);
                    assert!(
                        report.backtrace.omitted > 100,
                        "{}",
                        report.backtrace.omitted
                    );
                    assert!(names(&report).iter().all(|&name| name == "down"));
                }
            });
        thread.unwrap().join().unwrap();
    }
    // The main thread is used here only if the tests run with `--test-threads 1`. Its bounds are
    // found the same way.
    assert_eq!(
        trap(invoke(instantiate(&code).handle(), "down", &[0])).trap,
        Trap::StackOverflow
    );
}

/// A host function that succeeds, fails, panics or calls back, as its argument says.
const CALLER: &str = r#"
    (func $leaf (export "leaf") (result i32) (unreachable))
    (func $call (export "call") (param i32) (result i32) (i32.add (call $f (local.get 0))
      (i32.const 1000)))
    (func $twice (export "twice") (param i32) (result i32)
      (i32.add (call $f (local.get 0)) (call $f (i32.const 1))))"#;

#[test]
fn host_functions_return_fail_and_panic() {
    let code = code_with_host(CALLER);
    let table = table(&code, |call| {
        match call.words[0] as u32 {
            0 => anyhow::bail!("refused"),
            1 => call.words[0] = 5,
            2 => std::panic::panic_any("payload"),
            // SAFETY: the test passes a number that no one else uses meanwhile.
            _ => call.words[0] = unsafe { *host_pointer(call.host).cast::<u64>() },
        }
        Ok(())
    });
    let instance = instantiate_with(&table, Limits::default());
    let handle = instance.handle();
    assert_eq!(invoke(handle, "call", &[1]).unwrap() as u32, 1005);
    let mut number = 77u64;
    assert_eq!(
        invoke_with(handle, "call", &[3], (&raw mut number).cast()).unwrap() as u32,
        1077
    );
    assert!(!instance.is_poisoned());
    assert_eq!(host_error(invoke(handle, "call", &[0])), "refused");
    assert!(instance.is_poisoned());
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = invoke(handle, "call", &[2]);
    std::panic::set_hook(quiet);
    assert_eq!(host_panic(result), "payload");
}

/// The host data of the nesting tests.
struct Nest {
    instance: InstanceHandle,
    other: Option<InstanceHandle>,
    seen: Mutex<Vec<u32>>,
}

fn nest(call: mintage_runtime::HostCall<'_>) -> anyhow::Result<()> {
    // SAFETY: all calls of the nesting tests pass a `Nest` that lives throughout.
    let nest = unsafe { &*host_pointer(call.host).cast::<Nest>() };
    let level = call.words[0] as u32;
    nest.seen.lock().unwrap().push(level);
    let target = match nest.other {
        Some(other) if level.is_multiple_of(2) => other,
        _ => nest.instance,
    };
    call.words[0] = match level {
        0 => 0,
        // A trap in a nested call that the host ignores. The calls around it must not notice.
        100 => u64::from(invoke_with(target, "leaf", &[], host_pointer(call.host)).is_err()),
        // A trap in the innermost call that the host passes on as an error.
        200 => {
            let report = trap(invoke_with(target, "leaf", &[], host_pointer(call.host)));
            return Err(anyhow::Error::new(report));
        }
        level => invoke_with(
            target,
            "call",
            &[u64::from(level) - 1],
            host_pointer(call.host),
        )
        .map_err(|stopped| match stopped {
            Stopped::Host { error, .. } => error,
            other => anyhow::anyhow!("{other:?}"),
        })?,
    };
    Ok(())
}

#[test]
fn calls_nest() {
    let code = code_with_host(CALLER);
    let table = table(&code, nest);
    for two in [false, true] {
        let instance = instantiate_with(&table, Limits::default());
        let other = instantiate_with(&table, Limits::default());
        let nest = Nest {
            instance: instance.handle(),
            other: two.then(|| other.handle()),
            seen: Mutex::default(),
        };
        let host = (&raw const nest).cast_mut().cast();
        assert_eq!(
            invoke_with(nest.instance, "call", &[5], host).unwrap() as u32,
            6000
        );
        assert_eq!(*nest.seen.lock().unwrap(), [5, 4, 3, 2, 1, 0]);
        // The trap inside ends only the nested call, and the next call of the outer one works.
        assert_eq!(
            invoke_with(nest.instance, "call", &[100], host).unwrap() as u32,
            1001
        );
        assert_eq!(
            invoke_with(nest.instance, "call", &[101], host).unwrap() as u32,
            2001
        );

        // Frames of all activations, in order, across the host's.
        for levels in 0..4 {
            let result = invoke_with(nest.instance, "call", &[200 + levels], host);
            let Err(Stopped::Host { error, .. }) = result else {
                panic!("{result:?}")
            };
            let report: &mintage_runtime::TrapReport = error.downcast_ref().unwrap();
            let mut expected = vec!["leaf"];
            expected.resize(levels as usize + 2, "call");
            assert_eq!(names(report), expected);
        }
    }
}

/// After a nested call through the host, a trap in the outer call still finds its own frames.
#[test]
fn exit_records_survive_nested_calls() {
    let code = code_with_host(
        r#"(func $leaf (export "leaf") (result i32) (call $f (i32.const 7)))
           (func $call (export "call") (param i32) (result i32) (call $f (local.get 0)))
           (func $trap (export "trap") (unreachable))"#,
    );
    let table = table(&code, |call| {
        if call.words[0] as u32 == 1 {
            // Leaves the instance in a deeper frame, which stores another exit record.
            invoke(call.instance, "leaf", &[]).unwrap();
            let report = trap(invoke(call.instance, "trap", &[]));
            return Err(anyhow::Error::new(report));
        }
        Ok(())
    });
    let instance = instantiate_with(&table, Limits::default());
    let result = invoke(instance.handle(), "call", &[1]);
    let Err(Stopped::Host { error, .. }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(names(error.downcast_ref().unwrap()), ["trap", "call"]);
}

#[test]
fn recursion_through_the_host_shares_one_stack_limit() {
    let code = code_with_host(
        r#"(func (export "call") (param i32) (result i32) (call $f (i32.add (local.get 0)
          (i32.const 1))))"#,
    );
    let table = table(&code, |call| {
        let instance = call.instance;
        call.words[0] = match invoke(instance, "call", &[call.words[0]]) {
            Ok(word) => word,
            Err(Stopped::Trap(report)) if report.trap == Trap::StackOverflow => call.words[0],
            Err(other) => anyhow::bail!("{other:?}"),
        };
        Ok(())
    });
    let limits = Limits {
        stack_bytes: 256 << 10,
        ..Limits::default()
    };
    let depth = invoke(instantiate_with(&table, limits).handle(), "call", &[0]).unwrap() as u32;
    assert!((20..5000).contains(&depth), "{depth}");
}

#[test]
fn many_threads_trap_at_once() {
    let code = code(
        r#"(memory 1)
           (func $load (export "load") (param i32) (result i32) (i32.load (local.get 0)))
           (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))"#,
    );
    std::thread::scope(|scope| {
        for number in 0..8u64 {
            let code = &code;
            scope.spawn(move || {
                for round in 0..200 {
                    let instance = instantiate(code);
                    invoke(instance.handle(), "store", &[64, number << 16 | round]).unwrap();
                    assert_trap(
                        invoke(instance.handle(), "load", &[70000]),
                        Trap::MemoryOutOfBounds,
                        &["load"],
                    );
                    assert_eq!(
                        invoke(instance.handle(), "load", &[64]).unwrap() as u32 as u64,
                        number << 16 | round
                    );
                }
            });
        }
    });
}

#[test]
fn an_instance_moves_between_threads() {
    let code = code(RECURSION);
    let mut instance = instantiate(&code);
    for _ in 0..4 {
        instance = std::thread::spawn(move || {
            assert_eq!(
                trap(invoke(instance.handle(), "down", &[0])).trap,
                Trap::StackOverflow
            );
            instance
        })
        .join()
        .unwrap();
    }
}

#[test]
fn each_call_has_its_own_host_pointer() {
    let code = code_with_host(CALLER);
    let table = table(&code, |call| {
        // SAFETY: the calls below pass numbers.
        let number = unsafe { &mut *host_pointer(call.host).cast::<u64>() };
        *number += 1;
        if call.words[0] == 9 {
            let mut inner = 0u64;
            invoke_with(call.instance, "call", &[1], (&raw mut inner).cast()).unwrap();
            assert_eq!(inner, 1);
        }
        Ok(())
    });
    let mut outer = 0u64;
    invoke_with(
        instantiate_with(&table, Limits::default()).handle(),
        "twice",
        &[9],
        (&raw mut outer).cast(),
    )
    .unwrap();
    assert_eq!(outer, 2);
}

/// The outer call continues with objects that a collection in the inner one has moved, so the
/// collection must not stop half-way.
///
/// Only builds with debug assertions test the interrupt word within so small a collection.
#[cfg(debug_assertions)]
#[test]
fn a_collection_in_a_call_within_a_call_is_not_interrupted() {
    let check = LoadCheck {
        tunables: Tunables {
            interruptible: true,
            gc_zeal: true,
            ..tunables()
        },
        ..LoadCheck::default()
    };
    let text = r#"(component
        (import "f" (func $f (param "x" u32) (result u32)))
        (core func $lowered (canon lower (func $f)))
        (core module $m
            (import "host" "f" (func $f (param i32) (result i32)))
            (type $cell (struct (field $next (ref null $cell))))
            (global $cells (mut (ref null $cell)) (ref.null $cell))
            (func (export "inner") (drop (call $f (i32.const 0))) (drop (struct.new_default $cell)))
            (func (export "outer") (param $n i32) (result i32) (local $cell (ref null $cell))
              (local $count i32)
                (loop $next
                    (global.set $cells (struct.new $cell (global.get $cells)))
                    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (drop (call $f (i32.const 1)))
                (local.set $cell (global.get $cells))
                (loop $next
                    (local.set $cell (struct.get $cell $next (local.get $cell)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $next (i32.eqz (ref.is_null (local.get $cell)))))
                (local.get $count)))
        (core instance (instantiate $m (with "host" (instance (export "f" (func $lowered)))))))"#;
    let bytes =
        mintage_compile::compile(&wat::parse_str(text).unwrap(), &check.tunables, &NoProgress)
            .unwrap();
    let code = load_with(&bytes, &check);
    let word = Arc::new(AtomicU64::new(0));
    let interrupt = word.clone();
    let table = table(&code, move |call| {
        if call.words[0] == 0 {
            interrupt.store(1, Ordering::Relaxed);
        } else {
            invoke(call.instance, "inner", &[]).unwrap();
            interrupt.store(0, Ordering::Relaxed);
        }
        Ok(())
    });
    let words = StoreWords {
        interrupt: Some(word.clone()),
        fuel: None,
    };
    let instance = new_instance(&table, Limits::default(), words).unwrap();
    assert_eq!(invoke(instance.handle(), "outer", &[3000]).unwrap(), 3000);

    // If it is the only call, it is interrupted.
    let stopped = invoke(instance.handle(), "inner", &[]).unwrap_err();
    assert!(
        matches!(&stopped, Stopped::Trap(report) if report.trap == Trap::Interrupt),
        "{stopped:?}"
    );
}

/// A call that could not begin leaves the instance as it was.
#[test]
fn a_confined_call_that_cannot_begin_changes_nothing() {
    let code = code_with_host(
        r#"(func (export "realloc") (result i32) (i32.const 8))
           (func (export "host") (result i32) (call $f (i32.const 1)))"#,
    );
    let instance = instantiate_with(&table(&code, |_| Ok(())), Limits::default());
    let (callee, domain) = function(&code, "realloc");
    let (callee, handle, flags) = (
        code.callee(callee).unwrap(),
        instance.handle(),
        instance.flags(domain),
    );
    let confined = move || {
        // SAFETY: the instance lives, no other thread uses it meanwhile, and one word is enough.
        unsafe {
            call_confined(
                handle,
                domain,
                &callee,
                [0; 1].as_mut_ptr(),
                HostAccess::Nothing,
            )
        }
    };
    let small = std::thread::Builder::new().stack_size(128 << 10);
    let result = small.spawn(confined).unwrap().join().unwrap();
    let error = host_error(result.map_err(|stopped| *stopped));
    assert!(error.contains("too small"), "{error}");
    assert!(!instance.is_poisoned());
    assert_eq!(instance.flags(domain), flags);
    invoke(handle, "host", &[]).unwrap();
}
