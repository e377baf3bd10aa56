;; Calls between components: what an adapter costs.
;;
;; `caller` calls one function of `callee` the given number of times and answers the sum of what it gave. The callee gives
;; the first byte plus the length of what it got, and takes all its allocations back.
(component
  (component $callee
    (core module $module
      (memory (export "memory") 2)
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
        (global.set $next (i32.add (local.get $at) (local.get $size)))
        (local.get $at))
      (func (export "take") (param $at i32) (param $length i32) (result i32)
        (global.set $next (i32.const 4096))
        (i32.add (i32.load8_u (local.get $at)) (local.get $length)))
      (func (export "take-fields")
        (param $a i32) (param $b i32) (param $c i32) (param $d i32) (param $e i32)
        (param $f i32) (param $g i32) (param $h i32) (param $i i32) (param $j i32) (result i32)
        (i32.add (local.get $a) (local.get $j)))
      (func (export "method") (param $rep i32) (param $x i32) (result i32)
        (i32.add (local.get $rep) (local.get $x))))
    (core instance $core (instantiate $module))
    (alias core export $core "memory" (core memory $memory))
    (alias core export $core "realloc" (core func $realloc))
    (alias core export $core "take" (core func $take))

    (type $counter' (resource (rep i32)))
    (export $counter "counter" (type $counter'))
    (core func $new (canon resource.new $counter'))
    (type $fields' (record
      (field "a" u32) (field "b" u32) (field "c" u32) (field "d" u32) (field "e" u32)
      (field "f" u32) (field "g" u32) (field "h" u32) (field "i" u32) (field "j" u32)))
    (export $fields "fields" (type $fields'))

    (func (export "take-string") (param "x" string) (result u32)
      (canon lift (core func $take) (memory $memory) (realloc $realloc)))
    (func (export "take-bytes") (param "x" (list u8)) (result u32)
      (canon lift (core func $take) (memory $memory) (realloc $realloc)))
    (func (export "take-words") (param "x" (list u32)) (result u32)
      (canon lift (core func $take) (memory $memory) (realloc $realloc)))
    (func (export "take-pairs") (param "x" (list (tuple u32 string))) (result u32)
      (canon lift (core func $take) (memory $memory) (realloc $realloc)))
    (func (export "take-fields") (param "x" $fields) (result u32)
      (canon lift (core func $core "take-fields")))
    (func (export "make") (param "rep" u32) (result (own $counter)) (canon lift (core func $new)))
    (func (export "method") (param "self" (borrow $counter)) (param "x" u32) (result u32)
      (canon lift (core func $core "method"))))

  (component $caller
    (import "callee" (instance $callee
      (export "counter" (type $counter (sub resource)))
      (type $fields' (record
        (field "a" u32) (field "b" u32) (field "c" u32) (field "d" u32) (field "e" u32)
        (field "f" u32) (field "g" u32) (field "h" u32) (field "i" u32) (field "j" u32)))
      (export "fields" (type $fields (eq $fields')))
      (export "take-string" (func (param "x" string) (result u32)))
      (export "take-bytes" (func (param "x" (list u8)) (result u32)))
      (export "take-words" (func (param "x" (list u32)) (result u32)))
      (export "take-pairs" (func (param "x" (list (tuple u32 string))) (result u32)))
      (export "take-fields" (func (param "x" $fields) (result u32)))
      (export "make" (func (param "rep" u32) (result (own $counter))))
      (export "method" (func (param "self" (borrow $counter)) (param "x" u32) (result u32)))))
    (alias export $callee "counter" (type $counter))

    (core module $memory
      (memory (export "memory") 1)
      (data (i32.const 512) "The quick brown fox jumps over the lazy dog"))
    (core instance $storage (instantiate $memory))
    (alias core export $storage "memory" (core memory $m))
    (core func $take-string (canon lower (func $callee "take-string") (memory $m)))
    (core func $take-bytes (canon lower (func $callee "take-bytes") (memory $m)))
    (core func $take-words (canon lower (func $callee "take-words") (memory $m)))
    (core func $take-pairs (canon lower (func $callee "take-pairs") (memory $m)))
    (core func $take-fields (canon lower (func $callee "take-fields")))
    (core func $make (canon lower (func $callee "make")))
    (core func $method (canon lower (func $callee "method")))
    (core func $drop (canon resource.drop $counter))

    (core module $module
      (import "storage" "memory" (memory 1))
      (import "callee" "take-string" (func $take-string (param i32 i32) (result i32)))
      (import "callee" "take-bytes" (func $take-bytes (param i32 i32) (result i32)))
      (import "callee" "take-words" (func $take-words (param i32 i32) (result i32)))
      (import "callee" "take-pairs" (func $take-pairs (param i32 i32) (result i32)))
      (import "callee" "take-fields" (func $take-fields (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (import "callee" "make" (func $make (param i32) (result i32)))
      (import "callee" "method" (func $method (param i32 i32) (result i32)))
      (import "callee" "drop" (func $drop (param i32)))
      (func (export "string") (param $n i32) (result i64) (local $sum i64)
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $take-string (i32.const 512) (i32.const 43)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "bytes") (param $n i32) (result i64) (local $sum i64)
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $take-bytes (i32.const 512) (i32.const 64)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "words") (param $n i32) (result i64) (local $sum i64)
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $take-words (i32.const 512) (i32.const 64)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      ;; 64 pairs of a number and the string "The quick", 12 bytes each.
      (func (export "pairs") (param $n i32) (result i64) (local $sum i64) (local $at i32)
        (local.set $at (i32.const 1024))
        (loop $fill
          (i32.store (local.get $at) (i32.const 7))
          (i32.store offset=4 (local.get $at) (i32.const 512))
          (i32.store offset=8 (local.get $at) (i32.const 9))
          (br_if $fill (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 12))) (i32.const 1792))))
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $take-pairs (i32.const 1024) (i32.const 64)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "fields") (param $n i32) (result i64) (local $sum i64)
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $take-fields
            (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
            (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 10)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "method") (param $n i32) (result i64) (local $sum i64) (local $self i32)
        (local.set $self (call $make (i32.const 40)))
        (loop $next
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $method (local.get $self) (i32.const 2)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $drop (local.get $self))
        (local.get $sum)))
    (core instance $core (instantiate $module
      (with "storage" (instance $storage))
      (with "callee" (instance
        (export "take-string" (func $take-string)) (export "take-bytes" (func $take-bytes))
        (export "take-words" (func $take-words)) (export "take-pairs" (func $take-pairs))
        (export "take-fields" (func $take-fields)) (export "make" (func $make))
        (export "method" (func $method)) (export "drop" (func $drop))))))
    (func (export "string") (param "n" u32) (result u64) (canon lift (core func $core "string")))
    (func (export "bytes") (param "n" u32) (result u64) (canon lift (core func $core "bytes")))
    (func (export "words") (param "n" u32) (result u64) (canon lift (core func $core "words")))
    (func (export "pairs") (param "n" u32) (result u64) (canon lift (core func $core "pairs")))
    (func (export "fields") (param "n" u32) (result u64) (canon lift (core func $core "fields")))
    (func (export "method") (param "n" u32) (result u64) (canon lift (core func $core "method"))))

  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "callee" (instance $callee))))
  (export "string" (func $caller "string"))
  (export "bytes" (func $caller "bytes"))
  (export "words" (func $caller "words"))
  (export "pairs" (func $caller "pairs"))
  (export "fields" (func $caller "fields"))
  (export "method" (func $caller "method")))
