;; The functions of `wasi:sockets` that tests call, and a guest that uses them.
(import "wasi:sockets/instance-network@0.2.12" "instance-network"
  (func $instance-network (result i32)))
(import "wasi:sockets/tcp-create-socket@0.2.12" "create-tcp-socket"
  (func $create-tcp (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.start-bind" (func $start-bind-tcp-at
  (param i32 i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.finish-bind"
  (func $finish-bind-tcp (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.start-connect" (func $start-connect
  (param i32 i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.finish-connect"
  (func $finish-connect (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.start-listen"
  (func $start-listen (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.finish-listen"
  (func $finish-listen (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.accept" (func $accept (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.local-address"
  (func $local-address-tcp (param i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.subscribe"
  (func $subscribe-tcp (param i32) (result i32)))
(import "wasi:sockets/tcp@0.2.12" "[method]tcp-socket.shutdown"
  (func $shutdown (param i32 i32 i32)))
(import "wasi:sockets/tcp@0.2.12" "[resource-drop]tcp-socket" (func $drop-tcp (param i32)))
(import "wasi:sockets/udp-create-socket@0.2.12" "create-udp-socket"
  (func $create-udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.12" "[method]udp-socket.start-bind" (func $start-bind-udp-at
  (param i32 i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)))
(import "wasi:sockets/udp@0.2.12" "[method]udp-socket.finish-bind"
  (func $finish-bind-udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.12" "[method]udp-socket.local-address"
  (func $local-address-udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.12" "[method]udp-socket.stream" (func $stream-to
  (param i32 i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)))
(import "wasi:sockets/udp@0.2.12" "[method]incoming-datagram-stream.receive"
  (func $receive (param i32 i64 i32)))
(import "wasi:sockets/udp@0.2.12" "[method]incoming-datagram-stream.subscribe"
  (func $subscribe-incoming (param i32) (result i32)))
(import "wasi:sockets/udp@0.2.12" "[method]outgoing-datagram-stream.check-send"
  (func $check-send (param i32 i32)))
(import "wasi:sockets/udp@0.2.12" "[method]outgoing-datagram-stream.send"
  (func $send (param i32 i32 i32 i32)))

;; Results are at 16, and the address that something is bound to at 100.
(data (i32.const 512) "through TCP")
(data (i32.const 528) "by UDP")

(func $wait (param $pollable i32)
  (call $block (local.get $pollable))
  (call $drop-pollable (local.get $pollable)))

;; Starts to bind a socket to 127.0.0.1 and a port of the system's choice.
(func $start-bind-tcp (param $socket i32)
  (call $start-bind-tcp-at (local.get $socket) (call $instance-network)
    (i32.const 0) (i32.const 0)
    (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 16)))

(func $tcp
  (local $listener i32) (local $client i32) (local $server i32)
  (local $out i32) (local $in i32)
  (call $create-tcp (i32.const 0) (i32.const 16))
  (call $ok (i32.const 16))
  (local.set $listener (i32.load (i32.const 20)))
  (call $start-bind-tcp (local.get $listener))
  (call $ok (i32.const 16))
  (call $finish-bind-tcp (local.get $listener) (i32.const 16))
  (call $ok (i32.const 16))
  (call $start-listen (local.get $listener) (i32.const 16))
  (call $ok (i32.const 16))
  (call $finish-listen (local.get $listener) (i32.const 16))
  (call $ok (i32.const 16))
  (call $local-address-tcp (local.get $listener) (i32.const 100))
  (call $ok (i32.const 100))

  (call $create-tcp (i32.const 0) (i32.const 16))
  (call $ok (i32.const 16))
  (local.set $client (i32.load (i32.const 20)))
  (call $start-connect (local.get $client) (call $instance-network)
    (i32.const 0) (i32.load16_u (i32.const 108))
    (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 16))
  (call $ok (i32.const 16))
  (call $wait (call $subscribe-tcp (local.get $client)))
  (call $finish-connect (local.get $client) (i32.const 16))
  (call $ok (i32.const 16))
  (local.set $out (i32.load (i32.const 24)))
  (call $drop-input (i32.load (i32.const 20)))

  (call $wait (call $subscribe-tcp (local.get $listener)))
  (call $accept (local.get $listener) (i32.const 16))
  (call $ok (i32.const 16))
  (local.set $server (i32.load (i32.const 20)))
  (local.set $in (i32.load (i32.const 24)))
  (call $drop-output (i32.load (i32.const 28)))

  (call $blocking-write-and-flush
    (local.get $out) (i32.const 512) (i32.const 11) (i32.const 16))
  (call $ok (i32.const 16))
  (call $blocking-read (local.get $in) (i64.const 0x7fffffffffffffff) (i32.const 16))
  (call $ok (i32.const 16))
  (call $print-list (i32.const 20))

  ;; The end comes through as well.
  (call $shutdown (local.get $client) (i32.const 1) (i32.const 16))
  (call $ok (i32.const 16))
  (call $blocking-read (local.get $in) (i64.const 1) (i32.const 16))
  (call $closed (i32.const 16) (i32.const 4))

  (call $drop-output (local.get $out))
  (call $drop-input (local.get $in))
  (call $drop-tcp (local.get $client))
  (call $drop-tcp (local.get $server))
  (call $drop-tcp (local.get $listener)))

;; Stores a socket that is bound at 200, and its address at 100.
(func $bound-udp
  (local $socket i32)
  (call $create-udp (i32.const 0) (i32.const 16))
  (call $ok (i32.const 16))
  (local.set $socket (i32.load (i32.const 20)))
  (i32.store (i32.const 200) (local.get $socket))
  (call $start-bind-udp-at (local.get $socket) (call $instance-network)
    (i32.const 0) (i32.const 0)
    (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 16))
  (call $ok (i32.const 16))
  (call $finish-bind-udp (local.get $socket) (i32.const 16))
  (call $ok (i32.const 16))
  (call $local-address-udp (local.get $socket) (i32.const 100))
  (call $ok (i32.const 100)))

;; Makes the streams of a socket, at 20 and 24.
(func $stream (param $socket i32)
  (call $stream-to (local.get $socket) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 16))
  (call $ok (i32.const 16)))

;; Sends a datagram to the socket that it is from.
(func $udp
  (local $incoming i32) (local $outgoing i32)
  (call $bound-udp)
  (call $stream (i32.load (i32.const 200)))
  (local.set $incoming (i32.load (i32.const 20)))
  (local.set $outgoing (i32.load (i32.const 24)))

  ;; The datagram: its bytes, and its address.
  (i32.store (i32.const 300) (i32.const 528))
  (i32.store (i32.const 304) (i32.const 6))
  (i32.store8 (i32.const 308) (i32.const 1))
  (i32.store8 (i32.const 312) (i32.const 0))
  (i32.store16 (i32.const 316) (i32.load16_u (i32.const 108)))
  (i32.store (i32.const 318) (i32.load (i32.const 110)))
  (call $check-send (local.get $outgoing) (i32.const 16))
  (call $ok (i32.const 16))
  (call $assert (i64.ge_u (i64.load (i32.const 24)) (i64.const 1)))
  (call $send (local.get $outgoing) (i32.const 300) (i32.const 1) (i32.const 16))
  (call $ok (i32.const 16))
  (call $assert (i64.eq (i64.load (i32.const 24)) (i64.const 1)))

  (call $wait (call $subscribe-incoming (local.get $incoming)))
  (call $receive (local.get $incoming) (i64.const 0x7fffffffffffffff) (i32.const 16))
  (call $ok (i32.const 16))
  (call $assert (i32.eq (i32.load (i32.const 24)) (i32.const 1)))
  (call $print-list (i32.load (i32.const 20))))
