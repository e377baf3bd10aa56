//! Runs each body for about a second, with Mintage compared to itself under other settings.

use arbitrary::Unstructured;
use mintage::core::CoreVal;
use mintage::{OptLevel, Trap, Val};
use mintage_fuzzing::{
    CompiledModules, Echo, Echoed, Engines, FuzzTarget, LinkedModules, Mintage, ModuleInstances,
    Numbers, Oracle, Outcome, PLENTY, Settings, Stop, fuel, reduce,
};
use std::ops::ControlFlow::{Break, Continue};
use std::time::{Duration, Instant};

/// Runs fixed cases for a second, until at least `at_least` of them have checked something.
fn check(target: FuzzTarget, at_least: usize) {
    // As different from the default settings as possible.
    let reference = |canonical_nans| -> Box<dyn Oracle> {
        let settings = Settings {
            opt_level: OptLevel::None,
            explicit_bounds: true,
            interruptible: false,
            consume_fuel: false,
            fuel_by_length: false,
            canonical_nans,
        };
        Box::new(Mintage::new(settings).unwrap())
    };
    let engines = Engines::new([false, true].map(reference)).unwrap();
    let (start, mut held) = (Instant::now(), 0);
    for case in 0.. {
        if held >= at_least && start.elapsed() > Duration::from_secs(1) {
            break;
        }
        let input = Numbers::new(case).input();
        match target.run(&input, &engines) {
            Ok(Outcome::Held) => held += 1,
            Ok(Outcome::Skipped(_)) => {}
            Err(failure) => panic!("case {case} of {}: {}", target.name(), failure.what),
        }
        assert!(case < 1000 || held > 0, "no case compares anything");
    }
    println!("{}: {held} cases", target.name());
}

#[test]
fn modules_do_the_same_under_all_settings() {
    check(FuzzTarget::Differential, 20);
}

#[test]
fn values_come_back_equal() {
    check(FuzzTarget::RoundTrip, 20);
}

#[test]
fn corrupt_results_mean_the_same_under_all_settings() {
    check(FuzzTarget::Corrupt, 20);
}

#[test]
fn damaged_bytes_are_refused_or_accepted() {
    check(FuzzTarget::Hostile, 20);
}

#[test]
fn nothing_is_left_for_the_next_instance() {
    check(FuzzTarget::Instances, 5);
}

#[test]
fn fuel_does_not_depend_on_settings() {
    check(FuzzTarget::Fuel, 20);
}

/// The result that a [`Liar`] changes.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Result,
    Trap,
    Global,
    Memory,
    Refusal,
    Value,
    Fuel,
    Allowance,
}

/// An engine that sometimes returns something wrong.
struct Liar<T> {
    lie: Lie,
    honest: T,
}

impl Oracle for Liar<Mintage> {
    fn name(&self) -> String {
        format!("a liar about {:?}", self.lie)
    }

    fn compile(&self, linked: &LinkedModules) -> Result<Box<dyn CompiledModules>, Stop> {
        let (lie, honest) = (self.lie, self.honest.compile(linked)?);
        match lie {
            Lie::Refusal => Err(Stop::Refused("a lie".into())),
            _ => Ok(Box::new(Liar { lie, honest })),
        }
    }

    fn has_error_context(&self) -> bool {
        true
    }

    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
        let mut echoed = self.honest.echo(echo, values)?;
        if let Some([_, value @ Val::U8(1..)]) = echoed.values.last_mut() {
            *value = Val::U8(0);
        }
        Ok(echoed)
    }
}

impl CompiledModules for Liar<Box<dyn CompiledModules>> {
    fn instantiate(&self) -> Result<Box<dyn ModuleInstances>, Stop> {
        let (lie, honest) = (self.lie, self.honest.instantiate()?);
        Ok(Box::new(Liar { lie, honest }))
    }

    fn fuel_by_length(&self) -> bool {
        self.honest.fuel_by_length()
    }
}

impl ModuleInstances for Liar<Box<dyn ModuleInstances>> {
    fn set_fuel(&mut self, fuel: u64) {
        self.honest.set_fuel(match self.lie {
            Lie::Allowance if fuel < 10 => PLENTY,
            _ => fuel,
        });
    }

    fn fuel(&mut self) -> Option<u64> {
        let left = self.honest.fuel()?;
        Some(left - u64::from(matches!(self.lie, Lie::Fuel)))
    }

    fn call(&mut self, module: usize, name: &str, args: &[CoreVal]) -> Result<Vec<CoreVal>, Stop> {
        match (self.lie, self.honest.call(module, name, args)) {
            (Lie::Result, Ok(results)) if !results.is_empty() => {
                Ok([&[CoreVal::I32(77)], &results[1..]].concat())
            }
            (Lie::Trap, Err(Stop::Trap(Trap::UnreachableCodeReached))) => {
                Err(Stop::Trap(Trap::IntegerOverflow))
            }
            (_, result) => result,
        }
    }

    fn global(&mut self, module: usize, name: &str) -> CoreVal {
        match (self.lie, self.honest.global(module, name)) {
            (Lie::Global, CoreVal::I64(value)) => CoreVal::I64(value ^ 1),
            (_, value) => value,
        }
    }

    fn memory(&mut self, module: usize, name: &str) -> Vec<u8> {
        let mut bytes = self.honest.memory(module, name);
        if let (Lie::Memory, Some(last)) = (self.lie, bytes.last_mut()) {
            *last ^= 1;
        }
        bytes
    }
}

/// A body must notice each kind of difference.
#[test]
fn differences_are_found() {
    let lies = [
        Lie::Result,
        Lie::Trap,
        Lie::Global,
        Lie::Memory,
        Lie::Refusal,
        Lie::Value,
        Lie::Fuel,
        Lie::Allowance,
    ];
    for lie in lies {
        let liar = |canonical_nans| -> Box<dyn Oracle> {
            let settings = Settings {
                canonical_nans,
                consume_fuel: true,
                ..Settings::default()
            };
            let honest = Mintage::new(settings).unwrap();
            Box::new(Liar { lie, honest })
        };
        let engines = Engines::new([false, true].map(liar)).unwrap();
        let target = match lie {
            Lie::Value => FuzzTarget::RoundTrip,
            _ => FuzzTarget::Differential,
        };
        let subject = Settings {
            consume_fuel: true,
            ..Settings::default()
        };
        let (subject, reference) = (Mintage::new(subject).unwrap(), liar(false));
        let is_found = |case| {
            let input = Numbers::new(case).input();
            match lie {
                // The target compares Mintage only with itself.
                Lie::Allowance => {
                    fuel(&mut Unstructured::new(&input), &subject, &*reference).is_err()
                }
                _ => target.run(&input, &engines).is_err(),
            }
        };
        assert!((0..200).any(is_found), "{lie:?}");
    }
}

/// The settings that are compared include fuel by length, and some random module shows whether an
/// engine counts it.
#[test]
fn fuel_by_length_is_exercised() {
    assert!(Settings::all().any(|settings| settings.consume_fuel && settings.fuel_by_length));
    let [counting, other] = [true, false].map(|fuel_by_length| {
        let settings = Settings {
            consume_fuel: true,
            fuel_by_length,
            ..Settings::default()
        };
        Mintage::new(settings).unwrap()
    });
    let differs = |case| {
        let input = Numbers::new(case).input();
        let linked = LinkedModules::arbitrary(&mut Unstructured::new(&input), false);
        linked.is_ok_and(|linked| fuel_left(&counting, &linked) != fuel_left(&other, &linked))
    };
    assert!((0..200).any(differs));
}

/// Calls each function without parameters, in an instance of its own, and returns the fuel that is
/// left after each call.
fn fuel_left(engine: &Mintage, linked: &LinkedModules) -> Vec<Option<u64>> {
    let Ok(compiled) = engine.compile(linked) else {
        return Vec::new();
    };
    let mut left = Vec::new();
    for (index, module) in linked.modules.iter().enumerate() {
        for func in module.funcs.iter().filter(|func| func.params.is_empty()) {
            if let Ok(mut instance) = compiled.instantiate()
                && instance.call(index, &func.name, &[]).is_ok()
            {
                left.push(instance.fuel());
            }
        }
    }
    left
}

#[test]
fn inputs_are_reduced_to_what_matters() {
    let input: Vec<u8> = (1..=200).collect();
    let reduced = reduce(&input, |bytes| {
        Continue(bytes.contains(&100) && bytes.contains(&150))
    });
    assert_eq!(reduced, [100, 150]);
    let position = reduce(&input, |bytes| Continue(bytes.get(5) == Some(&6)));
    assert_eq!(position, [0, 0, 0, 0, 0, 6]);
    // A break returns the smallest input so far.
    let mut tries = 0;
    let halved = reduce(&input, |_| {
        tries += 1;
        if tries == 1 {
            Continue(true)
        } else {
            Break(())
        }
    });
    assert_eq!((&halved[..], tries), (&input[..72], 2));
}
