//! Host functions, and the table of them that machine code calls through.

use crate::activation::Departure;
use crate::data::{Failure, InstanceData};
use crate::{Code, InstanceHandle};
use anyhow::{Result, ensure};
use mintage_environ::HostImport;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a host function gets.
pub struct HostCall<'a> {
    /// The instance that calls.
    pub instance: InstanceHandle,
    /// The pointer that was passed to the innermost [`call`](crate::call) into the instance.
    pub host: *mut (),
    /// The arguments, as [`Signature::array_words`](mintage_environ::Signature::array_words) 8-byte
    /// words: an `i32` or `f32` stands in the low half of its word, whose high half holds nothing
    /// of meaning. Results go in from word 0 on.
    pub words: &'a mut [u64],
}

/// A host function in the form that machine code calls.
#[derive(Clone)]
pub struct HostFunc {
    /// Points into `owner`.
    import: HostImport,
    words: usize,
    /// Keeps what the import's data pointer points at.
    _owner: Arc<dyn Any + Send + Sync>,
}

/// What a host function's data pointer points at.
struct HostData<F> {
    words: usize,
    function: F,
}

// SAFETY: the data that the import points at is `Send` and `Sync`, and lives as long as its owner
// beside it.
unsafe impl Send for HostFunc {}
// SAFETY: as above.
unsafe impl Sync for HostFunc {}

impl HostFunc {
    /// Wraps `function`, which is called with `words` 8-byte words: as many as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) says of the lowered
    /// import's core signature.
    ///
    /// An error that the function returns ends the guest's call with
    /// [`Stopped::Host`](crate::Stopped), a panic with [`Stopped::Panic`](crate::Stopped).
    pub fn new<F>(words: usize, function: F) -> HostFunc
    where
        F: Fn(HostCall<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let data = Arc::new(HostData { words, function });
        HostFunc {
            import: HostImport {
                func: thunk::<F>,
                data: Arc::as_ptr(&data).cast(),
            },
            words,
            _owner: data,
        }
    }
}

/// What machine code calls for a host function of type `F`: 0 when it succeeded, 1 when it left a
/// failure behind.
///
/// # Safety
///
/// Called by a trampoline of the instance that `ctx` belongs to, with the data pointer of a
/// [`HostFunc`] of this type and with as many words as it says.
unsafe extern "C" fn thunk<F>(ctx: *mut u8, data: *const (), args: *mut u64) -> u32
where
    F: Fn(HostCall<'_>) -> Result<()>,
{
    // SAFETY: the instance lives while its code runs; `HostTable` keeps the function alive, and has
    // checked the words, which are the trampoline's and nobody else's.
    let (instance, host_data, words) = unsafe {
        let host_data = &*data.cast::<HostData<F>>();
        (
            InstanceData::of_ctx(ctx),
            host_data,
            std::slice::from_raw_parts_mut(args, host_data.words),
        )
    };
    instance.asked.set(true);
    let departure = Departure::new();
    let call = HostCall {
        instance: InstanceHandle::new(instance),
        host: instance.host.get(),
        words,
    };
    // What the function leaves broken after a panic belongs to whoever catches the panic when it
    // goes on.
    let result = catch_unwind(AssertUnwindSafe(|| (host_data.function)(call)));
    // Before machine code goes on, which may trap.
    departure.check();
    let failure = match result {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => Failure::Error(error),
        Err(payload) => Failure::Panic(payload),
    };
    instance.failure.set(Some(failure));
    1
}

/// The resolved imports of one linked component: one function per lowered import. Shared by all its
/// instances.
pub struct HostTable {
    /// What control blocks point at.
    imports: Box<[HostImport]>,
    code: Arc<Code>,
    _owners: Box<[HostFunc]>,
}

// SAFETY: the imports point into the owners, which are `Send` and `Sync`.
unsafe impl Send for HostTable {}
// SAFETY: as above.
unsafe impl Sync for HostTable {}

impl HostTable {
    /// The table with `funcs` in the order of
    /// [`ComponentInterface::lowers`](mintage_environ::component::ComponentInterface), then the
    /// destructors in the order of
    /// [`host_resources`](mintage_environ::component::ComponentInterface::host_resources), which
    /// get the representation.
    ///
    /// # Errors
    ///
    /// When there is not exactly one function for each lowered import, with as many words as its
    /// signature needs, and one of one word for each resource type of the host.
    pub fn new(code: &Arc<Code>, funcs: Vec<HostFunc>) -> Result<Arc<HostTable>> {
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
        let imports = funcs.iter().map(|func| func.import).collect();
        Ok(Arc::new(HostTable {
            imports,
            code: code.clone(),
            _owners: funcs.into(),
        }))
    }

    /// The component that the table belongs to.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// The array for the control blocks.
    pub(crate) fn as_ptr(&self) -> *const HostImport {
        self.imports.as_ptr()
    }
}
