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
    /// The resource of the handle stayed behind when the snapshot was taken that the instance
    /// started from.
    Retired {
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
    /// An end of a stream or future is used in a state in which it must not be.
    End {
        /// What was to be done.
        action: EndAction,
        /// Whether the end is one of a future.
        is_future: bool,
        /// Why that is not possible.
        problem: EndProblem,
    },
}

/// What is done with an end of a stream or future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndAction {
    /// A value is read.
    Read,
    /// A value is written.
    Write,
    /// The readable end is passed on.
    Lift,
    /// The end is connected with another one. `true` for the writable end.
    Forward(bool),
    /// The end is dropped. `true` for the writable end.
    Drop(bool),
}

/// The reason why an end of a stream or future cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndProblem {
    /// A read or write is under way.
    Busy,
    /// It is in a waitable set.
    InSet,
    /// It has had its last event.
    Done,
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
    /// A subtask.
    Subtask,
    /// A waitable set.
    WaitableSet,
    /// The readable end of a stream.
    StreamReader,
    /// The writable end of a stream.
    StreamWriter,
    /// The readable end of a future.
    FutureReader,
    /// The writable end of a future.
    FutureWriter,
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
            HandleKind::Subtask => "subtask",
            HandleKind::WaitableSet => "waitable-set",
            HandleKind::StreamReader => "readable end of a stream",
            HandleKind::StreamWriter => "writable end of a stream",
            HandleKind::FutureReader => "readable end of a future",
            HandleKind::FutureWriter => "writable end of a future",
        })
    }
}

impl HandleError {
    /// Returns the trap that stops the guest.
    pub fn trap(self) -> Trap {
        match self {
            HandleError::Unknown { .. } | HandleError::Retired { .. } => Trap::UnknownHandle,
            HandleError::WrongType { .. } => Trap::WrongHandleType,
            HandleError::Lent { .. } => Trap::HandleLent,
            HandleError::NotOwned => Trap::NotOwned,
            HandleError::BorrowsRemain => Trap::BorrowsRemain,
            HandleError::Full { .. } => Trap::HandleTableFull,
            HandleError::End { .. } => Trap::EndUnusable,
        }
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandleError::Unknown { handle } => write!(f, "unknown handle index {handle}"),
            HandleError::Retired { handle } => write!(
                f,
                "unknown handle index {handle}: the guest had this resource when the snapshot was \
                 taken that its instance started from, and no instance of the snapshot has it"
            ),
            HandleError::WrongType {
                handle,
                expected,
                found,
            } => {
                let article = match found {
                    found if found == expected => "a different",
                    HandleKind::ErrorContext => "an",
                    _ => "a",
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
            HandleError::End {
                action,
                is_future,
                problem,
            } => {
                let verb = match action {
                    EndAction::Read => "read from",
                    EndAction::Write => "write to",
                    EndAction::Lift => "lift",
                    EndAction::Forward(_) => "forward",
                    EndAction::Drop(true) => "drop",
                    EndAction::Drop(false) => "remove",
                };
                let noun = if *is_future { "future" } else { "stream" };
                let writes = matches!(
                    action,
                    EndAction::Write | EndAction::Forward(true) | EndAction::Drop(true)
                );
                match (problem, is_future, writes) {
                    (EndProblem::Busy, ..)
                        if matches!(action, EndAction::Read | EndAction::Write) =>
                    {
                        f.write_str("cannot have concurrent operations active on a future/stream")
                    }
                    (EndProblem::Busy, ..) => write!(f, "cannot {verb} busy {noun}"),
                    (EndProblem::InSet, ..) => {
                        write!(f, "cannot {verb} {noun} while it's in a waitable set")
                    }
                    (EndProblem::Done, true, false) => {
                        write!(f, "cannot {verb} {noun} after previous read succeeded")
                    }
                    (EndProblem::Done, true, true) => write!(
                        f,
                        "cannot {verb} {noun} after previous write succeeded or readable end \
                         dropped"
                    ),
                    (EndProblem::Done, false, _) => {
                        let other = if writes { "readable" } else { "writable" };
                        write!(
                            f,
                            "cannot {verb} {noun} after being notified that the {other} end dropped"
                        )
                    }
                }
            }
            error => f.write_str(error.trap().message()),
        }
    }
}

impl std::error::Error for HandleError {}
