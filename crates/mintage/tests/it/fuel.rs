//! Fuel: what guests execute is counted exactly, and they stop when it is used up.
#![cfg(feature = "compiler")]

use mintage::{
    Component, Config, Engine, Instance, Linker, OptLevel, Result, Store, StoreContextMut, Trap,
};

/// Returns engines whose machine code differs as much as possible.
fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    for opt_level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
        for reservation in [4 << 30, 1 << 20] {
            let mut config = Config::new();
            config.consume_fuel(true).opt_level(opt_level).wasm_gc(true);
            config
                .memory_reservation(reservation)
                .memory_guard_size(reservation / 2);
            engines.push(Engine::new(&config).unwrap());
        }
    }
    engines
}

/// A component with the core module `$m` of the given fields, whose export `run` is the
/// component's.
fn component(engine: &Engine, fields: &str) -> Component {
    let text = format!(
        r#"(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#
    );
    Component::new(engine, text).unwrap()
}

fn instantiate(store: &mut Store<()>, component: &Component) -> Instance {
    Linker::new(component.engine())
        .instantiate(store, component)
        .unwrap()
}

fn run(store: &mut Store<()>, instance: &Instance, argument: u32) -> Result<u32> {
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "run")?;
    Ok(run.call(store, (argument,))?.0)
}

/// Calls `run` of a module with these fields, which costs exactly `cost`: with less it is stopped.
fn check(fields: &str, argument: u32, cost: u64) {
    for engine in engines() {
        let component = component(&engine, fields);
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&mut store, &component);
        store.set_fuel(cost + 1000).unwrap();
        run(&mut store, &instance, argument).unwrap();
        assert_eq!(cost + 1000 - store.get_fuel().unwrap(), cost, "{fields}");
        store.set_fuel(cost).unwrap();
        run(&mut store, &instance, argument).unwrap();
        assert_eq!(store.get_fuel().unwrap(), 0);
        store.set_fuel(cost - 1).unwrap();
        let error = run(&mut store, &instance, argument).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel), "{fields}");
        // What cannot be paid is neither executed nor charged.
        assert!(store.get_fuel().unwrap() < cost, "{fields}");
    }
}

#[test]
fn operators_cost_one_except_structural_ones() {
    check(
        r#"(func (export "run") (param i32) (result i32) (local.get 0))"#,
        5,
        2,
    );
    check(
        r#"(func (export "run") (param i32) (result i32)
            nop nop (block (loop)) (drop (i32.const 1))
            (return (i32.add (local.get 0) (i32.const 1))))"#,
        5,
        1 + 1 + 3,
    );
    // Operators that the code generator folds count as well.
    check(
        r#"(func (export "run") (param i32) (result i32)
            (i32.mul (i32.const 2) (i32.add (i32.const 3) (i32.sub (i32.const 4)
              (i32.const 4)))))"#,
        5,
        1 + 7,
    );
}

#[test]
fn only_what_is_executed_counts() {
    let choice = r#"(func (export "run") (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (i32.const 1))
            (else (i32.add (i32.const 1) (i32.const 2)))))"#;
    check(choice, 1, 1 + 2 + 1);
    check(choice, 0, 1 + 2 + 3);
    let table = r#"(func (export "run") (param i32) (result i32)
        (block $a (block $b (block $c (br_table $a $b $c (local.get 0)))
            (return (i32.popcnt (i32.popcnt (i32.const 3)))))
            (return (i32.popcnt (i32.const 3))))
        (i32.const 3) unreachable)"#;
    // (Calls that trap are in another test.)
    let table = table.replace(" unreachable", "");
    check(&table, 0, 1 + 2 + 1);
    check(&table, 1, 1 + 2 + 2);
    check(&table, 9, 1 + 2 + 3);
    let branch = r#"(func (export "run") (param i32) (result i32)
        (block $out (br_if $out (local.get 0)) (drop (i32.clz (i32.const 1))))
        (i32.const 7))"#;
    check(branch, 1, 1 + 2 + 1);
    check(branch, 0, 1 + 2 + 2 + 1);
}

#[test]
fn loops_and_calls_count_each_time() {
    let sum = r#"(func (export "run") (param $n i32) (result i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (local.get $n)))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))"#;
    check(sum, 1, 1 + 9 + 1);
    check(sum, 1000, 1 + 9000 + 1);
    let calls = r#"(type $t (func (param i32) (result i32)))
        (table funcref (elem $f))
        (func $f (type $t) (i32.add (local.get 0) (i32.const 1)))
        (func $g (type $t) (return_call $f (local.get 0)))
        (func (export "run") (type $t)
            (call $f (call_indirect (type $t) (call $g (local.get 0)) (i32.const 0))))"#;
    check(calls, 1, (1 + 2 + 1 + 1 + 1) + 4 + (1 + 2 + 4) + 4);
    // A recursion whose functions have no operators of their own but the call.
    let empty = r#"(func $f (param i32))
        (func (export "run") (param i32) (result i32) (call $f (local.get 0)) (i32.const 1))"#;
    check(empty, 1, 1 + 2 + 1 + 1);
}

#[test]
fn bulk_operations_cost_one() {
    check(
        r#"(memory 1) (func (export "run") (param i32) (result i32)
            (memory.fill (i32.const 0) (i32.const 1) (local.get 0))
            (memory.copy (i32.const 0) (i32.const 1) (i32.const 16))
            (memory.grow (i32.const 1)))"#,
        5000,
        1 + 4 + 4 + 2,
    );
}

#[test]
fn operations_of_arrays_and_tables_cost_one() {
    check(
        r#"(type $a (array (mut i64))) (data $d "bytes of eight") (table $t 10000 funcref)
          (elem $e func $f) (func $f)
        (func (export "run") (param $n i32) (result i32) (local $a (ref null $a))
            (local.set $a (array.new $a (i64.const 1) (local.get $n)))
            (array.fill $a (local.get $a) (i32.const 0) (i64.const 2) (local.get $n))
            (array.copy $a $a (local.get $a) (i32.const 0) (local.get $a) (i32.const 1)
              (i32.const 4000))
            (array.init_data $a $d (local.get $a) (i32.const 0) (i32.const 1) (i32.const 1))
            (drop (array.new_default $a (local.get $n)))
            (table.fill $t (i32.const 1) (ref.null func) (local.get $n))
            (table.copy $t $t (i32.const 0) (i32.const 1) (local.get $n))
            (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
            (table.grow $t (ref.null func) (local.get $n)))"#,
        5000,
        1 + 4 + 5 + 6 + 5 + 2 + 4 + 4 + 4 + 3,
    );
}

/// [`engines`] that count bulk operations by their length, too.
fn engines_by_length() -> Vec<Engine> {
    let configs = engines().into_iter().map(|engine| engine.config().clone());
    let by_length = |mut config: Config| Engine::new(config.fuel_by_length(true)).unwrap();
    configs.map(by_length).collect()
}

/// Returns what `run` of a component costs, and checks that with one less it is stopped.
fn cost(component: &Component, argument: u32) -> u64 {
    let mut store = Store::new(component.engine(), ());
    let instance = instantiate(&mut store, component);
    store.set_fuel(u64::MAX).unwrap();
    run(&mut store, &instance, argument).unwrap();
    let cost = u64::MAX - store.get_fuel().unwrap();
    store.set_fuel(cost).unwrap();
    run(&mut store, &instance, argument).unwrap();
    assert_eq!(store.get_fuel().unwrap(), 0);
    store.set_fuel(cost - 1).unwrap();
    let error = run(&mut store, &instance, argument).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
    cost
}

/// A module in which each of the operators that are paid by their length stands alone; `length` is
/// an operand.
fn by_length(operation: &str) -> String {
    format!(
        r#"(memory 2) (memory $wide i64 2) (data $d "{}") (table $t 3000 funcref)
          (table $grows 0 funcref)
        (table $wide-table i64 3000 funcref) (elem $e func {}) (func $f)
        (type $i8 (array (mut i8))) (type $i16 (array (mut i16))) (type $f32 (array (mut f32)))
          (type $i64 (array (mut i64)))
        (type $v128 (array (mut v128))) (type $ref (array (mut anyref))) (type $func (array
          (mut funcref)))
        (global $i16 (ref $i16) (array.new_default $i16 (i32.const 3000)))
        (global $v128 (ref $v128) (array.new_default $v128 (i32.const 3000)))
        (global $func (ref $func) (array.new_default $func (i32.const 3000)))
        (func (export "run") (param i32) (result i32) {operation} (i32.const 0))"#,
        "x".repeat(3000),
        "$f ".repeat(3000),
    )
}

#[test]
fn lengths_are_charged_on_request() {
    // Operation, and how many items cost one.
    let operations = [
        ("(memory.fill (i32.const 0) (i32.const 1) LENGTH)", 64),
        (
            "(memory.fill $wide (i64.const 0) (i32.const 1) (i64.extend_i32_u LENGTH))",
            64,
        ),
        ("(memory.copy (i32.const 0) (i32.const 1) LENGTH)", 64),
        (
            "(memory.copy $wide 0 (i64.const 0) (i32.const 1) LENGTH)",
            64,
        ),
        ("(memory.init $d (i32.const 0) (i32.const 0) LENGTH)", 64),
        ("(table.fill $t (i32.const 0) (ref.func $f) LENGTH)", 8),
        (
            "(table.fill $wide-table (i64.const 0) (ref.func $f) (i64.extend_i32_u LENGTH))",
            8,
        ),
        ("(table.copy $t $t (i32.const 0) (i32.const 0) LENGTH)", 8),
        ("(table.init $t $e (i32.const 0) (i32.const 0) LENGTH)", 8),
        ("(drop (table.grow $grows (ref.null func) LENGTH))", 8),
        ("(drop (array.new $i8 (i32.const 1) LENGTH))", 64),
        ("(drop (array.new_default $ref LENGTH))", 16),
        ("(drop (array.new_data $i8 $d (i32.const 0) LENGTH))", 64),
        ("(drop (array.new_elem $func $e (i32.const 0) LENGTH))", 8),
        (
            "(array.fill $i16 (global.get $i16) (i32.const 0) (i32.const 7) LENGTH)",
            32,
        ),
        (
            "(array.copy $v128 $v128 (global.get $v128) (i32.const 0) (global.get $v128) \
             (i32.const 0) LENGTH)",
            4,
        ),
        (
            "(array.init_data $i16 $d (global.get $i16) (i32.const 0) (i32.const 0) LENGTH)",
            32,
        ),
        (
            "(array.init_elem $func $e (global.get $func) (i32.const 0) (i32.const 0) LENGTH)",
            8,
        ),
    ];
    for (engine, without) in engines_by_length().into_iter().zip(engines()) {
        for (operation, items) in operations {
            let fields = by_length(&operation.replace("LENGTH", "(local.get 0)"));
            let [component, without] = [&engine, &without].map(|engine| component(engine, &fields));
            let operators = cost(&without, 0);
            assert_eq!(cost(&without, 1000), operators, "{operation}");
            for length in [0, 1, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 1000] {
                let expected = operators + u64::from(length).div_ceil(items);
                assert_eq!(cost(&component, length), expected, "{operation} {length}");
            }
            // A constant length costs the same.
            for length in [0u32, 9] {
                let fields =
                    by_length(&operation.replace("LENGTH", &format!("(i32.const {length})")));
                let component = self::component(&engine, &fields);
                let expected = operators + u64::from(length).div_ceil(items);
                assert_eq!(cost(&component, 0), expected, "{operation} {length}");
            }
        }
    }
}

/// Fuel is charged before the checks of an operation.
#[test]
fn lengths_are_charged_before_the_operation() {
    let operations = [
        (
            "(memory.fill (i32.const -1) (i32.const 1) (i32.const -1))",
            1 << 26,
            Some(Trap::MemoryOutOfBounds),
        ),
        (
            "(memory.fill $wide (i64.const 0) (i32.const 1) (i64.const -1))",
            1 << 58,
            Some(Trap::MemoryOutOfBounds),
        ),
        (
            "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 8000))",
            125,
            Some(Trap::MemoryOutOfBounds),
        ),
        (
            "(table.fill $wide-table (i64.const 0) (ref.null func) (i64.const -7))",
            1 << 61,
            Some(Trap::TableOutOfBounds),
        ),
        (
            "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 3000))",
            375,
            Some(Trap::TableOutOfBounds),
        ),
        (
            "(drop (table.grow $t (ref.null func) (i32.const -1)))",
            1 << 29,
            None,
        ),
        (
            "(drop (array.new_default $i64 (i32.const -1)))",
            1 << 29,
            Some(Trap::AllocationTooLarge),
        ),
        (
            "(array.fill $i16 (ref.null $i16) (i32.const 0) (i32.const 7) (i32.const 640))",
            20,
            Some(Trap::NullReference),
        ),
    ];
    for engine in engines_by_length() {
        for (operation, length, trap) in operations {
            let component = component(&engine, &by_length(operation));
            // The operators up to the end of the segment, which is that of the function.
            let operators = 2 + operation.matches('(').count() as u64
                - u64::from(operation.starts_with("(drop"));
            for (fuel, expected) in [
                (operators + length - 1, Some(Trap::OutOfFuel)),
                (operators + length, trap),
            ] {
                let mut store = Store::new(&engine, ());
                let instance = instantiate(&mut store, &component);
                store.set_fuel(fuel).unwrap();
                let result = run(&mut store, &instance, 0);
                let trap = result.err().map(|error| *error.downcast_ref().unwrap());
                assert_eq!(trap, expected, "{operation}");
                let left = if expected == Some(Trap::OutOfFuel) {
                    length - 1
                } else {
                    0
                };
                assert_eq!(store.get_fuel().unwrap(), left, "{operation}");
            }
        }
    }
}

/// Lists and strings are charged by their bytes at the caller, whatever they become at the callee.
#[test]
fn adapters_charge_by_length() {
    for (ty, unit, caller, callee) in [
        ("string", 1, "utf8", "utf8"),
        ("string", 1, "utf8", "utf16"),
        ("string", 2, "utf16", "utf8"),
        ("string", 2, "utf16", "latin1+utf16"),
        ("string", 1, "latin1+utf16", "utf16"),
        ("(list u8)", 1, "utf8", "utf8"),
        ("(list u64)", 8, "utf8", "utf8"),
        ("(list (tuple u8 u16))", 4, "utf8", "utf8"),
    ] {
        let text = format!(
            r#"(component
                (component $inner
                    (core module $m (memory (export "memory") 4)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                        (func (export "f") (param i32 i32)))
                    (core instance $i (instantiate $m))
                    (func (export "f") (param "x" {ty}) (canon lift (core func $i "f")
                        (memory (core memory $i "memory")) (realloc
                          (core func $i "realloc")) string-encoding={callee})))
                (instance $inner (instantiate $inner))
                (core module $libc (memory (export "memory") 4))
                (core instance $libc (instantiate $libc))
                (core func $f (canon lower (func $inner "f") (memory
                  (core memory $libc "memory")) string-encoding={caller}))
                (core module $m
                    (import "" "f" (func $f (param i32 i32)))
                    (func (export "run") (param i32) (result i32) (call $f (i32.const 8)
                      (local.get 0)) (local.get 0)))
                (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
                (func (export "run") (param "x" u32) (result u32) (canon lift
                  (core func $i "run"))))"#
        );
        for (engine, without) in engines_by_length().into_iter().zip(engines()) {
            let [component, without] =
                [&engine, &without].map(|engine| Component::new(engine, &text).unwrap());
            for length in [0, 1, 8, 9, 63, 64, 65, 1000] {
                let expected = cost(&without, length) + u64::from(length * unit).div_ceil(64);
                assert_eq!(
                    cost(&component, length),
                    expected,
                    "{ty} {caller} {callee} {length}"
                );
            }
        }
    }
}

#[test]
fn endless_code_runs_out_of_fuel() {
    for fields in [
        r#"(memory 1) (func (export "run") (param i32) (result i32)
            (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 4096)) (br 0))
              (i32.const 1))"#,
        r#"(type $a (array (mut i8))) (func (export "run") (param i32) (result i32)
            (loop (drop (array.new $a (i32.const 1) (i32.const 300))) (br 0)) (i32.const 1))"#,
        r#"(type $a (array (mut i8))) (func (export "run") (param i32) (result i32) (local $a
          (ref $a))
            (local.set $a (array.new $a (i32.const 1) (i32.const 300)))
            (loop (array.fill $a (local.get $a) (i32.const 0) (i32.const 1) (i32.const 300))
              (br 0)) (i32.const 1))"#,
        r#"(func (export "run") (param i32) (result i32) (loop (br 0)) (i32.const 1))"#,
        r#"(func (export "run") (param i32) (result i32) (loop (br_if 0 (i32.const 1)))
          (i32.const 1))"#,
        r#"(func $f (export "run") (param i32) (result i32) (return_call $f (local.get 0)))"#,
        r#"(func $f (param i32)) (func (export "run") (param i32) (result i32) (loop (call $f
          (i32.const 1)) (br 0)) (i32.const 1))"#,
    ] {
        for engine in engines() {
            let component = component(&engine, fields);
            let mut store = Store::new(&engine, ());
            let instance = instantiate(&mut store, &component);
            store.set_fuel(100_000).unwrap();
            let error = run(&mut store, &instance, 1).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel), "{fields}");
            assert!(store.get_fuel().unwrap() < 10);
        }
    }
}

#[test]
fn fuel_is_exact_after_traps() {
    // The turn that traps is paid as a whole: one operator behind the load, and the branch.
    let fields = r#"(memory 1) (func (export "run") (param $n i32) (result i32)
        (loop $next
            (drop (i32.load (local.get $n)))
            (local.set $n (i32.add (local.get $n) (i32.const 0x1000)))
            (br $next))
        unreachable)"#;
    for engine in engines() {
        let component = component(&engine, fields);
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&mut store, &component);
        store.set_fuel(1_000_000).unwrap();
        let error = run(&mut store, &instance, 0).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds));
        assert_eq!(1_000_000 - store.get_fuel().unwrap(), 1 + 17 * 7);
    }
}

#[test]
fn a_trap_that_the_compiler_foresees_costs_as_much_as_others() {
    // Up to the end of the segment, which is that of a block, a loop's start, a condition or a
    // branch.
    for (rest, cost) in [
        ("(drop (i32.popcnt (i32.const 1))) (i32.const 7)", 3),
        (
            "(block nop (drop (i32.const 1)) (br 0 (i32.const 2)) (drop (i32.const 3))) (i32.const \
             7)",
            3,
        ),
        ("(loop (drop (i32.const 1))) (i32.const 7)", 0),
        (
            "(if (i32.const 1) (then (drop (i32.const 1)))) (i32.const 7)",
            2,
        ),
        (
            "(drop (i32.const 1)) (return (i32.const 7)) (i32.const 8)",
            2,
        ),
        ("(drop (i32.const 1)) (unreachable) (i32.const 8)", 1),
        (
            "(drop (i32.const 1)) (return_call $f (i32.const 7)) (i32.const 8)",
            3,
        ),
        ("(throw $e (i32.const 7)) (i32.const 8)", 2),
    ] {
        for access in [
            "(i32.load offset=0x20000 (local.get 0))",
            "(i32.load offset=0x7fffffff (local.get 0))",
            "(table.get 0 (i32.const 3))",
            "(table.get 0 (i32.add (local.get 0) (i32.const 3)))",
        ] {
            let fields = format!(
                r#"(memory 1 1) (table 1 1 funcref) (tag $e (param i32))
                (func $f (export "run") (param i32) (result i32) (drop {access}) {rest})"#
            );
            let cost = 1 + access.matches('(').count() as u64 + cost;
            for engine in engines() {
                let component = component(&engine, &fields);
                let mut store = Store::new(&engine, ());
                let instance = instantiate(&mut store, &component);
                store.set_fuel(1000).unwrap();
                run(&mut store, &instance, 0).unwrap_err();
                assert_eq!(1000 - store.get_fuel().unwrap(), cost, "{fields}");
            }
        }
    }
}

/// A component that calls a nested one, which calls the host.
const NESTED: &str = r#"(component
    (import "host" (func $host (param "x" u32) (result u32)))
    (component $Inner
        (import "host" (func $host (param "x" u32) (result u32)))
        (core func $host' (canon lower (func $host)))
        (core module $m
            (import "" "host" (func $host (param i32) (result i32)))
            (func (export "run") (param i32) (result i32) (i32.add (call $host (local.get 0))
              (i32.const 1))))
        (core instance $i (instantiate $m (with "" (instance (export "host" (func $host'))))))
        (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
    (instance $inner (instantiate $Inner (with "host" (func $host))))
    (core func $run' (canon lower (func $inner "run")))
    (core module $m
        (import "" "run" (func $run (param i32) (result i32)))
        (func (export "run") (param i32) (result i32)
            (i32.add (i32.add (call $run (local.get 0)) (call $run (local.get 0))) (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "run" (func $run'))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#;

#[test]
fn components_of_a_store_share_one_counter() {
    for engine in engines() {
        let component = Component::new(&engine, NESTED).unwrap();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let host = |mut store: StoreContextMut<'_, ()>, (x,): (u32,)| {
            let left = store.get_fuel()?;
            if x == 1 {
                store.set_fuel(3)?;
            }
            Ok((left as u32,))
        };
        linker.root().func_wrap("host", host).unwrap();
        let mut instances = Vec::new();
        for _ in 0..2 {
            instances.push(linker.instantiate(&mut store, &component).unwrap());
        }
        store.set_fuel(1000).unwrap();
        // Before the host is called: the outer function's entry, argument and call, the inner one's
        // likewise.
        let before = [1000 - 6, 1000 - 6 - 2 - 2 - 3];
        let expected = before[0] + before[1] + 3;
        assert_eq!(run(&mut store, &instances[0], 0).unwrap(), expected);
        let once = 1 + 2 + 2 + 3 + 2 * (1 + 2 + 2);
        assert_eq!(store.get_fuel().unwrap(), 1000 - once);
        assert_eq!(
            run(&mut store, &instances[1], 0).unwrap(),
            expected - 2 * once as u32
        );
        assert_eq!(store.get_fuel().unwrap(), 1000 - 2 * once);
        // The host leaves fuel for the rest of the inner function (2) and one more, but not for the
        // next call (2).
        let error = run(&mut store, &instances[1], 1).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
        assert_eq!(store.get_fuel().unwrap(), 1);
    }
}

#[test]
fn each_instance_pays_for_its_start() {
    for engine in engines() {
        let component = component(
            &engine,
            r#"(memory 1) (func $start (i32.store (i32.const 0) (i32.const 5))) (start $start)
            (func (export "run") (param i32) (result i32) (i32.load (i32.const 0)))"#,
        );
        let mut store = Store::new(&engine, ());
        store.set_fuel(100).unwrap();
        for count in 1..=3 {
            let instance = instantiate(&mut store, &component);
            assert_eq!(100 - store.get_fuel().unwrap(), count * 7 - 3);
            assert_eq!(run(&mut store, &instance, 0).unwrap(), 5);
        }
        store.set_fuel(3).unwrap();
        let error = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
    }
}

#[test]
fn fuel_is_exact_after_exceptions() {
    // The counter is the callee's when the exception arrives, wherever it is caught.
    let fields = r#"(tag $e (param i32))
        (func $thrower (param $n i32)
            (loop $next
                (if (i32.eqz (local.get $n)) (then (throw $e (i32.const 7))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $next)))
        (func (export "run") (param $n i32) (result i32)
            (block $caught (result i32)
                (try_table (catch $e $caught)
                    (call $thrower (local.get $n)))
                unreachable))"#;
    // The loop's turns, the last of them up to its throw; both entries; `try_table`, and the call
    // with its operand.
    check(fields, 0, 3 + 2 + 2 + 3);
    check(fields, 100, 100 * (3 + 5) + 3 + 2 + 2 + 3);
}

#[test]
fn a_new_store_has_no_fuel() {
    let engine = &engines()[0];
    let component = component(
        engine,
        r#"(func (export "run") (param i32) (result i32) (i32.const 1))"#,
    );
    let mut store = Store::new(engine, ());
    let instance = instantiate(&mut store, &component);
    assert_eq!(store.get_fuel().unwrap(), 0);
    let error = run(&mut store, &instance, 1).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
    store.set_fuel(u64::MAX).unwrap();
    let instance = instantiate(&mut store, &component);
    run(&mut store, &instance, 1).unwrap();
    assert_eq!(store.get_fuel().unwrap(), u64::MAX - 2);
}

#[test]
fn engines_without_fuel_say_so() {
    let mut store = Store::new(&Engine::default(), ());
    for error in [
        store.set_fuel(1).unwrap_err(),
        store.get_fuel().unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("Config::consume_fuel"),
            "{error}"
        );
    }
}
