//! The paths by which hosts import the API.

use mintage::component::{
    Component, ComponentType, HasSelf, Instance, InstancePre, Lift, Linker, Lower, ResourceTable,
    TypedFunc, Val, bindgen, flags,
};
use mintage::{Engine, Result, Store};

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
