//! Data and element segments, which an instance can drop.

use super::data::InstanceData;
use mintage_environ::layout::HeadSlot;
use mintage_environ::{DataId, ElemId};

impl InstanceData {
    /// Returns a data segment, which is empty once it is dropped.
    pub fn data_segment(&self, id: DataId) -> &[u8] {
        let length = self
            .code()
            .layout()
            .data_lengths
            .get(id)
            .map_or(0, |&slot| self.length(slot));
        self.code()
            .artifact()
            .data_segment(id)
            .and_then(|bytes| bytes.get(..length))
            .unwrap_or(&[])
    }

    /// Returns an element segment as the bytes of 8-byte words. It is empty once it is dropped.
    pub fn elem_segment(&self, id: ElemId) -> &[u8] {
        let length = self
            .code()
            .layout()
            .elem_lengths
            .get(id)
            .map_or(0, |&slot| self.length(slot));
        self.code()
            .artifact()
            .elem_segment(id)
            .and_then(|bytes| bytes.get(..length * 8))
            .unwrap_or(&[])
    }

    /// Drops a data segment.
    pub fn drop_data(&self, id: DataId) {
        if let Some(&slot) = self.code().layout().data_lengths.get(id) {
            // SAFETY: the slot is an aligned word of the head.
            unsafe { self.slot(slot).cast::<u32>().write(0) };
        }
    }

    /// Drops an element segment.
    pub fn drop_elem(&self, id: ElemId) {
        if let Some(&slot) = self.code().layout().elem_lengths.get(id) {
            // SAFETY: the slot is an aligned word of the head.
            unsafe { self.slot(slot).cast::<u32>().write(0) };
        }
    }

    fn length(&self, slot: HeadSlot) -> usize {
        // SAFETY: the slot is an aligned word of the head.
        unsafe { self.slot(slot).cast::<u32>().read() as usize }
    }
}
