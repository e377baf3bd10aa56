//! For tests and fuzzing: corrupted files with valid hashes.

use crate::Artifact;
use crate::format::{FIRST_PAGE, Header};
use mintage_environ::{CoreInstanceId, DataId, ElemId, FuncOrdinal};

/// Recomputes the hashes of a modified file, so that they do not reveal the modification. Does
/// nothing if the file has no header, or if the tail in its header does not exist.
pub fn reseal(file: &mut [u8]) {
    let tail = file
        .get(Header::OFFSET + 56..)
        .and_then(|rest| rest.first_chunk::<8>());
    let tail = tail.and_then(|&tail| usize::try_from(u64::from_le_bytes(tail)).ok());
    if let Some(tail) = tail.filter(|tail| (FIRST_PAGE..=file.len()).contains(tail)) {
        Header::seal(file, tail);
    }
}

/// Does all lookups in an open artifact, those of code with the given offsets. None may panic,
/// whatever the file is.
///
/// # Panics
///
/// Panics if opening the file missed a broken rule.
pub fn exercise(artifact: &Artifact<&[u8]>, offsets: impl Iterator<Item = u32>) {
    for offset in offsets {
        artifact.trap_at(offset);
        artifact.address_at(offset);
    }
    for raw in (0..8).chain([u32::MAX]) {
        let ordinal = FuncOrdinal::from_u32(raw);
        artifact.function_name(ordinal);
        artifact.module_name(CoreInstanceId::from_u32(raw));
        artifact.traps(ordinal).count();
        artifact.addresses(ordinal).count();
        artifact.data_segment(DataId::from_u32(raw));
        artifact.elem_segment(ElemId::from_u32(raw));
    }
    let images = &artifact.metadata().image;
    images
        .iter()
        .for_each(|run| assert!(artifact.image_bytes(run).is_some()));
    assert!(artifact.key_table().is_some() && artifact.sections().count() >= 10);
}
