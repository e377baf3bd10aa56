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
    fn this_process_takes_some() -> Result<()> {
        let now = Memory::now()?;
        assert!(now.resident > 0 && now.address_space > now.resident);
        Ok(())
    }
}
