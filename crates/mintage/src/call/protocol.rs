//! [`Call`]: one call between host and guest, step by step (`canon_lift` and `canon_lower` of
//! CanonicalABI.md).
//!
//! | step | the host calls a guest | a guest calls the host |
//! |---|---|---|
//! | begin | the instance is entered, its borrows begin | the borrows of the call begin |
//! | lower the parameters | [`lower_params`](Call::lower_params) into the guest | by the guest |
//! | enter | the guest runs | [`lift_params`](Call::lift_params), the host function |
//! | leave | | [`lower_results`](Call::lower_results) into the guest |
//! | lift the results | [`lift_results`](Call::lift_results) | by the guest |
//! | finish | `post-return`, the instance is left | the borrows of the call end |
//!
//! Where the host calls a host function that a component exports again, there is no guest on either
//! side: the caller's steps and the function's steps work on one [`Call`] with a memory of its own.

use super::host::ResolvedImport;
use crate::Component;
use crate::abi::guest::Guest;
use crate::abi::{AbiOptions, HandleContext, LiftContext, LiftSource, LowerContext, LowerTarget};
use crate::abi::{CanonicalAbi, InterfaceType};
use crate::component::Boundary;
use crate::error::Result;
use crate::store::{LIFT_WORDS, LendingCall, StoreInner, StoreInstance, StoreOpaque};
use crate::types::StoreInstanceId;
use mintage_environ::LiftId;
use mintage_environ::component::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_RESULTS};

/// What an asynchronous caller gets when a function of the host has returned
/// (`Subtask.State.RETURNED`).
const RETURNED: u64 = 2;

/// The layout of a call's parameters and results, each as a tuple.
#[derive(Clone, Copy)]
pub struct CallAbi {
    pub params: CanonicalAbi,
    pub results: CanonicalAbi,
}

impl CallAbi {
    /// Returns the number of flat parameters of a call of the host, or `None` if they are passed in
    /// memory.
    #[inline]
    fn flat_params(self, is_async_lower: bool) -> Option<usize> {
        let count = self.params.flat_count.map(usize::from);
        match is_async_lower {
            false => count,
            true => count.filter(|&count| count <= MAX_FLAT_ASYNC_PARAMS),
        }
    }

    /// Returns the number of words that the parameters take: as many as are flat, or one for the
    /// pointer to them.
    #[inline]
    fn param_words(self, is_async_lower: bool) -> usize {
        self.flat_params(is_async_lower).unwrap_or(1)
    }

    /// Returns the number of flat results, or `None` if the results are passed in memory.
    #[inline]
    fn flat_results(self) -> Option<usize> {
        let count = self.results.flat_count.map(usize::from);
        count.filter(|&count| count <= MAX_FLAT_RESULTS)
    }
}

/// A function that is called across the boundary of a component.
pub trait CallTarget: Copy {
    /// The array of argument words.
    type Words: AsMut<[u64]> + ?Sized;

    /// Returns what is known of the function; `component` is the one that it belongs to.
    fn boundary<'a>(self, component: &'a Component) -> &'a Boundary
    where
        Self: 'a;
}

/// A function that the component exports.
impl CallTarget for LiftId {
    type Words = [u64; LIFT_WORDS];

    #[inline]
    fn boundary<'a>(self, component: &'a Component) -> &'a Boundary
    where
        Self: 'a,
    {
        &component.lift(self).boundary
    }
}

/// A call in progress. It borrows nothing of its store, which is passed to each step, so a call can
/// wait between any two of them.
pub struct Call<'w, F: CallTarget> {
    pub target: F,
    /// The instance that the function belongs to, or that imports it.
    pub instance: StoreInstanceId,
    /// The call that handles are lent to, if its type has borrows.
    pub lends_to: Option<LendingCall>,
    pub abi: CallAbi,
    /// The arguments, which the results replace.
    pub words: &'w mut F::Words,
    /// The memory through which values pass where no guest takes part.
    pub scratch: Option<&'w mut Vec<u8>>,
    /// Whether code of the guest trapped while parameters were lowered.
    pub trapped: bool,
}

impl<F: CallTarget> Call<'_, F> {
    /// Returns what lowering works on. Always inlined: out of line, the context passes through
    /// memory, and an `add` takes half as long again.
    #[inline(always)]
    fn lower_context<'a, T>(
        target: F,
        instance: StoreInstanceId,
        lends_to: Option<LendingCall>,
        scratch: Option<&'a mut Vec<u8>>,
        store: &'a mut StoreInner<T>,
    ) -> (&'a Boundary, LowerContext<'a>)
    where
        F: 'a,
    {
        let StoreInner { opaque, host } = store;
        let StoreOpaque {
            instances, handles, ..
        } = opaque;
        let StoreInstance {
            runtime,
            component,
            linked,
            ..
        } = &mut instances[instance];
        let (runtime, component) = (runtime.get_mut(), &*component);
        let boundary = target.boundary(component);
        let options = AbiOptions {
            types: &component.interface().types,
            encoding: boundary.string_encoding,
        };
        let guest = match scratch {
            None => Guest::new(runtime, &boundary.guest, host),
            Some(memory) => Guest::scratch(runtime, memory, host),
        };
        let handles = HandleContext {
            host: handles,
            component,
            linked,
            instance,
            domain: boundary.guest.domain,
            lends_to,
        };
        (boundary, LowerContext::new(options, guest, Some(handles)))
    }

    /// Returns what lifting works on. Always inlined, as `lower_context` is.
    #[inline(always)]
    fn lift_context<'a, T>(
        target: F,
        instance: StoreInstanceId,
        lends_to: Option<LendingCall>,
        scratch: Option<&'a [u8]>,
        store: &'a mut StoreInner<T>,
    ) -> (&'a Boundary, LiftContext<'a>)
    where
        F: 'a,
    {
        let StoreOpaque {
            instances,
            handles,
            hostcall_fuel,
            ..
        } = &mut store.opaque;
        let StoreInstance {
            runtime,
            component,
            linked,
            ..
        } = &mut instances[instance];
        let (runtime, component) = (&*runtime.get_mut(), &*component);
        let boundary = target.boundary(component);
        let options = AbiOptions {
            types: &component.interface().types,
            encoding: boundary.string_encoding,
        };
        let handles = HandleContext {
            host: handles,
            component,
            linked,
            instance,
            domain: boundary.guest.domain,
            lends_to,
        };
        let cx = match scratch {
            None => LiftContext::new(
                options,
                runtime,
                boundary.guest.memory,
                *hostcall_fuel,
                handles,
            ),
            Some(memory) => {
                LiftContext::of_memory(options, memory, usize::MAX).with_handles(handles, runtime)
            }
        };
        (boundary, cx)
    }

    /// Lowers the parameters of a call that the host makes.
    ///
    /// # Errors
    ///
    /// When `lower` fails, or the guest's `realloc` does.
    #[inline(always)]
    pub fn lower_params<T>(
        &mut self,
        store: &mut StoreInner<T>,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    ) -> Result<()> {
        let scratch = self.scratch.as_deref_mut();
        let (boundary, mut cx) =
            Self::lower_context(self.target, self.instance, self.lends_to, scratch, store);
        let (words, abi) = (self.words.as_mut(), self.abi.params);
        let lowered = match abi.flat_count {
            Some(count) => {
                let target = LowerTarget::Flat(&mut words[..usize::from(count)]);
                lower(&mut cx, boundary.params, target)
            }
            None => cx
                .allocate(abi.align32, abi.size32 as usize)
                .and_then(|offset| {
                    words[0] = offset as u64;
                    lower(&mut cx, boundary.params, LowerTarget::Memory(offset))
                }),
        };
        if lowered.is_err() {
            self.trapped = cx.trapped();
        }
        lowered
    }

    /// Lifts the parameters of a call of a host function.
    ///
    /// # Errors
    ///
    /// When `lift` fails, or the guest passes a bad pointer.
    #[inline]
    pub fn lift_params<T, P>(
        &mut self,
        store: &mut StoreInner<T>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<P>,
    ) -> Result<P> {
        let scratch = self.scratch.as_deref().map(Vec::as_slice);
        let (boundary, mut cx) =
            Self::lift_context(self.target, self.instance, self.lends_to, scratch, store);
        let flat = self.abi.flat_params(boundary.is_async_lower);
        let words = self.words.as_mut();
        let source = match flat {
            Some(count) => LiftSource::Flat(&words[..count]),
            None => LiftSource::Memory(cx.spilled(words[0] as u32, self.abi.params)?),
        };
        lift(&mut cx, boundary.params, source)
    }

    /// Lowers the results of a call of a host function.
    ///
    /// # Errors
    ///
    /// When `lower` fails, or the guest's `realloc` does, or the guest passed a bad pointer.
    #[inline]
    pub fn lower_results<T>(
        &mut self,
        store: &mut StoreInner<T>,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    ) -> Result<()> {
        let scratch = self.scratch.as_deref_mut();
        let (boundary, mut cx) =
            Self::lower_context(self.target, self.instance, self.lends_to, scratch, store);
        let is_async = boundary.is_async_lower;
        let words = self.words.as_mut();
        let target = match self.abi.flat_results() {
            Some(count) if !is_async || count == 0 => LowerTarget::Flat(&mut words[..count]),
            // The pointer to the room for the results comes after the parameters.
            _ => {
                let pointer = words[self.abi.param_words(is_async)] as u32;
                LowerTarget::Memory(cx.result_area(pointer, self.abi.results)?)
            }
        };
        lower(&mut cx, boundary.results, target)?;
        if is_async {
            self.words.as_mut()[0] = RETURNED;
        }
        Ok(())
    }

    /// Lifts the results of a call that the host made. Where they are in memory, the first word is
    /// the pointer to them.
    ///
    /// # Errors
    ///
    /// When `lift` fails, or the guest returned a bad pointer.
    #[inline(always)]
    pub fn lift_results<T, R>(
        &mut self,
        store: &mut StoreInner<T>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        let scratch = self.scratch.as_deref().map(Vec::as_slice);
        let (boundary, mut cx) =
            Self::lift_context(self.target, self.instance, self.lends_to, scratch, store);
        let flat = match boundary.returns_early {
            // By `task.return`, whose arguments are those of a function.
            true => self.abi.results.flat_count.map(usize::from),
            false => self.abi.flat_results(),
        };
        let words = self.words.as_mut();
        let source = match flat {
            Some(count) => LiftSource::Flat(&words[..count]),
            None => LiftSource::Memory(cx.spilled(words[0] as u32, self.abi.results)?),
        };
        lift(&mut cx, boundary.results, source)
    }
}

/// The step that only calls of host functions by the host have.
impl Call<'_, &ResolvedImport> {
    /// Reserves room for results in memory, to which the function expects a pointer after its
    /// parameters. Returns this pointer.
    ///
    /// # Errors
    ///
    /// When the room does not fit the scratch memory.
    pub fn reserve_results<T>(&mut self, store: &mut StoreInner<T>) -> Result<Option<u64>> {
        if self.abi.flat_results().is_some() {
            return Ok(None);
        }
        let scratch = self.scratch.as_deref_mut();
        let (_, mut cx) =
            Self::lower_context(self.target, self.instance, self.lends_to, scratch, store);
        let CanonicalAbi {
            size32, align32, ..
        } = self.abi.results;
        let room = cx.allocate(align32, size32 as usize)? as u64;
        self.words[self.abi.param_words(false)] = room;
        Ok(Some(room))
    }
}

/// The steps that only calls of guests have.
impl Call<'_, LiftId> {
    /// Runs the guest's function.
    ///
    /// # Errors
    ///
    /// When the guest does not return.
    #[inline]
    pub fn enter<T>(&mut self, store: &mut StoreInner<T>) -> Result<()> {
        store.call_lift(self.instance, self.target, self.words)
    }

    /// Lets the guest clean up.
    ///
    /// # Errors
    ///
    /// When `post-return` does not return.
    #[inline]
    pub fn finish<T>(&mut self, store: &mut StoreInner<T>) -> Result<()> {
        store.post_return(self.instance, self.target, self.words)
    }
}
