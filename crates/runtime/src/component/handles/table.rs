//! [`Table`]: the handles of one component instance.

use super::{HandleError, HandleKind, Resources, Result};
use crate::component::arena::Key;
use crate::component::error_context::ErrorContext;
use mintage_environ::{CallId, ResourceId};

/// A handle of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    pub resource: ResourceId,
    pub rep: u32,
    pub ownership: Ownership,
    /// The number of calls that it is lent to (`num_lends`).
    pub lends: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    Own,
    /// Borrowed for this call.
    Borrow(CallId),
}

/// The handles of a component instance. Index 0 is never a handle.
#[derive(Clone, Default)]
pub struct Table {
    elements: Vec<Element>,
    /// The free element that is taken next; 0 for none. The element that was freed last is reused
    /// first.
    free: u32,
}

#[derive(Clone)]
pub enum Element {
    Free {
        next: u32,
    },
    Resource(Handle),
    ErrorContext(ErrorContext),
    /// A subtask, an end of a stream or future, or a waitable set, and which of them.
    Concurrent(Key, HandleKind),
    /// A handle of a resource of this type that stayed behind when a snapshot was taken. It can
    /// only be dropped.
    Retired(ResourceId),
}

impl Element {
    /// Returns what the handle is one of. A free element has none.
    pub fn kind(&self, resources: &Resources) -> HandleKind {
        match self {
            Element::Resource(Handle { resource, .. }) | Element::Retired(resource) => {
                HandleKind::of(resources, *resource)
            }
            Element::Concurrent(_, kind) => *kind,
            Element::ErrorContext(_) | Element::Free { .. } => HandleKind::ErrorContext,
        }
    }
}

impl Table {
    /// Returns whether there never was a handle.
    pub fn is_unused(&self) -> bool {
        self.elements.is_empty()
    }

    /// Returns whether there is no handle.
    pub fn is_empty(&self) -> bool {
        let mut elements = self.elements.iter();
        elements.all(|element| matches!(element, Element::Free { .. }))
    }

    /// Returns the number of elements that were ever taken.
    pub fn taken(&self) -> usize {
        self.elements.len().saturating_sub(1)
    }

    /// Returns the table for an instance that starts as this one is now, if it has no handles of
    /// tasks, streams and the like. Handles of resources that the host owns are retired.
    pub fn retired(&self, resources: &Resources) -> Option<Table> {
        let elements = self.elements.iter().map(|element| {
            Some(match element {
                Element::Free { next } => Element::Free { next: *next },
                Element::Resource(handle) => match HandleKind::of(resources, handle.resource) {
                    HandleKind::Guest if handle.ownership == Ownership::Own => {
                        Element::Resource(Handle {
                            lends: 0,
                            ..*handle
                        })
                    }
                    _ => Element::Retired(handle.resource),
                },
                Element::Retired(resource) => Element::Retired(*resource),
                Element::ErrorContext(context) => Element::ErrorContext(context.clone()),
                Element::Concurrent(..) => return None,
            })
        });
        Some(Table {
            elements: elements.collect::<Option<_>>()?,
            free: self.free,
        })
    }

    /// Returns the handles of resources.
    pub fn resources(&self) -> impl Iterator<Item = &Handle> {
        self.elements.iter().filter_map(|element| match element {
            Element::Resource(handle) => Some(handle),
            _ => None,
        })
    }

    /// Removes up to `count` handles with this ownership. Returns how many there were.
    pub fn remove_all(&mut self, ownership: Ownership, count: u32) -> u32 {
        let mut removed = 0;
        for handle in (0..self.elements.len() as u32).rev() {
            if removed == count {
                break;
            }
            if matches!(&self.elements[handle as usize],
                Element::Resource(found) if found.ownership == ownership)
            {
                self.remove(handle);
                removed += 1;
            }
        }
        removed
    }

    /// Adds a handle, if there is room.
    pub fn add(&mut self, taken: Element, elements_left: &mut usize) -> Option<u32> {
        if let Some(element) = self.elements.get_mut(self.free as usize)
            && let Element::Free { next } = *element
            && self.free != 0
        {
            *element = taken;
            return Some(std::mem::replace(&mut self.free, next));
        }
        // An unused element for index 0 comes first.
        if *elements_left == 0 || self.elements.try_reserve(2).is_err() {
            return None;
        }
        *elements_left -= 1;
        if self.elements.is_empty() {
            self.elements.push(Element::Free { next: 0 });
        }
        let index = self.elements.len();
        self.elements.push(taken);
        Some(index as u32)
    }

    pub fn get_mut(&mut self, handle: u32) -> Result<&mut Element> {
        match self.elements.get_mut(handle as usize) {
            None | Some(Element::Free { .. }) => Err(HandleError::Unknown { handle }),
            Some(taken) => Ok(taken),
        }
    }

    pub fn remove(&mut self, handle: u32) {
        if let Some(element) = self.elements.get_mut(handle as usize) {
            *element = Element::Free { next: self.free };
            self.free = handle;
        }
    }
}

// `StoreLimits::handles` documents this size. A vector that grows has room for twice as many.
const _: () = assert!(size_of::<Element>() == 24);
