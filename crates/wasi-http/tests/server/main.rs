//! Tests of the server: a guest in this process, real connections, a client of hyper or a raw
//! socket.

mod answers;
mod bad_input;
mod bodies;
mod client;
mod common;
mod endings;
mod http2;
mod limits;
mod p3;
mod reuse;
