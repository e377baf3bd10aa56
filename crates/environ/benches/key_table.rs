//! Compares the key table with the simple alternative, a binary search in a sorted
//! `Vec<(u64, u32)>`: time of a lookup, and size.
//!
//! Run with `cargo bench -p mintage-environ --bench key_table`.

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use mintage_environ::{CoreInstanceId, FuncIndex, FuncKey, KeyTable, KeyTableBuilder, LowerId};
use std::hint::black_box;

/// The number of core instances that share the functions.
const INSTANCES: u32 = 8;
/// The number of lookups in a measured iteration.
const LOOKUPS: usize = 4096;

/// Returns `count` functions in text order, with one function for each `stride` indexes, and the
/// size of their text.
fn functions(count: u32, stride: u32) -> (Vec<(FuncKey, u32)>, u32) {
    let lowers = 64;
    let core = (0..count - lowers).map(|at| {
        let (instance, func) = (
            at / count.div_ceil(INSTANCES),
            at % count.div_ceil(INSTANCES),
        );
        FuncKey::CoreFunc {
            instance: CoreInstanceId::from_u32(instance),
            func: FuncIndex::from_u32(func * stride),
        }
    });
    let keys =
        core.chain((0..lowers).map(|import| FuncKey::LowerImport(LowerId::from_u32(import))));
    let mut random = Random(1);
    let mut offset = 16;
    let list = keys.map(|key| {
        let start = offset;
        offset += 16 * (1 + random.below(20));
        (key, start)
    });
    (list.collect(), offset)
}

/// A linear congruential generator, so that each run does the same lookups.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

fn measure<Q: Copy, A>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    space: &str,
    queries: &[Q],
    answer: impl Fn(Q) -> A,
) {
    group.bench_function(BenchmarkId::new(name, space), |bencher| {
        bencher.iter(|| {
            for &query in queries {
                black_box(answer(black_box(query)));
            }
        });
    });
}

fn key_table(criterion: &mut Criterion) {
    for (count, stride) in [(1_000, 1), (1_000, 50), (65_000, 1), (65_000, 50)] {
        let space = format!("{}/{count}", if stride == 1 { "dense" } else { "sparse" });
        let (list, text_size) = functions(count, stride);
        let bytes = KeyTableBuilder::encode(list.iter().copied(), text_size);
        let table = KeyTable::new(&bytes).unwrap();
        let sorted: Vec<(u64, u32)> = list
            .iter()
            .map(|(key, offset)| (key.to_u64(), *offset))
            .collect();
        // Sixteen bytes in memory; the smallest file form has two arrays without padding.
        println!(
            "{space}: key table {} bytes, sorted keys and offsets {} bytes",
            bytes.len(),
            sorted.len() * 12
        );

        let mut random = Random(2);
        let keys: Vec<FuncKey> = (0..LOOKUPS)
            .map(|_| list[random.below(count) as usize].0)
            .collect();
        let offsets: Vec<u32> = (0..LOOKUPS)
            .map(|_| 16 + random.below(text_size - 16))
            .collect();

        let mut group = criterion.benchmark_group("key_to_code");
        group.throughput(Throughput::Elements(LOOKUPS as u64));
        measure(&mut group, "key_table", &space, &keys, |key| table.get(key));
        measure(&mut group, "sorted_vec", &space, &keys, |key| {
            let at = sorted
                .binary_search_by_key(&key.to_u64(), |entry| entry.0)
                .ok()?;
            let end = sorted.get(at + 1).map_or(text_size, |entry| entry.1);
            Some(sorted[at].1..end)
        });
        group.finish();

        let mut group = criterion.benchmark_group("code_to_key");
        group.throughput(Throughput::Elements(LOOKUPS as u64));
        measure(&mut group, "key_table", &space, &offsets, |offset| {
            table.find(offset)
        });
        measure(&mut group, "sorted_vec", &space, &offsets, |offset| {
            let at = sorted
                .partition_point(|entry| entry.1 <= offset)
                .checked_sub(1)?;
            Some((at, FuncKey::from_u64(sorted[at].0)?, sorted[at].1))
        });
        group.finish();
    }
}

criterion_group!(benches, key_table);
criterion_main!(benches);
