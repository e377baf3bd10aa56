//! Core values: arguments in scripts, and comparison of results with expectations.

use mintage::core::CoreRef;
use mintage::error::{Result, bail};
use std::fmt;
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// A core value. Floats are represented by their bits, because payloads of NaN matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreValue {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    /// A function reference in the engine's representation; null is 0. Scripts can pass only null.
    FuncRef(u64),
    /// A reference of the `extern` hierarchy.
    ExternRef(CoreRef),
    /// A reference of the `any` hierarchy.
    AnyRef(CoreRef),
    /// A reference of the `exn` hierarchy.
    ExnRef(CoreRef),
}

impl fmt::Display for CoreValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            CoreValue::I32(value) => write!(f, "(i32.const {})", value as i32),
            CoreValue::I64(value) => write!(f, "(i64.const {})", value as i64),
            CoreValue::F32(bits) => {
                write!(f, "(f32.const {:?} (;{bits:#010x};))", f32::from_bits(bits))
            }
            CoreValue::F64(bits) => {
                write!(f, "(f64.const {:?} (;{bits:#018x};))", f64::from_bits(bits))
            }
            CoreValue::V128(bits) => {
                let lane = |lane: u32| (bits >> (32 * lane)) as u32;
                write!(
                    f,
                    "(v128.const i32x4 {:#010x} {:#010x} {:#010x} {:#010x})",
                    lane(0),
                    lane(1),
                    lane(2),
                    lane(3)
                )
            }
            CoreValue::FuncRef(0) => f.write_str("(ref.null func)"),
            CoreValue::FuncRef(word) => write!(f, "(ref.func (;{word:#x};))"),
            CoreValue::ExternRef(CoreRef::Null) => f.write_str("(ref.null extern)"),
            CoreValue::AnyRef(CoreRef::Null) => f.write_str("(ref.null any)"),
            CoreValue::ExnRef(CoreRef::Null) => f.write_str("(ref.null exn)"),
            CoreValue::ExternRef(CoreRef::Host(number)) => write!(f, "(ref.extern {number})"),
            CoreValue::AnyRef(CoreRef::Host(number)) => write!(f, "(ref.host {number})"),
            CoreValue::ExternRef(other) | CoreValue::AnyRef(other) | CoreValue::ExnRef(other) => {
                write!(f, "(ref (;{other:?};))")
            }
        }
    }
}

/// Converts an argument.
///
/// # Errors
///
/// Fails for types that Mintage does not support, and for component values.
pub(crate) fn argument(arg: &WastArg<'_>) -> Result<CoreValue> {
    let WastArg::Core(arg) = arg else {
        bail!("the argument of a core function is a component value")
    };
    Ok(match arg {
        WastArgCore::I32(value) => CoreValue::I32(*value as u32),
        WastArgCore::I64(value) => CoreValue::I64(*value as u64),
        WastArgCore::F32(value) => CoreValue::F32(value.bits),
        WastArgCore::F64(value) => CoreValue::F64(value.bits),
        WastArgCore::V128(value) => CoreValue::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(HeapType::Abstract { shared: false, ty }) => null(*ty)?,
        WastArgCore::RefExtern(number) => CoreValue::ExternRef(CoreRef::Host(*number)),
        WastArgCore::RefHost(number) => CoreValue::AnyRef(CoreRef::Host(*number)),
        other => bail!("the argument {other:?} is not supported yet"),
    })
}

/// Returns the null reference of a type's hierarchy.
fn null(ty: AbstractHeapType) -> Result<CoreValue> {
    use AbstractHeapType as Ty;
    Ok(match ty {
        Ty::Func | Ty::NoFunc => CoreValue::FuncRef(0),
        Ty::Extern | Ty::NoExtern => CoreValue::ExternRef(CoreRef::Null),
        Ty::Exn | Ty::NoExn => CoreValue::ExnRef(CoreRef::Null),
        Ty::Any | Ty::Eq | Ty::I31 | Ty::Struct | Ty::Array | Ty::None => {
            CoreValue::AnyRef(CoreRef::Null)
        }
        Ty::Cont | Ty::NoCont => bail!("the type {ty:?} is not supported yet"),
    })
}

/// Compares the results of a call with the expected ones.
///
/// # Errors
///
/// Fails if they differ, and names the result with both values.
pub(crate) fn compare(actual: &[CoreValue], expected: &[WastRet<'_>]) -> Result<()> {
    if actual.len() != expected.len() {
        bail!(
            "{} results instead of {}: {}",
            actual.len(),
            expected.len(),
            list(actual)
        );
    }
    for (index, (&value, pattern)) in actual.iter().zip(expected).enumerate() {
        let WastRet::Core(pattern) = pattern else {
            bail!("the expected result of a core function is a component value")
        };
        if !matches(value, pattern)? {
            bail!("result {index} is {value} instead of {}", describe(pattern));
        }
    }
    Ok(())
}

fn list(values: &[CoreValue]) -> String {
    values
        .iter()
        .map(CoreValue::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a result has the expected value, or one of several.
fn matches(value: CoreValue, pattern: &WastRetCore<'_>) -> Result<bool> {
    Ok(match (pattern, value) {
        (WastRetCore::I32(expected), CoreValue::I32(bits)) => *expected as u32 == bits,
        (WastRetCore::I64(expected), CoreValue::I64(bits)) => *expected as u64 == bits,
        (WastRetCore::F32(expected), CoreValue::F32(bits)) => matches_f32(bits, expected),
        (WastRetCore::F64(expected), CoreValue::F64(bits)) => matches_f64(bits, expected),
        (WastRetCore::V128(expected), CoreValue::V128(bits)) => matches_v128(bits, expected),
        (WastRetCore::RefNull(None), CoreValue::FuncRef(word)) => word == 0,
        (
            WastRetCore::RefNull(None),
            CoreValue::ExternRef(reference)
            | CoreValue::AnyRef(reference)
            | CoreValue::ExnRef(reference),
        ) => reference == CoreRef::Null,
        (WastRetCore::RefNull(Some(HeapType::Abstract { shared: false, ty })), value) => {
            value == null(*ty)?
        }
        (WastRetCore::RefExtern(expected), CoreValue::ExternRef(reference)) => match expected {
            Some(number) => reference == CoreRef::Host(*number),
            None => reference != CoreRef::Null,
        },
        (WastRetCore::RefHost(expected), CoreValue::AnyRef(reference)) => {
            reference == CoreRef::Host(*expected)
        }
        (WastRetCore::RefAny, CoreValue::AnyRef(reference)) => reference != CoreRef::Null,
        (WastRetCore::RefEq, CoreValue::AnyRef(reference)) => {
            matches!(
                reference,
                CoreRef::I31(_) | CoreRef::Struct | CoreRef::Array
            )
        }
        (WastRetCore::RefI31 | WastRetCore::RefI31Shared, CoreValue::AnyRef(reference)) => {
            matches!(reference, CoreRef::I31(_))
        }
        (WastRetCore::RefStruct, CoreValue::AnyRef(reference)) => reference == CoreRef::Struct,
        (WastRetCore::RefArray, CoreValue::AnyRef(reference)) => reference == CoreRef::Array,
        // References do not contain the function's index, so any function will do.
        (WastRetCore::RefFunc(_), CoreValue::FuncRef(word)) => word != 0,
        (WastRetCore::Either(patterns), _) => {
            for pattern in patterns {
                if matches(value, pattern)? {
                    return Ok(true);
                }
            }
            false
        }
        _ => false,
    })
}

fn matches_f32(bits: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => expected.bits == bits,
    }
}

fn matches_f64(bits: u64, expected: &NanPattern<F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(expected) => expected.bits == bits,
    }
}

/// Compares lane by lane, starting from the lowest bits.
fn matches_v128(bits: u128, expected: &V128Pattern) -> bool {
    match expected {
        V128Pattern::I8x16(lanes) => (0..)
            .zip(lanes)
            .all(|(i, &lane)| (bits >> (8 * i)) as i8 == lane),
        V128Pattern::I16x8(lanes) => (0..)
            .zip(lanes)
            .all(|(i, &lane)| (bits >> (16 * i)) as i16 == lane),
        V128Pattern::I32x4(lanes) => (0..)
            .zip(lanes)
            .all(|(i, &lane)| (bits >> (32 * i)) as i32 == lane),
        V128Pattern::I64x2(lanes) => (0..)
            .zip(lanes)
            .all(|(i, &lane)| (bits >> (64 * i)) as i64 == lane),
        V128Pattern::F32x4(lanes) => (0..)
            .zip(lanes)
            .all(|(i, lane)| matches_f32((bits >> (32 * i)) as u32, lane)),
        V128Pattern::F64x2(lanes) => (0..)
            .zip(lanes)
            .all(|(i, lane)| matches_f64((bits >> (64 * i)) as u64, lane)),
    }
}

/// Formats a pattern, as in a script if that is short.
fn describe(pattern: &WastRetCore<'_>) -> String {
    match pattern {
        WastRetCore::I32(value) => CoreValue::I32(*value as u32).to_string(),
        WastRetCore::I64(value) => CoreValue::I64(*value as u64).to_string(),
        WastRetCore::F32(NanPattern::Value(value)) => CoreValue::F32(value.bits).to_string(),
        WastRetCore::F64(NanPattern::Value(value)) => CoreValue::F64(value.bits).to_string(),
        WastRetCore::F32(NanPattern::CanonicalNan) | WastRetCore::F64(NanPattern::CanonicalNan) => {
            "nan:canonical".into()
        }
        WastRetCore::F32(NanPattern::ArithmeticNan)
        | WastRetCore::F64(NanPattern::ArithmeticNan) => "nan:arithmetic".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wast::parser::{self, ParseBuffer};

    fn check(pattern: &str, value: CoreValue) -> bool {
        let buffer = ParseBuffer::new(pattern).unwrap();
        let pattern = parser::parse::<Parens<'_>>(&buffer).unwrap().0;
        compare(&[value], &[pattern]).is_ok()
    }

    struct Parens<'a>(WastRet<'a>);

    impl<'a> parser::Parse<'a> for Parens<'a> {
        fn parse(parser: parser::Parser<'a>) -> parser::Result<Self> {
            parser.parens(|parser| parser.parse()).map(Parens)
        }
    }

    #[test]
    fn floats_are_compared_by_bits() {
        assert!(check("(f32.const -0)", CoreValue::F32(0x8000_0000)));
        assert!(!check("(f32.const -0)", CoreValue::F32(0)));
        assert!(check(
            "(f64.const nan:0x4000000000000)",
            CoreValue::F64(0x7ff4_0000_0000_0000)
        ));
        assert!(!check(
            "(f64.const nan:0x4000000000000)",
            CoreValue::F64(0x7ff8_0000_0000_0000)
        ));
        assert!(!check("(f32.const 1)", CoreValue::I32(1.0_f32.to_bits())));
    }

    #[test]
    fn nan_patterns() {
        for (narrow, wide, canonical, arithmetic) in [
            (0x7fc0_0000, 0x7ff8_0000_0000_0000, true, true),
            (0xffc0_0000, 0xfff8_0000_0000_0000, true, true),
            (0x7fc0_0001, 0x7ff8_0000_0000_0001, false, true),
            (0x7fa0_0000, 0x7ff4_0000_0000_0000, false, false),
            (0x7f80_0000, 0x7ff0_0000_0000_0000, false, false),
        ] {
            assert_eq!(
                check("(f32.const nan:canonical)", CoreValue::F32(narrow)),
                canonical,
                "{narrow:x}"
            );
            assert_eq!(
                check("(f32.const nan:arithmetic)", CoreValue::F32(narrow)),
                arithmetic,
                "{narrow:x}"
            );
            assert_eq!(
                check("(f64.const nan:canonical)", CoreValue::F64(wide)),
                canonical,
                "{wide:x}"
            );
            assert_eq!(
                check("(f64.const nan:arithmetic)", CoreValue::F64(wide)),
                arithmetic,
                "{wide:x}"
            );
        }
    }

    #[test]
    fn vectors_are_compared_by_lanes() {
        let value = CoreValue::V128(0x7fc0_0001_8000_0000_7fc0_0000_3f80_0000);
        assert!(check(
            "(v128.const f32x4 1 nan:canonical -0 nan:arithmetic)",
            value
        ));
        assert!(!check(
            "(v128.const f32x4 1 nan:canonical -0 nan:canonical)",
            value
        ));
        assert!(!check(
            "(v128.const f32x4 1 nan:canonical 0 nan:arithmetic)",
            value
        ));
        assert!(check(
            "(v128.const i64x2 0x7fc000003f800000 0x7fc0000180000000)",
            value
        ));
        let value = CoreValue::V128(0x7ff8_0000_0000_0000_8000_0000_0000_0000);
        assert!(check("(v128.const f64x2 -0 nan:canonical)", value));
        assert!(!check("(v128.const f64x2 nan:canonical -0)", value));
        let value = CoreValue::V128(0xff);
        assert!(check(
            "(v128.const i8x16 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0)",
            value
        ));
        assert!(check("(v128.const i16x8 255 0 0 0 0 0 0 0)", value));
        assert!(check("(v128.const i32x4 255 0 0 0)", value));
        assert!(!check("(i64.const 255)", value));
    }

    #[test]
    fn references() {
        assert!(check("(ref.null func)", CoreValue::FuncRef(0)));
        assert!(!check(
            "(ref.null func)",
            CoreValue::ExternRef(CoreRef::Null)
        ));
        assert!(check("(ref.null)", CoreValue::ExternRef(CoreRef::Null)));
        assert!(check("(ref.func)", CoreValue::FuncRef(7)));
        assert!(check("(ref.func 1)", CoreValue::FuncRef(7)));
        assert!(!check("(ref.func 1)", CoreValue::FuncRef(0)));
        assert!(!check("(ref.func)", CoreValue::FuncRef(0)));
        assert!(check(
            "(ref.extern 0)",
            CoreValue::ExternRef(CoreRef::Host(0))
        ));
        assert!(!check(
            "(ref.extern 0)",
            CoreValue::ExternRef(CoreRef::Host(1))
        ));
        assert!(check(
            "(ref.extern)",
            CoreValue::ExternRef(CoreRef::Host(1))
        ));
        assert!(check(
            "(either (i32.const 1) (i32.const 2))",
            CoreValue::I32(2)
        ));
        assert!(!check(
            "(either (i32.const 1) (i32.const 2))",
            CoreValue::I32(3)
        ));
    }
}
