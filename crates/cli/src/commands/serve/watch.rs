//! Loads the component again when its file changes.

use super::guest::Loader;
use super::host::Host;
use super::log::Log;
use super::memory;
use mintage::error::{Context, Result};
use mintage_wasi_http::server::ProxyService;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The interval at which files are checked.
const PERIOD: Duration = Duration::from_millis(200);

/// Device, inode, size and modification time of a file, which show a change. `None` if the file
/// does not exist.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The stamps of the component's files at one time.
pub(super) struct Files(Vec<Stamp>);

/// Watches the component's files in a thread of its own. `loaded` are their stamps from before the
/// component was loaded, so that a change since then is noticed.
///
/// # Errors
///
/// If the system gives no thread.
pub(super) fn start(
    loader: Loader,
    loaded: Files,
    service: ProxyService<Host>,
    log: Arc<Log>,
) -> Result<()> {
    let watch = move || {
        let (Files(mut known), mut seen) = (loaded, Vec::new());
        loop {
            thread::sleep(PERIOD);
            let Files(now) = files(&loader);
            // A file that is being written, or replaced, is looked at again when it has settled.
            let has_settled = now == seen && now.iter().all(Option::is_some);
            if has_settled && now != known {
                known.clone_from(&now);
                reload(&loader, &service, &log);
            }
            seen = now;
        }
    };
    let started = thread::Builder::new().name("watch".into()).spawn(watch);
    started.context("the system does not start a thread for `--watch`")?;
    Ok(())
}

/// Returns the present stamps of the component's files.
pub(super) fn files(loader: &Loader) -> Files {
    let stamp = |path| {
        let data = fs::metadata(path).ok()?;
        Some((
            data.dev(),
            data.ino(),
            data.len(),
            data.mtime(),
            data.mtime_nsec(),
        ))
    };
    Files(loader.source.files().map(stamp).collect())
}

/// Lets the new component answer later requests, if it can be loaded.
fn reload(loader: &Loader, service: &ProxyService<Host>, log: &Log) {
    match loader.load() {
        Ok(guest) => {
            service.replace(guest);
            memory::give_back();
            log.note(&format!("loaded `{}` again", loader.source.app.display()));
        }
        Err(error) => {
            log.note("the new component cannot be loaded, so the one before goes on serving");
            log.error(&error);
        }
    }
}
