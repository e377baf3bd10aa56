//! Random core modules do the same in two engines.

use super::{CompiledPair, with_modules};
use crate::engines::{Mintage, Oracle, Stop};
use crate::guests::modules::arguments;
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::Trap;

/// Runs random modules in both engines and compares results, traps, globals, memories and fuel.
/// Either both engines produce only one NaN, or neither does.
///
/// # Errors
///
/// If something differs.
pub fn differential(
    u: &mut Unstructured<'_>,
    subject: &Mintage,
    reference: &dyn Oracle,
) -> Verdict {
    with_modules(u, subject, reference, run)
}

fn run(u: &mut Unstructured<'_>, pair: &CompiledPair) -> Result<Outcome, String> {
    let Ok(mut twins) = pair.instantiate()? else {
        return Ok(Outcome::Held);
    };
    for (index, module) in pair.linked.modules.iter().enumerate() {
        for func in &module.funcs {
            let Ok(Some(args)) = arguments(u, &func.params) else {
                continue;
            };
            let Err(stop) = twins.call(index, &func.name, &args)? else {
                continue;
            };
            // Either the states may differ from here on, or the guests' own limit on loops and
            // calls is used up.
            if twins.may_part(&stop) || stop == Stop::Trap(Trap::UnreachableCodeReached) {
                match pair.instantiate()? {
                    Ok(fresh) => twins = fresh,
                    Err(_) => return Ok(Outcome::Held),
                }
            }
        }
    }
    Ok(Outcome::Held)
}
