//! `wasi:http` 0.3 (in version 0.3.2): requests and responses whose bodies are streams.
//!
//! Guests of 0.2 and 0.3 can be in one store, and a guest can import both: the interfaces of
//! [`p2`](crate::p2) are added to the same linker. Both have the same context, limits, hooks and
//! client.
//!
//! The bytes of a body that a guest receives go straight into its memory when it reads. Those of
//! one that it sends are copied once, into a queue of limited size. A body that a guest only passes
//! on does not go through its memory.
//!
//! ```
//! use mintage::component::{Component, Linker};
//! use mintage::{Engine, Result, Store};
//! use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
//! use mintage_wasi_http::p3::Request;
//! use mintage_wasi_http::p3::bindings::ServicePre;
//! use mintage_wasi_http::{WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
//!
//! struct Host {
//!     wasi: WasiCtx,
//!     http: WasiHttpCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for Host {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl WasiHttpView for Host {
//!     fn http(&mut self) -> WasiHttpCtxView<'_> {
//!         WasiHttpCtxView {
//!             ctx: &mut self.http,
//!             table: &mut self.table,
//!             hooks: default_hooks(),
//!         }
//!     }
//! }
//!
//! fn load(engine: &Engine, file: &str) -> Result<ServicePre<Host>> {
//!     let mut linker = Linker::new(engine);
//!     mintage_wasi::p3::add_to_linker(&mut linker)?;
//!     mintage_wasi_http::p3::add_to_linker(&mut linker)?;
//!     ServicePre::new(linker.instantiate_pre(&Component::from_file(engine, file)?)?)
//! }
//!
//! /// Has an instance of its own handle a request, and passes the response to `send`.
//! async fn handle(
//!     service: &ServicePre<Host>,
//!     request: hyper::Request<hyper::body::Incoming>,
//!     send: impl FnOnce(hyper::Response<WasiBody>),
//! ) -> Result<()> {
//!     let host = Host {
//!         wasi: WasiCtx::builder().build(),
//!         http: WasiHttpCtx::new(),
//!         table: ResourceTable::new(),
//!     };
//!     let mut store = Store::new(service.engine(), host);
//!     let (request, _) = Request::from_http(default_hooks(), request);
//!     let service = service.instantiate_async(&mut store).await?;
//!     store
//!         .run_concurrent(async |accessor| {
//!             let response = service.handle(accessor, request).await??;
//!             let sent = std::future::ready(Ok(()));
//!             send(accessor.with(|store| response.into_http(store, sent))?);
//!             // The guest goes on with the body after it has returned the response.
//!             std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
//!             Ok(())
//!         })
//!         .await?
//! }
//! # let _ = load;
//! # let _ = |s: &ServicePre<Host>, r| drop(handle(s, r, |_| ()));
//! ```

pub mod bindings;
mod body;
mod client;
mod error;
mod fields;
mod handler;
mod message;
mod options;
mod request;
mod response;

pub use handler::{add_handler_to_linker, forward};
pub use message::{Request, Response};
pub use options::MaybeMutable;

pub use error::{HeaderError, HeaderResult, HttpError, HttpResult, RequestOptionsError};

pub(crate) use body::Released;
pub(crate) use error::of_p2;

use crate::{WasiHttp, WasiHttpView};
use bindings::Service;
use bindings::http::types::ErrorCode;
use mintage::{Accessor, Linker, Result};

/// How many bytes an outgoing body keeps, unless [`WasiHttpHooks`](crate::WasiHttpHooks) say
/// otherwise.
pub const DEFAULT_OUTGOING_BODY_CHUNK_SIZE: usize = 64 << 10;

/// Defines `wasi:http`, for example after [`mintage_wasi::p3::add_to_linker`].
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiHttpView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    bindings::http::types::add_to_linker::<T, WasiHttp>(linker, |data| data.http().limited())?;
    bindings::http::client::add_to_linker::<T, WasiHttp>(linker, |data| data.http().limited())
}

impl Service {
    /// Has the guest handle a request, and returns its response, whose body may be still to come:
    /// the store has to run until it has ended.
    ///
    /// # Errors
    ///
    /// If the guest traps, or the table is full.
    pub async fn handle<T: WasiHttpView + 'static>(
        &self,
        accessor: &Accessor<T>,
        request: impl Into<Request>,
    ) -> Result<std::result::Result<Response, ErrorCode>> {
        let request = request.into();
        let request = accessor.with(|mut access| access.data_mut().http().table.push(request))?;
        let handler = self.wasi_http_handler();
        Ok(match handler.call_handle(accessor, request).await? {
            Ok(response) => {
                Ok(accessor.with(|mut access| access.data_mut().http().table.delete(response))?)
            }
            Err(code) => Err(code),
        })
    }
}
