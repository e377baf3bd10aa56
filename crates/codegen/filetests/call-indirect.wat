;;! clif core[0]:f1
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! asm core[0]:f4
;; Indirect calls, through tables of fixed and of variable size.
(component
  (core module $m
    (type $unary (func (param i32) (result i32)))
    (table $fixed 3 3 funcref)
    (table $growable 2 funcref)
    (elem (table $fixed) (i32.const 0) func $callee)
    (elem declare func $callee)
    (func $callee (type $unary) (local.get 0))
    ;; The size is an immediate.
    (func (export "fixed") (param i32 i32) (result i32)
      (call_indirect $fixed (type $unary) (local.get 0) (local.get 1)))
    ;; The size is loaded.
    (func (export "growable") (param i32 i32) (result i32)
      (call_indirect $growable (type $unary) (local.get 0) (local.get 1)))
    ;; Nothing changes the table, so the call is direct.
    (func (export "known") (param i32) (result i32)
      (call_indirect $fixed (type $unary) (local.get 0) (i32.const 0)))
    (func (export "change")
      (table.set $growable (i32.const 1) (ref.func $callee))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f1
;; function u16777216:1(i64 vmctx, i32, i32) -> i32 tail {
;;     region0 = 0 "table"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     gv2 = symbol colocated userextname0
;;     sig0 = (i64 vmctx, i32) -> i32 tail
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i32):
;; @007a                               v3 = iconst.i32 3
;; @007a                               v4 = icmp uge v2, v3  ; v3 = 3
;; @007a                               trapnz v4, user4
;; @007a                               v5 = iconst.i32 3
;; @007a                               v6 = band v2, v5  ; v5 = 3
;; @007a                               v7 = uextend.i64 v6
;; @007a                               v8 = iconst.i64 3
;; @007a                               v9 = ishl v7, v8  ; v8 = 3
;; @007a                               v10 = iadd v0, v9
;; @007a                               v11 = load.i32 notrap aligned region0 v10-0x0002_fffc
;; @007a                               v12 = iconst.i32 1
;; @007a                               v13 = icmp eq v11, v12  ; v12 = 1
;; @007a                               brif v13, block1, block2
;;
;;                                 block2 cold:
;; @007a                               trapz.i32 v11, user5
;; @007a                               trap user6
;;
;;                                 block1:
;; @007a                               v14 = uload32.i64 notrap aligned region0 v10-0x0003_0000
;; @007a                               v15 = symbol_value.i64 gv2
;; @007a                               v16 = iadd v15, v14
;; @007a                               v17 = call_indirect sig0, v16(v0, v1)
;; @007d                               return v17
;; }
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   cmpl $0x3, %edx
;;   jnb #trap=user4
;;   andl $0x3, %edx
;;   movl -0x2fffc(%rdi, %rdx, 8), %r11d
;;   cmpl $0x1, %r11d
;;   jz      label2; j label1
;; block2:
;;   movl -0x30000(%rdi, %rdx, 8), %eax
;;   load_ext_name userextname0+0, %rcx
;;   leaq (%rcx, %rax), %rax
;;   call    *%rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block1:
;;   testl %r11d, %r11d
;;   jz #trap=user5
;;   ud2
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   cmpl -0x90(%rdi), %edx
;;   jnb #trap=user4
;;   andl $0xfffff, %edx
;;   movl -0x82fffc(%rdi, %rdx, 8), %r11d
;;   cmpl $0x1, %r11d
;;   jz      label2; j label1
;; block2:
;;   movl -0x830000(%rdi, %rdx, 8), %eax
;;   load_ext_name userextname0+0, %rcx
;;   leaq (%rcx, %rax), %rax
;;   call    *%rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block1:
;;   testl %r11d, %r11d
;;   jz #trap=user5
;;   ud2
;; == asm core[0]:f3
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   call    User(userextname0)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f4
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   load_ext_name userextname0+4294967296, %rdx
;;   movq %rdx, -0x82fff8(%rdi)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
