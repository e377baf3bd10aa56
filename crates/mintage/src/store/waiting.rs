//! [`Waiting`]: a host function that has been called and may wait.

use super::scope::ScopeParts;
use super::{CallScope, StoreContextMut, StoreInner};
use crate::error::{Error, Result, format_err};
use crate::types::ComponentFunc;
use crate::{Caller, Val};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// The future of an asynchronous function of the host. It is `Send` if `T` is, the host's data: the
/// function returns one that is `Send`. Beside that there is only the caller, with a store of `T`,
/// and for a function over [`Val`]s, these and its type.
pub(crate) type HostResult<'a, R> = Pin<Box<dyn Future<Output = Result<R>> + 'a>>;

/// The future that an asynchronous destructor of the host returns.
pub(crate) type Destroyed<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// The rest of the work of a host function that waits, with the lowering of its results.
pub(crate) type HostRest<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// A host function that may wait, with the scope of its call. The function's future has the store
/// to itself, so the scope is out of reach until the future is gone.
pub(crate) struct Waiting<'s, T: 'static, R> {
    /// The future. Empty when it has finished. It borrows the store of `scope`.
    future: Option<HostResult<'s, R>>,
    scope: ScopeOf<'s, T>,
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Caller<'_, ()>>();
    is_send::<Val>();
    is_send::<ComponentFunc>();
};

/// A [`CallScope`] whose store is in use elsewhere.
struct ScopeOf<'s, T: 'static> {
    store: NonNull<StoreInner<T>>,
    scope: PhantomData<CallScope<'s, T>>,
    parts: ScopeParts,
}

// SAFETY: a host function goes to another thread only within the future of the asynchronous call
// that waits for it. That is `Send` only if `StoreInner<T>` is, and then the function's future is,
// too (`HostResult`). The scope's parts are numbers.
unsafe impl<T: 'static, R> Send for Waiting<'_, T, R> {}

impl<'s, T: 'static, R> Waiting<'s, T, R> {
    /// Calls the host function `body`, which belongs to `scope`.
    pub fn new(
        scope: CallScope<'s, T>,
        body: impl FnOnce(StoreContextMut<'s, T>) -> HostResult<'s, R>,
    ) -> Self {
        let (store, parts) = scope.into_parts();
        let mut waiting = Waiting {
            future: None,
            scope: ScopeOf {
                store: NonNull::from(store),
                scope: PhantomData,
                parts,
            },
        };
        // SAFETY: the pointer was made from an exclusive reference for `'s`, which is not used
        // otherwise before the future is gone.
        let store = unsafe { waiting.scope.store.as_mut() };
        waiting.future = Some(body(StoreContextMut(store)));
        waiting
    }

    /// Polls the host function, and drops its future when it has finished.
    ///
    /// # Panics
    ///
    /// When the function has already finished.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let future = self.future.as_mut().expect("it has not finished");
        let polled = future.as_mut().poll(cx);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }

    /// Returns the scope. If the function has not finished, it is dropped.
    ///
    /// # Errors
    ///
    /// When the deadline cannot be watched any more.
    pub fn into_scope(self) -> Result<CallScope<'s, T>> {
        let Waiting { future, scope } = self;
        drop(future);
        let scope = scope.into_scope();
        // The function may have forked the process.
        scope.store.keep_deadline()?;
        Ok(scope)
    }
}

impl<'s, T: 'static> ScopeOf<'s, T> {
    fn into_scope(self) -> CallScope<'s, T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the pointer was made from an exclusive reference for `'s`. `Waiting` calls this
        // or drops `self` when the future is gone, and only once.
        let store = unsafe { this.store.as_mut() };
        CallScope::from_parts(store, this.parts)
    }
}

impl<T: 'static> Drop for ScopeOf<'_, T> {
    fn drop(&mut self) {
        // SAFETY: as in `into_scope`. `Waiting` declares the future before the scope.
        let store = unsafe { self.store.as_mut() };
        drop(CallScope::from_parts(store, self.parts));
    }
}

/// Polls a future of the host for the first time. Returns the rest, or `None` if it has finished.
///
/// # Errors
///
/// When it fails, or waits without a context, in a call that cannot be suspended.
pub(crate) fn poll_once<'a>(
    mut future: Destroyed<'a>,
    context: Option<&mut Context<'_>>,
) -> Result<Option<HostRest<'a>>> {
    let can_wait = context.is_some();
    match with_context(context, |cx| future.as_mut().poll(cx)) {
        Poll::Ready(result) => result.map(|()| None),
        Poll::Pending if can_wait => Ok(Some(Box::pin(async move { Ok(future.await?) }))),
        Poll::Pending => Err(cannot_wait()),
    }
}

/// Calls `f` with the context of the poll that runs a call. Where there is none, nothing will be
/// woken.
pub(crate) fn with_context<R>(
    context: Option<&mut Context<'_>>,
    f: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    match context {
        Some(context) => f(context),
        None => f(&mut Context::from_waker(Waker::noop())),
    }
}

/// Returns the error of a host function that waits in a call that cannot be suspended.
#[cold]
pub(crate) fn cannot_wait() -> Error {
    format_err!(
        "it is asynchronous and not ready, and the guest was called synchronously: use the \
         `_async` method (`call_async`, `instantiate_async`, `resource_drop_async`)"
    )
}
