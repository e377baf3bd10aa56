//! WASI HTTP for hosts of Mintage: `wasi:http` 0.2 and 0.3, incoming and outgoing requests.
//!
//! A host has a [`WasiHttpCtx`] in the data of its store and implements [`WasiHttpView`]. Then
//! [`p2::add_to_linker_async`] defines all interfaces of the world `wasi:http/proxy` of 0.2, and
//! [`p2::bindings::ProxyPre`] calls guests of it. [`p3::add_to_linker`] and
//! [`p3::bindings::ServicePre`] are for the world `wasi:http/service` of 0.3. The names are those
//! of Wasmtime's crate `wasmtime-wasi-http`.
//!
//! A guest may send requests only to destinations that the host has allowed, by default none: see
//! [`WasiHttpCtx::allow_destination`] and [`WasiHttpCtx::allow_all_destinations`].
//!
//! # Folders
//!
//! Each file or folder uses those above it in this table, and of those below only types.
//!
//! | folder | has |
//! |---|---|
//! | `error` | [`Error`] |
//! | `options` | [`RequestOptions`] |
//! | `fields` | [`FieldMap`]: headers and trailers with the rules of `wasi:http` |
//! | `counts` | what a guest has, and its limits |
//! | `allow` | [`Destinations`] |
//! | `client` | [`Client`]: a pool of connections, TLS, with the feature `default-send-request` |
//! | `ctx` | [`WasiHttpCtx`], [`WasiHttpView`] |
//! | `hooks` | [`WasiHttpHooks`] |
//! | `reader`, `queue` | the bodies that guests receive and send, in either version |
//! | `convert`, `outgoing` | values of WIT, and heads of requests that guests send |
//! | `p2` | `wasi:http` 0.2 |
//! | `p3` | `wasi:http` 0.3 |
//! | `server` | a server whose requests are answered by guests, with the feature `server` |

#![forbid(unsafe_code)]

mod allow;
#[cfg(feature = "default-send-request")]
mod client;
mod convert;
mod counts;
mod ctx;
mod error;
mod fields;
mod hooks;
pub mod io;
mod options;
mod outgoing;
pub mod p2;
pub mod p3;
mod queue;
mod reader;
#[cfg(feature = "server")]
pub mod server;

pub use allow::{Destinations, ParseDestinationError};
#[cfg(feature = "default-send-request")]
pub use client::{Client, ClientBuilder, default_send_request};
pub use ctx::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
pub use error::{Error, Result};
pub use fields::{DEFAULT_FORBIDDEN_HEADERS, FieldMap, FieldMapError};
#[cfg(feature = "default-send-request")]
pub use hooks::default_hooks;
pub use hooks::{SendRequestFuture, WasiBody, WasiHttpHooks};
pub use options::RequestOptions;

// The paths of Wasmtime's crate before version 42.
pub use p2::{
    HttpError, HttpResult, add_only_http_to_linker_async, add_only_http_to_linker_sync,
    add_to_linker_async, add_to_linker_sync, bindings, body, hyper_request_error,
    hyper_response_error, types,
};
