//! [`block_on`]: waiting for a call without an executor.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Waits for a future on this thread, which sleeps meanwhile: for calls of `async` functions in
/// hosts without an executor.
///
/// What the future waits for must wake it by itself. Futures of an executor, such as tokio's, need
/// that executor's own function.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store, block_on};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m (func (export "answer") (result i32) (i32.const 42)))
///         (core instance $i (instantiate $m))
///         (func (export "answer") async (result u32) (canon lift (core func $i "answer"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let answer = instance.get_typed_func::<(), (u32,)>(&mut store, "answer")?;
/// assert_eq!(block_on(answer.call_async(&mut store, ()))?, (42,));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
