//! [`HostTable`]: the host functions that machine code calls.

use crate::code::Code;
use crate::fiber::StackPool;
use anyhow::{Result, ensure};
use mintage_environ::HostImport;
use mintage_environ::component::HostCalls;
use std::any::Any;
use std::sync::Arc;

/// A host function in the form that machine code calls.
#[derive(Clone)]
pub struct HostFunc {
    /// The function and its data, which `owner` keeps.
    import: HostImport,
    words: usize,
    /// Whether it may suspend the call of the guest.
    may_suspend: bool,
    /// The owner of what the import's data pointer points to.
    _owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the data that the import points to is `Send` and `Sync` (`from_parts`), and lives as long
// as its owner beside it.
unsafe impl Send for HostFunc {}
// SAFETY: as above.
unsafe impl Sync for HostFunc {}

impl HostFunc {
    /// Puts a host function together.
    ///
    /// # Safety
    ///
    /// While `owner` lives, machine code on any thread may call the import's function with the
    /// import's data. The function reads and writes at most `words` words of its argument array.
    pub(crate) unsafe fn from_parts(
        import: HostImport,
        words: usize,
        may_suspend: bool,
        owner: Arc<dyn Any + Send + Sync>,
    ) -> HostFunc {
        HostFunc {
            import,
            words,
            may_suspend,
            _owner: owner,
        }
    }
}

/// The resolved imports of a linked component: one function per lowered import. All its instances
/// share them.
pub struct HostTable {
    /// The array that control blocks point to.
    imports: Box<[HostImport]>,
    code: Arc<Code>,
    /// The functions that may suspend a call.
    suspending: HostCalls,
    /// The stacks of calls that can be suspended.
    stacks: Arc<StackPool>,
    _owners: Box<[HostFunc]>,
}

// SAFETY: the imports point into the owners, which are `Send` and `Sync`.
unsafe impl Send for HostTable {}
// SAFETY: as above.
unsafe impl Sync for HostTable {}

impl HostTable {
    /// Makes the table of `funcs`: first the functions in the order of
    /// [`ComponentInterface::lowers`](mintage_environ::component::ComponentInterface), then the
    /// destructors in the order of
    /// [`host_resources`](mintage_environ::component::ComponentInterface::host_resources). A
    /// destructor's argument is the representation. `stacks` is for calls that can be suspended.
    ///
    /// # Errors
    ///
    /// If there is not exactly one function for each lowered import, with as many words as its
    /// signature needs, and one with one word for each resource type of the host.
    pub fn new(
        code: &Arc<Code>,
        funcs: Vec<HostFunc>,
        stacks: &Arc<StackPool>,
    ) -> Result<Arc<HostTable>> {
        let interface = code.interface();
        let expected = interface.lowers.len() + interface.host_resources().count();
        ensure!(
            funcs.len() == expected,
            "the component needs {expected} host functions, and {} were given",
            funcs.len()
        );
        for ((id, lower), func) in interface.lowers.iter().zip(&funcs) {
            let words = interface.signatures[lower.sig].array_words();
            ensure!(
                func.words == words,
                "{id:?} passes {words} words, and its host function takes {}",
                func.words
            );
        }
        for func in &funcs[interface.lowers.len()..] {
            ensure!(
                func.words == 1,
                "a destructor takes one word, and one that takes {} was given",
                func.words
            );
        }
        let destructors = std::iter::repeat(HostCalls::DESTRUCTORS);
        let lowers = interface.lowers.values();
        let names = lowers.map(|lower| HostCalls::import(lower.import));
        let suspending = names.chain(destructors).zip(&funcs);
        let suspending = suspending.filter(|(_, func)| func.may_suspend);
        let suspending = suspending.fold(HostCalls::NONE, |all, (name, _)| all | name);
        let imports = funcs.iter().map(|func| func.import).collect();
        Ok(Arc::new(HostTable {
            imports,
            code: code.clone(),
            suspending,
            stacks: stacks.clone(),
            _owners: funcs.into(),
        }))
    }

    /// Returns the code that the table belongs to.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// Returns the stacks of calls that can be suspended.
    pub fn stacks(&self) -> &Arc<StackPool> {
        &self.stacks
    }

    /// Returns whether one of the functions in `calls` may suspend the call of a guest.
    pub fn may_suspend(&self, calls: HostCalls) -> bool {
        self.suspending.intersects(calls)
    }

    /// Returns the array for the control blocks.
    pub(crate) fn as_ptr(&self) -> *const HostImport {
        self.imports.as_ptr()
    }
}
