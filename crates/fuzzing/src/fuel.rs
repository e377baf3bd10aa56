//! What is executed costs the same under all settings, and a guest that cannot pay stops.

use crate::mintage::Mintage;
use crate::modules::{Linked, arguments};
use crate::oracle::{Oracle, PLENTY, Stop, all_same};
use crate::twins::{Twins, both, check_modules};
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::Trap;

/// Functions of a module that are called.
const FUNCS: usize = 8;

/// Calls functions of random modules in two engines that count: with plenty of fuel, with exactly
/// what that took, and with less. What is left is always the same in both; what is exactly enough
/// changes nothing, and what is less ends the guest.
///
/// # Errors
///
/// When something differs.
pub fn fuel(u: &mut Unstructured<'_>, subject: &Mintage, reference: &dyn Oracle) -> Verdict {
    check_modules(u, subject, reference, run)
}

fn run(
    u: &mut Unstructured<'_>,
    linked: &Linked,
    subject: &dyn Oracle,
    reference: &dyn Oracle,
) -> Result<Outcome, String> {
    let compiled = both(subject.compile(linked), reference.compile(linked));
    let Ok(compiled) = compiled.map_err(|difference| format!("compiling {difference}"))? else {
        return Ok(Outcome::Skipped("the modules are refused"));
    };
    // Each call starts from the same state.
    let instantiate = || Twins::new(linked, compiled.each_ref().map(|compiled| &**compiled));
    for (index, module) in linked.modules.iter().enumerate() {
        for func in module.funcs.iter().take(FUNCS) {
            let (Ok(Some(args)), Ok(any)) = (arguments(u, &func.params), u.arbitrary::<u64>())
            else {
                continue;
            };
            let Ok(mut twins) = instantiate()? else {
                return Ok(Outcome::Skipped("the modules cannot be instantiated"));
            };
            let expected = twins.call(index, &func.name, &args)?;
            if depends_on_engine(&expected) {
                continue;
            }
            let cost = twins.fuel().map_or(0, |left| PLENTY - left);
            let what = |fuel| {
                format!(
                    "the call of `{}` of module {index} with {args:?} and fuel of {fuel}",
                    func.name
                )
            };
            if cost == 0 {
                return Err(format!("{} costs nothing", what(PLENTY)));
            }
            for fuel in [cost, cost - 1, any % cost] {
                let Ok(mut twins) = instantiate()? else {
                    return Err("the modules can be instantiated once only".into());
                };
                let result = twins.call_with(fuel, index, &func.name, &args)?;
                let is_right = match (&result, &expected) {
                    _ if depends_on_engine(&result) => true,
                    (Err(stop), _) if fuel < cost => *stop == Stop::Trap(Trap::OutOfFuel),
                    (Ok(results), Ok(expected)) if fuel == cost => {
                        twins.fuel() == Some(0) && all_same(results, expected)
                    }
                    (Err(stop), Err(expected)) => stop == expected && twins.fuel() == Some(0),
                    _ => false,
                };
                if !is_right {
                    return Err(format!(
                        "{} gives {result:?}, with {:?} left; with plenty of fuel it takes {cost} \
                         and gives {expected:?}",
                        what(fuel),
                        twins.fuel()
                    ));
                }
            }
        }
    }
    Ok(Outcome::Held)
}

fn depends_on_engine<T>(result: &Result<T, Stop>) -> bool {
    result.as_ref().is_err_and(Stop::depends_on_engine)
}
