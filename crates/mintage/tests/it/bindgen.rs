//! Bindings that `bindgen!` generates, with a host and a guest.

use mintage::{Component, Engine, HasSelf, Linker, Resource, ResourceTable, Result, Store};

mod asynchronous;
mod concurrent;
mod options;
mod streams;
mod tracing;

mod bindings {
    mintage::bindgen!({
        path: "tests/it/bindgen/plugin.wit",
        imports: {
            "my:plugin/log/write": trappable,
            "my:plugin/files.open": trappable,
            "my:plugin/files.[method]file.size": trappable,
        },
        trappable_error_type: { "my:plugin/files/error" => super::HostError },
        with: { "my:plugin/files.file": super::OpenFile },
    });
}

use bindings::exports::my::plugin::shapes::{Point, Shape};
use bindings::my::plugin::{files, log};
use bindings::{Plugin, PluginImports, PluginPre};

pub struct OpenFile {
    size: u64,
}

#[derive(Debug)]
pub enum HostError {
    NotFound,
    Broken,
}

#[derive(Default)]
struct Host {
    lines: Vec<(log::Level, String)>,
    files: ResourceTable,
    dropped: usize,
}

impl log::Host for Host {
    fn write(&mut self, level: log::Level, text: String) -> Result<()> {
        mintage::error::ensure!(text != "secret", "the host does not log secrets");
        self.lines.push((level, text));
        Ok(())
    }
}

impl files::Host for Host {
    fn open(&mut self, path: String) -> Result<Resource<OpenFile>, HostError> {
        match path.as_str() {
            "" => Err(HostError::NotFound),
            "broken" => Err(HostError::Broken),
            path => {
                let size = path.len() as u64;
                self.files
                    .push(OpenFile { size })
                    .map_err(|_| HostError::Broken)
            }
        }
    }

    fn convert_error(&mut self, error: HostError) -> Result<files::Error> {
        match error {
            HostError::NotFound => Ok(files::Error::NotFound),
            HostError::Broken => Err(mintage::error::format_err!("the host's disk is broken")),
        }
    }
}

impl files::HostFile for Host {
    fn new(&mut self, name: String) -> Resource<OpenFile> {
        let size = 10 * name.len() as u64;
        self.files.push(OpenFile { size }).unwrap()
    }

    fn size(&mut self, self_: Resource<OpenFile>) -> Result<u64, HostError> {
        let file = self.files.get(&self_).map_err(|_| HostError::Broken)?;
        Ok(file.size)
    }

    fn drop(&mut self, rep: Resource<OpenFile>) -> Result<()> {
        self.dropped += 1;
        self.files.delete(rep)?;
        Ok(())
    }
}

impl PluginImports for Host {
    fn limit(&mut self) -> u32 {
        1000
    }
}

/// A guest of the world. `run` logs its name, opens the file of that name, and returns its size
/// plus the limit.
const GUEST: &str = include_str!("bindgen/guest.wat");

fn setup() -> Result<(Store<Host>, PluginPre<Host>)> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    Plugin::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
    Ok((Store::new(&engine, Host::default()), pre))
}

#[test]
fn a_world_is_linked_and_called() -> Result<()> {
    let (mut store, pre) = setup()?;
    let plugin = pre.instantiate(&mut store)?;
    assert_eq!(plugin.call_run(&mut store, "hello")?, 1005);
    let lines = &store.data().lines;
    assert!(matches!(&lines[..], [(log::Level::Warning, text)] if text == "hello"));
    assert_eq!(store.data().dropped, 1);

    let shapes = plugin.my_plugin_shapes();
    assert_eq!(shapes.call_area(&mut store, &Shape::Circle(2.5))?, 2.5);
    assert_eq!(shapes.call_area(&mut store, &Shape::Empty)?, 0.0);
    let points = vec![Point { x: -3, y: 4 }, Point { x: 1, y: 2 }];
    let first = shapes.call_first(&mut store, &Shape::Polygon(points))?;
    assert_eq!((first.x, first.y), (-3, 4));
    Ok(())
}

#[test]
fn errors_of_the_host_are_converted() -> Result<()> {
    let (mut store, pre) = setup()?;
    let plugin = pre.instantiate(&mut store)?;
    // The guest sees `not-found`, the first case, and returns its number.
    assert_eq!(plugin.call_run(&mut store, "")?, 0);
    let error = plugin.call_run(&mut store, "broken").unwrap_err();
    assert_eq!(error.root_cause().to_string(), "the host's disk is broken");

    let plugin = pre.instantiate(&mut store)?;
    let error = plugin.call_run(&mut store, "secret").unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("does not log secrets"), "{message}");
    Ok(())
}

/// Before anything is instantiated.
#[test]
fn what_a_component_lacks_is_named() -> Result<()> {
    const OTHER_TYPE: &str = r#"(component
        (core module $m (func (export "run")))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    const NO_FUNCTION: &str = r#"(component (instance $i) (export "run" (instance $i)))"#;
    const NO_INTERFACE: &str = r#"(component
        (core module $m (func (export "run") (param i32 i32) (result i64) unreachable)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (memory (export "memory") 1))
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $memory))
        (alias core export $i "realloc" (core func $realloc))
        (func (export "run") (param "name" string) (result u64)
            (canon lift (core func $i "run") (memory $memory) (realloc $realloc))))"#;
    let cases = [
        ("(component)", "no export `run`"),
        (
            NO_INTERFACE,
            "does not export the interface `my:plugin/shapes@1.2.0`",
        ),
        (OTHER_TYPE, "in the export `run`"),
        (NO_FUNCTION, "`run` is not a function"),
    ];
    let engine = Engine::default();
    for (component, expected) in cases {
        let component = Component::new(&engine, component)?;
        let linker = Linker::<Host>::new(&engine);
        let pre = PluginPre::new(linker.instantiate_pre(&component)?);
        let error = format!("{:#}", pre.err().unwrap());
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}
