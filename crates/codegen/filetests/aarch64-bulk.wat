;;! target aarch64
;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! compile
;; Bulk operations of a constant length load the last byte before the first store.
(component
  (core module $m
    (memory 1)
    (func (export "copy") (param i32 i32)
      (memory.copy (local.get 0) (local.get 1) (i32.const 24)))
    (func (export "fill") (param i32)
      (memory.fill (local.get 0) (i32.const 0) (i32.const 40)))
    (func (export "byte") (param i32)
      (memory.fill (local.get 0) (i32.const 7) (i32.const 1))))
  (core instance (instantiate $m)))
;; == asm core[0]:f0
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   ldr q16, [x2, w4, UXTW]
;;   add x8, x2, #8
;;   ldr q17, [x8, w4, UXTW]
;;   add x9, x2, x3, UXTW
;;   ldrb w9, [x9, #23]
;;   add x9, x2, #8
;;   str q17, [x9, w3, UXTW]
;;   str q16, [x2, w3, UXTW]
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f1
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   add x6, x2, x3, UXTW
;;   ldrb w7, [x6, #39]
;;   movi v6.16b, #0
;;   add x7, x2, #24
;;   str q6, [x7, w3, UXTW]
;;   str q6, [x6, #16]
;;   str q6, [x2, w3, UXTW]
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f2
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   movz w4, #7
;;   strb w4, [x2, w3, UXTW]
;;   ldp fp, lr, [sp], #16
;;   ret
