//! [`Arena`]: items by [`Key`], whose room is reused.

/// The name of an item of an arena. It never names a later item that is in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// Items by key. Adding and removing takes a few instructions and usually no allocation.
pub struct Arena<T> {
    slots: Vec<Slot<T>>,
    /// The first slot without an item, or [`NONE`].
    free: u32,
    len: usize,
}

struct Slot<T> {
    generation: u32,
    /// The next slot without an item, if this one has none.
    next: u32,
    item: Option<T>,
}

/// The most items that an arena keeps room for when it is [emptied](Arena::emptied).
const KEPT: usize = 16;

/// The end of the list of slots without an item.
const NONE: u32 = u32::MAX;

impl<T> Arena<T> {
    pub const fn new() -> Self {
        Arena {
            slots: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// Returns an empty arena that has the room of this one, unless that is much.
    pub fn emptied(mut self) -> Self {
        self.slots.clear();
        let slots = match self.slots.capacity() <= KEPT {
            true => self.slots,
            false => Vec::new(),
        };
        Arena {
            slots,
            ..Arena::new()
        }
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn add(&mut self, item: T) -> Key {
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            slot.item = Some(item);
            let key = Key {
                index: self.free,
                generation: slot.generation,
            };
            self.free = slot.next;
            return key;
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot {
            generation: 0,
            next: NONE,
            item: Some(item),
        });
        Key {
            index,
            generation: 0,
        }
    }

    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        (slot.generation == key.generation)
            .then_some(slot.item.as_ref())
            .flatten()
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation)
            .then_some(slot.item.as_mut())
            .flatten()
    }

    /// Returns all items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.item.as_ref())
    }

    /// Returns all items, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.item.as_mut())
    }

    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let item = slot.item.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.free;
        self.free = key.index;
        self.len -= 1;
        Some(item)
    }
}

impl<T> std::ops::Index<Key> for Arena<T> {
    type Output = T;

    fn index(&self, key: Key) -> &T {
        self.get(key).expect("the item is in the arena")
    }
}

impl<T> std::ops::IndexMut<Key> for Arena<T> {
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.get_mut(key).expect("the item is in the arena")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_name_later_items() {
        let mut arena = Arena::new();
        let first = arena.add("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.add("second");
        assert_ne!(first, second);
        assert_eq!(
            (arena.get(first), arena.get(second)),
            (None, Some(&"second"))
        );
        assert_eq!(arena.remove(first), None);
        assert_eq!((arena.len(), arena[second]), (1, "second"));
        assert!(arena.iter().eq([&"second"]));
        // Free slots are used again before there are new ones.
        let more = ["third", "fourth"].map(|item| arena.add(item));
        assert_eq!(
            more.map(|key| arena.remove(key)),
            [Some("third"), Some("fourth")]
        );
        let again = ["fifth", "sixth"].map(|item| arena.add(item));
        assert_eq!((arena.len(), arena.slots.len()), (3, 3));
        assert_eq!(again.map(|key| arena[key]), ["fifth", "sixth"]);
    }

    #[test]
    fn an_emptied_arena_is_as_a_new_one() {
        let mut arena = Arena::new();
        let keys = [1, 2].map(|item| arena.add(item));
        arena.remove(keys[0]);
        let room = arena.slots.capacity();
        let mut arena = arena.emptied();
        assert_eq!((arena.len(), arena.slots.capacity()), (0, room));
        assert!(keys.iter().all(|&key| arena.get(key).is_none()));
        assert_eq!([3, 4].map(|item| arena.add(item)), keys);
        (0..KEPT).for_each(|item| _ = arena.add(item));
        assert_eq!(arena.emptied().slots.capacity(), 0);
    }
}
