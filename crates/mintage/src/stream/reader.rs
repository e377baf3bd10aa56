//! [`StreamReader`] and [`FutureReader`]: the readable ends that the host holds.

use super::{FutureConsumer, FutureProducer};
use super::{StreamConsumer, StreamProducer, consumer, drive, producer};
use crate::abi::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext, matches_payload, read_u32,
};
use crate::concurrent::AsAccessor;
use crate::error::{Result, bail, ensure};
use crate::store::{HeldEnd, HostSide, Side, StoreInner, Stream};
use crate::{AsContextMut, FutureAny, StreamAny};
use mintage_environ::component::AsyncValue;
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The readable end of a `stream<T>`, which the host holds: it has made the stream, or a guest has
/// passed the end to it.
///
/// The host passes it on to a guest, as a parameter or result of a call, or [pipes](Self::pipe) it
/// to a consumer. A reader that a guest gets back is connected with the guest that writes, without
/// the host. A reader that is dropped closes the stream: the writer learns of it.
///
/// `T` is `()` for a `stream` without a type.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::component::{Component, Linker, StreamReader};
/// use mintage::{Engine, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $libc (memory (export "memory") 1))
///         (core instance $libc (instantiate $libc))
///         (type $bytes (stream u8))
///         (core func $read (canon stream.read $bytes async
///             (memory (core memory $libc "memory"))))
///         (core func $drop (canon stream.drop-readable $bytes))
///         (core module $m
///             (import "libc" "memory" (memory 1))
///             (import "" "read" (func $read (param i32 i32 i32) (result i32)))
///             (import "" "drop" (func $drop (param i32)))
///             (func (export "sum") (param $bytes i32) (result i32)
///                 (local $left i32)
///                 (local $sum i32)
///                 ;; All bytes are there. The low bits say how the read has ended.
///                 (local.set $left (i32.shr_u
///                     (call $read (local.get $bytes) (i32.const 0) (i32.const 100))
///                     (i32.const 4)))
///                 (call $drop (local.get $bytes))
///                 (loop $next
///                     (if (local.get $left) (then
///                         (local.set $left (i32.sub (local.get $left) (i32.const 1)))
///                         (local.set $sum (i32.add (local.get $sum)
///                             (i32.load8_u (local.get $left))))
///                         (br $next))))
///                 (local.get $sum)))
///         (core instance $i (instantiate $m
///             (with "libc" (instance $libc))
///             (with "" (instance (export "read" (func $read)) (export "drop" (func $drop))))))
///         (func (export "sum") (param "bytes" $bytes) (result u32)
///             (canon lift (core func $i "sum"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let sum = instance.get_typed_func::<(StreamReader<u8>,), (u32,)>(&mut store, "sum")?;
/// let bytes = StreamReader::new(&mut store, vec![1, 2, 3])?;
/// assert_eq!(sum.call(&mut store, (bytes,))?, (6,));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub struct StreamReader<T> {
    pub(super) end: Arc<HeldEnd>,
    of: PhantomData<fn() -> T>,
}

/// The readable end of a `future<T>`, which the host holds. See [`StreamReader`].
pub struct FutureReader<T> {
    pub(super) end: Arc<HeldEnd>,
    of: PhantomData<fn() -> T>,
}

impl<T> StreamReader<T> {
    /// Creates a stream that `producer` writes to.
    ///
    /// # Errors
    ///
    /// If the host holds too many ends of streams and futures.
    pub fn new<S: AsContextMut>(
        mut store: S,
        producer: impl StreamProducer<S::Data, Item = T>,
    ) -> Result<Self>
    where
        T: Lower + Lift + Send + Sync + 'static,
    {
        let store = store.as_context_mut().0;
        let side = producer::side::<S::Data, _>(producer);
        create(store, false, side).map(Self::of)
    }

    /// Has `consumer` take the values of the stream, while the store runs.
    ///
    /// # Errors
    ///
    /// - If the reader was closed or passed on, or is one of another store.
    /// - If the host has made the stream for values of another type.
    pub fn pipe<S: AsContextMut>(
        self,
        mut store: S,
        consumer: impl StreamConsumer<S::Data, Item = T>,
    ) -> Result<()>
    where
        T: 'static,
    {
        let side = consumer::side::<S::Data, _>(consumer);
        pipe::<S::Data, T>(store.as_context_mut().0, &self.end, side)
    }

    /// Takes back the producer of a stream that the host has made, as a value that
    /// [`StreamProducer::try_into`] makes of it. So a stream that a guest only passes on needs no
    /// guest.
    ///
    /// # Errors
    ///
    /// Returns the reader if the stream is a guest's, if values were produced that are not read
    /// yet, or if the producer is not such a value.
    ///
    /// # Panics
    ///
    /// If the reader was closed or passed on, or is one of another store.
    pub fn try_into<V: 'static>(self, mut store: impl AsContextMut) -> Result<V, Self> {
        match try_into(store.as_context_mut().0, &self.end) {
            Some(value) => Ok(value),
            None => Err(self),
        }
    }

    /// Makes a reader without the type of its values.
    ///
    /// # Errors
    ///
    /// If the reader was closed or passed on, or is one of another store.
    pub fn try_into_stream_any(self, store: impl AsContextMut) -> Result<StreamAny>
    where
        T: ComponentType + 'static,
    {
        StreamAny::try_from_stream_reader(store, self)
    }

    /// Makes a reader of one without the type of its values.
    ///
    /// # Errors
    ///
    /// If the values are of another type.
    pub fn try_from_stream_any(stream: StreamAny) -> Result<Self>
    where
        T: ComponentType + 'static,
    {
        stream.try_into_stream_reader()
    }
}

impl<T> FutureReader<T> {
    /// Creates a future that `producer` writes.
    ///
    /// # Errors
    ///
    /// If the host holds too many ends of streams and futures.
    pub fn new<S: AsContextMut>(
        mut store: S,
        producer: impl FutureProducer<S::Data, Item = T>,
    ) -> Result<Self>
    where
        T: Lower + Lift + Send + Sync + 'static,
    {
        let store = store.as_context_mut().0;
        let side = producer::side::<S::Data, _>(producer::OfFuture(Box::pin(producer)));
        create(store, true, side).map(Self::of)
    }

    /// Has `consumer` take the value of the future, while the store runs.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::pipe`].
    pub fn pipe<S: AsContextMut>(
        self,
        mut store: S,
        consumer: impl FutureConsumer<S::Data, Item = T> + Unpin,
    ) -> Result<()>
    where
        T: 'static,
    {
        let side = consumer::side::<S::Data, _>(consumer::OfFuture(Box::pin(consumer)));
        pipe::<S::Data, T>(store.as_context_mut().0, &self.end, side)
    }

    /// Makes a reader without the type of its value.
    ///
    /// # Errors
    ///
    /// If the reader was closed or passed on, or is one of another store.
    pub fn try_into_future_any(self, store: impl AsContextMut) -> Result<FutureAny>
    where
        T: ComponentType + 'static,
    {
        FutureAny::try_from_future_reader(store, self)
    }

    /// Makes a reader of one without the type of its value.
    ///
    /// # Errors
    ///
    /// If the value is of another type.
    pub fn try_from_future_any(future: FutureAny) -> Result<Self>
    where
        T: ComponentType + 'static,
    {
        future.try_into_future_reader()
    }
}

/// Adds a stream or future of the host.
fn create<D: 'static>(
    store: &mut StoreInner<D>,
    is_future: bool,
    producer: HostSide,
) -> Result<Arc<HeldEnd>> {
    store.close_dropped();
    let mut stream = Stream::new(is_future, Side::Host);
    stream.set_producer(producer);
    let id = store.opaque.id;
    let streams = &mut store.opaque.handles.streams;
    let number = streams.add(stream)?;
    Ok(streams.hold(id, number).expect("it was just added"))
}

/// Makes a consumer the side of a stream that reads.
fn pipe<D: 'static, T: 'static>(
    store: &mut StoreInner<D>,
    end: &HeldEnd,
    consumer: HostSide,
) -> Result<()> {
    let id = store.opaque.id;
    let stream = store.opaque.handles.streams.held(id, end.id)?;
    if let Some(mut producer) = stream.take_producer() {
        let item = drive::typed::<dyn producer::Produce<D>>(&mut producer).item();
        stream.set_producer(producer);
        ensure!(
            item == TypeId::of::<T>(),
            "the host has made the stream or future for values of another type"
        );
    }
    stream.set_consumer(consumer);
    stream.reader = Side::Host;
    end.set_over();
    drive::wake(store, end.id.number);
    Ok(())
}

/// Takes a stream's producer, if it is one of type `V`.
fn try_into<D: 'static, V: 'static>(store: &mut StoreInner<D>, end: &HeldEnd) -> Option<V> {
    let id = store.opaque.id;
    let stream = match store.opaque.handles.streams.held(id, end.id) {
        Ok(stream) => stream,
        Err(error) => panic!("{error}"),
    };
    let mut side = stream.take_producer()?;
    let producer = drive::typed::<dyn producer::Produce<D>>(&mut side);
    if producer.buffered() > 0 || producer.is_finished() {
        stream.set_producer(side);
        return None;
    }
    let producer = side.downcast::<Box<dyn producer::Produce<D>>>().ok()?;
    match (*producer).convert(TypeId::of::<V>()) {
        Ok(value) => {
            store.end_stream(end.id.number);
            end.set_over();
            let value = value.downcast::<V>();
            Some(*value.expect("the producer has made a value of the type that was asked for"))
        }
        Err(producer) => {
            stream.set_producer(Box::new(producer));
            None
        }
    }
}

/// Closes a stream or future.
pub(super) fn close<D: 'static>(store: &mut StoreInner<D>, end: &HeldEnd) -> Result<()> {
    let id = store.opaque.id;
    store.opaque.handles.streams.held(id, end.id)?;
    store.end_stream(end.id.number);
    end.set_over();
    Ok(())
}

/// Defines what readers of streams and futures have in common.
macro_rules! reader {
    ($name:ident, $guarded:ident, $into:ident, $kind:ident, $what:literal, $type_of:ident) => {
        impl<T> $name<T> {
            pub(super) fn of(end: Arc<HeldEnd>) -> Self {
                $name {
                    end,
                    of: PhantomData,
                }
            }

            #[doc = concat!("Closes the ", $what, ": the writer learns that no one reads.")]
            ///
            /// # Errors
            ///
            /// If the reader was closed or passed on, or is one of another store.
            pub fn close(&mut self, mut store: impl AsContextMut) -> Result<()> {
                close(store.as_context_mut().0, &self.end)
            }

            /// As [`close`](Self::close), in a task of the store.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Panics
            ///
            /// As [`Accessor::with`](crate::Accessor::with).
            pub fn close_with(&mut self, accessor: impl AsAccessor) -> Result<()> {
                accessor.as_accessor().with(|access| self.close(access))
            }

            /// Binds the reader to an accessor of its store.
            pub fn guard<A: AsAccessor>(self, accessor: A) -> $guarded<T, A> {
                $guarded::new(accessor, self)
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.end).finish()
            }
        }

        impl<T: ComponentType> ComponentType for $name<T> {
            const ABI: CanonicalAbi = CanonicalAbi::scalar(4);

            fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
                let InterfaceType::$kind(id) = ty else {
                    return false;
                };
                matches_payload::<T>(*types.$type_of(id), types)
            }

            fn describe() -> String {
                match T::SIZE {
                    0 => $what.into(),
                    _ => format!("{}<{}>", $what, T::describe()),
                }
            }
        }

        impl<T: ComponentType> Lower for $name<T> {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                dst: &mut [u64],
            ) -> Result<()> {
                dst[0] = cx.lower_end(value(ty)?, &self.end)?.into();
                Ok(())
            }

            fn lower_memory(
                &self,
                cx: &mut LowerContext<'_>,
                ty: InterfaceType,
                offset: usize,
            ) -> Result<()> {
                let handle = cx.lower_end(value(ty)?, &self.end)?;
                cx.write(offset, handle.to_le_bytes());
                Ok(())
            }
        }

        impl<T: ComponentType> Lift for $name<T> {
            fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
                cx.lift_end(value(ty)?, src[0] as u32).map(Self::of)
            }

            fn lift_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> Result<Self> {
                cx.lift_end(value(ty)?, read_u32(bytes, 0)).map(Self::of)
            }
        }

        #[doc = concat!("A [`", stringify!($name), "`] that is closed when it is dropped.")]
        ///
        /// All readers are. The type is for hosts that port.
        pub struct $guarded<T, A: AsAccessor> {
            reader: $name<T>,
            accessor: A,
        }

        impl<T, A: AsAccessor + fmt::Debug> fmt::Debug for $guarded<T, A> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guarded))
                    .field("reader", &self.reader)
                    .field("accessor", &self.accessor)
                    .finish()
            }
        }

        impl<T, A: AsAccessor> $guarded<T, A> {
            /// Binds a reader to an accessor of its store.
            pub fn new(accessor: A, reader: $name<T>) -> Self {
                $guarded { reader, accessor }
            }

            /// Returns the reader.
            pub fn $into(self) -> $name<T> {
                self.into()
            }
        }

        impl<T, A: AsAccessor> From<$guarded<T, A>> for $name<T> {
            fn from(guarded: $guarded<T, A>) -> Self {
                guarded.reader
            }
        }
    };
}

reader!(
    StreamReader,
    GuardedStreamReader,
    into_stream,
    Stream,
    "stream",
    stream
);
reader!(
    FutureReader,
    GuardedFutureReader,
    into_future,
    Future,
    "future",
    future
);

/// Returns the type of a stream or future, which `matches` has found.
fn value(ty: InterfaceType) -> Result<AsyncValue> {
    match ty {
        InterfaceType::Stream(id) => Ok(AsyncValue::Stream(id)),
        InterfaceType::Future(id) => Ok(AsyncValue::Future(id)),
        _ => bail!("a reader is passed as a value of another type"),
    }
}
