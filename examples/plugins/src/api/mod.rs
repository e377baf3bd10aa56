//! A plug-in of either version of the API, behind one set of names. A further version is a module
//! beside `v2`, and a variant in `Linked` and `Bindings`.

pub mod v1;
pub mod v2;

use crate::plugin::Outcome;
use crate::state::State;
use crate::text::Text;
use mintage::component::{Component, HasSelf, Linker, Resource, ResourceAny};
use mintage::error::{Result, bail};
use mintage::{Engine, Store};

/// A plug-in that is compiled and linked.
pub enum Linked {
    /// For version 1.
    V1(v1::PluginPre<State>),
    /// For version 2.
    V2(v2::PluginPre<State>),
}

/// An instance of a plug-in.
pub enum Bindings {
    /// For version 1.
    V1(v1::Plugin),
    /// For version 2.
    V2(v2::Plugin),
}

impl Linked {
    /// Compiles and links a plug-in. Its exports tell which version of the API it is for.
    ///
    /// # Errors
    ///
    /// If it is not a component, or not for a known version of the API.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Linked> {
        let component = Component::new(engine, bytes)?;
        let mut linker = Linker::new(engine);
        let exports = |name: &str| component.get_export_index(None, name).is_some();
        if exports("editor:plugin/commands@1.0.0") {
            v1::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
            let linked = linker.instantiate_pre(&component)?;
            return Ok(Linked::V1(v1::PluginPre::new(linked)?));
        }
        if exports("editor:plugin/commands@2.0.0") {
            v2::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
            let linked = linker.instantiate_pre(&component)?;
            return Ok(Linked::V2(v2::PluginPre::new(linked)?));
        }
        bail!("the component exports no `editor:plugin/commands` of version 1.0.0 or 2.0.0")
    }

    /// Creates an instance.
    ///
    /// # Errors
    ///
    /// If a limit is reached, or its initialization traps.
    pub async fn instantiate(&self, store: &mut Store<State>) -> Result<Bindings> {
        Ok(match self {
            Linked::V1(linked) => Bindings::V1(linked.instantiate_async(store).await?),
            Linked::V2(linked) => Bindings::V2(linked.instantiate_async(store).await?),
        })
    }
}

impl Bindings {
    /// Returns the version of the API.
    pub fn version(&self) -> u32 {
        match self {
            Bindings::V1(_) => 1,
            Bindings::V2(_) => 2,
        }
    }

    /// Returns the names of all commands.
    ///
    /// # Errors
    ///
    /// If the plug-in traps.
    pub async fn names(&self, store: &mut Store<State>) -> Result<Vec<String>> {
        match self {
            Bindings::V1(plugin) => plugin.editor_plugin_commands().call_names(store).await,
            Bindings::V2(plugin) => plugin.editor_plugin_commands().call_names(store).await,
        }
    }

    /// Creates a command.
    ///
    /// # Errors
    ///
    /// If the plug-in traps.
    pub async fn command(&self, store: &mut Store<State>, name: &str) -> Result<ResourceAny> {
        match self {
            Bindings::V1(plugin) => {
                let commands = plugin.editor_plugin_commands().command();
                commands.call_constructor(store, name).await
            }
            Bindings::V2(plugin) => {
                let commands = plugin.editor_plugin_commands().command();
                commands.call_constructor(store, name).await
            }
        }
    }

    /// Returns the line of a command in the menu.
    ///
    /// # Errors
    ///
    /// If the plug-in traps.
    pub async fn title(&self, store: &mut Store<State>, command: ResourceAny) -> Result<String> {
        match self {
            Bindings::V1(plugin) => {
                let commands = plugin.editor_plugin_commands().command();
                commands.call_title(store, command).await
            }
            Bindings::V2(plugin) => {
                let commands = plugin.editor_plugin_commands().command();
                commands.call_title(store, command).await
            }
        }
    }

    /// Runs a command on a text. The plug-in's own error is the inner one.
    ///
    /// # Errors
    ///
    /// If the plug-in traps.
    pub async fn run(
        &self,
        store: &mut Store<State>,
        command: ResourceAny,
        on: Resource<Text>,
    ) -> Result<Result<Outcome, String>> {
        match self {
            Bindings::V1(plugin) => {
                let commands = plugin.editor_plugin_commands().command();
                let outcome = commands.call_run(store, command, on).await?;
                Ok(outcome.map(Outcome::Message))
            }
            Bindings::V2(plugin) => {
                use v2::exports::editor::plugin::commands::Outcome as V2;
                let commands = plugin.editor_plugin_commands().command();
                let outcome = commands.call_run(store, command, on).await?;
                Ok(outcome.map(|outcome| match outcome {
                    V2::Changed(places) => Outcome::Changed(places),
                    V2::Message(message) => Outcome::Message(message),
                }))
            }
        }
    }
}
