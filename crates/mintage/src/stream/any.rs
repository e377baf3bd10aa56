//! Readers with and without the type of their values.

use super::reader::close;
use super::{FutureReader, StreamReader};
use crate::abi::ComponentType;
use crate::error::{Result, ensure};
use crate::store::HeldEnd;
use crate::val::Payload;
use crate::{AsContextMut, FutureAny, StreamAny};

/// Fails unless the host holds an end in this store.
fn check(mut store: impl AsContextMut, end: &HeldEnd) -> Result<()> {
    let store = store.as_context_mut().0;
    let id = store.opaque.id;
    store.opaque.handles.streams.held(id, end.id).map(|_| ())
}

/// Defines the conversions, and what else a reader without a type does.
macro_rules! any {
    ($any:ident, $reader:ident, $from:ident, $into:ident, $what:literal) => {
        impl $any {
            #[doc = concat!("Makes a reader with the type of its values, of a ", $what, ".")]
            ///
            /// # Errors
            ///
            /// If the values are of another type.
            pub fn $into<T: ComponentType + 'static>(self) -> Result<$reader<T>> {
                ensure!(
                    self.payload.is::<T>(),
                    concat!("type mismatch: the ", $what, " is not a `{}`"),
                    $reader::<T>::describe()
                );
                Ok($reader::of(self.end))
            }

            #[doc = concat!("Makes a reader without the type of its values, of a ", $what, ".")]
            ///
            /// # Errors
            ///
            /// If the reader was closed or passed on, or is one of another store.
            pub fn $from<T: ComponentType + 'static>(
                store: impl AsContextMut,
                reader: $reader<T>,
            ) -> Result<Self> {
                check(store, &reader.end)?;
                Ok($any {
                    payload: Payload::host::<T>(),
                    end: reader.end,
                })
            }

            #[doc = concat!("Closes the ", $what, ".")]
            ///
            /// # Errors
            ///
            /// If the reader was closed or passed on, or is one of another store.
            pub fn close(&mut self, mut store: impl AsContextMut) -> Result<()> {
                close(store.as_context_mut().0, &self.end)
            }
        }
    };
}

any!(
    StreamAny,
    StreamReader,
    try_from_stream_reader,
    try_into_stream_reader,
    "stream"
);
any!(
    FutureAny,
    FutureReader,
    try_from_future_reader,
    try_into_future_reader,
    "future"
);
