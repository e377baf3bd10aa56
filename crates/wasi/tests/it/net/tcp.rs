//! TCP.

use super::{Guest, address, again, code, families, port, trap};
use mintage::component::Resource;
use mintage_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use mintage_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use mintage_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use mintage_wasi::p2::bindings::sync::io::streams::{HostInputStream as _, HostOutputStream as _};
use mintage_wasi::p2::bindings::sync::sockets::tcp::{HostTcpSocket, ShutdownType};
use mintage_wasi::p2::{DynInputStream, DynOutputStream, SocketResult, StreamError, TcpSocket};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

type Socket = Resource<TcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl Guest {
    pub fn tcp(&mut self, family: IpAddressFamily) -> Socket {
        self.view().create_tcp_socket(family).unwrap()
    }

    fn bind(&mut self, socket: &Socket, address: IpSocketAddress) -> SocketResult<()> {
        let network = self.network();
        self.view().start_bind(again(socket), network, address)?;
        self.view().finish_bind(again(socket))
    }

    /// Makes a socket that listens at an address of the system's choice, which this returns.
    fn listen(&mut self, at: IpSocketAddress) -> (Socket, IpSocketAddress) {
        let family = match at {
            IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
            IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
        };
        let socket = self.tcp(family);
        self.bind(&socket, at).unwrap();
        self.view().start_listen(again(&socket)).unwrap();
        self.view().finish_listen(again(&socket)).unwrap();
        let address = self.view().local_address(again(&socket)).unwrap();
        (socket, address)
    }

    pub fn start_connect(&mut self, socket: &Socket, to: IpSocketAddress) -> SocketResult<()> {
        let network = self.network();
        self.view().start_connect(again(socket), network, to)
    }

    /// Waits until the socket is connected, or is not.
    pub fn finish_connect(&mut self, socket: &Socket) -> SocketResult<Streams> {
        let pollable = self.view().subscribe(again(socket)).unwrap();
        self.block(pollable);
        self.view().finish_connect(again(socket))
    }

    /// Makes a connection to a listener of the test.
    fn connected(&mut self) -> (Socket, Streams, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = self.tcp(IpAddressFamily::Ipv4);
        let to = listener.local_addr().unwrap();
        self.start_connect(&socket, to.into()).unwrap();
        let streams = self.finish_connect(&socket).unwrap();
        (socket, streams, listener.accept().unwrap().0)
    }

    fn accept(&mut self, socket: &Socket) -> (Socket, Streams) {
        let pollable = self.view().subscribe(again(socket)).unwrap();
        self.block(pollable);
        let (accepted, input, output) = self.view().accept(again(socket)).unwrap();
        (accepted, (input, output))
    }

    fn write(&mut self, output: &Resource<DynOutputStream>, bytes: &[u8]) {
        let table = &mut self.host.table;
        table
            .blocking_write_and_flush(again(output), bytes.to_vec())
            .unwrap();
    }

    /// Reads until there is what is expected.
    fn expect(&mut self, input: &Resource<DynInputStream>, expected: &[u8]) {
        let mut read = Vec::new();
        while read.len() < expected.len() {
            let missing = (expected.len() - read.len()) as u64;
            read.extend(
                self.host
                    .table
                    .blocking_read(again(input), missing)
                    .unwrap(),
            );
        }
        assert_eq!(read, expected);
    }

    fn expect_end(&mut self, input: &Resource<DynInputStream>) {
        let end = self.host.table.blocking_read(again(input), 1);
        assert!(matches!(end, Err(StreamError::Closed)), "{end:?}");
    }

    fn drop_tcp(&mut self, socket: Socket) -> mintage::Result<()> {
        HostTcpSocket::drop(&mut self.view(), socket)
    }

    fn drop_streams(&mut self, (input, output): Streams) {
        use mintage_wasi::p2::bindings::sync::io::streams::{HostInputStream, HostOutputStream};
        HostInputStream::drop(&mut self.host.table, input).unwrap();
        HostOutputStream::drop(&mut self.host.table, output).unwrap();
    }
}

#[test]
fn a_guest_talks_to_itself() {
    for (family, at) in families() {
        let mut guest = Guest::new();
        let (listener, there) = guest.listen(at);
        assert!(guest.view().is_listening(again(&listener)).unwrap());
        assert_eq!(
            guest.view().address_family(again(&listener)).unwrap(),
            family
        );
        assert_ne!(port(&there), 0);
        assert_eq!(
            code(guest.view().accept(again(&listener))),
            ErrorCode::WouldBlock
        );

        let client = guest.tcp(family);
        guest.start_connect(&client, there).unwrap();
        let (client_in, client_out) = guest.finish_connect(&client).unwrap();
        let (server, (server_in, server_out)) = guest.accept(&listener);
        let mut view = guest.view();
        let near = SocketAddr::from(view.local_address(again(&client)).unwrap());
        let far = SocketAddr::from(view.remote_address(again(&server)).unwrap());
        assert_eq!(near, far);
        let far = SocketAddr::from(view.remote_address(again(&client)).unwrap());
        assert_eq!(far, SocketAddr::from(there));

        guest.write(&client_out, b"a question");
        guest.expect(&server_in, b"a question");
        guest.write(&server_out, b"an answer");
        guest.expect(&client_in, b"an answer");

        // The client has nothing more to say, and still listens.
        guest
            .view()
            .shutdown(again(&client), ShutdownType::Send)
            .unwrap();
        guest.expect_end(&server_in);
        let closed = guest.host.table.check_write(again(&client_out));
        assert!(matches!(closed, Err(StreamError::Closed)), "{closed:?}");
        guest.write(&server_out, b"a last word");
        guest.expect(&client_in, b"a last word");
        guest
            .view()
            .shutdown(again(&server), ShutdownType::Both)
            .unwrap();
        guest.expect_end(&client_in);

        guest.drop_streams((client_in, client_out));
        guest.drop_streams((server_in, server_out));
        guest.drop_tcp(client).unwrap();
        guest.drop_tcp(server).unwrap();
        guest.drop_tcp(listener).unwrap();
    }
}

#[test]
fn connections_that_no_one_takes_are_refused() {
    let mut guest = Guest::new();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let socket = guest.tcp(IpAddressFamily::Ipv4);
    guest.start_connect(&socket, free.into()).unwrap();
    let failed = guest.finish_connect(&socket);
    assert_eq!(code(failed), ErrorCode::ConnectionRefused);
    // It is of no use from now on.
    let mut view = guest.view();
    assert_eq!(
        code(view.finish_connect(again(&socket))),
        ErrorCode::NotInProgress
    );
    assert_eq!(
        code(view.hop_limit(again(&socket))),
        ErrorCode::ConnectionRefused
    );
    assert_eq!(
        code(view.remote_address(again(&socket))),
        ErrorCode::ConnectionRefused
    );
    assert_eq!(
        code(view.start_listen(again(&socket))),
        ErrorCode::InvalidState
    );
    assert_eq!(
        code(guest.start_connect(&socket, free.into())),
        ErrorCode::InvalidState
    );
    let pollable = guest.view().subscribe(again(&socket)).unwrap();
    assert!(guest.is_ready(&pollable));
}

#[test]
fn an_address_is_bound_once() {
    let mut guest = Guest::new();
    let (_listener, there) = guest.listen(address("127.0.0.1:0"));
    let second = guest.tcp(IpAddressFamily::Ipv4);
    assert_eq!(code(guest.bind(&second, there)), ErrorCode::AddressInUse);
    let foreign = guest.bind(&second, address("192.0.2.1:0"));
    assert_eq!(code(foreign), ErrorCode::AddressNotBindable);
    // It is as good as new.
    guest.bind(&second, address("127.0.0.1:0")).unwrap();
}

#[test]
fn addresses_that_are_none() {
    let v4 = IpAddressFamily::Ipv4;
    let v6 = IpAddressFamily::Ipv6;
    let has_v6 = families().len() == 2;
    // Family, address, and whether it is one to bind to, and to connect to.
    let cases = [
        (v4, "127.0.0.1:0", true, false),
        (v4, "0.0.0.0:0", true, false),
        (v4, "0.0.0.0:9", true, false),
        (v4, "127.0.0.1:9", true, true),
        (v4, "224.0.0.1:9", false, false),
        (v4, "255.255.255.255:9", false, false),
        (v4, "[::1]:9", false, false),
        (v4, "[::ffff:127.0.0.1]:9", false, false),
        (v6, "[::1]:0", true, false),
        (v6, "[::]:9", true, false),
        (v6, "[::1]:9", true, true),
        (v6, "[ff02::1]:9", false, false),
        (v6, "127.0.0.1:9", false, false),
        (v6, "[::ffff:127.0.0.1]:9", false, false),
        (v6, "[::127.0.0.1]:9", false, false),
        (v6, "[::ffff:0.0.0.0]:9", false, false),
    ];
    for (family, text, binds, connects) in cases {
        if family == v6 && !has_v6 {
            continue;
        }
        // Nothing is allowed, so that what is valid is refused before the system sees it.
        let mut guest = Guest::with(|_| {});
        let expected = |valid| match valid {
            true => ErrorCode::AccessDenied,
            false => ErrorCode::InvalidArgument,
        };
        let socket = guest.tcp(family);
        let bound = code(guest.bind(&socket, address(text)));
        assert_eq!(bound, expected(binds), "bind {text}");
        let connected = code(guest.start_connect(&socket, address(text)));
        assert_eq!(connected, expected(connects), "connect {text}");
    }
}

/// What a socket can be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    New,
    Binding,
    Bound,
    Connecting,
    Connected,
    StartingToListen,
    Listening,
}

/// Makes a socket of a state.
fn socket_in(guest: &mut Guest, state: State, listener: SocketAddr) -> Socket {
    let socket = guest.tcp(IpAddressFamily::Ipv4);
    let network = guest.network();
    match state {
        State::New => {}
        State::Binding => {
            let mut view = guest.view();
            view.start_bind(again(&socket), network, address("127.0.0.1:0"))
                .unwrap();
        }
        State::Bound => guest.bind(&socket, address("127.0.0.1:0")).unwrap(),
        State::Connecting => guest.start_connect(&socket, listener.into()).unwrap(),
        State::Connected => {
            guest.start_connect(&socket, listener.into()).unwrap();
            guest.finish_connect(&socket).unwrap();
        }
        State::StartingToListen | State::Listening => {
            guest.bind(&socket, address("127.0.0.1:0")).unwrap();
            guest.view().start_listen(again(&socket)).unwrap();
            if state == State::Listening {
                guest.view().finish_listen(again(&socket)).unwrap();
            }
        }
    }
    socket
}

/// Each operation in each state: the code that it fails with, or `None` if it works.
#[test]
fn operations_that_a_state_does_not_allow() {
    use ErrorCode::{
        ConcurrencyConflict as Conflict, InvalidState as Invalid, NotInProgress as NotStarted,
        WouldBlock,
    };
    use State::*;
    type Operation = fn(&mut Guest, Socket, SocketAddr) -> SocketResult<()>;
    let operations: [(&str, Operation); 12] = [
        ("start-bind", |guest, socket, _| {
            let network = guest.network();
            guest
                .view()
                .start_bind(socket, network, address("127.0.0.1:0"))
        }),
        ("finish-bind", |guest, socket, _| {
            guest.view().finish_bind(socket)
        }),
        ("start-connect", |guest, socket, to| {
            guest.start_connect(&socket, to.into())
        }),
        ("finish-connect", |guest, socket, _| {
            guest.view().finish_connect(socket).map(|_| ())
        }),
        ("start-listen", |guest, socket, _| {
            guest.view().start_listen(socket)
        }),
        ("finish-listen", |guest, socket, _| {
            guest.view().finish_listen(socket)
        }),
        ("accept", |guest, socket, _| {
            guest.view().accept(socket).map(|_| ())
        }),
        ("local-address", |guest, socket, _| {
            guest.view().local_address(socket).map(|_| ())
        }),
        ("remote-address", |guest, socket, _| {
            guest.view().remote_address(socket).map(|_| ())
        }),
        ("shutdown", |guest, socket, _| {
            guest.view().shutdown(socket, ShutdownType::Send)
        }),
        ("set-listen-backlog-size", |guest, socket, _| {
            guest.view().set_listen_backlog_size(socket, 5)
        }),
        ("hop-limit", |guest, socket, _| {
            guest.view().hop_limit(socket).map(|_| ())
        }),
    ];
    let fails = Some;
    // In the order of the operations.
    let expected: [(State, [Option<ErrorCode>; 12]); 7] = [
        (
            New,
            [
                None,
                fails(NotStarted),
                None,
                fails(NotStarted),
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
                None,
                None,
            ],
        ),
        (
            Binding,
            [
                fails(Conflict),
                None,
                fails(Conflict),
                fails(NotStarted),
                fails(Conflict),
                fails(NotStarted),
                fails(Invalid),
                None,
                fails(Invalid),
                fails(Invalid),
                None,
                None,
            ],
        ),
        (
            Bound,
            [
                fails(Invalid),
                fails(NotStarted),
                None,
                fails(NotStarted),
                None,
                fails(NotStarted),
                fails(Invalid),
                None,
                fails(Invalid),
                fails(Invalid),
                None,
                None,
            ],
        ),
        (
            Connecting,
            [
                fails(Conflict),
                fails(NotStarted),
                fails(Conflict),
                None,
                fails(Conflict),
                fails(NotStarted),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
                fails(Invalid),
            ],
        ),
        (
            Connected,
            [
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                None,
                None,
                None,
                fails(Invalid),
                None,
            ],
        ),
        (
            StartingToListen,
            [
                fails(Conflict),
                fails(NotStarted),
                fails(Conflict),
                fails(NotStarted),
                fails(Conflict),
                None,
                fails(Invalid),
                None,
                fails(Invalid),
                fails(Invalid),
                None,
                None,
            ],
        ),
        (
            Listening,
            [
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                fails(NotStarted),
                fails(Invalid),
                fails(NotStarted),
                fails(WouldBlock),
                None,
                fails(Invalid),
                fails(Invalid),
                None,
                None,
            ],
        ),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    for (state, expected) in expected {
        for ((name, operation), expected) in operations.iter().zip(expected) {
            let mut guest = Guest::new();
            let socket = socket_in(&mut guest, state, to);
            if state == Connecting {
                // On the loopback device this is over soon.
                let pollable = guest.view().subscribe(again(&socket)).unwrap();
                guest.block(pollable);
            }
            let result = operation(&mut guest, again(&socket), to);
            let result = result.err().map(|error| error.downcast().unwrap());
            assert_eq!(result, expected, "{name} of a socket that is {state:?}");
        }
    }
}

#[test]
fn options_are_kept_and_checked() {
    type Get = fn(&mut Guest, Socket) -> SocketResult<u64>;
    type Set = fn(&mut Guest, Socket, u64) -> SocketResult<()>;
    type Values = [(u64, u64); 2];
    let second = 1_000_000_000;
    // A value with what it becomes, and one that is too large with what that becomes.
    let options: [(&str, Get, Set, Values); 6] = [
        (
            "keep-alive-idle-time",
            |guest, socket| guest.view().keep_alive_idle_time(socket),
            |guest, socket, value| guest.view().set_keep_alive_idle_time(socket, value),
            [(1, second), (u64::MAX, 32767 * second)],
        ),
        (
            "keep-alive-interval",
            |guest, socket| guest.view().keep_alive_interval(socket),
            |guest, socket, value| guest.view().set_keep_alive_interval(socket, value),
            [(5 * second, 5 * second), (u64::MAX, 32767 * second)],
        ),
        (
            "keep-alive-count",
            |guest, socket| guest.view().keep_alive_count(socket).map(u64::from),
            |guest, socket, value| guest.view().set_keep_alive_count(socket, value as u32),
            [(5, 5), (u64::MAX, 127)],
        ),
        (
            "hop-limit",
            |guest, socket| guest.view().hop_limit(socket).map(u64::from),
            |guest, socket, value| guest.view().set_hop_limit(socket, value as u8),
            [(42, 42), (255, 255)],
        ),
        (
            "receive-buffer-size",
            |guest, socket| guest.view().receive_buffer_size(socket),
            |guest, socket, value| guest.view().set_receive_buffer_size(socket, value),
            [(16384, 16384), (u64::MAX, 0)],
        ),
        (
            "send-buffer-size",
            |guest, socket| guest.view().send_buffer_size(socket),
            |guest, socket, value| guest.view().set_send_buffer_size(socket, value),
            [(16384, 16384), (u64::MAX, 0)],
        ),
    ];
    for (family, _) in families() {
        let mut guest = Guest::new();
        let socket = guest.tcp(family);
        for (name, get, set, cases) in options {
            let none = set(&mut guest, again(&socket), 0);
            assert_eq!(code(none), ErrorCode::InvalidArgument, "{name}");
            for (value, expected) in cases {
                set(&mut guest, again(&socket), value).unwrap();
                let got = get(&mut guest, again(&socket)).unwrap();
                match expected {
                    // The most that the system takes.
                    0 => assert!(got >= 16384, "{name}: {got}"),
                    expected => assert_eq!(got, expected, "{name}"),
                }
            }
        }
        let mut view = guest.view();
        assert!(!view.keep_alive_enabled(again(&socket)).unwrap());
        view.set_keep_alive_enabled(again(&socket), true).unwrap();
        assert!(view.keep_alive_enabled(again(&socket)).unwrap());
        let none = view.set_listen_backlog_size(again(&socket), 0);
        assert_eq!(code(none), ErrorCode::InvalidArgument);
        view.set_listen_backlog_size(again(&socket), u64::MAX)
            .unwrap();
    }
}

#[test]
fn a_slow_reader_holds_the_writer_back() {
    let mut guest = Guest::new();
    let (_socket, (_input, output), mut far) = guest.connected();
    let bytes = vec![7; 1 << 16];
    let mut written = 0;
    // Until the other side has to read first. The system moves bytes to it for a while.
    let mut patience = 10;
    while patience > 0 {
        let allowed = guest.host.table.check_write(again(&output)).unwrap() as usize;
        if allowed == 0 {
            std::thread::sleep(Duration::from_millis(20));
            let pollable = guest.subscribe(&output);
            patience = if guest.is_ready(&pollable) {
                10
            } else {
                patience - 1
            };
            guest.drop_pollable(pollable);
            continue;
        }
        let piece = bytes[..allowed.min(bytes.len())].to_vec();
        written += piece.len();
        guest.host.table.write(again(&output), piece).unwrap();
    }
    assert!(written > 1 << 16);
    // More than was allowed.
    let unasked = guest.host.table.write(again(&output), vec![7]);
    assert!(matches!(unasked, Err(StreamError::Trap(_))), "{unasked:?}");
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        received.len()
    });
    let start = Instant::now();
    let pollable = guest.subscribe(&output);
    guest.block(pollable);
    assert!(start.elapsed() >= Duration::from_millis(30));
    for piece in bytes.chunks(4096) {
        guest.write(&output, piece);
        written += piece.len();
    }
    drop(guest);
    assert_eq!(reader.join().unwrap(), written);
}

#[test]
fn one_poll_waits_for_several_sockets_and_a_timer() {
    let mut guest = Guest::new();
    let (listener, there) = guest.listen(address("127.0.0.1:0"));
    let (_socket, (input, output), mut far) = guest.connected();
    let at_listener = guest.view().subscribe(again(&listener)).unwrap();
    let at_input = guest.subscribe(&input);
    let timer = {
        use mintage_wasi::clocks::WasiClocksView;
        guest.host.clocks().subscribe_duration(20_000_000).unwrap()
    };
    let start = Instant::now();
    assert_eq!(guest.poll(&[&at_listener, &at_input, &timer]), [2]);
    assert!(start.elapsed() >= Duration::from_millis(15));
    // Another thread connects, after a while.
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        TcpStream::connect(SocketAddr::from(there)).unwrap()
    });
    assert_eq!(guest.poll(&[&at_input, &at_listener]), [1]);
    far.write_all(b"x").unwrap();
    let at_output = guest.subscribe(&output);
    let far_near = thread.join().unwrap();
    assert_eq!(guest.poll(&[&at_input]), [0]);
    assert_eq!(
        guest.poll(&[&at_output, &at_listener, &at_input, &timer]),
        [0, 1, 2, 3]
    );
    drop(far_near);
}

#[test]
fn parents_outlive_their_children() {
    let mut guest = Guest::new();
    let (socket, streams, mut far) = guest.connected();
    let rep = socket.rep();
    let early = guest.drop_tcp(socket).unwrap_err().to_string();
    assert!(early.contains("child"), "{early}");
    let socket = Resource::<TcpSocket>::new_own(rep);
    let pollable = guest.view().subscribe(again(&socket)).unwrap();
    guest.write(&streams.1, b"before the end");
    guest.drop_streams(streams);
    let rep = socket.rep();
    guest.drop_tcp(socket).unwrap_err();
    guest.drop_pollable(pollable);
    let socket = Resource::<TcpSocket>::new_own(rep);
    guest.drop_tcp(socket).unwrap();
    // Now it is closed, and what was written has come.
    let mut received = Vec::new();
    far.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"before the end");
    let foreign: Socket = Resource::new_borrow(12345);
    assert!(trap(guest.view().hop_limit(foreign)).contains("not present"));
}

#[test]
fn sockets_are_counted() {
    let mut guest = Guest::with(|builder| {
        builder.inherit_network().max_sockets(2);
    });
    let (listener, there) = guest.listen(address("127.0.0.1:0"));
    let second = guest.tcp(IpAddressFamily::Ipv4);
    let third = guest.view().create_tcp_socket(IpAddressFamily::Ipv4);
    assert_eq!(code(third), ErrorCode::NewSocketLimit);
    let mut client = TcpStream::connect(SocketAddr::from(there)).unwrap();
    let pollable = guest.view().subscribe(again(&listener)).unwrap();
    guest.block(pollable);
    assert_eq!(
        code(guest.view().accept(again(&listener))),
        ErrorCode::NewSocketLimit
    );
    // The connection waits.
    guest.drop_tcp(second).unwrap();
    let (_accepted, (input, _output)) = guest.accept(&listener);
    client.write_all(b"patience").unwrap();
    guest.expect(&input, b"patience");
}

#[test]
fn a_connection_that_breaks_is_an_error_with_a_code() {
    use mintage_wasi::p2::bindings::sockets::network::Host as _;
    let mut guest = Guest::new();
    let (_socket, (input, output), far) = guest.connected();
    guest.write(&output, b"no one reads this");
    // Unread bytes make this a reset.
    drop(far);
    let failed = loop {
        match guest.host.table.blocking_read(again(&input), 10) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let StreamError::LastOperationFailed(error) = failed else {
        panic!("{failed:?}");
    };
    let error = guest.host.table.push(error).unwrap();
    let found = guest.view().network_error_code(error).unwrap();
    assert_eq!(found, Some(ErrorCode::ConnectionReset));
    guest.expect_end(&input);
    let other = guest
        .host
        .table
        .push(mintage::format_err!("of no socket"))
        .unwrap();
    assert_eq!(guest.view().network_error_code(other).unwrap(), None);
}

#[test]
fn sizes_beyond_all_bounds() {
    let mut guest = Guest::new();
    let (_socket, (input, output), mut far) = guest.connected();
    far.write_all(b"little").unwrap();
    let pollable = guest.subscribe(&input);
    guest.block(pollable);
    let read = guest.host.table.read(again(&input), u64::MAX).unwrap();
    assert_eq!(read, b"little");
    assert_eq!(guest.host.table.read(again(&input), 1 << 63).unwrap(), b"");
    assert_eq!(guest.host.table.skip(again(&input), 1 << 63).unwrap(), 0);
    assert!(guest.host.table.check_write(again(&output)).unwrap() <= 1 << 16);
    let zeros = guest.host.table.write_zeroes(again(&output), 1 << 63);
    assert!(matches!(zeros, Err(StreamError::Trap(_))), "{zeros:?}");
}
