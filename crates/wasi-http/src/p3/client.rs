//! `wasi:http/client`.

use super::bindings::http::client::{Host, HostWithStore};
use super::bindings::http::types::ErrorCode;
use super::error::{HttpError, HttpResult, error_code};
use super::{Request, Response};
use crate::counts::Slot;
use crate::hooks::{SendRequestFuture, WasiBody};
use crate::reader::Keeps;
use crate::{Error, RequestOptions, WasiHttp, WasiHttpCtxView, WasiHttpHooks};
use mintage::component::Access;
use mintage::{Accessor, Resource};
use mintage_wasi::runtime::{AbortOnDropJoinHandle, poll_noop, spawn};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a guest says of the body of a response.
type Received = Pin<Box<dyn Future<Output = crate::Result<()>> + Send>>;

/// A request that is being sent.
struct Sending {
    task: AbortOnDropJoinHandle<crate::Result<Sent>>,
    /// Passes on what the guest says of the response's body.
    received: oneshot::Sender<Received>,
    slot: Arc<Slot>,
}

/// A response, and a task that goes on with what its body needs.
struct Sent {
    response: http::Response<WasiBody>,
    worker: Option<AbortOnDropJoinHandle<()>>,
}

impl Host for WasiHttpCtxView<'_> {}

impl<T: Send> HostWithStore<T> for WasiHttp {
    async fn send(
        accessor: &Accessor<T, Self>,
        request: Resource<Request>,
    ) -> HttpResult<Resource<Response>> {
        pass(accessor, request, |hooks, request, options, processed| {
            hooks.send_request(request, options, processed)
        })
        .await
    }
}

/// The function of the hooks that gets a request.
pub(super) type Hook = fn(
    &mut dyn WasiHttpHooks,
    http::Request<WasiBody>,
    Option<RequestOptions>,
    Box<dyn Future<Output = crate::Result<()>> + Send>,
) -> SendRequestFuture;

/// Passes a request to the host, and returns the response.
pub(super) async fn pass<T: 'static>(
    accessor: &Accessor<T, WasiHttp>,
    request: Resource<Request>,
    hook: Hook,
) -> HttpResult<Resource<Response>> {
    let Sending {
        task,
        received,
        slot,
    } = accessor.with(|access| begin(access, request, hook))?;
    let sent = task.await;
    accessor.with(|mut access| {
        let view = access.get();
        let Sent { response, worker } = sent.map_err(|error| error_code(view.hooks, &error))?;
        let keeps = Keeps {
            worker,
            slot: Some(slot),
        };
        let (mut response, outcome) = Response::kept(view.hooks, response, keeps);
        // If the host does not wait for it, it does not want to know.
        let _ = received.send(Box::pin(outcome));
        if response.headers.count(view.ctx.counts()).is_err() {
            let size = u32::try_from(response.headers.size()).ok();
            return Err(ErrorCode::HttpResponseHeaderSectionSize(size).into());
        }
        view.table.push(response).map_err(HttpError::trap)
    })
}

/// Begins to pass a request to the host.
fn begin<T: 'static>(
    mut access: Access<'_, T, WasiHttp>,
    request: Resource<Request>,
    hook: Hook,
) -> HttpResult<Sending> {
    let getter = access.getter();
    let view = access.get();
    let request = view.table.delete(request).map_err(HttpError::trap)?;
    let slot = view.ctx.counts().request();
    let slot = slot.ok_or(ErrorCode::ConnectionLimitReached)?;
    let (tell, told) = oneshot::channel();
    let sent = async { told.await.unwrap_or(Ok(())) };
    let (request, options, released) = request.into_hyper(&mut access, sent, getter)?;
    access.get().ctx.note_sending(released);
    let (received, outcome) = oneshot::channel::<Received>();
    let processed = Box::new(async {
        match outcome.await {
            Ok(outcome) => outcome.await,
            // The guest has not got the response.
            Err(_) => Ok(()),
        }
    });
    let options = options.map(|options| *options);
    let future = hook(access.get().hooks, request, options, processed);
    Ok(Sending {
        task: spawn(send(future, tell)),
        received,
        slot: Arc::new(slot),
    })
}

/// Sends a request, and passes on how that has ended.
async fn send(
    future: SendRequestFuture,
    tell: oneshot::Sender<crate::Result<()>>,
) -> crate::Result<Sent> {
    // If the guest does not wait for it, it does not want to know.
    let told = |tell: oneshot::Sender<_>, result| drop(tell.send(result));
    let (response, io) = match Box::into_pin(future).await {
        Ok(sent) => sent,
        Err(error) => {
            told(tell, Err(Error::copy(&error)));
            return Err(error);
        }
    };
    let mut io = Box::into_pin(io);
    // Most need nothing, and then there is no task.
    let worker = match poll_noop(Pin::new(&mut io)) {
        Some(result) => {
            told(tell, result);
            None
        }
        None => Some(spawn(async move { told(tell, io.await) })),
    };
    Ok(Sent { response, worker })
}
