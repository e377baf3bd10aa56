//! The interface between bodies and engines.

mod mintage;
mod twins;

pub use mintage::{Mintage, Settings};
pub(crate) use twins::{Twins, both};

use crate::guests::{Echo, LinkedModules};
use ::mintage::core::CoreVal;
use ::mintage::error::Error;
use ::mintage::{Trap, Val};

/// Fuel that no guest uses up, since all of them limit themselves.
pub const PLENTY: u64 = 1 << 40;

/// An engine: the one under test, or one to compare it with.
pub trait Oracle {
    /// Returns the name of the engine and its settings, for messages.
    fn name(&self) -> String;

    /// Compiles core modules that are linked to each other.
    ///
    /// # Errors
    ///
    /// If the engine refuses one of them.
    fn compile(&self, linked: &LinkedModules) -> Result<Box<dyn CompiledModules>, Stop>;

    /// Returns whether the engine supports values of type `error-context`.
    fn has_error_context(&self) -> bool;

    /// Sends each value through an [`Echo`], up to the first call that fails.
    ///
    /// # Errors
    ///
    /// If the engine refuses the component.
    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop>;
}

/// The values that have gone through an [`Echo`].
#[derive(Debug, Default)]
pub struct Echoed {
    /// For each value, what the host function received and what the call returned.
    pub values: Vec<[Val; 2]>,
    /// The reason why there are fewer values than were sent.
    pub stop: Option<Stop>,
    /// The result of [`Echo::FREED`] after the last call, if nothing stopped.
    pub freed: u32,
}

/// Compiled core modules.
pub trait CompiledModules {
    /// Instantiates each module, in order.
    ///
    /// # Errors
    ///
    /// If one of them traps, or the engine refuses it.
    fn instantiate(&self) -> Result<Box<dyn ModuleInstances>, Stop>;

    /// Returns whether bulk operations consume fuel in proportion to their length. Only engines
    /// that agree on this consume the same fuel.
    fn fuel_by_length(&self) -> bool {
        false
    }
}

/// Instances of [`LinkedModules`], each named by the position of its module.
pub trait ModuleInstances {
    /// Sets the fuel for what is executed from now on, if the engine counts it. An instance starts
    /// with [`PLENTY`].
    fn set_fuel(&mut self, fuel: u64);

    /// Returns the fuel that is left, or `None` if the engine does not count it exactly.
    fn fuel(&mut self) -> Option<u64>;

    /// Calls an exported function.
    ///
    /// # Errors
    ///
    /// If it traps, or the engine refuses the call.
    fn call(&mut self, module: usize, name: &str, args: &[CoreVal]) -> Result<Vec<CoreVal>, Stop>;

    /// Returns the value of an exported global.
    fn global(&mut self, module: usize, name: &str) -> CoreVal;

    /// Returns all bytes of an exported memory.
    fn memory(&mut self, module: usize, name: &str) -> Vec<u8>;

    /// Makes new instances from a snapshot of these, and writes the snapshot to an artifact in
    /// between if `serialized`. Returns `None` if the engine has no snapshots.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    fn of_snapshot(&mut self, serialized: bool) -> Result<Option<Box<dyn ModuleInstances>>, Stop> {
        let _ = serialized;
        Ok(None)
    }
}

/// The reason why an engine stopped.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The guest trapped.
    Trap(Trap),
    /// Any other reason, with the message of the engine.
    Refused(String),
}

impl Stop {
    /// Returns the reason that an error of Mintage stands for.
    pub fn of(error: &Error) -> Stop {
        match error.chain().find_map(|cause| cause.downcast_ref::<Trap>()) {
            Some(&trap) => Stop::Trap(trap),
            None => Stop::Refused(format!("{error:#}")),
        }
    }

    /// Returns whether this depends on how much stack or memory the engine needs, and not on the
    /// guest alone.
    pub fn depends_on_engine(&self) -> bool {
        matches!(self, Stop::Trap(Trap::StackOverflow | Trap::HeapExhausted))
    }
}

/// The reasons for which an atomic access can trap.
const OF_ATOMICS: [Trap; 3] = [
    Trap::HeapMisaligned,
    Trap::MemoryOutOfBounds,
    Trap::AtomicWaitNonSharedMemory,
];

impl PartialEq for Stop {
    /// Compares what the specification determines. Engines word refusals differently. If an atomic
    /// access may trap for several reasons, each engine reports one of them.
    fn eq(&self, other: &Stop) -> bool {
        match (self, other) {
            (Stop::Trap(a), Stop::Trap(b)) => {
                a == b || (OF_ATOMICS.contains(a) && OF_ATOMICS.contains(b))
            }
            (Stop::Refused(_), Stop::Refused(_)) => true,
            _ => false,
        }
    }
}

/// Returns whether two engines mean the same value. References to functions are different words in
/// each engine, so only null is compared.
pub(crate) fn same(a: &CoreVal, b: &CoreVal) -> bool {
    match (a, b) {
        (CoreVal::FuncRef(a), CoreVal::FuncRef(b)) => (*a == 0) == (*b == 0),
        _ => a == b,
    }
}

/// Returns whether two engines mean the same values.
pub(crate) fn all_same(a: &[CoreVal], b: &[CoreVal]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
