//! Values come back equal from a round through components.

use crate::echo::{ENCODINGS, Echo};
use crate::oracle::{Oracle, Stop};
use crate::shapes::Shape;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::Val;

/// Values of a type that are sent in one case.
const VALUES: usize = 20;

/// Sends random values of a random type through components of random string encodings, in each
/// engine.
///
/// # Errors
///
/// When an engine refuses a component or value, or a value changes on its way.
pub fn round_trip(u: &mut Unstructured<'_>, engines: &[&dyn Oracle]) -> Verdict {
    skip_if_exhausted(arbitrary_echo(u).map(|made| {
        let Some((echo, values, has_error_context)) = made else {
            return Ok(Outcome::Skipped("the values are too large"));
        };
        let able = engines
            .iter()
            .filter(|engine| engine.has_error_context() || !has_error_context);
        for engine in able {
            check_echo(&echo, &values, *engine)?;
        }
        Ok(Outcome::Held)
    }))
}

fn arbitrary_echo(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<(Echo, Vec<Val>, bool)>> {
    let encodings = [*u.choose(&ENCODINGS)?, *u.choose(&ENCODINGS)?];
    let may_have_error_context = u.ratio(1, 4)?;
    let Some(echo) = Echo::new(Shape::arbitrary(u, 4, may_have_error_context)?, encodings) else {
        return Ok(None);
    };
    let values = (0..VALUES).map(|_| echo.shape.value(u));
    let values = values.collect::<arbitrary::Result<Vec<_>>>()?;
    Ok(Some((echo, values, may_have_error_context)))
}

/// Sends values through a component and demands that they are equal wherever they come out.
///
/// # Errors
///
/// When a value changes on its way, or a call fails.
pub fn check_echo(echo: &Echo, values: &[Val], engine: &dyn Oracle) -> Verdict {
    let fail = |what: String| {
        let what = format!(
            "{}: {what}; the type is {:?}, with {:?}",
            engine.name(),
            echo.shape,
            echo.encodings
        );
        Failure::new(
            what,
            [("component.wat".to_string(), echo.text().as_bytes().to_vec())],
        )
    };
    let echoed = match engine.echo(echo, values) {
        Ok(echoed) => echoed,
        // Engines bound the code of an adapter.
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
