//! [`Caller`]: a host function's access to the memory of the guest that calls it.

use crate::abi::guest::CallerMemory;
use crate::error::{Result, bail};
use crate::store::{StoreContext, StoreContextMut, StoreInner};
use crate::types::StoreInstanceId;
use crate::{AsContext, AsContextMut, Engine, Trap};
use mintage_environ::MemoryId;
use std::ops::Range;

/// The guest that calls a host function, with the store: the first argument of functions that are
/// defined by [`LinkerInstance::func_wrap_caller`](crate::LinkerInstance::func_wrap_caller).
///
/// It gives access to the guest's memory, for functions that get addresses as numbers, as those do
/// that core modules import ([`Component::from_module`](crate::Component::from_module)). The memory
/// is the first one of the core module. For a component, it is the canonical option `memory` of the
/// import.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Caller, Component, Engine, Linker, Store};
///
/// let engine = Engine::default();
/// let component = Component::from_module(
///     &engine,
///     r#"(module
///         (import "env" "log" (func $log (param i32 i32)))
///         (memory (export "memory") 1)
///         (data (i32.const 8) "ready")
///         (func (export "run") (call $log (i32.const 8) (i32.const 5))))"#,
/// )?;
/// let mut linker = Linker::<String>::new(&engine);
/// linker.instance("env")?.func_wrap_caller(
///     "log",
///     |mut caller: Caller<'_, String>, (address, len): (i32, i32)| {
///         let (memory, log) = caller.memory_and_data()?;
///         let line = memory.get(address as u32 as usize..).and_then(|m| m.get(..len as usize));
///         log.push_str(&String::from_utf8_lossy(line.unwrap_or_default()));
///         Ok(())
///     },
/// )?;
/// let mut store = Store::new(&engine, String::new());
/// let instance = linker.instantiate(&mut store, &component)?;
/// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
/// assert_eq!(store.data(), "ready");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
///
/// The caller is borrowed with its memory, so that no guest runs meanwhile, and no memory grows.
/// All methods for memory fail if the function was lowered without one, if the module has none or a
/// 64-bit one, or if the host itself is the caller, by a function that a component exports again.
pub struct Caller<'a, T: 'static> {
    pub(super) store: StoreContextMut<'a, T>,
    /// The instance that calls.
    pub(super) instance: StoreInstanceId,
    /// Its memory, of which it is known that it is a 32-bit one.
    pub(super) memory: Option<MemoryId>,
}

impl<'a, T> Caller<'a, T> {
    /// Returns the host's data.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// Returns the host's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// Returns the bytes of the guest's memory.
    ///
    /// # Errors
    ///
    /// If there is no such memory: see [`Caller`].
    #[inline]
    pub fn memory(&self) -> Result<&[u8]> {
        let memory = self.found()?;
        let instance = &self.store.0.opaque.instances[self.instance];
        Ok(instance.runtime.memory(memory))
    }

    /// Returns the bytes of the guest's memory, and the host's data, so that a host function can
    /// use both at a time.
    ///
    /// # Errors
    ///
    /// As [`memory`](Self::memory).
    #[inline]
    pub fn memory_and_data(&mut self) -> Result<(&[u8], &mut T)> {
        let (memory, data) = self.split()?;
        Ok((memory.read(), data))
    }

    /// Returns the bytes of the guest's memory for any use, and the host's data.
    ///
    /// Prefer [`write`](Self::write) and [`blocks_mut`](Self::blocks_mut) where they suffice. After
    /// this call the engine no longer knows which pages were written, so that the reset of the
    /// instance has to ask the system.
    ///
    /// # Errors
    ///
    /// As [`memory`](Self::memory).
    pub fn memory_mut(&mut self) -> Result<(&mut [u8], &mut T)> {
        let (memory, data) = self.split()?;
        Ok((memory.shared(), data))
    }

    /// Writes bytes to the guest's memory.
    ///
    /// # Errors
    ///
    /// - [`Trap::PointerOutOfBounds`] if they do not lie within the memory.
    /// - As [`memory`](Self::memory).
    #[inline]
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let (mut memory, _) = self.split()?;
        match memory.write(address as usize, bytes) {
            true => Ok(()),
            false => {
                let start = address as usize;
                let end = start.saturating_add(bytes.len());
                Err(bad_blocks(
                    std::slice::from_ref(&(start..end)),
                    memory.len(),
                ))
            }
        }
    }

    /// Returns blocks of the guest's memory, and the host's data. The blocks may be written by
    /// other threads and by the system. The ranges are addresses.
    ///
    /// Each page of a block is touched here, so that it counts as written. Ask for no more than
    /// is going to be written.
    ///
    /// # Errors
    ///
    /// - [`Trap::PointerOutOfBounds`] if a block does not lie within the memory, or two blocks
    ///   overlap.
    /// - As [`memory`](Self::memory).
    #[inline]
    pub fn blocks_mut<const N: usize>(
        &mut self,
        blocks: [Range<usize>; N],
    ) -> Result<([&mut [u8]; N], &mut T)> {
        let (memory, data) = self.split()?;
        let size = memory.len();
        let Ok(found) = memory.blocks(&blocks) else {
            return Err(bad_blocks(&blocks, size));
        };
        Ok((found, data))
    }

    /// Returns the memory, and the host's data.
    #[inline]
    fn split(&mut self) -> Result<(CallerMemory<'_>, &mut T)> {
        let memory = self.found()?;
        let StoreInner { opaque, host } = &mut *self.store.0;
        let runtime = opaque.instances[self.instance].runtime.get_mut();
        Ok((CallerMemory::new(runtime, memory), &mut host.data))
    }

    #[inline]
    fn found(&self) -> Result<MemoryId> {
        match self.memory {
            Some(memory) => Ok(memory),
            None => no_memory(),
        }
    }

    /// Returns the store.
    #[inline]
    pub(crate) fn into_store(self) -> StoreContextMut<'a, T> {
        self.store
    }
}

#[cold]
fn no_memory<R>() -> Result<R> {
    bail!(
        "the caller has no memory for host functions: the core module has none or a 64-bit one, or \
         the component lowers the import without the canonical option `memory`, or the caller is \
         the host"
    )
}

/// Says which of the blocks is out of bounds, or that they overlap.
#[cold]
fn bad_blocks(blocks: &[Range<usize>], size: usize) -> crate::Error {
    let outside = blocks
        .iter()
        .find(|block| block.start > block.end || block.end > size);
    let message = match outside {
        Some(Range { start, end }) => format!(
            "pointer out of bounds of memory: {start:#x} to {end:#x}, the memory has {size:#x}"
        ),
        None => "two blocks of memory overlap".into(),
    };
    crate::Error::from(Trap::PointerOutOfBounds).context(message)
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}
