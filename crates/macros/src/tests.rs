//! What the macros say to types that they do not take. What they make of others is tested with
//! guests, in the tests of `mintage`.

use crate::{Trait, expand, flags};
use syn::parse_str;

/// Returns the messages for a type that none of the traits can be derived for.
fn derive_error(text: &str) -> String {
    let [message, others @ ..] = [Trait::ComponentType, Trait::Lift, Trait::Lower].map(|derived| {
        let input = parse_str(text).expect("a Rust type");
        let expanded = expand(input, derived);
        expanded.expect_err("the type is not taken").to_string()
    });
    assert!(others.iter().all(|other| *other == message));
    message
}

fn flags_error(text: &str) -> String {
    let expanded = parse_str(text).and_then(|flags| flags::expand(&flags));
    expanded.expect_err("the flags are not taken").to_string()
}

#[test]
fn types_say_what_they_are() {
    let cases = [
        ("struct A { x: u8 }", "say what the type is"),
        (
            "#[component(record, variant)] struct A { x: u8 }",
            "and this is `record`",
        ),
        (
            "#[component(record)] #[component(enum)] struct A { x: u8 }",
            "and this is `record`",
        ),
        (
            "#[component(flags)] struct A { x: u8 }",
            "the macro `flags!` defines a type",
        ),
        (
            "#[component(list)] struct A { x: u8 }",
            "expected `record`, `variant`, `enum`",
        ),
        ("#[component(a::b)] struct A { x: u8 }", "expected one word"),
        (
            "#[component(name = \"a\")] #[component(record)] struct A { x: u8 }",
            "names belong to",
        ),
    ];
    for (text, expected) in cases {
        let message = derive_error(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn types_have_the_shape_that_they_say() {
    let cases = [
        (
            "#[component(record)] enum A { X }",
            "a record is a `struct`",
        ),
        (
            "#[component(record)] union A { x: u8 }",
            "a record is a `struct`",
        ),
        (
            "#[component(variant)] struct A { x: u8 }",
            "`variant` is for enums",
        ),
        (
            "#[component(enum)] struct A { x: u8 }",
            "`enum` is for enums",
        ),
        (
            "#[component(record)] struct A(u8);",
            "a tuple is a Rust tuple",
        ),
        (
            "#[component(record)] struct A;",
            "a record has named fields",
        ),
        ("#[component(variant)] enum A {}", "at least one case"),
        ("#[component(enum)] enum A {}", "at least one case"),
        (
            "#[component(variant)] enum A { X(u8, u8) }",
            "no payload or one",
        ),
        (
            "#[component(variant)] enum A { X { x: u8 } }",
            "no payload or one",
        ),
        ("#[component(variant)] enum A { X() }", "no payload or one"),
        (
            "#[component(enum)] enum A { X, Y(u8) }",
            "cases of an enum have no payload",
        ),
        (
            "#[component(enum)] enum A { X = 1 }",
            "remove the discriminant",
        ),
    ];
    for (text, expected) in cases {
        let message = derive_error(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn parts_have_one_name() {
    let cases = [
        (
            "#[component(name = \"a\", name = \"b\")] x: u8",
            "there is a name already: `a`",
        ),
        ("#[component(name = 1)] x: u8", "expected string literal"),
        ("#[component(record)] x: u8", "expected `name = \"...\"`"),
    ];
    for (field, expected) in cases {
        let message = derive_error(&format!("#[component(record)] struct A {{ {field} }}"));
        assert!(message.contains(expected), "{field}: {message}");
    }
}

#[test]
fn sets_of_flags_are_checked() {
    let many: String = (0..33).map(|i| format!("const F{i};")).collect();
    let cases = [
        ("A {}".to_string(), "1 to 32 flags, and this has 0"),
        (format!("A {{ {many} }}"), "1 to 32 flags, and this has 33"),
        (
            "A { const X const Y; }".to_string(),
            "expected `;` after a flag",
        ),
        ("A { X; }".to_string(), "expected `const`"),
        (
            "#[component(record)] A { #[component(x)] const X; }".to_string(),
            "expected `name",
        ),
    ];
    for (text, expected) in cases {
        let message = flags_error(&text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}
