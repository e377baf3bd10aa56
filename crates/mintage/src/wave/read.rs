//! Reads values: converts the syntax tree of a text to values of a function's parameter types.
//!
//! `wasm-wave` can do this conversion, too, but its errors name neither the part of the value that
//! is wrong nor the expected type.

use crate::Val;
use crate::error::{Error, Result, bail, ensure, format_err};
use crate::types::{Case, Type};
use std::str::FromStr;
use wasm_wave::ast::{Node, NodeType};
use wasm_wave::parser::{ParserError, ParserErrorKind};
use wasm_wave::untyped::{UntypedFuncCall, UntypedValue};

/// Parses a value of type `ty`.
///
/// # Errors
///
/// Fails if the text is not a value, or one of another type. The error names the wrong part by its
/// path from the value inwards, and the expected type.
pub(super) fn parse_value(text: &str, ty: &Type) -> Result<Val> {
    let untyped = UntypedValue::parse(text).map_err(|error| syntax(&error, text))?;
    let value = Reader { source: text }.value(untyped.node(), ty);
    value.map_err(Mismatch::into_error)
}

/// Parses the arguments of a call, for example `("world", 3)`. Trailing arguments may be left out
/// if they are options.
///
/// # Errors
///
/// Fails if the text is not a list of values, or if the values do not have the types of `params`.
/// The error names the wrong part by its path from the argument inwards, and the expected type.
pub(super) fn parse_args(text: &str, params: &[(&str, Type)]) -> Result<Vec<Val>> {
    // The parser expects a whole call. The name of the function does not matter.
    let call = format!("f{text}");
    let untyped = UntypedFuncCall::parse(&call).map_err(|error| syntax(&error, &call))?;
    let nodes = match untyped.params_node() {
        Some(params) => params
            .as_tuple()
            .map_err(|error| syntax(&error, &call))?
            .collect(),
        None => Vec::new(),
    };
    let (given, taken) = (nodes.len(), params.len());
    let count = || format!("the function takes {taken} arguments, but {given} are given");
    ensure!(given <= taken, count());
    let mut values = Vec::with_capacity(params.len());
    for (index, (name, ty)) in params.iter().enumerate() {
        values.push(match (nodes.get(index), ty) {
            (Some(node), ty) => {
                let value = Reader { source: &call }.value(node, ty);
                value.map_err(|mismatch| {
                    mismatch.within(format!("argument `{name}`")).into_error()
                })?
            }
            (None, Type::Option(_)) => Val::Option(None),
            (None, _) => bail!(count()),
        });
    }
    Ok(values)
}

/// Returns the parser's error together with the part of the text that caused it.
fn syntax(error: &ParserError, text: &str) -> Error {
    let reason = reason(error);
    match text
        .get(error.span())
        .filter(|part| !part.trim().is_empty())
    {
        Some(part) => format_err!("{reason} at `{}`", shorten(part)),
        None => format_err!(reason),
    }
}

fn reason(error: &ParserError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// The reason why a value does not have its type.
struct Mismatch {
    /// The parts that contain the value, innermost first.
    path: Vec<String>,
    reason: String,
}

impl Mismatch {
    fn new(reason: impl Into<String>) -> Mismatch {
        Mismatch {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    fn within(mut self, part: String) -> Mismatch {
        self.path.push(part);
        self
    }

    fn into_error(mut self) -> Error {
        if self.path.is_empty() {
            return format_err!(self.reason);
        }
        self.path.reverse();
        format_err!("{}: {}", self.path.join(", "), self.reason)
    }
}

/// Reads values from the syntax tree of a text.
struct Reader<'a> {
    source: &'a str,
}

impl Reader<'_> {
    fn value(&self, node: &Node, ty: &Type) -> Result<Val, Mismatch> {
        Ok(match ty {
            Type::Bool => Val::Bool(self.of_type(node, ty, node.as_bool())?),
            Type::S8 => Val::S8(self.integer(node, ty, i8::MIN, i8::MAX)?),
            Type::U8 => Val::U8(self.integer(node, ty, u8::MIN, u8::MAX)?),
            Type::S16 => Val::S16(self.integer(node, ty, i16::MIN, i16::MAX)?),
            Type::U16 => Val::U16(self.integer(node, ty, u16::MIN, u16::MAX)?),
            Type::S32 => Val::S32(self.integer(node, ty, i32::MIN, i32::MAX)?),
            Type::U32 => Val::U32(self.integer(node, ty, u32::MIN, u32::MAX)?),
            Type::S64 => Val::S64(self.integer(node, ty, i64::MIN, i64::MAX)?),
            Type::U64 => Val::U64(self.integer(node, ty, u64::MIN, u64::MAX)?),
            Type::Float32 => Val::Float32(self.of_type(node, ty, node.as_number(self.source))?),
            Type::Float64 => Val::Float64(self.of_type(node, ty, node.as_number(self.source))?),
            Type::Char => Val::Char(self.of_type(node, ty, node.as_char(self.source))?),
            Type::String => {
                let text = node.as_str(self.source);
                Val::String(self.of_type(node, ty, text)?.into_owned())
            }
            Type::List(list) => {
                let nodes = self.of_type(node, ty, node.as_list())?;
                Val::List(self.elements(nodes.map(|node| (node, list.ty())))?)
            }
            Type::FixedLengthList(list) => {
                let nodes = self.of_type(node, ty, node.as_list())?;
                count(nodes.len(), list.len() as usize, ty)?;
                let element = list.ty();
                let nodes = nodes.map(|node| (node, element.clone()));
                Val::FixedLengthList(self.elements(nodes)?)
            }
            Type::Map(map) => self.map(node, ty, &map.key(), &map.value())?,
            Type::Record(record) => {
                let fields = record.fields().map(|field| (field.name, field.ty));
                self.record(node, ty, fields)?
            }
            Type::Tuple(tuple) => {
                let nodes = self.of_type(node, ty, node.as_tuple())?;
                count(nodes.len(), tuple.types().len(), ty)?;
                Val::Tuple(self.elements(nodes.zip(tuple.types()))?)
            }
            Type::Variant(variant) => self.variant(node, ty, variant.cases())?,
            Type::Enum(cases) => {
                let name = self.of_type(node, ty, node.as_enum(self.source))?;
                Val::Enum(one_of("case", name, cases.names())?.into())
            }
            Type::Option(option) => match node.ty() {
                NodeType::OptionSome | NodeType::OptionNone => {
                    let payload = self.of_type(node, ty, node.as_option())?;
                    Val::Option(self.payload("some", payload, payload.and(Some(option.ty())))?)
                }
                _ => Val::Option(self.without_case(node, ty, Some(option.ty()))?),
            },
            Type::Result(result) => match node.ty() {
                NodeType::ResultOk | NodeType::ResultErr => {
                    Val::Result(match self.of_type(node, ty, node.as_result())? {
                        Ok(payload) => Ok(self.payload("ok", payload, result.ok())?),
                        Err(payload) => Err(self.payload("err", payload, result.err())?),
                    })
                }
                _ => Val::Result(Ok(self.without_case(node, ty, result.ok())?)),
            },
            Type::Flags(flags) => {
                let mut given = Vec::new();
                for name in self.of_type(node, ty, node.as_flags(self.source))? {
                    given.push(one_of("flag", name, flags.names())?.to_string());
                }
                Val::Flags(given)
            }
            Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext => {
                return Err(Mismatch::new(format!(
                    "values of type `{ty}` cannot be written as text"
                )));
            }
        })
    }

    /// Converts an error of reading a node as `ty`, so that it names the expected type.
    fn of_type<T>(
        &self,
        node: &Node,
        ty: &Type,
        outcome: Result<T, ParserError>,
    ) -> Result<T, Mismatch> {
        outcome.map_err(|error| match error.kind() {
            ParserErrorKind::InvalidType | ParserErrorKind::InvalidValue
                if error.detail().is_none() =>
            {
                self.expected(node, &format!("a `{ty}`"))
            }
            _ => Mismatch::new(reason(&error)),
        })
    }

    fn expected(&self, node: &Node, what: &str) -> Mismatch {
        let found = self.source.get(node.span()).unwrap_or_default();
        Mismatch::new(format!("expected {what}, found `{}`", shorten(found)))
    }

    fn integer<T: FromStr + std::fmt::Display>(
        &self,
        node: &Node,
        ty: &Type,
        min: T,
        max: T,
    ) -> Result<T, Mismatch> {
        let number = node.as_number(self.source);
        number
            .map_err(|_| self.expected(node, &format!("a `{ty}` (an integer from {min} to {max})")))
    }

    fn elements<'n>(
        &self,
        elements: impl Iterator<Item = (&'n Node, Type)>,
    ) -> Result<Vec<Val>, Mismatch> {
        let read = |(index, (node, ty)): (usize, (&Node, Type))| {
            let value = self.value(node, &ty);
            value.map_err(|mismatch| mismatch.within(format!("element {index}")))
        };
        elements.enumerate().map(read).collect()
    }

    /// Reads a map, which is written as `{"a": 1}` or as a list of its entries, `[("a", 1)]`.
    fn map(&self, node: &Node, ty: &Type, key: &Type, value: &Type) -> Result<Val, Mismatch> {
        let mut entries = Vec::new();
        let mut push = |index: usize, (first, second): (&Node, &Node)| {
            let within = |mismatch: Mismatch| mismatch.within(format!("entry {index}"));
            let first = self.value(first, key).map_err(within)?;
            entries.push((first, self.value(second, value).map_err(within)?));
            Ok(())
        };
        if node.ty() != NodeType::List {
            let nodes = self.of_type(node, ty, node.as_map())?;
            nodes
                .enumerate()
                .try_for_each(|(index, entry)| push(index, entry))?;
            return Ok(Val::Map(entries));
        }
        for (index, entry) in self.of_type(node, ty, node.as_list())?.enumerate() {
            let parts: Vec<_> = self.of_type(entry, ty, entry.as_tuple())?.collect();
            let [first, second] = parts[..] else {
                return Err(self.expected(entry, "an entry of two values"));
            };
            push(index, (first, second))?;
        }
        Ok(Val::Map(entries))
    }

    fn record<'t>(
        &self,
        node: &Node,
        ty: &Type,
        fields: impl Iterator<Item = (&'t str, Type)>,
    ) -> Result<Val, Mismatch> {
        let mut given: Vec<_> = self
            .of_type(node, ty, node.as_record(self.source))?
            .collect();
        let (mut values, mut names) = (Vec::new(), Vec::new());
        for (name, ty) in fields {
            let value = match (given.iter().position(|(given, _)| *given == name), &ty) {
                (Some(position), _) => {
                    let value = self.value(given.swap_remove(position).1, &ty);
                    value.map_err(|mismatch| mismatch.within(format!("field `{name}`")))?
                }
                (None, Type::Option(_)) => Val::Option(None),
                (None, _) => {
                    return Err(Mismatch::new(format!(
                        "the field `{name}` of type `{ty}` is missing"
                    )));
                }
            };
            values.push((name.to_string(), value));
            names.push(name);
        }
        match given.pop() {
            Some((name, _)) => {
                one_of("field", name, names.into_iter()).map(|_| Val::Record(values))
            }
            None => Ok(Val::Record(values)),
        }
    }

    fn variant<'t>(
        &self,
        node: &Node,
        ty: &Type,
        cases: impl Iterator<Item = Case<'t>>,
    ) -> Result<Val, Mismatch> {
        let (name, payload) = self.of_type(node, ty, node.as_variant(self.source))?;
        let cases: Vec<_> = cases.collect();
        let name = one_of("case", name, cases.iter().map(|case| case.name))?;
        let ty = cases
            .into_iter()
            .find(|case| case.name == name)
            .and_then(|case| case.ty);
        Ok(Val::Variant(name.into(), self.payload(name, payload, ty)?))
    }

    fn payload(
        &self,
        case: &str,
        node: Option<&Node>,
        ty: Option<Type>,
    ) -> Result<Option<Box<Val>>, Mismatch> {
        match (node, ty) {
            (Some(node), Some(ty)) => {
                let value = self.value(node, &ty);
                let value =
                    value.map_err(|mismatch| mismatch.within(format!("payload of `{case}`")))?;
                Ok(Some(Box::new(value)))
            }
            (None, None) => Ok(None),
            (None, Some(ty)) => Err(Mismatch::new(format!(
                "the case `{case}` has a payload of type `{ty}`: write `{case}(...)`"
            ))),
            (Some(_), None) => Err(Mismatch::new(format!(
                "the case `{case}` has no payload: write `{case}`"
            ))),
        }
    }

    /// Reads the payload of `some` or `ok` without the name of the case. The payload must not be an
    /// option or result itself.
    fn without_case(
        &self,
        node: &Node,
        ty: &Type,
        payload: Option<Type>,
    ) -> Result<Option<Box<Val>>, Mismatch> {
        match payload {
            Some(payload) if !matches!(payload, Type::Option(_) | Type::Result(_)) => self
                .value(node, &payload)
                .map(|value| Some(Box::new(value))),
            _ => Err(self.expected(node, &format!("a `{ty}`"))),
        }
    }
}

/// Fails if a value of type `ty` does not have the number of parts that the type has.
fn count(given: usize, taken: usize, ty: &Type) -> Result<(), Mismatch> {
    match given == taken {
        true => Ok(()),
        false => Err(Mismatch::new(format!(
            "expected {taken} values for a `{ty}`, found {given}"
        ))),
    }
}

/// Returns the known name that equals `name`.
fn one_of<'t>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'t str>,
) -> Result<&'t str, Mismatch> {
    let known: Vec<_> = known.collect();
    match known.iter().find(|known| **known == name) {
        Some(name) => Ok(name),
        None => {
            let known = known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>();
            Err(Mismatch::new(format!(
                "there is no {what} `{name}`; expected one of {}",
                known.join(", ")
            )))
        }
    }
}

/// Cuts a long text after 60 characters.
fn shorten(text: &str) -> String {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}
