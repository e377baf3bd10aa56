//! `global.get` and `global.set`.

use super::Translator;
use crate::abi;
use crate::emit::Region;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mintage_environ::{GlobalId, Reference};
use mintage_program::Const;
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn global_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::GlobalGet { global_index } => {
                let id = self.instance.globals[global_index as usize];
                let global = self.input.program.globals[id];
                let value = if global.mutable {
                    self.load_global(id)
                } else {
                    self.constant(global.init)
                };
                self.push(value);
            }
            Operator::GlobalSet { global_index } => {
                let id = self.instance.globals[global_index as usize];
                let value = self.pop();
                let (flags, offset) = self.global_place(id);
                let ctx = self.ctx;
                self.ins().store(flags, value, ctx, offset);
            }
            _ => return false,
        }
        true
    }

    fn load_global(&mut self, id: GlobalId) -> Value {
        let ty = self.input.program.shape.globals[id].ty;
        let (flags, offset) = self.global_place(id);
        let ctx = self.ctx;
        let value = self.ins().load(abi::clif_type(ty), flags, ctx, offset);
        self.trace(value, ty);
        value
    }

    /// Returns access flags and offset from `ctx` of a global.
    fn global_place(&mut self, id: GlobalId) -> (MemFlagsData, i32) {
        (
            self.trusted(Region::Global(id)),
            self.input.layout.globals[id].offset,
        )
    }

    fn constant(&mut self, value: Const) -> Value {
        match value {
            Const::I32(value) => self.iconst(types::I32, i64::from(value as u32)),
            Const::I64(value) => self.iconst(types::I64, value),
            Const::F32(bits) => self.ins().f32const(Ieee32::with_bits(bits)),
            Const::F64(bits) => self.ins().f64const(Ieee64::with_bits(bits)),
            Const::V128(bits) => self.vector_constant(bits),
            Const::Null => self.iconst(abi::REFERENCE, 0),
            Const::Func(callee) => self.function_reference(callee.key, callee.sig),
            Const::I31(value) => self.iconst(abi::REFERENCE, Reference::I31(value).to_u32().into()),
            Const::Object(at) => {
                let object = &self.input.program.statics[at as usize];
                self.iconst(abi::REFERENCE, object.reference.into())
            }
        }
    }
}
