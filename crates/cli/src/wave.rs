//! Values as text: adapters between Mintage's values and types and the traits of the crate `wasm-wave` (WebAssembly Value
//! Encoding).

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use mintage::Val;
use mintage::types::Type;
use std::borrow::Cow;
use std::error::Error as _;
use wasm_wave::parser::ParserError;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue, WasmValueError};

/// Parses the arguments of a call, for example `("world", 3)`. Arguments at the end may be left out when they are options.
///
/// # Errors
///
/// When the text is no list of values, or the values are not of the types of `params`. Says what is wrong with which part of
/// the text.
pub(crate) fn parse_args(text: &str, params: &[(&str, Type)]) -> Result<Vec<Val>> {
    // The parser wants a whole call; what the function is called does not matter to it.
    let call = format!("f{text}");
    let untyped = UntypedFuncCall::parse(&call).map_err(|error| describe(&error, &call))?;
    let nodes = match untyped.params_node() {
        Some(params) => params.as_tuple().map_err(|error| describe(&error, &call))?.collect(),
        None => Vec::new(),
    };
    let count = || {
        format!(
            "{} arguments are given, but the function takes {}",
            nodes.len(),
            params.len()
        )
    };
    ensure!(nodes.len() <= params.len(), count());
    let mut values = Vec::with_capacity(params.len());
    for (index, (name, ty)) in params.iter().enumerate() {
        values.push(match (nodes.get(index), ty) {
            (Some(node), ty) => {
                let value = node.to_wasm_value::<Value>(&WaveType(ty.clone()), &call);
                let value = value.map_err(|error| describe(&error, &call));
                value.with_context(|| format!("argument `{name}` is to be a `{ty}`"))?.0
            }
            (None, Type::Option(_)) => Val::Option(None),
            (None, _) => bail!(count()),
        });
    }
    Ok(values)
}

/// The parser's error with the part of the text that it is about.
fn describe(error: &ParserError, text: &str) -> Error {
    let reason = match (error.detail(), error.source()) {
        (Some(detail), _) => format!("{}: {detail}", error.kind()),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.kind().to_string(),
    };
    match text.get(error.span()).filter(|part| !part.trim().is_empty()) {
        Some(part) => anyhow!("{reason} at `{part}`"),
        None => anyhow!(reason),
    }
}

/// A value as text.
///
/// # Errors
///
/// For resources, which have no text.
pub(crate) fn to_string(value: &Val) -> Result<String> {
    wasm_wave::to_string(&Value(value.clone())).context("the value cannot be written as text")
}

/// A component type.
#[derive(Clone)]
struct WaveType(Type);

impl WasmType for WaveType {
    fn kind(&self) -> WasmTypeKind {
        match self.0 {
            Type::Bool => WasmTypeKind::Bool,
            Type::S8 => WasmTypeKind::S8,
            Type::U8 => WasmTypeKind::U8,
            Type::S16 => WasmTypeKind::S16,
            Type::U16 => WasmTypeKind::U16,
            Type::S32 => WasmTypeKind::S32,
            Type::U32 => WasmTypeKind::U32,
            Type::S64 => WasmTypeKind::S64,
            Type::U64 => WasmTypeKind::U64,
            Type::Float32 => WasmTypeKind::F32,
            Type::Float64 => WasmTypeKind::F64,
            Type::Char => WasmTypeKind::Char,
            Type::String => WasmTypeKind::String,
            // The text format has no maps: they are written as lists of their entries.
            Type::List(_) | Type::Map(_) => WasmTypeKind::List,
            Type::Record(_) => WasmTypeKind::Record,
            Type::Tuple(_) => WasmTypeKind::Tuple,
            Type::Variant(_) => WasmTypeKind::Variant,
            Type::Enum(_) => WasmTypeKind::Enum,
            Type::Option(_) => WasmTypeKind::Option,
            Type::Result(_) => WasmTypeKind::Result,
            Type::Flags(_) => WasmTypeKind::Flags,
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match &self.0 {
            Type::List(list) => Some(WaveType(list.ty())),
            Type::Map(map) => Some(WaveType(map.entry())),
            _ => None,
        }
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Self)> + '_> {
        match &self.0 {
            Type::Record(record) => Box::new(
                record
                    .fields()
                    .map(|field| (Cow::Borrowed(field.name), WaveType(field.ty))),
            ),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        match &self.0 {
            Type::Tuple(tuple) => Box::new(tuple.types().map(WaveType)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Self>)> + '_> {
        match &self.0 {
            Type::Variant(variant) => Box::new(
                variant
                    .cases()
                    .map(|case| (Cow::Borrowed(case.name), case.ty.map(WaveType))),
            ),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn enum_cases(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match &self.0 {
            Type::Enum(ty) => Box::new(ty.names().map(Cow::Borrowed)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn option_some_type(&self) -> Option<Self> {
        match &self.0 {
            Type::Option(option) => Some(WaveType(option.ty())),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match &self.0 {
            Type::Result(result) => Some((result.ok().map(WaveType), result.err().map(WaveType))),
            _ => None,
        }
    }

    fn flags_names(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match &self.0 {
            Type::Flags(flags) => Box::new(flags.names().map(Cow::Borrowed)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// A component value.
#[derive(Clone)]
struct Value(Val);

/// Methods that make a value of a Rust value, and give it back.
macro_rules! plain {
    ($($make:ident $unwrap:ident $ty:ty: $variant:ident;)*) => {$(
        fn $make(value: $ty) -> Self {
            Value(Val::$variant(value))
        }

        fn $unwrap(&self) -> $ty {
            match self.0 {
                Val::$variant(value) => value,
                _ => self.mismatch(),
            }
        }
    )*};
}

impl Value {
    /// The library asks for the `kind` first, and then for what it says.
    fn mismatch(&self) -> ! {
        panic!("a value is read as of another type: {:?}", self.0)
    }

    fn borrow(value: &Val) -> Cow<'_, Value> {
        Cow::Owned(Value(value.clone()))
    }

    fn borrow_payload(payload: &Option<Box<Val>>) -> Option<Cow<'_, Value>> {
        payload.as_deref().map(Value::borrow)
    }

    fn boxed(value: Option<Value>) -> Option<Box<Val>> {
        value.map(|value| Box::new(value.0))
    }
}

impl WasmValue for Value {
    type Type = WaveType;

    fn kind(&self) -> WasmTypeKind {
        match self.0 {
            Val::Bool(_) => WasmTypeKind::Bool,
            Val::S8(_) => WasmTypeKind::S8,
            Val::U8(_) => WasmTypeKind::U8,
            Val::S16(_) => WasmTypeKind::S16,
            Val::U16(_) => WasmTypeKind::U16,
            Val::S32(_) => WasmTypeKind::S32,
            Val::U32(_) => WasmTypeKind::U32,
            Val::S64(_) => WasmTypeKind::S64,
            Val::U64(_) => WasmTypeKind::U64,
            Val::Float32(_) => WasmTypeKind::F32,
            Val::Float64(_) => WasmTypeKind::F64,
            Val::Char(_) => WasmTypeKind::Char,
            Val::String(_) => WasmTypeKind::String,
            Val::List(_) | Val::Map(_) => WasmTypeKind::List,
            Val::Record(_) => WasmTypeKind::Record,
            Val::Tuple(_) => WasmTypeKind::Tuple,
            Val::Variant(..) => WasmTypeKind::Variant,
            Val::Enum(_) => WasmTypeKind::Enum,
            Val::Option(_) => WasmTypeKind::Option,
            Val::Result(_) => WasmTypeKind::Result,
            Val::Flags(_) => WasmTypeKind::Flags,
            _ => WasmTypeKind::Unsupported,
        }
    }

    plain! {
        make_bool unwrap_bool bool: Bool;
        make_s8 unwrap_s8 i8: S8;
        make_u8 unwrap_u8 u8: U8;
        make_s16 unwrap_s16 i16: S16;
        make_u16 unwrap_u16 u16: U16;
        make_s32 unwrap_s32 i32: S32;
        make_u32 unwrap_u32 u32: U32;
        make_s64 unwrap_s64 i64: S64;
        make_u64 unwrap_u64 u64: U64;
        make_f32 unwrap_f32 f32: Float32;
        make_f64 unwrap_f64 f64: Float64;
        make_char unwrap_char char: Char;
    }

    fn make_string(value: Cow<'_, str>) -> Self {
        Value(Val::String(value.into_owned()))
    }

    fn make_list(ty: &WaveType, values: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        let values = values.into_iter().map(|value| value.0);
        let Type::Map(_) = ty.0 else {
            return Ok(Value(Val::List(values.collect())));
        };
        let entry = |value| match value {
            Val::Tuple(parts) => <[Val; 2]>::try_from(parts).ok().map(Into::into),
            _ => None,
        };
        let entries = values.map(entry).collect::<Option<_>>();
        let entries = entries.ok_or_else(|| WasmValueError::Other("an entry of a map is a tuple of two".into()))?;
        Ok(Value(Val::Map(entries)))
    }

    fn make_record<'a>(
        ty: &WaveType,
        fields: impl IntoIterator<Item = (&'a str, Self)>,
    ) -> Result<Self, WasmValueError> {
        let mut given = fields
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.0))
            .collect::<Vec<_>>();
        let mut record = Vec::new();
        for (name, _) in ty.record_fields() {
            match given.iter().position(|(given, _)| *given == name) {
                Some(position) => record.push(given.swap_remove(position)),
                None => return Err(WasmValueError::MissingField(name.into_owned())),
            }
        }
        match given.pop() {
            Some((name, _)) => Err(WasmValueError::UnknownField(name)),
            None => Ok(Value(Val::Record(record))),
        }
    }

    fn make_tuple(_: &WaveType, values: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::Tuple(values.into_iter().map(|value| value.0).collect())))
    }

    fn make_variant(_: &WaveType, case: &str, payload: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::Variant(case.to_string(), Value::boxed(payload))))
    }

    fn make_enum(ty: &WaveType, case: &str) -> Result<Self, WasmValueError> {
        match ty.enum_cases().any(|name| name == case) {
            true => Ok(Value(Val::Enum(case.to_string()))),
            false => Err(WasmValueError::UnknownCase(case.to_string())),
        }
    }

    fn make_option(_: &WaveType, payload: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::Option(Value::boxed(payload))))
    }

    fn make_result(_: &WaveType, payload: Result<Option<Self>, Option<Self>>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::Result(payload.map(Value::boxed).map_err(Value::boxed))))
    }

    fn make_flags<'a>(ty: &WaveType, names: impl IntoIterator<Item = &'a str>) -> Result<Self, WasmValueError> {
        let names = names.into_iter().map(str::to_string).collect::<Vec<_>>();
        match names.iter().find(|name| !ty.flags_names().any(|known| known == **name)) {
            Some(unknown) => Err(WasmValueError::UnknownCase(unknown.clone())),
            None => Ok(Value(Val::Flags(names))),
        }
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match &self.0 {
            Val::String(value) => Cow::Borrowed(value),
            _ => self.mismatch(),
        }
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        match &self.0 {
            Val::List(values) => Box::new(values.iter().map(Value::borrow)),
            Val::Map(entries) => Box::new(
                entries
                    .iter()
                    .map(|(key, value)| Cow::Owned(Value(Val::Tuple(vec![key.clone(), value.clone()])))),
            ),
            _ => self.mismatch(),
        }
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Self>)> + '_> {
        match &self.0 {
            Val::Record(fields) => Box::new(
                fields
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::borrow(value))),
            ),
            _ => self.mismatch(),
        }
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        match &self.0 {
            Val::Tuple(values) => Box::new(values.iter().map(Value::borrow)),
            _ => self.mismatch(),
        }
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        match &self.0 {
            Val::Variant(case, payload) => (Cow::Borrowed(case), Value::borrow_payload(payload)),
            _ => self.mismatch(),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match &self.0 {
            Val::Enum(case) => Cow::Borrowed(case),
            _ => self.mismatch(),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        match &self.0 {
            Val::Option(payload) => Value::borrow_payload(payload),
            _ => self.mismatch(),
        }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match &self.0 {
            Val::Result(payload) => payload
                .as_ref()
                .map(Value::borrow_payload)
                .map_err(Value::borrow_payload),
            _ => self.mismatch(),
        }
    }

    fn unwrap_flags(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match &self.0 {
            Val::Flags(names) => Box::new(names.iter().map(|name| Cow::Borrowed(name.as_str()))),
            _ => self.mismatch(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage::types::ComponentItem;
    use mintage::{Component, Engine};

    /// An import with one parameter of each type that the tests use, named as the type.
    const TYPES: &str = r#"(component
        (type $record (record (field "x" u8) (field "y" (option u32))))
        (import "record" (type $r (eq $record)))
        (type $variant (variant (case "a" u8) (case "b")))
        (import "variant" (type $v (eq $variant)))
        (type $enum (enum "red" "green"))
        (import "enum" (type $e (eq $enum)))
        (type $flags (flags "r" "w"))
        (import "flags" (type $f (eq $flags)))
        (import "all" (func
            (param "bool" bool) (param "s8" s8) (param "u64" u64) (param "f32" f32) (param "char" char)
            (param "string" string) (param "list" (list u8)) (param "option" (option u32)) (param "record" $r)
            (param "tuple" (tuple u8 string)) (param "variant" $v) (param "enum" $e) (param "result" (result u8))
            (param "flags" $f))))"#;

    fn parse(ty: &str, text: &str) -> Result<Val> {
        let engine = Engine::default();
        let component = Component::new(&engine, TYPES).unwrap().component_type();
        let Some(ComponentItem::ComponentFunc(func)) = component.get_import(&engine, "all").map(|import| import.ty)
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
            let value = parse(ty, &format!("({text})")).unwrap_or_else(|error| panic!("{ty} {text}: {error:#}"));
            assert_eq!(to_string(&value).unwrap(), text, "{ty}");
        }
    }

    #[test]
    fn wrong_values_are_refused_with_a_reason() {
        for (ty, text, reason) in [
            ("s8", "(128)", "128"),
            ("bool", "(1)", "`1`"),
            ("string", "(5)", "`5`"),
            ("enum", "(blue)", "blue"),
            ("flags", "({x})", "x"),
            ("variant", "(a)", "a"),
            ("record", "({x: 1, z: 2})", "z"),
            ("record", "({y: none})", "x"),
            ("bool", "()", "argument"),
            ("bool", "(true, false)", "2 arguments"),
            ("bool", "(true", "end"),
            ("bool", "(true) x", "x"),
        ] {
            let error = parse(ty, text).map(|value| format!("{value:?}")).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(reason), "{ty} {text}: {error}");
        }
    }
}
