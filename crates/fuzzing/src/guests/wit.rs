//! Random WIT types and values of them.

use arbitrary::Unstructured;
use mintage::{ErrorContext, Val};

/// The names of the primitive types.
pub const PRIMITIVES: [&str; 13] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
];

/// The names of the primitive types that can be keys of maps.
const KEYS: [&str; 11] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "char", "string",
];

/// A WIT type. Fields and cases are named `f0`, `f1` and so on.
#[derive(Clone, Debug)]
pub enum WitType {
    /// One of [`PRIMITIVES`].
    Primitive(&'static str),
    /// `list<T>`
    List(Box<WitType>),
    /// `list<T, n>`
    FixedList(Box<WitType>, usize),
    /// `map<K, V>`
    Map(&'static str, Box<WitType>),
    /// `record { ... }`
    Record(Vec<WitType>),
    /// `tuple<...>`
    Tuple(Vec<WitType>),
    /// `variant { ... }`, by its payloads.
    Variant(Vec<Option<WitType>>),
    /// `enum { ... }`, by its number of cases.
    Enum(usize),
    /// `option<T>`
    Option(Box<WitType>),
    /// `result<T, E>`
    Result(Option<Box<WitType>>, Option<Box<WitType>>),
    /// `flags { ... }`, by its number of flags.
    Flags(usize),
    /// `error-context`
    ErrorContext,
}

impl WitType {
    /// Returns a random type of at most `depth` more levels, which contains an `error-context` only
    /// if that is allowed.
    ///
    /// # Errors
    ///
    /// If the input is used up.
    pub fn arbitrary(
        u: &mut Unstructured<'_>,
        depth: usize,
        error_context: bool,
    ) -> arbitrary::Result<WitType> {
        if depth == 0 || u.ratio(1, 5)? {
            return Ok(WitType::Primitive(u.choose(&PRIMITIVES)?));
        }
        let one = |u: &mut Unstructured<'_>| {
            Ok(Box::new(WitType::arbitrary(u, depth - 1, error_context)?))
        };
        let some = |u: &mut Unstructured<'_>, most: usize| -> arbitrary::Result<Vec<WitType>> {
            let count = u.int_in_range(1..=most)?;
            (0..count)
                .map(|_| WitType::arbitrary(u, depth - 1, error_context))
                .collect()
        };
        let maybe = |u: &mut Unstructured<'_>| match u.ratio(2, 3)? {
            true => Ok(Some(WitType::arbitrary(u, depth - 1, error_context)?)),
            false => Ok(None),
        };
        Ok(match u.choose_index(13)? {
            0 | 1 => WitType::List(one(u)?),
            2 => WitType::Record(some(u, 6)?),
            3 => WitType::Tuple(some(u, 5)?),
            4 | 5 => {
                let count = u.int_in_range(1..=5)?;
                WitType::Variant(
                    (0..count)
                        .map(|_| maybe(u))
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            6 => WitType::Enum(*u.choose(&[1, 3, 256, 257])?),
            7 => WitType::Option(one(u)?),
            8 => WitType::Result(maybe(u)?.map(Box::new), maybe(u)?.map(Box::new)),
            9 => WitType::FixedList(one(u)?, *u.choose(&[1, 2, 3, 8, 17])?),
            // A map must not contain handles.
            10 => WitType::Map(
                u.choose(&KEYS)?,
                Box::new(WitType::arbitrary(u, depth - 1, false)?),
            ),
            11 if error_context => WitType::ErrorContext,
            _ => WitType::Flags(*u.choose(&[1, 8, 9, 16, 17, 32])?),
        })
    }

    /// Returns whether the type contains an `error-context`.
    pub fn has_error_context(&self) -> bool {
        let any = |types: &[WitType]| types.iter().any(WitType::has_error_context);
        let payload = |ty: &Option<Box<WitType>>| {
            let ty = ty.as_deref();
            ty.is_some_and(WitType::has_error_context)
        };
        match self {
            WitType::ErrorContext => true,
            WitType::Primitive(_) | WitType::Enum(_) | WitType::Flags(_) => false,
            WitType::List(ty)
            | WitType::FixedList(ty, _)
            | WitType::Map(_, ty)
            | WitType::Option(ty) => ty.has_error_context(),
            WitType::Record(types) | WitType::Tuple(types) => any(types),
            WitType::Variant(cases) => cases.iter().flatten().any(WitType::has_error_context),
            WitType::Result(ok, error) => payload(ok) || payload(error),
        }
    }

    /// Returns a random value, or the smallest one if the input is used up.
    ///
    /// # Errors
    ///
    /// Currently none.
    pub fn value(&self, u: &mut Unstructured<'_>) -> arbitrary::Result<Val> {
        let name = |i: usize| format!("f{i}");
        let payload = |u: &mut Unstructured<'_>, ty: Option<&WitType>| -> arbitrary::Result<_> {
            Ok(ty.map(|ty| ty.value(u)).transpose()?.map(Box::new))
        };
        let values = |u: &mut Unstructured<'_>, types: &[WitType]| -> arbitrary::Result<Vec<Val>> {
            types.iter().map(|ty| ty.value(u)).collect()
        };
        Ok(match self {
            WitType::Primitive(name) => primitive(u, name)?,
            WitType::List(element) => {
                let count = u.int_in_range(0..=5)?;
                Val::List(
                    (0..count)
                        .map(|_| element.value(u))
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            WitType::FixedList(element, count) => Val::FixedLengthList(
                (0..*count)
                    .map(|_| element.value(u))
                    .collect::<arbitrary::Result<_>>()?,
            ),
            WitType::Map(key, value) => {
                let count = u.int_in_range(0..=5)?;
                let mut entry = || Ok((primitive(u, key)?, value.value(u)?));
                Val::Map(
                    (0..count)
                        .map(|_| entry())
                        .collect::<arbitrary::Result<_>>()?,
                )
            }
            WitType::Record(fields) => {
                let values = values(u, fields)?.into_iter().enumerate();
                Val::Record(values.map(|(i, value)| (name(i), value)).collect())
            }
            WitType::Tuple(fields) => Val::Tuple(values(u, fields)?),
            WitType::Variant(cases) => {
                let case = u.choose_index(cases.len())?;
                Val::Variant(name(case), payload(u, cases[case].as_ref())?)
            }
            WitType::Enum(count) => Val::Enum(name(u.choose_index(*count)?)),
            WitType::Option(some) => {
                let is_some: bool = u.arbitrary()?;
                Val::Option(payload(u, is_some.then_some(&**some))?)
            }
            WitType::Result(ok, error) => Val::Result(match u.arbitrary()? {
                true => Ok(payload(u, ok.as_deref())?),
                false => Err(payload(u, error.as_deref())?),
            }),
            WitType::ErrorContext => Val::ErrorContext(ErrorContext::new(text(u)?)),
            WitType::Flags(count) => {
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

/// Returns a random value of a primitive type.
fn primitive(u: &mut Unstructured<'_>, name: &str) -> arbitrary::Result<Val> {
    if name == "string" {
        return Ok(Val::String(text(u)?));
    }
    // Small, large, or any bits.
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
        _ => unreachable!("`{name}` is not a primitive type"),
    })
}

/// Returns a text of parts that encodings treat differently.
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
