//! [`HostCalls`]: which functions of the host a guest may call, and whether it may wait.

use crate::ImportId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::BitOr;

/// A set of functions of the host, and of two things beside them that a guest may do. It has a
/// fixed size, so it may have more members than were put into it: beyond 125 imports, some are
/// members together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCalls([u64; 2]);

impl HostCalls {
    /// Nothing.
    pub const NONE: HostCalls = HostCalls([0, 0]);
    /// Everything.
    pub const ALL: HostCalls = HostCalls([u64::MAX, u64::MAX]);
    /// The destructors of the host's resource types.
    pub const DESTRUCTORS: HostCalls = HostCalls::bit(127);
    /// No function: a wait in which other threads of guests run.
    pub const WAITS: HostCalls = HostCalls::bit(126);
    /// No function: a question which task or thread runs.
    pub const ASKS_FOR_TASK: HostCalls = HostCalls::bit(125);

    /// The number of imports that are told apart.
    const IMPORTS: u32 = 125;

    const fn bit(bit: u32) -> HostCalls {
        let bits = 1u128 << bit;
        HostCalls([bits as u64, (bits >> 64) as u64])
    }

    /// An imported function.
    pub fn import(id: ImportId) -> HostCalls {
        HostCalls::bit(id.as_u32() % Self::IMPORTS)
    }

    /// Returns whether something may be in both sets.
    pub fn intersects(self, other: HostCalls) -> bool {
        self.0[0] & other.0[0] | self.0[1] & other.0[1] != 0
    }
}

impl BitOr for HostCalls {
    type Output = HostCalls;

    fn bitor(self, other: HostCalls) -> HostCalls {
        HostCalls([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }
}

/// `none`, `all`, or the numbers of the imports, `task`, `wait`, and `drop` for the destructors.
impl fmt::Display for HostCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            HostCalls::NONE => return f.write_str("none"),
            HostCalls::ALL => return f.write_str("all"),
            _ => {}
        }
        let members = (0..128).filter(|&bit| self.intersects(HostCalls::bit(bit)));
        for (i, bit) in members.enumerate() {
            let separator = if i == 0 { "" } else { "," };
            match HostCalls::bit(bit) {
                Self::ASKS_FOR_TASK => write!(f, "{separator}task")?,
                Self::WAITS => write!(f, "{separator}wait")?,
                Self::DESTRUCTORS => write!(f, "{separator}drop")?,
                _ => write!(f, "{separator}{bit}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_what_was_put_into_them() {
        let import = |id| HostCalls::import(ImportId::from_u32(id));
        let set = import(3) | import(64) | HostCalls::DESTRUCTORS;
        assert_eq!(set.to_string(), "3,64,drop");
        assert!(set.intersects(import(64)) && set.intersects(HostCalls::DESTRUCTORS));
        assert!(!set.intersects(import(2)) && !import(126).intersects(HostCalls::DESTRUCTORS));
        let others = HostCalls::ASKS_FOR_TASK | HostCalls::WAITS;
        assert_eq!(others.to_string(), "task,wait");
        assert!((0..300).all(|id| !import(id).intersects(others | HostCalls::DESTRUCTORS)));
        // Imports that are not told apart.
        assert!(set.intersects(import(3 + 125)));
        assert!(HostCalls::ALL.intersects(set) && !HostCalls::ALL.intersects(HostCalls::NONE));
    }
}
