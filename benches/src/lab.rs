//! Engines with the guests that are prepared for them.

use crate::contender::{ArtifactFile, Host, Mode};
use crate::guest::Guest;
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use tempfile::TempDir;

/// One engine per mode, created on first use.
pub struct Labs<H: Host>(RefCell<BTreeMap<Mode, Rc<Lab<H>>>>);

impl<H: Host> Labs<H> {
    /// Creates a collection without engines.
    pub fn new() -> Self {
        Self(RefCell::default())
    }

    /// Returns the engine in a mode, which is created on first use.
    pub fn get(&self, mode: Mode) -> Result<Rc<Lab<H>>> {
        if let Some(lab) = self.0.borrow().get(&mode) {
            return Ok(lab.clone());
        }
        let lab = Rc::new(Lab::new(mode)?);
        self.0.borrow_mut().insert(mode, lab.clone());
        Ok(lab)
    }
}

impl<H: Host> Default for Labs<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// An engine and the artifacts of the guests that metrics use.
pub struct Lab<H: Host> {
    /// The engine under test.
    pub host: H,
    /// Size of the JavaScript guest's artifact at default settings, if it has been compiled.
    pub artifact_size: Cell<Option<u64>>,
    artifacts: RefCell<HashMap<Guest, Rc<ArtifactFile>>>,
    folder: TempDir,
}

impl<H: Host> Lab<H> {
    /// Creates the engine.
    pub fn new(mode: Mode) -> Result<Self> {
        Ok(Self {
            host: H::new(mode)
                .with_context(|| format!("cannot create the engine of {}", H::NAME))?,
            artifact_size: Cell::new(None),
            artifacts: RefCell::default(),
            folder: tempfile::tempdir()?,
        })
    }

    /// Writes an artifact to a file that lives as long as this.
    pub fn write(&self, name: &str, artifact: &[u8]) -> Result<ArtifactFile> {
        ArtifactFile::write(&self.folder, name, artifact)
    }

    /// Returns the artifact of a guest, which is compiled on first use.
    pub fn artifact(&self, guest: Guest) -> Result<Rc<ArtifactFile>> {
        if let Some(artifact) = self.artifacts.borrow().get(&guest) {
            return Ok(artifact.clone());
        }
        let bytes = self
            .host
            .precompile(&guest.wasm()?)
            .with_context(|| format!("cannot compile {}", guest.file_name()))?;
        let artifact = Rc::new(self.write(&guest.file_name(), &bytes)?);
        self.artifacts.borrow_mut().insert(guest, artifact.clone());
        Ok(artifact)
    }

    /// Loads and links a guest.
    pub fn linked(&self, guest: Guest) -> Result<H::Linked> {
        let component = self.host.load(&*self.artifact(guest)?)?;
        self.host.link(&component)
    }
    /// Loads and links a guest with the import `wait`.
    pub fn linked_waiting(&self, guest: Guest) -> Result<H::Linked> {
        let component = self.host.load(&*self.artifact(guest)?)?;
        self.host.link_waiting(&component)
    }
}
