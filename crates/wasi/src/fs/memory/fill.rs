//! Filling a [`MemoryFilesystem`] from a folder of the host or from an archive.

use super::super::types::{OpenOptions, SetTime, SetTimes};
use super::{MemoryFilesystem, relative};
use crate::Errno;
use std::fs;
use std::io::{self, Read};
#[cfg(feature = "tar")]
use std::path::Component;
use std::path::Path;
use std::time::SystemTime;

impl MemoryFilesystem {
    /// Copies what is in a folder of the host to a directory, which is created if it is not there.
    /// Symbolic links stay symbolic links. Devices, named pipes and sockets are left out.
    ///
    /// ```
    /// # fn main() -> mintage::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("mintage-fill-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # std::fs::write(folder.join("en.txt"), "Hello")?;
    /// use mintage_wasi::filesystem::MemoryFilesystem;
    ///
    /// let files = MemoryFilesystem::new();
    /// files.add_folder(&folder, "/texts")?;
    /// assert_eq!(files.read("/texts/en.txt")?, b"Hello");
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the folder cannot be read, a name in it is not Unicode text, or the limits do not allow
    /// it. The error names the file. What was copied before stays.
    pub fn add_folder(&self, host_path: impl AsRef<Path>, path: &str) -> mintage::Result<()> {
        let host_path = host_path.as_ref();
        self.add_folder_entries(host_path, relative(path))
    }

    fn add_folder_entries(&self, host_path: &Path, path: &str) -> mintage::Result<()> {
        let at = |error: io::Error| failed(&host_path.display().to_string(), &error);
        self.create_directory(path)
            .map_err(|error| at(error.into()))?;
        for entry in fs::read_dir(host_path).map_err(at)? {
            let entry = entry.map_err(at)?;
            let from = entry.path();
            let at = |error: io::Error| failed(&from.display().to_string(), &error);
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| at(Errno::IllegalByteSequence.into()))?;
            let to = format!("{path}/{name}");
            let metadata = entry.metadata().map_err(at)?;
            if metadata.is_dir() {
                self.add_folder_entries(&from, &to)?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&from).map_err(at)?;
                self.add_symlink(&target, &to).map_err(at)?;
            } else if metadata.is_file() {
                let mut file = fs::File::open(&from).map_err(at)?;
                self.add_file(&to, &mut file, metadata.modified().ok())
                    .map_err(at)?;
            }
        }
        Ok(())
    }

    fn add_file(
        &self,
        path: &str,
        contents: &mut dyn Read,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        self.write_from(path, contents)?;
        if let Some(modified) = modified {
            let times = SetTimes {
                accessed: SetTime::To(modified),
                modified: SetTime::To(modified),
            };
            self.opener().set_times_at(path, true, &times)?;
        }
        Ok(())
    }

    /// Creates a symbolic link to any target. Guests do not follow it if it leads out of the root.
    fn add_symlink(&self, target: &Path, path: &str) -> io::Result<()> {
        let target = target.to_str().ok_or(Errno::IllegalByteSequence)?;
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.create_directory(parent)?;
        let options = OpenOptions {
            directory: true,
            ..OpenOptions::default()
        };
        let parent = self.opener().open(parent, true, &options, false)?;
        let parent = parent.directory()?.directory().clone();
        Ok(parent.create_symlink(target, name)?)
    }
}

#[cfg(feature = "tar")]
impl MemoryFilesystem {
    /// Adds what is in a tar archive, which is not compressed, to a directory, which is created if
    /// it is not there. Devices and named pipes are left out. A file replaces an earlier one of the
    /// same path.
    ///
    /// # Errors
    ///
    /// If the archive is damaged, a path in it has `..` or is not Unicode text, or the limits do
    /// not allow it. The error names the file. What was added before stays.
    pub fn add_tar(&self, archive: impl Read, path: &str) -> mintage::Result<()> {
        let base = relative(path);
        self.create_directory(base)
            .map_err(|error| failed(base, &error.into()))?;
        let mut archive = tar::Archive::new(archive);
        let broken = |error: io::Error| mintage::format_err!("cannot read the archive: {error}");
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.add_tar_entry(&mut entry, base)
                .map_err(|error| failed(&name, &error))?;
        }
        Ok(())
    }

    fn add_tar_entry(&self, entry: &mut tar::Entry<'_, impl Read>, base: &str) -> io::Result<()> {
        use tar::EntryType;
        let path = inside(base, &entry.path()?)?;
        let link = |entry: &tar::Entry<'_, _>| -> io::Result<std::path::PathBuf> {
            Ok(entry.link_name()?.ok_or(Errno::Invalid)?.into_owned())
        };
        match entry.header().entry_type() {
            EntryType::Directory => Ok(self.create_directory(&path)?),
            EntryType::Symlink => {
                let target = link(entry)?;
                self.add_symlink(&target, &path)
            }
            EntryType::Link => {
                let target = inside(base, &link(entry)?)?;
                let root = self.opener();
                Ok(root.link(&target, &root, &path)?)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let seconds = entry.header().mtime()?;
                let modified =
                    SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
                self.add_file(&path, entry, modified)
            }
            _ => Ok(()),
        }
    }
}

/// Returns the path in the file system of a path in an archive.
#[cfg(feature = "tar")]
fn inside(base: &str, path: &Path) -> io::Result<String> {
    let mut inside = base.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                inside.push('/');
                inside.push_str(name.to_str().ok_or(Errno::IllegalByteSequence)?);
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(Errno::NotPermitted.into()),
        }
    }
    Ok(inside)
}

fn failed(path: &str, error: &io::Error) -> mintage::Error {
    mintage::format_err!("cannot copy `{path}` to the file system in memory: {error}")
}
