//! Function bodies with extreme demands: each is rejected or compiled in bounded time and memory.
//! A binary of its own, because it measures the peak memory of its process.

mod common;

use common::Outcome::{Error, Fine};
use common::{Case, check};
use mintage::{Component, Config, Engine, Linker, Store, Trap};
use wasm_encoder::{
    BlockType, CodeSection, ComponentBuilder, ExportKind, ExportSection, Function, FunctionSection,
    InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType, Module, ModuleArg,
    PrimitiveValType, TypeSection, ValType,
};

/// Maximum size of a body that the validator accepts.
const MAX_BODY: usize = 7_654_321;

/// The first byte of the only memory.
const MEMORY: MemArg = MemArg {
    offset: 0,
    align: 0,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// Builds a component that exports a function without parameters. Its core function, function 0,
/// has the given locals and instructions and returns an `i32`. Functions 1 and 2 return an `i32`,
/// too; function 2 is inlined into its callers.
fn body(locals: &[(u32, ValType)], instructions: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0).function(0).function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut function = Function::new(locals.iter().copied());
    let mut sink = function.instructions();
    instructions(&mut sink);
    sink.end();
    code.function(&function);
    let mut other = Function::new([]);
    let mut sink = other.instructions();
    sink.block(BlockType::Empty).end().i32_const(1).end();
    code.function(&other);
    let mut small = Function::new([]);
    let mut sink = small.instructions();
    sink.i32_const(0);
    (0..4).for_each(|_| _ = sink.i32_load(MEMORY));
    sink.end();
    code.function(&small);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);

    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module);
    let (ty, mut func) = component.type_function(None);
    func.params([("x", PrimitiveValType::U32); 0])
        .result(Some(PrimitiveValType::U32.into()));
    let instance =
        component.core_instantiate(None, module, std::iter::empty::<(&str, ModuleArg)>());
    let core = component.core_alias_export(None, instance, "run", ExportKind::Func);
    let func = component.lift_func(None, core, ty, []);
    component.export("run", wasm_encoder::ComponentExportKind::Func, func, None);
    component.finish()
}

/// Builds a body of `depth` nested constructs.
fn nested(depth: usize, open: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    body(&[], |sink| {
        (0..depth).for_each(|_| open(sink));
        (0..depth).for_each(|_| _ = sink.end());
        sink.i32_const(0);
    })
}

/// Builds a body that repeats instructions of `size` bytes as often as fits.
fn repeated(size: usize, instructions: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    body(&[(1, ValType::I32)], |sink| {
        (0..(MAX_BODY - 100) / size).for_each(|_| instructions(sink));
        sink.local_get(0);
    })
}

/// Builds a body that sets each local and reads it after a call.
fn locals(count: u32) -> Vec<u8> {
    body(&[(count, ValType::I32)], |sink| {
        for local in 0..count {
            sink.call(1).local_set(local);
        }
        sink.i32_const(0);
        for local in 0..count {
            sink.local_get(local).i32_add();
        }
    })
}

/// Builds a body with `count` branch tables of `targets` targets each, which differ between tables.
fn tables(count: u32, targets: u32) -> Vec<u8> {
    body(&[], |sink| {
        for _ in 0..count {
            for _ in 0..50 {
                sink.block(BlockType::Empty);
            }
            sink.call(1)
                .br_table((0..targets).map(|target| target % 50), 0);
            for _ in 0..50 {
                sink.end();
            }
        }
        sink.i32_const(0);
    })
}

/// Cases run one by one, because the memory of parallel ones could not be told apart.
#[test]
fn bodies() {
    let chosen = std::env::var("BODY").unwrap_or_default();
    let cases: &[Case] = &[
        (
            "nested blocks",
            || nested(2_500_000, |sink| _ = sink.block(BlockType::Empty)),
            Fine,
        ),
        (
            "nested loops",
            || nested(2_500_000, |sink| _ = sink.loop_(BlockType::Empty)),
            Error("values; split it"),
        ),
        (
            "nested loops, fewer",
            || nested(200_000, |sink| _ = sink.loop_(BlockType::Empty)),
            Fine,
        ),
        (
            "nested conditions",
            || nested(1_200_000, |sink| _ = sink.call(1).if_(BlockType::Empty)),
            Error("values; split it"),
        ),
        (
            "nested conditions, fewer",
            || nested(40_000, |sink| _ = sink.call(1).if_(BlockType::Empty)),
            Fine,
        ),
        ("50,000 locals", || locals(50_000), Fine),
        (
            "more than 50,000 locals",
            || locals(50_001),
            Error("too many locals"),
        ),
        ("table of branches", || tables(1, 65_520), Fine),
        (
            "table of too many branches",
            || tables(1, 65_521),
            Error("more than the limit of 65520"),
        ),
        (
            "tables of branches",
            || tables(100, 65_520),
            Error("values; split it"),
        ),
        ("tables of branches, fewer", || tables(2, 65_520), Fine),
        (
            "calls",
            || repeated(4, |sink| _ = sink.call(1).local_set(0)),
            Error("values; split it"),
        ),
        (
            "calls, fewer",
            || repeated(40, |sink| _ = sink.call(1).local_set(0)),
            Fine,
        ),
        (
            "inlined calls",
            || repeated(4, |sink| _ = sink.call(2).local_set(0)),
            Error("values; split it"),
        ),
        (
            "inlined calls, fewer",
            || repeated(40, |sink| _ = sink.call(2).local_set(0)),
            Fine,
        ),
        (
            "loads",
            || {
                repeated(8, |sink| {
                    _ = sink.local_get(0).i32_load(MEMORY).local_set(0)
                })
            },
            Fine,
        ),
        (
            "sums",
            || {
                repeated(7, |sink| {
                    _ = sink.local_get(0).i32_const(1).i32_add().local_set(0)
                })
            },
            Fine,
        ),
        (
            "conditions",
            || {
                repeated(9, |sink| {
                    _ = sink
                        .local_get(0)
                        .if_(BlockType::Empty)
                        .i32_const(5)
                        .local_set(0)
                        .end()
                })
            },
            Error("values; split it"),
        ),
        (
            "a body that is too long",
            || repeated(3, |sink| _ = sink.i32_const(70).drop().nop()),
            Error("function body size"),
        ),
    ];
    for &(name, make, ref outcome) in cases {
        if name.contains(&chosen) {
            let outcome = match outcome {
                Error(text) => Error(text),
                Fine => Fine,
            };
            check(name, &make(), outcome);
        }
    }
    frames_larger_than_the_stack();
}

/// A frame that is larger than the guest stack is a trap and does not overflow the host's stack.
fn frames_larger_than_the_stack() {
    let engine = Engine::new(Config::new().debug_verifier(false)).unwrap();
    let large = body(&[(50_000, ValType::V128)], |sink| {
        for local in 0..50_000 {
            sink.call(1).i32x4_splat().local_set(local);
        }
        sink.i32_const(0);
        for local in 0..50_000 {
            sink.local_get(local).i32x4_extract_lane(0).i32_add();
        }
    });
    let component = Component::new(&engine, large).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let run = instance
        .get_typed_func::<(), (u32,)>(&mut store, "run")
        .unwrap();
    let error = run.call(&mut store, ()).unwrap_err();
    assert_eq!(
        error.downcast_ref(),
        Some(&Trap::StackOverflow),
        "{error:?}"
    );
}
