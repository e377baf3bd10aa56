//! [`Entries`]: whether an instance may be entered.

use crate::Trap;
use crate::error::Result;

/// The calls into an instance that are under way, and whether one of them was stopped (`may_enter`
/// of CanonicalABI.md, reversed). A call that was stopped breaks its instance for good.
///
/// Each entry ends by [`leave`](Self::leave) or by [`break_off`](Self::break_off), in any order.
#[derive(Debug, Default)]
pub(crate) struct Entries(u32);

impl Entries {
    /// The bit that says that the instance is broken. The number of entries is below.
    const BROKEN: u32 = 1 << 31;

    /// Returns whether no call is under way or was stopped.
    #[inline]
    pub fn are_none(&self) -> bool {
        self.0 == 0
    }

    /// Returns whether a call is under way.
    pub fn are_under_way(&self) -> bool {
        self.0 & !Self::BROKEN != 0
    }

    /// Fails if the instance may not be entered.
    ///
    /// # Errors
    ///
    /// [`Trap::CannotEnterComponent`].
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self.are_none() {
            true => Ok(()),
            false => Err(Trap::CannotEnterComponent.into()),
        }
    }

    /// Begins an entry. Entries are on stacks, so there are never as many as the bits allow.
    #[inline]
    pub fn enter(&mut self) {
        self.0 += 1;
    }

    /// Ends an entry that returned.
    #[inline]
    pub fn leave(&mut self) {
        self.0 -= 1;
    }

    /// Ends an entry that was stopped.
    #[cold]
    pub fn break_off(&mut self) {
        self.leave();
        self.break_now();
    }

    /// Breaks the instance, whether a call is under way or not.
    #[cold]
    pub fn break_now(&mut self) {
        self.0 |= Self::BROKEN;
    }

    /// Returns whether a call was stopped.
    pub fn are_broken(&self) -> bool {
        self.0 & Self::BROKEN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_in_any_order_and_breaking_is_for_good() {
        let mut entries = Entries::default();
        assert!(entries.are_none());
        entries.enter();
        entries.enter();
        entries.leave();
        assert!(entries.check().is_err());
        entries.leave();
        assert!(entries.check().is_ok());

        entries.enter();
        entries.enter();
        entries.break_off();
        assert!(entries.are_under_way());
        entries.leave();
        assert!(entries.check().is_err() && !entries.are_under_way());
    }
}
