//! Programs for WASI 0.3. The first argument says which one runs. A program that finds something
//! wrong panics.

mod files;
mod sockets;

use futures_util::future::{Either, join_all, select};
use std::pin::pin;
use wasip3::cli::types::ErrorCode;
use wasip3::cli::{environment, exit, stderr, stdin, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::random::{insecure, insecure_seed, random};
use wasip3::wit_bindgen::{StreamReader, StreamResult};
use wasip3::wit_stream;

struct Programs;

wasip3::cli::command::export!(Programs);

impl wasip3::exports::cli::run::Guest for Programs {
    async fn run() -> Result<(), ()> {
        let args = environment::get_arguments();
        let argument = |index: usize| args.get(index).map_or("", String::as_str);
        match argument(1) {
            "hello" => hello(&args).await,
            "fail" => return Err(()),
            "exit" => exit::exit_with_code(argument(2).parse().unwrap()),
            "exit-ok" => exit::exit(Ok(())),
            "trap" => panic!("a panic of the guest"),
            "wait" => monotonic_clock::wait_for(3_600_000_000_000).await,
            "spin" => loop {
                std::hint::black_box(0);
            },
            "cat" => cat().await,
            "pass" => pass().await,
            "clocks" => clocks().await,
            "random" => random_numbers().await,
            "closed-stdout" => closed_stdout().await,
            "first-byte" => first_byte().await,
            "cancel-read" => cancel_read().await,
            "ready" => ready().await,
            "many-streams" => many_streams(argument(2)).await,
            "write-much" => write_much(argument(2).parse().unwrap()).await,
            "both-versions" => both_versions().await,
            "files" => files::all().await,
            "read-file" => files::read_once(argument(2)).await,
            "read-only" => files::read_only().await,
            "entries" => files::entries().await,
            "open-many" => files::open_many().await,
            "tcp-client" => sockets::client(argument(2)).await,
            "tcp-server" => sockets::server().await,
            "tcp-options" => sockets::options().await,
            "tcp-states" => sockets::states().await,
            "tcp-refused" => sockets::refused(argument(2)).await,
            "tcp-slow-accept" => sockets::slow_accept().await,
            "tcp-limit" => sockets::limit().await,
            "tcp-reset" => sockets::reset(argument(2)).await,
            "udp" => sockets::udp().await,
            "udp-refused" => sockets::udp_refused(argument(2)).await,
            "lookup" => sockets::lookup(argument(2)).await,
            "denied" => sockets::denied(argument(2)).await,
            other => panic!("no program is called {other:?}"),
        }
        Ok(())
    }
}

/// Waits for both.
async fn join<A: IntoFuture, B: IntoFuture>(one: A, other: B) -> (A::Output, B::Output) {
    futures_util::future::join(one.into_future(), other.into_future()).await
}

/// Writes to the standard output.
async fn say(text: impl Into<Vec<u8>>) {
    let (mut writer, reader) = wit_stream::new();
    let write = async {
        assert!(writer.write_all(text.into()).await.is_empty());
        drop(writer);
    };
    let (ended, ()) = join(stdout::write_via_stream(reader), write).await;
    ended.unwrap();
}

async fn hello(args: &[String]) {
    say(format!("{} greets {}\n", args[0], args[2..].join(" and "))).await;
    for (name, value) in environment::get_environment() {
        say(format!("{name} is {value}\n")).await;
    }
    say(format!("{:?}\n", environment::get_initial_cwd())).await;
    let (mut writer, reader) = wit_stream::new();
    let write = async {
        writer.write_all(b"an error\n".to_vec()).await;
        drop(writer);
    };
    join(stderr::write_via_stream(reader), write)
        .await
        .0
        .unwrap();
}

/// Copies the standard input to the standard output.
async fn cat() {
    let (mut input, input_ended) = stdin::read_via_stream();
    let (mut writer, reader) = wit_stream::new();
    let copy = async {
        loop {
            let (result, bytes) = input.read(Vec::with_capacity(10_000)).await;
            assert!(writer.write_all(bytes).await.is_empty());
            if result == StreamResult::Dropped {
                break;
            }
        }
        drop(writer);
        input_ended.await.unwrap();
    };
    let (ended, ()) = join(stdout::write_via_stream(reader), copy).await;
    ended.unwrap();
}

/// Connects the standard input with the standard output.
async fn pass() {
    let (input, input_ended) = stdin::read_via_stream();
    stdout::write_via_stream(input).await.unwrap();
    input_ended.await.unwrap();
}

async fn clocks() {
    const MS: u64 = 1_000_000;
    assert!(monotonic_clock::get_resolution() > 0);
    assert!(system_clock::get_resolution() > 0);
    // 2020-01-01 to 2100-01-01.
    let now = system_clock::now();
    assert!((1_577_836_800..4_102_444_800).contains(&now.seconds));
    assert!(now.nanoseconds < 1_000_000_000);
    let start = monotonic_clock::now();
    monotonic_clock::wait_for(0).await;
    monotonic_clock::wait_until(0).await;
    monotonic_clock::wait_until(start).await;
    // They wait at the same time.
    let waits = (0..50).map(|_| monotonic_clock::wait_for(30 * MS));
    join_all(waits).await;
    let middle = monotonic_clock::now();
    assert!((30 * MS..1000 * MS).contains(&(middle - start)));
    monotonic_clock::wait_until(middle + 10 * MS).await;
    assert!(monotonic_clock::now() >= middle + 10 * MS);
    // The one that is dropped is cancelled.
    let long = pin!(monotonic_clock::wait_for(u64::MAX));
    let short = pin!(monotonic_clock::wait_for(10 * MS));
    assert!(matches!(select(long, short).await, Either::Right(_)));
}

async fn random_numbers() {
    assert_eq!(random::get_random_bytes(0), []);
    assert_eq!(insecure::get_insecure_random_bytes(0), []);
    let (one, other) = (random::get_random_bytes(32), random::get_random_bytes(32));
    assert_eq!((one.len(), other.len()), (32, 32));
    assert_ne!(one, other);
    assert_ne!(random::get_random_u64(), random::get_random_u64());
    assert_ne!(
        insecure::get_insecure_random_u64(),
        insecure::get_insecure_random_u64()
    );
    assert_eq!(
        insecure_seed::get_insecure_seed(),
        insecure_seed::get_insecure_seed()
    );
    say(format!("{}\n", random::get_random_bytes(5000).len())).await;
    say(format!(
        "{}\n",
        insecure::get_insecure_random_bytes(5000).len()
    ))
    .await;
}

/// Writes to a standard output that is closed.
async fn closed_stdout() {
    let (mut writer, reader) = wit_stream::new();
    let ended = stdout::write_via_stream(reader);
    let rest = writer.write_all(vec![b'x'; 100_000]).await;
    assert!(!rest.is_empty());
    assert_eq!(ended.await, Err(ErrorCode::Pipe));
}

/// Reads a byte, and drops the stream.
async fn first_byte() {
    let (mut input, ended) = stdin::read_via_stream();
    let byte = input.next().await;
    drop(input);
    ended.await.unwrap();
    say(format!("{byte:?}\n")).await;
}

/// Cancels a read of a standard input that has nothing, and reads again.
async fn cancel_read() {
    let (mut input, _ended) = stdin::read_via_stream();
    for _ in 0..3 {
        let mut read = pin!(input.read(Vec::with_capacity(10)));
        let wait = pin!(monotonic_clock::wait_for(5_000_000));
        assert!(matches!(
            select(read.as_mut(), wait).await,
            Either::Right(_)
        ));
        let (result, bytes) = read.as_mut().cancel();
        assert_eq!((result, bytes.len()), (StreamResult::Cancelled, 0));
    }
    say("now\n").await;
    let (_, bytes) = input.read(Vec::with_capacity(10)).await;
    say(bytes).await;
}

/// Asks whether streams are ready, with room for nothing.
async fn ready() {
    let (mut input, _ended) = stdin::read_via_stream();
    let (result, _) = input.read(Vec::new()).await;
    assert_eq!(result, StreamResult::Complete(0));
    let (_, bytes) = input.read(Vec::with_capacity(10)).await;
    let (mut writer, reader) = wit_stream::new();
    let ended = stdout::write_via_stream(reader);
    let (result, _) = writer.write(Vec::new()).await;
    assert_eq!(result, StreamResult::Complete(0));
    assert!(writer.write_all(bytes).await.is_empty());
    drop(writer);
    ended.await.unwrap();
}

/// Has as many streams as it can, and reads none.
async fn many_streams(which: &str) {
    let mut inputs: Vec<StreamReader<u8>> = Vec::new();
    let mut writers = Vec::new();
    let mut count = 0;
    loop {
        let ended = match which {
            "stdin" => {
                let (input, ended) = stdin::read_via_stream();
                inputs.push(input);
                ended
            }
            _ => {
                let (writer, reader) = wit_stream::new();
                writers.push(writer);
                stdout::write_via_stream(reader)
            }
        };
        let mut ended = pin!(ended.into_future());
        let at_once = pin!(async {});
        if let Either::Left((ended, _)) = select(ended.as_mut(), at_once).await {
            assert_eq!(ended, Err(ErrorCode::Io));
            break;
        }
        if let Ok(ended) = ended.as_mut().cancel() {
            panic!("a stream has ended: {ended:?}");
        }
        count += 1;
    }
    inputs.truncate(1);
    drop(writers);
    say(format!("{count}\n")).await;
}

/// Writes so many bytes at once.
async fn write_much(count: usize) {
    let (mut writer, reader) = wit_stream::new();
    let ended = stdout::write_via_stream(reader);
    assert!(writer.write_all(vec![b'x'; count]).await.is_empty());
    drop(writer);
    ended.await.unwrap();
}

/// Uses what the standard library has of WASI 0.2, too.
async fn both_versions() {
    println!("this is 0.2");
    say("and this 0.3\n").await;
    let start = std::time::Instant::now();
    let wait = async {
        monotonic_clock::wait_for(20_000_000).await;
    };
    wait.await;
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert!(start.elapsed().as_millis() >= 25);
    println!("{:?}", std::env::args().nth(1));
}
