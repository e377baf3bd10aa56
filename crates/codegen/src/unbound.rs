//! [`UnboundFunction`]: machine code without the names and the place of its function.

use crate::abi;
use crate::compiled::{CompiledFunction, Relocation, RelocationKind};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{Function, UserExternalName};
use mintage_environ::{CatchSite, FrameSlots, FuncKey, Handlers, StackMap, Trap};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The machine code of a function, and its tables, as far as they depend on its intermediate code
/// alone. [`bind`](Self::bind) adds the rest.
pub(crate) struct UnboundFunction {
    pub code: Vec<u8>,
    pub alignment: u32,
    pub loops: Vec<Range<u32>>,
    /// Sorted by offset.
    pub relocations: Vec<UnboundRelocation>,
    pub traps: Vec<(u32, Trap)>,
    pub catches: Vec<CatchSite>,
    pub stack_maps: Vec<StackMap>,
    /// As in a [`CompiledFunction`], but relative to the location of the function.
    pub addresses: Vec<(u32, u32)>,
}

/// A [`Relocation`] whose target is a number among the names that the function declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnboundRelocation {
    pub offset: u32,
    pub kind: RelocationKind,
    pub name: u32,
    pub addend: i64,
}

/// Returns the names that a function declares, by their numbers.
pub(crate) fn names(func: &Function) -> Vec<UserExternalName> {
    func.params.user_named_funcs().values().cloned().collect()
}

/// A location that is no place in the source.
pub(crate) const NO_LOCATION: u32 = u32::MAX;

impl UnboundFunction {
    /// Returns the function `key`, which declares `names`. `start` is its location.
    ///
    /// # Errors
    ///
    /// If a relocation names nothing that is declared.
    pub fn bind(
        self,
        key: FuncKey,
        names: &[UserExternalName],
        start: u32,
    ) -> Result<CompiledFunction> {
        let bind = |relocation: UnboundRelocation| {
            let name = names.get(relocation.name as usize);
            let name = name.context("internal error: a relocation has no name")?;
            Ok(Relocation {
                offset: relocation.offset,
                kind: relocation.kind,
                target: abi::relocation_target(name)?,
                addend: relocation.addend,
            })
        };
        let relocations = self.relocations.into_iter().map(bind);
        let mut addresses = self.addresses;
        for (_, location) in &mut addresses {
            if *location != NO_LOCATION {
                *location = start.wrapping_add(*location);
            }
        }
        Ok(CompiledFunction {
            key,
            relocations: relocations.collect::<Result<_>>()?,
            addresses,
            code: self.code,
            alignment: self.alignment,
            loops: self.loops,
            traps: self.traps,
            catches: self.catches,
            stack_maps: self.stack_maps,
        })
    }

    /// Returns the function as bytes. `None` if it has a form that cannot be kept.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut handlers = Shared::default();
        let mut slots = Shared::default();
        let encoded = Encoded {
            code: &self.code,
            alignment: self.alignment,
            loops: self.loops.iter().map(|at| (at.start, at.end)).collect(),
            relocations: self.relocations.clone(),
            traps: self.traps.clone(),
            catches: (self.catches.iter())
                .map(|site| {
                    (
                        site.return_offset,
                        site.frame_size,
                        handlers.number(&site.handlers),
                    )
                })
                .collect(),
            stack_maps: (self.stack_maps.iter())
                .map(|map| (map.return_offset, slots.number(&map.slots)))
                .collect(),
            handlers: handlers.items,
            slots: slots
                .items
                .iter()
                .map(|slots| slots.encoded().to_vec())
                .collect(),
            addresses: self.addresses.clone(),
        };
        postcard::to_stdvec(&encoded).ok()
    }

    /// Returns the function that [`encode`](Self::encode) made `bytes` of. `None` if they are
    /// something else.
    pub fn decode(bytes: &[u8]) -> Option<UnboundFunction> {
        let encoded: Encoded<'_> = postcard::from_bytes(bytes).ok()?;
        let handlers = encoded.handlers;
        let slots = encoded.slots.into_iter().map(|words| {
            let slots = FrameSlots::new(FrameSlots::decode(words.into_iter()))?;
            Some(Arc::new(slots))
        });
        let slots: Vec<Arc<FrameSlots>> = slots.collect::<Option<_>>()?;
        let catch = |(return_offset, frame_size, list)| {
            Some(CatchSite {
                return_offset,
                frame_size,
                handlers: handlers.get(list as usize)?.clone(),
            })
        };
        let stack_map = |(return_offset, set)| {
            Some(StackMap {
                return_offset,
                slots: slots.get(set as usize)?.clone(),
            })
        };
        Some(UnboundFunction {
            code: encoded.code.to_vec(),
            alignment: encoded.alignment,
            loops: encoded
                .loops
                .into_iter()
                .map(|(start, end)| start..end)
                .collect(),
            relocations: encoded.relocations,
            traps: encoded.traps,
            catches: encoded
                .catches
                .into_iter()
                .map(catch)
                .collect::<Option<_>>()?,
            stack_maps: encoded
                .stack_maps
                .into_iter()
                .map(stack_map)
                .collect::<Option<_>>()?,
            addresses: encoded.addresses,
        })
    }
}

/// The form of a function in bytes. Lists that several calls share are there once.
#[derive(Serialize, Deserialize)]
struct Encoded<'a> {
    code: &'a [u8],
    alignment: u32,
    loops: Vec<(u32, u32)>,
    relocations: Vec<UnboundRelocation>,
    traps: Vec<(u32, Trap)>,
    catches: Vec<(u32, u32, u32)>,
    stack_maps: Vec<(u32, u32)>,
    handlers: Vec<Arc<Handlers>>,
    slots: Vec<Vec<u32>>,
    addresses: Vec<(u32, u32)>,
}

/// Numbers shared items, each once.
struct Shared<T: ?Sized> {
    items: Vec<Arc<T>>,
    numbers: HashMap<*const (), u32>,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: ?Sized> Shared<T> {
    fn number(&mut self, item: &Arc<T>) -> u32 {
        *self
            .numbers
            .entry(Arc::as_ptr(item).cast())
            .or_insert_with(|| {
                self.items.push(item.clone());
                self.items.len() as u32 - 1
            })
    }
}
