//! The server as its clients see it: concurrent answers, deadlines, clients that go away, traps.

use mintage::Result;
use mintage_example_requests::{Database, Failure, Limits, Request, Service, server};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Latency of the database, in milliseconds.
const LATENCY: u64 = 20;

fn service(limits: Limits) -> Result<Arc<Service>> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/shop.wasm");
    let mut database = Database::new(Duration::from_millis(LATENCY));
    database.insert("apple", b"80");
    database.insert("pie", b"450");
    let service = Service::new(&std::fs::read(guest)?, database, limits)?;
    Ok(Arc::new(service))
}

fn request(path: &str, body: &[u8]) -> Request {
    let (path, body) = (path.to_string(), body.to_vec());
    Request { path, body }
}

fn short() -> Limits {
    Limits {
        time: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// Waits until no request is under way.
async fn until_idle(service: &Service, limits: Limits) {
    let start = Instant::now();
    while service.free_places() < limits.requests {
        assert!(start.elapsed() < Duration::from_secs(10), "requests remain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_wait_at_a_time() -> Result<()> {
    let limits = Limits {
        time: Duration::from_secs(20),
        ..Limits::default()
    };
    let service = service(limits)?;
    let start = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let service = service.clone();
        requests.spawn(async move {
            let request = request("/total", b"apple\npie\napple");
            service.handle(&request).await
        });
    }
    while let Some(done) = requests.join_next().await {
        let response = done?.expect("an answer");
        assert_eq!((response.status, &response.body[..]), (200, &b"610"[..]));
    }
    // One after the other they would take 200 times three waits.
    assert!(start.elapsed() < Duration::from_millis(200 * 3 * LATENCY));
    assert_eq!(service.free_places(), limits.requests);
    Ok(())
}

#[tokio::test]
async fn a_request_past_its_deadline_ends_and_the_next_is_answered() -> Result<()> {
    let service = service(short())?;
    for path in ["/spin", "/never"] {
        let start = Instant::now();
        let failure = service.handle(&request(path, b"")).await.unwrap_err();
        assert!(matches!(failure, Failure::TooLate), "{path}: {failure}");
        assert!(start.elapsed() >= Duration::from_millis(250), "{path}");
        let response = service.handle(&request("/echo", b"hi")).await;
        assert_eq!(response.expect("an answer").body, b"hi");
    }
    Ok(())
}

/// All on one thread, which a request that computes must not keep.
#[tokio::test]
async fn requests_that_compute_give_way_to_others() -> Result<()> {
    let limits = Limits {
        time: Duration::from_secs(20),
        ..Limits::default()
    };
    let service = service(limits)?;
    let spin = request("/spin", b"");
    let others = async {
        for _ in 0..10 {
            let response = service.handle(&request("/total", b"pie")).await;
            assert_eq!(response.expect("an answer").body, b"450");
        }
    };
    tokio::select! {
        answered = service.handle(&spin) => panic!("it does not end: {answered:?}"),
        () = others => Ok(()),
    }
}

#[tokio::test]
async fn a_trap_ends_one_request() -> Result<()> {
    let service = service(short())?;
    let failure = service.handle(&request("/trap", b"")).await.unwrap_err();
    assert!(matches!(failure, Failure::Stopped(_)), "{failure}");
    let response = service.handle(&request("/nothing", b"")).await;
    assert_eq!(response.expect("an answer").status, 404);
    Ok(())
}

#[tokio::test]
async fn a_dropped_future_gives_its_place_back() -> Result<()> {
    let limits = Limits {
        requests: 1,
        time: Duration::from_secs(20),
        ..Limits::default()
    };
    let service = service(limits)?;
    for _ in 0..20 {
        let never = request("/never", b"");
        let waiting = service.handle(&never);
        let dropped = tokio::time::timeout(Duration::from_millis(5), waiting).await;
        assert!(dropped.is_err());
        assert_eq!(service.free_places(), 1);
    }
    let response = service.handle(&request("/total", b"pie")).await;
    assert_eq!(response.expect("an answer").body, b"450");
    Ok(())
}

async fn ask(stream: &mut BufReader<TcpStream>, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let head = format!("{path} {}\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let (status, length) = line.trim_end().split_once(' ').expect("a status line");
    let mut answer = vec![0; length.parse()?];
    stream.read_exact(&mut answer).await?;
    Ok((status.parse()?, answer))
}

#[tokio::test]
async fn clients_that_go_away_end_their_requests() -> Result<()> {
    let limits = Limits {
        time: Duration::from_secs(20),
        ..Limits::default()
    };
    let service = service(limits)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(server::serve(listener, service.clone()));

    let mut patient = BufReader::new(TcpStream::connect(address).await?);
    for _ in 0..20 {
        let mut impatient = TcpStream::connect(address).await?;
        impatient.write_all(b"/never 0\n").await?;
        let answer = ask(&mut patient, "/total", b"apple").await?;
        assert_eq!(answer, (200, b"80".to_vec()));
    }
    until_idle(&service, limits).await;
    assert_eq!(ask(&mut patient, "/trap", b"").await?.0, 500);
    assert_eq!(ask(&mut patient, "/total", b"nut").await?.0, 404);

    // What is not a request ends the connection.
    let mut stranger = TcpStream::connect(address).await?;
    stranger.write_all(b"hello\n").await?;
    assert_eq!(stranger.read(&mut [0]).await?, 0);
    server.abort();
    Ok(())
}
