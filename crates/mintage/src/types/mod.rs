//! Reflection: the types of a component's imports, exports and functions.

mod ids;
mod items;
mod scope;

pub(crate) use ids::{StoreId, StoreInstanceId};
pub use items::{Component, ComponentExtern, ComponentInstance, ComponentItem, CoreFunc, Module};
pub(crate) use scope::{HostResourceTypes, TypeScope};

use crate::component::ComponentId;
use mintage_environ::component::{ComponentTypes, InterfaceType};
use mintage_environ::{
    EnumId, FlagsId, FuncTypeId, FutureId, ListId, MapId, OptionId, RecordId, ResourceId, ResultId,
    StreamId, TupleId, VariantId,
};
use std::any::TypeId;
use std::fmt;

/// A type of a component.
macro_rules! handle {
    ($($(#[$doc:meta])* $name:ident($id:ty) = $variant:ident, $parts:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            component: TypeScope,
            id: $id,
        }

        impl $name {
            fn all_types(&self) -> &ComponentTypes {
                &self.component.interface().types
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.all_types().display(InterfaceType::$variant(self.id)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl PartialEq for $name {
            /// Returns whether both have the same names and parts.
            fn eq(&self, other: &Self) -> bool {
                let same: fn(&Self, &Self) -> bool = $parts;
                (self.component.same(&other.component) && self.id == other.id) || same(self, other)
            }
        }

        impl Eq for $name {}
    )*};
}

handle! {
    /// `list<T>`
    List(ListId) = List, |a, b| a.ty() == b.ty();
    /// `map<K, V>`
    Map(MapId) = Map, |a, b| a.key() == b.key() && a.value() == b.value();
    /// `record { ... }`
    Record(RecordId) = Record, |a, b| a.fields().eq(b.fields());
    /// `tuple<...>`
    Tuple(TupleId) = Tuple, |a, b| a.types().eq(b.types());
    /// `list<T, N>`
    FixedLengthList(TupleId) = Tuple, |a, b| a.ty() == b.ty() && a.len() == b.len();
    /// `variant { ... }`
    Variant(VariantId) = Variant, |a, b| a.cases().eq(b.cases());
    /// `enum { ... }`
    Enum(EnumId) = Enum, |a, b| a.names().eq(b.names());
    /// `option<T>`
    OptionType(OptionId) = Option, |a, b| a.ty() == b.ty();
    /// `result<T, E>`
    ResultType(ResultId) = Result, |a, b| a.ok() == b.ok() && a.err() == b.err();
    /// `flags { ... }`
    Flags(FlagsId) = Flags, |a, b| a.names().eq(b.names());
    /// `future<T>`
    FutureType(FutureId) = Future, |a, b| a.ty() == b.ty();
    /// `stream<T>`
    StreamType(StreamId) = Stream, |a, b| a.ty() == b.ty();
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: Type,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case<'a> {
    /// Its name.
    pub name: &'a str,
    /// The type of its payload, if it has one.
    pub ty: Option<Type>,
}

impl List {
    /// The element type.
    pub fn ty(&self) -> Type {
        Type::new(&self.component, *self.all_types().list(self.id))
    }
}

impl Map {
    /// The keys' type.
    pub fn key(&self) -> Type {
        Type::new(&self.component, self.all_types().map(self.id).0)
    }

    /// The values' type.
    pub fn value(&self) -> Type {
        Type::new(&self.component, self.all_types().map(self.id).1)
    }

    /// Returns the tuple of key and value, which is the type of an entry where a map is a list.
    pub fn entry(&self) -> Type {
        let types = self.all_types();
        let map = InterfaceType::Map(self.id);
        Type::new(&self.component, types.element(map).unwrap_or(map))
    }
}

impl Record {
    /// The fields in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        let fields = self.all_types().record(self.id).fields.iter();
        fields.map(|(name, ty)| Field {
            name,
            ty: Type::new(&self.component, *ty),
        })
    }
}

impl Tuple {
    /// The types in order.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type> + '_ {
        self.component
            .interface()
            .types
            .tuple(self.id)
            .iter()
            .map(|ty| Type::new(&self.component, *ty))
    }
}

impl FixedLengthList {
    /// Returns the element type.
    pub fn ty(&self) -> Type {
        // A list of fixed length has at least one element.
        Type::new(&self.component, self.all_types().tuple(self.id)[0])
    }

    /// Returns the number of elements, which is never 0.
    #[allow(clippy::len_without_is_empty, reason = "there are no empty ones")]
    pub fn len(&self) -> u32 {
        self.all_types().tuple(self.id).len() as u32
    }
}

impl Variant {
    /// The cases in order.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = Case<'_>> {
        let cases = self.all_types().variant(self.id).cases.iter();
        cases.map(|(name, ty)| Case {
            name,
            ty: ty.map(|ty| Type::new(&self.component, ty)),
        })
    }
}

impl Enum {
    /// The names of the cases in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.all_types().enum_(self.id).iter().map(|name| &**name)
    }
}

impl OptionType {
    /// The payload's type.
    pub fn ty(&self) -> Type {
        Type::new(&self.component, *self.all_types().option(self.id))
    }
}

impl ResultType {
    /// The type of the `ok` payload, if it has one.
    pub fn ok(&self) -> Option<Type> {
        self.all_types()
            .result(self.id)
            .0
            .map(|ty| Type::new(&self.component, ty))
    }

    /// The type of the `err` payload, if it has one.
    pub fn err(&self) -> Option<Type> {
        self.all_types()
            .result(self.id)
            .1
            .map(|ty| Type::new(&self.component, ty))
    }
}

impl Flags {
    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.all_types().flags(self.id).iter().map(|name| &**name)
    }
}

impl FutureType {
    /// Returns the type of the payload, if it has one.
    pub fn ty(&self) -> Option<Type> {
        let payload = *self.all_types().future(self.id);
        payload.map(|ty| Type::new(&self.component, ty))
    }
}

impl StreamType {
    /// Returns the type of the items, if they have one.
    pub fn ty(&self) -> Option<Type> {
        let payload = *self.all_types().stream(self.id);
        payload.map(|ty| Type::new(&self.component, ty))
    }
}

/// A resource type.
///
/// What [`component_type`](crate::Component::component_type) tells are types of the component, and
/// different from those that an instance of it has: there, imported types are the host's, and each
/// instance's own types are its own. See [`Instance::get_resource`](crate::Instance::get_resource),
/// [`Func::ty`](crate::Func::ty) and
/// [`Linker::substituted_component_type`](crate::Linker::substituted_component_type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceType(ResourceKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ResourceKind {
    Host(TypeId),
    /// A type of the host that is told apart from others by a number.
    HostDynamic(u32),
    /// A type of an instance, by its number in the instance's component.
    Guest(StoreId, StoreInstanceId, ResourceId),
    /// A type of a component, whatever it is in an instance of it.
    Component(ComponentId, ResourceId),
}

impl ResourceType {
    /// The resource type of the host whose values are represented by `T`.
    pub fn host<T: 'static>() -> ResourceType {
        ResourceType(ResourceKind::Host(TypeId::of::<T>()))
    }

    /// Returns the resource type of the host with the number `payload`, for types that are known
    /// only at run time. See [`ResourceDynamic`](crate::ResourceDynamic).
    pub fn host_dynamic(payload: u32) -> ResourceType {
        ResourceType(ResourceKind::HostDynamic(payload))
    }

    /// Returns the number of a type that [`host_dynamic`](Self::host_dynamic) has made.
    pub(crate) fn dynamic_payload(&self) -> Option<u32> {
        match self.0 {
            ResourceKind::HostDynamic(payload) => Some(payload),
            _ => None,
        }
    }

    /// The resource type `id` of an instance in a store.
    pub(crate) fn guest(store: StoreId, instance: StoreInstanceId, id: ResourceId) -> ResourceType {
        ResourceType(ResourceKind::Guest(store, instance, id))
    }
}

/// A value type.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::types::{ComponentItem, Type};
/// use mintage::{Component, Engine};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component (import "sum" (func (param "of" (list u32)) (result u64))))"#,
/// )?;
/// let ty = component.component_type();
/// let import = ty.get_import(&engine, "sum").unwrap();
/// let ComponentItem::ComponentFunc(sum) = import.ty else {
///     panic!("`sum` is a function");
/// };
/// let (name, of) = sum.params().next().unwrap();
/// assert_eq!(name, "of");
/// assert!(matches!(of, Type::List(list) if list.ty() == Type::U32));
/// assert_eq!(sum.results().next(), Some(Type::U64));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    Float32,
    /// `f64`
    Float64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<T>`
    List(List),
    /// `map<K, V>`
    Map(Map),
    /// `record { ... }`
    Record(Record),
    /// `tuple<...>`
    Tuple(Tuple),
    /// `variant { ... }`
    Variant(Variant),
    /// `enum { ... }`
    Enum(Enum),
    /// `option<T>`
    Option(OptionType),
    /// `result<T, E>`
    Result(ResultType),
    /// `flags { ... }`
    Flags(Flags),
    /// `own<R>`
    Own(ResourceType),
    /// `borrow<R>`
    Borrow(ResourceType),
    /// `future<T>`
    Future(FutureType),
    /// `stream<T>`
    Stream(StreamType),
    /// `error-context`
    ErrorContext,
    /// `list<T, N>`
    FixedLengthList(FixedLengthList),
}

/// Defines the methods that return what a variant has.
macro_rules! unwrap {
    ($($name:ident -> $variant:ident($ty:ty), $what:literal;)*) => {
        impl Type {
            $(
                #[doc = concat!("Returns the type as ", $what, ".")]
                ///
                /// # Panics
                ///
                /// If it is another type.
                pub fn $name(&self) -> &$ty {
                    match self {
                        Type::$variant(ty) => ty,
                        other => panic!("expected {}, found the type `{other}`", $what),
                    }
                }
            )*
        }
    };
}

unwrap! {
    unwrap_list -> List(List), "a list";
    unwrap_record -> Record(Record), "a record";
    unwrap_tuple -> Tuple(Tuple), "a tuple";
    unwrap_variant -> Variant(Variant), "a variant";
    unwrap_enum -> Enum(Enum), "an enum";
    unwrap_option -> Option(OptionType), "an option";
    unwrap_result -> Result(ResultType), "a result";
    unwrap_flags -> Flags(Flags), "flags";
    unwrap_own -> Own(ResourceType), "an owned resource";
    unwrap_borrow -> Borrow(ResourceType), "a borrowed resource";
}

impl Type {
    /// Returns the type by its number, and the scope that the number is of if it has one; none for
    /// resources.
    pub(crate) fn interface(&self) -> Option<(InterfaceType, Option<&TypeScope>)> {
        use InterfaceType as T;
        let (ty, scope) = match self {
            Type::List(List { component, id }) => (T::List(*id), component),
            Type::Map(Map { component, id }) => (T::Map(*id), component),
            Type::Record(Record { component, id }) => (T::Record(*id), component),
            Type::Tuple(Tuple { component, id })
            | Type::FixedLengthList(FixedLengthList { component, id }) => {
                (T::Tuple(*id), component)
            }
            Type::Variant(Variant { component, id }) => (T::Variant(*id), component),
            Type::Enum(Enum { component, id }) => (T::Enum(*id), component),
            Type::Option(OptionType { component, id }) => (T::Option(*id), component),
            Type::Result(ResultType { component, id }) => (T::Result(*id), component),
            Type::Flags(Flags { component, id }) => (T::Flags(*id), component),
            Type::Own(_) | Type::Borrow(_) => return None,
            Type::Future(FutureType { component, id }) => (T::Future(*id), component),
            Type::Stream(StreamType { component, id }) => (T::Stream(*id), component),
            Type::Bool => return Some((T::Bool, None)),
            Type::S8 => return Some((T::S8, None)),
            Type::U8 => return Some((T::U8, None)),
            Type::S16 => return Some((T::S16, None)),
            Type::U16 => return Some((T::U16, None)),
            Type::S32 => return Some((T::S32, None)),
            Type::U32 => return Some((T::U32, None)),
            Type::S64 => return Some((T::S64, None)),
            Type::U64 => return Some((T::U64, None)),
            Type::Float32 => return Some((T::F32, None)),
            Type::Float64 => return Some((T::F64, None)),
            Type::Char => return Some((T::Char, None)),
            Type::String => return Some((T::String, None)),
            Type::ErrorContext => return Some((T::ErrorContext, None)),
        };
        Some((ty, Some(scope)))
    }

    pub(crate) fn new(component: &TypeScope, ty: InterfaceType) -> Type {
        use InterfaceType as T;
        let component = component.clone();
        match ty {
            T::Bool => Type::Bool,
            T::S8 => Type::S8,
            T::U8 => Type::U8,
            T::S16 => Type::S16,
            T::U16 => Type::U16,
            T::S32 => Type::S32,
            T::U32 => Type::U32,
            T::S64 => Type::S64,
            T::U64 => Type::U64,
            T::F32 => Type::Float32,
            T::F64 => Type::Float64,
            T::Char => Type::Char,
            T::String => Type::String,
            T::List(id) => Type::List(List { component, id }),
            T::Map(id) => Type::Map(Map { component, id }),
            T::Record(id) => Type::Record(Record { component, id }),
            T::Tuple(id) => {
                let is_list = component.interface().types.fixed_length_list(id).is_some();
                match is_list {
                    true => Type::FixedLengthList(FixedLengthList { component, id }),
                    false => Type::Tuple(Tuple { component, id }),
                }
            }
            T::Variant(id) => Type::Variant(Variant { component, id }),
            T::Enum(id) => Type::Enum(Enum { component, id }),
            T::Option(id) => Type::Option(OptionType { component, id }),
            T::Result(id) => Type::Result(ResultType { component, id }),
            T::Flags(id) => Type::Flags(Flags { component, id }),
            T::Own(id) => Type::Own(component.resource(id)),
            T::Borrow(id) => Type::Borrow(component.resource(id)),
            T::Future(id) => Type::Future(FutureType { component, id }),
            T::Stream(id) => Type::Stream(StreamType { component, id }),
            T::ErrorContext => Type::ErrorContext,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::U8 => "u8",
            Type::S16 => "s16",
            Type::U16 => "u16",
            Type::S32 => "s32",
            Type::U32 => "u32",
            Type::S64 => "s64",
            Type::U64 => "u64",
            Type::Float32 => "f32",
            Type::Float64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::List(ty) => return ty.fmt(f),
            Type::Map(ty) => return ty.fmt(f),
            Type::Record(ty) => return ty.fmt(f),
            Type::Tuple(ty) => return ty.fmt(f),
            Type::Variant(ty) => return ty.fmt(f),
            Type::Enum(ty) => return ty.fmt(f),
            Type::Option(ty) => return ty.fmt(f),
            Type::Result(ty) => return ty.fmt(f),
            Type::Flags(ty) => return ty.fmt(f),
            Type::Own(_) => "own",
            Type::Borrow(_) => "borrow",
            Type::Future(ty) => return ty.fmt(f),
            Type::Stream(ty) => return ty.fmt(f),
            Type::ErrorContext => "error-context",
            Type::FixedLengthList(ty) => return ty.fmt(f),
        })
    }
}

/// The type of a component function.
#[derive(Clone)]
pub struct ComponentFunc {
    component: TypeScope,
    id: FuncTypeId,
}

impl ComponentFunc {
    pub(crate) fn new(component: &TypeScope, id: FuncTypeId) -> Self {
        Self {
            component: component.clone(),
            id,
        }
    }

    /// Returns the component whose type this is, and the type's number there.
    pub(crate) fn parts(&self) -> (&crate::Component, FuncTypeId) {
        (&self.component, self.id)
    }

    /// The name and type of each parameter.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Type)> + '_ {
        let params = self.component.interface().types.func(self.id).params.iter();
        params.map(|(name, ty)| (&**name, Type::new(&self.component, *ty)))
    }

    /// The types of the results: none or one.
    pub fn results(&self) -> impl ExactSizeIterator<Item = Type> + '_ {
        self.component
            .interface()
            .types
            .func(self.id)
            .result
            .into_iter()
            .map(|ty| Type::new(&self.component, ty))
    }

    /// Returns whether the function is declared `async`.
    pub fn async_(&self) -> bool {
        self.component.interface().types.func(self.id).is_async
    }
}

impl fmt::Display for ComponentFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.component.interface().types.display_func(self.id))
    }
}

impl fmt::Debug for ComponentFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
