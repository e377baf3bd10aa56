//! [`warm_up`]: a component whose instances start in the state after a request.

use crate::Error;
use crate::WasiHttpView;
use crate::p2::bindings::http::types::Scheme;
use crate::p2::bindings::{Proxy, ProxyPre};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use mintage::error::{Context as _, bail};
use mintage::{Component, Result, Store};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::sync::oneshot;

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
        let body = Full::new(Bytes::from(text));
        body.map_err(|never| -> Error { match never {} })
    });
    let (sender, mut receiver) = oneshot::channel();
    let instance = guest.instance_pre().instantiate_async(&mut store).await?;
    let proxy = Proxy::new(&mut store, &instance)?;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let out = http.new_response_outparam(sender)?;
    let mut response = None;
    {
        let handler = proxy.wasi_http_incoming_handler();
        let mut call = pin!(handler.call_handle(&mut store, request, out));
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
    }
    let response = match response {
        Some(response) => response.ok(),
        None => receiver.try_recv().ok(),
    };
    let status = match response {
        Some(Ok(response)) => response.status(),
        Some(Err(code)) => bail!("the guest answered with an error: {code:?}"),
        None => bail!("the guest returned without a response"),
    };
    let component = instance.snapshot_retiring_handles(&mut store)?;
    Ok((status, component))
}
