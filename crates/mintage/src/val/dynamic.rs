//! [`Val`]s, lowered and lifted by the type at run time.
//!
//! A `Val` can take far more memory than its representation in the guest: the names of cases and
//! fields are copied for each value, and payloads are boxed. Every allocation is charged to the
//! call before it is made.
//!
//! Guests choose the types, which may be nested 100 levels deep, and the runtime reserves a fixed
//! amount of stack for the host. Therefore the recursive functions are small: values without parts
//! are converted in functions of their own, because an unoptimized function reserves stack for all
//! arms of its `match` at once.

use super::numbers;
use crate::abi::{
    CanonicalAbi, ComponentTypes, InterfaceType, Lift, LiftContext, Lower, LowerContext,
    MAX_LIST_BYTE_LENGTH, read_u32,
};
use crate::error::{Context, Result, bail, ensure, format_err};
use crate::{ErrorContext, FutureAny, ResourceAny, StreamAny, Val};
use mintage_environ::component::{align_to, discriminant_size, flags_words};
use mintage_environ::{EnumId, FlagsId, MapId, OptionId, RecordId, ResultId, TupleId, VariantId};

/// Returns the number of words of a flat value of a type, or 0 if it is too large to be flat.
fn flat(types: &ComponentTypes, ty: InterfaceType) -> usize {
    types.abi(ty).flat_count.map_or(0, usize::from)
}

/// Any type with cases: how many there are, and what each carries.
#[derive(Clone, Copy)]
enum Cases {
    Variant(VariantId),
    Enum(EnumId),
    Option(OptionId),
    Result(ResultId),
}

impl Cases {
    fn len(self, types: &ComponentTypes) -> usize {
        match self {
            Cases::Variant(id) => types.variant(id).cases.len(),
            Cases::Enum(id) => types.enum_(id).len(),
            Cases::Option(_) | Cases::Result(_) => 2,
        }
    }

    fn payload(self, types: &ComponentTypes, case: usize) -> Option<InterfaceType> {
        match self {
            Cases::Variant(id) => types.variant(id).cases[case].1,
            Cases::Enum(_) => None,
            Cases::Option(id) => (case == 1).then(|| *types.option(id)),
            Cases::Result(id) => {
                let &(ok, err) = types.result(id);
                if case == 0 { ok } else { err }
            }
        }
    }

    fn ty(self) -> InterfaceType {
        match self {
            Cases::Variant(id) => InterfaceType::Variant(id),
            Cases::Enum(id) => InterfaceType::Enum(id),
            Cases::Option(id) => InterfaceType::Option(id),
            Cases::Result(id) => InterfaceType::Result(id),
        }
    }

    /// The offset of every payload. The alignment of the whole serves as well as that of the
    /// payloads: where it is larger, it is the discriminant's, which ends there.
    fn payload_offset(self, types: &ComponentTypes) -> usize {
        align_to(
            discriminant_size(self.len(types)),
            types.abi(self.ty()).align32,
        ) as usize
    }

    /// Makes the value of a case with the payload that comes next in `parts`.
    fn lift(self, cx: &mut LiftContext<'_>, case: usize, mut parts: Parts<'_>) -> Result<Val> {
        let types = cx.types();
        let payload = match self.payload(types, case) {
            Some(ty) => {
                cx.charge(1, size_of::<Val>())?;
                Some(Box::new(parts.lift(cx, ty)?))
            }
            None => None,
        };
        Ok(match self {
            Cases::Variant(id) => {
                Val::Variant(lift_name(cx, &types.variant(id).cases[case].0)?, payload)
            }
            Cases::Enum(id) => Val::Enum(lift_name(cx, &types.enum_(id)[case])?),
            Cases::Option(_) => Val::Option(payload),
            Cases::Result(_) if case == 0 => Val::Result(Ok(payload)),
            Cases::Result(_) => Val::Result(Err(payload)),
        })
    }
}

/// Copies a name to a place that was charged before.
fn lift_name(cx: &mut LiftContext<'_>, name: &str) -> Result<String> {
    cx.charge(name.len(), 1)?;
    Ok(name.to_string())
}

/// The case of a variant-like value, with its payload and the type of that.
struct Case<'v> {
    cases: Cases,
    number: usize,
    payload: Option<(&'v Val, InterfaceType)>,
}

impl<'v> Case<'v> {
    /// Returns the case that `value` is of the variant-like type `ty`.
    fn of(value: &'v Val, ty: InterfaceType, types: &ComponentTypes) -> Result<Case<'v>> {
        let (cases, number, payload) = match (value, ty) {
            (Val::Variant(name, payload), InterfaceType::Variant(id)) => {
                let cases = &types.variant(id).cases;
                let number = cases.iter().position(|(case, _)| **case == **name);
                let number = number.ok_or_else(|| no_such("case", name, ty, types))?;
                (Cases::Variant(id), number, payload.as_deref())
            }
            (Val::Enum(name), InterfaceType::Enum(id)) => {
                let number = types.enum_(id).iter().position(|case| **case == **name);
                (
                    Cases::Enum(id),
                    number.ok_or_else(|| no_such("case", name, ty, types))?,
                    None,
                )
            }
            (Val::Option(payload), InterfaceType::Option(id)) => (
                Cases::Option(id),
                usize::from(payload.is_some()),
                payload.as_deref(),
            ),
            (Val::Result(Ok(payload)), InterfaceType::Result(id)) => {
                (Cases::Result(id), 0, payload.as_deref())
            }
            (Val::Result(Err(payload)), InterfaceType::Result(id)) => {
                (Cases::Result(id), 1, payload.as_deref())
            }
            _ => return Err(value.mismatch(ty, types)),
        };
        let payload = match (payload, cases.payload(types, number)) {
            (None, None) => None,
            (Some(payload), Some(ty)) => Some((payload, ty)),
            (Some(_), None) => bail!(
                "a case of `{}` has a payload that its type does not have",
                types.display(ty)
            ),
            (None, Some(payload)) => bail!(
                "a case of `{}` lacks its payload of type `{}`",
                types.display(ty),
                types.display(payload)
            ),
        };
        Ok(Case {
            cases,
            number,
            payload,
        })
    }
}

fn no_such(what: &str, name: &str, ty: InterfaceType, types: &ComponentTypes) -> crate::Error {
    format_err!("no {what} `{name}` in `{}`", types.display(ty))
}

/// The fields of a record or the elements of a tuple, checked against the type.
fn fields<'v>(
    value: &'v Val,
    ty: InterfaceType,
    types: &ComponentTypes,
) -> Result<impl Iterator<Item = (&'v Val, InterfaceType)>> {
    /// One iterator type for both.
    enum Either<A, B> {
        Record(A),
        Tuple(B),
    }
    impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Either<A, B> {
        type Item = T;
        fn next(&mut self) -> Option<T> {
            match self {
                Either::Record(a) => a.next(),
                Either::Tuple(b) => b.next(),
            }
        }
    }
    match (value, ty) {
        (Val::Record(fields), InterfaceType::Record(id)) => {
            let expected = &types.record(id).fields;
            ensure!(
                fields.len() == expected.len(),
                "type mismatch: expected `{}`, found a record of {} fields",
                types.display(ty),
                fields.len()
            );
            for ((found, _), (expected, _)) in fields.iter().zip(expected) {
                ensure!(
                    **found == **expected,
                    "type mismatch: expected field `{expected}` of `{}`, found `{found}`",
                    types.display(ty)
                );
            }
            let field_types: Vec<_> = expected.iter().map(|&(_, ty)| ty).collect();
            Ok(Either::Record(
                fields.iter().map(|(_, value)| value).zip(field_types),
            ))
        }
        (Val::Tuple(values) | Val::FixedLengthList(values), InterfaceType::Tuple(id)) => {
            let is_list = matches!(value, Val::FixedLengthList(_));
            if is_list != types.fixed_length_list(id).is_some() {
                return Err(value.mismatch(ty, types));
            }
            let expected = types.tuple(id);
            ensure!(
                values.len() == expected.len(),
                "type mismatch: expected `{}`, found a {} of {} values",
                types.display(ty),
                value.kind(),
                values.len()
            );
            Ok(Either::Tuple(values.iter().zip(expected.to_vec())))
        }
        _ => Err(value.mismatch(ty, types)),
    }
}

/// Returns the bits of a flags value, 32 to a word.
fn flag_words(value: &Val, id: FlagsId, types: &ComponentTypes) -> Result<Vec<u32>> {
    let ty = InterfaceType::Flags(id);
    let Val::Flags(set) = value else {
        return Err(value.mismatch(ty, types));
    };
    let names = types.flags(id);
    let mut words = vec![0; flags_words(names.len()).max(1) as usize];
    for name in set {
        let bit = names
            .iter()
            .position(|flag| **flag == **name)
            .ok_or_else(|| no_such("flag", name, ty, types))?;
        words[bit / 32] |= 1 << (bit % 32);
    }
    Ok(words)
}

fn lift_flags(cx: &mut LiftContext<'_>, id: FlagsId, words: impl Fn(usize) -> u32) -> Result<Val> {
    let names = cx.types().flags(id);
    let is_set = |bit: &usize| words(bit / 32) >> (bit % 32) & 1 != 0;
    let count = (0..names.len()).filter(is_set).count();
    cx.charge(count, size_of::<String>())?;
    let mut set = Vec::with_capacity(count);
    for bit in (0..names.len()).filter(is_set) {
        set.push(lift_name(cx, &names[bit])?);
    }
    Ok(Val::Flags(set))
}

impl Val {
    /// Stores the value flat in `dst`, which has as many words as the type takes (`lower_flat`).
    pub(crate) fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        use InterfaceType as T;
        let types = cx.types();
        match (self, ty) {
            (_, T::List(_) | T::Map(_)) => {
                let (pointer, len) = self.lower_list(cx, ty)?;
                dst[0] = u64::from(pointer);
                dst[1] = u64::from(len);
                Ok(())
            }
            (_, T::Record(_) | T::Tuple(_)) => {
                let mut rest = dst;
                for (value, ty) in fields(self, ty, types)? {
                    let (field, behind) = rest.split_at_mut(flat(types, ty));
                    value.lower_flat(cx, ty, field)?;
                    rest = behind;
                }
                Ok(())
            }
            (_, T::Variant(_) | T::Enum(_) | T::Option(_) | T::Result(_)) => {
                let case = Case::of(self, ty, types)?;
                let (discriminant, words) = dst.split_at_mut(1);
                discriminant[0] = case.number as u64;
                words.fill(0);
                match case.payload {
                    Some((payload, ty)) => {
                        payload.lower_flat(cx, ty, &mut words[..flat(types, ty)])
                    }
                    None => Ok(()),
                }
            }
            _ => self.lower_leaf_flat(cx, ty, dst),
        }
    }

    /// Stores a value that has no values in it.
    fn lower_leaf_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        use InterfaceType as T;
        if let Some(word) = self.scalar_word(ty) {
            dst[0] = word;
            return Ok(());
        }
        let types = cx.types();
        match (self, ty) {
            (Val::String(v), T::String) => v.lower_flat(cx, ty, dst),
            (_, T::Flags(id)) => {
                for (word, bits) in dst.iter_mut().zip(flag_words(self, id, types)?) {
                    *word = u64::from(bits);
                }
                Ok(())
            }
            (Val::Resource(v), T::Own(_) | T::Borrow(_)) => v.lower_flat(cx, ty, dst),
            (Val::Stream(v), T::Stream(_)) => v.lower_flat(cx, ty, dst),
            (Val::Future(v), T::Future(_)) => v.lower_flat(cx, ty, dst),
            (Val::ErrorContext(v), T::ErrorContext) => v.lower_flat(cx, ty, dst),
            _ => Err(self.mismatch(ty, types)),
        }
    }

    /// Stores the value in guest memory (`store`).
    pub(crate) fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        use InterfaceType as T;
        let types = cx.types();
        match (self, ty) {
            (_, T::List(_) | T::Map(_)) => {
                let (pointer, len) = self.lower_list(cx, ty)?;
                cx.write(offset, pointer.to_le_bytes());
                cx.write(offset + 4, len.to_le_bytes());
                Ok(())
            }
            (_, T::Record(_) | T::Tuple(_)) => {
                let mut end = 0;
                for (value, ty) in fields(self, ty, types)? {
                    let field = types.abi(ty).next_field(&mut end, false) as usize;
                    value.lower_memory(cx, ty, offset + field)?;
                }
                Ok(())
            }
            (_, T::Variant(_) | T::Enum(_) | T::Option(_) | T::Result(_)) => {
                let case = Case::of(self, ty, types)?;
                cx.write_discriminant(offset, case.number as u32, case.cases.len(types));
                match case.payload {
                    Some((payload, ty)) => {
                        payload.lower_memory(cx, ty, offset + case.cases.payload_offset(types))
                    }
                    None => Ok(()),
                }
            }
            _ => self.lower_leaf_memory(cx, ty, offset),
        }
    }

    /// Stores a value that has no values in it.
    fn lower_leaf_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        use InterfaceType as T;
        let types = cx.types();
        match (self, ty) {
            (Val::Bool(v), T::Bool) => v.lower_memory(cx, ty, offset),
            (Val::S8(v), T::S8) => v.lower_memory(cx, ty, offset),
            (Val::U8(v), T::U8) => v.lower_memory(cx, ty, offset),
            (Val::S16(v), T::S16) => v.lower_memory(cx, ty, offset),
            (Val::U16(v), T::U16) => v.lower_memory(cx, ty, offset),
            (Val::S32(v), T::S32) => v.lower_memory(cx, ty, offset),
            (Val::U32(v), T::U32) => v.lower_memory(cx, ty, offset),
            (Val::S64(v), T::S64) => v.lower_memory(cx, ty, offset),
            (Val::U64(v), T::U64) => v.lower_memory(cx, ty, offset),
            (Val::Float32(v), T::F32) => v.lower_memory(cx, ty, offset),
            (Val::Float64(v), T::F64) => v.lower_memory(cx, ty, offset),
            (Val::Char(v), T::Char) => v.lower_memory(cx, ty, offset),
            (Val::String(v), T::String) => v.lower_memory(cx, ty, offset),
            (_, T::Flags(id)) => {
                let words = flag_words(self, id, types)?;
                match types.abi(ty).size32 {
                    1 => cx.write(offset, [words[0] as u8]),
                    2 => cx.write(offset, (words[0] as u16).to_le_bytes()),
                    _ => words
                        .iter()
                        .enumerate()
                        .for_each(|(i, word)| cx.write(offset + 4 * i, word.to_le_bytes())),
                }
                Ok(())
            }
            (Val::Resource(v), T::Own(_) | T::Borrow(_)) => v.lower_memory(cx, ty, offset),
            (Val::Stream(v), T::Stream(_)) => v.lower_memory(cx, ty, offset),
            (Val::Future(v), T::Future(_)) => v.lower_memory(cx, ty, offset),
            (Val::ErrorContext(v), T::ErrorContext) => v.lower_memory(cx, ty, offset),
            _ => Err(self.mismatch(ty, types)),
        }
    }

    /// Stores the elements of a list or the entries of a map. Returns the pointer and the number.
    fn lower_list(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<(u32, u32)> {
        let types = cx.types();
        let len = match (self, ty) {
            (Val::List(items), InterfaceType::List(_)) => items.len(),
            (Val::Map(entries), InterfaceType::Map(_)) => entries.len(),
            _ => return Err(self.mismatch(ty, types)),
        };
        let CanonicalAbi {
            size32, align32, ..
        } = types.abi(cx.element_type(ty));
        let size = len.saturating_mul(size32 as usize);
        ensure!(
            size <= MAX_LIST_BYTE_LENGTH,
            "list of {size} bytes is longer than the limit of {MAX_LIST_BYTE_LENGTH}"
        );
        let start = cx.allocate(align32, size)?;
        if let Val::List(items) = self
            && numbers::lower(items, cx, cx.element_type(ty), start)
        {
            return Ok((start as u32, len as u32));
        }
        // One by one, so that an error names the element.
        for i in 0..len {
            let offset = start + i * size32 as usize;
            let stored = match self {
                Val::Map(entries) => lower_entry(cx, ty, &entries[i], offset),
                Val::List(items) => items[i].lower_memory(cx, cx.element_type(ty), offset),
                _ => Ok(()),
            };
            stored.with_context(|| format!("in element {i} of a {}", self.kind()))?;
        }
        Ok((start as u32, len as u32))
    }

    /// Makes a value from its flat words (`lift_flat`).
    pub(crate) fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[u64],
    ) -> Result<Val> {
        use InterfaceType as T;
        match ty {
            T::List(_) => Val::lift_list(cx, ty, src[0] as u32, src[1] as u32),
            T::Map(id) => Val::lift_map(cx, id, ty, src[0] as u32, src[1] as u32),
            T::Record(id) => lift_record(cx, id, Parts::Flat(src)),
            T::Tuple(id) => lift_tuple(cx, id, Parts::Flat(src)),
            T::Variant(id) => Val::lift_case_flat(cx, Cases::Variant(id), src),
            T::Enum(id) => Val::lift_case_flat(cx, Cases::Enum(id), src),
            T::Option(id) => Val::lift_case_flat(cx, Cases::Option(id), src),
            T::Result(id) => Val::lift_case_flat(cx, Cases::Result(id), src),
            _ => Val::lift_leaf_flat(cx, ty, src),
        }
    }

    /// Makes a value that has no values in it.
    fn lift_leaf_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Val> {
        use InterfaceType as T;
        if let Some(scalar) = src.first().and_then(|&word| Val::of_scalar_word(ty, word)) {
            return scalar;
        }
        Ok(match ty {
            T::String => Val::String(cx.lift_string(src[0] as u32, src[1] as u32)?),
            T::Flags(id) => lift_flags(cx, id, |word| src[word] as u32)?,
            T::Own(_) | T::Borrow(_) => Val::Resource(ResourceAny::lift_flat(cx, ty, src)?),
            T::ErrorContext => Val::ErrorContext(ErrorContext::lift_flat(cx, ty, src)?),
            T::Stream(_) => Val::Stream(StreamAny::lift_flat(cx, ty, src)?),
            T::Future(_) => Val::Future(FutureAny::lift_flat(cx, ty, src)?),
            _ => bail!("a value with parts is lifted as one without"),
        })
    }

    fn lift_case_flat(cx: &mut LiftContext<'_>, cases: Cases, src: &[u64]) -> Result<Val> {
        let case = LiftContext::flat_discriminant(src[0], cases.len(cx.types()))?;
        cases.lift(cx, case as usize, Parts::Flat(&src[1..]))
    }

    /// Makes a value from its bytes, as many as the type has (`load`).
    pub(crate) fn lift_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Val> {
        use InterfaceType as T;
        match ty {
            T::List(_) => Val::lift_list(cx, ty, read_u32(bytes, 0), read_u32(bytes, 4)),
            T::Map(id) => Val::lift_map(cx, id, ty, read_u32(bytes, 0), read_u32(bytes, 4)),
            T::Record(id) => lift_record(cx, id, Parts::Memory(bytes, 0)),
            T::Tuple(id) => lift_tuple(cx, id, Parts::Memory(bytes, 0)),
            T::Variant(id) => Val::lift_case_memory(cx, Cases::Variant(id), bytes),
            T::Enum(id) => Val::lift_case_memory(cx, Cases::Enum(id), bytes),
            T::Option(id) => Val::lift_case_memory(cx, Cases::Option(id), bytes),
            T::Result(id) => Val::lift_case_memory(cx, Cases::Result(id), bytes),
            _ => Val::lift_leaf_memory(cx, ty, bytes),
        }
    }

    /// Makes a value that has no values in it.
    fn lift_leaf_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Val> {
        use InterfaceType as T;
        Ok(match ty {
            T::Bool => Val::Bool(bool::lift_memory(cx, ty, bytes)?),
            T::S8 => Val::S8(i8::lift_memory(cx, ty, bytes)?),
            T::U8 => Val::U8(u8::lift_memory(cx, ty, bytes)?),
            T::S16 => Val::S16(i16::lift_memory(cx, ty, bytes)?),
            T::U16 => Val::U16(u16::lift_memory(cx, ty, bytes)?),
            T::S32 => Val::S32(i32::lift_memory(cx, ty, bytes)?),
            T::U32 => Val::U32(u32::lift_memory(cx, ty, bytes)?),
            T::S64 => Val::S64(i64::lift_memory(cx, ty, bytes)?),
            T::U64 => Val::U64(u64::lift_memory(cx, ty, bytes)?),
            T::F32 => Val::Float32(f32::lift_memory(cx, ty, bytes)?),
            T::F64 => Val::Float64(f64::lift_memory(cx, ty, bytes)?),
            T::Char => Val::Char(char::lift_memory(cx, ty, bytes)?),
            T::String => Val::String(String::lift_memory(cx, ty, bytes)?),
            T::Flags(id) => lift_flags(cx, id, |word| match bytes.len() {
                1 => u32::from(bytes[0]),
                2 => u32::from(u16::from_le_bytes([bytes[0], bytes[1]])),
                _ => read_u32(bytes, 4 * word),
            })?,
            T::Own(_) | T::Borrow(_) => Val::Resource(ResourceAny::lift_memory(cx, ty, bytes)?),
            T::ErrorContext => Val::ErrorContext(ErrorContext::lift_memory(cx, ty, bytes)?),
            T::List(_)
            | T::Map(_)
            | T::Record(_)
            | T::Tuple(_)
            | T::Variant(_)
            | T::Enum(_)
            | T::Option(_)
            | T::Result(_) => {
                bail!("a value with parts is lifted as one without")
            }
            T::Stream(_) => Val::Stream(StreamAny::lift_memory(cx, ty, bytes)?),
            T::Future(_) => Val::Future(FutureAny::lift_memory(cx, ty, bytes)?),
        })
    }

    fn lift_case_memory(cx: &mut LiftContext<'_>, cases: Cases, bytes: &[u8]) -> Result<Val> {
        let types = cx.types();
        let case = LiftContext::memory_discriminant(bytes, cases.len(types))?;
        let payload = Parts::Memory(bytes, cases.payload_offset(types) as u32);
        cases.lift(cx, case as usize, payload)
    }

    fn lift_list(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        pointer: u32,
        len: u32,
    ) -> Result<Val> {
        let element = cx.element_type(ty);
        let CanonicalAbi {
            size32, align32, ..
        } = cx.types().abi(element);
        let bytes = cx.list(pointer, len, size32 as usize, align32)?;
        cx.charge(len as usize, size_of::<Val>())?;
        if let Some(items) = numbers::lift(cx, element, bytes)? {
            return Ok(Val::List(items));
        }
        let mut items = Vec::with_capacity(len as usize);
        for bytes in bytes.chunks_exact(size32 as usize) {
            items.push(Val::lift_memory(cx, element, bytes)?);
        }
        Ok(Val::List(items))
    }

    fn lift_map(
        cx: &mut LiftContext<'_>,
        id: MapId,
        ty: InterfaceType,
        pointer: u32,
        len: u32,
    ) -> Result<Val> {
        let &(key_type, value_type) = cx.types().map(id);
        let CanonicalAbi {
            size32, align32, ..
        } = cx.types().abi(cx.element_type(ty));
        let bytes = cx.list(pointer, len, size32 as usize, align32)?;
        cx.charge(len as usize, size_of::<(Val, Val)>())?;
        let mut entries = Vec::with_capacity(len as usize);
        for bytes in bytes.chunks_exact(size32 as usize) {
            let mut parts = Parts::Memory(bytes, 0);
            entries.push((parts.lift(cx, key_type)?, parts.lift(cx, value_type)?));
        }
        Ok(Val::Map(entries))
    }
}

/// Stores an entry of a map, which is laid out as a tuple of two.
fn lower_entry(
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
    (key, value): &(Val, Val),
    offset: usize,
) -> Result<()> {
    let types = cx.types();
    let mut end = 0;
    for (part, &ty) in [key, value]
        .into_iter()
        .zip(cx.tuple_types(cx.element_type(ty)))
    {
        let field = types.abi(ty).next_field(&mut end, false) as usize;
        part.lower_memory(cx, ty, offset + field)?;
    }
    Ok(())
}

/// The source of the parts of a value, which are lifted one after the other.
enum Parts<'b> {
    /// The words of those that are left.
    Flat(&'b [u64]),
    /// The bytes of the whole value, and where the part before ended.
    Memory(&'b [u8], u32),
}

impl Parts<'_> {
    /// Lifts the next part, which is of type `ty`.
    fn lift(&mut self, cx: &mut LiftContext<'_>, ty: InterfaceType) -> Result<Val> {
        let abi = cx.types().abi(ty);
        match self {
            Parts::Flat(rest) => {
                let (part, behind) = rest.split_at(abi.flat_count.map_or(0, usize::from));
                *rest = behind;
                Val::lift_flat(cx, ty, part)
            }
            Parts::Memory(bytes, end) => {
                let start = abi.next_field(end, false) as usize;
                Val::lift_memory(cx, ty, &bytes[start..][..abi.size32 as usize])
            }
        }
    }
}

fn lift_record(cx: &mut LiftContext<'_>, id: RecordId, mut parts: Parts<'_>) -> Result<Val> {
    let fields = &cx.types().record(id).fields;
    cx.charge(fields.len(), size_of::<(String, Val)>())?;
    let mut values = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        values.push((lift_name(cx, name)?, parts.lift(cx, *ty)?));
    }
    Ok(Val::Record(values))
}

fn lift_tuple(cx: &mut LiftContext<'_>, id: TupleId, mut parts: Parts<'_>) -> Result<Val> {
    let fields = cx.types().tuple(id);
    cx.charge(fields.len(), size_of::<Val>())?;
    let mut values = Vec::with_capacity(fields.len());
    for &ty in fields {
        values.push(parts.lift(cx, ty)?);
    }
    Ok(match cx.types().fixed_length_list(id) {
        Some(_) => Val::FixedLengthList(values),
        None => Val::Tuple(values),
    })
}
