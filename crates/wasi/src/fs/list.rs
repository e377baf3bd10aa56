//! The entries of directories: [`DirectoryStream`] for guests of 0.2, and cookies for guests of
//! preview 1.

use super::open::OpenDirectory;
use super::traits::Directory;
use super::types::{DirPerms, Entry, FileType, MetadataHash, Result, Stat};
use crate::Errno;
use crate::limit::Slot;
use std::sync::Arc;

/// Most bytes that a stream keeps of entries that it has read ahead.
const READ_AHEAD: usize = 16 << 10;
/// Most bytes of an entry that is kept: its kind, the length of its name, its name.
const MAX_ENTRY: usize = 2 + 255;

/// The entries of a directory, one after the other. It reads some ahead.
#[derive(Debug)]
pub struct DirectoryStream {
    directory: OpenDirectory,
    /// Where to read on, unless the end was reached.
    cursor: Option<u64>,
    /// Entries that were read ahead: kind, length of name and name of each.
    ahead: Vec<u8>,
    /// Start of the next entry in `ahead`.
    next: usize,
    _slot: Arc<Slot>,
}

/// The kinds, by the number that [`DirectoryStream`] keeps of them.
const KINDS: [FileType; 8] = [
    FileType::Unknown,
    FileType::BlockDevice,
    FileType::CharacterDevice,
    FileType::Directory,
    FileType::Fifo,
    FileType::RegularFile,
    FileType::Socket,
    FileType::SymbolicLink,
];

impl DirectoryStream {
    /// Returns the kind and the name of the next entry, or `None` at the end.
    ///
    /// # Errors
    ///
    /// - [`Errno::IllegalByteSequence`] if the name is not Unicode text. The next call goes on with
    ///   the entry after it.
    /// - If the device fails.
    pub fn next_entry(&mut self) -> Result<Option<(FileType, String)>> {
        if self.next == self.ahead.len() {
            self.read_ahead()?;
        }
        let Some([kind, len, rest @ ..]) = self.ahead.get(self.next..) else {
            return Ok(None);
        };
        let name = &rest[..usize::from(*len)];
        let kind = KINDS[usize::from(*kind)];
        self.next += 2 + name.len();
        match str::from_utf8(name) {
            Ok(name) => Ok(Some((kind, name.to_owned()))),
            Err(_) => Err(Errno::IllegalByteSequence),
        }
    }

    fn read_ahead(&mut self) -> Result<()> {
        self.ahead.clear();
        self.next = 0;
        let Some(cursor) = self.cursor else {
            self.ahead = Vec::new();
            return Ok(());
        };
        let ahead = &mut self.ahead;
        let mut on = None;
        let directory = self.directory.directory();
        let result = directory.entries(cursor, &mut |entry| {
            let kind = KINDS.iter().position(|&kind| kind == entry.kind);
            // Names of a host's file system may be longer than they should.
            let name = &entry.name[..entry.name.len().min(255)];
            ahead.extend([kind.unwrap_or(0) as u8, name.len() as u8]);
            ahead.extend(name);
            let has_room = ahead.len() <= READ_AHEAD - MAX_ENTRY;
            on = (!has_room).then_some(entry.next);
            has_room
        });
        match result {
            Ok(()) => self.cursor = on,
            // The next call reads the same entries again.
            Err(_) => ahead.clear(),
        }
        result
    }
}

/// An entry of a directory as preview 1 lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieEntry<'a> {
    /// The name: also `.` and `..`.
    pub name: &'a str,
    /// The kind of the object.
    pub kind: FileType,
    /// A hash of the identity of the object. That of `..` is that of the directory itself, as
    /// nothing outside of a preopened folder is looked at.
    pub hash: MetadataHash,
    /// The cookie of the entry after this one.
    pub next: u64,
}

impl OpenDirectory {
    /// Returns a stream of the entries, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the folder's permissions do not include it.
    /// - [`Errno::TooManyFiles`] if the guest has too much open.
    pub fn read_directory(&self) -> Result<DirectoryStream> {
        self.check(DirPerms::READ)?;
        Ok(DirectoryStream {
            _slot: self.open_slot()?,
            directory: self.clone(),
            cursor: Some(0),
            ahead: Vec::new(),
            next: 0,
        })
    }

    /// Calls `visit` for the entries from `cookie` on, starting with `.` and `..`, until it returns
    /// `false`. Cookie 0 is the first entry; others are those of [`CookieEntry::next`]. With a
    /// cookie that no entry has, there may be no entries.
    ///
    /// Cookies stay valid while entries are created and removed, as cursors of
    /// [`Directory::entries`] do.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the folder's permissions do not include it.
    /// - [`Errno::IllegalByteSequence`] if a name is not Unicode text.
    /// - Those of [`Directory::entries`].
    pub fn list(&self, cookie: u64, visit: &mut dyn FnMut(CookieEntry<'_>) -> bool) -> Result<()> {
        self.check(DirPerms::READ)?;
        let own = self.stat()?;
        let dot = |name, next| CookieEntry {
            name,
            kind: FileType::Directory,
            hash: own.metadata_hash(),
            next,
        };
        if cookie == FIRST && !visit(dot(".", SECOND)) {
            return Ok(());
        }
        if matches!(cookie, FIRST | SECOND) && !visit(dot("..", cookie_of(0))) {
            return Ok(());
        }
        let cursor = match cookie {
            FIRST | SECOND | THIRD => 0,
            cookie if cookie % 2 == 0 => cookie >> 1,
            // No entry has it.
            _ => return Ok(()),
        };
        let mut outcome = Ok(());
        let directory = self.directory();
        directory.entries(
            cursor,
            &mut |entry| match cookie_entry(&**directory, &own, &entry) {
                Ok(entry) => visit(entry),
                Err(error) => {
                    outcome = Err(error);
                    false
                }
            },
        )?;
        outcome
    }
}

/// The cookies of `.`, of `..`, and of the entry after them. All others are even, and none is the
/// largest number, so that guests can count on.
const FIRST: u64 = 0;
const SECOND: u64 = 1;
const THIRD: u64 = 3;

/// Returns the cookie of a cursor, which is below 2^63.
fn cookie_of(cursor: u64) -> u64 {
    match cursor {
        0 => THIRD,
        cursor => cursor << 1,
    }
}

fn cookie_entry<'a>(
    directory: &dyn Directory,
    own: &Stat,
    entry: &Entry<'a>,
) -> Result<CookieEntry<'a>> {
    let name = str::from_utf8(entry.name).map_err(|_| Errno::IllegalByteSequence)?;
    let hash = match entry.inode {
        Some(inode) => MetadataHash::new(own.device, inode),
        None => match directory.stat_entry(name) {
            Ok(stat) => stat.metadata_hash(),
            // The entry was removed in the meantime.
            Err(Errno::NoEntry) => MetadataHash::new(own.device, 0),
            Err(error) => return Err(error),
        },
    };
    Ok(CookieEntry {
        name,
        kind: entry.kind,
        hash,
        next: cookie_of(entry.next),
    })
}
