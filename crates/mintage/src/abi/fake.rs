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
    /// The host's data.
    pub data: u32,
}

impl FakeGuest {
    pub fn new(size: usize) -> Self {
        Self {
            memory: vec![0xaa; size],
            next: 16,
            answer: None,
            calls: Vec::new(),
            data: 0,
        }
    }

    pub fn realloc(&mut self, old: u32, old_size: u32, align: u32, new_size: u32) -> Result<u32> {
        assert!(
            old_size == 0 || new_size < old_size,
            "the host makes blocks smaller only"
        );
        assert_eq!(old == 0, old_size == 0);
        self.calls.push((align, new_size));
        if let Some(answer) = self.answer {
            return Ok(answer);
        }
        let start = self.next.next_multiple_of(align as usize);
        self.next = start + new_size as usize;
        if self.next > self.memory.len() {
            bail!("the fake guest has no memory left");
        }
        let old = old as usize;
        self.memory
            .copy_within(old..old + (old_size.min(new_size)) as usize, start);
        Ok(start as u32)
    }
}
