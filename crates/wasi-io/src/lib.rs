//! `wasi:io` alone, under the paths of Wasmtime's crate `wasmtime-wasi-io`: for hosts that have
//! streams and pollables, and no other part of WASI. All of it is in [`mintage_wasi`].
//!
//! ```
//! use mintage::component::{Linker, ResourceTable};
//! use mintage_wasi_io::IoView;
//! use mintage_wasi_io::poll::{Pollable, subscribe};
//!
//! struct Host {
//!     table: ResourceTable,
//! }
//!
//! impl IoView for Host {
//!     fn table(&mut self) -> &mut ResourceTable {
//!         &mut self.table
//!     }
//! }
//!
//! struct Done;
//!
//! #[mintage_wasi_io::async_trait]
//! impl Pollable for Done {
//!     async fn ready(&mut self) {}
//! }
//!
//! # fn main() -> mintage::Result<()> {
//! let mut linker = Linker::<Host>::new(&mintage::Engine::default());
//! mintage_wasi_io::add_to_linker_async(&mut linker)?;
//! let mut host = Host { table: ResourceTable::new() };
//! let done = host.table().push(Done)?;
//! let pollable = subscribe(host.table(), done)?;
//! # drop(pollable);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

use mintage::{HasData, Linker, ResourceTable, Result};

#[doc(no_inline)]
pub use bytes;
#[doc(no_inline)]
pub use mintage_wasi::async_trait;

/// The generated bindings.
pub mod bindings {
    /// The package namespace `wasi`.
    pub mod wasi {
        pub use mintage_wasi::p2::bindings::io;
    }
}

/// What a guest can wait for.
pub mod poll {
    pub use mintage_wasi::io::{DynFuture, DynPollable, MakeFuture, Pollable, subscribe};
}

/// Streams of bytes.
pub mod streams {
    pub use mintage_wasi::io::{
        DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult,
    };
    pub use mintage_wasi::p2::IoError as Error;
}

/// Data of a store that has a table of resources.
pub trait IoView {
    /// Returns the table.
    fn table(&mut self) -> &mut ResourceTable;
}

impl<T: ?Sized + IoView> IoView for &mut T {
    fn table(&mut self) -> &mut ResourceTable {
        T::table(self)
    }
}

impl<T: ?Sized + IoView> IoView for Box<T> {
    fn table(&mut self) -> &mut ResourceTable {
        T::table(self)
    }
}

/// Names the table as what implements `wasi:io`.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Defines `wasi:io` for a host that calls guests asynchronously.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_async<T: IoView + Send + 'static>(linker: &mut Linker<T>) -> Result<()> {
    use bindings::wasi::io;

    io::error::add_to_linker::<T, HasTable>(linker, T::table)?;
    io::poll::add_to_linker::<T, HasTable>(linker, T::table)?;
    io::streams::add_to_linker::<T, HasTable>(linker, T::table)
}
