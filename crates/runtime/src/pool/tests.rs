//! Tests of the pool: what is counted, kept, shared and given back.

use super::*;
use crate::code::{Code, LoadCheck};
use crate::slab::GUESSED_PREFIX;
use crate::sys::mmap::page_size;
use mintage_compile::NoProgress;
use mintage_environ::{ByteSize, Tunables};

const MINIMAL: &str = "(component (core module $m (memory 1)) (core instance (instantiate $m)))";

pub fn code(pool: &Arc<Pool>, text: &str) -> Arc<Code> {
    let bytes = wat::parse_str(text).unwrap();
    let artifact = mintage_compile::compile(&bytes, &Tunables::default(), &NoProgress).unwrap();
    // SAFETY: the compiler made the artifact.
    unsafe { Code::from_bytes(&artifact, &LoadCheck::default(), pool) }.unwrap()
}

fn slab(code: &Code) -> anyhow::Result<PooledSlab> {
    code.acquire(code.image())
}

fn counts(pool: &Pool) -> (usize, usize, usize) {
    let counts = *lock(&pool.counts);
    let resident = pool.resident.load(Ordering::Relaxed);
    (counts.components, counts.slabs.slabs, resident)
}

/// Waits until the background thread, if there is one, has reset its slabs.
fn settle(code: &Code, idle: usize) {
    for _ in 0..10_000 {
        if code.shelf().idle() == idle {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{} idle slabs in place of {idle}", code.shelf().idle());
}

#[test]
fn slabs_are_counted_until_they_are_unmapped() {
    for background in [false, true] {
        let pool = Pool::new(
            PoolConfig::new()
                .max_unused_warm_slots(3)
                .background_reset(background),
        );
        let code = code(&pool, MINIMAL);
        let slabs: Vec<PooledSlab> = (0..5).map(|_| slab(&code).unwrap()).collect();
        assert_eq!(counts(&pool), (1, 5, 0));
        for slab in slabs {
            slab.fill();
            code.release(slab, Written::Anything);
        }
        settle(&code, 3);
        for _ in 0..1000 {
            if counts(&pool).1 == 3 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let (components, slabs, resident) = counts(&pool);
        assert_eq!((components, slabs), (1, 3));
        // The page with the size of the memory, or all that is assumed to be written; its page
        // table, and two of the levels above. A slab may extend over two tables of each level.
        let kept = match pool.pagemap() {
            Some(_) => page_size().max(4096),
            None => GUESSED_PREFIX,
        };
        assert!(
            (3 * (kept + 3 * 4096)..=3 * (kept + 6 * 4096)).contains(&resident),
            "{resident} bytes"
        );
        assert_eq!(code.shelf().usage().slabs.load(Ordering::Relaxed), 3);
        drop(code);
        for _ in 0..1000 {
            if counts(&pool).0 == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(counts(&pool), (0, 0, 0));
        let counts = *lock(&pool.counts);
        assert_eq!((counts.slabs, counts.mapped), (SlabTotals::default(), 5));
    }
}

#[test]
fn the_coldest_component_gives_slabs_back_first() {
    let pool = Pool::new(PoolConfig::new().total_component_instances(8));
    let [cold, warm, new] = [(); 3].map(|()| code(&pool, MINIMAL));
    for code in [&cold, &warm] {
        let slabs = [(); 3].map(|()| slab(code).unwrap());
        slabs
            .into_iter()
            .for_each(|slab| code.release(slab, Written::Nothing));
    }
    let idle = || [&cold, &warm, &new].map(|code| code.shelf().idle());
    let mut used = vec![slab(&new).unwrap(), slab(&new).unwrap()];
    assert_eq!(idle(), [3, 3, 0]);
    // Beyond its share, so that a quarter of the slots becomes free again.
    used.push(slab(&new).unwrap());
    assert_eq!(idle(), [0, 3, 0]);
    // The component that was used last is unmapped last.
    cold.release(slab(&cold).unwrap(), Written::Nothing);
    used.push(slab(&new).unwrap());
    assert_eq!(idle(), [1, 1, 0]);
}

#[test]
fn components_keep_to_their_share_when_slots_are_scarce() {
    let pool = Pool::new(PoolConfig::new().total_component_instances(8));
    let first = code(&pool, MINIMAL);
    // A component alone may have everything.
    let all: Vec<PooledSlab> = (0..8).map(|_| slab(&first).unwrap()).collect();
    let error = slab(&first).err().unwrap().to_string();
    let size = ByteSize(8 * first.layout().size);
    let expected = format!(
        "the pool is full: all 8 slots are in use, with {size} of address space; drop instances, \
         or raise `PoolConfig::total_component_instances` (there are address space and mappings \
         for "
    );
    let more = error.strip_prefix(&expected).expect(&error);
    let (more, rest) = more.split_once(' ').unwrap();
    assert_eq!(rest, "more instances of the component)");
    assert!(
        (1..1 << 20).contains(&more.parse::<u64>().unwrap()),
        "{error}"
    );
    drop(all);
    let second = code(&pool, MINIMAL);
    let most: Vec<PooledSlab> = (0..6).map(|_| slab(&first).unwrap()).collect();
    let error = slab(&first).err().unwrap().to_string();
    assert!(
        error.starts_with("the component has 6 of the pool's 8 slots")
            && error.contains("other 1 components"),
        "{error}"
    );
    let rest: Vec<PooledSlab> = (0..2).map(|_| slab(&second).unwrap()).collect();
    assert!(slab(&second).is_err());
    drop((most, rest));
    assert_eq!(counts(&pool), (2, 0, 0));
}

#[test]
fn components_keep_to_their_share_of_address_space() {
    let pool = Pool::new(PoolConfig::new().total_address_space(50 << 30));
    let (first, second) = (code(&pool, MINIMAL), code(&pool, "(component)"));
    let slabs: Vec<PooledSlab> = std::iter::from_fn(|| slab(&first).ok()).collect();
    // Six gigabytes each, up to three quarters.
    assert_eq!(slabs.len(), 6);
    let error = slab(&first).err().unwrap().to_string();
    assert!(
        error.contains("37 of its 50 GiB of address space"),
        "{error}"
    );
    let other = slab(&second).unwrap();
    drop(second);
    // The slab of a component that is gone still counts.
    let slabs: Vec<PooledSlab> = slabs
        .into_iter()
        .chain(std::iter::from_fn(|| slab(&first).ok()))
        .collect();
    assert_eq!(slabs.len(), 8);
    let error = slab(&first).err().unwrap().to_string();
    assert!(
        error.contains("raise `PoolConfig::total_address_space`"),
        "{error}"
    );
    drop(other);
}

#[test]
fn colder_slabs_make_room_for_what_warmer_ones_keep_in_memory() {
    let pool = Pool::new(
        PoolConfig::new()
            .total_keep_resident(40 << 10)
            .keep_resident(32 << 10),
    );
    let [cold, warm] = [(); 2].map(|()| code(&pool, MINIMAL));
    let mut slabs = [&cold, &warm].map(|code| slab(code).unwrap());
    let [first, second] = &mut slabs;
    let keep = |slab: &mut PooledSlab, bytes: usize, code: &Code| {
        slab.claim_mut().keep_resident(4 << 10, bytes, code.shelf())
    };
    assert_eq!(keep(first, 100 << 10, &cold), Some(28 << 10));
    // The other slab is in use.
    let before = counts(&pool).2;
    assert_eq!(keep(second, 28 << 10, &warm), None);
    assert_eq!(counts(&pool).2, before);
    let [first, mut second] = slabs;
    cold.shelf().put(first);
    assert_eq!(keep(&mut second, 28 << 10, &warm), Some(28 << 10));
    assert_eq!((cold.shelf().idle(), counts(&pool).2), (0, 32 << 10));
    assert_eq!(keep(&mut second, 1000, &warm), Some(1000));
    // A few page tables may be kept nevertheless, and many are never kept.
    let mut tables = |bytes| {
        second
            .claim_mut()
            .keep_resident(bytes, 10 << 10, warm.shelf())
    };
    assert_eq!((tables(40 << 10), tables(65 << 10)), (Some(0), None));
    drop(second);
    assert_eq!(counts(&pool), (2, 0, 0));
}

/// Afterwards the host may change the artifact's file, from which images are mapped and restored.
#[test]
fn no_thread_uses_the_image_after_the_component_is_gone() {
    let pool = Pool::new(PoolConfig::new().background_reset(true));
    for _ in 0..20 {
        let code = code(&pool, MINIMAL);
        let slabs: Vec<PooledSlab> = (0..20).map(|_| slab(&code).unwrap()).collect();
        for slab in slabs {
            slab.fill();
            code.release(slab, Written::Anything);
        }
        let image = Arc::downgrade(code.image());
        drop(code);
        assert!(image.upgrade().is_none(), "a slab still has the image");
        assert_eq!(counts(&pool).1, 0);
    }
}

/// Slabs that wait to be reset are not in use.
#[test]
fn the_background_keeps_no_slot_from_others() {
    let mut config = PoolConfig::new();
    let pool = Pool::new(config.total_component_instances(1).background_reset(true));
    let codes = [(); 2].map(|()| code(&pool, MINIMAL));
    for round in 0..200 {
        let code = &codes[round / 2 % 2];
        let slab = slab(code).unwrap();
        slab.fill();
        code.release(slab, Written::Anything);
    }
}

#[test]
fn threads_find_each_others_slabs() {
    let pool = Pool::new(PoolConfig::new().total_component_instances(4));
    let code = code(&pool, MINIMAL);
    // Four threads hold at most one slab each, so there always is one, perhaps in another thread's
    // list.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..500 {
                    let slab = slab(&code).unwrap();
                    let written = [Written::Nothing, Written::Known, Written::Anything][round % 3];
                    if written != Written::Nothing {
                        slab.fill();
                    }
                    code.release(slab, written);
                }
            });
        }
    });
    assert!(code.shelf().idle() <= 4);
    assert_eq!(counts(&pool).1, code.shelf().idle());
}

#[test]
fn limits_are_found_one_after_the_other() {
    let mut config = PoolConfig::new();
    config
        .total_component_instances(100)
        .total_address_space(1000);
    let taken = |slabs, address_space, mappings| SlabTotals {
        slabs,
        address_space,
        mappings,
    };
    // Other engines have the same mappings.
    let admit = |components, all: SlabTotals, own: SlabTotals, more: SlabTotals| {
        let counts = Counts {
            components,
            slabs: all,
            ..Counts::default()
        };
        counts.admit(&config, own, more, 2 * all.mappings)
    };
    let one = |address_space, mappings| taken(1, address_space, mappings);
    assert_eq!(admit(1, taken(99, 0, 0), taken(99, 0, 0), one(1, 10)), None);
    assert_eq!(
        admit(1, taken(100, 0, 0), taken(99, 0, 0), one(1, 10)),
        Some(PoolLimit::Slots)
    );
    let space = |space, own, more| admit(1, taken(5, space, 0), taken(5, own, 0), one(more, 10));
    assert_eq!(space(990, 990, 11), Some(PoolLimit::AddressSpace));
    assert_eq!(space(u64::MAX, 0, 1), Some(PoolLimit::AddressSpace));
    assert_eq!(admit(2, taken(74, 0, 0), taken(74, 0, 0), one(1, 10)), None);
    assert_eq!(
        admit(2, taken(75, 0, 0), taken(75, 0, 0), one(1, 10)),
        Some(PoolLimit::Share)
    );
    assert_eq!(admit(2, taken(75, 0, 0), taken(49, 0, 0), one(1, 10)), None);
    assert_eq!(
        admit(2, taken(5, 750, 0), taken(5, 750, 0), one(1, 10)),
        Some(PoolLimit::Share)
    );
    assert_eq!(
        admit(2, taken(5, 750, 0), taken(5, 499, 0), one(1, 10)),
        None
    );
    // Each component may have one.
    assert_eq!(
        admit(200, taken(99, 990, 0), taken(0, 0, 0), one(0, 10)),
        None
    );
    let most = mappings::max_slab_mappings() / 2;
    let mappings = |components, all, own, more| {
        admit(components, taken(9, 9, all), taken(3, 3, own), one(1, more))
    };
    assert_eq!(mappings(1, most, 9, 2), Some(PoolLimit::Mappings));
    assert_eq!(mappings(1, 0, 0, usize::MAX), Some(PoolLimit::Mappings));
    assert_eq!(mappings(2, most - 10, most + 1, 10), Some(PoolLimit::Share));
    assert_eq!(mappings(2, most - 10, most - 10, 10), Some(PoolLimit::Idle));
    assert_eq!(
        mappings(1, mappings::max_idle_mappings() / 2, 9, 2),
        Some(PoolLimit::Idle)
    );
    assert_eq!(
        mappings(1, mappings::max_idle_mappings() / 2 - 1, 9, 2),
        None
    );
}
