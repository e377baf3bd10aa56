//! The traits of `wasm-wave`, which also serve hosts that use the crate directly.

use crate::Val;
use crate::types::{ComponentFunc, Type};
use std::borrow::Cow;
use wasm_wave::wasm::{WasmFunc, WasmType, WasmTypeKind, WasmValue, WasmValueError};

/// An iterator as the traits return them.
type Items<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

impl WasmType for Type {
    fn kind(&self) -> WasmTypeKind {
        match self {
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
            Type::List(_) => WasmTypeKind::List,
            Type::Map(_) => WasmTypeKind::Map,
            Type::Record(_) => WasmTypeKind::Record,
            Type::Tuple(_) => WasmTypeKind::Tuple,
            Type::Variant(_) => WasmTypeKind::Variant,
            Type::Enum(_) => WasmTypeKind::Enum,
            Type::Option(_) => WasmTypeKind::Option,
            Type::Result(_) => WasmTypeKind::Result,
            Type::Flags(_) => WasmTypeKind::Flags,
            Type::FixedLengthList(_) => WasmTypeKind::FixedLengthList,
            Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match self {
            Type::List(list) => Some(list.ty()),
            Type::FixedLengthList(list) => Some(list.ty()),
            _ => None,
        }
    }

    fn record_fields(&self) -> Items<'_, (Cow<'_, str>, Self)> {
        match self {
            Type::Record(record) => {
                Box::new(record.fields().map(|field| (field.name.into(), field.ty)))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn tuple_element_types(&self) -> Items<'_, Self> {
        match self {
            Type::Tuple(tuple) => Box::new(tuple.types()),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn variant_cases(&self) -> Items<'_, (Cow<'_, str>, Option<Self>)> {
        match self {
            Type::Variant(variant) => {
                Box::new(variant.cases().map(|case| (case.name.into(), case.ty)))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn enum_cases(&self) -> Items<'_, Cow<'_, str>> {
        match self {
            Type::Enum(cases) => Box::new(cases.names().map(Cow::from)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn option_some_type(&self) -> Option<Self> {
        match self {
            Type::Option(option) => Some(option.ty()),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match self {
            Type::Result(result) => Some((result.ok(), result.err())),
            _ => None,
        }
    }

    fn flags_names(&self) -> Items<'_, Cow<'_, str>> {
        match self {
            Type::Flags(flags) => Box::new(flags.names().map(Cow::from)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn map_key_value_types(&self) -> Option<(Self, Self)> {
        match self {
            Type::Map(map) => Some((map.key(), map.value())),
            _ => None,
        }
    }
}

impl WasmFunc for ComponentFunc {
    type Type = Type;

    fn params(&self) -> Items<'_, Type> {
        Box::new(self.params().map(|(_, ty)| ty))
    }

    fn param_names(&self) -> Items<'_, Cow<'_, str>> {
        Box::new(self.params().map(|(name, _)| name.into()))
    }

    fn results(&self) -> Items<'_, Type> {
        Box::new(self.results())
    }
}

/// Returns `value` if it has the type `ty`.
fn checked(ty: &Type, value: Val) -> Result<Val, WasmValueError> {
    match has_type(&value, ty) {
        true => Ok(value),
        false => Err(WasmValueError::WrongValueType {
            ty: ty.to_string(),
            val: value.to_wave().unwrap_or_else(|_| value.kind().into()),
        }),
    }
}

/// Returns whether a value has a type, as far as text can express values.
fn has_type(value: &Val, ty: &Type) -> bool {
    let all = |values: &[Val], ty: Type| values.iter().all(|value| has_type(value, &ty));
    let payload = |value: &Option<Box<Val>>, ty: Option<Type>| match (value, ty) {
        (Some(value), Some(ty)) => has_type(value, &ty),
        (None, None) => true,
        _ => false,
    };
    match (value, ty) {
        (Val::List(values), Type::List(list)) => all(values, list.ty()),
        (Val::FixedLengthList(values), Type::FixedLengthList(list)) => {
            values.len() == list.len() as usize && all(values, list.ty())
        }
        (Val::Map(entries), Type::Map(map)) => {
            let (key_type, value_type) = (map.key(), map.value());
            let entry = |(key, value): &(Val, Val)| {
                has_type(key, &key_type) && has_type(value, &value_type)
            };
            entries.iter().all(entry)
        }
        (Val::Record(fields), Type::Record(record)) => {
            fields.len() == record.fields().len()
                && fields
                    .iter()
                    .zip(record.fields())
                    .all(|((name, value), field)| name == field.name && has_type(value, &field.ty))
        }
        (Val::Tuple(values), Type::Tuple(tuple)) => {
            values.len() == tuple.types().len()
                && values
                    .iter()
                    .zip(tuple.types())
                    .all(|(value, ty)| has_type(value, &ty))
        }
        (Val::Variant(name, value), Type::Variant(variant)) => variant
            .cases()
            .any(|case| case.name == name && payload(value, case.ty)),
        (Val::Enum(name), Type::Enum(cases)) => cases.names().any(|case| case == name),
        (Val::Option(value), Type::Option(option)) => value
            .as_ref()
            .is_none_or(|value| has_type(value, &option.ty())),
        (Val::Result(Ok(value)), Type::Result(result)) => payload(value, result.ok()),
        (Val::Result(Err(value)), Type::Result(result)) => payload(value, result.err()),
        (Val::Flags(names), Type::Flags(flags)) => names
            .iter()
            .all(|name| flags.names().any(|flag| flag == name)),
        _ => value.kind_of_wave() == ty.kind() && ty.kind() != WasmTypeKind::Unsupported,
    }
}

/// Defines the methods for scalars.
macro_rules! scalars {
    ($($make:ident $unwrap:ident $ty:ty: $variant:ident;)*) => {$(
        fn $make(value: $ty) -> Self {
            Val::$variant(value)
        }

        fn $unwrap(&self) -> $ty {
            match self {
                Val::$variant(value) => *value,
                _ => self.is_not(stringify!($variant)),
            }
        }
    )*};
}

impl Val {
    fn kind_of_wave(&self) -> WasmTypeKind {
        match self {
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
            Val::List(_) => WasmTypeKind::List,
            Val::Map(_) => WasmTypeKind::Map,
            Val::Record(_) => WasmTypeKind::Record,
            Val::Tuple(_) => WasmTypeKind::Tuple,
            Val::Variant(..) => WasmTypeKind::Variant,
            Val::Enum(_) => WasmTypeKind::Enum,
            Val::Option(_) => WasmTypeKind::Option,
            Val::Result(_) => WasmTypeKind::Result,
            Val::Flags(_) => WasmTypeKind::Flags,
            Val::FixedLengthList(_) => WasmTypeKind::FixedLengthList,
            Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => {
                WasmTypeKind::Unsupported
            }
        }
    }

    /// Panics, as the trait asks for: the caller has not looked at the value's kind.
    fn is_not(&self, what: &str) -> ! {
        panic!("the value is of kind `{}`, not `{what}`", self.kind())
    }
}

fn borrowed(values: &[Val]) -> Items<'_, Cow<'_, Val>> {
    Box::new(values.iter().map(Cow::Borrowed))
}

fn payload(value: &Option<Box<Val>>) -> Option<Cow<'_, Val>> {
    value.as_deref().map(Cow::Borrowed)
}

impl WasmValue for Val {
    type Type = Type;

    fn kind(&self) -> WasmTypeKind {
        self.kind_of_wave()
    }

    scalars! {
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
        Val::String(value.into_owned())
    }

    fn make_list(
        ty: &Type,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        let values = values.into_iter().collect();
        let value = match ty {
            Type::FixedLengthList(_) => Val::FixedLengthList(values),
            _ => Val::List(values),
        };
        checked(ty, value)
    }

    fn make_record<'a>(
        ty: &Type,
        fields: impl IntoIterator<Item = (&'a str, Self)>,
    ) -> Result<Self, WasmValueError> {
        let Type::Record(record) = ty else {
            return checked(ty, Val::Record(Vec::new()));
        };
        let mut given: Vec<_> = fields.into_iter().collect();
        let mut values = Vec::with_capacity(given.len());
        for field in record.fields() {
            let value = match given.iter().position(|(name, _)| *name == field.name) {
                Some(position) => given.swap_remove(position).1,
                // Fields that are options may be left out.
                None if matches!(field.ty, Type::Option(_)) => Val::Option(None),
                None => return Err(WasmValueError::MissingField(field.name.into())),
            };
            values.push((field.name.to_string(), value));
        }
        match given.first() {
            Some((name, _)) => Err(WasmValueError::UnknownField(name.to_string())),
            None => checked(ty, Val::Record(values)),
        }
    }

    fn make_tuple(
        ty: &Type,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        checked(ty, Val::Tuple(values.into_iter().collect()))
    }

    fn make_variant(ty: &Type, case: &str, value: Option<Self>) -> Result<Self, WasmValueError> {
        checked(ty, Val::Variant(case.into(), value.map(Box::new)))
    }

    fn make_enum(ty: &Type, case: &str) -> Result<Self, WasmValueError> {
        checked(ty, Val::Enum(case.into()))
    }

    fn make_option(ty: &Type, value: Option<Self>) -> Result<Self, WasmValueError> {
        checked(ty, Val::Option(value.map(Box::new)))
    }

    fn make_result(
        ty: &Type,
        value: Result<Option<Self>, Option<Self>>,
    ) -> Result<Self, WasmValueError> {
        let value = match value {
            Ok(value) => Ok(value.map(Box::new)),
            Err(value) => Err(value.map(Box::new)),
        };
        checked(ty, Val::Result(value))
    }

    fn make_flags<'a>(
        ty: &Type,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, WasmValueError> {
        let names = names.into_iter().map(String::from).collect();
        checked(ty, Val::Flags(names))
    }

    fn make_map(
        ty: &Type,
        entries: impl IntoIterator<Item = (Self, Self)>,
    ) -> Result<Self, WasmValueError> {
        checked(ty, Val::Map(entries.into_iter().collect()))
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match self {
            Val::String(value) => Cow::Borrowed(value),
            _ => self.is_not("string"),
        }
    }

    fn unwrap_list(&self) -> Items<'_, Cow<'_, Self>> {
        match self {
            Val::List(values) | Val::FixedLengthList(values) => borrowed(values),
            _ => self.is_not("list"),
        }
    }

    fn unwrap_record(&self) -> Items<'_, (Cow<'_, str>, Cow<'_, Self>)> {
        match self {
            Val::Record(fields) => {
                let fields = fields.iter();
                Box::new(fields.map(|(name, value)| (name.as_str().into(), Cow::Borrowed(value))))
            }
            _ => self.is_not("record"),
        }
    }

    fn unwrap_tuple(&self) -> Items<'_, Cow<'_, Self>> {
        match self {
            Val::Tuple(values) => borrowed(values),
            _ => self.is_not("tuple"),
        }
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        match self {
            Val::Variant(case, value) => (Cow::Borrowed(case), payload(value)),
            _ => self.is_not("variant"),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match self {
            Val::Enum(case) => Cow::Borrowed(case),
            _ => self.is_not("enum"),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        match self {
            Val::Option(value) => payload(value),
            _ => self.is_not("option"),
        }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match self {
            Val::Result(value) => value.as_ref().map(payload).map_err(payload),
            _ => self.is_not("result"),
        }
    }

    fn unwrap_flags(&self) -> Items<'_, Cow<'_, str>> {
        match self {
            Val::Flags(names) => Box::new(names.iter().map(|name| Cow::Borrowed(name.as_str()))),
            _ => self.is_not("flags"),
        }
    }

    fn unwrap_map(&self) -> Items<'_, (Cow<'_, Self>, Cow<'_, Self>)> {
        match self {
            Val::Map(entries) => {
                let entries = entries.iter();
                Box::new(entries.map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))))
            }
            _ => self.is_not("map"),
        }
    }
}
