//! A guest without machine code, for tests of lowering and lifting.

use crate::error::{Result, bail};

/// Memory with an allocator that only moves forward.
pub(crate) struct FakeGuest {
    pub memory: Vec<u8>,
    /// The first free byte.
    pub next: usize,
    /// The result of `realloc` instead of a block, when set.
    pub answer: Option<u32>,
    /// The alignment and size of every block asked for.
    pub calls: Vec<(u32, u32)>,
}

impl FakeGuest {
    pub fn new(size: usize) -> Self {
        Self {
            memory: vec![0xaa; size],
            next: 16,
            answer: None,
            calls: Vec::new(),
        }
    }

    pub fn realloc(&mut self, old: u32, old_size: u32, align: u32, new_size: u32) -> Result<u32> {
        assert_eq!((old, old_size), (0, 0), "the host asks for new blocks only");
        self.calls.push((align, new_size));
        if let Some(answer) = self.answer {
            return Ok(answer);
        }
        let start = self.next.next_multiple_of(align as usize);
        self.next = start + new_size as usize;
        if self.next > self.memory.len() {
            bail!("the fake guest has no memory left");
        }
        Ok(start as u32)
    }
}
