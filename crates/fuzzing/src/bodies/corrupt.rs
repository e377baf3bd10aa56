//! A component may return any bytes as its result. Two engines lift the same value from them, or
//! both refuse it.

use super::{echo_failure, with_echo};
use crate::engines::{Oracle, Stop};
use crate::guests::echo::WORDS;
use crate::guests::{ENCODINGS, Echo, WitType};
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::{Trap, Val};

/// The number of words that results are made of.
const COUNT: u32 = 512;

/// Calls of a case.
const CALLS: usize = 10;

/// Calls a component that returns arbitrary bytes as values, in both engines: both lift the same
/// values, up to the same call.
///
/// # Errors
///
/// If they differ.
pub fn corrupt(u: &mut Unstructured<'_>, subject: &dyn Oracle, reference: &dyn Oracle) -> Verdict {
    with_echo(u, arbitrary_echo, |echo, values| {
        run(echo, values, subject, reference)
    })
}

fn arbitrary_echo(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<(Echo, Vec<Val>)>> {
    let ty = WitType::arbitrary(u, 3, false)?;
    let words = (0..COUNT)
        .map(|_| word(u))
        .collect::<arbitrary::Result<Vec<_>>>()?;
    let encodings = [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?];
    let Some(echo) = Echo::corrupt(ty, encodings, &words) else {
        return Ok(None);
    };
    let value = echo.ty.value(u)?;
    Ok(Some((echo, vec![value; CALLS])))
}

/// Returns a word that is likely to be a valid length, discriminant, pointer, character or text.
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
        echo_failure(echo, &format!("here: {here}; there: {there}"), &what)
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
    // Engines may allocate different amounts on the way, and may order several traps differently.
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
    use crate::engines::{CompiledModules, Echoed, Mintage, Settings};
    use crate::guests::LinkedModules;
    use crate::guests::echo::{BLOCKS, RESULT, STRIDE};

    /// Mintage with guests whose allocator returns larger blocks, as if the engine had asked for
    /// them.
    struct Wasteful(Mintage);

    impl Oracle for Wasteful {
        fn name(&self) -> String {
            "Mintage with larger blocks".into()
        }

        fn compile(&self, linked: &LinkedModules) -> Result<Box<dyn CompiledModules>, Stop> {
            self.0.compile(linked)
        }

        fn has_error_context(&self) -> bool {
            self.0.has_error_context()
        }

        fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
            self.0.echo(&echo.with_larger_blocks(), values)
        }
    }

    /// The results point to a value that the engine wrote for the host, and to the pointer to it.
    #[test]
    fn sizes_passed_to_realloc_do_not_matter() {
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
                Echo::corrupt(WitType::Primitive("string"), [ENCODINGS[0], back], &words).unwrap();
            let value = Val::String("grüße, 世界".into());
            let outcome = run(&echo, &vec![value; 4], &subject, &reference);
            assert_eq!(outcome.map_err(|failure| failure.what), Ok(Outcome::Held));
        }
    }
}
