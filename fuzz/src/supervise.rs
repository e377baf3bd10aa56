//! Starts the processes that run cases, and restarts one after a case that ends it.

use crate::save::save;
use crate::worker::At;
use crate::{Options, worker};
use anyhow::{Context, Result};
use mintage_fuzzing::{Failure, FuzzTarget};
use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time limit of a case.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of memory of a process: many times what the engines keep between cases.
const MEMORY: u64 = 4 << 30;

/// A process that runs cases.
struct Job {
    number: u64,
    child: Child,
    /// The position that the process reports, and the time of the last change.
    at: (Option<At>, Instant),
}

impl Job {
    /// Returns which limit the process exceeds.
    fn excess(&self) -> Option<String> {
        if self.at.1.elapsed() > PATIENCE {
            return Some(format!(
                "the case does not end within {} s",
                PATIENCE.as_secs()
            ));
        }
        // Size, then resident size, in pages.
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).ok()?;
        let bytes = statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096;
        (bytes > MEMORY).then(|| format!("the process has {} MiB of memory", bytes >> 20))
    }
}

/// Runs all processes until their time is up. Returns whether there was no failure.
pub fn run(options: &Options) -> Result<bool> {
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut is_clean = true;
    let mut jobs = Vec::new();
    for number in 0..options.jobs {
        jobs.push(start(options, number, options.seed + number, end)?);
    }
    while !jobs.is_empty() {
        sleep(Duration::from_millis(200));
        let mut running = Vec::new();
        for mut job in jobs {
            let ended = job.child.try_wait().context("cannot wait for a process")?;
            let at = At::read(options, job.number);
            if at != job.at.0 {
                job.at = (at, Instant::now());
            }
            let what = match ended {
                Some(status) if matches!(status.code(), Some(0 | 1)) => {
                    is_clean &= status.success();
                    continue;
                }
                Some(status) => format!("the process ended: {status}"),
                None => match job.excess() {
                    Some(what) => {
                        job.child.kill().context("cannot end a process")?;
                        job.child.wait().context("cannot wait for a process")?;
                        what
                    }
                    None => {
                        running.push(job);
                        continue;
                    }
                },
            };
            is_clean = false;
            let At { case, is_saved } =
                at.with_context(|| format!("process {} ran no case: {what}", job.number))?;
            if is_saved {
                println!("Case {case} is not made smaller: {what}");
            } else {
                let (target, input) = worker::case(options, case);
                let folder = save(
                    &options.out,
                    target,
                    case,
                    &input,
                    &Failure::new(what.as_str(), []),
                )?;
                println!("FAILURE in {}: {what}", folder.display());
            }
            if Instant::now() < end {
                running.push(start(options, job.number, case + options.jobs, end)?);
            }
        }
        jobs = running;
    }
    Ok(is_clean)
}

fn start(options: &Options, number: u64, first: u64, end: Instant) -> Result<Job> {
    let state = worker::state(options, number);
    if state.exists() {
        fs::remove_file(&state).with_context(|| format!("cannot remove {}", state.display()))?;
    }
    let left = end.saturating_duration_since(Instant::now()).as_secs();
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.arg("--out").arg(&options.out);
    command.args(["--seconds", &left.to_string()]);
    command.args(["--jobs", &options.jobs.to_string()]);
    command.args(["--seed", &first.to_string()]);
    command.args(["--job", &number.to_string()]);
    if let Some(target) = options.target {
        command.args(["--target", FuzzTarget::name(target)]);
    }
    let child = command.spawn().context("cannot start a process")?;
    Ok(Job {
        number,
        child,
        at: (None, Instant::now()),
    })
}
