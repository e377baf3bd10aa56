//! Instances of the same modules in two places: after each step, both have the same state.
//!
//! Messages call the two places "here" and "there".

use super::{CompiledModules, ModuleInstances, PLENTY, Stop, all_same, same};
use crate::guests::LinkedModules;
use mintage::core::CoreVal;

/// Instances of the same modules in two engines, or twice in one engine.
pub struct Twins<'a> {
    linked: &'a LinkedModules,
    pair: [Box<dyn ModuleInstances>; 2],
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
        let [a, b] = compiled.map(CompiledModules::instantiate);
        let pair = match both(a, b).map_err(|difference| format!("instantiation {difference}"))? {
            Ok(pair) => pair,
            Err(stop) => return Ok(Err(stop)),
        };
        let mut twins = Twins { linked, pair };
        twins
            .compare()
            .map_err(|difference| format!("after instantiation, {difference}"))?;
        Ok(Ok(twins))
    }

    /// Calls an exported function in both places with [`PLENTY`] of fuel, then compares everything
    /// that is exported. Returns the results here, or the reason if both stop alike.
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
        let result = match both(a, b).map_err(|difference| format!("{} {difference}", what()))? {
            Ok([a, b]) if !all_same(&a, &b) => {
                return Err(format!("{} gives {a:?} here, {b:?} there", what()));
            }
            Ok([results, _]) => Ok(results),
            // The engines stopped at different points, so their states differ.
            Err(stop) if stop.depends_on_engine() => return Ok(Err(stop)),
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

    fn compare(&mut self) -> Result<(), String> {
        let [a, b] = &self.pair;
        let is_comparable = a.fuel_by_length() == b.fuel_by_length();
        if let [Some(a), Some(b)] = self.pair.each_mut().map(|instance| instance.fuel())
            && is_comparable
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

/// Returns the results of a step in two places, or the reason if both stopped alike.
///
/// # Errors
///
/// The difference, if one went on and the other one stopped, or they stopped for different reasons.
pub fn both<T>(a: Result<T, Stop>, b: Result<T, Stop>) -> Result<Result<[T; 2], Stop>, String> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(Ok([a, b])),
        (Err(a), Err(b)) if a == b => Ok(Err(a)),
        // One engine needs more stack than the other.
        (Err(stop), _) | (_, Err(stop)) if stop.depends_on_engine() => Ok(Err(stop)),
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
