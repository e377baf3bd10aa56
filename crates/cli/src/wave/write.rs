//! Writes values as text, through the traits of `wasm-wave`.

use mintage::Val;
use mintage::error::{Context, Result};
use std::borrow::Cow;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue};

/// Writes a value as text.
///
/// # Errors
///
/// Fails for values that contain handles.
pub(crate) fn to_string(value: &Val) -> Result<String> {
    wasm_wave::to_string(&Value(value.clone())).context("the value cannot be written as text")
}

/// The type of all values. `wasm-wave` does not use types to write values.
#[derive(Clone)]
struct NoType;

impl WasmType for NoType {
    fn kind(&self) -> WasmTypeKind {
        WasmTypeKind::Unsupported
    }
}

/// A component value, for the traits of `wasm-wave`.
#[derive(Clone)]
struct Value(Val);

/// Defines the methods that return a scalar.
macro_rules! scalars {
    ($($unwrap:ident $ty:ty: $variant:ident;)*) => {$(
        fn $unwrap(&self) -> $ty {
            match self.0 {
                Val::$variant(value) => value,
                _ => self.mismatch(),
            }
        }
    )*};
}

impl Value {
    /// Panics. Unreachable, since `wasm-wave` calls only the method for the value's `kind`.
    fn mismatch(&self) -> ! {
        panic!("wrong method for the value {:?}", self.0)
    }

    fn borrow(value: &Val) -> Cow<'_, Value> {
        Cow::Owned(Value(value.clone()))
    }

    fn borrow_payload(payload: &Option<Box<Val>>) -> Option<Cow<'_, Value>> {
        payload.as_deref().map(Value::borrow)
    }
}

impl WasmValue for Value {
    type Type = NoType;

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

    scalars! {
        unwrap_bool bool: Bool;
        unwrap_s8 i8: S8;
        unwrap_u8 u8: U8;
        unwrap_s16 i16: S16;
        unwrap_u16 u16: U16;
        unwrap_s32 i32: S32;
        unwrap_u32 u32: U32;
        unwrap_s64 i64: S64;
        unwrap_u64 u64: U64;
        unwrap_f32 f32: Float32;
        unwrap_f64 f64: Float64;
        unwrap_char char: Char;
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
            Val::Map(entries) => Box::new(entries.iter().map(|(key, value)| {
                Cow::Owned(Value(Val::Tuple(vec![key.clone(), value.clone()])))
            })),
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
