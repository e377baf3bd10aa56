;;! asm core[0]:f1
;;! asm entry[0]
;;! compile
;; Results that do not fit in registers are returned through a pointer that precedes `ctx`.
(component
  (core module $m
    (type $wide (func (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (table 1 1 funcref)
    (elem (i32.const 0) $f)
    (func $f (type $wide)
      (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9))
    (func (export "wide") (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
      (call $f (local.get 0)))
    (func (export "indirect") (param i32 i32) (result i32)
      (call_indirect (type $wide) (local.get 0) (local.get 1))
      (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop)))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rsi), %r10
;;   addq $0x40, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x30, %rsp
;;   movq %rbx, 0x10(%rsp)
;;   movq %r13, 0x18(%rsp)
;;   movq %r14, 0x20(%rsp)
;; block0:
;;   movq %rdi, %rbx
;;   leaq (%rsp), %rdi
;;   call    User(userextname0)
;;   movq %rdi, %r11
;;   movq %rbx, %rdi
;;   movl %r13d, (%rdi)
;;   movl %r14d, 8(%rdi)
;;   movq %r11, %rdi
;;   movq 0x10(%rsp), %rbx
;;   movq 0x18(%rsp), %r13
;;   movq 0x20(%rsp), %r14
;;   addq $0x30, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm entry[0]
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x30, %rsp
;;   movq %rbx, 0x10(%rsp)
;;   movq %r14, 0x18(%rsp)
;;   movq %r15, 0x20(%rsp)
;; block0:
;;   movq %rsi, %rcx
;;   movq %rdi, %rsi
;;   movq %rdx, %rax
;;   movl (%rax), %edx
;;   movq %rax, %rbx
;;   leaq (%rsp), %rdi
;;   movq %rcx, %rax
;;   call    *%rax
;;   movq %rdx, %r11
;;   movq %rbx, %rdx
;;   movl %eax, (%rdx)
;;   movl %ecx, 8(%rdx)
;;   movq %r11, %rax
;;   movl %eax, 0x10(%rdx)
;;   movl %esi, 0x18(%rdx)
;;   movl %edi, 0x20(%rdx)
;;   movl %r8d, 0x28(%rdx)
;;   movl %r9d, 0x30(%rdx)
;;   movl %r10d, 0x38(%rdx)
;;   movl %r14d, 0x40(%rdx)
;;   movl %r15d, 0x48(%rdx)
;;   movq 0x10(%rsp), %rbx
;;   movq 0x18(%rsp), %r14
;;   movq 0x20(%rsp), %r15
;;   addq $0x30, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
