//! One plug-in. Its instance is created when it is first used, keeps its state from command to
//! command, and is replaced after a trap.

use crate::api::{Bindings, Linked};
use crate::state::{Limits, State};
use crate::text::Text;
use mintage::component::{Resource, ResourceAny};
use mintage::error::{Context, Error, Result};
use mintage::{Engine, Store};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The text has changed, at so many places.
    Changed(u32),
    /// A message for the user.
    Message(String),
}

/// The reason why a command failed.
#[derive(Debug)]
pub enum RunError {
    /// The plug-in says so. It goes on.
    Refused(String),
    /// It trapped, or took too long. Its instance is gone; the next command gets a new one.
    Stopped(Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Refused(message) => f.write_str(message),
            RunError::Stopped(error) => {
                write!(f, "the plug-in was stopped: {}", error.root_cause())
            }
        }
    }
}

impl std::error::Error for RunError {}

/// A plug-in.
pub struct Plugin {
    name: String,
    engine: Engine,
    linked: Linked,
    project: PathBuf,
    limits: Limits,
    running: Option<Running>,
    /// The number of instances so far.
    instances: u32,
}

/// An instance that has not trapped.
struct Running {
    store: Store<State>,
    bindings: Bindings,
    /// The commands that have been used. Each keeps its state in the plug-in.
    commands: HashMap<String, ResourceAny>,
}

impl Plugin {
    /// Compiles a plug-in. Its code does not run yet.
    ///
    /// # Errors
    ///
    /// If `bytes` are not a plug-in for a known version of the API.
    pub fn new(
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        project: &Path,
        limits: Limits,
    ) -> Result<Plugin> {
        let linked = Linked::new(engine, bytes);
        Ok(Plugin {
            name: name.to_string(),
            engine: engine.clone(),
            linked: linked.with_context(|| format!("cannot load the plug-in `{name}`"))?,
            project: project.to_path_buf(),
            limits,
            running: None,
            instances: 0,
        })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of instances that it has had.
    pub fn instances(&self) -> u32 {
        self.instances
    }

    /// Returns the names and menu lines of its commands, and the version of the API.
    ///
    /// # Errors
    ///
    /// If it is stopped.
    pub async fn menu(&mut self) -> Result<(u32, Vec<(String, String)>), RunError> {
        self.guarded(async |running| {
            let mut lines = Vec::new();
            for name in running.bindings.names(&mut running.store).await? {
                let command = running.command(&name).await?;
                let title = running.bindings.title(&mut running.store, command).await?;
                lines.push((name, title));
            }
            Ok(Ok((running.bindings.version(), lines)))
        })
        .await
    }

    /// Runs a command on a text.
    ///
    /// # Errors
    ///
    /// If the plug-in refuses, or is stopped.
    pub async fn run(&mut self, command: &str, on: &Text) -> Result<Outcome, RunError> {
        self.guarded(async |running| {
            let command = running.command(command).await?;
            // The plug-in borrows the text for this call.
            let text = running.store.data_mut().table.push(on.clone())?;
            let lent = Resource::new_borrow(text.rep());
            let ran = running.bindings.run(&mut running.store, command, lent);
            let outcome = ran.await?;
            running.store.data_mut().table.delete(text)?;
            Ok(outcome)
        })
        .await
    }

    /// Does `work` with the instance, which is made if there is none. An error ends the instance:
    /// its memory and its handles, and so its remarks, are gone.
    async fn guarded<R>(
        &mut self,
        work: impl AsyncFnOnce(&mut Running) -> Result<Result<R, String>>,
    ) -> Result<R, RunError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start().await.map_err(RunError::Stopped)?,
        };
        let deadline = running.store.set_deadline(self.limits.time);
        deadline.map_err(RunError::Stopped)?;
        let done = work(&mut running).await;
        let done = done.map_err(RunError::Stopped)?;
        // Only now: if the caller drops this future while a call is under way, the instance goes.
        running.store.clear_deadline();
        self.running = Some(running);
        done.map_err(RunError::Refused)
    }

    async fn start(&mut self) -> Result<Running> {
        let mut store = Store::new(&self.engine, State::new(&self.project, self.limits));
        store.limiter(|state| state.limiter());
        store.set_deadline(self.limits.time)?;
        let bindings = self.linked.instantiate(&mut store).await?;
        self.instances += 1;
        Ok(Running {
            store,
            bindings,
            commands: HashMap::new(),
        })
    }
}

impl Running {
    /// Returns a command, which is created when it is first used.
    async fn command(&mut self, name: &str) -> Result<ResourceAny> {
        if let Some(&command) = self.commands.get(name) {
            return Ok(command);
        }
        let command = self.bindings.command(&mut self.store, name).await?;
        self.commands.insert(name.to_string(), command);
        Ok(command)
    }
}
