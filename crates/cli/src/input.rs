//! Reading the files that commands are given, and telling by their contents what they are.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Input {
    /// The binary of a component.
    Component(Vec<u8>),
    /// An artifact, not checked yet.
    Artifact(Vec<u8>),
}

impl Input {
    /// Reads `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds neither a component (binary or text) nor an artifact.
    pub(crate) fn read(path: &Path) -> Result<Input> {
        let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::recognize(bytes).with_context(|| format!("cannot use `{}`", path.display()))
    }

    fn recognize(bytes: Vec<u8>) -> Result<Input> {
        if bytes.starts_with(b"\x7fELF") {
            return Ok(Input::Artifact(bytes));
        }
        let bytes = match bytes.starts_with(b"\0asm") {
            true => bytes,
            false => from_text(&bytes)?,
        };
        if wasmparser::Parser::is_core_wasm(&bytes) {
            bail!(
                "this is a core module, but Mintage hosts components; `wasm-tools component new` makes a component of a \
                 module that was built for one"
            );
        }
        Ok(Input::Component(bytes))
    }
}

fn from_text(bytes: &[u8]) -> Result<Vec<u8>> {
    const NEITHER: &str = "this is neither a component (binary or text) nor an artifact of Mintage";
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('(') => text,
        _ => bail!(NEITHER),
    };
    wat::parse_str(text).context(NEITHER)
}

/// The binary of the component in `path`.
///
/// # Errors
///
/// As [`Input::read`], and when the file is an artifact.
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>> {
    match Input::read(path)? {
        Input::Component(bytes) => Ok(bytes),
        Input::Artifact(_) => bail!("`{}` is compiled already", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_contents() {
        assert!(matches!(
            Input::recognize(b"\x7fELF....".to_vec()),
            Ok(Input::Artifact(_))
        ));
        assert!(matches!(
            Input::recognize(b"(component)".to_vec()),
            Ok(Input::Component(_))
        ));
        assert!(matches!(
            Input::recognize(b"\0asm\x0d\0\x01\0".to_vec()),
            Ok(Input::Component(_))
        ));
        for (bytes, message) in [
            (&b""[..], "neither"),
            (b"hello", "neither"),
            (b"\xff\xfe\0(", "neither"),
            (b"(component", "neither"),
            (b"(module)", "core module"),
            (b"\0asm\x01\0\0\0", "core module"),
        ] {
            let error = format!("{:#}", Input::recognize(bytes.to_vec()).unwrap_err());
            assert!(error.contains(message), "{bytes:?}: {error}");
        }
    }
}
