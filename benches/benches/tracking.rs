//! Measures Mintage alone, with the probes of the comparison: `cargo bench -p mintage-benches`.
//!
//! Compile times and sizes are left out: the former take too long for many samples, and the latter
//! do not vary.

use criterion::{Criterion, criterion_group, criterion_main};
use mintage_benches::contender::Mode;
use mintage_benches::lab::Lab;
use mintage_benches::metrics::{self, Cadence, Probe};
use mintage_benches::mintage::Mintage;

fn track(criterion: &mut Criterion) {
    let lab = Lab::<Mintage>::new(Mode::Free).unwrap_or_else(|error| panic!("{error:#}"));
    for metric in metrics::all::<Mintage>() {
        if metric.cadence != Cadence::Many || metric.mode != Mode::Free {
            continue;
        }
        let fail = |error: anyhow::Error| -> ! { panic!("{}: {error:#}", metric.name()) };
        // Probes are prepared on first use, so that a filter on the command line saves time.
        let mut probe = None;
        criterion.bench_function(&metric.name(), |bencher| {
            bencher.iter_custom(|iterations| {
                let probe = probe.get_or_insert_with(|| {
                    (metric.prepare)(&lab).unwrap_or_else(|error| fail(error))
                });
                let Probe::Time(run) = probe else {
                    unreachable!("sizes have the cadence `Once`")
                };
                run(iterations).unwrap_or_else(|error| fail(error))
            });
        });
    }
}

criterion_group!(benches, track);
criterion_main!(benches);
