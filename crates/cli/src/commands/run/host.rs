//! Options for a program's name and standard streams, and the context that a program gets.

use crate::host::{HostOptions, WasiKeys};
use mintage::error::{Context, Result};
use mintage_wasi::WasiCtxBuilder;
use mintage_wasi::cli::{InputFile, OutputFile};
use mintage_wasi::p1::WasiP1Ctx;
use mintage_wasi_http::WasiHttpCtx;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Options for what a program has of the host: nothing but the standard streams, unless they say
/// otherwise.
#[derive(clap::Args, Debug)]
pub(crate) struct ProgramOptions {
    #[command(flatten)]
    host: HostOptions,

    /// The program's own name, its first argument [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    argv0: Option<String>,

    /// Read standard input from this file
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,

    /// Write standard output to this file
    #[arg(long, value_name = "FILE")]
    stdout: Option<PathBuf>,

    /// Write standard error to this file
    #[arg(long, value_name = "FILE")]
    stderr: Option<PathBuf>,
}

impl ProgramOptions {
    /// Returns the keys of `-S`.
    pub(super) fn keys(&self) -> WasiKeys {
        self.host.keys()
    }

    /// Creates the HTTP context of a program.
    ///
    /// # Errors
    ///
    /// As [`HostOptions::http`].
    pub(super) fn http(&self) -> Result<WasiHttpCtx> {
        self.host.http()
    }

    /// Makes the context of a program with these arguments, after its own name.
    ///
    /// # Errors
    ///
    /// Fails if a folder or file cannot be opened, if two folders have one name, or if an argument
    /// or variable is not valid UTF-8.
    pub(super) fn context(&self, app: &Path, args: &[&OsString]) -> Result<WasiP1Ctx> {
        let mut builder = WasiCtxBuilder::new();
        self.add_streams(&mut builder, &self.keys())?;
        self.host.prepare()?.give(&mut builder)?;
        let name = app.file_name().unwrap_or_default().to_string_lossy();
        builder.arg(self.argv0.as_deref().unwrap_or(&name));
        for (number, arg) in args.iter().enumerate() {
            let arg = arg.to_str().with_context(|| {
                format!(
                    "argument {} of the program is not valid UTF-8: {}",
                    number + 1,
                    arg.display()
                )
            })?;
            builder.arg(arg);
        }
        Ok(builder.build_p1())
    }

    fn add_streams(&self, builder: &mut WasiCtxBuilder, keys: &WasiKeys) -> Result<()> {
        match &self.stdin {
            Some(path) => {
                let file = File::open(path).map(InputFile::new);
                builder.stdin(file.with_context(|| {
                    format!("cannot read standard input from `{}`", path.display())
                })?);
            }
            None if !keys.no_stdin => _ = builder.inherit_stdin(),
            None => {}
        }
        let create = |path: &Path, what: &str| {
            File::create(path)
                .map(OutputFile::new)
                .with_context(|| format!("cannot write standard {what} to `{}`", path.display()))
        };
        match &self.stdout {
            Some(path) => _ = builder.stdout(create(path, "output")?),
            None if !keys.no_stdout => _ = builder.inherit_stdout(),
            None => {}
        }
        match &self.stderr {
            Some(path) => _ = builder.stderr(create(path, "error")?),
            None if !keys.no_stderr => _ = builder.inherit_stderr(),
            None => {}
        }
        Ok(())
    }
}
