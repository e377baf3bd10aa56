//! Memory use of this process, as the operating system reports it.

use anyhow::{Context, Result};

/// Memory use of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Address space, accessible or not.
    pub address_space: u64,
    /// Resident pages. A page in several mappings counts for each.
    pub resident: u64,
}

/// Returns the bytes of memory that hold anything of this process: each page once, however often it
/// is mapped. Files in memory count whole, those of other processes, too.
pub fn held() -> Result<u64> {
    let read = |path: &str, names: &[&str]| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let sum = names.iter().map(|name| kilobytes(&text, name)).sum();
        Option::<u64>::with_context(sum, || format!("{path} lacks one of {names:?}"))
    };
    let mapped = read("/proc/self/smaps_rollup", &["Pss_Anon:", "Pss_File:"])?;
    Ok(mapped + read("/proc/meminfo", &["Shmem:"])?)
}

/// Returns the bytes of memory that hold machine code which this process has made, each once. The
/// code in files on disk is not made by it.
pub fn machine_code() -> Result<u64> {
    let path = "/proc/self/smaps";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    code_in(&text).with_context(|| format!("{path} has another form than expected"))
}

/// Returns the bytes of executable mappings: of anonymous memory, and of files in memory, each
/// place of which counts once. These files are resident as a whole.
fn code_in(smaps: &str) -> Option<u64> {
    let mut anonymous = 0;
    let mut in_files = Vec::new();
    let mut is_anonymous_code = false;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [addresses, permissions, offset, _device, inode, ..]
                if let Some((start, end)) = addresses.split_once('-') =>
            {
                let number = |digits| u64::from_str_radix(digits, 16).ok();
                let is_code = permissions.contains('x');
                let name = words.get(5);
                is_anonymous_code = is_code && name.is_none();
                if is_code && name.is_some_and(|name| name.starts_with("/memfd:")) {
                    let (offset, len) = (number(offset)?, number(end)? - number(start)?);
                    in_files.push((inode, offset, offset + len));
                }
            }
            ["Pss:", ..] if is_anonymous_code => anonymous += kilobytes(line, "Pss:")?,
            _ => {}
        }
    }
    in_files.sort_unstable();
    let (mut sum, mut counted) = (anonymous, ("", 0));
    for (inode, start, end) in in_files {
        let from = if counted.0 == inode { counted.1 } else { 0 };
        sum += end.saturating_sub(start.max(from));
        counted = (inode, end.max(from));
    }
    Some(sum)
}

/// Returns the bytes that the line `name` tells.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

impl Memory {
    /// Reads the current memory use.
    pub fn now() -> Result<Self> {
        let path = "/proc/self/status";
        let status =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&status)
            .with_context(|| format!("{path} does not tell the size of this process"))
    }

    fn parse(status: &str) -> Option<Self> {
        Some(Self {
            address_space: kilobytes(status, "VmSize:")?,
            resident: kilobytes(status, "VmRSS:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let status = "Name:\tcompare\nVmPeak:\t  900 kB\nVmSize:\t  800 kB\nVmRSS:\t   70 kB\n";
        let memory = Memory {
            address_space: 800 << 10,
            resident: 70 << 10,
        };
        assert_eq!(Memory::parse(status), Some(memory));
        assert_eq!(Memory::parse("Name:\tcompare\n"), None);
    }

    #[test]
    fn code_counts_once() {
        let smaps = "\
            7f00000-7f04000 r-xp 00001000 00:01 77 /memfd:mintage (deleted)\nPss: 4 kB\n\
            7f10000-7f14000 r-xp 00003000 00:01 77 /memfd:mintage (deleted)\nPss: 4 kB\n\
            7f18000-7f19000 r-xp 00003000 00:01 78 /memfd:mintage (deleted)\nPss: 4 kB\n\
            7f20000-7f24000 r--p 00000000 00:01 77 /memfd:mintage (deleted)\nPss: 16 kB\n\
            7f30000-7f38000 r-xp 00000000 00:00 0\nPss: 24 kB\nVmFlags: rd ex\n\
            7f40000-7f48000 rw-p 00000000 00:00 0 [heap]\nPss: 32 kB\n\
            7f50000-7f58000 r-xp 00000000 08:01 9 /usr/bin/program\nPss: 32 kB\n\
            7f60000-7f62000 r-xp 00000000 00:00 0 [vdso]\nPss: 8 kB\n";
        assert_eq!(code_in(smaps), Some((24 + 24 + 4) << 10));
    }

    #[test]
    fn this_process_takes_some() -> Result<()> {
        let now = Memory::now()?;
        assert!(now.resident > 0 && now.address_space > now.resident);
        Ok(())
    }
}
