//! [`ProxyPre`]: a guest that answers requests, by either version of `wasi:http`.

use super::body::RequestBody;
use super::call::{CallError, Sent};
use crate::error::Code;
use crate::p2::bindings::http::types::{ErrorCode, Scheme};
use crate::p2::bindings::{Proxy as P2Proxy, ProxyPre as P2};
use crate::p3::bindings::{Service, ServicePre as P3};
use crate::p3::{Released, Request, Response};
use crate::{Error, WasiHttpCtxView, WasiHttpView};
use bytes::Bytes;
use http_body::Body;
use mintage::error::bail;
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

    /// Returns whether an instance can answer several requests at a time.
    pub(super) fn answers_several(&self) -> bool {
        matches!(self, ProxyPre::P3(_))
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        self.instance_pre().engine()
    }

    /// Makes an instance of 0.3.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or the guest is one of 0.2.
    pub(super) async fn service(&self, store: &mut Store<T>) -> Result<Service>
    where
        T: Send,
    {
        match self {
            ProxyPre::P3(guest) => guest.instantiate_async(store).await,
            ProxyPre::P2(_) => bail!("an instance of 0.2 answers one request at a time"),
        }
    }

    /// Returns the component with its imports.
    pub fn instance_pre(&self) -> &InstancePre<T> {
        match self {
            ProxyPre::P2(guest) => guest.instance_pre(),
            ProxyPre::P3(guest) => guest.instance_pre(),
        }
    }
}

/// An instance that answers one request at a time.
pub(super) struct Instance<T: 'static> {
    pub store: Store<T>,
    /// None before the first request.
    proxy: Option<Proxy>,
    /// The requests that it has begun to answer.
    pub begun: usize,
}

/// The functions of an instance, by version.
enum Proxy {
    P2(P2Proxy),
    P3(Service),
}

impl<T: WasiHttpView + 'static> Instance<T> {
    /// Creates one, which is instantiated when it is to answer its first request.
    pub fn new(store: Store<T>) -> Self {
        Instance {
            store,
            proxy: None,
            begun: 0,
        }
    }

    /// Has the guest answer a request, to its end.
    pub async fn answer<B>(
        &mut self,
        guest: &ProxyPre<T>,
        request: http::Request<RequestBody<B>>,
        sender: oneshot::Sender<Sent>,
    ) -> Result<(), CallError>
    where
        RequestBody<B>: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        self.begun += 1;
        let store = &mut self.store;
        let proxy = match &self.proxy {
            Some(proxy) => proxy,
            None => &*self.proxy.insert(match guest {
                ProxyPre::P2(guest) => Proxy::P2(guest.instantiate_async(&mut *store).await?),
                ProxyPre::P3(guest) => Proxy::P3(guest.instantiate_async(&mut *store).await?),
            }),
        };
        match proxy {
            Proxy::P2(proxy) => {
                let mut http = store.data_mut().http();
                let request = http
                    .new_incoming_request(Scheme::Http, request)
                    .map_err(|_| CallError::Request)?;
                let out = http.new_response_outparam(sender)?;
                let handler = proxy.wasi_http_incoming_handler();
                Ok(handler.call_handle(store, request, out).await?)
            }
            Proxy::P3(service) => {
                let request = request_of_p3(store.data_mut().http(), request)?;
                let running = store.run_concurrent(async |accessor| {
                    let response = service.handle(accessor, request).await?;
                    let released = send(accessor, response, sender)?;
                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                    // The values are always errors: what it waits for is that the other side is
                    // dropped.
                    let _ = released.await;
                    // A guest may have passed on what its client still sends.
                    let sending =
                        accessor.with(|mut access| access.data_mut().http().ctx.take_sending());
                    for body in sending {
                        let _ = body.await;
                    }
                    mintage::error::Ok(())
                });
                Ok(running.await.flatten()?)
            }
        }
    }

    /// Returns whether the instance can answer another request, after it has answered one: a body
    /// that it has not ended would stay open as long as its store.
    pub fn is_reusable(&mut self) -> bool {
        !self.store.data_mut().http().ctx.has_open_bodies()
    }
}

/// Makes a request of the client one for a guest of 0.3.
pub(super) fn request_of_p3<B>(
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

/// Sends the head of a response. Returns a future that is ready when the response's body does not
/// need the store any more.
pub(super) fn send<T: WasiHttpView + 'static>(
    accessor: &Accessor<T>,
    response: Result<Response, crate::p3::bindings::http::types::ErrorCode>,
    sender: oneshot::Sender<Sent>,
) -> Result<Released> {
    match response {
        Ok(response) => {
            let (response, released) =
                accessor.with(|store| response.into_hyper(store, ready(Ok(())), T::http))?;
            // A client that has gone away ends the guest.
            let _ = sender.send(Ok(response));
            Ok(released)
        }
        Err(code) => {
            let error = Error::from(code);
            let code = ErrorCode::of(&error);
            let _ = sender.send(Err(code.unwrap_or(ErrorCode::InternalError(None))));
            Ok(oneshot::channel().1)
        }
    }
}
