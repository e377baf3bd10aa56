//! Values that are one core value each (flags: one for each 32). They are read, canonicalized and
//! written.

use super::emitter::AdapterEmitter;
use super::value::{Destination, Source};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use mintage_environ::Trap;

impl AdapterEmitter<'_, '_, '_> {
    /// Passes an integer of at most 32 bits. The upper bits of a flat one may be anything, so it is
    /// cut and extended.
    pub(super) fn int(
        &mut self,
        bytes: u32,
        signed: bool,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let mut value = self.read_int(bytes, signed, from)?;
        // A store cuts the value by itself.
        if let (Source::Flat(_), Destination::Flat(_)) = (&*from, &*to)
            && bytes < 4
        {
            value = match signed {
                true => {
                    let narrow = self.builder.ins().ireduce(int_type(bytes), value);
                    self.builder.ins().sextend(types::I32, narrow)
                }
                false => self.mask(value, 8 * bytes),
            };
        }
        self.write_int(bytes, value, to);
        Ok(())
    }

    /// Passes a value all of whose bit patterns are valid.
    pub(super) fn whole(
        &mut self,
        ty: Type,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let value = match from {
            Source::Flat(values) => Source::next(values)?,
            Source::Memory(place) => self.load(ty, *place),
        };
        match to {
            Destination::Flat(values) => values.push(value),
            Destination::Memory(place) => self.store(value, *place),
        }
        Ok(())
    }

    /// Passes a bool. Every value but zero is true.
    pub(super) fn bool(&mut self, from: &mut Source<'_>, to: &mut Destination) -> Result<()> {
        let value = self.read_int(1, false, from)?;
        let value = self.builder.ins().icmp_imm_u(IntCC::NotEqual, value, 0);
        let value = self.builder.ins().uextend(types::I32, value);
        self.write_int(1, value, to);
        Ok(())
    }

    /// Passes a char: a number below 0x110000 that is not a surrogate.
    pub(super) fn char(&mut self, from: &mut Source<'_>, to: &mut Destination) -> Result<()> {
        let value = self.read_int(4, false, from)?;
        // This maps the surrogates, and nothing else, to numbers that wrap around in the
        // subtraction.
        let moved = self.builder.ins().bxor_imm_u(value, 0xd800);
        let surrogates = self.iconst(types::I32, 0x800);
        let moved = self.builder.ins().isub(moved, surrogates);
        self.trap_above(moved, 0x10_ffff - 0x800, Trap::InvalidChar);
        self.write_int(4, value, to);
        Ok(())
    }

    /// Passes `count` flags, and clears all other bits.
    pub(super) fn flag_set(
        &mut self,
        count: usize,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let words = count.div_ceil(32).max(1);
        let bytes = match count {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        for word in 0..words {
            let bits = (count - 32 * word).min(32) as u32;
            let offset = 4 * word as u32;
            let mut value = match from {
                Source::Memory(place) => {
                    self.read_int(bytes, false, &mut Source::Memory(place.at(offset)?))?
                }
                Source::Flat(_) => self.read_int(bytes, false, from)?,
            };
            if bits < 32 {
                value = self.mask(value, bits);
            }
            match to {
                Destination::Memory(place) => {
                    self.write_int(bytes, value, &mut Destination::Memory(place.at(offset)?))
                }
                Destination::Flat(_) => self.write_int(bytes, value, to),
            }
        }
        Ok(())
    }

    /// Returns the low `bits` of a 32-bit value.
    fn mask(&mut self, value: Value, bits: u32) -> Value {
        self.builder.ins().band_imm_u(value, (1i64 << bits) - 1)
    }

    /// Reads an integer of 1, 2 or 4 bytes as 32 bits. One from memory is extended, and a flat one
    /// is taken as it is.
    pub(super) fn read_int(
        &mut self,
        bytes: u32,
        signed: bool,
        from: &mut Source<'_>,
    ) -> Result<Value> {
        let place = match from {
            Source::Flat(values) => return Source::next(values),
            Source::Memory(place) => *place,
        };
        let flags = self.memory_flags(self.src);
        let ins = self.builder.ins();
        let (ty, address, offset) = (types::I32, place.address, place.offset);
        Ok(match (bytes, signed) {
            (1, true) => ins.sload8(ty, flags, address, offset),
            (1, false) => ins.uload8(ty, flags, address, offset),
            (2, true) => ins.sload16(ty, flags, address, offset),
            (2, false) => ins.uload16(ty, flags, address, offset),
            _ => ins.load(ty, flags, address, offset),
        })
    }

    /// Writes the low 1, 2 or 4 bytes of a 32-bit value to memory, or all of it as a flat value.
    pub(super) fn write_int(&mut self, bytes: u32, value: Value, to: &mut Destination) {
        let place = match to {
            Destination::Flat(values) => return values.push(value),
            Destination::Memory(place) => *place,
        };
        let flags = self.memory_flags(self.dst);
        let ins = self.builder.ins();
        match bytes {
            1 => ins.istore8(flags, value, place.address, place.offset),
            2 => ins.istore16(flags, value, place.address, place.offset),
            _ => ins.store(flags, value, place.address, place.offset),
        };
    }
}

fn int_type(bytes: u32) -> Type {
    match bytes {
        1 => types::I8,
        2 => types::I16,
        _ => types::I32,
    }
}
