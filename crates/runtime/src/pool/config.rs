//! [`PoolConfig`]: limits of an engine's pool.

/// Limits of the slots of an engine, and of what idle slots keep.
///
/// A slot is the address space of one instance with its mappings. When the instance is dropped, its
/// slot is reset and kept for the next instance of the same component.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    pub(crate) total_component_instances: usize,
    pub(crate) total_address_space: u64,
    pub(crate) max_unused_warm_slots: usize,
    pub(crate) keep_resident: usize,
    pub(crate) total_keep_resident: usize,
    pub(crate) background_reset: bool,
    pub(crate) pagemap_scan: bool,
    pub(crate) page_fault_count: bool,
    pub(crate) memfd: bool,
    pub(crate) share_code: bool,
    pub(crate) keep_started: bool,
    pub(crate) total_stacks: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            // About as many as fit the 65,530 mappings that Linux gives a process by default, at
            // six for a small component.
            total_component_instances: 10_000,
            // Half of the 47 bits of address space that a process has. The rest is left to the
            // host.
            total_address_space: 1 << 46,
            max_unused_warm_slots: 64,
            // 256 pages. A request writes about a hundred.
            keep_resident: 1 << 20,
            total_keep_resident: 256 << 20,
            background_reset: false,
            pagemap_scan: true,
            page_fault_count: true,
            memfd: true,
            share_code: true,
            keep_started: true,
            total_stacks: 10_000,
        }
    }
}

impl PoolConfig {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of slots of all components together, which is also the maximum number of
    /// instances; default: 10,000.
    ///
    /// If all slots are in use, creating an instance fails. If a component needs a slot, an idle
    /// slot of another component is unmapped, starting with the component that was used least
    /// recently.
    ///
    /// No component can take everything. If less than a quarter of the slots, of the address space
    /// or of the mappings is left, a component that has more than its share (the whole divided by
    /// the number of loaded components) gets no more of them.
    ///
    /// Slots also take mappings, of which Linux gives a process 65,530 (`vm.max_map_count`): about
    /// four for each component instance, two for each further memory, and two for each of up to 128
    /// stretches of its initial contents. The slots of all engines take at most seven eighths of
    /// these, so that the host always has some for threads and memory. Beyond three quarters, no
    /// slot is kept idle.
    pub fn total_component_instances(&mut self, slots: u32) -> &mut Self {
        self.total_component_instances = slots as usize;
        self
    }

    /// Sets the number of stacks for asynchronous calls, which is the maximum number of calls that
    /// may be suspended at a time; default: 10,000.
    ///
    /// A call has a stack of its own only if a host function that it may reach is asynchronous. A
    /// stack takes about 4 KiB of memory, or as much as its guest has used. What an idle stack has
    /// used beyond 32 KiB is returned to the system from time to time, and all of it if more than
    /// 256 are idle. Stacks also take mappings: one for 64 of them, or two for each before Linux
    /// 6.13.
    pub fn total_stacks(&mut self, stacks: u32) -> &mut Self {
        self.total_stacks = stacks as usize;
        self
    }

    /// Sets the bytes of address space that all slots may take, accessible or not; default: 64 TiB,
    /// half of what a process has.
    ///
    /// A memory takes 6 GiB unless `Config::memory_reservation` is set. A 64-bit memory without a
    /// declared maximum takes 18 GiB unless `Config::memory64_reservation` is set.
    pub fn total_address_space(&mut self, bytes: u64) -> &mut Self {
        self.total_address_space = bytes;
        self
    }

    /// Sets the number of idle slots that are kept for each component; default: 64. At most 1,024
    /// are kept for each thread. With 0, each instance gets new mappings.
    pub fn max_unused_warm_slots(&mut self, slots: u32) -> &mut Self {
        self.max_unused_warm_slots = slots as usize;
        self
    }

    /// Sets the bytes that a slot keeps in memory when its instance is dropped; default: 1 MiB.
    ///
    /// Up to this number of the bytes that the instance wrote are restored by copying, which saves
    /// the next instance a page fault for each page. The rest is returned to the system.
    ///
    /// The system's page tables count, too: 4 KiB for each 2 MiB of addresses in which the instance
    /// has read or written anything. They can only be freed by unmapping the slot. So a slot with
    /// more bytes of page tables than this setting, and more than 64 KiB, is not kept.
    pub fn keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.keep_resident = bytes;
        self
    }

    /// Sets the bytes that all slots together keep in memory this way, page tables included;
    /// default: 256 MiB.
    pub fn total_keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.total_keep_resident = bytes;
        self
    }

    /// Sets whether a thread of the engine resets slots instead of the thread that drops an
    /// instance; default: no.
    ///
    /// The thread starts when the first instance is dropped. If it falls behind, the dropping
    /// threads help.
    pub fn background_reset(&mut self, enable: bool) -> &mut Self {
        self.background_reset = enable;
        self
    }

    /// Sets whether the system is asked which pages were written, if it can tell; default: yes.
    /// Tests switch it off.
    #[doc(hidden)]
    pub fn pagemap_scan(&mut self, enable: bool) -> &mut Self {
        self.pagemap_scan = enable;
        self
    }

    /// Sets whether the count of page faults decides if the written pages have to be looked up;
    /// default: yes.
    ///
    /// If only one thread has used an instance, and without a page fault, the instance can have
    /// written only to pages that earlier instances in its slot have written to. Switch this off if
    /// the process locks memory that is already mapped (`mlockall` with `MCL_CURRENT`) while there
    /// are instances or idle slots: then pages become writable without a page fault of the thread
    /// that uses them.
    pub fn page_fault_count(&mut self, enable: bool) -> &mut Self {
        self.page_fault_count = enable;
        self
    }

    /// Sets whether components that have the same machine code or the same initial contents of
    /// memories, or parts of these, map them from one file; default: yes. An instance can find out
    /// by the time of an access whether other components run such code at that moment, or read such
    /// contents. Without sharing, each component has its own in memory.
    pub fn share_code(&mut self, enable: bool) -> &mut Self {
        self.share_code = enable;
        self
    }

    /// Sets whether artifacts and images from memory are put into files in memory, if the system
    /// supports them; default: yes. Tests switch it off.
    #[doc(hidden)]
    pub fn memfd(&mut self, enable: bool) -> &mut Self {
        self.memfd = enable;
        self
    }

    /// Sets whether the state after start functions is kept as an image if that is exact; default:
    /// yes. Tests switch it off.
    #[doc(hidden)]
    pub fn keep_started(&mut self, enable: bool) -> &mut Self {
        self.keep_started = enable;
        self
    }
}
