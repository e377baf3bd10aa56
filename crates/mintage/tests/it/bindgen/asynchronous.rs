//! Asynchronous functions of hosts and guests, with and without the store.

use super::GUEST;
use crate::async_calls::{block_on, waits};
use mintage::component::{Access, HasData};
use mintage::{AsContextMut, Component, Engine, HasSelf, Linker, Resource, Result, Store};

mod bindings {
    mintage::bindgen!({
        path: "tests/it/bindgen/plugin.wit",
        imports: {
            "my:plugin/log.write": async | trappable,
            "my:plugin/files.[drop]file": async,
            "my:plugin/files.[constructor]file": store,
            "my:plugin/files.open": async | store | trappable,
            default: async,
        },
        exports: { default: async },
        trappable_error_type: { "my:plugin/files.error" => super::HostError },
    });
}

use bindings::exports::my::plugin::shapes::Shape;
use bindings::my::plugin::{files, log};
use bindings::{Plugin, PluginImports, PluginPre};

#[derive(Debug)]
pub enum HostError {
    NotFound,
    Broken,
}

#[derive(Default)]
struct Host {
    lines: Vec<String>,
    opened: Vec<String>,
    dropped: usize,
}

/// Leads from a store of any data that has a `Host` to it.
struct HasHost;

impl HasData for HasHost {
    type Data<'a> = &'a mut Host;
}

impl log::Host for Host {
    async fn write(&mut self, _level: log::Level, text: String) -> Result<()> {
        waits(1).await;
        mintage::error::ensure!(text != "secret", "the host does not log secrets");
        self.lines.push(text);
        Ok(())
    }
}

impl files::Host for Host {
    fn convert_error(&mut self, error: HostError) -> Result<files::Error> {
        match error {
            HostError::NotFound => Ok(files::Error::NotFound),
            HostError::Broken => Err(mintage::error::format_err!("the host's disk is broken")),
        }
    }
}

impl<T: Send> files::HostWithStore<T> for HasHost {
    async fn open(
        mut host: Access<'_, T, Self>,
        path: String,
    ) -> Result<Resource<files::File>, HostError> {
        // The store is the function's own while it waits.
        waits(1).await;
        host.as_context_mut()
            .set_fuel(1_000_000)
            .map_err(|_| HostError::Broken)?;
        match path.as_str() {
            "" => Err(HostError::NotFound),
            "broken" => Err(HostError::Broken),
            _ => {
                let host = host.get();
                host.opened.push(path);
                Ok(Resource::new_own(host.opened.len() as u32 - 1))
            }
        }
    }
}

impl files::HostFile for Host {
    async fn size(&mut self, self_: Resource<files::File>) -> Result<u64, files::Error> {
        waits(1).await;
        let name = &self.opened[self_.rep() as usize];
        Ok(name.len() as u64)
    }

    async fn drop(&mut self, _rep: Resource<files::File>) -> Result<()> {
        waits(1).await;
        self.dropped += 1;
        Ok(())
    }
}

impl<T> files::HostFileWithStore<T> for HasHost {
    fn new(mut host: Access<'_, T, Self>, name: String) -> Resource<files::File> {
        let host = host.get();
        host.opened.push(name);
        Resource::new_own(host.opened.len() as u32 - 1)
    }
}

impl PluginImports for Host {
    async fn limit(&mut self) -> u32 {
        1000
    }
}

/// The data of the store, of which the host is a part.
#[derive(Default)]
struct State {
    host: Host,
}

fn setup() -> Result<(Store<State>, PluginPre<State>)> {
    let engine = Engine::new(mintage::Config::new().consume_fuel(true))?;
    let component = Component::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    Plugin::add_to_linker::<State, HasHost>(&mut linker, |state| &mut state.host)?;
    let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
    let mut store = Store::new(&engine, State::default());
    store.set_fuel(1_000_000)?;
    Ok((store, pre))
}

#[test]
fn calls_wait_for_the_host() -> Result<()> {
    let (mut store, pre) = setup()?;
    block_on(async {
        let plugin = pre.instantiate_async(&mut store).await?;
        assert_eq!(plugin.call_run(&mut store, "hello").await?, 1005);
        assert_eq!(store.data().host.lines, ["hello"]);
        assert_eq!(store.data().host.dropped, 1);
        let shapes = plugin.my_plugin_shapes();
        assert_eq!(
            shapes.call_area(&mut store, &Shape::Circle(2.5)).await?,
            2.5
        );

        assert_eq!(plugin.call_run(&mut store, "").await?, 0);
        let error = plugin.call_run(&mut store, "broken").await.unwrap_err();
        assert!(
            format!("{error:#}").contains("the host's disk is broken"),
            "{error:#}"
        );
        Ok(())
    })
}

#[test]
fn errors_of_asynchronous_functions_end_the_call() -> Result<()> {
    let (mut store, pre) = setup()?;
    block_on(async {
        let plugin = pre.instantiate_async(&mut store).await?;
        let error = plugin.call_run(&mut store, "secret").await.unwrap_err();
        assert!(
            format!("{error:#}").contains("does not log secrets"),
            "{error:#}"
        );
        Ok(())
    })
}

/// Futures of the bindings can go to other threads, and instances can be found in stores.
#[test]
fn futures_are_send() -> Result<()> {
    fn check<F: Future + Send>(future: F) -> F {
        future
    }
    let (mut store, pre) = setup()?;
    let plugin = block_on(check(pre.instantiate_async(&mut store)))?;
    assert_eq!(block_on(check(plugin.call_run(&mut store, "abc")))?, 1003);

    let instance = block_on(pre.instance_pre().instantiate_async(&mut store))?;
    let plugin = Plugin::new(&mut store, &instance)?;
    assert_eq!(block_on(check(plugin.call_run(&mut store, "abcd")))?, 1004);
    Ok(())
}

/// A trait of the bindings is implemented for references as well.
#[test]
fn data_can_be_a_reference() {
    fn check<T: log::Host>() {}
    check::<Host>();
    check::<&mut Host>();
    fn is_found<D: log::HostWithStore<()>>() {}
    is_found::<HasSelf<Host>>();
}
