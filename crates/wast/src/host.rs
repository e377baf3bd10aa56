//! The host functions that component scripts can import.
//!
//! Root imports whose names start with `echo` return their argument, and those that start with
//! `fail` return an error. They can have any type.
//!
//! The other names are those that Wasmtime's scripts import: `host-return-two` and `host-echo-u32`
//! at the root, and the instance `host`. The latter has functions that return a constant, and the
//! resource types `resource1` (also named `resource1-again`) and `resource2`. The representation of
//! a `resource1` is the number that its constructor was given. The core module `simple-module` of
//! `host` is compiled into the component that imports it.

use mintage::error::{Result, bail, ensure};
use mintage::{Component, Linker, LinkerInstance, Resource, ResourceType, StoreContextMut};
use wasm_encoder::{
    CodeSection, ComponentBuilder, ComponentExportKind, ConstExpr, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, Module, TypeSection, ValType,
};

/// The store's data.
#[derive(Default)]
pub(crate) struct Host {
    /// Number of `resource1` that guests have dropped.
    drops: u32,
    /// Representation of the `resource1` that was dropped last.
    last_drop: u32,
}

type Cx<'a> = StoreContextMut<'a, Host>;

enum Resource1 {}
enum Resource2 {}
type Numbered = Resource<Resource1>;

/// Builds a component that exports the core modules of `host`.
pub(crate) fn modules() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut globals = GlobalSection::new();
    let ty = GlobalType {
        val_type: ValType::I32,
        mutable: false,
        shared: false,
    };
    globals.global(ty, &ConstExpr::i32_const(100));
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    exports.export("g", ExportKind::Global, 0);
    let mut body = Function::new([]);
    body.instructions().i32_const(101).end();
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&globals);
    module.section(&exports).section(&code);

    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module);
    component.export("simple-module", ComponentExportKind::Module, module, None);
    component.finish()
}

/// Defines all host functions. Those with names `echo…` and `fail…` depend on the imports of
/// `component`.
pub(crate) fn linker(component: &Component) -> Result<Linker<Host>> {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    for (name, _) in component.component_type().imports(engine) {
        if name.starts_with("echo") {
            linker.root().func_new(name, |_, _, args, results| {
                results.clone_from_slice(args);
                Ok(())
            })?;
        } else if name.starts_with("fail") {
            linker
                .root()
                .func_new(name, |_, _, _, _| bail!("the host function failed"))?;
        }
    }
    let mut root = linker.root();
    root.func_wrap("host-return-two", |_: Cx<'_>, (): ()| Ok((2u32,)))?;
    root.func_wrap("host-echo-u32", |_: Cx<'_>, (value,): (u32,)| Ok((value,)))?;
    let mut host = linker.instance("host")?;
    host.func_wrap("return-three", |_: Cx<'_>, (): ()| Ok((3u32,)))?;
    host.func_wrap("return-hi", |_: Cx<'_>, (): ()| Ok(("hi".to_string(),)))?;
    host.instance("nested")?
        .func_wrap("return-four", |_: Cx<'_>, (): ()| Ok((4u32,)))?;
    resources(&mut host)?;
    Ok(linker)
}

fn resources(host: &mut LinkerInstance<'_, Host>) -> Result<()> {
    for name in ["resource1", "resource1-again"] {
        host.resource(
            name,
            ResourceType::host::<Resource1>(),
            |mut store, number| {
                store.data_mut().drops += 1;
                store.data_mut().last_drop = number;
                Ok(())
            },
        )?;
    }
    host.resource(
        "resource2",
        ResourceType::host::<Resource2>(),
        |_, _| Ok(()),
    )?;
    host.func_wrap("[constructor]resource1", |_: Cx<'_>, (number,): (u32,)| {
        Ok((Numbered::new_own(number),))
    })?;
    host.func_wrap(
        "[static]resource1.assert",
        |_: Cx<'_>, (handle, number): (Numbered, u32)| check(&handle, true, Some(number)),
    )?;
    host.func_wrap("[static]resource1.last-drop", |store: Cx<'_>, (): ()| {
        Ok((store.data().last_drop,))
    })?;
    host.func_wrap("[static]resource1.drops", |store: Cx<'_>, (): ()| {
        Ok((store.data().drops,))
    })?;
    host.func_wrap(
        "[method]resource1.simple",
        |_: Cx<'_>, (handle, number): (Numbered, u32)| check(&handle, false, Some(number)),
    )?;
    host.func_wrap(
        "[method]resource1.take-borrow",
        |_: Cx<'_>, (handle, other): (Numbered, Numbered)| {
            check(&handle, false, None)?;
            check(&other, false, None)
        },
    )?;
    host.func_wrap(
        "[method]resource1.take-own",
        |_: Cx<'_>, (handle, other): (Numbered, Numbered)| {
            check(&handle, false, None)?;
            check(&other, true, None)
        },
    )
}

/// Checks whether a handle is owned, and the representation of its resource.
fn check(handle: &Numbered, owned: bool, number: Option<u32>) -> Result<()> {
    ensure!(
        handle.owned() == owned,
        "`owned` of the handle is {}, not {owned}",
        handle.owned()
    );
    if let Some(number) = number {
        ensure!(
            handle.rep() == number,
            "the representation of the resource is {}, not {number}",
            handle.rep()
        );
    }
    Ok(())
}
