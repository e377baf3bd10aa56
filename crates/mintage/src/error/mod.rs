//! [`Error`]: what went wrong, as a message for people and a [kind](Error::kind) for programs.
//!
//! All functions of this crate return [`Result`], whose error is [`Error`]. Host functions return
//! it as well. The names of this module are those of Wasmtime's `error` module, which in turn are
//! those of the `anyhow` crate, so that code can be ported by changing imports.
//!
//! # Reacting to an error
//!
//! [`Error::kind`] tells what happened without reading the message. Typed causes say more:
//! [`Error::downcast_ref`] finds a [`Trap`](crate::Trap), a [`WasmBacktrace`], a [`LinkError`], or
//! the error that a host function returned, under any context that was added since.
//!
//! ```
//! # #[cfg(feature = "compiler")]
//! # fn main() -> mintage::Result<()> {
//! use mintage::{Component, Engine, ErrorKind, LimitKind, Linker, Store, Trap};
//!
//! let engine = Engine::default();
//! let component = Component::new(
//!     &engine,
//!     r#"(component
//!         (core module $m (func (export "run") unreachable))
//!         (core instance $i (instantiate $m))
//!         (func (export "run") (canon lift (core func $i "run"))))"#,
//! )?;
//! let mut store = Store::new(&engine, ());
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
//!
//! let error = run.call(&mut store, ()).unwrap_err();
//! let answer = match error.kind() {
//!     ErrorKind::Trap(Trap::UnreachableCodeReached) => "the guest gave up",
//!     ErrorKind::Trap(_) => "the guest did something wrong",
//!     ErrorKind::Limit(LimitKind::PoolFull) => "try again later",
//!     ErrorKind::Limit(_) => "the guest wanted too much",
//!     ErrorKind::Cancelled => "the guest took too long",
//!     _ => "something else",
//! };
//! assert_eq!(answer, "the guest gave up");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "compiler"))]
//! # fn main() {}
//! ```
//!
//! # Converting errors
//!
//! The operator `?` converts any [`std::error::Error`] and any `anyhow::Error` to an [`Error`], and
//! an [`Error`] to an `anyhow::Error` or to a `Box<dyn std::error::Error + Send + Sync>`. Nothing
//! is lost on the way: messages, typed causes and kinds stay. [`Context`] adds context to all of
//! them.
//!
//! ```
//! use mintage::error::{Context, Result};
//!
//! fn pages(path: &str) -> Result<u32> {
//!     let text = std::fs::read_to_string(path).context("cannot read the number of pages")?;
//!     Ok(text.trim().parse()?)
//! }
//!
//! fn main() -> anyhow::Result<()> {
//!     # fn unused() -> anyhow::Result<()> {
//!     println!("{} pages", pages("pages.txt")?);
//!     # Ok(())
//!     # }
//!     Ok(())
//! }
//! ```

mod backtrace;
mod context;
#[cfg(feature = "compiler")]
pub(crate) mod dwarf;
mod link;
#[doc(hidden)]
pub mod macros;
mod stopped;

pub use crate::{bail, ensure, format_err};
pub use backtrace::{FrameInfo, FrameSymbol, Module, WasmBacktrace};
pub use context::{Context, ToMintageResult, ToMintageResult as ToWasmtimeResult};
pub use link::{LinkError, UnmetImport};
pub use mintage_environ::{ArtifactFault, ErrorKind, LimitKind};

pub(crate) use stopped::{abi_trap, dropped, handle_trap, stopped, trap, trap_unless, wrong_store};

use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::ops::Deref;

/// The result of what can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Returns `Result::Ok(value)`, with the error type of this crate. Closures and `async` blocks that
/// use `?` need not name it then.
///
/// ```
/// let double = |text: &str| {
///     let number: u32 = text.parse()?;
///     mintage::error::Ok(2 * number)
/// };
/// assert_eq!(double("21").unwrap(), 42);
/// ```
#[expect(non_snake_case, reason = "it is called in the place of the variant")]
pub fn Ok<T>(value: T) -> Result<T> {
    Result::Ok(value)
}

/// An error of this crate or of a host function: a message with its causes, and a
/// [kind](Self::kind).
///
/// It takes one word. `{}` formats the outermost message, `{:#}` all of them in one line, and
/// `{:?}` all of them in lines of their own.
///
/// It is not a [`std::error::Error`] itself, since it could not be made from all of these then. It
/// [dereferences](Deref) to one.
pub struct Error(anyhow::Error);

// What functions return in a register, and what can cross threads.
const _: () = {
    const fn shared_by_threads<T: Send + Sync + 'static>() {}
    shared_by_threads::<Error>();
    assert!(size_of::<Error>() == size_of::<usize>());
    assert!(size_of::<Result<()>>() == size_of::<usize>());
};

impl Error {
    /// Makes an error from another one.
    pub fn new<E>(error: E) -> Error
    where
        E: StdError + Send + Sync + 'static,
    {
        Error(anyhow::Error::new(error))
    }

    /// Makes an error from a message. The message can be downcast to.
    pub fn msg<M>(message: M) -> Error
    where
        M: Display + Debug + Send + Sync + 'static,
    {
        Error(anyhow::Error::msg(message))
    }

    /// Makes an error from one in a box.
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync + 'static>) -> Error {
        Error(anyhow::Error::from_boxed(error))
    }

    /// Makes an error from one of the `anyhow` crate, as `From` and `?` do.
    pub fn from_anyhow(error: anyhow::Error) -> Error {
        Error(error)
    }

    /// Returns the kind of the error, whatever context was added to it.
    ///
    /// Errors that a host made have the kind [`ErrorKind::Other`], until a host function returns
    /// them: then they have the kind [`ErrorKind::Host`]. Errors of this crate that a host function
    /// passes on keep their kind.
    pub fn kind(&self) -> ErrorKind {
        match ErrorKind::of(&self.0) {
            ErrorKind::Other if self.is::<LinkError>() => ErrorKind::Link,
            ErrorKind::Other => match self.downcast_ref::<WasmBacktrace>() {
                Some(backtrace) if backtrace.is_of_host_function() => ErrorKind::Host,
                _ => ErrorKind::Other,
            },
            kind => kind,
        }
    }

    /// Adds context: an outer message, to which the error can be downcast, too.
    pub fn context<C>(self, context: C) -> Error
    where
        C: Display + Send + Sync + 'static,
    {
        Error(self.0.context(context))
    }

    /// Returns the messages with their causes, outermost first.
    pub fn chain(&self) -> Chain<'_> {
        Chain(self.0.chain())
    }

    /// Returns the innermost cause.
    pub fn root_cause(&self) -> &(dyn StdError + 'static) {
        self.0.root_cause()
    }

    /// Returns the Rust stack at which the error was made, if the environment (`RUST_BACKTRACE` and
    /// `RUST_LIB_BACKTRACE`) asks for it. [`WasmBacktrace`] has the stack of a guest.
    pub fn backtrace(&self) -> &std::backtrace::Backtrace {
        self.0.backtrace()
    }

    /// Returns true if the error or a context of it is an `E`.
    pub fn is<E>(&self) -> bool
    where
        E: Display + Debug + Send + Sync + 'static,
    {
        self.0.is::<E>()
    }

    /// Returns the error or the outermost context that is an `E`.
    pub fn downcast_ref<E>(&self) -> Option<&E>
    where
        E: Display + Debug + Send + Sync + 'static,
    {
        self.0.downcast_ref()
    }

    /// Returns the error or the outermost context that is an `E`.
    pub fn downcast_mut<E>(&mut self) -> Option<&mut E>
    where
        E: Display + Debug + Send + Sync + 'static,
    {
        self.0.downcast_mut()
    }

    /// Takes out the error or the outermost context that is an `E`.
    ///
    /// # Errors
    ///
    /// The error itself if there is none.
    pub fn downcast<E>(self) -> Result<E>
    where
        E: Display + Debug + Send + Sync + 'static,
    {
        self.0.downcast().map_err(Error)
    }

    /// Returns the error as a [`std::error::Error`].
    pub fn into_boxed_dyn_error(self) -> Box<dyn StdError + Send + Sync + 'static> {
        self.0.into()
    }

    /// Adds context that says which part of the host failed. If the error has no kind yet, it has
    /// the kind [`ErrorKind::Host`] then.
    #[cold]
    pub(crate) fn of_host(self, context: impl Into<String>) -> Error {
        let kind = match self.kind() {
            ErrorKind::Other => ErrorKind::Host,
            kind => kind,
        };
        self.context(kind.error(context))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

impl Deref for Error {
    type Target = dyn StdError + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl AsRef<dyn StdError> for Error {
    fn as_ref(&self) -> &(dyn StdError + 'static) {
        &**self
    }
}

impl AsRef<dyn StdError + Send + Sync> for Error {
    fn as_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &**self
    }
}

/// An error of another library: one that implements [`std::error::Error`], or `anyhow::Error`.
/// [`Error`] itself is not one, so that [`From`] can be implemented for all of them at once.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be converted to a `mintage::Error`",
    note = "types that are `std::error::Error + Send + Sync + 'static` can, and `anyhow::Error`"
)]
pub trait ForeignError: Into<anyhow::Error> {}

// The second bound leaves out `Error`, for which the first one holds: `anyhow` gives context to
// results of all errors that implement `std::error::Error`, of its own, and no others. See
// `docs/rationale/errors.md`.
impl<E> ForeignError for E
where
    E: Into<anyhow::Error>,
    Result<(), E>: anyhow::Context<(), E>,
{
}

impl<E: ForeignError> From<E> for Error {
    #[cold]
    fn from(error: E) -> Error {
        Error(error.into())
    }
}

impl From<Error> for anyhow::Error {
    fn from(error: Error) -> anyhow::Error {
        error.0
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync + 'static> {
    fn from(error: Error) -> Self {
        error.0.into()
    }
}

impl From<Error> for Box<dyn StdError + Send + 'static> {
    fn from(error: Error) -> Self {
        error.0.into()
    }
}

impl From<Error> for Box<dyn StdError + 'static> {
    fn from(error: Error) -> Self {
        error.0.into()
    }
}

/// The messages of an [`Error`] with their causes, outermost first: see [`Error::chain`].
#[derive(Clone)]
pub struct Chain<'a>(anyhow::Chain<'a>);

impl<'a> Iterator for Chain<'a> {
    type Item = &'a (dyn StdError + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Chain<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

impl ExactSizeIterator for Chain<'_> {}

impl Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
