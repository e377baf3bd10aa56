//! The collector: moves what is reachable from one half of an object heap to the other, and so
//! forgets the rest.
//!
//! Objects are copied when a reference to them is first met, and those that were copied are read
//! through in order, which is breadth first and needs no list (Cheney, "A nonrecursive list
//! compacting algorithm", 1970). What was copied leaves its new place behind. The work is
//! proportional to what is reachable, not to what was allocated.
//!
//! A collection that is interrupted leaves objects of which some have moved and others have not.
//! The heap must not be used any more then.

use crate::bulk::Pauses;
use mintage_environ::objects::{ELEMENTS_OFFSET, LENGTH_OFFSET, ObjectLayout};
use mintage_environ::{IndexVec, ObjectTypeId, Trap};
use std::ops::Range;
use std::ptr;

/// Set in the header of an object that was copied; the rest of the header is then the new
/// reference, which is a multiple of 8. In other headers the bit is clear.
const MOVED: u32 = 1;

/// What reading through a byte of an object counts as, in bytes that are copied: each reference may
/// lead to memory that is in no cache.
const COST: u64 = 8;
/// Elements of an array that are read through between two tests.
const ELEMENTS: u64 = 1 << 10;

/// A collection under way.
pub struct Collection<'t> {
    /// The first byte of the heap: references are offsets from here.
    base: *mut u8,
    types: &'t IndexVec<ObjectTypeId, ObjectLayout>,
    /// The references that move.
    from: Range<u64>,
    /// The first copied object whose fields still refer to where objects were.
    unread: u64,
    /// Where the next object is copied to.
    next: u64,
    pauses: Pauses<'t>,
    /// Bytes of work until the next test.
    left: u64,
}

impl<'t> Collection<'t> {
    /// A collection of the objects in `from` of the heap at `base`, which are copied to `to` and
    /// what follows. What is asked of it fails with [`Trap::Interrupt`] when the guest is to stop.
    ///
    /// # Safety
    ///
    /// - The objects in `from`, and those at references that [`root`](Self::root) and
    ///   [`static_objects`](Self::static_objects) are given, are objects of `types`, one behind the other, and nobody
    ///   else uses the heap as long as this lives.
    /// - As many bytes behind `to` as `from` has are accessible, and hold nothing that is needed.
    pub unsafe fn new(
        base: *mut u8,
        types: &'t IndexVec<ObjectTypeId, ObjectLayout>,
        from: Range<u64>,
        to: u64,
        pauses: Pauses<'t>,
    ) -> Collection<'t> {
        Collection {
            base,
            types,
            from,
            unread: to,
            next: to,
            pauses,
            left: pauses.piece() as u64,
        }
    }

    /// Tests for interruption if that is due, before work on so many bytes.
    #[inline]
    fn pause(&mut self, bytes: u64) -> Result<(), Trap> {
        match self.left.checked_sub(bytes * COST) {
            Some(left) => self.left = left,
            None => self.test()?,
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn test(&mut self) -> Result<(), Trap> {
        self.left = self.pauses.piece() as u64;
        self.pauses.check()
    }

    /// Keeps what the reference in a word refers to, and updates the word.
    ///
    /// # Safety
    ///
    /// The word is valid for reads and writes, and holds a reference.
    pub unsafe fn root(&mut self, word: *mut u64) -> Result<(), Trap> {
        self.pause(size_of::<u64>() as u64)?;
        // SAFETY: as the caller promises.
        unsafe { word.write(u64::from(self.moved(word.read() as u32)?)) };
        Ok(())
    }

    /// Keeps what the objects in `range` refer to, which do not move themselves.
    ///
    /// # Safety
    ///
    /// Objects stand there, one behind the other.
    pub unsafe fn static_objects(&mut self, range: Range<u64>) -> Result<(), Trap> {
        let mut object = range.start;
        while object < range.end {
            object += self.read_through(object)?;
        }
        Ok(())
    }

    /// Copies all that is reachable from what was copied so far: the end of the copies.
    pub fn finish(mut self) -> Result<u64, Trap> {
        while self.unread < self.next {
            self.unread += self.read_through(self.unread)?;
        }
        Ok(self.next)
    }

    /// Updates the references in an object: its size.
    fn read_through(&mut self, object: u64) -> Result<u64, Trap> {
        let layout = self.layout(self.word(object));
        self.pause(u64::from(layout.size))?;
        for &field in &layout.traced {
            self.update(object + u64::from(field))?;
        }
        let length = self.length(object, layout);
        if layout.elements.is_some_and(|element| element.traced) {
            let (elements, length) = (object + u64::from(ELEMENTS_OFFSET), u64::from(length));
            for start in (0..length).step_by(ELEMENTS as usize) {
                let end = length.min(start + ELEMENTS);
                self.pause((end - start) * 4)?;
                for index in start..end {
                    self.update(elements + index * 4)?;
                }
            }
        }
        Ok(layout.size_of(length))
    }

    fn update(&mut self, field: u64) -> Result<(), Trap> {
        let reference = self.word(field);
        let moved = self.moved(reference)?;
        if moved != reference {
            self.set_word(field, moved);
        }
        Ok(())
    }

    /// What a reference is when the collection is over. Only those to objects change.
    #[inline]
    fn moved(&mut self, reference: u32) -> Result<u32, Trap> {
        // Neither null nor an integer nor a host's value, whose tags make it no multiple of 8, is
        // in the range.
        let is_object = self.from.contains(&u64::from(reference)) && reference.is_multiple_of(8);
        if !is_object {
            return Ok(reference);
        }
        let header = self.word(u64::from(reference));
        match header & MOVED {
            0 => self.copy(reference, header),
            _ => Ok(header & !MOVED),
        }
    }

    fn copy(&mut self, reference: u32, header: u32) -> Result<u32, Trap> {
        let source = u64::from(reference);
        let layout = self.layout(header);
        let size = layout.size_of(self.length(source, layout));
        let target = self.next;
        let (to, from) = (self.place(target), self.place(source));
        // SAFETY: the object is in the heap; there is room for all objects behind the first copy,
        // which is in another part of the heap.
        unsafe {
            match size as usize {
                size if size <= self.pauses.piece() => ptr::copy_nonoverlapping(from, to, size),
                size => self.pauses.copy(to, from, size)?,
            }
        }
        self.pause(size / COST)?;
        self.next += size;
        let target = target as u32;
        self.set_word(source, target | MOVED);
        Ok(target)
    }

    fn layout(&self, header: u32) -> &'t ObjectLayout {
        &self.types[ObjectTypeId::from_u32(header >> 1)]
    }

    /// The number of elements; 0 for what is no array.
    fn length(&self, object: u64, layout: &ObjectLayout) -> u32 {
        match layout.elements {
            Some(_) => self.word(object + u64::from(LENGTH_OFFSET)),
            None => 0,
        }
    }

    fn place(&self, offset: u64) -> *mut u8 {
        self.base.wrapping_add(offset as usize)
    }

    fn word(&self, offset: u64) -> u32 {
        // SAFETY: headers, lengths and fields of objects are aligned words of the heap.
        unsafe { self.place(offset).cast::<u32>().read() }
    }

    fn set_word(&self, offset: u64, word: u32) {
        // SAFETY: as above.
        unsafe { self.place(offset).cast::<u32>().write(word) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::tests::{RUNNING, STOPPED, of_piece};
    use mintage_environ::Reference;
    use mintage_environ::layout::HeapLayout;
    use mintage_environ::objects::{Stored, header};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const TRACED: Stored = Stored {
        size: 4,
        traced: true,
    };
    const HALF: u64 = 1 << 16;
    const FIXED: u64 = 64;
    const FIRST: u64 = FIXED + 4096;

    /// The types of the test: a pair of references around a number, an array of references, bytes,
    /// and a struct without any.
    fn types() -> IndexVec<ObjectTypeId, ObjectLayout> {
        let number = Stored {
            size: 8,
            traced: false,
        };
        let layouts = vec![
            ObjectLayout::of_fields([TRACED, number, TRACED]).unwrap().0,
            ObjectLayout::of_elements(TRACED),
            ObjectLayout::of_elements(Stored {
                size: 1,
                traced: false,
            }),
            ObjectLayout::of_fields([number]).unwrap().0,
        ];
        layouts.into()
    }

    /// An object of the plan: its type, its number, and what its fields refer to.
    #[derive(Clone, Debug)]
    struct Planned {
        ty: u32,
        number: u8,
        fields: Vec<Target>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Target {
        Null,
        I31(u32),
        Host(u32),
        Object(usize),
    }

    fn target() -> impl Strategy<Value = Target> {
        prop_oneof![
            1 => Just(Target::Null),
            1 => (0u32..1 << 31).prop_map(Target::I31),
            1 => (0u32..=Reference::MAX_HOST).prop_map(Target::Host),
            5 => any::<usize>().prop_map(Target::Object),
        ]
    }

    fn planned() -> impl Strategy<Value = Planned> {
        (0u32..4, any::<u8>(), vec(target(), 0..6)).prop_map(|(ty, number, mut fields)| {
            match ty {
                0 => fields.resize(2, Target::Null),
                1 => {}
                _ => fields.clear(),
            }
            Planned { ty, number, fields }
        })
    }

    /// A heap of memory.
    struct Heap {
        words: Vec<u64>,
        types: IndexVec<ObjectTypeId, ObjectLayout>,
    }

    impl Heap {
        fn base(&mut self) -> *mut u8 {
            self.words.as_mut_ptr().cast()
        }

        fn word(&self, offset: u32) -> u32 {
            let word = self.words[offset as usize / 8];
            (word >> (offset % 8 * 8)) as u32
        }

        fn set_word(&mut self, offset: u32, value: u32) {
            let (word, shift) = (&mut self.words[offset as usize / 8], offset % 8 * 8);
            *word = *word & !(0xffff_ffff << shift) | u64::from(value) << shift;
        }

        /// The length of an array of a plan: its fields, or as many bytes as its number says.
        fn length(object: &Planned) -> u32 {
            match object.ty {
                1 => object.fields.len() as u32,
                2 => u32::from(object.number),
                _ => 0,
            }
        }

        fn size(&self, object: &Planned) -> u64 {
            self.types[ObjectTypeId::from_u32(object.ty)].size_of(Self::length(object))
        }

        fn write(&mut self, at: u32, object: &Planned, references: &[u32]) {
            self.set_word(at, header(ObjectTypeId::from_u32(object.ty)));
            let number = u32::from(object.number);
            match object.ty {
                0 => self.set_word(at + 8, number),
                3 => self.set_word(at + 8, number),
                _ => self.set_word(at + 4, Self::length(object)),
            }
            let offsets: &[u32] = if object.ty == 0 {
                &[4, 16]
            } else {
                &[8, 12, 16, 20, 24, 28]
            };
            for (&field, &offset) in object.fields.iter().zip(offsets) {
                self.set_word(at + offset, reference(field, references));
            }
            if object.ty == 2 {
                for byte in 0..number {
                    let (offset, shift) = (at + 8 + (byte & !3), byte % 4 * 8);
                    let word = self.word(offset) & !(0xff << shift) | (byte ^ number) << shift;
                    self.set_word(offset, word);
                }
            }
        }

        /// Whether the graph from `actual` on is that of the plan from object `expected` on.
        fn matches(
            &self,
            actual: u32,
            expected: usize,
            plan: &[Planned],
            seen: &mut HashMap<usize, u32>,
        ) -> bool {
            let mut todo = vec![(actual, expected)];
            while let Some((actual, expected)) = todo.pop() {
                match seen.insert(expected, actual) {
                    Some(before) if before == actual => continue,
                    Some(_) => return false,
                    None => {}
                }
                let object = &plan[expected];
                if self.word(actual) != header(ObjectTypeId::from_u32(object.ty)) {
                    return false;
                }
                let number = u32::from(object.number);
                let content = match object.ty {
                    0 | 3 => self.word(actual + 8) == number,
                    1 => self.word(actual + 4) == object.fields.len() as u32,
                    _ => {
                        let byte =
                            |at: u32| self.word(actual + 8 + (at & !3)) >> (at % 4 * 8) & 0xff;
                        self.word(actual + 4) == number
                            && (0..number).all(|at| byte(at) == at ^ number)
                    }
                };
                if !content {
                    return false;
                }
                let offsets: &[u32] = if object.ty == 0 {
                    &[4, 16]
                } else {
                    &[8, 12, 16, 20, 24, 28]
                };
                for (&field, &offset) in object.fields.iter().zip(offsets) {
                    let found = self.word(actual + offset);
                    match field {
                        Target::Object(index) => todo.push((found, index % plan.len())),
                        other if found == reference(other, &[]) => {}
                        _ => return false,
                    }
                }
            }
            true
        }
    }

    fn reference(target: Target, references: &[u32]) -> u32 {
        match target {
            Target::Null => 0,
            Target::I31(value) => Reference::I31(value).to_u32(),
            Target::Host(number) => Reference::Host(number).to_u32(),
            Target::Object(index) => references[index % references.len()],
        }
    }

    proptest! {
        /// Random graphs, with cycles and garbage, some of their objects fixed: after any number of
        /// collections, what the roots lead to is what it was, and the heap holds nothing else.
        #[test]
        fn what_is_reachable_stays_and_nothing_else(
            plan in vec(planned(), 1..60),
            fixed in 0usize..8,
            roots in vec(target(), 0..8),
            rounds in 1usize..4,
        ) {
            let mut heap = Heap { words: vec![0; (FIRST + 2 * HALF) as usize / 8], types: types() };
            let (mut next_fixed, mut next) = (FIXED, FIRST);
            let mut references = Vec::new();
            for (number, object) in plan.iter().enumerate() {
                let place = if number < fixed { &mut next_fixed } else { &mut next };
                references.push(*place as u32);
                *place += heap.size(object);
            }
            prop_assert!(next_fixed <= FIRST && next <= FIRST + HALF);
            for (object, &at) in plan.iter().zip(&references) {
                heap.write(at, object, &references);
            }
            let mut words: Vec<u64> = roots.iter().map(|&root| u64::from(reference(root, &references))).collect();

            let mut half = FIRST;
            for _ in 0..rounds {
                let other = if half == FIRST { FIRST + HALF } else { FIRST };
                let (base, types) = (heap.base(), heap.types.clone());
                // SAFETY: the heap holds the objects of the plan, or copies of them.
                let end = unsafe {
                    let mut collection = Collection::new(base, &types, half..next, other, of_piece(&RUNNING, 100));
                    collection.static_objects(FIXED..next_fixed).unwrap();
                    words.iter_mut().for_each(|word| collection.root(word).unwrap());
                    collection.finish()
                };
                next = end.unwrap();
                heap.words[half as usize / 8..(half + HALF) as usize / 8].fill(u64::MAX);
                half = other;
            }

            let mut seen: HashMap<usize, u32> = (0..fixed.min(plan.len())).map(|number| (number, references[number])).collect();
            let mut kept = HashMap::new();
            for (&root, &word) in roots.iter().zip(&words) {
                match root {
                    Target::Object(index) => {
                        prop_assert!(heap.matches(word as u32, index % plan.len(), &plan, &mut kept));
                    }
                    other => prop_assert_eq!(word, u64::from(reference(other, &[]))),
                }
            }
            for (number, &at) in references.iter().enumerate().take(fixed) {
                prop_assert!(heap.matches(at, number, &plan, &mut kept));
            }
            seen.extend(kept);
            let sizes = seen.iter().filter(|&(_, &at)| u64::from(at) >= half).map(|(&number, _)| heap.size(&plan[number]));
            prop_assert_eq!(sizes.sum::<u64>(), next - half, "something else was copied");
        }
    }

    /// A chain of objects, which are met one by one, and an array of references and one of bytes,
    /// each of them long.
    #[test]
    fn collections_are_interrupted() {
        let object = |ty, number, fields: &[usize]| {
            let fields = fields.iter().copied().map(Target::Object).collect();
            Planned { ty, number, fields }
        };
        let chain: Vec<_> = (0..40)
            .map(|at| object(0, 1, &[(at + 1) % 40, at]))
            .collect();
        let long = vec![object(1, 0, &[0; 6])];
        let bytes = vec![object(2, 255, &[])];
        for (name, plan) in [("chain", chain), ("references", long), ("bytes", bytes)] {
            for (interrupt, stops) in [(&RUNNING, false), (&STOPPED, true)] {
                let mut heap = Heap {
                    words: vec![0; (FIRST + 2 * HALF) as usize / 8],
                    types: types(),
                };
                let (mut next, mut references) = (FIRST, Vec::new());
                for object in &plan {
                    references.push(next as u32);
                    next += heap.size(object);
                }
                for (object, &at) in plan.iter().zip(&references) {
                    heap.write(at, object, &references);
                }
                let (base, types, mut root) = (heap.base(), heap.types.clone(), FIRST);
                // SAFETY: the heap holds the objects of the plan.
                let result = unsafe {
                    let pauses = of_piece(interrupt, 100);
                    let mut collection =
                        Collection::new(base, &types, FIRST..next, FIRST + HALF, pauses);
                    collection
                        .root(&mut root)
                        .and_then(|()| collection.finish())
                };
                let expected = if stops {
                    Err(Trap::Interrupt)
                } else {
                    Ok(HALF + next)
                };
                assert_eq!(result, expected, "{name}");
            }
        }
    }

    #[test]
    fn sizes_are_multiples_of_the_alignment() {
        for layout in types().values() {
            for length in 0..20 {
                assert!(layout.size_of(length).is_multiple_of(HeapLayout::ALIGN));
            }
        }
    }
}
