//! A program as Rust's standard library makes it: arguments, environment, standard streams, clocks,
//! hash tables (which want a random seed), files, and an exit code.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    println!("hello from {}", args.join(" "));
    println!("GREETING is {:?}", std::env::var("GREETING"));

    let mut stdin = std::io::stdin().lock();
    let mut line = String::new();
    stdin.read_line(&mut line).unwrap();
    let mut rest = Vec::new();
    stdin.read_to_end(&mut rest).unwrap();
    println!("the first line is {line:?}, and {} bytes follow", rest.len());

    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(5));
    assert!(start.elapsed() >= Duration::from_millis(5));
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000));

    let squares: HashMap<u32, u32> = (0..1000).map(|n| (n, n * n)).collect();
    println!("the square of 30 is {}", squares[&30]);

    match std::fs::read_to_string("/files/notes.txt") {
        Ok(notes) => {
            std::fs::write("/files/copy.txt", &notes).unwrap();
            println!("copied {} bytes", notes.len());
        }
        Err(error) => println!("no notes: {:?}", error.kind()),
    }

    std::io::stdout().flush().unwrap();
    eprintln!("the end");
    std::process::exit(i32::from(args.len() > 2));
}
