//! [`CallScopes`]: the running calls that handles are lent to, and the loans.
//!
//! Both are lists in arenas, whose elements are reused: opening and closing a scope takes a few
//! instructions and no allocation.

use mintage_environ::{CallId, DomainId, Index};

/// The end of a list.
const NONE: u32 = u32::MAX;

/// The running calls that handles are lent to, by [`CallId`].
pub struct CallScopes {
    scopes: Vec<CallScope>,
    /// The first free scope.
    free_scope: u32,
    loans: Vec<LoanElement>,
    /// The first free loan.
    free_loan: u32,
    /// The number of further loans that are allowed.
    loans_left: usize,
}

/// A running call that handles are lent to, or room for one.
struct CallScope {
    is_open: bool,
    /// The number of handles that were made for the callee and that it has not dropped yet
    /// (`num_borrows`).
    borrows: u32,
    /// The first loan, or the next scope that is free.
    next: u32,
}

struct LoanElement {
    loan: Loan,
    /// The next loan of the same call, or the next that is free.
    next: u32,
}

/// A handle that is lent.
#[derive(Clone, Copy)]
pub struct Loan {
    pub domain: DomainId,
    pub handle: u32,
}

impl CallScopes {
    /// Makes an arena without scopes for at most `limit` loans.
    #[inline]
    pub fn new(limit: usize) -> Self {
        CallScopes {
            scopes: Vec::new(),
            free_scope: NONE,
            loans: Vec::new(),
            free_loan: NONE,
            loans_left: limit,
        }
    }

    /// Opens a scope.
    #[inline]
    pub fn open(&mut self) -> CallId {
        let opened = |next| CallScope {
            is_open: true,
            borrows: 0,
            next,
        };
        let index = self.free_scope;
        match self.scopes.get_mut(index as usize) {
            Some(scope) => {
                self.free_scope = scope.next;
                *scope = opened(NONE);
                CallId::from_u32(index)
            }
            None => {
                self.scopes.push(opened(NONE));
                CallId::from_u32(self.scopes.len() as u32 - 1)
            }
        }
    }

    fn scope(&mut self, call: CallId) -> Option<&mut CallScope> {
        let scope = self.scopes.get_mut(call.index());
        scope.filter(|scope| scope.is_open)
    }

    /// Returns the number of handles that were made for the callee and that it has not dropped.
    pub fn borrows(&mut self, call: CallId) -> u32 {
        self.scope(call).map_or(0, |scope| scope.borrows)
    }

    /// Counts a handle that was made for the callee.
    #[inline]
    pub fn borrow(&mut self, call: CallId) {
        match self.scope(call) {
            Some(scope) => scope.borrows += 1,
            None => debug_assert!(false, "a handle is made for a call that has ended"),
        }
    }

    /// Counts a handle that the callee dropped.
    #[inline]
    pub fn drop_borrow(&mut self, call: CallId) {
        if let Some(scope) = self.scope(call) {
            scope.borrows = scope.borrows.saturating_sub(1);
        }
    }

    /// Reserves memory for another loan. Returns false if there are too many, or no memory.
    #[inline]
    pub fn reserve_loan(&mut self) -> bool {
        let has_room = self.free_loan != NONE || self.loans.try_reserve(1).is_ok();
        self.loans_left > 0 && has_room
    }

    /// Notes a loan to a call.
    #[inline]
    pub fn lend(&mut self, call: CallId, loan: Loan) {
        let Some(scope) = self.scopes.get_mut(call.index()) else {
            debug_assert!(false, "a handle is lent to a call that has ended");
            return;
        };
        let next = scope.next;
        let index = self.free_loan;
        scope.next = match self.loans.get_mut(index as usize) {
            Some(element) => {
                self.free_loan = element.next;
                *element = LoanElement { loan, next };
                index
            }
            None => {
                self.loans.push(LoanElement { loan, next });
                self.loans.len() as u32 - 1
            }
        };
        self.loans_left -= 1;
    }

    /// Closes a scope. Calls `end` for each loan, and returns the number of handles that the callee
    /// did not drop, or `None` if the scope is not open.
    #[inline]
    pub fn close(&mut self, call: CallId, mut end: impl FnMut(Loan)) -> Option<u32> {
        let free_scope = self.free_scope;
        let scope = self.scope(call)?;
        let (borrows, mut next) = (scope.borrows, scope.next);
        scope.is_open = false;
        scope.next = free_scope;
        self.free_scope = call.as_u32();
        while let Some(element) = self.loans.get_mut(next as usize) {
            end(element.loan);
            let index = std::mem::replace(&mut next, element.next);
            element.next = self.free_loan;
            self.free_loan = index;
            self.loans_left += 1;
        }
        Some(borrows)
    }
}
