;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! clif core[0]:f0
(component
  (core module $module
    (memory 1)
    ;; What is loaded is an index without an extension.
    (func (export "chase") (param $at i32) (result i32)
      (local.set $at (i32.load (local.get $at)))
      (i32.store offset=8 (local.get $at) (i32.const 1))
      (i32.add (i32.load (i32.load offset=4 (local.get $at))) (local.get $at)))
    ;; So is what a loop carries. A parameter is extended in front of the loop.
    (func (export "list") (param $at i32) (result i32) (local $sum i32)
      (loop $next
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $at))))
        (br_if $next (local.tee $at (i32.load (local.get $at)))))
      (local.get $sum))
    ;; A result of a call may have anything in its upper half.
    (func (export "calls") (param $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.const 1))
        (local.set $at (call 0 (local.get $at)))
        (br_if $next (local.get $at)))))
  (core instance $core (instantiate $module))
  (func (export "chase") (param "at" u32) (result u32) (canon lift (core func $core "chase")))
  (func (export "list") (param "at" u32) (result u32) (canon lift (core func $core "list")))
  (func (export "calls") (param "at" u32) (canon lift (core func $core "calls"))))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movl (%rdi, %rsi), %eax
;;   movl $0x1, 8(%rdi, %rax)
;;   movl 4(%rdi, %rax), %r8d
;;   addl (%rdi, %r8), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   uninit  %rax
;;   xorl %eax, %eax
;;   movl %esi, %esi
;;   jmp     label1
;; block1:
;;   movl 4(%rdi, %rsi), %r11d
;;   movl (%rdi, %rsi), %esi
;;   leal (%rax, %r11), %eax
;;   testl %esi, %esi
;;   jnz     label2; j label3
;; block2:
;;   jmp     label1
;; block3:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x10, %rsp
;;   movq %r12, (%rsp)
;; block0:
;;   movq %rdi, %r8
;;   jmp     label1
;; block1:
;;   movl %esi, %edi
;;   movq %r8, %r12
;;   movl $0x1, (%r12, %rdi)
;;   movq %r12, %rdi
;;   call    User(userextname0)
;;   testl %eax, %eax
;;   jnz     label2; j label3
;; block2:
;;   movq %rax, %rsi
;;   movq %r12, %r8
;;   jmp     label1
;; block3:
;;   movq (%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @004b                               v2 = uextend.i64 v1
;; @004b                               v3 = iadd v0, v2
;; @004b                               v4 = load.i32 region0 v3
;; @0052                               v5 = iconst.i32 1
;; @0054                               v6 = uextend.i64 v4
;; @0054                               v7 = iadd v0, v6
;; @0054                               store region0 v5, v7+8  ; v5 = 1
;; @0059                               v8 = uextend.i64 v4
;; @0059                               v9 = iadd v0, v8
;; @0059                               v10 = load.i32 region0 v9+4
;; @005c                               v11 = uextend.i64 v10
;; @005c                               v12 = iadd v0, v11
;; @005c                               v13 = load.i32 region0 v12
;; @0061                               v14 = iadd v13, v4
;; @0062                               return v14
;; }
