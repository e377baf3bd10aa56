//! A host that serves requests: each gets a fresh instance of one component, and many are under way
//! at a time on few threads.
//!
//! ```text
//! database.rs  the host functions: keys and values, with the latency of a network
//! service.rs   one request: an instance, a deadline, a place among those under way
//! server.rs    connections: requests in frames, and what happens when a client goes away
//! ```
//!
//! `wit/` has the world of the component, and `guests/` a component with its source.

#![forbid(unsafe_code)]

pub mod database;
pub mod server;
pub mod service;

pub use database::Database;
pub use service::{Failure, Limits, Request, Response, Service};
