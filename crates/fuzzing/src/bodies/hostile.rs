//! Damaged components are refused or compiled, and damaged artifacts are refused or read. Neither
//! takes long or panics.

use crate::engines::Mintage;
use crate::guests::{ENCODINGS, Echo, LinkedModules, WitType};
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::Component;
use mintage_artifact::{Artifact, Check, forge};
use std::time::{Duration, Instant};

/// The time limit of a case: a thousand times what it should take, for slow and busy machines.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most changes to the bytes of a case.
const CHANGES: usize = 6;

/// Compiles a component after changing some of its bytes. Then opens its artifact after changing
/// some bytes and correcting the hashes.
///
/// # Errors
///
/// If it takes too long.
///
/// # Panics
///
/// If compiling or opening panics.
pub fn hostile(u: &mut Unstructured<'_>, engine: &Mintage) -> Verdict {
    skip_if_exhausted(component(u).map(|original| run(u, engine, &original)))
}

/// Returns a component of core modules, or one with adapters.
fn component(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    if u.arbitrary()? {
        return Ok(LinkedModules::arbitrary(u, true)?.component());
    }
    let ty = WitType::arbitrary(u, 3, true)?;
    let echo = Echo::new(ty, [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?]);
    let text = echo.ok_or(arbitrary::Error::IncorrectFormat)?;
    Ok(wat::parse_str(text.text()).expect("the text is a component's"))
}

fn run(u: &mut Unstructured<'_>, engine: &Mintage, original: &[u8]) -> Verdict {
    let start = Instant::now();
    let mut damaged = original.to_vec();
    damage(u, &mut damaged);
    let mut guests = vec![("damaged.wasm".to_string(), damaged)];
    // A damaged component is not run: if it is valid, it may do anything.
    let _ = Component::from_binary(engine.engine(), &guests[0].1);

    if let Ok(mut artifact) = engine.engine().precompile_component(original) {
        damage(u, &mut artifact);
        forge::reseal(&mut artifact);
        if let Ok(artifact) = Artifact::parse(artifact.as_slice(), Check::Full) {
            forge::exercise(&artifact, (0..4096).step_by(61).chain([u32::MAX]));
        }
        guests.push(("damaged.mint".to_string(), artifact));
    }
    match start.elapsed() {
        elapsed if elapsed > PATIENCE => {
            Err(Failure::new(format!("the case takes {elapsed:?}"), guests))
        }
        _ => Ok(Outcome::Held),
    }
}

/// Changes bytes: to random ones, to neighboring values, or to other bytes of the input. Sometimes
/// cuts off the end, removes a piece or repeats one.
fn damage(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) {
    let mut below = |limit: usize| u.choose_index(limit.max(1)).unwrap_or(0);
    for _ in 0..=below(CHANGES) {
        if bytes.is_empty() {
            return;
        }
        let at = below(bytes.len());
        match below(16) {
            0 => bytes.truncate(at),
            1 => {
                let end = bytes.len().min(at + 1 + below(32));
                bytes.drain(at..end);
            }
            2 => {
                let piece = bytes[at..bytes.len().min(at + 1 + below(32))].to_vec();
                let to = below(bytes.len());
                bytes.splice(to..to, piece);
            }
            3..7 => bytes[at] = below(256) as u8,
            7..9 => bytes[at] = bytes[at].wrapping_add(1),
            9..11 => bytes[at] = bytes[at].wrapping_sub(1),
            11 => bytes[at] = 0xff,
            12 => bytes[at] ^= 1 << below(8),
            _ => bytes[at] = bytes[below(bytes.len())],
        }
    }
}
