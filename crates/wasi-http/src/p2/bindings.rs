//! Bindings of the world `wasi:http/proxy`, generated from `wit/`: here those for hosts that call
//! guests asynchronously, and in [`sync`] those for the others.
//!
//! Interfaces of other packages are those of [`mintage_wasi::p2::bindings`].

#[allow(missing_docs, reason = "the macro gives its structs none")]
mod asynchronous {
    mintage::bindgen!({
        path: "../../wit",
        world: "wasi:http/proxy",
        imports: { default: trappable },
        exports: { default: async },
        trappable_error_type: {
            "wasi:http/types.error-code" => crate::p2::HttpError,
            "wasi:http/types.header-error" => crate::p2::HeaderError,
        },
        with: {
            "wasi:cli": mintage_wasi::p2::bindings::cli,
            "wasi:clocks": mintage_wasi::p2::bindings::clocks,
            "wasi:io": mintage_wasi::p2::bindings::io,
            "wasi:random": mintage_wasi::p2::bindings::random,
            "wasi:http/types.fields": crate::FieldMap,
            "wasi:http/types.future-incoming-response":
                crate::p2::types::HostFutureIncomingResponse,
            "wasi:http/types.future-trailers": crate::p2::body::HostFutureTrailers,
            "wasi:http/types.incoming-body": crate::p2::body::HostIncomingBody,
            "wasi:http/types.incoming-request": crate::p2::types::HostIncomingRequest,
            "wasi:http/types.incoming-response": crate::p2::types::HostIncomingResponse,
            "wasi:http/types.outgoing-body": crate::p2::body::HostOutgoingBody,
            "wasi:http/types.outgoing-request": crate::p2::types::HostOutgoingRequest,
            "wasi:http/types.outgoing-response": crate::p2::types::HostOutgoingResponse,
            "wasi:http/types.request-options": crate::RequestOptions,
            "wasi:http/types.response-outparam": crate::p2::types::HostResponseOutparam,
        },
        require_store_data_send: true,
    });
}

pub use asynchronous::wasi::*;
pub use asynchronous::{LinkOptions, Proxy, ProxyIndices, ProxyPre, exports};

/// Bindings for hosts that call guests synchronously.
pub mod sync {
    #[allow(missing_docs, reason = "the macro gives its structs none")]
    mod generated {
        mintage::bindgen!({
            path: "../../wit",
            world: "wasi:http/proxy",
            with: {
                "wasi:http": crate::p2::bindings::http,
                "wasi:cli": mintage_wasi::p2::bindings::sync::cli,
                "wasi:clocks": mintage_wasi::p2::bindings::sync::clocks,
                "wasi:io": mintage_wasi::p2::bindings::sync::io,
                "wasi:random": mintage_wasi::p2::bindings::sync::random,
            },
            require_store_data_send: true,
        });
    }

    pub use generated::wasi::*;
    pub use generated::{LinkOptions, Proxy, ProxyIndices, ProxyPre, exports};
}
