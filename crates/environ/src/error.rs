//! Kinds of errors: what a host can tell apart without reading messages.
//!
//! The code that detects a problem names its kind. It makes the error with
//! [`invalid!`](crate::invalid), [`unsupported!`](crate::unsupported), [`limit!`](crate::limit),
//! [`artifact!`](crate::artifact) or [`ErrorKind::error`]. [`ErrorKind::of`] finds the kind again,
//! whatever context was added on the way.

use crate::Trap;
use std::fmt;

/// The kind of an error: what happened, as far as a host may want to react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is not a valid component. Its producer is at fault.
    InvalidComponent,
    /// The component uses a feature that is turned off or not supported, or the machine cannot run
    /// compiled code.
    Unsupported,
    /// Imports of the component have no definition, or one of another type.
    Link,
    /// A limit was reached: one that the host has set, or one of the machine or the engine.
    Limit(LimitKind),
    /// The bytes are not an artifact that this engine can load.
    Artifact(ArtifactFault),
    /// The guest trapped. Its instance cannot be entered again.
    ///
    /// Traps by which the host enforces a limit or stops a guest have the kinds
    /// [`Limit`](Self::Limit) and [`Cancelled`](Self::Cancelled).
    Trap(Trap),
    /// A host function returned an error, which ended the guest's call.
    Host,
    /// The host stopped the guest, through an interrupt handle or by a deadline.
    Cancelled,
    /// Anything else: wrong use of the API, errors of the operating system, errors that the host
    /// made.
    Other,
}

/// The limit that an [`ErrorKind::Limit`] is about.
///
/// The message has the numbers, and names the setting that moves the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// The engine's pool has no slot or address space left for another instance
    /// (`PoolConfig::total_component_instances`, `PoolConfig::total_address_space`), or the
    /// operating system gives no more. Dropping instances makes room.
    PoolFull,
    /// The process may have no more memory mappings (`vm.max_map_count`). Dropping instances makes
    /// room.
    Mappings,
    /// An instance of the component needs more address space than one may have
    /// (`Config::max_instance_address_space`), or than all of them together
    /// (`PoolConfig::total_address_space`). It does not help to drop others.
    AddressSpace,
    /// A memory or a GC heap starts with too many bytes, or cannot grow any more
    /// (`StoreLimitsBuilder::memory_size`, `Config::memory_reservation`,
    /// `Config::gc_heap_reservation`).
    Memory,
    /// All memories, GC heaps and tables of a store together have as many bytes as they may
    /// (`StoreLimitsBuilder::total_memory_size`).
    TotalMemory,
    /// A table starts with too many entries, or cannot grow any more
    /// (`StoreLimitsBuilder::table_elements`, `Config::table_reservation`).
    Table,
    /// The store would hold too many instances (`StoreLimitsBuilder::instances`).
    Instances,
    /// The instances of the store would have too many memories (`StoreLimitsBuilder::memories`).
    Memories,
    /// The instances of the store would have too many tables (`StoreLimitsBuilder::tables`).
    Tables,
    /// A component instance, or a call into it, has as many handles as it may have
    /// (`StoreLimitsBuilder::handles`).
    Handles,
    /// The guest ran out of fuel (`Store::set_fuel`).
    Fuel,
    /// The values that a guest passed to the host in one call take too much of the host's memory
    /// (`Store::set_hostcall_fuel`).
    HostcallFuel,
    /// The guest or the thread that calls it ran out of stack (`Config::max_wasm_stack`).
    Stack,
    /// All stacks for asynchronous calls are in use (`PoolConfig::total_stacks`), or the operating
    /// system gives no more. Calls that end make room.
    Stacks,
    /// An instance has as many tasks, threads or waitables as it may have, among them calls of
    /// asynchronous host functions that have not returned. Or the host holds ends of as many
    /// streams and futures as it may.
    Tasks,
    /// Compiling the component takes too long (`CompileLimits::time`).
    CompileTime,
    /// The component, one of its functions or their machine code is too large to be compiled
    /// (`CompileLimits::code_size`, `CompileLimits::function_values`).
    ComponentSize,
    /// The instance holds more than a snapshot can keep.
    SnapshotSize,
}

/// The reason why bytes cannot be loaded as an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArtifactFault {
    /// The bytes are something other than an artifact.
    NotAnArtifact,
    /// Another version of the engine made the artifact. The component must be compiled again.
    Version,
    /// The artifact was made for another processor or operating system.
    Target,
    /// The artifact was made with settings that differ from the engine's.
    Settings,
    /// The artifact is incomplete, or its contents contradict each other.
    Damaged,
}

impl ErrorKind {
    /// Makes an error of this kind, or context that gives an error this kind.
    #[doc(hidden)]
    pub fn error(self, message: impl Into<String>) -> Classified {
        Classified {
            kind: self,
            message: message.into(),
        }
    }

    /// Returns the kind of `error`: the outermost that its context or its cause names.
    #[doc(hidden)]
    pub fn of(error: &anyhow::Error) -> ErrorKind {
        if let Some(classified) = error.downcast_ref::<Classified>() {
            return classified.kind;
        }
        match error.downcast_ref::<Trap>() {
            Some(&trap) => trap.into(),
            None => ErrorKind::Other,
        }
    }

    /// Gives `error` this kind, unless it has one already. Its message stays as it is, but its
    /// causes become part of the message.
    #[doc(hidden)]
    pub fn or_of(self, error: anyhow::Error) -> anyhow::Error {
        match ErrorKind::of(&error) {
            ErrorKind::Other => self.error(format!("{error:#}")).into(),
            _ => error,
        }
    }
}

impl From<Trap> for ErrorKind {
    fn from(trap: Trap) -> ErrorKind {
        match trap {
            Trap::Interrupt => ErrorKind::Cancelled,
            Trap::OutOfFuel => ErrorKind::Limit(LimitKind::Fuel),
            Trap::HandleTableFull => ErrorKind::Limit(LimitKind::Handles),
            Trap::HeapExhausted => ErrorKind::Limit(LimitKind::Memory),
            Trap::StackOverflow => ErrorKind::Limit(LimitKind::Stack),
            Trap::TooManyTasks => ErrorKind::Limit(LimitKind::Tasks),
            trap => ErrorKind::Trap(trap),
        }
    }
}

/// A message with the kind of error that it is about: an error of its own, or context of another.
#[derive(Debug)]
pub struct Classified {
    kind: ErrorKind,
    message: String,
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Classified {}

/// Makes an error of the kind [`ErrorKind::InvalidComponent`] with a formatted message.
#[macro_export]
macro_rules! invalid {
    ($($message:tt)*) => { $crate::ErrorKind::InvalidComponent.error(format!($($message)*)) };
}

/// Makes an error of the kind [`ErrorKind::Unsupported`] with a formatted message.
#[macro_export]
macro_rules! unsupported {
    ($($message:tt)*) => { $crate::ErrorKind::Unsupported.error(format!($($message)*)) };
}

/// Makes an error of the kind [`ErrorKind::Limit`], for the named variant of [`LimitKind`], with a
/// formatted message.
#[macro_export]
macro_rules! limit {
    ($limit:ident, $($message:tt)*) => {
        $crate::ErrorKind::Limit($crate::LimitKind::$limit).error(format!($($message)*))
    };
}

/// Makes an error of the kind [`ErrorKind::Artifact`], for the named variant of [`ArtifactFault`],
/// with a formatted message.
#[macro_export]
macro_rules! artifact {
    ($fault:ident, $($message:tt)*) => {
        $crate::ErrorKind::Artifact($crate::ArtifactFault::$fault).error(format!($($message)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn the_outermost_kind_counts() {
        let error: anyhow::Error = unsupported!("no streams").into();
        assert_eq!(ErrorKind::of(&error), ErrorKind::Unsupported);
        let error = error.context("in the import `a`");
        assert_eq!(ErrorKind::of(&error), ErrorKind::Unsupported);
        let error = error.context(ErrorKind::Host.error("the host function `b` failed"));
        assert_eq!(ErrorKind::of(&error), ErrorKind::Host);
        assert_eq!(
            format!("{error:#}"),
            "the host function `b` failed: in the import `a`: no streams"
        );
    }

    #[test]
    fn traps_have_kinds() {
        let trap = |trap: Trap| ErrorKind::of(&Err::<(), _>(trap).context("a").unwrap_err());
        assert_eq!(trap(Trap::CastFailure), ErrorKind::Trap(Trap::CastFailure));
        assert_eq!(trap(Trap::OutOfFuel), ErrorKind::Limit(LimitKind::Fuel));
        assert_eq!(trap(Trap::TooManyTasks), ErrorKind::Limit(LimitKind::Tasks));
        assert_eq!(trap(Trap::Interrupt), ErrorKind::Cancelled);
    }

    #[test]
    fn a_kind_is_given_once() {
        let damaged = ErrorKind::Artifact(ArtifactFault::Damaged);
        let plain = damaged.or_of(anyhow!("no end").context("section a"));
        assert_eq!(ErrorKind::of(&plain), damaged);
        assert_eq!(plain.to_string(), "section a: no end");
        let version = artifact!(Version, "old").into();
        assert_eq!(
            ErrorKind::of(&damaged.or_of(version)),
            ErrorKind::Artifact(ArtifactFault::Version)
        );
    }
}
