//! Sockets: TCP, UDP and name look-up.

/// What a guest can do with the network. By default nothing.
#[derive(Debug, Default)]
pub struct WasiSocketsCtx {}
