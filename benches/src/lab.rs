//! One engine with the guests prepared for it.

use crate::contender::{ArtifactFile, Host, Mode};
use crate::guest::Guest;
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use tempfile::TempDir;

/// One engine in each mode that a metric asked for.
pub struct Labs<H: Host>(RefCell<BTreeMap<Mode, Rc<Lab<H>>>>);

impl<H: Host> Labs<H> {
    /// No engine yet.
    pub fn new() -> Self {
        Self(RefCell::default())
    }

    /// The engine in a mode; started the first time.
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

/// An engine, and what it made of each guest that a metric asked for.
pub struct Lab<H: Host> {
    /// The engine under test.
    pub host: H,
    /// The artifact size of the JavaScript guest at default settings, once somebody compiled it.
    pub artifact_size: Cell<Option<u64>>,
    artifacts: RefCell<HashMap<Guest, Rc<ArtifactFile>>>,
    folder: TempDir,
}

impl<H: Host> Lab<H> {
    /// Starts the engine.
    pub fn new(mode: Mode) -> Result<Self> {
        Ok(Self {
            host: H::new(mode)
                .with_context(|| format!("cannot create the engine of {}", H::NAME))?,
            artifact_size: Cell::new(None),
            artifacts: RefCell::default(),
            folder: tempfile::tempdir()?,
        })
    }

    /// The artifact of a guest; compiles it the first time.
    pub fn artifact(&self, guest: Guest) -> Result<Rc<ArtifactFile>> {
        if let Some(artifact) = self.artifacts.borrow().get(&guest) {
            return Ok(artifact.clone());
        }
        let bytes = self
            .host
            .precompile(&guest.wasm()?)
            .with_context(|| format!("cannot compile {}", guest.file_name()))?;
        let artifact = Rc::new(ArtifactFile::write(
            &self.folder,
            &guest.file_name(),
            &bytes,
        )?);
        self.artifacts.borrow_mut().insert(guest, artifact.clone());
        Ok(artifact)
    }

    /// A guest, loaded and linked.
    pub fn linked(&self, guest: Guest) -> Result<H::Linked> {
        let component = self.host.load(&*self.artifact(guest)?)?;
        self.host.link(&component)
    }
}
