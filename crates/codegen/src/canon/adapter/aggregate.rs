//! Records and tuples, passed field by field; variants, enums, options and results, with one block
//! per payload type.

use super::emitter::AdapterEmitter;
use super::value::{Destination, Source};
use crate::abi::clif_type;
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::Switch;
use mintage_environ::component::{FlatTypes, InterfaceType};
use mintage_environ::{Trap, ValType};

impl AdapterEmitter<'_, '_, '_> {
    /// Passes values of the given types, one after the other: the fields of a record or tuple, or
    /// parameters.
    pub(super) fn fields(
        &mut self,
        fields: &[InterfaceType],
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let (mut src_end, mut dst_end) = (0, 0);
        for run in fields.chunk_by(|a, b| a == b) {
            if self.types.abi(run[0]).repeats(run.len())
                && let (Source::Memory(src), Destination::Memory(dst)) = (&*from, &*to)
            {
                let abi = self.types.abi(run[0]);
                let mut start = (0, 0);
                for i in 0..run.len() {
                    let next = (
                        abi.next_field(&mut src_end, self.src.index64),
                        abi.next_field(&mut dst_end, self.dst.index64),
                    );
                    if i == 0 {
                        start = next;
                    }
                }
                self.repeated(run[0], run.len() as u32, src.at(start.0)?, dst.at(start.1)?)?;
                continue;
            }
            self.run(run, &mut src_end, &mut dst_end, from, to)?;
        }
        Ok(())
    }

    /// Passes some fields, which follow `src_end` and `dst_end` bytes of other fields.
    fn run(
        &mut self,
        fields: &[InterfaceType],
        src_end: &mut u32,
        dst_end: &mut u32,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        for &ty in fields {
            let abi = self.types.abi(ty);
            let src = abi.next_field(src_end, self.src.index64);
            let dst = abi.next_field(dst_end, self.dst.index64);
            let (mut src_field, mut dst_field);
            let from = match from {
                Source::Memory(place) => {
                    src_field = Source::Memory(place.at(src)?);
                    &mut src_field
                }
                Source::Flat(_) => &mut *from,
            };
            let to = match to {
                Destination::Memory(place) => {
                    dst_field = Destination::Memory(place.at(dst)?);
                    &mut dst_field
                }
                Destination::Flat(_) => &mut *to,
            };
            self.transfer(ty, from, to)?;
        }
        Ok(())
    }

    /// Passes a variant, enum, option or result.
    pub(super) fn variant(
        &mut self,
        ty: InterfaceType,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let cases = self
            .types
            .cases(ty)
            .context("internal error: a variant has no cases")?;
        let src_layout = self.types.variant_layout(&cases, self.src.index64);
        let dst_layout = self.types.variant_layout(&cases, self.dst.index64);

        let discriminant = self.read_int(src_layout.discriminant, false, from)?;
        self.trap_above(
            discriminant,
            (cases.len() - 1) as u32,
            Trap::InvalidDiscriminant,
        );
        self.write_int(dst_layout.discriminant, discriminant, to);
        if cases.iter().all(Option::is_none) {
            return Ok(());
        }

        // The joined flat form of all payloads, on both sides.
        let src_slots = self.payload_slots(ty, self.src.index64);
        let dst_slots = self.payload_slots(ty, self.dst.index64);
        let mut slots = Vec::new();
        let payload = match from {
            Source::Flat(values) => {
                for &slot in &src_slots {
                    slots.push((Source::next(values)?, slot));
                }
                None
            }
            Source::Memory(place) => Some(place.at(src_layout.payload)?),
        };
        let target = match to {
            Destination::Flat(_) => None,
            Destination::Memory(place) => Some(place.at(dst_layout.payload)?),
        };

        let arms = self.arms(&cases, discriminant);
        let end = self.block();
        if target.is_none() {
            for &slot in &dst_slots {
                self.builder.append_block_param(end, clif_type(slot));
            }
        }
        for (case, block) in arms {
            self.builder.switch_to_block(block);
            let mut flat = Vec::new();
            if let Some(case) = case {
                let values;
                let mut from = match payload {
                    Some(place) => Source::Memory(place),
                    None => {
                        values = self.unjoin(case, &slots);
                        Source::Flat(values.iter())
                    }
                };
                let mut to = target.map_or(Destination::Flat(Vec::new()), Destination::Memory);
                self.transfer(case, &mut from, &mut to)?;
                flat = to.into_flat();
            }
            let mut arguments: Vec<BlockArg> = Vec::new();
            if target.is_none() {
                for (at, &slot) in dst_slots.iter().enumerate() {
                    let value = match flat.get(at) {
                        Some(&value) => self.coerce(value, clif_type(slot)),
                        None => self.zero(clif_type(slot)),
                    };
                    arguments.push(value.into());
                }
            }
            self.builder.ins().jump(end, &arguments);
        }
        self.builder.switch_to_block(end);
        if let Destination::Flat(values) = to {
            values.extend_from_slice(self.builder.block_params(end));
        }
        Ok(())
    }

    /// Branches on a discriminant to one new block for each payload type. Cases with the same
    /// payload type share a block.
    fn arms(
        &mut self,
        cases: &[Option<InterfaceType>],
        discriminant: Value,
    ) -> Vec<(Option<InterfaceType>, Block)> {
        let mut arms: Vec<(Option<InterfaceType>, Block)> = Vec::new();
        let mut blocks = hashbrown::HashMap::new();
        let mut switch = Switch::new();
        // There may be many cases without a payload. They are the default, if there are any, and
        // need no entries.
        let default = if cases.contains(&None) {
            None
        } else {
            cases[0]
        };
        for (index, &case) in cases.iter().enumerate() {
            let block = *blocks.entry(case).or_insert_with(|| {
                let block = self.builder.create_block();
                arms.push((case, block));
                block
            });
            if case != default {
                switch.set_entry(index as u128, block);
            }
        }
        let default = blocks[&default];
        match &arms[..] {
            [_] => {
                self.builder.ins().jump(default, []);
            }
            _ if cases.len() == 2 => {
                let [zero, one] = [blocks[&cases[0]], blocks[&cases[1]]];
                self.builder.ins().brif(discriminant, one, [], zero, []);
            }
            _ => switch.emit(self.builder, discriminant, default),
        }
        arms
    }

    /// Returns the joined core types of the payloads of a variant.
    fn payload_slots(&self, ty: InterfaceType, index64: bool) -> Vec<ValType> {
        let mut flat = FlatTypes::default();
        self.types.flatten(ty, index64, &mut flat);
        flat.as_slice()[1..].to_vec()
    }

    /// Returns the flat form of a payload of type `case`, taken from the joined values of all
    /// payloads.
    fn unjoin(&mut self, case: InterfaceType, slots: &[(Value, ValType)]) -> Vec<Value> {
        let mut flat = FlatTypes::default();
        self.types.flatten(case, self.src.index64, &mut flat);
        let wanted = flat.as_slice().iter().zip(slots);
        wanted
            .map(|(&ty, &(value, _))| self.coerce(value, clif_type(ty)))
            .collect()
    }

    /// Converts a core value to another core type that can hold it, or back (CanonicalABI.md,
    /// `CoerceValueIter` and its reverse).
    fn coerce(&mut self, value: Value, want: Type) -> Value {
        use types::{F32, F64, I32, I64};
        let have = self.type_of(value);
        let same_bits = MemFlagsData::new();
        let ins = self.builder.ins();
        match (have, want) {
            (I32, F32) | (F32, I32) | (I64, F64) | (F64, I64) => {
                ins.bitcast(want, same_bits, value)
            }
            (I32, I64) => ins.uextend(I64, value),
            (I64, I32) => ins.ireduce(I32, value),
            (F32, I64) => {
                let bits = ins.bitcast(I32, same_bits, value);
                self.builder.ins().uextend(I64, bits)
            }
            (I64, F32) => {
                let bits = ins.ireduce(I32, value);
                self.builder.ins().bitcast(F32, same_bits, bits)
            }
            _ => value,
        }
    }

    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.builder.ins().f32const(0.0),
            types::F64 => self.builder.ins().f64const(0.0),
            _ => self.iconst(ty, 0),
        }
    }
}
