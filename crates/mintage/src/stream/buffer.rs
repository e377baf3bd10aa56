//! Buffers of values between a stream and the host: [`WriteBuffer`], [`ReadBuffer`], [`VecBuffer`].

use std::{fmt, vec};

/// Values that are on their way from a [`StreamProducer`](crate::StreamProducer) to a reader.
///
/// `Option<T>`, [`VecBuffer<T>`] and, with the feature `bytes`, `Bytes` and `BytesMut` are such
/// buffers.
pub trait WriteBuffer<T>: Send + Sync + 'static {
    /// Returns the values that are left.
    fn remaining(&self) -> &[T];

    /// Drops the first `count` values.
    ///
    /// # Panics
    ///
    /// If `count` is larger than what is left.
    fn skip(&mut self, count: usize);

    /// Passes the first `count` values to `fun`, one after the other.
    ///
    /// # Panics
    ///
    /// If `count` is larger than what is left.
    fn take(&mut self, count: usize, fun: &mut dyn FnMut(T));
}

/// Room of the host for values from a stream; see [`Source::read`](crate::Source::read).
///
/// `Vec<T>` has as much room as it has reserved and not used. `Option<T>` has room for one value.
pub trait ReadBuffer<T>: Send + Sync + 'static {
    /// Adds values.
    ///
    /// # Panics
    ///
    /// If there is not enough room.
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I);

    /// Returns the number of values that there is room for.
    fn remaining_capacity(&self) -> usize;

    /// Takes the first `count` values of another buffer.
    ///
    /// # Panics
    ///
    /// If `count` is larger than the number of values, or than the room for them.
    fn move_from(&mut self, input: &mut dyn WriteBuffer<T>, count: usize);
}

/// Panics unless a buffer of `len` values has `count`.
#[track_caller]
fn check(count: usize, len: usize) {
    assert!(
        count <= len,
        "cannot take {count} values from a buffer of {len}"
    );
}

impl<T: Send + Sync + 'static> WriteBuffer<T> for Option<T> {
    fn remaining(&self) -> &[T] {
        self.as_slice()
    }

    fn skip(&mut self, count: usize) {
        WriteBuffer::take(self, count, &mut drop);
    }

    fn take(&mut self, count: usize, fun: &mut dyn FnMut(T)) {
        check(count, self.as_slice().len());
        if count > 0
            && let Some(value) = Option::take(self)
        {
            fun(value);
        }
    }
}

impl<T: Send + Sync + 'static> ReadBuffer<T> for Option<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I) {
        for value in iter {
            assert!(self.is_none(), "there is room for one value only");
            *self = Some(value);
        }
    }

    fn remaining_capacity(&self) -> usize {
        usize::from(self.is_none())
    }

    fn move_from(&mut self, input: &mut dyn WriteBuffer<T>, count: usize) {
        input.take(count, &mut |value| ReadBuffer::extend(self, [value]));
    }
}

/// The values of a `Vec`, as a [`WriteBuffer`].
pub struct VecBuffer<T>(vec::IntoIter<T>);

impl<T> VecBuffer<T> {
    /// Makes an empty buffer. To have it hold values, make it [from](From) a `Vec`.
    pub fn with_capacity(capacity: usize) -> Self {
        Vec::with_capacity(capacity).into()
    }

    /// Drops all values.
    pub fn reset(&mut self) {
        self.0.by_ref().for_each(drop);
    }
}

impl<T> Default for VecBuffer<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for VecBuffer<T> {
    fn from(values: Vec<T>) -> Self {
        VecBuffer(values.into_iter())
    }
}

impl<T> From<Box<[T]>> for VecBuffer<T> {
    fn from(values: Box<[T]>) -> Self {
        values.into_vec().into()
    }
}

impl<T: fmt::Debug> fmt::Debug for VecBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.as_slice()).finish()
    }
}

impl<T: Send + Sync + 'static> WriteBuffer<T> for VecBuffer<T> {
    fn remaining(&self) -> &[T] {
        self.0.as_slice()
    }

    fn skip(&mut self, count: usize) {
        check(count, self.0.len());
        self.0.by_ref().take(count).for_each(drop);
    }

    fn take(&mut self, count: usize, fun: &mut dyn FnMut(T)) {
        check(count, self.0.len());
        self.0.by_ref().take(count).for_each(fun);
    }
}

impl<T: Send + Sync + 'static> ReadBuffer<T> for Vec<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iter: I) {
        Extend::extend(self, iter);
    }

    fn remaining_capacity(&self) -> usize {
        self.capacity() - self.len()
    }

    fn move_from(&mut self, input: &mut dyn WriteBuffer<T>, count: usize) {
        check(count, self.remaining_capacity());
        input.take(count, &mut |value| self.push(value));
    }
}

/// Bytes that a producer has written through a [`DirectDestination`](crate::DirectDestination) for
/// a reader in the host.
#[derive(Default)]
pub(super) struct DirectBuffer {
    bytes: Vec<u8>,
    written: usize,
}

impl DirectBuffer {
    /// Makes room for `capacity` bytes.
    pub fn reserve(&mut self, capacity: usize) {
        self.bytes.resize(self.written + capacity, 0);
    }

    /// Returns the room that is left.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.written..]
    }

    /// Notes that so many bytes were written.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn advance(&mut self, count: usize) {
        check(count, self.bytes.len() - self.written);
        self.written += count;
    }

    /// Returns what was written.
    pub fn into_buffer(mut self) -> VecBuffer<u8> {
        self.bytes.truncate(self.written);
        self.bytes.into()
    }
}

#[cfg(feature = "bytes")]
mod bytes {
    use super::{ReadBuffer, WriteBuffer, check};
    use ::bytes::{Buf, Bytes, BytesMut};

    macro_rules! write_buffers {
        ($($ty:ident)*) => {$(
            impl WriteBuffer<u8> for $ty {
                fn remaining(&self) -> &[u8] {
                    self
                }

                fn skip(&mut self, count: usize) {
                    self.advance(count);
                }

                fn take(&mut self, count: usize, fun: &mut dyn FnMut(u8)) {
                    check(count, self.len());
                    self.split_to(count).iter().copied().for_each(fun);
                }
            }
        )*};
    }

    write_buffers!(Bytes BytesMut);

    impl ReadBuffer<u8> for BytesMut {
        fn extend<I: IntoIterator<Item = u8>>(&mut self, iter: I) {
            Extend::extend(self, iter);
        }

        fn remaining_capacity(&self) -> usize {
            self.capacity() - self.len()
        }

        fn move_from(&mut self, input: &mut dyn WriteBuffer<u8>, count: usize) {
            check(count, self.remaining_capacity());
            self.extend_from_slice(&input.remaining()[..count]);
            input.skip(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_taken_in_order() {
        let mut buffer = VecBuffer::from(strings(&["a", "b", "c", "d"]));
        buffer.skip(1);
        let mut room = Vec::with_capacity(2);
        room.move_from(&mut buffer, 2);
        assert_eq!(
            (room, buffer.remaining()),
            (strings(&["b", "c"]), &strings(&["d"])[..])
        );
        let mut one = None;
        one.move_from(&mut buffer, 1);
        assert_eq!(
            (one.as_deref(), ReadBuffer::remaining_capacity(&one)),
            (Some("d"), 0)
        );
        let mut other = Vec::with_capacity(1);
        other.move_from(&mut one, 1);
        assert_eq!((other, one), (strings(&["d"]), None));
    }

    #[test]
    fn more_than_there_is_panics_and_loses_nothing() {
        let mut buffer = VecBuffer::from(strings(&["a"]));
        let panics = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).is_err();
        assert!(panics(&mut || buffer.skip(2)));
        assert!(panics(&mut || Vec::new().move_from(&mut buffer, 1)));
        assert!(panics(&mut || Some(String::new()).move_from(&mut buffer, 2)));
        assert_eq!(buffer.remaining(), strings(&["a"]));
        assert!(panics(&mut || WriteBuffer::take(
            &mut None::<u8>,
            1,
            &mut drop
        )));
        buffer.reset();
        assert!(buffer.remaining().is_empty());
    }

    #[test]
    fn direct_bytes_come_in_order() {
        let mut direct = DirectBuffer::default();
        direct.reserve(3);
        direct.room()[..2].copy_from_slice(b"ab");
        direct.advance(2);
        assert_eq!(direct.room().len(), 1);
        direct.reserve(1);
        direct.room()[0] = b'c';
        direct.advance(1);
        assert_eq!(direct.into_buffer().remaining(), b"abc");
    }
}
