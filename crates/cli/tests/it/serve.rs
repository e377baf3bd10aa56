//! `mintage serve`: the server as a process, with raw connections to it.

use crate::common::{APP, Sandbox};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

const GUEST: &[u8] = include_bytes!("../../../wasi-http/tests/guests/server.wasm");

const GUEST_OF_P3: &[u8] = include_bytes!("../../../wasi-http/tests/guests/p3/service.wasm");

/// The longest that a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Lines of its standard output and error.
    output: Receiver<String>,
    errors: Receiver<String>,
}

/// Creates a sandbox with the guest.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", GUEST);
    sandbox
}

fn lines(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Server {
    /// Starts a server at a free port.
    fn start(sandbox: &Sandbox, options: &[&str]) -> Server {
        let args = [&["serve", "--addr", "127.0.0.1:0"], options, &["app.wasm"]].concat();
        Self::of(sandbox.command(&args))
    }

    fn of(mut command: Command) -> Server {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            output,
            errors,
        };
        let line = server.error("serving at http://");
        let address = line.split("http://").nth(1).unwrap().trim_end_matches('/');
        server.address = address.parse().unwrap();
        server
    }

    /// Waits for a line of standard error with `text` in it.
    fn error(&self, text: &str) -> String {
        find(&self.errors, text)
    }

    /// Waits for a line of standard output with `text` in it.
    fn output(&self, text: &str) -> String {
        find(&self.output, text)
    }

    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Sends a request and returns the response: status and body.
    fn get(&self, target: &str) -> (u16, String) {
        get(self.address, target)
    }

    /// Sends a signal.
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, and returns the exit code.
    fn wait(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), None);
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(lines: &Receiver<String>, text: &str) -> String {
    let (start, mut seen) = (Instant::now(), Vec::new());
    loop {
        let left = PATIENCE.saturating_sub(start.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("no line has `{text}` ({error}): {seen:#?}"),
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
}

/// Receives the rest of a connection, and splits it into status and body.
fn response(stream: &mut TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a response: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    // A body has a length if the guest has written all of it by the time the response is sent.
    if head.contains("transfer-encoding: chunked") {
        (status, joined(body))
    } else {
        (status, body.to_string())
    }
}

/// A body that was sent in chunks.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&rest[..size]);
        chunks = rest[size..]
            .strip_prefix("\r\n")
            .expect("the end of a chunk");
    }
}

fn get(address: SocketAddr, target: &str) -> (u16, String) {
    let mut stream = connect(address);
    stream.write_all(request(target).as_bytes()).unwrap();
    response(&mut stream)
}

fn ok(text: &str) -> (u16, String) {
    (200, text.to_string())
}

#[test]
fn it_serves_until_a_signal_and_finishes_what_is_under_way() {
    let sandbox = sandbox();
    for signal in ["TERM", "INT"] {
        let server = Server::start(&sandbox, &["--env", "GREETING=good morning"]);
        assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
        assert_eq!(server.get("/env"), ok("good morning"));
        let mut slow = server.connect();
        slow.write_all(request("/sleep?500").as_bytes()).unwrap();
        // A request that is answered after it shows that it has begun.
        thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        assert_eq!(response(&mut slow), ok("awake\n"));
        assert_eq!(server.wait(), Some(0), "{signal}");
    }
}

#[test]
fn failures_are_statuses_for_clients_and_backtraces_for_the_log() {
    let sandbox = sandbox();
    let options = [
        "--timeout",
        "2s",
        "--max-memory",
        "16M",
        "--max-request-body",
        "1K",
        "--threads",
        "1",
    ];
    let server = Server::start(&sandbox, &options);
    assert_eq!(server.get("/trap-before").0, 500);
    assert!(server.error("the guest failed").contains("/trap-before"));
    server.error("wasm backtrace");
    server.error("unreachable");
    assert_eq!(server.get("/spin"), (504, "504 Gateway Timeout\n".into()));
    assert!(server.error("timed out").contains("/spin"));
    assert_eq!(server.get("/never").0, 504);
    assert_eq!(server.get("/memory").0, 500);
    assert_eq!(server.get("/none").0, 502);
    let mut stream = server.connect();
    let head = "POST /count HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 1025";
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .unwrap();
    assert_eq!(response(&mut stream).0, 413);
    assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
}

#[test]
fn limits_may_be_keys() {
    let sandbox = sandbox();
    let keys = ["-W", "timeout=100ms", "-S", "max-http-fields-size=90"];
    let server = Server::start(&sandbox, &keys);
    assert_eq!(server.get("/never").0, 504);
    // Its header has 102 bytes, as `FieldMap` counts them.
    assert_eq!(server.get("/hello").0, 500);
    server.error("the fields are larger than");
    let server = Server::start(&sandbox, &["-S", "max-http-fields-size=110"]);
    assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
}

#[test]
fn more_requests_than_allowed_are_answered_by_503() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--max-concurrent-requests", "1"]);
    let start = Instant::now();
    let mut slow = Vec::new();
    // A slow request is itself refused if it comes while another one has not ended.
    loop {
        let mut stream = server.connect();
        stream.write_all(request("/never").as_bytes()).unwrap();
        slow.push(stream);
        match server.get("/hello") {
            (200, _) => assert!(start.elapsed() < PATIENCE),
            answer => {
                assert_eq!(answer, (503, "503 Service Unavailable\n".into()));
                return;
            }
        }
    }
}

#[test]
fn more_connections_than_allowed_are_answered_by_503() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--max-connections", "2"]);
    let _idle = [server.connect(), server.connect()];
    let start = Instant::now();
    // Until the server has accepted both, others are answered.
    loop {
        match server.get("/hello") {
            (200, _) => assert!(start.elapsed() < PATIENCE),
            answer => {
                assert_eq!(answer, (503, "503 Service Unavailable\n".into()));
                return;
            }
        }
    }
}

#[test]
fn requests_are_logged_as_text_or_json() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--log"]);
    assert_eq!(server.get("/hello?a=%22b%22").0, 200);
    let line = server.output("/hello");
    assert!(line.contains("] 127.0.0.1:"), "{line}");
    assert!(line.contains("GET /hello?a=%22b%22 HTTP/1.1\""), "{line}");
    assert!(
        line.contains("HTTP/1.1") && line.contains(" 200 14 "),
        "{line}"
    );
    assert!(line.ends_with("ms") && line.starts_with("20"), "{line}");
    drop(server);
    let server = Server::start(&sandbox, &["--log=json"]);
    server.get("/status?404");
    let line = server.output("/status");
    for part in [
        "{\"time\":\"20",
        "\"method\":\"GET\",\"target\":\"/status?404\"",
        "\"version\":\"HTTP/1.1\",\"status\":404,\"bytes\":9,\"seconds\":0.0",
        "\"complete\":true}",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    server.get("/trap-before");
    let line = server.error("\"failure\":");
    assert!(line.contains("\\n") && line.ends_with("\"}"), "{line}");
}

#[test]
fn lines_of_guests_have_the_number_of_their_request() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    assert_eq!(server.get("/print"), ok("printed\n"));
    let line = server.output("to the output");
    let number = line
        .strip_prefix("stdout [")
        .and_then(|rest| rest.strip_suffix("] :: to the output"));
    let number: u64 = number.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    server.error(&format!("stderr [{number}] :: to the error"));
    server.error(&format!("stderr [{number}] :: and more"));
    drop(server);
    let server = Server::start(&sandbox, &["--no-logging-prefix", "-S", "inherit-stderr=n"]);
    server.get("/print");
    assert_eq!(server.output("output"), "to the output");
    server.signal("TERM");
    // All that was printed to standard error is there by now.
    while let Ok(line) = server.errors.recv() {
        assert!(!line.contains("to the error"), "{line}");
    }
}

#[test]
fn numbers_are_served_for_prometheus() {
    let sandbox = sandbox();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let server = Server::start(&sandbox, &["--metrics", &address.to_string()]);
    for target in ["/hello", "/hello", "/trap-before"] {
        server.get(target);
    }
    let start = Instant::now();
    loop {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200);
        let has = |line: &str| text.lines().any(|other| other == line);
        // The end of a response comes after the client has it.
        if has("mintage_requests_total{status=\"2xx\"} 2")
            && has("mintage_requests_total{status=\"5xx\"} 1")
            && has("mintage_traps_total 1")
            && has("mintage_instances_live 0")
            && has("mintage_request_duration_seconds_count 3")
        {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{text}");
    }
}

#[test]
fn instances_answer_several_requests_if_the_user_chooses_so() {
    let sandbox = sandbox();
    let options = ["--threads", "1", "--max-instance-reuse-count", "2"];
    let at_once = ["--max-instance-concurrent-reuse-count", "8"];
    let idle = ["--idle-instance-timeout", "1h"];
    let server = Server::start(&sandbox, &[&options[..], &at_once, &idle].concat());
    for number in ["1\n", "2\n", "1\n", "2\n"] {
        assert_eq!(server.get("/next"), ok(number));
    }
    drop(server);
    sandbox.write("app.wasm", GUEST_OF_P3);
    let server = Server::start(&sandbox, &[&options[..], &at_once, &idle].concat());
    for number in ["1\n", "2\n", "1\n"] {
        assert_eq!(server.get("/next"), ok(number));
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let args = ["serve", "--max-instance-reuse-count", "0", "app.wasm"];
    sandbox.fail(&args, 2, &["expected at least 1"]);
}

#[test]
fn a_changed_component_is_loaded_and_a_broken_one_is_not() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--watch"]);
    let mut slow = server.connect();
    slow.write_all(request("/sleep?2000").as_bytes()).unwrap();
    sandbox.write("app.wasm", "(component (import \"nothing\" (func)))");
    server.error("cannot be loaded, so the one before goes on serving");
    server.error("exports neither `wasi:http/handler`");
    assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
    sandbox.write("app.wasm", "(componen");
    server.error("cannot be loaded");
    // Another component: the text of a response is changed in place.
    let mut other = GUEST.to_vec();
    let text = b"Hello, world!\n";
    let at = other.windows(text.len()).position(|window| window == text);
    let at = at.unwrap();
    other[at..at + text.len()].copy_from_slice(b"Hello, again!\n");
    sandbox.write("new.wasm", other);
    std::fs::rename(sandbox.path("new.wasm"), sandbox.path("app.wasm")).unwrap();
    server.error("loaded `app.wasm` again");
    assert_eq!(server.get("/hello"), ok("Hello, again!\n"));
    assert_eq!(response(&mut slow), ok("awake\n"));
}

#[test]
fn instances_start_warm() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--warm-up", "/next"]);
    for _ in 0..3 {
        assert_eq!(server.get("/next"), ok("2\n"));
    }
    drop(server);
    let server = Server::start(&sandbox, &["--warm-up", "/keep"]);
    for _ in 0..3 {
        assert_eq!(server.get("/keep"), ok("kept\n"));
    }
    drop(server);
    for (path, message) in [
        ("/reuse", "had this resource when the snapshot was taken"),
        ("/trap-before", "unreachable"),
        (
            "/status?503",
            "answers the request for `/status?503` by 503",
        ),
    ] {
        let args = [
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--warm-up",
            path,
            // The guest reports its own panic, which is not one of the command.
            "-S",
            "inherit-stderr=n",
            "app.wasm",
        ];
        let code = if path.starts_with("/status") { 1 } else { 134 };
        sandbox.fail(&args, code, &["cannot warm up `app.wasm`", message]);
    }
    let args = ["serve", "--warm-up", "next", "app.wasm"];
    sandbox.fail(&args, 2, &["expected the path of a request"]);
}

#[test]
fn components_that_cannot_serve_are_explained() {
    let sandbox = Sandbox::with(APP);
    let serve = |file| ["serve", "--addr", "127.0.0.1:0", file];
    sandbox.fail(
        &serve("app.wat"),
        1,
        &[
            "`app.wat` exports neither `wasi:http/handler` of WASI 0.3 nor",
            "so it cannot serve",
            "it exports `test:app/numbers@1.2.0`",
            "and 6 more; `mintage run --invoke` calls its functions",
        ],
    );
    sandbox.write("module.wat", "(module (func (export \"_start\")))");
    sandbox.fail(
        &serve("module.wat"),
        1,
        &["is a core module", "a program, which `mintage run` runs"],
    );
    // Versions of 0.3 before the final one have other functions.
    for version in ["0.3.0-rc-2025-09-16", "0.4.0"] {
        let handler = r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $handler (export "handle" (func $f)))
            (export "wasi:http/handler@VERSION" (instance $handler)))"#;
        sandbox.write("other.wat", handler.replace("VERSION", version));
        sandbox.fail(&serve("other.wat"), 1, &["wasi:http"]);
    }
    // The command has no next handler for a middleware.
    let middleware = r#"(component
        (import "wasi:http/handler@0.3.2" (instance $next (export "handle" (func))))
        (export "wasi:http/handler@0.3.2" (instance $next)))"#;
    sandbox.write("middleware.wat", middleware);
    let message = "it is a middleware; add the component that handles its requests";
    sandbox.fail(&serve("middleware.wat"), 1, &[message]);
    sandbox.write("empty.wat", "(component)");
    sandbox.fail(&serve("empty.wat"), 1, &["it exports nothing"]);
    sandbox.fail(&serve("absent.wasm"), 1, &["cannot read `absent.wasm`"]);
}

#[test]
fn addresses_that_cannot_be_used_are_explained() {
    let sandbox = sandbox();
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = used.local_addr().unwrap().to_string();
    let args = ["serve", "--addr", &address, "app.wasm"];
    sandbox.fail(&args, 1, &["another process has port", "`--addr`"]);
    let args = [
        "serve",
        "--metrics",
        &address,
        "--addr",
        "127.0.0.1:0",
        "app.wasm",
    ];
    sandbox.fail(&args, 1, &["another process has port", "`--metrics`"]);
    // Another server of the same user is no exception.
    let server = Server::start(&sandbox, &[]);
    let address = server.address.to_string();
    let args = ["serve", "--addr", &address, "app.wasm"];
    sandbox.fail(&args, 1, &["another process has port"]);
    let args = ["serve", "--addr", "192.0.2.1:80", "app.wasm"];
    sandbox.fail(&args, 1, &["this machine has no address 192.0.2.1"]);
    sandbox.fail(
        &["serve", "--listenfd", "app.wasm"],
        1,
        &["no socket was passed on"],
    );
    sandbox.fail(
        &["serve", "--http-connect", "https://a b", "app.wasm"],
        2,
        &["--http-connect"],
    );
}

#[test]
fn a_socket_that_is_passed_on_is_served() {
    let sandbox = sandbox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The shell passes its standard input on as file descriptor 3, and stays the same process.
    let mut shell = sandbox.command(&[]);
    let mintage = shell.get_program().to_owned();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"",
        ])
        .arg(mintage)
        .args(["serve", "--listenfd", "app.wasm"])
        .current_dir(sandbox.path(""))
        .envs(
            shell
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)));
    let server = Server::of(command);
    assert_eq!(server.address, address);
    assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
    shell.stdin(Stdio::null());
}

#[test]
fn artifacts_are_served_if_they_are_allowed() {
    let sandbox = sandbox();
    sandbox.succeed(&["compile", "app.wasm", "-o", "app.mint"]);
    let serve = |options: &[&'static str]| {
        [&["serve", "--addr", "127.0.0.1:0"], options, &["app.mint"]].concat()
    };
    sandbox.fail(&serve(&[]), 1, &["pass `--allow-precompiled`"]);
    sandbox.fail(
        &serve(&["--allow-precompiled"]),
        1,
        &["cannot be interrupted; compile it with `--interruptible`"],
    );
    sandbox.succeed(&["compile", "app.wasm", "-o", "app.mint", "--interruptible"]);
    let server = Server::of(sandbox.command(&serve(&["--allow-precompiled"])));
    assert_eq!(server.get("/hello"), ok("Hello, world!\n"));
    assert_eq!(server.get("/trap-before").0, 500);
}
