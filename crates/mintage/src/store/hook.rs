//! [`CallHook`]: a function of the host that is called where calls cross between host and guests.
//!
//! A store without a hook and without a deadline pays for one predicted branch at each crossing:
//! `HostState::watches_crossings`. A deadline shares the branch, because it has to be watched anew
//! after a `fork`.

use super::{Store, StoreContextMut, StoreInner};
use crate::error::Result;
use crate::types::StoreInstanceId;
use mintage_environ::ImportId;
use std::{fmt, mem};

/// A crossing between host and guests; see [`Store::call_hook`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallHook {
    /// The host calls a guest.
    CallingWasm,
    /// A call of a guest by the host has ended.
    ReturningFromWasm,
    /// A guest calls a function of the host.
    CallingHost,
    /// A call of a host function by a guest has ended.
    ReturningFromHost,
}

impl CallHook {
    /// Returns whether host code runs next.
    pub fn entering_host(&self) -> bool {
        matches!(self, CallHook::ReturningFromWasm | CallHook::CallingHost)
    }

    /// Returns whether guest code runs next.
    pub fn exiting_host(&self) -> bool {
        !self.entering_host()
    }
}

/// The name of a host function, as a component imports it; see
/// [`StoreContextMut::host_function`]. It is displayed as in errors: `wasi:io/poll@0.2.0.poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostFunctionName<'a>(&'a [Box<str>]);

impl<'a> HostFunctionName<'a> {
    /// Returns the names that lead to the function: those of instances, the outermost first, then
    /// its own. A function that the component itself imports has only its own.
    pub fn path(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        self.0.iter().map(|name| &**name)
    }

    /// Returns the name of the function in its instance, such as `poll`.
    pub fn name(&self) -> &'a str {
        self.0.last().map_or("", |name| name)
    }

    /// Returns the name of the instance that the function is in, such as `wasi:io/poll@0.2.0`. With
    /// instances in instances, this is the innermost one. `None` for a function that the component
    /// itself imports.
    pub fn instance(&self) -> Option<&'a str> {
        let instances = self.0.split_last()?.1;
        Some(instances.last()?)
    }
}

impl fmt::Display for HostFunctionName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// The host's hook.
pub(super) type Hook<T> =
    Box<dyn FnMut(StoreContextMut<'_, T>, CallHook) -> Result<()> + Send + Sync>;

/// A host function: the instance that imports it, and the import. A destructor has none.
pub(crate) type Imported = Option<(StoreInstanceId, ImportId)>;

impl<T> Store<T> {
    /// Sets a function that is called where calls cross between the host and the guests of this
    /// store, for example to measure the time of guests. It replaces an earlier one.
    ///
    /// [`StoreContextMut::host_function`] has the name of the host function that is called or has
    /// returned.
    ///
    /// An error of the hook ends the call: a guest or host function is not called, or its result is
    /// dropped. After [`CallHook::ReturningFromHost`], that ends the guest's call, as an error of
    /// the host function does; after the two others, too, the instance cannot be entered again.
    ///
    /// The hook is called for exported functions, start functions and destructors of guests, and
    /// for functions and synchronous destructors of the host. A component with start functions
    /// counts as one that is called, even if their outcome is known and they do not run again. It
    /// is not called for `realloc` and `post-return` functions, which run while values are
    /// converted, for a host function that the host calls because a component exports it again, and
    /// where a call of a host function ends because its future is dropped. A guest that waits for
    /// an asynchronous host function has left for the host. While the hook runs, calls that it
    /// makes call no hook.
    ///
    /// ```
    /// # #[cfg(feature = "compiler")]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{CallHook, Component, Engine, Linker, Store};
    ///
    /// let engine = Engine::default();
    /// let component = Component::new(
    ///     &engine,
    ///     r#"(component
    ///         (import "log" (func $log))
    ///         (core func $log (canon lower (func $log)))
    ///         (core module $m
    ///             (import "" "log" (func $log))
    ///             (func (export "run") (call $log)))
    ///         (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
    ///         (func (export "run") (canon lift (core func $i "run"))))"#,
    /// )?;
    /// let mut store = Store::new(&engine, Vec::new());
    /// store.call_hook(|mut store, hook| {
    ///     let name = store.host_function().map(|name| name.to_string());
    ///     store.data_mut().push((hook, name));
    ///     Ok(())
    /// });
    /// let mut linker = Linker::new(&engine);
    /// linker.root().func_wrap("log", |_, (): ()| Ok(()))?;
    /// let instance = linker.instantiate(&mut store, &component)?;
    /// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    /// let log = Some("log".to_string());
    /// assert_eq!(store.data()[..], [
    ///     (CallHook::CallingWasm, None),
    ///     (CallHook::CallingHost, log.clone()),
    ///     (CallHook::ReturningFromHost, log),
    ///     (CallHook::ReturningFromWasm, None),
    /// ]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "compiler"))]
    /// # fn main() {}
    /// ```
    pub fn call_hook(
        &mut self,
        hook: impl FnMut(StoreContextMut<'_, T>, CallHook) -> Result<()> + Send + Sync + 'static,
    ) {
        self.inner.host.hook = Some(Box::new(hook));
        self.inner.host.watches_crossings = true;
    }
}

impl<T> StoreContextMut<'_, T> {
    /// Returns the name of the host function that a guest calls or that has returned, in a hook for
    /// [`CallHook::CallingHost`] or [`CallHook::ReturningFromHost`]; otherwise, and for a
    /// destructor, `None`.
    pub fn host_function(&self) -> Option<HostFunctionName<'_>> {
        let (instance, import) = self.0.host.hooked?;
        let component = &self.0.opaque.instances.get(instance)?.component;
        let import = &component.interface().import_funcs[import];
        Some(HostFunctionName(&import.path))
    }
}

impl<T: 'static> StoreInner<T> {
    /// Does what is to be done before a call crosses between host and guest, `host` being the host
    /// function of the call.
    ///
    /// # Errors
    ///
    /// If the hook fails, or the deadline cannot be watched. The call must not be made.
    #[inline(always)]
    pub fn cross(&mut self, hook: CallHook, host: Imported) -> Result<()> {
        match self.host.watches_crossings {
            false => Ok(()),
            true => self.call_hook(hook, host),
        }
    }

    /// Does what is to be done after a call with this result.
    ///
    /// # Errors
    ///
    /// The error of the hook or of the deadline if there is one, otherwise of `result`.
    #[inline(always)]
    pub fn crossed<R>(&mut self, hook: CallHook, host: Imported, result: Result<R>) -> Result<R> {
        match self.host.watches_crossings {
            false => result,
            true => self.call_hook(hook, host).and(result),
        }
    }

    #[cold]
    #[inline(never)]
    fn call_hook(&mut self, event: CallHook, host: Imported) -> Result<()> {
        if event.exiting_host() {
            // The host may have forked the process.
            self.keep_deadline()?;
        }
        let Some(hook) = self.host.hook.take() else {
            return Ok(());
        };
        self.host.hooked = host;
        let mut running = RunningHook { store: self, hook };
        (running.hook)(StoreContextMut(running.store), event)
    }
}

/// A hook that runs. Dropping it puts the hook back, also when it panics.
struct RunningHook<'s, T: 'static> {
    store: &'s mut StoreInner<T>,
    hook: Hook<T>,
}

impl<T: 'static> Drop for RunningHook<'_, T> {
    fn drop(&mut self) {
        self.store.host.hooked = None;
        // A closure that does nothing takes no memory.
        let hook = mem::replace(&mut self.hook, Box::new(|_, _| Ok(())));
        self.store.host.hook = Some(hook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_parts() {
        let path = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<_>>();
        let (root, nested) = (path(&["f"]), path(&["a:b/c@1.0.0", "f"]));
        let (root, nested) = (HostFunctionName(&root), HostFunctionName(&nested));
        assert_eq!((root.instance(), root.name()), (None, "f"));
        assert_eq!(
            (nested.instance(), nested.name()),
            (Some("a:b/c@1.0.0"), "f")
        );
        assert_eq!(nested.to_string(), "a:b/c@1.0.0.f");
        assert!(nested.path().eq(["a:b/c@1.0.0", "f"]) && nested.path().len() == 2);
    }

    #[test]
    fn crossings_have_directions() {
        for hook in [CallHook::CallingWasm, CallHook::ReturningFromHost] {
            assert!(hook.exiting_host() && !hook.entering_host());
        }
        for hook in [CallHook::CallingHost, CallHook::ReturningFromWasm] {
            assert!(hook.entering_host() && !hook.exiting_host());
        }
    }
}
