//! Metadata, timestamps and options, as the system has them.

use super::super::types::{
    Advice, FileType, OpenOptions, SetTime, SetTimes, Stat, Sync as SyncWhat,
};
use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECOND: u32 = 1_000_000_000;

pub(super) fn file_type(kind: rustix::fs::FileType) -> FileType {
    use rustix::fs::FileType as System;
    match kind {
        System::RegularFile => FileType::RegularFile,
        System::Directory => FileType::Directory,
        System::Symlink => FileType::SymbolicLink,
        System::Fifo => FileType::Fifo,
        System::Socket => FileType::Socket,
        System::CharacterDevice => FileType::CharacterDevice,
        System::BlockDevice => FileType::BlockDevice,
        System::Unknown => FileType::Unknown,
    }
}

pub(super) fn stat(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        kind: file_type(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        device: stat.st_dev,
        inode: stat.st_ino,
        #[allow(
            clippy::unnecessary_cast,
            reason = "some processors have 32 bits for it"
        )]
        links: stat.st_nlink as u64,
        size: stat.st_size as u64,
        accessed: system_time(stat.st_atime, stat.st_atime_nsec as u32),
        modified: system_time(stat.st_mtime, stat.st_mtime_nsec as u32),
        changed: system_time(stat.st_ctime, stat.st_ctime_nsec as u32),
    }
}

/// Converts seconds since 1970, which may be negative, and the nanoseconds after them.
fn system_time(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    start?.checked_add(Duration::from_nanos(nanoseconds.into()))
}

pub(super) fn timestamps(times: &SetTimes) -> Timestamps {
    Timestamps {
        last_access: timespec(times.accessed),
        last_modification: timespec(times.modified),
    }
}

fn timespec(time: SetTime) -> Timespec {
    let special = |nanoseconds| Timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    let time = match time {
        SetTime::Keep => return special(UTIME_OMIT),
        SetTime::Now => return special(UTIME_NOW),
        SetTime::To(time) => time,
    };
    // A `SystemTime` has no more seconds than the system's timestamps.
    let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = (before.as_secs() as i64).wrapping_neg();
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanoseconds => (seconds - 1, SECOND - nanoseconds),
            }
        }
    };
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    }
}

/// Returns the flags for opening an entry. They never make the system wait for the other end of a
/// named pipe, or make a terminal that of this process.
pub(super) fn open_flags(options: &OpenOptions) -> OFlags {
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags |= match (options.read, options.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::CREATE, options.create);
    flags.set(OFlags::EXCL, options.create && options.exclusive);
    flags.set(OFlags::TRUNC, options.truncate);
    flags.set(OFlags::DIRECTORY, options.directory);
    flags.set(OFlags::DSYNC, options.sync == SyncWhat::Data);
    flags.set(OFlags::SYNC, options.sync == SyncWhat::All);
    flags
}

pub(super) fn advice(advice: Advice) -> rustix::fs::Advice {
    use rustix::fs::Advice as System;
    match advice {
        Advice::Normal => System::Normal,
        Advice::Sequential => System::Sequential,
        Advice::Random => System::Random,
        Advice::WillNeed => System::WillNeed,
        Advice::DontNeed => System::DontNeed,
        Advice::NoReuse => System::NoReuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_before_and_after_1970() {
        for (seconds, nanoseconds) in [(0, 0), (5, 7), (-1, 0), (-1, 999_999_999), (-3, 1)] {
            let time = system_time(seconds, nanoseconds).unwrap();
            let back = timespec(SetTime::To(time));
            assert_eq!((back.tv_sec, back.tv_nsec), (seconds, nanoseconds.into()));
        }
    }
}
