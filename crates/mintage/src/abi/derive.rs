//! The functions that code from the derive macros (`mintage-macros`) calls.

use super::{InstanceTypes, InterfaceType, Lift, LiftContext, Lower, LowerContext};
use crate::error::{Result, bail};
use std::fmt;

/// The names in a component type that a part of a Rust type matches. The first is the one
/// that messages show.
pub type Names<'a> = &'a [&'a str];

/// Tells whether a Rust type stands for a component type:
/// [`ComponentType::matches`](super::ComponentType::matches).
pub type Matches = fn(InterfaceType, &InstanceTypes<'_>) -> bool;

/// Describes a Rust type: [`ComponentType::describe`](super::ComponentType::describe).
pub type Describe = fn() -> String;

/// A field or case of a Rust type. `M` is [`Matches`] of what it holds.
pub struct Part<'a, M> {
    /// Its names.
    pub names: Names<'a>,
    /// The check of its type.
    pub matches: M,
}

fn named(names: Names<'_>, found: &str) -> bool {
    names.contains(&found)
}

fn shown<'a>(names: Names<'a>) -> &'a str {
    names.first().copied().unwrap_or_default()
}

/// Returns whether `ty` is a record of these fields.
pub fn record_matches(
    ty: InterfaceType,
    types: &InstanceTypes<'_>,
    parts: &[Part<'_, Matches>],
) -> bool {
    let InterfaceType::Record(id) = ty else {
        return false;
    };
    let fields = &types.record(id).fields;
    let same = |((name, ty), part): (&(Box<str>, InterfaceType), &Part<'_, Matches>)| {
        named(part.names, name) && (part.matches)(*ty, types)
    };
    fields.len() == parts.len() && fields.iter().zip(parts).all(same)
}

/// Returns the text of a record type.
pub fn record_text(fields: &[(Names<'_>, Describe)]) -> String {
    let fields = fields
        .iter()
        .map(|(names, describe)| format!("{}: {}", shown(names), describe()));
    format!("record {{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

/// Returns whether `ty` is a variant of these cases.
pub fn variant_matches(
    ty: InterfaceType,
    types: &InstanceTypes<'_>,
    parts: &[Part<'_, Option<Matches>>],
) -> bool {
    let InterfaceType::Variant(id) = ty else {
        return false;
    };
    let cases = &types.variant(id).cases;
    type Case = (Box<str>, Option<InterfaceType>);
    let same = |((name, ty), part): (&Case, &Part<'_, Option<Matches>>)| {
        named(part.names, name)
            && match (ty, part.matches) {
                (Some(ty), Some(matches)) => matches(*ty, types),
                (None, None) => true,
                _ => false,
            }
    };
    cases.len() == parts.len() && cases.iter().zip(parts).all(same)
}

/// Returns the text of a variant type.
pub fn variant_text(cases: &[(Names<'_>, Option<Describe>)]) -> String {
    let cases = cases.iter().map(|(names, describe)| match describe {
        Some(describe) => format!("{}({})", shown(names), describe()),
        None => shown(names).to_string(),
    });
    format!("variant {{ {} }}", cases.collect::<Vec<_>>().join(", "))
}

/// Returns whether `ty` is an enum of these cases.
pub fn enum_matches(ty: InterfaceType, types: &InstanceTypes<'_>, cases: &[Names<'_>]) -> bool {
    matches!(ty, InterfaceType::Enum(id) if all_named(cases, types.enum_(id)))
}

/// Returns the text of an enum type.
pub fn enum_text(cases: &[Names<'_>]) -> String {
    format!("enum {{ {} }}", list(cases))
}

/// Returns whether `ty` is a type of these flags.
pub fn flags_match(ty: InterfaceType, types: &InstanceTypes<'_>, flags: &[Names<'_>]) -> bool {
    matches!(ty, InterfaceType::Flags(id) if all_named(flags, types.flags(id)))
}

/// Returns the text of a type of flags.
pub fn flags_text(flags: &[Names<'_>]) -> String {
    format!("flags {{ {} }}", list(flags))
}

fn all_named(expected: &[Names<'_>], found: &[Box<str>]) -> bool {
    let mut pairs = expected.iter().zip(found);
    expected.len() == found.len() && pairs.all(|(names, found)| named(names, found))
}

fn list(names: &[Names<'_>]) -> String {
    let names: Vec<_> = names.iter().map(|names| shown(names)).collect();
    names.join(", ")
}

/// Lowers a case without a payload to `dst`, the words of its variant.
pub fn lower_case_flat(case: u32, dst: &mut [u64]) -> Result<()> {
    dst.fill(0);
    dst[0] = u64::from(case);
    Ok(())
}

/// Lowers a case with a payload of type `ty` to `dst`, the words of its variant.
///
/// # Errors
///
/// As [`Lower::lower_flat`].
pub fn lower_payload_flat<T: Lower>(
    case: u32,
    payload: &T,
    ty: Option<InterfaceType>,
    cx: &mut LowerContext<'_>,
    dst: &mut [u64],
) -> Result<()> {
    let (discriminant, words) = dst.split_at_mut(1);
    discriminant[0] = u64::from(case);
    let (payload_words, rest) = words.split_at_mut(T::FLAT);
    rest.fill(0);
    payload.lower_flat(cx, payload_type(ty), payload_words)
}

/// Lowers the payload of a case, of type `ty`, to memory.
///
/// # Errors
///
/// As [`Lower::lower_memory`].
pub fn lower_payload_memory<T: Lower>(
    payload: &T,
    ty: Option<InterfaceType>,
    cx: &mut LowerContext<'_>,
    offset: usize,
) -> Result<()> {
    payload.lower_memory(cx, payload_type(ty), offset)
}

/// Lifts the payload of a case, of type `ty`, from `src`, the words of its variant.
///
/// # Errors
///
/// As [`Lift::lift_flat`].
pub fn lift_payload_flat<T: Lift>(
    ty: Option<InterfaceType>,
    cx: &mut LiftContext<'_>,
    src: &[u64],
) -> Result<T> {
    T::lift_flat(cx, payload_type(ty), &src[1..][..T::FLAT])
}

/// Lifts the payload of a case, of type `ty`, from `bytes`, which start with it.
///
/// # Errors
///
/// As [`Lift::lift_memory`].
pub fn lift_payload_memory<T: Lift>(
    ty: Option<InterfaceType>,
    cx: &mut LiftContext<'_>,
    bytes: &[u8],
) -> Result<T> {
    T::lift_memory(cx, payload_type(ty), &bytes[..T::SIZE])
}

/// The type of a payload. The type check has seen to it that there is one.
fn payload_type(ty: Option<InterfaceType>) -> InterfaceType {
    ty.unwrap_or(InterfaceType::Bool)
}

/// Returns the error for a case that the type does not have. Discriminants are checked before.
///
/// # Errors
///
/// Always.
pub fn no_such_case<T>(case: u32) -> Result<T> {
    bail!("internal error: a variant has no case {case}")
}

/// Returns the little-endian number in 1, 2 or 4 bytes.
pub fn read_flags(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(word)
}

/// Writes a set of flags as `Name(FIRST | SECOND)`.
///
/// # Errors
///
/// When writing fails.
pub fn debug_flags(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    bits: u32,
    flags: &[(&str, u32)],
) -> fmt::Result {
    let set = flags.iter().filter(|(_, bit)| bits & bit != 0);
    let set: Vec<_> = set.map(|(name, _)| *name).collect();
    write!(f, "{name}({})", set.join(" | "))
}
