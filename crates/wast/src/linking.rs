//! Instances of a script that import from each other.
//!
//! A script instantiates one module after the other, calls functions in between, and lets later
//! modules import what earlier instances export. A component is a closed world instead. So
//! instances that share state are put into one component: when a module imports from earlier
//! instances, a new component is built of *their* modules and the new one, is instantiated, and
//! every call that the script has made on the earlier instances so far is made again there. From
//! then on the script's instances live in the new component. What this cannot express is an
//! instantiation that fails half way and leaves its marks in instances that go on living: the
//! component that traps while it is instantiated is gone.
//!
//! The same is done for components that import instances of earlier components: all become parts of
//! one component.

use crate::component::{self, ComponentDefinition};
use crate::core_value::CoreValue;
use crate::engine::Live;
use crate::wrap::{self, CoreModule, Member};
use hashbrown::HashMap;
use mintage::error::{Context, Result};
use mintage::{Engine, Val};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What is linked: core modules or components.
pub(crate) trait Kind: Sized {
    /// What the script instantiates.
    type Module;
    /// Arguments and results of calls.
    type Value: Clone;

    /// The names of what `module` imports.
    fn imports(module: &Self::Module) -> Vec<&str>;
    /// Whether an instance can change.
    fn has_state(module: &Self::Module) -> bool;
    /// A component with an instance of each of `members`.
    fn link(engine: &Engine, members: &[Member<Self::Module>]) -> Result<Self>;
    /// Calls an exported function of the instance at `position`.
    fn call(&mut self, position: u32, name: &str, args: &[Self::Value])
    -> Result<Vec<Self::Value>>;
}

/// A component whose core instances are instances of the script.
pub(crate) struct Core {
    live: Live,
    first_instance: u32,
}

impl Kind for Core {
    type Module = CoreModule;
    type Value = CoreValue;

    fn imports(module: &CoreModule) -> Vec<&str> {
        module.imported_modules().collect()
    }

    fn has_state(module: &CoreModule) -> bool {
        module.has_state
    }

    fn link(engine: &Engine, members: &[Member<CoreModule>]) -> Result<Core> {
        let linked = wrap::linked(members);
        Ok(Core {
            live: Live::new(engine, &linked.bytes)?,
            first_instance: linked.first_instance,
        })
    }

    fn call(&mut self, position: u32, name: &str, args: &[CoreValue]) -> Result<Vec<CoreValue>> {
        self.live
            .core_call(self.first_instance + position, name, args)
    }
}

/// A component of the script, or one that has instances of several as exports.
pub(crate) struct Composed {
    live: Live,
    is_single: bool,
}

impl Kind for Composed {
    type Module = ComponentDefinition;
    type Value = Val;

    fn imports(module: &ComponentDefinition) -> Vec<&str> {
        module.imports().collect()
    }

    fn has_state(_: &ComponentDefinition) -> bool {
        true
    }

    fn link(engine: &Engine, members: &[Member<ComponentDefinition>]) -> Result<Composed> {
        let single = match members {
            [single] => single.module.component.as_ref(),
            _ => None,
        };
        let live = match single {
            Some(component) => Live::of(component)?,
            None => Live::new(engine, &component::composed(members))?,
        };
        Ok(Composed {
            live,
            is_single: single.is_some(),
        })
    }

    fn call(&mut self, position: u32, name: &str, args: &[Val]) -> Result<Vec<Val>> {
        let instance = (!self.is_single).then(|| component::export_name(position as usize));
        self.live.call(instance.as_deref(), name, args)
    }
}

/// An instance of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(usize);

/// All instances of one kind of one script.
pub(crate) struct Instances<'e, K: Kind> {
    engine: &'e Engine,
    /// The group in which each instance lives; its number stays its own when it is gone.
    homes: Vec<usize>,
    /// Components, by number; `None` when no instance lives there any longer.
    groups: Vec<Option<Group<K>>>,
    calls: usize,
}

/// A component, some of whose instances are instances of the script. Others may be copies: an
/// instance without state is not moved when a module imports from it but gets a copy in the new
/// component.
struct Group<K: Kind> {
    members: BTreeMap<InstanceId, Part<K::Module>>,
    /// Every call that the script made on members, by its number.
    log: BTreeMap<usize, Call<K::Value>>,
    linked: K,
}

struct Part<M> {
    module: Rc<M>,
    /// Who provides the imports from each module name.
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

#[derive(Clone)]
struct Call<V> {
    instance: InstanceId,
    name: Rc<str>,
    args: Rc<[V]>,
}

impl<K: Kind> Group<K> {
    fn position(&self, instance: InstanceId) -> u32 {
        self.members.range(..instance).count() as u32
    }

    fn call(&mut self, call: &Call<K::Value>) -> Result<Vec<K::Value>> {
        let position = self.position(call.instance);
        self.linked.call(position, &call.name, &call.args)
    }

    fn has_state(&self) -> bool {
        self.members.values().any(|part| K::has_state(&part.module))
    }
}

impl<'e, K: Kind> Instances<'e, K> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            homes: Vec::new(),
            groups: Vec::new(),
            calls: 0,
        }
    }

    /// Instantiates `module`; `provider` finds the instance that it imports from by name.
    ///
    /// # Errors
    ///
    /// When an import is unknown or of another type, or when instantiation traps. Nothing has
    /// changed then.
    pub(crate) fn instantiate(
        &mut self,
        module: Rc<K::Module>,
        provider: impl Fn(&str) -> Option<InstanceId>,
    ) -> Result<InstanceId> {
        let find = |name: &str| provider(name).map(|instance| (name.to_string(), instance));
        let providers = K::imports(&module)
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
                .context("an instance that was dropped is imported from")?;
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
            // The script has seen the outcome, which may be a trap.
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

    fn link(
        &self,
        members: BTreeMap<InstanceId, Part<K::Module>>,
        log: BTreeMap<usize, Call<K::Value>>,
    ) -> Result<Group<K>> {
        let positions = members.keys().copied().zip(0..).collect::<HashMap<_, _>>();
        let resolve = |part: &Part<K::Module>| Member {
            module: part.module.clone(),
            providers: part
                .providers
                .iter()
                .map(|(name, provider)| (name.clone(), positions[provider]))
                .collect(),
        };
        let linked = K::link(
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
    /// When there is no such function, or when it traps.
    pub(crate) fn call(
        &mut self,
        instance: InstanceId,
        name: &str,
        args: &[K::Value],
    ) -> Result<Vec<K::Value>> {
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

    /// Drops the component in which `instance` lives, if no other instance of the script does. The
    /// script will not name the instance again.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        let home = self.homes[instance.0];
        if self.homes.iter().filter(|&&other| other == home).count() == 1 {
            self.groups[home] = None;
        }
    }

    fn group(&mut self, instance: InstanceId) -> Result<&mut Group<K>> {
        self.groups[self.homes[instance.0]]
            .as_mut()
            .context("the instance was dropped")
    }
}

impl Instances<'_, Core> {
    /// The value of an exported global.
    ///
    /// # Errors
    ///
    /// When there is no such global.
    pub(crate) fn global(&mut self, instance: InstanceId, name: &str) -> Result<CoreValue> {
        let group = self.group(instance)?;
        let position = group.position(instance);
        let Core {
            live,
            first_instance,
        } = &mut group.linked;
        live.core_global(*first_instance + position, name)
    }
}
