;; An interpreter of 32-bit registers whose instructions are functions in a table: one indirect call each. The program that
;; it runs mixes two registers in a loop of ten instructions, the given number of times. The checksum is both registers.
(component
  (core module $module
    ;; The registers at 0, four bytes each. The program at 256: operation, target, and two sources, one byte each. An
    ;; operation gets its instruction's address and gives the next one's, 0 to stop.
    (memory 1)
    (type $operation (func (param i32) (result i32)))
    (table 16 funcref)
    (elem (i32.const 0) $stop $add $subtract $multiply $xor $rotate $constant $branch $load $store $move)
    (func $target (param $pc i32) (result i32) (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)))
    (func $left (param $pc i32) (result i32)
      (i32.load (i32.shl (i32.load8_u offset=2 (local.get $pc)) (i32.const 2))))
    (func $right (param $pc i32) (result i32)
      (i32.load (i32.shl (i32.load8_u offset=3 (local.get $pc)) (i32.const 2))))
    (func $stop (type $operation) (i32.const 0))
    (func $add (type $operation)
      (i32.store (call $target (local.get 0)) (i32.add (call $left (local.get 0)) (call $right (local.get 0))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $subtract (type $operation)
      (i32.store (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2))
        (i32.sub
          (i32.load (i32.shl (i32.load8_u offset=2 (local.get 0)) (i32.const 2)))
          (i32.load (i32.shl (i32.load8_u offset=3 (local.get 0)) (i32.const 2)))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $multiply (type $operation)
      (i32.store (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2))
        (i32.mul
          (i32.load (i32.shl (i32.load8_u offset=2 (local.get 0)) (i32.const 2)))
          (i32.load (i32.shl (i32.load8_u offset=3 (local.get 0)) (i32.const 2)))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $xor (type $operation)
      (i32.store (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2))
        (i32.xor
          (i32.load (i32.shl (i32.load8_u offset=2 (local.get 0)) (i32.const 2)))
          (i32.load (i32.shl (i32.load8_u offset=3 (local.get 0)) (i32.const 2)))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $rotate (type $operation)
      (i32.store (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2))
        (i32.rotl
          (i32.load (i32.shl (i32.load8_u offset=2 (local.get 0)) (i32.const 2)))
          (i32.load8_u offset=3 (local.get 0))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $constant (type $operation)
      (i32.store (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2)) (i32.load16_u offset=2 (local.get 0)))
      (i32.add (local.get 0) (i32.const 4)))
    ;; Back by its source's byte of instructions unless the target is zero.
    (func $branch (type $operation)
      (if (result i32) (i32.load (i32.shl (i32.load8_u offset=1 (local.get 0)) (i32.const 2)))
        (then (i32.sub (local.get 0) (i32.shl (i32.load8_u offset=2 (local.get 0)) (i32.const 2))))
        (else (i32.add (local.get 0) (i32.const 4)))))
    (func $load (type $operation)
      (i32.store (call $target (local.get 0))
        (i32.load offset=4096 (i32.and (call $left (local.get 0)) (i32.const 4092))))
      (i32.add (local.get 0) (i32.const 4)))
    (func $store (type $operation)
      (i32.store offset=4096 (i32.and (call $left (local.get 0)) (i32.const 4092)) (call $right (local.get 0)))
      (i32.add (local.get 0) (i32.const 4)))
    (func $move (type $operation)
      (i32.store (call $target (local.get 0)) (call $left (local.get 0)))
      (i32.add (local.get 0) (i32.const 4)))
    (data (i32.const 256)
      "\06\01\39\30"  ;; r1 = 12345
      "\06\02\43\02"  ;; r2 = 579
      "\06\03\01\00"  ;; r3 = 1
      "\03\01\01\02"  ;; r1 = r1 * r2
      "\01\01\01\03"  ;; r1 = r1 + r3
      "\05\04\01\0d"  ;; r4 = r1 <<< 13
      "\04\02\02\04"  ;; r2 = r2 ^ r4
      "\08\05\04\00"  ;; r5 = memory[r4]
      "\01\02\02\05"  ;; r2 = r2 + r5
      "\09\00\01\02"  ;; memory[r1] = r2
      "\0a\06\02\00"  ;; r6 = r2
      "\02\00\00\03"  ;; r0 = r0 - r3
      "\07\00\09\00"  ;; back to `r1 = r1 * r2` unless r0 is 0
      "\00\00\00\00") ;; stop
    (func (export "run") (param $n i32) (result i64) (local $pc i32)
      (memory.fill (i32.const 4096) (i32.const 0) (i32.const 4096))
      (i32.store (i32.const 0) (local.get $n))
      (local.set $pc (i32.const 256))
      (loop $next
        (br_if $next (local.tee $pc
          (call_indirect (type $operation) (local.get $pc) (i32.load8_u (local.get $pc))))))
      (i64.load (i32.const 4))))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))
