//! [`Encoder`]: from the validator's types to the imports of a composition.
//!
//! The imports that are left over keep their names and types, but the validator's types cannot be
//! copied: each part has its own, and they refer to each other by number. So they are written anew.
//!
//! A **group** is one import of the composition: the imports of all parts with the same name, or
//! with semver-compatible names. A group of instances exports what any of its members exports. Its
//! resource types are imported once, so they are the same for all parts.
//!
//! Types are written out for each import that uses them. The validator limits the size of all types
//! of a component, counted in this way, to a million.

use anyhow::{Context, Result, bail};
use mintage_environ::{ErrorKind, unsupported};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use wasm_encoder::{
    Alias, ComponentBuilder, ComponentExportKind, ComponentExternName, ComponentOuterAliasKind,
    ComponentTypeEncoder, ComponentTypeRef, ComponentValType, InstanceType, PrimitiveValType,
    TypeBounds,
};
use wasmparser::component_types::{
    self as valid, ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId,
    ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentItem, ResourceId,
};
use wasmparser::types::TypesRef;

/// The message for a type that the validator names and does not know.
const UNKNOWN: &str = "a type is unknown to the validator (a bug in Mintage)";

/// A type with an identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Resource(ResourceId),
    Value(ComponentDefinedTypeId),
}

impl Key {
    fn of(ty: ComponentAnyTypeId) -> Option<Key> {
        match ty {
            ComponentAnyTypeId::Resource(id) => Some(Key::Resource(id.resource())),
            ComponentAnyTypeId::Defined(id) => Some(Key::Value(id)),
            _ => None,
        }
    }
}

/// The item that a type comes from.
#[derive(Clone, Copy)]
enum Origin<'t> {
    /// An import of the composition: the type itself, or an instance that exports it as `name`.
    Import { group: usize, name: Option<&'t str> },
    /// The import `import` of a part, which the part `plug` implements.
    Plug { import: &'t str, plug: &'t str },
    /// An instance of the composition that exports the type as `name`.
    Instance { index: u32, name: &'t str },
}

/// An import of the composition.
pub(super) struct Group<'t> {
    /// Its name: of all names of its members, the one with the highest version.
    pub name: Cow<'t, str>,
    /// The imports of parts that it stands for.
    pub members: Vec<&'t ComponentItem>,
    state: State,
}

/// The progress of a group.
#[derive(Clone, Copy)]
enum State {
    Waiting,
    /// Its type is being written.
    Started,
    /// It has this index in the index space of its kind.
    Imported(u32),
}

impl<'t> Group<'t> {
    pub fn new(name: Cow<'t, str>) -> Self {
        Self {
            name,
            members: Vec::new(),
            state: State::Waiting,
        }
    }
}

/// An index space of types that is being written, and what is known to be in it.
struct Level<'t> {
    body: Body,
    known: HashMap<Key, u32>,
    /// The resource types that are known by a name.
    named: HashSet<ResourceId>,
    /// The exports of an instance type, and the indexes of those that are types.
    exported: HashMap<&'t str, Option<u32>>,
}

enum Body {
    Root(Box<ComponentBuilder>),
    Instance(InstanceType),
}

impl Level<'_> {
    fn new(body: Body) -> Self {
        Self {
            body,
            known: HashMap::new(),
            named: HashSet::new(),
            exported: HashMap::new(),
        }
    }

    /// Adds a type and returns its index.
    fn define(&mut self, write: impl FnOnce(ComponentTypeEncoder<'_>)) -> u32 {
        match &mut self.body {
            Body::Root(root) => {
                let (index, encoder) = root.ty(None);
                write(encoder);
                index
            }
            Body::Instance(instance) => {
                let index = instance.type_count();
                write(instance.ty());
                index
            }
        }
    }

    /// Adds the type `index` of the level that is `count` levels further out.
    fn alias_outer(&mut self, count: u32, index: u32) -> u32 {
        let alias = Alias::Outer {
            kind: ComponentOuterAliasKind::Type,
            count,
            index,
        };
        match &mut self.body {
            Body::Root(root) => root.alias(None, alias),
            Body::Instance(instance) => {
                let own = instance.type_count();
                instance.alias(alias);
                own
            }
        }
    }
}

/// Writes a composition.
pub(super) struct Encoder<'t> {
    types: TypesRef<'t>,
    groups: Vec<Group<'t>>,
    origins: HashMap<Key, Origin<'t>>,
    /// The composition, and the instance types that are being written inside it, outermost first.
    levels: Vec<Level<'t>>,
}

impl<'t> Encoder<'t> {
    /// Creates an encoder of a composition that imports `groups`.
    pub fn new(types: TypesRef<'t>, groups: Vec<Group<'t>>) -> Self {
        Self {
            types,
            groups,
            origins: HashMap::new(),
            levels: vec![Level::new(Body::Root(Box::default()))],
        }
    }

    /// Notes that an import of a part, which is `item`, is the import `group`. The imports of each
    /// part are noted in order, since resource types come from the first one that has them.
    pub fn imported(&mut self, group: usize, item: &'t ComponentItem) {
        self.note(item, |name| Origin::Import { group, name });
    }

    /// Notes that the part `plug` implements the import `name`, which is `item`.
    pub fn implemented(&mut self, name: &'t str, item: &'t ComponentItem, plug: &'t str) {
        self.note(item, |_| Origin::Plug { import: name, plug });
    }

    /// Begins the exports of the composition, which give types names of their own.
    pub fn begin_exports(&mut self) {
        self.levels[0].named.clear();
    }

    /// Notes that the exports of the instance `index` of the composition are those of `item`.
    pub fn exported_instance(&mut self, index: u32, item: &'t ComponentItem) {
        self.note(item, |name| Origin::Instance {
            index,
            name: name.unwrap_or_default(),
        });
    }

    /// Notes that the type `index` of the composition is that of `item`.
    pub fn exported_type(&mut self, index: u32, item: &ComponentItem) {
        if let ComponentEntityType::Type { created, .. } = item.ty {
            self.learn(created, index);
        }
    }

    /// Notes where the types of `item` come from. A resource type comes from its first import.
    fn note(&mut self, item: &'t ComponentItem, origin: impl Fn(Option<&'t str>) -> Origin<'t>) {
        let mut note = |ty, name| {
            if let Some(key) = Key::of(ty) {
                self.origins.entry(key).or_insert_with(|| origin(name));
            }
        };
        match item.ty {
            ComponentEntityType::Type { created, .. } => note(created, None),
            ComponentEntityType::Instance(id) => {
                let exports = self.types.get(id).map(|ty| &ty.exports);
                for (name, export) in exports.into_iter().flatten() {
                    if let ComponentEntityType::Type { created, .. } = export.ty {
                        note(created, Some(name));
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the composition.
    pub fn root(&mut self) -> &mut ComponentBuilder {
        match &mut self.levels[0].body {
            Body::Root(root) => root,
            Body::Instance(_) => unreachable!("the outermost level is the composition"),
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        std::mem::take(self.root()).finish()
    }

    /// Returns the index of the import `group`, which is written if it has not been.
    ///
    /// # Errors
    ///
    /// If a type cannot be imported by the composition.
    pub fn import(&mut self, group: usize) -> Result<u32> {
        match self.groups[group].state {
            State::Imported(index) => return Ok(index),
            State::Started => bail!(ErrorKind::Link.error(format!(
                "the import `{}` refers to types of imports that refer to its own types",
                self.groups[group].name
            ))),
            State::Waiting => {}
        }
        self.groups[group].state = State::Started;
        // It is written outside of the instance types that refer to it.
        let inner = self.levels.split_off(1);
        let ty = self
            .import_type(group)
            .with_context(|| format!("in the import `{}`", self.groups[group].name))?;
        let Group { name, members, .. } = &self.groups[group];
        let members = members.clone();
        let name = ComponentExternName {
            // The name has it already.
            version_suffix: None,
            ..extern_name(name.clone(), members[0])
        };
        let index = self.root().import(name, ty);
        if let ComponentTypeRef::Type(_) = ty {
            for item in members {
                self.exported_type(index, item);
            }
        }
        self.groups[group].state = State::Imported(index);
        self.levels.extend(inner);
        Ok(index)
    }

    /// Writes the type of the import `group`.
    fn import_type(&mut self, group: usize) -> Result<ComponentTypeRef> {
        let members = self.groups[group].members.clone();
        let first = members[0];
        let other = |item: &&&ComponentItem| kind(&item.ty) != kind(&first.ty);
        if let Some(other) = members.iter().find(other) {
            bail!(ErrorKind::Link.error(format!(
                "one part imports {}, another one {}",
                describe(&first.ty),
                describe(&other.ty)
            )));
        }
        Ok(match first.ty {
            ComponentEntityType::Instance(_) => {
                self.levels
                    .push(Level::new(Body::Instance(InstanceType::new())));
                for item in &members {
                    if let ComponentEntityType::Instance(id) = item.ty {
                        self.instance_exports(id, Some(group))?;
                    }
                }
                ComponentTypeRef::Instance(self.end_instance())
            }
            ComponentEntityType::Func(id) => ComponentTypeRef::Func(self.func(id)?),
            ComponentEntityType::Type { referenced, .. } => {
                ComponentTypeRef::Type(self.bounds(referenced, Some(group))?)
            }
            other => bail!(unsupported!(
                "a composition cannot import {}; give it to the part that imports it first",
                describe(&other)
            )),
        })
    }

    /// Ends the innermost instance type and adds it to the level around it.
    fn end_instance(&mut self) -> u32 {
        let Some(Level {
            body: Body::Instance(ty),
            ..
        }) = self.levels.pop()
        else {
            unreachable!("an instance type was begun")
        };
        self.level().define(|encoder| encoder.instance(&ty))
    }

    /// Adds the exports of an instance to the innermost instance type, unless it has them. The
    /// validator makes sure that types nest at most 100 deep.
    fn instance_exports(
        &mut self,
        id: ComponentInstanceTypeId,
        group: Option<usize>,
    ) -> Result<()> {
        let exports = &self.types.get(id).context(UNKNOWN)?.exports;
        for (name, item) in exports {
            if let Some(&known) = self.level().exported.get(name.as_str()) {
                if let (Some(index), ComponentEntityType::Type { created, .. }) = (known, item.ty) {
                    self.learn(created, index);
                }
                continue;
            }
            let ty = match item.ty {
                ComponentEntityType::Type { referenced, .. } => {
                    ComponentTypeRef::Type(self.bounds(referenced, group)?)
                }
                ComponentEntityType::Func(id) => ComponentTypeRef::Func(self.func(id)?),
                ComponentEntityType::Instance(id) => {
                    self.levels
                        .push(Level::new(Body::Instance(InstanceType::new())));
                    self.instance_exports(id, None)?;
                    ComponentTypeRef::Instance(self.end_instance())
                }
                other => bail!(unsupported!(
                    "`{name}` is {}, which a composition cannot import",
                    describe(&other)
                )),
            };
            let level = self.level();
            let Body::Instance(instance) = &mut level.body else {
                unreachable!("the innermost level is an instance type")
            };
            let index = instance.type_count();
            instance.export(extern_name(name.as_str().into(), item), ty);
            let is_type = matches!(ty, ComponentTypeRef::Type(_));
            level.exported.insert(name, is_type.then_some(index));
            if let ComponentEntityType::Type { created, .. } = item.ty {
                self.learn(created, index);
            }
        }
        Ok(())
    }

    /// Returns the bounds of a type that is imported or exported, as part of `group` if that is the
    /// import that is being written.
    fn bounds(&mut self, ty: ComponentAnyTypeId, group: Option<usize>) -> Result<TypeBounds> {
        Ok(TypeBounds::Eq(match ty {
            ComponentAnyTypeId::Resource(id) => {
                let key = Key::Resource(id.resource());
                if let Some(index) = self.known(key) {
                    return Ok(TypeBounds::Eq(index));
                }
                match self.origins.get(&key) {
                    Some(Origin::Import { group: of, .. }) if Some(*of) == group => {
                        return Ok(TypeBounds::SubResource);
                    }
                    None => return Ok(TypeBounds::SubResource),
                    Some(_) => self.resource(id.resource())?,
                }
            }
            ComponentAnyTypeId::Defined(id) => self.defined(id)?,
            ComponentAnyTypeId::Func(id) => self.func(id)?,
            ComponentAnyTypeId::Instance(_) | ComponentAnyTypeId::Component(_) => {
                bail!(unsupported!(
                    "a composition cannot import a type of instances or components"
                ))
            }
        }))
    }

    /// Writes a function type and returns its index.
    pub fn func(&mut self, id: ComponentFuncTypeId) -> Result<u32> {
        let ty = self.types.get(id).context(UNKNOWN)?;
        let params = ty.params.iter();
        let params = params
            .map(|(name, ty)| Ok((name.as_str(), self.value(*ty)?)))
            .collect::<Result<Vec<_>>>()?;
        let result = self.optional(ty.result)?;
        Ok(self.level().define(|encoder| {
            let mut func = encoder.function();
            func.async_(ty.async_).params(params).result(result);
        }))
    }

    fn value(&mut self, ty: valid::ComponentValType) -> Result<ComponentValType> {
        Ok(match ty {
            valid::ComponentValType::Primitive(ty) => primitive(ty).into(),
            valid::ComponentValType::Type(id) => ComponentValType::Type(self.defined(id)?),
        })
    }

    fn optional(
        &mut self,
        ty: Option<valid::ComponentValType>,
    ) -> Result<Option<ComponentValType>> {
        ty.map(|ty| self.value(ty)).transpose()
    }

    /// Returns the index of a value type. If it has no name that the innermost level knows, it is
    /// written out. The validator makes sure that types nest at most 100 deep.
    fn defined(&mut self, id: ComponentDefinedTypeId) -> Result<u32> {
        use ComponentDefinedType as Type;
        let key = Key::Value(id);
        if let Some(index) = self.find(key)? {
            return Ok(index);
        }
        // Parts of the type are written before it.
        macro_rules! define {
            ($encoder:ident => $write:expr) => {
                self.level().define(|encoder| {
                    let $encoder = encoder.defined_type();
                    $write
                })
            };
        }
        let index = match self.types.get(id).context(UNKNOWN)? {
            Type::Primitive(ty) => define!(encoder => encoder.primitive(primitive(*ty))),
            Type::Record(record) => {
                let fields = record.fields.iter();
                let fields = fields
                    .map(|(name, ty)| Ok((name.as_str(), self.value(*ty)?)))
                    .collect::<Result<Vec<_>>>()?;
                define!(encoder => encoder.record(fields))
            }
            Type::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases = cases
                    .map(|(name, case)| Ok((name.as_str(), self.optional(case.ty)?)))
                    .collect::<Result<Vec<_>>>()?;
                define!(encoder => encoder.variant(cases))
            }
            Type::List { element, .. } => {
                let element = self.value(*element)?;
                define!(encoder => encoder.list(element))
            }
            Type::Map { key, value, .. } => {
                let (key, value) = (self.value(*key)?, self.value(*value)?);
                define!(encoder => encoder.map(key, value))
            }
            Type::FixedLengthList {
                element, length, ..
            } => {
                let element = self.value(*element)?;
                define!(encoder => encoder.fixed_length_list(element, *length))
            }
            Type::Tuple(tuple) => {
                let types = tuple.types.iter();
                let types = types
                    .map(|ty| self.value(*ty))
                    .collect::<Result<Vec<_>>>()?;
                define!(encoder => encoder.tuple(types))
            }
            Type::Flags(names) => {
                define!(encoder => encoder.flags(names.iter().map(|name| name.as_str())))
            }
            Type::Enum(names) => {
                define!(encoder => encoder.enum_type(names.iter().map(|name| name.as_str())))
            }
            Type::Option { ty, .. } => {
                let payload = self.value(*ty)?;
                define!(encoder => encoder.option(payload))
            }
            Type::Result { ok, err, .. } => {
                let (ok, err) = (self.optional(*ok)?, self.optional(*err)?);
                define!(encoder => encoder.result(ok, err))
            }
            Type::Own(id) => {
                let resource = self.resource(id.resource())?;
                define!(encoder => encoder.own(resource))
            }
            Type::Borrow(id) => {
                let resource = self.resource(id.resource())?;
                define!(encoder => encoder.borrow(resource))
            }
            Type::Future { ty, .. } => {
                let payload = self.optional(*ty)?;
                define!(encoder => encoder.future(payload))
            }
            Type::Stream { ty, .. } => {
                let payload = self.optional(*ty)?;
                define!(encoder => encoder.stream(payload))
            }
        };
        self.level().known.insert(key, index);
        Ok(index)
    }

    /// Returns the index of a resource type.
    fn resource(&mut self, id: ResourceId) -> Result<u32> {
        let index = self.find(Key::Resource(id))?;
        index.context(unsupported!(
            "a resource type of an instance inside an instance is used outside of it, which \
             compositions do not support yet"
        ))
    }

    /// Returns the index of a type in the innermost level, if it has a name there or can get one.
    fn find(&mut self, key: Key) -> Result<Option<u32>> {
        if let Some(index) = self.known(key) {
            return Ok(Some(index));
        }
        let Some(&origin) = self.origins.get(&key) else {
            return Ok(None);
        };
        let is_value = matches!(key, Key::Value(_));
        let (instance, name) = match origin {
            Origin::Instance { index, name } => (index, name),
            Origin::Import { group, name } => {
                let started = matches!(self.groups[group].state, State::Started);
                if started && is_value {
                    return Ok(None);
                }
                let index = self.import(group)?;
                match name {
                    Some(name) => (index, name),
                    None => return Ok(self.known(key)),
                }
            }
            Origin::Plug { .. } if is_value => return Ok(None),
            Origin::Plug { import, plug } => bail!(ErrorKind::Link.error(format!(
                "it uses a resource type of `{import}`, which `{plug}` implements, so the host \
                 cannot know the type"
            ))),
        };
        let index = self
            .root()
            .alias_export(instance, name, ComponentExportKind::Type);
        self.levels[0].known.insert(key, index);
        Ok(self.known(key))
    }

    /// Returns the index of a type in the innermost level, if a level knows it.
    fn known(&mut self, key: Key) -> Option<u32> {
        let innermost = self.levels.len() - 1;
        let mut levels = self.levels.iter().enumerate().rev();
        let (level, index) = levels.find_map(|(level, at)| Some((level, *at.known.get(&key)?)))?;
        if level == innermost {
            return Some(index);
        }
        let own = self.level().alias_outer((innermost - level) as u32, index);
        self.level().known.insert(key, own);
        Some(own)
    }

    /// Notes the index of a type that has a name in the innermost level. A resource type keeps its
    /// first name: its functions, such as `[method]fields.get`, must not refer to an alias.
    fn learn(&mut self, ty: ComponentAnyTypeId, index: u32) {
        let Some(key) = Key::of(ty) else {
            return;
        };
        let level = self.level();
        let is_alias = matches!(key, Key::Resource(id) if !level.named.insert(id));
        if !is_alias {
            level.known.insert(key, index);
        }
    }

    fn level(&mut self) -> &mut Level<'t> {
        self.levels
            .last_mut()
            .expect("the outermost level is the composition")
    }
}

/// Returns the name of an import or export, with the attributes of `item`.
pub(super) fn extern_name<'a>(
    name: Cow<'a, str>,
    item: &'a ComponentItem,
) -> ComponentExternName<'a> {
    ComponentExternName {
        name,
        implements: item.implements.as_deref().map(Into::into),
        version_suffix: item.version_suffix.as_deref().map(Into::into),
        external_id: item.external_id.as_deref().map(Into::into),
    }
}

/// Returns the sort of an item.
pub(super) fn kind(ty: &ComponentEntityType) -> ComponentExportKind {
    match ty {
        ComponentEntityType::Module(_) => ComponentExportKind::Module,
        ComponentEntityType::Func(_) => ComponentExportKind::Func,
        ComponentEntityType::Value(_) => ComponentExportKind::Value,
        ComponentEntityType::Type { .. } => ComponentExportKind::Type,
        ComponentEntityType::Instance(_) => ComponentExportKind::Instance,
        ComponentEntityType::Component(_) => ComponentExportKind::Component,
    }
}

/// Returns the sort of an item, in words.
fn describe(ty: &ComponentEntityType) -> &'static str {
    match ty {
        ComponentEntityType::Module(_) => "a core module",
        ComponentEntityType::Func(_) => "a function",
        ComponentEntityType::Value(_) => "a value",
        ComponentEntityType::Type { .. } => "a type",
        ComponentEntityType::Instance(_) => "an instance",
        ComponentEntityType::Component(_) => "a component",
    }
}

fn primitive(ty: wasmparser::PrimitiveValType) -> PrimitiveValType {
    use wasmparser::PrimitiveValType as Valid;
    match ty {
        Valid::Bool => PrimitiveValType::Bool,
        Valid::S8 => PrimitiveValType::S8,
        Valid::U8 => PrimitiveValType::U8,
        Valid::S16 => PrimitiveValType::S16,
        Valid::U16 => PrimitiveValType::U16,
        Valid::S32 => PrimitiveValType::S32,
        Valid::U32 => PrimitiveValType::U32,
        Valid::S64 => PrimitiveValType::S64,
        Valid::U64 => PrimitiveValType::U64,
        Valid::F32 => PrimitiveValType::F32,
        Valid::F64 => PrimitiveValType::F64,
        Valid::Char => PrimitiveValType::Char,
        Valid::String => PrimitiveValType::String,
        Valid::ErrorContext => PrimitiveValType::ErrorContext,
    }
}
