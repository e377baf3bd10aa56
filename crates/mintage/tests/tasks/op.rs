//! [`Op`]: what a guest does next, as the host and the guest's text both know it.

/// Defines the operations with their numbers, and how the guest's text does each.
macro_rules! ops {
    ($($name:ident $text:literal;)*) => {
        /// An operation of a thread. `a`, `b` and `c` are its operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Op {
            $($name,)*
        }

        impl Op {
            /// Returns whether a thread may wait in the operation.
            pub fn may_wait(self) -> bool {
                use Op::*;
                matches!(
                    self,
                    SetWait | SubtaskCancel | StreamReadSync | StreamWriteSync | FutureReadSync
                        | FutureWriteSync | Suspend | Yield | SuspendThenResume
                        | YieldThenResume | SuspendThenPromote | YieldThenPromote | HostSync
                        | CallSync
                )
            }

            /// All operations, in the order of their numbers.
            pub const ALL: &[(Op, &str)] = &[$((Op::$name, $text),)*];
        }
    };
}

// The text leaves the results in the locals `$r0`, `$r1` and `$r2`. `!` is the module's import of
// a built-in.
ops! {
    End "";
    TaskReturn "(call $task-return (local.get $b) (local.get $a))";
    TaskCancel "(call $task-cancel)";
    SetNew "(local.set $r0 (call $set-new))";
    SetWait "(local.set $r0 (call $set-wait (local.get $a) (i32.const 8)))
        (local.set $r1 (i32.load (i32.const 8))) (local.set $r2 (i32.load (i32.const 12)))";
    SetPoll "(local.set $r0 (call $set-poll (local.get $a) (i32.const 8)))
        (local.set $r1 (i32.load (i32.const 8))) (local.set $r2 (i32.load (i32.const 12)))";
    SetDrop "(call $set-drop (local.get $a))";
    Join "(call $join (local.get $a) (local.get $b))";
    SubtaskCancel "(local.set $r0 (call $subtask-cancel (local.get $a)))";
    SubtaskCancelAsync "(local.set $r0 (call $subtask-cancel-async (local.get $a)))";
    SubtaskDrop "(call $subtask-drop (local.get $a))";
    StreamNew "(local.set $wide (call $stream-new)) (local.set $r0 (i32.wrap_i64 (local.get $wide)))
        (local.set $r1 (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 32))))";
    StreamRead "(local.set $r0 (call $stream-read
        (local.get $a) (local.get $b) (local.get $c)))";
    StreamReadSync "(local.set $r0 (call $stream-read-sync
        (local.get $a) (local.get $b) (local.get $c)))";
    StreamWrite "(local.set $r0 (call $stream-write
        (local.get $a) (local.get $b) (local.get $c)))";
    StreamWriteSync "(local.set $r0 (call $stream-write-sync
        (local.get $a) (local.get $b) (local.get $c)))";
    StreamCancelRead "(local.set $r0 (call $stream-cancel-read (local.get $a)))";
    StreamCancelReadAsync "(local.set $r0 (call $stream-cancel-read-async (local.get $a)))";
    StreamCancelWrite "(local.set $r0 (call $stream-cancel-write (local.get $a)))";
    StreamCancelWriteAsync "(local.set $r0 (call $stream-cancel-write-async (local.get $a)))";
    StreamDropReader "(call $stream-drop-reader (local.get $a))";
    StreamDropWriter "(call $stream-drop-writer (local.get $a))";
    StreamForward "(call $stream-forward (local.get $a) (local.get $b))";
    FutureNew "(local.set $wide (call $future-new)) (local.set $r0 (i32.wrap_i64 (local.get $wide)))
        (local.set $r1 (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 32))))";
    FutureRead "(local.set $r0 (call $future-read (local.get $a) (local.get $b)))";
    FutureReadSync "(local.set $r0 (call $future-read-sync (local.get $a) (local.get $b)))";
    FutureWrite "(local.set $r0 (call $future-write (local.get $a) (local.get $b)))";
    FutureWriteSync "(local.set $r0 (call $future-write-sync (local.get $a) (local.get $b)))";
    FutureCancelRead "(local.set $r0 (call $future-cancel-read (local.get $a)))";
    FutureCancelReadAsync "(local.set $r0 (call $future-cancel-read-async (local.get $a)))";
    FutureCancelWrite "(local.set $r0 (call $future-cancel-write (local.get $a)))";
    FutureCancelWriteAsync "(local.set $r0 (call $future-cancel-write-async (local.get $a)))";
    FutureDropReader "(call $future-drop-reader (local.get $a))";
    FutureDropWriter "(call $future-drop-writer (local.get $a))";
    FutureForward "(call $future-forward (local.get $a) (local.get $b))";
    BackpressureInc "(call $backpressure-inc)";
    BackpressureDec "(call $backpressure-dec)";
    ContextGet "(local.set $r0 (call $get1))";
    ContextSet "(call $set1 (local.get $a))";
    ThreadIndex "(local.set $r0 (call $thread-index))";
    ThreadNew "(local.set $r0 (call $thread-new (i32.const 0) (local.get $a)))";
    ResumeLater "(call $resume-later (local.get $a))";
    Suspend "(local.set $r0 (call $suspend))";
    Yield "(local.set $r0 (call $yield))";
    SuspendThenResume "(local.set $r0 (call $suspend-then-resume (local.get $a)))";
    YieldThenResume "(local.set $r0 (call $yield-then-resume (local.get $a)))";
    SuspendThenPromote "(local.set $r0 (call $suspend-then-promote (local.get $a)))";
    YieldThenPromote "(local.set $r0 (call $yield-then-promote (local.get $a)))";
    Peek "(local.set $r0 (i32.load (local.get $a)))
        (local.set $r1 (i32.load offset=4 (local.get $a)))";
    Poke "(i32.store (local.get $a) (local.get $b))";
    HostSync "(local.set $r0 (call $host (local.get $a)))";
    HostAsync "(local.set $r0 (call $host-async (local.get $a) (local.get $b)))";
    CallSync "(call_indirect $funcs (type $lowered-sync) (local.get $a) (local.get $disc)
        (local.get $val) (local.get $ret) (local.get $b))
        (local.set $r0 (i32.load (local.get $ret)))
        (local.set $r1 (i32.load offset=4 (local.get $ret)))";
    CallAsync "(local.set $r0 (call_indirect $funcs (type $lowered-async) (local.get $a)
        (local.get $disc) (local.get $val) (local.get $ret) (local.get $b)))";
}
