;;! target aarch64
;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! set interruptible=true
;;! set consume_fuel=true
;;! compile
;; Explicit traps: divisions do not fault. Checks of the stack, of interruption and of fuel, a large
;; frame, and atomics.
(component
  (core module $m
    (memory 1)
    (func $divide (export "divide") (param i32 i32) (result i32)
      (i32.div_s (local.get 0) (local.get 1)))
    (func (export "loop") (param i32) (result i32)
      (loop $again
        (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get 0))
    (func (export "truncate") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
    (func (export "atomic") (param i32 i32) (result i32)
      (i32.atomic.rmw.add (local.get 0) (local.get 1))))
  (core instance (instantiate $m)))
;; == asm core[0]:f0
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   ldur x13, [x2, #-112]
;;   ldr x5, [x13]
;;   ldur x14, [x2, #-120]
;;   mov x0, x2
;;   ldar x14, [x14]
;;   cbnz x14, label1 ; b label2
;; block2:
;;   ldr x15, [x13, #8]
;;   subs xzr, x5, x15
;;   b.hi label3 ; b label4
;; block4:
;;   b label6
;; block6:
;;   movz x0, #4
;;   adds x0, x5, x0
;;   b.hs #trap=user12
;;   str x0, [x13]
;;   cbz w4, #trap=int_divz
;;   adds wzr, w4, #1
;;   ccmp w3, #1, #nzcv, eq
;;   b.vs #trap=int_ovf
;;   sdiv w2, w3, w4
;;   ldp fp, lr, [sp], #16
;;   ret
;; block1:
;;   b label5
;; block3:
;;   b label5
;; block5:
;;   bl 0
;;   ldr x5, [x13]
;;   b label6
;; == asm core[0]:f1
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   ldur x6, [x2, #-112]
;;   ldr x4, [x6]
;;   ldur x1, [x2, #-120]
;;   ldar x5, [x1]
;;   cbnz x5, label1 ; b label2
;; block2:
;;   ldr x5, [x6, #8]
;;   subs xzr, x4, x5
;;   b.hi label3 ; b label4
;; block4:
;;   mov x5, x2
;;   b label6
;; block6:
;;   movz x2, #1
;;   adds x4, x4, x2
;;   b.hs #trap=user12
;;   str x4, [x6]
;;   b label7
;; block7:
;;   ldar x2, [x1]
;;   cbnz x2, label8 ; b label9
;; block9:
;;   ldr x2, [x6, #8]
;;   subs xzr, x4, x2
;;   b.hi label10 ; b label11
;; block11:
;;   b label13
;; block13:
;;   movz x2, #5
;;   adds x4, x4, x2
;;   b.hs #trap=user12
;;   str x4, [x6]
;;   sub w2, w3, #1
;;   cbnz w2, label14 ; b label15
;; block14:
;;   mov x3, x2
;;   b label7
;; block15:
;;   movz x1, #1
;;   adds x1, x4, x1
;;   b.hs #trap=user12
;;   str x1, [x6]
;;   ldp fp, lr, [sp], #16
;;   ret
;; block1:
;;   mov x0, x2
;;   mov x5, x2
;;   b label5
;; block3:
;;   mov x0, x2
;;   mov x5, x2
;;   b label5
;; block5:
;;   bl 0
;;   ldr x4, [x6]
;;   b label6
;; block8:
;;   mov x0, x5
;;   b label12
;; block10:
;;   mov x0, x5
;;   b label12
;; block12:
;;   bl 0
;;   ldr x4, [x6]
;;   b label13
;; == asm core[0]:f2
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   ldur x15, [x2, #-112]
;;   ldr x4, [x15]
;;   ldur x0, [x2, #-120]
;;   mov x1, x2
;;   ldar x0, [x0]
;;   cbnz x0, label1 ; b label2
;; block2:
;;   ldr x0, [x15, #8]
;;   subs xzr, x4, x0
;;   b.hi label3 ; b label4
;; block4:
;;   b label6
;; block6:
;;   movz x0, #3
;;   adds x0, x4, x0
;;   b.hs #trap=user12
;;   str x0, [x15]
;;   fcmp d0, d0
;;   b.vs #trap=bad_toint
;;   ldr d24, [const(0)]
;;   fcmp d0, d24
;;   b.le #trap=int_ovf
;;   movz x0, #16864, LSL #48
;;   fmov d30, x0
;;   fcmp d0, d30
;;   b.ge #trap=int_ovf
;;   fcvtzs w2, d0
;;   ldp fp, lr, [sp], #16
;;   ret
;; block1:
;;   mov x0, x1
;;   b label5
;; block3:
;;   mov x0, x1
;;   b label5
;; block5:
;;   bl 0
;;   ldr x4, [x15]
;;   b label6
;; == asm core[0]:f3
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   ldur x15, [x2, #-112]
;;   ldr x5, [x15]
;;   ldur x0, [x2, #-120]
;;   ldar x0, [x0]
;;   cbnz x0, label1 ; b label2
;; block2:
;;   ldr x0, [x15, #8]
;;   subs xzr, x5, x0
;;   b.hi label3 ; b label4
;; block4:
;;   mov x0, x2
;;   b label6
;; block6:
;;   movz x1, #4
;;   adds x1, x5, x1
;;   b.hs #trap=user12
;;   str x1, [x15]
;;   and w1, w3, #3
;;   cbnz w1, #trap=user3
;;   add x0, x0, x3, UXTW
;;   ldaddal w4, w2, [x0]
;;   ldp fp, lr, [sp], #16
;;   ret
;; block1:
;;   mov x0, x2
;;   b label5
;; block3:
;;   mov x0, x2
;;   b label5
;; block5:
;;   bl 0
;;   ldr x5, [x15]
;;   b label6
