//! Core instances of a script that import from each other.
//!
//! A script instantiates one module after the other, calls functions in between, and lets later modules import what earlier
//! instances export. A component is a closed world instead. So instances that share state are put into one component:
//! when a module imports from earlier instances, a new component is built of *their* modules and the new one, is
//! instantiated, and every call that the script has made on the earlier instances so far is made again there. From then
//! on the script's instances live in the new component. What this cannot express is an instantiation that fails half way
//! and leaves its marks in instances that go on living: the component that traps while it is instantiated is gone.

use crate::core_value::CoreValue;
use crate::engine::Live;
use crate::wrap::{self, CoreModule, Member};
use anyhow::{Context, Result};
use hashbrown::HashMap;
use mintage::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A core instance of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(usize);

/// All core instances of one script.
pub(crate) struct CoreInstances<'e> {
    engine: &'e Engine,
    /// The group in which each instance lives; its number stays its own when it is gone.
    homes: Vec<usize>,
    /// Components, by number; `None` when no instance lives there any longer.
    groups: Vec<Option<Group>>,
    calls: usize,
}

/// A component, some of whose core instances are instances of the script. Others may be copies: an instance without state
/// is not moved when a module imports from it but gets a copy in the new component.
struct Group {
    members: BTreeMap<InstanceId, Part>,
    /// Every call that the script made on members, by its number.
    log: BTreeMap<usize, Call>,
    live: Live,
    first_instance: u32,
}

#[derive(Clone)]
struct Part {
    module: Rc<CoreModule>,
    /// Who provides the imports from each module name.
    providers: Vec<(String, InstanceId)>,
}

#[derive(Clone)]
struct Call {
    instance: InstanceId,
    name: Rc<str>,
    args: Rc<[CoreValue]>,
}

impl Group {
    fn position(&self, instance: InstanceId) -> u32 {
        self.first_instance + self.members.range(..instance).count() as u32
    }

    fn call(&mut self, call: &Call) -> Result<Vec<CoreValue>> {
        let position = self.position(call.instance);
        self.live.core_call(position, &call.name, &call.args)
    }

    fn has_state(&self) -> bool {
        self.members.values().any(|part| part.module.has_state)
    }
}

impl<'e> CoreInstances<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            homes: Vec::new(),
            groups: Vec::new(),
            calls: 0,
        }
    }

    /// Instantiates `module`, which finds the instances it imports from in `registered`.
    ///
    /// # Errors
    ///
    /// When an import is unknown or of another type, or when instantiation traps. Nothing has changed then.
    pub(crate) fn instantiate(
        &mut self,
        module: Rc<CoreModule>,
        registered: &HashMap<String, InstanceId>,
    ) -> Result<InstanceId> {
        let find = |name: &str| registered.get(name).map(|&instance| (name.to_string(), instance));
        let providers = module.imported_modules().filter_map(find).collect::<Vec<_>>();
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
            members.extend(group.members.iter().map(|(&instance, part)| (instance, part.clone())));
            log.extend(group.log.iter().map(|(&number, call)| (number, call.clone())));
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

    fn link(&self, members: BTreeMap<InstanceId, Part>, log: BTreeMap<usize, Call>) -> Result<Group> {
        let positions = members.keys().copied().zip(0..).collect::<HashMap<_, _>>();
        let resolve = |part: &Part| Member {
            module: part.module.clone(),
            providers: part
                .providers
                .iter()
                .map(|(name, provider)| (name.clone(), positions[provider]))
                .collect(),
        };
        let linked = wrap::linked(&members.values().map(resolve).collect::<Vec<_>>());
        let live = Live::new(self.engine, &linked.bytes)?;
        Ok(Group {
            members,
            log,
            live,
            first_instance: linked.first_instance,
        })
    }

    /// Calls an exported function.
    ///
    /// # Errors
    ///
    /// When there is no such function, or when it traps.
    pub(crate) fn call(&mut self, instance: InstanceId, name: &str, args: &[CoreValue]) -> Result<Vec<CoreValue>> {
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

    /// The value of an exported global.
    ///
    /// # Errors
    ///
    /// When there is no such global.
    pub(crate) fn global(&mut self, instance: InstanceId, name: &str) -> Result<CoreValue> {
        let group = self.group(instance)?;
        let position = group.position(instance);
        group.live.core_global(position, name)
    }

    /// Drops the component in which `instance` lives, if no other instance of the script does. The script will not name the
    /// instance again.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        let home = self.homes[instance.0];
        if self.homes.iter().filter(|&&other| other == home).count() == 1 {
            self.groups[home] = None;
        }
    }

    fn group(&mut self, instance: InstanceId) -> Result<&mut Group> {
        self.groups[self.homes[instance.0]]
            .as_mut()
            .context("the instance was dropped")
    }
}
