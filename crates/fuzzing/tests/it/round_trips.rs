//! Passes values of chosen types from one component instance to another and back, through adapters,
//! in all pairs of encodings.

use arbitrary::Unstructured;
use mintage::Val;
use mintage_fuzzing::{
    ENCODINGS, Echo, Mintage, Numbers, Outcome, PRIMITIVES, Settings, WitType, check_echo,
};

/// Checks values of one type, in all pairs of encodings if it contains strings.
fn check(ty: &WitType, values: &[Val]) {
    let engine = Mintage::new(Settings::default()).unwrap();
    let encodings = if format!("{ty:?}").contains("string") {
        &ENCODINGS[..]
    } else {
        &ENCODINGS[..1]
    };
    for front in encodings {
        for back in encodings {
            let echo = Echo::new(ty.clone(), [front, back]).expect("the type is small enough");
            match check_echo(&echo, values, &engine) {
                Ok(outcome) => assert_eq!(outcome, Outcome::Held),
                Err(failure) => panic!("{}", failure.what),
            }
        }
    }
}

/// Checks random values of a type.
fn check_random(ty: &WitType) {
    check(ty, &random_values(ty, 40));
}

fn random_values(ty: &WitType, count: usize) -> Vec<Val> {
    let mut numbers = Numbers::new(7);
    let value = |_| {
        ty.value(&mut Unstructured::new(&numbers.bytes((1 << 18) / count)))
            .unwrap()
    };
    (0..count).map(value).collect()
}

fn p(name: &'static str) -> WitType {
    WitType::Primitive(name)
}

#[test]
fn scalars() {
    for name in PRIMITIVES {
        check_random(&p(name));
    }
    for count in 1..=32 {
        check_random(&WitType::Flags(count));
    }
    // More than 10,000 cases are not valid: no discriminant has four bytes.
    for count in [1, 2, 255, 256, 257, 10_000] {
        check_random(&WitType::Enum(count));
    }
}

#[test]
fn lists() {
    for name in PRIMITIVES {
        check_random(&WitType::List(Box::new(p(name))));
    }
    for count in [8, 9, 16, 17, 32] {
        check_random(&WitType::List(Box::new(WitType::Flags(count))));
    }
    let pair = WitType::Tuple(vec![p("u32"), p("string")]);
    check_random(&WitType::List(Box::new(pair)));
    check_random(&WitType::List(Box::new(WitType::List(Box::new(p("u16"))))));
    check_random(&WitType::List(Box::new(WitType::Tuple(vec![
        p("u8"),
        p("u32"),
    ]))));
    check_random(&WitType::List(Box::new(WitType::Record(vec![
        p("u32"),
        p("s16"),
        p("u8"),
        p("s8"),
    ]))));
    let long = Val::List((0..100_000).map(Val::U32).collect());
    check(&WitType::List(Box::new(p("u32"))), &[long]);
    let texts = Val::List((0..2000).map(|n| Val::String(format!("{n} ä"))).collect());
    check(&WitType::List(Box::new(p("string"))), &[texts]);
}

#[test]
fn maps_and_error_contexts() {
    for value in ["u8", "u64", "string"] {
        check_random(&WitType::Map("u16", Box::new(p(value))));
        check_random(&WitType::Map(
            "string",
            Box::new(WitType::Option(Box::new(p(value)))),
        ));
    }
    check_random(&WitType::Map(
        "char",
        Box::new(WitType::Map("bool", Box::new(p("f64")))),
    ));
    check_random(&WitType::ErrorContext);
    check_random(&WitType::List(Box::new(WitType::ErrorContext)));
    check_random(&WitType::Result(
        Some(Box::new(p("u64"))),
        Some(Box::new(WitType::ErrorContext)),
    ));
}

/// Discriminants of one and two bytes, with payloads of different alignment.
#[test]
fn many_cases() {
    for count in [255, 256, 257, 300] {
        for (every, payload) in [(2, "u8"), (7, "string"), (64, "u64")] {
            let case = |i: usize| i.is_multiple_of(every).then(|| p(payload));
            check_random(&WitType::Variant((0..count).map(case).collect()));
        }
    }
}

/// Each way in which core types of cases join, and the boundary between flat and spilled values.
#[test]
fn compounds() {
    let (i32, i64, f32, f64) = (p("u32"), p("u64"), p("f32"), p("f64"));
    let all = [&i32, &i64, &f32, &f64];
    for a in all {
        for b in all {
            check_random(&WitType::Result(
                Some(Box::new(a.clone())),
                Some(Box::new(b.clone())),
            ));
            let wide = WitType::Tuple(vec![b.clone(), a.clone()]);
            check_random(&WitType::Variant(vec![Some(a.clone()), None, Some(wide)]));
        }
    }
    check_random(&WitType::Variant(vec![
        Some(p("string")),
        Some(f64.clone()),
        Some(p("char")),
        None,
        Some(p("s8")),
    ]));
    for count in [1, 2, 15, 16, 17, 40] {
        check_random(&WitType::Tuple(vec![p("u8"); count]));
        check_random(&WitType::Record(
            (0..count).map(|i| p(PRIMITIVES[i % 12])).collect(),
        ));
    }
    // Consecutive fields of one type become a loop or a copy if they are too many to be flat,
    // wherever they start.
    for name in ["u64", "char", "string"] {
        for count in [8, 9, 16, 17, 18, 33] {
            let fields = [vec![p("u8"); 3], vec![p(name); count], vec![p("u16"); 1]].concat();
            check_random(&WitType::Option(Box::new(WitType::Tuple(fields))));
        }
    }
    check_random(&WitType::Option(Box::new(WitType::Tuple(vec![
        p("string");
        8
    ]))));
    check_random(&WitType::Result(None, None));
    // Nested loops: 2^14 leaves, more than an adapter may have written out.
    let cube = (0..7).fold(p("char"), |ty, _| WitType::Tuple(vec![ty; 4]));
    check(
        &WitType::List(Box::new(cube.clone())),
        &[Val::List(vec![random_values(&cube, 1).remove(0); 2])],
    );
    // A tree of 2^6 leaves.
    let tree = (0..6).fold(p("string"), |ty, _| WitType::Tuple(vec![ty.clone(), ty]));
    check_random(&tree);
    let deep = (0..40).fold(p("u32"), |ty, _| WitType::Option(Box::new(ty)));
    check_random(&deep);
}

/// Every length around the words by which short strings are copied, with a character that is not
/// ASCII at every position.
#[test]
fn short_strings() {
    let letters: String = ('a'..='z').cycle().take(70).collect();
    let mut texts: Vec<Val> = (0..70)
        .map(|len| Val::String(letters[..len].into()))
        .collect();
    for len in 0..68 {
        for at in 0..=len {
            texts.push(Val::String(format!(
                "{}ß{}",
                &letters[..at],
                &letters[at..len]
            )));
        }
    }
    check(&p("string"), &texts);
    let bytes = |len| Val::List((0..len).map(|byte| Val::U8(255 - byte)).collect());
    check(
        &WitType::List(Box::new(p("u8"))),
        &(0..70).map(bytes).collect::<Vec<_>>(),
    );
}
