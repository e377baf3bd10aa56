//! Each case breaks one invariant of a valid program, and the verifier must find it.

use mintage_environ::component::{CoreCallee, Initializer, Resource};
use mintage_environ::{
    AdapterId, CanonId, CoreInstanceId, DomainId, Features, FuncIndex, FuncKey, GlobalId, IndexVec,
    LiftId, LowerId, MemoryId, ObjectTypeId, ResourceId, SigId, TableId, Trap, Tunables,
};
use mintage_program::{
    Adapter, CanonBuiltin, CanonOp, Const, Program, StaticValues, build, verify,
};

const TEXT: &str = r#"
(component
  (import "host" (func $host (param "x" u32)))
  (core func $host (canon lower (func $host)))
  (core module $m
    (import "" "host" (func $host (param i32)))
    (memory (export "memory") 1)
    (table 2 funcref)
    (type $cell (struct (field i32) (field (ref null $cell))))
    (global $g (mut i32) (i32.const 1))
    (global $object (ref $cell) (struct.new $cell (i32.const 5) (ref.null $cell)))
    (func $dead)
    (func $helper)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "run") (param i32 i32) (result i32)
      call $called
      (call $host (i32.const 1))
      (table.set (i32.const 0) (ref.null func))
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))
      i32.const 0)
    (func $start)
    (func $called)
    (start $start)
    (elem (i32.const 0) func $helper)
    (data (i32.const 0) "image")
    (data $d "passive"))
  (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
  (func (export "run") (param "x" string) (result string)
    (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc
      (core func $i "realloc")))))
"#;

fn key(func: u32) -> FuncKey {
    FuncKey::CoreFunc {
        instance: CoreInstanceId::from_u32(0),
        func: FuncIndex::from_u32(func),
    }
}

/// A change that breaks an invariant, and part of the verifier's error.
type Damage = (fn(&mut Program<'_>), &'static str);

const DAMAGES: &[Damage] = &[
    (
        |p| p.globals = IndexVec::new(),
        "globals and their values differ",
    ),
    (
        |p| p.shape.domains[DomainId::from_u32(0)] = None,
        "no main memory",
    ),
    (
        |p| p.shape.memories[MemoryId::from_u32(0)].domain = DomainId::from_u32(7),
        "domain7 does not exist",
    ),
    (
        |p| p.globals[GlobalId::from_u32(0)].init = Const::F32(0),
        "starts as F32",
    ),
    (
        |p| p.globals[GlobalId::from_u32(1)].init = Const::Object(1),
        "starts as Object(1)",
    ),
    (
        |p| p.globals[GlobalId::from_u32(1)].init = Const::I31(1),
        "starts as I31(1)",
    ),
    (|p| p.statics[0].reference += 8, "static0 is at 0x10008"),
    (
        |p| p.statics[0].values = StaticValues::Each([Const::I32(0)].into()),
        "static0 lacks fields",
    ),
    (
        |p| p.statics[0].values = StaticValues::Each([Const::I32(0), Const::I31(0)].into()),
        "static0 holds I31(0)",
    ),
    (
        |p| p.statics[0].ty = ObjectTypeId::from_u32(1),
        "starts as Object(0)",
    ),
    (|p| p.shape.heaps.clear(), "a static object is in no heap"),
    (
        |p| {
            p.instances[CoreInstanceId::from_u32(0)]
                .imported_funcs
                .clear()
        },
        "imported functions are missing",
    ),
    (
        |p| p.instances[CoreInstanceId::from_u32(0)].imported_funcs[0].key = key(1),
        "which is not instantiated yet",
    ),
    (
        |p| {
            p.instances[CoreInstanceId::from_u32(0)]
                .memories
                .push(MemoryId::from_u32(1))
        },
        "mem1 is not of domain0",
    ),
    (
        |p| p.instances[CoreInstanceId::from_u32(0)].data.clear(),
        "a segment has no owner",
    ),
    (|p| p.image_data[0].offset = 65533, "leaves mem0"),
    (|p| p.image_elems[0].offset = 2, "leave table0"),
    (
        |p| {
            p.image_elems[0].values = [Const::Func(CoreCallee {
                key: key(1),
                sig: SigId::from_u32(1),
            })]
            .into()
        },
        "is not reachable",
    ),
    (
        |p| {
            p.image_elems[0].values = [Const::Func(CoreCallee {
                key: key(2),
                sig: SigId::from_u32(0),
            })]
            .into()
        },
        "and not sig0",
    ),
    (
        |p| p.tables[TableId::from_u32(0)].mutable = false,
        "which is not mutable",
    ),
    (
        |p| p.interface.lifts[LiftId::from_u32(0)].options.domain = DomainId::from_u32(1),
        "is not of domain1",
    ),
    (
        |p| {
            p.interface.lifts[LiftId::from_u32(0)].callee.key =
                FuncKey::LowerImport(LowerId::from_u32(0))
        },
        "lower[0] has",
    ),
    (
        |p| p.interface.lowers[LowerId::from_u32(0)].sig = SigId::from_u32(3),
        "and not sig0",
    ),
    (
        |p| p.interface.lifts = IndexVec::new(),
        "lift0 does not exist",
    ),
    (|p| p.interface.imports.clear(), "is not among the imports"),
    (
        |p| {
            p.interface
                .initializers
                .insert(0, Initializer::Trap(Trap::MemoryOutOfBounds))
        },
        "a step follows a trap",
    ),
    (|p| p.reachable.reverse(), "not sorted"),
    (
        |p| p.reachable.retain(|&key| key != self::key(6)),
        "names core[0]:f6, which is not reachable",
    ),
    (|p| p.reachable.insert(0, key(0)), "has no body"),
    (
        |p| p.reachable.push(FuncKey::LowerImport(LowerId::from_u32(1))),
        "lower[1] does not exist",
    ),
    (|p| p.entries.clear(), "there is no entry"),
];

const RESOURCES: &str = r#"
(component
  (import "host" (instance $host (export "r" (type (sub resource)))))
  (core module $d (func (export "dtor") (param i32)) (func (export "other") (param i32)
    (result i32) unreachable))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (call $new (i32.const 0)))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop"
    (func $drop))))))
  (func (export "run") (canon lift (core func $m "run"))))
"#;

/// Returns the destructor of the resource type that the component defines.
fn dtor<'p>(program: &'p mut Program<'_>) -> &'p mut CoreCallee {
    match &mut program.interface.resources[ResourceId::from_u32(1)] {
        Resource::Defined {
            dtor: Some(dtor), ..
        } => dtor,
        other => panic!("{other:?} has no destructor"),
    }
}

fn canon<'p>(program: &'p mut Program<'_>, number: u32) -> &'p mut CanonBuiltin {
    &mut program.canons[CanonId::from_u32(number)]
}

const RESOURCE_DAMAGES: &[Damage] = &[
    (
        |p| {
            p.interface.resources[ResourceId::from_u32(0)] = Resource::Imported {
                path: ["host".into()].into(),
            }
        },
        "no resource type is imported as",
    ),
    (|p| dtor(p).key = key(1), "core[0]:f1 has"),
    (
        |p| p.reachable.retain(|&key| key != self::key(0)),
        "core[0]:f0 is not reachable",
    ),
    (
        |p| canon(p, 0).op = CanonOp::ResourceNew(ResourceId::from_u32(0)),
        "which does not define it",
    ),
    (
        |p| canon(p, 1).op = CanonOp::ResourceDrop(ResourceId::from_u32(2)),
        "resource2 does not exist",
    ),
    (
        |p| canon(p, 1).options.domain = DomainId::from_u32(1),
        "canon[1] runs in domain1",
    ),
    (
        |p| canon(p, 1).op = CanonOp::ResourceNew(ResourceId::from_u32(1)),
        "resource.new has another signature",
    ),
    (
        |p| {
            p.reachable
                .retain(|&key| key != FuncKey::Canon(CanonId::from_u32(0)))
        },
        "it names canon[0], which is not reachable",
    ),
];

const ADAPTERS: &str = r#"
(component
  (component $C
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "f") (param i32 i32) (result i32) unreachable)
      (func (export "post") (param i32)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" string) (result u32)
      (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc
        (core func $i "realloc"))
        (post-return (core func $i "post")))))
  (instance $c (instantiate $C))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $f (canon lower (func $c "f") (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "f" (func $f (param i32 i32) (result i32)))
    (func (export "run") (drop (call $f (i32.const 0) (i32.const 0)))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
"#;

fn adapter<'p>(program: &'p mut Program<'_>) -> &'p mut Adapter {
    &mut program.adapters[AdapterId::from_u32(0)]
}

const ADAPTER_DAMAGES: &[Damage] = &[
    (
        |p| adapter(p).lower.domain = DomainId::from_u32(1),
        "domain1",
    ),
    (
        |p| adapter(p).lift.options.domain = DomainId::from_u32(0),
        "domain0",
    ),
    (
        |p| adapter(p).lower.memory = Some(MemoryId::from_u32(0)),
        "mem0 is not of domain0",
    ),
    (|p| adapter(p).lift.callee.key = key(0), "core[0]:f0 has"),
    (
        |p| adapter(p).lift.post_return = Some(adapter(p).lift.callee),
        "post-return has another signature",
    ),
    (
        |p| adapter(p).ty = p.interface.lifts[LiftId::from_u32(0)].ty,
        "lift and lower have different types",
    ),
    (
        |p| p.reachable.retain(|&key| key != self::key(2)),
        "core[0]:f2 is not reachable",
    ),
    (
        |p| {
            p.reachable
                .retain(|key| !matches!(key, FuncKey::Adapter(_)))
        },
        "adapter[0], which is not reachable",
    ),
    (
        |p| p.adapters = IndexVec::new(),
        "adapter[0] does not exist",
    ),
];

const ERROR_CONTEXTS: &str = r#"
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (core func $new (canon error-context.new (memory (core memory $libc "memory"))))
  (core func $message (canon error-context.debug-message
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "message" (func $message (param i32 i32)))
    (func (export "run") (call $message (call $new (i32.const 0) (i32.const 0)) (i32.const 0))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "message"
    (func $message))))))
  (func (export "run") (canon lift (core func $m "run"))))
"#;

const ERROR_CONTEXT_DAMAGES: &[Damage] = &[
    (
        |p| canon(p, 0).op = CanonOp::ErrorContextDrop,
        "error-context.drop has another signature",
    ),
    (
        |p| canon(p, 0).options.memory = None,
        "error-context.new has no memory",
    ),
    (
        |p| canon(p, 1).options.realloc = None,
        "error-context.debug-message has no realloc",
    ),
    (
        |p| canon(p, 0).options.domain = DomainId::from_u32(1),
        "canon[0] runs in domain1",
    ),
    (
        |p| p.reachable.retain(|key| !matches!(key, FuncKey::Canon(_))),
        "canon[0], which is not reachable",
    ),
    (|p| p.canons = IndexVec::new(), "canon[0] does not exist"),
];

#[test]
fn damages_are_found() {
    check(TEXT, DAMAGES);
    check(RESOURCES, RESOURCE_DAMAGES);
    check(ADAPTERS, ADAPTER_DAMAGES);
    check(ERROR_CONTEXTS, ERROR_CONTEXT_DAMAGES);
}

fn check(text: &str, damages: &[Damage]) {
    let bytes = wat::parse_str(text).unwrap();
    let tunables = Tunables {
        features: Features {
            error_context: true,
            ..Features::default()
        },
        ..Tunables::default()
    };
    let program = || build(&bytes, &tunables).unwrap();
    verify(&program()).unwrap();
    for (number, (damage, expected)) in damages.iter().enumerate() {
        let mut program = program();
        damage(&mut program);
        let error =
            verify(&program).map_or_else(|error| format!("{error:#}"), |()| "nothing".into());
        assert!(
            error.contains(expected),
            "damage {number}: expected `{expected}`, found: {error}"
        );
    }
}
