//! Execution costs the same fuel under all settings, and a guest that cannot pay stops.

use super::{CompiledPair, with_modules};
use crate::engines::{Mintage, Oracle, PLENTY, Stop, all_same};
use crate::guests::modules::arguments;
use crate::verdict::{Outcome, Verdict};
use arbitrary::Unstructured;
use mintage::Trap;
use mintage::core::CoreVal;

/// Functions of a module that are called.
const FUNCS: usize = 8;

/// Calls functions of random modules in two engines that count fuel by the same rules: with plenty
/// of fuel, with exactly what that took, and with less.
///
/// The rest is always the same in both engines. Exactly enough fuel changes nothing, and less ends
/// the guest.
///
/// # Errors
///
/// If something differs.
pub fn fuel(u: &mut Unstructured<'_>, subject: &Mintage, reference: &dyn Oracle) -> Verdict {
    with_modules(u, subject, reference, run)
}

fn run(u: &mut Unstructured<'_>, pair: &CompiledPair) -> Result<Outcome, String> {
    for (index, module) in pair.linked.modules.iter().enumerate() {
        for func in module.funcs.iter().take(FUNCS) {
            let (Ok(Some(args)), Ok(any)) = (arguments(u, &func.params), u.arbitrary::<u64>())
            else {
                continue;
            };
            // Each call starts from the same state.
            let Ok(mut twins) = pair.instantiate()? else {
                return Ok(Outcome::Skipped("the modules cannot be instantiated"));
            };
            let expected = twins.call(index, &func.name, &args)?;
            if depends_on_engine(&expected) {
                continue;
            }
            let cost = twins.fuel().map_or(0, |left| PLENTY - left);
            if cost == 0 {
                return Err(format!(
                    "the call of `{}` of module {index} with {args:?} costs nothing",
                    func.name
                ));
            }
            for fuel in [cost, cost - 1, any % cost] {
                check_call(pair, (index, &func.name, &args), fuel, cost, &expected)?;
            }
        }
    }
    Ok(Outcome::Held)
}

/// Calls a function with `fuel`, given that it costs `cost` and its outcome with plenty of fuel.
fn check_call(
    pair: &CompiledPair,
    (module, name, args): (usize, &str, &[CoreVal]),
    fuel: u64,
    cost: u64,
    expected: &Result<Vec<CoreVal>, Stop>,
) -> Result<(), String> {
    let Ok(mut twins) = pair.instantiate()? else {
        return Err("the modules can be instantiated only once".into());
    };
    let result = twins.call_with(fuel, module, name, args)?;
    let is_right = match (&result, expected) {
        _ if depends_on_engine(&result) => true,
        (Err(stop), _) if fuel < cost => *stop == Stop::Trap(Trap::OutOfFuel),
        (Ok(results), Ok(expected)) if fuel == cost => {
            twins.fuel() == Some(0) && all_same(results, expected)
        }
        (Err(stop), Err(expected)) => stop == expected && twins.fuel() == Some(0),
        _ => false,
    };
    match is_right {
        true => Ok(()),
        false => Err(format!(
            "the call of `{name}` of module {module} with {args:?} and fuel of {fuel} gives \
             {result:?}, with {:?} left; with plenty of fuel it takes {cost} and gives \
             {expected:?}",
            twins.fuel()
        )),
    }
}

fn depends_on_engine<T>(result: &Result<T, Stop>) -> bool {
    result.as_ref().is_err_and(Stop::depends_on_engine)
}
