//! std PART: one part of the surface of Rust's standard library, printed as text.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    let result = match part.as_str() {
        "arguments" => arguments(),
        "copy" => copy(),
        "files" => files(),
        "folders" => folders(),
        "links" => links(),
        "sandbox" => sandbox(),
        "read-only" => read_only(),
        "times" => times(),
        "threads" => threads(),
        "tcp" => tcp(),
        "udp" => udp(),
        "names" => names(),
        "refused" => refused(),
        "large" => large(),
        "panic" => panic!("as asked"),
        "overflow" => {
            println!("{}", recurse(1));
            Ok(())
        }
        "exit" => std::process::exit(std::env::args().nth(2).unwrap().parse().unwrap()),
        "abort" => std::process::abort(),
        other => Err(io::Error::other(format!("unknown part `{other}`"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a fallible call returned.
fn show<T: std::fmt::Debug>(name: &str, result: io::Result<T>) {
    match result {
        Ok(value) => println!("{name}: {value:?}"),
        // Some have no name in the standard library.
        Err(error) => match format!("{:?}", error.kind()).as_str() {
            "Uncategorized" => println!("{name}: {error}"),
            kind => println!("{name}: {kind}"),
        },
    }
}

fn sorted(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => "/",
            (_, true) => "@",
            _ => "",
        };
        names.push(format!("{}{kind}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

fn arguments() -> io::Result<()> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    println!("{args:?}");
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    println!("{variables:?}");
    println!("{:?}", std::env::var_os("NONE"));
    println!(
        "terminals {} {}",
        io::stdin().is_terminal(),
        io::stdout().is_terminal()
    );
    // Keys of hash maps come from the system's random bytes.
    let map: HashMap<_, _> = (0..1000).map(|n| (n, n * n)).collect();
    println!("{}", map.values().sum::<i32>());
    Ok(())
}

/// Copies lines of standard input, with their numbers.
fn copy() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bytes = 0;
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line?;
        bytes += line.len() + 1;
        writeln!(out, "{}: {line}", number + 1)?;
    }
    writeln!(out, "{bytes} bytes")?;
    out.flush()?;
    eprintln!("done");
    Ok(())
}

fn files() -> io::Result<()> {
    let path = Path::new("/data/file.txt");
    fs::write(path, "first\nsecond\n")?;
    show("read", fs::read_to_string(path));
    OpenOptions::new()
        .append(true)
        .open(path)?
        .write_all(b"third\n")?;
    show("appended", fs::read_to_string(path));
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    show("seek", file.seek(SeekFrom::End(-6)));
    let mut text = String::new();
    show("rest", file.read_to_string(&mut text));
    println!("{text:?}");
    file.seek(SeekFrom::Start(2))?;
    file.write_all(b"XYZ")?;
    show("position", file.stream_position());
    show("before the start", file.seek(SeekFrom::Current(-100)));
    file.set_len(8)?;
    show("shortened", fs::read_to_string(path));
    file.set_len(12)?;
    show("lengthened", fs::read(path));
    show("past the end", file.seek(SeekFrom::Start(100)));
    show("at the end", file.read(&mut [0; 4]));
    file.sync_all()?;
    let metadata = file.metadata()?;
    println!(
        "{} {} {}",
        metadata.len(),
        metadata.is_file(),
        metadata.is_dir()
    );
    show("create_new", File::create_new(path).map(drop));
    show("missing", File::open("/data/missing").map(drop));
    show("empty name", File::open("").map(drop));
    show("NUL", File::open("/data/a\0b").map(drop));
    show("under a file", File::open("/data/file.txt/x").map(drop));
    show("copied", fs::copy(path, "/data/copy.txt"));
    show("renamed", fs::rename("/data/copy.txt", "/data/other.txt"));
    show("exists", fs::exists("/data/copy.txt"));
    show("removed", fs::remove_file("/data/other.txt"));
    show("removed", fs::remove_file("/data/other.txt"));
    fs::write("/data/\u{1f980} name", "crab")?;
    show("Unicode", fs::read_to_string("/data/\u{1f980} name"));
    let long = "x".repeat(300);
    show(
        "long name",
        File::create(Path::new("/data").join(long)).map(drop),
    );
    show("listing", sorted("/data"));
    Ok(())
}

fn folders() -> io::Result<()> {
    let root = Path::new("/data");
    fs::create_dir_all(root.join("a/b/c/d"))?;
    show("again", fs::create_dir(root.join("a")));
    show("no parent", fs::create_dir(root.join("none/a")));
    for n in 0..300 {
        fs::write(root.join(format!("a/b/file-{n:03}")), n.to_string())?;
    }
    let names = sorted("/data/a/b")?;
    println!("{} {:?} {:?}", names.len(), names[0], names[300]);
    show(
        "metadata",
        fs::metadata(root.join("a/b")).map(|data| data.is_dir()),
    );
    show("not empty", fs::remove_dir(root.join("a/b")));
    show(
        "file as folder",
        fs::read_dir(root.join("a/b/file-000")).map(drop),
    );
    show("read a folder", fs::read(root.join("a/b")));
    show(
        "remove a folder as file",
        fs::remove_file(root.join("a/b/c")),
    );
    show("moved", fs::rename(root.join("a/b"), root.join("moved")));
    show(
        "into itself",
        fs::rename(root.join("moved"), root.join("moved/c/x")),
    );
    show(
        "dots",
        fs::read_to_string(root.join("moved/c/../../moved/./file-007")),
    );
    show("slash", fs::metadata("/data/moved/file-007/").map(drop));
    show(
        "slash",
        fs::metadata("/data/moved/").map(|data| data.is_dir()),
    );
    show("root", sorted("/data"));
    let mut total = 0;
    let mut pending = vec![PathBuf::from("/data")];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata()?.is_dir() {
                true => pending.push(entry.path()),
                false => total += entry.metadata()?.len(),
            }
        }
    }
    println!("{total} bytes");
    fs::remove_dir_all(root.join("moved"))?;
    show("root", sorted("/data"));
    Ok(())
}

#[allow(deprecated)] // `soft_link` is what the standard library has for every system.
fn links() -> io::Result<()> {
    fs::create_dir("/data/folder")?;
    fs::write("/data/folder/file", "text")?;
    show("symlink", fs::soft_link("folder/file", "/data/link"));
    show("to a folder", fs::soft_link("folder", "/data/way"));
    show("dangling", fs::soft_link("none", "/data/dangling"));
    show("loop", fs::soft_link("loop", "/data/loop"));
    show("exists", fs::soft_link("none", "/data/link"));
    show("read_link", fs::read_link("/data/link"));
    show("not a link", fs::read_link("/data/folder/file"));
    show("through", fs::read_to_string("/data/link"));
    show("through a folder", fs::read_to_string("/data/way/file"));
    show("through none", fs::read_to_string("/data/dangling"));
    show("through a loop", fs::read_to_string("/data/loop"));
    let is_link = |path| fs::symlink_metadata(path).map(|data| data.is_symlink());
    show("of a link", is_link("/data/link"));
    show("of a file", is_link("/data/folder/file"));
    show(
        "hard link",
        fs::hard_link("/data/folder/file", "/data/hard"),
    );
    fs::write("/data/hard", "changed")?;
    show("same file", fs::read_to_string("/data/folder/file"));
    show(
        "hard link to a folder",
        fs::hard_link("/data/folder", "/data/hard-folder"),
    );
    show("removed", fs::remove_file("/data/link"));
    show("listing", sorted("/data"));
    Ok(())
}

/// Tries to leave the folder. The host's folder above has a file `secret`.
#[allow(deprecated)]
fn sandbox() -> io::Result<()> {
    let root = Path::new("/data");
    fs::create_dir(root.join("in"))?;
    for (name, target) in [("up", ".."), ("far", "../../.."), ("absolute", "/etc")] {
        show(name, fs::soft_link(target, root.join("in").join(name)));
    }
    for path in [
        "/secret",
        "/etc/passwd",
        "/data/../secret",
        "/data/in/../../secret",
        "/data/in/up/../secret",
        "/data/in/up/secret",
        "/data/in/far/secret",
        "/data/in/absolute/passwd",
        "/data/in/up/in/up/given",
    ] {
        show(path, fs::read_to_string(path));
    }
    show("rename out", fs::rename("/data/given", "/data/../taken"));
    show("link out", fs::hard_link("/data/../secret", "/data/taken"));
    show("create out", fs::write("/data/in/far/made", "x"));
    show("folder out", fs::create_dir("/data/in/up/../made"));
    Ok(())
}

fn read_only() -> io::Result<()> {
    show("read", fs::read_to_string("/fixed/given"));
    show("listing", sorted("/fixed"));
    show("write", fs::write("/fixed/new", "x"));
    show("overwrite", fs::write("/fixed/given", "x"));
    show(
        "append",
        OpenOptions::new()
            .append(true)
            .open("/fixed/given")
            .map(drop),
    );
    show("remove", fs::remove_file("/fixed/given"));
    show("folder", fs::create_dir("/fixed/folder"));
    show("rename", fs::rename("/fixed/given", "/fixed/other"));
    show("rename out", fs::rename("/fixed/given", "/data/other"));
    show("listing", sorted("/fixed"));
    Ok(())
}

fn times() -> io::Result<()> {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(30));
    let slept = start.elapsed();
    println!(
        "slept {}",
        slept >= Duration::from_millis(30) && slept < Duration::from_secs(20)
    );
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    println!("after 2020: {}", now.as_secs() > 1_577_836_800);
    let mut last = Instant::now();
    let is_monotonic = (0..10_000).all(|_| {
        let now = Instant::now();
        let follows = now >= last;
        last = now;
        follows
    });
    println!("monotonic {is_monotonic}");
    fs::write("/data/file", "x")?;
    let modified = fs::metadata("/data/file")?.modified()?;
    let age = SystemTime::now()
        .duration_since(modified)
        .unwrap_or_default();
    println!("new file is new: {}", age < Duration::from_secs(20));
    let file = OpenOptions::new().write(true).open("/data/file")?;
    let set = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    let result = file.set_times(fs::FileTimes::new().set_modified(set));
    show("set_times", result);
    let since = file
        .metadata()?
        .modified()?
        .duration_since(SystemTime::UNIX_EPOCH);
    println!("{:?}", since.unwrap());
    show(
        "accessed",
        file.metadata()?
            .accessed()
            .map(|time| time > SystemTime::UNIX_EPOCH),
    );
    Ok(())
}

fn threads() -> io::Result<()> {
    show("spawn", std::thread::Builder::new().spawn(|| ()).map(drop));
    show(
        "parallelism",
        std::thread::available_parallelism().map(usize::from),
    );
    let (sender, receiver) = std::sync::mpsc::channel();
    sender.send(1).unwrap();
    println!("{:?} {:?}", receiver.try_recv(), receiver.try_recv());
    thread_local!(static CELL: std::cell::Cell<u32> = const { std::cell::Cell::new(7) });
    println!("{}", CELL.get());
    Ok(())
}

fn tcp() -> io::Result<()> {
    let listener = match TcpListener::bind("127.0.0.1:0") {
        Ok(listener) => listener,
        Err(error) => {
            println!("bind: {:?}", error.kind());
            return Ok(());
        }
    };
    let address = listener.local_addr()?;
    println!("bound to {}", address.ip());
    // The backlog holds the connection until `accept`.
    let mut client = TcpStream::connect(address)?;
    let (mut server, peer) = listener.accept()?;
    println!("peers agree {}", peer == client.local_addr()?);
    client.write_all(b"ping")?;
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes)?;
    println!("{:?}", std::str::from_utf8(&bytes).unwrap());
    let sent: Vec<u8> = (0..50_000u32).map(|n| (n * 7) as u8).collect();
    server.write_all(&sent)?;
    server.shutdown(std::net::Shutdown::Write)?;
    let mut received = Vec::new();
    client.read_to_end(&mut received)?;
    println!("{} bytes, equal {}", received.len(), received == sent);
    client.set_nodelay(true)?;
    show("nodelay", client.nodelay());
    show("hop limit", client.set_ttl(42).and_then(|()| client.ttl()));
    server.set_nonblocking(true)?;
    show("nothing yet", server.read(&mut bytes));
    drop(listener);
    show("refused", TcpStream::connect(address).map(drop));
    show("no port", TcpListener::bind("127.0.0.1:99999").map(drop));
    Ok(())
}

fn udp() -> io::Result<()> {
    let one = match UdpSocket::bind("127.0.0.1:0") {
        Ok(socket) => socket,
        Err(error) => {
            println!("bind: {:?}", error.kind());
            return Ok(());
        }
    };
    let two = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"))?;
    drop(two);
    let two = UdpSocket::bind("127.0.0.1:0")?;
    show("sent", one.send_to(b"datagram", two.local_addr()?));
    let mut bytes = [0; 100];
    let (count, from) = two.recv_from(&mut bytes)?;
    println!("{:?} {}", &bytes[..count], from == one.local_addr()?);
    two.connect(one.local_addr()?)?;
    show("sent", two.send(b"back"));
    show("received", one.recv(&mut bytes));
    show("empty", two.send(b"").and_then(|_| one.recv(&mut bytes)));
    Ok(())
}

fn names() -> io::Result<()> {
    let local = |address: SocketAddr| address.ip().is_loopback() && address.port() == 80;
    show(
        "localhost",
        ("localhost", 80)
            .to_socket_addrs()
            .map(|mut all| all.all(local)),
    );
    show(
        "literal",
        "192.0.2.1:7"
            .to_socket_addrs()
            .map(|all| all.collect::<Vec<_>>()),
    );
    Ok(())
}

/// The network without a flag that allows it.
fn refused() -> io::Result<()> {
    show("listen", TcpListener::bind("127.0.0.1:0").map(drop));
    show("connect", TcpStream::connect("127.0.0.1:9").map(drop));
    show("datagram", UdpSocket::bind("127.0.0.1:0").map(drop));
    Ok(())
}

/// Writes 8 MiB in pieces of growing size, and reads it in others.
fn large() -> io::Result<()> {
    let path = "/data/large";
    let bytes: Vec<u8> = (0..8u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut file = File::create(path)?;
    let (mut at, mut size) = (0, 1);
    while at < bytes.len() {
        let end = (at + size).min(bytes.len());
        file.write_all(&bytes[at..end])?;
        (at, size) = (end, size * 3 / 2 + 1);
    }
    drop(file);
    let read = fs::read(path)?;
    println!("{} {}", read.len(), read == bytes);
    let mut file = File::open(path)?;
    let mut sum = 0u64;
    let mut piece = vec![0; 65_537];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => {
                sum += piece[..count]
                    .iter()
                    .map(|&byte| u64::from(byte))
                    .sum::<u64>()
            }
        }
    }
    println!("{sum} {}", Path::new(path).extension() == None::<&OsStr>);
    io::stdout().write_all(&bytes[..100_000])?;
    Ok(())
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == 0 {
        0
    } else {
        recurse(depth + 1) + frame[13]
    }
}
