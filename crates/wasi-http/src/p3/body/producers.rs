//! [`ContentsProducer`] and [`TrailersProducer`]: a body of the host, for a guest.

use super::{Getter, Trailers};
use crate::FieldMap;
use crate::p3::bindings::http::types::ErrorCode;
use crate::p3::error::error_code;
use crate::reader::{Contents, Reader};
use mintage::component::{Destination, FutureProducer, StreamProducer, StreamResult, VecBuffer};
use mintage::{Result, StoreContextMut};
use std::any::{Any, TypeId};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Delivers the bytes of a body of the host to a guest.
pub(super) struct ContentsProducer(pub Contents);

/// How many bytes are delivered at once if the host reads them.
const HOST_PIECE: usize = 1 << 16;

impl<D: 'static> StreamProducer<D> for ContentsProducer {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut body = self.0.lock();
        if body.poll_fill(cx).is_pending() {
            return match finish {
                true => Poll::Ready(Ok(StreamResult::Cancelled)),
                false => Poll::Pending,
            };
        }
        if body.buffered() == 0 {
            // The future of the trailers tells how it has ended.
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        body.copy_to(destination.as_direct(store, HOST_PIECE))?;
        Poll::Ready(Ok(match body.is_at_end() && body.buffered() == 0 {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        match ty == TypeId::of::<Contents>() {
            true => Ok(Box::new(Pin::into_inner(me).0)),
            false => Err(me),
        }
    }
}

/// Tells a guest how a body of the host has ended.
pub(super) struct TrailersProducer<D: 'static> {
    pub reader: Reader,
    pub getter: Getter<D>,
}

impl<D: 'static> FutureProducer<D> for TrailersProducer<D> {
    type Item = Trailers;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<Trailers>>> {
        let polled = self.reader.lock().poll_trailers(cx);
        let trailers = match polled {
            Poll::Ready(trailers) => trailers,
            Poll::Pending if finish => return Poll::Ready(Ok(None)),
            Poll::Pending => return Poll::Pending,
        };
        let view = (self.getter)(store.data_mut());
        Poll::Ready(Ok(Some(match trailers {
            Ok(None) => Ok(None),
            Ok(Some(trailers)) => {
                let mut trailers = FieldMap::new_immutable(view.hooks, trailers);
                match trailers.count(view.ctx.counts()) {
                    Ok(()) => Ok(Some(view.table.push(trailers)?)),
                    Err(_) => {
                        let size = u32::try_from(trailers.size()).ok();
                        Err(ErrorCode::HttpResponseTrailerSectionSize(size))
                    }
                }
            }
            Err(error) => Err(error_code(view.hooks, &error)),
        })))
    }
}
