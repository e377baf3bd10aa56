//! Random core modules do the same in two engines.

use crate::mintage::Mintage;
use crate::modules::{Linked, arguments};
use crate::oracle::{Oracle, Stop};
use crate::twins::{Twins, both, check_modules};
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::Trap;

/// Runs random modules in both engines: results, traps, globals, memories and fuel are the same.
/// Both engines, or neither, give one NaN only.
///
/// # Errors
///
/// When something differs.
pub fn differential(
    u: &mut Unstructured<'_>,
    subject: &Mintage,
    reference: &dyn Oracle,
) -> Verdict {
    check_modules(u, subject, reference, run)
}

fn run(
    u: &mut Unstructured<'_>,
    linked: &Linked,
    subject: &dyn Oracle,
    reference: &dyn Oracle,
) -> Result<Outcome, String> {
    let compiled = both(subject.compile(linked), reference.compile(linked));
    let compiled = match compiled.map_err(|difference| format!("compiling {difference}"))? {
        Ok(compiled) => compiled,
        Err(_) => return Ok(Outcome::Skipped("the modules are refused")),
    };
    let instantiate = || Twins::new(linked, compiled.each_ref().map(|compiled| &**compiled));
    let Ok(mut twins) = instantiate()? else {
        return Ok(Outcome::Held);
    };
    for (index, module) in linked.modules.iter().enumerate() {
        for func in &module.funcs {
            let Ok(Some(args)) = arguments(u, &func.params) else {
                continue;
            };
            let Err(stop) = twins.call(index, &func.name, &args)? else {
                continue;
            };
            // Their states may differ from here on, or the guests' own limit on turns and calls is
            // used up.
            if stop.depends_on_engine() || stop == Stop::Trap(Trap::UnreachableCodeReached) {
                match instantiate()? {
                    Ok(fresh) => twins = fresh,
                    Err(_) => return Ok(Outcome::Held),
                }
            }
        }
    }
    Ok(Outcome::Held)
}
