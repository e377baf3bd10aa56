//! A directory in memory.

use super::super::traits::{Directory, File, Lookup, Node};
use super::super::types::{Entry, FileType, OpenOptions, Result, SetTimes, Stat};
use super::Shared;
use super::file::FileNode;
use super::tree::{DirectoryNode, Item, LinkNode, ROOT, Tree};
use crate::Errno;
use std::any::Any;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug)]
pub(super) struct MemoryDirectory {
    shared: Arc<Shared>,
    id: u64,
}

impl MemoryDirectory {
    pub fn root(shared: &Arc<Shared>) -> MemoryDirectory {
        MemoryDirectory {
            shared: shared.clone(),
            id: ROOT,
        }
    }

    fn with_id(&self, id: u64) -> Arc<MemoryDirectory> {
        Arc::new(MemoryDirectory {
            shared: self.shared.clone(),
            id,
        })
    }

    fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        let tree = self.shared.tree.read();
        tree.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tree for a change.
    fn change(&self) -> Result<RwLockWriteGuard<'_, Tree>> {
        self.shared.usage.check_writable()?;
        let tree = self.shared.tree.write();
        Ok(tree.unwrap_or_else(PoisonError::into_inner))
    }

    fn stat_item(&self, tree: &Tree, item: &Item) -> Result<Stat> {
        match item {
            Item::Directory(id) => Ok(stat(tree.get(*id)?, self.shared.device, *id)),
            Item::File(file) => file.stat(),
            Item::Symlink(link) => Ok(link.stat(self.shared.device)),
        }
    }

    /// Returns `to` if it is in this file system, too.
    fn other<'a>(&self, to: &'a dyn Directory) -> Result<&'a MemoryDirectory> {
        let to = (to as &dyn Any).downcast_ref::<MemoryDirectory>();
        to.filter(|to| Arc::ptr_eq(&to.shared, &self.shared))
            .ok_or(Errno::CrossDevice)
    }

    /// Adds an entry that is not there yet.
    fn add(&self, name: &str, make: impl FnOnce(&mut Tree, u64) -> Result<Item>) -> Result<Item> {
        let mut tree = self.change()?;
        if tree.get(self.id)?.find(name).is_some() {
            return Err(Errno::Exist);
        }
        let item = make(&mut tree, self.shared.new_inode())?;
        let inserted = tree
            .get_mut(self.id)?
            .insert(name, item.clone(), &self.shared.usage);
        if let (Err(error), Item::Directory(id)) = (&inserted, &item) {
            tree.remove(*id);
            return Err(*error);
        }
        inserted.map(|_| item)
    }

    /// Opens an entry that is there.
    fn open_item(&self, item: &Item, options: &OpenOptions) -> Result<Node> {
        if options.create && options.exclusive {
            return Err(Errno::Exist);
        }
        match item {
            Item::Directory(_) if options.needs_file() => Err(Errno::IsDirectory),
            Item::Directory(id) => Ok(Node::Directory(self.with_id(*id))),
            _ if options.directory => Err(Errno::NotDirectory),
            Item::Symlink(_) => Err(Errno::Loop),
            Item::File(file) => {
                if options.write {
                    self.shared.usage.check_writable()?;
                }
                if options.truncate {
                    file.set_size(0)?;
                }
                Ok(Node::File(file.clone()))
            }
        }
    }
}

fn stat(directory: &DirectoryNode, device: u64, id: u64) -> Stat {
    directory.times.stat(FileType::Directory, device, id, 1, 0)
}

/// An item has one name less.
fn unlinked(item: &Item) {
    if let Some(links) = item.links() {
        links.fetch_sub(1, Relaxed);
    }
    if let Item::File(file) = item {
        file.changed();
    }
}

impl Directory for MemoryDirectory {
    fn stat(&self) -> Result<Stat> {
        Ok(stat(self.tree().get(self.id)?, self.shared.device, self.id))
    }

    fn lookup(&self, name: &str) -> Result<Lookup> {
        Ok(match self.tree().get(self.id)?.item(name)? {
            Item::Directory(id) => Lookup::Directory(self.with_id(*id)),
            Item::Symlink(link) => Lookup::Symlink(link.target.clone()),
            Item::File(_) => Lookup::Other,
        })
    }

    fn stat_entry(&self, name: &str) -> Result<Stat> {
        let tree = self.tree();
        self.stat_item(&tree, tree.get(self.id)?.item(name)?)
    }

    fn open(&self, name: &str, options: &OpenOptions) -> Result<Node> {
        let item = self.tree().get(self.id)?.find(name).cloned();
        match item {
            Some(item) => return self.open_item(&item, options),
            None if !options.create => return Err(Errno::NoEntry),
            None if options.directory => return Err(Errno::Invalid),
            None => {}
        }
        let Shared { device, usage, .. } = &*self.shared;
        let made = self.add(name, |_, inode| {
            Ok(Item::File(Arc::new(FileNode::new(*device, inode, usage)?)))
        });
        match made {
            // Another thread was faster.
            Err(Errno::Exist) => {
                let item = self.tree().get(self.id)?.item(name)?.clone();
                self.open_item(&item, options)
            }
            Ok(Item::File(file)) => Ok(Node::File(file)),
            Ok(_) => Err(Errno::Io),
            Err(error) => Err(error),
        }
    }

    fn entries(&self, cursor: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()> {
        let tree = self.tree();
        for (cursor, name, item) in tree.get(self.id)?.entries_from(cursor) {
            let wants_more = visit(Entry {
                name: name.as_bytes(),
                kind: item.kind(),
                inode: Some(item.inode()),
                next: cursor + 1,
            });
            if !wants_more {
                break;
            }
        }
        Ok(())
    }

    fn read_link(&self, name: &str) -> Result<String> {
        match self.tree().get(self.id)?.item(name)? {
            Item::Symlink(link) => Ok(link.target.clone()),
            _ => Err(Errno::Invalid),
        }
    }

    fn create_directory(&self, name: &str) -> Result<()> {
        let parent = self.id;
        let usage = &self.shared.usage;
        self.add(name, |tree, id| {
            let slot = usage.take_node()?;
            tree.add(id, DirectoryNode::new(parent, Some(slot)));
            Ok(Item::Directory(id))
        })?;
        Ok(())
    }

    fn remove_directory(&self, name: &str) -> Result<()> {
        let mut tree = self.change()?;
        let Item::Directory(id) = *tree.get(self.id)?.item(name)? else {
            return Err(Errno::NotDirectory);
        };
        if !tree.get(id)?.is_empty() {
            return Err(Errno::NotEmpty);
        }
        tree.get_mut(self.id)?.take(name, &self.shared.usage)?;
        tree.remove(id);
        Ok(())
    }

    fn remove_file(&self, name: &str) -> Result<()> {
        let mut tree = self.change()?;
        let directory = tree.get_mut(self.id)?;
        if let Item::Directory(_) = directory.item(name)? {
            return Err(Errno::IsDirectory);
        }
        unlinked(&directory.take(name, &self.shared.usage)?);
        Ok(())
    }

    fn create_symlink(&self, target: &str, name: &str) -> Result<()> {
        let usage = &self.shared.usage;
        self.add(name, |_, inode| {
            let link = LinkNode::new(inode, target, usage)?;
            Ok(Item::Symlink(Arc::new(link)))
        })?;
        Ok(())
    }

    fn link(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let to = self.other(to)?;
        let mut tree = self.change()?;
        let item = tree.get(self.id)?.item(name)?.clone();
        let directory = tree.get_mut(to.id)?;
        if directory.find(to_name).is_some() {
            return Err(Errno::Exist);
        }
        let links = item.links().ok_or(Errno::NotPermitted)?;
        directory.insert(to_name, item.clone(), &self.shared.usage)?;
        links.fetch_add(1, Relaxed);
        if let Item::File(file) = &item {
            file.changed();
        }
        Ok(())
    }

    fn rename(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let to = self.other(to)?;
        let mut tree = self.change()?;
        let item = tree.get(self.id)?.item(name)?.clone();
        let moved = match item {
            Item::Directory(id) => Some(id),
            _ => None,
        };
        if let Some(id) = moved
            && tree.is_within(to.id, id)?
        {
            return Err(Errno::Invalid);
        }
        let replaced = tree.get(to.id)?.find(to_name).cloned();
        match (&replaced, moved) {
            (None, _) => {}
            (Some(replaced), _) if replaced.inode() == item.inode() => return Ok(()),
            // The entry is in the directory that it would replace.
            (Some(Item::Directory(id)), _) if tree.is_within(self.id, *id)? => {
                return Err(Errno::NotEmpty);
            }
            (Some(Item::Directory(id)), Some(_)) if !tree.get(*id)?.is_empty() => {
                return Err(Errno::NotEmpty);
            }
            (Some(Item::Directory(_)), Some(_)) => {}
            (Some(Item::Directory(_)), None) => return Err(Errno::IsDirectory),
            (Some(_), Some(_)) => return Err(Errno::NotDirectory),
            (Some(_), None) => {}
        }
        // The name may be longer than the limit of bytes allows, so it is added first.
        let usage = &self.shared.usage;
        tree.get_mut(to.id)?.insert(to_name, item, usage)?;
        tree.get_mut(self.id)?.take(name, usage)?;
        match replaced {
            Some(Item::Directory(id)) => tree.remove(id),
            Some(replaced) => unlinked(&replaced),
            None => {}
        }
        if let Some(id) = moved {
            tree.get_mut(id)?.parent = to.id;
        }
        Ok(())
    }

    fn set_times(&self, times: &SetTimes) -> Result<()> {
        self.change()?.get_mut(self.id)?.times.set(times);
        Ok(())
    }

    fn set_entry_times(&self, name: &str, times: &SetTimes) -> Result<()> {
        let mut tree = self.change()?;
        let item = tree.get(self.id)?.item(name)?.clone();
        match item {
            Item::Directory(id) => tree.get_mut(id)?.times.set(times),
            Item::File(file) => file.set_times(times)?,
            Item::Symlink(link) => {
                let mut own = link.times.lock().unwrap_or_else(PoisonError::into_inner);
                own.set(times);
            }
        }
        Ok(())
    }
}
