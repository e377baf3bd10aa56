//! For tests and fuzzing: files whose damage the hashes do not show.

use crate::Artifact;
use crate::format::{FIRST_PAGE, Header};
use mintage_environ::{CoreInstanceId, DataId, ElemId};

/// Makes the hashes of a changed file right again, so that the change is not refused as damage. A
/// file without a header, or whose header names a tail that is not there, stays as it is.
pub fn reseal(file: &mut [u8]) {
    let tail = file
        .get(Header::OFFSET + 56..)
        .and_then(|rest| rest.first_chunk::<8>());
    let tail = tail.and_then(|&tail| usize::try_from(u64::from_le_bytes(tail)).ok());
    if let Some(tail) = tail.filter(|tail| (FIRST_PAGE..=file.len()).contains(tail)) {
        Header::seal(file, tail);
    }
}

/// Calls every lookup there is, those of code with the given offsets: none may panic, whatever the
/// file.
///
/// # Panics
///
/// When opening the file has let something pass.
pub fn exercise(artifact: &Artifact<&[u8]>, offsets: impl Iterator<Item = u32>) {
    for offset in offsets {
        artifact.trap_at(offset);
        artifact.address_at(offset);
    }
    for ordinal in (0..8).chain([u32::MAX]) {
        artifact.function_name(ordinal);
        artifact.module_name(CoreInstanceId::from_u32(ordinal));
        artifact.traps(ordinal).count();
        artifact.addresses(ordinal).count();
        artifact.data_segment(DataId::from_u32(ordinal));
        artifact.elem_segment(ElemId::from_u32(ordinal));
    }
    let images = &artifact.metadata().image;
    images
        .iter()
        .for_each(|run| assert!(artifact.image_bytes(run).is_some()));
    assert!(artifact.key_table().is_some() && artifact.sections().count() >= 10);
}
