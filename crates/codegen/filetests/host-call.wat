;;! asm lower[0]
;;! asm core[0]:f1
;;! asm entry[0]
;;! asm builtin:memory_grow
;;! asm builtin:fill_bytes
;; Trampolines: of an import, of an entry, and of builtins.
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
;;   movq    %rbp, %rax
;;   movq -0x58(%rdi), %rcx
;;   movq %rax, (%rcx)
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
;;   movq 0x1e0(%rax), %rax
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
;;   movq    %rbp, %rax
;;   movq -0x58(%rdi), %rcx
;;   movq %rax, (%rcx)
;;   movq -0x60(%rdi), %r13
;;   movq %rdi, %r14
;;   movq (%r13), %rax
;;   call    *%rax
;;   movq $0xfffffffffffffffe, %rsi
;;   movq %rsi, %rcx
;;   subq %rax, %rcx
;;   cmpq $0xff, %rcx
;;   jbe     label2; j label1
;; block1:
;;   movq (%rsp), %r13
;;   movq 8(%rsp), %r14
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq 0x1e0(%r13), %rcx
;;   subq %rax, %rsi
;;   movq %r14, %rdi
;;   call    *%rcx
;;   ud2
;; == asm builtin:fill_bytes
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   subq $0x10, %rsp
;;   movq %rbx, (%rsp)
;;   movq %r12, 8(%rsp)
;; block0:
;;   cmpq $0x10, %r8
;;   jnbe    label10; j label1
;; block1:
;;   cmpq $0x7, %r8
;;   jnbe    label9; j label2
;; block2:
;;   cmpq $0x3, %r8
;;   jnbe    label8; j label3
;; block3:
;;   cmpq $0x1, %r8
;;   jnbe    label7; j label4
;; block4:
;;   testq %r8, %r8
;;   jnz     label6; j label5
;; block5:
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block6:
;;   movb %dl, (%rsi)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block7:
;;   movw %dx, (%rsi)
;;   movw %dx, -2(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block8:
;;   movl %edx, (%rsi)
;;   movl %edx, -4(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block9:
;;   movq %rdx, (%rsi)
;;   movq %rcx, -8(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block10:
;;   cmpq $0x80, %r8
;;   jnbe    label16; j label11
;; block11:
;;   cmpq $0x40, %r8
;;   jnbe    label15; j label12
;; block12:
;;   cmpq $0x20, %r8
;;   jnbe    label14; j label13
;; block13:
;;   movq %rdx, %xmm0
;;   pinsrq $0x1, %rcx, %xmm0
;;   movdqu %xmm0, (%rsi)
;;   movdqu %xmm0, -0x10(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block14:
;;   movq %rdx, %xmm0
;;   pinsrq $0x1, %rcx, %xmm0
;;   movdqu %xmm0, (%rsi)
;;   movdqu %xmm0, -0x10(%rsi, %r8)
;;   movdqu %xmm0, 0x10(%rsi)
;;   movdqu %xmm0, -0x20(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block15:
;;   movq %rdx, %xmm0
;;   pinsrq $0x1, %rcx, %xmm0
;;   movdqu %xmm0, (%rsi)
;;   movdqu %xmm0, -0x10(%rsi, %r8)
;;   movdqu %xmm0, 0x10(%rsi)
;;   movdqu %xmm0, -0x20(%rsi, %r8)
;;   movdqu %xmm0, 0x20(%rsi)
;;   movdqu %xmm0, -0x30(%rsi, %r8)
;;   movdqu %xmm0, 0x30(%rsi)
;;   movdqu %xmm0, -0x40(%rsi, %r8)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block16:
;;   jmp     label17
;; block18:
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block17:
;;   movq    %rbp, %rax
;;   movq -0x58(%rdi), %r9
;;   movq %rax, (%r9)
;;   movq -0x60(%rdi), %rbx
;;   movq %rdi, %r12
;;   movq 0x40(%rbx), %r9
;;   call    *%r9
;;   testl %eax, %eax
;;   movq %rax, %rsi
;;   jnz     label19; j label18
;; block19:
;;   movq 0x1e0(%rbx), %r8
;;   movq %r12, %rdi
;;   call    *%r8
;;   ud2
