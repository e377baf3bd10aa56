//! Isolation: no instance sees a byte of an earlier one, however the host wrote it.

use mintage::__internal::{CanonicalAbi, InstanceTypes, InterfaceType, LowerContext};
use mintage::component::InPlaceList;
use mintage::{Component, ComponentNamedList, ComponentType, Engine, Linker, Lower, Result, Store};
use rayon::ThreadPoolBuilder;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A list of bytes that another thread copies to guest memory.
struct FromThread(Vec<u8>);

impl ComponentType for FromThread {
    const ABI: CanonicalAbi = <[u8] as ComponentType>::ABI;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        <[u8] as ComponentType>::matches(ty, types)
    }

    fn describe() -> String {
        "list<u8>".into()
    }
}

impl FromThread {
    fn store(&self, cx: &mut LowerContext<'_>) -> Result<[u32; 2]> {
        let start = cx.allocate(1, self.0.len())?;
        let target = &mut cx.memory()[start..][..self.0.len()];
        std::thread::scope(|scope| {
            scope.spawn(|| target.copy_from_slice(&self.0));
        });
        Ok([start as u32, self.0.len() as u32])
    }
}

impl Lower for FromThread {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        _: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[..2].copy_from_slice(&self.store(cx)?.map(u64::from));
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        _: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        for (offset, word) in [offset, offset + 4].into_iter().zip(self.store(cx)?) {
            cx.write(offset, word.to_le_bytes());
        }
        Ok(())
    }
}

const APP: &str = r#"(component
    (core module $m
        (memory (export "memory") 32)
        (global $next (mut i32) (i32.const 1048576))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $start i32)
            (local.set $start (global.get $next))
            (global.set $next (i32.add (global.get $next) (local.get 3)))
            (local.get $start))
        (func (export "put") (param i32 i32))
        (func (export "sum") (result i32)
            (local $at i32) (local $sum i32)
            (local.set $at (i32.const 1048576))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 1064960))))
            (local.get $sum)))
    (core instance $i (instantiate $m))
    (func (export "put") (param "x" (list u8)) (canon lift (core func $i "put")
        (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (func (export "sum") (result u32) (canon lift (core func $i "sum"))))"#;

/// Passes bytes, or none, to one instance after the other, each of which sees only zeros at first.
/// `value` makes the value that is passed of the number of bytes.
///
/// The engine skips asking the system for written pages where it knows them from the page faults of
/// the calling thread.
fn check_isolation<V>(value: impl Fn(usize) -> V) -> Result<()>
where
    V: Lower,
    (V,): ComponentNamedList + Lower,
{
    let engine = Engine::default();
    let component = Component::new(&engine, APP)?;
    let pre = Linker::<()>::new(&engine).instantiate_pre(&component)?;
    for round in 0..20 {
        let mut store = Store::new(&engine, ());
        let instance = pre.instantiate(&mut store)?;
        let sum = instance.get_typed_func::<(), (u32,)>(&mut store, "sum")?;
        assert_eq!(sum.call(&mut store, ())?, (0,), "round {round}");
        let put = instance.get_typed_func::<(V,), ()>(&mut store, "put")?;
        // In the first rounds nothing is passed, so that the engine comes to know the written
        // pages. Later, it knows those of the bytes as well.
        let len = if round < 4 || round == 12 { 0 } else { 10_000 };
        put.call(&mut store, (value(len),))?;
    }
    Ok(())
}

/// Bytes that another thread writes to the memory of a guest end what the engine knows of it.
#[test]
fn bytes_written_by_other_threads_do_not_outlive_the_instance() -> Result<()> {
    check_isolation(|len| FromThread(vec![7; len]))
}

/// Writes bytes in place, in one of two ways, to each of which the engine must pay attention.
fn write_in_place(
    by: fn(&mut [u8], &File) -> std::io::Result<()>,
    on_another_thread: bool,
) -> Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&[7; 10_000])?;
    let file = Arc::new(file);
    // A thread that exists already: starting one takes page faults here.
    let others = Arc::new(ThreadPoolBuilder::new().num_threads(1).build()?);
    check_isolation(|len| {
        let (file, others) = (file.clone(), others.clone());
        InPlaceList::new(len, move |block: &mut [u8]| {
            let len = block.len();
            match on_another_thread {
                true => others.install(|| by(block, &file))?,
                false => by(block, &file)?,
            }
            Ok(len)
        })
    })
}

fn fill(block: &mut [u8], _: &File) -> std::io::Result<()> {
    block.fill(7);
    Ok(())
}

fn read(block: &mut [u8], file: &File) -> std::io::Result<()> {
    file.read_exact_at(block, 0)
}

#[test]
fn bytes_written_in_place_do_not_outlive_the_instance() -> Result<()> {
    write_in_place(fill, false)
}

#[test]
fn bytes_written_in_place_by_other_threads_do_not_outlive_the_instance() -> Result<()> {
    write_in_place(fill, true)
}

/// The system writes to the memory of a guest, in a system call of this thread.
#[test]
fn bytes_read_in_place_do_not_outlive_the_instance() -> Result<()> {
    write_in_place(read, false)
}

#[test]
fn bytes_read_in_place_by_other_threads_do_not_outlive_the_instance() -> Result<()> {
    write_in_place(read, true)
}
