//! What a component gives back may be anything: adapters and hosts take it for the same value, or
//! refuse it.

use crate::echo::{ENCODINGS, Echo, WORDS};
use crate::oracle::{Oracle, Stop};
use crate::shapes::Shape;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::{Trap, Val};

/// Words that a result may be made of.
const COUNT: u32 = 512;

/// Calls of a case.
const CALLS: usize = 10;

/// Calls a component that gives back bytes which nobody wrote as values, in both engines: both lift
/// the same values, up to the same call.
///
/// # Errors
///
/// When they differ.
pub fn corrupt(u: &mut Unstructured<'_>, subject: &dyn Oracle, reference: &dyn Oracle) -> Verdict {
    skip_if_exhausted(arbitrary_echo(u).map(|made| match made {
        Some((echo, values)) => run(&echo, &values, subject, reference),
        None => Ok(Outcome::Skipped("the values are too large")),
    }))
}

fn arbitrary_echo(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<(Echo, Vec<Val>)>> {
    let shape = Shape::arbitrary(u, 3, false)?;
    let words = (0..COUNT)
        .map(|_| word(u))
        .collect::<arbitrary::Result<Vec<_>>>()?;
    let encodings = [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?];
    let Some(echo) = Echo::corrupt(shape, encodings, &words) else {
        return Ok(None);
    };
    let value = echo.shape.value(u)?;
    Ok(Some((echo, vec![value; CALLS])))
}

/// A word that may pass for a length, a discriminant, a pointer, a character or some text.
fn word(u: &mut Unstructured<'_>) -> arbitrary::Result<u32> {
    const TEXTS: [&[u8; 4]; 5] = [
        b"text",
        b"\xc3\xa4a\0",
        b"\xf0\x9f\x8c\x8d",
        b"\xe4\0\xff\x01",
        b"\x3d\xd8\x0d\xdf",
    ];
    let any: u32 = u.arbitrary()?;
    Ok(match any % 16 {
        0..7 => any >> 4 & 3,
        7..11 => WORDS + (any >> 4) % COUNT * 4,
        14 => any >> 4 & 0x1f_ffff,
        11..14 => u32::from_le_bytes(*TEXTS[(any >> 4) as usize % TEXTS.len()]),
        _ => any,
    })
}

fn run(echo: &Echo, values: &[Val], subject: &dyn Oracle, reference: &dyn Oracle) -> Verdict {
    let fail = |what: String| {
        let (here, there) = (subject.name(), reference.name());
        let what = format!(
            "here: {here}; there: {there}: {what}; the type is {:?}, with {:?}",
            echo.shape, echo.encodings
        );
        Failure::new(
            what,
            [("component.wat".to_string(), echo.text().as_bytes().to_vec())],
        )
    };
    let (here, there) = match (subject.echo(echo, values), reference.echo(echo, values)) {
        (Ok(here), Ok(there)) => (here, there),
        (Err(_), Err(_)) => return Ok(Outcome::Skipped("the type is too large")),
        (here, there) => {
            let (here, there) = (here.err(), there.err());
            return Err(fail(format!(
                "the component ends with {here:?} here, {there:?} there"
            )));
        }
    };
    for (call, ([_, here], [_, there])) in here.values.iter().zip(&there.values).enumerate() {
        if here != there {
            return Err(fail(format!(
                "call {call} gives {here:?} here, {there:?} there"
            )));
        }
    }
    // How much is allocated on the way, and which of several traps comes first, is left to engines.
    let is_full = |stop: &Option<Stop>| match stop {
        Some(Stop::Trap(trap)) => *trap == Trap::MemoryOutOfBounds,
        Some(Stop::Refused(reason)) => reason.contains("fuel"),
        None => false,
    };
    if is_full(&here.stop) || is_full(&there.stop) {
        return Ok(Outcome::Skipped("the memory is full"));
    }
    match here.values.len() == there.values.len() {
        true => Ok(Outcome::Held),
        false => Err(fail(format!(
            "after {} calls {:?} here, after {} calls {:?} there",
            here.values.len(),
            here.stop,
            there.values.len(),
            there.stop
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::{BLOCKS, RESULT, STRIDE};
    use crate::mintage::{Mintage, Settings};
    use crate::modules::Linked;
    use crate::oracle::{Compiled, Echoed};

    /// Mintage, with an allocator that makes it an engine which asks for more.
    struct Wasteful(Mintage);

    impl Oracle for Wasteful {
        fn name(&self) -> String {
            "Mintage with larger blocks".into()
        }

        fn compile(&self, linked: &Linked) -> Result<Box<dyn Compiled>, Stop> {
            self.0.compile(linked)
        }

        fn has_error_context(&self) -> bool {
            self.0.has_error_context()
        }

        fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
            self.0.echo(&echo.with_larger_blocks(), values)
        }
    }

    /// Pointers to where an engine wrote a value that the host gave, and to where its pointer is.
    #[test]
    fn how_much_is_asked_of_realloc_does_not_matter() {
        let engine = || Mintage::new(Settings::default()).unwrap();
        let (subject, reference) = (engine(), Wasteful(engine()));
        for back in ["utf16", "latin1+utf16"] {
            let mut words = [0; COUNT as usize];
            for (call, at) in [RESULT, BLOCKS, BLOCKS + 8, BLOCKS + 16]
                .into_iter()
                .enumerate()
            {
                words[call * STRIDE as usize / 4..][..2].copy_from_slice(&[at, 12]);
            }
            let echo =
                Echo::corrupt(Shape::Primitive("string"), [ENCODINGS[0], back], &words).unwrap();
            let value = Val::String("grüße, 世界".into());
            let outcome = run(&echo, &vec![value; 4], &subject, &reference);
            assert_eq!(outcome.map_err(|failure| failure.what), Ok(Outcome::Held));
        }
    }
}
