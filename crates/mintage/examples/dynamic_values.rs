//! Calls an exported function whose type is not known when the host is compiled.

use mintage::types::Type;
use mintage::{Component, Engine, Linker, Result, Store, Val};

const COMPONENT: &str = r#"(component
    (type $point' (record (field "x" s32) (field "y" s32)))
    (import "point" (type $point (eq $point')))
    (core module $m
        (memory (export "memory") 1)
        (func (export "mirror") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 1))
            (i32.store (i32.const 4) (local.get 0))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "mirror") (param "p" $point) (result $point)
        (canon lift (core func $i "mirror") (memory (core memory $i "memory")))))"#;

/// Makes some value of a type.
fn example(ty: &Type) -> Val {
    match ty {
        Type::S32 => Val::S32(7),
        Type::Record(record) => Val::Record(
            record
                .fields()
                .map(|field| (field.name.to_string(), example(&field.ty)))
                .collect(),
        ),
        other => panic!("this example has no value of the type {other:?}"),
    }
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let mirror = instance
        .get_func(&mut store, "mirror")
        .expect("the component exports `mirror`");

    // The types of parameters and results can be looked at.
    let ty = mirror.ty(&store);
    let params: Vec<Val> = ty.params().map(|(_, ty)| example(&ty)).collect();
    let mut results = vec![Val::Bool(false); ty.results().count()];
    mirror.call(&mut store, &params, &mut results)?;
    println!("{params:?} -> {results:?}");

    let point = |x, y| Val::Record(vec![("x".into(), Val::S32(x)), ("y".into(), Val::S32(y))]);
    mirror.call(&mut store, &[point(1, 2)], &mut results)?;
    assert_eq!(results, [point(2, 1)]);
    Ok(())
}
