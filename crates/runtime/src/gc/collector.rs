//! The collector: copies the reachable objects from one half of a GC heap to the other.
//!
//! An object is copied when a reference to it is first met. Then the copied objects are scanned in
//! order, which is a breadth-first traversal and needs no list (Cheney, "A nonrecursive list
//! compacting algorithm", 1970). A copied object leaves its new reference behind. The work is
//! proportional to what is reachable, not to what was allocated.
//!
//! After an interrupted collection some objects have moved and others have not. The heap must not
//! be used any more.

use crate::bulk::Pauses;
use mintage_environ::objects::{ELEMENTS_OFFSET, LENGTH_OFFSET, ObjectLayout};
use mintage_environ::{IndexVec, ObjectTypeId, Trap};
use std::ops::Range;
use std::ptr;

/// Set in the header of an object that was copied. The rest of the header is then the new
/// reference, which is a multiple of 8. In other headers the bit is clear.
const MOVED: u32 = 1;

/// The cost of scanning a byte of an object, in bytes that are copied. Each reference may lead to
/// memory that is not in a cache.
const COST: u64 = 8;
/// Elements of an array that are scanned between two interrupt tests.
const ELEMENTS: u64 = 1 << 10;

/// A collection in progress.
pub struct Collection<'t> {
    /// The first byte of the heap. References are offsets from here.
    base: *mut u8,
    types: &'t IndexVec<ObjectTypeId, ObjectLayout>,
    /// The references to objects that move.
    from: Range<u64>,
    /// The first copied object that is not scanned yet.
    unscanned: u64,
    /// The reference of the next copy.
    next: u64,
    pauses: Pauses<'t>,
    /// Bytes of work until the next interrupt test.
    left: u64,
}

impl<'t> Collection<'t> {
    /// Starts a collection of the objects in `from` of the heap at `base`. They are copied to `to`
    /// and beyond. All steps fail with [`Trap::Interrupt`] if the guest is to stop.
    ///
    /// # Safety
    ///
    /// - The objects in `from`, and those that [`root`](Self::root) and
    ///   [`static_objects`](Self::static_objects) lead to, are objects of `types` without gaps, and
    ///   no one else uses the heap while this lives.
    /// - As many bytes from `to` on as `from` has are accessible, and are not needed.
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
            unscanned: to,
            next: to,
            pauses,
            left: pauses.piece() as u64,
        }
    }

    /// Tests for interruption, if that is due, before work on `bytes` bytes.
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

    /// Keeps the object that the reference in a word leads to, and updates the word.
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

    /// Keeps the objects that the static objects in `range` refer to. Static objects do not move.
    ///
    /// # Safety
    ///
    /// The range consists of objects, without gaps.
    pub unsafe fn static_objects(&mut self, range: Range<u64>) -> Result<(), Trap> {
        let mut object = range.start;
        while object < range.end {
            object += self.scan(object)?;
        }
        Ok(())
    }

    /// Copies everything that is reachable from the copied objects. Returns the end of the copies.
    pub fn finish(mut self) -> Result<u64, Trap> {
        while self.unscanned < self.next {
            self.unscanned += self.scan(self.unscanned)?;
        }
        Ok(self.next)
    }

    /// Scans an object: updates its references. Returns its size.
    fn scan(&mut self, object: u64) -> Result<u64, Trap> {
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

    /// Returns the reference that replaces one. Only references to objects that move change.
    #[inline]
    fn moved(&mut self, reference: u32) -> Result<u32, Trap> {
        // Neither null, nor an integer, nor a host's value is in the range: their tags make them no
        // multiple of 8.
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
        // SAFETY: the object is in the heap. From the first copy on there is room for all objects,
        // in another part of the heap.
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

    /// Returns the number of elements, which is 0 unless the object is an array.
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

    /// Types for tests: a pair of references around a number, an array of references, bytes, and a
    /// struct without references.
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

    /// A planned object: its type, its number, and its references.
    #[derive(Clone, Debug)]
    struct Planned {
        ty: u32,
        number: u8,
        fields: Vec<Field>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Field {
        Null,
        I31(u32),
        Host(u32),
        Object(usize),
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            1 => Just(Field::Null),
            1 => (0u32..1 << 31).prop_map(Field::I31),
            1 => (0u32..=Reference::MAX_HOST).prop_map(Field::Host),
            5 => any::<usize>().prop_map(Field::Object),
        ]
    }

    fn planned() -> impl Strategy<Value = Planned> {
        (0u32..4, any::<u8>(), vec(field(), 0..6)).prop_map(|(ty, number, mut fields)| {
            match ty {
                0 => fields.resize(2, Field::Null),
                1 => {}
                _ => fields.clear(),
            }
            Planned { ty, number, fields }
        })
    }

    /// A heap in ordinary memory.
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

        /// Returns the length of a planned array: its fields, or as many bytes as its number.
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

        /// Returns whether the graph from `actual` on is that of the plan from object `expected`
        /// on.
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
                        Field::Object(index) => todo.push((found, index % plan.len())),
                        other if found == reference(other, &[]) => {}
                        _ => return false,
                    }
                }
            }
            true
        }
    }

    fn reference(target: Field, references: &[u32]) -> u32 {
        match target {
            Field::Null => 0,
            Field::I31(value) => Reference::I31(value).to_u32(),
            Field::Host(number) => Reference::Host(number).to_u32(),
            Field::Object(index) => references[index % references.len()],
        }
    }

    proptest! {
        /// Random graphs with cycles, garbage and static objects. After any number of collections
        /// the roots lead to the same graph, and the heap holds nothing else.
        #[test]
        fn collections_keep_exactly_what_is_reachable(
            plan in vec(planned(), 1..60),
            fixed in 0usize..8,
            roots in vec(field(), 0..8),
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
            let words = roots.iter().map(|&root| u64::from(reference(root, &references)));
            let mut words: Vec<u64> = words.collect();

            let mut half = FIRST;
            for _ in 0..rounds {
                let other = if half == FIRST { FIRST + HALF } else { FIRST };
                let (base, types) = (heap.base(), heap.types.clone());
                // SAFETY: the heap holds the objects of the plan, or copies of them.
                let end = unsafe {
                    let pauses = of_piece(&RUNNING, 100);
                    let mut collection = Collection::new(base, &types, half..next, other, pauses);
                    collection.static_objects(FIXED..next_fixed).unwrap();
                    words.iter_mut().for_each(|word| collection.root(word).unwrap());
                    collection.finish()
                };
                next = end.unwrap();
                heap.words[half as usize / 8..(half + HALF) as usize / 8].fill(u64::MAX);
                half = other;
            }

            let seen = (0..fixed.min(plan.len())).map(|number| (number, references[number]));
            let mut seen: HashMap<usize, u32> = seen.collect();
            let mut kept = HashMap::new();
            for (&root, &word) in roots.iter().zip(&words) {
                match root {
                    Field::Object(index) => {
                        let number = index % plan.len();
                        prop_assert!(heap.matches(word as u32, number, &plan, &mut kept));
                    }
                    other => prop_assert_eq!(word, u64::from(reference(other, &[]))),
                }
            }
            for (number, &at) in references.iter().enumerate().take(fixed) {
                prop_assert!(heap.matches(at, number, &plan, &mut kept));
            }
            seen.extend(kept);
            let moved = seen.iter().filter(|&(_, &at)| u64::from(at) >= half);
            let sizes = moved.map(|(&number, _)| heap.size(&plan[number]));
            prop_assert_eq!(sizes.sum::<u64>(), next - half, "something else was copied");
        }
    }

    /// A chain of objects, which are met one by one, and long arrays of references and of bytes.
    #[test]
    fn collections_are_interrupted() {
        let object = |ty, number, fields: &[usize]| {
            let fields = fields.iter().copied().map(Field::Object).collect();
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
