//! Static checks of what the compiler infers of the public types: auto traits and variance.
//!
//! A type that is `Send`, or covariant in a parameter, by an accident of its fields lets safe code
//! break what unsafe code relies on. Each generic public type has a row here.

use crate::abi::{LiftContext, LowerContext};
use crate::*;
use std::rc::Rc;

/// Fails to compile unless each type has the traits.
macro_rules! assert_impl {
    ($($ty:ty),+ $(,)? : $($bound:tt)+) => {
        const _: () = {
            const fn holds<T: $($bound)+>() {}
            $(holds::<$ty>();)+
        };
    };
}

/// Fails to compile if the type has the trait: which of two implementations is meant is then
/// ambiguous.
macro_rules! assert_not_impl {
    ($($ty:ty),+ $(,)? : $bound:path) => {
        $(const _: () = {
            trait Ambiguous<Which> {
                const CHECKED: () = ();
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Implemented;
            impl<T: ?Sized + $bound> Ambiguous<Implemented> for T {}
            <$ty as Ambiguous<_>>::CHECKED
        };)+
    };
}

assert_impl!(
    Engine, Component, Config, Instance, Func, ResourceAny, ResourceType, Trap, WasmBacktrace,
    InterruptHandle,
    ComponentExportIndex, StoreLimits: Send + Sync
);
// Nothing of host data is in them, so that it does not matter whether it is `Send`.
assert_impl!(
    Linker<()>, Linker<Rc<()>>, InstancePre<()>, InstancePre<Rc<()>>, TypedFunc<(), ()>,
    TypedFunc<(Rc<()>,), Rc<()>>,
    Resource<Rc<()>>: Send + Sync
);
assert_impl!(ResourceTable, Val: Send);
// A future that borrows a store is `Send` only if the store is `Sync`.
assert_impl!(Store<()>, StoreContext<'static, ()>, StoreContextMut<'static, ()>: Send + Sync);
assert_not_impl!(Store<std::cell::Cell<()>>: Sync);
assert_not_impl!(Store<Rc<()>>, StoreContextMut<'static, Rc<()>>: Send);
// What they write to and read from is used by the thread that makes the call.
assert_not_impl!(LowerContext<'static>: Send);
assert_not_impl!(LowerContext<'static>: Sync);
assert_not_impl!(LiftContext<'static>: Send);

/// Every generic type is invariant in the types that its contents were checked against or made for.
/// Only a `TypedFunc` is covariant in its parameters, so that they may have shorter lifetimes than
/// the function's type has. Each pair of examples is the same but for the type, so that the second
/// fails for no other reason.
///
/// ```
/// type One = for<'a> fn(&'a str);
/// fn pre(x: mintage::InstancePre<One>) -> mintage::InstancePre<One> { x }
/// fn linker(x: mintage::Linker<One>) -> mintage::Linker<One> { x }
/// fn store(x: mintage::Store<One>) -> mintage::Store<One> { x }
/// fn context<'s>(x: mintage::StoreContext<'s, One>) -> mintage::StoreContext<'s, One> { x }
/// use mintage::StoreContextMut as Mut;
/// fn context_mut<'s>(x: Mut<'s, One>) -> Mut<'s, One> { x }
/// use mintage::LinkerInstance as Names;
/// fn linker_instance<'l>(x: Names<'l, One>) -> Names<'l, One> { x }
/// fn resource(x: mintage::Resource<One>) -> mintage::Resource<One> { x }
/// fn params(x: mintage::TypedFunc<One, ()>) -> mintage::TypedFunc<One, ()> { x }
/// fn result(x: mintage::TypedFunc<(), One>) -> mintage::TypedFunc<(), One> { x }
/// use mintage::TypedFunc as Func;
/// fn shorter<'a>(x: Func<(&'static str,), ()>) -> Func<(&'a str,), ()> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn pre(x: mintage::InstancePre<One>) -> mintage::InstancePre<Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn pre(x: mintage::InstancePre<Other>) -> mintage::InstancePre<One> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn linker(x: mintage::Linker<One>) -> mintage::Linker<Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn store(x: mintage::Store<One>) -> mintage::Store<Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn context<'s>(x: mintage::StoreContext<'s, One>) -> mintage::StoreContext<'s, Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// use mintage::StoreContextMut as Mut;
/// fn context_mut<'s>(x: Mut<'s, One>) -> Mut<'s, Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// use mintage::LinkerInstance as Names;
/// fn linker_instance<'l>(x: Names<'l, One>) -> Names<'l, Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn resource(x: mintage::Resource<One>) -> mintage::Resource<Other> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn params(x: mintage::TypedFunc<Other, ()>) -> mintage::TypedFunc<One, ()> { x }
/// ```
///
/// ```compile_fail,E0308
/// type One = for<'a> fn(&'a str);
/// type Other = fn(&'static str);
/// fn result(x: mintage::TypedFunc<(), One>) -> mintage::TypedFunc<(), Other> { x }
/// ```
#[allow(dead_code, reason = "its documentation is the test")]
struct Invariant;
