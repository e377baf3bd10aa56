//! `wasi:http/handler` as an import: the next handler of a middleware.

use super::bindings::ServicePre;
use super::bindings::http::types::ErrorCode;
use super::{Request, Response, client};
use crate::hooks::{SendRequestFuture, WasiBody};
use crate::{Error, WasiHttp, WasiHttpView};
use mintage::{Accessor, Linker, Resource, Result, Store};
use mintage_wasi::runtime::spawn;
use std::future::poll_fn;
use tokio::sync::oneshot;

/// Defines the import `wasi:http/handler` of components of the world `wasi:http/middleware`, beside
/// [`add_to_linker`](super::add_to_linker). The hooks handle the requests:
/// [`WasiHttpHooks::handle_request`](crate::WasiHttpHooks::handle_request).
///
/// A host that always has the same component after the middleware need not do this: both can be
/// linked into one, by `mintage compose` for example.
///
/// # Errors
///
/// If the interface is already defined.
pub fn add_handler_to_linker<T: WasiHttpView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let mut handler = linker.instance("wasi:http/handler@0.3.2")?;
    handler.func_wrap_concurrent("handle", |accessor, (request,): (Resource<Request>,)| {
        Box::pin(async move { Ok((handle(accessor, request).await?,)) })
    })
}

async fn handle<T: WasiHttpView + 'static>(
    accessor: &Accessor<T>,
    request: Resource<Request>,
) -> Result<std::result::Result<Resource<Response>, ErrorCode>> {
    let accessor = accessor.with_getter::<WasiHttp>(|data| data.http().limited());
    let passed = client::pass(&accessor, request, |hooks, request, _, processed| {
        hooks.handle_request(request, processed)
    });
    match passed.await {
        Ok(response) => Ok(Ok(response)),
        Err(error) => error.downcast().map(Err),
    }
}

/// Has an instance of `service` handle a request, in a store of its own:
/// [`WasiHttpHooks::handle_request`](crate::WasiHttpHooks::handle_request) can return this.
///
/// The guest runs as a task of tokio, until it has exited and its body was sent, or until whoever
/// gets the response drops that with its body. Its limits are those of the store. If it traps, the
/// future fails with `internal-error`, or the body of the response is broken off.
///
/// ```
/// use mintage::{Result, Store};
/// use mintage_wasi_http::p3::bindings::ServicePre;
/// use mintage_wasi_http::{Error, SendRequestFuture, WasiBody, WasiHttpHooks, WasiHttpView, p3};
///
/// /// Passes requests of a middleware to the component after it.
/// struct Next<T: 'static> {
///     service: ServicePre<T>,
///     new_store: fn(&mintage::Engine) -> Store<T>,
/// }
///
/// impl<T: WasiHttpView + 'static> WasiHttpHooks for Next<T> {
///     fn handle_request(
///         &mut self,
///         request: http::Request<WasiBody>,
///         processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
///     ) -> SendRequestFuture {
///         let store = (self.new_store)(self.service.engine());
///         p3::forward(self.service.clone(), store, request, processed)
///     }
/// }
/// ```
pub fn forward<T: WasiHttpView + 'static>(
    service: ServicePre<T>,
    mut store: Store<T>,
    request: http::Request<WasiBody>,
    processed: Box<dyn Future<Output = crate::Result<()>> + Send>,
) -> SendRequestFuture {
    let (sender, receiver) = oneshot::channel();
    let run = async move {
        let (request, _) = Request::from_http(store.data_mut().http().hooks, request);
        let service = service.instantiate_async(&mut store).await?;
        let running = store.run_concurrent(async |accessor| {
            let response = match service.handle(accessor, request).await? {
                Ok(response) => response,
                Err(code) => {
                    // Whoever has gone away does not want to know.
                    let _ = sender.send(Err(Error::from(code)));
                    return mintage::error::Ok(());
                }
            };
            let processed = Box::into_pin(processed);
            let (response, released) =
                accessor.with(|store| response.into_hyper(store, processed, T::http))?;
            let _ = sender.send(Ok(response));
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            // The value is always an error: what it waits for is that the other side is dropped.
            let _ = released.await;
            Ok(())
        });
        running.await.flatten()
    };
    Box::new(async move {
        let guest = spawn(run);
        let response = match receiver.await {
            Ok(response) => response?,
            Err(_) => {
                let error = guest.await.err();
                let text = error
                    .map(|error| format!("the next handler has failed: {}", error.root_cause()));
                return Err(Error::InternalError(text));
            }
        };
        let io = async move {
            // A guest that fails from here on has broken its body off.
            let _ = guest.await;
            Ok(())
        };
        Ok((response, Box::new(io) as Box<dyn Future<Output = _> + Send>))
    })
}
