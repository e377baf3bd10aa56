//! Random types of WIT, and values of them.

use arbitrary::Unstructured;
use mintage::{ErrorContext, Val};

/// The types without parts.
pub const PRIMITIVES: [&str; 13] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
];

/// The primitive types that can be keys of maps.
const KEYS: [&str; 11] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "char", "string",
];

/// A type of WIT. Fields and cases are named `f0`, `f1` and so on.
#[derive(Clone, Debug)]
pub enum Shape {
    /// One of [`PRIMITIVES`].
    Primitive(&'static str),
    /// `list<T>`
    List(Box<Shape>),
    /// `list<T, n>`
    FixedList(Box<Shape>, usize),
    /// `map<K, V>`
    Map(&'static str, Box<Shape>),
    /// `record { ... }`
    Record(Vec<Shape>),
    /// `tuple<...>`
    Tuple(Vec<Shape>),
    /// `variant { ... }`: the payloads.
    Variant(Vec<Option<Shape>>),
    /// `enum { ... }`: the number of cases.
    Enum(usize),
    /// `option<T>`
    Option(Box<Shape>),
    /// `result<T, E>`
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    /// `flags { ... }`: the number of flags.
    Flags(usize),
    /// `error-context`
    ErrorContext,
}

impl Shape {
    /// A random type of at most `depth` more levels, with an `error-context` in it only if that is
    /// allowed.
    ///
    /// # Errors
    ///
    /// When the input is used up.
    pub fn arbitrary(
        u: &mut Unstructured<'_>,
        depth: usize,
        error_context: bool,
    ) -> arbitrary::Result<Shape> {
        if depth == 0 || u.ratio(1, 5)? {
            return Ok(Shape::Primitive(u.choose(&PRIMITIVES)?));
        }
        let one =
            |u: &mut Unstructured<'_>| Ok(Box::new(Shape::arbitrary(u, depth - 1, error_context)?));
        let some = |u: &mut Unstructured<'_>, most: usize| -> arbitrary::Result<Vec<Shape>> {
            let count = u.int_in_range(1..=most)?;
            (0..count)
                .map(|_| Shape::arbitrary(u, depth - 1, error_context))
                .collect()
        };
        let maybe = |u: &mut Unstructured<'_>| match u.ratio(2, 3)? {
            true => Ok(Some(Shape::arbitrary(u, depth - 1, error_context)?)),
            false => Ok(None),
        };
        Ok(match u.choose_index(13)? {
            0 | 1 => Shape::List(one(u)?),
            2 => Shape::Record(some(u, 6)?),
            3 => Shape::Tuple(some(u, 5)?),
            4 | 5 => {
                let count = u.int_in_range(1..=5)?;
                Shape::Variant(
                    (0..count)
                        .map(|_| maybe(u))
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            6 => Shape::Enum(*u.choose(&[1, 3, 256, 257])?),
            7 => Shape::Option(one(u)?),
            8 => Shape::Result(maybe(u)?.map(Box::new), maybe(u)?.map(Box::new)),
            9 => Shape::FixedList(one(u)?, *u.choose(&[1, 2, 3, 8, 17])?),
            // What a map holds must not hold a handle.
            10 => Shape::Map(
                u.choose(&KEYS)?,
                Box::new(Shape::arbitrary(u, depth - 1, false)?),
            ),
            11 if error_context => Shape::ErrorContext,
            _ => Shape::Flags(*u.choose(&[1, 8, 9, 16, 17, 32])?),
        })
    }

    /// A random value. When the input is used up, the smallest one.
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn value(&self, u: &mut Unstructured<'_>) -> arbitrary::Result<Val> {
        let name = |i: usize| format!("f{i}");
        let payload = |u: &mut Unstructured<'_>, shape: Option<&Shape>| -> arbitrary::Result<_> {
            Ok(shape.map(|shape| shape.value(u)).transpose()?.map(Box::new))
        };
        let values = |u: &mut Unstructured<'_>, shapes: &[Shape]| -> arbitrary::Result<Vec<Val>> {
            shapes.iter().map(|shape| shape.value(u)).collect()
        };
        Ok(match self {
            Shape::Primitive(name) => primitive(u, name)?,
            Shape::List(element) => {
                let count = u.int_in_range(0..=5)?;
                Val::List(
                    (0..count)
                        .map(|_| element.value(u))
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            Shape::FixedList(element, count) => Val::Tuple(
                (0..*count)
                    .map(|_| element.value(u))
                    .collect::<arbitrary::Result<_>>()?,
            ),
            Shape::Map(key, value) => {
                let count = u.int_in_range(0..=5)?;
                let mut entry = || Ok((primitive(u, key)?, value.value(u)?));
                Val::Map(
                    (0..count)
                        .map(|_| entry())
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            Shape::Record(fields) => {
                let values = values(u, fields)?.into_iter().enumerate();
                Val::Record(values.map(|(i, value)| (name(i), value)).collect())
            }
            Shape::Tuple(fields) => Val::Tuple(values(u, fields)?),
            Shape::Variant(cases) => {
                let case = u.choose_index(cases.len())?;
                Val::Variant(name(case), payload(u, cases[case].as_ref())?)
            }
            Shape::Enum(count) => Val::Enum(name(u.choose_index(*count)?)),
            Shape::Option(some) => {
                let is_some: bool = u.arbitrary()?;
                Val::Option(payload(u, is_some.then_some(&**some))?)
            }
            Shape::Result(ok, error) => Val::Result(match u.arbitrary()? {
                true => Ok(payload(u, ok.as_deref())?),
                false => Err(payload(u, error.as_deref())?),
            }),
            Shape::ErrorContext => Val::ErrorContext(ErrorContext::new(text(u)?)),
            Shape::Flags(count) => {
                let bits: u32 = u.arbitrary()?;
                Val::Flags(
                    (0..*count)
                        .filter(|&i| bits >> i & 1 == 1)
                        .map(name)
                        .collect(),
                )
            }
        })
    }
}

/// A random value of a primitive type.
fn primitive(u: &mut Unstructured<'_>, name: &str) -> arbitrary::Result<Val> {
    if name == "string" {
        return Ok(Val::String(text(u)?));
    }
    // Small, large and all bits.
    let any: u64 = u.arbitrary()?;
    let bits = *u.choose(&[any % 4, !(any % 4), any])?;
    Ok(match name {
        "bool" => Val::Bool(bits & 1 == 1),
        "s8" => Val::S8(bits as i8),
        "u8" => Val::U8(bits as u8),
        "s16" => Val::S16(bits as i16),
        "u16" => Val::U16(bits as u16),
        "s32" => Val::S32(bits as i32),
        "u32" => Val::U32(bits as u32),
        "s64" => Val::S64(bits as i64),
        "u64" => Val::U64(bits),
        "f32" => Val::Float32(f32::from_bits(bits as u32)),
        "f64" => Val::Float64(f64::from_bits(bits)),
        "char" => Val::Char(char::from_u32(bits as u32 % 0x11_0000).unwrap_or('\u{e000}')),
        _ => unreachable!("`{name}` is no primitive type"),
    })
}

/// A text of parts that encodings treat differently.
fn text(u: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    const PARTS: [&str; 8] = [
        "",
        "a",
        "plain ascii text, and not too short",
        "grüße",
        "世界",
        "🌍",
        "\u{ff}\u{100}",
        "\0",
    ];
    let count = u.int_in_range(0..=4)?;
    (0..count).map(|_| Ok(*u.choose(&PARTS)?)).collect()
}
