;;! clif adapter[0]
;;! asm adapter[0]
;;! clif builtin:copy_utf8
;; An adapter for a char, a list and an option, and the trampoline that copies short strings.
(component
  (component $C
    (core module $M
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "f") (param i32 i32 i32) (result i32) (i32.const 64))
      (func (export "post") (param i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "c" char) (param "l" (list u32)) (result (option s8))
      (canon lift (core func $m "f") (memory (core memory $m "mem")) (realloc (core func $m "realloc"))
        (post-return (core func $m "post")))))
  (instance $c (instantiate $C))
  (component $D
    (import "f" (func $f (param "c" char) (param "l" (list u32)) (result (option s8))))
    (core module $Memory (memory (export "mem") 1))
    (core instance $memory (instantiate $Memory))
    (core func $f (canon lower (func $f) (memory (core memory $memory "mem"))))
    (core module $Main
      (import "" "f" (func $f (param i32 i32 i32 i32)))
      (func (export "run") (call $f (i32.const 97) (i32.const 0) (i32.const 4) (i32.const 8))))
    (core instance $main (instantiate $Main (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $main "run"))))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (func (export "run") (alias export $d "run")))
;; == clif adapter[0]
;; function u83886080:0(i64 vmctx, i32, i32, i32, i32) tail {
;;     region0 = 0 "sizes"
;;     region1 = 1 "memory"
;;     region2 = 2 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32, i32, i32, i32) -> i32 tail
;;     sig1 = (i64 vmctx, i64, i64, i64) tail
;;     sig2 = (i64 vmctx, i32, i32, i32) -> i32 tail
;;     sig3 = (i64 vmctx, i32) tail
;;     fn0 = colocated u16777216:0 sig0
;;     fn1 = colocated u67108864:9 sig1
;;     fn2 = colocated u16777216:1 sig2
;;     fn3 = colocated u16777216:2 sig3
;;     stack_limit = gv1
;;
;; block0(v0: i64, v1: i32, v2: i32, v3: i32, v4: i32):
;;     v5 = iconst.i64 -6442516480
;;     v6 = iadd v0, v5  ; v5 = -6442516480
;;     v7 = load.i64 notrap aligned v6-80
;;     v8 = load.i64 notrap aligned v0-80
;;     v9 = iconst.i64 2
;;     v10 = band v8, v9  ; v9 = 2
;;     trapz v10, user15
;;     v11 = load.i64 notrap aligned v0-128
;;     store notrap aligned v11, v6-128
;;     v12 = iconst.i32 0xd800
;;     v13 = bxor v1, v12  ; v12 = 0xd800
;;     v14 = iconst.i32 2048
;;     v15 = isub v13, v14  ; v14 = 2048
;;     v16 = iconst.i32 0x0010_f7ff
;;     v17 = icmp ugt v15, v16  ; v16 = 0x0010_f7ff
;;     trapnz v17, user23
;;     v18 = uextend.i64 v2
;;     v19 = uextend.i64 v3
;;     v20 = iconst.i64 0x03ff_ffff
;;     v21 = icmp ugt v19, v20  ; v20 = 0x03ff_ffff
;;     trapnz v21, user21
;;     v22 = iconst.i64 3
;;     v23 = band v18, v22  ; v22 = 3
;;     trapnz v23, user16
;;     v24 = iconst.i64 4
;;     v25 = imul v19, v24  ; v24 = 4
;;     v26 = iadd v18, v25
;;     v27 = load.i64 notrap aligned region0 v0-136
;;     v28 = icmp ugt v26, v27
;;     trapnz v28, user19
;;     v29 = iconst.i64 0
;;     v30 = iconst.i64 4
;;     v31 = ireduce.i32 v29  ; v29 = 0
;;     v32 = ireduce.i32 v29  ; v29 = 0
;;     v33 = ireduce.i32 v30  ; v30 = 4
;;     v34 = ireduce.i32 v25
;;     v35 = iconst.i64 -3
;;     v36 = band v7, v35  ; v35 = -3
;;     store notrap aligned v36, v6-80
;;     v37 = call fn0(v6, v31, v32, v33, v34)
;;     store notrap aligned v7, v6-80
;;     v38 = uextend.i64 v37
;;     v39 = iconst.i64 3
;;     v40 = band v38, v39  ; v39 = 3
;;     trapnz v40, user26
;;     v41 = iadd v38, v25
;;     v42 = load.i64 notrap aligned region0 v6-136
;;     v43 = icmp ugt v41, v42
;;     trapnz v43, user29
;;     v44 = iadd v0, v18
;;     v45 = iadd v6, v38
;;     call fn1(v0, v45, v44, v25)
;;     v46 = ireduce.i32 v38
;;     v47 = ireduce.i32 v19
;;     v48 = call fn2(v6, v1, v46, v47)
;;     v49 = load.i64 notrap aligned v0-80
;;     v50 = uextend.i64 v48
;;     v51 = iconst.i64 2
;;     v52 = iadd v50, v51  ; v51 = 2
;;     v53 = load.i64 notrap aligned region0 v6-136
;;     v54 = icmp ugt v52, v53
;;     trapnz v54, user17
;;     v55 = iadd v6, v50
;;     v56 = uextend.i64 v4
;;     v57 = iconst.i64 2
;;     v58 = iadd v56, v57  ; v57 = 2
;;     v59 = load.i64 notrap aligned region0 v0-136
;;     v60 = icmp ugt v58, v59
;;     trapnz v60, user17
;;     v61 = iadd v0, v56
;;     v62 = uload8.i32 region1 v55
;;     v63 = iconst.i32 1
;;     v64 = icmp ugt v62, v63  ; v63 = 1
;;     trapnz v64, user22
;;     istore8 region2 v62, v61
;;     brif v62, block2, block1
;;
;; block1:
;;     jump block3
;;
;; block2:
;;     v65 = sload8.i32 region1 v55+1
;;     istore8 region2 v65, v61+1
;;     jump block3
;;
;; block3:
;;     v66 = load.i64 notrap aligned v6-80
;;     v67 = iconst.i64 -3
;;     v68 = band v66, v67  ; v67 = -3
;;     store notrap aligned v68, v6-80
;;     call fn3(v6, v48)
;;     store notrap aligned v66, v6-80
;;     return
;; }
;; == asm adapter[0]
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x70, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x60, %rsp
;;   movq %rbx, 0x30(%rsp)
;;   movq %r12, 0x38(%rsp)
;;   movq %r13, 0x40(%rsp)
;;   movq %r14, 0x48(%rsp)
;;   movq %r15, 0x50(%rsp)
;; block0:
;;   movq %rcx, <offset:1>+0x10(%rsp)
;;   movq %r8, <offset:1>+0x18(%rsp)
;;   movabsq $0xfffffffe7fff0000, %rbx
;;   leaq (%rdi, %rbx), %r13
;;   movq -0x50(%rdi, %rbx), %r12
;;   movq -0x50(%rdi), %rax
;;   testq $0x2, %rax
;;   jz #trap=user15
;;   movq -0x80(%rdi), %rax
;;   movq %rax, -0x80(%rdi, %rbx)
;;   movq %rsi, %rax
;;   xorl $0xd800, %eax
;;   movq %rsi, <offset:1>+8(%rsp)
;;   subl $0x800, %eax
;;   cmpl $0x10f7ff, %eax
;;   jnbe #trap=user23
;;   movl %ecx, %r15d
;;   cmpq $0x3ffffff, %r15
;;   jnbe #trap=user21
;;   movl %edx, %r14d
;;   testq $0x3, %r14
;;   jnz #trap=user16
;;   movq %r15, %rdx
;;   shlq $0x2, %rdx
;;   movq %rdx, <offset:1>+0x28(%rsp)
;;   leaq (%r14, %r15, 4), %rax
;;   cmpq -0x88(%rdi), %rax
;;   jnbe #trap=user19
;;   movq %r12, %rax
;;   andq $0xfffffffffffffffd, %rax
;;   movq %rax, -0x50(%rdi, %rbx)
;;   movq %rdi, <offset:1>+(%rsp)
;;   uninit  %rdx
;;   xorl %edx, %edx
;;   movl $0x4, %ecx
;;   movq <offset:1>+0x10(%rsp), %rax
;;   movq %rax, %r8
;;   shll $0x2, %r8d
;;   movq %r13, %rdi
;;   movq %rdx, %rsi
;;   call    User(userextname0)
;;   movq %r13, %rsi
;;   movq <offset:1>+(%rsp), %r13
;;   movq %r12, -0x50(%r13, %rbx)
;;   movl %eax, %ecx
;;   movq %rax, <offset:1>+0x20(%rsp)
;;   testq $0x3, %rcx
;;   jnz #trap=user26
;;   leaq (%rcx, %r15, 4), %rax
;;   movabsq $0xfffffffe7fff0000, %rdx
;;   cmpq -0x88(%r13, %rdx), %rax
;;   jnbe #trap=user29
;;   movq %rsi, %r12
;;   leaq (%r12, %rcx), %rsi
;;   leaq (%r13, %r14), %rdx
;;   movq <offset:1>+0x28(%rsp), %rcx
;;   movq %r13, %rdi
;;   call    User(userextname1)
;;   movq <offset:1>+0x10(%rsp), %rcx
;;   movq <offset:1>+0x20(%rsp), %rdx
;;   movq <offset:1>+8(%rsp), %rsi
;;   movq %r12, %rdi
;;   call    User(userextname2)
;;   movq -0x50(%r13), %rcx
;;   movl %eax, %ecx
;;   leaq 2(%rcx), %rdx
;;   movabsq $0xfffffffe7fff0000, %rsi
;;   cmpq -0x88(%r13, %rsi), %rdx
;;   jnbe #trap=user17
;;   movq <offset:1>+0x18(%rsp), %r8
;;   movl %r8d, %edx
;;   leaq 2(%rdx), %rsi
;;   cmpq -0x88(%r13), %rsi
;;   jnbe #trap=user17
;;   movzbq (%r12, %rcx), %rsi
;;   cmpl $0x1, %esi
;;   jnbe #trap=user22
;;   movb %sil, (%r13, %rdx)
;;   testl %esi, %esi
;;   jnz     label2; j label1
;; block1:
;;   jmp     label3
;; block2:
;;   movsbq 1(%r12, %rcx), %rsi
;;   movb %sil, 1(%r13, %rdx)
;;   jmp     label3
;; block3:
;;   leaq (%r13, %rbx), %rdi
;;   movq -0x50(%r13, %rbx), %r12
;;   movq %r12, %rsi
;;   andq $0xfffffffffffffffd, %rsi
;;   movq %rsi, -0x50(%r13, %rbx)
;;   movq %rax, %rsi
;;   call    User(userextname3)
;;   movq %r12, -0x50(%r13, %rbx)
;;   movq 0x30(%rsp), %rbx
;;   movq 0x38(%rsp), %r12
;;   movq 0x40(%rsp), %r13
;;   movq 0x48(%rsp), %r14
;;   movq 0x50(%rsp), %r15
;;   addq $0x60, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == clif builtin:copy_utf8
;; function u67108864:10(i64 vmctx, i64, i64, i64) tail {
;;     sig0 = (i64 vmctx, i64, i64, i64) -> i32 system_v
;;     sig1 = (i64 vmctx, i32) system_v
;;
;; block0(v0: i64, v1: i64, v2: i64, v3: i64):
;;     v4 = iconst.i64 16
;;     v5 = icmp ugt v3, v4  ; v4 = 16
;;     brif v5, block2, block3
;;
;; block2:
;;     v6 = iconst.i64 64
;;     v7 = icmp.i64 ugt v3, v6  ; v6 = 64
;;     brif v7, block4, block5
;;
;; block4:
;;     jump block1
;;
;; block5:
;;     v8 = iconst.i64 32
;;     v9 = icmp.i64 ugt v3, v8  ; v8 = 32
;;     brif v9, block6, block7
;;
;; block6:
;;     v10 = iadd.i64 v2, v3
;;     v11 = iadd.i64 v1, v3
;;     v12 = load.i8x16 notrap v2
;;     v13 = load.i8x16 notrap v2+16
;;     v14 = load.i8x16 notrap v10-32
;;     v15 = load.i8x16 notrap v10-16
;;     v16 = bor v12, v13
;;     v17 = bor v16, v14
;;     v18 = bor v17, v15
;;     v19 = vhigh_bits.i32 v18
;;     brif v19, block1, block8
;;
;; block8:
;;     store.i8x16 notrap v12, v1
;;     store.i8x16 notrap v13, v1+16
;;     store.i8x16 notrap v14, v11-32
;;     store.i8x16 notrap v15, v11-16
;;     return
;;
;; block7:
;;     v20 = iadd.i64 v2, v3
;;     v21 = iadd.i64 v1, v3
;;     v22 = load.i8x16 notrap v2
;;     v23 = load.i8x16 notrap v20-16
;;     v24 = bor v22, v23
;;     v25 = vhigh_bits.i32 v24
;;     brif v25, block1, block9
;;
;; block9:
;;     store.i8x16 notrap v22, v1
;;     store.i8x16 notrap v23, v21-16
;;     return
;;
;; block3:
;;     v26 = iconst.i64 7
;;     v27 = icmp.i64 ugt v3, v26  ; v26 = 7
;;     brif v27, block10, block11
;;
;; block10:
;;     v28 = iadd.i64 v2, v3
;;     v29 = iadd.i64 v1, v3
;;     v30 = load.i64 notrap v2
;;     v31 = load.i64 notrap v28-8
;;     v32 = bor v30, v31
;;     v33 = iconst.i64 -9187201950435737472
;;     v34 = band v32, v33  ; v33 = -9187201950435737472
;;     brif v34, block1, block12
;;
;; block12:
;;     store.i64 notrap v30, v1
;;     store.i64 notrap v31, v29-8
;;     return
;;
;; block11:
;;     v35 = iconst.i64 3
;;     v36 = icmp.i64 ugt v3, v35  ; v35 = 3
;;     brif v36, block13, block14
;;
;; block13:
;;     v37 = iadd.i64 v2, v3
;;     v38 = iadd.i64 v1, v3
;;     v39 = load.i32 notrap v2
;;     v40 = load.i32 notrap v37-4
;;     v41 = bor v39, v40
;;     v42 = iconst.i32 -2139062144
;;     v43 = band v41, v42  ; v42 = -2139062144
;;     brif v43, block1, block15
;;
;; block15:
;;     store.i32 notrap v39, v1
;;     store.i32 notrap v40, v38-4
;;     return
;;
;; block14:
;;     v44 = iconst.i64 0
;;     v45 = icmp.i64 ugt v3, v44  ; v44 = 0
;;     brif v45, block16, block17
;;
;; block16:
;;     v46 = iconst.i64 1
;;     v47 = ushr.i64 v3, v46  ; v46 = 1
;;     v48 = iconst.i64 -1
;;     v49 = iadd.i64 v3, v48  ; v48 = -1
;;     v50 = uload8.i32 notrap v2
;;     v51 = iadd.i64 v2, v47
;;     v52 = uload8.i32 notrap v51
;;     v53 = iadd.i64 v2, v49
;;     v54 = uload8.i32 notrap v53
;;     v55 = bor v50, v52
;;     v56 = bor v55, v54
;;     v57 = iconst.i32 -2139062144
;;     v58 = band v56, v57  ; v57 = -2139062144
;;     brif v58, block1, block18
;;
;; block18:
;;     istore8.i32 notrap v50, v1
;;     v59 = iadd.i64 v1, v47
;;     istore8.i32 notrap v52, v59
;;     v60 = iadd.i64 v1, v49
;;     istore8.i32 notrap v54, v60
;;     return
;;
;; block17:
;;     return
;;
;; block1 cold:
;;     v61 = load.i64 notrap aligned readonly can_move v0-88
;;     v62 = get_frame_pointer.i64
;;     store notrap aligned v62, v61
;;     v63 = load.i64 notrap aligned readonly can_move v0-96
;;     v64 = load.i64 notrap aligned readonly can_move v63+80
;;     v65 = call_indirect sig0, v64(v0, v1, v2, v3)
;;     brif v65, block19, block20
;;
;; block19 cold:
;;     v66 = load.i64 notrap aligned readonly can_move v0-96
;;     v67 = load.i64 notrap aligned readonly can_move v66+480
;;     call_indirect sig1, v67(v0, v65)
;;     trap user10
;;
;; block20:
;;     return
;; }
