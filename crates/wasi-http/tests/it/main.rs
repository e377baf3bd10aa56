//! Guests of `wasi:http/proxy` that are called with requests of hyper, and that send requests to a
//! server of hyper.

mod bodies;
mod client;
mod common;
mod endings;
mod heads;
mod limits;
mod middleware;
mod outgoing;
mod p3;
mod sync;
mod tls;
