//! Lowering and lifting over a guest without machine code: round trips of random values of random
//! types, agreement of the typed and the dynamic way, and each check with its message.

use super::fake::FakeGuest;
use super::guest::Guest;
use super::{AbiOptions, ComponentTypes, InterfaceType, Lift, LiftContext, Lower, LowerContext};
use crate::{Trap, Val};
use mintage_environ::component::{Record, StringEncoding, Variant};
use proptest::prelude::*;

const ENCODINGS: [StringEncoding; 3] = [
    StringEncoding::Utf8,
    StringEncoding::Utf16,
    StringEncoding::CompactUtf16,
];
/// The address of the value itself in the tests. Its lists and strings come after it.
const PLACE: usize = 4096;
const MEMORY: usize = 1 << 20;
const BUDGET: usize = 64 << 20;

fn fake() -> FakeGuest {
    FakeGuest {
        next: 2 * PLACE,
        ..FakeGuest::new(MEMORY)
    }
}

/// A type and a value of it.
#[derive(Clone, Debug)]
enum Shape {
    Scalar(Val),
    /// At least one element, of which the first tells the type, and how many of them are there.
    List(Vec<Shape>, usize),
    Record(Vec<Shape>),
    Tuple(Vec<Shape>),
    /// Payloads, and which case it is.
    Variant(Vec<Option<Shape>>, usize),
    Enum(usize, usize),
    Option(Box<Shape>, bool),
    Result(Box<[Option<Shape>; 2]>, bool),
    Flags(Vec<bool>),
}

impl Shape {
    fn ty(&self, types: &mut ComponentTypes) -> InterfaceType {
        use InterfaceType as T;
        let optional =
            |shape: &Option<Shape>, types: &mut _| shape.as_ref().map(|shape| shape.ty(types));
        match self {
            Shape::Scalar(val) => match val {
                Val::Bool(_) => T::Bool,
                Val::S8(_) => T::S8,
                Val::U8(_) => T::U8,
                Val::S16(_) => T::S16,
                Val::U16(_) => T::U16,
                Val::S32(_) => T::S32,
                Val::U32(_) => T::U32,
                Val::S64(_) => T::S64,
                Val::U64(_) => T::U64,
                Val::Float32(_) => T::F32,
                Val::Float64(_) => T::F64,
                Val::Char(_) => T::Char,
                Val::String(_) => T::String,
                other => panic!("{other:?} is no scalar"),
            },
            Shape::List(elements, _) => {
                let element = elements[0].ty(types);
                types.intern_list(element)
            }
            Shape::Record(fields) => {
                let fields = fields
                    .iter()
                    .enumerate()
                    .map(|(i, field)| (format!("f{i}").into(), field.ty(types)));
                let fields = fields.collect();
                types.intern_record(Record { fields })
            }
            Shape::Tuple(fields) => {
                let fields = fields.iter().map(|field| field.ty(types)).collect();
                types.intern_tuple(fields)
            }
            Shape::Variant(cases, _) => {
                let cases = cases
                    .iter()
                    .enumerate()
                    .map(|(i, case)| (format!("c{i}").into(), optional(case, types)));
                let cases = cases.collect();
                types.intern_variant(Variant { cases })
            }
            Shape::Enum(count, _) => {
                types.intern_enum((0..*count).map(|i| format!("e{i}").into()).collect())
            }
            Shape::Option(payload, _) => {
                let payload = payload.ty(types);
                types.intern_option(payload)
            }
            Shape::Result(payloads, _) => {
                let (ok, err) = (optional(&payloads[0], types), optional(&payloads[1], types));
                types.intern_result(ok, err)
            }
            Shape::Flags(set) => {
                types.intern_flags((0..set.len()).map(|i| format!("b{i}").into()).collect())
            }
        }
    }

    fn val(&self) -> Val {
        let boxed = |shape: &Option<Shape>| shape.as_ref().map(|shape| Box::new(shape.val()));
        match self {
            Shape::Scalar(val) => val.clone(),
            // Only elements of the first one's type, which a clone of it is for sure.
            Shape::List(elements, count) => {
                Val::List((0..*count).map(|_| elements[0].val()).collect())
            }
            Shape::Record(fields) => Val::Record(
                fields
                    .iter()
                    .enumerate()
                    .map(|(i, field)| (format!("f{i}"), field.val()))
                    .collect(),
            ),
            Shape::Tuple(fields) => Val::Tuple(fields.iter().map(Shape::val).collect()),
            Shape::Variant(cases, case) => Val::Variant(format!("c{case}"), boxed(&cases[*case])),
            Shape::Enum(_, case) => Val::Enum(format!("e{case}")),
            Shape::Option(payload, some) => Val::Option(some.then(|| Box::new(payload.val()))),
            Shape::Result(payloads, false) => Val::Result(Ok(boxed(&payloads[0]))),
            Shape::Result(payloads, true) => Val::Result(Err(boxed(&payloads[1]))),
            Shape::Flags(set) => Val::Flags(
                set.iter()
                    .enumerate()
                    .filter(|(_, set)| **set)
                    .map(|(i, _)| format!("b{i}"))
                    .collect(),
            ),
        }
    }
}

fn scalar() -> impl Strategy<Value = Shape> {
    prop_oneof![
        any::<bool>().prop_map(Val::Bool),
        any::<i8>().prop_map(Val::S8),
        any::<u8>().prop_map(Val::U8),
        any::<i16>().prop_map(Val::S16),
        any::<u16>().prop_map(Val::U16),
        any::<i32>().prop_map(Val::S32),
        any::<u32>().prop_map(Val::U32),
        any::<i64>().prop_map(Val::S64),
        any::<u64>().prop_map(Val::U64),
        any::<u32>().prop_map(|bits| Val::Float32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Val::Float64(f64::from_bits(bits))),
        any::<char>().prop_map(Val::Char),
        "\\PC{0,8}".prop_map(Val::String),
        "[a-zäöüß]{0,8}".prop_map(Val::String),
    ]
    .prop_map(Shape::Scalar)
}

fn shape() -> impl Strategy<Value = Shape> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        let optional = proptest::option::of(inner.clone());
        prop_oneof![
            (inner.clone(), 0..4usize)
                .prop_map(|(element, count)| Shape::List(vec![element], count)),
            proptest::collection::vec(inner.clone(), 1..5).prop_map(Shape::Record),
            proptest::collection::vec(inner.clone(), 1..5).prop_map(Shape::Tuple),
            (
                proptest::collection::vec(optional.clone(), 1..5),
                any::<prop::sample::Index>()
            )
                .prop_map(|(cases, case)| {
                    Shape::Variant(cases.clone(), case.index(cases.len()))
                }),
            (1..700usize, any::<prop::sample::Index>())
                .prop_map(|(count, case)| Shape::Enum(count, case.index(count))),
            (inner.clone(), any::<bool>())
                .prop_map(|(payload, some)| Shape::Option(Box::new(payload), some)),
            ([optional.clone(), optional], any::<bool>())
                .prop_map(|(payloads, err)| Shape::Result(Box::new(payloads), err)),
            proptest::collection::vec(any::<bool>(), 1..40).prop_map(Shape::Flags),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A value that is lowered to memory is lifted back, and nothing is written around it.
    #[test]
    fn values_survive_memory(shape in shape(), encoding in 0..3usize) {
        let mut types = ComponentTypes::default();
        let ty = shape.ty(&mut types);
        let abi = types.abi(ty);
        let options = AbiOptions { types: &types, encoding: ENCODINGS[encoding] };
        let mut guest = fake();
        let mut cx = LowerContext::new(options, Guest::fake(&mut guest), None);
        shape.val().lower_memory(&mut cx, ty, PLACE).unwrap();
        let end = PLACE + abi.size32 as usize;
        let mut outside = guest.memory[..PLACE].iter().chain(&guest.memory[end..2 * PLACE]);
        prop_assert!(outside.all(|&byte| byte == 0xaa));
        prop_assert!(guest.memory[guest.next..].iter().all(|&byte| byte == 0xaa));
        let mut cx = LiftContext::of_memory(options, &guest.memory, BUDGET);
        let lifted = Val::lift_memory(&mut cx, ty, &guest.memory[PLACE..end]).unwrap();
        prop_assert_eq!(lifted, shape.val());
    }

    /// A value that is lowered flat is lifted back; every word is written, and has no more bits
    /// than its core type.
    #[test]
    fn values_survive_words(shape in shape(), encoding in 0..3usize) {
        let mut types = ComponentTypes::default();
        let ty = shape.ty(&mut types);
        let Some(count) = types.abi(ty).flat_count else { return Ok(()) };
        let options = AbiOptions { types: &types, encoding: ENCODINGS[encoding] };
        let mut guest = fake();
        let mut cx = LowerContext::new(options, Guest::fake(&mut guest), None);
        const UNWRITTEN: u64 = 0xdead_beef_0bad_cafe;
        let mut words = vec![UNWRITTEN; usize::from(count)];
        shape.val().lower_flat(&mut cx, ty, &mut words).unwrap();
        let mut core_types = Default::default();
        types.flatten(ty, false, &mut core_types);
        prop_assert_eq!(core_types.as_slice().len(), words.len());
        for (word, core_type) in words.iter_mut().zip(core_types.as_slice()) {
            prop_assert_ne!(*word, UNWRITTEN);
            if core_type.size() == 4 {
                prop_assert!(*word >> 32 == 0);
                // Machine code leaves anything there.
                *word |= 0x1234_5678 << 32;
            }
        }
        let mut cx = LiftContext::of_memory(options, &guest.memory, BUDGET);
        prop_assert_eq!(Val::lift_flat(&mut cx, ty, &words).unwrap(), shape.val());
    }

    /// Lifting any bytes returns a value or an error.
    #[test]
    fn no_bytes_make_lifting_panic(
        shape in shape(),
        encoding in 0..3usize,
        bytes in proptest::collection::vec(any::<u8>(), 256),
        words in any::<[u64; 16]>(),
    ) {
        let mut types = ComponentTypes::default();
        let ty = shape.ty(&mut types);
        let abi = types.abi(ty);
        let options = AbiOptions { types: &types, encoding: ENCODINGS[encoding] };
        let mut cx = LiftContext::of_memory(options, &bytes, 1 << 16);
        if let Some(value) = bytes.get(..abi.size32 as usize) {
            let _ = Val::lift_memory(&mut cx, ty, value);
        }
        if let Some(count) = abi.flat_count {
            let _ = Val::lift_flat(&mut cx, ty, &words[..usize::from(count)]);
        }
    }
}

/// Lowers `value` typed, lifts it dynamically as `expected`, lowers that dynamically, lifts it
/// typed: in memory and flat.
fn agree<T: Lower + Lift + PartialEq + std::fmt::Debug>(
    value: &T,
    ty: impl Fn(&mut ComponentTypes) -> InterfaceType,
    expected: Val,
) {
    let mut types = ComponentTypes::default();
    let ty = ty(&mut types);
    assert!(
        T::matches(ty, &super::InstanceTypes::new(&types, &[])),
        "{} is no {}",
        T::describe(),
        types.display(ty)
    );
    assert_eq!(T::describe(), types.display(ty));
    assert_eq!(T::ABI, types.abi(ty), "{}", T::describe());
    for encoding in ENCODINGS {
        let options = AbiOptions {
            types: &types,
            encoding,
        };
        let mut guest = fake();
        value
            .lower_memory(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                PLACE,
            )
            .unwrap();
        let bytes = &guest.memory[PLACE..][..T::SIZE];
        assert_eq!(
            Val::lift_memory(
                &mut LiftContext::of_memory(options, &guest.memory, BUDGET),
                ty,
                bytes
            )
            .unwrap(),
            expected
        );

        let mut guest = fake();
        expected
            .lower_memory(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                PLACE,
            )
            .unwrap();
        let bytes = &guest.memory[PLACE..][..T::SIZE];
        assert_eq!(
            &T::lift_memory(
                &mut LiftContext::of_memory(options, &guest.memory, BUDGET),
                ty,
                bytes
            )
            .unwrap(),
            value
        );

        if T::ABI.flat_count.is_none() {
            continue;
        }
        let (mut typed, mut dynamic) = (vec![!0; T::FLAT], vec![!0; T::FLAT]);
        let mut guest = fake();
        value
            .lower_flat(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                &mut typed,
            )
            .unwrap();
        let mut guest = fake();
        expected
            .lower_flat(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                &mut dynamic,
            )
            .unwrap();
        assert_eq!(typed, dynamic);
        assert_eq!(
            &T::lift_flat(
                &mut LiftContext::of_memory(options, &guest.memory, BUDGET),
                ty,
                &typed
            )
            .unwrap(),
            value
        );
    }
}

#[test]
fn typed_and_dynamic_agree() {
    use InterfaceType as T;
    let string = |text: &str| Val::String(text.into());
    agree(&true, |_| T::Bool, Val::Bool(true));
    agree(&-5i8, |_| T::S8, Val::S8(-5));
    agree(&250u8, |_| T::U8, Val::U8(250));
    agree(&-500i16, |_| T::S16, Val::S16(-500));
    agree(&50_000u16, |_| T::U16, Val::U16(50_000));
    agree(&i32::MIN, |_| T::S32, Val::S32(i32::MIN));
    agree(&u32::MAX, |_| T::U32, Val::U32(u32::MAX));
    agree(&i64::MIN, |_| T::S64, Val::S64(i64::MIN));
    agree(&u64::MAX, |_| T::U64, Val::U64(u64::MAX));
    agree(&-0.5f32, |_| T::F32, Val::Float32(-0.5));
    agree(
        &f64::NEG_INFINITY,
        |_| T::F64,
        Val::Float64(f64::NEG_INFINITY),
    );
    agree(&'🌍', |_| T::Char, Val::Char('🌍'));
    for text in ["", "ascii", "grüße", "世界 🌍"] {
        agree(&text.to_string(), |_| T::String, string(text));
        agree::<Box<str>>(&text.into(), |_| T::String, string(text));
        agree::<std::sync::Arc<str>>(&text.into(), |_| T::String, string(text));
        agree::<std::borrow::Cow<'static, str>>(&text.into(), |_| T::String, string(text));
    }
    agree(
        &vec![1u8, 2, 3],
        |types| types.intern_list(T::U8),
        Val::List([1, 2, 3].map(Val::U8).into()),
    );
    agree(
        &vec![1u32, !0],
        |types| types.intern_list(T::U32),
        Val::List([1, !0].map(Val::U32).into()),
    );
    agree(
        &vec![0.5f64],
        |types| types.intern_list(T::F64),
        Val::List(vec![Val::Float64(0.5)]),
    );
    agree(
        &vec![true, false],
        |types| types.intern_list(T::Bool),
        Val::List([true, false].map(Val::Bool).into()),
    );
    agree(
        &vec!['a', 'ß'],
        |types| types.intern_list(T::Char),
        Val::List(['a', 'ß'].map(Val::Char).into()),
    );
    agree::<Box<[i16]>>(
        &[-1, 1].into(),
        |types| types.intern_list(T::S16),
        Val::List([-1, 1].map(Val::S16).into()),
    );
    agree(
        &vec![(1u8, "x".to_string()), (2, "yz".into())],
        |types| {
            let tuple = types.intern_tuple([T::U8, T::String].into());
            types.intern_list(tuple)
        },
        Val::List(
            [(1, "x"), (2, "yz")]
                .map(|(n, s)| Val::Tuple(vec![Val::U8(n), string(s)]))
                .into(),
        ),
    );
    let option = |payload| Val::Option(Some(Box::new(payload)));
    agree(
        &Some(7u64),
        |types| types.intern_option(T::U64),
        option(Val::U64(7)),
    );
    agree(
        &None::<u64>,
        |types| types.intern_option(T::U64),
        Val::Option(None),
    );
    agree(
        &Some(Some('c')),
        |types| {
            let inner = types.intern_option(T::Char);
            types.intern_option(inner)
        },
        option(option(Val::Char('c'))),
    );
    agree(
        &Ok::<f32, u64>(0.25),
        |types| types.intern_result(Some(T::F32), Some(T::U64)),
        Val::Result(Ok(Some(Box::new(Val::Float32(0.25))))),
    );
    agree(
        &Err::<(), String>("no".into()),
        |types| types.intern_result(None, Some(T::String)),
        Val::Result(Err(Some(Box::new(string("no"))))),
    );
    agree(
        &Ok::<(), ()>(()),
        |types| types.intern_result(None, None),
        Val::Result(Ok(None)),
    );
    agree(&Box::new(3i32), |_| T::S32, Val::S32(3));
    agree(
        &(1u8, 2u64, 3u16, "four".to_string()),
        |types| types.intern_tuple([T::U8, T::U64, T::U16, T::String].into()),
        Val::Tuple(vec![Val::U8(1), Val::U64(2), Val::U16(3), string("four")]),
    );
    // 17 words: too many to be flat.
    agree(
        &(
            1u32,
            2u32,
            3u32,
            4u32,
            5u32,
            6u32,
            7u32,
            8u32,
            9u32,
            10u32,
            11u32,
            Some((1u8, 2u8, 3u8, 4u8, 5u8)),
        ),
        |types| {
            let tuple = types.intern_tuple([T::U8; 5].into());
            let option = types.intern_option(tuple);
            types.intern_tuple([T::U32; 11].into_iter().chain([option]).collect())
        },
        Val::Tuple(
            (1..12)
                .map(Val::U32)
                .chain([option(Val::Tuple((1..6).map(Val::U8).collect()))])
                .collect(),
        ),
    );
}

#[test]
fn nan_becomes_canonical_when_lifted() {
    let types = ComponentTypes::default();
    let options = AbiOptions {
        types: &types,
        encoding: StringEncoding::Utf8,
    };
    let mut cx = LiftContext::of_memory(options, &[], 0);
    let ty = InterfaceType::F32;
    let word = [0xffff_ffff_ffc1_2345];
    assert_eq!(
        f32::lift_flat(&mut cx, ty, &word).unwrap().to_bits(),
        0x7fc0_0000
    );
    assert_eq!(
        f32::lift_memory(&mut cx, ty, &0xffc1_2345u32.to_le_bytes())
            .unwrap()
            .to_bits(),
        0x7fc0_0000
    );
    let ty = InterfaceType::F64;
    assert_eq!(
        f64::lift_flat(&mut cx, ty, &[!0]).unwrap().to_bits(),
        0x7ff8 << 48
    );
    assert_eq!(
        f64::lift_memory(&mut cx, ty, &[0xff; 8]).unwrap().to_bits(),
        0x7ff8 << 48
    );
}

/// The message of lifting `words` as the type that `ty` makes, dynamically and, where `T` is given,
/// typed.
fn message(
    ty: InterfaceType,
    types: &ComponentTypes,
    encoding: StringEncoding,
    memory: &[u8],
    words: &[u64],
) -> String {
    let options = AbiOptions { types, encoding };
    let mut cx = LiftContext::of_memory(options, memory, BUDGET);
    match Val::lift_flat(&mut cx, ty, words) {
        Ok(value) => format!("a value: {value:?}"),
        Err(error) => {
            assert!(
                error.downcast_ref::<Trap>().is_some()
                    || error.to_string().contains("hostcall_fuel"),
                "{error:?}"
            );
            error.to_string()
        }
    }
}

#[test]
fn bad_lifts_say_what_is_wrong() {
    use InterfaceType as T;
    use StringEncoding::{CompactUtf16, Utf8, Utf16};
    let mut types = ComponentTypes::default();
    let list = types.intern_list(T::U64);
    let chars = types.intern_list(T::Char);
    let option = types.intern_option(T::U8);
    let result = types.intern_result(None, None);
    let variant = types.intern_variant(Variant {
        cases: [
            ("a".into(), None),
            ("b".into(), Some(T::U8)),
            ("c".into(), None),
        ]
        .into(),
    });
    let options = types.intern_list(option);
    let strings = types.intern_list(T::String);
    let mut memory = vec![0; 64];
    memory[0..4].copy_from_slice(&0xd800u32.to_le_bytes());
    memory[8..10].copy_from_slice(&[0xc3, 0x28]);
    memory[16..18].copy_from_slice(&0xdc00u16.to_le_bytes());
    memory[24] = 2;
    memory[32..36].copy_from_slice(&60u32.to_le_bytes());
    memory[36..40].copy_from_slice(&5u32.to_le_bytes());
    for (ty, encoding, words, expected) in [
        (
            T::Char,
            Utf8,
            &[0xd800][..],
            "invalid `char` bit pattern 0xd800",
        ),
        (
            T::Char,
            Utf8,
            &[0xdfff],
            "invalid `char` bit pattern 0xdfff",
        ),
        (
            T::Char,
            Utf8,
            &[0x11_0000],
            "invalid `char` bit pattern 0x110000",
        ),
        (chars, Utf8, &[0, 1], "invalid `char` bit pattern 0xd800"),
        (
            option,
            Utf8,
            &[2, 0],
            "invalid variant discriminant 2: the type has 2 cases",
        ),
        (
            result,
            Utf8,
            &[7],
            "invalid variant discriminant 7: the type has 2 cases",
        ),
        (
            variant,
            Utf8,
            &[3, 0],
            "invalid variant discriminant 3: the type has 3 cases",
        ),
        (
            options,
            Utf8,
            &[24, 1],
            "invalid variant discriminant 2: the type has 2 cases",
        ),
        (
            list,
            Utf8,
            &[4, 1],
            "unaligned pointer: 0x4 of a list is not a multiple of 8",
        ),
        (
            list,
            Utf8,
            &[0, 9],
            "list pointer/length out of bounds of memory: 72 bytes at 0x0, the memory has 0x40",
        ),
        (
            list,
            Utf8,
            &[0x48, 0],
            "list pointer/length out of bounds of memory: 0 bytes at 0x48, the memory has 0x40",
        ),
        (
            list,
            Utf8,
            &[0xffff_fff8, 1],
            "list pointer/length out of bounds of memory: 8 bytes at 0xfffffff8, the memory has \
             0x40",
        ),
        (
            list,
            Utf8,
            &[0, 0x2000_0000],
            "list of 4294967296 bytes is longer than the limit of 268435455",
        ),
        (
            list,
            Utf8,
            &[0, 0xffff_ffff],
            "list of 34359738360 bytes is longer than the limit of 268435455",
        ),
        (
            T::String,
            Utf8,
            &[60, 5],
            "string pointer/length out of bounds of memory: 5 bytes at 0x3c, the memory has 0x40",
        ),
        (
            T::String,
            Utf8,
            &[0, 0x1000_0000],
            "string of 268435456 bytes is longer than the limit of 268435455",
        ),
        (
            T::String,
            Utf8,
            &[8, 2],
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            T::String,
            Utf8,
            &[8, 1],
            "incomplete utf-8 byte sequence from index 0",
        ),
        (
            strings,
            Utf8,
            &[32, 1],
            "string pointer/length out of bounds of memory: 5 bytes at 0x3c, the memory has 0x40",
        ),
        (
            T::String,
            Utf16,
            &[1, 1],
            "unaligned pointer: 0x1 of a string is not a multiple of 2",
        ),
        (
            T::String,
            Utf16,
            &[16, 1],
            "invalid utf-16: unpaired surrogate found: dc00",
        ),
        (
            T::String,
            Utf16,
            &[62, 2],
            "string pointer/length out of bounds of memory: 4 bytes at 0x3e, the memory has 0x40",
        ),
        (
            T::String,
            Utf16,
            &[0, 0xffff_ffff],
            "string of 8589934590 bytes is longer than the limit of 268435455",
        ),
        (
            T::String,
            CompactUtf16,
            &[1, 1],
            "unaligned pointer: 0x1 of a string is not a multiple of 2",
        ),
        (
            T::String,
            CompactUtf16,
            &[16, 0x8000_0001],
            "invalid utf-16: unpaired surrogate found: dc00",
        ),
        (
            T::String,
            CompactUtf16,
            &[62, 3],
            "string pointer/length out of bounds of memory: 3 bytes at 0x3e, the memory has 0x40",
        ),
    ] {
        assert_eq!(
            message(ty, &types, encoding, &memory, words),
            expected,
            "{} {words:?}",
            types.display(ty)
        );
    }
}

#[test]
fn overlapping_lists_run_out_of_budget() {
    // A list of 1000 lists, all of which are the same 1000 lists, and so on: 1000^4 bytes in 40 KB.
    let mut types = ComponentTypes::default();
    let mut ty = InterfaceType::U8;
    let mut memory = vec![0; 4 * 8000];
    for level in 0..4u32 {
        ty = types.intern_list(ty);
        for pair in memory[8000 * level as usize..][..8000].chunks_exact_mut(8) {
            pair[..4].copy_from_slice(&(8000 * level.saturating_sub(1)).to_le_bytes());
            pair[4..].copy_from_slice(&1000u32.to_le_bytes());
        }
    }
    let words = [8000 * 2, 1000];
    let expected = "the values that the guest passes need more host memory than \
                    `Store::set_hostcall_fuel` allows for one call";
    assert_eq!(
        message(ty, &types, StringEncoding::Utf8, &memory, &words),
        expected
    );
    let options = AbiOptions {
        types: &types,
        encoding: StringEncoding::Utf8,
    };
    let mut cx = LiftContext::of_memory(options, &memory, BUDGET);
    let error = <Vec<Vec<Vec<Vec<u8>>>>>::lift_flat(&mut cx, ty, &words).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn whatever_a_val_allocates_is_charged() {
    use InterfaceType as T;
    let mut types = ComponentTypes::default();
    let name: Box<str> = "n".repeat(90_000).into();
    let tuple = types.intern_tuple(vec![T::U8; 10_000].into());
    let record = types.intern_record(Record {
        fields: [(name.clone(), T::U8)].into(),
    });
    let variant = types.intern_variant(Variant {
        cases: [(name.clone(), None)].into(),
    });
    let enumeration = types.intern_enum([name.clone()].into());
    let flags = types.intern_flags([name].into());
    let mut options = T::U8;
    for _ in 0..90 {
        options = types.intern_option(options);
    }
    // All lists are of the same bytes, and overlap: 4096 lists of one element, which takes from 4
    // KB to 500 KB as a `Val`.
    const LISTS: usize = 4096;
    let mut memory = vec![1; 10_000 + 8 * LISTS];
    for pair in memory[..8 * LISTS].chunks_exact_mut(8) {
        pair[..4].copy_from_slice(&(8 * LISTS as u32).to_le_bytes());
        pair[4..].copy_from_slice(&1u32.to_le_bytes());
    }
    let values = 8 * LISTS;
    for (ty, byte) in [
        (tuple, 1),
        (record, 1),
        (variant, 0),
        (enumeration, 0),
        (flags, 1),
        (options, 1),
    ] {
        memory[values..].fill(byte);
        let list = types.intern_list(ty);
        let lists = types.intern_list(list);
        let options = AbiOptions {
            types: &types,
            encoding: StringEncoding::Utf8,
        };
        // What one value needs is not too much; without the charge for it, neither would all of
        // them be.
        let mut one = LiftContext::of_memory(options, &memory, BUDGET / 8);
        Val::lift_flat(&mut one, list, &[values as u64, 1]).unwrap();
        let mut all = LiftContext::of_memory(options, &memory, BUDGET / 8);
        let error = Val::lift_flat(&mut all, lists, &[0, LISTS as u64]).unwrap_err();
        assert!(
            error.to_string().contains("hostcall_fuel"),
            "{}: {error}",
            types.display(lists)
        );
    }
}

/// The runtime leaves 256 KiB of stack to host functions, of which their arguments must leave half.
#[test]
fn deep_values_take_little_stack() {
    let lift = || {
        let mut types = ComponentTypes::default();
        let mut ty = types.intern_list(InterfaceType::U8);
        for level in 0..99 {
            ty = match level % 3 {
                0 => types.intern_option(ty),
                1 => types.intern_tuple([ty].into()),
                _ => types.intern_variant(Variant {
                    cases: [("a".into(), None), ("b".into(), Some(ty))].into(),
                }),
            };
        }
        let memory = [1; 1024];
        let options = AbiOptions {
            types: &types,
            encoding: StringEncoding::Utf8,
        };
        let mut cx = LiftContext::of_memory(options, &memory, BUDGET);
        let size = types.abi(ty).size32 as usize;
        // All discriminants are 1; the list within is too long.
        Val::lift_memory(&mut cx, ty, &memory[..size]).map(drop)
    };
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let result = thread.spawn(lift).unwrap().join().unwrap();
    assert_eq!(
        result.unwrap_err().downcast_ref(),
        Some(&Trap::ListOutOfBounds)
    );
}

#[test]
fn bad_reallocs_say_what_is_wrong() {
    let types = ComponentTypes::default();
    for (answer, encoding, expected) in [
        (
            !0,
            StringEncoding::Utf8,
            "realloc return: beyond end of memory: 3 bytes at 0xffffffff, the memory has 0x100000",
        ),
        (
            0x10_0000 - 2,
            StringEncoding::Utf8,
            "realloc return: beyond end of memory: 3 bytes at 0xffffe, the memory has 0x100000",
        ),
        (
            1,
            StringEncoding::Utf16,
            "realloc return: result not aligned: 0x1 is not a multiple of 2",
        ),
        (
            !0,
            StringEncoding::CompactUtf16,
            "realloc return: result not aligned: 0xffffffff is not a multiple of 2",
        ),
    ] {
        let mut guest = FakeGuest {
            answer: Some(answer),
            ..fake()
        };
        let mut cx = LowerContext::new(
            AbiOptions {
                types: &types,
                encoding,
            },
            Guest::fake(&mut guest),
            None,
        );
        let error = "abc"
            .lower_flat(&mut cx, InterfaceType::String, &mut [0; 2])
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(cx.trapped());
    }
}

#[test]
fn strings_ask_for_what_they_need() {
    let types = ComponentTypes::default();
    for (encoding, text, call, len) in [
        (StringEncoding::Utf8, "", (1, 0), 0),
        (StringEncoding::Utf8, "äb", (1, 3), 3),
        (StringEncoding::Utf16, "äb", (2, 4), 2),
        (StringEncoding::Utf16, "🌍", (2, 4), 2),
        (StringEncoding::CompactUtf16, "äb", (2, 2), 2),
        (StringEncoding::CompactUtf16, "äb世", (2, 6), 3 | 1 << 31),
    ] {
        let mut guest = fake();
        let mut cx = LowerContext::new(
            AbiOptions {
                types: &types,
                encoding,
            },
            Guest::fake(&mut guest),
            None,
        );
        let mut words = [0; 2];
        text.lower_flat(&mut cx, InterfaceType::String, &mut words)
            .unwrap();
        assert_eq!(
            (guest.calls.as_slice(), words[1]),
            (&[call][..], len),
            "{text} as {encoding:?}"
        );
    }
}

#[test]
fn values_of_another_type_are_refused_with_both_types() {
    let mut types = ComponentTypes::default();
    let record = types.intern_record(Record {
        fields: [
            ("a".into(), InterfaceType::U8),
            ("b".into(), InterfaceType::String),
        ]
        .into(),
    });
    let cases = types.intern_enum(["red".into(), "green".into()].into());
    let variant = types.intern_variant(Variant {
        cases: [
            ("none".into(), None),
            ("some".into(), Some(InterfaceType::U8)),
        ]
        .into(),
    });
    let flags = types.intern_flags(["read".into()].into());
    let list = types.intern_list(InterfaceType::U8);
    for (val, ty, expected) in [
        (
            Val::U32(1),
            InterfaceType::String,
            "type mismatch: expected `string`, found a value of kind `u32`",
        ),
        (
            Val::Record(vec![]),
            record,
            "type mismatch: expected `record { a: u8, b: string }`, found a record of 0 fields",
        ),
        (
            Val::Record(vec![("a".into(), Val::U8(1)), ("c".into(), Val::U8(1))]),
            record,
            "type mismatch: expected field `b` of `record { a: u8, b: string }`, found `c`",
        ),
        (
            Val::Enum("blue".into()),
            cases,
            "no case `blue` in `enum { red, green }`",
        ),
        (
            Val::Flags(vec!["write".into()]),
            flags,
            "no flag `write` in `flags { read }`",
        ),
        (
            Val::Variant("some".into(), None),
            variant,
            "a case of `variant { none, some(u8) }` lacks its payload of type `u8`",
        ),
        (
            Val::Variant("none".into(), Some(Box::new(Val::U8(1)))),
            variant,
            "a case of `variant { none, some(u8) }` has a payload that its type does not have",
        ),
        (
            Val::List(vec![Val::U8(1), Val::U16(1)]),
            list,
            "in element 1 of a list: type mismatch: expected `u8`, found a value of kind `u16`",
        ),
    ] {
        let options = AbiOptions {
            types: &types,
            encoding: StringEncoding::Utf8,
        };
        let mut guest = fake();
        let mut words = [0; 16];
        let error = val
            .lower_flat(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                &mut words,
            )
            .unwrap_err();
        assert_eq!(format!("{error:#}"), expected);
        let mut guest = fake();
        let error = val
            .lower_memory(
                &mut LowerContext::new(options, Guest::fake(&mut guest), None),
                ty,
                PLACE,
            )
            .unwrap_err();
        assert_eq!(format!("{error:#}"), expected);
    }
}
