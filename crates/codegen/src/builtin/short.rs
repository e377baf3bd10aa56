//! Copies and fills of a few bytes, done in machine code before the builtins for any number are
//! called. Most strings are short, and leaving machine code costs more than copying them.
//!
//! Both ends are read and written as one or more words each. The words overlap if there are fewer
//! bytes than all of them have.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::Builtin;

/// Flags of accesses to checked places, at any alignment.
const ACCESS: MemFlagsData = MemFlagsData::new().with_notrap();
/// The largest number of bytes that is copied here: four vectors.
const LONGEST: i64 = 64;
/// The largest number of bytes that is filled here: eight vectors.
const LONGEST_FILL: i64 = 128;

/// Emits the short path of a builtin's trampoline. The trampoline continues in the block that is
/// current afterwards. Builtins without a short path are left alone.
pub(crate) fn emit(builder: &mut FunctionBuilder<'_>, builtin: Builtin, parameters: &[Value]) {
    match (builtin, parameters) {
        (Builtin::CopyBytes, &[dst, src, len]) => copy(builder, dst, src, len, false),
        // ASCII is valid. The builtin checks everything else.
        (Builtin::CopyUtf8, &[dst, src, len]) => copy(builder, dst, src, len, true),
        (Builtin::FillBytes, &[dst, low, high, len]) => fill(builder, dst, [low, high], len),
        _ => {}
    }
}

/// Emits the short path of a copy. Everything is read before anything is written, so the places may
/// overlap.
fn copy(builder: &mut FunctionBuilder<'_>, dst: Value, src: Value, len: Value, ascii_only: bool) {
    let slow = builder.create_block();
    let short = ShortCopy {
        dst,
        src,
        len,
        ascii_only,
        slow,
    };
    builder.set_cold_block(slow);

    let vectors = above(builder, len, 16);
    if_then(builder, vectors, |builder| {
        let long = above(builder, len, LONGEST);
        if_then(builder, long, |builder| _ = builder.ins().jump(slow, []));
        let pairs = above(builder, len, LONGEST / 2);
        if_then(builder, pairs, |builder| {
            short.ends(builder, types::I8X16, 2)
        });
        short.ends(builder, types::I8X16, 1);
    });
    for ty in [types::I64, types::I32] {
        let fits = above(builder, len, i64::from(ty.bytes()) - 1);
        if_then(builder, fits, |builder| short.ends(builder, ty, 1));
    }
    let some = above(builder, len, 0);
    if_then(builder, some, |builder| short.bytes(builder));
    builder.ins().return_(&[]);
    builder.switch_to_block(slow);
}

/// Emits the short path of a fill. The length is a multiple of the pattern that repeats, so words
/// at the end have the right bytes of the pattern.
fn fill(builder: &mut FunctionBuilder<'_>, dst: Value, [low, high]: [Value; 2], len: Value) {
    let slow = builder.create_block();
    builder.set_cold_block(slow);
    let end = builder.ins().iadd(dst, len);
    // Stores up to `words` words from each end.
    let ends = |builder: &mut FunctionBuilder<'_>, [first, last]: [Value; 2], words: i32| {
        let size = builder.func.dfg.value_type(first).bytes() as i32;
        for word in 0..words {
            builder.ins().store(ACCESS, first, dst, word * size);
            builder.ins().store(ACCESS, last, end, (-1 - word) * size);
        }
        builder.ins().return_(&[]);
    };

    let vectors = above(builder, len, 16);
    if_then(builder, vectors, |builder| {
        let long = above(builder, len, LONGEST_FILL);
        if_then(builder, long, |builder| _ = builder.ins().jump(slow, []));
        let vector = builder.ins().scalar_to_vector(types::I64X2, low);
        let vector = builder.ins().insertlane(vector, high, 1);
        for words in [4, 2] {
            let more = above(builder, len, LONGEST_FILL / 8 * words);
            if_then(builder, more, |builder| {
                ends(builder, [vector; 2], words as i32)
            });
        }
        ends(builder, [vector; 2], 1);
    });
    let fits = above(builder, len, 7);
    if_then(builder, fits, |builder| ends(builder, [low, high], 1));
    for ty in [types::I32, types::I16] {
        let fits = above(builder, len, i64::from(ty.bytes()) - 1);
        if_then(builder, fits, |builder| {
            let word = builder.ins().ireduce(ty, low);
            ends(builder, [word; 2], 1);
        });
    }
    let some = above(builder, len, 0);
    if_then(builder, some, |builder| {
        builder.ins().istore8(ACCESS, low, dst, 0);
        builder.ins().return_(&[]);
    });
    builder.ins().return_(&[]);
    builder.switch_to_block(slow);
}

/// Returns whether `len` is greater than `limit`.
fn above(builder: &mut FunctionBuilder<'_>, len: Value, limit: i64) -> Value {
    builder
        .ins()
        .icmp_imm_u(IntCC::UnsignedGreaterThan, len, limit)
}

/// Emits `body`, which ends its block, for when `condition` holds. Continues with the block for
/// when it does not.
fn if_then(
    builder: &mut FunctionBuilder<'_>,
    condition: Value,
    body: impl FnOnce(&mut FunctionBuilder<'_>),
) {
    let (then, rest) = (builder.create_block(), builder.create_block());
    builder.ins().brif(condition, then, [], rest, []);
    builder.switch_to_block(then);
    body(builder);
    builder.switch_to_block(rest);
}

struct ShortCopy {
    dst: Value,
    src: Value,
    len: Value,
    ascii_only: bool,
    slow: Block,
}

impl ShortCopy {
    /// Copies between `words` and twice `words` words of type `ty`.
    fn ends(&self, builder: &mut FunctionBuilder<'_>, ty: Type, words: i32) {
        let size = ty.bytes() as i32;
        let src_end = builder.ins().iadd(self.src, self.len);
        let dst_end = builder.ins().iadd(self.dst, self.len);
        let from_start = (0..words).map(|word| (self.src, self.dst, word * size));
        let from_end = (-words..0).map(|word| (src_end, dst_end, word * size));
        let loaded: Vec<_> = from_start
            .chain(from_end)
            .map(|(src, dst, offset)| (builder.ins().load(ty, ACCESS, src, offset), dst, offset))
            .collect();
        let any = loaded
            .iter()
            .map(|&(value, ..)| value)
            .reduce(|any, value| builder.ins().bor(any, value));
        if let Some(any) = any {
            self.check(builder, any);
        }
        for (value, dst, offset) in loaded {
            builder.ins().store(ACCESS, value, dst, offset);
        }
        builder.ins().return_(&[]);
    }

    /// Copies one to three bytes: the first, the middle and the last one.
    fn bytes(&self, builder: &mut FunctionBuilder<'_>) {
        let middle = builder.ins().ushr_imm_u(self.len, 1);
        let last = builder.ins().iadd_imm_s(self.len, -1);
        let offsets = [None, Some(middle), Some(last)];
        let place =
            |builder: &mut FunctionBuilder<'_>, base: Value, offset: Option<Value>| match offset {
                Some(offset) => builder.ins().iadd(base, offset),
                None => base,
            };
        let loaded = offsets.map(|offset| {
            let address = place(builder, self.src, offset);
            builder.ins().uload8(types::I32, ACCESS, address, 0)
        });
        let any = builder.ins().bor(loaded[0], loaded[1]);
        let any = builder.ins().bor(any, loaded[2]);
        self.check(builder, any);
        for (offset, byte) in offsets.into_iter().zip(loaded) {
            let address = place(builder, self.dst, offset);
            builder.ins().istore8(ACCESS, byte, address, 0);
        }
        builder.ins().return_(&[]);
    }

    /// Leaves for the builtin if all bytes must be ASCII and a byte of `any`, the union of their
    /// bits, is not.
    fn check(&self, builder: &mut FunctionBuilder<'_>, any: Value) {
        if !self.ascii_only {
            return;
        }
        let high = match builder.func.dfg.value_type(any) {
            types::I8X16 => builder.ins().vhigh_bits(types::I32, any),
            ty => {
                let bits = 0x8080_8080_8080_8080u64 >> (64 - ty.bits());
                let bits = builder.ins().iconst(ty, bits as i64);
                builder.ins().band(any, bits)
            }
        };
        let good = builder.create_block();
        builder.ins().brif(high, self.slow, [], good, []);
        builder.switch_to_block(good);
    }
}
