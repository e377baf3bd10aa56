//! [`WasmStr`] and [`WasmList`]: views of what a guest passes, which stays in its memory.
//!
//! A view holds no reference: it is a name of a memory, an address and a length. Every access goes
//! through the store and checks all of it again, so it does not matter what has become of the
//! memory and the instance in the meantime.

use super::context::read_u32;
use super::guest::{Integer, integers};
use super::{
    AbiOptions, CanonicalAbi, ComponentType, HandleContext, InstanceTypes, InterfaceType, Lift,
    LiftContext,
};
use crate::AsContextMut;
use crate::error::{Context, Result};
use crate::store::{StoreContext, StoreContextMut, StoreInner, StoreInstance, StoreOpaque};
use crate::types::{StoreId, StoreInstanceId};
use mintage_environ::component::StringEncoding;
use mintage_environ::{DomainId, MemoryId};
use std::borrow::Cow;
use std::marker::PhantomData;

/// The name of the memory that a view is of, with what is needed to lift values from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ViewedMemory {
    pub store: StoreId,
    pub instance: StoreInstanceId,
    pub domain: DomainId,
    pub memory: MemoryId,
    pub encoding: StringEncoding,
}

impl ViewedMemory {
    fn instance(self, store: &StoreOpaque) -> Result<&StoreInstance> {
        store.instance(self.store, self.instance, "view of a guest's memory")
    }

    /// Returns what lifting works on where nothing in the store changes: not for handles.
    fn shared(self, store: &StoreOpaque) -> Result<LiftContext<'_>> {
        let StoreInstance {
            runtime, component, ..
        } = self.instance(store)?;
        let options = AbiOptions {
            types: &component.interface().types,
            encoding: self.encoding,
        };
        let memory = runtime.memory(self.memory);
        Ok(LiftContext::of_memory(options, memory, store.hostcall_fuel))
    }

    /// Returns what lifting works on.
    fn exclusive(self, store: &mut StoreOpaque) -> Result<LiftContext<'_>> {
        self.instance(store)?;
        let StoreOpaque {
            instances,
            handles,
            hostcall_fuel,
            ..
        } = store;
        let StoreInstance {
            runtime,
            component,
            linked,
            ..
        } = &mut instances[self.instance];
        let component = &*component;
        let options = AbiOptions {
            types: &component.interface().types,
            encoding: self.encoding,
        };
        let handles = HandleContext {
            host: handles,
            component,
            linked,
            instance: self.instance,
            domain: self.domain,
            // The call that the view is from may be over.
            lends_to: None,
        };
        let memory = Some(self.memory);
        Ok(LiftContext::new(
            options,
            runtime.get_mut(),
            memory,
            *hostcall_fuel,
            handles,
        ))
    }
}

/// A string in the memory of a guest, which is not copied.
///
/// It stands for `string` wherever a value comes from a guest: in the parameters of host functions
/// and in the results of calls. [`to_str`](Self::to_str) looks at the bytes; until then, it is only
/// known that they are within the memory.
///
/// The view sees what is there when it is looked at. While a host function runs, that is what the
/// guest has passed. Afterwards the guest may use the memory for something else, as it may when a
/// call of it has returned. Every access checks address and length again.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::component::{Component, Linker, WasmStr};
/// use mintage::{Engine, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "log" (func $log (param "line" string)))
///         (core module $libc (memory (export "memory") 1)
///             (data (i32.const 8) "ready"))
///         (core instance $libc (instantiate $libc))
///         (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
///         (core module $m (import "" "log" (func $log (param i32 i32)))
///             (func (export "run") (call $log (i32.const 8) (i32.const 5))))
///         (core instance $i (instantiate $m
///             (with "" (instance (export "log" (func $log))))))
///         (func (export "run") (canon lift (core func $i "run"))))"#,
/// )?;
/// let mut linker = Linker::<usize>::new(&engine);
/// linker.root().func_wrap("log", |mut store, (line,): (WasmStr,)| {
///     let length = line.to_str(&store)?.len();
///     *store.data_mut() += length;
///     Ok(())
/// })?;
/// let mut store = Store::new(&engine, 0);
/// let instance = linker.instantiate(&mut store, &component)?;
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// run.call(&mut store, ())?;
/// assert_eq!(*store.data(), 5);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
///
/// It cannot be passed to a guest: use `&str` for that. Where the host calls a function that it has
/// itself defined, which a component exports again, there is no guest, and lifting a view fails.
#[derive(Debug)]
pub struct WasmStr {
    memory: ViewedMemory,
    pointer: u32,
    /// In code units, tagged if the encoding has tags.
    len: u32,
}

impl WasmStr {
    fn new(cx: &mut LiftContext<'_>, pointer: u32, len: u32) -> Result<Self> {
        cx.check_string(pointer, len)?;
        Ok(Self {
            memory: cx.viewed_memory()?,
            pointer,
            len,
        })
    }

    /// Returns the string. It borrows from guest memory if the guest's strings are in UTF-8, and is
    /// a copy otherwise.
    ///
    /// # Errors
    ///
    /// - If the bytes are not a string in the guest's encoding.
    /// - If the copy is longer than [`Store::set_hostcall_fuel`](crate::Store::set_hostcall_fuel)
    ///   allows.
    /// - If `store` is not the store that the view came from.
    pub fn to_str<'a, T: 'static>(
        &self,
        store: impl Into<StoreContext<'a, T>>,
    ) -> Result<Cow<'a, str>> {
        let mut cx = self.memory.shared(&store.into().0.opaque)?;
        cx.view_string(self.pointer, self.len)
    }
}

impl ComponentType for WasmStr {
    const ABI: CanonicalAbi = <str as ComponentType>::ABI;
    const NEEDS_TYPE: bool = false;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        <str as ComponentType>::matches(ty, types)
    }

    fn describe() -> String {
        <str as ComponentType>::describe()
    }
}

impl Lift for WasmStr {
    fn lift_flat(cx: &mut LiftContext<'_>, _ty: InterfaceType, src: &[u64]) -> Result<Self> {
        Self::new(cx, src[0] as u32, src[1] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, _ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        Self::new(cx, read_u32(bytes, 0), read_u32(bytes, 4))
    }
}

/// A list in the memory of a guest, which is not copied.
///
/// It stands for `list<T>` wherever a value comes from a guest, as [`WasmStr`] does for `string`;
/// what is said there on memory that the guest uses again holds here as well. The elements of a
/// list of integers can be had as a slice, [`as_le_slice`](WasmList::<u8>::as_le_slice), so that a
/// host can write them to a file or a socket from where they are:
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::component::{Component, Linker, WasmList};
/// use mintage::{Engine, Store};
/// use std::io::Write;
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "write" (func $write (param "bytes" (list u8))))
///         (core module $libc (memory (export "memory") 1)
///             (data (i32.const 8) "some text"))
///         (core instance $libc (instantiate $libc))
///         (core func $write (canon lower (func $write) (memory (core memory $libc "memory"))))
///         (core module $m (import "" "write" (func $write (param i32 i32)))
///             (func (export "run") (call $write (i32.const 8) (i32.const 9))))
///         (core instance $i (instantiate $m
///             (with "" (instance (export "write" (func $write))))))
///         (func (export "run") (canon lift (core func $i "run"))))"#,
/// )?;
/// # let path = std::env::temp_dir().join(format!("mintage-wasm-list-{}", std::process::id()));
/// let mut linker = Linker::<std::fs::File>::new(&engine);
/// linker.root().func_wrap("write", |mut store, (bytes,): (WasmList<u8>,)| {
///     let (bytes, mut file) = bytes.slice_and_data(&mut store)?;
///     file.write_all(bytes)?;
///     Ok(())
/// })?;
/// let mut store = Store::new(&engine, std::fs::File::create(&path)?);
/// let instance = linker.instantiate(&mut store, &component)?;
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// run.call(&mut store, ())?;
/// assert_eq!(std::fs::read_to_string(&path)?, "some text");
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
///
/// It cannot be passed to a guest: use slices and vectors for that, or
/// [`InPlaceList`](crate::component::InPlaceList).
#[derive(Debug)]
pub struct WasmList<T> {
    memory: ViewedMemory,
    pointer: u32,
    len: u32,
    /// The type of the elements, if they use it.
    element: InterfaceType,
    of: PhantomData<fn() -> T>,
}

impl<T: Lift> WasmList<T> {
    fn new(cx: &mut LiftContext<'_>, ty: InterfaceType, pointer: u32, len: u32) -> Result<Self> {
        cx.list(pointer, len, T::SIZE, T::ABI.align32)?;
        Ok(Self {
            memory: cx.viewed_memory()?,
            pointer,
            len,
            element: match T::NEEDS_TYPE {
                true => cx.element_type(ty),
                false => ty,
            },
            of: PhantomData,
        })
    }

    fn bytes<'a>(&self, cx: &mut LiftContext<'a>) -> Result<&'a [u8]> {
        cx.list(self.pointer, self.len, T::SIZE, T::ABI.align32)
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether the list has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lifts the element at `index`. Returns `None` if the list has no such element.
    ///
    /// What the element takes of host memory is limited for each call of this function.
    ///
    /// # Errors
    ///
    /// - If the bytes are not a value of the type.
    /// - If the element has a `borrow` handle: these are valid only when they are lifted with the
    ///   call, as in a `Vec`. An `own` handle is taken from the guest, once.
    /// - If `store` is not the store that the view came from.
    pub fn get(&self, mut store: impl AsContextMut, index: usize) -> Option<Result<T>> {
        if index >= self.len() {
            return None;
        }
        let store = store.as_context_mut();
        let cx = self.memory.exclusive(&mut store.0.opaque);
        Some(cx.and_then(|mut cx| {
            let bytes = &self.bytes(&mut cx)?[index * T::SIZE..][..T::SIZE];
            T::lift_memory(&mut cx, self.element, bytes)
        }))
    }

    /// Returns an iterator that lifts one element after the other. An element that is not a value
    /// of the type is an error, as in [`get`](Self::get); those after it follow.
    ///
    /// The limit of what the elements take of host memory is for all of them together.
    ///
    /// # Errors
    ///
    /// If `store` is not the store that the view came from.
    pub fn iter<'a, U: 'static>(
        &'a self,
        store: impl Into<StoreContextMut<'a, U>>,
    ) -> Result<impl ExactSizeIterator<Item = Result<T>>> {
        let mut cx = self.memory.exclusive(&mut store.into().0.opaque)?;
        let items = self.bytes(&mut cx)?.chunks_exact(T::SIZE);
        Ok(items.map(move |bytes| T::lift_memory(&mut cx, self.element, bytes)))
    }
}

impl<T: Lift + Integer> WasmList<T> {
    /// Returns the elements where they are.
    fn integers<'a>(&self, cx: &mut LiftContext<'a>) -> Result<&'a [T]> {
        integers(self.bytes(cx)?).context("a list is not aligned in host memory")
    }
}

/// Accessors for lists whose elements are in guest memory as they are in the host's.
macro_rules! integer_lists {
    ($($ty:ident)*) => {$(
        impl WasmList<$ty> {
            /// Returns the elements where they are in guest memory, in little-endian order.
            ///
            /// # Panics
            ///
            /// If `store` is not the store that the view came from;
            /// [`try_as_le_slice`](Self::try_as_le_slice) returns an error then.
            pub fn as_le_slice<'a, T: 'static>(
                &self,
                store: impl Into<StoreContext<'a, T>>,
            ) -> &'a [$ty] {
                match self.try_as_le_slice(store) {
                    Ok(slice) => slice,
                    Err(error) => panic!("{error:#}"),
                }
            }

            /// Returns the elements where they are in guest memory, in little-endian order.
            ///
            /// # Errors
            ///
            /// If `store` is not the store that the view came from.
            pub fn try_as_le_slice<'a, T: 'static>(
                &self,
                store: impl Into<StoreContext<'a, T>>,
            ) -> Result<&'a [$ty]> {
                self.integers(&mut self.memory.shared(&store.into().0.opaque)?)
            }

            /// Returns the elements where they are in guest memory, in little-endian order, and the
            /// host's data, so that a host function can use both at a time.
            ///
            /// # Errors
            ///
            /// If `store` is not the store that the view came from.
            pub fn slice_and_data<'a, T: 'static>(
                &self,
                store: impl Into<StoreContextMut<'a, T>>,
            ) -> Result<(&'a [$ty], &'a mut T)> {
                let StoreInner { opaque, host } = store.into().0;
                let slice = self.integers(&mut self.memory.shared(opaque)?)?;
                Ok((slice, &mut host.data))
            }
        }
    )*};
}

integer_lists!(u8 i8 u16 i16 u32 i32 u64 i64);

impl<T: ComponentType> ComponentType for WasmList<T> {
    const ABI: CanonicalAbi = <[T] as ComponentType>::ABI;
    const NEEDS_TYPE: bool = T::NEEDS_TYPE;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        <[T] as ComponentType>::matches(ty, types)
    }

    fn describe() -> String {
        <[T] as ComponentType>::describe()
    }
}

impl<T: Lift> Lift for WasmList<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        Self::new(cx, ty, src[0] as u32, src[1] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        Self::new(cx, ty, read_u32(bytes, 0), read_u32(bytes, 4))
    }
}
