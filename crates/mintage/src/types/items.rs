//! The types of what components import and export.

use super::{ComponentFunc, ResourceType, Type, TypeScope};
use crate::component::NameMap;
use crate::{ComponentExportIndex, Engine, ExportLookup};
use indexmap::IndexMap;
use mintage_environ::component::{AnnotatedItems, Export, Import, StaticItem};
use std::fmt;

/// The type of an item that a component imports or exports.
///
/// A component can also export types of functions, instances and components. These are not among
/// the items.
#[derive(Clone, Debug)]
pub enum ComponentItem {
    /// A function.
    ComponentFunc(ComponentFunc),
    /// A core function. No item is one, since components do not import or export core functions.
    CoreFunc(CoreFunc),
    /// A core module. A module that a component imports is given to `CodeBuilder::core_module`.
    Module(Module),
    /// A component. Its own imports and exports are not known: a component that is exported, or
    /// imported and not yet [composed](crate::Component), cannot be instantiated.
    Component(Component),
    /// An instance.
    ComponentInstance(ComponentInstance),
    /// A value type.
    Type(Type),
    /// A resource type.
    Resource(ResourceType),
}

/// The type of a core function, which no item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreFunc {}

/// The type of a core module. Its imports and exports are core types, which this crate does not
/// show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module(());

/// An import or an export.
#[derive(Clone, Debug)]
pub struct ComponentExtern<'a> {
    /// Its type.
    pub ty: ComponentItem,
    /// The interface of the annotation `(implements "...")`, if there is one: that of an instance
    /// that is imported or exported under another name.
    pub implements: Option<&'a str>,
    /// The text of the annotation `(external-id "...")`, if there is one: it tells the host how to
    /// provide the import, or how to use the export.
    pub external_id: Option<&'a str>,
}

impl ComponentExtern<'_> {
    /// Returns whether the item implements the interface `name`, or a semver-compatible version of
    /// it, by the annotation `(implements "...")`.
    pub fn is_implements(&self, name: &str) -> bool {
        self.implements
            .is_some_and(|implements| NameMap::<()>::are_compatible(implements, name))
    }
}

/// The items of a component or instance: a way from the root of the imports or exports, by
/// position.
#[derive(Clone)]
enum Items {
    Imports(Box<[usize]>),
    Exports(Box<[usize]>),
    /// Those of a component that is an item, which are not known.
    Unknown,
}

impl Items {
    fn imports<'c>(
        component: &'c TypeScope,
        path: &[usize],
    ) -> (&'c IndexMap<Box<str>, Import>, Vec<&'c str>) {
        let mut items = &component.interface().imports;
        let mut names = Vec::with_capacity(path.len());
        for &position in path {
            let Some((name, Import::Instance(inner))) = items.get_index(position) else {
                break;
            };
            names.push(&**name);
            items = inner;
        }
        (items, names)
    }

    fn exports<'c>(
        component: &'c TypeScope,
        path: &[usize],
    ) -> (&'c IndexMap<Box<str>, Export>, Vec<&'c str>) {
        let mut items = &component.interface().exports;
        let mut names = Vec::with_capacity(path.len());
        for &position in path {
            let Some((name, Export::Instance(inner))) = items.get_index(position) else {
                break;
            };
            names.push(&**name);
            items = inner;
        }
        (items, names)
    }

    /// Name and type of each item.
    fn list<'c>(&self, component: &'c TypeScope) -> Vec<(&'c str, ComponentExtern<'c>)> {
        let below = |path: &[usize], position: usize| {
            path.iter()
                .copied()
                .chain([position])
                .collect::<Box<[usize]>>()
        };
        let interface = component.interface();
        match self {
            Items::Imports(path) => {
                let (items, names) = Self::imports(component, path);
                let item = |(i, (name, import)): (usize, (&'c str, &Import))| {
                    let ty = ComponentItem::of_import(component, import, || {
                        Items::Imports(below(path, i))
                    })?;
                    Some((
                        name,
                        annotated(ty, &interface.annotated_imports, &names, name),
                    ))
                };
                let items = items.iter().map(|(name, item)| (&**name, item));
                items.enumerate().filter_map(item).collect()
            }
            Items::Exports(path) => {
                let (items, names) = Self::exports(component, path);
                let item = |(i, (name, export)): (usize, (&'c str, &Export))| {
                    let ty = ComponentItem::of_exported(component, export, || {
                        Items::Exports(below(path, i))
                    })?;
                    Some((
                        name,
                        annotated(ty, &interface.annotated_exports, &names, name),
                    ))
                };
                let items = items.iter().map(|(name, item)| (&**name, item));
                items.enumerate().filter_map(item).collect()
            }
            Items::Unknown => Vec::new(),
        }
    }
}

/// Adds the annotations of the item `name` in the instance at `path`.
fn annotated<'c>(
    ty: ComponentItem,
    annotated: &'c AnnotatedItems,
    path: &[&str],
    name: &str,
) -> ComponentExtern<'c> {
    let annotations = match annotated.is_empty() {
        true => None,
        false => {
            let path = path.iter().copied().chain([name]).map(Box::from);
            annotated.get(&path.collect::<Vec<Box<str>>>()[..])
        }
    };
    ComponentExtern {
        ty,
        implements: annotations.and_then(|found| found.implements.as_deref()),
        external_id: annotations.and_then(|found| found.external_id.as_deref()),
    }
}

impl ComponentItem {
    fn of_import(
        component: &TypeScope,
        import: &Import,
        items: impl FnOnce() -> Items,
    ) -> Option<Self> {
        Some(match import {
            Import::Func(id) => Self::ComponentFunc(ComponentFunc::new(
                component,
                component.interface().import_funcs[*id].ty,
            )),
            Import::Instance(_) => Self::ComponentInstance(ComponentInstance {
                component: component.clone(),
                items: items(),
            }),
            Import::Type(ty) => Self::Type(Type::new(component, *ty)),
            Import::Resource(id) => Self::Resource(component.resource(*id)),
            Import::Static(item) => return Self::of_static(component, *item),
        })
    }

    fn of_static(component: &TypeScope, item: StaticItem) -> Option<Self> {
        match item {
            StaticItem::Module => Some(Self::Module(Module(()))),
            StaticItem::Component => Some(Self::Component(Component {
                component: component.clone(),
                is_item: true,
            })),
            StaticItem::Type => None,
        }
    }

    pub(crate) fn of_export_at(component: &TypeScope, path: &[usize]) -> Option<Self> {
        let (&last, instances) = path.split_last()?;
        let (_, export) = Items::exports(component, instances).0.get_index(last)?;
        Self::of_exported(component, export, || Items::Exports(path.into()))
    }

    fn of_exported(
        component: &TypeScope,
        export: &Export,
        items: impl FnOnce() -> Items,
    ) -> Option<Self> {
        let interface = component.interface();
        Some(match export {
            Export::Func(id) => {
                Self::ComponentFunc(ComponentFunc::new(component, interface.lifts[*id].ty))
            }
            Export::ImportedFunc(id) => Self::ComponentFunc(ComponentFunc::new(
                component,
                interface.import_funcs[*id].ty,
            )),
            Export::Instance(_) => Self::ComponentInstance(ComponentInstance {
                component: component.clone(),
                items: items(),
            }),
            Export::Type(ty) => Self::Type(Type::new(component, *ty)),
            Export::Resource(id) => Self::Resource(component.resource(*id)),
            Export::Static(item) => return Self::of_static(component, *item),
        })
    }
}

/// The type of an imported or exported instance.
#[derive(Clone)]
pub struct ComponentInstance {
    component: TypeScope,
    items: Items,
}

impl ComponentInstance {
    /// The item `name`.
    pub fn get_export<'a>(&'a self, engine: &'a Engine, name: &str) -> Option<ComponentExtern<'a>> {
        find(self.exports(engine), name)
    }

    /// The items in order.
    pub fn exports<'a>(
        &'a self,
        _engine: &'a Engine,
    ) -> impl ExactSizeIterator<Item = (&'a str, ComponentExtern<'a>)> + 'a {
        self.items.list(&self.component).into_iter()
    }
}

/// Returns the item of the given name.
fn find<'a>(
    mut items: impl Iterator<Item = (&'a str, ComponentExtern<'a>)>,
    name: &str,
) -> Option<ComponentExtern<'a>> {
    items.find_map(|(found, item)| (found == name).then_some(item))
}

impl fmt::Debug for ComponentInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.items.list(&self.component))
            .finish()
    }
}

/// The type of a component.
#[derive(Clone)]
pub struct Component {
    component: TypeScope,
    /// Whether it is an item of the component rather than the component itself.
    is_item: bool,
}

impl Component {
    pub(crate) fn new(component: TypeScope) -> Self {
        Self {
            component,
            is_item: false,
        }
    }

    fn items(&self, of: fn(Box<[usize]>) -> Items) -> Vec<(&str, ComponentExtern<'_>)> {
        let items = match self.is_item {
            true => Items::Unknown,
            false => of([].into()),
        };
        items.list(&self.component)
    }

    /// The import `name`.
    pub fn get_import<'a>(&'a self, engine: &'a Engine, name: &str) -> Option<ComponentExtern<'a>> {
        find(self.imports(engine), name)
    }

    /// The imports in order.
    pub fn imports<'a>(
        &'a self,
        _engine: &'a Engine,
    ) -> impl ExactSizeIterator<Item = (&'a str, ComponentExtern<'a>)> + 'a {
        self.items(Items::Imports).into_iter()
    }

    /// The export `name`.
    pub fn get_export<'a>(&'a self, engine: &'a Engine, name: &str) -> Option<ComponentExtern<'a>> {
        find(self.exports(engine), name)
    }

    /// The exports in order.
    pub fn exports<'a>(
        &'a self,
        _engine: &'a Engine,
    ) -> impl ExactSizeIterator<Item = (&'a str, ComponentExtern<'a>)> + 'a {
        self.items(Items::Exports).into_iter()
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("imports", &self.items(Items::Imports))
            .field("exports", &self.items(Items::Exports))
            .finish()
    }
}

impl crate::Component {
    /// Returns the types of the component's imports and exports.
    pub fn component_type(&self) -> Component {
        Component::new(self.into())
    }

    /// Returns the export `name` of the component, or of its exported instance `instance`: its
    /// type, and an index that finds it in instances without a look-up by name.
    pub fn get_export(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: impl ExportLookup,
    ) -> Option<(ComponentItem, ComponentExportIndex)> {
        let index = self.get_export_index(instance, name)?;
        let item = ComponentItem::of_export_at(&self.into(), self.exports().path(index)?)?;
        Some((item, index))
    }
}
