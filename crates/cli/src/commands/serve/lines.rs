//! [`Lines`]: the standard output or error of a guest, whose lines are written as a whole, each
//! with the number of its request.

use super::log::{LineQueue, Log};
use bytes::Bytes;
use mintage_wasi::cli::{IsTerminal, StdoutStream};
use mintage_wasi::io::{OutputStream, Pollable, StreamError, StreamResult};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// The longest line that is kept together.
const MAX_LINE: usize = 8 << 10;

/// The most bytes that a guest writes at once.
const MAX_WRITE: usize = 64 << 10;

/// The two streams of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Output,
    Error,
}

/// The standard output or error of the guest of a request.
pub(super) struct Lines {
    log: Arc<Log>,
    kind: Kind,
    number: u64,
    /// Made when the guest first asks for the stream.
    shared: OnceLock<Arc<Shared>>,
}

/// The target that all streams of the guest share.
struct Shared {
    log: Arc<Log>,
    kind: Kind,
    prefix: String,
    /// The beginning of a line whose end is not there yet.
    line: Mutex<Vec<u8>>,
}

/// A stream of a guest.
struct LineStream(Arc<Shared>);

impl Lines {
    pub fn new(log: &Arc<Log>, kind: Kind, number: u64) -> Lines {
        Lines {
            log: log.clone(),
            kind,
            number,
            shared: OnceLock::new(),
        }
    }

    fn stream(&self) -> LineStream {
        let shared = self.shared.get_or_init(|| {
            let name = match self.kind {
                Kind::Output => "stdout",
                Kind::Error => "stderr",
            };
            let prefix = match self.log.has_prefix() {
                true => format!("{name} [{}] :: ", self.number),
                false => String::new(),
            };
            Arc::new(Shared {
                log: self.log.clone(),
                kind: self.kind,
                prefix,
                line: Mutex::default(),
            })
        });
        LineStream(shared.clone())
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.stream())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.stream())
    }
}

impl Shared {
    fn queue(&self) -> &LineQueue {
        self.log.queue(self.kind)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // Nothing panics under the lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all lines that are whole, and keeps the rest.
    fn write(&self, bytes: &[u8]) {
        if self.prefix.is_empty() {
            return self.queue().push(bytes);
        }
        let (mut line, mut out) = (self.lock(), Vec::new());
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.len().min(MAX_LINE - line.len()));
                line.extend_from_slice(part);
                rest = after;
                if line.ends_with(b"\n") || line.len() == MAX_LINE {
                    self.end_line(&mut line, &mut out);
                }
            }
        }
        if !out.is_empty() {
            self.queue().push(&out);
        }
    }

    /// Moves a line to `out`, and ends it if the guest has not.
    fn end_line(&self, line: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
        }
        line.clear();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (mut line, mut out) = (std::mem::take(&mut *self.lock()), Vec::new());
        if !line.is_empty() {
            self.end_line(&mut line, &mut out);
            self.queue().push(&out);
        }
    }
}

#[mintage_wasi::async_trait]
impl Pollable for LineStream {
    async fn ready(&mut self) {
        self.0.queue().room().await;
    }
}

#[mintage_wasi::async_trait]
impl OutputStream for LineStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        if bytes.len() > MAX_WRITE {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        self.0.write(bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(match self.0.queue().has_room() {
            true => MAX_WRITE,
            false => 0,
        })
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = bytes.len().min(MAX_WRITE);
        self.0.write(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
