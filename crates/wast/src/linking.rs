//! Instances of a script that import from each other.
//!
//! A script instantiates modules one by one, calls functions in between, and lets later modules
//! import from earlier instances. A component, on the other hand, is a closed world. Instances that
//! import from each other are therefore put into one component:
//!
//! 1. When a module imports from earlier instances, a new component is built of the modules of
//!    these instances and the new module.
//! 2. The new component is instantiated.
//! 3. All calls that the script has made on the earlier instances are repeated on the new ones.
//! 4. From then on the script's instances are those in the new component.
//!
//! One case cannot be expressed this way: an instantiation that traps after it has changed earlier
//! instances. The component that traps is dropped, and with it the changes.
//!
//! Components that import instances of earlier components are treated likewise.

use crate::component::{self, ComponentDefinition};
use crate::core_value::CoreValue;
use crate::engine::Live;
use crate::wrap::{self, CoreModule, Member};
use hashbrown::HashMap;
use mintage::error::{Context, Result};
use mintage::{Engine, Val};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A running component of linked instances: instances of core modules or of components.
pub(crate) trait Linked: Sized {
    /// The core module or component that is instantiated.
    type Module;
    /// An argument or result of a call.
    type Value: Clone;

    /// Returns the names of the instances that `module` imports from.
    fn imports(module: &Self::Module) -> Vec<&str>;
    /// Whether instances of `module` have state.
    fn has_state(module: &Self::Module) -> bool;
    /// Builds and instantiates a component that has an instance of each of `members`.
    fn link(engine: &Engine, members: &[Member<Self::Module>]) -> Result<Self>;
    /// Calls an exported function of the instance at `position`.
    fn call(&mut self, position: u32, name: &str, args: &[Self::Value])
    -> Result<Vec<Self::Value>>;
}

/// A running component whose core instances are instances of the script.
pub(crate) struct LinkedCore {
    live: Live,
    first_instance: u32,
}

impl Linked for LinkedCore {
    type Module = CoreModule;
    type Value = CoreValue;

    fn imports(module: &CoreModule) -> Vec<&str> {
        module.imported_modules().collect()
    }

    fn has_state(module: &CoreModule) -> bool {
        module.has_state
    }

    fn link(engine: &Engine, members: &[Member<CoreModule>]) -> Result<LinkedCore> {
        let linked = wrap::linked(members);
        Ok(LinkedCore {
            live: Live::new(engine, &linked.bytes)?,
            first_instance: linked.first_instance,
        })
    }

    fn call(&mut self, position: u32, name: &str, args: &[CoreValue]) -> Result<Vec<CoreValue>> {
        self.live
            .core_call(self.first_instance + position, name, args)
    }
}

/// A running component of the script, or one that exports instances of several.
pub(crate) struct LinkedComponents {
    live: Live,
    /// Whether the instance of the script is the root, not an exported instance.
    is_single: bool,
}

impl Linked for LinkedComponents {
    type Module = ComponentDefinition;
    type Value = Val;

    fn imports(module: &ComponentDefinition) -> Vec<&str> {
        module.imports().collect()
    }

    fn has_state(_: &ComponentDefinition) -> bool {
        true
    }

    fn link(engine: &Engine, members: &[Member<ComponentDefinition>]) -> Result<LinkedComponents> {
        let single = match members {
            [single] => single.module.component.as_ref(),
            _ => None,
        };
        let live = match single {
            Some(component) => Live::of(component)?,
            None => Live::new(engine, &component::composed(members))?,
        };
        Ok(LinkedComponents {
            live,
            is_single: single.is_some(),
        })
    }

    fn call(&mut self, position: u32, name: &str, args: &[Val]) -> Result<Vec<Val>> {
        let instance = (!self.is_single).then(|| component::export_name(position as usize));
        self.live.call(instance.as_deref(), name, args)
    }
}

/// An instance of the script, numbered in order of instantiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(usize);

/// All instances of core modules, or of components, in a script.
pub(crate) struct Instances<'e, L: Linked> {
    engine: &'e Engine,
    /// The index of each instance's group. Dropped instances keep theirs.
    homes: Vec<usize>,
    /// The groups. `None` for a group that no instance of the script lives in any more.
    groups: Vec<Option<Group<L>>>,
    /// Number of calls that the script has made.
    calls: usize,
}

/// Instances that are linked in one component.
///
/// Not all of them need be instances of the script: when a module imports from an instance without
/// state, that instance is not moved, but copied to the new component.
struct Group<L: Linked> {
    members: BTreeMap<InstanceId, Part<L::Module>>,
    /// The calls that the script has made on members, by number.
    log: BTreeMap<usize, Call<L::Value>>,
    linked: L,
}

/// An instance in a group.
struct Part<M> {
    module: Rc<M>,
    /// The instance that provides the imports with each module name.
    providers: Vec<(String, InstanceId)>,
}

impl<M> Clone for Part<M> {
    fn clone(&self) -> Self {
        Self {
            module: self.module.clone(),
            providers: self.providers.clone(),
        }
    }
}

/// A call that a script has made.
#[derive(Clone)]
struct Call<V> {
    instance: InstanceId,
    name: Rc<str>,
    args: Rc<[V]>,
}

impl<L: Linked> Group<L> {
    /// Returns the position of an instance among the members.
    fn position(&self, instance: InstanceId) -> u32 {
        self.members.range(..instance).count() as u32
    }

    fn call(&mut self, call: &Call<L::Value>) -> Result<Vec<L::Value>> {
        let position = self.position(call.instance);
        self.linked.call(position, &call.name, &call.args)
    }

    fn has_state(&self) -> bool {
        self.members.values().any(|part| L::has_state(&part.module))
    }
}

impl<'e, L: Linked> Instances<'e, L> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            homes: Vec::new(),
            groups: Vec::new(),
            calls: 0,
        }
    }

    /// Instantiates `module`. `provider` returns the instance for an imported name.
    ///
    /// # Errors
    ///
    /// Fails if an import is unknown or has the wrong type, or if instantiation traps. The earlier
    /// instances do not change then.
    pub(crate) fn instantiate(
        &mut self,
        module: Rc<L::Module>,
        provider: impl Fn(&str) -> Option<InstanceId>,
    ) -> Result<InstanceId> {
        let find = |name: &str| provider(name).map(|instance| (name.to_string(), instance));
        let providers = L::imports(&module)
            .into_iter()
            .filter_map(find)
            .collect::<Vec<_>>();
        let homes = providers
            .iter()
            .map(|&(_, provider)| self.homes[provider.0])
            .collect::<BTreeSet<_>>();
        let mut members = BTreeMap::new();
        let mut log = BTreeMap::new();
        for &home in &homes {
            let group = self.groups[home]
                .as_ref()
                .context("the imported instance was dropped")?;
            members.extend(
                group
                    .members
                    .iter()
                    .map(|(&instance, part)| (instance, part.clone())),
            );
            log.extend(
                group
                    .log
                    .iter()
                    .map(|(&number, call)| (number, call.clone())),
            );
        }
        let id = InstanceId(self.homes.len());
        members.insert(id, Part { module, providers });

        let mut group = self.link(members, log)?;
        for call in group.log.values().cloned().collect::<Vec<_>>() {
            // The outcome, which can be a trap, was checked after the first call.
            let _ = group.call(&call);
        }
        let new_home = self.groups.len();
        self.groups.push(Some(group));
        self.homes.push(new_home);
        for &home in &homes {
            if self.groups[home].as_ref().is_some_and(Group::has_state) {
                self.groups[home] = None;
                self.homes
                    .iter_mut()
                    .filter(|other| **other == home)
                    .for_each(|other| *other = new_home);
            }
        }
        Ok(id)
    }

    /// Links instances in a new component. `log` is not replayed.
    fn link(
        &self,
        members: BTreeMap<InstanceId, Part<L::Module>>,
        log: BTreeMap<usize, Call<L::Value>>,
    ) -> Result<Group<L>> {
        let positions = members.keys().copied().zip(0..).collect::<HashMap<_, _>>();
        let resolve = |part: &Part<L::Module>| Member {
            module: part.module.clone(),
            providers: part
                .providers
                .iter()
                .map(|(name, provider)| (name.clone(), positions[provider]))
                .collect(),
        };
        let linked = L::link(
            self.engine,
            &members.values().map(resolve).collect::<Vec<_>>(),
        )?;
        Ok(Group {
            members,
            log,
            linked,
        })
    }

    /// Calls an exported function.
    ///
    /// # Errors
    ///
    /// Fails if there is no such function, or if it traps.
    pub(crate) fn call(
        &mut self,
        instance: InstanceId,
        name: &str,
        args: &[L::Value],
    ) -> Result<Vec<L::Value>> {
        let call = Call {
            instance,
            name: name.into(),
            args: args.into(),
        };
        let number = self.calls;
        self.calls += 1;
        let group = self.group(instance)?;
        let results = group.call(&call);
        group.log.insert(number, call);
        results
    }

    /// Drops the group of an instance that the script can no longer name, unless it contains other
    /// instances of the script.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        let home = self.homes[instance.0];
        if self.homes.iter().filter(|&&other| other == home).count() == 1 {
            self.groups[home] = None;
        }
    }

    fn group(&mut self, instance: InstanceId) -> Result<&mut Group<L>> {
        self.groups[self.homes[instance.0]]
            .as_mut()
            .context("the instance was dropped")
    }
}

impl Instances<'_, LinkedCore> {
    /// Returns the value of an exported global.
    ///
    /// # Errors
    ///
    /// Fails if there is no such global.
    pub(crate) fn global(&mut self, instance: InstanceId, name: &str) -> Result<CoreValue> {
        let group = self.group(instance)?;
        let position = group.position(instance);
        let LinkedCore {
            live,
            first_instance,
        } = &mut group.linked;
        live.core_global(*first_instance + position, name)
    }
}
