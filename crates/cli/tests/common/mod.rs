//! A folder for a test, and the command run in it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with the test's files, and the command run in it.
pub struct Sandbox {
    folder: TempDir,
}

/// What a run of the command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        Sandbox {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A sandbox with `app` in `app.wat`.
    pub fn with(app: &str) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.write("app.wat", app);
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    /// The command in the sandbox, to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mintage"));
        command.args(args).current_dir(self.folder.path());
        command
    }

    /// A line of the shell in the sandbox, in which `$MINTAGE` is the command.
    pub fn shell(&self, line: &str) -> Outcome {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path());
        outcome(shell.env("MINTAGE", env!("CARGO_BIN_EXE_mintage")).output().unwrap())
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        outcome(self.command(args).output().unwrap())
    }

    /// Runs the command, which must succeed: its standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {outcome:?}");
        outcome.stdout
    }

    /// Runs the command, which must exit with `code` and say each of `messages` on standard error.
    pub fn fail(&self, args: &[&str], code: i32, messages: &[&str]) {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        for message in messages {
            assert!(
                outcome.stderr.contains(message),
                "{args:?}: `{message}` is not in:\n{}",
                outcome.stderr
            );
        }
        assert!(!outcome.stderr.contains("panicked"), "{args:?}: {outcome:?}");
    }
}

/// What a run did. Output that is no text is shown as far as it is.
pub fn outcome(output: Output) -> Outcome {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
