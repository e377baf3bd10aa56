//! [`Descriptors`]: what the file descriptors of a module are.

use super::abi::{FILETYPE_CHARACTER_DEVICE, FILETYPE_UNKNOWN};
use crate::cli::WasiCliCtx;
use crate::fs::{self, OpenDirectory, OpenFile, WasiFilesystemCtx};
use crate::io::wait::Source;
use crate::io::{InputStream, Interest, OutputStream, Pollable, Readiness};
use crate::{Errno, fs::Result};
use smallvec::SmallVec;

/// The descriptors of a module by number: standard input, output and error, the preopened folders,
/// and what the module opens.
///
/// The numbers of files and directories are limited where they are opened
/// ([`WasiFilesystemCtx::set_max_descriptors`]), so the numbers of descriptors are, too.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    all: Vec<Option<Descriptor>>,
}

/// A descriptor.
#[derive(Debug)]
pub(super) enum Descriptor {
    Stdin(Stdio<Box<dyn InputStream>>),
    /// Standard output or error.
    Stdout(Stdio<Box<dyn OutputStream>>),
    File(File),
    Directory(Directory),
}

/// A standard stream.
pub(super) struct Stdio<S> {
    pub stream: S,
    is_terminal: bool,
    /// Whether operations return [`Errno::Again`] where they would wait.
    pub nonblocking: bool,
}

impl<S> std::fmt::Debug for Stdio<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stdio")
            .field("is_terminal", &self.is_terminal)
            .field("nonblocking", &self.nonblocking)
            .finish_non_exhaustive()
    }
}

impl<S> Stdio<S> {
    fn new(stream: S, is_terminal: bool) -> Self {
        Stdio {
            stream,
            is_terminal,
            nonblocking: false,
        }
    }

    pub fn filetype(&self) -> u8 {
        match self.is_terminal {
            true => FILETYPE_CHARACTER_DEVICE,
            false => FILETYPE_UNKNOWN,
        }
    }
}

/// An open file with its position.
#[derive(Debug)]
pub(super) struct File {
    pub file: OpenFile,
    pub position: u64,
    /// Whether writes go to the end of the file.
    pub append: bool,
    /// The flag is kept for the module. Files never wait.
    pub nonblocking: bool,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub directory: OpenDirectory,
    /// The path by which the module knows it, if it is preopened.
    pub preopened_as: Option<String>,
}

impl Descriptors {
    /// Creates the descriptors that a module starts with.
    pub fn new(cli: &WasiCliCtx, filesystem: &WasiFilesystemCtx) -> Self {
        let output = |output: &dyn crate::cli::StdoutStream| {
            Descriptor::Stdout(Stdio::new(output.p2_stream(), output.is_terminal()))
        };
        let standard = [
            Descriptor::Stdin(Stdio::new(cli.stdin.p2_stream(), cli.stdin.is_terminal())),
            output(&*cli.stdout),
            output(&*cli.stderr),
        ];
        let preopens = filesystem.preopens().iter().map(|(directory, path)| {
            Descriptor::Directory(Directory {
                directory: directory.clone(),
                preopened_as: Some(path.clone()),
            })
        });
        Descriptors {
            all: standard.into_iter().chain(preopens).map(Some).collect(),
        }
    }

    fn slot(&mut self, fd: u32) -> Result<&mut Option<Descriptor>> {
        let slot = self.all.get_mut(fd as usize);
        slot.filter(|slot| slot.is_some())
            .ok_or(Errno::BadDescriptor)
    }

    pub fn get(&self, fd: u32) -> Result<&Descriptor> {
        let slot = self.all.get(fd as usize);
        slot.and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slot(fd)?.as_mut().ok_or(Errno::BadDescriptor)
    }

    /// Returns a file.
    ///
    /// # Errors
    ///
    /// [`Errno::BadDescriptor`] if there is none of this number.
    pub fn file(&self, fd: u32) -> Result<&OpenFile> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(&file.file),
            _ => Err(Errno::BadDescriptor),
        }
    }

    /// Returns a file with its position.
    ///
    /// # Errors
    ///
    /// [`Errno::InvalidSeek`] for a standard stream, and [`Errno::BadDescriptor`] if there is no
    /// file of this number.
    pub fn seekable(&mut self, fd: u32) -> Result<&mut File> {
        match self.get_mut(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Stdin(_) | Descriptor::Stdout(_) => Err(Errno::InvalidSeek),
            Descriptor::Directory(_) => Err(Errno::BadDescriptor),
        }
    }

    /// Returns a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::BadDescriptor`] if there is none of this number.
    pub fn directory(&self, fd: u32) -> Result<&OpenDirectory> {
        match self.get(fd)? {
            Descriptor::Directory(directory) => Ok(&directory.directory),
            _ => Err(Errno::BadDescriptor),
        }
    }

    /// Returns a file or directory as such.
    ///
    /// # Errors
    ///
    /// [`Errno::BadDescriptor`] for standard streams, and if there is none of this number.
    pub fn node(&self, fd: u32) -> Result<fs::Descriptor> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(fs::Descriptor::File(file.file.clone())),
            Descriptor::Directory(directory) => {
                Ok(fs::Descriptor::Directory(directory.directory.clone()))
            }
            Descriptor::Stdin(_) | Descriptor::Stdout(_) => Err(Errno::BadDescriptor),
        }
    }

    /// Adds a descriptor under the lowest free number.
    pub fn push(&mut self, descriptor: Descriptor) -> Result<u32> {
        let free = self.all.iter().position(Option::is_none);
        let at = free.unwrap_or(self.all.len());
        let fd = u32::try_from(at).map_err(|_| Errno::TooManyFiles)?;
        match self.all.get_mut(at) {
            Some(slot) => *slot = Some(descriptor),
            None => self.all.push(Some(descriptor)),
        }
        Ok(fd)
    }

    /// Removes a descriptor.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        self.slot(fd)?.take().ok_or(Errno::BadDescriptor)
    }

    /// Gives a descriptor the number of another one, which is closed.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(to)?;
        self.get(from)?;
        if from != to {
            *self.slot(to)? = self.slot(from)?.take();
        }
        Ok(())
    }

    /// Returns what there is to wait for of the standard streams, as far as `wanted` asks for it:
    /// the number of each, what it is waited for, and the source. All other descriptors are always
    /// ready.
    pub fn sources(
        &mut self,
        wanted: impl Fn(u32, Interest) -> bool,
    ) -> SmallVec<[(u32, Interest, Source<'_>); 3]> {
        let mut sources = SmallVec::new();
        for (fd, descriptor) in (0..).zip(&mut self.all) {
            match descriptor {
                Some(Descriptor::Stdin(stdin)) if wanted(fd, Interest::Read) => {
                    sources.push((fd, Interest::Read, source(&mut stdin.stream)));
                }
                Some(Descriptor::Stdout(stdout)) if wanted(fd, Interest::Write) => {
                    sources.push((fd, Interest::Write, source(&mut stdout.stream)));
                }
                _ => {}
            }
        }
        sources
    }
}

fn source(stream: &mut impl Pollable) -> Source<'_> {
    match stream.readiness() {
        Readiness::Future => Source::Future(stream.ready()),
        _ => Source::of(stream.readiness()),
    }
}
