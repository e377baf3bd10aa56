//! The paths by which hosts import the API.

use mintage::component::{
    Component, ComponentExportIndex, ComponentNamedList, ComponentType, ErrorContext, ExportLookup,
    Func, FutureAny, HasData, HasSelf, Instance, InstancePre, Lift, Linker, LinkerInstance, Lower,
    Resource, ResourceAny, ResourceDynamic, ResourceTable, ResourceTableError, ResourceType,
    StreamAny, Type, TypedFunc, Val, bindgen, flags, types,
};
use mintage::error::Context;
use mintage::{
    AsContext, AsContextMut, Config, Engine, Error, FrameInfo, FrameSymbol, Module,
    ResourcesRequired, Result, Store, StoreContext, StoreContextMut, ToWasmtimeResult, Trap,
    WasmBacktrace, bail, ensure, format_err,
};

flags! {
    Colors {
        const RED;
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(enum)]
enum Side {
    Left,
}

bindgen!({ inline: "package a:b; world hosted { export run: func(); }" });

#[test]
fn hosts_import_from_the_module_of_components() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )?;
    let linker: Linker<ResourceTable> = Linker::new(&engine);
    let mut store = Store::new(&engine, ResourceTable::new());
    let pre: InstancePre<ResourceTable> = linker.instantiate_pre(&component)?;
    let instance: Instance = pre.instantiate(&mut store)?;
    let run: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "run")?;
    run.call(&mut store, ())?;
    let hosted = HostedPre::new(pre)?.instantiate(&mut store)?;
    hosted.call_run(&mut store)?;

    let described = <Side as ComponentType>::describe();
    assert_eq!(described, "enum { left }");
    assert!(Colors::all().contains(Colors::RED));
    assert!(matches!(
        (Side::Left, Val::Bool(true)),
        (Side::Left, Val::Bool(true))
    ));
    let _: fn() -> Option<HasSelf<ResourceTable>> = || None;
    Ok(())
}

/// Names that hosts write in signatures of their own.
#[allow(
    dead_code,
    clippy::type_complexity,
    clippy::implied_bounds_in_impls,
    reason = "only that it compiles matters"
)]
mod signatures {
    use super::*;

    fn of_components(
        _: (
            &Component,
            ComponentExportIndex,
            &dyn Fn(&str) -> Option<Func>,
        ),
        _: (&mut LinkerInstance<'_, ()>, &Linker<()>, &InstancePre<()>),
        _: (Resource<()>, ResourceAny, ResourceDynamic, ResourceType),
        _: (ResourceTable, ResourceTableError),
        _: (
            FutureAny,
            StreamAny,
            ErrorContext,
            Type,
            types::ComponentItem,
        ),
        _: impl ExportLookup,
    ) {
    }

    fn of_the_root(
        _: (&Config, &Engine, Error, Trap, &Module, ResourcesRequired),
        _: (&WasmBacktrace, &FrameInfo, &FrameSymbol),
        _: (StoreContext<'_, ()>, StoreContextMut<'_, ()>),
        _: impl AsContext + AsContextMut,
    ) {
    }

    fn typed<P, R>(func: Func, store: impl AsContext) -> Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        func.typed(store)
    }

    fn data<D: HasData>(data: D::Data<'_>) -> D::Data<'_> {
        data
    }

    /// A bound on the trait with both of its parameters.
    fn with_context<T, E, R: Context<T, E>>(result: R) -> Result<T> {
        result.context("context")
    }
}

#[test]
fn errors_are_made_and_converted_as_hosts_do_it() {
    fn page(number: u32) -> Result<u32> {
        ensure!(number < 10, "page {number} of 10");
        match number {
            0 => bail!("pages are counted from 1"),
            number => Ok(number),
        }
    }
    fn foreign(text: &str) -> anyhow::Result<u32> {
        Ok(text.parse()?)
    }
    fn parsed(text: &str) -> Result<u32> {
        text.parse::<u32>().to_wasmtime_result()
    }

    assert_eq!(page(11).unwrap_err().to_string(), "page 11 of 10");
    assert_eq!(page(0).unwrap_err().to_string(), "pages are counted from 1");
    assert_eq!(format_err!("{}", 1).to_string(), "1");
    assert!(parsed("x").unwrap_err().is::<std::num::ParseIntError>());
    let converted: Result<u32> = foreign("x").to_wasmtime_result();
    assert!(converted.unwrap_err().is::<std::num::ParseIntError>());
    let error = None::<u32>.with_context(|| "nothing").unwrap_err();
    assert_eq!(error.to_string(), "nothing");
}
