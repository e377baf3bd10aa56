//! [`Linked`]: what a component's resource types and the functions that it exports again are once
//! its imports are resolved.

use crate::call::host::HostFunction;
use crate::types::ResourceType;
use crate::{Result, StoreContextMut};
use mintage_environ::{ImportId, Index, ResourceId};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The host's destructor of a resource type, with the representation as its argument.
pub(crate) type Destructor<T> =
    Arc<dyn Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync>;

/// The functions that a component exports again, by import.
pub(crate) type Reexports<T> = HashMap<ImportId, Arc<dyn HostFunction<T>>>;

/// The resource types of one linked component, and what else of its imports is used at run time.
pub(crate) struct Linked {
    /// By number: those of the host. (What a component defines is another type in each instance.)
    types: Vec<Option<ResourceType>>,
    /// The `Vec<Option<Destructor<T>>>` of the host's, by number.
    destructors: Box<dyn Any + Send + Sync>,
    /// The `Reexports<T>`.
    funcs: Box<dyn Any + Send + Sync>,
}

impl Linked {
    /// Both lists are indexed by resource type, and may end early.
    pub fn new<T: 'static>(
        types: Vec<Option<ResourceType>>,
        destructors: Vec<Option<Destructor<T>>>,
        funcs: Reexports<T>,
    ) -> Self {
        Self {
            types,
            destructors: Box::new(destructors),
            funcs: Box::new(funcs),
        }
    }

    /// The types of the host, by number.
    pub fn types(&self) -> &[Option<ResourceType>] {
        &self.types
    }

    /// The resource type of the host that `resource` is.
    pub fn host_type(&self, resource: ResourceId) -> Option<ResourceType> {
        self.types.get(resource.index()).copied().flatten()
    }

    /// The destructor of a resource type of the host, for stores of `T`.
    pub fn destructor<T: 'static>(&self, resource: ResourceId) -> Option<&Destructor<T>> {
        let destructors: &Vec<Option<Destructor<T>>> = self.destructors.downcast_ref()?;
        destructors.get(resource.index())?.as_ref()
    }
}

impl Linked {
    /// The host function that is exported again, for stores of `T`.
    pub fn func<T: 'static>(&self, import: ImportId) -> Option<&Arc<dyn HostFunction<T>>> {
        let funcs: &Reexports<T> = self.funcs.downcast_ref()?;
        funcs.get(&import)
    }
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked")
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}
