//! Bindings of the world `wasi:cli/command`, generated from `wit/`: here those for hosts that call
//! guests asynchronously, and in [`sync`] those for the others. Interfaces that never wait are the
//! same in both.
//!
//! A host with a world of its own names these modules in the option `with` of its `bindgen!`, for
//! example `"wasi:io": mintage_wasi::p2::bindings::io`.

#[allow(missing_docs, reason = "the macro gives its structs none")]
mod asynchronous {
    mintage::bindgen!({
        path: "../../wit",
        world: "wasi:cli/command",
        imports: {
            "wasi:io/poll.poll": async | trappable,
            "wasi:io/poll.[method]pollable.block": async | trappable,
            "wasi:io/poll.[method]pollable.ready": async | trappable,
            "wasi:io/streams.[method]input-stream.blocking-read": async | trappable,
            "wasi:io/streams.[method]input-stream.blocking-skip": async | trappable,
            "wasi:io/streams.[drop]input-stream": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-splice": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-flush": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-write-and-flush": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush":
                async | trappable,
            "wasi:io/streams.[drop]output-stream": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-bind": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-connect": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-listen": async | trappable,
            "wasi:sockets/udp.[method]udp-socket.start-bind": async | trappable,
            "wasi:sockets/udp.[method]udp-socket.stream": async | trappable,
            "wasi:sockets/udp.[method]outgoing-datagram-stream.send": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        trappable_error_type: {
            "wasi:io/streams.stream-error" => crate::io::StreamError,
            "wasi:filesystem/types.error-code" => crate::p2::FsError,
            "wasi:sockets/network.error-code" => crate::p2::SocketError,
        },
        with: {
            "wasi:io/error.error": crate::p2::IoError,
            "wasi:io/poll.pollable": crate::io::DynPollable,
            "wasi:io/streams.input-stream": crate::io::DynInputStream,
            "wasi:io/streams.output-stream": crate::io::DynOutputStream,
            "wasi:sockets/network.network": crate::p2::sockets::Network,
            "wasi:sockets/tcp.tcp-socket": crate::p2::TcpSocket,
            "wasi:sockets/udp.udp-socket": crate::p2::UdpSocket,
            "wasi:sockets/udp.incoming-datagram-stream":
                crate::p2::sockets::IncomingDatagramStream,
            "wasi:sockets/udp.outgoing-datagram-stream":
                crate::p2::sockets::OutgoingDatagramStream,
            "wasi:sockets/ip-name-lookup.resolve-address-stream":
                crate::p2::sockets::ResolveAddressStream,
            "wasi:filesystem/types.descriptor": crate::fs::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::fs::DirectoryStream,
            "wasi:cli/terminal-input.terminal-input": crate::p2::TerminalInput,
            "wasi:cli/terminal-output.terminal-output": crate::p2::TerminalOutput,
        },
    });
}

pub use asynchronous::wasi::*;
pub use asynchronous::{Command, CommandIndices, CommandPre, LinkOptions, exports};

/// Bindings for hosts that call guests synchronously.
pub mod sync {
    #[allow(missing_docs, reason = "the macro gives its structs none")]
    mod generated {
        mintage::bindgen!({
            path: "../../wit",
            world: "wasi:cli/command",
            imports: { default: trappable },
            trappable_error_type: {
                "wasi:io/streams.stream-error" => crate::io::StreamError,
                "wasi:filesystem/types.error-code" => crate::p2::FsError,
                "wasi:sockets/network.error-code" => crate::p2::SocketError,
            },
            with: {
                "wasi:cli": crate::p2::bindings::cli,
                "wasi:clocks": crate::p2::bindings::clocks,
                "wasi:filesystem": crate::p2::bindings::filesystem,
                "wasi:random": crate::p2::bindings::random,
                "wasi:sockets/network": crate::p2::bindings::sockets::network,
                "wasi:sockets/instance-network": crate::p2::bindings::sockets::instance_network,
                "wasi:sockets/tcp-create-socket": crate::p2::bindings::sockets::tcp_create_socket,
                "wasi:sockets/udp-create-socket": crate::p2::bindings::sockets::udp_create_socket,
                "wasi:sockets/ip-name-lookup": crate::p2::bindings::sockets::ip_name_lookup,

                "wasi:io/error": crate::p2::bindings::io::error,
                "wasi:io/poll.pollable": crate::io::DynPollable,
                "wasi:io/streams.input-stream": crate::io::DynInputStream,
                "wasi:io/streams.output-stream": crate::io::DynOutputStream,

                "wasi:sockets/tcp.tcp-socket": crate::p2::bindings::sockets::tcp::TcpSocket,
                "wasi:sockets/udp.udp-socket": crate::p2::bindings::sockets::udp::UdpSocket,
                "wasi:sockets/udp.incoming-datagram-stream":
                    crate::p2::bindings::sockets::udp::IncomingDatagramStream,
                "wasi:sockets/udp.outgoing-datagram-stream":
                    crate::p2::bindings::sockets::udp::OutgoingDatagramStream,
            },
            require_store_data_send: true,
        });
    }

    pub use generated::wasi::*;
    pub use generated::{Command, CommandIndices, CommandPre, LinkOptions, exports};

    /// File systems never wait, so that they are the same in both bindings.
    pub use super::filesystem;
}
