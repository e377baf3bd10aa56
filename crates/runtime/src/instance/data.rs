//! [`InstanceData`]: the run-time data of an instance beside its slab, and all access to the
//! contents of the slab.

use super::current::Current;
use super::host_table::HostTable;
use super::limits::{CheckIn, Growing, Limits};
use crate::bulk::{self, Pauses};
use crate::code::Code;
use crate::component::handles::{Handles, Resources};
use crate::fiber::Stack;
use crate::pool::{PooledSlab, Written};
use crate::slab::{HeapSize, Image, Sizes, Slab};
use crate::sys;
use anyhow::{Result, ensure};
use mintage_environ::layout::{HeadSlot, HeapLayout};
use mintage_environ::{
    ControlBlock, DomainId, FuelWords, MemoryId, ObjectTypeId, TableId, Tunables, limit,
};
use std::any::{Any, TypeId};
use std::cell::{Cell, OnceCell, RefCell};
use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The word in the place of one that a store lacks. Machine code that would use it does not run.
static NEVER: AtomicU64 = AtomicU64::new(0);
/// The fuel in the place of fuel that a store lacks. Machine code that would use it does not run.
static NO_FUEL: FuelWords = FuelWords {
    counter: AtomicU64::new(u64::MAX),
    pause: AtomicU64::new(u64::MAX),
};

/// The words that a store shares with the machine code of all its instances.
#[derive(Clone, Debug, Default)]
pub struct StoreWords {
    /// The interrupt word. If it is not zero, code that is compiled to read it
    /// (`Tunables::interruptible`) checks in. Long operations of the runtime end with
    /// [`Trap::Interrupt`](mintage_environ::Trap::Interrupt) if it has one of
    /// [`interrupt_bits::ENDING`](mintage_environ::interrupt_bits::ENDING).
    pub interrupt: Option<Arc<AtomicU64>>,
    /// The fuel, whose counter code adds to that is compiled to count (`Tunables::consume_fuel`).
    /// Where it would overflow, the code traps with
    /// [`Trap::OutOfFuel`](mintage_environ::Trap::OutOfFuel). Where it passes the pause, the code
    /// checks in. Others change it only while no code runs in the store.
    pub fuel: Option<Arc<FuelWords>>,
}

/// The state that all instances of a store share.
#[derive(Clone, Debug)]
pub struct StoreState {
    /// The words that machine code uses.
    pub words: StoreWords,
    /// The state while guests run.
    pub current: NonNull<Current>,
    /// Decides about guests that check in. If there is none, they trap.
    pub check_in: Option<CheckIn>,
    /// What the host does for tasks. If there is none, the store has no host functions that go on
    /// while a guest does.
    pub hooks: Option<HostHooks>,
    /// Makes tasks and threads take turns at random, from this seed.
    pub schedule_seed: Option<u64>,
}

/// What the host does for tasks. All functions get the pointer for host functions.
#[derive(Clone, Copy, Debug)]
pub struct HostHooks {
    /// Ends the host function of a subtask, by the number that it was
    /// [added](crate::Instance::add_subtask) with.
    ///
    /// # Safety
    ///
    /// Machine code of the store has left for this, and no one else uses the store.
    pub cancel: unsafe fn(host: NonNull<()>, number: u64),
    /// Returns whether guests that call no host function may be suspended, too: because they yield
    /// after some time, or wait for the limiter.
    ///
    /// # Safety
    ///
    /// As for `cancel`.
    pub pauses: unsafe fn(host: NonNull<()>) -> bool,
    /// Takes the result of a task that the host has called, within `task.return`. It gets the tag
    /// of the task and the flat result, or the pointer to it.
    ///
    /// # Safety
    ///
    /// As for `cancel`.
    pub result: unsafe fn(host: NonNull<()>, tag: u64, words: &[u64]) -> Result<()>,
    /// Learns that the guest at the other side of an end of the host has begun or cancelled a copy,
    /// or has dropped its end. It gets the tag of the guest's instance, and the number of the
    /// host's end.
    ///
    /// # Safety
    ///
    /// As for `cancel`.
    pub peer: unsafe fn(host: NonNull<()>, tag: u64, number: u64) -> Result<()>,
}

/// The run-time data of an instance. Control blocks point to it.
///
/// Shared references to it exist during calls, so everything that changes is in cells. The contents
/// of the slab are accessed through raw pointers only.
pub struct InstanceData {
    /// The host functions, with the code. Control blocks point to its array.
    pub imports: Arc<HostTable>,
    /// The code, which `imports` keeps alive.
    code: NonNull<Code>,
    /// The limits of growth and of the stack.
    pub limits: Limits,
    /// The caller's own number of the instance.
    pub tag: u64,
    /// The store's words. Control blocks point to them.
    words: StoreWords,
    /// The store's state while guests run. Control blocks point to it.
    current: NonNull<Current>,
    /// Decides whether the instance's code goes on when it checks in.
    pub check_in: Option<CheckIn>,
    /// What the host does for tasks.
    pub hooks: Option<HostHooks>,
    /// Makes tasks and threads take turns at random, from this seed.
    pub schedule_seed: Option<u64>,
    /// Whether a call was stopped.
    pub poisoned: Cell<bool>,
    /// The handle tables. They are borrowed only while no other code runs.
    pub handles: RefCell<Handles>,
    /// The number of the thread that used the slab last; 0 if none has. Whoever has a context
    /// pointer may write.
    user: Cell<u64>,
    /// A number of page faults that this thread had had at some time before its first access, if no
    /// other thread has used the slab.
    faults: Cell<Option<u64>>,
    /// Whether the instance's state depends on the host: on an answer of a host function, or on
    /// refused growth.
    pub depends_on_host: Cell<bool>,
    /// The number of stacks of calls and threads that can be suspended.
    pub stacks: Cell<u32>,
    /// Tasks and threads. Made when they are first needed.
    pub concurrent: ThreadsPlace,
    /// Why another thread was stopped, while it is passed on to the call that ran it.
    pub stopped: Cell<Option<Box<dyn Any + Send>>>,
    /// The context pointer of each domain. The list is in `slab`.
    contexts: NonNull<[*mut u8]>,
    /// The array of builtins, for the control blocks.
    builtins: *const usize,
    slab: PooledSlab,
}

/// The allocations for the run-time data of the instances of a slab, which are made once.
#[repr(C)]
struct Room {
    /// First, so that a pointer to the room is one to the data. It has no value while the slab has
    /// no instance.
    data: MaybeUninit<InstanceData>,
    threads: Option<Box<dyn Threads>>,
}

// SAFETY: it is sent only while the slab has no instance. The data has no value then, and is bytes
// that are not bound to a thread. The rest is `Send`.
unsafe impl Send for Room {}

const _: () = assert!(offset_of!(Room, data) == 0);

/// The place of an instance's tasks and threads.
pub struct ThreadsPlace {
    made: OnceCell<(TypeId, Box<dyn Threads>)>,
    /// What those of an earlier instance have left.
    kept: Cell<Option<Box<dyn Threads>>>,
}

impl ThreadsPlace {
    /// Creates one without tasks and threads.
    fn new(kept: Option<Box<dyn Threads>>) -> Self {
        ThreadsPlace {
            made: OnceCell::new(),
            kept: Cell::new(kept),
        }
    }

    /// Returns the tasks and threads, if they have been made.
    pub fn get(&self) -> Option<&dyn Threads> {
        self.made.get().map(|(_, threads)| &**threads)
    }

    /// Returns the tasks and threads, which `make` makes when they are first needed, out of empty
    /// ones if it gets such.
    ///
    /// # Panics
    ///
    /// If they were made with another type.
    #[inline]
    pub fn get_or_make<T: Threads>(&self, make: impl FnOnce(Option<Box<T>>) -> Box<T>) -> &T {
        let made = || {
            let kept = self.kept.take().map(|kept| kept as Box<dyn Any>);
            let threads = make(kept.and_then(|kept| kept.downcast().ok()));
            (TypeId::of::<T>(), threads as Box<dyn Threads>)
        };
        let (ty, threads) = self.made.get_or_init(made);
        assert!(*ty == TypeId::of::<T>(), "the threads have one type");
        // SAFETY: this is a `T`, since it was put here together with its type.
        unsafe { &*(&raw const **threads).cast::<T>() }
    }

    /// Ends the tasks and threads. Returns what they leave.
    fn end(&mut self) -> Option<Box<dyn Threads>> {
        let Some((_, mut threads)) = self.made.take() else {
            return self.kept.take();
        };
        // A future that a thread still waits for may borrow from a call that has ended or was
        // leaked, so it must not be dropped.
        threads.forget_waits();
        threads.empty();
        Some(threads)
    }
}

/// The tasks and threads of an instance, which the folder `concurrent` knows.
pub trait Threads: Any + Send {
    /// Returns whether there is no task, thread, waitable or set.
    fn are_idle(&self) -> bool;

    /// Calls `visit` for each thread that is suspended and not in the list of activations, with its
    /// innermost frame pointer and the end of its frames.
    fn visit_suspended(&self, visit: &mut dyn FnMut(usize, usize));

    /// Forgets the futures of the host that threads wait for, without dropping them.
    fn forget_waits(&mut self);

    /// Removes all tasks and threads, and keeps the allocations for another instance.
    fn empty(&mut self);
}

/// The present state of a memory. Memories never move.
#[derive(Clone, Copy)]
pub struct MemoryView {
    /// The address of byte 0.
    pub base: *mut u8,
    /// The size in bytes, all of which are accessible.
    pub size: u64,
}

/// The present state of a table. Tables never move.
#[derive(Clone, Copy)]
pub struct TableView {
    /// The address of entry 0.
    pub base: *mut u64,
    /// The number of entries.
    pub size: u64,
}

impl InstanceData {
    /// Returns the code of the component.
    #[inline]
    pub fn code(&self) -> &Code {
        // SAFETY: `imports` holds the code as long as the data lives, and neither changes.
        unsafe { self.code.as_ref() }
    }

    /// Makes the run-time data of an instance, on the heap, with a slab of its own. The slab is
    /// prepared when it is first used.
    ///
    /// # Errors
    ///
    /// If the pool or the system gives no slab, or the store lacks a word that the code uses.
    ///
    /// # Safety
    ///
    /// `store.current` stays where it is as long as the instance lives.
    pub unsafe fn create(
        image: &Arc<Image>,
        imports: &Arc<HostTable>,
        limits: Limits,
        tag: u64,
        store: StoreState,
        builtins: *const usize,
    ) -> Result<NonNull<InstanceData>> {
        let StoreState {
            words,
            current,
            check_in,
            hooks,
            schedule_seed,
        } = store;
        let code = imports.code();
        let Tunables {
            interruptible,
            consume_fuel,
            ..
        } = code.metadata().tunables;
        ensure!(
            words.interrupt.is_some() || !interruptible,
            "the component's code is interruptible, but the store has no interrupt word"
        );
        ensure!(
            words.fuel.is_some() || !consume_fuel,
            "the component's code consumes fuel, but the store has no counter"
        );
        let mut slab = code.acquire(image)?;
        let mut room = slab.take_room().unwrap_or_else(|| {
            Box::new(Room {
                data: MaybeUninit::uninit(),
                threads: None,
            })
        });
        let threads = room.threads.take();
        let data: NonNull<InstanceData> = NonNull::from(Box::leak(room)).cast();
        // SAFETY: the data is at the start of the room, which is leaked, so no one else uses it.
        unsafe {
            data.write(InstanceData {
                imports: imports.clone(),
                code: NonNull::from(&**code),
                limits,
                tag,
                words,
                current,
                check_in,
                hooks,
                schedule_seed,
                poisoned: Cell::new(false),
                handles: RefCell::new(code.new_handles(limits.handles)),
                user: Cell::new(0),
                faults: Cell::new(None),
                depends_on_host: Cell::new(false),
                stacks: Cell::new(0),
                concurrent: ThreadsPlace::new(threads),
                stopped: Cell::new(None),
                contexts: slab.contexts(),
                builtins,
                slab,
            });
        }
        Ok(data)
    }

    /// Frees the run-time data of an instance, and gives its slab back.
    ///
    /// # Safety
    ///
    /// `create` made the instance, and no one uses it any more.
    pub unsafe fn destroy(data: NonNull<InstanceData>) {
        // Threads that wait refer to the instance when they are dropped.
        //
        // SAFETY: as the caller promises.
        let threads = unsafe { (*data.as_ptr()).concurrent.end() };
        // SAFETY: `create` leaked a room, which begins with the data. That is moved out here before
        // the room is a box again.
        let (data, mut room): (_, Box<Room>) =
            unsafe { (data.read(), Box::from_raw(data.as_ptr().cast())) };
        room.threads = threads;
        let written = data.written();
        let InstanceData {
            imports, mut slab, ..
        } = data;
        slab.put_room(room);
        imports.code().release(slab, written);
    }

    /// Returns a stack for a thread of the instance.
    ///
    /// # Errors
    ///
    /// If the instance has as many as it may have, or its engine has no more.
    pub fn acquire_stack(&self) -> Result<Stack> {
        let limit = self.limits.stacks;
        ensure!(
            self.stacks.get() < limit,
            limit!(
                Stacks,
                "threads of the instance already have all of its {limit} stacks; raise \
                 `StoreLimitsBuilder::stacks`, or change what `Store::limiter` was given"
            )
        );
        self.imports.stacks().acquire()
    }

    /// Notes that another thread uses the slab from now on.
    #[cold]
    #[inline(never)]
    fn used_by(&self, thread: u64) {
        if self.user.replace(thread) == 0 {
            // Only if the written pages are known now can they still be known afterwards.
            let counts = self.slab.knows_written();
            self.faults
                .set(counts.then(sys::thread::earlier_page_faults).flatten());
            self.prepare();
        } else {
            self.faults.set(None);
        }
    }

    /// Notes that other threads may write to the slab.
    pub fn share(&self) {
        self.faults.set(None);
    }

    /// Returns the pauses of work on `len` bytes or other items for a guest. Short work has none,
    /// and does not even read the interrupt word's address.
    #[inline]
    pub fn pauses(&self, len: usize) -> Pauses<'_> {
        if len <= bulk::PIECE {
            return Pauses::NEVER;
        }
        Pauses::new(self.words.interrupt.as_deref())
    }

    /// Prepares the slab. No page of an instance that no one uses is in memory.
    fn prepare(&self) {
        self.slab.fill();
        for &ctx in self.contexts() {
            let block = ControlBlock {
                stack_limit: u64::MAX,
                interrupt: self.words.interrupt.as_deref().unwrap_or(&NEVER),
                fuel: self.words.fuel.as_deref().unwrap_or(&NO_FUEL),
                host_imports: self.imports.as_ptr(),
                builtins: self.builtins,
                current: self.current().exit_record(),
                flags: ControlBlock::MAY_LEAVE,
                data_segments: self.code().data_segments(),
                instance: std::ptr::from_ref(self).cast(),
                reserved: [0; 7],
            };
            // SAFETY: the block is at the end of the domain's head, which is accessible. It is
            // aligned, since `ctx` is.
            unsafe { control_block(ctx).write(block) };
        }
    }

    /// Returns which pages of the slab may differ from the image.
    fn written(&self) -> Written {
        let (user, faults) = (self.user.get(), self.faults.get());
        if user == 0 {
            return Written::Nothing;
        }
        // A forked child starts a new count, and has no page table to scan.
        let knows = || {
            self.code().shelf().pool().pagemap().is_some() && sys::thread::page_faults() == faults
        };
        match faults.is_some() && user == sys::thread::number() && knows() {
            true => Written::Known,
            false => {
                // The scan and the copies that follow may fault.
                sys::thread::forget_page_faults();
                Written::Anything
            }
        }
    }

    /// Returns the instance of the machine code that runs with this `ctx`.
    ///
    /// # Safety
    ///
    /// `ctx` is the context pointer of a domain, a result of [`ctx`](Self::ctx), of an instance
    /// that lives as long as the result.
    pub unsafe fn of_ctx<'a>(ctx: *mut u8) -> &'a InstanceData {
        // SAFETY: `prepare` wrote the control block, and machine code does not change this field.
        unsafe { &*(*control_block(ctx)).instance.cast::<InstanceData>() }
    }

    /// Returns the store's state while guests run.
    #[inline]
    pub fn current(&self) -> &Current {
        // SAFETY: the state stays in place, as the caller of `create` promised, and all of it that
        // changes is in cells.
        unsafe { self.current.as_ref() }
    }

    /// Returns whether an address is in the instance's slab.
    pub fn owns(&self, address: usize) -> bool {
        self.slab.contains(address)
    }

    /// Sets the stack limit of all component instances, since any of them may go on.
    pub fn set_stack_limit(&self, limit: u64) {
        for &ctx in self.contexts() {
            // SAFETY: the control block lives as long as the instance.
            unsafe { (*control_block(ctx)).stack_limit = limit };
        }
    }

    /// Returns the context pointer of a domain.
    ///
    /// # Panics
    ///
    /// If the component has no such domain.
    #[inline]
    pub fn ctx(&self, domain: DomainId) -> *mut u8 {
        let thread = sys::thread::number();
        if self.user.get() != thread {
            self.used_by(thread);
        }
        self.contexts()[domain.as_u32() as usize]
    }

    #[inline]
    fn contexts(&self) -> &[*mut u8] {
        // SAFETY: the list belongs to the slab, which lives as long as `self` and never changes it.
        unsafe { self.contexts.as_ref() }
    }

    /// Returns the slab.
    pub fn slab(&self) -> &Slab {
        &self.slab
    }

    /// Calls `f` with the handle tables. `f` must not call what also uses them.
    pub(crate) fn with_handles<T>(&self, f: impl FnOnce(&mut Handles, &Resources) -> T) -> T {
        f(
            &mut self.handles.borrow_mut(),
            &self.code().interface().resources,
        )
    }

    /// Returns whether no task, thread, waitable or set is left.
    pub fn is_idle(&self) -> bool {
        self.concurrent
            .get()
            .is_none_or(|threads| threads.are_idle())
    }

    /// Returns whether the instance's whole state is in its slab and depends on the component only.
    pub fn is_all_in_slab(&self) -> bool {
        !self.depends_on_host.get() && self.handles.borrow().are_unused() && self.is_idle()
    }

    /// Returns the sizes of memories, tables and GC heaps.
    pub fn sizes(&self) -> Sizes {
        let layout = self.code().layout();
        Sizes {
            memories: layout
                .memories
                .keys()
                .map(|id| self.memory(id).map_or(0, |memory| memory.size))
                .collect(),
            tables: layout
                .tables
                .keys()
                .map(|id| self.table(id).map_or(0, |table| table.size))
                .collect(),
            heaps: layout
                .heaps()
                .map(|(id, heap)| {
                    // SAFETY: the size slot is an aligned word of the head.
                    let half = unsafe { self.size_slot(id, heap.size_slot).read() };
                    HeapSize::new(id, heap, half)
                })
                .collect(),
        }
    }

    /// Returns the control block of a domain.
    ///
    /// # Panics
    ///
    /// If the component has no such domain.
    #[inline]
    pub fn control(&self, domain: DomainId) -> *mut ControlBlock {
        control_block(self.ctx(domain))
    }

    /// Returns the address of a word in a domain's head.
    ///
    /// # Panics
    ///
    /// If the component has no such domain.
    pub fn slot(&self, slot: HeadSlot) -> *mut u8 {
        self.ctx(slot.domain).wrapping_offset(slot.offset as isize)
    }

    /// Returns a memory, if the component has it.
    #[inline]
    pub fn memory(&self, id: MemoryId) -> Option<MemoryView> {
        let layout = self.code().layout().memories.get(id)?;
        let ctx = self.ctx(layout.domain);
        // SAFETY: the size is an aligned word of the head.
        let size = unsafe {
            ctx.wrapping_offset(layout.size_slot as isize)
                .cast::<u64>()
                .read()
        };
        Some(MemoryView {
            base: ctx.wrapping_add(layout.offset as usize),
            size,
        })
    }

    /// Returns a memory, or `None` before the first use of the slab. Nothing is written.
    ///
    /// # Panics
    ///
    /// If the component has no such memory.
    pub fn peek_memory(&self, id: MemoryId) -> Option<MemoryView> {
        let layout = &self.code().layout().memories[id];
        let size = self.peek_word(layout.domain, layout.size_slot)?;
        let ctx = self.contexts()[layout.domain.as_u32() as usize];
        Some(MemoryView {
            base: ctx.wrapping_add(layout.offset as usize),
            size,
        })
    }

    /// Returns the size of something that can grow, as [`Growth`](super::Growth) counts it, or
    /// `None` before the first use of the slab. Nothing is written.
    pub fn peek_size(&self, what: Growing) -> Option<u64> {
        let layout = self.code().layout();
        match what {
            Growing::Memory(id) => Some(self.peek_memory(id)?.size),
            Growing::Table(id) => {
                let table = layout.tables.get(id)?;
                self.peek_word(table.domain, table.size_slot)
            }
            Growing::Heap(domain) => {
                let heap = layout.domains.get(domain)?.heap.as_ref()?;
                let half = self.peek_word(domain, heap.size_slot)?;
                Some(heap.static_size() + 2 * half)
            }
        }
    }

    /// Returns a word of the head of a domain, or `None` before the first use of the slab.
    fn peek_word(&self, domain: DomainId, slot: i32) -> Option<u64> {
        if self.user.get() == 0 {
            return None;
        }
        let ctx = self.contexts()[domain.as_u32() as usize];
        // SAFETY: the word is an aligned one of the head, which was prepared.
        Some(unsafe { ctx.wrapping_offset(slot as isize).cast::<u64>().read() })
    }

    /// Returns the address of `len` bytes at `start` of a memory, or `None` if they are out of
    /// bounds.
    #[inline]
    pub fn memory_range(&self, id: MemoryId, start: u64, len: u64) -> Option<*mut u8> {
        let memory = self.memory(id)?;
        match start.checked_add(len) {
            Some(end) if end <= memory.size => Some(memory.base.wrapping_add(start as usize)),
            _ => None,
        }
    }

    /// Returns a table, if the component has it.
    #[inline]
    pub fn table(&self, id: TableId) -> Option<TableView> {
        let layout = self.code().layout().tables.get(id)?;
        let base = self
            .ctx(layout.domain)
            .wrapping_offset(layout.offset as isize)
            .cast();
        // SAFETY: the size slot is an aligned word of the head.
        let size = unsafe { self.size_slot(layout.domain, layout.size_slot).read() };
        Some(TableView { base, size })
    }

    #[inline]
    pub fn size_slot(&self, domain: DomainId, offset: i32) -> *mut u64 {
        self.ctx(domain).wrapping_offset(offset as isize).cast()
    }

    /// Returns the type of the object in the GC heap of `domain` at a reference, or `None` where no
    /// object can be.
    pub fn object_type(&self, domain: DomainId, reference: u64) -> Option<ObjectTypeId> {
        let heap = self.code().layout().domains.get(domain)?.heap.as_ref()?;
        // SAFETY: both slots are aligned words of the head.
        let [half, next] = [heap.half_slot, heap.next_slot]
            .map(|slot| unsafe { self.size_slot(domain, slot).read() });
        let never_moving = HeapLayout::FIRST..HeapLayout::FIRST + heap.initial;
        let is_inside = never_moving.contains(&reference) || (half..next).contains(&reference);
        if !is_inside || !reference.is_multiple_of(HeapLayout::ALIGN) {
            return None;
        }
        let header = self
            .ctx(domain)
            .wrapping_offset(heap.offset as isize)
            .wrapping_add(reference as usize);
        // SAFETY: objects, of which this is an aligned word, lie in accessible parts.
        let header = unsafe { header.cast::<u32>().read() };
        Some(ObjectTypeId::from_u32(header >> 1))
    }
}

/// Returns the control block of a `ctx`, which ends there.
#[inline]
pub fn control_block(ctx: *mut u8) -> *mut ControlBlock {
    ctx.wrapping_sub(ControlBlock::SIZE as usize).cast()
}
