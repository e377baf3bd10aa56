//! The directories of a [`MemoryFilesystem`](super::MemoryFilesystem), by number.

use super::super::types::{FileType, Result, SetTime, SetTimes, Stat};
use super::file::FileNode;
use super::{NodeSlot, Usage};
use crate::Errno;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The number of the root.
pub(super) const ROOT: u64 = 1;

/// All directories.
#[derive(Debug)]
pub(super) struct Tree {
    directories: HashMap<u64, DirectoryNode>,
}

#[derive(Debug)]
pub(super) struct DirectoryNode {
    /// The root is its own parent.
    pub parent: u64,
    entries: HashMap<Arc<str>, TreeEntry>,
    /// The names by cursor. A new entry has a cursor above all others, so that cursors stay valid.
    order: BTreeMap<u64, Arc<str>>,
    next_cursor: u64,
    pub times: Times,
    _slot: Option<NodeSlot>,
}

#[derive(Debug)]
struct TreeEntry {
    cursor: u64,
    item: Item,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Directory(u64),
    File(Arc<FileNode>),
    Symlink(Arc<LinkNode>),
}

impl Item {
    pub fn inode(&self) -> u64 {
        match self {
            Item::Directory(inode) => *inode,
            Item::File(file) => file.inode,
            Item::Symlink(link) => link.inode,
        }
    }

    pub fn kind(&self) -> FileType {
        match self {
            Item::Directory(_) => FileType::Directory,
            Item::File(_) => FileType::RegularFile,
            Item::Symlink(_) => FileType::SymbolicLink,
        }
    }

    pub fn links(&self) -> Option<&AtomicU64> {
        match self {
            Item::Directory(_) => None,
            Item::File(file) => Some(&file.links),
            Item::Symlink(link) => Some(&link.links),
        }
    }
}

/// A symbolic link, which may have several names.
#[derive(Debug)]
pub(super) struct LinkNode {
    pub inode: u64,
    pub target: String,
    pub links: AtomicU64,
    pub times: Mutex<Times>,
    usage: Arc<Usage>,
    _slot: NodeSlot,
}

impl LinkNode {
    /// Creates a link that has one name.
    pub fn new(inode: u64, target: &str, usage: &Arc<Usage>) -> Result<LinkNode> {
        let slot = usage.take_node()?;
        usage.take(target.len() as u64)?;
        Ok(LinkNode {
            inode,
            target: target.to_owned(),
            links: AtomicU64::new(1),
            times: Mutex::new(Times::now()),
            usage: usage.clone(),
            _slot: slot,
        })
    }

    pub fn stat(&self, device: u64) -> Stat {
        let times = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let links = self.links.load(Relaxed);
        let size = self.target.len() as u64;
        times.stat(FileType::SymbolicLink, device, self.inode, links, size)
    }
}

impl Drop for LinkNode {
    fn drop(&mut self) {
        self.usage.give_back(self.target.len() as u64);
    }
}

/// The timestamps of a node. Reading does not change them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    accessed: SystemTime,
    modified: SystemTime,
    changed: SystemTime,
}

impl Times {
    pub fn now() -> Times {
        let now = SystemTime::now();
        Times {
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    /// The contents have changed.
    pub fn modify(&mut self) {
        self.modified = SystemTime::now();
        self.changed = self.modified;
    }

    /// The metadata has changed.
    pub fn change(&mut self) {
        self.changed = SystemTime::now();
    }

    pub fn set(&mut self, times: &SetTimes) {
        let now = SystemTime::now();
        let set = |own: &mut SystemTime, time| match time {
            SetTime::Keep => {}
            SetTime::Now => *own = now,
            SetTime::To(time) => *own = time,
        };
        set(&mut self.accessed, times.accessed);
        set(&mut self.modified, times.modified);
        self.changed = now;
    }

    pub fn stat(&self, kind: FileType, device: u64, inode: u64, links: u64, size: u64) -> Stat {
        Stat {
            kind,
            device,
            inode,
            links,
            size,
            accessed: Some(self.accessed),
            modified: Some(self.modified),
            changed: Some(self.changed),
        }
    }
}

impl Tree {
    /// Creates a tree that has an empty root.
    pub fn new() -> Tree {
        Tree {
            directories: HashMap::from([(ROOT, DirectoryNode::new(ROOT, None))]),
        }
    }

    /// Returns a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if it was removed.
    pub fn get(&self, id: u64) -> Result<&DirectoryNode> {
        self.directories.get(&id).ok_or(Errno::NoEntry)
    }

    pub fn get_mut(&mut self, id: u64) -> Result<&mut DirectoryNode> {
        self.directories.get_mut(&id).ok_or(Errno::NoEntry)
    }

    pub fn add(&mut self, id: u64, directory: DirectoryNode) {
        self.directories.insert(id, directory);
    }

    /// Removes a directory that has no name any more.
    pub fn remove(&mut self, id: u64) {
        self.directories.remove(&id);
    }

    /// Returns whether `id` is `ancestor` or in it.
    pub fn is_within(&self, id: u64, ancestor: u64) -> Result<bool> {
        let mut at = id;
        while at != ancestor {
            if at == ROOT {
                return Ok(false);
            }
            at = self.get(at)?.parent;
        }
        Ok(true)
    }
}

impl DirectoryNode {
    pub fn new(parent: u64, slot: Option<NodeSlot>) -> DirectoryNode {
        DirectoryNode {
            parent,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next_cursor: 0,
            times: Times::now(),
            _slot: slot,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn find(&self, name: &str) -> Option<&Item> {
        self.entries.get(name).map(|entry| &entry.item)
    }

    /// Returns an entry.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if there is none of this name.
    pub fn item(&self, name: &str) -> Result<&Item> {
        self.find(name).ok_or(Errno::NoEntry)
    }

    /// Returns the entries from `cursor` on: the cursor, name and item of each.
    pub fn entries_from(&self, cursor: u64) -> impl Iterator<Item = (u64, &str, &Item)> {
        self.order
            .range(cursor..)
            .filter_map(|(&cursor, name)| Some((cursor, &**name, self.find(name)?)))
    }

    /// Adds or replaces an entry. Returns the item that was replaced.
    ///
    /// # Errors
    ///
    /// If the limit of bytes does not allow the name.
    pub fn insert(&mut self, name: &str, item: Item, usage: &Usage) -> Result<Option<Item>> {
        self.times.modify();
        if let Some(entry) = self.entries.get_mut(name) {
            return Ok(Some(std::mem::replace(&mut entry.item, item)));
        }
        usage.take(name.len() as u64)?;
        let name: Arc<str> = name.into();
        let cursor = self.next_cursor;
        self.next_cursor += 1;
        self.order.insert(cursor, name.clone());
        self.entries.insert(name, TreeEntry { cursor, item });
        Ok(None)
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if there is none of this name.
    pub fn take(&mut self, name: &str, usage: &Usage) -> Result<Item> {
        let entry = self.entries.remove(name).ok_or(Errno::NoEntry)?;
        self.order.remove(&entry.cursor);
        self.times.modify();
        usage.give_back(name.len() as u64);
        Ok(entry.item)
    }
}
