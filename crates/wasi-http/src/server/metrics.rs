//! [`ServiceMetrics`]: counts of requests and responses, and their text for Prometheus.
//!
//! Each thread counts in a shard of its own, so that counting a request writes no cache line that
//! other threads write.

use mintage::EngineMetrics;
use std::array;
use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets of latencies, in microseconds: two or three for each power of
/// ten, from 100 µs to a minute.
const BOUNDS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The number of shards. More threads share them.
const SHARDS: usize = 32;

/// Counts of a service's requests and responses so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServiceMetrics {
    /// Requests whose guests live at the moment.
    pub under_way: usize,
    /// Responses so far by the first digit of their status: 1xx at index 0, 5xx at index 4.
    pub responses: [u64; 5],
    /// Responses that were not sent to their end, since the client went away or the guest failed.
    pub broken_off: u64,
    /// Requests that were dropped before there was a response, since the client went away.
    pub abandoned: u64,
    /// Guests that were ended by the time-out.
    pub timed_out: u64,
    /// Instances that have no request at the moment, and are kept for the next one.
    pub instances_kept: usize,
    /// Requests so far whose instances had answered others before.
    pub reused: u64,
    /// The sum of the times from a request's head to the end of its response.
    pub total_time: Duration,
    /// The number of responses by that time; see [`bounds`](Self::bounds).
    pub latencies: Vec<u64>,
}

impl ServiceMetrics {
    /// Returns the upper bounds of the buckets of [`latencies`](Self::latencies). The last bucket
    /// has none.
    pub fn bounds() -> impl ExactSizeIterator<Item = Duration> {
        BOUNDS.iter().map(|&micros| Duration::from_micros(micros))
    }

    /// Writes the numbers in the text format of Prometheus, those of an engine included.
    /// `connections` is the number of open connections, if the host counts them.
    pub fn to_prometheus(&self, engine: &EngineMetrics, connections: Option<usize>) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, engine, connections);
        text
    }

    fn write(
        &self,
        text: &mut String,
        engine: &EngineMetrics,
        connections: Option<usize>,
    ) -> fmt::Result {
        self.write_responses(text)?;
        self.write_latencies(text)?;
        let lines = self.lines().into_iter();
        let connections = connections.map(|count| Line {
            name: "connections",
            help: "Open connections.",
            value: count as u64,
        });
        for line in lines.chain(connections).chain(engine_lines(engine)) {
            line.write(text)?;
        }
        Ok(())
    }

    fn write_responses(&self, text: &mut String) -> fmt::Result {
        let name = "requests_total";
        head(text, name, "counter", "Responses by class of status.")?;
        for (i, count) in self.responses.iter().enumerate() {
            let class = i + 1;
            writeln!(text, "mintage_{name}{{status=\"{class}xx\"}} {count}")?;
        }
        Ok(())
    }

    fn write_latencies(&self, text: &mut String) -> fmt::Result {
        let name = "request_duration_seconds";
        let help = "From the head of a request to the end of its response.";
        head(text, name, "histogram", help)?;
        let bounds = BOUNDS
            .iter()
            .map(|&micros| (micros as f64 / 1e6).to_string());
        let bounds = bounds.chain(["+Inf".to_string()]);
        let mut sum = 0;
        for (bound, count) in bounds.zip(&self.latencies) {
            sum += count;
            writeln!(text, "mintage_{name}_bucket{{le=\"{bound}\"}} {sum}")?;
        }
        writeln!(text, "mintage_{name}_sum {}", self.total_time.as_secs_f64())?;
        writeln!(text, "mintage_{name}_count {sum}")
    }

    fn lines(&self) -> [Line; 6] {
        [
            Line {
                name: "requests_under_way",
                help: "Requests whose guests live.",
                value: self.under_way as u64,
            },
            Line {
                name: "responses_broken_off_total",
                help: "Responses that were not sent to their end.",
                value: self.broken_off,
            },
            Line {
                name: "requests_abandoned_total",
                help: "Requests whose clients went away before there was a response.",
                value: self.abandoned,
            },
            Line {
                name: "requests_timed_out_total",
                help: "Guests that were ended by the time-out.",
                value: self.timed_out,
            },
            Line {
                name: "instances_kept",
                help: "Instances without a request that are kept for the next one.",
                value: self.instances_kept as u64,
            },
            Line {
                name: "requests_by_reused_instances_total",
                help: "Requests whose instances had answered others before.",
                value: self.reused,
            },
        ]
    }
}

fn engine_lines(engine: &EngineMetrics) -> [Line; 10] {
    [
        Line {
            name: "instances_live",
            help: "Instances.",
            value: engine.instances_live as u64,
        },
        Line {
            name: "instances_idle",
            help: "Slots for instances.",
            value: engine.slots_idle as u64,
        },
        Line {
            name: "instances_created_total",
            help: "Instances that were created.",
            value: engine.instances_created,
        },
        Line {
            name: "resets_total",
            help: "Slots that were reset after use.",
            value: engine.resets,
        },
        Line {
            name: "traps_total",
            help: "Calls of guests that ended by a trap.",
            value: engine.traps,
        },
        Line {
            name: "stacks_in_use",
            help: "Stacks of calls that are under way.",
            value: engine.stacks_in_use as u64,
        },
        Line {
            name: "resident_bytes",
            help: "Bytes that slots kept in memory at their last reset.",
            value: engine.resident_bytes as u64,
        },
        Line {
            name: "shared_code_bytes",
            help: "Bytes of machine code that components share with others.",
            value: engine.shared_code_bytes as u64,
        },
        Line {
            name: "address_space_bytes",
            help: "Bytes of address space that slots take.",
            value: engine.address_space,
        },
        Line {
            name: "mappings",
            help: "Mappings that slots may take.",
            value: engine.mappings as u64,
        },
    ]
}

/// A single number. It only grows if the name ends in `_total`.
struct Line {
    name: &'static str,
    help: &'static str,
    value: u64,
}

impl Line {
    fn write(&self, text: &mut String) -> fmt::Result {
        let kind = match self.name.ends_with("_total") {
            true => "counter",
            false => "gauge",
        };
        head(text, self.name, kind, self.help)?;
        writeln!(text, "mintage_{} {}", self.name, self.value)
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP mintage_{name} {help}")?;
    writeln!(text, "# TYPE mintage_{name} {kind}")
}

/// The counters of a service.
pub(super) struct Counters {
    shards: [Shard; SHARDS],
}

/// The counters of some threads, apart from those of others (processors load lines in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    numbers: AtomicU64,
    responses: [AtomicU64; 5],
    broken_off: AtomicU64,
    abandoned: AtomicU64,
    timed_out: AtomicU64,
    reused: AtomicU64,
    total_micros: AtomicU64,
    latencies: [AtomicU64; BOUNDS.len() + 1],
}

/// Returns the shard of the current thread.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
        }
        own.get()
    })
}

impl Counters {
    pub fn new() -> Counters {
        Counters {
            shards: array::from_fn(|_| Shard::default()),
        }
    }

    fn own(&self) -> &Shard {
        &self.shards[own_shard()]
    }

    /// Returns a number for a request, which no other request of the service has. The numbers of
    /// one thread ascend.
    pub fn number(&self) -> u64 {
        let shard = own_shard();
        let count = self.shards[shard].numbers.fetch_add(1, Relaxed);
        count * SHARDS as u64 + shard as u64
    }

    /// Counts a response that has ended.
    pub fn response(&self, status: http::StatusCode, took: Duration, is_complete: bool) {
        let shard = self.own();
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        shard.responses[class].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        shard.total_micros.fetch_add(micros, Relaxed);
        let bucket = BOUNDS.partition_point(|&bound| bound < micros);
        shard.latencies[bucket].fetch_add(1, Relaxed);
        if !is_complete {
            shard.broken_off.fetch_add(1, Relaxed);
        }
    }

    /// Counts a request whose client went away before there was a response.
    pub fn abandoned(&self) {
        self.own().abandoned.fetch_add(1, Relaxed);
    }

    /// Counts a guest that was ended by the time-out.
    pub fn timed_out(&self) {
        self.own().timed_out.fetch_add(1, Relaxed);
    }

    /// Counts a request whose instance had answered others before.
    pub fn reused(&self) {
        self.own().reused.fetch_add(1, Relaxed);
    }

    /// Returns the sums over all threads.
    pub fn sums(&self, under_way: usize, instances_kept: usize) -> ServiceMetrics {
        let sum = |field: fn(&Shard) -> &AtomicU64| -> u64 {
            self.shards
                .iter()
                .map(|shard| field(shard).load(Relaxed))
                .sum()
        };
        let at = |list: fn(&Shard) -> &[AtomicU64], i: usize| -> u64 {
            self.shards
                .iter()
                .map(|shard| list(shard)[i].load(Relaxed))
                .sum()
        };
        ServiceMetrics {
            under_way,
            responses: array::from_fn(|i| at(|shard| &shard.responses, i)),
            broken_off: sum(|shard| &shard.broken_off),
            abandoned: sum(|shard| &shard.abandoned),
            timed_out: sum(|shard| &shard.timed_out),
            instances_kept,
            reused: sum(|shard| &shard.reused),
            total_time: Duration::from_micros(sum(|shard| &shard.total_micros)),
            latencies: (0..=BOUNDS.len())
                .map(|i| at(|shard| &shard.latencies, i))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn what_threads_count_is_summed_and_written() {
        let counters = Arc::new(Counters::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counters = counters.clone();
                thread::spawn(move || {
                    counters.response(StatusCode::OK, Duration::from_micros(100), true);
                    counters.response(StatusCode::NOT_FOUND, Duration::from_millis(3), false);
                    counters.response(StatusCode::BAD_GATEWAY, Duration::from_secs(90), true);
                    (0..100).map(|_| counters.number()).collect::<Vec<_>>()
                })
            })
            .collect();
        let numbers = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        assert_eq!(numbers.collect::<HashSet<_>>().len(), 400);
        counters.abandoned();
        counters.timed_out();
        counters.reused();
        let sums = counters.sums(7, 5);
        assert_eq!(sums.responses, [0, 4, 0, 4, 4]);
        assert_eq!((sums.latencies[0], sums.latencies[5]), (4, 4));
        assert_eq!(sums.latencies.last(), Some(&4));
        let text = sums.to_prometheus(&EngineMetrics::default(), Some(3));
        for line in [
            "mintage_requests_total{status=\"4xx\"} 4",
            "mintage_request_duration_seconds_bucket{le=\"0.0001\"} 4",
            "mintage_request_duration_seconds_bucket{le=\"0.005\"} 8",
            "mintage_request_duration_seconds_bucket{le=\"+Inf\"} 12",
            "mintage_request_duration_seconds_count 12",
            "mintage_responses_broken_off_total 4",
            "mintage_requests_abandoned_total 1",
            "mintage_requests_under_way 7",
            "mintage_instances_kept 5",
            "mintage_requests_by_reused_instances_total 1",
            "mintage_connections 3",
            "# TYPE mintage_instances_live gauge",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}:\n{text}");
        }
    }
}
