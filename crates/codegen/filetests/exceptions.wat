;;! compile
;;! clif core[0]:f1
;;! asm core[0]:f0
;;! asm core[0]:f1
;; Throwing and catching exceptions.
(component
  (core module $M
    (tag $e (param i32 externref))
    (tag $other)
    (func $throw (export "throw") (param i32 externref)
      (throw $e (local.get 0) (local.get 1)))
    (func (export "catch") (param i32 externref) (result i32)
      (block $all
        (block $h (result i32 externref)
          (try_table (catch $e $h) (catch_all $all)
            (call $throw (local.get 0) (local.get 1)))
          (return (i32.const 1)))
        (drop)
        (return))
      (i32.const 2))
    (func (export "rethrow") (result i32)
      (block $h (result exnref)
        (try_table (catch_all_ref $h) (throw $other))
        (return (i32.const 1)))
      (throw_ref)))
  (core instance (instantiate $M)))
;; == clif core[0]:f1
;; function u16777216:1(i64 vmctx, i32, i64) -> i32 tail {
;;     region0 = 0 "objects"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32, i64) tail
;;     fn0 = colocated u16777216:0 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i64):
;; @0069                               jump block1
;;
;;                                 block2(v3: i64) cold:
;; @0069                               v4 = iadd.i64 v0, v3
;; @0069                               v5 = load.i32 notrap region0 v4-0x2000_fffc
;; @0069                               v6 = iadd.i64 v0, v3
;; @0069                               v7 = uload32 notrap region0 v6-0x2000_fff8
;; @0069                               jump block3(v5, v7)
;;
;;                                 block4(v10: i64) cold:
;; @0069                               jump block5
;;
;;                                 block1:
;; @0075                               try_call fn0(v0, v1, v2), sig0, block6, [ tag0: block2(exn0), default: block4(exn0) ]
;;
;;                                 block6:
;; @0078                               v11 = iconst.i32 1
;; @007a                               jump block7(v11)  ; v11 = 1
;;
;;                                 block3(v8: i32, v9: i64):
;; @007d                               jump block7(v8)
;;
;;                                 block5:
;; @007f                               v13 = iconst.i32 2
;; @0081                               jump block7(v13)  ; v13 = 2
;;
;;                                 block7(v12: i32):
;; @0081                               return v12
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x30, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x20, %rsp
;;   movq %rbx, 0x10(%rsp)
;;   movq %r12, 0x18(%rsp)
;; block0:
;;   movq %rsi, %r12
;;   movq %rdx, <offset:1>+(%rsp)
;;   movq -0x88(%rdi), %rdx
;;   movq -0x90(%rdi), %rax
;;   leaq 0x10(%rdx), %rcx
;;   cmpq %rax, %rcx
;;   jnbe    label2; j label1
;; block1:
;;   leaq 0x10(%rdx), %rax
;;   movq %rax, -0x88(%rdi)
;;   movq %rdi, %rbx
;;   jmp     label3
;; block2:
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl $0x10, %edx
;;   movq %rdi, %rbx
;;   call    User(userextname0)
;;   ; UserStackMap { by_type: [(types::I64, CompoundBitSet {0})], sp_to_sized_stack_slots: None }
;;   movl %eax, %edx
;;   jmp     label3
;; block3:
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl $0x0, -0x20010000(%rbx, %rdx)
;;   movq %r12, %rax
;;   movl %eax, -0x2000fffc(%rbx, %rdx)
;;   movq <offset:1>+(%rsp), %rax
;;   movl %eax, -0x2000fff8(%rbx, %rdx)
;;   movq %rbx, %rdi
;;   call    User(userextname1)
;;   ud2
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x50, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x40, %rsp
;;   movq %rbx, 0x10(%rsp)
;;   movq %r12, 0x18(%rsp)
;;   movq %r13, 0x20(%rsp)
;;   movq %r14, 0x28(%rsp)
;;   movq %r15, 0x30(%rsp)
;; block0:
;;   movq %rdi, <offset:1>+(%rsp)
;;   jmp     label1
;; block1:
;;   movq <offset:1>+(%rsp), %rdi
;;   call    User(userextname0); jmp MachLabel(2); catch [tag0: MachLabel(5), default: MachLabel(3)]
;; block2:
;;   movl $0x1, %r10d
;;   movq %r10, %rax
;;   jmp     label7
;; block4:
;;   movl $0x2, %r10d
;;   movq %r10, %rax
;;   jmp     label7
;; block6:
;;   movq %rdx, %rax
;;   jmp     label7
;; block7:
;;   movq 0x10(%rsp), %rbx
;;   movq 0x18(%rsp), %r12
;;   movq 0x20(%rsp), %r13
;;   movq 0x28(%rsp), %r14
;;   movq 0x30(%rsp), %r15
;;   addq $0x40, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block3:
;;   jmp     label4
;; block5:
;;   movq <offset:1>+(%rsp), %rcx
;;   movl -0x2000fffc(%rcx, %rax), %r10d
;;   movq %r10, %rdx
;;   movl -0x2000fff8(%rcx, %rax), %eax
;;   jmp     label6
