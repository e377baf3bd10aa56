//! Conversions between the types of this folder and those of `wasi:filesystem`. The bindings of
//! each version have types of their own, which differ little.

/// Defines the conversions for the bindings `$types` of `wasi:filesystem/types`. `$timestamp`
/// converts an optional time to an optional timestamp of the version. `$other` converts an
/// [`Errno`](crate::Errno) that has a code only in some versions.
macro_rules! conversions {
    ($types:path, $timestamp:ident, $other:ident) => {
        use $types as of_guest;

        impl From<$crate::Errno> for of_guest::ErrorCode {
            fn from(error: $crate::Errno) -> Self {
                use $crate::Errno;
                match error {
                    Errno::Access => Self::Access,
                    Errno::Already => Self::Already,
                    Errno::BadDescriptor => Self::BadDescriptor,
                    Errno::Busy => Self::Busy,
                    Errno::CrossDevice => Self::CrossDevice,
                    Errno::Deadlock => Self::Deadlock,
                    Errno::Exist => Self::Exist,
                    Errno::FileTooLarge => Self::FileTooLarge,
                    Errno::IllegalByteSequence => Self::IllegalByteSequence,
                    Errno::InProgress => Self::InProgress,
                    Errno::Interrupted => Self::Interrupted,
                    Errno::Invalid => Self::Invalid,
                    Errno::InvalidSeek => Self::InvalidSeek,
                    Errno::Io => Self::Io,
                    Errno::IsDirectory => Self::IsDirectory,
                    Errno::Loop => Self::Loop,
                    Errno::MessageSize => Self::MessageSize,
                    Errno::NameTooLong => Self::NameTooLong,
                    Errno::NoDevice => Self::NoDevice,
                    Errno::NoEntry => Self::NoEntry,
                    Errno::NoLock => Self::NoLock,
                    // There is no code for too many open files.
                    Errno::NoMemory | Errno::TooManyFiles | Errno::TooManyFilesInSystem => {
                        Self::InsufficientMemory
                    }
                    Errno::NoSpace => Self::InsufficientSpace,
                    Errno::NoSuchDevice => Self::NoSuchDevice,
                    Errno::NoTty => Self::NoTty,
                    Errno::NotCapable | Errno::NotPermitted => Self::NotPermitted,
                    Errno::NotDirectory => Self::NotDirectory,
                    Errno::NotEmpty => Self::NotEmpty,
                    Errno::NotRecoverable => Self::NotRecoverable,
                    Errno::NoSystemCall | Errno::NotSupported => Self::Unsupported,
                    Errno::Overflow => Self::Overflow,
                    Errno::Pipe => Self::Pipe,
                    Errno::Quota => Self::Quota,
                    Errno::ReadOnly => Self::ReadOnly,
                    Errno::TextFileBusy => Self::TextFileBusy,
                    Errno::TooManyLinks => Self::TooManyLinks,
                    error => $other(error),
                }
            }
        }

        $crate::error::codes!(of_guest::ErrorCode);

        impl From<of_guest::Advice> for $crate::fs::Advice {
            fn from(advice: of_guest::Advice) -> Self {
                match advice {
                    of_guest::Advice::Normal => Self::Normal,
                    of_guest::Advice::Sequential => Self::Sequential,
                    of_guest::Advice::Random => Self::Random,
                    of_guest::Advice::WillNeed => Self::WillNeed,
                    of_guest::Advice::DontNeed => Self::DontNeed,
                    of_guest::Advice::NoReuse => Self::NoReuse,
                }
            }
        }

        impl From<$crate::fs::MetadataHash> for of_guest::MetadataHashValue {
            fn from(hash: $crate::fs::MetadataHash) -> Self {
                Self {
                    lower: hash.lower,
                    upper: hash.upper,
                }
            }
        }

        impl From<$crate::fs::Stat> for of_guest::DescriptorStat {
            fn from(stat: $crate::fs::Stat) -> Self {
                Self {
                    type_: stat.kind.into(),
                    link_count: stat.links,
                    size: stat.size,
                    data_access_timestamp: $timestamp(stat.accessed),
                    data_modification_timestamp: $timestamp(stat.modified),
                    status_change_timestamp: $timestamp(stat.changed),
                }
            }
        }

        fn set_time(time: of_guest::NewTimestamp) -> $crate::fs::Result<$crate::fs::SetTime> {
            use $crate::fs::SetTime;
            Ok(match time {
                of_guest::NewTimestamp::NoChange => SetTime::Keep,
                of_guest::NewTimestamp::Now => SetTime::Now,
                of_guest::NewTimestamp::Timestamp(time) => {
                    let time = $crate::clocks::system_time(time.seconds, time.nanoseconds);
                    SetTime::To(time?)
                }
            })
        }

        fn set_times(
            accessed: of_guest::NewTimestamp,
            modified: of_guest::NewTimestamp,
        ) -> $crate::fs::Result<$crate::fs::SetTimes> {
            Ok($crate::fs::SetTimes {
                accessed: set_time(accessed)?,
                modified: set_time(modified)?,
            })
        }

        fn follows(flags: of_guest::PathFlags) -> bool {
            flags.contains(of_guest::PathFlags::SYMLINK_FOLLOW)
        }

        fn open_options(
            open: of_guest::OpenFlags,
            flags: of_guest::DescriptorFlags,
        ) -> $crate::fs::OpenOptions {
            use of_guest::{DescriptorFlags, OpenFlags};
            use $crate::fs::Sync;
            let sync = if flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC) {
                Sync::All
            } else if flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC) {
                Sync::Data
            } else {
                Sync::None
            };
            $crate::fs::OpenOptions {
                read: flags.contains(DescriptorFlags::READ),
                write: flags.contains(DescriptorFlags::WRITE),
                create: open.contains(OpenFlags::CREATE),
                exclusive: open.contains(OpenFlags::EXCLUSIVE),
                truncate: open.contains(OpenFlags::TRUNCATE),
                directory: open.contains(OpenFlags::DIRECTORY),
                sync,
            }
        }

        fn descriptor_flags(descriptor: &$crate::fs::Descriptor) -> of_guest::DescriptorFlags {
            use of_guest::DescriptorFlags;
            use $crate::fs::{Descriptor, Sync};
            let mut flags = DescriptorFlags::empty();
            let mut set = |flag, value| {
                if value {
                    flags |= flag;
                }
            };
            match descriptor {
                Descriptor::File(file) => {
                    set(DescriptorFlags::READ, file.is_readable());
                    set(DescriptorFlags::WRITE, file.is_writable());
                    let sync = file.sync_mode();
                    set(DescriptorFlags::FILE_INTEGRITY_SYNC, sync == Sync::All);
                    set(DescriptorFlags::DATA_INTEGRITY_SYNC, sync != Sync::None);
                }
                Descriptor::Directory(directory) => {
                    set(DescriptorFlags::READ, true);
                    set(DescriptorFlags::MUTATE_DIRECTORY, directory.is_mutable());
                }
            }
            flags
        }
    };
}

pub(crate) use conversions;
