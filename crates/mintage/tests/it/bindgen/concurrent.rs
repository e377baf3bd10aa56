//! `async func` of WIT, and functions that are `async | store`: calls that go on together.

use crate::async_calls::{block_on, poll, waits};
use mintage::{Accessor, Component, Engine, HasData, Linker, Resource, Result, Store};

mod bindings {
    mintage::bindgen!({
        inline: "
            package my:jobs;
            interface files {
                enum error { not-found }
                resource file { read: async func(at: u64) -> u32; }
                open: async func(name: string) -> result<file, error>;
            }
            world app {
                import files;
                import sleep: async func(turns: u32);
                export run: async func(name: string) -> u32;
                export count: func(name: string) -> u32;
            }
        ",
        imports: {
            "my:jobs/files.open": trappable,
            "my:jobs/files.[drop]file": async | store,
        },
        exports: { "count": async | store },
        trappable_error_type: { "my:jobs/files.error" => super::HostError },
    });
}

use bindings::my::jobs::files;
use bindings::{App, AppImports, AppImportsWithStore};

/// A guest of the world. `run` sleeps as many turns as the name has letters, opens the file of that
/// name, and returns what is in it at 2, or 99 if there is none.
const GUEST: &str = r#"(component
    (import "my:jobs/files" (instance $files
        (export "file" (type $file (sub resource)))
        (type $error (enum "not-found"))
        (export "error" (type $error' (eq $error)))
        (export "[method]file.read"
            (func async (param "self" (borrow $file)) (param "at" u64) (result u32)))
        (export "open" (func async (param "name" string)
            (result (result (own $file) (error $error')))))))
    (import "sleep" (func $sleep async (param "turns" u32)))
    (alias export $files "file" (type $file))
    (core module $memory
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (canon lower (func $sleep) (core func $sleep'))
    (canon lower (func $files "open") (memory $mem) (core func $open))
    (canon lower (func $files "[method]file.read") (core func $read))
    (canon resource.drop $file (core func $drop))
    (canon task.return (result u32) (core func $return))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "sleep" (func $sleep (param i32)))
        (import "" "open" (func $open (param i32 i32 i32)))
        (import "" "read" (func $read (param i32 i64) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "return" (func $return (param i32)))
        (func (export "run") (param i32 i32) (result i32) (local $value i32)
            (call $sleep (local.get 1))
            (call $open (local.get 0) (local.get 1) (i32.const 16))
            (if (i32.load8_u (i32.const 16))
                (then (call $return (i32.const 99)) (return (i32.const 0))))
            (local.set $value (call $read (i32.load (i32.const 20)) (i64.const 2)))
            (call $drop (i32.load (i32.const 20)))
            (call $return (local.get $value))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
        (func (export "count") (param i32 i32) (result i32) (local.get 1)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $mem))
        (export "sleep" (func $sleep'))
        (export "open" (func $open))
        (export "read" (func $read))
        (export "drop" (func $drop))
        (export "return" (func $return))))))
    (func (export "run") async (param "name" string) (result u32)
        (canon lift (core func $i "run") async (callback (core func $i "callback"))
            (memory $mem) (realloc $realloc)))
    (func (export "count") (param "name" string) (result u32)
        (canon lift (core func $i "count") (memory $mem) (realloc $realloc))))"#;

#[derive(Debug)]
pub enum HostError {
    NotFound,
    Broken,
}

#[derive(Default)]
struct Host {
    opened: Vec<String>,
    dropped: u32,
}

/// Leads from a store of any data that has a `Host` to it.
struct HasHost;

impl HasData for HasHost {
    type Data<'a> = &'a mut Host;
}

impl AppImports for Host {}

impl<T: Send> AppImportsWithStore<T> for HasHost {
    async fn sleep(_accessor: &Accessor<T, Self>, turns: u32) {
        waits(turns).await;
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
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Result<Resource<files::File>, HostError> {
        waits(1).await;
        match name.as_str() {
            "" => Err(HostError::NotFound),
            "broken" => Err(HostError::Broken),
            _ => accessor.with(|mut access| {
                let host = access.get();
                host.opened.push(name);
                Ok(Resource::new_own(host.opened.len() as u32 - 1))
            }),
        }
    }
}

impl files::HostFile for Host {}

impl<T: Send> files::HostFileWithStore<T> for HasHost {
    async fn read(accessor: &Accessor<T, Self>, file: Resource<files::File>, at: u64) -> u32 {
        waits(1).await;
        let byte = accessor.with(|mut access| {
            let name = &access.get().opened[file.rep() as usize];
            name.as_bytes().get(at as usize).copied()
        });
        byte.unwrap_or_default().into()
    }

    async fn drop(accessor: &Accessor<T, Self>, _: Resource<files::File>) -> Result<()> {
        waits(1).await;
        accessor.with(|mut access| access.get().dropped += 1);
        Ok(())
    }
}

fn setup(count: usize) -> Result<(Store<Host>, Vec<App>)> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    App::add_to_linker::<Host, HasHost>(&mut linker, |host| host)?;
    let mut store = Store::new(&engine, Host::default());
    let instantiate = |_| App::instantiate(&mut store, &component, &linker);
    let apps = (0..count).map(instantiate).collect::<Result<_>>()?;
    Ok((store, apps))
}

#[test]
fn calls_go_on_together() -> Result<()> {
    let (mut store, apps) = setup(2)?;
    let run = store.run_concurrent(async |accessor| -> Result<_> {
        let mut slow = Box::pin(apps[0].call_run(accessor, "a long name".to_string()));
        assert!(poll(slow.as_mut()).is_pending());
        let fast = apps[1].call_run(accessor, "abc".to_string()).await?;
        Ok((slow.await?, fast))
    });
    let expected = (u32::from(b'l'), u32::from(b'c'));
    assert_eq!(block_on(run)??, expected);
    assert_eq!(store.data().opened, ["abc", "a long name"]);
    assert_eq!(store.data().dropped, 2);
    // A function that is not `async` in WIT has the store to itself.
    let run = store
        .run_concurrent(async |accessor| apps[0].call_count(accessor, "four".to_string()).await);
    assert_eq!(block_on(run)??, 4);
    Ok(())
}

#[test]
fn errors_are_converted() -> Result<()> {
    let (mut store, apps) = setup(1)?;
    let mut run =
        |name: &str| {
            block_on(store.run_concurrent(async |accessor| {
                apps[0].call_run(accessor, name.to_string()).await
            }))
        };
    assert_eq!(run("")??, 99);
    let error = run("broken")?.unwrap_err();
    assert_eq!(error.root_cause().to_string(), "the host's disk is broken");
    Ok(())
}

#[test]
fn the_function_can_be_called_in_other_ways() -> Result<()> {
    let (mut store, apps) = setup(1)?;
    let run = apps[0].func_run();
    let call = run.call_async(&mut store, ("abc".to_string(),));
    assert_eq!(block_on(call)?, (u32::from(b'c'),));
    let count = apps[0].func_count();
    assert_eq!(count.call(&mut store, ("abc".to_string(),))?, (3,));
    Ok(())
}
