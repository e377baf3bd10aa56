//! Operators on arrays.
//!
//! The length of an array never changes. It is read at each access and compared with the index.
//! Addresses of elements are computed where they are used and are not live across calls, because a
//! collection moves arrays.

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

/// Some elements of an array, all of which exist.
#[derive(Clone, Copy)]
struct Elements {
    array: Value,
    /// The index of the first.
    start: Value,
    /// Their number (32-bit).
    count: Value,
    /// The form in which the array keeps an element.
    stored: Stored,
}

/// The place that elements are copied from, where as many bytes exist as they take.
enum CopySource {
    Elements(Elements),
    /// The address of bytes in a data segment.
    Segment(Value),
}

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
                unreachable!("validated code has array types here")
            }
        }
    }

    /// Returns how the array type at `index` of the module's types keeps its elements.
    fn stored_element(&self, index: u32) -> Stored {
        self.element_type(self.object_type(index)).stored()
    }

    /// Returns the length of an array. Traps if the reference is null.
    fn array_length(&mut self, array: Value) -> Result<Value> {
        let Field { address, offset } = self.field(array, LENGTH_OFFSET)?;
        let flags = self.nullable_object_flags();
        Ok(self.ins().load(types::I32, flags, address, offset))
    }

    /// Traps unless the `count` elements from `start` on are within `length` elements. All three
    /// are 32-bit; their sum is computed in 64 bits.
    fn check_range(&mut self, start: Value, count: Value, length: Value, trap: Trap) {
        let [start, count, length] = [start, count, length].map(|value| self.zero_extended(value));
        let end = self.ins().iadd(start, count);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        self.ins().trapnz(outside, trap_code(trap));
    }

    /// Returns `count` (32-bit) times the size of an element.
    fn bytes(&mut self, count: Value, stored: Stored) -> Value {
        let count = self.zero_extended(count);
        self.ins().ishl_imm_u(count, i64::from(stored.size.ilog2()))
    }

    /// Returns the place of element `index`, which exists.
    fn element(&mut self, array: Value, index: Value, stored: Stored) -> Result<Field> {
        let Field { address, offset } = self.field(array, ELEMENTS_OFFSET)?;
        let distance = self.bytes(index, stored);
        let address = self.ins().iadd(address, distance);
        Ok(Field { address, offset })
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

    /// Returns the place of element `index`. Traps if it does not exist.
    fn checked_element(&mut self, array: Value, index: Value, stored: Stored) -> Result<Field> {
        let length = self.array_length(array)?;
        let outside = self
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        self.ins()
            .trapnz(outside, trap_code(Trap::ArrayOutOfBounds));
        self.element(array, index, stored)
    }

    /// Allocates an array, whose elements are still to be written.
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

    /// Pushes a new array of `length` elements, each of them a pattern. The pattern is made after
    /// the allocation, which may move objects: it updates references, but not what is made of them.
    fn new_filled(
        &mut self,
        type_index: u32,
        length: Value,
        pattern: impl FnOnce(&mut Self, Stored) -> Pattern,
    ) -> Result<()> {
        let stored = self.stored_element(type_index);
        self.pay_length(length, stored.size);
        let elements = self.new_elements(type_index, length)?;
        let pattern = pattern(self, stored);
        self.fill_elements(elements, &pattern)?;
        self.push(elements.array);
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

    /// Makes an array of `count` elements, which are still to be written.
    fn new_elements(&mut self, type_index: u32, count: Value) -> Result<Elements> {
        let array = self.new_array(self.object_type(type_index), count)?;
        Ok(Elements {
            array,
            start: self.iconst(types::I32, 0),
            count,
            stored: self.stored_element(type_index),
        })
    }

    /// Traps unless the `count` elements from `start` on exist.
    fn existing_elements(
        &mut self,
        array: Value,
        start: Value,
        count: Value,
        stored: Stored,
    ) -> Result<Elements> {
        let length = self.array_length(array)?;
        self.check_range(start, count, length, Trap::ArrayOutOfBounds);
        Ok(Elements {
            array,
            start,
            count,
            stored,
        })
    }

    fn array_fill(&mut self, type_index: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (start, value, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let elements = self.existing_elements(array, start, count, stored)?;
        let pattern = self.pattern(value, stored.size);
        self.fill_elements(elements, &pattern)
    }

    fn fill_elements(&mut self, elements: Elements, pattern: &Pattern) -> Result<()> {
        if let Some(len) = self.short_length(elements.count, elements.stored.size) {
            let part = self.elements_part(elements)?;
            self.fill_in_place(&part, pattern, len);
            return Ok(());
        }
        let first = self.first_address(elements)?;
        let bytes = self.bytes(elements.count, elements.stored);
        self.fill(first, pattern, bytes);
        Ok(())
    }

    /// Returns elements to be accessed in place.
    fn elements_part(&mut self, elements: Elements) -> Result<Part> {
        let Elements {
            array,
            start,
            stored,
            ..
        } = elements;
        let Field { address, offset } = self.element(array, start, stored)?;
        Ok(Part::Checked(Place {
            address,
            offset,
            flags: self.object_flags(),
        }))
    }

    /// Returns the address of the first of some elements.
    fn first_address(&mut self, elements: Elements) -> Result<Value> {
        let Field { address, offset } =
            self.element(elements.array, elements.start, elements.stored)?;
        Ok(self.ins().iadd_imm_s(address, i64::from(offset)))
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
        let elements = |array, start| Elements {
            array,
            start,
            count,
            stored,
        };
        let src = CopySource::Elements(elements(src, src_start));
        self.copy_elements(elements(dst, dst_start), src)
    }

    /// Copies as many bytes as `dst` takes.
    fn copy_elements(&mut self, dst: Elements, src: CopySource) -> Result<()> {
        if let Some(len) = self.short_length(dst.count, dst.stored.size) {
            let part = self.elements_part(dst)?;
            let src = match src {
                CopySource::Elements(elements) => self.elements_part(elements)?,
                CopySource::Segment(address) => Part::Checked(segment_place(address)),
            };
            self.copy_in_place(&part, &src, len);
            return Ok(());
        }
        let address = self.first_address(dst)?;
        let src = match src {
            CopySource::Elements(elements) => self.first_address(elements)?,
            CopySource::Segment(address) => address,
        };
        let bytes = self.bytes(dst.count, dst.stored);
        self.call_builtin(Builtin::CopyBytes, &[address, src, bytes]);
        Ok(())
    }

    /// Returns the current length of an element segment, and its program-wide number unless it was
    /// dropped from the start.
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

    /// Returns the address of the bytes of `count` elements in a data segment, and traps unless all
    /// of them exist. `None` for a segment that was dropped from the start, from which nothing can
    /// be copied.
    fn data_elements(
        &mut self,
        segment: u32,
        start: Value,
        count: Value,
        stored: Stored,
    ) -> Option<CopySource> {
        if let Some(data) = self.instance.data[segment as usize] {
            let bytes = self.bytes(count, stored);
            return Some(CopySource::Segment(self.segment_part(data, start, bytes)));
        }
        let nothing = self.iconst(types::I32, 0);
        let bytes = self.bytes(count, stored);
        self.check_range(start, bytes, nothing, Trap::MemoryOutOfBounds);
        None
    }

    fn array_new_data(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (start, count) = self.pop2();
        self.pay_length(count, stored.size);
        let src = self.data_elements(segment, start, count, stored);
        let elements = self.new_elements(type_index, count)?;
        if let Some(src) = src {
            self.copy_elements(elements, src)?;
        }
        self.push(elements.array);
        Ok(())
    }

    fn array_init_data(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (at, start, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let elements = self.existing_elements(array, at, count, stored)?;
        match self.data_elements(segment, start, count, stored) {
            Some(src) => self.copy_elements(elements, src),
            None => Ok(()),
        }
    }

    fn array_new_elem(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (start, count) = self.pop2();
        self.pay_length(count, stored.size);
        let (length, segment) = self.elem_segment(segment);
        self.check_range(start, count, length, Trap::TableOutOfBounds);
        let elements = self.new_elements(type_index, count)?;
        self.init_from_elem(elements, segment, start)?;
        self.push(elements.array);
        Ok(())
    }

    fn array_init_elem(&mut self, type_index: u32, segment: u32) -> Result<()> {
        let stored = self.stored_element(type_index);
        let (at, start, count) = self.pop3();
        let array = self.pop();
        self.pay_length(count, stored.size);
        let elements = self.existing_elements(array, at, count, stored)?;
        let (length, segment) = self.elem_segment(segment);
        self.check_range(start, count, length, Trap::TableOutOfBounds);
        self.init_from_elem(elements, segment, start)
    }

    /// Copies elements from an element segment, where they exist from `start` on.
    fn init_from_elem(
        &mut self,
        elements: Elements,
        segment: Option<Value>,
        start: Value,
    ) -> Result<()> {
        if let Some(segment) = segment {
            let address = self.first_address(elements)?;
            let size = self.iconst(types::I32, i64::from(elements.stored.size));
            let arguments = [address, segment, start, elements.count, size];
            self.call_builtin(Builtin::ArrayInitElem, &arguments);
        }
        Ok(())
    }
}
