//! [`PoolConfig`]: how much the pool of an engine may take.

/// How many slots for instances an engine has, and what idle ones keep. A slot is the address space
/// of one instance with its mappings; when the instance is dropped, the slot is made as it was and
/// kept for the next instance of the same component.
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
    pub(crate) keep_started: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            // About as many as fit the 65,530 mappings that Linux gives a process by default, at
            // six for a small component.
            total_component_instances: 10_000,
            // Half of the 47 bits that a process has: the rest is the host's.
            total_address_space: 1 << 46,
            max_unused_warm_slots: 64,
            // 256 pages: a request writes about a hundred.
            keep_resident: 1 << 20,
            total_keep_resident: 256 << 20,
            background_reset: false,
            pagemap_scan: true,
            page_fault_count: true,
            memfd: true,
            keep_started: true,
        }
    }
}

impl PoolConfig {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Slots of all components together, and so the most instances at a time; default: 10,000. When
    /// all are in use, the next instance is an error. Idle slots are given back when another
    /// component needs them, those of the component that was used least recently first.
    ///
    /// No component can take all: when less than a quarter of the slots, of the address space or of
    /// the mappings is left, a component that has more than its share (the whole divided by the
    /// number of components that the engine has loaded) gets no more of them.
    ///
    /// Slots also take mappings, of which Linux gives a process 65,530 (`vm.max_map_count`): about
    /// four for each component instance, two for each further memory, and two for each of up to 128
    /// stretches of its initial contents. The slots of all engines take at most seven eighths of
    /// these, so that the host always has some for threads and memory, and no slot stays idle while
    /// it is more than three quarters.
    pub fn total_component_instances(&mut self, slots: u32) -> &mut Self {
        self.total_component_instances = slots as usize;
        self
    }

    /// Bytes of address space that all slots may take, accessible or not; default: 64 TiB, half of
    /// what a process has. A memory takes 6 GiB unless `Config::memory_reservation` says otherwise,
    /// and a 64-bit memory without a declared maximum 18 GiB unless `Config::memory64_reservation`
    /// does.
    pub fn total_address_space(&mut self, bytes: u64) -> &mut Self {
        self.total_address_space = bytes;
        self
    }

    /// Idle slots that are kept for each component, at most 1,024 for each thread; default: 64.
    /// With 0, each instance gets new mappings.
    pub fn max_unused_warm_slots(&mut self, slots: u32) -> &mut Self {
        self.max_unused_warm_slots = slots as usize;
        self
    }

    /// Bytes that a slot keeps in memory when its instance is dropped; default: 1 MiB. So many of
    /// the bytes that the instance wrote, in memories, tables and elsewhere, are put back to what
    /// they were by copying, which saves the next instance a page fault each. The rest is given
    /// back to the system.
    ///
    /// The system's page tables count, too: 4 KiB for each 2 MiB of addresses that the instance has
    /// read or written anything in. They can only be given back with the slot, so a slot that has
    /// more of them than this setting, and more than 64 KiB, is not kept.
    pub fn keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.keep_resident = bytes;
        self
    }

    /// Bytes that all slots together keep in memory this way, page tables included; default: 256
    /// MiB.
    pub fn total_keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.total_keep_resident = bytes;
        self
    }

    /// Whether a thread of the engine resets slots, rather than the thread that drops an instance;
    /// default: no. It starts with the first instance that is dropped. Where it falls behind,
    /// dropping threads help.
    pub fn background_reset(&mut self, enable: bool) -> &mut Self {
        self.background_reset = enable;
        self
    }

    /// Whether the system is asked which pages were written, if it can tell; default: yes. For
    /// tests of the other way.
    #[doc(hidden)]
    pub fn pagemap_scan(&mut self, enable: bool) -> &mut Self {
        self.pagemap_scan = enable;
        self
    }

    /// Whether an instance that was used by one thread, which had no page fault meanwhile, counts
    /// as one that wrote to no other pages than those before it in its slot, so that nobody needs
    /// to look; default: yes. Switch it off in a process that locks memory which is mapped already
    /// (`mlockall` with `MCL_CURRENT`) while there are instances or idle slots: pages become
    /// writable then without a fault of the thread that uses them.
    pub fn page_fault_count(&mut self, enable: bool) -> &mut Self {
        self.page_fault_count = enable;
        self
    }

    /// Whether artifacts and images from memory are files in memory, if the system gives any;
    /// default: yes. For tests of the other way.
    #[doc(hidden)]
    pub fn memfd(&mut self, enable: bool) -> &mut Self {
        self.memfd = enable;
        self
    }

    /// Whether the state after start functions is kept where that is exact; default: yes. For tests
    /// that compare.
    #[doc(hidden)]
    pub fn keep_started(&mut self, enable: bool) -> &mut Self {
        self.keep_started = enable;
        self
    }
}
