;;! target aarch64
;;! asm core[0]:f1
;;! compile
;; The handler finds the exception in the first register. No register is kept across the call.
(component
  (core module $m
    (tag $e (param i32))
    (func $throw (param i32) (throw $e (local.get 0)))
    (func (export "catch") (param i32) (result i32)
      (block $h (result i32)
        (try_table (catch $e $h) (call $throw (local.get 0)))
        (i32.const 0))))
  (core instance (instantiate $m)))
;; == asm core[0]:f1
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #176
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;;   stp x27, x28, [sp, #-16]!
;;   stp x25, x26, [sp, #-16]!
;;   stp x23, x24, [sp, #-16]!
;;   stp x21, x22, [sp, #-16]!
;;   stp x19, x20, [sp, #-16]!
;;   stp d14, d15, [sp, #-16]!
;;   stp d12, d13, [sp, #-16]!
;;   stp d10, d11, [sp, #-16]!
;;   stp d8, d9, [sp, #-16]!
;;   sub sp, sp, #16
;; block0:
;;   str x2, [sp]
;;   b label1
;; block1:
;;   ldr x2, [sp]
;;   bl 0; b MachLabel(2); catch [tag0: MachLabel(3)]
;; block2:
;;   movz w2, #0
;;   b label4
;; block4:
;;   add sp, sp, #16
;;   ldp d8, d9, [sp], #16
;;   ldp d10, d11, [sp], #16
;;   ldp d12, d13, [sp], #16
;;   ldp d14, d15, [sp], #16
;;   ldp x19, x20, [sp], #16
;;   ldp x21, x22, [sp], #16
;;   ldp x23, x24, [sp], #16
;;   ldp x25, x26, [sp], #16
;;   ldp x27, x28, [sp], #16
;;   ldp fp, lr, [sp], #16
;;   ret
;; block3:
;;   movn x12, #65531
;;   movk x12, x12, #57343, LSL #16
;;   ldr x13, [sp]
;;   add x15, x13, x12
;;   ldr w2, [x15, x0]
;;   b label4
