//! [`ResourceTable`]: values of the host by the representation of their resource.

use super::Resource;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Values of any type, each behind a [`Resource`]. Values can have children, which must be deleted
/// before their parent.
///
/// ```
/// use mintage::{Resource, ResourceTable};
///
/// struct Directory(&'static str);
///
/// # fn main() -> mintage::Result<()> {
/// let mut table = ResourceTable::new();
/// let home: Resource<Directory> = table.push(Directory("home"))?;
/// let file = table.push_child(String::from("notes"), &home)?;
/// assert_eq!(table.get(&home)?.0, "home");
/// assert_eq!(table.delete(file)?, "notes");
/// table.delete(home)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ResourceTable {
    slots: Vec<Option<TableEntry>>,
    /// Free slots; the last one is used next.
    free: Vec<u32>,
    max_capacity: usize,
}

struct TableEntry {
    value: Box<dyn Any + Send>,
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

impl fmt::Debug for TableEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableEntry")
            .field("parent", &self.parent)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// The reason why an operation on a [`ResourceTable`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceTableError {
    /// The table has reached its maximum number of values.
    Full,
    /// There is no value with this representation.
    NotPresent,
    /// The value is of another Rust type.
    WrongType,
    /// The value has children, which must be deleted first.
    HasChildren,
}

impl fmt::Display for ResourceTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceTableError::Full => "resource table has no free keys",
            ResourceTableError::NotPresent => "resource not present",
            ResourceTableError::WrongType => "resource is of another type",
            ResourceTableError::HasChildren => "resource has children",
        })
    }
}

impl std::error::Error for ResourceTableError {}

type Result<T> = std::result::Result<T, ResourceTableError>;

impl Default for ResourceTable {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceTable {
    /// Creates an empty table.
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            max_capacity: 10_000_000,
        }
    }

    /// Creates an empty table with room for `capacity` values.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Vec::with_capacity(capacity),
            ..Self::new()
        }
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the maximum number of values; default: ten million.
    pub fn max_capacity(&self) -> usize {
        self.max_capacity
    }

    /// Sets the maximum number of values.
    pub fn set_max_capacity(&mut self, max: usize) {
        self.max_capacity = max;
    }

    /// Adds a value.
    ///
    /// # Errors
    ///
    /// If the table is full.
    pub fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>> {
        self.insert(Box::new(value), None).map(Resource::new_own)
    }

    /// Adds a value that is a child of another.
    ///
    /// # Errors
    ///
    /// If the table is full or there is no such parent.
    pub fn push_child<T: Send + 'static, U: 'static>(
        &mut self,
        value: T,
        parent: &Resource<U>,
    ) -> Result<Resource<T>> {
        self.entry(parent.rep())?;
        let child = self.insert(Box::new(value), Some(parent.rep()))?;
        self.entry_mut(parent.rep())?.children.insert(child);
        Ok(Resource::new_own(child))
    }

    /// Makes a value the child of another.
    ///
    /// # Errors
    ///
    /// If there is no such child or parent, or the child already has a parent.
    pub fn add_child<T: 'static, U: 'static>(
        &mut self,
        child: Resource<T>,
        parent: Resource<U>,
    ) -> Result<()> {
        self.entry(parent.rep())?;
        let entry = self.entry_mut(child.rep())?;
        if entry.parent.is_some() {
            return Err(ResourceTableError::NotPresent);
        }
        entry.parent = Some(parent.rep());
        self.entry_mut(parent.rep())?.children.insert(child.rep());
        Ok(())
    }

    /// Separates a child from its parent.
    ///
    /// # Errors
    ///
    /// If `parent` has no such child.
    pub fn remove_child<T: 'static, U: 'static>(
        &mut self,
        child: Resource<T>,
        parent: Resource<U>,
    ) -> Result<()> {
        if self.entry(child.rep())?.parent != Some(parent.rep()) {
            return Err(ResourceTableError::NotPresent);
        }
        self.entry_mut(child.rep())?.parent = None;
        self.entry_mut(parent.rep())?.children.remove(&child.rep());
        Ok(())
    }

    /// Returns the value behind a resource.
    ///
    /// # Errors
    ///
    /// If there is none, or it has another type.
    pub fn get<T: 'static>(&self, key: &Resource<T>) -> Result<&T> {
        let value = &self.entry(key.rep())?.value;
        value.downcast_ref().ok_or(ResourceTableError::WrongType)
    }

    /// Returns the value behind a resource, for changes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_mut<T: 'static>(&mut self, key: &Resource<T>) -> Result<&mut T> {
        let value = &mut self.entry_mut(key.rep())?.value;
        value.downcast_mut().ok_or(ResourceTableError::WrongType)
    }

    /// Returns the value with the representation `rep`, whatever its type.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn get_any_mut(&mut self, rep: u32) -> Result<&mut dyn Any> {
        Ok(&mut *self.entry_mut(rep)?.value)
    }

    /// Removes the value behind a resource and returns it.
    ///
    /// # Errors
    ///
    /// If there is none, it has another type, or it has children.
    pub fn delete<T: 'static>(&mut self, resource: Resource<T>) -> Result<T> {
        let rep = resource.rep();
        let entry = self.entry(rep)?;
        if !entry.value.is::<T>() {
            return Err(ResourceTableError::WrongType);
        }
        if !entry.children.is_empty() {
            return Err(ResourceTableError::HasChildren);
        }
        let parent = entry.parent;
        let removed = self.slots[rep as usize]
            .take()
            .ok_or(ResourceTableError::NotPresent)?;
        self.free.push(rep);
        if let Some(parent) = parent {
            self.entry_mut(parent)?.children.remove(&rep);
        }
        let value = removed
            .value
            .downcast()
            .map_err(|_| ResourceTableError::WrongType)?;
        Ok(*value)
    }

    /// Returns the values with the representations that are keys of `map`, each with its entry of
    /// the map. Any map or list of pairs will do.
    pub fn iter_entries<T>(
        &mut self,
        map: impl IntoIterator<Item = (u32, T)>,
    ) -> impl Iterator<Item = (Result<&mut dyn Any>, T)> {
        let mut map: BTreeMap<u32, T> = map.into_iter().collect();
        let mut found: Vec<_> = Vec::with_capacity(map.len());
        for (rep, slot) in (0..).zip(&mut self.slots) {
            if let Some(with) = map.remove(&rep) {
                let value = slot.as_mut().map(|entry| &mut *entry.value as &mut dyn Any);
                found.push((value.ok_or(ResourceTableError::NotPresent), with));
            }
        }
        let missing = map
            .into_values()
            .map(|with| (Err(ResourceTableError::NotPresent), with));
        found.into_iter().chain(missing)
    }

    /// Returns the children of a value.
    ///
    /// # Errors
    ///
    /// If there is no such value.
    pub fn iter_children<T: 'static>(
        &self,
        parent: &Resource<T>,
    ) -> Result<impl Iterator<Item = &(dyn Any + Send)> + use<'_, T>> {
        let children = &self.entry(parent.rep())?.children;
        Ok(children.iter().filter_map(|&child| {
            let entry = self.slots.get(child as usize)?.as_ref()?;
            Some(&*entry.value)
        }))
    }

    /// Returns all values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut (dyn Any + Send)> {
        self.slots
            .iter_mut()
            .flatten()
            .map(|entry| &mut *entry.value)
    }

    fn insert(&mut self, value: Box<dyn Any + Send>, parent: Option<u32>) -> Result<u32> {
        let entry = Some(TableEntry {
            value,
            parent,
            children: BTreeSet::new(),
        });
        if let Some(rep) = self.free.pop() {
            self.slots[rep as usize] = entry;
            return Ok(rep);
        }
        if self.slots.len() >= self.max_capacity {
            return Err(ResourceTableError::Full);
        }
        let rep = u32::try_from(self.slots.len()).map_err(|_| ResourceTableError::Full)?;
        self.slots.push(entry);
        Ok(rep)
    }

    fn entry(&self, rep: u32) -> Result<&TableEntry> {
        let slot = self.slots.get(rep as usize).and_then(Option::as_ref);
        slot.ok_or(ResourceTableError::NotPresent)
    }

    fn entry_mut(&mut self, rep: u32) -> Result<&mut TableEntry> {
        let slot = self.slots.get_mut(rep as usize).and_then(Option::as_mut);
        slot.ok_or(ResourceTableError::NotPresent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_resource() {
        let mut table = ResourceTable::new();
        let text = table.push("a".to_string()).unwrap();
        let number = table.push(5u8).unwrap();
        table.get_mut(&text).unwrap().push('b');
        assert_eq!(table.get(&text).unwrap(), "ab");
        let wrong = Resource::<u8>::new_borrow(text.rep());
        assert_eq!(table.get(&wrong), Err(ResourceTableError::WrongType));
        assert_eq!(table.delete(wrong), Err(ResourceTableError::WrongType));
        assert_eq!(table.delete(number), Ok(5));
        assert_eq!(
            table.get(&Resource::<u8>::new_borrow(1)),
            Err(ResourceTableError::NotPresent)
        );
        // A slot that is free is used again.
        assert_eq!(table.push(6u8).unwrap().rep(), 1);
        assert!(!table.is_empty());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn children_go_first() {
        let mut table = ResourceTable::new();
        let parent = table.push(1u8).unwrap();
        let child = table.push_child(2u16, &parent).unwrap();
        let numbers: Vec<_> = table
            .iter_children(&parent)
            .unwrap()
            .map(|value| value.downcast_ref())
            .collect();
        assert_eq!(numbers, [Some(&2u16)]);
        let again = Resource::<u8>::new_own(parent.rep());
        assert_eq!(table.delete(parent), Err(ResourceTableError::HasChildren));
        assert_eq!(table.delete(child), Ok(2));
        assert_eq!(table.delete(again), Ok(1));
        assert!(table.is_empty());
    }

    #[test]
    fn no_more_than_its_capacity() {
        let mut table = ResourceTable::new();
        table.set_max_capacity(1);
        let first = table.push(1u8).unwrap();
        assert_eq!(table.push(2u8).unwrap_err(), ResourceTableError::Full);
        table.delete(first).unwrap();
        table.push(2u8).unwrap();
    }
}
