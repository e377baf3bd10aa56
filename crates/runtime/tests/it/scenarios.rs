//! Tests that need a process of their own, on its main thread.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

/// Names the scenario to a child process.
const VARIABLE: &str = "MINTAGE_SCENARIO";

/// What a scenario shows, what it does, and the signal that must end it.
pub type Scenario = (&'static str, fn(), Option<i32>);

/// Runs each scenario in a process of its own. In such a process, runs that scenario.
pub fn run(scenarios: &[Scenario]) -> ExitCode {
    if let Ok(name) = std::env::var(VARIABLE) {
        let (_, run, _) = scenarios
            .iter()
            .find(|(known, ..)| *known == name)
            .expect("a known scenario");
        run();
        return ExitCode::SUCCESS;
    }
    let mut exit = ExitCode::SUCCESS;
    for (name, _, signal) in scenarios {
        let output = Command::new(std::env::current_exe().unwrap())
            .env(VARIABLE, name)
            // A backtrace takes memory.
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let as_expected = match signal {
            None => output.status.success(),
            Some(signal) => output.status.signal() == Some(*signal),
        };
        if as_expected {
            println!("scenario {name} ... ok");
        } else {
            let errors = String::from_utf8_lossy(&output.stderr);
            println!("scenario {name} ... FAILED: {}\n{errors}", output.status);
            exit = ExitCode::FAILURE;
        }
    }
    exit
}
