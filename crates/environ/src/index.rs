//! The index newtypes, one for each index space, and [`IndexVec`], a vector with a typed index.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::ops;

/// A 32-bit index into one index space.
pub trait Index: Copy + Eq {
    /// Makes the index with the number `raw`.
    fn from_u32(raw: u32) -> Self;
    /// Returns the index as a number.
    fn as_u32(self) -> u32;
    /// Returns the index as a position in a slice.
    fn index(self) -> usize {
        self.as_u32() as usize
    }
}

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident($prefix:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(u32);

        impl $name {
            /// Makes the index with the number `raw`.
            pub const fn from_u32(raw: u32) -> Self {
                Self(raw)
            }

            /// Returns the index as a number.
            pub const fn as_u32(self) -> u32 {
                self.0
            }
        }

        impl Index for $name {
            fn from_u32(raw: u32) -> Self {
                Self(raw)
            }

            fn as_u32(self) -> u32 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

indices! {
    /// A core module in the component's binary, which may be instantiated any number of times.
    ModuleId("module");
    /// An instance of a core module, numbered in the order of instantiation over the whole
    /// component tree.
    CoreInstanceId("core");
    /// A component instance, called *domain* in code. The root is domain 0. The core instances of a
    /// domain share one `ctx`.
    DomainId("domain");
    /// A linear memory, numbered over the whole program.
    MemoryId("mem");
    /// A table, numbered over the whole program.
    TableId("table");
    /// A global, numbered over the whole program.
    GlobalId("global");
    /// A data segment of a core instance that machine code can use at run time, numbered over the
    /// whole program.
    DataId("data");
    /// An element segment of a core instance that machine code can use at run time, numbered over
    /// the whole program.
    ElemId("elem");
    /// A function in the index space of a core module, imports first.
    FuncIndex("f");
    /// A core function type of the program. Table entries hold this number plus one.
    SigId("sig");
    /// The position of a function in the text, where functions are in the order of their keys.
    FuncOrdinal("ordinal");
    /// A struct or array type of the program.
    ObjectTypeId("object");
    /// An exception tag, numbered over the whole program.
    TagId("tag");
    /// A host function that the root component imports, in the order of imports.
    ImportId("import");
    /// A host function, lowered with one set of canonical options.
    LowerId("lower");
    /// A core function lifted to a component function.
    LiftId("lift");
    /// A call under way that handles are lent to, in one instance at run time.
    CallId("call");
    /// An adapter: a function of one component instance lowered into another, with lift and lower
    /// fused.
    AdapterId("adapter");
    /// A canonical built-in of one component instance, such as `resource.drop` of one resource
    /// type.
    CanonId("canon");
    /// A built-in of one component instance that reads or writes ends of streams or futures.
    EndOpId("endop");
    /// A function that copies values from a writing to a reading end.
    CopyId("copy");
    /// A resource type: one imported by the root or one defined by a component instance.
    ResourceId("resource");
    /// An interned component function type.
    FuncTypeId("functype");
    /// An interned `list` type.
    ListId("list");
    /// An interned `map` type.
    MapId("map");
    /// An interned `stream` type.
    StreamId("stream");
    /// An interned `future` type.
    FutureId("future");
    /// An interned `record` type.
    RecordId("record");
    /// An interned `tuple` type.
    TupleId("tuple");
    /// An interned `variant` type.
    VariantId("variant");
    /// An interned `enum` type.
    EnumId("enum");
    /// An interned `option` type.
    OptionId("option");
    /// An interned `result` type.
    ResultId("result");
    /// An interned `flags` type.
    FlagsId("flags");
}

/// A vector that is indexed by one index type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexVec<I, T> {
    items: Vec<T>,
    #[serde(skip)]
    index: PhantomData<fn(I)>,
}

impl<I: Index, T> IndexVec<I, T> {
    /// Makes an empty vector.
    pub const fn new() -> Self {
        Self {
            items: Vec::new(),
            index: PhantomData,
        }
    }

    /// Appends `item` and returns its index.
    ///
    /// # Panics
    ///
    /// Panics if the vector has 2^32 items already.
    pub fn push(&mut self, item: T) -> I {
        let index = self.next_index();
        self.items.push(item);
        index
    }

    /// Returns the index of the next item that is pushed.
    pub fn next_index(&self) -> I {
        I::from_u32(
            u32::try_from(self.items.len()).expect("an index space holds fewer than 2^32 items"),
        )
    }

    /// Returns the item at `index`, or `None` past the end.
    pub fn get(&self, index: I) -> Option<&T> {
        self.items.get(index.index())
    }

    /// Returns the item at `index`, or `None` past the end.
    pub fn get_mut(&mut self, index: I) -> Option<&mut T> {
        self.items.get_mut(index.index())
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns all pairs of index and item, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        self.items
            .iter()
            .enumerate()
            .map(|(i, item)| (I::from_u32(i as u32), item))
    }

    /// Returns all pairs of index and item, in order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (I, &mut T)> + ExactSizeIterator {
        self.items
            .iter_mut()
            .enumerate()
            .map(|(i, item)| (I::from_u32(i as u32), item))
    }

    /// Returns all items, in order.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// Returns all items, in order.
    pub fn values_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    /// Returns all items, in order.
    pub fn into_values(self) -> std::vec::IntoIter<T> {
        self.items.into_iter()
    }

    /// Returns all indexes, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.items.len() as u32).map(I::from_u32)
    }

    /// Returns the items as a slice.
    pub fn as_slice(&self) -> &[T] {
        &self.items
    }
}

impl<I: Index, T> Default for IndexVec<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Index, T> From<Vec<T>> for IndexVec<I, T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            items,
            index: PhantomData,
        }
    }
}

impl<I: Index, T> FromIterator<T> for IndexVec<I, T> {
    fn from_iter<It: IntoIterator<Item = T>>(items: It) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<I: Index, T> ops::Index<I> for IndexVec<I, T> {
    type Output = T;

    fn index(&self, index: I) -> &T {
        &self.items[index.index()]
    }
}

impl<I: Index, T> ops::IndexMut<I> for IndexVec<I, T> {
    fn index_mut(&mut self, index: I) -> &mut T {
        &mut self.items[index.index()]
    }
}

impl<I: Index + fmt::Debug, T: fmt::Debug> fmt::Debug for IndexVec<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
