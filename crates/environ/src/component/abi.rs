//! Canonical ABI arithmetic (CanonicalABI.md, "Alignment", "Element Size", "Flattening"), shared by
//! adapters, dynamic values and typed values.

use super::types::{ComponentTypes, FuncType, InterfaceType};
use crate::{Signature, ValType};
use serde::{Deserialize, Serialize};

/// The maximum number of flat parameters (`MAX_FLAT_PARAMS`).
pub const MAX_FLAT_PARAMS: usize = 16;
/// The maximum number of flat parameters of an asynchronous lower (`MAX_FLAT_ASYNC_PARAMS`).
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
/// The maximum number of flat results (`MAX_FLAT_RESULTS`).
pub const MAX_FLAT_RESULTS: usize = 1;
/// The maximum length of a string in bytes (`MAX_STRING_BYTE_LENGTH`).
pub const MAX_STRING_BYTE_LENGTH: u32 = (1 << 28) - 1;
/// The maximum length of a list in bytes (`MAX_LIST_BYTE_LENGTH`).
pub const MAX_LIST_BYTE_LENGTH: u32 = (1 << 28) - 1;
/// The bit of a `latin1+utf16` string's length that is set if the string is UTF-16.
pub const UTF16_TAG: u32 = 1 << 31;

/// Rounds `offset` up to a multiple of `align`, a power of two. Saturates.
pub const fn align_to(offset: u32, align: u32) -> u32 {
    offset.saturating_add(align - 1) & !(align - 1)
}

/// Returns the size in bytes of the discriminant of a variant with `cases` cases: 1, 2 or 4.
pub const fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Returns the number of 32-bit words of `count` flags: as flat values, and in memory if there are
/// more than 16.
pub const fn flags_words(count: usize) -> u32 {
    count.div_ceil(32) as u32
}

/// Size, alignment and number of flat values of a type, for 32-bit and 64-bit memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanonicalAbi {
    /// Bytes in a 32-bit memory. Saturates at `u32::MAX`.
    pub size32: u32,
    /// Alignment in a 32-bit memory.
    pub align32: u32,
    /// Bytes in a 64-bit memory. Saturates at `u32::MAX`.
    pub size64: u32,
    /// Alignment in a 64-bit memory.
    pub align64: u32,
    /// Number of flat values, or `None` for more than [`MAX_FLAT_PARAMS`].
    pub flat_count: Option<u8>,
}

impl CanonicalAbi {
    /// Returns the ABI of a scalar of `size` bytes.
    pub const fn scalar(size: u32) -> Self {
        Self {
            size32: size,
            align32: size,
            size64: size,
            align64: size,
            flat_count: Some(1),
        }
    }

    /// The ABI of a pointer and a length.
    pub const POINTER_PAIR: Self = Self {
        size32: 8,
        align32: 4,
        size64: 16,
        align64: 8,
        flat_count: Some(2),
    };

    /// Returns the ABI of `count` flags.
    pub const fn flags(count: usize) -> Self {
        let size = match count {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4 * flags_words(count),
        };
        let align = if size > 4 { 4 } else { size };
        let flat_count = match flags_words(count) as usize {
            0 => Some(1),
            words if words <= MAX_FLAT_PARAMS => Some(words as u8),
            _ => None,
        };
        Self {
            size32: size,
            align32: align,
            size64: size,
            align64: align,
            flat_count,
        }
    }

    /// Returns the size in bytes in a memory with 64-bit (`true`) or 32-bit addresses.
    pub const fn size(&self, index64: bool) -> u32 {
        if index64 { self.size64 } else { self.size32 }
    }

    /// Returns the alignment in a memory with 64-bit (`true`) or 32-bit addresses.
    pub const fn align(&self, index64: bool) -> u32 {
        if index64 { self.align64 } else { self.align32 }
    }

    /// Returns whether code handles `count` consecutive fields of this type with a loop, as it does
    /// for a list: if they are at least four, and too many to be flat, so that they are always in
    /// memory.
    pub const fn repeats(&self, count: usize) -> bool {
        let flat = match self.flat_count {
            Some(flat) => count.saturating_mul(flat as usize) <= MAX_FLAT_PARAMS,
            None => false,
        };
        count >= 4 && !flat
    }

    /// Returns the offset of a field of this type that follows the fields up to `*offset`, and
    /// advances `*offset` to the end of the field.
    pub const fn next_field(&self, offset: &mut u32, index64: bool) -> u32 {
        let start = align_to(*offset, self.align(index64));
        *offset = start.saturating_add(self.size(index64));
        start
    }

    /// Returns the ABI of a record, a tuple, or spilled parameters.
    pub fn record(fields: impl Iterator<Item = CanonicalAbi>) -> Self {
        fields.fold(Self::EMPTY, Self::with_field).padded()
    }

    /// [`record`](Self::record) for constants.
    pub const fn record_of(fields: &[CanonicalAbi]) -> Self {
        let mut record = Self::EMPTY;
        let mut i = 0;
        while i < fields.len() {
            record = record.with_field(fields[i]);
            i += 1;
        }
        record.padded()
    }

    /// Returns the ABI of a variant, enum, option or result, given its payloads.
    pub fn variant(cases: impl Iterator<Item = Option<CanonicalAbi>>) -> Self {
        let (count, payload) = cases.fold((0, Self::EMPTY), |(count, payload), case| {
            (count + 1, payload.with_case(case))
        });
        payload.with_discriminant(count)
    }

    /// [`variant`](Self::variant) for constants.
    pub const fn variant_of(cases: &[Option<CanonicalAbi>]) -> Self {
        let mut payload = Self::EMPTY;
        let mut i = 0;
        while i < cases.len() {
            payload = payload.with_case(cases[i]);
            i += 1;
        }
        payload.with_discriminant(cases.len())
    }

    /// Returns the offset of a variant's payloads in a 32-bit memory.
    pub const fn payload_offset(cases: &[Option<CanonicalAbi>]) -> u32 {
        let mut payload = Self::EMPTY;
        let mut i = 0;
        while i < cases.len() {
            payload = payload.with_case(cases[i]);
            i += 1;
        }
        align_to(discriminant_size(cases.len()), payload.align32)
    }

    /// The ABI of a record without fields, and of a payload that is absent in all cases.
    const EMPTY: Self = Self {
        size32: 0,
        align32: 1,
        size64: 0,
        align64: 1,
        flat_count: Some(0),
    };

    /// Appends a field to an unpadded record.
    const fn with_field(mut self, field: CanonicalAbi) -> Self {
        field.next_field(&mut self.size32, false);
        field.next_field(&mut self.size64, true);
        self.align32 = max(self.align32, field.align32);
        self.align64 = max(self.align64, field.align64);
        self.flat_count = add_flat(self.flat_count, field.flat_count);
        self
    }

    const fn padded(mut self) -> Self {
        self.size32 = align_to(self.size32, self.align32);
        self.size64 = align_to(self.size64, self.align64);
        self
    }

    /// Enlarges a payload so that `case` fits.
    const fn with_case(mut self, case: Option<CanonicalAbi>) -> Self {
        let Some(case) = case else { return self };
        self.size32 = max(self.size32, case.size32);
        self.size64 = max(self.size64, case.size64);
        self.align32 = max(self.align32, case.align32);
        self.align64 = max(self.align64, case.align64);
        self.flat_count = match (self.flat_count, case.flat_count) {
            (Some(a), Some(b)) => Some(if a > b { a } else { b }),
            _ => None,
        };
        self
    }

    /// Returns the ABI of a variant of `count` cases whose payload is `self`.
    const fn with_discriminant(self, count: usize) -> Self {
        let discriminant = discriminant_size(count);
        let align32 = max(self.align32, discriminant);
        let align64 = max(self.align64, discriminant);
        Self {
            size32: align_to(
                align_to(discriminant, self.align32).saturating_add(self.size32),
                align32,
            ),
            align32,
            size64: align_to(
                align_to(discriminant, self.align64).saturating_add(self.size64),
                align64,
            ),
            align64,
            flat_count: add_flat(Some(1), self.flat_count),
        }
    }
}

const fn max(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

const fn add_flat(a: Option<u8>, b: Option<u8>) -> Option<u8> {
    match (a, b) {
        (Some(a), Some(b)) if (a + b) as usize <= MAX_FLAT_PARAMS => Some(a + b),
        _ => None,
    }
}

/// How core code defines or calls a component function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuncAbi {
    /// `canon lift`.
    Lift,
    /// `canon lift` with `async` and `callback`.
    CallbackLift,
    /// `canon lift` with `async` alone.
    StackfulLift,
    /// `canon lower`.
    Lower,
    /// `canon lower` with `async`.
    AsyncLower,
}

impl FuncAbi {
    /// Returns the number of flat values of parameters with this layout, or `None` if they are
    /// passed in memory.
    pub fn flat_params(self, params: CanonicalAbi) -> Option<usize> {
        let most = match self {
            FuncAbi::AsyncLower => MAX_FLAT_ASYNC_PARAMS,
            _ => MAX_FLAT_PARAMS,
        };
        let count = params.flat_count.map(usize::from);
        count.filter(|&count| count <= most)
    }
}

/// The layout of a variant in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantLayout {
    /// The size in bytes of the discriminant, which is at offset 0.
    pub discriminant: u32,
    /// The offset of the payload, the same for each case.
    pub payload: u32,
}

/// The core types of flattened component types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlatTypes(Vec<ValType>);

impl FlatTypes {
    /// Returns the core types in order.
    pub fn as_slice(&self) -> &[ValType] {
        &self.0
    }

    /// Joins `other` with the types from `start` on (`join` in CanonicalABI.md).
    fn join(&mut self, start: usize, other: &[ValType]) {
        for (i, &ty) in other.iter().enumerate() {
            match self.0.get_mut(start + i) {
                Some(slot) => *slot = join(*slot, ty),
                None => self.0.push(ty),
            }
        }
    }
}

fn join(a: ValType, b: ValType) -> ValType {
    use ValType::{F32, I32, I64};
    match (a, b) {
        _ if a == b => a,
        (I32, F32) | (F32, I32) => I32,
        _ => I64,
    }
}

impl ComponentTypes {
    pub(super) fn record_abi(&self, fields: impl Iterator<Item = InterfaceType>) -> CanonicalAbi {
        CanonicalAbi::record(fields.map(|ty| self.abi(ty)))
    }

    pub(super) fn variant_abi(
        &self,
        cases: impl Iterator<Item = Option<InterfaceType>>,
    ) -> CanonicalAbi {
        CanonicalAbi::variant(cases.map(|ty| ty.map(|ty| self.abi(ty))))
    }

    /// Returns size, alignment and number of flat values of `ty`.
    pub fn abi(&self, ty: InterfaceType) -> CanonicalAbi {
        use InterfaceType as T;
        match ty {
            T::Bool | T::S8 | T::U8 => CanonicalAbi::scalar(1),
            T::S16 | T::U16 => CanonicalAbi::scalar(2),
            T::S32 | T::U32 | T::F32 | T::Char => CanonicalAbi::scalar(4),
            T::Own(_) | T::Borrow(_) | T::Stream(_) | T::Future(_) | T::ErrorContext => {
                CanonicalAbi::scalar(4)
            }
            T::S64 | T::U64 | T::F64 => CanonicalAbi::scalar(8),
            T::String | T::List(_) | T::Map(_) => CanonicalAbi::POINTER_PAIR,
            T::Record(id) => *self.records.abi(id),
            T::Tuple(id) => *self.tuples.abi(id),
            T::Variant(id) => *self.variants.abi(id),
            T::Enum(id) => *self.enums.abi(id),
            T::Option(id) => *self.options.abi(id),
            T::Result(id) => *self.results.abi(id),
            T::Flags(id) => *self.flags.abi(id),
        }
    }

    /// Returns the payload of each case of a variant, enum, option or result, or `None` for another
    /// type.
    pub fn cases(&self, ty: InterfaceType) -> Option<Vec<Option<InterfaceType>>> {
        use InterfaceType as T;
        Some(match ty {
            T::Variant(id) => self.variant(id).cases.iter().map(|&(_, ty)| ty).collect(),
            T::Enum(id) => vec![None; self.enum_(id).len()],
            T::Option(id) => vec![None, Some(*self.option(id))],
            T::Result(id) => {
                let &(ok, err) = self.result(id);
                vec![ok, err]
            }
            _ => return None,
        })
    }

    /// Returns the layout of a variant with these payloads.
    pub fn variant_layout(&self, cases: &[Option<InterfaceType>], index64: bool) -> VariantLayout {
        let discriminant = discriminant_size(cases.len());
        let align = cases
            .iter()
            .flatten()
            .map(|&ty| self.abi(ty).align(index64))
            .max()
            .unwrap_or(1);
        VariantLayout {
            discriminant,
            payload: align_to(discriminant, align),
        }
    }

    /// Appends the flattened `ty` to `flat` (`flatten_type`).
    pub fn flatten(&self, ty: InterfaceType, index64: bool, flat: &mut FlatTypes) {
        use InterfaceType as T;
        let pointer = if index64 { ValType::I64 } else { ValType::I32 };
        match ty {
            T::Bool | T::S8 | T::U8 | T::S16 | T::U16 | T::S32 | T::U32 | T::Char => {
                flat.0.push(ValType::I32)
            }
            T::Own(_) | T::Borrow(_) | T::Stream(_) | T::Future(_) | T::ErrorContext => {
                flat.0.push(ValType::I32)
            }
            T::S64 | T::U64 => flat.0.push(ValType::I64),
            T::F32 => flat.0.push(ValType::F32),
            T::F64 => flat.0.push(ValType::F64),
            T::String | T::List(_) | T::Map(_) => flat.0.extend([pointer, pointer]),
            T::Record(id) => self
                .record(id)
                .fields
                .iter()
                .for_each(|&(_, ty)| self.flatten(ty, index64, flat)),
            T::Tuple(id) => self
                .tuple(id)
                .iter()
                .for_each(|&ty| self.flatten(ty, index64, flat)),
            T::Flags(id) => {
                let words = flags_words(self.flags(id).len()).max(1);
                flat.0.extend((0..words).map(|_| ValType::I32));
            }
            T::Variant(_) | T::Enum(_) | T::Option(_) | T::Result(_) => {
                flat.0.push(ValType::I32);
                let start = flat.0.len();
                for case in self.cases(ty).into_iter().flatten().flatten() {
                    let mut payload = FlatTypes::default();
                    self.flatten(case, index64, &mut payload);
                    flat.join(start, &payload.0);
                }
            }
        }
    }

    /// Returns the ABI of the record of spilled parameters.
    pub fn params_abi(&self, ty: &FuncType) -> CanonicalAbi {
        self.record_abi(ty.params.iter().map(|&(_, ty)| ty))
    }

    /// Returns the core signature of a function of type `ty` that is lowered or lifted with `abi`
    /// (`flatten_functype`).
    pub fn core_signature(&self, ty: &FuncType, index64: bool, abi: FuncAbi) -> Signature {
        let pointer = if index64 { ValType::I64 } else { ValType::I32 };
        let mut params = FlatTypes::default();
        match abi.flat_params(self.params_abi(ty)) {
            Some(_) => ty
                .params
                .iter()
                .for_each(|&(_, ty)| self.flatten(ty, index64, &mut params)),
            None => params.0.push(pointer),
        }
        let mut results = FlatTypes::default();
        match abi {
            FuncAbi::CallbackLift => results.0.push(ValType::I32),
            FuncAbi::StackfulLift => {}
            FuncAbi::AsyncLower => {
                if ty.result.is_some() {
                    params.0.push(pointer);
                }
                results.0.push(ValType::I32);
            }
            FuncAbi::Lift | FuncAbi::Lower => {
                if let Some(result) = ty.result {
                    match self.abi(result).flat_count {
                        Some(count) if usize::from(count) <= MAX_FLAT_RESULTS => {
                            self.flatten(result, index64, &mut results)
                        }
                        _ if abi == FuncAbi::Lower => params.0.push(pointer),
                        _ => results.0.push(pointer),
                    }
                }
            }
        }
        Signature::new(&params.0, &results.0)
    }

    /// Returns the core signature of `task.return` for a function with this result: its parameters
    /// are those of a function that takes the result.
    pub fn task_return_signature(&self, result: Option<InterfaceType>, index64: bool) -> Signature {
        let params = result.map(|ty| (Box::from("v"), ty)).into_iter().collect();
        let ty = FuncType {
            params,
            result: None,
            is_async: false,
        };
        self.core_signature(&ty, index64, FuncAbi::Lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::types::{Record, Variant};
    use InterfaceType as T;

    #[test]
    fn records_pad_and_variants_join() {
        let mut types = ComponentTypes::default();
        let fields = [
            ("a".into(), T::U8),
            ("b".into(), T::U64),
            ("c".into(), T::String),
        ];
        let record = types.intern_record(Record {
            fields: fields.into(),
        });
        let abi = types.abi(record);
        assert_eq!(
            (abi.size32, abi.align32, abi.size64, abi.align64),
            (24, 8, 32, 8)
        );
        assert_eq!(abi.flat_count, Some(4));

        let cases = [
            ("x".into(), Some(T::F32)),
            ("y".into(), Some(T::U32)),
            ("z".into(), Some(T::F64)),
            ("w".into(), None),
        ];
        let variant = types.intern_variant(Variant {
            cases: cases.into(),
        });
        let mut flat = FlatTypes::default();
        types.flatten(variant, false, &mut flat);
        assert_eq!(flat.as_slice(), [ValType::I32, ValType::I64]);
        assert_eq!(types.abi(variant).size32, 16);
    }

    #[test]
    fn spilled_parameters_and_results_become_pointers() {
        let mut types = ComponentTypes::default();
        let pair = types.intern_tuple([T::U32, T::U32].into());
        let params = (0..17).map(|i| (format!("p{i}").into(), T::U8)).collect();
        let ty = FuncType {
            params,
            result: Some(pair),
            is_async: false,
        };
        assert_eq!(
            types.core_signature(&ty, false, FuncAbi::Lower),
            Signature::new(&[ValType::I32; 2], &[])
        );
        assert_eq!(
            types.core_signature(&ty, false, FuncAbi::Lift),
            Signature::new(&[ValType::I32], &[ValType::I32])
        );
        for (abi, results) in [
            (FuncAbi::CallbackLift, &[ValType::I32][..]),
            (FuncAbi::StackfulLift, &[]),
        ] {
            assert_eq!(
                types.core_signature(&ty, false, abi),
                Signature::new(&[ValType::I32], results)
            );
        }
        let ty = |params, result| FuncType {
            params: (0..params)
                .map(|i| (format!("p{i}").into(), T::U64))
                .collect(),
            result,
            is_async: true,
        };
        let lowered = |ty| types.core_signature(&ty, false, FuncAbi::AsyncLower);
        assert_eq!(
            lowered(ty(4, None)),
            Signature::new(&[ValType::I64; 4], &[ValType::I32])
        );
        assert_eq!(
            lowered(ty(5, Some(T::U8))),
            Signature::new(&[ValType::I32; 2], &[ValType::I32])
        );
        assert_eq!(
            types.task_return_signature(Some(pair), false),
            Signature::new(&[ValType::I32; 2], &[])
        );
    }

    #[test]
    fn flags_take_whole_words_past_sixteen() {
        for (count, size) in [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4), (33, 8)] {
            assert_eq!(CanonicalAbi::flags(count).size32, size, "{count} flags");
        }
    }
}
