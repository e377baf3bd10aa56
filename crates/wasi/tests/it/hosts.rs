//! Hosts that use the generated traits of `wasi:io` themselves, on a table.

use crate::common::block_on;
use mintage_wasi::ResourceTable;
use mintage_wasi::p2::bindings::io::error::HostError;
use mintage_wasi::p2::bindings::{io, sync};
use mintage_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use mintage_wasi::p2::{DynInputStream, DynOutputStream, StreamError};

/// Calls functions of the traits in a module. `$wait` is `.await` or nothing.
macro_rules! calls {
    ($table:ident, $poll:path, $streams:path, $($wait:tt)*) => {{
        use $poll::{Host as _, HostPollable};
        use $streams::{Host as _, HostInputStream, HostOutputStream};
        use $streams as streams;

        let bytes = MemoryOutputPipe::new(20);
        let input: DynInputStream = Box::new(MemoryInputPipe::new("0123456789abcdef"));
        let output: DynOutputStream = Box::new(bytes.clone());
        let (input, output) = ($table.push(input).unwrap(), $table.push(output).unwrap());
        let (input_rep, output_rep) = (input.rep(), output.rep());
        let i = || mintage::Resource::<DynInputStream>::new_borrow(input_rep);
        let o = || mintage::Resource::<DynOutputStream>::new_borrow(output_rep);

        assert_eq!($table.read(i(), 2).unwrap(), b"01");
        assert_eq!($table.blocking_read(i(), 2)$($wait)*.unwrap(), b"23");
        assert_eq!(HostInputStream::skip($table, i(), 1).unwrap(), 1);
        assert_eq!($table.blocking_skip(i(), 1)$($wait)*.unwrap(), 1);
        let pollable = HostInputStream::subscribe($table, i()).unwrap();
        let p = || mintage::Resource::new_borrow(pollable.rep());
        assert!($table.ready(p())$($wait)*.unwrap());
        $table.block(p())$($wait)*.unwrap();
        assert_eq!($table.poll(vec![p(), p()])$($wait)*.unwrap(), [0, 1]);
        assert!($table.poll(Vec::new())$($wait)*.is_err());
        HostPollable::drop($table, pollable).unwrap();
        let pollable = HostOutputStream::subscribe($table, o()).unwrap();
        HostPollable::drop($table, pollable).unwrap();

        assert_eq!($table.check_write(o()).unwrap(), 20);
        $table.write(o(), b"xy".to_vec()).unwrap();
        HostOutputStream::flush($table, o()).unwrap();
        $table.blocking_flush(o())$($wait)*.unwrap();
        $table.blocking_write_and_flush(o(), b"z".to_vec())$($wait)*.unwrap();
        $table.write_zeroes(o(), 1).unwrap();
        $table.blocking_write_zeroes_and_flush(o(), 1)$($wait)*.unwrap();
        assert_eq!($table.splice(o(), i(), 4).unwrap(), 4);
        assert_eq!($table.blocking_splice(o(), i(), 100)$($wait)*.unwrap(), 6);
        assert_eq!(bytes.contents(), "xyz\0\x006789abcdef");
        // What a guest gives or asks for is limited here, too.
        let too_long = vec![0; 5000];
        let written = $table.blocking_write_and_flush(o(), too_long)$($wait)*;
        assert!(matches!(written, Err(StreamError::Trap(_))));
        let written = $table.write_zeroes(o(), u64::MAX);
        assert!(matches!(written, Err(StreamError::Trap(_))));
        let read = $table.read(i(), 1);
        assert!(matches!(read, Err(StreamError::Closed)));

        let failed = StreamError::LastOperationFailed(mintage::format_err!("it broke"));
        let error = match $table.convert_stream_error(failed).unwrap() {
            streams::StreamError::LastOperationFailed(error) => error,
            streams::StreamError::Closed => panic!("it is another error"),
        };
        let rep = error.rep();
        let text = $table.to_debug_string(mintage::Resource::new_borrow(rep));
        assert!(text.unwrap().contains("it broke"));
        HostError::drop($table, error).unwrap();
        assert!($table.convert_stream_error(StreamError::trap("a trap")).is_err());
        HostInputStream::drop($table, input)$($wait)*.unwrap();
        HostOutputStream::drop($table, output)$($wait)*.unwrap();
        assert!($table.is_empty());
    }};
}

#[test]
fn a_table_implements_the_traits() {
    let table = &mut ResourceTable::new();
    calls!(table, sync::io::poll, sync::io::streams,);
    block_on(async {
        let table = &mut ResourceTable::new();
        calls!(table, io::poll, io::streams, .await);
    });
}
