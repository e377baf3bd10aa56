//! Runs the command in a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A component with the functions that the tests call. The core functions have names, which
/// backtraces show.
pub const APP: &str = r#"(component
    (core module $app
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 16))))
            (i32.and (i32.sub (global.get $next) (local.get 3)) (i32.const -8)))
        (func $echo (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (local.get 1))
            (i32.const 0))
        (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0)
          (local.get 1)))
        (func $answer (export "answer") (result i32) (i32.const 42))
        (func $nothing (export "nothing"))
        (func $inner (unreachable))
        (func $unreachable (export "unreachable") (call $inner))
        (func $divide (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1)
          (local.get 0)))
        (func $peek (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
        (func $recurse (export "recurse") (result i32) (i32.add (call $recurse) (i32.const 1))))
    (core instance $i (instantiate $app))
    (func $answer (result u32) (canon lift (core func $i "answer")))
    (func (export "echo") (param "text" string) (result string)
        (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc
          (core func $i "realloc"))))
    (func (export "echo-list") (param "items" (list u16)) (result (list u16))
        (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc
          (core func $i "realloc"))))
    (func (export "add") (param "a" s32) (param "b" s32) (result s32) (canon lift
      (core func $i "add")))
    (func (export "nothing") (canon lift (core func $i "nothing")))
    (func (export "unreachable") (canon lift (core func $i "unreachable")))
    (func (export "divide") (param "by" u32) (result u32) (canon lift (core func $i "divide")))
    (func (export "peek") (param "at" u32) (result u32) (canon lift (core func $i "peek")))
    (func (export "recurse") (result u32) (canon lift (core func $i "recurse")))
    (instance $numbers (export "answer" (func $answer)))
    (export "test:app/numbers@1.2.0" (instance $numbers))
    (export "test:other/numbers@1.0.0" (instance $numbers))
    (export "test:app/single@1.0.0" (instance $numbers)))"#;

/// A folder with the files of a test.
pub struct Sandbox {
    folder: TempDir,
    /// The user's folders for caches and settings.
    user: TempDir,
}

/// The exit code and output of a command.
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
            user: tempfile::tempdir().unwrap(),
        }
    }

    /// Creates a sandbox with `app` in `app.wat`.
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

    /// Returns the command, to be run in the sandbox.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mintage"));
        command.args(args);
        self.prepare(&mut command);
        command
    }

    /// Runs a shell command in the sandbox, with `$MINTAGE` set to the path of the command.
    pub fn shell(&self, line: &str) -> Outcome {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        self.prepare(&mut shell);
        outcome(
            shell
                .env("MINTAGE", env!("CARGO_BIN_EXE_mintage"))
                .output()
                .unwrap(),
        )
    }

    /// Makes a command run in the sandbox.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.cache())
            .env("XDG_CONFIG_HOME", self.user.path().join("config"));
    }

    /// Returns the user's folder for caches, which does not exist at first.
    pub fn cache(&self) -> PathBuf {
        self.user.path().join("cache")
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        outcome(self.command(args).output().unwrap())
    }

    /// Runs the command, which must succeed, and returns its standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {outcome:?}");
        outcome.stdout
    }

    /// Runs the command, which must exit with `code` and print each of `messages` to standard
    /// error.
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
        assert!(
            !outcome.stderr.contains("panicked"),
            "{args:?}: {outcome:?}"
        );
    }
}

/// Converts the output of a process. Bytes that are not UTF-8 are replaced.
pub fn outcome(output: Output) -> Outcome {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
