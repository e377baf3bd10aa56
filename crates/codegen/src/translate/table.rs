//! Tables: entries, size, growth and bulk operations.
//!
//! Entries are 8 bytes each, and tables are at constant places. After the comparison with the size,
//! the index is masked by the capacity of the table, so that a mispredicted comparison cannot reach
//! beyond the table.

use super::Translator;
use super::memory::Place;
use crate::abi::REFERENCE;
use crate::emit::{Region, trap_code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use mintage_environ::layout::TableLayout;
use mintage_environ::{Builtin, FuncEntry, TableId, Trap, ValType};
use wasmparser::Operator;

/// Bytes of an entry.
const ENTRY: i32 = size_of::<FuncEntry>() as i32;

impl<'a> Translator<'a, '_> {
    pub(super) fn table_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::TableGet { table } => {
                let index = self.pop();
                let id = self.table(table);
                if let Some(place) = self.table_place(id, index) {
                    let value = self.load_from(place, REFERENCE);
                    self.push(value);
                    self.trace_top(ValType::Ref(self.input.program.tables[id].element));
                }
            }
            Operator::TableSet { table } => {
                let (index, value) = self.pop2();
                if let Some(place) = self.table_place(self.table(table), index) {
                    self.store_to(place, value);
                }
            }
            Operator::TableSize { table } => {
                let id = self.table(table);
                let ty = self.table_index_type(id);
                let size = self.table_size(id, ty);
                self.push(size);
            }
            Operator::TableGrow { table } => self.table_grow(table),
            Operator::TableFill { table } => self.table_fill(table),
            Operator::TableCopy {
                dst_table,
                src_table,
            } => self.table_copy(dst_table, src_table),
            Operator::TableInit { elem_index, table } => self.table_init(elem_index, table),
            Operator::ElemDrop { elem_index } => {
                if let Some(elem) = self.instance.elems[elem_index as usize] {
                    self.drop_segment(self.input.layout.elem_lengths[elem].offset);
                }
            }
            _ => return false,
        }
        true
    }

    fn table(&self, index: u32) -> TableId {
        self.instance.tables[index as usize]
    }

    fn table_layout(&self, id: TableId) -> &'a TableLayout {
        &self.input.layout.tables[id]
    }

    fn table_index_type(&self, id: TableId) -> Type {
        if self.table_layout(id).index64 {
            I64
        } else {
            I32
        }
    }

    /// Returns the current number of entries, which always fits in 32 bits, as a value of type
    /// `ty`.
    fn table_size(&mut self, id: TableId, ty: Type) -> Value {
        let layout = self.table_layout(id);
        if layout.is_fixed() {
            self.iconst(ty, i64::from(layout.minimum))
        } else {
            // The word is little endian, so its low half is at its start.
            self.load_size(ty, layout.size_slot)
        }
    }

    /// Returns the place of the entry at `index`, checking bounds if needed. `None` if the access
    /// always traps.
    pub(super) fn table_place(&mut self, id: TableId, index: Value) -> Option<Place> {
        let layout = self.table_layout(id);
        let flags = self.trusted(Region::Table(id));
        if let Some(index) = self.known_integer(index) {
            // Tables never shrink.
            if index < u64::from(layout.minimum) {
                let offset = layout.offset + index as i32 * ENTRY;
                return Some(Place {
                    address: self.ctx,
                    offset,
                    flags,
                });
            }
            if index >= u64::from(layout.maximum) {
                self.trap(trap_code(Trap::TableOutOfBounds));
                return None;
            }
        }
        let ty = self.type_of(index);
        let size = self.table_size(id, ty);
        let outside = self
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, index, size);
        self.ins()
            .trapnz(outside, trap_code(Trap::TableOutOfBounds));
        let masked = self.ins().band_imm_u(index, i64::from(layout.capacity - 1));
        let masked = self.zero_extended(masked);
        let scaled = self.ins().ishl_imm_u(masked, i64::from(ENTRY.ilog2()));
        let ctx = self.ctx;
        let address = self.ins().iadd(ctx, scaled);
        Some(Place {
            address,
            offset: layout.offset,
            flags,
        })
    }

    fn table_number(&mut self, id: TableId) -> Value {
        self.iconst(I32, i64::from(id.as_u32()))
    }

    fn table_grow(&mut self, table: u32) {
        let (init, delta) = self.pop2();
        self.pay_length(delta, ENTRY as u32);
        let delta = self.zero_extended(delta);
        let id = self.table(table);
        let number = self.table_number(id);
        let old = self
            .call_builtin(Builtin::TableGrow, &[number, init, delta])
            .expect("growth returns the old size");
        let old = self.as_index(old, self.table_layout(id).index64);
        self.push(old);
    }

    fn table_fill(&mut self, table: u32) {
        let (dst, value, len) = self.pop3();
        self.pay_length(len, ENTRY as u32);
        let [dst, len] = [dst, len].map(|operand| self.zero_extended(operand));
        let number = self.table_number(self.table(table));
        self.call_builtin(Builtin::TableFill, &[number, dst, value, len]);
    }

    fn table_copy(&mut self, dst_table: u32, src_table: u32) {
        let (dst, src, len) = self.pop3();
        self.pay_length(len, ENTRY as u32);
        let [dst, src, len] = [dst, src, len].map(|operand| self.zero_extended(operand));
        let dst_table = self.table_number(self.table(dst_table));
        let src_table = self.table_number(self.table(src_table));
        self.call_builtin(Builtin::TableCopy, &[dst_table, src_table, dst, src, len]);
    }

    fn table_init(&mut self, elem: u32, table: u32) {
        let (dst, src, len) = self.pop3();
        self.pay_length(len, ENTRY as u32);
        let dst = self.zero_extended(dst);
        let id = self.table(table);
        let Some(elem) = self.instance.elems[elem as usize] else {
            let bound = self.table_size(id, I64);
            return self.init_from_nothing(dst, src, len, bound, Trap::TableOutOfBounds);
        };
        let number = self.table_number(id);
        let elem = self.iconst(I32, i64::from(elem.as_u32()));
        self.call_builtin(Builtin::TableInit, &[number, elem, dst, src, len]);
    }
}
