//! Bindings of the world `wasi:cli/command` of WASI 0.3, generated from `wit/p3`.
//!
//! A host with a world of its own names these modules in the option `with` of its `bindgen!`, for
//! example `"wasi:clocks": mintage_wasi::p3::bindings::clocks`.

#[allow(missing_docs, reason = "the macro gives its structs none")]
mod generated {
    mintage::bindgen!({
        path: "../../wit/p3",
        world: "wasi:cli/command",
        imports: {
            "wasi:cli/stdin": store | trappable,
            "wasi:cli/stdout": store | trappable,
            "wasi:cli/stderr": store | trappable,
            "wasi:filesystem/types.[method]descriptor.read-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.write-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.append-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.read-directory": store | trappable,
            "wasi:sockets/types.[method]tcp-socket.bind": async | trappable,
            "wasi:sockets/types.[method]tcp-socket.listen": async | store | trappable,
            "wasi:sockets/types.[method]tcp-socket.send": store | trappable,
            "wasi:sockets/types.[method]tcp-socket.receive": store | trappable,
            "wasi:sockets/types.[method]udp-socket.bind": async | trappable,
            "wasi:sockets/types.[method]udp-socket.connect": async | trappable,
            default: trappable,
        },
        exports: { default: async | store },
        trappable_error_type: {
            "wasi:filesystem/types.error-code" => crate::p3::filesystem::FilesystemError,
            "wasi:sockets/types.error-code" => crate::p3::sockets::SocketError,
        },
        with: {
            "wasi:cli/terminal-input.terminal-input": crate::p3::cli::TerminalInput,
            "wasi:cli/terminal-output.terminal-output": crate::p3::cli::TerminalOutput,
            "wasi:filesystem/types.descriptor": crate::fs::Descriptor,
            "wasi:sockets/types.tcp-socket": crate::p3::sockets::TcpSocket,
            "wasi:sockets/types.udp-socket": crate::p3::sockets::UdpSocket,
        },
    });
}

pub use generated::wasi::*;
pub use generated::{Command, CommandIndices, CommandPre, LinkOptions, exports};
