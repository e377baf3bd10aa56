//! Reading the files that commands are given, and telling by their contents what they are.

use mintage::error::{Context, Result, bail, ensure};
use mintage::{CodeBuilder, Engine, text};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The name that stands for standard input, and for standard output.
pub(crate) const STANDARD: &str = "-";

/// What an input holds.
#[derive(Debug)]
pub(crate) enum Input {
    /// A component in binary form.
    Component(Vec<u8>),
    /// An artifact, not checked yet.
    Artifact(Artifact),
}

/// Where an artifact is.
#[derive(Debug)]
pub(crate) enum Artifact {
    /// In a file that can be mapped.
    File(PathBuf),
    /// In memory: it came through a pipe.
    Bytes(Vec<u8>),
}

impl Input {
    /// Reads `path`, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds neither a component (binary or text) nor an artifact.
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
            bail!(
                "this is a core module, but Mintage hosts components; `wasm-tools component new` \
                 makes a component of a module that was built for one"
            );
        }
        Ok(Input::Component(bytes))
    }
}

/// How an artifact, which is an ELF file, starts.
const ARTIFACT_MAGIC: &[u8] = b"\x7fELF";

/// What a file starts with, or all of it.
enum Opened {
    /// An artifact in a regular file, which need not be read.
    Artifact,
    Bytes(Vec<u8>),
}

/// Reads standard input to its end.
pub(crate) fn read_standard() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    Ok(bytes)
}

fn open(path: &Path) -> Result<Opened> {
    if path == Path::new(STANDARD) {
        return read_standard().map(Opened::Bytes);
    }
    let mut bytes = Vec::new();
    let mut read = || {
        let mut file = File::open(path)?;
        if file.metadata()?.is_file() {
            (&mut file)
                .take(ARTIFACT_MAGIC.len() as u64)
                .read_to_end(&mut bytes)?;
            if bytes == ARTIFACT_MAGIC {
                return Ok(true);
            }
        }
        file.read_to_end(&mut bytes)?;
        Ok(false)
    };
    match read().map_err(|error: io::Error| error) {
        Ok(true) => Ok(Opened::Artifact),
        Ok(false) => Ok(Opened::Bytes(bytes)),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// The binary form of what may be text.
fn to_binary(bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>> {
    const NEITHER: &str = "this is neither WebAssembly (binary or text) nor an artifact of Mintage";
    let is_text = || std::str::from_utf8(&bytes).is_ok_and(|text| text.contains('('));
    ensure!(bytes.starts_with(b"\0asm") || is_text(), NEITHER);
    Ok(text::to_binary(&bytes, Some(path))?.into_owned())
}

/// A core module that the user gives for an import of the component.
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

/// A component, and core modules for those that it imports.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// A component (binary or text), or an artifact where the command takes one; `-` is standard
    /// input
    #[arg(value_name = "APP")]
    pub app: PathBuf,

    /// Give the core module that the component imports as NAME; can be given several times
    #[arg(long = "module", value_name = "NAME=FILE")]
    modules: Vec<NamedModule>,
}

impl Source {
    /// Reads the component or artifact; a component has the given core modules in the place of its
    /// imports.
    ///
    /// # Errors
    ///
    /// As [`Input::read`], and when a module cannot be read or does not fit.
    pub(crate) fn read(&self, engine: &Engine) -> Result<Input> {
        let input = Input::read(&self.app)?;
        if self.modules.is_empty() {
            return Ok(input);
        }
        let Input::Component(bytes) = input else {
            bail!(
                "`{}` is compiled already; give `--module` to `mintage compile`",
                self.app.display()
            )
        };
        let mut modules = Vec::new();
        for NamedModule { name, file } in &self.modules {
            let bytes = match open(file)? {
                Opened::Bytes(bytes) => to_binary(bytes, file),
                Opened::Artifact => bail!("`{}` is an artifact, not a core module", file.display()),
            };
            modules.push((
                name,
                bytes.with_context(|| format!("cannot use `{}`", file.display()))?,
            ));
        }
        let mut builder = CodeBuilder::new(engine);
        builder.wasm_binary(bytes, Some(&self.app))?;
        for (name, bytes) in &modules {
            builder.core_module(name, bytes)?;
        }
        Ok(Input::Component(builder.input()?.into_owned()))
    }

    /// Reads the component.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and when it is an artifact.
    pub(crate) fn read_component(&self, engine: &Engine) -> Result<Vec<u8>> {
        match self.read(engine)? {
            Input::Component(bytes) => Ok(bytes),
            Input::Artifact(_) => bail!("`{}` is compiled already", self.app.display()),
        }
    }

    /// Returns the files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let modules = self.modules.iter().map(|module| module.file.as_path());
        modules.chain([self.app.as_path()])
    }
}

/// Settles whether machine code may be loaded as it is.
#[derive(clap::Args)]
pub(crate) struct Precompiled {
    /// Let APP be an artifact, whose machine code runs as it is, with all rights of this process
    #[arg(long)]
    allow_precompiled: bool,
}

impl Precompiled {
    /// Fails unless the user said that artifacts may be loaded.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        ensure!(
            self.allow_precompiled,
            "`{}` is an artifact: machine code that would run as it is, with all rights of this \
             process; if `mintage compile` made it, and nobody could change it since, give \
             `--allow-precompiled`",
            path.display()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_contents() {
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
        for (bytes, message) in [
            (&b""[..], "neither"),
            (b"hello", "neither"),
            (b"\xff\xfe\0(", "neither"),
            (b"(component", "does not parse"),
            (b"(module)", "core module"),
            (b"\0asm\x01\0\0\0", "core module"),
        ] {
            let error = format!("{:#}", recognize(bytes).unwrap_err());
            assert!(error.contains(message), "{bytes:?}: {error}");
        }
    }
}
