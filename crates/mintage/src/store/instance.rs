//! [`StoreInstance`]: an instance in a store, its creation, and the end of its resources.

use super::entries::Entries;
use super::entry::limiter_functions;
use super::limits::Used;
use super::waiting::poll_once;
use super::{CallScope, Destructor, LinkedImports, ResourceOrigin, StoreContextMut, StoreInner};
use crate::error::{Result, ensure};
use crate::types::{ResourceType, StoreId, StoreInstanceId, TypeScope};
use crate::{Component, Engine};
use mintage_environ::component::{CoreCallee, HostCalls, Resource};
use mintage_environ::{DomainId, MemoryId, limit};
use mintage_runtime::{Code, Growth, HostTable, Image, InstanceHandle, Limits};
use std::mem;
use std::sync::Arc;

/// The run-time part of an instance. Only an exclusive reference gives access to what changes, so
/// that a store can be shared between threads.
pub(crate) struct InstanceCell(mintage_runtime::Instance);

// SAFETY: a shared reference gives the methods below only. They read what only exclusive users
// write.
unsafe impl Sync for InstanceCell {}

impl InstanceCell {
    #[inline]
    pub fn get_mut(&mut self) -> &mut mintage_runtime::Instance {
        &mut self.0
    }

    /// Returns the name of the instance for calls, all of which are unsafe.
    #[inline]
    pub fn handle(&self) -> InstanceHandle {
        self.0.handle()
    }

    pub fn code(&self) -> &Arc<Code> {
        self.0.code()
    }

    #[inline]
    pub fn imports(&self) -> &Arc<HostTable> {
        self.0.imports()
    }

    /// Returns the bytes of a memory; none before the instance is first used.
    pub fn memory(&self, id: MemoryId) -> &[u8] {
        self.0.peek_memory(id)
    }
}

/// An instance in a store.
pub(crate) struct StoreInstance {
    pub runtime: InstanceCell,
    pub component: Component,
    pub linked: Arc<LinkedImports>,
    /// The calls into it that are under way or were stopped.
    pub entries: Entries,
    /// The calls under way of host functions that it exports again.
    pub pins: u32,
}

impl StoreInstance {
    /// Returns the scope of the instance's types; `store` and `id` name the instance itself.
    pub fn type_scope(&self, store: StoreId, id: StoreInstanceId) -> TypeScope {
        TypeScope::instance(&self.component, &self.linked.resources, store, id)
    }
}

impl<T: 'static> StoreInner<T> {
    /// Makes an instance and runs its start functions.
    ///
    /// # Errors
    ///
    /// When a limit is reached, or a start function does not return. There is no instance then.
    pub fn instantiate(
        &mut self,
        component: &Component,
        imports: &Arc<HostTable>,
        linked: &Arc<LinkedImports>,
    ) -> Result<StoreInstanceId> {
        let room = self.room_for(component)?;
        let image = self.host.admit(component.code())?;
        let id = self.add_instance(component, imports, linked, room, image)?;
        let new = NewInstance { store: self, id };
        let mut scope = CallScope::new(new.store, id, false);
        scope.enter();
        let started = scope.store.run_initializers(id);
        scope.end(&started);
        started.map(|()| new.keep())
    }

    /// Makes an instance as [`instantiate`](Self::instantiate) does. The limiter and the start
    /// functions may wait.
    ///
    /// # Errors
    ///
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_async(
        &mut self,
        component: &Component,
        imports: &Arc<HostTable>,
        linked: &Arc<LinkedImports>,
    ) -> Result<StoreInstanceId>
    where
        T: Send,
    {
        let room = self.room_for(component)?;
        let image = self.host.admit_async(component.code()).await?;
        let id = self.add_instance(component, imports, linked, room, image)?;
        let new = NewInstance { store: self, id };
        let mut scope = CallScope::new(new.store, id, false);
        scope.enter();
        let started = scope.store.run_initializers_async(id).await;
        scope.end(&started);
        started.map(|()| new.keep())
    }

    /// Drops an instance. Returns the resources of the host that it owned: types and
    /// representations.
    ///
    /// # Errors
    ///
    /// When it is not in this store, or a call into it is under way.
    pub fn drop_instance(
        &mut self,
        store: StoreId,
        id: StoreInstanceId,
    ) -> Result<Vec<(ResourceType, u32)>> {
        let instance = self.opaque.instance(store, id, "instance")?;
        ensure!(
            !instance.entries.are_under_way() && instance.pins == 0,
            "a call into the instance is under way, so that it cannot be dropped"
        );
        Ok(self.remove_instance(id))
    }

    /// Removes an instance that no call uses, and gives back what limits have counted of it.
    fn remove_instance(&mut self, id: StoreInstanceId) -> Vec<(ResourceType, u32)> {
        if self.opaque.concurrent.contains(&id) {
            self.break_instance(id);
            self.opaque.concurrent.retain(|&other| other != id);
            self.host.concurrency.forget(id);
        }
        let Some(mut instance) = self.opaque.instances.remove(id) else {
            return Vec::new();
        };
        let runtime = instance.runtime.get_mut();
        self.opaque.used.remove(runtime.code().layout());
        self.host.release(runtime.granted().into_iter());
        let owned = runtime.owned_imports().into_iter();
        let types = &instance.linked.resources;
        owned
            .filter_map(|(resource, rep)| Some((types.get(resource)?, rep)))
            .collect()
    }

    /// Checks the limits that do not depend on sizes. Returns what is used, and what limits the
    /// instance, if an instance of the component is made.
    ///
    /// # Errors
    ///
    /// When a limit is reached.
    fn room_for(&mut self, component: &Component) -> Result<(Used, Limits)> {
        ensure!(
            Engine::same(component.engine(), &self.opaque.engine),
            "the component belongs to another `Engine` than the store"
        );
        self.keep_deadline()?;
        let allowance = self.host.allowance();
        let config = self.opaque.engine.config();
        let code = component.code();
        let layout = code.layout();
        ensure!(
            layout.size <= config.max_address_space,
            limit!(
                AddressSpace,
                "an instance of the component takes {} GiB of address space for its {} memories \
                 and {} tables, more than the {} GiB that `Config::max_instance_address_space` \
                 allows; raise it, or reduce `Config::memory_reservation` (for 64-bit memories, \
                 `Config::memory64_reservation`)",
                layout.size.div_ceil(1 << 30),
                layout.memories.len(),
                layout.tables.len(),
                config.max_address_space >> 30
            )
        );
        let used = allowance.admit(self.opaque.used, layout)?;
        let limits = Limits {
            limiter: self.host.limits_growth().then(limiter_functions::<T>),
            handles: allowance.handles,
            stacks: allowance.stacks,
            stack_bytes: config.max_wasm_stack,
        };
        // Before the limiter admits sizes.
        self.opaque.instances.next()?;
        Ok((used, limits))
    }

    /// Makes an instance whose start functions have not run. The limiter has admitted the sizes of
    /// its image.
    ///
    /// # Errors
    ///
    /// When the pool or the system has no more room.
    fn add_instance(
        &mut self,
        component: &Component,
        imports: &Arc<HostTable>,
        linked: &Arc<LinkedImports>,
        (used, limits): (Used, Limits),
        image: &Arc<Image>,
    ) -> Result<StoreInstanceId> {
        let code = component.code();
        let words = self.host.time.words();
        let id = self.opaque.instances.next()?;
        let runtime = match self.new_instance(id, image, imports, limits, words) {
            Ok(runtime) => InstanceCell(runtime),
            Err(error) => {
                self.host.release(Growth::at_start(code, image));
                return Err(error);
            }
        };
        self.opaque.used = used;
        if component.may_have_tasks() {
            self.opaque.concurrent.push(id);
        }
        self.opaque.instances.push(StoreInstance {
            runtime,
            component: component.clone(),
            linked: linked.clone(),
            entries: Entries::default(),
            pins: 0,
        });
        Ok(id)
    }

    /// Runs the destructor of a resource that the host has owned.
    ///
    /// # Errors
    ///
    /// When the instance cannot be entered, or the destructor fails, or it waits.
    pub fn destroy(&mut self, origin: ResourceOrigin, rep: u32) -> Result<()> {
        match self.destructor(&origin)? {
            Some(FoundDestructor::Host(Destructor::Sync(destructor))) => {
                destructor(StoreContextMut(self), rep)
            }
            Some(FoundDestructor::Host(Destructor::Async(destructor))) => {
                poll_once(destructor(StoreContextMut(self), rep), None).map(|_| ())
            }
            Some(FoundDestructor::Guest(instance, domain, destructor)) => {
                let mut scope = CallScope::new(self, instance, false);
                scope.enter();
                let words = &mut [u64::from(rep)];
                let destroyed = scope.store.call_core(instance, domain, destructor, words);
                scope.end(&destroyed);
                destroyed
            }
            None => Ok(()),
        }
    }

    /// Runs a destructor as [`destroy`](Self::destroy) does. It may wait.
    ///
    /// # Errors
    ///
    /// As [`destroy`](Self::destroy), except for one that waits.
    pub async fn destroy_async(&mut self, origin: ResourceOrigin, rep: u32) -> Result<()>
    where
        T: Send,
    {
        match self.destructor(&origin)? {
            Some(FoundDestructor::Host(Destructor::Sync(destructor))) => {
                destructor(StoreContextMut(self), rep)
            }
            Some(FoundDestructor::Host(Destructor::Async(destructor))) => {
                destructor(StoreContextMut(self), rep).await
            }
            Some(FoundDestructor::Guest(instance, domain, destructor)) => {
                let mut scope = CallScope::new(self, instance, false);
                scope.enter();
                let words = &mut [u64::from(rep)];
                let store = &mut *scope.store;
                let imports = store.opaque.instances[instance].runtime.imports();
                let destroyed = match store.may_suspend(imports, HostCalls::ALL) {
                    true => {
                        let called = store.call_core_async(instance, domain, destructor, words);
                        called.await
                    }
                    false => store.call_core(instance, domain, destructor, words),
                };
                scope.end(&destroyed);
                destroyed
            }
            None => Ok(()),
        }
    }

    /// Returns the destructor of a resource type, if it has one.
    ///
    /// # Errors
    ///
    /// When it is the guest's, and the instance was dropped or cannot be entered.
    fn destructor(&self, origin: &ResourceOrigin) -> Result<Option<FoundDestructor<T>>> {
        let (instance, resource) = match origin {
            ResourceOrigin::Host { linked, resource } => {
                let destructor = linked.destructor::<T>(*resource).cloned();
                return Ok(destructor.map(FoundDestructor::Host));
            }
            &ResourceOrigin::Guest { instance, resource } => (instance, resource),
        };
        let owner = self.opaque.instance(self.opaque.id, instance, "resource")?;
        Ok(match owner.component.interface().resources[resource] {
            Resource::Imported { .. } | Resource::Defined { dtor: None, .. } => None,
            Resource::Defined {
                domain,
                dtor: Some(dtor),
            } => {
                owner.entries.check()?;
                Some(FoundDestructor::Guest(instance, domain, dtor))
            }
        })
    }
}

/// An instance whose start functions have not all returned. It is removed when this is dropped: a
/// start function fails or panics, or is not waited for any more.
struct NewInstance<'s, T: 'static> {
    store: &'s mut StoreInner<T>,
    id: StoreInstanceId,
}

impl<T: 'static> NewInstance<'_, T> {
    /// Keeps the instance in the store.
    fn keep(self) -> StoreInstanceId {
        let id = self.id;
        mem::forget(self);
        id
    }
}

impl<T: 'static> Drop for NewInstance<'_, T> {
    fn drop(&mut self) {
        self.store.remove_instance(self.id);
    }
}

/// The destructor of a resource type.
enum FoundDestructor<T: 'static> {
    Host(Destructor<T>),
    /// A function that takes one `i32` and returns nothing, as the verifier of the program has
    /// checked.
    Guest(StoreInstanceId, DomainId, CoreCallee),
}
