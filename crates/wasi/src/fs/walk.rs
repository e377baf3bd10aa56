//! The walk along paths of guests, name by name, for file systems of every kind.
//!
//! A path starts at a directory that the guest has, the base, and must not leave it. The walk keeps
//! the directories that it has come through: `..` goes back to the one before, and fails at the
//! base. So `..` does not depend on what has become of a directory's parent in the meantime, and
//! there is no moment at which a second thread could make the walk leave the base by renaming
//! directories. Symbolic links are read and their targets walked along in the same way; an absolute
//! target fails.
//!
//! File systems that resolve paths of several names themselves
//! ([`Directory::directory_beneath`]) spare the walk its steps. What is done at the end of a path
//! is always done by one name in one directory.

use super::traits::{Directory, Lookup, Node};
use super::types::{FileType, OpenOptions, Result, Stat};
use crate::Errno;
use std::borrow::Cow;
use std::sync::Arc;

/// Most bytes of a path, and of what is left of it after a symbolic link, as on Linux.
const MAX_PATH: usize = 4095;
/// Most bytes of a name.
const MAX_NAME: usize = 255;
/// Most symbolic links that one path leads through, as on Linux.
const MAX_LINKS: usize = 40;
/// Most directories that a walk keeps open besides the base. A path that goes deeper and comes back
/// makes the walk open directories again.
const MAX_KEPT: usize = 64;

/// Where a path leads.
pub(super) enum Place<'a> {
    /// To a name in a directory, of which there may be no entry.
    Entry {
        parent: Arc<dyn Directory>,
        name: Cow<'a, str>,
        /// The path ends in `/`, so the entry must be a directory.
        must_be_directory: bool,
    },
    /// To a directory whose name in its parent is not known: the path ends in `.` or `..`.
    Directory(Arc<dyn Directory>, Dots),
}

/// How a path ends that leads to a [`Place::Directory`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dots {
    One,
    Two,
}

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    /// Follow it only if the path ends in `/`.
    Keep,
    /// Never follow it.
    Never,
    /// Follow it, to create a file where it leads. A path that ends in `/` is that of a directory.
    Create,
    /// Do not follow it, to create a file that is not there. As `Create` otherwise.
    CreateNew,
}

impl Last {
    /// Returns whether a symbolic link at the end of a path stays one.
    fn keeps(self, must_be_directory: bool) -> bool {
        match self {
            Last::Follow | Last::Create => false,
            Last::Keep => !must_be_directory,
            Last::Never | Last::CreateNew => true,
        }
    }

    fn creates(self) -> bool {
        matches!(self, Last::Create | Last::CreateNew)
    }
}

/// Checks a path as such.
///
/// # Errors
///
/// If the path is empty, too long, absolute, or has a NUL.
fn check(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Errno::NoEntry);
    }
    if path.len() > MAX_PATH {
        return Err(Errno::NameTooLong);
    }
    if path.starts_with('/') {
        return Err(Errno::NotPermitted);
    }
    match path.as_bytes().contains(&0) {
        true => Err(Errno::Invalid),
        false => Ok(()),
    }
}

/// Checks the target of a symbolic link that a guest creates.
///
/// # Errors
///
/// Those of paths: an absolute target would never be followed.
pub(super) fn check_target(target: &str) -> Result<()> {
    check(target)
}

/// Finds the directory and name that a path ends in, without following a symbolic link there.
///
/// # Errors
///
/// If the path leads out of `base`, or a directory on the way is not there.
pub(super) fn entry<'a>(base: &Arc<dyn Directory>, path: &'a str) -> Result<Place<'a>> {
    check(path)?;
    let body = path.trim_end_matches('/');
    let (parent, name) = match body.rsplit_once('/') {
        Some((parent, name)) => (Some(parent), name),
        None => (None, body),
    };
    if let "." | ".." = name {
        return match base.directory_beneath(body) {
            Some(directory) => Ok(Place::Directory(directory?, dots(name))),
            None => walk(base, path, Last::Never),
        };
    }
    let parent = match parent.map(|parent| base.directory_beneath(parent)) {
        None => base.clone(),
        Some(Some(parent)) => parent?,
        Some(None) => return walk(base, path, Last::Never),
    };
    Ok(Place::Entry {
        parent,
        name: check_name(name)?.into(),
        must_be_directory: body.len() < path.len(),
    })
}

/// Finds the directory and name that a path ends in, where all symbolic links are followed, so that
/// the entry is not a symbolic link.
fn followed(base: &Arc<dyn Directory>, path: &str) -> Result<Place<'static>> {
    walk(base, path, Last::Follow)
}

/// Returns the metadata of what a path leads to, and the place.
///
/// # Errors
///
/// If the path leads out of `base`, or to nothing.
pub(super) fn stat<'a>(
    base: &Arc<dyn Directory>,
    path: &'a str,
    follow: bool,
) -> Result<(Stat, Place<'a>)> {
    let mut place = entry(base, path)?;
    let mut stat = stat_place(&place)?;
    if let Place::Entry {
        must_be_directory, ..
    } = place
        && stat.kind == FileType::SymbolicLink
        && (follow || must_be_directory)
    {
        place = followed(base, path)?;
        stat = stat_place(&place)?;
    }
    match place {
        Place::Entry {
            must_be_directory: true,
            ..
        } if stat.kind != FileType::Directory => Err(Errno::NotDirectory),
        _ => Ok((stat, place)),
    }
}

fn stat_place(place: &Place<'_>) -> Result<Stat> {
    match place {
        Place::Entry { parent, name, .. } => parent.stat_entry(name),
        Place::Directory(directory, _) => directory.stat(),
    }
}

/// Opens what a path leads to.
///
/// # Errors
///
/// If the path leads out of `base`, and those of [`Directory::open`].
pub(super) fn open(
    base: &Arc<dyn Directory>,
    path: &str,
    follow: bool,
    options: &OpenOptions,
) -> Result<Node> {
    check(path)?;
    if let Some(opened) = base.open_beneath(path, follow, options) {
        return opened;
    }
    let last = match (options.create, follow) {
        (true, _) if options.exclusive => Last::CreateNew,
        (true, true) => Last::Create,
        (true, false) => Last::CreateNew,
        (false, true) => Last::Follow,
        (false, false) => Last::Keep,
    };
    let mut options = *options;
    match walk(base, path, last)? {
        Place::Directory(..) if options.create && options.exclusive => Err(Errno::Exist),
        Place::Directory(..) if options.needs_file() => Err(Errno::IsDirectory),
        Place::Directory(directory, _) => Ok(Node::Directory(directory)),
        Place::Entry {
            parent,
            name,
            must_be_directory,
        } => {
            options.directory |= must_be_directory;
            parent.open(&name, &options)
        }
    }
}

fn dots(name: &str) -> Dots {
    match name {
        "." => Dots::One,
        _ => Dots::Two,
    }
}

fn check_name(name: &str) -> Result<&str> {
    match name.len() <= MAX_NAME {
        true => Ok(name),
        false => Err(Errno::NameTooLong),
    }
}

/// A directory that a walk has come through.
struct Level {
    name: String,
    /// Taken away from levels that are far up, so that a deep path does not use up the process's
    /// file descriptors.
    directory: Option<Arc<dyn Directory>>,
}

struct Walk<'a> {
    base: &'a Arc<dyn Directory>,
    /// The directories between the base and the current one, which is last.
    levels: Vec<Level>,
}

impl Walk<'_> {
    /// Returns the directory at a level, where level 0 is the base. It opens directories again that
    /// the walk no longer keeps.
    fn directory(&mut self, level: usize) -> Result<Arc<dyn Directory>> {
        let Some(at) = level.checked_sub(1) else {
            return Ok(self.base.clone());
        };
        if let Some(directory) = &self.levels[at].directory {
            return Ok(directory.clone());
        }
        let kept = self.levels[..at]
            .iter()
            .rposition(|level| level.directory.is_some());
        let mut directory = match kept.and_then(|kept| self.levels[kept].directory.clone()) {
            Some(directory) => directory,
            None => self.base.clone(),
        };
        for index in kept.map_or(0, |kept| kept + 1)..=at {
            directory = match directory.lookup(&self.levels[index].name)? {
                Lookup::Directory(directory) => directory,
                // It was a directory before.
                Lookup::Symlink(_) | Lookup::Other => return Err(Errno::NoEntry),
            };
            if index + MAX_KEPT > at {
                self.levels[index].directory = Some(directory.clone());
            }
        }
        Ok(directory)
    }

    fn current(&mut self) -> Result<Arc<dyn Directory>> {
        self.directory(self.levels.len())
    }

    fn enter(&mut self, name: &str, directory: Arc<dyn Directory>) {
        if let Some(far) = self.levels.len().checked_sub(MAX_KEPT) {
            self.levels[far].directory = None;
        }
        self.levels.push(Level {
            name: name.to_owned(),
            directory: Some(directory),
        });
    }

    /// Goes back to the directory before.
    ///
    /// # Errors
    ///
    /// At the base.
    fn leave(&mut self) -> Result<()> {
        self.levels.pop().map(|_| ()).ok_or(Errno::NotPermitted)
    }
}

/// Walks along a path, name by name.
fn walk(base: &Arc<dyn Directory>, path: &str, last: Last) -> Result<Place<'static>> {
    check(path)?;
    let mut walk = Walk {
        base,
        levels: Vec::new(),
    };
    let mut links = 0;
    let mut rest = path.to_owned();
    loop {
        let (name, after) = match rest.split_once('/') {
            Some((name, after)) => (name, Some(after.trim_start_matches('/'))),
            None => (&*rest, None),
        };
        let is_last = after.is_none_or(str::is_empty);
        if let "." | ".." = name {
            if name == ".." {
                walk.leave()?;
            }
            if is_last {
                let dots = dots(name);
                return Ok(Place::Directory(walk.current()?, dots));
            }
            rest = after.unwrap_or_default().to_owned();
            continue;
        }
        let must_be_directory = is_last && after.is_some();
        let parent = walk.current()?;
        let name = check_name(name)?.to_owned();
        let place = Place::Entry {
            parent: parent.clone(),
            name: name.clone().into(),
            must_be_directory,
        };
        if must_be_directory && last.creates() {
            return Err(Errno::IsDirectory);
        }
        if is_last && last.keeps(must_be_directory) {
            return Ok(place);
        }
        match parent.lookup(&name) {
            Ok(Lookup::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::Loop);
                }
                check(&target)?;
                rest = match after {
                    Some(after) => format!("{target}/{after}"),
                    None => target,
                };
                // Also true of each path that is checked after this one.
                if rest.len() > MAX_PATH {
                    return Err(Errno::NameTooLong);
                }
                continue;
            }
            // The caller finds out what there is.
            Ok(_) | Err(Errno::NoEntry) if is_last => return Ok(place),
            Ok(Lookup::Directory(directory)) => walk.enter(&name, directory),
            Ok(Lookup::Other) => return Err(Errno::NotDirectory),
            Err(error) => return Err(error),
        }
        rest = after.unwrap_or_default().to_owned();
    }
}
