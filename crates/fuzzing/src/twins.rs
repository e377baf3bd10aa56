//! The same instances in two places: whatever is done to both, they stay the same.

use crate::mintage::Mintage;
use crate::modules::Linked;
use crate::oracle::{Compiled, CoreInstance, Oracle, PLENTY, Stop, all_same, same};
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::core::CoreVal;

/// Runs `check` on random modules and two engines. It says what differs, and the failure names both
/// engines.
///
/// # Errors
///
/// When something differs.
pub fn check_modules(
    u: &mut Unstructured<'_>,
    subject: &Mintage,
    reference: &dyn Oracle,
    check: impl FnOnce(
        &mut Unstructured<'_>,
        &Linked,
        &dyn Oracle,
        &dyn Oracle,
    ) -> Result<Outcome, String>,
) -> Verdict {
    skip_if_exhausted(
        Linked::arbitrary(u, subject.settings().canonical_nans).map(|linked| {
            check(u, &linked, subject, reference).map_err(|difference| {
                let what = format!(
                    "here: {}; there: {}: {difference}",
                    subject.name(),
                    reference.name()
                );
                Failure::new(what, linked.guests())
            })
        }),
    )
}

/// Instances of one [`Linked`] in two engines, or in one engine twice.
pub struct Twins<'a> {
    linked: &'a Linked,
    pair: [Box<dyn CoreInstance>; 2],
}

impl<'a> Twins<'a> {
    /// Instantiates in both places. When both stop alike, why.
    ///
    /// # Errors
    ///
    /// Says what differs.
    pub fn new(
        linked: &'a Linked,
        compiled: [&dyn Compiled; 2],
    ) -> Result<Result<Twins<'a>, Stop>, String> {
        let [a, b] = compiled.map(Compiled::instantiate);
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

    /// Calls an exported function in both places, then compares all that is exported: the results
    /// in the first place. When both stop alike, why.
    ///
    /// # Errors
    ///
    /// Says what differs.
    pub fn call(
        &mut self,
        module: usize,
        name: &str,
        args: &[CoreVal],
    ) -> Result<Result<Vec<CoreVal>, Stop>, String> {
        self.call_with(PLENTY, module, name, args)
    }

    /// The same, with so much fuel.
    ///
    /// # Errors
    ///
    /// As there.
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
            // Where the stack ended is where the guest stopped.
            Err(stop) if stop.depends_on_engine() => return Ok(Err(stop)),
            Err(stop) => Err(stop),
        };
        self.compare()
            .map_err(|difference| format!("after {}, {difference}", what()))?;
        Ok(result)
    }

    /// What is left of the fuel in the first place, if it is counted.
    pub fn fuel(&mut self) -> Option<u64> {
        self.pair[0].fuel()
    }

    /// Puts an instance of a snapshot of the first one in its place: nothing may change.
    ///
    /// # Errors
    ///
    /// Says what differs, or why there is no snapshot.
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

    /// The instance in the second place; the other one is dropped.
    pub fn into_second(self) -> Box<dyn CoreInstance> {
        let [_, second] = self.pair;
        second
    }

    fn compare(&mut self) -> Result<(), String> {
        if let [Some(a), Some(b)] = self.pair.each_mut().map(|instance| instance.fuel())
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

/// What came of a step in two places, when it went on in both or stopped alike.
///
/// # Errors
///
/// Says what differs.
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
