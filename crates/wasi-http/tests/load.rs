//! Mixed load: many clients at once that do well, badly or nothing. At the end, memory, file
//! descriptors and mappings are as in the middle. It has a process of its own, so that other tests
//! take nothing of these meanwhile.
//!
//! `MINTAGE_LOAD_SECONDS=3600 cargo test --release -p mintage-wasi-http --features server
//! --test load -- --nocapture` takes an hour, and prints what it has measured.

#[path = "server/client.rs"]
#[allow(dead_code, reason = "the tests of the server use more of it")]
mod client;
#[path = "server/common.rs"]
#[allow(dead_code, reason = "the tests of the server use more of it")]
mod common;

use crate::client::{Client, get};
use crate::common::{Serving, serve_with, wait_until};
use mintage_wasi_http::server::Observer;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Returns the duration of the load.
fn time() -> Duration {
    let seconds = std::env::var("MINTAGE_LOAD_SECONDS");
    Duration::from_secs(seconds.map_or(15, |text| text.parse().expect("a number of seconds")))
}

/// System resources of the process.
#[derive(Clone, Copy, Debug)]
struct Taken {
    resident: usize,
    descriptors: usize,
    mappings: usize,
}

fn taken() -> Taken {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    Taken {
        resident: kib.unwrap() << 10,
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        mappings: fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count(),
    }
}

/// Forgets each request: a record of all of them would grow with the load.
struct Forgetful;

impl Observer for Forgetful {}

/// The servers under load.
struct Servers {
    serving: Serving,
    /// One whose guests have little time.
    hasty: Serving,
}

/// One of the things that clients do.
fn act(kind: u64, client: &mut Option<Client>, servers: &Servers) {
    let address = servers.serving.address;
    let open =
        |client: &mut Option<Client>| client.take().unwrap_or_else(|| Client::connect(address));
    match kind % 15 {
        0..=3 => {
            let mut kept = open(client);
            assert_eq!(kept.get("/hello").status, 200);
            *client = Some(kept);
        }
        4 => {
            let mut kept = open(client);
            assert_eq!(kept.post("/echo", &"x".repeat(1 << 20)).body.len(), 1 << 20);
            *client = Some(kept);
        }
        5 => {
            let mut kept = open(client);
            assert_eq!(kept.get("/large?1000000").body.len(), 1_000_000);
            *client = Some(kept);
        }
        6 => assert_eq!(Client::connect(address).get("/trap-before").status, 500),
        7 => {
            let mut client = Client::connect(address);
            client.send(get("/trap-in"));
            assert_eq!(client.head().unwrap().status, 200);
            client.rest();
        }
        8 => assert_eq!(Client::connect(address).get("/memory").status, 500),
        // Clients that go away: at once, in the body of the request, in that of the response.
        9 => Client::connect(address).send(get("/never")),
        10 => {
            let mut client = Client::connect(address);
            client.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\nhalf");
        }
        11 => {
            let mut client = Client::connect(address);
            client.send(get("/endless"));
            client.exactly(100_000).unwrap();
        }
        // Clients that take and give a piece now and then.
        12 => {
            let mut client = Client::connect(address);
            client.send(get("/large?1000000"));
            assert_eq!(client.head().unwrap().status, 200);
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(10));
                client.exactly(10_000).unwrap();
            }
        }
        13 => {
            let mut client = Client::connect(address);
            client.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n");
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(10));
                client.send("x");
            }
            assert_eq!(client.response().unwrap().text(), "10 bytes\n");
        }
        _ => {
            let target = if kind & 1 == 0 { "/never" } else { "/spin" };
            let status = Client::connect(servers.hasty.address).get(target).status;
            assert_eq!(status, 504);
        }
    }
}

#[test]
fn nothing_grows_under_mixed_load() {
    let time_out = Duration::from_millis(200);
    let observer = Arc::new(Forgetful);
    let servers = Arc::new(Servers {
        // A client that comes to its connection late, on a busy machine, finds it open.
        serving: serve_with(
            |config| _ = config.idle_timeout(Duration::from_secs(600)),
            |service| service.observer(observer.clone()),
        ),
        hasty: serve_with(
            |_| {},
            |service| service.timeout(Some(time_out)).observer(observer.clone()),
        ),
    });
    let (over, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..6)
        .map(|i| {
            let (servers, over, count) = (servers.clone(), over.clone(), count.clone());
            thread::spawn(move || {
                let (mut client, mut random) = (None, i + 1);
                while !over.load(Ordering::Relaxed) {
                    // Any sequence does, as long as each client has another.
                    random = u64::wrapping_mul(random, 6_364_136_223_846_793_005) + 1;
                    act(random >> 33, &mut client, &servers);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let start = Instant::now();
    let measure = || {
        let mut most = taken();
        for _ in 0..20 {
            thread::sleep(time() / 100);
            let now = taken();
            most.resident = most.resident.max(now.resident);
            most.descriptors = most.descriptors.max(now.descriptors);
            most.mappings = most.mappings.max(now.mappings);
        }
        most
    };
    thread::sleep(time().mul_f64(0.2));
    let early = measure();
    thread::sleep((time().mul_f64(0.8)).saturating_sub(start.elapsed()));
    let late = measure();
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    for serving in [&servers.serving, &servers.hasty] {
        serving.wait_until_idle();
        wait_until("all are closed", || serving.running().connections() == 0);
    }
    let end = taken();
    let count = count.load(Ordering::Relaxed);
    println!("{count} requests; early {early:?}, late {late:?}, end {end:?}");
    assert!(count > 20, "{count}");
    assert!(
        late.resident < early.resident * 3 / 2 + (32 << 20),
        "{early:?} {late:?}"
    );
    assert!(
        late.mappings < early.mappings * 2 + 200,
        "{early:?} {late:?}"
    );
    assert!(
        late.descriptors < early.descriptors * 2 + 50,
        "{early:?} {late:?}"
    );
    assert!(end.descriptors <= late.descriptors, "{late:?} {end:?}");
}
