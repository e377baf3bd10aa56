//! Spans and events of calls.

use super::GUEST;
use crate::async_calls::block_on;
use ::tracing::field::{Field, Visit};
use ::tracing::span::{Attributes, Id, Record};
use ::tracing::{Event, Metadata, Subscriber};
use mintage::{Component, Engine, HasSelf, Linker, Resource, Result, Store};
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

mod bindings {
    mintage::bindgen!({
        path: "tests/it/bindgen/plugin.wit",
        imports: {
            "my:plugin/log": tracing,
            "my:plugin/files.open": async | tracing | verbose_tracing,
        },
        exports: { "run": async | tracing, "my:plugin/shapes.first": tracing },
    });
}

use bindings::exports::my::plugin::shapes::{Point, Shape};
use bindings::my::plugin::{files, log};
use bindings::{Plugin, PluginImports, PluginPre};

struct Host;

impl log::Host for Host {
    fn write(&mut self, _level: log::Level, _text: String) {}
}

impl files::Host for Host {
    async fn open(&mut self, _path: String) -> Result<Resource<files::File>, files::Error> {
        Ok(Resource::new_own(7))
    }
}

impl files::HostFile for Host {
    fn new(&mut self, _name: String) -> Resource<files::File> {
        Resource::new_own(8)
    }

    fn size(&mut self, _file: Resource<files::File>) -> Result<u64, files::Error> {
        Ok(1)
    }

    fn drop(&mut self, _rep: Resource<files::File>) -> Result<()> {
        Ok(())
    }
}

impl PluginImports for Host {
    fn limit(&mut self) -> u32 {
        0
    }
}

/// Writes spans and events as lines.
#[derive(Clone, Default)]
struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Recorder {
    fn line(&self, start: &str, record: impl FnOnce(&mut Line)) {
        let mut line = Line(start.to_string());
        record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        assert_eq!(*metadata.level(), ::tracing::Level::TRACE);
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata().name(), |line| span.record(line));
        Id::from_u64(1 + self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line("event", |line| event.record(line));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[test]
fn calls_are_spans() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    Plugin::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
    let mut store = Store::new(&engine, Host);
    let plugin = block_on(pre.instantiate_async(&mut store))?;

    let recorder = Recorder::default();
    ::tracing::subscriber::with_default(recorder.clone(), || {
        assert_eq!(block_on(plugin.call_run(&mut store, "abc"))?, 1);
        let shape = Shape::Polygon(vec![Point { x: 1, y: 2 }]);
        plugin.my_plugin_shapes().call_first(&mut store, &shape)?;
        Ok::<(), mintage::Error>(())
    })?;
    let lines = recorder.lines.lock().unwrap();
    let expected = [
        r#"wit-bindgen export module="default" function="run""#,
        r#"wit-bindgen import module="log" function="write""#,
        r#"event message=call level=Level::Warning text="abc""#,
        "event message=return result=()",
        r#"wit-bindgen import module="files" function="open""#,
        r#"event message=call path="abc""#,
        "event message=return result=Ok(Own(7))",
        r#"wit-bindgen export module="my:plugin/shapes@1.2.0" function="first""#,
    ];
    assert_eq!(*lines, expected);
    Ok(())
}
