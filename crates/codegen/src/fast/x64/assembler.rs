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
    /// What a label stands at.
    Label(Label),
    /// What a relocation fills in.
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

    /// Lets a label stand for the current place.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.offset();
    }

    /// Fills in the references to labels. Returns the code, or `None` if a label has no place.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        for (at, label, reference) in self.references {
            let place = |label: Label| {
                let offset = self.labels[label.0 as usize];
                (offset != UNBOUND).then_some(offset)
            };
            let from = match reference {
                Reference::Relative => at + 4,
                Reference::From(base) => place(base)?,
            };
            let distance = place(label)?.wrapping_sub(from);
            self.code[at as usize..][..4].copy_from_slice(&distance.to_le_bytes());
        }
        Some(self.code)
    }

    fn refer(&mut self, label: Label, reference: Reference) {
        self.references.push((self.offset(), label, reference));
        self.code.extend_from_slice(&[0; 4]);
    }

    /// Emits an instruction: `prefix` (0 for none), REX, `opcode`, and its operands. `immediate` is
    /// the number of bytes that follow.
    fn instruction(
        &mut self,
        prefix: u8,
        width: Width,
        opcode: &[u8],
        register: u8,
        operand: Operand,
        bytes: bool,
        immediate: u32,
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
                debug_assert_eq!(immediate, 0);
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
        self.instruction(0, width, opcode, register, operand.into(), false, 0);
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
            0,
        );
    }

    /// Stores a constant, which is sign-extended.
    pub fn store_constant(&mut self, width: Width, to: Memory, value: i32) {
        self.instruction(0, width, &[0xc7], 0, to.into(), false, 4);
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
        self.instruction(0, Width::Double, &opcode, to.0, from.into(), bits == 8, 0);
    }

    /// Sign-extends 8, 16 or 32 bits to `width`.
    pub fn sign_extend(&mut self, bits: u8, width: Width, to: Gpr, from: impl Into<Operand>) {
        let opcode: &[u8] = match bits {
            8 => &[0x0f, 0xbe],
            16 => &[0x0f, 0xbf],
            _ => &[0x63],
        };
        self.instruction(0, width, opcode, to.0, from.into(), bits == 8, 0);
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
        self.instruction(0, width, &[opcode], op as u8, to.into(), false, size as u32);
        self.code.extend_from_slice(&by.to_le_bytes()[..size]);
    }

    pub fn test(&mut self, width: Width, a: Gpr, b: Gpr) {
        self.plain(width, &[0x85], a.0, b);
    }

    pub fn multiply(&mut self, width: Width, to: Gpr, by: impl Into<Operand>) {
        self.plain(width, &[0x0f, 0xaf], to.0, by);
    }

    pub fn multiply_constant(&mut self, width: Width, to: Gpr, from: impl Into<Operand>, by: i32) {
        self.instruction(0, width, &[0x69], to.0, from.into(), false, 4);
        self.code.extend_from_slice(&by.to_le_bytes());
    }

    pub fn shift(&mut self, op: Shift, width: Width, to: Gpr, by: u8) {
        self.instruction(0, width, &[0xc1], op as u8, to.into(), false, 1);
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
        self.instruction(0xf3, width, &[0x0f, 0xb8], to.0, from.into(), false, 0);
    }

    /// Clears bit `bit`.
    pub fn clear_bit(&mut self, width: Width, register: Gpr, bit: u8) {
        self.instruction(0, width, &[0x0f, 0xba], 6, register.into(), false, 1);
        self.code.push(bit);
    }

    /// Inverts bit `bit`.
    pub fn invert_bit(&mut self, width: Width, register: Gpr, bit: u8) {
        self.instruction(0, width, &[0x0f, 0xba], 7, register.into(), false, 1);
        self.code.push(bit);
    }

    /// Sets the low byte of a register to a truth value.
    pub fn set_flag(&mut self, flag: Flag, to: Gpr) {
        let opcode = [0x0f, 0x90 | flag as u8];
        self.instruction(0, Width::Double, &opcode, 0, to.into(), true, 0);
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
            0,
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
            1,
        );
        self.code.push(mode);
    }
}
