//! Writes a command's output to a file or to standard output.

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
/// A regular file is replaced atomically, or created if it does not exist. Symbolic links are
/// followed, and the mode of an existing file is kept. Any other file (a device, a FIFO) is written
/// to in place.
///
/// # Errors
///
/// Fails if `path` cannot be written, or is the same file as one of `sources`.
pub(crate) fn write<'a>(
    path: &Path,
    bytes: &[u8],
    sources: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    // With a handler for SIGXFSZ, exceeding the limit on file sizes is an error of `write` and does
    // not kill the process.
    let limit = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    limit.context("cannot register a handler for SIGXFSZ")?;
    if path == Path::new(STANDARD) {
        let mut out = io::stdout().lock();
        ensure!(
            !out.is_terminal(),
            "standard output is a terminal; name a file with `-o`, or redirect the output"
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
            "the output `{}` would overwrite the input `{}`; name another file with `-o`",
            path.display(),
            source.display()
        );
    }
    if old.is_file() {
        match replace(&follow(path), bytes, Some(&old)) {
            // The folder is read-only; the file may still be writable.
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

/// Follows symbolic links. The file at the end need not exist.
fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    // Linux follows the same number of links.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Replaces the file at `path`: writes a temporary file in the same folder and renames it.
fn replace(path: &Path, bytes: &[u8], old: Option<&fs::Metadata>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::other("the path does not name a file"));
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

/// A file that is removed when dropped, or when a signal ends the process, unless it is kept.
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
                // SAFETY: `unlink` is async-signal-safe, and `name` is a valid C string.
                unsafe { libc::unlink(name.as_ptr()) };
                let _ = low_level::emulate_default_handler(signal);
            };
            // SAFETY: the handler is async-signal-safe: it calls `unlink`, and
            // `emulate_default_handler`, which is documented to be.
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
            // The error that led here is more useful than one of the removal.
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
