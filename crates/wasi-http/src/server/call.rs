//! [`Call`]: the call of a guest for one request, and the head of its response.

use super::body::{RequestBody, RequestBodyState, ResponseBody};
use super::ending::Reporter;
use super::failure::Failure;
use super::gate::Permit;
use super::guest::{Instance, ProxyPre, request_of_p3};
use super::reuse::{Kept, Reuse};
use super::shared::{Job, SharedInstance};
use crate::p2::bindings::http::types::ErrorCode;
use crate::p2::body::HyperOutgoingBody;
use crate::{WasiHttpCtxView, WasiHttpView};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mintage::{Engine, Error, Store};
use mintage_wasi::I32Exit;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The head that a guest sends: through its out-parameter, or as its result.
pub(super) type Sent = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// The call of a guest for one request.
pub(super) struct Call {
    guest: Running,
    receiver: oneshot::Receiver<Sent>,
}

/// The call of a guest, or the wait for one that another task runs.
type Guest = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// A guest that runs.
pub(super) struct Running {
    future: Guest,
    start: Instant,
    timeout: Option<Duration>,
    body: Arc<RequestBodyState>,
}

/// The reason why a guest did not return.
pub(super) enum CallError {
    /// The request cannot be passed to it.
    Request,
    Guest(Error),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        CallError::Guest(error)
    }
}

/// The instances that answer further requests, and how often they do.
pub(super) struct Reusing<T: 'static> {
    pub reuse: Reuse,
    pub kept: Arc<Kept<T>>,
}

/// The limits of a call that has begun.
pub(super) struct CallLimits {
    pub start: Instant,
    pub timeout: Option<Duration>,
    pub max_request_body: u64,
    /// One of the requests that may be under way.
    pub permit: Permit,
}

impl Call {
    /// Prepares the call of an instance. The guest runs when [`head`](Self::head) is polled. The
    /// instance ends with the request, unless `reusing` has it answer more.
    pub fn new<T, B>(
        guest: Arc<ProxyPre<T>>,
        mut instance: Instance<T>,
        reusing: Option<Reusing<T>>,
        request: Request<B>,
        limits: CallLimits,
    ) -> Call
    where
        T: WasiHttpView + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let CallLimits {
            start,
            timeout,
            max_request_body,
            permit,
        } = limits;
        let (request, body) = limited(request, max_request_body);
        let (sender, receiver) = oneshot::channel();
        let future = Box::pin(async move {
            let result = instance.answer(&guest, request, sender).await;
            match (&result, reusing) {
                (Ok(()) | Err(CallError::Request), Some(Reusing { reuse, kept })) => {
                    kept.put(&reuse, &guest, instance);
                }
                _ => drop(instance),
            }
            // The request is under way until its memory is back.
            drop(permit);
            or_exited(result)
        });
        Call {
            guest: Running {
                future,
                start,
                timeout,
                body,
            },
            receiver,
        }
    }

    /// Prepares the call of an instance of 0.3 that answers several requests at a time: one that is
    /// kept, or one in the store that `new_store` makes.
    ///
    /// # Errors
    ///
    /// If `new_store` fails.
    pub fn shared<T, B>(
        guest: Arc<ProxyPre<T>>,
        new_store: impl FnOnce(&Engine) -> Result<Store<T>, Failure>,
        reusing: Reusing<T>,
        request: Request<B>,
        limits: CallLimits,
    ) -> Result<(Call, bool), Failure>
    where
        T: WasiHttpView + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let CallLimits {
            start,
            timeout,
            max_request_body,
            permit,
        } = limits;
        let (request, body) = limited(request, max_request_body);
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            request: Box::new(move |view: WasiHttpCtxView<'_>| request_of_p3(view, request)),
            sender,
            deadline: timeout.and_then(|timeout| start.checked_add(timeout)),
            permit,
        };
        let Reusing { reuse, kept } = reusing;
        let joined = kept.join(&reuse, &guest, job);
        let is_joined = joined.is_ok();
        let future: Guest = match joined {
            Ok(ticket) => Box::pin(async move { or_exited(ticket.end().await) }),
            Err(job) => {
                let mut store = new_store(guest.engine())?;
                Box::pin(async move {
                    let service = guest.service(&mut store).await?;
                    let (shared, ticket) = SharedInstance::start(store, service, job, kept.count());
                    kept.share(&reuse, &guest, &shared);
                    or_exited(ticket.end().await)
                })
            }
        };
        let guest = Running {
            future,
            start,
            timeout,
            body,
        };
        Ok((Call { guest, receiver }, is_joined))
    }

    /// Runs the guest until there is a head, or none can come any more. Returns the guest as well,
    /// if it goes on.
    pub async fn head(self, reporter: &Reporter) -> (Result<Head, Failure>, Option<Running>) {
        let Call {
            mut guest,
            mut receiver,
        } = self;
        let mut returned = None;
        let sent = poll_fn(|cx| {
            // First, since most guests set their whole response at once.
            if returned.is_none()
                && let Poll::Ready(result) = guest.future.as_mut().poll(cx)
            {
                returned = Some(result);
            }
            match returned {
                // An instance may keep what it would send a response by.
                Some(_) => Poll::Ready(receiver.try_recv().ok()),
                None => Pin::new(&mut receiver).poll(cx).map(Result::ok),
            }
        });
        let sent = sent.await;
        let Some(returned) = returned else {
            let head = match sent {
                Some(sent) => guest.valid(sent).map(Head::Running),
                None => Err(Failure::NoResponse),
            };
            return (head, Some(guest));
        };
        let failure = returned.err().map(|error| guest.failure(error));
        let head = match (sent.map(|sent| guest.valid(sent)), failure) {
            (Some(Ok(response)), failure) => {
                let (parts, body) = response.into_parts();
                let body = ResponseBody::finished(body).await;
                match failure {
                    // The response is there, and what follows is not the client's concern.
                    Some(failure) if body.is_whole() => {
                        reporter.failed(&failure);
                        Ok(Response::from_parts(parts, body))
                    }
                    // Nothing of the response has been sent yet.
                    Some(failure) => Err(failure),
                    None => Ok(Response::from_parts(parts, body)),
                }
            }
            (_, Some(failure)) => Err(failure),
            (Some(Err(failure)), None) => Err(failure),
            (None, None) => Err(guest.too_large().unwrap_or(Failure::NoResponse)),
        };
        (head.map(Head::Finished), None)
    }
}

/// Limits the body of a request. Returns its state as well, which the body shares.
fn limited<B: Body>(
    request: Request<B>,
    max_request_body: u64,
) -> (Request<RequestBody<B>>, Arc<RequestBodyState>) {
    let state = Arc::<RequestBodyState>::default();
    let request = request.map(|body| RequestBody::new(body, max_request_body, state.clone()));
    (request, state)
}

/// Makes a guest that exits one that has returned, whatever its exit code.
fn or_exited(result: Result<(), CallError>) -> Result<(), CallError> {
    match result {
        Err(CallError::Guest(error)) if error.downcast_ref::<I32Exit>().is_some() => Ok(()),
        result => result,
    }
}

/// The head of a response, with its body.
#[allow(
    clippy::large_enum_variant,
    reason = "most are the large one, and a box would be an allocation for each request"
)]
pub(super) enum Head {
    /// The guest has returned.
    Finished(Response<ResponseBody>),
    /// The guest goes on.
    Running(Response<HyperOutgoingBody>),
}

impl Running {
    /// Runs the guest to its end.
    pub async fn run(mut self, reporter: Reporter) {
        if let Err(error) = self.future.as_mut().await {
            reporter.failed(&self.failure(error));
        }
    }

    /// Checks what the guest has sent.
    fn valid(&self, sent: Sent) -> Result<Response<HyperOutgoingBody>, Failure> {
        let response = sent.map_err(|code| self.too_large().unwrap_or(Failure::Refused(code)))?;
        if response.status().is_informational() {
            return Err(Failure::InvalidResponse(
                "a final response has no status below 200",
            ));
        }
        Ok(response)
    }

    /// Sorts the error of the guest.
    fn failure(&self, error: CallError) -> Failure {
        let error = match error {
            CallError::Request => {
                return Failure::BadRequest("the request has no target that a guest can be given");
            }
            CallError::Guest(error) => error,
        };
        let timed_out = self
            .timeout
            .is_some_and(|timeout| self.start.elapsed() >= timeout);
        let failure = Failure::of_call(error, timed_out, self.body.waits.load(Relaxed));
        match failure {
            Failure::Failed(_) => self.too_large().unwrap_or(failure),
            failure => failure,
        }
    }

    /// Returns the failure of a request whose body was too large.
    fn too_large(&self) -> Option<Failure> {
        let is_too_large = self.body.is_too_large.load(Relaxed);
        is_too_large.then_some(Failure::RequestTooLarge)
    }
}
