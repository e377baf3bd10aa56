//! What a body asks of an engine.

use crate::echo::Echo;
use crate::modules::Linked;
use mintage::core::CoreVal;
use mintage::error::Error;
use mintage::{Trap, Val};

/// Fuel that no guest uses up, since all of them limit themselves.
pub const PLENTY: u64 = 1 << 40;

/// An engine: the one under test, or one to compare it with.
pub trait Oracle {
    /// The engine and its settings, for messages.
    fn name(&self) -> String;

    /// Compiles core modules that are linked to each other.
    ///
    /// # Errors
    ///
    /// When the engine refuses one of them.
    fn compile(&self, linked: &Linked) -> Result<Box<dyn Compiled>, Stop>;

    /// Whether values may be of `error-context`.
    fn has_error_context(&self) -> bool;

    /// Sends each value through an [`Echo`], up to the first call that fails.
    ///
    /// # Errors
    ///
    /// When the engine refuses the component.
    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop>;
}

/// What became of the values that went through an [`Echo`].
#[derive(Debug, Default)]
pub struct Echoed {
    /// What the host function saw of each value, and what came back.
    pub values: Vec<[Val; 2]>,
    /// Why there are fewer than were sent.
    pub stop: Option<Stop>,
    /// What [`Echo::FREED`] says in the end, when nothing stopped.
    pub freed: u32,
}

/// Compiled core modules.
pub trait Compiled {
    /// Instantiates each module, in order.
    ///
    /// # Errors
    ///
    /// When one of them traps, or the engine refuses.
    fn instantiate(&self) -> Result<Box<dyn CoreInstance>, Stop>;
}

/// Core instances that are linked to each other, each named by its place in [`Linked`].
pub trait CoreInstance {
    /// Sets what may be executed from now on, where that is counted. At first it is [`PLENTY`].
    fn set_fuel(&mut self, fuel: u64);

    /// What is left of it; nothing where it is not counted, or not exactly.
    fn fuel(&mut self) -> Option<u64>;

    /// Calls an exported function.
    ///
    /// # Errors
    ///
    /// When it traps, or the engine refuses.
    fn call(&mut self, module: usize, name: &str, args: &[CoreVal]) -> Result<Vec<CoreVal>, Stop>;

    /// The value of an exported global.
    fn global(&mut self, module: usize, name: &str) -> CoreVal;

    /// All bytes of an exported memory.
    fn memory(&mut self, module: usize, name: &str) -> Vec<u8>;

    /// An instance of a snapshot of this one, which may have gone through an artifact; none where
    /// the engine has no snapshots.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    fn of_snapshot(&mut self, serialized: bool) -> Result<Option<Box<dyn CoreInstance>>, Stop> {
        let _ = serialized;
        Ok(None)
    }
}

/// Why something did not go on.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The guest trapped.
    Trap(Trap),
    /// Anything else, with what the engine says.
    Refused(String),
}

impl Stop {
    /// What an error of Mintage is.
    pub fn of(error: &Error) -> Stop {
        match error.chain().find_map(|cause| cause.downcast_ref::<Trap>()) {
            Some(&trap) => Stop::Trap(trap),
            None => Stop::Refused(format!("{error:#}")),
        }
    }

    /// Whether how much stack or memory the engine takes decides this, and not the guest alone.
    pub fn depends_on_engine(&self) -> bool {
        matches!(self, Stop::Trap(Trap::StackOverflow | Trap::HeapExhausted))
    }
}

/// Reasons that an atomic access can have to trap, in no order.
const OF_ATOMICS: [Trap; 3] = [
    Trap::HeapMisaligned,
    Trap::MemoryOutOfBounds,
    Trap::AtomicWaitNonSharedMemory,
];

impl PartialEq for Stop {
    /// Engines word refusals differently, and an atomic access that may trap for several reasons
    /// does for either.
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

/// Whether two engines mean the same value. A reference to a function is another word in each
/// engine, so that only null compares.
pub(crate) fn same(a: &CoreVal, b: &CoreVal) -> bool {
    match (a, b) {
        (CoreVal::FuncRef(a), CoreVal::FuncRef(b)) => (*a == 0) == (*b == 0),
        _ => a == b,
    }
}

/// Whether two engines mean the same values.
pub(crate) fn all_same(a: &[CoreVal], b: &[CoreVal]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
