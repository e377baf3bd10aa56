//! Tells components and artifacts apart by their first bytes.

#[cfg(feature = "compiler")]
use crate::error::ensure;
use crate::error::{Result, bail};
use mintage_environ::artifact;
#[cfg(feature = "compiler")]
use mintage_environ::invalid;

/// The start of an ELF file, hence of an artifact.
const ARTIFACT_MAGIC: &[u8] = b"\x7fELF";
/// The start of a core module or a component.
#[cfg(feature = "compiler")]
pub const WASM_MAGIC: &[u8] = b"\0asm";

/// Fails for an artifact where a component is wanted.
#[cfg(feature = "compiler")]
pub fn refuse_artifact(bytes: &[u8]) -> Result<()> {
    ensure!(
        !bytes.starts_with(ARTIFACT_MAGIC),
        invalid!(
            "the input is not a component but a compiled artifact (ELF); load it with \
         `Component::deserialize` or `Component::deserialize_file`"
        )
    );
    Ok(())
}

/// Fails for what is not in binary form.
#[cfg(feature = "compiler")]
pub fn require_binary(bytes: &[u8]) -> Result<()> {
    refuse_artifact(bytes)?;
    ensure!(
        bytes.starts_with(WASM_MAGIC),
        invalid!("the input is not a component in binary form: it does not start with `\\0asm`")
    );
    Ok(())
}

/// Fails for a component where an artifact is wanted.
pub fn refuse_component(bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(ARTIFACT_MAGIC) {
        return Ok(());
    }
    if bytes.starts_with(b"\0asm") || bytes.trim_ascii_start().starts_with(b"(") {
        bail!(artifact!(
            NotAnArtifact,
            "the input is not a compiled artifact but WebAssembly; compile it with `Component::new`"
        ));
    }
    bail!(artifact!(
        NotAnArtifact,
        "the input is not a compiled artifact: it does not start as an ELF file does"
    ))
}
