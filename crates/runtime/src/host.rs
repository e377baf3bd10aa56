//! Host functions, and the table of them that machine code calls through.

use crate::{Code, InstanceHandle};
use anyhow::{Result, bail};
use std::any::Any;
use std::sync::Arc;

/// What a host function gets.
pub struct HostCall<'a> {
    /// The instance that calls.
    pub instance: InstanceHandle,
    /// The pointer that was passed to the innermost [`call`](crate::call) into the instance.
    pub host: *mut (),
    /// The arguments, as [`Signature::array_words`](mintage_environ::Signature::array_words) 8-byte words: an `i32` or `f32`
    /// stands in the low half of its word, whose high half holds nothing of meaning. Results go in from word 0 on.
    pub words: &'a mut [u64],
}

/// A host function in the form that machine code calls.
#[derive(Clone)]
pub struct HostFunc {
    /// Keeps what the import's data pointer points at.
    owner: Arc<dyn Any + Send + Sync>,
}

impl HostFunc {
    /// Wraps `f`, which is called with `words` 8-byte words: as many as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) says of the lowered import's core signature.
    ///
    /// An error that `f` returns ends the guest's call with [`Stopped::Host`](crate::Stopped), a panic with
    /// [`Stopped::Panic`](crate::Stopped).
    pub fn new<F>(words: usize, f: F) -> HostFunc
    where
        F: Fn(HostCall<'_>) -> Result<()> + Send + Sync + 'static,
    {
        HostFunc {
            owner: Arc::new((words, f)),
        }
    }
}

/// The resolved imports of one linked component: one function per lowered import. Shared by all its instances.
pub struct HostTable {
    code: Arc<Code>,
    _owners: Box<[HostFunc]>,
}

impl HostTable {
    /// The table with `funcs` in the order of [`ComponentInterface::lowers`](mintage_environ::component::ComponentInterface).
    ///
    /// # Errors
    ///
    /// When there is not exactly one function for each lowered import, with as many words as its signature needs.
    pub fn new(code: &Arc<Code>, funcs: Vec<HostFunc>) -> Result<Arc<HostTable>> {
        bail!("{} {}", funcs.len(), code.bytes().len())
    }

    /// The component that the table belongs to.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }
}
