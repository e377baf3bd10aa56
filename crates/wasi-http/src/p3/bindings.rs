//! Bindings of the world `wasi:http/service` of WASI 0.3, generated from `wit/p3`.
//!
//! Interfaces of other packages are those of [`mintage_wasi::p3::bindings`].

#[allow(missing_docs, reason = "the macro gives its structs none")]
mod generated {
    mintage::bindgen!({
        path: "../../wit/p3",
        world: "wasi:http/service",
        imports: {
            "wasi:http/types.[static]request.new": store | trappable,
            "wasi:http/types.[static]request.consume-body": store | trappable,
            "wasi:http/types.[static]response.new": store | trappable,
            "wasi:http/types.[static]response.consume-body": store | trappable,
            default: trappable,
        },
        exports: { default: async | store },
        trappable_error_type: {
            "wasi:http/types.error-code" => crate::p3::HttpError,
            "wasi:http/types.header-error" => crate::p3::HeaderError,
            "wasi:http/types.request-options-error" => crate::p3::RequestOptionsError,
        },
        with: {
            "wasi:cli": mintage_wasi::p3::bindings::cli,
            "wasi:clocks": mintage_wasi::p3::bindings::clocks,
            "wasi:random": mintage_wasi::p3::bindings::random,
            "wasi:http/types.fields": crate::FieldMap,
            "wasi:http/types.request": crate::p3::Request,
            "wasi:http/types.request-options":
                crate::p3::MaybeMutable<crate::RequestOptions>,
            "wasi:http/types.response": crate::p3::Response,
        },
        require_store_data_send: true,
    });
}

pub use generated::wasi::*;
pub use generated::{LinkOptions, Service, ServiceIndices, ServicePre, exports};
