//! Version 2 of the API: texts are edited in place, and plug-ins show remarks.

use crate::state::{self, State};
use crate::text::{self, Remark, Text};
use mintage::Result;
use mintage::component::Resource;

mintage::component::bindgen!({
    path: "wit/v2",
    world: "plugin",
    imports: { "editor:plugin/project.read": async, default: trappable },
    exports: { default: async },
    with: {
        "editor:plugin/buffers.buffer": Text,
        "editor:plugin/buffers.marker": Remark,
    },
});

use editor::plugin::{buffers, project};

impl buffers::Host for State {}

impl buffers::HostBuffer for State {
    fn name(&mut self, this: Resource<Text>) -> Result<String> {
        Ok(self.lent(&this)?.name().to_string())
    }

    fn text(&mut self, this: Resource<Text>) -> Result<String> {
        Ok(self.lent(&this)?.text())
    }

    fn edit(
        &mut self,
        this: Resource<Text>,
        edits: Vec<buffers::Edit>,
    ) -> Result<Result<u32, buffers::EditError>> {
        let edits: Vec<text::Edit> = edits.into_iter().map(text::Edit::from).collect();
        let edited = self.lent(&this)?.edit(&edits);
        Ok(edited
            .map(|length| u32::try_from(length).unwrap_or(u32::MAX))
            .map_err(buffers::EditError::from))
    }

    fn drop(&mut self, this: Resource<Text>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl buffers::HostMarker for State {
    fn new(&mut self, on: Resource<Text>, line: u32, text: String) -> Result<Resource<Remark>> {
        self.remark(&on, line, text)
    }

    fn drop(&mut self, this: Resource<Remark>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl project::Host for State {
    async fn read(&mut self, path: String) -> Result<String, String> {
        state::read(&self.project, &path).await
    }
}

impl From<buffers::Edit> for text::Edit {
    fn from(edit: buffers::Edit) -> text::Edit {
        let buffers::Edit { start, end, text } = edit;
        text::Edit { start, end, text }
    }
}

impl From<text::EditError> for buffers::EditError {
    fn from(error: text::EditError) -> buffers::EditError {
        match error {
            text::EditError::OutOfRange(index) => buffers::EditError::OutOfRange(index),
            text::EditError::OutOfOrder(index) => buffers::EditError::OutOfOrder(index),
        }
    }
}
