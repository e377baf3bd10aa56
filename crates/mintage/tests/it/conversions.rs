//! Conversions between `Val`s and Rust types without a guest.

use crate::common::message;
use mintage::component::{
    Component, ComponentType, InPlaceList, Lift, Lower, Resource, ResourceAny, Type, Val,
};
use mintage::types::ComponentItem;
use mintage::{Config, Engine, Result};
use std::collections::BTreeMap;

/// Returns the type of the parameter of an imported function, `ty` in the text format.
fn type_of(ty: &str) -> Type {
    let mut config = Config::new();
    config
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true);
    let engine = Engine::new(&config).unwrap();
    let text = format!(
        r#"(component
            (import "r" (type $r (sub resource)))
            (type $shape' (variant (case "circle" f64) (case "none")))
            (import "shape" (type $shape (eq $shape')))
            (import "f" (func (param "x" {ty}))))"#
    );
    let component = Component::new(&engine, text).unwrap();
    let ty = component.component_type();
    let import = ty.get_import(&engine, "f").unwrap();
    let ComponentItem::ComponentFunc(func) = import.ty else {
        panic!("`f` is a function");
    };
    let (_, ty) = func.params().next().unwrap();
    ty
}

fn check<T: Lower + Lift + PartialEq + std::fmt::Debug>(ty: &str, value: T, val: Val) {
    let ty = type_of(ty);
    assert_eq!(Val::from_typed(&value, &ty).unwrap(), val);
    assert_eq!(val.to_typed::<T>(&ty).unwrap(), value);
}

#[derive(ComponentType, Lift, Lower, PartialEq, Debug)]
#[component(variant)]
enum Shape {
    Circle(f64),
    None,
}

#[test]
fn values_of_all_shapes_convert_both_ways() {
    check("u8", 200u8, Val::U8(200));
    check("char", 'ß', Val::Char('ß'));
    check("string", "grüße".to_string(), Val::String("grüße".into()));
    check("(list u8)", b"abc".to_vec(), Val::bytes(b"abc"));
    check(
        "(tuple u64 (list string))",
        (u64::MAX, vec!["a".to_string(), String::new()]),
        Val::Tuple(vec![
            Val::U64(u64::MAX),
            Val::List(["a", ""].map(|text| Val::String(text.into())).into()),
        ]),
    );
    let payload = Some(Box::new(Val::Float64(0.5)));
    check(
        "$shape",
        Shape::Circle(0.5),
        Val::Variant("circle".into(), payload),
    );
    check("$shape", Shape::None, Val::Variant("none".into(), None));
    check(
        "(result (option u8) (error string))",
        Err::<Option<u8>, _>("no".to_string()),
        Val::Result(Err(Some(Box::new(Val::String("no".into()))))),
    );
    check(
        "(map u8 bool)",
        BTreeMap::from([(1u8, true)]),
        Val::Map(vec![(Val::U8(1), Val::Bool(true))]),
    );
    check(
        "(list u8 2)",
        [1u8, 2],
        Val::FixedLengthList(vec![Val::U8(1), Val::U8(2)]),
    );
}

#[test]
fn unsized_and_in_place_values_convert() -> Result<()> {
    assert_eq!(
        Val::from_typed("text", &Type::String)?,
        Val::String("text".into())
    );
    let list = InPlaceList::new(5, |block: &mut [u8]| {
        block[..2].copy_from_slice(b"ab");
        Ok(2usize)
    });
    assert_eq!(
        Val::from_typed(&list, &type_of("(list u8)"))?,
        Val::bytes(b"ab")
    );
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() {
    let bytes = type_of("(list u8)");
    let expected = "the component type is `list<u8>`, the Rust type has `string`";
    let error = message(Val::from_typed("text", &bytes));
    assert!(error.contains(expected), "{error}");
    let error = message(Val::bytes(b"x").to_typed::<String>(&bytes));
    assert!(error.contains(expected), "{error}");
    let mixed = Val::List(vec![Val::U8(1), Val::Bool(true)]);
    let error = message(mixed.to_typed::<Vec<u8>>(&bytes));
    assert!(error.contains("in element 1 of a list"), "{error}");
    let error = message(Val::U8(1).to_typed::<u16>(&Type::U16));
    assert!(error.contains("expected `u16`"), "{error}");
}

#[test]
fn resources_need_a_store() {
    let resource = Resource::<u8>::new_own(1);
    let error = message(Val::from_typed(&resource, &type_of("(own $r)")));
    assert!(error.contains("without a store"), "{error}");
    let ty = type_of("(list (own $r))");
    assert!(Val::from_typed(&vec![resource], &ty).is_err());
    assert!(Val::List(vec![]).to_typed::<Vec<ResourceAny>>(&ty).is_ok());
}
