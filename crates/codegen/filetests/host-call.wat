;;! asm lower[0]
;;! asm core[0]:f1
;;! asm entry[0]
;;! asm builtin:memory_grow
;;! asm builtin:memory_fill
(component
  (import "log" (func $log (param "level" u32) (param "value" float64) (result u32)))
  (core func $lowered (canon lower (func $log)))
  (core module $m
    (import "host" "log" (func $log (param i32 f64) (result i32)))
    (func (export "call") (param i32 f64) (result i32)
      (call $log (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m (with "host" (instance (export "log" (func $lowered))))))
  (func (export "call") (param "level" u32) (param "value" float64) (result u32)
    (canon lift (core func $i "call"))))
;; == asm lower[0]
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x20, %rsp
;;   movq %rbx, 0x10(%rsp)
;; block0:
;;   movq -0x50(%rdi), %rax
;;   testq $0x2, %rax
;;   jz #trap=user15
;;   movq    %rbp, %rcx
;;   movq -0x58(%rdi), %rax
;;   movq %rcx, (%rax)
;;   load_ext_name userextname0+0, %rcx
;;   movq %rcx, 8(%rax)
;;   leaq <offset:1>+(%rsp), %rdx
;;   movl %esi, <offset:1>+(%rsp)
;;   movsd %xmm0, <offset:1>+8(%rsp)
;;   movq -0x68(%rdi), %rax
;;   movq %rdi, %rbx
;;   movq (%rax), %rcx
;;   movq 8(%rax), %rsi
;;   call    *%rcx
;;   testl %eax, %eax
;;   jnz     label2; j label1
;; block1:
;;   movl <offset:1>+(%rsp), %eax
;;   movq 0x10(%rsp), %rbx
;;   addq $0x20, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq %rbx, %rdi
;;   movq -0x60(%rdi), %rax
;;   movq 0x118(%rax), %rax
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   call    *%rax
;;   ud2
;; == asm core[0]:f1
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
;; == asm entry[0]
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x10, %rsp
;;   movq %r12, (%rsp)
;; block0:
;;   movq %rsi, %r11
;;   movl (%rdx), %esi
;;   movsd 8(%rdx), %xmm0
;;   movq %rdx, %r12
;;   call    *%r11
;;   movq %r12, %rdx
;;   movl %eax, (%rdx)
;;   movq (%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm builtin:memory_grow
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x10, %rsp
;;   movq %r13, (%rsp)
;;   movq %r14, 8(%rsp)
;; block0:
;;   movq    %rbp, %rcx
;;   movq -0x58(%rdi), %rax
;;   movq %rcx, (%rax)
;;   load_ext_name userextname0+0, %rcx
;;   movq %rcx, 8(%rax)
;;   movq -0x60(%rdi), %r14
;;   movq %rdi, %r13
;;   movq (%r14), %rax
;;   call    *%rax
;;   cmpq $0xfffffffffffffffe, %rax
;;   jz      label2; j label1
;; block1:
;;   movq (%rsp), %r13
;;   movq 8(%rsp), %r14
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq 0x118(%r14), %rax
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movq %r13, %rdi
;;   call    *%rax
;;   ud2
;; == asm builtin:memory_fill
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x10, %rsp
;;   movq %r13, (%rsp)
;;   movq %r14, 8(%rsp)
;; block0:
;;   movq    %rbp, %r9
;;   movq -0x58(%rdi), %rax
;;   movq %r9, (%rax)
;;   load_ext_name userextname0+0, %r9
;;   movq %r9, 8(%rax)
;;   movq -0x60(%rdi), %r14
;;   movq %rdi, %r13
;;   movq 0x10(%r14), %rax
;;   call    *%rax
;;   testl %eax, %eax
;;   movq %rax, %rsi
;;   jnz     label2; j label1
;; block1:
;;   movq (%rsp), %r13
;;   movq 8(%rsp), %r14
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq 0x118(%r14), %rax
;;   movq %r13, %rdi
;;   call    *%rax
;;   ud2
