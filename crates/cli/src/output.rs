//! Writing what a command makes to where the user wants it.

use crate::input::STANDARD;
use mintage::error::{Context, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::low_level;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Writes `bytes` to `path`, or to standard output for `-`.
///
/// A regular or absent file gets its contents at once: no one ever sees half of them. Links are
/// followed, and the mode of a file that is there is kept. What is no regular file (a device, a
/// FIFO) is written to.
///
/// # Errors
///
/// When `path` is one of `sources`, by whatever name, or cannot be written.
pub(crate) fn write<'a>(
    path: &Path,
    bytes: &[u8],
    sources: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    // A limit on the size of files is then an error and does not end the process.
    let limit = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    limit.context("cannot handle the signal for the limit of file sizes")?;
    if path == Path::new(STANDARD) {
        let mut out = io::stdout().lock();
        ensure!(
            !out.is_terminal(),
            "standard output is a terminal; name a file with `-o`, or send the output elsewhere"
        );
        let written = out.write_all(bytes).and_then(|()| out.flush());
        return written.context("cannot write to standard output");
    }
    let (old, cannot) = (fs::metadata(path).ok(), || {
        format!("cannot write `{}`", path.display())
    });
    let Some(old) = old else {
        return replace(&follow(path), bytes, None).with_context(cannot);
    };
    ensure!(!old.is_dir(), "`{}` is a directory", path.display());
    for source in sources {
        let same = |source: fs::Metadata| (source.dev(), source.ino()) == (old.dev(), old.ino());
        ensure!(
            !fs::metadata(source).is_ok_and(same),
            "`{}` is `{}`, which would be overwritten by what is made of it; name another file \
             with `-o`",
            path.display(),
            source.display()
        );
    }
    if old.is_file() {
        match replace(&follow(path), bytes, Some(&old)) {
            // The folder is read-only, but the file may not be.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => return result.with_context(cannot),
        }
    }
    let file = OpenOptions::new()
        .write(true)
        .truncate(old.is_file())
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .with_context(cannot)
}

/// The file that a path of symbolic links leads to, whether it is there or not.
fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    // As many links as the system follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Puts a file in the place of `path`: under another name in the same folder, then renamed.
fn replace(path: &Path, bytes: &[u8], old: Option<&fs::Metadata>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::other("it names no file"));
    };
    let mut name = name.to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = Temporary::create(path.with_file_name(name))?;
    let mut file = &temporary.file;
    file.write_all(bytes)?;
    if let Some(old) = old {
        file.set_permissions(old.permissions())?;
    }
    fs::rename(&temporary.path, path)?;
    temporary.keep();
    Ok(())
}

/// A file that is removed unless it is kept, also when a signal ends the process.
struct Temporary {
    path: PathBuf,
    file: File,
    handlers: Vec<signal_hook::SigId>,
}

impl Temporary {
    #[allow(unsafe_code, reason = "a signal handler removes the file")]
    fn create(path: PathBuf) -> io::Result<Temporary> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut handlers = Vec::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let name = name.clone();
            let remove = move || {
                // SAFETY: `unlink` may be called in a signal handler, and the name is a string that
                // ends.
                unsafe { libc::unlink(name.as_ptr()) };
                let _ = low_level::emulate_default_handler(signal);
            };
            // SAFETY: the handler only makes system calls; `emulate_default_handler` is made for
            // handlers.
            handlers.push(unsafe { low_level::register(signal, remove) }?);
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        Ok(Temporary {
            file: file.inspect_err(|_| unregister(&handlers))?,
            path,
            handlers,
        })
    }

    fn keep(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // The error that led here says more than one of the removal.
            let _ = fs::remove_file(&self.path);
        }
        unregister(&self.handlers);
    }
}

fn unregister(handlers: &[signal_hook::SigId]) {
    for &handler in handlers {
        low_level::unregister(handler);
    }
}
