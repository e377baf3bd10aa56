;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! compile
;;! asm core[0]:f4
;;! asm core[0]:f5
;;! asm core[0]:f6
;; Short copies and fills of constant length are done in place: first all loads, then the stores,
;; last one first.
(component
  (core module $m
    (memory 1)
    (func (export "copy") (param i32 i32)
      (memory.copy (local.get 0) (local.get 1) (i32.const 40)))
    (func (export "clear") (param i32)
      (memory.fill (local.get 0) (i32.const 0) (i32.const 24)))
    (func (export "fill") (param i32 i32)
      (memory.fill (local.get 0) (local.get 1) (i32.const 7)))
    (func (export "others") (param i32 i32)
      (memory.copy (i32.const -3) (local.get 1) (i32.const 3))
      (memory.copy (local.get 0) (local.get 1) (i32.const 0))
      (memory.copy (local.get 0) (local.get 1) (i32.const 129))
      (memory.fill (local.get 0) (local.get 1) (i32.const 1))
      (memory.fill (local.get 0) (local.get 1) (i32.const 2))
      (memory.fill (local.get 0) (i32.const 171) (i32.const 13))
      (memory.fill (local.get 0) (local.get 1) (i32.const 128)))
    (data $d "bytes of a data segment")
    (func (export "init") (param i32)
      (memory.init $d (local.get 0) (i32.const 9) (i32.const 8)))
    (type $words (array (mut i32))) (type $f32 (array f32)) (type $f64 (array f64)) (type $v128 (array v128)) (type $refs (array (mut anyref)))
    (func (export "arrays") (param (ref $words) i32)
      (array.fill $words (local.get 0) (local.get 1) (i32.const 7) (i32.const 5))
      (array.copy $words $words (local.get 0) (i32.const 1) (local.get 0) (local.get 1) (i32.const 3)))
    (func (export "new") (param anyref) (result anyref anyref)
      (array.new $refs (local.get 0) (i32.const 2))
      (array.new_default $words (i32.const 6)))
    (func (export "other types") (param f32 f64 v128 (ref $words))
      (drop (array.new $f32 (local.get 0) (i32.const 3)))
      (drop (array.new $f64 (local.get 1) (i32.const 3)))
      (drop (array.new $v128 (local.get 2) (i32.const 3)))
      (drop (array.new_default $v128 (i32.const 3)))
      (drop (array.new_data $words $d (i32.const 1) (i32.const 3)))
      (array.init_data $words $d (local.get 3) (i32.const 0) (i32.const 0) (i32.const 2))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %edx, %r8d
;;   movdqu (%rdi, %r8), %xmm0
;;   movdqu 0x10(%rdi, %r8), %xmm1
;;   movdqu 0x18(%rdi, %r8), %xmm2
;;   movl %esi, %r8d
;;   movdqu %xmm2, 0x18(%rdi, %r8)
;;   movdqu %xmm1, 0x10(%rdi, %r8)
;;   movdqu %xmm0, (%rdi, %r8)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   uninit  %xmm5
;;   pxor %xmm5, %xmm5
;;   movl %esi, %esi
;;   movdqu %xmm5, 8(%rdi, %rsi)
;;   movdqu %xmm5, (%rdi, %rsi)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r9
;;   andl $0xff, %edx
;;   imull $0x1010101, %edx, %esi
;;   movl %r9d, %r8d
;;   movl %esi, 3(%rdi, %r8)
;;   movl %esi, (%rdi, %r8)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f4
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl -0x8c(%rdi), %r11d
;;   cmpq $0x11, %r11
;;   jb #trap=heap_oob
;;   uninit  %rax
;;   xorq %rax, %rax
;;   movq -0x48(%rdi), %rdx
;;   movl $0x9, %ecx
;;   addq (%rdx), %rcx
;;   cmpq $0x11, %r11
;;   cmovbq %rax, %rcx
;;   movq (%rcx), %rax
;;   movl %esi, %ecx
;;   movq %rax, (%rdi, %rcx)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f5
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rdx, %rcx
;;   leaq (%rdi, %rsi), %rax
;;   movl -0x2000fffc(%rdi, %rsi), %edx
;;   movl %ecx, %ecx
;;   leaq 5(%rcx), %r8
;;   cmpq %rdx, %r8
;;   jnbe #trap=user55
;;   movdqu (%rip), %xmm0
;;   movdqu %xmm0, -0x2000fff4(%rax, %rcx, 4)
;;   movdqu %xmm0, -0x2000fff8(%rax, %rcx, 4)
;;   movl -0x2000fffc(%rdi, %rsi), %edx
;;   cmpq $0x4, %rdx
;;   jb #trap=user55
;;   leaq 3(%rcx), %r8
;;   cmpq %rdx, %r8
;;   jnbe #trap=user55
;;   movq -0x2000fff8(%rax, %rcx, 4), %rdx
;;   movq -0x2000fff4(%rax, %rcx, 4), %rax
;;   movq %rax, -0x2000fff0(%rdi, %rsi)
;;   movq %rdx, -0x2000fff4(%rdi, %rsi)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f6
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
;;   leaq <offset:1>+8(%rsp), %rbx
;;   movq %rsi, <offset:1>+8(%rsp)
;;   movq -0x98(%rdi), %rsi
;;   movq -0xa0(%rdi), %rax
;;   leaq 0x10(%rsi), %rcx
;;   cmpq %rax, %rcx
;;   jnbe    label2; j label1
;; block1:
;;   leaq 0x10(%rsi), %rax
;;   movq %rax, -0x98(%rdi)
;;   movq %rdi, %r12
;;   jmp     label3
;; block3:
;;   movq %rsi, <offset:1>+(%rsp)
;;   movl $0x8, -0x20010000(%r12, %rsi)
;;   movl $0x2, -0x2000fffc(%r12, %rsi)
;;   movl $0xffffffff, %ecx
;;   andq (%rbx), %rcx
;;   imulq (%rip), %rcx
;;   movq %rcx, -0x2000fff8(%r12, %rsi)
;;   movq -0x98(%r12), %rcx
;;   movq -0xa0(%r12), %rdx
;;   leaq 0x20(%rcx), %rax
;;   cmpq %rdx, %rax
;;   jnbe    label5; j label4
;; block4:
;;   leaq 0x20(%rcx), %rax
;;   movq %rax, -0x98(%r12)
;;   jmp     label6
;; block6:
;;   movl $0x0, -0x20010000(%r12, %rcx)
;;   movl $0x6, -0x2000fffc(%r12, %rcx)
;;   uninit  %xmm0
;;   pxor %xmm0, %xmm0
;;   movdqu %xmm0, -0x2000fff0(%r12, %rcx)
;;   movdqu %xmm0, -0x2000fff8(%r12, %rcx)
;;   movq <offset:1>+(%rsp), %rax
;;   movq 0x10(%rsp), %rbx
;;   movq 0x18(%rsp), %r12
;;   addq $0x20, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq %rdi, %r12
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl $0x10, %edx
;;   call    User(userextname0)
;;   ; UserStackMap { by_type: [(types::I64, CompoundBitSet {8})], sp_to_sized_stack_slots: None }
;;   movl %eax, %esi
;;   jmp     label3
;; block5:
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl $0x20, %edx
;;   movq %r12, %rdi
;;   call    User(userextname0)
;;   ; UserStackMap { by_type: [(types::I64, CompoundBitSet {0})], sp_to_sized_stack_slots: None }
;;   movl %eax, %ecx
;;   jmp     label6
