//! Linux.

pub mod mappings;
pub mod mmap;
pub mod pagemap;
pub mod process;
pub mod signals;
pub mod thread;

/// The target triple of this process, as artifacts name it.
pub fn target_triple() -> String {
    let environment = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    format!("{}-unknown-linux-{environment}", std::env::consts::ARCH)
}
