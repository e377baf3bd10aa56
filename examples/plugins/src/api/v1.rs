//! Version 1 of the API.

use crate::state::{self, State};
use crate::text::Text;
use mintage::Result;
use mintage::component::Resource;

mintage::component::bindgen!({
    path: "wit/v1",
    world: "plugin",
    imports: { "editor:plugin/project.read": async, default: trappable },
    exports: { default: async },
    with: { "editor:plugin/buffers.buffer": Text },
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

    fn set_text(&mut self, this: Resource<Text>, text: String) -> Result<()> {
        self.lent(&this)?.set_text(text);
        Ok(())
    }

    fn drop(&mut self, this: Resource<Text>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl project::Host for State {
    async fn read(&mut self, path: String) -> Result<String, String> {
        state::read(&self.project, &path).await
    }
}
