//! [`Val`]: a component value whose type is known only at run time.

mod dynamic;
mod ends;
mod numbers;
mod scalars;
mod typed;

pub(crate) use ends::Payload;
pub use ends::{FutureAny, StreamAny};

use crate::abi::{ComponentTypes, InterfaceType};
use crate::{ErrorContext, ResourceAny};

/// A component value of any type, for calls whose types are known only at run time.
///
/// Floats are equal if they have the same bits or are both NaN, so that every value is equal to
/// itself.
///
/// ```
/// use mintage::Val;
///
/// let point = Val::Record(vec![
///     ("x".into(), Val::Float32(1.0)),
///     ("label".into(), Val::Option(Some(Box::new(Val::String("origin".into()))))),
/// ]);
/// assert_eq!(point, point.clone());
/// assert_ne!(Val::U8(1), Val::U16(1));
/// assert_eq!(Val::from("origin"), Val::String("origin".into()));
/// ```
#[derive(Clone, Debug)]
pub enum Val {
    /// `bool`
    Bool(bool),
    /// `s8`
    S8(i8),
    /// `u8`
    U8(u8),
    /// `s16`
    S16(i16),
    /// `u16`
    U16(u16),
    /// `s32`
    S32(i32),
    /// `u32`
    U32(u32),
    /// `s64`
    S64(i64),
    /// `u64`
    U64(u64),
    /// `f32`
    Float32(f32),
    /// `f64`
    Float64(f64),
    /// `char`
    Char(char),
    /// `string`
    String(String),
    /// `list<T>`
    List(Vec<Val>),
    /// `map<K, V>`: the entries in order. A guest may pass the same key more than once.
    Map(Vec<(Val, Val)>),
    /// `record { ... }`: the name and value of each field, in the order of the type.
    Record(Vec<(String, Val)>),
    /// `tuple<...>`
    Tuple(Vec<Val>),
    /// `variant { ... }`: the name of the case and its payload.
    Variant(String, Option<Box<Val>>),
    /// `enum { ... }`: the name of the case.
    Enum(String),
    /// `option<T>`
    Option(Option<Box<Val>>),
    /// `result<T, E>`
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// `flags { ... }`: the names of the flags that are set, in any order. Flags from a guest are
    /// in the order of the type.
    Flags(Vec<String>),
    /// `own<R>` or `borrow<R>`
    Resource(ResourceAny),
    /// `future<T>`
    Future(FutureAny),
    /// `stream<T>`
    Stream(StreamAny),
    /// `error-context`
    ErrorContext(ErrorContext),
    /// `list<T, N>`, a list of fixed length.
    FixedLengthList(Vec<Val>),
}

/// Implements conversions from what the variants have.
macro_rules! from {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl From<$ty> for Val {
            fn from(value: $ty) -> Val {
                Val::$variant(value)
            }
        }
    )*};
}

from! {
    bool => Bool, i8 => S8, u8 => U8, i16 => S16, u16 => U16, i32 => S32, u32 => U32, i64 => S64,
    u64 => U64, f32 => Float32, f64 => Float64, char => Char, String => String,
    ResourceAny => Resource, FutureAny => Future, StreamAny => Stream,
    ErrorContext => ErrorContext,
}

impl From<&str> for Val {
    fn from(value: &str) -> Val {
        Val::String(value.into())
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::S8(a), Val::S8(b)) => a == b,
            (Val::U8(a), Val::U8(b)) => a == b,
            (Val::S16(a), Val::S16(b)) => a == b,
            (Val::U16(a), Val::U16(b)) => a == b,
            (Val::S32(a), Val::S32(b)) => a == b,
            (Val::U32(a), Val::U32(b)) => a == b,
            (Val::S64(a), Val::S64(b)) => a == b,
            (Val::U64(a), Val::U64(b)) => a == b,
            (Val::Float32(a), Val::Float32(b)) => {
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }
            (Val::Float64(a), Val::Float64(b)) => {
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }
            (Val::Char(a), Val::Char(b)) => a == b,
            (Val::String(a), Val::String(b)) | (Val::Enum(a), Val::Enum(b)) => a == b,
            (Val::List(a), Val::List(b))
            | (Val::Tuple(a), Val::Tuple(b))
            | (Val::FixedLengthList(a), Val::FixedLengthList(b)) => a == b,
            (Val::Map(a), Val::Map(b)) => a == b,
            (Val::Record(a), Val::Record(b)) => a == b,
            (Val::Variant(a, x), Val::Variant(b, y)) => a == b && x == y,
            (Val::Option(a), Val::Option(b)) => a == b,
            (Val::Result(a), Val::Result(b)) => a == b,
            (Val::Flags(a), Val::Flags(b)) => {
                a.len() == b.len() && a.iter().all(|name| b.contains(name))
            }
            (Val::Resource(a), Val::Resource(b)) => a == b,
            (Val::Future(a), Val::Future(b)) => a == b,
            (Val::Stream(a), Val::Stream(b)) => a == b,
            (Val::ErrorContext(a), Val::ErrorContext(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Val {}

impl Val {
    /// Returns the kind of the value, by its name in WIT.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Val::Bool(_) => "bool",
            Val::S8(_) => "s8",
            Val::U8(_) => "u8",
            Val::S16(_) => "s16",
            Val::U16(_) => "u16",
            Val::S32(_) => "s32",
            Val::U32(_) => "u32",
            Val::S64(_) => "s64",
            Val::U64(_) => "u64",
            Val::Float32(_) => "f32",
            Val::Float64(_) => "f64",
            Val::Char(_) => "char",
            Val::String(_) => "string",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Record(_) => "record",
            Val::Tuple(_) => "tuple",
            Val::Variant(..) => "variant",
            Val::Enum(_) => "enum",
            Val::Option(_) => "option",
            Val::Result(_) => "result",
            Val::Flags(_) => "flags",
            Val::Resource(_) => "resource",
            Val::Future(_) => "future",
            Val::Stream(_) => "stream",
            Val::ErrorContext(_) => "error-context",
            Val::FixedLengthList(_) => "list of fixed length",
        }
    }

    /// Makes the error for a value that does not have the type `ty`.
    #[cold]
    pub(crate) fn mismatch(&self, ty: InterfaceType, types: &ComponentTypes) -> crate::Error {
        crate::error::format_err!(
            "type mismatch: expected `{}`, found a value of kind `{}`",
            types.display(ty),
            self.kind()
        )
    }
}
