;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! compile
;; Accesses to a memory with 64-bit indexes.
(component
  (core module $m
    (memory i64 1 4)
    (table i64 2 8 funcref)
    ;; The sum of index, offset and width is checked for overflow and compared with the size.
    (func (export "load") (param i64) (result i64) (i64.load offset=16 (local.get 0)))
    ;; No memory is large enough.
    (func (export "never") (param i64) (result i64) (i64.load offset=0x4_0000 (local.get 0)))
    ;; The access is always in bounds.
    (func (export "constant") (result i64) (i64.load offset=16 (i64.const 64)))
    (func (export "bulk") (param i64 i64 i64) (result i64)
      (memory.copy (local.get 0) (local.get 1) (local.get 2))
      (memory.fill (local.get 0) (i32.const 1) (i64.const 8))
      (i64.add (memory.grow (local.get 0)) (memory.size)))
    (func (export "table") (param i64) (result funcref)
      (drop (table.grow (ref.null func) (local.get 0)))
      (table.get (local.get 0))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r8
;;   addq $0x18, %r8
;;   jb #trap=heap_oob
;;   uninit  %r9
;;   xorq %r9, %r9
;;   leaq 0x10(%rdi, %rsi), %r10
;;   cmpq -0x88(%rdi), %r8
;;   cmovaq %r9, %r10
;;   movq (%r10), %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   ud2
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq 0x50(%rdi), %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
