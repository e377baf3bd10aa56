//! Uses cargo to find packages, and to compile the crate that guests in Rust use.

use mintage::error::{Context, Result, bail, ensure};
use serde_json::Value;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of published packages.
pub struct Packages {
    /// The folder of the tests, in the package of `wit-bindgen-cli`.
    pub tests: PathBuf,
    /// The folder of the package `wit-bindgen-cpp`.
    pub cpp: PathBuf,
}

/// The crates that guests in Rust use.
#[derive(Clone, Debug)]
pub struct GuestCrates {
    /// Arguments for rustc to find the crates.
    pub arguments: Vec<String>,
}

fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/Cargo.toml")
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns the target folder of this workspace.
pub fn target_folder() -> Result<PathBuf> {
    let path = env::current_exe().context("cannot find the running executable")?;
    // target/debug/this
    let folder = path.parent().and_then(Path::parent);
    Ok(folder
        .context("the program is not in a target folder")?
        .into())
}

/// Finds the packages. Cargo downloads missing ones.
///
/// # Errors
///
/// Fails if a package is missing and cannot be downloaded.
pub fn packages() -> Result<Packages> {
    // Use the network only if the packages have not been downloaded yet.
    let metadata = metadata(true).or_else(|_| metadata(false))?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo lists no packages")?;
    let package = packages
        .iter()
        .find(|package| package["name"] == "wit-bindgen-cpp");
    let path = package.and_then(|package| package["manifest_path"].as_str());
    let path = path.context("cargo does not know the package `wit-bindgen-cpp`")?;
    let cpp = Path::new(path)
        .parent()
        .context("a manifest is in a folder")?
        .to_path_buf();
    // Cargo lists only libraries, but it also downloads the package of the program, and unpacks
    // all packages side by side.
    let name = cpp
        .file_name()
        .and_then(|name| name.to_str())
        .context("the package is in a folder")?;
    let tests = cpp
        .with_file_name(name.replace("-cpp", "-cli"))
        .join("tests/runtime");
    ensure!(
        tests.is_dir(),
        "the package `wit-bindgen-cli` is expected to be at {}",
        tests.display()
    );
    Ok(Packages { tests, cpp })
}

fn metadata(offline: bool) -> Result<Value> {
    let mut command = cargo();
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--manifest-path",
    ]);
    command.arg(manifest());
    if offline {
        command.arg("--offline");
    }
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo cannot get the package `wit-bindgen-cli`, which has the tests: {}\nrun `cargo fetch \
         --manifest-path {}` where there is a network",
        String::from_utf8_lossy(&output.stderr),
        manifest().display()
    );
    serde_json::from_slice(&output.stdout).context("cannot parse the output of cargo")
}

/// The crates that guests name.
const GUEST_CRATES: [&str; 2] = ["wit_bindgen", "futures"];

/// Compiles the crates that guests name for `target` with the given compiler and linker.
///
/// # Errors
///
/// Fails if one does not compile.
pub fn guest_crates(
    target: &str,
    rustc: &Path,
    linker: &Path,
    folder: &Path,
) -> Result<GuestCrates> {
    let mut command = cargo();
    command.args([
        "build",
        "--locked",
        "--quiet",
        "--package",
        "wit-bindgen",
        "--package",
        "futures",
        "--message-format",
        "json",
        "--target",
        target,
    ]);
    command
        .arg("--manifest-path")
        .arg(manifest())
        .arg("--target-dir")
        .arg(folder);
    let linker_variable = format!(
        "CARGO_TARGET_{}_LINKER",
        target.to_uppercase().replace('-', "_")
    );
    command.env("RUSTC", rustc).env(linker_variable, linker);
    // These variables are for the host's compiler. That of guests may not know the options.
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        command.env_remove(variable);
    }
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cannot compile the crates of guests: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut arguments = Vec::new();
    for line in output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: Value =
            serde_json::from_slice(line).context("cannot parse the output of cargo")?;
        let name = message["target"]["name"].as_str();
        let named = GUEST_CRATES.iter().find(|&&wanted| Some(wanted) == name);
        for file in message["filenames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let mut folder = OsString::from("-Ldependency=");
            folder.push(Path::new(file).parent().context("a file is in a folder")?);
            let folder = folder.into_string().ok().context("a path is not UTF-8")?;
            if !arguments.contains(&folder) {
                arguments.push(folder);
            }
            if let Some(named) = named
                && file.ends_with(".rlib")
            {
                arguments.push(format!("--extern={named}={file}"));
            }
        }
    }
    for name in GUEST_CRATES {
        let prefix = format!("--extern={name}=");
        if !arguments
            .iter()
            .any(|argument| argument.starts_with(&prefix))
        {
            bail!("cargo did not build the library `{name}`");
        }
    }
    Ok(GuestCrates { arguments })
}
