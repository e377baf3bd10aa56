//! The module `spectest` that core scripts can import (README of the specification's test suite,
//! "Spectest host module").

use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection,
    ValType,
};

/// The name by which scripts import the module.
pub(crate) const NAME: &str = "spectest";

/// The print functions, which ignore their arguments.
const FUNCTIONS: &[(&str, &[ValType])] = &[
    ("print", &[]),
    ("print_i32", &[ValType::I32]),
    ("print_i64", &[ValType::I64]),
    ("print_f32", &[ValType::F32]),
    ("print_f64", &[ValType::F64]),
    ("print_i32_f32", &[ValType::I32, ValType::F32]),
    ("print_f64_f64", &[ValType::F64, ValType::F64]),
];

/// Builds the module.
pub(crate) fn module() -> Module {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for (index, (name, params)) in (0..).zip(FUNCTIONS) {
        types.ty().function(params.iter().copied(), []);
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
    }

    let mut tables = TableSection::new();
    let limits = TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 10,
        maximum: Some(20),
        shared: false,
    };
    tables.table(limits);
    exports.export("table", ExportKind::Table, 0);

    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(2),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);

    let mut globals = GlobalSection::new();
    let constants = [
        ("global_i32", ValType::I32, ConstExpr::i32_const(666)),
        ("global_i64", ValType::I64, ConstExpr::i64_const(666)),
        (
            "global_f32",
            ValType::F32,
            ConstExpr::f32_const(666.6_f32.into()),
        ),
        (
            "global_f64",
            ValType::F64,
            ConstExpr::f64_const(666.6_f64.into()),
        ),
    ];
    for (index, (name, val_type, value)) in (0..).zip(constants) {
        globals.global(
            GlobalType {
                val_type,
                mutable: false,
                shared: false,
            },
            &value,
        );
        exports.export(name, ExportKind::Global, index);
    }

    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&tables)
        .section(&memories);
    module.section(&globals).section(&exports).section(&code);
    module
}
