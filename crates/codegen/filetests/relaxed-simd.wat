;;! asm core[0]:f0
;;! compile
;; Relaxed SIMD.
(component
  (core module $m
    ;; Each operator is one instruction, except multiplication and addition: this processor cannot
    ;; fuse them.
    (func (export "f") (param v128 v128 v128) (result v128)
      (i8x16.relaxed_swizzle (local.get 0) (local.get 1))
      (i16x8.relaxed_q15mulr_s (local.get 1))
      (i32x4.relaxed_trunc_f32x4_s)
      (f32x4.relaxed_madd (local.get 1) (local.get 2))
      (f64x2.relaxed_min (local.get 1))
      (f64x2.relaxed_max (local.get 2))
      (i32x4.relaxed_trunc_f64x2_s_zero)
      (i8x16.relaxed_laneselect (local.get 1) (local.get 2))
      (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 1))
      (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 1) (local.get 2))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   pshufb %xmm1, %xmm0
;;   pmulhrsw %xmm1, %xmm0
;;   cvttps2dq %xmm0, %xmm0
;;   mulps %xmm1, %xmm0
;;   addps %xmm2, %xmm0
;;   movdqa %xmm1, %xmm3
;;   minpd %xmm0, %xmm3
;;   movdqa %xmm2, %xmm0
;;   maxpd %xmm3, %xmm0
;;   cvttpd2dq %xmm0, %xmm3
;;   movdqa %xmm2, %xmm0
;;   movdqa %xmm1, %xmm2
;;   pblendvb %xmm0, %xmm3, %xmm2
;;   movdqa %xmm0, %xmm3
;;   movdqa %xmm1, %xmm0
;;   pmaddubsw %xmm2, %xmm0
;;   pmaddubsw %xmm0, %xmm1
;;   pmaddwd (%rip), %xmm1
;;   movdqa %xmm3, %xmm0
;;   paddd %xmm0, %xmm1
;;   movdqa %xmm1, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
