//! Serves a shop at an address, or shows a number of requests if none is given.
//!
//! `cargo run --release -p mintage-example-requests [ADDRESS]`, then
//! `printf '/total 9\napple\npie' | nc HOST PORT`

use mintage::error::{Context, Result};
use mintage_example_requests::{Database, Limits, Request, Service, server};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<()> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/shop.wasm");
    let bytes = std::fs::read(&guest);
    let bytes = bytes.with_context(|| format!("cannot read {}", guest.display()))?;
    let mut database = Database::new(Duration::from_millis(5));
    database.insert("apple", b"80");
    database.insert("pie", b"450");
    let service = Arc::new(Service::new(&bytes, database, Limits::default())?);

    if let Some(address) = std::env::args().nth(1) {
        let listener = TcpListener::bind(&address).await;
        let listener = listener.with_context(|| format!("cannot listen at {address}"))?;
        println!("serves at {}", listener.local_addr()?);
        server::serve(listener, service).await?;
        return Ok(());
    }

    // A thousand requests that wait twice each, and a few that fail.
    let start = Instant::now();
    let mut requests = JoinSet::new();
    for path in ["/spin", "/never", "/trap"].iter().chain(&["/total"; 1000]) {
        let service = service.clone();
        requests.spawn(async move {
            let request = Request {
                path: path.to_string(),
                body: b"apple\npie".to_vec(),
            };
            (request.path.clone(), service.handle(&request).await)
        });
    }
    let mut totals = 0;
    while let Some(request) = requests.join_next().await {
        let (path, answer) = request?;
        match answer {
            Ok(response) if path == "/total" && response.body == b"530" => totals += 1,
            Ok(response) => println!("{path}: {}", response.status),
            Err(failure) => println!("{path}: {failure}"),
        }
    }
    println!("{totals} totals in {:?}", start.elapsed());
    Ok(())
}
