//! The types of what components import and export.

use super::{ComponentFunc, ResourceType, Type, TypeScope};
use crate::{ComponentExportIndex, Engine};
use indexmap::IndexMap;
use mintage_environ::component::{Export, Import};
use std::fmt;

/// The type of an item that a component imports or exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ComponentItem {
    /// A function.
    ComponentFunc(ComponentFunc),
    /// An instance.
    ComponentInstance(ComponentInstance),
    /// A value type.
    Type(Type),
    /// A resource type.
    Resource(ResourceType),
    /// A component, a core module, or a component or function type: nothing at run time.
    Static,
}

/// An import or an export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComponentExtern {
    /// Its type.
    pub ty: ComponentItem,
}

/// The items of a component or instance: a way from the root of the imports or exports, by
/// position.
#[derive(Clone)]
enum Items {
    Imports(Box<[usize]>),
    Exports(Box<[usize]>),
}

impl Items {
    fn imports<'c>(component: &'c TypeScope, path: &[usize]) -> &'c IndexMap<Box<str>, Import> {
        let mut items = &component.interface().imports;
        for &position in path {
            let Some((_, Import::Instance(inner))) = items.get_index(position) else {
                break;
            };
            items = inner;
        }
        items
    }

    fn exports<'c>(component: &'c TypeScope, path: &[usize]) -> &'c IndexMap<Box<str>, Export> {
        let mut items = &component.interface().exports;
        for &position in path {
            let Some((_, Export::Instance(inner))) = items.get_index(position) else {
                break;
            };
            items = inner;
        }
        items
    }

    /// Name and type of each item.
    fn list<'c>(&self, component: &'c TypeScope) -> Vec<(&'c str, ComponentExtern)> {
        let below = |path: &[usize], position: usize| {
            path.iter()
                .copied()
                .chain([position])
                .collect::<Box<[usize]>>()
        };
        match self {
            Items::Imports(path) => Self::imports(component, path)
                .iter()
                .enumerate()
                .map(|(i, (name, import))| {
                    let ty = ComponentItem::of_import(component, import, || {
                        Items::Imports(below(path, i))
                    });
                    (&**name, ComponentExtern { ty })
                })
                .collect(),
            Items::Exports(path) => Self::exports(component, path)
                .iter()
                .enumerate()
                .map(|(i, (name, export))| {
                    let ty = ComponentItem::of_exported(component, export, || {
                        Items::Exports(below(path, i))
                    });
                    (&**name, ComponentExtern { ty })
                })
                .collect(),
        }
    }
}

impl ComponentItem {
    fn of_import(component: &TypeScope, import: &Import, items: impl FnOnce() -> Items) -> Self {
        match import {
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
            Import::Static => Self::Static,
        }
    }

    pub(crate) fn of_export_at(component: &TypeScope, path: &[usize]) -> Option<Self> {
        let (&last, instances) = path.split_last()?;
        let (_, export) = Items::exports(component, instances).get_index(last)?;
        Some(Self::of_exported(component, export, || {
            Items::Exports(path.into())
        }))
    }

    fn of_exported(component: &TypeScope, export: &Export, items: impl FnOnce() -> Items) -> Self {
        let interface = component.interface();
        match export {
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
            Export::Static => Self::Static,
        }
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
    pub fn get_export(&self, engine: &Engine, name: &str) -> Option<ComponentExtern> {
        self.exports(engine)
            .find_map(|(found, item)| (found == name).then_some(item))
    }

    /// The items in order.
    pub fn exports(
        &self,
        _engine: &Engine,
    ) -> impl ExactSizeIterator<Item = (&str, ComponentExtern)> {
        self.items.list(&self.component).into_iter()
    }
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
}

impl Component {
    pub(crate) fn new(component: TypeScope) -> Self {
        Self { component }
    }

    /// The import `name`.
    pub fn get_import(&self, engine: &Engine, name: &str) -> Option<ComponentExtern> {
        self.imports(engine)
            .find_map(|(found, item)| (found == name).then_some(item))
    }

    /// The imports in order.
    pub fn imports(
        &self,
        _engine: &Engine,
    ) -> impl ExactSizeIterator<Item = (&str, ComponentExtern)> {
        Items::Imports([].into()).list(&self.component).into_iter()
    }

    /// The export `name`.
    pub fn get_export(&self, engine: &Engine, name: &str) -> Option<ComponentExtern> {
        self.exports(engine)
            .find_map(|(found, item)| (found == name).then_some(item))
    }

    /// The exports in order.
    pub fn exports(
        &self,
        _engine: &Engine,
    ) -> impl ExactSizeIterator<Item = (&str, ComponentExtern)> {
        Items::Exports([].into()).list(&self.component).into_iter()
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let imports = Items::Imports([].into()).list(&self.component);
        let exports = Items::Exports([].into()).list(&self.component);
        f.debug_struct("Component")
            .field("imports", &imports)
            .field("exports", &exports)
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
        name: &str,
    ) -> Option<(ComponentItem, ComponentExportIndex)> {
        let index = self.get_export_index(instance, name)?;
        let item = ComponentItem::of_export_at(&self.into(), self.exports().path(index)?)?;
        Some((item, index))
    }
}
