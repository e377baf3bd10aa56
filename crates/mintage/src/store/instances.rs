//! [`Instances`]: the instances of a store, by numbers that are never used again.

use crate::error::Result;
use crate::types::StoreInstanceId;
use mintage_environ::{Index, limit};
use std::collections::VecDeque;
use std::ops;

/// The instances of a store. Names of an instance (`Instance`, `Func`) outlive it, so each instance
/// has a number of its own.
///
/// The number of an instance, modulo the number of slots, is its slot. The instances that a slot
/// has one after the other are that many numbers apart. When the slots are doubled, each instance
/// keeps its number: it is in its old slot, or in the one that is the old number of slots further.
pub(crate) struct Instances<I> {
    /// As many as a power of two, or none.
    slots: Vec<Slot<I>>,
    /// The empty slots that still have a number, those first that have been empty for longest.
    free: VecDeque<u32>,
}

struct Slot<I> {
    /// The number of its instance, or that of its next one.
    number: u32,
    instance: Option<I>,
}

impl<I> Default for Instances<I> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
        }
    }
}

impl<I> Instances<I> {
    /// Returns the number of the next instance.
    ///
    /// # Errors
    ///
    /// If there was an instance with each number.
    pub fn next(&mut self) -> Result<StoreInstanceId> {
        // Most stores have one instance, which costs no list of free slots.
        if self.slots.is_empty() {
            return Ok(StoreInstanceId::from_u32(0));
        }
        if self.free.is_empty() {
            self.double();
        }
        let next = self.free.front().map(|&slot| &self.slots[slot as usize]);
        match next {
            Some(slot) => Ok(StoreInstanceId::from_u32(slot.number)),
            None => Err(limit!(
                Instances,
                "the store has had as many instances as it can number; use another store"
            )
            .into()),
        }
    }

    /// Adds the instance with the number that [`next`](Self::next) has returned.
    pub fn push(&mut self, instance: I) {
        if self.slots.is_empty() {
            self.slots.push(Slot {
                number: 0,
                instance: Some(instance),
            });
        } else if let Some(slot) = self.free.pop_front() {
            self.slots[slot as usize].instance = Some(instance);
        }
    }

    /// Returns an instance, unless it was removed or never existed.
    #[inline]
    pub fn get(&self, id: StoreInstanceId) -> Option<&I> {
        let slot = self.slots.get(self.slot(id))?;
        slot.instance
            .as_ref()
            .filter(|_| slot.number == id.as_u32())
    }

    /// Removes an instance.
    pub fn remove(&mut self, id: StoreInstanceId) -> Option<I> {
        self.get(id)?;
        let (index, step) = (self.slot(id), self.slots.len() as u32);
        let slot = &mut self.slots[index];
        // A slot whose numbers are used up stays empty.
        if let Some(next) = slot.number.checked_add(step) {
            slot.number = next;
            self.free.push_back(index as u32);
        }
        slot.instance.take()
    }

    #[inline]
    fn slot(&self, id: StoreInstanceId) -> usize {
        id.index() & self.slots.len().wrapping_sub(1)
    }

    /// Doubles the number of slots, if there are numbers for new ones.
    fn double(&mut self) {
        let old = self.slots.len() as u32;
        let splits = |slot: &Slot<I>| slot.number.checked_add(old).is_some();
        let Some(new) = old.checked_mul(2).filter(|_| self.slots.iter().any(splits)) else {
            return;
        };
        let slots = std::mem::take(&mut self.slots);
        let mut placed: Vec<Option<Slot<I>>> = (0..new).map(|_| None).collect();
        for slot in slots {
            let number = slot.number;
            placed[(number & (new - 1)) as usize] = Some(slot);
            // Of the numbers for the other of the two slots, this is the first that was not used.
            if let Some(number) = number.checked_add(old) {
                let index = number & (new - 1);
                placed[index as usize] = Some(Slot {
                    number,
                    instance: None,
                });
                self.free.push_back(index);
            }
        }
        let unusable = || Slot {
            number: 0,
            instance: None,
        };
        let placed = placed.into_iter();
        self.slots = placed.map(|slot| slot.unwrap_or_else(unusable)).collect();
    }
}

impl<I> ops::Index<StoreInstanceId> for Instances<I> {
    type Output = I;

    /// # Panics
    ///
    /// If the instance was removed or never existed.
    #[inline]
    fn index(&self, id: StoreInstanceId) -> &I {
        let slot = &self.slots[self.slot(id)];
        debug_assert_eq!(slot.number, id.as_u32());
        slot.instance.as_ref().expect("the instance is in use")
    }
}

impl<I> ops::IndexMut<StoreInstanceId> for Instances<I> {
    #[inline]
    fn index_mut(&mut self, id: StoreInstanceId) -> &mut I {
        let slot = self.slot(id);
        let slot = &mut self.slots[slot];
        debug_assert_eq!(slot.number, id.as_u32());
        slot.instance.as_mut().expect("the instance is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn add(instances: &mut Instances<u32>, value: u32) -> StoreInstanceId {
        let id = instances.next().unwrap();
        instances.push(value);
        id
    }

    #[test]
    fn numbers_are_not_used_again() {
        let mut instances = Instances::default();
        let (mut live, mut seen) = (HashMap::new(), HashSet::new());
        let mut random = 1_u32;
        for value in 0..20_000 {
            let id = add(&mut instances, value);
            assert!(seen.insert(id), "{id:?} is used twice");
            live.insert(id, value);
            // A number of live ones that goes up and down.
            let most = if value < 10_000 { value / 100 } else { 20 } as usize;
            while live.len() > most {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (random >> 8) as usize % live.len();
                let id = *live.keys().nth(at).unwrap();
                assert_eq!(instances.remove(id), live.remove(&id));
                assert_eq!(instances.get(id), None);
                assert_eq!(instances.remove(id), None);
            }
            for (&id, &value) in &live {
                assert_eq!((instances.get(id), instances[id]), (Some(&value), value));
            }
        }
        assert!(instances.slots.len() <= 256, "{}", instances.slots.len());
    }

    #[test]
    fn a_store_whose_numbers_are_used_up_says_so() {
        let mut instances = Instances::default();
        let first = add(&mut instances, 1);
        let second = add(&mut instances, 2);
        instances.slots[1].number = u32::MAX;
        assert_eq!(
            instances.remove(StoreInstanceId::from_u32(u32::MAX)),
            Some(2)
        );
        assert_eq!(instances.get(second), None);
        // The slot is not used again. Others take its place.
        assert_eq!(add(&mut instances, 3).as_u32(), 2);
        assert_eq!(instances.get(first), Some(&1));
        for slot in &mut instances.slots {
            slot.number = u32::MAX;
        }
        instances.free.clear();
        let slots = instances.slots.len();
        let error = instances.next().unwrap_err().to_string();
        assert!(error.contains("use another store"), "{error}");
        assert_eq!(instances.slots.len(), slots);
    }
}
