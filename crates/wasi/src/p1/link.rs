//! The functions of preview 1 in a linker.

use super::abi::{SUCCESS, Version, errno};
use super::guest::{Failure, Outcome, View};
use super::{WasiP1Ctx, files, paths, poll, process, sockets, stdio, wait};
use crate::I32Exit;
use mintage::component::LinkerInstance;
use mintage::{Caller, Linker, Result};

/// Finds the context in the data of a store of `T`.
pub(super) trait Find<T>:
    Fn(&mut T) -> &mut WasiP1Ctx + Copy + Send + Sync + 'static
{
}

impl<T, F: Fn(&mut T) -> &mut WasiP1Ctx + Copy + Send + Sync + 'static> Find<T> for F {}

/// A parameter of a function. In a core module it is a number without a sign.
trait Parameter {
    /// The number as the component has it.
    type Number;

    fn from_number(number: Self::Number) -> Self;
}

impl Parameter for u32 {
    type Number = i32;

    fn from_number(number: i32) -> Self {
        number as u32
    }
}

impl Parameter for u64 {
    type Number = i64;

    fn from_number(number: i64) -> Self {
        number as u64
    }
}

impl Parameter for i64 {
    type Number = i64;

    fn from_number(number: i64) -> Self {
        number
    }
}

/// Returns the result of a function: the number of its error.
fn result(outcome: Outcome) -> Result<(i32,)> {
    match outcome {
        Ok(()) => Ok((SUCCESS.into(),)),
        Err(Failure::Errno(error)) => Ok((errno(error).into(),)),
        Err(Failure::Trap(error)) => Err(error),
    }
}

/// Defines functions that never wait.
macro_rules! define {
    ($instance:ident, $find:ident, $version:ident;
        $($module:ident: { $($name:ident($($parameter:ident: $ty:ty),*);)* })*
    ) => {$($(
        $instance.func_wrap_caller(
            stringify!($name),
            move |mut caller: Caller<'_, T>,
                  ($($parameter,)*): ($(<$ty as Parameter>::Number,)*)| {
                let mut guest = View {
                    caller: &mut caller,
                    find: $find,
                    version: $version,
                    is_async: false,
                };
                result($module::$name(&mut guest, $(Parameter::from_number($parameter)),*))
            },
        )?;
    )*)*};
}

/// Defines functions that may wait, by `$wrap`.
macro_rules! define_waiting {
    ($instance:ident, $find:ident, $version:ident, $wrap:ident; $(
        $name:ident($($parameter:ident),*) = $operation:expr;
    )*) => {$(
        define_waiting!(@ $wrap $instance, $find, $version, $name($($parameter),*) = $operation);
    )*};
    (@ wait_on_thread $instance:ident, $find:ident, $version:ident,
        $name:ident($($parameter:ident),*) = $operation:expr
    ) => {
        $instance.func_wrap_caller(
            stringify!($name),
            move |mut caller: Caller<'_, T>, ($($parameter,)*): ($(number!($parameter),)*)| {
                $(let $parameter = u32::from_number($parameter);)*
                result(wait::run(&mut caller, $find, $version, $operation))
            },
        )?;
    };
    (@ wait_as_task $instance:ident, $find:ident, $version:ident,
        $name:ident($($parameter:ident),*) = $operation:expr
    ) => {
        $instance.func_wrap_caller_async(
            stringify!($name),
            move |mut caller: Caller<'_, T>, ($($parameter,)*): ($(number!($parameter),)*)| {
                $(let $parameter = u32::from_number($parameter);)*
                Box::new(async move {
                    result(wait::run_async(&mut caller, $find, $version, $operation).await)
                })
            },
        )?;
    };
}

/// The type of a parameter of functions that may wait: all are of 32 bits.
macro_rules! number {
    ($parameter:ident) => {
        i32
    };
}

/// Calls `$define` with all functions that may wait.
macro_rules! waiting {
    ($instance:ident, $find:ident, $version:ident, $wrap:ident) => {
        define_waiting!($instance, $find, $version, $wrap;
            fd_read(fd, iovs, iovs_len, result_at) = stdio::Read {
                fd,
                iovs,
                iovs_len,
                result: result_at,
            };
            fd_write(fd, iovs, iovs_len, result_at) =
                stdio::Write::new(fd, iovs, iovs_len, result_at);
            poll_oneoff(subscriptions, events, count, result_at) =
                poll::Poll::new(subscriptions, events, count, result_at);
        );
    };
}

/// Adds the functions of both versions. Those that may wait do it on the thread of the guest.
pub(super) fn add_sync<T: Send + 'static>(
    linker: &mut Linker<T>,
    find: impl Find<T>,
) -> Result<()> {
    for version in [Version::Preview1, Version::Unstable] {
        let mut instance = linker.instance(version.module())?;
        add_direct(&mut instance, find, version)?;
        waiting!(instance, find, version, wait_on_thread);
    }
    Ok(())
}

/// Adds the functions of both versions. Those that may wait do it as a task.
#[cfg(feature = "tokio")]
pub(super) fn add_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    find: impl Find<T>,
) -> Result<()> {
    for version in [Version::Preview1, Version::Unstable] {
        let mut instance = linker.instance(version.module())?;
        add_direct(&mut instance, find, version)?;
        waiting!(instance, find, version, wait_as_task);
    }
    Ok(())
}

/// Adds the functions that never wait.
fn add_direct<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    find: impl Find<T>,
    version: Version,
) -> Result<()> {
    instance.func_wrap("proc_exit", |_, (code,): (i32,)| -> Result<()> {
        Err(I32Exit(code).into())
    })?;
    if version == Version::Preview1 {
        define!(instance, find, version; sockets: {
            sock_accept(fd: u32, flags: u32, result_at: u32);
        });
    }
    define!(instance, find, version;
        process: {
            args_get(argv: u32, argv_buf: u32);
            args_sizes_get(count: u32, size: u32);
            environ_get(environ: u32, environ_buf: u32);
            environ_sizes_get(count: u32, size: u32);
            clock_res_get(id: u32, result_at: u32);
            clock_time_get(id: u32, precision: u64, result_at: u32);
            random_get(buf: u32, buf_len: u32);
            proc_raise(signal: u32);
            sched_yield();
        }
        files: {
            fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
            fd_allocate(fd: u32, offset: u64, len: u64);
            fd_close(fd: u32);
            fd_datasync(fd: u32);
            fd_fdstat_get(fd: u32, result_at: u32);
            fd_fdstat_set_flags(fd: u32, flags: u32);
            fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
            fd_filestat_get(fd: u32, result_at: u32);
            fd_filestat_set_size(fd: u32, size: u64);
            fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
            fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, result_at: u32);
            fd_prestat_get(fd: u32, result_at: u32);
            fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
            fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, result_at: u32);
            fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, result_at: u32);
            fd_renumber(from: u32, to: u32);
            fd_seek(fd: u32, offset: i64, whence: u32, result_at: u32);
            fd_sync(fd: u32);
            fd_tell(fd: u32, result_at: u32);
        }
        paths: {
            path_create_directory(fd: u32, path: u32, path_len: u32);
            path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, result_at: u32);
            path_filestat_set_times(
                fd: u32, flags: u32, path: u32, path_len: u32, accessed: u64, modified: u64,
                times: u32
            );
            path_link(
                old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32, new_fd: u32,
                new_path: u32, new_path_len: u32
            );
            path_open(
                fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32, base: u64,
                inheriting: u64, flags: u32, result_at: u32
            );
            path_readlink(
                fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, result_at: u32
            );
            path_remove_directory(fd: u32, path: u32, path_len: u32);
            path_rename(
                fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32,
                new_path_len: u32
            );
            path_symlink(target: u32, target_len: u32, fd: u32, path: u32, path_len: u32);
            path_unlink_file(fd: u32, path: u32, path_len: u32);
        }
        sockets: {
            sock_recv(
                fd: u32, iovs: u32, iovs_len: u32, flags: u32, count: u32, result_flags: u32
            );
            sock_send(fd: u32, iovs: u32, iovs_len: u32, flags: u32, count: u32);
            sock_shutdown(fd: u32, how: u32);
        }
    );
    Ok(())
}
