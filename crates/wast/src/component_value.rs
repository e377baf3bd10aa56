//! Component values: arguments in scripts, and comparison of results with expectations.

use mintage::Val;
use mintage::error::{Result, bail, ensure};
use mintage::types::Type;
use wast::component::WastVal;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// Converts an argument.
///
/// # Errors
///
/// Fails for core values.
pub(crate) fn argument(arg: &WastArg<'_>) -> Result<Val> {
    match arg {
        WastArg::Component(value) => val(value),
        // Core and component floats have the same syntax; the parser returns core floats.
        WastArg::Core(WastArgCore::F32(value)) => Ok(Val::Float32(f32::from_bits(value.bits))),
        WastArg::Core(WastArgCore::F64(value)) => Ok(Val::Float64(f64::from_bits(value.bits))),
        _ => bail!("the argument of a component function is a core value"),
    }
}

/// Returns an argument as a value of the parameter's type. Scripts have no notation for lists of
/// fixed length, and write them as tuples.
pub(crate) fn fitted(value: &Val, ty: &Type) -> Val {
    match (value, ty) {
        (Val::Tuple(values), Type::FixedLengthList(_)) => Val::FixedLengthList(values.clone()),
        _ => value.clone(),
    }
}

fn val(value: &WastVal<'_>) -> Result<Val> {
    let boxed = |value: &Option<Box<WastVal<'_>>>| {
        value
            .as_deref()
            .map(|value| val(value).map(Box::new))
            .transpose()
    };
    let all = |values: &[WastVal<'_>]| values.iter().map(val).collect::<Result<Vec<_>>>();
    Ok(match value {
        WastVal::Bool(value) => Val::Bool(*value),
        WastVal::U8(value) => Val::U8(*value),
        WastVal::S8(value) => Val::S8(*value),
        WastVal::U16(value) => Val::U16(*value),
        WastVal::S16(value) => Val::S16(*value),
        WastVal::U32(value) => Val::U32(*value),
        WastVal::S32(value) => Val::S32(*value),
        WastVal::U64(value) => Val::U64(*value),
        WastVal::S64(value) => Val::S64(*value),
        WastVal::F32(value) => Val::Float32(f32::from_bits(value.bits)),
        WastVal::F64(value) => Val::Float64(f64::from_bits(value.bits)),
        WastVal::Char(value) => Val::Char(*value),
        WastVal::String(value) => Val::String(value.to_string()),
        WastVal::List(values) => Val::List(all(values)?),
        WastVal::Record(fields) => {
            let field = |(name, value): &(&str, WastVal<'_>)| Ok((name.to_string(), val(value)?));
            Val::Record(fields.iter().map(field).collect::<Result<_>>()?)
        }
        WastVal::Tuple(values) => Val::Tuple(all(values)?),
        WastVal::Variant(case, payload) => Val::Variant(case.to_string(), boxed(payload)?),
        WastVal::Enum(case) => Val::Enum(case.to_string()),
        WastVal::Option(payload) => Val::Option(boxed(payload)?),
        WastVal::Result(Ok(payload)) => Val::Result(Ok(boxed(payload)?)),
        WastVal::Result(Err(payload)) => Val::Result(Err(boxed(payload)?)),
        WastVal::Flags(names) => Val::Flags(names.iter().map(|name| name.to_string()).collect()),
        WastVal::Map(entries) => {
            let entry = |(key, value): &(WastVal<'_>, WastVal<'_>)| Ok((val(key)?, val(value)?));
            Val::Map(entries.iter().map(entry).collect::<Result<_>>()?)
        }
    })
}

/// Compares the results of a call with the expected ones.
///
/// # Errors
///
/// Fails if they differ, and shows both values.
pub(crate) fn compare(actual: &[Val], expected: &[WastRet<'_>]) -> Result<()> {
    ensure!(
        actual.len() == expected.len(),
        "{} results instead of {}: {actual:?}",
        actual.len(),
        expected.len()
    );
    for (actual, expected) in actual.iter().zip(expected) {
        let expected = match expected {
            WastRet::Component(expected) => val(expected)?,
            WastRet::Core(WastRetCore::F32(NanPattern::Value(value))) => {
                Val::Float32(f32::from_bits(value.bits))
            }
            WastRet::Core(WastRetCore::F64(NanPattern::Value(value))) => {
                Val::Float64(f64::from_bits(value.bits))
            }
            _ => bail!("the expected result of a component function is a core value"),
        };
        ensure!(
            same(actual, &expected),
            "the result is {actual:?} instead of {expected:?}"
        );
    }
    Ok(())
}

/// Whether two values are equal. All NaNs are equal, since component values have only one. Zeros
/// of different sign differ.
fn same(a: &Val, b: &Val) -> bool {
    let all = |a: &[Val], b: &[Val]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let boxed = |a: &Option<Box<Val>>, b: &Option<Box<Val>>| match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    match (a, b) {
        (Val::Float32(a), Val::Float32(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Val::Float64(a), Val::Float64(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        // See `fitted`.
        (Val::Tuple(a) | Val::FixedLengthList(a), Val::Tuple(b)) => all(a, b),
        (Val::List(a), Val::List(b)) => all(a, b),
        (Val::Record(a), Val::Record(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((a_name, a), (b_name, b))| a_name == b_name && same(a, b))
        }
        (Val::Variant(a_case, a), Val::Variant(b_case, b)) => a_case == b_case && boxed(a, b),
        (Val::Option(a), Val::Option(b)) => boxed(a, b),
        (Val::Result(Ok(a)), Val::Result(Ok(b))) | (Val::Result(Err(a)), Val::Result(Err(b))) => {
            boxed(a, b)
        }
        (Val::Flags(a), Val::Flags(b)) => {
            a.len() == b.len() && a.iter().all(|name| b.contains(name))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_differ_by_sign_of_zero_but_not_by_nan() {
        let list = |value: f32| Val::List(vec![Val::Float32(value)]);
        assert!(same(&list(f32::NAN), &list(f32::from_bits(0xffc0_0001))));
        assert!(!same(&list(0.0), &list(-0.0)));
        assert!(same(
            &Val::Option(Some(Box::new(list(1.5)))),
            &Val::Option(Some(Box::new(list(1.5))))
        ));
        assert!(!same(
            &Val::Option(Some(Box::new(list(1.5)))),
            &Val::Option(None)
        ));
    }

    #[test]
    fn flags_have_no_order() {
        let flags =
            |names: &[&str]| Val::Flags(names.iter().map(|name| name.to_string()).collect());
        assert!(same(&flags(&["a", "b"]), &flags(&["b", "a"])));
        assert!(!same(&flags(&["a", "b"]), &flags(&["a"])));
    }

    #[test]
    fn arms_of_a_result_differ() {
        assert!(!same(&Val::Result(Ok(None)), &Val::Result(Err(None))));
        assert!(same(&Val::Result(Err(None)), &Val::Result(Err(None))));
    }
}
