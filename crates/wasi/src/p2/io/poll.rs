//! `wasi:io/poll`.

use crate::WasiView;
use crate::ctx::table_of;
use crate::io::wait::{Source, Sources, Waited, poll_now};
use crate::io::{DynPollable, MakeFuture, Readiness};
use mintage::ensure;
use mintage::{LinkerInstance, Resource, ResourceTable, ResourceType, Result, StoreContextMut};
use rustix::event::PollFd;
use smallvec::SmallVec;
use std::any::Any;
use std::collections::BTreeMap;
use std::time::Instant;

/// The most file descriptors that a list is tested for at once, before it is known which are the
/// same: `poll(2)` refuses more than the process may have.
const MAX_AT_ONCE: usize = 256;

type Pollable = Resource<DynPollable>;

pub(super) fn add_sync<T: WasiView + 'static>(instance: &mut LinkerInstance<'_, T>) -> Result<()> {
    add_nonblocking(instance)?;
    instance.func_wrap(
        "poll",
        |mut store: StoreContextMut<'_, T>, (list,): (Vec<Pollable>,)| {
            Ok((poll_sync(&mut store, &list)?,))
        },
    )?;
    instance.func_wrap(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, T>, (pollable,): (Pollable,)| {
            poll_sync(&mut store, &[pollable]).map(|_| ())
        },
    )
}

#[cfg(feature = "tokio")]
pub(super) fn add_async<T: WasiView + 'static>(instance: &mut LinkerInstance<'_, T>) -> Result<()> {
    add_nonblocking(instance)?;
    instance.func_wrap_async(
        "poll",
        |mut store: StoreContextMut<'_, T>, (list,): (Vec<Pollable>,)| {
            Box::new(async move { Ok((poll_async(table_of(store.data_mut()), &list).await?,)) })
        },
    )?;
    instance.func_wrap_async(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, T>, (pollable,): (Pollable,)| {
            Box::new(async move {
                poll_async(table_of(store.data_mut()), &[pollable]).await?;
                Ok(())
            })
        },
    )
}

fn add_nonblocking<T: WasiView + 'static>(instance: &mut LinkerInstance<'_, T>) -> Result<()> {
    let ty = ResourceType::host::<DynPollable>();
    instance.resource("pollable", ty, |mut store, rep| {
        delete(table_of(store.data_mut()), Resource::new_own(rep))
    })?;
    instance.func_wrap(
        "[method]pollable.ready",
        |mut store: StoreContextMut<'_, T>, (pollable,): (Pollable,)| {
            Ok((is_ready(table_of(store.data_mut()), &pollable)?,))
        },
    )
}

/// Deletes a pollable, and the value that it owns.
pub(super) fn delete(table: &mut ResourceTable, pollable: Pollable) -> Result<()> {
    let DynPollable { index, delete, .. } = table.delete(pollable)?;
    match delete {
        Some(delete) => delete(table, index),
        None => Ok(()),
    }
}

/// Returns whether a pollable is ready.
pub(super) fn is_ready(table: &mut ResourceTable, pollable: &Pollable) -> Result<bool> {
    let list = std::slice::from_ref(pollable);
    if let Some(ready) = ready_now(table, list)? {
        return Ok(!ready.is_empty());
    }
    let mut list = PollList::new(table, list)?;
    // With this instant, the wait is over at once.
    list.sources.push(Source::Ready);
    list.sources.wait(None)?;
    Ok(list.sources.is_ready(0))
}

/// Returns the pollables that are ready. Waits on this thread until there is one. If the guest is
/// to check in meanwhile, it does.
fn poll_sync<T: WasiView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    list: &[Pollable],
) -> Result<Vec<u32>> {
    loop {
        match ready_now(table_of(store.data_mut()), list)? {
            Some(ready) if !ready.is_empty() => return Ok(ready),
            _ => {}
        }
        let watch = store.interrupt_watch();
        let mut list = PollList::new(table_of(store.data_mut()), list)?;
        if list.sources.wait(watch.as_ref())? == Waited::Ready {
            return Ok(list.ready());
        }
        drop((list, watch));
        store.check_in()?;
    }
}

/// Returns the pollables that are ready. Waits on this thread until there is one.
pub(super) fn poll_unwatched(table: &mut ResourceTable, list: &[Pollable]) -> Result<Vec<u32>> {
    match ready_now(table, list)? {
        Some(ready) if !ready.is_empty() => return Ok(ready),
        _ => {}
    }
    let mut list = PollList::new(table, list)?;
    list.sources.wait(None)?;
    Ok(list.ready())
}

/// Returns the pollables that are ready. Waits as a task of tokio until there is one.
#[cfg(feature = "tokio")]
pub(super) async fn poll_async(table: &mut ResourceTable, list: &[Pollable]) -> Result<Vec<u32>> {
    match ready_now(table, list)? {
        Some(ready) if !ready.is_empty() => return Ok(ready),
        _ => {}
    }
    let mut list = PollList::new(table, list)?;
    list.sources.wait_async().await?;
    Ok(list.ready())
}

/// Returns the places in the list of the pollables that are ready now. This allocates nothing but
/// the result. It knows no futures, and only so many file descriptors: if there are others, it
/// returns `None`.
///
/// # Errors
///
/// If the list is empty, or there is no such pollable.
fn ready_now(table: &ResourceTable, list: &[Pollable]) -> Result<Option<Vec<u32>>> {
    ensure!(
        !list.is_empty(),
        "wasi:io/poll: the list of pollables is empty, so the guest would wait for ever"
    );
    let mut ready = Vec::new();
    let mut fds = SmallVec::<[PollFd<'_>; 16]>::new();
    let mut places = SmallVec::<[u32; 16]>::new();
    let mut now = None;
    for (place, pollable) in (0..).zip(list) {
        let pollable = table.get(pollable)?;
        match (pollable.readiness)(table, pollable.index)? {
            Readiness::Ready => ready.push(place),
            Readiness::At(at) if at <= *now.get_or_insert_with(Instant::now) => ready.push(place),
            Readiness::At(_) => {}
            Readiness::Fd(..) if fds.len() == MAX_AT_ONCE => return Ok(None),
            Readiness::Fd(fd, interest) => {
                fds.push(PollFd::from_borrowed_fd(fd, interest.flags()));
                places.push(place);
            }
            Readiness::Future => return Ok(None),
        }
    }
    if fds.is_empty() {
        return Ok(Some(ready));
    }
    if poll_now(&mut fds).is_err() {
        return Ok(None);
    }
    let others = ready.len();
    let found = fds.iter().zip(&places);
    ready.extend(found.filter_map(|(fd, place)| (!fd.revents().is_empty()).then_some(*place)));
    if others > 0 {
        ready.sort_unstable();
    }
    Ok(Some(ready))
}

/// A list of pollables, whose values are borrowed from the table.
struct PollList<'a> {
    /// One for each value.
    sources: Sources<'a>,
    /// The number of the source of each pollable.
    numbers: Vec<usize>,
}

/// How to make the source of a value, and its number.
struct Value {
    readiness_of: for<'a> fn(&'a dyn Any) -> Readiness<'a>,
    make_future: MakeFuture,
    number: usize,
}

impl<'a> PollList<'a> {
    /// # Errors
    ///
    /// If there is no such pollable.
    fn new(table: &'a mut ResourceTable, list: &[Pollable]) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut indexes = Vec::with_capacity(list.len());
        for pollable in list {
            let pollable = table.get(pollable)?;
            values.entry(pollable.index).or_insert(Value {
                readiness_of: pollable.readiness_of,
                make_future: pollable.make_future,
                number: 0,
            });
            indexes.push(pollable.index);
        }
        for (number, value) in values.values_mut().enumerate() {
            value.number = number;
        }
        let numbers = indexes.iter().map(|index| values[index].number).collect();
        let mut sources = Sources::default();
        // In the order of their numbers.
        for (value, make) in table.iter_entries(values) {
            let value = value?;
            sources.push(match (make.readiness_of)(value) {
                Readiness::Future => Source::Future((make.make_future)(value)),
                _ => Source::of((make.readiness_of)(value)),
            });
        }
        Ok(PollList { sources, numbers })
    }

    /// Returns the places in the list of the pollables that are ready.
    fn ready(&self) -> Vec<u32> {
        let places = (0..).zip(&self.numbers);
        let ready = places.filter(|(_, number)| self.sources.is_ready(**number));
        ready.map(|(place, _)| place).collect()
    }
}
