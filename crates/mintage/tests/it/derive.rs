//! Rust types that derive what makes them component types.

use crate::common;
use crate::values::check_typed_with;
use mintage::{
    Component, ComponentType, Config, Engine, Lift, Linker, Lower, Result, Store, StoreContextMut,
    flags,
};

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(record)]
struct Person {
    #[component(name = "full-name")]
    name: String,
    age: Option<u32>,
    home_address: (u8, u64),
}

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(variant)]
enum Shape {
    Circle(f64),
    Polygon(Vec<(i16, i16)>),
    #[component(name = "nothing")]
    Empty,
    Labelled(Person),
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Debug)]
#[component(enum)]
#[repr(u8)]
enum Suit {
    Hearts,
    Spades,
    #[component(name = "red-diamonds")]
    Diamonds,
}

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(record)]
struct Pair<A, B> {
    first: A,
    second: B,
}

flags! {
    #[derive(PartialOrd, Ord)]
    Permissions {
        const READ;
        const WRITE_ALL;
        #[component(name = "x")]
        const EXECUTE;
    }
}

const PERSON: &str = r#"(type $person' (record
    (field "full-name" string) (field "age" (option u32))
    (field "home-address" (tuple u8 u64))))
    (import "person" (type $person (eq $person')))"#;

fn people() -> [Person; 2] {
    [("", None), ("Zoë", Some(41))].map(|(name, age)| Person {
        name: name.to_string(),
        age,
        home_address: (7, u64::MAX),
    })
}

#[test]
fn records() {
    let flat = ["i32", "i32", "i32", "i32", "i32", "i64"];
    check_typed_with(PERSON, "$person", &flat, &people());
    check_typed_with(
        PERSON,
        "(list $person)",
        &["i32", "i32"],
        &[people().to_vec()],
    );
}

#[test]
fn generic_records() {
    let defs = r#"(type $pair' (record (field "first" u8) (field "second" string)))
        (import "pair" (type $pair (eq $pair')))"#;
    let pair = Pair {
        first: 3u8,
        second: "two".to_string(),
    };
    check_typed_with(defs, "$pair", &["i32", "i32", "i32"], &[pair]);
}

/// Lifetimes are for values that are passed to guests only.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Borrowed<'a, T: Copy, const N: usize>
where
    T: std::fmt::Debug,
{
    #[component(name = "type")]
    r#type: &'a str,
    items: &'a [T],
    array: [T; N],
    case: Choice<'a, T>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum Choice<'a, T> {
    Left(&'a T),
    Right,
}

#[test]
fn records_and_variants_that_borrow() -> Result<()> {
    let mut config = Config::new();
    config.wasm_component_model_fixed_length_lists(true);
    let engine = Engine::new(&config)?;
    let component = common::component(
        &engine,
        r#"(func (export "f") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            ;; The length of the text, an element of the list, one of the array, and the payload.
            (i32.add (i32.add (local.get 1) (i32.load16_u offset=2 (local.get 2)))
                (i32.add (local.get 5) (local.get 7))))"#,
        &format!(
            r#"(type $c' (variant (case "left" u16) (case "right")))
            (import "c" (type $c (eq $c')))
            (type $r' (record (field "type" string) (field "items" (list u16))
                (field "array" (list u16 2)) (field "case" $c)))
            (import "r" (type $r (eq $r')))
            (func (export "f") (param "x" $r) (result u32)
                (canon lift (core func $i "f") {}))"#,
            common::OPTIONS
        ),
    )?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let f = instance.get_typed_func::<(Borrowed<'_, u16, 2>,), (u32,)>(&mut store, "f")?;
    let (items, payload) = ([10, 20], 3000);
    for (case, expected) in [(Choice::Left(&payload), 3000), (Choice::Right, 0)] {
        let value = Borrowed {
            r#type: "abcd",
            items: &items,
            array: [100, 200],
            case,
        };
        assert_eq!(f.call(&mut store, (value,))?, (4 + 20 + 200 + expected,));
    }
    Ok(())
}

#[test]
fn variants() {
    let defs = format!(
        r#"{PERSON} (type $shape' (variant
            (case "circle" f64) (case "polygon" (list (tuple s16 s16))) (case "nothing")
            (case "labelled" $person)))
        (import "shape" (type $shape (eq $shape')))"#
    );
    let shapes = [
        Shape::Circle(-0.5),
        Shape::Polygon(vec![(1, -2), (i16::MIN, 3)]),
        Shape::Empty,
        Shape::Labelled(people()[1].clone()),
    ];
    let flat = ["i32", "i64", "i32", "i32", "i32", "i32", "i64"];
    check_typed_with(&defs, "$shape", &flat, &shapes);
    check_typed_with(&defs, "(list $shape)", &["i32", "i32"], &[shapes.to_vec()]);
}

#[test]
fn enums() {
    let defs = r#"(type $suit' (enum "hearts" "spades" "red-diamonds"))
        (import "suit" (type $suit (eq $suit')))"#;
    let suits = [Suit::Diamonds, Suit::Hearts, Suit::Spades];
    check_typed_with(defs, "$suit", &["i32"], &suits);
    check_typed_with(defs, "(list $suit)", &["i32", "i32"], &[suits.to_vec()]);
}

#[test]
fn sets_of_flags() {
    let defs = r#"(type $p' (flags "read" "write-all" "x")) (import "p" (type $p (eq $p')))"#;
    let sets = [
        Permissions::empty(),
        Permissions::READ | Permissions::EXECUTE,
        Permissions::all(),
    ];
    check_typed_with(defs, "$p", &["i32"], &sets);
    check_typed_with(defs, "(list $p)", &["i32", "i32"], &[sets.to_vec()]);
    let [none, some, all] = sets;
    assert!(none < all && all.contains(some) && some.intersects(Permissions::READ));
    assert_eq!(!some, Permissions::WRITE_ALL);
    assert_eq!(all - some, Permissions::WRITE_ALL);
    assert_eq!(format!("{some:?}"), "Permissions(READ | EXECUTE)");
}

/// A component whose import and type are given.
fn link<P: mintage::ComponentNamedList + Lift + 'static>(ty: &str) -> Result<()> {
    let engine = Engine::default();
    let text = format!(r#"(component {ty} (import "f" (func (param "x" $t))))"#);
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::new(&engine);
    let ignore = |_: StoreContextMut<'_, ()>, _: P| Ok(());
    linker.root().func_wrap("f", ignore)?;
    linker.instantiate(&mut Store::new(&engine, ()), &component)?;
    Ok(())
}

#[test]
fn other_types_do_not_link() {
    let ty = |text: &str| format!(r#"(type $t' {text}) (import "t" (type $t (eq $t')))"#);
    let cases = [
        r#"(record (field "first" u8) (field "second" u16))"#,
        r#"(record (field "first" u8) (field "other" string))"#,
        r#"(record (field "first" u8))"#,
        r#"(variant (case "first" u8) (case "second" string))"#,
    ];
    for case in cases {
        let error = link::<(Pair<u8, String>,)>(&ty(case)).unwrap_err();
        let message = format!("{error:#}");
        let expected = "`record { first: u8, second: string }`";
        assert!(message.contains(expected), "{case}: {message}");
    }
    let error = link::<(Suit,)>(&ty(r#"(enum "hearts" "spades")"#)).unwrap_err();
    let message = format!("{error:#}");
    assert!(
        message.contains("enum { hearts, spades, red-diamonds }"),
        "{message}"
    );
}
