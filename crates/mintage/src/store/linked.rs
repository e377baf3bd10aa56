//! [`LinkedImports`]: what the imports of a component were resolved to.

use super::waiting::Destroyed;
use crate::StoreContextMut;
use crate::error::Result;
use crate::types::HostResourceTypes;
use mintage_environ::{FuncTypeId, Index, ResourceId};
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The host's destructor of a resource type, with the representation as its argument.
pub(crate) enum Destructor<T: 'static> {
    /// One that returns when it is done.
    Sync(Arc<SyncDestructor<T>>),
    /// One that may wait.
    Async(Arc<AsyncDestructor<T>>),
}

type SyncDestructor<T> = dyn Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync;
type AsyncDestructor<T> =
    dyn for<'a> Fn(StoreContextMut<'a, T>, u32) -> Destroyed<'a> + Send + Sync;

impl<T> Destructor<T> {
    pub fn new_async(
        destructor: impl for<'a> Fn(StoreContextMut<'a, T>, u32) -> Destroyed<'a>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Destructor::Async(Arc::new(destructor))
    }
}

impl<T> Clone for Destructor<T> {
    fn clone(&self) -> Self {
        match self {
            Destructor::Sync(destructor) => Destructor::Sync(destructor.clone()),
            Destructor::Async(destructor) => Destructor::Async(destructor.clone()),
        }
    }
}

/// The resolved imports of a component, as far as they are used at run time: by all instances of
/// one [`InstancePre`](crate::InstancePre).
pub(crate) struct LinkedImports {
    pub resources: HostResourceTypes,
    /// The `Vec<Option<Destructor<T>>>` of the host's resource types, by number; may end early.
    destructors: Box<dyn Any + Send + Sync>,
    /// The host functions that the component exports again.
    reexports: Box<dyn Any + Send + Sync>,
    /// The type of the function that was compared first, and the address of the code that has
    /// compared it with Rust's types.
    checked: OnceLock<(FuncTypeId, usize)>,
}

impl LinkedImports {
    /// `destructors` is indexed by resource type, and may end early.
    pub fn new<T: 'static>(
        resources: HostResourceTypes,
        destructors: Vec<Option<Destructor<T>>>,
        reexports: impl Any + Send + Sync,
    ) -> Self {
        Self {
            resources,
            destructors: Box::new(destructors),
            reexports: Box::new(reexports),
            checked: OnceLock::new(),
        }
    }

    /// Compares the type of a function with Rust's types by `check`, unless the same code has found
    /// before that they match. The result depends on nothing but that code, the component, and what
    /// is linked. `code` is the address of the code.
    ///
    /// This remembers one function: most components export one that is called for each instance.
    ///
    /// # Errors
    ///
    /// Those of `check`.
    pub fn check_type(
        &self,
        ty: FuncTypeId,
        code: usize,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.checked.get() == Some(&(ty, code)) {
            return Ok(());
        }
        check()?;
        let _ = self.checked.set((ty, code));
        Ok(())
    }

    /// Returns the destructor of a resource type of the host, for stores of `T`.
    pub fn destructor<T: 'static>(&self, resource: ResourceId) -> Option<&Destructor<T>> {
        let destructors: &Vec<Option<Destructor<T>>> = self.destructors.downcast_ref()?;
        destructors.get(resource.index())?.as_ref()
    }

    /// Returns the re-exports, if they were given as an `R`.
    pub fn reexports<R: 'static>(&self) -> Option<&R> {
        self.reexports.downcast_ref()
    }
}

impl fmt::Debug for LinkedImports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkedImports")
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}
