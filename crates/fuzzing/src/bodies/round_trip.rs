//! Values are equal after a round trip through components.

use super::{echo_failure, with_echo};
use crate::engines::{Oracle, Stop};
use crate::guests::{ENCODINGS, Echo, WitType};
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::Val;

/// Values that are sent in one case.
const VALUES: usize = 20;

/// Sends random values of a random type through components of random string encodings, in each
/// engine.
///
/// # Errors
///
/// If an engine refuses a component or value, or a value changes on its way.
pub fn round_trip(u: &mut Unstructured<'_>, engines: &[&dyn Oracle]) -> Verdict {
    with_echo(u, arbitrary_echo, |echo, values| {
        let needs_error_context = echo.ty.has_error_context();
        for engine in engines {
            if engine.has_error_context() || !needs_error_context {
                check_echo(echo, values, *engine)?;
            }
        }
        Ok(Outcome::Held)
    })
}

fn arbitrary_echo(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<(Echo, Vec<Val>)>> {
    let encodings = [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?];
    let may_have_error_context = u.ratio(1, 4)?;
    let Some(echo) = Echo::new(WitType::arbitrary(u, 4, may_have_error_context)?, encodings) else {
        return Ok(None);
    };
    let values = (0..VALUES).map(|_| echo.ty.value(u));
    let values = values.collect::<arbitrary::Result<Vec<_>>>()?;
    Ok(Some((echo, values)))
}

/// Sends values through a component. The host function and the caller must see equal values.
///
/// # Errors
///
/// If a value changes on its way, or a call fails.
pub fn check_echo(echo: &Echo, values: &[Val], engine: &dyn Oracle) -> Verdict {
    let fail = |what: String| echo_failure(echo, &engine.name(), &what);
    let echoed = match engine.echo(echo, values) {
        Ok(echoed) => echoed,
        // Engines limit the code of an adapter.
        Err(Stop::Refused(reason)) if reason.contains("when it is written out") => {
            return Ok(Outcome::Skipped("the type is too large"));
        }
        Err(stop) => return Err(fail(format!("the component ends with {stop:?}"))),
    };
    for (value, [seen, result]) in values.iter().zip(&echoed.values) {
        if seen != value || result != value {
            return Err(fail(format!(
                "{value:?} is {seen:?} to the host function, and comes back as {result:?}"
            )));
        }
    }
    if let Some(stop) = echoed.stop {
        let value = &values[echoed.values.len()];
        return Err(fail(format!("{value:?} does not come back: {stop:?}")));
    }
    match echoed.freed as usize == values.len() {
        true => Ok(Outcome::Held),
        false => Err(fail(format!(
            "`post-return` ran {} times for {} calls",
            echoed.freed,
            values.len()
        ))),
    }
}
