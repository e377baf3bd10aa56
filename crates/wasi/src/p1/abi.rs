//! Numbers and layouts of preview 1 (`wasi_snapshot_preview1.witx`) and of its predecessor.

use crate::Errno;
use crate::clocks::nanoseconds;
use crate::fs::{FileType, Stat};
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of the interface that a module imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `wasi_unstable`.
    Unstable,
    /// `wasi_snapshot_preview1`.
    Preview1,
}

impl Version {
    /// The name of the module that modules import.
    pub const fn module(self) -> &'static str {
        match self {
            Version::Unstable => "wasi_unstable",
            Version::Preview1 => "wasi_snapshot_preview1",
        }
    }
}

/// `errno` of success.
pub(super) const SUCCESS: u16 = 0;

/// Returns the number of an error: `errno`.
pub(super) fn errno(error: Errno) -> u16 {
    match error {
        Errno::Access => 2,
        Errno::AddressInUse => 3,
        Errno::AddressNotAvailable => 4,
        Errno::AddressFamily => 5,
        Errno::Again => 6,
        Errno::Already => 7,
        Errno::BadDescriptor => 8,
        Errno::BadMessage => 9,
        Errno::Busy => 10,
        Errno::Canceled => 11,
        Errno::Child => 12,
        Errno::ConnectionAborted => 13,
        Errno::ConnectionRefused => 14,
        Errno::ConnectionReset => 15,
        Errno::Deadlock => 16,
        Errno::DestinationRequired => 17,
        Errno::Domain => 18,
        Errno::Quota => 19,
        Errno::Exist => 20,
        Errno::Fault => 21,
        Errno::FileTooLarge => 22,
        Errno::HostUnreachable => 23,
        Errno::IdentifierRemoved => 24,
        Errno::IllegalByteSequence => 25,
        Errno::InProgress => 26,
        Errno::Interrupted => 27,
        Errno::Invalid => 28,
        Errno::Io => 29,
        Errno::IsConnected => 30,
        Errno::IsDirectory => 31,
        Errno::Loop => 32,
        Errno::TooManyFiles => 33,
        Errno::TooManyLinks => 34,
        Errno::MessageSize => 35,
        Errno::Multihop => 36,
        Errno::NameTooLong => 37,
        Errno::NetworkDown => 38,
        Errno::NetworkReset => 39,
        Errno::NetworkUnreachable => 40,
        Errno::TooManyFilesInSystem => 41,
        Errno::NoBufferSpace => 42,
        Errno::NoDevice => 43,
        Errno::NoEntry => 44,
        Errno::NoExecutable => 45,
        Errno::NoLock => 46,
        Errno::NoLink => 47,
        Errno::NoMemory => 48,
        Errno::NoMessage => 49,
        Errno::NoProtocolOption => 50,
        Errno::NoSpace => 51,
        Errno::NoSystemCall => 52,
        Errno::NotConnected => 53,
        Errno::NotDirectory => 54,
        Errno::NotEmpty => 55,
        Errno::NotRecoverable => 56,
        Errno::NotSocket => 57,
        Errno::NotSupported => 58,
        Errno::NoTty => 59,
        Errno::NoSuchDevice => 60,
        Errno::Overflow => 61,
        Errno::OwnerDead => 62,
        Errno::NotPermitted => 63,
        Errno::Pipe => 64,
        Errno::Protocol => 65,
        Errno::ProtocolNotSupported => 66,
        Errno::ProtocolType => 67,
        Errno::Range => 68,
        Errno::ReadOnly => 69,
        Errno::InvalidSeek => 70,
        Errno::NoProcess => 71,
        Errno::Stale => 72,
        Errno::TimedOut => 73,
        Errno::TextFileBusy => 74,
        Errno::CrossDevice => 75,
        Errno::NotCapable => 76,
    }
}

/// Defines sets of flags as constants of an integer.
macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident: $ty:ty { $($flag:ident = $bit:literal,)* })*) => {$(
        $(#[$doc])*
        #[allow(dead_code, reason = "the whole set is listed")]
        pub(super) mod $name {
            $(pub const $flag: $ty = 1 << $bit;)*
            /// All flags.
            pub const ALL: $ty = $($flag)|*;
        }
    )*};
}

flags! {
    /// `rights`
    rights: u64 {
        FD_DATASYNC = 0,
        FD_READ = 1,
        FD_SEEK = 2,
        FD_FDSTAT_SET_FLAGS = 3,
        FD_SYNC = 4,
        FD_TELL = 5,
        FD_WRITE = 6,
        FD_ADVISE = 7,
        FD_ALLOCATE = 8,
        PATH_CREATE_DIRECTORY = 9,
        PATH_CREATE_FILE = 10,
        PATH_LINK_SOURCE = 11,
        PATH_LINK_TARGET = 12,
        PATH_OPEN = 13,
        FD_READDIR = 14,
        PATH_READLINK = 15,
        PATH_RENAME_SOURCE = 16,
        PATH_RENAME_TARGET = 17,
        PATH_FILESTAT_GET = 18,
        PATH_FILESTAT_SET_SIZE = 19,
        PATH_FILESTAT_SET_TIMES = 20,
        FD_FILESTAT_GET = 21,
        FD_FILESTAT_SET_SIZE = 22,
        FD_FILESTAT_SET_TIMES = 23,
        PATH_SYMLINK = 24,
        PATH_REMOVE_DIRECTORY = 25,
        PATH_UNLINK_FILE = 26,
        POLL_FD_READWRITE = 27,
        SOCK_SHUTDOWN = 28,
        SOCK_ACCEPT = 29,
    }
    /// `fdflags`
    fdflags: u16 { APPEND = 0, DSYNC = 1, NONBLOCK = 2, RSYNC = 3, SYNC = 4, }
    /// `fstflags`
    fstflags: u16 { ATIM = 0, ATIM_NOW = 1, MTIM = 2, MTIM_NOW = 3, }
    /// `lookupflags`
    lookupflags: u32 { SYMLINK_FOLLOW = 0, }
    /// `oflags`
    oflags: u16 { CREAT = 0, DIRECTORY = 1, EXCL = 2, TRUNC = 3, }
    /// `eventrwflags`
    eventrwflags: u16 { FD_READWRITE_HANGUP = 0, }
    /// `subclockflags`
    subclockflags: u16 { SUBSCRIPTION_CLOCK_ABSTIME = 0, }
}

/// Returns flags of a guest, as an integer of the flags' size.
///
/// # Errors
///
/// [`Errno::Invalid`] if there are others than those in `all`.
pub(super) fn flags<T: TryFrom<u32> + Into<u32>>(given: u32, all: T) -> Result<T, Errno> {
    match given & !all.into() {
        0 => T::try_from(given).map_err(|_| Errno::Invalid),
        _ => Err(Errno::Invalid),
    }
}

/// `filetype` of a descriptor that is not a file.
pub(super) const FILETYPE_UNKNOWN: u8 = 0;
/// `filetype` of a terminal.
pub(super) const FILETYPE_CHARACTER_DEVICE: u8 = 2;
/// `filetype` of a directory.
pub(super) const FILETYPE_DIRECTORY: u8 = 3;

/// Returns the number of a kind of file: `filetype`.
pub(super) fn filetype(kind: FileType) -> u8 {
    match kind {
        // Preview 1 has no number for named pipes.
        FileType::Unknown | FileType::Fifo => FILETYPE_UNKNOWN,
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => FILETYPE_CHARACTER_DEVICE,
        FileType::Directory => FILETYPE_DIRECTORY,
        FileType::RegularFile => 4,
        FileType::Socket => 6,
        FileType::SymbolicLink => 7,
    }
}

/// A record that is being written, field by field.
pub(super) struct Record<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Record<SIZE> {
    pub fn new() -> Self {
        Record([0; SIZE])
    }

    /// Sets the field at `offset`.
    pub fn set<const N: usize>(mut self, offset: usize, bytes: [u8; N]) -> Self {
        self.0[offset..offset + N].copy_from_slice(&bytes);
        self
    }

    pub fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }
}

/// Returns a `fdstat`.
pub(super) fn fdstat(filetype: u8, flags: u16, base: u64, inheriting: u64) -> Record<24> {
    Record::new()
        .set(0, [filetype])
        .set(2, flags.to_le_bytes())
        .set(8, base.to_le_bytes())
        .set(16, inheriting.to_le_bytes())
}

/// What a `filestat` says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filestat {
    device: u64,
    inode: u64,
    filetype: u8,
    links: u64,
    size: u64,
    times: [u64; 3],
}

impl Filestat {
    /// The one of a standard stream.
    pub fn of_stream(filetype: u8) -> Self {
        Filestat {
            filetype,
            ..Filestat::default()
        }
    }

    /// Returns the bytes of the record.
    pub fn bytes(&self, version: Version) -> smallvec::SmallVec<[u8; 64]> {
        let record = Record::<64>::new()
            .set(0, self.device.to_le_bytes())
            .set(8, self.inode.to_le_bytes())
            .set(16, [self.filetype]);
        let (mut record, rest) = match version {
            Version::Unstable => {
                // More links than the field can tell are as many as it can tell.
                let links = u32::try_from(self.links).unwrap_or(u32::MAX);
                (record.set(20, links.to_le_bytes()), 24)
            }
            Version::Preview1 => (record.set(24, self.links.to_le_bytes()), 32),
        };
        record = record.set(rest, self.size.to_le_bytes());
        for (at, time) in self.times.into_iter().enumerate() {
            record = record.set(rest + 8 * (at + 1), time.to_le_bytes());
        }
        smallvec::SmallVec::from_slice(&record.bytes()[..rest + 32])
    }
}

impl From<Stat> for Filestat {
    fn from(stat: Stat) -> Self {
        Filestat {
            // The device is part of the hash that is the inode number.
            device: 1,
            inode: stat.metadata_hash().lower,
            filetype: filetype(stat.kind),
            links: stat.links,
            size: stat.size,
            times: [stat.accessed, stat.modified, stat.changed].map(timestamp),
        }
    }
}

/// Returns a time in nanoseconds since 1970: 0 if it is not known or earlier.
fn timestamp(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, nanoseconds)
}

/// Bytes of a `dirent`, which the name follows.
pub(super) const DIRENT: usize = 24;

/// Returns a `dirent`.
pub(super) fn dirent(next: u64, inode: u64, name_len: u32, filetype: u8) -> Record<DIRENT> {
    Record::new()
        .set(0, next.to_le_bytes())
        .set(8, inode.to_le_bytes())
        .set(16, name_len.to_le_bytes())
        .set(20, [filetype])
}

/// Bytes of an `event`.
pub(super) const EVENT: usize = 32;

/// Returns an `event`.
pub(super) fn event(userdata: u64, error: u16, kind: u8, nbytes: u64, flags: u16) -> Record<EVENT> {
    Record::new()
        .set(0, userdata.to_le_bytes())
        .set(8, error.to_le_bytes())
        .set(10, [kind])
        .set(16, nbytes.to_le_bytes())
        .set(24, flags.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_own_number() {
        let mut numbers: Vec<u16> = Errno::ALL.iter().map(|&error| errno(error)).collect();
        numbers.sort_unstable();
        // 0 is success, and no one runs a program with too long arguments (1).
        assert_eq!(numbers, (2..=76).collect::<Vec<_>>());
    }

    #[test]
    fn flags_that_are_not_known_are_invalid() {
        assert_eq!(flags(0b11111, fdflags::ALL), Ok(0b11111));
        assert_eq!(flags(0b100000, fdflags::ALL), Err(Errno::Invalid));
        assert_eq!(flags(0x1_0000, fdflags::ALL), Err(Errno::Invalid));
        assert_eq!(flags(2, lookupflags::ALL), Err(Errno::Invalid));
    }

    #[test]
    fn records_of_both_versions() {
        let stat = Filestat {
            device: 1,
            inode: 2,
            filetype: 3,
            links: 4,
            size: 5,
            times: [6, 7, 8],
        };
        let words = |version| -> Vec<u64> {
            let bytes = stat.bytes(version);
            let words = bytes.chunks_exact(8);
            words
                .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
                .collect()
        };
        assert_eq!(words(Version::Preview1), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(words(Version::Unstable), [1, 2, 3 | 4 << 32, 5, 6, 7, 8]);
    }
}
