//! [`HostResource`]: the part of a resource of the host that does not depend on its type.

use crate::Result;
use crate::abi::{InterfaceType, LiftContext, LowerContext};
use crate::error::{bail, ensure};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The representation of a resource of the host, owned or borrowed.
pub(super) struct HostResource {
    rep: u32,
    owned: bool,
    /// Whether an owned resource was given away.
    taken: AtomicBool,
}

impl HostResource {
    pub fn new(rep: u32, owned: bool) -> HostResource {
        HostResource {
            rep,
            owned,
            taken: AtomicBool::new(false),
        }
    }

    pub fn rep(&self) -> u32 {
        self.rep
    }

    pub fn owned(&self) -> bool {
        self.owned
    }

    /// Gives the resource away and returns its representation.
    ///
    /// # Errors
    ///
    /// If it is borrowed, or was given away before.
    pub fn take(&self) -> Result<u32> {
        ensure!(self.owned, "cannot lower a `borrow` resource into an `own`");
        // Relaxed: it decides who has the resource, whose state is in the store.
        ensure!(
            !self.taken.swap(true, Ordering::Relaxed),
            "host resource already consumed: it was given away before"
        );
        Ok(self.rep)
    }

    /// Passes the resource to a guest as a handle of type `ty`.
    pub fn lower(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<u32> {
        match ty {
            InterfaceType::Own(id) => {
                let rep = self.take()?;
                cx.lower_own(id, rep)
            }
            InterfaceType::Borrow(id) => {
                ensure!(
                    !self.taken.load(Ordering::Relaxed),
                    "host resource already consumed: it was given away before"
                );
                cx.lower_borrow(id, self.rep)
            }
            _ => bail!("a resource is passed as a value of another type"),
        }
    }

    /// Takes the resource behind a handle of type `ty` from a guest.
    pub fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, index: u32) -> Result<HostResource> {
        match ty {
            InterfaceType::Own(id) => Ok(Self::new(cx.lift_own(id, index)?, true)),
            InterfaceType::Borrow(id) => Ok(Self::new(cx.lift_borrow(id, index)?, false)),
            _ => bail!("a value of another type is taken as a resource"),
        }
    }
}

impl fmt::Debug for HostResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.owned { "Own" } else { "Borrow" };
        f.debug_tuple(name).field(&self.rep).finish()
    }
}
