//! Operators on structs and on 31-bit integers.

use super::Translator;
use super::heap::Field;
use crate::abi;
use crate::emit::{Values, trap_code};
use anyhow::Result;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mintage_environ::layout::HeapLayout;
use mintage_environ::objects::Stored;
use mintage_environ::{ObjectKind, ObjectTypeId, Reference, StorageType, Trap, objects};
use wasmparser::Operator;

/// The size in bytes up to which the fields of a struct are zeroed one word after the other.
const MAX_ZEROED_IN_PLACE: u32 = 128;

impl<'a> Translator<'a, '_> {
    pub(super) fn struct_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match *operator {
            Operator::StructNew { struct_type_index } => self.struct_new(struct_type_index)?,
            Operator::StructNewDefault { struct_type_index } => {
                self.struct_new_default(struct_type_index)?
            }
            Operator::StructGet {
                struct_type_index,
                field_index,
            }
            | Operator::StructGetU {
                struct_type_index,
                field_index,
            } => self.struct_get(struct_type_index, field_index, false)?,
            Operator::StructGetS {
                struct_type_index,
                field_index,
            } => self.struct_get(struct_type_index, field_index, true)?,
            Operator::StructSet {
                struct_type_index,
                field_index,
            } => self.struct_set(struct_type_index, field_index)?,
            Operator::RefI31 => {
                let value = self.pop();
                let shifted = self.ins().ishl_imm_u(value, 1);
                let tagged = self.ins().bor_imm_u(shifted, i64::from(Reference::I31_TAG));
                let reference = self.ins().uextend(abi::REFERENCE, tagged);
                self.push(reference);
            }
            Operator::I31GetS => {
                let word = self.pop_i31();
                let value = self.ins().sshr_imm_u(word, 1);
                self.push(value);
            }
            Operator::I31GetU => {
                let word = self.pop_i31();
                let value = self.ins().ushr_imm_u(word, 1);
                self.push(value);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fields(&self, ty: ObjectTypeId) -> &'a [(StorageType, u32)] {
        match &self.input.program.interface.objects[ty].kind {
            ObjectKind::Struct(fields) => fields,
            ObjectKind::Array(_) => {
                unreachable!("validated code has struct types here")
            }
        }
    }

    fn struct_new(&mut self, type_index: u32) -> Result<()> {
        let ty = self.object_type(type_index);
        let count = self.fields(ty).len();
        self.charge(count);
        let values = Values::from_slice(self.top(count));
        let object = self.allocate_struct(ty)?;
        for (value, &(storage, offset)) in values.into_iter().zip(self.fields(ty)) {
            self.store_new_field(object, offset, storage.stored(), value)?;
        }
        self.stack.truncate(self.stack.len() - count);
        self.push(object);
        Ok(())
    }

    fn struct_new_default(&mut self, type_index: u32) -> Result<()> {
        let ty = self.object_type(type_index);
        let object = self.allocate_struct(ty)?;
        let zero = self.iconst(types::I64, 0);
        // Large structs are zeroed by a call, because a few bytes of code can make many of them.
        let word = Stored {
            size: HeapLayout::ALIGN as u32,
            traced: false,
        };
        let half = Stored { size: 4, ..word };
        self.store_new_field(object, objects::HEADER_SIZE, half, zero)?;
        let size = self.input.program.interface.objects[ty].layout.size;
        if size <= MAX_ZEROED_IN_PLACE {
            for offset in (word.size..size).step_by(word.size as usize) {
                self.store_new_field(object, offset, word, zero)?;
            }
        } else {
            let Field { address, offset } = self.field(object, word.size)?;
            let first = self.ins().iadd_imm_s(address, i64::from(offset));
            let bytes = self.iconst(types::I64, i64::from(size - word.size));
            let zeros = self.zeros();
            self.fill(first, &zeros, bytes);
        }
        self.push(object);
        Ok(())
    }

    /// Allocates a struct, whose fields are still to be written.
    fn allocate_struct(&mut self, ty: ObjectTypeId) -> Result<Value> {
        let size = self.input.program.interface.objects[ty].layout.size;
        let size = self.iconst(types::I64, i64::from(size));
        self.allocate(objects::header(ty), size)
    }

    fn struct_get(&mut self, type_index: u32, field: u32, signed: bool) -> Result<()> {
        let (storage, offset) = self.fields(self.object_type(type_index))[field as usize];
        let object = self.pop();
        let flags = self.checked_flags(object, u64::from(offset + storage.stored().size));
        let place: Field = self.field(object, offset)?;
        let value = self.load_field(place, flags, storage, signed);
        self.push(value);
        Ok(())
    }

    fn struct_set(&mut self, type_index: u32, field: u32) -> Result<()> {
        let (storage, offset) = self.fields(self.object_type(type_index))[field as usize];
        let (object, value) = self.pop2();
        let flags = self.checked_flags(object, u64::from(offset + storage.stored().size));
        let place = self.field(object, offset)?;
        self.store_field(place, flags, storage.stored(), value);
        Ok(())
    }

    /// Pops a reference to a 31-bit integer. Returns its low half, and traps if it is null.
    fn pop_i31(&mut self) -> Value {
        let reference = self.pop();
        self.ins().trapz(reference, trap_code(Trap::NullReference));
        self.ins().ireduce(types::I32, reference)
    }
}
