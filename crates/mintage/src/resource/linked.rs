//! [`Linked`]: what a component's resource types are once its imports are resolved.

use crate::types::ResourceType;
use crate::{Result, StoreContextMut};
use mintage_environ::{Index, ResourceId};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// The host's destructor of a resource type, with the representation as its argument.
pub(crate) type Destructor<T> = Arc<dyn Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync>;

/// The resource types of one linked component.
pub(crate) struct Linked {
    /// By number: those of the host. (What a component defines is another type in each instance.)
    types: Vec<Option<ResourceType>>,
    /// The `Vec<Option<Destructor<T>>>` of the host's, by number.
    destructors: Box<dyn Any + Send + Sync>,
}

impl Linked {
    /// Both lists are indexed by resource type, and may end early.
    pub fn new<T: 'static>(types: Vec<Option<ResourceType>>, destructors: Vec<Option<Destructor<T>>>) -> Self {
        Self {
            types,
            destructors: Box::new(destructors),
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

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked")
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}
