//! Reads input files and recognizes their format by their contents.

use mintage::error::{Context, Result, bail, ensure};
use mintage::{CodeBuilder, Engine, text};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The name of standard input and of standard output on the command line.
pub(crate) const STANDARD: &str = "-";

/// The contents of an input file.
#[derive(Debug)]
pub(crate) enum Input {
    /// A component in binary form.
    Component(Vec<u8>),
    /// A core module in binary form.
    Module(Vec<u8>),
    /// An artifact that has not been checked yet.
    Artifact(Artifact),
}

/// The place of an artifact.
#[derive(Debug)]
pub(crate) enum Artifact {
    /// A file that can be mapped.
    File(PathBuf),
    /// Bytes that came through a pipe.
    Bytes(Vec<u8>),
}

impl Input {
    /// Reads `path`, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or contains neither a component or core module (binary or
    /// text) nor an artifact.
    pub(crate) fn read(path: &Path) -> Result<Input> {
        let bytes = match open(path)? {
            Opened::Artifact => return Ok(Input::Artifact(Artifact::File(path.into()))),
            Opened::Bytes(bytes) => bytes,
        };
        Self::recognize(bytes, path).with_context(|| format!("cannot use `{}`", path.display()))
    }

    fn recognize(bytes: Vec<u8>, path: &Path) -> Result<Input> {
        if bytes.starts_with(ARTIFACT_MAGIC) {
            return Ok(Input::Artifact(Artifact::Bytes(bytes)));
        }
        let bytes = to_binary(bytes, path)?;
        if wasmparser::Parser::is_core_wasm(&bytes) {
            return Ok(Input::Module(bytes));
        }
        Ok(Input::Component(bytes))
    }
}

/// The first bytes of an artifact, which is an ELF file.
const ARTIFACT_MAGIC: &[u8] = b"\x7fELF";

/// A file that was opened.
enum Opened {
    /// An artifact in a regular file. It is mapped later, so only its first bytes have been read.
    Artifact,
    /// The contents of any other file.
    Bytes(Vec<u8>),
}

/// Reads all of standard input.
pub(crate) fn read_standard() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    Ok(bytes)
}

/// Returns whether `path` is a regular file that begins as an artifact does.
pub(crate) fn is_artifact(path: &Path) -> bool {
    let begins = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        Ok(file.metadata()?.is_file() && begins_artifact(&mut file, &mut Vec::new())?)
    };
    path != Path::new(STANDARD) && begins().unwrap_or(false)
}

/// Reads the first bytes of a file into `bytes`. Returns whether they are those of an artifact.
fn begins_artifact(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<bool> {
    file.take(ARTIFACT_MAGIC.len() as u64).read_to_end(bytes)?;
    Ok(bytes == ARTIFACT_MAGIC)
}

fn open(path: &Path) -> Result<Opened> {
    if path == Path::new(STANDARD) {
        return read_standard().map(Opened::Bytes);
    }
    let mut bytes = Vec::new();
    let mut read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.is_file() && begins_artifact(&mut file, &mut bytes)? {
            return Ok(true);
        }
        file.read_to_end(&mut bytes)?;
        Ok(false)
    };
    match read() {
        Ok(true) => Ok(Opened::Artifact),
        Ok(false) => Ok(Opened::Bytes(bytes)),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Converts WebAssembly text to binary form, and returns a binary as it is.
fn to_binary(bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>> {
    const NEITHER: &str = "this is neither WebAssembly (binary or text) nor a Mintage artifact";
    let is_text = || std::str::from_utf8(&bytes).is_ok_and(|text| text.contains('('));
    ensure!(bytes.starts_with(b"\0asm") || is_text(), NEITHER);
    Ok(text::to_binary(&bytes, Some(path))?.into_owned())
}

/// A core module for an import of the component: `--module NAME=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct NamedModule {
    name: String,
    file: PathBuf,
}

impl FromStr for NamedModule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok(Self {
                name: name.into(),
                file: file.into(),
            }),
            _ => Err("expected NAME=FILE".into()),
        }
    }
}

/// A component, and what implements its imports: core modules and other components.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// A component (binary or text) or an artifact; `-` reads standard input
    #[arg(value_name = "APP")]
    pub app: PathBuf,

    #[command(flatten)]
    pub additions: Additions,
}

/// What implements imports of a component.
#[derive(clap::Args, Clone)]
pub(crate) struct Additions {
    /// Use the core module in FILE for the component's import NAME; can be given several times
    #[arg(long = "module", value_name = "NAME=FILE")]
    modules: Vec<NamedModule>,

    /// Let the component in FILE implement imports of APP or of other plugs; can be given several
    /// times
    ///
    /// Imports and exports match if their names are equal, or semver-compatible versions of an
    /// interface. All components are compiled as one.
    #[arg(long = "plug", value_name = "FILE")]
    plugs: Vec<PathBuf>,
}

impl Source {
    /// Reads the component or artifact. Core modules and plugs replace the component's imports.
    ///
    /// # Errors
    ///
    /// Fails like [`Input::read`], or if a module or plug cannot be read, does not match an import,
    /// or is given for an artifact.
    pub(crate) fn read(&self, engine: &Engine) -> Result<Input> {
        let input = Input::read(&self.app)?;
        if !self.has_additions() {
            return Ok(input);
        }
        let Additions { modules, plugs } = &self.additions;
        let (app, option) = (
            self.app.display(),
            match modules.is_empty() {
                true => "--plug",
                false => "--module",
            },
        );
        let bytes = match input {
            Input::Component(bytes) => bytes,
            Input::Module(_) => bail!("`{app}` is a core module; `{option}` is for components"),
            Input::Artifact(_) => {
                bail!("`{app}` is already compiled; pass `{option}` to `mintage compile`")
            }
        };
        let mut read_modules = Vec::new();
        for NamedModule { name, file } in modules {
            let bytes = match open(file)? {
                Opened::Bytes(bytes) => to_binary(bytes, file),
                Opened::Artifact => bail!("`{}` is an artifact, not a core module", file.display()),
            };
            read_modules.push((
                name,
                bytes.with_context(|| format!("cannot use `{}`", file.display()))?,
            ));
        }
        let mut read_plugs = Vec::new();
        for file in plugs {
            match Input::read(file)? {
                Input::Component(bytes) => read_plugs.push((file, bytes)),
                Input::Module(_) => bail!(
                    "`{}` is a core module; expected a component for `--plug`",
                    file.display()
                ),
                Input::Artifact(_) => bail!(
                    "`{}` is already compiled; expected a component for `--plug`",
                    file.display()
                ),
            }
        }
        let mut builder = CodeBuilder::new(engine);
        builder.wasm_binary(bytes, Some(&self.app))?;
        for (name, bytes) in &read_modules {
            builder.core_module(name, bytes)?;
        }
        for (file, bytes) in &read_plugs {
            builder.plug(bytes, Some(file))?;
        }
        Ok(Input::Component(builder.input()?.into_owned()))
    }

    /// Reads the component, or makes one of the core module.
    ///
    /// # Errors
    ///
    /// Fails like [`read`](Self::read), or if it is an artifact.
    pub(crate) fn read_component(&self, engine: &Engine) -> Result<Vec<u8>> {
        match self.read(engine)? {
            Input::Component(bytes) => Ok(bytes),
            Input::Module(bytes) => {
                let mut builder = CodeBuilder::new(engine);
                builder.module_binary_or_text(&bytes, Some(&self.app))?;
                Ok(builder.input()?.into_owned())
            }
            Input::Artifact(_) => bail!(
                "`{}` is already compiled; expected a component",
                self.app.display()
            ),
        }
    }

    /// Returns whether core modules or plugs are given.
    pub(crate) fn has_additions(&self) -> bool {
        !self.additions.modules.is_empty() || !self.additions.plugs.is_empty()
    }

    /// Returns the paths of all input files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let modules = self.additions.modules.iter();
        let modules = modules.map(|module| module.file.as_path());
        let plugs = self.additions.plugs.iter().map(PathBuf::as_path);
        modules.chain(plugs).chain([self.app.as_path()])
    }
}

/// The permission to load artifacts.
#[derive(clap::Args)]
pub(crate) struct Precompiled {
    /// Allow APP to be an artifact: its machine code runs as is, with all rights of this
    /// process
    #[arg(long)]
    allow_precompiled: bool,
}

impl Precompiled {
    /// Fails unless the user allows artifacts.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        ensure!(
            self.allow_precompiled,
            "`{}` is an artifact: machine code that runs as is, with all rights of this \
             process; pass `--allow-precompiled` if `mintage compile` made it and no one can have \
             changed it since",
            path.display()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognized_by_their_contents() {
        let recognize = |bytes: &[u8]| Input::recognize(bytes.to_vec(), Path::new("app"));
        assert!(matches!(
            recognize(b"\x7fELF...."),
            Ok(Input::Artifact(Artifact::Bytes(_)))
        ));
        assert!(matches!(recognize(b"(component)"), Ok(Input::Component(_))));
        assert!(matches!(
            recognize(b"\0asm\x0d\0\x01\0"),
            Ok(Input::Component(_))
        ));
        for module in [&b"(module)"[..], b"\0asm\x01\0\0\0"] {
            assert!(matches!(recognize(module), Ok(Input::Module(_))));
        }
        for (bytes, message) in [
            (&b""[..], "neither"),
            (b"hello", "neither"),
            (b"\xff\xfe\0(", "neither"),
            (b"(component", "does not parse"),
        ] {
            let error = format!("{:#}", recognize(bytes).unwrap_err());
            assert!(error.contains(message), "{bytes:?}: {error}");
        }
    }
}
