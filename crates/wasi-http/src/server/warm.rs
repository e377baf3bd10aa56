//! [`warm_up`]: a component whose instances start in the state after a request.

use super::guest::ProxyPre;
use crate::p2::bindings::Proxy;
use crate::p2::bindings::http::types::Scheme;
use crate::p3::bindings::Service;
use crate::{Error, WasiHttpView, p3};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt, Full};
use mintage::error::{Context as _, bail, format_err};
use mintage::{Component, Result, Store};
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::sync::oneshot;

/// The body of the request.
type RequestBody = MapErr<Full<Bytes>, fn(Infallible) -> Error>;

/// Lets an instance answer a request, and returns the status of its response, and a component whose
/// instances start in its state after that: see
/// [`Instance::snapshot_retiring_handles`](mintage::Instance::snapshot_retiring_handles).
///
/// **All** state is passed on: secrets, the time and random numbers that the guest has read are the
/// same in all later instances. Resources that the guest still has after the request, such as open
/// streams, are not. A guest that uses them later traps, so let an instance of the component answer
/// the request once more before it serves others.
///
/// # Errors
///
/// If the guest fails or sends no response, or if there is no snapshot of it.
pub async fn warm_up<T: WasiHttpView + 'static>(
    guest: &ProxyPre<T>,
    mut store: Store<T>,
    request: Request<String>,
) -> Result<(StatusCode, Component)> {
    let request = request.map(|text| {
        let never: fn(Infallible) -> Error = |never| match never {};
        Full::new(Bytes::from(text)).map_err(never)
    });
    let instance = guest.instance_pre().instantiate_async(&mut store).await?;
    let status = match guest {
        ProxyPre::P2(_) => {
            let proxy = Proxy::new(&mut store, &instance)?;
            answer_by_p2(&proxy, &mut store, request).await?
        }
        ProxyPre::P3(_) => {
            let service = Service::new(&mut store, &instance)?;
            answer_by_p3(&service, &mut store, request).await?
        }
    };
    let component = instance.snapshot_retiring_handles(&mut store)?;
    Ok((status, component))
}

/// Lets a guest of 0.2 answer a request, and returns the status of its response.
async fn answer_by_p2<T: WasiHttpView + 'static>(
    proxy: &Proxy,
    store: &mut Store<T>,
    request: Request<RequestBody>,
) -> Result<StatusCode> {
    let (sender, mut receiver) = oneshot::channel();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let out = http.new_response_outparam(sender)?;
    let mut response = None;
    let handler = proxy.wasi_http_incoming_handler();
    let mut call = pin!(handler.call_handle(store, request, out));
    // The guest may wait until its body is taken.
    let returned = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = call.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if response.is_none()
                && let Poll::Ready(sent) = Pin::new(&mut receiver).poll(cx)
            {
                response = Some(sent);
            }
            let Some(Ok(Ok(response))) = &mut response else {
                return Poll::Pending;
            };
            let response: &mut http::Response<_> = response;
            let body = Pin::new(response.body_mut());
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                _ => return Poll::Pending,
            }
        }
    });
    returned.await.context("the guest failed")?;
    let response = match response {
        Some(response) => response.ok(),
        None => receiver.try_recv().ok(),
    };
    match response {
        Some(Ok(response)) => Ok(response.status()),
        Some(Err(code)) => bail!("the guest answered with an error: {code:?}"),
        None => bail!("the guest returned without a response"),
    }
}

/// Lets a guest of 0.3 answer a request, and returns the status of its response.
async fn answer_by_p3<T: WasiHttpView + 'static>(
    service: &Service,
    store: &mut Store<T>,
    request: Request<RequestBody>,
) -> Result<StatusCode> {
    let view = store.data_mut().http();
    let (mut request, _) = p3::Request::from_http(view.hooks, request);
    request.scheme = Some(http::uri::Scheme::HTTP);
    let running = store.run_concurrent(async |accessor| {
        let response = service.handle(accessor, request).await?;
        let response =
            response.map_err(|code| format_err!("the guest answered with an error: {code:?}"))?;
        let response = accessor.with(|store| response.into_http(store, ready(Ok(()))))?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.context("the guest broke its response off")?;
        }
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        Ok(status)
    });
    running.await.flatten().context("the guest failed")
}
