//! [`Guest`]: what the functions see of the module that calls them: its memory, and its context.

use super::WasiP1Ctx;
use super::abi::Version;
use crate::Errno;
use mintage::{Caller, Error, Trap};
use smallvec::SmallVec;
use std::ops::Range;

/// The most blocks of memory that one system call reads into.
pub(super) const MAX_BLOCKS: usize = 8;
/// The most buffers that are looked at (`IOV_MAX` of most systems). What a guest passes beyond them
/// is left for its next call.
const MAX_BUFFERS: u32 = 1024;

/// The reason why a function has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The guest gets an error.
    Errno(Errno),
    /// The guest's call ends.
    Trap(Error),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Failure::Errno(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Trap(error)
    }
}

/// The result of a function.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

/// The module that calls a function.
pub(super) trait Guest {
    /// Returns the version of the interface that the module imports.
    fn version(&self) -> Version;

    /// Returns the context.
    fn ctx(&mut self) -> &mut WasiP1Ctx;

    /// Returns the memory for reading, and the context.
    fn split(&mut self) -> mintage::Result<(&[u8], &mut WasiP1Ctx)>;

    /// Writes bytes to the memory.
    fn write_bytes(&mut self, at: u32, bytes: &[u8]) -> mintage::Result<()>;

    /// Returns a block of the memory for writing, and the context.
    fn block(&mut self, block: Range<usize>) -> mintage::Result<(&mut [u8], &mut WasiP1Ctx)>;

    /// Returns blocks of the memory for writing, which may be empty, and the context.
    fn blocks(&mut self, blocks: &Blocks) -> mintage::Result<(BlocksMut<'_>, &mut WasiP1Ctx)>;

    /// Returns whether a system call may block this thread.
    fn may_block(&mut self) -> bool;
}

/// Blocks of the memory. Those that are not used are empty.
pub(super) type Blocks = [Range<usize>; MAX_BLOCKS];

/// The bytes of [`Blocks`].
pub(super) type BlocksMut<'a> = [&'a mut [u8]; MAX_BLOCKS];

/// A [`Guest`] by the caller of a host function.
pub(super) struct View<'a, 'c, T: 'static, F> {
    pub caller: &'a mut Caller<'c, T>,
    /// Finds the context in the data of the store.
    pub find: F,
    pub version: Version,
    /// Whether the host calls the guest asynchronously, so that its thread must never block.
    pub is_async: bool,
}

impl<T, F> Guest for View<'_, '_, T, F>
where
    T: 'static,
    F: Fn(&mut T) -> &mut WasiP1Ctx,
{
    fn version(&self) -> Version {
        self.version
    }

    fn ctx(&mut self) -> &mut WasiP1Ctx {
        (self.find)(self.caller.data_mut())
    }

    fn split(&mut self) -> mintage::Result<(&[u8], &mut WasiP1Ctx)> {
        let (memory, data) = self.caller.memory_and_data()?;
        Ok((memory, (self.find)(data)))
    }

    fn write_bytes(&mut self, at: u32, bytes: &[u8]) -> mintage::Result<()> {
        self.caller.write(at, bytes)
    }

    fn block(&mut self, block: Range<usize>) -> mintage::Result<(&mut [u8], &mut WasiP1Ctx)> {
        let ([block], data) = self.caller.blocks_mut([block])?;
        Ok((block, (self.find)(data)))
    }

    fn blocks(&mut self, blocks: &Blocks) -> mintage::Result<(BlocksMut<'_>, &mut WasiP1Ctx)> {
        let (blocks, data) = self.caller.blocks_mut(blocks.clone())?;
        Ok((blocks, (self.find)(data)))
    }

    fn may_block(&mut self) -> bool {
        use mintage::AsContextMut;
        // A call that can be interrupted waits in `poll(2)`, which an interruption ends.
        !self.is_async && self.caller.as_context_mut().interrupt_watch().is_none()
    }
}

impl dyn Guest + '_ {
    /// Writes a number to the memory.
    pub fn write<const N: usize>(&mut self, at: u32, bytes: [u8; N]) -> Outcome {
        check_alignment(at, N)?;
        Ok(self.write_bytes(at, &bytes)?)
    }

    /// Writes a record, or an array, to the memory. Its fields have at most `align` bytes.
    pub fn write_array(&mut self, at: u32, bytes: &[u8], align: usize) -> Outcome {
        check_alignment(at, align)?;
        Ok(self.write_bytes(at, bytes)?)
    }
}

/// Ends the call of a guest that passes a pointer which is not a multiple of `align`.
fn check_alignment(at: u32, align: usize) -> Outcome {
    match (at as usize).is_multiple_of(align) {
        true => Ok(()),
        false => Err(bad_pointer(
            Trap::UnalignedPointer,
            format!("unaligned pointer: {at:#x} is not a multiple of {align}"),
        )),
    }
}

#[cold]
fn bad_pointer(trap: Trap, message: String) -> Failure {
    Failure::Trap(Error::from(trap).context(message))
}

/// Returns `len` bytes of the memory at `at`.
pub(super) fn bytes(memory: &[u8], at: u32, len: usize) -> Outcome<&[u8]> {
    let found = memory
        .get(at as usize..)
        .and_then(|memory| memory.get(..len));
    found.ok_or_else(|| {
        bad_pointer(
            Trap::PointerOutOfBounds,
            format!(
                "pointer out of bounds of memory: {len:#x} bytes at {at:#x}, the memory has {:#x}",
                memory.len()
            ),
        )
    })
}

/// Returns `count` records of `size` bytes of the memory at `at`, whose fields have at most `align`
/// bytes.
pub(super) fn records(
    memory: &[u8],
    at: u32,
    count: u32,
    size: usize,
    align: usize,
) -> Outcome<std::slice::ChunksExact<'_, u8>> {
    check_alignment(at, align)?;
    Ok(bytes(memory, at, count as usize * size)?.chunks_exact(size))
}

/// Returns a string in the memory.
pub(super) fn string(memory: &[u8], at: u32, len: u32) -> Outcome<&str> {
    let bytes = bytes(memory, at, len as usize)?;
    str::from_utf8(bytes).map_err(|_| Errno::IllegalByteSequence.into())
}

/// Reads the number at `offset` of a record.
pub(super) fn number<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&record[offset..offset + N]);
    number
}

/// The buffers of an `iovec_array` or a `ciovec_array`, without empty ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(SmallVec<[Range<usize>; 4]>);

impl Buffers {
    /// Reads the array.
    pub fn read(memory: &[u8], at: u32, count: u32) -> Outcome<Buffers> {
        let mut buffers = Buffers::default();
        let all = records(memory, at, count, 8, 4)?;
        for record in all.take(MAX_BUFFERS as usize) {
            let at = u32::from_le_bytes(number(record, 0));
            let len = u32::from_le_bytes(number(record, 4));
            bytes(memory, at, len as usize)?;
            if len > 0 {
                buffers.0.push(at as usize..at as usize + len as usize);
            }
        }
        Ok(buffers)
    }

    /// Returns the number of bytes. A guest learns of no more than 4 GiB at a time.
    pub fn len(&self) -> usize {
        let lens = self.0.iter().map(Range::len);
        lens.sum::<usize>().min(u32::MAX as usize)
    }

    /// Returns the buffers' bytes.
    pub fn slices<'m>(&self, memory: &'m [u8]) -> impl Iterator<Item = &'m [u8]> {
        // They are in bounds, and memories never shrink.
        self.0
            .iter()
            .map(|range| memory.get(range.clone()).unwrap_or_default())
    }

    /// Returns the blocks of memory for at most `max` bytes, after the first `skip` ones, and how
    /// many bytes these are. There are fewer than there could be if blocks overlap.
    pub fn piece(&self, mut skip: usize, max: usize) -> (Blocks, usize) {
        let mut blocks = Blocks::default();
        let (mut count, mut total) = (0, 0);
        for buffer in &self.0 {
            if skip >= buffer.len() {
                skip -= buffer.len();
                continue;
            }
            let start = buffer.start + std::mem::take(&mut skip);
            let block = start..buffer.end.min(start + (max - total));
            let overlaps =
                |other: &Range<usize>| other.start < block.end && block.start < other.end;
            if count == MAX_BLOCKS || total == max || blocks[..count].iter().any(overlaps) {
                break;
            }
            total += block.len();
            blocks[count] = block;
            count += 1;
        }
        (blocks, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(buffers: &[(u32, u32)]) -> Vec<u8> {
        let mut memory: Vec<u8> = buffers
            .iter()
            .flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat())
            .collect();
        memory.resize(0x1_0000, 7);
        memory
    }

    fn errno(outcome: Outcome<Buffers>) -> Result<Buffers, String> {
        outcome.map_err(|failure| match failure {
            Failure::Errno(errno) => errno.to_string(),
            Failure::Trap(error) => format!("{error:#}"),
        })
    }

    #[test]
    fn buffers_are_read_in_pieces() {
        let memory = array(&[(100, 10), (0, 0), (200, 20), (205, 1), (300, 5)]);
        let buffers = Buffers::read(&memory, 0, 5).unwrap();
        assert_eq!(buffers.len(), 36);
        assert_eq!(
            buffers.slices(&memory).map(<[u8]>::len).collect::<Vec<_>>(),
            [10, 20, 1, 5]
        );
        let (blocks, total) = buffers.piece(0, 1000);
        assert_eq!((&blocks[..3], total), (&[100..110, 200..220, 0..0][..], 30));
        let (blocks, total) = buffers.piece(12, 6);
        assert_eq!((&blocks[..2], total), (&[202..208, 0..0][..], 6));
        let (blocks, total) = buffers.piece(30, 1000);
        assert_eq!((&blocks[..3], total), (&[205..206, 300..305, 0..0][..], 6));
        assert_eq!(buffers.piece(36, 1000).1, 0);
    }

    #[test]
    fn bad_arrays_end_the_call_of_the_guest() {
        let memory = array(&[(0, 0xffff_ffff), (0xffff_ffff, 1), (0xffff, 2)]);
        for (at, count) in [
            (0, 1),
            (8, 1),
            (16, 1),
            (0xfffc, 1),
            (0, u32::MAX),
            (0, 1 << 29),
        ] {
            let error = errno(Buffers::read(&memory, at, count)).unwrap_err();
            assert!(error.contains("out of bounds"), "{at} {count}: {error}");
        }
        let error = errno(Buffers::read(&memory, 2, 0)).unwrap_err();
        assert!(error.contains("not a multiple of 4"), "{error}");
    }

    #[test]
    fn strings_are_utf_8() {
        assert_eq!(string("äb".as_bytes(), 0, 3).unwrap(), "äb");
        let error = string("äb".as_bytes(), 1, 2).unwrap_err();
        assert!(matches!(error, Failure::Errno(Errno::IllegalByteSequence)));
    }
}
