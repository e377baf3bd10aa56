//! [`ResourcesRequired`], and where a component is in memory.

use crate::Component;
use crate::error::Result;
use std::ops::Range;

/// The memories and tables that each instance of a component has. See
/// [`Component::resources_required`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourcesRequired {
    /// The number of memories.
    pub num_memories: u32,
    /// The greatest initial size of a memory, in pages of the memory. `None` without memories.
    pub max_initial_memory_size: Option<u64>,
    /// The number of tables.
    pub num_tables: u32,
    /// The greatest initial size of a table, in entries. `None` without tables.
    pub max_initial_table_size: Option<u64>,
}

impl Component {
    /// Returns the memories and tables that each instance has.
    ///
    /// A component is a closed world, so the numbers are exact: they cover all its core modules,
    /// each as often as it is instantiated. What nothing in the component can reach is not counted.
    /// The result is never `None`.
    ///
    /// ```
    /// # #[cfg(feature = "compiler")]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{Component, Engine};
    ///
    /// let component = Component::new(
    ///     &Engine::default(),
    ///     r#"(component
    ///         (core module $m
    ///             (memory 3)
    ///             (func (export "pages") (result i32) memory.size))
    ///         (core instance $a (instantiate $m))
    ///         (core instance $b (instantiate $m))
    ///         (func (export "a") (result u32) (canon lift (core func $a "pages")))
    ///         (func (export "b") (result u32) (canon lift (core func $b "pages"))))"#,
    /// )?;
    /// let required = component.resources_required().expect("it is always known");
    /// assert_eq!(required.num_memories, 2);
    /// assert_eq!(required.max_initial_memory_size, Some(3));
    /// assert_eq!(required.num_tables, 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "compiler"))]
    /// # fn main() {}
    /// ```
    pub fn resources_required(&self) -> Option<ResourcesRequired> {
        let layout = self.code().layout();
        let (memories, tables) = (&layout.memories, &layout.tables);
        Some(ResourcesRequired {
            num_memories: memories.len() as u32,
            max_initial_memory_size: memories
                .values()
                .map(|memory| memory.minimum >> memory.page_size_log2)
                .max(),
            num_tables: tables.len() as u32,
            max_initial_table_size: tables.values().map(|table| table.minimum.into()).max(),
        })
    }

    /// Returns the addresses of the artifact in memory, machine code included.
    ///
    /// The artifact is read-only, apart from its machine code, which is executable. It stays where
    /// it is as long as the component, one of its clones or an instance of it lives.
    pub fn image_range(&self) -> Range<*const u8> {
        self.code().bytes().as_ptr_range()
    }

    /// Returns the machine code.
    pub fn text(&self) -> &[u8] {
        self.code().text()
    }

    /// Does nothing: the initial state of a component is always mapped copy-on-write, and is ready
    /// when the component is loaded.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn initialize_copy_on_write_image(&self) -> Result<()> {
        Ok(())
    }
}
