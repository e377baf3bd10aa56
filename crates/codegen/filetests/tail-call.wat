;;! clif core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! compile
;; Tail calls.
(component
  (core module $m
    (type $f (func (param i32) (result i32)))
    (table $t 3 3 funcref)
    (elem (table $t) (i32.const 0) func $callee)
    (func $callee (export "callee") (type $f) (local.get 0))
    (func (export "direct") (type $f) (return_call $callee (local.get 0)))
    ;; The frame is removed before the jump.
    (func (export "indirect") (type $f) (return_call_indirect $t (type $f) (local.get 0) (i32.const 2)))
    ;; The callee's stack parameters take more room than the caller's.
    (func $more (export "more") (type $f)
      (return_call $wide (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)))
    (func $wide (param i32 i32 i32 i32 i32 i32 i32) (result i32) (return_call $more (local.get 6)))
    (func (export "change") (table.set $t (i32.const 2) (ref.null func))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f1
;; function u16777216:1(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32) -> i32 tail
;;     fn0 = colocated u16777216:0 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0080                               return_call fn0(v0, v1)
;; }
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movl -0x2ffec(%rdi), %r8d
;;   cmpl $0x1, %r8d
;;   jz      label2; j label1
;; block2:
;;   movl -0x2fff0(%rdi), %eax
;;   load_ext_name userextname0+0, %rcx
;;   leaq (%rcx, %rax), %r10
;;   return_call_unknown %r10 (0) tmp=%r11 %rdi=%rdi %rsi=%rsi
;; block1:
;;   testl %r8d, %r8d
;;   jz #trap=user5
;;   ud2
;; == asm core[0]:f3
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x10, %rsp
;;   movq %rsp, %rbp
;;   movq 0x10(%rsp), %r11
;;   movq %r11, (%rsp)
;;   movq 0x18(%rsp), %r11
;;   movq %r11, 8(%rsp)
;; block0:
;;   movl %esi, %r8d
;;   movq %r8, <offset:0>+-0x10(%rbp)
;;   movl %esi, %r8d
;;   movq %r8, <offset:0>+-8(%rbp)
;;   movq %rsi, %r9
;;   movq %r9, %rcx
;;   movq %r9, %rdx
;;   movq %r9, %r8
;;   return_call_known User(userextname0) (16) tmp=%r11 %rdi=%rdi %rsi=%rsi %rdx=%rdx %rcx=%rcx %r8=%r8 %r9=%r9
