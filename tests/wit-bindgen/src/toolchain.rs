//! The compilers of guests. They are in the folder that `GUEST_TOOLCHAIN` names, or in the default
//! folder of `toolchain.sh`.

use crate::cargo::{self, GuestCrates, Packages};
use mintage::error::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of guests in Rust. The tests do not need WASI.
pub const RUST_TARGET: &str = "wasm32-unknown-unknown";
/// The target of guests in C and C++, whose library needs WASI.
pub const C_TARGET: &str = "wasm32-wasip1";

/// The compilers and libraries of guests.
pub struct Toolchain {
    bin: PathBuf,
    /// The crates that guests in Rust link with.
    pub guest_crates: GuestCrates,
    /// Folders of headers for C++.
    pub cpp_headers: [PathBuf; 2],
    /// The versions of the compilers.
    pub versions: String,
}

impl Toolchain {
    /// Finds the compilers, and compiles the crate that guests in Rust link with to `folder`.
    ///
    /// # Errors
    ///
    /// Fails if a compiler is missing. The error says how to install it.
    pub fn find(packages: &Packages, folder: &Path) -> Result<Toolchain> {
        let root = match env::var_os("GUEST_TOOLCHAIN") {
            Some(root) => PathBuf::from(root),
            None => folder.join("toolchain"),
        };
        // Cargo runs the compilers in other folders.
        let root = std::path::absolute(root).context("cannot tell where the compilers are")?;
        let bin = root.join("bin");
        let mut versions = String::new();
        for name in ["rustc", "clang", "clang++", "wasm-ld"] {
            let output = Command::new(bin.join(name)).arg("--version").output();
            match output {
                Ok(output) if output.status.success() => {
                    versions += &String::from_utf8_lossy(&output.stdout)
                }
                _ => bail!(
                    "there is no {name} for guests in {}\nrun `{} {}`, which unpacks Debian's \
                     packages there, or let GUEST_TOOLCHAIN name a folder with rustc, clang, \
                     clang++ and wasm-ld in its `bin` that compile for {RUST_TARGET} and \
                     {C_TARGET}",
                    bin.display(),
                    Path::new(env!("CARGO_MANIFEST_DIR"))
                        .join("toolchain.sh")
                        .display(),
                    root.display()
                ),
            }
        }
        let crates = cargo::guest_crates(
            RUST_TARGET,
            &bin.join("rustc"),
            &bin.join("wasm-ld"),
            &folder.join("crates"),
        )?;
        Ok(Toolchain {
            bin,
            guest_crates: crates,
            cpp_headers: [
                packages.cpp.join("helper-types"),
                packages.cpp.join("test_headers"),
            ],
            versions,
        })
    }

    /// Returns the path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Returns a command that runs a program.
    pub fn command(&self, name: &str) -> Command {
        Command::new(self.path(name))
    }
}

/// Runs a compiler.
///
/// # Errors
///
/// Fails if the compiler does. The error contains its output.
pub fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(OsStr::new(""))
        .to_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!(
            "{} fails:\n{}",
            program.display(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}
