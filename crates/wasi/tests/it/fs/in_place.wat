;; Writes bytes to a file and reads some of them. Its allocator traps when a block is to become
;; smaller, as that of the adapter for preview 1 does.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $error-code' (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io"
      "is-directory" "loop" "too-many-links" "message-size" "name-too-long" "no-device" "no-entry"
      "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe"
      "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $error-code')))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (type $descriptor-flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
      "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-flags')))
    (export "[method]descriptor.open-at" (func
      (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
      (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.write" (func
      (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $error-code)))))
    (export "[method]descriptor.read" (func
      (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  (core module $libc
    (memory (export "memory") 1024)
    (global $next (mut i32) (i32.const 16777216))
    (func (export "realloc") (param $old i32) (param i32) (param $align i32) (param $new i32)
      (result i32)
      (local $start i32)
      (if (local.get $old) (then (unreachable)))
      (local.set $start (i32.and
        (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $start) (local.get $new)))
      (local.get $start)))
  (core instance $libc (instantiate $libc))
  (core func $get-directories (canon lower (func $preopens "get-directories")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $open-at (canon lower (func $types "[method]descriptor.open-at")
    (memory (core memory $libc "memory"))))
  (core func $write (canon lower (func $types "[method]descriptor.write")
    (memory (core memory $libc "memory"))))
  (core func $read (canon lower (func $types "[method]descriptor.read")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))

  (core module $main
    (import "libc" "memory" (memory 1024))
    (import "wasi" "get-directories" (func $get-directories (param i32)))
    (import "wasi" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "wasi" "read" (func $read (param i32 i64 i64 i32)))
    (data (i32.const 16) "f")
    ;; Writes `size` bytes, and reads `length` at `offset`. Returns the outcome of reading (0, or 1
    ;; and the code), how many bytes were read, whether the file ended, a hash of the bytes, and
    ;; how many were written.
    (func (export "run") (param $size i32) (param $length i64) (param $offset i64) (result i32)
      (local $file i32) (local $at i32) (local $hash i32) (local $end i32)
      (block $filled
        (loop $fill
          (br_if $filled (i32.eq (local.get $at) (local.get $size)))
          (i32.store8 offset=65536 (local.get $at)
            (i32.mul (i32.add (local.get $at) (i32.const 1)) (i32.const 7)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $fill)))
      (call $get-directories (i32.const 0))
      ;; Follow links, create, read and write.
      (call $open-at (i32.load (i32.load (i32.const 0))) (i32.const 1) (i32.const 16) (i32.const 1)
        (i32.const 1) (i32.const 3) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then (unreachable)))
      (local.set $file (i32.load (i32.const 36)))
      (call $write (local.get $file) (i32.const 65536) (local.get $size) (i64.const 0)
        (i32.const 48))
      (if (i32.load8_u (i32.const 48)) (then (unreachable)))
      (call $read (local.get $file) (local.get $length) (local.get $offset) (i32.const 64))
      (i32.store (i32.const 96) (i32.load8_u (i32.const 64)))
      (i32.store (i32.const 112) (i32.load (i32.const 56)))
      (if (i32.load8_u (i32.const 64)) (then
        (i32.store (i32.const 100) (i32.load8_u (i32.const 68)))
        (return (i32.const 96))))
      (i32.store (i32.const 100) (i32.load (i32.const 72)))
      (i32.store (i32.const 104) (i32.load8_u (i32.const 76)))
      (local.set $at (i32.load (i32.const 68)))
      (local.set $end (i32.add (local.get $at) (i32.load (i32.const 72))))
      (block $hashed
        (loop $hash
          (br_if $hashed (i32.eq (local.get $at) (local.get $end)))
          (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31))
            (i32.load8_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $hash)))
      (i32.store (i32.const 108) (local.get $hash))
      (i32.const 96)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "wasi" (instance
      (export "get-directories" (func $get-directories))
      (export "open-at" (func $open-at))
      (export "write" (func $write))
      (export "read" (func $read))))))
  (func (export "run") (param "size" u32) (param "length" u64) (param "offset" u64)
    (result (tuple u32 u32 u32 u32 u32))
    (canon lift (core func $main "run") (memory (core memory $libc "memory")))))
