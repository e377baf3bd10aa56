//! Interned component types (Explainer.md, "Type Definitions").

use super::abi::CanonicalAbi;
use crate::{
    EnumId, FlagsId, FuncTypeId, FutureId, Index, ListId, MapId, OptionId, RecordId, ResourceId,
    ResultId, StreamId, TupleId, VariantId,
};
use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::Hash;
use std::marker::PhantomData;

/// A value type of a component interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InterfaceType {
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
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<T>`
    List(ListId),
    /// `map<K, V>`
    Map(MapId),
    /// `record { ... }`
    Record(RecordId),
    /// `tuple<...>`, or `list<T, N>`, which has the same layout
    Tuple(TupleId),
    /// `variant { ... }`
    Variant(VariantId),
    /// `enum { ... }`
    Enum(EnumId),
    /// `option<T>`
    Option(OptionId),
    /// `result<T, E>`
    Result(ResultId),
    /// `flags { ... }`
    Flags(FlagsId),
    /// `own<R>`
    Own(ResourceId),
    /// `borrow<R>`
    Borrow(ResourceId),
    /// `stream<T>`
    Stream(StreamId),
    /// `future<T>`
    Future(FutureId),
    /// `error-context`
    ErrorContext,
}

impl InterfaceType {
    /// Returns whether the type is `bool`, a number or `char`: its values are one core value each,
    /// and have no others in them.
    pub fn is_scalar(self) -> bool {
        self.is_number() || matches!(self, InterfaceType::Bool | InterfaceType::Char)
    }

    /// Returns whether values of the type are numbers, of which every bit pattern is one.
    pub fn is_number(self) -> bool {
        use InterfaceType as T;
        let is_integer = matches!(
            self,
            T::S8 | T::U8 | T::S16 | T::U16 | T::S32 | T::U32 | T::S64 | T::U64
        );
        is_integer || matches!(self, T::F32 | T::F64)
    }
}

/// A record: named fields in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The name and the type of each field.
    pub fields: Box<[(Box<str>, InterfaceType)]>,
}

/// A tuple, or a list of fixed length, which has the layout of a tuple.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Tuple {
    types: Box<[InterfaceType]>,
    is_list: bool,
}

/// A variant: named cases in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// The name and the payload type of each case.
    pub cases: Box<[(Box<str>, Option<InterfaceType>)]>,
}

/// The type of a component function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FuncType {
    /// The name and the type of each parameter.
    pub params: Box<[(Box<str>, InterfaceType)]>,
    /// The result, if any.
    pub result: Option<InterfaceType>,
    /// Whether the type is declared `async`.
    pub is_async: bool,
}

/// The parameters and the results of a function as tuple types, which the Canonical ABI lays out if
/// it spills them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FuncTuples {
    /// The tuple of the parameters.
    pub params: InterfaceType,
    /// The tuple of the results: none or one.
    pub results: InterfaceType,
}

/// The types of one kind, each once, with a value that is computed once for each: usually its
/// Canonical ABI.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Interned<I, T: Eq + Hash, A> {
    types: IndexSet<T, DefaultHashBuilder>,
    abi: Vec<A>,
    #[serde(skip)]
    index: PhantomData<fn(I)>,
}

impl<I, T: Eq + Hash, A> Default for Interned<I, T, A> {
    fn default() -> Self {
        Self {
            types: IndexSet::default(),
            abi: Vec::new(),
            index: PhantomData,
        }
    }
}

impl<I: Index, T: Eq + Hash, A> Interned<I, T, A> {
    fn intern(&mut self, ty: T, abi: impl FnOnce() -> A) -> I {
        let (position, new) = self.types.insert_full(ty);
        if new {
            self.abi.push(abi());
        }
        I::from_u32(position as u32)
    }

    fn ty(&self, id: I) -> &T {
        &self.types[id.index()]
    }

    pub(super) fn abi(&self, id: I) -> &A {
        &self.abi[id.index()]
    }
}

/// All component types of a program. Equal types have equal indexes, so that comparing two
/// [`InterfaceType`]s of one `ComponentTypes` compares their structure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ComponentTypes {
    lists: Interned<ListId, InterfaceType, ()>,
    /// Keys and values, with the tuple type of both.
    maps: Interned<MapId, (InterfaceType, InterfaceType), InterfaceType>,
    pub(super) records: Interned<RecordId, Record, CanonicalAbi>,
    pub(super) tuples: Interned<TupleId, Tuple, CanonicalAbi>,
    pub(super) variants: Interned<VariantId, Variant, CanonicalAbi>,
    pub(super) enums: Interned<EnumId, Box<[Box<str>]>, CanonicalAbi>,
    pub(super) options: Interned<OptionId, InterfaceType, CanonicalAbi>,
    pub(super) results:
        Interned<ResultId, (Option<InterfaceType>, Option<InterfaceType>), CanonicalAbi>,
    pub(super) flags: Interned<FlagsId, Box<[Box<str>]>, CanonicalAbi>,
    streams: Interned<StreamId, Option<InterfaceType>, ()>,
    futures: Interned<FutureId, Option<InterfaceType>, ()>,
    funcs: Interned<FuncTypeId, FuncType, FuncTuples>,
    /// The names of resource types, if they have any.
    resources: Vec<Option<Box<str>>>,
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $get:ident: $field:ident[$id:ty] -> $ty:ty;)*) => {$(
        $(#[$doc])*
        pub fn $get(&self, id: $id) -> &$ty {
            self.$field.ty(id)
        }
    )*};
}

impl ComponentTypes {
    accessors! {
        /// Returns the element type of a list.
        list: lists[ListId] -> InterfaceType;
        /// Returns the key and value types of a map.
        map: maps[MapId] -> (InterfaceType, InterfaceType);
        /// Returns a record.
        record: records[RecordId] -> Record;
        /// Returns a variant.
        variant: variants[VariantId] -> Variant;
        /// Returns the case names of an enum.
        enum_: enums[EnumId] -> Box<[Box<str>]>;
        /// Returns the payload type of an option.
        option: options[OptionId] -> InterfaceType;
        /// Returns the `ok` and `err` payload types of a result.
        result: results[ResultId] -> (Option<InterfaceType>, Option<InterfaceType>);
        /// Returns the names of flags.
        flags: flags[FlagsId] -> Box<[Box<str>]>;
        /// Returns the type of a stream's elements, if they have any.
        stream: streams[StreamId] -> Option<InterfaceType>;
        /// Returns the type of a future's value, if it has any.
        future: futures[FutureId] -> Option<InterfaceType>;
        /// Returns a function type.
        func: funcs[FuncTypeId] -> FuncType;
    }

    /// Returns whether there are streams or futures.
    pub fn has_streams(&self) -> bool {
        !self.streams.types.is_empty() || !self.futures.types.is_empty()
    }

    /// Returns the types of a tuple, or of the elements of a list of fixed length.
    pub fn tuple(&self, id: TupleId) -> &[InterfaceType] {
        &self.tuples.ty(id).types
    }

    /// Returns the element type and the length of `list<element, length>`. `None` for a tuple.
    pub fn fixed_length_list(&self, id: TupleId) -> Option<(InterfaceType, usize)> {
        let Tuple { types, is_list } = self.tuples.ty(id);
        is_list.then_some((*types.first()?, types.len()))
    }

    /// Interns `list<element>`.
    pub fn intern_list(&mut self, element: InterfaceType) -> InterfaceType {
        InterfaceType::List(self.lists.intern(element, || ()))
    }

    /// Interns `map<key, value>`.
    pub fn intern_map(&mut self, key: InterfaceType, value: InterfaceType) -> InterfaceType {
        let entry = self.intern_tuple([key, value].into());
        InterfaceType::Map(self.maps.intern((key, value), || entry))
    }

    /// Returns the type of a list's elements in memory. A map is a list of tuples of key and value
    /// (CanonicalABI.md, "Despecialization"). `None` for other types.
    pub fn element(&self, ty: InterfaceType) -> Option<InterfaceType> {
        match ty {
            InterfaceType::List(id) => Some(*self.list(id)),
            InterfaceType::Map(id) => Some(*self.maps.abi(id)),
            _ => None,
        }
    }

    /// Interns a record.
    pub fn intern_record(&mut self, record: Record) -> InterfaceType {
        let abi = self.record_abi(record.fields.iter().map(|&(_, ty)| ty));
        InterfaceType::Record(self.records.intern(record, || abi))
    }

    /// Interns a tuple.
    pub fn intern_tuple(&mut self, types: Box<[InterfaceType]>) -> InterfaceType {
        self.intern_tuple_or_list(types, false)
    }

    /// Interns `list<element, length>`. It has the layout of a tuple of `length` times `element`,
    /// and is one everywhere but in [`fixed_length_list`](Self::fixed_length_list).
    pub fn intern_fixed_length_list(
        &mut self,
        element: InterfaceType,
        length: u32,
    ) -> InterfaceType {
        self.intern_tuple_or_list((0..length).map(|_| element).collect(), true)
    }

    fn intern_tuple_or_list(
        &mut self,
        types: Box<[InterfaceType]>,
        is_list: bool,
    ) -> InterfaceType {
        let abi = self.record_abi(types.iter().copied());
        let tuple = Tuple { types, is_list };
        InterfaceType::Tuple(self.tuples.intern(tuple, || abi))
    }

    /// Interns a variant.
    pub fn intern_variant(&mut self, variant: Variant) -> InterfaceType {
        let abi = self.variant_abi(variant.cases.iter().map(|&(_, ty)| ty));
        InterfaceType::Variant(self.variants.intern(variant, || abi))
    }

    /// Interns an enum of the given case names.
    pub fn intern_enum(&mut self, names: Box<[Box<str>]>) -> InterfaceType {
        let abi = self.variant_abi(names.iter().map(|_| None));
        InterfaceType::Enum(self.enums.intern(names, || abi))
    }

    /// Interns `option<payload>`.
    pub fn intern_option(&mut self, payload: InterfaceType) -> InterfaceType {
        let abi = self.variant_abi([None, Some(payload)].into_iter());
        InterfaceType::Option(self.options.intern(payload, || abi))
    }

    /// Interns `result<ok, err>`.
    pub fn intern_result(
        &mut self,
        ok: Option<InterfaceType>,
        err: Option<InterfaceType>,
    ) -> InterfaceType {
        let abi = self.variant_abi([ok, err].into_iter());
        InterfaceType::Result(self.results.intern((ok, err), || abi))
    }

    /// Interns flags of the given names.
    pub fn intern_flags(&mut self, names: Box<[Box<str>]>) -> InterfaceType {
        let abi = CanonicalAbi::flags(names.len());
        InterfaceType::Flags(self.flags.intern(names, || abi))
    }

    /// Interns `stream<element>`.
    pub fn intern_stream(&mut self, element: Option<InterfaceType>) -> InterfaceType {
        InterfaceType::Stream(self.streams.intern(element, || ()))
    }

    /// Interns `future<value>`.
    pub fn intern_future(&mut self, value: Option<InterfaceType>) -> InterfaceType {
        InterfaceType::Future(self.futures.intern(value, || ()))
    }

    /// Interns a function type.
    pub fn intern_func(&mut self, ty: FuncType) -> FuncTypeId {
        let params = self.intern_tuple(ty.params.iter().map(|&(_, ty)| ty).collect());
        let results = self.intern_tuple(ty.result.into_iter().collect());
        self.funcs.intern(ty, || FuncTuples { params, results })
    }

    /// Returns the parameters and the results of a function as tuple types.
    pub fn func_tuples(&self, id: FuncTypeId) -> FuncTuples {
        *self.funcs.abi(id)
    }

    /// Calls `visit` once for each value type that occurs in a function type.
    pub fn visit_func(&self, id: FuncTypeId, visit: impl FnMut(InterfaceType)) {
        let func = self.func(id);
        let params = func.params.iter().map(|&(_, ty)| ty);
        self.visit(params.chain(func.result).collect(), visit);
    }

    /// Calls `visit` for each different type that values of the types in `todo` consist of.
    fn visit(&self, mut todo: Vec<InterfaceType>, mut visit: impl FnMut(InterfaceType)) {
        let mut seen = HashSet::new();
        while let Some(ty) = todo.pop() {
            if !seen.insert(ty) {
                continue;
            }
            visit(ty);
            match ty {
                InterfaceType::List(_) | InterfaceType::Map(_) => todo.extend(self.element(ty)),
                InterfaceType::Record(id) => {
                    todo.extend(self.record(id).fields.iter().map(|&(_, ty)| ty))
                }
                InterfaceType::Tuple(id) => todo.extend(self.tuple(id).iter()),
                InterfaceType::Stream(id) => todo.extend(self.stream(id)),
                InterfaceType::Future(id) => todo.extend(self.future(id)),
                _ => todo.extend(self.cases(ty).into_iter().flatten().flatten()),
            }
        }
    }

    /// Returns whether calls of functions of this type lend handles, which only parameters can do.
    pub fn has_borrows(&self, id: FuncTypeId) -> bool {
        let mut found = false;
        self.visit_func(id, |ty| found |= matches!(ty, InterfaceType::Borrow(_)));
        found
    }

    /// Returns whether values of this type contain borrowed handles.
    pub fn contains_borrows(&self, ty: InterfaceType) -> bool {
        let mut found = false;
        self.visit(vec![ty], |ty| {
            found |= matches!(ty, InterfaceType::Borrow(_))
        });
        found
    }

    /// Adds a resource type, distinct from all others.
    pub fn add_resource(&mut self) -> ResourceId {
        self.resources.push(None);
        ResourceId::from_u32(self.resources.len() as u32 - 1)
    }

    /// Gives a resource type the name of an import or export, for people, if it has none yet.
    pub fn name_resource(&mut self, id: ResourceId, name: &str) {
        if let Some(unnamed @ None) = self.resources.get_mut(id.index()) {
            *unnamed = Some(name.into());
        }
    }

    /// Returns the name of a resource type, for people. Several types can have the same name.
    fn resource_name(&self, id: ResourceId) -> String {
        match self.resources.get(id.index()) {
            Some(Some(name)) => name.to_string(),
            _ => format!("{id:?}"),
        }
    }

    /// Returns `ty` in the syntax of WIT, with the definitions of named types.
    pub fn display(&self, ty: InterfaceType) -> String {
        use InterfaceType as T;
        let optional =
            |ty: &Option<InterfaceType>| ty.map_or("_".to_string(), |ty| self.display(ty));
        let names = |names: &[Box<str>]| names.join(", ");
        match ty {
            T::Bool => "bool".into(),
            T::S8 => "s8".into(),
            T::U8 => "u8".into(),
            T::S16 => "s16".into(),
            T::U16 => "u16".into(),
            T::S32 => "s32".into(),
            T::U32 => "u32".into(),
            T::S64 => "s64".into(),
            T::U64 => "u64".into(),
            T::F32 => "f32".into(),
            T::F64 => "f64".into(),
            T::Char => "char".into(),
            T::String => "string".into(),
            T::List(id) => format!("list<{}>", self.display(*self.list(id))),
            T::Map(id) => {
                let (key, value) = self.map(id);
                format!("map<{}, {}>", self.display(*key), self.display(*value))
            }
            T::Record(id) => {
                let fields = self
                    .record(id)
                    .fields
                    .iter()
                    .map(|(name, ty)| format!("{name}: {}", self.display(*ty)));
                format!("record {{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
            T::Tuple(id) => {
                if let Some((element, length)) = self.fixed_length_list(id) {
                    return format!("list<{}, {length}>", self.display(element));
                }
                let types = self.tuple(id).iter().map(|ty| self.display(*ty));
                format!("tuple<{}>", types.collect::<Vec<_>>().join(", "))
            }
            T::Variant(id) => {
                let cases = self.variant(id).cases.iter().map(|(name, ty)| match ty {
                    Some(ty) => format!("{name}({})", self.display(*ty)),
                    None => name.to_string(),
                });
                format!("variant {{ {} }}", cases.collect::<Vec<_>>().join(", "))
            }
            T::Enum(id) => format!("enum {{ {} }}", names(self.enum_(id))),
            T::Option(id) => format!("option<{}>", self.display(*self.option(id))),
            T::Result(id) => match self.result(id) {
                (None, None) => "result".into(),
                (Some(ok), None) => format!("result<{}>", self.display(*ok)),
                (ok, err) => format!("result<{}, {}>", optional(ok), optional(err)),
            },
            T::Flags(id) => format!("flags {{ {} }}", names(self.flags(id))),
            T::Own(id) => format!("own<{}>", self.resource_name(id)),
            T::Borrow(id) => format!("borrow<{}>", self.resource_name(id)),
            T::Stream(id) => match self.stream(id) {
                Some(ty) => format!("stream<{}>", self.display(*ty)),
                None => "stream".into(),
            },
            T::Future(id) => match self.future(id) {
                Some(ty) => format!("future<{}>", self.display(*ty)),
                None => "future".into(),
            },
            T::ErrorContext => "error-context".into(),
        }
    }

    /// Returns a function type in the syntax of WIT.
    pub fn display_func(&self, id: FuncTypeId) -> String {
        let ty = self.func(id);
        let params = ty
            .params
            .iter()
            .map(|(name, ty)| format!("{name}: {}", self.display(*ty)));
        let params = params.collect::<Vec<_>>().join(", ");
        let result = ty
            .result
            .map_or(String::new(), |ty| format!(" -> {}", self.display(ty)));
        format!(
            "{}func({params}){result}",
            if ty.is_async { "async " } else { "" }
        )
    }
}
