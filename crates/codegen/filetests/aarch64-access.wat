;;! target aarch64
;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! compile
;; Loads and stores. A store that may cross the end of the memory loads its last byte first, since
;; it may write its first part before it faults. One of a byte cannot, nor one at a constant address
;; that always exists.
(component
  (core module $m
    (memory $a 1) (memory $b 1)
    (func (export "loads") (param i32) (result i32 i64 i32)
      (i32.load (local.get 0)) (i64.load offset=8 (local.get 0))
      (i32.load8_u offset=70000 (local.get 0)))
    (func (export "stores") (param i32 i64)
      (i64.store offset=8 (local.get 0) (local.get 1))
      (i64.store8 offset=1 (local.get 0) (local.get 1))
      (i64.store $b (local.get 0) (local.get 1)))
    (func (export "constant") (param i64)
      (i64.store (i32.const 1024) (local.get 0))
      (i64.store (i32.const 65529) (local.get 0)))
    (func (export "vector") (param i32 v128)
      (v128.store (local.get 0) (local.get 1))
      (v128.store32_lane 1 (local.get 0) (local.get 1))))
  (core instance (instantiate $m)))
;; == asm core[0]:f0
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   add x10, x2, x3, UXTW
;;   ldr w9, [x2, w3, UXTW]
;;   ldr x10, [x10, #8]
;;   movz w7, #4464
;;   movk w7, w7, #1, LSL #16
;;   add x11, x2, x7
;;   ldrb w4, [x11, w3, UXTW]
;;   mov x2, x9
;;   mov x3, x10
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f1
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   add x9, x2, x3, UXTW
;;   ldrb w10, [x9, #15]
;;   str x4, [x9, #8]
;;   strb w4, [x9, #1]
;;   orr x11, xzr, #6442450944
;;   add x11, x2, x11
;;   add x12, x11, x3, UXTW
;;   ldrb w12, [x12, #7]
;;   str x4, [x11, w3, UXTW]
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f2
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   str x3, [x2, #1024]
;;   movz x5, #1, LSL #16
;;   ldrb w7, [x2, x5]
;;   movz x6, #65529
;;   str x3, [x2, x6]
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f3
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   add x7, x2, x3, UXTW
;;   ldrb w8, [x7, #15]
;;   str q0, [x2, w3, UXTW]
;;   ldrb w8, [x7, #3]
;;   mov w8, v0.s[1]
;;   str w8, [x2, w3, UXTW]
;;   ldp fp, lr, [sp], #16
;;   ret
