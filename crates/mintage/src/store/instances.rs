//! [`Instances`]: the instances of a store, by numbers that are never used again.

use crate::error::Result;
use crate::types::StoreInstanceId;
use mintage_environ::{Index, limit};
use std::collections::VecDeque;
use std::ops;

/// The instances of a store. Names of an instance (`Instance`, `Func`) outlive it, so each instance
/// has a number of its own.
///
/// Most stores have one instance, which is found without a list.
pub(crate) struct Instances<I> {
    first: Option<I>,
    /// Whether there was a first instance.
    has_begun: bool,
    /// The others. Their numbers here are less by one.
    others: Slots<I>,
}

/// Instances by their number. The number of an instance, modulo the number of slots, is its slot.
/// The instances that a slot has one after the other are that many numbers apart. When the slots
/// are doubled, each instance keeps its number: it is in its old slot, or in the one that is the
/// old number of slots further.
struct Slots<I> {
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
    #[inline]
    fn default() -> Self {
        Self {
            first: None,
            has_begun: false,
            others: Slots {
                slots: Vec::new(),
                free: VecDeque::new(),
            },
        }
    }
}

impl<I> Instances<I> {
    /// Returns the number of the next instance.
    ///
    /// # Errors
    ///
    /// If there was an instance with each number.
    #[inline]
    pub fn next(&mut self) -> Result<StoreInstanceId> {
        if !self.has_begun {
            return Ok(StoreInstanceId::from_u32(0));
        }
        let number = self.others.next().and_then(|number| number.checked_add(1));
        Ok(StoreInstanceId::from_u32(number.ok_or_else(|| {
            limit!(
                Instances,
                "the store has had as many instances as it can number; use another store"
            )
        })?))
    }

    /// Adds the instance with the number that [`next`](Self::next) has returned.
    #[inline]
    pub fn push(&mut self, instance: I) {
        match self.has_begun {
            true => self.others.push(instance),
            false => {
                self.first = Some(instance);
                self.has_begun = true;
            }
        }
    }

    /// Returns an instance, unless it was removed or never existed.
    #[inline]
    pub fn get(&self, id: StoreInstanceId) -> Option<&I> {
        match id.as_u32().checked_sub(1) {
            None => self.first.as_ref(),
            Some(number) => self.others.get(number),
        }
    }

    /// Returns an instance, as [`get`](Self::get) does.
    pub fn get_mut(&mut self, id: StoreInstanceId) -> Option<&mut I> {
        self.get(id)?;
        Some(&mut self[id])
    }

    /// Removes an instance.
    pub fn remove(&mut self, id: StoreInstanceId) -> Option<I> {
        match id.as_u32().checked_sub(1) {
            None => self.first.take(),
            Some(number) => self.others.remove(number),
        }
    }
}

impl<I> Slots<I> {
    /// Returns the number of the next instance, or `None` if there was one with each number.
    fn next(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.double();
        }
        let slot = *self.free.front()?;
        Some(self.slots[slot as usize].number)
    }

    /// Adds the instance with the number that [`next`](Self::next) has returned.
    fn push(&mut self, instance: I) {
        if let Some(slot) = self.free.pop_front() {
            self.slots[slot as usize].instance = Some(instance);
        }
    }

    #[inline]
    fn get(&self, number: u32) -> Option<&I> {
        let slot = self.slots.get(self.slot(number))?;
        slot.instance.as_ref().filter(|_| slot.number == number)
    }

    fn remove(&mut self, number: u32) -> Option<I> {
        self.get(number)?;
        let (index, step) = (self.slot(number), self.slots.len() as u32);
        let slot = &mut self.slots[index];
        // A slot whose numbers are used up stays empty.
        if let Some(next) = slot.number.checked_add(step) {
            slot.number = next;
            self.free.push_back(index as u32);
        }
        slot.instance.take()
    }

    #[inline]
    fn slot(&self, number: u32) -> usize {
        number as usize & self.slots.len().wrapping_sub(1)
    }

    /// Doubles the number of slots, if there are numbers for new ones.
    fn double(&mut self) {
        if self.slots.is_empty() {
            self.slots.push(Slot {
                number: 0,
                instance: None,
            });
            self.free.push_back(0);
            return;
        }
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
        self.get(id).expect("the instance is in use")
    }
}

impl<I> ops::IndexMut<StoreInstanceId> for Instances<I> {
    #[inline]
    fn index_mut(&mut self, id: StoreInstanceId) -> &mut I {
        let instance = match id.as_u32().checked_sub(1) {
            None => self.first.as_mut(),
            Some(number) => {
                let slot = self.others.slot(number);
                let slot = &mut self.others.slots[slot];
                debug_assert_eq!(slot.number, number);
                slot.instance.as_mut()
            }
        };
        instance.expect("the instance is in use")
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
        let slots = instances.others.slots.len();
        assert!(slots <= 256, "{slots}");
    }

    #[test]
    fn a_store_whose_numbers_are_used_up_says_so() {
        let mut instances = Instances::default();
        let first = add(&mut instances, 0);
        let second = add(&mut instances, 1);
        let third = add(&mut instances, 2);
        instances.others.slots[1].number = u32::MAX - 2;
        assert_eq!(
            instances.remove(StoreInstanceId::from_u32(u32::MAX - 1)),
            Some(2)
        );
        assert_eq!(instances.get(third), None);
        // The number after the last one is not used, nor is the slot again.
        instances.others.slots[1].number = u32::MAX;
        instances.others.free.clear();
        assert_eq!(add(&mut instances, 3).as_u32(), 3);
        assert_eq!((instances[first], instances[second]), (0, 1));
        for slot in &mut instances.others.slots {
            slot.number = u32::MAX;
        }
        instances.others.free.clear();
        let slots = instances.others.slots.len();
        let error = instances.next().unwrap_err().to_string();
        assert!(error.contains("use another store"), "{error}");
        assert_eq!(instances.others.slots.len(), slots);
    }
}
