//! Types: the items of an interface's types, and how code names a type.

use crate::names::{camel, ident};
use crate::{Direction, Generator, Scope};
use anyhow::{Result, bail};
use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{
    Docs, Function, Handle, Type, TypeDefKind, TypeId, TypeOwner, WorldItem, WorldKey,
};

/// Facts about a type.
#[derive(Clone, Copy)]
pub struct TypeInfo {
    /// It has strings or lists, and so is passed to guests by reference.
    pub has_list: bool,
    /// It has resources, and so cannot be cloned.
    pub has_resource: bool,
}

impl TypeInfo {
    const NUMBER: TypeInfo = TypeInfo {
        has_list: false,
        has_resource: false,
    };

    fn with(self, other: TypeInfo) -> TypeInfo {
        TypeInfo {
            has_list: self.has_list || other.has_list,
            has_resource: self.has_resource || other.has_resource,
        }
    }
}

/// The way in which values of a type are passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// By value.
    Owned,
    /// Strings, lists and what has some by reference.
    Borrowed,
}

/// Returns the documentation of an item as attributes.
pub fn docs(docs: &Docs) -> TokenStream {
    let lines = docs.contents.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| {
        let line = format!(" {line}");
        let line = line.trim_end();
        quote!(#[doc = #line])
    });
    quote!(#(#lines)*)
}

impl Generator<'_> {
    /// Finds out about all types and which of them are errors.
    pub fn look_at_types(&mut self) {
        for (id, _) in self.resolve.types.iter() {
            self.info(id);
        }
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        for item in world.imports.values().chain(world.exports.values()) {
            match item {
                WorldItem::Interface { id, .. } => {
                    for function in resolve.interfaces[*id].functions.values() {
                        self.note_error(function);
                    }
                }
                WorldItem::Function(function) => self.note_error(function),
                WorldItem::Type { .. } => {}
            }
        }
    }

    fn note_error(&mut self, function: &Function) {
        if let Some((_, Some(Type::Id(error)))) = self.result_of(function) {
            let error = self.original(error);
            self.errors.insert(error);
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
        match self.resolve.types[id].kind {
            TypeDefKind::Type(Type::Id(other)) => self.original(other),
            _ => id,
        }
    }

    fn info(&mut self, id: TypeId) -> TypeInfo {
        if let Some(&info) = self.info.get(&id) {
            return info;
        }
        // Types do not contain themselves, so the recursion ends.
        let list = TypeInfo {
            has_list: true,
            ..TypeInfo::NUMBER
        };
        let resolve = self.resolve;
        let info = match &resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                let types: Vec<_> = record.fields.iter().map(|field| field.ty).collect();
                self.info_of_all(&types)
            }
            TypeDefKind::Tuple(tuple) => self.info_of_all(&tuple.types),
            TypeDefKind::Variant(variant) => {
                let types: Vec<_> = variant.cases.iter().filter_map(|case| case.ty).collect();
                self.info_of_all(&types)
            }
            TypeDefKind::Option(ty) | TypeDefKind::Type(ty) => self.info_of(*ty),
            TypeDefKind::Result(result) => {
                let types: Vec<_> = [result.ok, result.err].into_iter().flatten().collect();
                self.info_of_all(&types)
            }
            TypeDefKind::List(ty) | TypeDefKind::FixedLengthList(ty, _) => {
                list.with(self.info_of(*ty))
            }
            TypeDefKind::Map(key, value) => list.with(self.info_of_all(&[*key, *value])),
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_) => TypeInfo {
                has_resource: true,
                ..TypeInfo::NUMBER
            },
            TypeDefKind::Flags(_) | TypeDefKind::Enum(_) | TypeDefKind::Unknown => TypeInfo::NUMBER,
        };
        self.info.insert(id, info);
        info
    }

    fn info_of_all(&mut self, types: &[Type]) -> TypeInfo {
        let infos = types.iter().map(|&ty| self.info_of(ty));
        infos.fold(TypeInfo::NUMBER, TypeInfo::with)
    }

    fn info_of(&mut self, ty: Type) -> TypeInfo {
        match ty {
            Type::String => TypeInfo {
                has_list: true,
                ..TypeInfo::NUMBER
            },
            Type::ErrorContext => TypeInfo {
                has_resource: true,
                ..TypeInfo::NUMBER
            },
            Type::Id(id) => self.info(id),
            _ => TypeInfo::NUMBER,
        }
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
                Passing::Borrowed => quote!(&str),
            },
            Type::ErrorContext => quote!(#krate::ErrorContext),
            Type::Id(id) => self.type_of_id(scope, id, passing)?,
        })
    }

    /// Returns the name of a type of the standard library's prelude, with its path where a type of
    /// the interface has the same name.
    pub fn std(&self, scope: &Scope, name: &str) -> TokenStream {
        let world = &self.resolve.worlds[self.world];
        let is_shadowed = match scope.interface {
            Some(interface) => {
                let mut names = self.resolve.interfaces[interface].types.keys();
                names.any(|other| camel(other) == name)
            }
            None => {
                let mut items = world.imports.iter();
                items.any(|(key, _)| matches!(key, WorldKey::Name(other) if camel(other) == name))
            }
        };
        let plain = ident(name);
        match (is_shadowed, name) {
            (false, _) => quote!(#plain),
            (true, "String") => quote!(::std::string::String),
            (true, "Vec") => quote!(::std::vec::Vec),
            (true, "Option") => quote!(::core::option::Option),
            (true, _) => quote!(::core::result::Result),
        }
    }

    fn optional(&self, scope: &Scope, ty: Option<Type>, passing: Passing) -> Result<TokenStream> {
        ty.map_or_else(|| Ok(quote!(())), |ty| self.ty(scope, ty, passing))
    }

    fn type_of_id(&self, scope: &Scope, id: TypeId, passing: Passing) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        if definition.name.is_some() {
            let path = self.type_path(scope, id);
            let by_reference = passing == Passing::Borrowed && self.info[&id].has_list;
            return Ok(match by_reference {
                true => quote!(&#path),
                false => path,
            });
        }
        self.structure(scope, id, passing)
    }

    /// Returns the Rust type of a component type as if it had no name.
    pub fn structure(&self, scope: &Scope, id: TypeId, passing: Passing) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let krate = &self.options.krate;
        Ok(match &definition.kind {
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter();
                let types: Vec<_> = types
                    .map(|&ty| self.ty(scope, ty, passing))
                    .collect::<Result<_>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::Option(ty) => {
                let ty = self.ty(scope, *ty, passing)?;
                let option = self.std(scope, "Option");
                quote!(#option<#ty>)
            }
            TypeDefKind::Result(result) => {
                let ok = self.optional(scope, result.ok, passing)?;
                let err = self.optional(scope, result.err, passing)?;
                let result = self.std(scope, "Result");
                quote!(#result<#ok, #err>)
            }
            TypeDefKind::List(ty) => {
                let ty = self.ty(scope, *ty, Passing::Owned)?;
                match passing {
                    Passing::Owned => {
                        let vec = self.std(scope, "Vec");
                        quote!(#vec<#ty>)
                    }
                    Passing::Borrowed => quote!(&[#ty]),
                }
            }
            TypeDefKind::Map(key, value) => {
                let key = self.ty(scope, *key, Passing::Owned)?;
                let value = self.ty(scope, *value, Passing::Owned)?;
                let map = quote!(::std::collections::HashMap<#key, #value>);
                match passing {
                    Passing::Owned => map,
                    Passing::Borrowed => quote!(&#map),
                }
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let path = self.type_path(scope, *resource);
                match self.is_guests(scope, *resource) {
                    true => path,
                    false => quote!(#krate::Resource<#path>),
                }
            }
            TypeDefKind::Type(ty) => self.ty(scope, *ty, passing)?,
            other => bail!(
                "{}: bindings of the type `{}` are not supported yet",
                self.resolve.render_location(definition.span),
                other.as_str()
            ),
        })
    }

    /// Returns whether a resource is one that a guest defines, as code in `scope` means it.
    pub fn is_guests(&self, scope: &Scope, resource: TypeId) -> bool {
        match self.resolve.types[self.original(resource)].owner {
            TypeOwner::Interface(owner) => {
                scope.direction == Direction::Export && self.exported.contains_key(&owner)
                    || !self.imported.contains_key(&owner)
            }
            TypeOwner::World(_) | TypeOwner::None => false,
        }
    }

    /// Returns the path of a named type as code in `scope` names it.
    pub fn type_path(&self, scope: &Scope, id: TypeId) -> TokenStream {
        let definition = &self.resolve.types[id];
        let name = ident(&camel(definition.name.as_deref().unwrap_or_default()));
        match definition.owner {
            TypeOwner::Interface(owner) if Some(owner) != scope.interface => {
                match self.placed(owner, scope.direction) {
                    Some(placed) => {
                        let module = self.path_from(scope, placed);
                        quote!(#module::#name)
                    }
                    None => quote!(#name),
                }
            }
            TypeOwner::World(_) => {
                let up = (0..scope.depth).map(|_| quote!(super::));
                quote!(#(#up)* #name)
            }
            TypeOwner::Interface(_) | TypeOwner::None => quote!(#name),
        }
    }
}
