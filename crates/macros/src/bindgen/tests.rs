//! What `bindgen!` says of bad input.

use super::{Input, generate};
use std::path::Path;

/// Returns the error for the input of the macro.
fn error(input: &str) -> String {
    let parsed = match syn::parse_str::<Input>(input) {
        Ok(parsed) => parsed,
        Err(error) => return error.to_string(),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match generate(&parsed, root) {
        Ok(code) => panic!("{input}: {code}"),
        Err(error) => format!("{error:#}"),
    }
}

/// Checks that the error for some options, beside a world, has these parts.
#[track_caller]
fn check(options: &str, parts: &[&str]) {
    const WORLD: &str = r##"
        inline: r#"
            package a:b@1.2.0;
            interface i {
                enum error { bad }
                resource thing { go: func(); }
                f: func() -> result<_, error>;
            }
            world w {
                import i;
                import alone: func();
                export run: func();
            }
        "#,
    "##;
    let error = error(&format!("{{ {WORLD} {options} }}"));
    for part in parts {
        assert!(error.contains(part), "{options}: {error}");
    }
}

#[test]
fn options_are_known() {
    check("asink: true", &["unknown option `asink`", "`async`"]);
    check("world: \"w\", world: \"w\"", &["`world` is given twice"]);
    check(
        "imports: { default: fast }",
        &["unknown flag `fast`", "`trappable`"],
    );
    check("imports: { f: async }", &["as a string, or `default`"]);
    check(
        "async: { some_imports: [] }",
        &["`only_imports` or `except_imports`"],
    );
    check("ownership: Renting", &["expected `Owning`"]);
    check(
        "interfaces: \"import i;\"",
        &["`interfaces` takes the place"],
    );
}

#[test]
fn names_mean_something() {
    check("with: { \"a:b/j\": super::j }", &["`with` names `a:b/j`"]);
    check(
        "trappable_error_type: { \"a:b/i.errors\" => E }",
        &["`trappable_error_type` names `a:b/i.errors`"],
    );
    check(
        "named_imports: { \"a:b/j\": String }",
        &["`named_imports` names `a:b/j`"],
    );
    check(
        "imports: { \"a:b/i.g\": async }",
        &["`imports` has a rule for `a:b/i.g`"],
    );
    check(
        "exports: { \"go\": async }",
        &["`exports` has a rule for `go`"],
    );
    check(
        "trappable_imports: [\"g\"]",
        &["`imports` has a rule for `g`"],
    );
    check("world: \"v\"", &["`v` not found"]);
}

#[test]
fn rules_that_others_hide_are_errors() {
    check(
        "imports: { \"alone\": async, \"alone\": trappable }",
        &["rule for `alone`"],
    );
    // Names of functions are more specific than that of their interface.
    check(
        "imports: {
            \"a:b/i.f\": async, \"a:b/i.[method]thing.go\": async, \"a:b/i.[drop]thing\": async,
            \"a:b/i@1.2.0\": trappable,
        }",
        &["rule for `a:b/i@1.2.0`"],
    );
    // What takes the place of an interface has its own functions and types.
    check(
        "with: { \"a:b/i\": super::i, \"a:b/i.thing\": Thing }",
        &["`with` names `a:b/i.thing`"],
    );
    check(
        "with: { \"a:b/i\": super::i }, imports: { \"a:b/i.f\": async }",
        &["rule for `a:b/i.f`"],
    );
    // The name of a function at the world is not that of one in an interface.
    check("imports: { \"f\": async }", &["rule for `f`"]);
}

#[test]
fn errors_name_file_and_line() {
    let error = error("{ inline: \"package a:b;\\nworld w {\\n  import no-such;\\n}\" }");
    assert!(error.contains("inline.wit:3"), "{error}");
    let error = self::error("{ path: \"no-such-folder\" }");
    assert!(error.contains("no-such-folder"), "{error}");
}

#[test]
fn code_can_be_text() {
    let inline = "{ stringify: true, inline: \"package a:b; world w { export f: func(); }\" }";
    let input = syn::parse_str::<Input>(inline).unwrap();
    let code = generate(&input, Path::new("")).unwrap();
    let text = syn::parse2::<syn::LitStr>(code).unwrap().value();
    assert!(text.contains("pub struct WPre<T: 'static>"), "{text}");
}
