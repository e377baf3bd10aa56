//! Strings, with nine pairs of encodings (CanonicalABI.md, `load_string_from_range` and
//! `store_string_into_range`).
//!
//! Builtins check and transcode. The code here decides how large a block the destination allocates,
//! and shrinks or enlarges it.

use super::emitter::AdapterEmitter;
use super::value::{Destination, Source};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use mintage_environ::builtin::NOT_LATIN1;
use mintage_environ::component::{MAX_STRING_BYTE_LENGTH, StringEncoding};
use mintage_environ::{Builtin, Trap};

/// The form of the characters of a string in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Utf16,
    Latin1,
}

/// A string of the source side that was checked to be in bounds.
#[derive(Clone, Copy)]
struct Text {
    /// The address of its first byte.
    address: Value,
    /// Its number of bytes, or of code units if it is UTF-16.
    length: Value,
}

/// A string of the destination side.
#[derive(Clone, Copy)]
struct Written {
    pointer: Value,
    /// Its length as it is passed, including the tag if it has one.
    length: Value,
}

impl AdapterEmitter<'_, '_, '_> {
    /// Passes a string.
    pub(super) fn string(&mut self, from: &mut Source<'_>, to: &mut Destination) -> Result<()> {
        let (pointer, length) = self.read_pair(from)?;
        let Written { pointer, length } = match self.src.encoding {
            StringEncoding::Utf8 => self.text(Form::Utf8, pointer, length)?,
            StringEncoding::Utf16 => self.text(Form::Utf16, pointer, length)?,
            StringEncoding::CompactUtf16 => self.tagged(pointer, length)?,
        };
        self.write_pair(to, pointer, length)
    }

    /// Passes a string whose length is tagged with its form.
    fn tagged(&mut self, pointer: Value, length: Value) -> Result<Written> {
        let tag = self.tag(self.src.index64);
        let is_utf16 = self.builder.ins().band(length, tag);
        let (wide, narrow, end) = (self.block(), self.block(), self.block());
        let results = [(); 2].map(|()| self.builder.append_block_param(end, types::I64));
        self.builder.ins().brif(is_utf16, wide, [], narrow, []);
        for (block, form) in [(narrow, Form::Latin1), (wide, Form::Utf16)] {
            self.builder.switch_to_block(block);
            let length = match form {
                Form::Utf16 => self.builder.ins().bxor(length, tag),
                _ => length,
            };
            let Written { pointer, length } = self.text(form, pointer, length)?;
            self.builder
                .ins()
                .jump(end, &[pointer.into(), length.into()]);
        }
        self.builder.switch_to_block(end);
        let [pointer, length] = results;
        Ok(Written { pointer, length })
    }

    /// Passes a string of `length` bytes or code units.
    fn text(&mut self, form: Form, pointer: Value, length: Value) -> Result<Written> {
        let unit = if form == Form::Utf16 { 2 } else { 1 };
        let align = if self.src.encoding == StringEncoding::Utf8 {
            1
        } else {
            2
        };
        self.trap_above(length, MAX_STRING_BYTE_LENGTH / unit, Trap::StringTooLong);
        self.check_aligned(pointer, align, Trap::UnalignedPointer);
        let bytes = self.times(length, unit);
        self.check_bounds(self.src, pointer, bytes, Trap::StringOutOfBounds)?;
        self.pay_bytes(bytes);
        let address = self.address(self.src, pointer).address;
        let text = Text { address, length };
        match (form, self.dst.encoding) {
            (Form::Utf8, StringEncoding::Utf8) => self.same_length(text, 1, 1, Builtin::CopyUtf8),
            (Form::Utf8, StringEncoding::Utf16) => self.utf8_to_utf16(text),
            (Form::Utf16, StringEncoding::Utf8) => {
                self.any_to_utf8(text, 3, Builtin::Utf16Ascii, Builtin::Utf16ToUtf8, 2)
            }
            (Form::Utf16, StringEncoding::Utf16) => {
                self.same_length(text, 2, 2, Builtin::CopyUtf16)
            }
            (Form::Latin1, StringEncoding::Utf8) => {
                self.any_to_utf8(text, 2, Builtin::Latin1Ascii, Builtin::Latin1ToUtf8, 1)
            }
            (Form::Latin1, StringEncoding::Utf16) => {
                self.same_length(text, 2, 2, Builtin::Latin1ToUtf16)
            }
            (Form::Latin1, StringEncoding::CompactUtf16) => {
                self.same_length(text, 1, 2, Builtin::CopyBytes)
            }
            (Form::Utf8, StringEncoding::CompactUtf16) => self.utf8_to_compact(text),
            (Form::Utf16, StringEncoding::CompactUtf16)
                if self.src.encoding == StringEncoding::Utf16 =>
            {
                self.utf16_to_compact(text)
            }
            (Form::Utf16, StringEncoding::CompactUtf16) => self.compact_to_compact(text),
        }
    }

    /// Allocates a block of the destination side for a string, in place of block `old` if there is
    /// one. Returns its pointer and its address.
    fn string_block(
        &mut self,
        old: Option<(Value, Value)>,
        align: u32,
        size: Value,
    ) -> Result<(Value, Value)> {
        let pointer = self.realloc(old, align, size, Trap::ReallocStringOutOfBounds)?;
        Ok((pointer, self.address(self.dst, pointer).address))
    }

    /// Passes a string that has as many code units in the destination (`store_string_copy`).
    fn same_length(
        &mut self,
        text: Text,
        unit: u32,
        align: u32,
        builtin: Builtin,
    ) -> Result<Written> {
        let bytes = self.times(text.length, unit);
        let (pointer, address) = self.string_block(None, align, bytes)?;
        self.call_builtin(builtin, &[address, text.address, text.length]);
        let length = text.length;
        Ok(Written { pointer, length })
    }

    /// Passes a string as `store_utf8_to_utf16` does: in a block for the worst case, which is
    /// shrunk if less is used.
    fn utf8_to_utf16(&mut self, text: Text) -> Result<Written> {
        let worst = self.times(text.length, 2);
        let (pointer, address) = self.string_block(None, 2, worst)?;
        let units = self.transcode(Builtin::Utf8ToUtf16, address, text.address, text.length);
        let bytes = self.times(units, 2);
        let pointer = self.shrink(pointer, worst, bytes, 2)?;
        Ok(Written {
            pointer,
            length: units,
        })
    }

    /// Passes a string as `store_string_to_utf8` does. The first block has room for ASCII only. If
    /// there is more, a block for the worst case follows, with `worst` bytes for each code unit of
    /// the source; it is shrunk if less is used. `unit` is the size of a code unit.
    fn any_to_utf8(
        &mut self,
        text: Text,
        worst: u32,
        ascii: Builtin,
        rest: Builtin,
        unit: u32,
    ) -> Result<Written> {
        let (pointer, address) = self.string_block(None, 1, text.length)?;
        let count = self.transcode(ascii, address, text.address, text.length);
        let all = self.builder.ins().icmp(IntCC::Equal, count, text.length);
        self.unless(
            all,
            Written {
                pointer,
                length: count,
            },
            |emitter| {
                let worst = emitter.times(text.length, worst);
                let (pointer, address) =
                    emitter.string_block(Some((pointer, text.length)), 1, worst)?;
                let address = emitter.builder.ins().iadd(address, count);
                let done = emitter.times(count, unit);
                let src = emitter.builder.ins().iadd(text.address, done);
                let left = emitter.builder.ins().isub(text.length, count);
                let bytes = emitter.transcode(rest, address, src, left);
                let length = emitter.builder.ins().iadd(count, bytes);
                let pointer = emitter.shrink(pointer, worst, length, 1)?;
                Ok(Written { pointer, length })
            },
        )
    }

    /// Passes a string as `store_string_to_latin1_or_utf16` does, from UTF-8.
    fn utf8_to_compact(&mut self, text: Text) -> Result<Written> {
        let (pointer, address) = self.string_block(None, 2, text.length)?;
        let count = self.transcode(Builtin::Utf8ToLatin1, address, text.address, text.length);
        self.if_latin1(
            count,
            |emitter| {
                let pointer = emitter.shrink(pointer, text.length, count, 2)?;
                Ok(Written {
                    pointer,
                    length: count,
                })
            },
            |emitter| {
                let worst = emitter.times(text.length, 2);
                let (pointer, address) =
                    emitter.string_block(Some((pointer, text.length)), 2, worst)?;
                let units =
                    emitter.transcode(Builtin::Utf8ToUtf16, address, text.address, text.length);
                let bytes = emitter.times(units, 2);
                let pointer = emitter.shrink(pointer, worst, bytes, 2)?;
                emitter.with_tag(pointer, units)
            },
        )
    }

    /// Passes a string as `store_string_to_latin1_or_utf16` does, from UTF-16. All of the block is
    /// used in both cases.
    fn utf16_to_compact(&mut self, text: Text) -> Result<Written> {
        let (pointer, address) = self.string_block(None, 2, text.length)?;
        let count = self.transcode(Builtin::Utf16ToLatin1, address, text.address, text.length);
        self.if_latin1(
            count,
            |_| {
                Ok(Written {
                    pointer,
                    length: text.length,
                })
            },
            |emitter| {
                let bytes = emitter.times(text.length, 2);
                let (pointer, address) =
                    emitter.string_block(Some((pointer, text.length)), 2, bytes)?;
                emitter.copy_bytes(address, text.address, bytes);
                emitter.with_tag(pointer, text.length)
            },
        )
    }

    /// Passes a string as `store_probably_utf16_to_latin1_or_utf16` does: the first block has room
    /// for UTF-16.
    fn compact_to_compact(&mut self, text: Text) -> Result<Written> {
        let bytes = self.times(text.length, 2);
        let (pointer, address) = self.string_block(None, 2, bytes)?;
        let count = self.transcode(Builtin::Utf16ToLatin1, address, text.address, text.length);
        self.if_latin1(
            count,
            |emitter| {
                let (pointer, _) = emitter.string_block(Some((pointer, bytes)), 1, text.length)?;
                Ok(Written {
                    pointer,
                    length: text.length,
                })
            },
            |emitter| {
                emitter.copy_bytes(address, text.address, bytes);
                emitter.with_tag(pointer, text.length)
            },
        )
    }

    /// Calls a builtin that returns a length.
    fn transcode(&mut self, builtin: Builtin, dst: Value, src: Value, length: Value) -> Value {
        let length = self.call_builtin(builtin, &[dst, src, length]);
        self.widen(length.expect("transcoders return a length"))
    }

    /// Shrinks a block of `size` bytes to `used` bytes.
    fn shrink(&mut self, pointer: Value, size: Value, used: Value, align: u32) -> Result<Value> {
        let full = self.builder.ins().icmp(IntCC::Equal, size, used);
        let written = Written {
            pointer,
            length: used,
        };
        let shrunk = self.unless(full, written, |emitter| {
            let (pointer, _) = emitter.string_block(Some((pointer, size)), align, used)?;
            Ok(Written {
                pointer,
                length: used,
            })
        })?;
        Ok(shrunk.pointer)
    }

    /// Returns `written` if `condition` holds, and otherwise the result of `other`.
    fn unless(
        &mut self,
        condition: Value,
        written: Written,
        other: impl FnOnce(&mut Self) -> Result<Written>,
    ) -> Result<Written> {
        self.choose(condition, |_| Ok(written), other)
    }

    /// Returns the result of `latin1` if `count`, which a transcoder to Latin-1 returned, is a
    /// length. Otherwise returns the result of `utf16`.
    fn if_latin1(
        &mut self,
        count: Value,
        latin1: impl FnOnce(&mut Self) -> Result<Written>,
        utf16: impl FnOnce(&mut Self) -> Result<Written>,
    ) -> Result<Written> {
        let fits = self
            .builder
            .ins()
            .icmp_imm_u(IntCC::NotEqual, count, i64::from(NOT_LATIN1));
        self.choose(fits, latin1, utf16)
    }

    /// Emits both `yes` and `no`, of which `condition` selects one.
    fn choose(
        &mut self,
        condition: Value,
        yes: impl FnOnce(&mut Self) -> Result<Written>,
        no: impl FnOnce(&mut Self) -> Result<Written>,
    ) -> Result<Written> {
        let (then, other, end) = (self.block(), self.block(), self.block());
        let [pointer, length] = [(); 2].map(|()| self.builder.append_block_param(end, types::I64));
        self.builder.ins().brif(condition, then, [], other, []);
        self.builder.switch_to_block(then);
        let written = yes(self)?;
        self.builder.ins().jump(end, &arguments(written));
        self.builder.switch_to_block(other);
        let written = no(self)?;
        self.builder.ins().jump(end, &arguments(written));
        self.builder.switch_to_block(end);
        Ok(Written { pointer, length })
    }

    /// Returns a UTF-16 string with a tagged length.
    fn with_tag(&mut self, pointer: Value, units: Value) -> Result<Written> {
        let tag = self.tag(self.dst.index64);
        let length = self.builder.ins().bor(units, tag);
        Ok(Written { pointer, length })
    }

    /// Returns the bit that tags a length as one of UTF-16: the highest bit of the index type.
    fn tag(&mut self, index64: bool) -> Value {
        let bit = if index64 { 63 } else { 31 };
        self.iconst(types::I64, 1 << bit)
    }
}

fn arguments(written: Written) -> [BlockArg; 2] {
    [written.pointer.into(), written.length.into()]
}
