//! The module `wasmtime` that core scripts may import: its function `gc` collects what is not
//! reachable.
//!
//! `gc` is a guest function that allocates an object. Where
//! [`Config::gc_zeal`](mintage::Config::gc_zeal) is on, as it is for scripts whose header says `gc
//! = true`, each allocation collects, with the frames of the caller on the stack.

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, FieldType, Function, FunctionSection, Module,
    StorageType, TypeSection, ValType,
};

/// The name by which scripts import it.
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
