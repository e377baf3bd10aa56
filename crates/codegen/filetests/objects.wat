;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;;! asm core[0]:f4
;;! asm core[0]:f5
;;! compile
;; GC objects.
(component
  (core module $m
    (type $base (sub (struct (field (mut i32)))))
    (type $sub (sub $base (struct (field (mut i32)) (field (mut anyref)))))
    (type $bytes (array (mut i8)))
    (type $f (sub (func (result i32))))
    (type $g (sub $f (func (result i32))))
    ;; One instruction, whose fault is the null check.
    (func (export "get") (param (ref null $base)) (result i32)
      (struct.get $base 0 (local.get 0)))
    ;; The index is compared with the length.
    (func (export "element") (param (ref null $bytes) i32) (result i32)
      (array.get_u $bytes (local.get 0) (local.get 1)))
    ;; A cast to a type without subtypes is one comparison. Subtypes need a subtraction as well.
    (func (export "final") (param anyref) (result i32) (ref.test (ref $sub) (local.get 0)))
    (func (export "open") (param anyref) (result i32) (ref.test (ref $base) (local.get 0)))
    (func (export "call") (param (ref null $f)) (result i32) (call_ref $f (local.get 0)))
    (func (export "new") (param anyref) (result (ref $sub))
      (struct.new $sub (i32.const 7) (local.get 0))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl -0x2000fffc(%rdi, %rsi), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   leaq (%rdi, %rsi), %r8
;;   cmpl -0x2000fffc(%rdi, %rsi), %edx
;;   jnb #trap=user55
;;   movl %edx, %r9d
;;   movzbq -0x2000fff8(%r8, %r9), %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r11
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movq %r11, %rax
;;   testq %rax, %rax
;;   jnz     label2; j label1
;; block1:
;;   jmp     label5
;; block2:
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   testq $0x3, %rax
;;   jnz     label3; j label4
;; block3:
;;   jmp     label5
;; block4:
;;   movl -0x20010000(%rdi, %rax), %eax
;;   cmpl $0x2, %eax
;;   sete %sil
;;   jmp     label5
;; block5:
;;   movzbl %sil, %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f3
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r11
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movq %r11, %rax
;;   testq %rax, %rax
;;   jnz     label2; j label1
;; block1:
;;   jmp     label5
;; block2:
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   testq $0x3, %rax
;;   jnz     label3; j label4
;; block3:
;;   jmp     label5
;; block4:
;;   movl -0x20010000(%rdi, %rax), %eax
;;   cmpl $0x2, %eax
;;   setbe %sil
;;   jmp     label5
;; block5:
;;   movzbl %sil, %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f4
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   testq %rsi, %rsi
;;   jz #trap=user13
;;   load_ext_name userextname0+0, %r8
;;   movl %esi, %r9d
;;   leaq (%r8, %r9), %r8
;;   call    *%r8
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f5
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x30, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x20, %rsp
;;   movq %rbx, 0x10(%rsp)
;; block0:
;;   movq %rsi, <offset:1>+(%rsp)
;;   movq -0x88(%rdi), %rax
;;   movq -0x90(%rdi), %rcx
;;   leaq 0x10(%rax), %rdx
;;   cmpq %rcx, %rdx
;;   jnbe    label2; j label1
;; block1:
;;   leaq 0x10(%rax), %rcx
;;   movq %rcx, -0x88(%rdi)
;;   movq %rdi, %rbx
;;   jmp     label3
;; block3:
;;   movl $0x2, -0x20010000(%rbx, %rax)
;;   movl $0x7, -0x2000fffc(%rbx, %rax)
;;   movq <offset:1>+(%rsp), %rcx
;;   movl %ecx, -0x2000fff8(%rbx, %rax)
;;   movq 0x10(%rsp), %rbx
;;   addq $0x20, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq %rdi, %rbx
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl $0x10, %edx
;;   call    User(userextname0)
;;   ; UserStackMap { by_type: [(types::I64, CompoundBitSet {0})], sp_to_sized_stack_slots: None }
;;   movl %eax, %eax
;;   jmp     label3
