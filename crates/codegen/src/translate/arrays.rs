//! Arrays.
//!
//! An array's length never changes, so it is read, and compared with the index, at each access.
//! Addresses of elements are computed where they are used and live across no call: a collection
//! moves arrays.

use super::Translator;
use super::bulk::{Part, Pattern, segment_place};
use super::heap::Field;
use super::memory::Place;
use crate::emit::{Values, trap_code};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mintage_environ::layout::HeapLayout;
use mintage_environ::objects::{ELEMENTS_OFFSET, LENGTH_OFFSET, Stored, header};
use mintage_environ::{Builtin, ObjectKind, ObjectTypeId, StorageType, Trap};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn array_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match *operator {
            Operator::ArrayNew { array_type_index } => self.array_new(array_type_index)?,
            Operator::ArrayNewDefault { array_type_index } => {
                self.array_new_default(array_type_index)?
            }
            Operator::ArrayNewFixed {
                array_type_index,
                array_size,
            } => self.array_new_fixed(array_type_index, array_size)?,
            Operator::ArrayNewData {
                array_type_index,
                array_data_index,
            } => self.array_new_data(array_type_index, array_data_index)?,
            Operator::ArrayNewElem {
                array_type_index,
                array_elem_index,
            } => self.array_new_elem(array_type_index, array_elem_index)?,
            Operator::ArrayGet { array_type_index } | Operator::ArrayGetU { array_type_index } => {
                self.array_get(array_type_index, false)?;
            }
            Operator::ArrayGetS { array_type_index } => self.array_get(array_type_index, true)?,
            Operator::ArraySet { array_type_index } => self.array_set(array_type_index)?,
            Operator::ArrayLen => {
                let array = self.pop();
                let length = self.array_length(array)?;
                self.push(length);
            }
            Operator::ArrayFill { array_type_index } => self.array_fill(array_type_index)?,
            Operator::ArrayCopy {
                array_type_index_dst,
                ..
            } => self.array_copy(array_type_index_dst)?,
            Operator::ArrayInitData {
                array_type_index,
                array_data_index,
            } => self.array_init_data(array_type_index, array_data_index)?,
            Operator::ArrayInitElem {
                array_type_index,
                array_elem_index,
            } => self.array_init_elem(array_type_index, array_elem_index)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn element_type(&self, ty: ObjectTypeId) -> StorageType {
        match self.input.program.interface.objects[ty].kind {
            ObjectKind::Array(element) => element,
            ObjectKind::Struct(_) => {
                unreachable!("validated code takes no struct type for an array type")
            }
        }
    }

    /// How the elements of the array type at `index` of the module's types are kept.
    fn stored_element(&self, index: u32) -> Stored {
        self.element_type(self.object_type(index)).stored()
    }

    /// The length of an array; traps when the reference is null.
    fn array_length(&mut self, array: Value) -> Result<Value> {
        let Field { address, offset } = self.field(array, LENGTH_OFFSET)?;
        let flags = self.nullable_object_flags();
        Ok(self.ins().load(types::I32, flags, address, offset))
    }

    /// Traps unless the `count` elements from `start` on are within a number of elements. All are
    /// 32-bit, and the sum is not.
    fn check_range(&mut self, start: Value, count: Value, length: Value, trap: Trap) {
        let [start, count, length] = [start, count, length].map(|value| self.zero_extended(value));
        let end = self.ins().iadd(start, count);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        self.ins().trapnz(outside, trap_code(trap));
    }

    /// `count` (32-bit) times the size of an element.
    fn bytes(&mut self, count: Value, stored: Stored) -> Value {
        let count = self.zero_extended(count);
        self.ins().ishl_imm_u(count, i64::from(stored.size.ilog2()))
    }

    /// The place of element `index`, which exists.
    fn element(&mut self, array: Value, index: Value, stored: Stored) -> Result<Field> {
        let Field { address, offset } = self.field(array, ELEMENTS_OFFSET)?;
        let distance = self.bytes(index, stored);
        let address = self.ins().iadd(address, distance);
        Ok(Field { address, offset })
    }

    /// The address of element `index`.
    fn element_address(&mut self, array: Value, index: Value, stored: Stored) -> Result<Value> {
        let Field { address, offset } = self.element(array, index, stored)?;
        Ok(self.ins().iadd_imm_s(address, i64::from(offset)))
    }

    fn array_get(&mut self, type_index: u32, signed: bool) -> Result<()> {
        let storage = self.element_type(self.object_type(type_index));
        let (array, index) = self.pop2();
        let place = self.checked_element(array, index, storage.stored())?;
        let flags = self.object_flags();
        let value = self.load_field(place, flags, storage, signed);
        self.push(value);
        Ok(())
    }

    fn array_set(&mut self, type_index: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (array, index, value) = self.pop3();
        let place = self.checked_element(array, index, stored)?;
        let flags = self.object_flags();
        self.store_field(place, flags, stored, value);
        Ok(())
    }

    /// The place of element `index`; traps when there is none.
    fn checked_element(&mut self, array: Value, index: Value, stored: Stored) -> Result<Field> {
        let length = self.array_length(array)?;
        let outside = self
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        self.ins()
            .trapnz(outside, trap_code(Trap::ArrayOutOfBounds));
        self.element(array, index, stored)
    }

    /// A new array, whose elements are still to be written.
    fn new_array(&mut self, ty: ObjectTypeId, length: Value) -> Result<Value> {
        let stored = self.element_type(ty).stored();
        let bytes = self.bytes(length, stored);
        let align = HeapLayout::ALIGN as i64;
        let size = self
            .ins()
            .iadd_imm_s(bytes, i64::from(ELEMENTS_OFFSET) + align - 1);
        let size = self.ins().band_imm_s(size, -align);
        let array = self.allocate(header(ty), size)?;
        let length_word = Stored {
            size: 4,
            traced: false,
        };
        self.store_new_field(array, LENGTH_OFFSET, length_word, length)?;
        Ok(array)
    }

    fn array_new(&mut self, type_index: u32) -> Result<()> {
        let (value, length) = self.pop2();
        self.new_filled(type_index, length, |this, stored| {
            this.pattern(value, stored.size)
        })
    }

    fn array_new_default(&mut self, type_index: u32) -> Result<()> {
        let length = self.pop();
        self.new_filled(type_index, length, |this, _| this.zeros())
    }

    /// Pushes a new array of `length` elements, each of them a pattern. That is made last: an
    /// allocation moves objects, and updates references, but not what is made of them.
    fn new_filled(
        &mut self,
        type_index: u32,
        length: Value,
        pattern: impl FnOnce(&mut Self, Stored) -> Pattern,
    ) -> Result<()> {
        let ty = self.object_type(type_index);
        let stored = self.element_type(ty).stored();
        self.pay_length(length, stored.size);
        let array = self.new_array(ty, length)?;
        let pattern = pattern(self, stored);
        let first = self.iconst(types::I32, 0);
        self.fill_elements(array, first, length, stored, &pattern)?;
        self.push(array);
        Ok(())
    }

    fn array_new_fixed(&mut self, type_index: u32, length: u32) -> Result<()> {
        let ty = self.object_type(type_index);
        let stored = self.element_type(ty).stored();
        let count = length as usize;
        self.charge(count);
        let values = Values::from_slice(self.top(count));
        self.stack.truncate(self.stack.len() - count);
        let length = self.iconst(types::I32, i64::from(length));
        let array = self.new_array(ty, length)?;
        let mut offset = ELEMENTS_OFFSET;
        for value in values {
            self.store_new_field(array, offset, stored, value)?;
            offset += stored.size;
        }
        self.push(array);
        Ok(())
    }

    fn array_fill(&mut self, type_index: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (start, value, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let length = self.array_length(array)?;
        self.check_range(start, count, length, Trap::ArrayOutOfBounds);
        let pattern = self.pattern(value, stored.size);
        self.fill_elements(array, start, count, stored, &pattern)
    }

    /// Writes the pattern to `count` elements from `start` on, which exist.
    fn fill_elements(
        &mut self,
        array: Value,
        start: Value,
        count: Value,
        stored: Stored,
        pattern: &Pattern,
    ) -> Result<()> {
        if let Some(len) = self.short_length(count, stored.size) {
            let part = self.elements_part(array, start, stored)?;
            self.fill_in_place(&part, pattern, len);
            return Ok(());
        }
        let first = self.element_address(array, start, stored)?;
        let bytes = self.bytes(count, stored);
        self.fill(first, pattern, bytes);
        Ok(())
    }

    /// The elements from `start` on, as many as exist, to be accessed in place.
    fn elements_part(&mut self, array: Value, start: Value, stored: Stored) -> Result<Part> {
        let Field { address, offset } = self.element(array, start, stored)?;
        let flags = self.object_flags();
        Ok(Part::Checked(Place {
            address,
            offset,
            flags,
        }))
    }

    fn array_copy(&mut self, dst_type: u32) -> Result<()> {
        let stored = self.stored_element(dst_type);
        let (src, src_start, count) = self.pop3();
        let (dst, dst_start) = self.pop2();
        self.pay_length(count, stored.size);
        let dst_length = self.array_length(dst)?;
        let src_length = self.array_length(src)?;
        self.check_range(dst_start, count, dst_length, Trap::ArrayOutOfBounds);
        self.check_range(src_start, count, src_length, Trap::ArrayOutOfBounds);
        if let Some(len) = self.short_length(count, stored.size) {
            let dst = self.elements_part(dst, dst_start, stored)?;
            let src = self.elements_part(src, src_start, stored)?;
            self.copy_in_place(&dst, &src, len);
            return Ok(());
        }
        let dst = self.element_address(dst, dst_start, stored)?;
        let src = self.element_address(src, src_start, stored)?;
        let bytes = self.bytes(count, stored);
        self.call_builtin(Builtin::CopyBytes, &[dst, src, bytes]);
        Ok(())
    }

    /// The current length of an element segment, and its program-wide number unless it was dropped
    /// from the start.
    fn elem_segment(&mut self, index: u32) -> (Value, Option<Value>) {
        match self.instance.elems[index as usize] {
            Some(elem) => {
                let length =
                    self.load_size(types::I32, self.input.layout.elem_lengths[elem].offset);
                let number = self.iconst(types::I32, i64::from(elem.as_u32()));
                (length, Some(number))
            }
            None => (self.iconst(types::I32, 0), None),
        }
    }

    /// The address of the bytes of `count` elements in a data segment; traps unless all of them
    /// exist. `None` for a segment that is dropped from the start, which has nothing to copy.
    fn data_elements(
        &mut self,
        segment: u32,
        start: Value,
        count: Value,
        stored: Stored,
    ) -> Option<Value> {
        if let Some(data) = self.instance.data[segment as usize] {
            let bytes = self.bytes(count, stored);
            return Some(self.segment_part(data, start, bytes));
        }
        let nothing = self.iconst(types::I32, 0);
        let bytes = self.bytes(count, stored);
        self.check_range(start, bytes, nothing, Trap::MemoryOutOfBounds);
        None
    }

    fn array_new_data(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let ty = self.object_type(type_index);
        let stored = self.element_type(ty).stored();
        let (start, count) = self.pop2();
        self.pay_length(count, stored.size);
        let src = self.data_elements(segment, start, count, stored);
        let array = self.new_array(ty, count)?;
        let first = self.iconst(types::I32, 0);
        self.init_data(array, first, stored, src, count)?;
        self.push(array);
        Ok(())
    }

    fn array_init_data(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (at, start, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let array_length = self.array_length(array)?;
        self.check_range(at, count, array_length, Trap::ArrayOutOfBounds);
        let src = self.data_elements(segment, start, count, stored);
        self.init_data(array, at, stored, src, count)
    }

    /// Copies `count` elements, which exist, from a data segment.
    fn init_data(
        &mut self,
        array: Value,
        at: Value,
        stored: Stored,
        src: Option<Value>,
        count: Value,
    ) -> Result<()> {
        let Some(src) = src else { return Ok(()) };
        if let Some(len) = self.short_length(count, stored.size) {
            let dst = self.elements_part(array, at, stored)?;
            self.copy_in_place(&dst, &Part::Checked(segment_place(src)), len);
            return Ok(());
        }
        let dst = self.element_address(array, at, stored)?;
        let bytes = self.bytes(count, stored);
        self.call_builtin(Builtin::CopyBytes, &[dst, src, bytes]);
        Ok(())
    }

    fn array_new_elem(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let ty = self.object_type(type_index);
        let stored = self.element_type(ty).stored();
        let (start, count) = self.pop2();
        self.pay_length(count, stored.size);
        let (length, segment) = self.elem_segment(segment);
        self.check_range(start, count, length, Trap::TableOutOfBounds);
        let array = self.new_array(ty, count)?;
        let first = self.iconst(types::I32, 0);
        self.init_elem(array, first, stored, segment, start, count)?;
        self.push(array);
        Ok(())
    }

    fn array_init_elem(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (at, start, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let array_length = self.array_length(array)?;
        self.check_range(at, count, array_length, Trap::ArrayOutOfBounds);
        let (length, segment) = self.elem_segment(segment);
        self.check_range(start, count, length, Trap::TableOutOfBounds);
        self.init_elem(array, at, stored, segment, start, count)
    }

    /// Copies `count` elements, which are within the array and the segment, from an element
    /// segment.
    fn init_elem(
        &mut self,
        array: Value,
        at: Value,
        stored: Stored,
        segment: Option<Value>,
        start: Value,
        count: Value,
    ) -> Result<()> {
        if let Some(segment) = segment {
            let address = self.element_address(array, at, stored)?;
            let size = self.iconst(types::I32, i64::from(stored.size));
            self.call_builtin(
                Builtin::ArrayInitElem,
                &[address, segment, start, count, size],
            );
        }
        Ok(())
    }
}
