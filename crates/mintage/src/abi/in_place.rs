//! [`InPlaceList`]: a list of bytes that the host writes straight into guest memory.

use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lower, LowerContext,
    MAX_LIST_BYTE_LENGTH,
};
use crate::error::{Context, Result, ensure, format_err};
use std::any::{Any, type_name};
use std::fmt;
use std::sync::Mutex;

/// A `list<u8>` for a guest that is written straight into the guest's memory, without a copy in the
/// host.
///
/// It is a function and the most bytes that the function may write. When the value is passed, the
/// guest is asked for a block of that size (by its `realloc`), and the function gets it: to read a
/// file or socket into it, for example. What the function returns, `O`, says how the block is used
/// and which component type the value has:
///
/// | `O` | component type |
/// |---|---|
/// | `usize` | `list<u8>`, of so many bytes |
/// | `Option<usize>` | `option<list<u8>>` |
/// | `Result<usize, E>` | `result<list<u8>, E>` |
/// | `Result<(usize, T), E>` | `result<tuple<list<u8>, T>, E>` |
///
/// So a host function need not know before it returns whether reading succeeds:
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::component::{Component, InPlaceList, Linker};
/// use mintage::{Engine, Store};
/// use std::fs::File;
/// use std::io::Read;
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "read" (func $read (param "len" u32)
///             (result (result (list u8) (error string)))))
///         (core module $libc
///             (memory (export "memory") 1)
///             (global $next (mut i32) (i32.const 1024))
///             (func (export "realloc") (param i32 i32 i32 i32) (result i32)
///                 (if (local.get 1) (then (return (local.get 0))))
///                 (global.get $next)
///                 (global.set $next (i32.add (global.get $next) (local.get 3)))))
///         (core instance $libc (instantiate $libc))
///         (core func $read (canon lower (func $read)
///             (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
///         (core module $m
///             (import "" "read" (func $read (param i32 i32)))
///             (import "libc" "memory" (memory 1))
///             (func (export "first") (result i32)
///                 (call $read (i32.const 4096) (i32.const 0))
///                 ;; A result of case 0 has the list's pointer and length at 4 and 8.
///                 (i32.load8_u (i32.load (i32.const 4)))))
///         (core instance $i (instantiate $m
///             (with "" (instance (export "read" (func $read))))
///             (with "libc" (instance $libc))))
///         (func (export "first") (result u8) (canon lift (core func $i "first"))))"#,
/// )?;
/// # let path = std::env::temp_dir().join(format!("mintage-in-place-{}", std::process::id()));
/// # std::fs::write(&path, "some text")?;
/// let mut linker = Linker::<File>::new(&engine);
/// linker.root().func_wrap("read", |store, (len,): (u32,)| {
///     let mut file = store.data().try_clone()?;
///     // Ask for no more than there is: a block that is too large costs time.
///     let len = u64::from(len).min(file.metadata()?.len()) as usize;
///     let list = InPlaceList::new(len, move |buffer: &mut [u8]| {
///         Ok(file.read(buffer).map_err(|error| error.to_string()))
///     });
///     Ok((list,))
/// })?;
/// let mut store = Store::new(&engine, File::open(&path)?);
/// let instance = linker.instantiate(&mut store, &component)?;
/// let first = instance.get_typed_func::<(), (u8,)>(&mut store, "first")?;
/// assert_eq!(first.call(&mut store, ())?, (b's',));
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
///
/// The value can be wherever a value is passed to a guest: in the results of host functions and the
/// parameters of calls, also inside of records, tuples and variants. It can be passed once.
///
/// # The block
///
/// The function is called on the thread that makes the call, after the host function has returned;
/// nothing of the guest runs until it returns. The block holds what the guest has last had there.
/// Other threads and the system may write to it as well.
///
/// If fewer bytes are used than reserved, the guest is asked to make the block smaller, by a second
/// call of its `realloc`, as the Canonical ABI does for strings. If none are used, or there is an
/// error instead of a list, the guest keeps a block of one byte that it does not know of, since the
/// Canonical ABI has no way to free one. So a host should reserve what is there, and nothing
/// (`len` 0) where it knows of an error.
pub struct InPlaceList<O = usize> {
    len: usize,
    /// Taken when the value is passed.
    producer: Mutex<Option<Producer<O>>>,
}

/// Writes to the block, with the host's data.
type Producer<O> = Box<dyn FnOnce(&mut [u8], &mut dyn Any) -> Result<O> + Send>;

impl<O: InPlaceOutcome> InPlaceList<O> {
    /// Reserves `len` bytes when the value is passed, and has `write` write them.
    ///
    /// An error of `write` ends the call, as an error of a host function does. Lengths above the
    /// limit of the component model, 256 MiB, are an error when the value is passed.
    pub fn new(len: usize, write: impl FnOnce(&mut [u8]) -> Result<O> + Send + 'static) -> Self {
        Self::from_producer(len, Box::new(|block, _| write(block)))
    }

    /// As [`new`](Self::new), for a function that also uses the host's data: to put an error into a
    /// [`ResourceTable`](crate::ResourceTable), for example.
    ///
    /// `T` is the type of the store's data. If it is another, passing the value is an error.
    pub fn with_data<T: 'static>(
        len: usize,
        write: impl FnOnce(&mut [u8], &mut T) -> Result<O> + Send + 'static,
    ) -> Self {
        Self::from_producer(
            len,
            Box::new(|block, data| {
                let data = data.downcast_mut().ok_or_else(|| {
                    format_err!(
                        "an `InPlaceList` was made for host data of type `{}`, and the data of \
                         this store has another type",
                        type_name::<T>()
                    )
                })?;
                write(block, data)
            }),
        )
    }

    fn from_producer(len: usize, producer: Producer<O>) -> Self {
        Self {
            len,
            producer: Mutex::new(Some(producer)),
        }
    }

    /// Reserves the block, writes it and makes it as small as what was written.
    fn write(&self, cx: &mut LowerContext<'_>) -> Result<O::Value> {
        let Self { len, producer } = self;
        let producer = producer.lock().ok().and_then(|mut taken| taken.take());
        let producer = producer.context("an `InPlaceList` can be passed to a guest only once")?;
        ensure!(
            *len <= MAX_LIST_BYTE_LENGTH,
            "list of {len} bytes is longer than the limit of {MAX_LIST_BYTE_LENGTH}"
        );
        let start = cx.allocate(1, *len)?;
        let outcome = cx.guest.write_block(start, *len, producer)?;
        let used = outcome.used();
        ensure!(
            used <= *len,
            "the function of an `InPlaceList` says that it has written {used} bytes, and {len} \
             were reserved"
        );
        let start = cx.guest.shrink(start as u32, *len as u32, 1, used as u32)?;
        Ok(outcome.value(PlacedList {
            pointer: start as u32,
            len: used as u32,
        }))
    }
}

impl<O> fmt::Debug for InPlaceList<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPlaceList")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<O: InPlaceOutcome> ComponentType for InPlaceList<O> {
    const ABI: CanonicalAbi = O::Value::ABI;
    const NEEDS_TYPE: bool = O::Value::NEEDS_TYPE;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        O::Value::matches(ty, types)
    }

    fn describe() -> String {
        O::Value::describe()
    }
}

impl<O: InPlaceOutcome> Lower for InPlaceList<O> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        self.write(cx)?.lower_flat(cx, ty, dst)
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        self.write(cx)?.lower_memory(cx, ty, offset)
    }
}

/// What the function of an [`InPlaceList`] returns: `usize`, `Option<usize>`, `Result<usize, E>` or
/// `Result<(usize, T), E>`.
pub trait InPlaceOutcome: sealed::Outcome {}

impl<O: sealed::Outcome> InPlaceOutcome for O {}

/// A list that is in guest memory.
#[derive(Clone, Copy)]
pub struct PlacedList {
    pointer: u32,
    len: u32,
}

mod sealed {
    use super::{Lower, PlacedList};

    pub trait Outcome {
        /// The component value that is passed.
        type Value: Lower;

        /// Returns how many bytes of the block are used.
        fn used(&self) -> usize;

        /// Makes the value, of which `list` is the bytes that are used.
        fn value(self, list: PlacedList) -> Self::Value;
    }
}

impl sealed::Outcome for usize {
    type Value = PlacedList;

    fn used(&self) -> usize {
        *self
    }

    fn value(self, list: PlacedList) -> PlacedList {
        list
    }
}

impl sealed::Outcome for Option<usize> {
    type Value = Option<PlacedList>;

    fn used(&self) -> usize {
        self.unwrap_or(0)
    }

    fn value(self, list: PlacedList) -> Self::Value {
        self.map(|_| list)
    }
}

impl<E: Lower> sealed::Outcome for Result<usize, E> {
    type Value = Result<PlacedList, E>;

    fn used(&self) -> usize {
        *self.as_ref().unwrap_or(&0)
    }

    fn value(self, list: PlacedList) -> Self::Value {
        self.map(|_| list)
    }
}

impl<T: Lower, E: Lower> sealed::Outcome for Result<(usize, T), E> {
    type Value = Result<(PlacedList, T), E>;

    fn used(&self) -> usize {
        self.as_ref().map_or(0, |(used, _)| *used)
    }

    fn value(self, list: PlacedList) -> Self::Value {
        self.map(|(_, with)| (list, with))
    }
}

impl ComponentType for PlacedList {
    const ABI: CanonicalAbi = <[u8] as ComponentType>::ABI;
    const NEEDS_TYPE: bool = false;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        <[u8] as ComponentType>::matches(ty, types)
    }

    fn describe() -> String {
        <[u8] as ComponentType>::describe()
    }
}

impl Lower for PlacedList {
    fn lower_flat(
        &self,
        _cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[0] = u64::from(self.pointer);
        dst[1] = u64::from(self.len);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        _ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        cx.write(offset, self.pointer.to_le_bytes());
        cx.write(offset + 4, self.len.to_le_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::AbiOptions;
    use super::super::fake::FakeGuest;
    use super::super::guest::Guest;
    use super::*;
    use mintage_environ::component::{ComponentTypes, StringEncoding};

    /// Lowers a list and returns the words, or the message of the error.
    fn lower<O: InPlaceOutcome>(
        guest: &mut FakeGuest,
        list: &InPlaceList<O>,
    ) -> Result<Vec<u64>, String> {
        lower_with(guest, list, &[])
    }

    /// Lowers a list that has other values after it.
    fn lower_with<O: InPlaceOutcome>(
        guest: &mut FakeGuest,
        list: &InPlaceList<O>,
        with: &[InterfaceType],
    ) -> Result<Vec<u64>, String> {
        let mut types = ComponentTypes::default();
        let list_type = types.intern_list(InterfaceType::U8);
        let value_type = match with {
            [] => list_type,
            with => types.intern_tuple([&[list_type], with].concat().into()),
        };
        let ty = types.intern_result(Some(value_type), Some(InterfaceType::U16));
        let options = AbiOptions {
            types: &types,
            encoding: StringEncoding::Utf8,
        };
        let mut words = vec![u64::MAX; <InPlaceList<O>>::FLAT];
        let mut cx = LowerContext::new(options, Guest::fake(guest), None);
        let lowered = list.lower_flat(&mut cx, ty, &mut words);
        lowered
            .map(|()| words)
            .map_err(|error| format!("{error:#}"))
    }

    fn fill(count: usize) -> InPlaceList {
        InPlaceList::new(8, move |block| {
            block[..count].fill(7);
            Ok(count)
        })
    }

    #[test]
    fn a_block_that_is_used_up_stays_as_it_is() {
        let mut guest = FakeGuest::new(64);
        assert_eq!(lower(&mut guest, &fill(8)).unwrap(), [16, 8]);
        assert_eq!(guest.calls, [(1, 8)]);
        assert_eq!(guest.memory[16..25], [7, 7, 7, 7, 7, 7, 7, 7, 0xaa]);
    }

    #[test]
    fn the_guest_makes_blocks_smaller_and_may_move_them() {
        let mut guest = FakeGuest::new(64);
        assert_eq!(lower(&mut guest, &fill(3)).unwrap(), [24, 3]);
        assert_eq!(guest.calls, [(1, 8), (1, 3)]);
        assert_eq!(guest.memory[24..28], [7, 7, 7, 0xaa]);
    }

    #[test]
    fn an_empty_list_leaves_one_byte() {
        let mut guest = FakeGuest::new(64);
        assert_eq!(lower(&mut guest, &fill(0)).unwrap(), [24, 0]);
        assert_eq!(guest.calls, [(1, 8), (1, 1)]);
        let nothing = InPlaceList::new(0, |block: &mut [u8]| Ok(block.len()));
        assert_eq!(lower(&mut guest, &nothing).unwrap()[1], 0);
        assert_eq!(guest.calls[2..], [(1, 0)]);
    }

    #[test]
    fn outcomes_are_options_and_results() {
        let mut guest = FakeGuest::new(256);
        let list = |outcome: Option<usize>| InPlaceList::new(2, move |_: &mut [u8]| Ok(outcome));
        assert_eq!(lower(&mut guest, &list(Some(2))).unwrap(), [1, 16, 2]);
        assert_eq!(lower(&mut guest, &list(None)).unwrap(), [0, 0, 0]);
        type Outcome = Result<usize, u16>;
        let list = |outcome: Outcome| InPlaceList::new(2, move |_: &mut [u8]| Ok(outcome));
        assert_eq!(lower(&mut guest, &list(Ok(2))).unwrap(), [0, 21, 2]);
        assert_eq!(lower(&mut guest, &list(Err(404))).unwrap(), [1, 404, 0]);
    }

    #[test]
    fn an_outcome_can_have_a_second_value() {
        type Outcome = Result<(usize, bool), u16>;
        let list = |outcome: Outcome| InPlaceList::new(2, move |_: &mut [u8]| Ok(outcome));
        let mut guest = FakeGuest::new(256);
        let with = [InterfaceType::Bool];
        let some = lower_with(&mut guest, &list(Ok((2, true))), &with).unwrap();
        assert_eq!(some, [0, 16, 2, 1]);
        let failed = lower_with(&mut guest, &list(Err(404)), &with).unwrap();
        assert_eq!(failed, [1, 404, 0, 0]);
    }

    #[test]
    fn functions_are_called_once_and_held_to_what_they_reserved() {
        let mut guest = FakeGuest::new(64);
        let list = InPlaceList::new(4, |_: &mut [u8]| Ok(5));
        let message = lower(&mut guest, &list).unwrap_err();
        assert!(message.contains("has written 5 bytes, and 4"), "{message}");
        let message = lower(&mut guest, &list).unwrap_err();
        assert!(message.contains("only once"), "{message}");
        let failing = InPlaceList::<usize>::new(4, |_| Err(format_err!("disk on fire")));
        assert_eq!(lower(&mut guest, &failing).unwrap_err(), "disk on fire");
        let calls = guest.calls.len();
        let long = InPlaceList::new(MAX_LIST_BYTE_LENGTH + 1, |_: &mut [u8]| Ok(0));
        let message = lower(&mut guest, &long).unwrap_err();
        assert!(message.contains("longer than the limit"), "{message}");
        assert_eq!(guest.calls.len(), calls, "the guest is not asked");
    }

    #[test]
    fn the_guest_is_not_trusted_with_blocks() {
        let mut guest = FakeGuest::new(64);
        guest.answer = Some(60);
        let message = lower(&mut guest, &fill(8)).unwrap_err();
        assert!(message.contains("beyond end of memory"), "{message}");
        // The first block is good, the smaller one is not.
        guest.answer = None;
        guest.next = 52;
        let message = lower(&mut guest, &fill(5)).unwrap_err();
        assert!(message.contains("no memory left"), "{message}");
    }

    #[test]
    fn data_is_the_hosts_or_an_error() {
        let mut guest = FakeGuest::new(64);
        let list = InPlaceList::with_data(2, |block: &mut [u8], data: &mut u32| {
            *data += block.len() as u32;
            Ok(block.len())
        });
        lower(&mut guest, &list).unwrap();
        assert_eq!(guest.data, 2);
        let list = InPlaceList::with_data(2, |_: &mut [u8], _: &mut String| Ok(0));
        let message = lower(&mut guest, &list).unwrap_err();
        assert!(
            message.contains("host data of type `alloc::string::String`"),
            "{message}"
        );
    }
}
