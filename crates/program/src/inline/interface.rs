//! The imports and exports of the root component.

use super::items::{CanonLiftId, Exports, FuncItem, Item, TypeItem};
use super::types::UNKNOWN;
use super::{Budget, Frame, Inliner};
use anyhow::{Context, Result, bail};
use indexmap::IndexMap;
use mintage_environ::component::{
    AnnotatedItems, Annotations, Export, Import, ImportFunc, Resource, StaticItem,
};
use mintage_environ::{Index, LiftId, unsupported};
use std::rc::Rc;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentItem};

/// The bytes of a copied name that count as one step.
const NAME_BYTES: usize = 16;

impl<'p> Inliner<'p, '_> {
    /// Adds an import of the root to the interface, and returns the item for its index space.
    pub(super) fn import_from_host(
        &mut self,
        frame: &mut Frame<'p>,
        name: &str,
    ) -> Result<Item<'p>> {
        let types = frame.types.types;
        let ty = types
            .component_item_for_import(name)
            .context("an import has no type")?;
        let mut path = vec![Box::from(name)];
        let (item, import) = self
            .host_item(frame, &mut path, ty)
            .with_context(|| format!("in the import `{name}`"))?;
        self.out.interface.imports.insert(name.into(), import);
        Ok(item)
    }

    /// Returns the item of type `ty` that the root imports at `path`. Instance types nest at most
    /// 100 deep.
    fn host_item(
        &mut self,
        frame: &mut Frame<'p>,
        path: &mut Vec<Box<str>>,
        item: &ComponentItem,
    ) -> Result<(Item<'p>, Import)> {
        // Each item has a copy of its path, and types with shared parts expand to many items.
        let path_bytes = path.iter().map(|name| name.len()).sum::<usize>();
        self.budget.spend(1 + path_bytes / NAME_BYTES)?;
        let interface = &mut self.out.interface;
        annotate(
            &mut interface.annotated_imports,
            path,
            item,
            &mut self.budget,
        )?;
        Ok(match item.ty {
            ComponentEntityType::Func(ty) => {
                let ty = frame
                    .types
                    .func(ty, &mut interface.types, &mut self.budget)?;
                let id = interface.import_funcs.push(ImportFunc {
                    path: path.as_slice().into(),
                    ty,
                });
                (Item::Func(FuncItem::Import(id)), Import::Func(id))
            }
            ComponentEntityType::Instance(ty) => {
                let ty = frame.types.types.get(ty).context(UNKNOWN)?;
                let mut items = Exports::new();
                let mut imports = IndexMap::new();
                for (name, export) in &ty.exports {
                    path.push(name.as_str().into());
                    let (item, import) = self.host_item(frame, path, export)?;
                    path.pop();
                    items.insert(name.as_str(), item);
                    imports.insert(name.as_str().into(), import);
                }
                (Item::Instance(Rc::new(items)), Import::Instance(imports))
            }
            ComponentEntityType::Type { created, .. } => {
                let ty = match created {
                    ComponentAnyTypeId::Resource(id) => {
                        let resource = frame
                            .types
                            .resource_or_new(id.resource(), &mut interface.types);
                        if resource.index() == interface.resources.len() {
                            let path = path.as_slice().into();
                            interface.resources.push(Resource::Imported { path });
                        }
                        if let Some(name) = path.last() {
                            interface.types.name_resource(resource, name);
                        }
                        TypeItem::Resource(resource)
                    }
                    other => {
                        frame
                            .types
                            .type_item(other, &mut interface.types, &mut self.budget)?
                    }
                };
                let import = match ty {
                    TypeItem::Resource(id) => Import::Resource(id),
                    TypeItem::Value(ty) => Import::Type(ty),
                    TypeItem::Static => Import::Static(StaticItem::Type),
                };
                (Item::Type(ty), import)
            }
            ComponentEntityType::Module(_) => (
                Item::HostModule(path.join("/").into()),
                Import::Static(StaticItem::Module),
            ),
            ComponentEntityType::Component(_) => {
                (Item::HostComponent, Import::Static(StaticItem::Component))
            }
            ComponentEntityType::Value(_) => {
                bail!(unsupported!("importing values is not supported yet"))
            }
        })
    }

    /// Adds the exports of the root to the interface.
    pub(super) fn export_root(&mut self, frame: &Frame<'p>) -> Result<()> {
        for (&name, item) in &frame.exports {
            let ty = frame
                .types
                .types
                .component_item_for_export(name)
                .context("an export has no type")?;
            let export = self
                .export(frame, &mut vec![name.into()], ty, item)
                .with_context(|| format!("in the export `{name}`"))?;
            self.out.interface.exports.insert(name.into(), export);
        }
        Ok(())
    }

    /// Returns the export of `item` at `path`. Only the parts that its type `ty` names are visible.
    /// Instance types nest at most 100 deep.
    fn export(
        &mut self,
        frame: &Frame<'p>,
        path: &mut Vec<Box<str>>,
        ty: &ComponentItem,
        item: &Item<'p>,
    ) -> Result<Export> {
        self.budget.spend(1)?;
        let annotated = &mut self.out.interface.annotated_exports;
        annotate(annotated, path, ty, &mut self.budget)?;
        Ok(match (ty.ty, item) {
            (_, Item::Func(FuncItem::Import(id))) => Export::ImportedFunc(*id),
            (_, Item::Func(FuncItem::Lift(lift))) => Export::Func(self.export_lift(*lift)),
            (_, Item::Type(TypeItem::Resource(id))) => {
                if let Some(name) = path.last() {
                    self.budget.spend(name.len() / NAME_BYTES)?;
                    self.out.interface.types.name_resource(*id, name);
                }
                Export::Resource(*id)
            }
            (_, Item::Type(TypeItem::Value(ty))) => Export::Type(*ty),
            (_, Item::Type(TypeItem::Static)) => Export::Static(StaticItem::Type),
            (ComponentEntityType::Instance(ty), Item::Instance(items)) => {
                let ty = frame.types.types.get(ty).context(UNKNOWN)?;
                let mut exports = IndexMap::new();
                for (name, export) in &ty.exports {
                    let item = items
                        .get(name.as_str())
                        .with_context(|| format!("`{name}` is missing"))?;
                    self.budget.spend(name.len() / NAME_BYTES)?;
                    path.push(name.as_str().into());
                    let export = self.export(frame, path, export, item)?;
                    path.pop();
                    exports.insert(name.as_str().into(), export);
                }
                Export::Instance(exports)
            }
            (_, Item::Instance(_)) => bail!("an instance is exported as something else"),
            (_, Item::Component(..) | Item::HostComponent) => Export::Static(StaticItem::Component),
            (_, Item::Module(_) | Item::HostModule(_)) => Export::Static(StaticItem::Module),
        })
    }

    /// Returns the number of a lift among those that exports name.
    fn export_lift(&mut self, lift: CanonLiftId) -> LiftId {
        LiftId::from_u32(self.out.interface.exported_lifts.insert_full(lift).0 as u32)
    }
}

/// Keeps the annotations of the item at `path`, if it has any.
fn annotate(
    annotated: &mut AnnotatedItems,
    path: &[Box<str>],
    item: &ComponentItem,
    budget: &mut Budget,
) -> Result<()> {
    let annotations = Annotations {
        implements: item.full_implements().map(|name| name.as_ref().into()),
        external_id: item.external_id.as_deref().map(Box::from),
    };
    let texts = [&annotations.implements, &annotations.external_id];
    let texts = texts.into_iter().flatten();
    if let Some(length) = texts.map(|text| text.len()).reduce(|a, b| a + b) {
        let path_bytes = path.iter().map(|name| name.len()).sum::<usize>();
        budget.spend(1 + (path_bytes + length) / NAME_BYTES)?;
        annotated.insert(path.into(), annotations);
    }
    Ok(())
}
