//! Exports by name and by index.

use super::NameMap;
use crate::Component;
use indexmap::IndexMap;
use mintage_environ::component::Export;
use mintage_environ::{ImportId, LiftId, ResourceId};
use std::sync::atomic::{AtomicU64, Ordering};

/// A component of this process. No two components have the same number, even if one of them is
/// gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ComponentId(u64);

impl ComponentId {
    /// Returns a number that no other component has.
    fn new() -> ComponentId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ComponentId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// An export of a component, found once by name; see [`Component::get_export_index`].
///
/// A look-up by index is faster than one by name, and works in all instances of the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComponentExportIndex {
    component: ComponentId,
    index: u32,
}

/// An item that a component exports.
pub(crate) enum ExportItem {
    Func(LiftId),
    /// A host function, exported again.
    ImportedFunc(ImportId),
    Instance(NameMap<u32>),
    Resource(ResourceId),
    /// A type, or another item without a run-time value.
    Static,
}

/// All exports of a component, nested ones included.
pub(crate) struct Exports {
    id: ComponentId,
    items: Vec<ExportItem>,
    /// The path of each item in the interface: its position at the root, in the instance there, and
    /// so on.
    paths: Vec<Box<[usize]>>,
    root: NameMap<u32>,
}

impl Exports {
    pub fn new(exports: &IndexMap<Box<str>, Export>) -> Self {
        let mut this = Self {
            id: ComponentId::new(),
            items: Vec::new(),
            paths: Vec::new(),
            root: NameMap::default(),
        };
        this.root = this.flatten(exports, &[]);
        this
    }

    fn flatten(&mut self, exports: &IndexMap<Box<str>, Export>, path: &[usize]) -> NameMap<u32> {
        let mut names = NameMap::default();
        for (position, (name, export)) in exports.iter().enumerate() {
            let path: Box<[usize]> = path.iter().copied().chain([position]).collect();
            let item = match export {
                Export::Func(id) => ExportItem::Func(*id),
                Export::ImportedFunc(id) => ExportItem::ImportedFunc(*id),
                Export::Instance(exports) => ExportItem::Instance(self.flatten(exports, &path)),
                Export::Resource(id) => ExportItem::Resource(*id),
                Export::Type(_) | Export::Static(_) => ExportItem::Static,
            };
            names.set(name, self.items.len() as u32);
            self.items.push(item);
            self.paths.push(path);
        }
        names
    }

    /// Returns the host functions that the component exports again.
    pub fn imported_funcs(&self) -> impl Iterator<Item = ImportId> {
        self.items.iter().filter_map(|item| match item {
            ExportItem::ImportedFunc(id) => Some(*id),
            _ => None,
        })
    }

    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Returns the path in the interface of the item at `index`.
    pub fn path(&self, index: ComponentExportIndex) -> Option<&[usize]> {
        self.get(index).map(|_| &*self.paths[index.index as usize])
    }

    /// Returns the item at `index`, if the index is one of this component.
    pub fn get(&self, index: ComponentExportIndex) -> Option<&ExportItem> {
        if index.component == self.id {
            self.items.get(index.index as usize)
        } else {
            None
        }
    }

    /// Finds an export by name, at the root or in an exported instance.
    fn find(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<ComponentExportIndex> {
        let names = match instance {
            None => &self.root,
            Some(&instance) => match self.get(instance)? {
                ExportItem::Instance(names) => names,
                _ => return None,
            },
        };
        Some(ComponentExportIndex {
            component: self.id,
            index: *names.get(name)?,
        })
    }
}

/// The name or the index of an export: `str`, `String`, [`ComponentExportIndex`], and references to
/// them.
pub trait ExportLookup {
    /// Returns the index of the export in `component`, if it exists at the root or in the exported
    /// instance `instance`.
    #[doc(hidden)]
    fn lookup(
        &self,
        component: &Component,
        instance: Option<&ComponentExportIndex>,
    ) -> Option<ComponentExportIndex>;

    /// Names the export in an error.
    #[doc(hidden)]
    fn describe(&self, component: &Component) -> String;
}

impl<T: ExportLookup + ?Sized> ExportLookup for &T {
    fn lookup(
        &self,
        component: &Component,
        instance: Option<&ComponentExportIndex>,
    ) -> Option<ComponentExportIndex> {
        T::lookup(self, component, instance)
    }

    fn describe(&self, component: &Component) -> String {
        T::describe(self, component)
    }
}

impl ExportLookup for str {
    fn lookup(
        &self,
        component: &Component,
        instance: Option<&ComponentExportIndex>,
    ) -> Option<ComponentExportIndex> {
        component.exports().find(instance, self)
    }

    fn describe(&self, _component: &Component) -> String {
        format!("`{self}`")
    }
}

impl ExportLookup for String {
    fn lookup(
        &self,
        component: &Component,
        instance: Option<&ComponentExportIndex>,
    ) -> Option<ComponentExportIndex> {
        str::lookup(self, component, instance)
    }

    fn describe(&self, component: &Component) -> String {
        str::describe(self, component)
    }
}

impl ExportLookup for ComponentExportIndex {
    fn lookup(
        &self,
        component: &Component,
        _instance: Option<&ComponentExportIndex>,
    ) -> Option<ComponentExportIndex> {
        component.exports().get(*self).map(|_| *self)
    }

    fn describe(&self, component: &Component) -> String {
        match component.exports().path(*self) {
            Some(path) => format!("`{}`", names(component, path).join(".")),
            None => "of an index that was made for another component".into(),
        }
    }
}

/// Returns the names along a path in the interface.
fn names<'c>(component: &'c Component, path: &[usize]) -> Vec<&'c str> {
    let mut items = Some(&component.interface().exports);
    let mut names = Vec::with_capacity(path.len());
    for &position in path {
        let Some((name, export)) = items.and_then(|items| items.get_index(position)) else {
            break;
        };
        names.push(&**name);
        items = match export {
            Export::Instance(inner) => Some(inner),
            _ => None,
        };
    }
    names
}
