//! The module `wasmtime` that core scripts can import. Its function `gc` runs a garbage collection.
//!
//! `gc` is a guest function that allocates an object. With
//! [`Config::gc_zeal`](mintage::Config::gc_zeal), which the header `gc = true` turns on, each
//! allocation runs a collection, with the caller's frames on the stack.

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, FieldType, Function, FunctionSection, Module,
    StorageType, TypeSection, ValType,
};

/// The name by which scripts import the module.
pub(crate) const NAME: &str = "wasmtime";

/// Builds the module.
pub(crate) fn module() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().struct_([FieldType {
        element_type: StorageType::Val(ValType::I32),
        mutable: false,
    }]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("gc", ExportKind::Func, 0);
    let mut body = Function::new([]);
    body.instructions().struct_new_default(1).drop().end();
    let mut code = CodeSection::new();
    code.function(&body);

    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module
}
