//! Stores that are being polled: how a future of the host finds the store that polls it.
//!
//! A future that goes on while guests do cannot borrow the store between two polls. So whoever
//! polls it [exposes](StoreInner::expose) the store to this thread for so long, and the future
//! [finds](with_polled) it by its number. The number of a store is never used again, and the type
//! of its data is compared. So a name that is used at another time, on another thread or for
//! another store finds nothing.

use super::StoreInner;
use crate::types::StoreId;
use std::any::TypeId;
use std::cell::RefCell;
use std::ptr::NonNull;

thread_local! {
    /// The stores that this thread polls, the innermost last.
    static POLLED: RefCell<Vec<Polled>> = const { RefCell::new(Vec::new()) };
}

/// A store that is being polled.
struct Polled {
    store: StoreId,
    /// The type of its data.
    data: TypeId,
    /// Its address; none while someone uses it.
    address: Option<NonNull<()>>,
}

/// The reason why a store cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPolled {
    /// It is not being polled by this thread.
    Elsewhere,
    /// It is in use, further out on this thread.
    InUse,
}

impl<T: 'static> StoreInner<T> {
    /// Calls `f`, which can find the store meanwhile.
    pub fn expose<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let polled = Polled {
            store: self.opaque.id,
            data: TypeId::of::<T>(),
            address: Some(NonNull::from(self).cast()),
        };
        POLLED.with_borrow_mut(|all| all.push(polled));
        let _hidden = Hide;
        f()
    }
}

/// Ends the exposure of the store that was exposed last.
struct Hide;

impl Drop for Hide {
    fn drop(&mut self) {
        POLLED.with_borrow_mut(Vec::pop);
    }
}

/// Calls `f` with a store that is exposed to this thread. Meanwhile it cannot be found again,
/// unless `f` exposes it.
///
/// # Errors
///
/// If it is not exposed, or in use.
pub(crate) fn with_polled<T: 'static, R>(
    store: StoreId,
    f: impl FnOnce(&mut StoreInner<T>) -> R,
) -> Result<R, NotPolled> {
    let found = POLLED.with_borrow_mut(|all| {
        let wanted = |polled: &Polled| polled.store == store && polled.data == TypeId::of::<T>();
        let at = all.iter().rposition(wanted).ok_or(NotPolled::Elsewhere)?;
        let address = all[at].address.take().ok_or(NotPolled::InUse)?;
        Ok((at, address))
    });
    let (at, address) = found?;
    let _returned = Return { at, address };
    // SAFETY: `expose` made the address from an exclusive reference to a store of `T`, which it
    // does not use before it has removed the entry. No one else takes the address before it is
    // returned, which is after this reference.
    Ok(f(unsafe { address.cast::<StoreInner<T>>().as_mut() }))
}

/// Returns the address of a store that was in use.
struct Return {
    at: usize,
    address: NonNull<()>,
}

impl Drop for Return {
    fn drop(&mut self) {
        // What was exposed meanwhile is hidden again: exposures end in the reverse order.
        POLLED.with_borrow_mut(|all| all[self.at].address = Some(self.address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AsContextMut, Engine, Store};

    #[test]
    fn a_store_is_found_where_it_is_polled() {
        let engine = Engine::default();
        let (mut first, mut second) = (Store::new(&engine, 1), Store::new(&engine, 2));
        let first = first.as_context_mut().0;
        let id = first.opaque.id;
        let find = move || with_polled::<i32, _>(id, |store| store.host.data);
        assert_eq!(find(), Err(NotPolled::Elsewhere));
        first.expose(|| {
            assert_eq!(find(), Ok(1));
            let other = with_polled::<u32, _>(id, |store| store.host.data);
            assert_eq!(other, Err(NotPolled::Elsewhere), "of another type");
            // Another store on top does not hide it.
            second
                .as_context_mut()
                .0
                .expose(|| assert_eq!(find(), Ok(1)));
            let nested = with_polled::<i32, _>(id, |store| {
                assert_eq!(find(), Err(NotPolled::InUse));
                store.expose(find)
            });
            assert_eq!(nested, Ok(Ok(1)));
            let elsewhere = std::thread::spawn(find).join().unwrap();
            assert_eq!(elsewhere, Err(NotPolled::Elsewhere));
            // A panic returns it.
            let panicked = std::panic::catch_unwind(|| {
                let _ = with_polled::<i32, ()>(id, |_| panic!("in use"));
            });
            assert!(panicked.is_err());
            assert_eq!(find(), Ok(1));
        });
        assert_eq!(find(), Err(NotPolled::Elsewhere));
    }
}
