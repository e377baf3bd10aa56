//! Values of chosen types from one component instance to another and back, through adapters, in all
//! pairs of encodings.

use arbitrary::Unstructured;
use mintage::Val;
use mintage_fuzzing::{
    ENCODINGS, Echo, Mintage, Numbers, Outcome, PRIMITIVES, Settings, Shape, check_echo,
};

/// One type with some values, in all pairs of encodings if it has strings.
fn check(shape: &Shape, values: &[Val]) {
    let engine = Mintage::new(Settings::default()).unwrap();
    let encodings = if format!("{shape:?}").contains("string") {
        &ENCODINGS[..]
    } else {
        &ENCODINGS[..1]
    };
    for front in encodings {
        for back in encodings {
            let echo = Echo::new(shape.clone(), [front, back]).expect("the type is small enough");
            match check_echo(&echo, values, &engine) {
                Ok(outcome) => assert_eq!(outcome, Outcome::Held),
                Err(failure) => panic!("{}", failure.what),
            }
        }
    }
}

/// Random values of a type.
fn check_random(shape: &Shape) {
    check(shape, &random_values(shape, 40));
}

fn random_values(shape: &Shape, count: usize) -> Vec<Val> {
    let mut numbers = Numbers::new(7);
    let value = |_| {
        shape
            .value(&mut Unstructured::new(&numbers.bytes((1 << 18) / count)))
            .unwrap()
    };
    (0..count).map(value).collect()
}

fn p(name: &'static str) -> Shape {
    Shape::Primitive(name)
}

#[test]
fn scalars() {
    for name in PRIMITIVES {
        check_random(&p(name));
    }
    for count in 1..=32 {
        check_random(&Shape::Flags(count));
    }
    // More than 10,000 cases are not valid: no discriminant has four bytes.
    for count in [1, 2, 255, 256, 257, 10_000] {
        check_random(&Shape::Enum(count));
    }
}

#[test]
fn lists() {
    for name in PRIMITIVES {
        check_random(&Shape::List(Box::new(p(name))));
    }
    for count in [8, 9, 16, 17, 32] {
        check_random(&Shape::List(Box::new(Shape::Flags(count))));
    }
    let pair = Shape::Tuple(vec![p("u32"), p("string")]);
    check_random(&Shape::List(Box::new(pair)));
    check_random(&Shape::List(Box::new(Shape::List(Box::new(p("u16"))))));
    check_random(&Shape::List(Box::new(Shape::Tuple(vec![
        p("u8"),
        p("u32"),
    ]))));
    check_random(&Shape::List(Box::new(Shape::Record(vec![
        p("u32"),
        p("s16"),
        p("u8"),
        p("s8"),
    ]))));
    let long = Val::List((0..100_000).map(Val::U32).collect());
    check(&Shape::List(Box::new(p("u32"))), &[long]);
    let texts = Val::List((0..2000).map(|n| Val::String(format!("{n} ä"))).collect());
    check(&Shape::List(Box::new(p("string"))), &[texts]);
}

#[test]
fn maps_and_error_contexts() {
    for value in ["u8", "u64", "string"] {
        check_random(&Shape::Map("u16", Box::new(p(value))));
        check_random(&Shape::Map(
            "string",
            Box::new(Shape::Option(Box::new(p(value)))),
        ));
    }
    check_random(&Shape::Map(
        "char",
        Box::new(Shape::Map("bool", Box::new(p("f64")))),
    ));
    check_random(&Shape::ErrorContext);
    check_random(&Shape::List(Box::new(Shape::ErrorContext)));
    check_random(&Shape::Result(
        Some(Box::new(p("u64"))),
        Some(Box::new(Shape::ErrorContext)),
    ));
}

/// Discriminants of one byte and of two, with payloads that are aligned to one byte or to more.
#[test]
fn many_cases() {
    for count in [255, 256, 257, 300] {
        for (every, payload) in [(2, "u8"), (7, "string"), (64, "u64")] {
            let case = |i: usize| i.is_multiple_of(every).then(|| p(payload));
            check_random(&Shape::Variant((0..count).map(case).collect()));
        }
    }
}

/// Each way in which core types of cases join, and the boundary between flat and spilled.
#[test]
fn compounds() {
    let (i32, i64, f32, f64) = (p("u32"), p("u64"), p("f32"), p("f64"));
    let all = [&i32, &i64, &f32, &f64];
    for a in all {
        for b in all {
            check_random(&Shape::Result(
                Some(Box::new(a.clone())),
                Some(Box::new(b.clone())),
            ));
            let wide = Shape::Tuple(vec![b.clone(), a.clone()]);
            check_random(&Shape::Variant(vec![Some(a.clone()), None, Some(wide)]));
        }
    }
    check_random(&Shape::Variant(vec![
        Some(p("string")),
        Some(f64.clone()),
        Some(p("char")),
        None,
        Some(p("s8")),
    ]));
    for count in [1, 2, 15, 16, 17, 40] {
        check_random(&Shape::Tuple(vec![p("u8"); count]));
        check_random(&Shape::Record(
            (0..count).map(|i| p(PRIMITIVES[i % 12])).collect(),
        ));
    }
    // Fields of one type in a row are a loop or a copy when they are too many to be flat, wherever
    // they start.
    for name in ["u64", "char", "string"] {
        for count in [8, 9, 16, 17, 18, 33] {
            let fields = [vec![p("u8"); 3], vec![p(name); count], vec![p("u16"); 1]].concat();
            check_random(&Shape::Option(Box::new(Shape::Tuple(fields))));
        }
    }
    check_random(&Shape::Option(Box::new(Shape::Tuple(vec![p("string"); 8]))));
    check_random(&Shape::Result(None, None));
    // Loops in loops: 2^14 leaves, more than an adapter may have written out.
    let cube = (0..7).fold(p("char"), |ty, _| Shape::Tuple(vec![ty; 4]));
    check(
        &Shape::List(Box::new(cube.clone())),
        &[Val::List(vec![random_values(&cube, 1).remove(0); 2])],
    );
    // A tree of 2^6 leaves.
    let tree = (0..6).fold(p("string"), |ty, _| Shape::Tuple(vec![ty.clone(), ty]));
    check_random(&tree);
    let deep = (0..40).fold(p("u32"), |ty, _| Shape::Option(Box::new(ty)));
    check_random(&deep);
}

/// Every length around the words that short strings are copied by, with a character that is not
/// ASCII at every place.
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
        &Shape::List(Box::new(p("u8"))),
        &(0..70).map(bytes).collect::<Vec<_>>(),
    );
}
