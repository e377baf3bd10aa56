;;! target aarch64
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! asm core[0]:f4
;;! asm core[0]:f5
;;! asm core[0]:f6
;;! compile
;; Direct, indirect and tail calls, references to functions, and a function with many branches. Each
;; function starts with a landing pad.
(component
  (core module $m
    (type $f (func (param i32) (result i32)))
    (table $t 4 4 funcref)
    (elem (table $t) (i32.const 0) func $callee)
    (elem declare func $callee)
    (func $callee (export "callee") (type $f) (local.get 0))
    (func (export "direct") (type $f)
      (i32.add (call $callee (local.get 0)) (call $callee (i32.const 1))))
    (func (export "indirect") (type $f)
      (call_indirect $t (type $f) (i32.const 7) (local.get 0)))
    (func (export "tail") (type $f)
      (return_call_indirect $t (type $f) (i32.const 7) (local.get 0)))
    (func (export "reference") (param i32)
      (table.set $t (local.get 0) (ref.func $callee)))
    (func (export "table") (type $f)
      (block $a (block $b (block $c (br_table $a $b $c (local.get 0)))
        (return (i32.const 3))) (return (i32.const 2)))
      (unreachable))
    ;; The one target is the default.
    (func (export "default") (param i32)
      (block $a (br_table $a (local.get 0)))))
  (core instance (instantiate $m)))
;; == asm core[0]:f1
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #32
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;;   stp x19, x20, [sp, #-16]!
;; block0:
;;   mov x19, x2
;;   bl 0
;;   mov x20, x2
;;   movz w3, #1
;;   mov x2, x19
;;   bl 0
;;   mov x12, x20
;;   add w2, w12, w2
;;   ldp x19, x20, [sp], #16
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f2
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   subs wzr, w3, #4
;;   b.hs #trap=user4
;;   and w0, w3, #3
;;   mov w0, w0
;;   lsl x0, x0, #3
;;   movn x1, #65531
;;   movk x1, x1, #65533, LSL #16
;;   add x1, x2, x1
;;   ldr w1, [x1, x0]
;;   subs wzr, w1, #1
;;   b.eq label2 ; b label1
;; block2:
;;   movn x1, #65535
;;   movk x1, x1, #65533, LSL #16
;;   add x1, x2, x1
;;   ldr w0, [x1, x0]
;;   load_ext_name_near x1, User(userextname0)+0
;;   add x0, x1, x0
;;   movz w3, #7
;;   blr x0
;;   ldp fp, lr, [sp], #16
;;   ret
;; block1:
;;   cbz w1, #trap=user5
;;   udf #0xc11f
;; == asm core[0]:f3
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;;   ldr x16, [x2, #-128]
;;   add x16, x16, #16
;;   subs xzr, sp, x16, UXTX
;;   b.lo #trap=stk_ovf
;; block0:
;;   subs wzr, w3, #4
;;   b.hs #trap=user4
;;   and w0, w3, #3
;;   mov w0, w0
;;   lsl x0, x0, #3
;;   movn x1, #65531
;;   movk x1, x1, #65533, LSL #16
;;   add x1, x2, x1
;;   ldr w1, [x1, x0]
;;   subs wzr, w1, #1
;;   b.eq label2 ; b label1
;; block2:
;;   movn x1, #65535
;;   movk x1, x1, #65533, LSL #16
;;   add x1, x2, x1
;;   ldr w0, [x1, x0]
;;   load_ext_name_near x1, User(userextname0)+0
;;   add x1, x1, x0
;;   movz w3, #7
;;   return_call_ind x1 new_stack_arg_size:0 x2=x2 x3=x3
;; block1:
;;   cbz w1, #trap=user5
;;   udf #0xc11f
;; == asm core[0]:f4
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   subs wzr, w3, #4
;;   b.hs #trap=user4
;;   load_ext_name_far x9, User(userextname0)+4294967296
;;   and w10, w3, #3
;;   movn x8, #65535
;;   movk x8, x8, #65533, LSL #16
;;   add x11, x2, x8
;;   str x9, [x11, w10, UXTW #3]
;;   ldp fp, lr, [sp], #16
;;   ret
;; == asm core[0]:f5
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   emit_island 48
;;   subs wzr, w3, #3
;;   mov x8, #3 ; csel x8, x3, x8, lo ; csdb ; adr x7, pc+16 ; ldrsw x8, [x7, x8, uxtw #2] ; add x7, x7, x8 ; br x7 ; jt_entries [MachLabel(4), MachLabel(3), MachLabel(2)] ; default label1
;; block1:
;;   bti j
;;   b label5
;; block2:
;;   bti j
;;   b label5
;; block3:
;;   bti j
;;   movz w2, #2
;;   b label6
;; block5:
;;   bti j
;;   movz w2, #3
;;   b label6
;; block6:
;;   ldp fp, lr, [sp], #16
;;   ret
;; block4:
;;   bti j
;;   udf #0xc11f
;; == asm core[0]:f6
;;   bti c
;;   stp fp, lr, [sp, #-16]!
;;   mov fp, sp
;; block0:
;;   emit_island 40
;;   subs wzr, w3, #1
;;   mov x5, #1 ; csel x5, x3, x5, lo ; csdb ; adr x4, pc+16 ; ldrsw x5, [x4, x5, uxtw #2] ; add x4, x4, x5 ; br x4 ; jt_entries [MachLabel(2)] ; default label1
;; block1:
;;   bti j
;;   b label3
;; block2:
;;   bti j
;;   b label3
;; block3:
;;   bti j
;;   ldp fp, lr, [sp], #16
;;   ret
