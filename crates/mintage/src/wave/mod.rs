//! Values as text, in WebAssembly Value Encoding (WAVE), with the crate `wasm-wave`.
//!
//! | file | what it has |
//! |---|---|
//! | `read.rs` | reads values; its errors name the wrong part and the expected type |
//! | `value.rs` | the traits of `wasm-wave` for [`Val`], [`Type`] and [`ComponentFunc`] |

mod read;
mod value;

use crate::Val;
use crate::error::{Context, Result};
use crate::types::{ComponentFunc, Type};

impl Val {
    /// Reads a value of type `ty` from text in WAVE.
    ///
    /// ```
    /// use mintage::component::{Type, Val};
    ///
    /// # fn main() -> mintage::Result<()> {
    /// assert_eq!(Val::from_wave(&Type::S8, "-128")?, Val::S8(-128));
    /// let error = Val::from_wave(&Type::S8, "128").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "expected a `s8` (an integer from -128 to 127), found `128`"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not a value, or one of another type. The error names the wrong part and the
    /// expected type. Handles, futures and streams cannot be written as text.
    pub fn from_wave(ty: &Type, text: &str) -> Result<Val> {
        read::parse_value(text, ty)
    }

    /// Writes the value as text in WAVE.
    ///
    /// ```
    /// use mintage::component::Val;
    ///
    /// # fn main() -> mintage::Result<()> {
    /// let value = Val::List(vec![Val::from("a"), Val::from("b")]);
    /// assert_eq!(value.to_wave()?, r#"["a", "b"]"#);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the value contains a handle, which cannot be written as text.
    pub fn to_wave(&self) -> Result<String> {
        wasm_wave::to_string(self).context("the value cannot be written as text")
    }
}

impl ComponentFunc {
    /// Reads the arguments of a call of a function of this type from text in WAVE, for example
    /// `("world", 3)`. Trailing arguments may be left out if they are options.
    ///
    /// # Errors
    ///
    /// If the text is not a list of values in parentheses, or the values do not have the types of
    /// the parameters. The error names the parameter, the wrong part of its value and the expected
    /// type.
    pub fn params_from_wave(&self, text: &str) -> Result<Vec<Val>> {
        read::parse_args(text, &self.params().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ComponentFunc, ComponentItem};
    use crate::{Component, Config, Engine};

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
            (param "flags" $f) (param "map" (map string u8))
            (param "fixed" (list s16 2)) (param "nested" $n))))"#;

    fn function() -> ComponentFunc {
        let mut config = Config::new();
        config
            .wasm_component_model_map(true)
            .wasm_component_model_fixed_length_lists(true);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, TYPES).unwrap().component_type();
        match component.get_import(&engine, "all").map(|import| import.ty) {
            Some(ComponentItem::ComponentFunc(func)) => func,
            _ => panic!("no function is imported"),
        }
    }

    fn type_named(name: &str) -> Type {
        let func = function();
        let (_, ty) = func.params().find(|(found, _)| *found == name).unwrap();
        ty
    }

    fn parse(ty: &str, text: &str) -> Result<Val> {
        read::parse_args(text, &[(ty, type_named(ty))]).map(|mut values| values.remove(0))
    }

    fn to_string(value: &Val) -> Result<String> {
        value.to_wave()
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
            ("map", r#"{"a": 1, "b": 2}"#),
            ("fixed", "[-1, 2]"),
        ] {
            let value = parse(ty, &format!("({text})"))
                .unwrap_or_else(|error| panic!("{ty} {text}: {error:#}"));
            assert_eq!(to_string(&value).unwrap(), text, "{ty}");
            let ty = type_named(ty);
            assert_eq!(Val::from_wave(&ty, text).unwrap(), value, "{ty} {text}");
            if !matches!(ty, Type::FixedLengthList(_)) {
                // As hosts do that use the crate directly.
                let value_of_crate: Val = wasm_wave::from_str(&ty, text).unwrap();
                assert_eq!(value_of_crate, value, "{ty} {text}");
            }
        }
    }

    #[test]
    fn maps_are_read_in_both_forms() {
        for (text, printed) in [
            (r#"({"a": 1, "b": 2})"#, r#"{"a": 1, "b": 2}"#),
            (r#"([("a", 1), ("b", 2)])"#, r#"{"a": 1, "b": 2}"#),
            ("({:})", "{}"),
            ("({})", "{}"),
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
                "fixed",
                "([1, 2, 3])",
                "expected 2 values for a `list<s16, 2>`, found 3",
            ),
            (
                "fixed",
                "([1, true])",
                "argument `fixed`, element 1: expected a `s16`",
            ),
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

    #[test]
    fn values_that_are_made_have_their_type() {
        use wasm_wave::wasm::{DisplayFunc, DisplayType, WasmValue};
        let (record, list) = (type_named("record"), type_named("list"));
        let made = Val::make_record(&record, [("y", Val::Option(None)), ("x", Val::U8(1))]);
        let fields = [("x".into(), Val::U8(1)), ("y".into(), Val::Option(None))];
        assert_eq!(
            made.unwrap(),
            Val::Record(fields.into()),
            "in the order of the type"
        );
        for wrong in [
            Val::make_record(&record, [("y", Val::Option(None))]),
            Val::make_record(&record, [("x", Val::U8(1)), ("z", Val::U8(1))]),
            Val::make_record(&record, [("x", Val::U16(1))]),
            Val::make_record(&list, []),
            Val::make_list(&list, [Val::U8(1), Val::Bool(true)]),
            Val::make_list(&record, []),
            Val::make_enum(&type_named("enum"), "blue"),
            Val::make_variant(&type_named("variant"), "a", None),
            Val::make_option(&type_named("option"), Some(Val::U8(1))),
            Val::make_result(&type_named("result"), Err(Some(Val::U8(1)))),
            Val::make_flags(&type_named("flags"), ["x"]),
            Val::make_tuple(&type_named("tuple"), [Val::U8(1)]),
            Val::make_map(&type_named("map"), [(Val::U8(1), Val::U8(1))]),
        ] {
            assert!(wrong.is_err(), "{wrong:?}");
        }
        assert_eq!(DisplayType(&list).to_string(), "list<u8>");
        let shown = DisplayFunc(function()).to_string();
        assert!(shown.starts_with("func(bool: bool, s8: s8"), "{shown}");
    }

    #[test]
    fn a_single_value_has_no_path_in_its_error() {
        let error = |ty: &Type, text: &str| Val::from_wave(ty, text).unwrap_err().to_string();
        assert_eq!(
            error(&Type::U8, "256"),
            "expected a `u8` (an integer from 0 to 255), found `256`"
        );
        assert!(error(&type_named("list"), "[1, 256]").starts_with("element 1: expected a `u8`"));
        assert!(
            error(&Type::U8, "1 2").contains('2'),
            "what follows the value"
        );
        assert!(!error(&Type::U8, "").is_empty());
    }
}
