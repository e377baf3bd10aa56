//! Casts and tests of references (`ref.test`, `ref.cast`, `br_on_cast`, `ref.eq`), and conversions,
//! which need no code.
//!
//! The number of a type is followed by those of its subtypes. All structs are a range of numbers as
//! well, and so are all arrays. A test is therefore one comparison of the type number in the header
//! of an object.

use super::Translator;
use crate::emit::trap_code;
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use mintage_environ::{
    FuncEntry, HeapType, ObjectTypeId, ObjectTypeRange, RefType, Reference, SigId, Trap, TypeId,
    objects,
};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn cast_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match *operator {
            Operator::RefTestNonNull { hty } => self.test(self.reference_type(hty, false))?,
            Operator::RefTestNullable { hty } => self.test(self.reference_type(hty, true))?,
            Operator::RefCastNonNull { hty } => self.check_cast(self.reference_type(hty, false))?,
            Operator::RefCastNullable { hty } => self.check_cast(self.reference_type(hty, true))?,
            Operator::BrOnCast {
                relative_depth,
                to_ref_type,
                ..
            } => {
                let matches = self.top_matches(to_ref_type)?;
                self.branch_where(matches, relative_depth);
            }
            Operator::BrOnCastFail {
                relative_depth,
                to_ref_type,
                ..
            } => {
                let matches = self.top_matches(to_ref_type)?;
                let fails = self.ins().icmp_imm_u(IntCC::Equal, matches, 0);
                self.branch_where(fails, relative_depth);
            }
            Operator::RefEq => {
                let (a, b) = self.pop2();
                let equal = self.ins().icmp(IntCC::Equal, a, b);
                self.push_flag(equal);
            }
            // Values of both hierarchies have the same representation.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn reference_type(&self, heap: wasmparser::HeapType, nullable: bool) -> RefType {
        let heap = self.module.heap_type(heap);
        let heap = heap.expect("validated code has types of supported features");
        RefType { nullable, heap }
    }

    fn test(&mut self, ty: RefType) -> Result<()> {
        let reference = self.pop();
        let matches = self.is_of(reference, ty)?;
        self.push_flag(matches);
        Ok(())
    }

    fn check_cast(&mut self, ty: RefType) -> Result<()> {
        let reference = self.top(1)[0];
        let matches = self.is_of(reference, ty)?;
        self.ins().trapz(matches, trap_code(Trap::CastFailure));
        Ok(())
    }

    /// Returns whether the top of the operand stack is of a type.
    fn top_matches(&mut self, ty: wasmparser::RefType) -> Result<Value> {
        let reference = self.top(1)[0];
        self.is_of(
            reference,
            self.reference_type(ty.heap_type(), ty.is_nullable()),
        )
    }

    /// Returns whether `reference` is of type `ty`, which is of the same hierarchy.
    fn is_of(&mut self, reference: Value, ty: RefType) -> Result<Value> {
        let RefType { nullable, heap } = ty;
        let types = &self.input.program.interface.objects;
        let matches = match heap {
            HeapType::Any | HeapType::Extern | HeapType::Exn | HeapType::Func => match nullable {
                true => return Ok(self.iconst(types::I8, 1)),
                false => return Ok(self.ins().icmp_imm_u(IntCC::NotEqual, reference, 0)),
            },
            HeapType::None | HeapType::NoExtern | HeapType::NoExn | HeapType::NoFunc => {
                self.iconst(types::I8, 0)
            }
            HeapType::I31 => self.has_tag(reference, Reference::I31_TAG, Reference::I31_TAG),
            HeapType::Eq => {
                let is_host = self.has_tag(reference, Reference::TAG, Reference::HOST_TAG);
                let is_null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                let neither = self.ins().bor(is_host, is_null);
                self.ins().bxor_imm_u(neither, 1)
            }
            HeapType::Concrete(TypeId::Func(sig)) => self.is_function_of(reference, sig),
            HeapType::Concrete(TypeId::Object(id)) => {
                return self.is_object_of(reference, types.range(id), nullable);
            }
            HeapType::Struct => return self.is_object_of(reference, types.structs(), nullable),
            HeapType::Array => return self.is_object_of(reference, types.arrays(), nullable),
        };
        if !nullable {
            return Ok(matches);
        }
        let is_null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        Ok(self.ins().bor(matches, is_null))
    }

    /// Returns whether the bits `mask` of a reference are `tag`.
    fn has_tag(&mut self, reference: Value, mask: u32, tag: u32) -> Value {
        let bits = self.ins().band_imm_u(reference, i64::from(mask));
        self.ins().icmp_imm_u(IntCC::Equal, bits, i64::from(tag))
    }

    /// Returns whether a function reference is of type `sig`. Null is not.
    fn is_function_of(&mut self, reference: Value, sig: SigId) -> Value {
        let high = self.ins().ushr_imm_u(reference, 32);
        let word = self.ins().ireduce(types::I32, high);
        let first = FuncEntry::signature_word(sig);
        self.is_in_range(word, first, self.signatures().subtypes(sig))
    }

    /// Returns whether `reference` refers to an object whose type is in `range`. Null matches if
    /// the type is `nullable`.
    fn is_object_of(
        &mut self,
        reference: Value,
        range: ObjectTypeRange,
        nullable: bool,
    ) -> Result<Value> {
        let Some(more) = range.count.checked_sub(1) else {
            return self.is_of(
                reference,
                RefType {
                    nullable,
                    heap: HeapType::None,
                },
            );
        };
        let tagged = self.builder.create_block();
        let object = self.builder.create_block();
        let done = self.builder.create_block();
        let matches = self.builder.append_block_param(done, types::I8);
        let null = self.iconst(types::I8, i64::from(nullable));
        self.ins().brif(reference, tagged, [], done, [&null.into()]);
        self.builder.seal_block(tagged);

        self.builder.switch_to_block(tagged);
        let tag = self.ins().band_imm_u(reference, i64::from(Reference::TAG));
        let no = self.iconst(types::I8, 0);
        self.ins().brif(tag, done, [&no.into()], object, []);
        self.builder.seal_block(object);

        self.builder.switch_to_block(object);
        let place = self.field(reference, 0)?;
        let flags = self.object_flags();
        let header = self
            .ins()
            .load(types::I32, flags, place.address, place.offset);
        // Both ends of the range are shifted like type numbers in headers, whose low bit is clear
        // while guest code runs.
        let first = objects::header(ObjectTypeId::from_u32(range.first));
        let in_range = self.is_in_range(header, first, more << 1);
        self.ins().jump(done, [&in_range.into()]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        Ok(matches)
    }

    /// Returns whether `number` is `first` or one of the `more` numbers after it.
    pub(super) fn is_in_range(&mut self, number: Value, first: u32, more: u32) -> Value {
        if more == 0 {
            return self
                .ins()
                .icmp_imm_u(IntCC::Equal, number, i64::from(first));
        }
        let distance = self.ins().iadd_imm_s(number, -i64::from(first));
        self.ins()
            .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, distance, i64::from(more))
    }
}
