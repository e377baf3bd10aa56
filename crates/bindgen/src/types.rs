//! Types: facts about them, and how code names a type.

use crate::options::Ownership;
use crate::plan::original;
use crate::{Direction, Generator, Scope};
use anyhow::{Result, bail};
use indexmap::IndexSet;
use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{
    Docs, Function, Handle, InterfaceId, LiveTypes, Stability, Type, TypeDefKind, TypeId,
    TypeOwner, WorldItem,
};

/// Facts about a type.
#[derive(Clone, Copy, Default)]
pub struct TypeInfo {
    /// It has strings or lists, and so is passed to guests by reference.
    pub has_list: bool,
    /// It has resources, and so cannot be cloned.
    pub has_resource: bool,
    /// It is part of a parameter of an exported function.
    pub is_borrowed: bool,
    /// It is part of something else than a parameter of an exported function.
    pub is_owned: bool,
    /// It is the error of some function's result.
    pub is_error: bool,
}

impl TypeInfo {
    /// Returns what a type is made of that consists of two.
    fn with(self, other: TypeInfo) -> TypeInfo {
        TypeInfo {
            has_list: self.has_list || other.has_list,
            has_resource: self.has_resource || other.has_resource,
            ..self
        }
    }
}

/// The way in which a value is passed or held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// By value.
    Owned,
    /// Strings, lists and what has some by reference: parameters of a function.
    Borrowed,
    /// Strings and lists for the lifetime `'a` of the type that holds them.
    Held,
}

impl Passing {
    /// Returns the sign of a reference.
    fn reference(self) -> TokenStream {
        match self {
            Passing::Owned => TokenStream::new(),
            Passing::Borrowed => quote!(&),
            Passing::Held => quote!(&'a),
        }
    }
}

/// A Rust type for a type of WIT, which may have two.
pub struct RustType {
    pub name: String,
    pub passing: Passing,
    /// It has the lifetime `'a`.
    pub has_lifetime: bool,
}

impl RustType {
    /// Returns the type's generics.
    pub fn generics(&self) -> TokenStream {
        match self.has_lifetime {
            true => quote!(<'a>),
            false => TokenStream::new(),
        }
    }
}

/// Returns the documentation of an item as attributes: what WIT says, since when, and until when.
pub fn docs(docs: &Docs, stability: &Stability) -> TokenStream {
    let text = docs.contents.as_deref().unwrap_or_default().trim();
    let mut lines: Vec<_> = text.lines().map(str::to_string).collect();
    let notes = match stability {
        Stability::Unknown => Vec::new(),
        Stability::Stable { since, deprecated } => {
            let deprecated = deprecated.as_ref();
            let deprecated = deprecated.map(|version| format!("Deprecated since {version}."));
            let mut notes = vec![format!("Since {since}.")];
            notes.extend(deprecated);
            notes
        }
        Stability::Unstable { feature, .. } => {
            vec![format!("Unstable: part of the feature `{feature}`.")]
        }
    };
    if !notes.is_empty() && !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(notes);
    let lines = lines.iter().map(|line| {
        let line = format!(" {line}");
        let line = line.trim_end();
        quote!(#[doc = #line])
    });
    quote!(#(#lines)*)
}

/// Returns documentation without stability as attributes.
pub fn plain_docs(text: &Docs) -> TokenStream {
    docs(text, &Stability::Unknown)
}

impl Generator<'_> {
    /// Finds out about all types.
    pub fn look_at_types(&mut self) {
        let resolve = self.resolve;
        for (id, _) in resolve.types.iter() {
            self.look_at(id);
        }
        let world = &resolve.worlds[self.world];
        let imports = world.imports.values().map(|item| (Direction::Import, item));
        let exports = world.exports.values().map(|item| (Direction::Export, item));
        for (direction, item) in imports.chain(exports) {
            match item {
                WorldItem::Interface { id, .. } => {
                    for function in resolve.interfaces[*id].functions.values() {
                        self.note_use(direction, Some(*id), function);
                    }
                }
                WorldItem::Function(function) => self.note_use(direction, None, function),
                WorldItem::Type { .. } => {}
            }
        }
        self.note_unused();
    }

    /// Notes how a function uses its types.
    fn note_use(
        &mut self,
        direction: Direction,
        interface: Option<InterfaceId>,
        function: &Function,
    ) {
        // Parameters of a call that goes on have to stay.
        let flags = self.plan.flags(direction, interface, &function.name);
        let owns = direction == Direction::Import || flags.concurrent;
        let mut params = LiveTypes::default();
        for param in &function.params {
            params.add_type(self.resolve, &param.ty);
        }
        for id in params.iter() {
            let info = &mut self.info[&id];
            match owns {
                true => info.is_owned = true,
                false => info.is_borrowed = true,
            }
        }
        // What passes later is not borrowed either.
        let mut payloads = LiveTypes::default();
        for id in params.iter() {
            if let TypeDefKind::Stream(Some(ty)) | TypeDefKind::Future(Some(ty)) =
                &self.resolve.types[id].kind
            {
                payloads.add_type(self.resolve, ty);
            }
        }
        for id in payloads.iter() {
            self.info[&id].is_owned = true;
        }
        let mut results = LiveTypes::default();
        if let Some(ty) = &function.result {
            results.add_type(self.resolve, ty);
        }
        for id in results.iter() {
            self.info[&id].is_owned = true;
        }
        if let Some((_, Some(Type::Id(error)))) = self.result_of(function) {
            let error = self.original(error);
            self.info[&error].is_error = true;
        }
    }

    /// Decides about types that no function uses: they borrow if they have a part that does.
    fn note_unused(&mut self) {
        for (id, definition) in self.resolve.types.iter() {
            let info = self.info[&id];
            if info.is_owned || info.is_borrowed || definition.name.is_none() {
                continue;
            }
            let mut parts = LiveTypes::default();
            parts.add_type_id(self.resolve, id);
            let borrows = parts.iter().filter(|part| *part != id).any(|part| {
                let part = self.info[&part];
                part.has_list && part.is_borrowed && !part.is_owned
            });
            let info = &mut self.info[&id];
            (info.is_borrowed, info.is_owned) = (borrows, !borrows);
        }
    }

    /// Returns the payloads of a function's result, if that is a `result`.
    pub fn result_of(&self, function: &Function) -> Option<(Option<Type>, Option<Type>)> {
        let Some(Type::Id(id)) = function.result else {
            return None;
        };
        match &self.resolve.types[self.original(id)].kind {
            TypeDefKind::Result(result) => Some((result.ok, result.err)),
            _ => None,
        }
    }

    /// Follows aliases to the definition of a type.
    pub fn original(&self, id: TypeId) -> TypeId {
        original(self.resolve, id)
    }

    /// Finds out what a type is made of.
    fn look_at(&mut self, id: TypeId) -> TypeInfo {
        if let Some(&info) = self.info.get(&id) {
            return info;
        }
        // Types do not contain themselves, so the recursion ends.
        let list = TypeInfo {
            has_list: true,
            ..TypeInfo::default()
        };
        let resolve = self.resolve;
        let info = match &resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                self.look_at_all(record.fields.iter().map(|field| field.ty))
            }
            TypeDefKind::Tuple(tuple) => self.look_at_all(tuple.types.iter().copied()),
            TypeDefKind::Variant(variant) => {
                self.look_at_all(variant.cases.iter().filter_map(|case| case.ty))
            }
            TypeDefKind::Option(ty)
            | TypeDefKind::Type(ty)
            | TypeDefKind::FixedLengthList(ty, _) => self.look_at_all([*ty]),
            TypeDefKind::Result(result) => {
                self.look_at_all([result.ok, result.err].into_iter().flatten())
            }
            TypeDefKind::List(ty) => list.with(self.look_at_all([*ty])),
            TypeDefKind::Map(key, value) => list.with(self.look_at_all([*key, *value])),
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_) => TypeInfo {
                has_resource: true,
                ..TypeInfo::default()
            },
            TypeDefKind::Flags(_) | TypeDefKind::Enum(_) | TypeDefKind::Unknown => {
                TypeInfo::default()
            }
        };
        self.info.insert(id, info);
        info
    }

    fn look_at_all(&mut self, types: impl IntoIterator<Item = Type>) -> TypeInfo {
        types.into_iter().fold(TypeInfo::default(), |info, ty| {
            info.with(match ty {
                Type::String => TypeInfo {
                    has_list: true,
                    ..TypeInfo::default()
                },
                Type::ErrorContext => TypeInfo {
                    has_resource: true,
                    ..TypeInfo::default()
                },
                Type::Id(id) => self.look_at(id),
                _ => TypeInfo::default(),
            })
        })
    }

    /// Returns whether a type becomes two, one that borrows and one that owns.
    fn is_duplicated(&self, info: TypeInfo) -> bool {
        let duplicate = Ownership::Borrowing {
            duplicate_if_necessary: true,
        };
        let is_both = info.is_borrowed && info.is_owned;
        info.has_list && is_both && self.options.ownership == duplicate
    }

    /// Returns whether the Rust type of a type has a lifetime where it is passed in this way.
    fn has_lifetime(&self, info: TypeInfo, passing: Passing) -> bool {
        let borrows = self.is_duplicated(info) || info.is_borrowed && !info.is_owned;
        let may_borrow = self.options.ownership != Ownership::Owning && passing != Passing::Owned;
        may_borrow && info.has_list && borrows
    }

    /// Returns the Rust types of a type of WIT that has a name.
    pub fn rust_types(&self, id: TypeId) -> Vec<RustType> {
        let (info, name) = (self.info[&id], self.type_name(id));
        let owning = |name| RustType {
            name,
            passing: Passing::Owned,
            has_lifetime: false,
        };
        let borrowing = |name| RustType {
            name,
            passing: Passing::Held,
            has_lifetime: true,
        };
        if self.is_duplicated(info) {
            let names = [format!("{name}Result"), format!("{name}Param")];
            let [result, param] = names;
            return vec![owning(result), borrowing(param)];
        }
        match self.has_lifetime(info, Passing::Held) {
            true => vec![borrowing(name)],
            false => vec![owning(name)],
        }
    }

    /// Returns the names of the Rust types of a type of WIT.
    pub fn rust_names(&self, id: TypeId) -> Vec<String> {
        self.rust_types(id).into_iter().map(|ty| ty.name).collect()
    }

    /// Returns the Rust type of a component type, as code in `scope` names it.
    pub fn ty(&self, scope: &Scope, ty: Type, passing: Passing) -> Result<TokenStream> {
        let krate = &self.options.krate;
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String => match passing {
                Passing::Owned => self.std(scope, "String"),
                Passing::Borrowed | Passing::Held => {
                    let reference = passing.reference();
                    quote!(#reference str)
                }
            },
            Type::ErrorContext => quote!(#krate::ErrorContext),
            Type::Id(id) => match self.resolve.types[id].name {
                Some(_) => self.named_type(scope, id, passing),
                None => self.structure(scope, id, passing)?,
            },
        })
    }

    fn optional(&self, scope: &Scope, ty: Option<Type>, passing: Passing) -> Result<TokenStream> {
        ty.map_or_else(|| Ok(quote!(())), |ty| self.ty(scope, ty, passing))
    }

    /// Returns the Rust type of a type with a name.
    fn named_type(&self, scope: &Scope, id: TypeId, passing: Passing) -> TokenStream {
        let (info, name) = (self.info[&id], self.type_name(id));
        let has_lifetime = self.has_lifetime(info, passing);
        let name = match (self.is_duplicated(info), has_lifetime) {
            (false, _) => name,
            (true, false) => format!("{name}Result"),
            (true, true) => format!("{name}Param"),
        };
        let path = self.named_type_path(scope, id, &name);
        match (has_lifetime, passing) {
            (true, Passing::Held) => quote!(#path<'a>),
            (true, _) => quote!(#path<'_>),
            (false, Passing::Borrowed | Passing::Held) if info.has_list => {
                let reference = passing.reference();
                quote!(#reference #path)
            }
            (false, _) => path,
        }
    }

    /// Returns the Rust type of a component type as if it had no name.
    pub fn structure(&self, scope: &Scope, id: TypeId, passing: Passing) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let krate = &self.options.krate;
        Ok(match &definition.kind {
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter();
                let types = types.map(|&ty| self.ty(scope, ty, passing));
                let types: Vec<_> = types.collect::<Result<_>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::Option(ty) => {
                let (option, ty) = (self.std(scope, "Option"), self.ty(scope, *ty, passing)?);
                quote!(#option<#ty>)
            }
            TypeDefKind::Result(result) => {
                let ok = self.optional(scope, result.ok, passing)?;
                let err = self.optional(scope, result.err, passing)?;
                let result = self.std(scope, "Result");
                quote!(#result<#ok, #err>)
            }
            TypeDefKind::List(ty) => {
                let element = match self.options.ownership {
                    Ownership::Owning => Passing::Owned,
                    Ownership::Borrowing { .. } => passing,
                };
                let ty = self.ty(scope, *ty, element)?;
                match passing {
                    Passing::Owned => {
                        let vec = self.std(scope, "Vec");
                        quote!(#vec<#ty>)
                    }
                    Passing::Borrowed | Passing::Held => {
                        let reference = passing.reference();
                        quote!(#reference [#ty])
                    }
                }
            }
            TypeDefKind::FixedLengthList(ty, length) => {
                let (ty, length) = (self.ty(scope, *ty, passing)?, *length as usize);
                let length = proc_macro2::Literal::usize_unsuffixed(length);
                quote!([#ty; #length])
            }
            TypeDefKind::Map(key, value) => {
                let key = self.ty(scope, *key, passing)?;
                let value = self.ty(scope, *value, passing)?;
                quote!(::std::collections::HashMap<#key, #value>)
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                match self.is_guests(*resource) {
                    true => quote!(#krate::ResourceAny),
                    false => {
                        let path = self.resource_path(scope, *resource);
                        quote!(#krate::Resource<#path>)
                    }
                }
            }
            TypeDefKind::Stream(payload) => {
                let payload = self.optional(scope, *payload, Passing::Owned)?;
                quote!(#krate::StreamReader<#payload>)
            }
            TypeDefKind::Future(payload) => {
                let payload = self.optional(scope, *payload, Passing::Owned)?;
                quote!(#krate::FutureReader<#payload>)
            }
            TypeDefKind::Type(ty) => self.ty(scope, *ty, passing)?,
            other => bail!(
                "{}: `bindgen!` does not support the type `{}` yet",
                self.resolve.render_location(definition.span),
                other.as_str()
            ),
        })
    }

    /// Returns whether a resource is one that a guest defines.
    pub fn is_guests(&self, resource: TypeId) -> bool {
        match self.resolve.types[self.original(resource)].owner {
            TypeOwner::Interface(owner) => {
                let placed = self.plan.interfaces.get(&owner);
                placed.is_some_and(|placed| placed.direction == Direction::Export)
            }
            TypeOwner::World(_) | TypeOwner::None => false,
        }
    }

    /// Returns the names of an interface's resources, or of the world's, with their types.
    pub fn resources(&self, scope: &Scope) -> Vec<(String, TypeId)> {
        let types: IndexSet<(String, TypeId)> = match scope.interface {
            Some(interface) => {
                let types = self.resolve.interfaces[interface].types.iter();
                types.map(|(name, &id)| (name.clone(), id)).collect()
            }
            None => {
                let items = self.resolve.worlds[self.world].imports.iter();
                let types = items.filter_map(|(key, item)| match item {
                    WorldItem::Type { id, .. } => Some((self.resolve.name_world_key(key), *id)),
                    _ => None,
                });
                types.collect()
            }
        };
        let is_resource = |id: TypeId| matches!(self.resolve.types[id].kind, TypeDefKind::Resource);
        types
            .into_iter()
            .filter(|(_, id)| is_resource(*id))
            .collect()
    }
}
