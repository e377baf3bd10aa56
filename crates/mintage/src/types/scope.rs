//! [`TypeScope`]: what the resource types of a component mean.

use super::{ResourceKind, ResourceType, StoreId, StoreInstanceId};
use crate::Component;
use mintage_environ::{Index, ResourceId};
use std::ops::Deref;
use std::sync::Arc;

/// The host's resource types that a component's imported ones are, by number. It may end early; a
/// type that the component defines has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostResourceTypes(Arc<[Option<ResourceType>]>);

impl HostResourceTypes {
    pub fn new(types: Vec<Option<ResourceType>>) -> Self {
        Self(types.into())
    }

    /// Returns the resource type of the host that `resource` is.
    pub fn get(&self, resource: ResourceId) -> Option<ResourceType> {
        self.0.get(resource.index()).copied().flatten()
    }

    pub fn as_slice(&self) -> &[Option<ResourceType>] {
        &self.0
    }
}

/// The component whose types these are: as such, with its imports resolved, or as one instance has
/// them. Keeps the component alive.
#[derive(Clone)]
pub(crate) struct TypeScope {
    component: Component,
    /// The imported resource types, if they are resolved.
    resources: Option<HostResourceTypes>,
    instance: Option<(StoreId, StoreInstanceId)>,
}

impl TypeScope {
    /// The types of a component whose imported resource types are resolved.
    pub fn linked(component: &Component, resources: &HostResourceTypes) -> Self {
        Self {
            component: component.clone(),
            resources: Some(resources.clone()),
            instance: None,
        }
    }

    /// The types of an instance in a store.
    pub fn instance(
        component: &Component,
        resources: &HostResourceTypes,
        store: StoreId,
        instance: StoreInstanceId,
    ) -> Self {
        Self {
            instance: Some((store, instance)),
            ..Self::linked(component, resources)
        }
    }

    /// Returns the host's resource types that imported ones are, as far as they are resolved.
    pub fn host_resources(&self) -> &[Option<ResourceType>] {
        self.resources
            .as_ref()
            .map_or(&[], HostResourceTypes::as_slice)
    }

    /// Returns what the resource type `id` is here.
    pub fn resource(&self, id: ResourceId) -> ResourceType {
        let host = self.resources.as_ref().and_then(|types| types.get(id));
        match (host, self.instance) {
            (Some(host), _) => host,
            (None, Some((store, instance))) => ResourceType::guest(store, instance, id),
            (None, None) => ResourceType(ResourceKind::Component(self.component.id(), id)),
        }
    }

    /// Returns whether equal numbers are equal types in both.
    pub fn same(&self, other: &Self) -> bool {
        Component::same(&self.component, &other.component)
            && self.resources == other.resources
            && self.instance == other.instance
    }
}

impl From<&Component> for TypeScope {
    fn from(component: &Component) -> Self {
        Self {
            component: component.clone(),
            resources: None,
            instance: None,
        }
    }
}

impl Deref for TypeScope {
    type Target = Component;

    fn deref(&self) -> &Component {
        &self.component
    }
}
