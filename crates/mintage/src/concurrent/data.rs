//! [`HasData`]: the way from a store's data to the implementation of an interface.

use std::marker::PhantomData;

/// Names the type that implements a host's interfaces. Where a linker takes a function from the
/// data `&mut T` of a store to [`Data`](Self::Data), an implementation of this trait says what
/// `Data` is.
///
/// A host names such a type where it adds an interface to a linker. [`HasSelf`] is for data that
/// implements the interface itself.
pub trait HasData: 'static {
    /// The implementation of the interface, while the data of the store is borrowed.
    type Data<'a>;
}

impl HasData for () {
    type Data<'a> = ();
}

/// Stands for data that implements an interface itself: [`HasData::Data`] is `&mut T`.
pub struct HasSelf<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized + 'static> HasData for HasSelf<T> {
    type Data<'a> = &'a mut T;
}
