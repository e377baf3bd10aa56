//! Encoding of x86-64 instructions (Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volume 2).

/// A general-purpose register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gpr(pub u8);

/// A vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Xmm(pub u8);

pub(super) const RAX: Gpr = Gpr(0);
pub(super) const RCX: Gpr = Gpr(1);
pub(super) const RDX: Gpr = Gpr(2);
pub(super) const RBX: Gpr = Gpr(3);
pub(super) const RSP: Gpr = Gpr(4);
pub(super) const RBP: Gpr = Gpr(5);
pub(super) const RSI: Gpr = Gpr(6);
pub(super) const RDI: Gpr = Gpr(7);
pub(super) const R8: Gpr = Gpr(8);
pub(super) const R9: Gpr = Gpr(9);
pub(super) const R10: Gpr = Gpr(10);

pub(super) const XMM0: Xmm = Xmm(0);
pub(super) const XMM1: Xmm = Xmm(1);

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub base: Gpr,
    pub index: Option<Gpr>,
    pub displacement: i32,
}

impl Memory {
    pub fn at(base: Gpr, displacement: i32) -> Self {
        Self {
            base,
            index: None,
            displacement,
        }
    }
}

/// The operand of an instruction that can be a register or in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A register, of the class that the instruction takes.
    Register(u8),
    Memory(Memory),
    /// The place of a label.
    Label(Label),
    /// A place that a relocation fills in.
    Relocated,
}

impl From<Gpr> for Operand {
    fn from(register: Gpr) -> Self {
        Operand::Register(register.0)
    }
}

impl From<Xmm> for Operand {
    fn from(register: Xmm) -> Self {
        Operand::Register(register.0)
    }
}

impl From<Memory> for Operand {
    fn from(memory: Memory) -> Self {
        Operand::Memory(memory)
    }
}

/// The width of an operation on integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// 32 bits. The result is zero-extended.
    Double,
    /// 64 bits.
    Quad,
}

impl Width {
    pub fn bits(self) -> u8 {
        match self {
            Width::Double => 32,
            Width::Quad => 64,
        }
    }
}

/// The precision of an operation on floats, as the prefix that encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Single = 0xf3,
    Double = 0xf2,
}

/// A condition of the flags, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Overflow = 0,
    NoOverflow = 1,
    Below = 2,
    AboveOrEqual = 3,
    Equal = 4,
    NotEqual = 5,
    BelowOrEqual = 6,
    Above = 7,
    Negative = 8,
    NotNegative = 9,
    Unordered = 10,
    Ordered = 11,
    Less = 12,
    GreaterOrEqual = 13,
    LessOrEqual = 14,
    Greater = 15,
}

impl Flag {
    pub fn inverse(self) -> Flag {
        use Flag::*;
        match self {
            Overflow => NoOverflow,
            NoOverflow => Overflow,
            Below => AboveOrEqual,
            AboveOrEqual => Below,
            Equal => NotEqual,
            NotEqual => Equal,
            BelowOrEqual => Above,
            Above => BelowOrEqual,
            Negative => NotNegative,
            NotNegative => Negative,
            Unordered => Ordered,
            Ordered => Unordered,
            Less => GreaterOrEqual,
            GreaterOrEqual => Less,
            LessOrEqual => Greater,
            Greater => LessOrEqual,
        }
    }
}

/// An operation `a = a op b` on integers, by the number that its encodings have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Compare = 7,
}

/// A shift or rotation, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shift {
    RotateLeft = 0,
    RotateRight = 1,
    Left = 4,
    RightUnsigned = 5,
    RightSigned = 7,
}

/// An operation `a = a op b` on floats, by its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Floating {
    SquareRoot = 0x51,
    Add = 0x58,
    Multiply = 0x59,
    Subtract = 0x5c,
    Minimum = 0x5d,
    Divide = 0x5e,
    Maximum = 0x5f,
}

/// A place in the code that may not be known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

const UNBOUND: u32 = u32::MAX;

/// How a reference to a label is filled in.
#[derive(Clone, Copy)]
enum Reference {
    /// The distance from the end of the field, in 4 bytes.
    Relative,
    /// The distance from another label, in 4 bytes.
    From(Label),
}

#[derive(Default)]
pub(super) struct Assembler {
    pub code: Vec<u8>,
    labels: Vec<u32>,
    references: Vec<(u32, Label, Reference)>,
}

impl Assembler {
    pub fn offset(&self) -> u32 {
        self.code.len() as u32
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Returns the offset of a label, if it is known.
    pub fn place(&self, label: Label) -> Option<u32> {
        let offset = self.labels[label.0 as usize];
        (offset != UNBOUND).then_some(offset)
    }

    /// Sets the place of a label to the current offset.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.offset();
    }

    /// Fills in the references to labels. Returns the code, or `None` if a label has no place.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        for (at, label, reference) in std::mem::take(&mut self.references) {
            let from = match reference {
                Reference::Relative => at + 4,
                Reference::From(base) => self.place(base)?,
            };
            let distance = self.place(label)?.wrapping_sub(from);
            self.code[at as usize..][..4].copy_from_slice(&distance.to_le_bytes());
        }
        Some(self.code)
    }

    fn refer(&mut self, label: Label, reference: Reference) {
        self.references.push((self.offset(), label, reference));
        self.code.extend_from_slice(&[0; 4]);
    }

    /// Emits an instruction: `prefix` (0 for none), REX, `opcode`, and its operands. `bytes` tells
    /// whether registers are bytes. A constant may follow, but not if the operand is a label.
    fn instruction(
        &mut self,
        prefix: u8,
        width: Width,
        opcode: &[u8],
        register: u8,
        operand: Operand,
        bytes: bool,
    ) {
        if prefix != 0 {
            self.code.push(prefix);
        }
        let high = |register: u8| register >> 3;
        let (base, index) = match operand {
            Operand::Register(register) => (register, 0),
            Operand::Memory(at) => (at.base.0, at.index.map_or(0, |index| index.0)),
            Operand::Label(_) | Operand::Relocated => (0, 0),
        };
        let wide = u8::from(width == Width::Quad);
        let rex = wide << 3 | high(register) << 2 | high(index) << 1 | high(base);
        // Without the prefix, the numbers 4 to 7 mean the second bytes of registers.
        let is_byte = |register: u8| bytes && (4..8).contains(&register);
        let needs_rex = is_byte(register)
            || matches!(operand, Operand::Register(register) if is_byte(register));
        if rex != 0 || needs_rex {
            self.code.push(0x40 | rex);
        }
        self.code.extend_from_slice(opcode);
        let register = (register & 7) << 3;
        match operand {
            Operand::Register(other) => self.code.push(0xc0 | register | (other & 7)),
            Operand::Label(label) => {
                self.code.push(register | 5);
                // The distance is from the end of the instruction.
                self.refer(label, Reference::Relative);
            }
            Operand::Relocated => {
                self.code.push(register | 5);
                self.code.extend_from_slice(&[0; 4]);
            }
            Operand::Memory(at) => self.memory(register, at),
        }
    }

    fn memory(&mut self, register: u8, at: Memory) {
        let short = i8::try_from(at.displacement);
        // With the numbers of RBP and R13, a displacement of no bytes means something else.
        let (mode, size) = match short {
            Ok(0) if at.base.0 & 7 != 5 => (0x00, 0),
            Ok(_) => (0x40, 1),
            Err(_) => (0x80, 4),
        };
        match at.index {
            None if at.base.0 & 7 != 4 => self.code.push(mode | register | (at.base.0 & 7)),
            None => self.code.extend_from_slice(&[mode | register | 4, 0x24]),
            Some(index) => {
                debug_assert_ne!(index, RSP);
                let places = (index.0 & 7) << 3 | (at.base.0 & 7);
                self.code.extend_from_slice(&[mode | register | 4, places]);
            }
        }
        let bytes = at.displacement.to_le_bytes();
        self.code.extend_from_slice(&bytes[..size]);
    }

    fn plain(&mut self, width: Width, opcode: &[u8], register: u8, operand: impl Into<Operand>) {
        self.instruction(0, width, opcode, register, operand.into(), false);
    }

    pub fn load(&mut self, width: Width, to: Gpr, from: impl Into<Operand>) {
        self.plain(width, &[0x8b], to.0, from);
    }

    pub fn store(&mut self, width: Width, to: impl Into<Operand>, from: Gpr) {
        self.plain(width, &[0x89], from.0, to);
    }

    /// Stores the low 8 or 16 bits of a register.
    pub fn store_narrow(&mut self, bits: u8, to: Memory, from: Gpr) {
        let (prefix, opcode) = match bits {
            8 => (0, 0x88),
            _ => (0x66, 0x89),
        };
        self.instruction(
            prefix,
            Width::Double,
            &[opcode],
            from.0,
            to.into(),
            bits == 8,
        );
    }

    /// Stores a constant, which is sign-extended.
    pub fn store_constant(&mut self, width: Width, to: Memory, value: i32) {
        self.instruction(0, width, &[0xc7], 0, to.into(), false);
        self.code.extend_from_slice(&value.to_le_bytes());
    }

    pub fn set_constant(&mut self, to: Gpr, value: u64) {
        if let Ok(low) = u32::try_from(value) {
            // This zero-extends.
            if to.0 >= 8 {
                self.code.push(0x41);
            }
            self.code.push(0xb8 | (to.0 & 7));
            self.code.extend_from_slice(&low.to_le_bytes());
        } else if let Ok(low) = i32::try_from(value as i64) {
            self.plain(Width::Quad, &[0xc7], 0, to);
            self.code.extend_from_slice(&low.to_le_bytes());
        } else {
            self.set_wide_constant(to, value);
        }
    }

    /// Sets a register by an instruction whose last 8 bytes are the value.
    pub fn set_wide_constant(&mut self, to: Gpr, value: u64) {
        self.code.push(0x48 | (to.0 >> 3));
        self.code.push(0xb8 | (to.0 & 7));
        self.code.extend_from_slice(&value.to_le_bytes());
    }

    /// Zero-extends 8 or 16 bits.
    pub fn zero_extend(&mut self, bits: u8, to: Gpr, from: impl Into<Operand>) {
        let opcode = [0x0f, if bits == 8 { 0xb6 } else { 0xb7 }];
        self.instruction(0, Width::Double, &opcode, to.0, from.into(), bits == 8);
    }

    /// Sign-extends 8, 16 or 32 bits to `width`.
    pub fn sign_extend(&mut self, bits: u8, width: Width, to: Gpr, from: impl Into<Operand>) {
        let opcode: &[u8] = match bits {
            8 => &[0x0f, 0xbe],
            16 => &[0x0f, 0xbf],
            _ => &[0x63],
        };
        self.instruction(0, width, opcode, to.0, from.into(), bits == 8);
    }

    pub fn address(&mut self, to: Gpr, of: impl Into<Operand>) {
        self.plain(Width::Quad, &[0x8d], to.0, of);
    }

    pub fn arithmetic(&mut self, op: Arithmetic, width: Width, to: Gpr, by: impl Into<Operand>) {
        self.plain(width, &[(op as u8) << 3 | 3], to.0, by);
    }

    pub fn arithmetic_constant(
        &mut self,
        op: Arithmetic,
        width: Width,
        to: impl Into<Operand>,
        by: i32,
    ) {
        let short = i8::try_from(by);
        let (opcode, size) = match short {
            Ok(_) => (0x83, 1),
            Err(_) => (0x81, 4),
        };
        self.instruction(0, width, &[opcode], op as u8, to.into(), false);
        self.code.extend_from_slice(&by.to_le_bytes()[..size]);
    }

    pub fn test(&mut self, width: Width, a: Gpr, b: Gpr) {
        self.plain(width, &[0x85], a.0, b);
    }

    pub fn multiply(&mut self, width: Width, to: Gpr, by: impl Into<Operand>) {
        self.plain(width, &[0x0f, 0xaf], to.0, by);
    }

    pub fn multiply_constant(&mut self, width: Width, to: Gpr, from: impl Into<Operand>, by: i32) {
        let short = i8::try_from(by);
        let (opcode, size) = match short {
            Ok(_) => (0x6b, 1),
            Err(_) => (0x69, 4),
        };
        self.instruction(0, width, &[opcode], to.0, from.into(), false);
        self.code.extend_from_slice(&by.to_le_bytes()[..size]);
    }

    pub fn shift(&mut self, op: Shift, width: Width, to: Gpr, by: u8) {
        self.instruction(0, width, &[0xc1], op as u8, to.into(), false);
        self.code.push(by);
    }

    /// Shifts by the count in `CL`.
    pub fn shift_by_cl(&mut self, op: Shift, width: Width, to: Gpr) {
        self.plain(width, &[0xd3], op as u8, to);
    }

    /// Divides `RDX:RAX`. The quotient is in `RAX`, the remainder in `RDX`.
    pub fn divide(&mut self, signed: bool, width: Width, by: Gpr) {
        self.plain(width, &[0xf7], 6 | u8::from(signed), by);
    }

    /// Sets `RDX` to the sign of `RAX`.
    pub fn extend_dividend(&mut self, width: Width) {
        if width == Width::Quad {
            self.code.push(0x48);
        }
        self.code.push(0x99);
    }

    pub fn negate(&mut self, width: Width, register: Gpr) {
        self.plain(width, &[0xf7], 3, register);
    }

    pub fn invert(&mut self, width: Width, register: Gpr) {
        self.plain(width, &[0xf7], 2, register);
    }

    /// Finds the lowest bit that is set, or sets the flag of equality if there is none.
    pub fn lowest_bit(&mut self, width: Width, to: Gpr, from: impl Into<Operand>) {
        self.plain(width, &[0x0f, 0xbc], to.0, from);
    }

    /// Finds the highest bit that is set, or sets the flag of equality if there is none.
    pub fn highest_bit(&mut self, width: Width, to: Gpr, from: impl Into<Operand>) {
        self.plain(width, &[0x0f, 0xbd], to.0, from);
    }

    pub fn count_bits(&mut self, width: Width, to: Gpr, from: impl Into<Operand>) {
        self.instruction(0xf3, width, &[0x0f, 0xb8], to.0, from.into(), false);
    }

    /// Clears bit `bit`.
    pub fn clear_bit(&mut self, width: Width, register: Gpr, bit: u8) {
        self.instruction(0, width, &[0x0f, 0xba], 6, register.into(), false);
        self.code.push(bit);
    }

    /// Inverts bit `bit`.
    pub fn invert_bit(&mut self, width: Width, register: Gpr, bit: u8) {
        self.instruction(0, width, &[0x0f, 0xba], 7, register.into(), false);
        self.code.push(bit);
    }

    /// Sets the low byte of a register to a truth value.
    pub fn set_flag(&mut self, flag: Flag, to: Gpr) {
        let opcode = [0x0f, 0x90 | flag as u8];
        self.instruction(0, Width::Double, &opcode, 0, to.into(), true);
    }

    pub fn move_if(&mut self, flag: Flag, to: Gpr, from: impl Into<Operand>) {
        self.plain(Width::Quad, &[0x0f, 0x40 | flag as u8], to.0, from);
    }

    pub fn jump(&mut self, to: Label) {
        self.code.push(0xe9);
        self.refer(to, Reference::Relative);
    }

    pub fn jump_if(&mut self, flag: Flag, to: Label) {
        self.code.extend_from_slice(&[0x0f, 0x80 | flag as u8]);
        self.refer(to, Reference::Relative);
    }

    pub fn jump_to(&mut self, address: Gpr) {
        self.plain(Width::Double, &[0xff], 4, address);
    }

    /// Emits an entry of a table of distances from `base`.
    pub fn distance(&mut self, to: Label, base: Label) {
        self.refer(to, Reference::From(base));
    }

    /// Emits a call whose last 4 bytes a relocation fills in.
    pub fn call(&mut self) {
        self.code.extend_from_slice(&[0xe8, 0, 0, 0, 0]);
    }

    /// Emits a jump whose last 4 bytes a relocation fills in.
    pub fn jump_outside(&mut self) {
        self.code.extend_from_slice(&[0xe9, 0, 0, 0, 0]);
    }

    pub fn call_to(&mut self, address: Gpr) {
        self.plain(Width::Double, &[0xff], 2, address);
    }

    pub fn push(&mut self, register: Gpr) {
        debug_assert!(register.0 < 8);
        self.code.push(0x50 | register.0);
    }

    pub fn pop(&mut self, register: Gpr) {
        debug_assert!(register.0 < 8);
        self.code.push(0x58 | register.0);
    }

    /// Returns, and removes `bytes` bytes of arguments.
    pub fn return_(&mut self, bytes: u16) {
        match bytes {
            0 => self.code.push(0xc3),
            bytes => {
                self.code.push(0xc2);
                self.code.extend_from_slice(&bytes.to_le_bytes());
            }
        }
    }

    /// Emits the instruction of traps, which is privileged.
    pub fn halt(&mut self) {
        self.code.push(0xf4);
    }

    fn float(
        &mut self,
        prefix: u8,
        opcode: u8,
        width: Width,
        register: u8,
        operand: impl Into<Operand>,
    ) {
        self.instruction(
            prefix,
            width,
            &[0x0f, opcode],
            register,
            operand.into(),
            false,
        );
    }

    pub fn load_float(&mut self, precision: Precision, to: Xmm, from: Memory) {
        self.float(precision as u8, 0x10, Width::Double, to.0, from);
    }

    pub fn store_float(&mut self, precision: Precision, to: Memory, from: Xmm) {
        self.float(precision as u8, 0x11, Width::Double, from.0, to);
    }

    pub fn move_float(&mut self, to: Xmm, from: Xmm) {
        self.float(0, 0x28, Width::Double, to.0, from);
    }

    pub fn floating(
        &mut self,
        op: Floating,
        precision: Precision,
        to: Xmm,
        by: impl Into<Operand>,
    ) {
        self.float(precision as u8, op as u8, Width::Double, to.0, by);
    }

    /// Compares two floats. The flags are those of unsigned integers, or unordered.
    pub fn compare_floats(&mut self, precision: Precision, a: Xmm, b: impl Into<Operand>) {
        let prefix = match precision {
            Precision::Single => 0,
            Precision::Double => 0x66,
        };
        self.float(prefix, 0x2e, Width::Double, a.0, b);
    }

    pub fn and_floats(&mut self, to: Xmm, by: Xmm) {
        self.float(0, 0x54, Width::Double, to.0, by);
    }

    pub fn or_floats(&mut self, to: Xmm, by: Xmm) {
        self.float(0, 0x56, Width::Double, to.0, by);
    }

    pub fn zero_float(&mut self, register: Xmm) {
        self.float(0, 0x57, Width::Double, register.0, register);
    }

    /// Moves bits from a general-purpose register.
    pub fn bits_to_float(&mut self, width: Width, to: Xmm, from: impl Into<Operand>) {
        self.float(0x66, 0x6e, width, to.0, from);
    }

    /// Moves bits to a general-purpose register.
    pub fn float_to_bits(&mut self, width: Width, to: impl Into<Operand>, from: Xmm) {
        self.float(0x66, 0x7e, width, from.0, to);
    }

    /// Converts a signed integer.
    pub fn integer_to_float(
        &mut self,
        precision: Precision,
        width: Width,
        to: Xmm,
        from: impl Into<Operand>,
    ) {
        self.float(precision as u8, 0x2a, width, to.0, from);
    }

    /// Truncates to a signed integer, or to the least one if it does not fit.
    pub fn float_to_integer(&mut self, precision: Precision, width: Width, to: Gpr, from: Xmm) {
        self.float(precision as u8, 0x2c, width, to.0, from);
    }

    /// Converts a float of the given precision to the other one.
    pub fn convert_float(&mut self, from: Precision, to: Xmm, value: impl Into<Operand>) {
        self.float(from as u8, 0x5a, Width::Double, to.0, value);
    }

    /// Rounds in the direction `mode`.
    pub fn round(&mut self, precision: Precision, to: Xmm, from: impl Into<Operand>, mode: u8) {
        let opcode = match precision {
            Precision::Single => 0x0a,
            Precision::Double => 0x0b,
        };
        self.instruction(
            0x66,
            Width::Double,
            &[0x0f, 0x3a, opcode],
            to.0,
            from.into(),
            false,
        );
        self.code.push(mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R12: Gpr = Gpr(12);
    const R13: Gpr = Gpr(13);
    const XMM9: Xmm = Xmm(9);

    /// Returns the bytes that `emit` emits, in hexadecimal.
    fn bytes(emit: impl FnOnce(&mut Assembler)) -> String {
        let mut assembler = Assembler::default();
        emit(&mut assembler);
        let code = assembler.finish().unwrap();
        code.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn indexed(base: Gpr, index: Gpr, displacement: i32) -> Memory {
        Memory {
            base,
            index: Some(index),
            displacement,
        }
    }

    // The expectations are those of GNU as.
    #[test]
    fn places_in_memory_are_encoded() {
        use Width::Quad;
        let cases = [
            (Memory::at(RAX, 0), "488b08"),
            (Memory::at(RBP, 0), "488b4d00"),
            (Memory::at(RSP, 8), "488b4c2408"),
            (Memory::at(R12, 0), "498b0c24"),
            (Memory::at(R13, 0), "498b4d00"),
            (Memory::at(R13, -129), "498b8d7fffffff"),
            (indexed(RAX, R12, 127), "4a8b4c207f"),
            (indexed(R13, RDX, 0), "498b4c1500"),
            (indexed(RBP, R8, 0x1234_5678), "4a8b8c0578563412"),
        ];
        for (place, expected) in cases {
            assert_eq!(bytes(|to| to.load(Quad, RCX, place)), expected, "{place:?}");
        }
    }

    #[test]
    fn instructions_are_encoded() {
        use Precision::{Double as D, Single as S};
        use Width::{Double, Quad};
        let at = Memory::at(RBP, -16);
        type Emit<'a> = &'a dyn Fn(&mut Assembler);
        let cases: [(Emit<'_>, &str); 52] = [
            (&|to| to.store(Double, at, R9), "44894df0"),
            (&|to| to.store_narrow(8, at, RSI), "408875f0"),
            (&|to| to.store_narrow(8, at, RCX), "884df0"),
            (&|to| to.store_narrow(16, at, R8), "66448945f0"),
            (&|to| to.store_constant(Quad, at, -1), "48c745f0ffffffff"),
            (&|to| to.set_constant(RAX, 0), "b800000000"),
            (&|to| to.set_constant(R9, 0xffff_ffff), "41b9ffffffff"),
            (&|to| to.set_constant(R12, u64::MAX), "49c7c4ffffffff"),
            (&|to| to.set_constant(RCX, 1 << 32), "48b90000000001000000"),
            (&|to| to.zero_extend(8, RAX, RSI), "400fb6c6"),
            (&|to| to.zero_extend(16, R8, at), "440fb745f0"),
            (&|to| to.sign_extend(8, Quad, RAX, R9), "490fbec1"),
            (&|to| to.sign_extend(16, Double, RAX, at), "0fbf45f0"),
            (&|to| to.sign_extend(32, Quad, R12, RAX), "4c63e0"),
            (&|to| to.address(RAX, at), "488d45f0"),
            (
                &|to| to.arithmetic(Arithmetic::Add, Double, R8, RCX),
                "4403c1",
            ),
            (
                &|to| to.arithmetic(Arithmetic::Compare, Quad, RAX, at),
                "483b45f0",
            ),
            (
                &|to| to.arithmetic_constant(Arithmetic::Sub, Quad, RSP, 200),
                "4881ecc8000000",
            ),
            (
                &|to| to.arithmetic_constant(Arithmetic::And, Double, at, 7),
                "8365f007",
            ),
            (&|to| to.test(Double, R8, R8), "4585c0"),
            (&|to| to.multiply(Quad, R9, RAX), "4c0fafc8"),
            (&|to| to.multiply_constant(Double, RAX, R9, 10), "416bc10a"),
            (
                &|to| to.shift(Shift::RightSigned, Double, R10, 3),
                "41c1fa03",
            ),
            (&|to| to.shift_by_cl(Shift::RotateLeft, Quad, RAX), "48d3c0"),
            (&|to| to.divide(true, Double, RCX), "f7f9"),
            (&|to| to.divide(false, Quad, RCX), "48f7f1"),
            (&|to| to.extend_dividend(Quad), "4899"),
            (&|to| to.negate(Double, R8), "41f7d8"),
            (&|to| to.invert(Quad, RAX), "48f7d0"),
            (&|to| to.lowest_bit(Double, RAX, RCX), "0fbcc1"),
            (&|to| to.highest_bit(Quad, RAX, R8), "490fbdc0"),
            (&|to| to.count_bits(Quad, R9, RAX), "f34c0fb8c8"),
            (&|to| to.clear_bit(Double, RAX, 31), "0fbaf01f"),
            (&|to| to.invert_bit(Quad, RAX, 63), "480fbaf83f"),
            (&|to| to.set_flag(Flag::Below, RSI), "400f92c6"),
            (&|to| to.move_if(Flag::Greater, RAX, at), "480f4f45f0"),
            (&|to| to.jump_to(R9), "41ffe1"),
            (&|to| to.call_to(RAX), "ffd0"),
            (&|to| to.push(RBP), "55"),
            (&|to| to.return_(16), "c21000"),
            (&|to| to.load_float(S, XMM9, at), "f3440f104df0"),
            (&|to| to.store_float(D, at, XMM9), "f2440f114df0"),
            (&|to| to.move_float(XMM0, XMM9), "410f28c1"),
            (
                &|to| to.floating(Floating::Divide, D, XMM9, XMM1),
                "f2440f5ec9",
            ),
            (&|to| to.compare_floats(S, XMM0, XMM9), "410f2ec1"),
            (&|to| to.compare_floats(D, XMM0, XMM1), "660f2ec1"),
            (&|to| to.bits_to_float(Quad, XMM9, RAX), "664c0f6ec8"),
            (&|to| to.float_to_bits(Double, RAX, XMM9), "66440f7ec8"),
            (&|to| to.integer_to_float(D, Quad, XMM0, R8), "f2490f2ac0"),
            (&|to| to.float_to_integer(S, Quad, RAX, XMM9), "f3490f2cc1"),
            (&|to| to.convert_float(S, XMM0, XMM9), "f3410f5ac1"),
            (&|to| to.round(D, XMM0, XMM9, 9), "66410f3a0bc109"),
        ];
        for (number, (emit, expected)) in cases.iter().enumerate() {
            assert_eq!(bytes(emit), *expected, "case {number}");
        }
    }

    #[test]
    fn labels_are_distances() {
        let code = bytes(|to| {
            let [start, end] = [to.label(), to.label()];
            to.bind(start);
            to.jump_if(Flag::Equal, end);
            to.jump(start);
            to.bind(end);
            to.address(RAX, Operand::Label(start));
            to.distance(end, start);
        });
        assert_eq!(code, "0f8405000000e9f5ffffff488d05eeffffff0b000000");
        let mut assembler = Assembler::default();
        let nowhere = assembler.label();
        assembler.jump(nowhere);
        assert_eq!(assembler.finish(), None);
    }
}
