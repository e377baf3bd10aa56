;; The functions of WASI that tests call.
(import "wasi:cli/stdin@0.2.12" "get-stdin" (func $get-stdin (result i32)))
(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get-stdout (result i32)))
(import "wasi:io/error@0.2.12" "[method]error.to-debug-string"
  (func $to-debug-string (param i32 i32)))
(import "wasi:io/poll@0.2.12" "poll" (func $poll (param i32 i32 i32)))
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
(import "wasi:io/poll@0.2.12" "[resource-drop]pollable" (func $drop-pollable (param i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.read"
  (func $read (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.blocking-read"
  (func $blocking-read (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.skip"
  (func $skip (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.blocking-skip"
  (func $blocking-skip (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.subscribe"
  (func $subscribe-input (param i32) (result i32)))
(import "wasi:io/streams@0.2.12" "[resource-drop]input-stream"
  (func $drop-input (param i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.check-write"
  (func $check-write (param i32 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.write"
  (func $write (param i32 i32 i32 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
  (func $blocking-write-and-flush (param i32 i32 i32 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.flush"
  (func $flush (param i32 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-flush"
  (func $blocking-flush (param i32 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.subscribe"
  (func $subscribe-output (param i32) (result i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.write-zeroes"
  (func $write-zeroes (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-zeroes-and-flush"
  (func $blocking-write-zeroes-and-flush (param i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.splice"
  (func $splice (param i32 i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-splice"
  (func $blocking-splice (param i32 i32 i64 i32)))
(import "wasi:io/streams@0.2.12" "[resource-drop]output-stream"
  (func $drop-output (param i32)))
(import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $now (result i64)))
(import "wasi:clocks/monotonic-clock@0.2.12" "resolution" (func $resolution (result i64)))
(import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-instant"
  (func $subscribe-instant (param i64) (result i32)))
(import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration"
  (func $subscribe-duration (param i64) (result i32)))

;; What a test defines goes here, since it may begin with imports.

(memory (export "memory") 4)
(global $next (mut i32) (i32.const 65536))

;; Memory is given out once. A block that shrinks stays where it is. Larger memory than there is
;; grows.
(func $realloc (export "cabi_realloc")
  (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $start i32)
  (if (local.get $old) (then
    (if (i32.le_u (local.get $size) (local.get $old-size)) (then (return (local.get $old))))
    (unreachable)))
  (local.set $start (i32.and
    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
    (i32.sub (i32.const 0) (local.get $align))))
  (global.set $next (i32.add (local.get $start) (local.get $size)))
  (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))) (then
    (if (i32.eq (i32.const -1)
        (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))))
      (then (unreachable)))))
  (local.get $start))

(func $assert (param i32) (if (i32.eqz (local.get 0)) (then (unreachable))))

;; Asserts that the result at an address is `ok`.
(func $ok (param $result i32) (call $assert (i32.eqz (i32.load8_u (local.get $result)))))

;; Asserts that the result at an address is the error `closed`. The error is `offset` bytes after
;; it.
(func $closed (param $result i32) (param $offset i32)
  (call $assert (i32.eq (i32.load8_u (local.get $result)) (i32.const 1)))
  (call $assert (i32.eq
    (i32.load8_u (i32.add (local.get $result) (local.get $offset))) (i32.const 1))))

;; Writes bytes to the standard output, in pieces of 4096.
(func $print (param $bytes i32) (param $len i32)
  (local $stdout i32) (local $piece i32)
  (local.set $stdout (call $get-stdout))
  (loop $more
    (local.set $piece (select (local.get $len) (i32.const 4096)
      (i32.lt_u (local.get $len) (i32.const 4096))))
    (call $blocking-write-and-flush
      (local.get $stdout) (local.get $bytes) (local.get $piece) (i32.const 16))
    (call $ok (i32.const 16))
    (local.set $bytes (i32.add (local.get $bytes) (local.get $piece)))
    (local.set $len (i32.sub (local.get $len) (local.get $piece)))
    (br_if $more (local.get $len)))
  (call $drop-output (local.get $stdout)))

;; Writes the list of bytes whose address and length are at an address, and a line end.
(func $print-list (param $list i32)
  (call $print (i32.load (local.get $list)) (i32.load offset=4 (local.get $list)))
  (i32.store8 (i32.const 32) (i32.const 10))
  (call $print (i32.const 32) (i32.const 1)))

;; Writes a number in decimal, and a line end.
(func $print-number (param $number i64)
  (local $at i32)
  (local.set $at (i32.const 63))
  (i32.store8 (local.get $at) (i32.const 10))
  (loop $digits
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 (local.get $at) (i32.add (i32.const 48)
      (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
    (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
    (br_if $digits (i64.ne (local.get $number) (i64.const 0))))
  (call $print (local.get $at) (i32.sub (i32.const 64) (local.get $at))))
