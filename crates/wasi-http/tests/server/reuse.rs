//! Instances that answer several requests: one after the other, or at a time.

use crate::client::{Client, get};
use crate::common::{Host, P2, P3, Serving, guest_of, link, serve_guest, store, wait_until};
use http::Request;
use http::header::HOST;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi_http::server::{ProxyService, warm_up};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(600);

/// Starts a server with one thread, whose instances answer `count` requests, `at_once` at a time,
/// and are not ended because they have none.
fn serve_reusing(guest: &[u8], count: usize, at_once: usize) -> Serving {
    serve_set(guest, count, at_once, |service| service)
}

fn serve_set(
    guest: &[u8],
    count: usize,
    at_once: usize,
    set: impl FnOnce(ProxyService<Host>) -> ProxyService<Host>,
) -> Serving {
    let reusing = |service: ProxyService<Host>| {
        service
            .max_instance_reuse_count(count)
            .max_instance_concurrent_reuse_count(at_once)
            .idle_instance_timeout(LONG)
    };
    let one = |config: &mut mintage_wasi_http::server::ServerConfig| _ = config.threads(1);
    serve_guest(guest, one, |service| set(reusing(service)))
}

/// Returns the number that the guest counts its requests for `/next` by.
fn next(client: &mut Client) -> u64 {
    let response = client.get("/next");
    assert_eq!(response.status, 200);
    response.text().trim().parse().unwrap()
}

fn begin(serving: &Serving, target: &str) -> Client {
    let before = serving.service.under_way();
    let mut client = serving.client();
    client.send(get(target));
    wait_until("it is under way", || serving.service.under_way() > before);
    client
}

fn created(serving: &Serving) -> u64 {
    serving.engine.metrics().instances_created
}

fn kept(serving: &Serving) -> usize {
    serving.service.metrics().instances_kept
}

fn status(client: &mut Client) -> u16 {
    client.response().unwrap().status
}

#[test]
fn an_instance_answers_as_many_requests_as_it_may() {
    for (guest, at_once) in [(P2, 1), (P3, 1), (P3, 4), (P2, 4)] {
        let serving = serve_reusing(guest, 3, at_once);
        let mut client = serving.client();
        let counts: Vec<u64> = (0..7).map(|_| next(&mut client)).collect();
        assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1], "{at_once}");
        assert_eq!(created(&serving), 3);
        assert_eq!(serving.service.metrics().reused, 4);
        wait_until("one is kept", || kept(&serving) == 1);
        wait_until("the others have ended", || {
            serving.engine.metrics().instances_live == 1 && serving.service.under_way() == 0
        });
    }
}

#[test]
fn bodies_and_trailers_pass_again_and_again() {
    for (guest, at_once) in [(P2, 1), (P3, 1), (P3, 4)] {
        let serving = serve_reusing(guest, 1000, at_once);
        let mut client = serving.client();
        for len in [0, 1, 65_536, 1_000_000] {
            let text = "y".repeat(len);
            assert!(client.post("/echo", &text).text() == text, "{len}");
            assert_eq!(client.get(&format!("/large?{len}")).body.len(), len);
        }
        client.send("GET /trailers HTTP/1.1\r\nhost: test\r\nte: trailers\r\n\r\n");
        assert_eq!(client.response().unwrap().trailers.len(), 1);
        // A guest that answers by an error has not failed.
        assert_eq!(client.get("/error").status, 502);
        // Neither has one whose client sends a request that no guest can be given.
        let mut other = serving.client();
        other.send("GET /hello HTTP/1.0\r\n\r\n");
        assert_eq!(status(&mut other), 400);
        assert_eq!(next(&mut client), 1);
        assert_eq!(next(&mut client), 2);
        wait_until("it is kept", || kept(&serving) == 1);
        assert_eq!(created(&serving), 1);
    }
}

#[test]
fn a_guest_that_goes_on_after_its_response_has_its_instance_to_itself() {
    for guest in [P2, P3] {
        let serving = serve_reusing(guest, 100, 1);
        let mut client = serving.client();
        assert_eq!(client.get("/later?300").text(), "now\n");
        assert_eq!(next(&mut client), 1);
        wait_until("both are kept", || kept(&serving) == 2);
        assert_eq!(serving.errors.contents(), "and later\n");
    }
}

#[test]
fn an_instance_answers_several_requests_at_a_time() {
    let serving = serve_reusing(P3, 100, 4);
    let mut sleeping: Vec<_> = (0..3).map(|_| begin(&serving, "/sleep?4000")).collect();
    let mut client = serving.client();
    assert_eq!((next(&mut client), next(&mut client)), (1, 2));
    assert_eq!(created(&serving), 1);
    sleeping.push(begin(&serving, "/sleep?4000"));
    // There is no room for a fifth one.
    assert_eq!(next(&mut client), 1);
    assert_eq!(created(&serving), 2);
    for client in &mut sleeping {
        assert_eq!(client.response().unwrap().text(), "awake\n");
    }
    wait_until("both are kept", || kept(&serving) == 2);
    assert_eq!(serving.service.under_way(), 0);
}

#[test]
fn what_a_guest_does_later_keeps_a_shared_instance() {
    // The last request that it may answer.
    for count in [2, 100] {
        let serving = serve_reusing(P3, count, 4);
        let mut client = serving.client();
        assert_eq!(next(&mut client), 1);
        assert_eq!(client.get("/later?200").text(), "now\n");
        wait_until("it has gone on", || {
            serving.errors.contents() == "and later\n"
        });
        wait_until("it is over", || serving.service.under_way() == 0);
        let expected = usize::from(count > 2);
        wait_until("it is kept or not", || kept(&serving) == expected);
        wait_until("it lives or not", || {
            serving.engine.metrics().instances_live == expected
        });
    }
}

#[test]
fn instances_without_requests_end_in_time() {
    for (guest, at_once) in [(P2, 1), (P3, 1), (P3, 4)] {
        let time = Duration::from_secs(1);
        let set = |service: ProxyService<Host>| service.idle_instance_timeout(time);
        let serving = serve_set(guest, 100, at_once, set);
        let mut client = serving.client();
        let start = Instant::now();
        assert_eq!((next(&mut client), next(&mut client)), (1, 2));
        wait_until("it has ended", || {
            serving.engine.metrics().instances_live == 0
        });
        assert!(start.elapsed() >= time);
        assert_eq!(kept(&serving), 0);
        assert_eq!(next(&mut client), 1);
        serving.wait_until_idle();
    }
}

#[test]
fn an_instance_that_traps_is_not_used_again() {
    for guest in [P2, P3] {
        for target in ["/trap-before", "/trap-after"] {
            let serving = serve_reusing(guest, 100, 1);
            let mut client = serving.client();
            assert_eq!(next(&mut client), 1);
            let expected = if target == "/trap-before" { 500 } else { 200 };
            assert_eq!(client.get(target).status, expected);
            assert!(serving.failure(target).contains("unreachable"));
            assert_eq!(next(&mut client), 1);
            assert_eq!(created(&serving), 2);
        }
    }
}

#[test]
fn a_trap_ends_the_requests_of_its_instance_alone() {
    let serving = serve_reusing(P3, 100, 2);
    let mut before = begin(&serving, "/sleep?3600000");
    let mut short = begin(&serving, "/sleep?1000");
    let mut other = begin(&serving, "/sleep?4000");
    assert_eq!(created(&serving), 2);
    assert_eq!(status(&mut short), 200);
    // The first instance has room again.
    assert_eq!(serving.client().get("/trap-before").status, 500);
    assert_eq!(status(&mut before), 500);
    assert_eq!(status(&mut other), 200);
    assert_eq!(created(&serving), 2);

    let serving = serve_reusing(P3, 100, 4);
    let mut before = begin(&serving, "/sleep?3600000");
    let mut after = begin(&serving, "/no-end");
    assert_eq!(after.head().unwrap().status, 200);
    assert_eq!(after.chunk().unwrap().unwrap(), b"a part");
    let mut client = serving.client();
    assert_eq!(client.get("/trap-before").status, 500);
    assert_eq!(status(&mut before), 500);
    after.closed();
    assert!(serving.failure("/trap-before").contains("unreachable"));
    let failure = serving.failure("/sleep?3600000");
    assert!(failure.contains("the guest failed"), "{failure}");
    serving.failure("/no-end");
    assert_eq!(next(&mut client), 1);
    assert_eq!(created(&serving), 2);
}

#[test]
fn an_instance_that_times_out_is_not_used_again() {
    for guest in [P2, P3] {
        for target in ["/never", "/spin"] {
            let timeout = Some(Duration::from_millis(800));
            let serving = serve_set(guest, 100, 1, |service| service.timeout(timeout));
            let mut client = serving.client();
            assert_eq!(next(&mut client), 1);
            assert_eq!(client.get(target).status, 504);
            assert_eq!((next(&mut client), next(&mut client)), (1, 2));
            assert_eq!(serving.service.metrics().timed_out, 1);
        }
    }
}

#[test]
fn each_request_has_time_of_its_own() {
    // Together they take longer than one may.
    for at_once in [1, 4] {
        let timeout = Some(Duration::from_secs(2));
        let serving = serve_set(P3, 100, at_once, |service| service.timeout(timeout));
        let mut client = serving.client();
        for _ in 0..3 {
            assert_eq!(client.get("/sleep?900").status, 200);
        }
        // An instance that has no request has no deadline.
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(next(&mut client), 1);
        assert_eq!(created(&serving), 1);
    }
}

#[test]
fn a_time_out_ends_the_requests_of_its_instance_alone() {
    for (late, other) in [("/never", "/sleep?3600000"), ("/sleep?3600000", "/spin")] {
        let timeout = Some(Duration::from_secs(3));
        let serving = serve_set(P3, 100, 2, |service| service.timeout(timeout));
        let mut late_client = begin(&serving, late);
        std::thread::sleep(Duration::from_secs(1));
        let mut other_client = begin(&serving, other);
        let mut third = begin(&serving, "/sleep?2200");
        assert_eq!(created(&serving), 2);
        assert_eq!(status(&mut late_client), 504, "{late}");
        assert_eq!(status(&mut other_client), 500, "{other}");
        assert_eq!(status(&mut third), 200);
        assert!(serving.failure(late).contains("timed out"));
        assert_eq!(serving.service.metrics().timed_out, 1);
    }
}

#[test]
fn an_instance_whose_client_goes_away_is_not_used_again() {
    for guest in [P2, P3] {
        let serving = serve_reusing(guest, 100, 1);
        let mut client = serving.client();
        assert_eq!(next(&mut client), 1);
        drop(begin(&serving, "/never"));
        wait_until("it has ended", || {
            serving.engine.metrics().instances_live == 0
        });
        assert_eq!(next(&mut client), 1);
    }
}

#[test]
fn a_client_that_goes_away_ends_no_request_of_others() {
    let serving = serve_reusing(P3, 100, 4);
    let mut slow = begin(&serving, "/sleep?1000");
    let mut endless = begin(&serving, "/endless");
    assert_eq!(endless.head().unwrap().status, 200);
    endless.exactly(1 << 20).unwrap();
    let gone = begin(&serving, "/never");
    assert_eq!(created(&serving), 1);
    drop((gone, endless));
    let answered = || serving.told.answers.lock().unwrap().len();
    wait_until("the server knows", || answered() == 2);
    // The instance takes no more requests, but goes on.
    let mut client = serving.client();
    assert_eq!(next(&mut client), 1);
    assert_eq!(created(&serving), 2);
    assert_eq!(status(&mut slow), 200);
    // It ends with the last request that someone waits for.
    wait_until("it has ended", || {
        serving.engine.metrics().instances_live == 1 && serving.service.under_way() == 0
    });
    assert_eq!(next(&mut client), 2);
}

#[test]
fn a_server_that_shuts_down_ends_the_instances_that_it_keeps() {
    for at_once in [1, 4] {
        let mut serving = serve_reusing(P3, 100, at_once);
        assert_eq!(next(&mut serving.client()), 1);
        let mut slow = begin(&serving, "/sleep?300");
        assert_eq!(kept(&serving), 0);
        assert_eq!(created(&serving), 1);
        let took = std::thread::scope(|scope| {
            let answer = scope.spawn(move || status(&mut slow));
            let took = serving.shut_down();
            assert_eq!(answer.join().unwrap(), 200);
            took
        });
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert_eq!(serving.engine.metrics().instances_live, 0);
        assert_eq!(kept(&serving), 0);
    }
}

#[test]
fn a_guest_that_is_replaced_takes_its_instances_along() {
    for at_once in [1, 4] {
        let serving = serve_reusing(P3, 100, at_once);
        let mut client = serving.client();
        assert_eq!((next(&mut client), next(&mut client)), (1, 2));
        let other = guest_of(P3);
        let engine = other.engine().clone();
        serving.service.replace(other);
        assert_eq!(next(&mut client), 1);
        wait_until("the old one has ended", || {
            serving.engine.metrics().instances_live == 0
        });
        assert_eq!(engine.metrics().instances_created, 1);
    }
}

#[test]
fn instances_that_start_warm_are_used_again() {
    let (guest, errors) = (guest_of(P3), MemoryOutputPipe::new(1000));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let request = Request::get("/next").header(HOST, "test");
    let request = request.body(String::new()).unwrap();
    let warmed = runtime.block_on(warm_up(&guest, store(guest.engine(), &errors), request));
    let (_, component) = warmed.unwrap();
    for at_once in [1, 4] {
        let serving = serve_reusing(P3, 2, at_once);
        serving.service.replace(link(&component));
        let mut client = serving.client();
        let counts: Vec<u64> = (0..4).map(|_| next(&mut client)).collect();
        assert_eq!(counts, [2, 3, 2, 3]);
    }
}

#[test]
fn threads_keep_instances_of_their_own() {
    let serving = serve_guest(
        P3,
        |config| _ = config.threads(4),
        |service| {
            let service = service.max_instance_reuse_count(1000);
            service.idle_instance_timeout(LONG)
        },
    );
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut client = serving.client();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    next(&mut client);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    wait_until("all are kept", || serving.service.under_way() == 0);
    let metrics = serving.service.metrics();
    assert_eq!(metrics.reused + created(&serving), 800);
    assert_eq!(created(&serving) as usize, kept(&serving));
}
