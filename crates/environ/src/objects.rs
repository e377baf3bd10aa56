//! The layout of objects in a GC heap: structs, arrays and exceptions.
//!
//! ```text
//! struct, exception:  [ header: u32 | fields, each at its natural alignment, up to 8 ... ]
//! array:              [ header: u32 | length: u32 | elements ... ]
//! ```
//!
//! The header is the number of the object's type, shifted left by one. A field of a reference type
//! takes 4 bytes (a [`Reference`](crate::Reference)), except that a function reference is a whole
//! [`FuncEntry`](crate::FuncEntry) of 8 bytes.

use crate::layout::HeapLayout;
use crate::{ObjectTypeId, ValType, limit};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The size in bytes of the header at the start of each object.
pub const HEADER_SIZE: u32 = 4;
/// The offset of an array's length.
pub const LENGTH_OFFSET: u32 = 4;
/// The offset of an array's first element.
pub const ELEMENTS_OFFSET: u32 = 8;

/// Returns the header of an object of type `ty`. The lowest bit is free for the collector.
pub const fn header(ty: ObjectTypeId) -> u32 {
    ty.as_u32() << 1
}

/// The representation of a field or element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The size in bytes: 1, 2, 4, 8 or 16.
    pub size: u32,
    /// Whether it is a reference that the collector traces.
    pub traced: bool,
}

impl Stored {
    /// Returns the representation of a value of type `ty`.
    pub fn of(ty: ValType) -> Stored {
        let traced = ty.is_traced();
        Stored {
            size: if traced { 4 } else { ty.size() },
            traced,
        }
    }
}

/// The layout of a type's objects, as the collector needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectLayout {
    /// The size of an object in bytes, a multiple of [`HeapLayout::ALIGN`]. For an array, the size
    /// without elements.
    pub size: u32,
    /// The offsets of the fields that the collector traces, ascending.
    pub traced: Box<[u32]>,
    /// The elements, if the type is an array.
    pub elements: Option<Stored>,
}

impl ObjectLayout {
    /// Returns the layout of a struct or exception with `fields`, and the offsets of the fields.
    ///
    /// # Errors
    ///
    /// Returns an error if an object takes more than 4 GiB.
    pub fn of_fields(
        fields: impl IntoIterator<Item = Stored>,
    ) -> Result<(ObjectLayout, Box<[u32]>)> {
        let too_large = || limit!(ComponentSize, "an object has more than 4 GiB");
        let (mut size, mut offsets, mut traced) = (Some(HEADER_SIZE), Vec::new(), Vec::new());
        for field in fields {
            let align = field.size.min(HeapLayout::ALIGN as u32);
            let offset = size.and_then(|size| size.checked_next_multiple_of(align));
            let offset = offset.with_context(too_large)?;
            offsets.push(offset);
            if field.traced {
                traced.push(offset);
            }
            size = offset.checked_add(field.size);
        }
        let size = size.and_then(|size| size.checked_next_multiple_of(HeapLayout::ALIGN as u32));
        let layout = ObjectLayout {
            size: size.with_context(too_large)?,
            traced: traced.into(),
            elements: None,
        };
        Ok((layout, offsets.into()))
    }

    /// Returns the layout of an array of `elements`.
    pub fn of_elements(elements: Stored) -> ObjectLayout {
        ObjectLayout {
            size: ELEMENTS_OFFSET,
            traced: Box::default(),
            elements: Some(elements),
        }
    }

    /// Returns the size in bytes of an object, which has `length` elements if it is an array.
    pub fn size_of(&self, length: u32) -> u64 {
        let elements = self
            .elements
            .map_or(0, |element| u64::from(element.size) * u64::from(length));
        (u64::from(self.size) + elements).next_multiple_of(HeapLayout::ALIGN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeapType, RefType};

    #[test]
    fn fields_are_aligned_and_traced_ones_are_listed() {
        let exn = ValType::Ref(RefType {
            nullable: true,
            heap: HeapType::Exn,
        });
        let types = [
            ValType::I32,
            exn,
            ValType::F64,
            exn,
            ValType::V128,
            ValType::Ref(RefType::FUNC),
            ValType::I32,
        ];
        let (layout, offsets) = ObjectLayout::of_fields(types.map(Stored::of)).unwrap();
        assert_eq!(*offsets, [4, 8, 16, 24, 32, 48, 56]);
        assert_eq!((layout.size, &*layout.traced), (64, &[8, 24][..]));
        assert_eq!(layout.size_of(0), 64);
    }

    #[test]
    fn sizes_of_arrays_are_aligned_and_do_not_overflow() {
        let bytes = ObjectLayout::of_elements(Stored {
            size: 1,
            traced: false,
        });
        assert_eq!(
            (bytes.size_of(0), bytes.size_of(1), bytes.size_of(9)),
            (8, 16, 24)
        );
        let vectors = ObjectLayout::of_elements(Stored {
            size: 16,
            traced: false,
        });
        assert_eq!(vectors.size_of(u32::MAX), 8 + 16 * u64::from(u32::MAX));
    }
}
