//! The data of a plug-in's store: what its host functions work on, and its limits.

use crate::text::{Remark, Text};
use mintage::component::{Resource, ResourceTable};
use mintage::{Result, StoreLimits, StoreLimitsBuilder};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The limits of one plug-in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of memory and tables that it may have.
    pub memory: usize,
    /// The longest that one of its commands may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 16 << 20,
            time: Duration::from_secs(2),
        }
    }
}

/// The data of a store.
pub struct State {
    /// Texts that the plug-in may use, and remarks that it has made.
    pub table: ResourceTable,
    /// The folder of the project.
    pub project: PathBuf,
    limits: StoreLimits,
}

impl State {
    /// Creates the data of a plug-in.
    pub fn new(project: &Path, limits: Limits) -> State {
        let memory = limits.memory;
        State {
            table: ResourceTable::new(),
            project: project.to_path_buf(),
            limits: StoreLimitsBuilder::new().memory_size(memory).build(),
        }
    }

    /// Returns the limiter of the store.
    pub fn limiter(&mut self) -> &mut StoreLimits {
        &mut self.limits
    }

    /// Returns the text that a handle stands for.
    ///
    /// # Errors
    ///
    /// If there is none, which is an error of the host.
    pub fn lent(&self, handle: &Resource<Text>) -> Result<&Text> {
        Ok(self.table.get(handle)?)
    }

    /// Shows a remark on a text, for as long as the plug-in keeps its handle.
    ///
    /// # Errors
    ///
    /// If there is no such text, or the table is full.
    pub fn remark(
        &mut self,
        on: &Resource<Text>,
        line: u32,
        text: String,
    ) -> Result<Resource<Remark>> {
        let remark = self.lent(on)?.remark(line, text);
        Ok(self.table.push(remark)?)
    }
}

/// Reads a file of a project. Waits without holding the thread.
///
/// # Errors
///
/// If the path leads out of the project, or the file cannot be read. The plug-in gets the message.
pub async fn read(project: &Path, path: &str) -> Result<String, String> {
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(path).components().all(is_inside) {
        return Err(format!("`{path}` is not a path in the project"));
    }
    let read = tokio::fs::read_to_string(project.join(path)).await;
    read.map_err(|error| format!("cannot read `{path}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_files_of_the_project_are_read() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("project");
        assert_eq!(read(&project, "HEADER").await.as_deref(), Ok("A poem\n\n"));
        for path in ["../Cargo.toml", "/etc/hostname", "x/../../Cargo.toml"] {
            let error = read(&project, path).await.unwrap_err();
            assert!(error.ends_with("is not a path in the project"), "{error}");
        }
        let error = read(&project, "absent").await.unwrap_err();
        assert!(error.starts_with("cannot read `absent`"), "{error}");
    }
}
