//! [`ProxyPre`]: a guest that answers requests, by either version of `wasi:http`.

use super::body::RequestBody;
use super::call::{CallError, Sent};
use crate::error::Code;
use crate::p2::bindings::ProxyPre as P2;
use crate::p2::bindings::http::types::{ErrorCode, Scheme};
use crate::p3::bindings::ServicePre as P3;
use crate::p3::{Request, Response};
use crate::{Error, WasiHttpCtxView, WasiHttpView};
use bytes::Bytes;
use http_body::Body;
use mintage::{Accessor, Engine, InstancePre, Result, Store};
use std::future::{poll_fn, ready};
use tokio::sync::oneshot;

/// A guest that answers requests: one that exports `wasi:http/handler` of 0.3, or
/// `wasi:http/incoming-handler` of 0.2.
#[derive(Clone)]
#[non_exhaustive]
pub enum ProxyPre<T: 'static> {
    /// One of 0.2.
    P2(P2<T>),
    /// One of 0.3.
    P3(P3<T>),
}

impl<T: 'static> From<P2<T>> for ProxyPre<T> {
    fn from(guest: P2<T>) -> Self {
        ProxyPre::P2(guest)
    }
}

impl<T: 'static> From<P3<T>> for ProxyPre<T> {
    fn from(guest: P3<T>) -> Self {
        ProxyPre::P3(guest)
    }
}

impl<T: 'static> ProxyPre<T> {
    /// Finds out by which version a component answers requests. It is 0.3 if the component has
    /// both.
    ///
    /// # Errors
    ///
    /// If it has neither.
    pub fn new(pre: InstancePre<T>) -> Result<Self> {
        match P3::new(pre.clone()) {
            Ok(guest) => Ok(ProxyPre::P3(guest)),
            Err(error) => match P2::new(pre) {
                Ok(guest) => Ok(ProxyPre::P2(guest)),
                Err(older) => Err(error.context(format!("{older:#}"))),
            },
        }
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        self.instance_pre().engine()
    }

    /// Returns the component with its imports.
    pub fn instance_pre(&self) -> &InstancePre<T> {
        match self {
            ProxyPre::P2(guest) => guest.instance_pre(),
            ProxyPre::P3(guest) => guest.instance_pre(),
        }
    }
}

/// Has an instance of its own answer a request, to its end.
pub(super) async fn answer<T, B>(
    guest: &ProxyPre<T>,
    store: &mut Store<T>,
    request: http::Request<RequestBody<B>>,
    sender: oneshot::Sender<Sent>,
) -> Result<(), CallError>
where
    T: WasiHttpView + 'static,
    RequestBody<B>: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    match guest {
        ProxyPre::P2(guest) => {
            let mut http = store.data_mut().http();
            let request = http
                .new_incoming_request(Scheme::Http, request)
                .map_err(|_| CallError::Request)?;
            let out = http.new_response_outparam(sender)?;
            let proxy = guest.instantiate_async(&mut *store).await?;
            let handler = proxy.wasi_http_incoming_handler();
            Ok(handler.call_handle(store, request, out).await?)
        }
        ProxyPre::P3(guest) => {
            let request = request_of_p3(store.data_mut().http(), request)?;
            let service = guest.instantiate_async(&mut *store).await?;
            let running = store.run_concurrent(async |accessor| {
                let response = service.handle(accessor, request).await?;
                finish(accessor, response, sender).await
            });
            Ok(running.await??)
        }
    }
}

/// Makes a request of the client one for a guest of 0.3.
fn request_of_p3<B>(
    view: WasiHttpCtxView<'_>,
    request: http::Request<RequestBody<B>>,
) -> Result<Request, CallError>
where
    RequestBody<B>: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let (mut request, _) = Request::from_http(view.hooks, request);
    if request.authority.is_none() {
        return Err(CallError::Request);
    }
    request.scheme = Some(http::uri::Scheme::HTTP);
    Ok(request)
}

/// Sends the head of a response, and waits until the guest has exited and the body does not need
/// it any more.
async fn finish<T: WasiHttpView + 'static>(
    accessor: &Accessor<T>,
    response: Result<Response, crate::p3::bindings::http::types::ErrorCode>,
    sender: oneshot::Sender<Sent>,
) -> Result<()> {
    let released = match response {
        Ok(response) => {
            let (response, released) =
                accessor.with(|store| response.into_hyper(store, ready(Ok(())), T::http))?;
            // A client that has gone away ends the guest.
            let _ = sender.send(Ok(response));
            Some(released)
        }
        Err(code) => {
            let error = Error::from(code);
            let code = ErrorCode::of(&error);
            let _ = sender.send(Err(code.unwrap_or(ErrorCode::InternalError(None))));
            None
        }
    };
    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
    if let Some(released) = released {
        // The value is always an error: what it waits for is that the other side is dropped.
        let _ = released.await;
    }
    Ok(())
}
