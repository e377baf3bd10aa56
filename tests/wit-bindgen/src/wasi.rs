//! The part of WASI that the C library uses to start, write messages and exit. The tests need no
//! more; any other function is an error that names it.

use mintage::error::{Result, bail};
use mintage::{Component, Linker, Resource, ResourceAny, ResourceType, StoreContextMut, Val};

/// The output of a guest.
#[derive(Default)]
pub struct Host {
    output: Vec<u8>,
}

impl Host {
    /// Returns the output to all streams.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// The resource type of streams.
enum Stream {}

/// Maximum number of bytes per write.
const CHUNK: u64 = 1 << 16;

/// Defines the imports of `component` from WASI.
///
/// # Errors
///
/// Fails if an import with one of these names has the wrong type.
pub fn define(linker: &mut Linker<Host>, component: &Component) -> Result<()> {
    for name in ["get-environment", "get-arguments"] {
        constant(
            linker,
            "wasi:cli/environment@0.2.0",
            name,
            Val::List(Vec::new()),
        )?;
    }
    constant(
        linker,
        "wasi:cli/environment@0.2.0",
        "initial-cwd",
        Val::Option(None),
    )?;
    constant(
        linker,
        "wasi:filesystem/preopens@0.2.0",
        "get-directories",
        Val::List(Vec::new()),
    )?;
    for stream in ["stdin", "stdout", "stderr"] {
        let terminal = format!("wasi:cli/terminal-{stream}@0.2.0");
        constant(
            linker,
            &terminal,
            &format!("get-terminal-{stream}"),
            Val::Option(None),
        )?;
        let interface = format!("wasi:cli/{stream}@0.2.0");
        linker.instance(&interface)?.func_new(
            &format!("get-{stream}"),
            |store, _, _, results| {
                let stream = Resource::<Stream>::new_own(0);
                results[0] = Val::Resource(ResourceAny::try_from_resource(stream, store)?);
                Ok(())
            },
        )?;
    }
    linker
        .instance("wasi:cli/exit@0.2.0")?
        .func_new("exit", |_, _, arguments, _| {
            bail!("the guest exited with {:?}", arguments[0])
        })?;
    streams(linker)?;
    linker.define_unknown_imports_as_traps(component)
}

fn constant(linker: &mut Linker<Host>, interface: &str, name: &str, value: Val) -> Result<()> {
    linker
        .instance(interface)?
        .func_new(name, move |_, _, _, results| {
            results[0] = value.clone();
            Ok(())
        })
}

fn streams(linker: &mut Linker<Host>) -> Result<()> {
    let mut streams = linker.instance("wasi:io/streams@0.2.0")?;
    for name in ["input-stream", "output-stream"] {
        streams.resource(name, ResourceType::host::<Stream>(), |_, _| Ok(()))?;
    }
    streams.func_new("[method]output-stream.check-write", |_, _, _, results| {
        results[0] = Val::Result(Ok(Some(Box::new(Val::U64(CHUNK)))));
        Ok(())
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_new(
            &format!("[method]output-stream.{name}"),
            |store, _, arguments, results| {
                results[0] = write(store, &arguments[1])?;
                Ok(())
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        streams.func_new(
            &format!("[method]output-stream.{name}"),
            |_, _, _, results| {
                results[0] = Val::Result(Ok(None));
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn write(mut store: StoreContextMut<'_, Host>, bytes: &Val) -> Result<Val> {
    let Val::List(bytes) = bytes else {
        bail!("the guest wrote a value that is not a list");
    };
    for byte in bytes {
        match byte {
            Val::U8(byte) => store.data_mut().output.push(*byte),
            other => bail!("the guest wrote {other:?}, which is not a byte"),
        }
    }
    Ok(Val::Result(Ok(None)))
}
