;;! target aarch64
;;! asm lower[0]
;;! asm entry[0]
;;! asm builtin:memory_grow
;;! compile
;; Trampolines: to a host function, from the host, and to a builtin of the runtime.
(component
  (import "f" (func $f (param "x" u32) (result u32)))
  (core func $lowered (canon lower (func $f)))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (memory 1)
    (func (export "run") (param i32) (result i32)
      (drop (memory.grow (local.get 0)))
      (call $f (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $lowered))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
;; == asm lower[0]
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   str x19, [sp, #-16]!
;;   sub sp, sp, #16
;; block0:
;;   mov x19, x2
;;   ldur x15, [x2, #-80]
;;   and x15, x15, #2
;;   cbz x15, #trap=user15
;;   mov x0, fp
;;   ldur x1, [x2, #-88]
;;   str x0, [x1]
;;   mov x2, sp
;;   str w3, [sp]
;;   mov x0, x19
;;   ldur x0, [x0, #-104]
;;   ldr x3, [x0]
;;   ldr x1, [x0, #8]
;;   mov x0, x19
;;   blr x3
;;   cbnz w0, label2 ; b label1
;; block1:
;;   ldr w2, [sp]
;;   add sp, sp, #16
;;   ldr x19, [sp], #16
;;   ldp fp, lr, [sp], #16
;;   ret
;; block2:
;;   mov x2, x19
;;   ldur x0, [x2, #-96]
;;   ldr x2, [x0, #480]
;;   movz w1, #0
;;   mov x0, x19
;;   blr x2
;;   udf #0xc11f
;; == asm entry[0]
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   str x19, [sp, #-16]!
;; block0:
;;   ldr w3, [x2]
;;   mov x19, x2
;;   mov x2, x0
;;   blr x1
;;   mov x9, x19
;;   str w2, [x9]
;;   ldr x19, [sp], #16
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm builtin:memory_grow
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   stp x19, x20, [sp, #-16]!
;; block0:
;;   mov x12, fp
;;   ldur x13, [x2, #-88]
;;   str x12, [x13]
;;   ldur x19, [x2, #-96]
;;   mov x20, x2
;;   ldr x13, [x19]
;;   mov x1, x3
;;   mov x2, x4
;;   mov x0, x20
;;   blr x13
;;   movn x13, #1
;;   sub x14, x13, x0
;;   mov x2, x0
;;   subs xzr, x14, #255
;;   b.ls label2 ; b label1
;; block1:
;;   ldp x19, x20, [sp], #16
;;   ldp fp, lr, [sp], #16
;;   ret
;; block2:
;;   ldr x3, [x19, #480]
;;   sub x1, x13, x2
;;   mov x0, x20
;;   blr x3
;;   udf #0xc11f
