//! Damaged bytes: components are refused or compiled, artifacts are refused or read, soon, and
//! nothing panics.

use crate::echo::{ENCODINGS, Echo};
use crate::mintage::Mintage;
use crate::modules::Linked;
use crate::shapes::Shape;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::Component;
use mintage_artifact::{Artifact, Check, forge};
use std::time::{Duration, Instant};

/// How long a case may take: a thousand times what it should, for slow machines that do much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// Most changes to the bytes of a case.
const CHANGES: usize = 6;

/// Compiles a component with bytes changed, then opens its artifact with bytes changed and the
/// hashes made right.
///
/// # Errors
///
/// When it takes too long. (What should not panic does so here, too.)
pub fn hostile(u: &mut Unstructured<'_>, engine: &Mintage) -> Verdict {
    skip_if_exhausted(component(u).map(|original| run(u, engine, &original)))
}

/// A component of core modules, or one with adapters.
fn component(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    if u.arbitrary()? {
        return Ok(Linked::arbitrary(u, true)?.component());
    }
    let shape = Shape::arbitrary(u, 3, true)?;
    let echo = Echo::new(shape, [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?]);
    let text = echo.ok_or(arbitrary::Error::IncorrectFormat)?;
    Ok(wat::parse_str(text.text()).expect("the text is a component's"))
}

fn run(u: &mut Unstructured<'_>, engine: &Mintage, original: &[u8]) -> Verdict {
    let start = Instant::now();
    let mut damaged = original.to_vec();
    damage(u, &mut damaged);
    let mut guests = vec![("damaged.wasm".to_string(), damaged)];
    // Whether it is refused does not matter: what it does when it runs may be anything.
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

/// Changes bytes: to anything, to a neighbour, or to what stands elsewhere; now and then cuts off
/// the end, or takes out or repeats a piece.
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
