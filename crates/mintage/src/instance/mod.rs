//! [`Instance`], and [`InstancePre`], from which instances are created.

pub mod core;
mod end;

use crate::abi::InstanceTypes;
use crate::component::ExportItem;
use crate::error::{Context, Result, bail, ensure};
use crate::store::{LinkedImports, StoreInstance, StoreOpaque};
use crate::stream;
use crate::types::{ComponentItem, ResourceType, StoreId, StoreInstanceId};
use crate::{
    AsContext, AsContextMut, Component, ComponentExportIndex, ComponentNamedList, Engine,
    ExportLookup, Func, Lift, Lower, TypedFunc,
};
use mintage_environ::component::HostCalls;
use mintage_runtime::{HostTable, SnapshotHandles};
use std::marker::PhantomData;
use std::sync::Arc;

/// A component with every import checked and resolved, from which any number of instances can be
/// created in stores of host data `T`. It is cheap to clone.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(&engine, "(component)")?;
/// let pre = Linker::<u32>::new(&engine).instantiate_pre(&component)?;
/// for request in 0..3 {
///     let mut store = Store::new(&engine, request);
///     let instance = pre.instantiate(&mut store)?;
///     // Call the instance. It is gone when the store is dropped.
/// #   let _ = instance;
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
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
    /// `imports` must have host functions for stores of `T`.
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

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        self.component.engine()
    }

    /// Returns the types of the component with the linker's resource types in place of imported
    /// ones, for [`ComponentFunc::typecheck`](crate::types::ComponentFunc::typecheck).
    #[doc(hidden)]
    pub fn instance_type(&self) -> InstanceTypes<'_> {
        InstanceTypes::new(
            &self.component.interface().types,
            self.linked.resources.as_slice(),
        )
    }

    /// Creates an instance in a store, and runs its start functions.
    ///
    /// # Errors
    ///
    /// If a limit is reached ([`ErrorKind::Limit`](crate::ErrorKind)), if the operating system
    /// refuses address space, or if a start function traps.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let store = store.as_context_mut().0;
        store.host.concurrency.drive_stream = Some(stream::drive);
        let id = store.instantiate(&self.component, &self.imports, &self.linked)?;
        Ok(Instance {
            store: store.opaque.id,
            id,
        })
    }

    /// Creates an instance as [`instantiate`](Self::instantiate) does. Asynchronous host functions
    /// that start functions call may wait; see [`Func::call_async`].
    ///
    /// # Errors
    ///
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_async(
        &self,
        mut store: impl AsContextMut<Data = T>,
    ) -> Result<Instance>
    where
        T: Send,
    {
        let store = store.as_context_mut().0;
        store.host.concurrency.drive_stream = Some(stream::drive);
        let instantiated = match store.may_suspend(&self.imports, HostCalls::ALL) {
            true => {
                let instantiated =
                    store.instantiate_async(&self.component, &self.imports, &self.linked);
                instantiated.await
            }
            false => store.instantiate(&self.component, &self.imports, &self.linked),
        };
        instantiated.map(|id| Instance {
            store: store.opaque.id,
            id,
        })
    }
}

/// A component instance in a [`Store`](crate::Store). The value is a name: copies of it are the
/// same instance, which lives as long as the store, or until
/// [`Store::drop_instance`](crate::Store::drop_instance).
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m (func (export "answer") (result i32) (i32.const 42)))
///         (core instance $i (instantiate $m))
///         (func (export "answer") (result u32) (canon lift (core func $i "answer"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let answer = instance.get_typed_func::<(), (u32,)>(&mut store, "answer")?;
/// assert_eq!(answer.call(&mut store, ())?, (42,));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    store: StoreId,
    id: StoreInstanceId,
}

impl Instance {
    pub(crate) fn in_store<'s>(&self, store: &'s StoreOpaque) -> Result<&'s StoreInstance> {
        store.instance(self.store, self.id, "instance")
    }

    /// Returns the instance's number in its store.
    pub(crate) fn id(&self) -> StoreInstanceId {
        self.id
    }

    /// Returns a component whose instances start in the present state of this one: with its
    /// memories, tables and globals, and without running start functions.
    ///
    /// A few calls can warm up an instance before the snapshot: caches are filled, and an
    /// interpreter has compiled its functions. New instances inherit this warm state at no cost.
    /// The functions and imports are those of the instance's own component. Resource types are new
    /// types, as in any other component.
    ///
    /// **All** state of the instance is passed on. If a guest has read secrets, the time or seeds
    /// of random numbers from the host, they are the same in all later instances.
    ///
    /// # Errors
    ///
    /// - If a call into the instance is under way, or was stopped.
    /// - If the instance has handles, owned or borrowed, since these have no meaning in another
    ///   instance.
    /// - If more than 64 MiB, or too many scattered pages, differ from the initial state.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
    pub fn snapshot(&self, store: impl AsContextMut) -> Result<Component> {
        self.snapshot_with(store, SnapshotHandles::Refuse)
    }

    /// As [`snapshot`](Instance::snapshot), for an instance that has handles.
    ///
    /// New instances have the same handles. Those of resources that a guest defines mean the same
    /// in each of them. Those of the host's resources are *retired*: the resources stay with this
    /// instance, so the guest can drop such a handle, and any other use of it is a trap.
    ///
    /// It depends on the guest whether it can do without them. So let an instance of the snapshot
    /// do some work before you rely on it.
    ///
    /// # Errors
    ///
    /// - If a call into the instance is under way, or was stopped.
    /// - If more than 64 MiB, or too many scattered pages, differ from the initial state.
    ///
    /// [`Component::serialize`] of the result fails if there are handles.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
    pub fn snapshot_retiring_handles(&self, store: impl AsContextMut) -> Result<Component> {
        self.snapshot_with(store, SnapshotHandles::Retire)
    }

    fn snapshot_with(
        &self,
        mut store: impl AsContextMut,
        handles: SnapshotHandles,
    ) -> Result<Component> {
        let opaque = &mut store.as_context_mut().0.opaque;
        self.in_store(opaque)
            .expect("the store that the instance was made in");
        let instance = &mut opaque.instances[self.id];
        ensure!(
            instance.entries.are_none(),
            "a call into the instance is under way or was stopped, so that there is no state to \
             keep"
        );
        let code = instance.runtime.get_mut().snapshot(handles);
        Component::from_code(&opaque.engine, code.context("cannot take a snapshot")?)
    }

    /// Returns the exported function `name`, or `None` if there is none.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
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

    /// Returns the exported function `name` after checking its type. `Params` and `Return` are
    /// tuples.
    ///
    /// # Errors
    ///
    /// If there is no such function, or it has another type.
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
        let component = &self.in_store(opaque)?.component;
        let func = match component.export(&name) {
            Some(&ExportItem::Func(lift)) => Func::lifted(opaque, self.id, lift),
            Some(&ExportItem::ImportedFunc(import)) => Func::imported(opaque, self.id, import),
            Some(_) => bail!("the export {} is not a function", name.describe(component)),
            None => bail!(
                "the component exports no function {}",
                name.describe(component)
            ),
        };
        func.typed(store).with_context(|| {
            let name = name.describe(component);
            format!("the exported function {name} has another type")
        })
    }

    /// Returns the exported resource type `name` of this instance, or `None` if there is none.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
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

    /// Returns the type and the index of the export `name` of the instance, or of its exported
    /// instance `instance`.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
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

    /// Returns the index of the export `name`, as [`get_export`](Self::get_export) does.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
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

    /// Returns what this instance was made from: its component with resolved imports, for further
    /// instances of it.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store.
    pub fn instance_pre<T>(&self, store: impl AsContext<Data = T>) -> InstancePre<T> {
        let store = store.as_context();
        let instance = self
            .in_store(&store.0.opaque)
            .expect("the store that the instance was made in");
        // Instances of a store of `T` are made by an `InstancePre<T>`, so this is one again.
        InstancePre::new(
            &instance.component,
            instance.runtime.imports().clone(),
            instance.linked.clone(),
        )
    }

    /// Returns the component that this is an instance of.
    ///
    /// # Panics
    ///
    /// If the instance is not in this store, or was dropped.
    pub fn component<'s, S: AsContext>(&self, store: &'s S) -> &'s Component {
        let store: &'s StoreOpaque = &store.as_context().0.opaque;
        &self
            .in_store(store)
            .expect("the store that the instance was made in")
            .component
    }
}
