//! Instances of the same modules in two places: after each step, both have the same state.
//!
//! Messages call the two places "here" and "there".

use super::{CompiledModules, ModuleInstances, PLENTY, Stop, all_same, same};
use crate::guests::LinkedModules;
use mintage::Trap;
use mintage::core::CoreVal;

/// Instances of the same modules in two engines, or twice in one engine.
pub struct Twins<'a> {
    linked: &'a LinkedModules,
    pair: [Box<dyn ModuleInstances>; 2],
    /// Whether bulk operations cost the same fuel in both places.
    same_costs: bool,
}

impl<'a> Twins<'a> {
    /// Instantiates in both places. Returns the reason if both stop alike.
    ///
    /// # Errors
    ///
    /// The difference between the two places.
    pub fn new(
        linked: &'a LinkedModules,
        compiled: [&dyn CompiledModules; 2],
    ) -> Result<Result<Twins<'a>, Stop>, String> {
        let [a, b] = compiled.map(CompiledModules::fuel_by_length);
        let same_costs = a == b;
        let [a, b] = compiled.map(CompiledModules::instantiate);
        let pair = match both_at_costs(same_costs, a, b)
            .map_err(|difference| format!("instantiation {difference}"))?
        {
            Ok(pair) => pair,
            Err(stop) => return Ok(Err(stop)),
        };
        let mut twins = Twins {
            linked,
            pair,
            same_costs,
        };
        twins
            .compare()
            .map_err(|difference| format!("after instantiation, {difference}"))?;
        Ok(Ok(twins))
    }

    /// Calls an exported function in both places with [`PLENTY`] of fuel, then compares everything
    /// that is exported. Returns the results here, or the reason if both stop alike, or if one
    /// stops for a reason that says nothing about the other ([`may_part`](Self::may_part)).
    ///
    /// # Errors
    ///
    /// The difference between the two places.
    pub fn call(
        &mut self,
        module: usize,
        name: &str,
        args: &[CoreVal],
    ) -> Result<Result<Vec<CoreVal>, Stop>, String> {
        self.call_with(PLENTY, module, name, args)
    }

    /// Calls an exported function as [`call`](Self::call) does, with `fuel`.
    ///
    /// # Errors
    ///
    /// The difference between the two places.
    pub fn call_with(
        &mut self,
        fuel: u64,
        module: usize,
        name: &str,
        args: &[CoreVal],
    ) -> Result<Result<Vec<CoreVal>, Stop>, String> {
        let what =
            || format!("the call of `{name}` of module {module} with {args:?} and fuel of {fuel}");
        let [a, b] = self.pair.each_mut().map(|instance| {
            instance.set_fuel(fuel);
            instance.call(module, name, args)
        });
        let result = match both_at_costs(self.same_costs, a, b)
            .map_err(|difference| format!("{} {difference}", what()))?
        {
            Ok([a, b]) if !all_same(&a, &b) => {
                return Err(format!("{} gives {a:?} here, {b:?} there", what()));
            }
            Ok([results, _]) => Ok(results),
            // The engines stopped at different points, so their states differ.
            Err(stop) if may_part(self.same_costs, &stop) => return Ok(Err(stop)),
            Err(stop) => Err(stop),
        };
        self.compare()
            .map_err(|difference| format!("after {}, {difference}", what()))?;
        Ok(result)
    }

    /// Returns the fuel that is left here, if it is counted.
    pub fn fuel(&mut self) -> Option<u64> {
        self.pair[0].fuel()
    }

    /// Replaces the instances here by ones made from a snapshot, which must not change anything.
    ///
    /// # Errors
    ///
    /// The difference between the two places, or the reason why there is no snapshot.
    pub fn replace_first(&mut self, serialized: bool) -> Result<(), String> {
        let first = self.pair[0].of_snapshot(serialized);
        match first.map_err(|stop| format!("there is no snapshot: {stop:?}"))? {
            Some(first) => self.pair[0] = first,
            None => return Ok(()),
        }
        self.pair
            .iter_mut()
            .for_each(|instance| instance.set_fuel(PLENTY));
        self.compare()
            .map_err(|difference| format!("after a snapshot, {difference}"))
    }

    /// Returns the instances there and drops the others.
    pub fn into_second(self) -> Box<dyn ModuleInstances> {
        let [_, second] = self.pair;
        second
    }

    /// Returns whether the two places may have different states after a call that ended so.
    pub fn may_part(&self, stop: &Stop) -> bool {
        may_part(self.same_costs, stop)
    }

    fn compare(&mut self) -> Result<(), String> {
        if let [Some(a), Some(b)] = self.pair.each_mut().map(|instance| instance.fuel())
            && self.same_costs
            && a != b
        {
            return Err(format!("fuel of {a} is left here, {b} there"));
        }
        for (index, module) in self.linked.modules.iter().enumerate() {
            for name in &module.globals {
                let [a, b] = self
                    .pair
                    .each_mut()
                    .map(|instance| instance.global(index, name));
                if !same(&a, &b) {
                    return Err(format!(
                        "global `{name}` of module {index} is {a:?} here, {b:?} there"
                    ));
                }
            }
            for name in &module.memories {
                let [a, b] = self
                    .pair
                    .each_mut()
                    .map(|instance| instance.memory(index, name));
                if a != b {
                    let at = a.iter().zip(&b).position(|(a, b)| a != b);
                    let (a, b) = (a.len(), b.len());
                    return Err(format!(
                        "memory `{name}` of module {index} has {a} bytes here, {b} there; the \
                         first that differs: {at:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Returns whether one place may stop so where the other one goes on.
///
/// The length of a bulk operation is paid for before anything else is checked, and can be far more
/// than [`PLENTY`].
fn may_part(same_costs: bool, stop: &Stop) -> bool {
    stop.depends_on_engine() || (!same_costs && *stop == Stop::Trap(Trap::OutOfFuel))
}

/// Returns the results of a step in two places, or the reason if both stopped alike or one place
/// may stop so alone.
///
/// # Errors
///
/// The difference, if one went on and the other one stopped, or they stopped for different reasons.
fn both_at_costs<T>(
    same_costs: bool,
    a: Result<T, Stop>,
    b: Result<T, Stop>,
) -> Result<Result<[T; 2], Stop>, String> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(Ok([a, b])),
        (Err(a), Err(b)) if a == b => Ok(Err(a)),
        (Err(stop), _) if may_part(same_costs, &stop) => Ok(Err(stop)),
        (_, Err(stop)) if may_part(same_costs, &stop) => Ok(Err(stop)),
        (a, b) => {
            let word = |result: Result<T, Stop>| {
                result
                    .err()
                    .map_or("goes on".into(), |stop| format!("ends with {stop:?}"))
            };
            Err(format!("{} here, {} there", word(a), word(b)))
        }
    }
}

/// Returns the results of a step that costs nothing, as [`Twins::call`] does for calls.
///
/// # Errors
///
/// The difference between the two places.
pub fn both<T>(a: Result<T, Stop>, b: Result<T, Stop>) -> Result<Result<[T; 2], Stop>, String> {
    both_at_costs(true, a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length that one place cannot pay says nothing about the other place; any other
    /// difference does.
    #[test]
    fn out_of_fuel_counts_where_costs_are_the_same() {
        let out_of_fuel = || Err::<u8, _>(Stop::Trap(Trap::OutOfFuel));
        let out_of_bounds = || Err(Stop::Trap(Trap::MemoryOutOfBounds));
        for other in [out_of_bounds, || Ok(0)] {
            for (a, b) in [(out_of_fuel(), other()), (other(), out_of_fuel())] {
                assert!(both_at_costs(true, a.clone(), b.clone()).is_err());
                let stop = both_at_costs(false, a, b).unwrap().unwrap_err();
                assert!(may_part(false, &stop));
            }
        }
        assert!(both_at_costs(false, out_of_bounds(), Ok(0)).is_err());
    }
}
