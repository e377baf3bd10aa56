;;! clif core[0]:f0
;;! asm core[0]:f0
;;! asm core[0]:f1
;;! compile
;; SIMD.
(component
  (core module $m
    (memory 1)
    (global $sum (mut v128) (v128.const i64x2 0 0))
    (global $weights v128 (v128.const i32x4 1 2 3 4))
    ;; Casts between lanes need no instructions. Constants lie after the code.
    (func (export "weigh") (param $at i32) (result i32)
      (local $product v128)
      (local.set $product (i32x4.mul (v128.load (local.get $at)) (global.get $weights)))
      (global.set $sum (i64x2.add (global.get $sum) (local.get $product)))
      (i8x16.bitmask (i8x16.min_u (local.get $product) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))))
    ;; One instruction each.
    (func (export "lesser") (param v128 v128) (result v128 v128)
      (f32x4.pmin (local.get 0) (local.get 1))
      (i32x4.dot_i16x8_s (local.get 0) (local.get 1)))
    (func (export "blocks") (param v128 i32) (result v128)
      (select
        (block (result v128)
          (drop (br_if 0 (local.get 0) (local.get 1)))
          (v128.load8_lane offset=16 15 (local.get 1) (local.get 0)))
        (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 31 0 (local.get 0) (i8x16.swizzle (local.get 0) (local.get 0)))
        (v128.any_true (i32x4.trunc_sat_f64x2_u_zero (local.get 0))))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "memory"
;;     region1 = 1 "global"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     const0 = 0x00000000000000000000000000000000
;;     const1 = 0x00000004000000030000000200000001
;;     const2 = 0x0f0e0d0c0b0a09080706050403020100
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;;                                     v2 = vconst.i8x16 const0
;; @0086                               v3 = uextend.i64 v1
;; @0086                               v4 = iadd v0, v3
;; @0086                               v5 = load.i8x16 region0 v4
;; @008a                               v6 = vconst.i8x16 const1
;; @008c                               v7 = bitcast.i32x4 little v6  ; v6 = const1
;; @008c                               v8 = bitcast.i32x4 little v5
;; @008c                               v9 = imul v8, v7
;; @008c                               v10 = bitcast.i8x16 little v9
;; @0091                               v11 = load.i8x16 notrap aligned region1 v0-160
;; @0095                               v12 = bitcast.i64x2 little v10
;; @0095                               v13 = bitcast.i64x2 little v11
;; @0095                               v14 = iadd v13, v12
;; @0095                               v15 = bitcast.i8x16 little v14
;; @0098                               store notrap aligned region1 v15, v0-160
;; @009c                               v16 = vconst.i8x16 const2
;; @00ae                               v17 = umin v10, v16  ; v16 = const2
;; @00b0                               v18 = vhigh_bits.i32 v17
;; @00b2                               return v18
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %r11d
;;   movdqu (%rdi, %r11), %xmm5
;;   movdqu -0xa0(%rdi), %xmm0
;;   movdqu (%rip), %xmm1
;;   pmulld %xmm1, %xmm5
;;   paddq %xmm5, %xmm0
;;   movdqu %xmm0, -0xa0(%rdi)
;;   movdqu (%rip), %xmm0
;;   pminub %xmm0, %xmm5
;;   pmovmskb %xmm5, %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movdqa %xmm1, %xmm4
;;   minps %xmm0, %xmm4
;;   movdqa %xmm1, %xmm7
;;   movdqa %xmm0, %xmm1
;;   pmaddwd %xmm7, %xmm1
;;   movdqa %xmm4, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
