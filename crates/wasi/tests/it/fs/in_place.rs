//! Bytes that go between files and a guest's memory without a copy in the host.

use super::*;
use mintage::component::{Component, Linker, TypedFunc};
use mintage::{Engine, Store};
use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

struct Host {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// The outcome that the guest tells: failed or not, bytes read or the code of the error, whether
/// the file ended, a hash of the bytes, bytes written.
type Outcome = (u32, u32, u32, u32, u32);

fn expected(size: u32, count: u32, offset: u32) -> Outcome {
    let bytes = (offset..offset + count).map(|at| (at + 1).wrapping_mul(7) as u8);
    let hash = bytes.fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    (0, count, u32::from(count == 0), hash, size)
}

/// In synchronous and in asynchronous hosts, on the system's file system and in memory.
#[test]
fn files_of_all_sizes() {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("in_place.wat")).unwrap();
    let mut linker = Linker::new(&engine);
    mintage_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    let mut async_linker = Linker::new(&engine);
    mintage_wasi::p2::add_to_linker_async(&mut async_linker).unwrap();
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let folder = folder();
    let system = SystemFilesystem::open(folder.path()).unwrap();
    let memory = MemoryFilesystem::new();
    let filesystems: [&dyn Filesystem; 2] = [&system, &memory];
    let run = |asynchronous: bool, filesystem: &dyn Filesystem, size, length, offset| {
        let mut builder = WasiCtxBuilder::new();
        builder
            .preopened_filesystem(filesystem, "/", DirPerms::all(), FilePerms::all())
            .unwrap();
        let ctx = builder.build();
        let table = ResourceTable::new();
        let mut store = Store::new(&engine, Host { ctx, table });
        type Run = TypedFunc<(u32, u64, u64), (Outcome,)>;
        let params = (size, length, offset);
        if !asynchronous {
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let run: Run = instance.get_typed_func(&mut store, "run").unwrap();
            return run.call(&mut store, params).unwrap().0;
        }
        executor.block_on(async {
            let instance = async_linker.instantiate_async(&mut store, &component);
            let instance = instance.await.unwrap();
            let run: Run = instance.get_typed_func(&mut store, "run").unwrap();
            run.call_async(&mut store, params).await.unwrap().0
        })
    };
    let cases = [
        (0, 0, 0, 0),
        (0, 100, 0, 0),
        (0, u64::MAX, 0, 0),
        (10, 10, 0, 10),
        (10, 100, 3, 7),
        (4096, 4096, 0, 4096),
        (4097, 4097, 0, 4097),
        (100_000, u64::MAX, 0, 100_000),
        (100_000, 1 << 63, 99_999, 1),
        (100_000, 50_000, 100_000, 0),
        (100_000, 5000, 200_000, 0),
        (3_000_000, 3_000_000, 1, 1 << 20),
        (3_000_000, 3_000_000, 2_500_000, 500_000),
    ];
    let hosts = filesystems
        .into_iter()
        .flat_map(|files| [(false, files), (true, files)]);
    for (asynchronous, filesystem) in hosts {
        for (size, length, offset, count) in cases {
            // A file from the case before would be longer.
            let _ = open_file(&preopen(filesystem), "f", &TRUNCATE);
            let outcome = run(asynchronous, filesystem, size, length, offset);
            let expected = expected(size, count, offset as u32);
            assert_eq!(outcome, expected, "{length} bytes at {offset} of {size}");
        }
        // Errors are codes.
        let outcome = run(asynchronous, filesystem, 10, 10_000, 1 << 63);
        assert_eq!((outcome.0, outcome.1), (1, 12), "invalid");
        let outcome = run(asynchronous, filesystem, 10, 10, u64::MAX);
        assert_eq!((outcome.0, outcome.1), (1, 12), "invalid");
    }
}
