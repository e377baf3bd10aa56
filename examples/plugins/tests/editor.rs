//! The editor with both plug-ins: what they do, what they are kept from, and what happens to them
//! after a trap.

use mintage::{Config, Engine, ErrorKind, Result, Trap};
use mintage_example_plugins::{Limits, Outcome, Plugin, RunError, Text};
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

fn engine() -> Result<Engine> {
    Engine::new(Config::new().interruptible(true))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn plugin(engine: &Engine, name: &str) -> Result<Plugin> {
    let limits = Limits {
        memory: 8 << 20,
        time: Duration::from_millis(400),
    };
    let bytes = std::fs::read(folder("guests").join(name).with_extension("wasm"))?;
    Plugin::new(engine, name, &bytes, &folder("project"), limits)
}

fn message(text: &str) -> Outcome {
    Outcome::Message(text.to_string())
}

#[tokio::test]
async fn plugins_for_two_versions_work_on_one_text() -> Result<()> {
    let engine = engine()?;
    let mut titles = plugin(&engine, "titles")?;
    let mut checks = plugin(&engine, "checks")?;
    let (version, menu) = titles.menu().await?;
    assert_eq!(version, 1);
    assert_eq!(menu[0].1, "Start each word with a capital");
    let (version, menu) = checks.menu().await?;
    assert_eq!((version, menu.len()), (2, 5));

    let text = Text::new("fox.txt", "the quick fox  \nis lazy\t\n");
    let outcome = titles.run("title-case", &text).await?;
    assert_eq!(outcome, message("fox.txt is in title case"));
    assert_eq!(checks.run("trim", &text).await?, Outcome::Changed(2));
    assert_eq!(text.text(), "The Quick Fox\nIs Lazy\n");
    // The header is a file of the project, which the host reads without blocking.
    let outcome = titles.run("header", &text).await?;
    assert_eq!(outcome, message("inserted the header"));
    assert_eq!(text.text(), "A poem\n\nThe Quick Fox\nIs Lazy\n");
    assert_eq!((titles.instances(), checks.instances()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn remarks_live_as_long_as_their_plugin_keeps_them() -> Result<()> {
    let mut checks = plugin(&engine()?, "checks")?;
    let text = Text::new("dog.txt", "a lazy dog\nand a Quick, lazy fox\n");
    for _ in 0..3 {
        assert_eq!(checks.run("mark", &text).await?, message("3 remarks"));
        assert_eq!(text.remarks().len(), 3);
    }
    assert_eq!(text.remarks()[0], (0, "`lazy` is forbidden here".into()));
    // The instance ends, and its resources with it.
    checks.run("trap", &text).await.unwrap_err();
    assert_eq!(text.remarks(), []);
    Ok(())
}

#[tokio::test]
async fn a_plugin_is_replaced_after_a_trap() -> Result<()> {
    let mut checks = plugin(&engine()?, "checks")?;
    let text = Text::new("a.txt", "a \n");
    let error = checks.run("trap", &text).await.unwrap_err();
    let RunError::Stopped(error) = error else {
        panic!("not a trap: {error}");
    };
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::UnreachableCodeReached));
    assert_eq!(checks.run("trim", &text).await?, Outcome::Changed(1));
    assert_eq!(checks.instances(), 2);
    Ok(())
}

#[tokio::test]
async fn memory_and_time_of_each_plugin_are_limited() -> Result<()> {
    let engine = engine()?;
    let mut checks = plugin(&engine, "checks")?;
    let mut titles = plugin(&engine, "titles")?;
    let text = Text::new("a.txt", "word");

    // Growth beyond the limit fails in the guest, which survives that.
    let error = checks.run("hoard", &text).await.unwrap_err();
    let RunError::Refused(reason) = error else {
        panic!("the plug-in was stopped: {error}");
    };
    assert!(reason.starts_with("the limit is at "), "{reason}");

    let start = Instant::now();
    let error = checks.run("spin", &text).await.unwrap_err();
    let RunError::Stopped(error) = error else {
        panic!("not stopped: {error}");
    };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(start.elapsed() >= Duration::from_millis(400));

    // The other plug-in has not noticed.
    titles.run("title-case", &text).await?;
    assert_eq!(text.text(), "Word");
    assert_eq!(checks.run("trim", &text).await?, Outcome::Changed(0));
    assert_eq!((titles.instances(), checks.instances()), (1, 2));
    Ok(())
}

#[tokio::test]
async fn a_command_that_the_user_gives_up_ends_its_instance() -> Result<()> {
    let mut titles = plugin(&engine()?, "titles")?;
    titles.menu().await?;
    // Now and then the file has been read before the first poll is over.
    for _ in 0..100 {
        let text = Text::new("a.txt", "word");
        let given_up = {
            let mut running = pin!(titles.run("header", &text));
            poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await
        };
        if given_up {
            assert_eq!(text.text(), "word");
            titles.run("header", &text).await?;
            assert_eq!(text.text(), "A poem\n\nword");
            assert_eq!(titles.instances(), 2);
            return Ok(());
        }
    }
    panic!("the file is always read at once");
}

#[tokio::test]
async fn only_plugins_are_loaded() -> Result<()> {
    let engine = engine()?;
    let load = |bytes: &[u8]| {
        let limits = Limits::default();
        let loaded = Plugin::new(&engine, "other", bytes, &folder("project"), limits);
        format!("{:#}", loaded.err().expect("an error"))
    };
    let error = load(b"(component)");
    assert!(error.contains("`editor:plugin/commands`"), "{error}");
    let error = load(b"\0asm");
    assert!(error.contains("cannot load the plug-in `other`"), "{error}");
    Ok(())
}
