//! Each body runs for about a second, Mintage compared with itself under other settings.

use mintage::OptLevel;
use mintage_fuzzing::{Engines, Mintage, Numbers, Oracle, Outcome, Settings, Target};
use std::time::{Duration, Instant};

/// Runs fixed cases for a second, and demands that at least so many of them compared something.
fn check(target: Target, at_least: usize) {
    // As far from the default settings as there is.
    let reference = |canonical_nans| -> Box<dyn Oracle> {
        let settings = Settings {
            opt_level: OptLevel::None,
            explicit_bounds: true,
            interruptible: false,
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
    check(Target::Differential, 20);
}

#[test]
fn values_come_back_equal() {
    check(Target::RoundTrip, 20);
}

#[test]
fn damaged_bytes_are_refused_or_accepted() {
    check(Target::Hostile, 20);
}

#[test]
fn nothing_is_left_for_the_next_instance() {
    check(Target::Instances, 5);
}
