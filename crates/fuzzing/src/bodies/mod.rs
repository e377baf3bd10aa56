//! The bodies, and the frames that several of them share: a frame makes the guest, and names the
//! engines in a failure.

mod corrupt;
mod differential;
mod fuel;
mod hostile;
mod instances;
mod round_trip;

pub use corrupt::corrupt;
pub use differential::differential;
pub use fuel::fuel;
pub use hostile::hostile;
pub use instances::instances;
pub use round_trip::{check_echo, round_trip};

use crate::engines::{CompiledModules, Mintage, Oracle, Stop, Twins, both};
use crate::guests::{Echo, LinkedModules};
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::Val;

/// Random modules that two engines have compiled.
struct CompiledPair {
    linked: LinkedModules,
    compiled: [Box<dyn CompiledModules>; 2],
}

impl CompiledPair {
    /// Instantiates the modules in both engines. Returns the reason if both stop alike.
    ///
    /// # Errors
    ///
    /// The difference, if they do not do the same.
    fn instantiate(&self) -> Result<Result<Twins<'_>, Stop>, String> {
        let [a, b] = &self.compiled;
        Twins::new(&self.linked, [&**a, &**b])
    }
}

/// Runs `body` on random modules, compiled by both engines. The body returns a difference as its
/// error, and the failure names the engines.
fn with_modules(
    u: &mut Unstructured<'_>,
    subject: &Mintage,
    reference: &dyn Oracle,
    body: impl FnOnce(&mut Unstructured<'_>, &CompiledPair) -> Result<Outcome, String>,
) -> Verdict {
    let linked = LinkedModules::arbitrary(u, subject.settings().canonical_nans);
    skip_if_exhausted(linked.map(|linked| {
        let guests = linked.guests();
        let run = || {
            let compiled = both(subject.compile(&linked), reference.compile(&linked));
            match compiled.map_err(|difference| format!("compiling {difference}"))? {
                Ok(compiled) => body(u, &CompiledPair { linked, compiled }),
                Err(_) => Ok(Outcome::Skipped("the modules are refused")),
            }
        };
        run().map_err(|difference| {
            let (here, there) = (subject.name(), reference.name());
            Failure::new(
                format!("here: {here}; there: {there}: {difference}"),
                guests,
            )
        })
    }))
}

/// Runs `body` on a component and the values to send through it, as `make` makes them.
fn with_echo(
    u: &mut Unstructured<'_>,
    make: impl FnOnce(&mut Unstructured<'_>) -> arbitrary::Result<Option<(Echo, Vec<Val>)>>,
    body: impl FnOnce(&Echo, &[Val]) -> Verdict,
) -> Verdict {
    skip_if_exhausted(make(u).map(|made| match made {
        Some((echo, values)) => body(&echo, &values),
        None => Ok(Outcome::Skipped("the values are too large")),
    }))
}

/// Returns a failure that an echo shows in `engines`.
fn echo_failure(echo: &Echo, engines: &str, what: &str) -> Failure {
    let what = format!(
        "{engines}: {what}; the type is {:?}, with {:?}",
        echo.ty, echo.encodings
    );
    let guest = ("component.wat".to_string(), echo.text().as_bytes().to_vec());
    Failure::new(what, [guest])
}
