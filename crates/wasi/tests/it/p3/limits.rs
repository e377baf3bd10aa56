//! Guests that take what they can.

use super::{output, run_in, store};
use crate::common::block_on;
use mintage_wasi::cli::{AsyncStdinStream, InputFile};
use mintage_wasi::p2::pipe::SinkOutputStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

#[test]
fn standard_streams_are_limited() {
    for which in ["stdin", "stdout"] {
        let printed = output(&["many-streams", which], |builder| {
            builder.stdin(AsyncStdinStream::new(tokio::io::empty()));
        });
        assert_eq!(printed, "1024\n", "{which}");
    }
}

#[test]
fn a_large_write_goes_without_a_copy() {
    let result = super::run(&["write-much", "100000000"], |builder| {
        builder.stdout(SinkOutputStream);
    });
    result.unwrap().unwrap();
}

/// A guest that waits for ever ends with the future that runs it.
#[test]
fn a_waiting_guest_is_dropped() {
    let (input, _writer) = std::io::pipe().unwrap();
    for program in ["wait", "cat", "pass"] {
        let input = OwnedFd::from(input.try_clone().unwrap());
        let mut store = store(&[program], |builder| {
            builder.stdin(InputFile::from(input));
        });
        block_on(async {
            let time = Duration::from_millis(50);
            let waited = tokio::time::timeout(time, run_in(&mut store)).await;
            assert!(waited.is_err(), "{program}: {waited:?}");
        });
    }
}
