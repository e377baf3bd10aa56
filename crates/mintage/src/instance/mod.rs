//! [`Instance`], and [`InstancePre`], from which instances are minted.

pub mod core;

use crate::component::ExportItem;
use crate::error::{Context, Result, bail, ensure, wrong_store};
use crate::store::{LinkedImports, StoreInstance, StoreOpaque};
use crate::types::{ComponentItem, ResourceType, StoreId, StoreInstanceId};
use crate::{
    AsContext, AsContextMut, Component, ComponentExportIndex, ComponentNamedList, Engine,
    ExportLookup, Func, Lift, Lower, TypedFunc,
};
use mintage_runtime::HostTable;
use std::marker::PhantomData;
use std::sync::Arc;

/// A component with every import checked and resolved. Cheap to clone; makes any number of
/// instances, in stores of host data `T`.
pub struct InstancePre<T: 'static> {
    component: Component,
    imports: Arc<HostTable>,
    linked: Arc<LinkedImports>,
    /// Invariant in `T`: the host functions behind `imports` are for stores of exactly this type.
    data: PhantomData<fn(T) -> T>,
}

impl<T> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            component: self.component.clone(),
            imports: self.imports.clone(),
            linked: self.linked.clone(),
            data: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstancePre").finish_non_exhaustive()
    }
}

impl<T> InstancePre<T> {
    /// `imports` holds host functions for stores of `T`.
    pub(crate) fn new(
        component: &Component,
        imports: Arc<HostTable>,
        linked: Arc<LinkedImports>,
    ) -> Self {
        Self {
            component: component.clone(),
            imports,
            linked,
            data: PhantomData,
        }
    }

    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.component.engine()
    }

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// When a limit is reached, the operating system gives no address space, or a start function
    /// does not return.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let store = store.as_context_mut().0;
        let id = store.instantiate(&self.component, &self.imports, &self.linked)?;
        Ok(Instance {
            store: store.opaque.id,
            id,
        })
    }
}

/// A component instance in a [`Store`](crate::Store).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    store: StoreId,
    id: StoreInstanceId,
}

impl Instance {
    pub(crate) fn in_store<'s>(&self, store: &'s StoreOpaque) -> Result<&'s StoreInstance> {
        let instance = store.instance(self.store, self.id);
        instance.ok_or_else(|| wrong_store("instance"))
    }

    /// The instance's number in its store.
    pub(crate) fn id(&self) -> StoreInstanceId {
        self.id
    }

    /// A component whose instances start as this one stands now: with its memories, tables and
    /// globals, and without running start functions. An instance that was warmed up by a few calls,
    /// so that caches are filled and functions that are compiled when first called are compiled,
    /// gives its successors all of that for nothing. Functions, imports and the artifact are those
    /// of the instance's own component; resource types are new ones, as in any other component.
    ///
    /// **All** that the instance holds is passed on: what a guest has read from the host (secrets,
    /// the time, seeds of random numbers) is the same in all later instances.
    ///
    /// # Errors
    ///
    /// When a call into the instance is under way or was stopped; when it holds handles, owned or
    /// borrowed, since these would mean nothing in another instance; when more than 64 MiB, or too
    /// many scattered pages, are not as they were at the start.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn snapshot(&self, mut store: impl AsContextMut) -> Result<Component> {
        let opaque = &mut store.as_context_mut().0.opaque;
        self.in_store(opaque)
            .expect("the store that the instance was made in");
        let instance = &mut opaque.instances[self.id];
        ensure!(
            instance.entries.are_none(),
            "a call into the instance is under way or was stopped, so that there is no state to \
             keep"
        );
        let code = instance.runtime.snapshot();
        Component::from_code(&opaque.engine, code.context("cannot take a snapshot")?)
    }

    /// The exported function `name`, or `None` when there is none.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn get_func(&self, store: impl AsContextMut, name: impl ExportLookup) -> Option<Func> {
        let store = store.as_context();
        let opaque = &store.0.opaque;
        let instance = self
            .in_store(opaque)
            .expect("the store that the instance was made in");
        match *instance.component.export(name)? {
            ExportItem::Func(lift) => Some(Func::lifted(opaque, self.id, lift)),
            ExportItem::ImportedFunc(import) => Some(Func::imported(opaque, self.id, import)),
            _ => None,
        }
    }

    /// The exported function `name` with its type checked.
    ///
    /// # Errors
    ///
    /// When there is no such function, or it is not of this type.
    pub fn get_typed_func<Params, Return>(
        &self,
        store: impl AsContextMut,
        name: impl ExportLookup,
    ) -> Result<TypedFunc<Params, Return>>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let store = store.as_context();
        let opaque = &store.0.opaque;
        let func = match self.in_store(opaque)?.component.export(name) {
            Some(&ExportItem::Func(lift)) => Func::lifted(opaque, self.id, lift),
            Some(&ExportItem::ImportedFunc(import)) => Func::imported(opaque, self.id, import),
            Some(_) => bail!("the export is no function"),
            None => bail!("the component exports no such function"),
        };
        func.typed(store)
            .context("the exported function has another type")
    }

    /// The exported resource type `name`, as this instance has it, or `None` when there is none.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn get_resource(
        &self,
        store: impl AsContextMut,
        name: impl ExportLookup,
    ) -> Option<ResourceType> {
        let store = store.as_context();
        let opaque = &store.0.opaque;
        let instance = self
            .in_store(opaque)
            .expect("the store that the instance was made in");
        match instance.component.export(name)? {
            &ExportItem::Resource(id) => {
                Some(instance.type_scope(self.store, self.id).resource(id))
            }
            _ => None,
        }
    }

    /// The export `name` of the instance, or of its exported instance `instance`: its type and
    /// index.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn get_export(
        &self,
        store: impl AsContextMut,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<(ComponentItem, ComponentExportIndex)> {
        let store = store.as_context();
        let this = self
            .in_store(&store.0.opaque)
            .expect("the store that the instance was made in");
        let index = this.component.get_export_index(instance, name)?;
        let path = this.component.exports().path(index)?;
        let item = ComponentItem::of_export_at(&this.type_scope(self.store, self.id), path)?;
        Some((item, index))
    }

    /// As [`get_export`](Self::get_export), without the type.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn get_export_index(
        &self,
        store: impl AsContextMut,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<ComponentExportIndex> {
        let store = store.as_context();
        let this = self
            .in_store(&store.0.opaque)
            .expect("the store that the instance was made in");
        this.component.get_export_index(instance, name)
    }

    /// The component that the instance is of.
    ///
    /// # Panics
    ///
    /// When the instance is not in this store.
    pub fn component<'s, S: AsContext>(&self, store: &'s S) -> &'s Component {
        let store: &'s StoreOpaque = &store.as_context().0.opaque;
        &self
            .in_store(store)
            .expect("the store that the instance was made in")
            .component
    }
}
