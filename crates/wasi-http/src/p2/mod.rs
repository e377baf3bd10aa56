//! `wasi:http` 0.2 (in version 0.2.12, for guests of all versions of 0.2).
//!
//! ```
//! use mintage::component::{Component, Linker};
//! use mintage::{Engine, Result, Store};
//! use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
//! use mintage_wasi_http::p2::bindings::ProxyPre;
//! use mintage_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
//! use mintage_wasi_http::p2::body::HyperOutgoingBody;
//! use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
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
//! fn load(engine: &Engine, file: &str) -> Result<ProxyPre<Host>> {
//!     let mut linker = Linker::new(engine);
//!     mintage_wasi_http::p2::add_to_linker_async(&mut linker)?;
//!     ProxyPre::new(linker.instantiate_pre(&Component::from_file(engine, file)?)?)
//! }
//!
//! /// Handles a request by an instance of its own.
//! async fn handle(
//!     proxy: &ProxyPre<Host>,
//!     request: hyper::Request<hyper::body::Incoming>,
//! ) -> Result<hyper::Response<HyperOutgoingBody>> {
//!     let host = Host {
//!         wasi: WasiCtx::builder().build(),
//!         http: WasiHttpCtx::new(),
//!         table: ResourceTable::new(),
//!     };
//!     let mut store = Store::new(proxy.engine(), host);
//!     let (sender, receiver) = tokio::sync::oneshot::channel();
//!     let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
//!     let outparam = store.data_mut().http().new_response_outparam(sender)?;
//!     let proxy = proxy.instantiate_async(&mut store).await?;
//!     // The guest goes on with the body after it has set the head.
//!     let task = tokio::spawn(async move {
//!         let handler = proxy.wasi_http_incoming_handler();
//!         handler.call_handle(&mut store, request, outparam).await
//!     });
//!     match receiver.await {
//!         Ok(Ok(response)) => Ok(response),
//!         Ok(Err(code)) => Err(code.into()),
//!         Err(_) => Err(match task.await? {
//!             Ok(()) => mintage::format_err!("the guest set no response"),
//!             Err(trap) => trap,
//!         }),
//!     }
//! }
//! # let _ = (load, handle);
//! ```

pub mod bindings;
pub mod body;
pub(crate) mod error;
mod fields;
mod handler;
mod requests;
mod responses;
pub mod types;

pub use crate::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
#[cfg(feature = "default-send-request")]
pub use crate::{default_hooks, default_send_request};
pub use error::{
    HeaderError, HeaderResult, HttpError, HttpResult, http_request_error, hyper_request_error,
    hyper_response_error,
};

use mintage::{Linker, Result};
use mintage_wasi::WasiView;

/// The default of [`WasiHttpHooks::p2_outgoing_body_buffer_chunks`].
pub const DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS: usize = 1;

/// The default of [`WasiHttpHooks::p2_outgoing_body_chunk_size`], in bytes.
pub const DEFAULT_OUTGOING_BODY_CHUNK_SIZE: usize = 64 << 10;

/// Defines all interfaces of `wasi:http/proxy` for a host that calls guests asynchronously.
///
/// Many compilers make guests that import more of WASI than they use, such as the environment. For
/// these, a host adds [`mintage_wasi::p2::add_to_linker_async`] and
/// [`add_only_http_to_linker_async`] instead.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_async<T>(linker: &mut Linker<T>) -> Result<()>
where
    T: WasiHttpView + WasiView + 'static,
{
    mintage_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    add_only_http_to_linker_async(linker)
}

/// Defines `wasi:http` alone for a host that calls guests asynchronously, for example after
/// [`mintage_wasi::p2::add_to_linker_async`].
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_only_http_to_linker_async<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
) -> Result<()> {
    // None of these functions waits: what a guest waits for are pollables and streams.
    let options = bindings::LinkOptions::default();
    bindings::http::types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), |data| {
        data.http().limited()
    })?;
    bindings::http::outgoing_handler::add_to_linker::<T, WasiHttp>(linker, |data| {
        data.http().limited()
    })
}

/// Defines all interfaces of `wasi:http/proxy` for a host that calls guests synchronously.
///
/// Many compilers make guests that import more of WASI than they use, such as the environment. For
/// these, a host adds [`mintage_wasi::p2::add_to_linker_sync`] and
/// [`add_only_http_to_linker_sync`] instead.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_sync<T>(linker: &mut Linker<T>) -> Result<()>
where
    T: WasiHttpView + WasiView + 'static,
{
    mintage_wasi::p2::add_to_linker_proxy_interfaces_sync(linker)?;
    add_only_http_to_linker_sync(linker)
}

/// Defines `wasi:http` alone for a host that calls guests synchronously, for example after
/// [`mintage_wasi::p2::add_to_linker_sync`].
///
/// Requests are sent, and bodies of hyper received, by tasks of tokio: by those of the thread's
/// runtime, which other threads must run, or else by those of a runtime of this crate's.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_only_http_to_linker_sync<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
) -> Result<()> {
    add_only_http_to_linker_async(linker)
}
