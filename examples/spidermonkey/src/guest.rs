//! Builds the guest component on first use and returns its path.
//!
//! The sources in `guest/` are copied to `guests/greet/` in cargo's target directory and built
//! there. The source tree stays clean, and each target directory has its own guest.
//!
//! 1. `npm ci` installs the pinned build tool, unless it is already installed.
//! 2. `node build.mjs` turns `greet.js` and `greet.wit` into a component.
//! 3. The component is renamed to `guests/greet.wasm`, so that readers never see a partial file.
//!
//! A file lock makes concurrent callers, such as two test binaries, wait for one build. The
//! component is rebuilt when one of its sources is newer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use mintage::error::{Context, Result, bail};

/// The sources that determine the build tool.
const TOOL_SOURCES: [&str; 3] = [".npmrc", "package.json", "package-lock.json"];

/// The sources of the guest.
const GUEST_SOURCES: [&str; 3] = ["build.mjs", "greet.js", "greet.wit"];

/// The oldest major release of Node that can run the build tool.
const MIN_NODE_MAJOR: u32 = 20;

/// Returns the path of the guest component, which is built if it is missing or out of date.
///
/// Its exports are those in `guest/greet.wit`. It has no imports.
///
/// # Errors
///
/// Fails if Node or npm is missing or too old, or if the build fails. The error contains the output
/// of the build.
pub fn path() -> Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let guests = target_dir()?.join("guests");
    build_if_stale(&sources, &guests).with_context(|| {
        format!(
            "cannot build the JavaScript guest from {}",
            sources.display()
        )
    })
}

fn build_if_stale(sources: &Path, guests: &Path) -> Result<PathBuf> {
    let component = guests.join("greet.wasm");
    let stage = guests.join("greet");
    fs::create_dir_all(&stage).with_context(|| format!("cannot create {}", stage.display()))?;

    // The lock is held until the function returns. The operating system releases it if the process
    // ends.
    let lock_path = stage.join(".lock");
    let lock = File::create(&lock_path)
        .with_context(|| format!("cannot create {}", lock_path.display()))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", lock_path.display()))?;

    let all_sources = || TOOL_SOURCES.iter().chain(&GUEST_SOURCES).copied();
    if !is_stale(&component, sources, all_sources())? {
        return Ok(component);
    }

    eprintln!("building the JavaScript guest (once, about 15 seconds)");
    require_node()?;
    for name in all_sources() {
        fs::copy(sources.join(name), stage.join(name))
            .with_context(|| format!("cannot copy {name} to {}", stage.display()))?;
    }
    // npm writes this file last, so it marks a complete installation.
    let installed = stage.join("node_modules/.package-lock.json");
    if is_stale(&installed, sources, TOOL_SOURCES)? {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run(npm.current_dir(&stage))?;
    }
    let fresh = stage.join("greet.wasm");
    let mut node = Command::new("node");
    node.arg("build.mjs").arg(&fresh);
    run(node.current_dir(&stage))?;
    fs::rename(&fresh, &component)
        .with_context(|| format!("cannot move the guest to {}", component.display()))?;
    Ok(component)
}

/// Whether `product` is missing or older than one of the `names` in `sources`.
fn is_stale<'a>(
    product: &Path,
    sources: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<bool> {
    if !product.exists() {
        return Ok(true);
    }
    let built = modified(product)?;
    for name in names {
        if modified(&sources.join(name))? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

fn modified(path: &Path) -> Result<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("cannot read the modification time of {}", path.display()))
}

/// Returns the target directory that contains this executable, or else the workspace's default.
fn target_dir() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find the running executable")?;
    // Cargo writes this file to each target directory.
    let marked = executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    Ok(match marked {
        Some(folder) => folder.to_path_buf(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    })
}

/// Fails unless Node and npm are installed and new enough. The error names what to install.
fn require_node() -> Result<()> {
    let version = run(Command::new("node").arg("--version"))?;
    let version = version.trim();
    match node_major(version) {
        Some(major) if major >= MIN_NODE_MAJOR => {}
        _ => bail!("the guest needs Node >= {MIN_NODE_MAJOR}, but `node` is {version}"),
    }
    run(Command::new("npm").arg("--version"))?;
    Ok(())
}

/// Returns the major release of a version such as `v20.1.0`.
fn node_major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Runs a command and returns its standard output. If it fails, the error contains all its output.
fn run(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().with_context(|| {
        format!("cannot run {name}: the guest needs Node >= {MIN_NODE_MAJOR} and npm on the PATH")
    })?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        bail!("{name} failed ({status})\n{stdout}{stderr}");
    }
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn node_versions() {
        assert_eq!(node_major("v20.1.0"), Some(20));
        assert_eq!(node_major("v8"), Some(8));
        assert_eq!(node_major("20.1.0"), None);
        assert_eq!(node_major(""), None);
    }

    #[test]
    fn staleness_follows_the_newest_source() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let touch = |name: &str, seconds: u64| -> Result<PathBuf> {
            let path = folder.path().join(name);
            let when = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::create(&path)?.set_modified(when)?;
            Ok(path)
        };
        touch("a", 10)?;
        touch("b", 20)?;
        let stale = |product: &Path| is_stale(product, folder.path(), ["a", "b"]);
        assert!(stale(&folder.path().join("absent"))?);
        assert!(stale(&touch("product", 15)?)?);
        assert!(!stale(&touch("product", 20)?)?);
        Ok(())
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains("no-such-program-here"), "{message}");
        assert!(message.contains("Node >= 20 and npm"), "{message}");
    }
}
