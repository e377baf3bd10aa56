//! Values as text, in WebAssembly Value Encoding (WAVE). Based on the crate `wasm-wave`.

mod read;
mod write;

pub(crate) use read::parse_args;
pub(crate) use write::to_string;

#[cfg(test)]
mod tests {
    use super::*;
    use mintage::error::Result;
    use mintage::types::ComponentItem;
    use mintage::{Component, Config, Engine, Val};

    /// A component that imports a function with one parameter per type in these tests, named after
    /// the type.
    const TYPES: &str = r#"(component
        (type $record (record (field "x" u8) (field "y" (option u32))))
        (import "record" (type $r (eq $record)))
        (type $variant (variant (case "a" u8) (case "b")))
        (import "variant" (type $v (eq $variant)))
        (type $enum (enum "red" "green"))
        (import "enum" (type $e (eq $enum)))
        (type $nested (record (field "point" $r) (field "all" (list $v)) (field "best" (result $r
          (error string)))))
        (import "nested" (type $n (eq $nested)))
        (type $flags (flags "r" "w"))
        (import "flags" (type $f (eq $flags)))
        (import "all" (func
            (param "bool" bool) (param "s8" s8) (param "u64" u64) (param "f32" f32)
              (param "char" char)
            (param "string" string) (param "list" (list u8)) (param "option" (option u32))
              (param "record" $r)
            (param "tuple" (tuple u8 string)) (param "variant" $v) (param "enum" $e)
              (param "result" (result u8))
            (param "flags" $f) (param "map" (map string u8)) (param "nested" $n))))"#;

    fn parse(ty: &str, text: &str) -> Result<Val> {
        let engine = Engine::new(Config::new().wasm_component_model_map(true))?;
        let component = Component::new(&engine, TYPES).unwrap().component_type();
        let Some(ComponentItem::ComponentFunc(func)) =
            component.get_import(&engine, "all").map(|import| import.ty)
        else {
            panic!("no function is imported")
        };
        let param = func.params().find(|(name, _)| *name == ty).unwrap();
        parse_args(text, &[param]).map(|mut values| values.remove(0))
    }

    #[test]
    fn every_kind_round_trips() {
        for (ty, text) in [
            ("bool", "true"),
            ("s8", "-128"),
            ("u64", "18446744073709551615"),
            ("f32", "-0.5"),
            ("f32", "nan"),
            ("char", "'☃'"),
            ("string", r#""a \"b\" ☃""#),
            ("list", "[1, 2, 255]"),
            ("list", "[]"),
            ("option", "some(7)"),
            ("option", "none"),
            ("record", "{x: 1, y: some(2)}"),
            ("tuple", r#"(1, "b")"#),
            ("variant", "a(3)"),
            ("variant", "b"),
            ("enum", "green"),
            ("result", "ok(1)"),
            ("result", "err"),
            ("flags", "{r, w}"),
            ("flags", "{}"),
        ] {
            let value = parse(ty, &format!("({text})"))
                .unwrap_or_else(|error| panic!("{ty} {text}: {error:#}"));
            assert_eq!(to_string(&value).unwrap(), text, "{ty}");
        }
    }

    #[test]
    fn maps_are_read_in_both_forms() {
        for (text, printed) in [
            (r#"({"a": 1, "b": 2})"#, r#"[("a", 1), ("b", 2)]"#),
            (r#"([("a", 1), ("b", 2)])"#, r#"[("a", 1), ("b", 2)]"#),
            ("({:})", "[]"),
        ] {
            assert_eq!(
                to_string(&parse("map", text).unwrap()).unwrap(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn cases_of_options_and_results_may_be_left_out() {
        for (ty, text, printed) in [
            ("option", "(7)", "some(7)"),
            ("result", "(7)", "ok(7)"),
            ("record", "({x: 1, y: 2})", "{x: 1, y: some(2)}"),
        ] {
            assert_eq!(
                to_string(&parse(ty, text).unwrap()).unwrap(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_values_are_refused_with_a_reason() {
        for (ty, text, reason) in [
            (
                "s8",
                "(128)",
                "argument `s8`: expected a `s8` (an integer from -128 to 127), found `128`",
            ),
            (
                "u64",
                "(-1)",
                "(an integer from 0 to 18446744073709551615), found `-1`",
            ),
            (
                "bool",
                "(1)",
                "argument `bool`: expected a `bool`, found `1`",
            ),
            ("string", "(5)", "expected a `string`, found `5`"),
            ("char", "('ab')", "invalid token at `'ab'`"),
            (
                "list",
                "([1, 2, 256])",
                "argument `list`, element 2: expected a `u8` (an integer from 0 to 255)",
            ),
            (
                "tuple",
                "((1, 2))",
                "argument `tuple`, element 1: expected a `string`, found `2`",
            ),
            ("tuple", "((1,))", "expected 2 values"),
            (
                "enum",
                "(blue)",
                "there is no case `blue`; expected one of `red`, `green`",
            ),
            (
                "flags",
                "({x})",
                "there is no flag `x`; expected one of `r`, `w`",
            ),
            (
                "variant",
                "(a)",
                "the case `a` has a payload of type `u8`: write `a(...)`",
            ),
            ("variant", "(b(1))", "the case `b` has no payload"),
            (
                "variant",
                "(a(256))",
                "argument `variant`, payload of `a`: expected a `u8`",
            ),
            ("result", "(ok)", "the case `ok` has a payload"),
            (
                "option",
                "(some(true))",
                "argument `option`, payload of `some`: expected a `u32`",
            ),
            (
                "record",
                "({x: 1, z: 2})",
                "there is no field `z`; expected one of `x`, `y`",
            ),
            (
                "record",
                "({y: none})",
                "the field `x` of type `u8` is missing",
            ),
            (
                "map",
                "({1: 1})",
                "argument `map`, entry 0: expected a `string`, found `1`",
            ),
            (
                "map",
                r#"([("a", 1, 2)])"#,
                "expected an entry of two values",
            ),
            (
                "nested",
                "({point: {x: 256}, all: [], best: err(\"\")})",
                "argument `nested`, field `point`, field `x`: expected a `u8`",
            ),
            (
                "nested",
                "({point: {x: 1}, all: [b, c], best: err(\"\")})",
                "argument `nested`, field `all`, element 1: there is no case `c`",
            ),
            (
                "nested",
                "({point: {x: 1}, all: [], best: ok({x: 1, y: -1})})",
                "argument `nested`, field `best`, payload of `ok`, field `y`: expected a `u32`",
            ),
            ("bool", "()", "but 0 are given"),
            ("bool", "(true, false)", "but 2 are given"),
            ("bool", "(true", "end"),
            ("bool", "(true) x", "x"),
        ] {
            let error = parse(ty, text)
                .map(|value| format!("{value:?}"))
                .unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(reason), "{ty} {text}: {error}");
        }
    }
}
