//! [`HandleError`]: an invalid use of a handle.

use super::Resources;
use mintage_environ::component::Resource;
use mintage_environ::{ResourceId, Trap};
use std::fmt;

/// An invalid use of a handle: a trap with its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// No handle has this index.
    Unknown {
        /// The index.
        handle: u32,
    },
    /// The handle is of another resource type.
    WrongType {
        /// The index.
        handle: u32,
        /// The expected kind.
        expected: HandleKind,
        /// The kind of the handle.
        found: HandleKind,
    },
    /// The handle is lent to a call.
    Lent {
        /// Whether it owns its resource.
        owned: bool,
    },
    /// An owning handle is needed.
    NotOwned,
    /// A call ends, and its callee still has handles that it was lent.
    BorrowsRemain,
    /// There is no room for another handle or loan.
    Full {
        /// The most handles, and the most loans, that the instance may have.
        limit: u32,
    },
}

/// The kinds of handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// A resource that the host defines.
    Host,
    /// A resource that a component instance defines.
    Guest,
    /// An error context.
    ErrorContext,
}

impl HandleKind {
    pub(super) fn of(resources: &Resources, id: ResourceId) -> HandleKind {
        match resources.get(id) {
            Some(Resource::Defined { .. }) => HandleKind::Guest,
            Some(Resource::Imported { .. }) | None => HandleKind::Host,
        }
    }
}

impl fmt::Display for HandleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandleKind::Host => "host-defined resource",
            HandleKind::Guest => "guest-defined resource",
            HandleKind::ErrorContext => "error-context",
        })
    }
}

impl HandleError {
    /// Returns the trap that stops the guest.
    pub fn trap(self) -> Trap {
        match self {
            HandleError::Unknown { .. } => Trap::UnknownHandle,
            HandleError::WrongType { .. } => Trap::WrongHandleType,
            HandleError::Lent { .. } => Trap::HandleLent,
            HandleError::NotOwned => Trap::NotOwned,
            HandleError::BorrowsRemain => Trap::BorrowsRemain,
            HandleError::Full { .. } => Trap::HandleTableFull,
        }
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandleError::Unknown { handle } => write!(f, "unknown handle index {handle}"),
            HandleError::WrongType {
                handle,
                expected,
                found,
            } => {
                let article = match found {
                    found if found == expected => "a different",
                    HandleKind::ErrorContext => "an",
                    HandleKind::Host | HandleKind::Guest => "a",
                };
                write!(
                    f,
                    "handle index {handle} used with the wrong type, expected {expected} but found \
                     {article} {found}"
                )
            }
            HandleError::Lent { owned: false } => {
                f.write_str("cannot remove borrowed resource while it is lent on")
            }
            HandleError::Full { limit } => write!(
                f,
                "{}: an instance may have {limit} of them, and as many loans to calls; raise \
                 `StoreLimitsBuilder::handles`, or change what `Store::limiter` was given",
                self.trap().message()
            ),
            error => f.write_str(error.trap().message()),
        }
    }
}

impl std::error::Error for HandleError {}
