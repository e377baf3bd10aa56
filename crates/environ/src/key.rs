//! [`FuncKey`]: the name of a generated function in all phases, from the compile request to the
//! relocation to the loaded pointer.
//!
//! To add a kind, add a variant to [`FuncKey`] and a row to the `kinds!` table below it. The
//! exhaustive matches of later phases then show what else is needed.

use crate::{
    AdapterId, Builtin, CanonId, CopyId, CoreInstanceId, FuncIndex, Index, LowerId, SigId,
};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::mem;

/// The name of a generated function.
///
/// A key packs into 64 bits:
///
/// ```text
/// 63        56 55                     32 31                      0
/// |   kind    |        namespace        |         index          |
/// ```
///
/// The high half is the *namespace word*. Namespace word and index are Cranelift's
/// `UserExternalName`, so that relocations name keys. The order of functions in the text is the
/// order of their packed keys, which is also the order of [`Ord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub enum FuncKey {
    /// A function that a core instance defines, compiled for this instance.
    CoreFunc {
        /// The core instance. It must fit [`NAMESPACE_BITS`](Self::NAMESPACE_BITS).
        instance: CoreInstanceId,
        /// The function, in the index space of the instance's module.
        func: FuncIndex,
    },
    /// The trampoline from wasm to a lowered host function.
    LowerImport(LowerId),
    /// The entry trampoline from the host to any wasm function of one core signature.
    Entry(SigId),
    /// The trampoline from wasm to a builtin.
    Builtin(Builtin),
    /// An adapter from one component instance to another.
    Adapter(AdapterId),
    /// A canonical built-in of one component instance.
    Canon(CanonId),
    /// The function that starts the task of an adapter's callee. The host calls it, as an entry
    /// trampoline.
    Start(AdapterId),
    /// The function that passes the result of an adapter's callee to the caller. The host calls it,
    /// as an entry trampoline.
    Return(AdapterId),
    /// A function that copies values between the ends of a stream or future. The host calls it, as
    /// an entry trampoline.
    Copy(CopyId),
}

/// Expands the rows `number: variant, namespace field (if any), index field, format string` to the
/// conversions between a key and its parts, and to [`fmt::Display`].
///
/// The numbers determine the artifact's format and the order of functions in the text. Zero is not
/// used, so that a zeroed word is not a key.
macro_rules! kinds {
    ($(
        $kind:literal: $variant:ident $fields:tt,
            $(namespace $namespace:ident,)? index $index:ident, $text:literal;
    )*) => {
        impl FuncKey {
            /// Returns the kind, the namespace within the kind, and the index.
            fn parts(self) -> (u8, u32, u32) {
                match self {
                    $(FuncKey::$variant $fields => {
                        ($kind, 0 $(+ $namespace.pack())?, $index.pack())
                    })*
                }
            }

            /// Returns the key with these [`parts`](Self::parts), if there is one.
            fn from_kind(kind: u8, mut namespace: u32, index: u32) -> Option<FuncKey> {
                let key = match kind {
                    $($kind => {
                        $(let $namespace = Part::unpack(mem::take(&mut namespace))?;)?
                        let $index = Part::unpack(index)?;
                        FuncKey::$variant $fields
                    })*
                    _ => return None,
                };
                // The namespace of a kind that has none is zero.
                (namespace == 0).then_some(key)
            }
        }

        impl fmt::Display for FuncKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(FuncKey::$variant $fields => {
                        $(let $namespace = $namespace.shown();)?
                        let $index = $index.shown();
                        write!(f, $text)
                    })*
                }
            }
        }
    };
}

kinds! {
    1: CoreFunc { instance, func }, namespace instance, index func, "core[{instance}]:f{func}";
    2: LowerImport(import), index import, "lower[{import}]";
    3: Entry(signature), index signature, "entry[{signature}]";
    4: Builtin(builtin), index builtin, "builtin:{builtin}";
    5: Adapter(adapter), index adapter, "adapter[{adapter}]";
    6: Canon(builtin), index builtin, "canon[{builtin}]";
    7: Start(adapter), index adapter, "start[{adapter}]";
    8: Return(adapter), index adapter, "return[{adapter}]";
    9: Copy(copy), index copy, "copy[{copy}]";
}

impl FuncKey {
    /// The number of bits of the namespace within a kind. Components with more core instances are
    /// refused when they are parsed.
    pub const NAMESPACE_BITS: u32 = 24;

    /// Returns the packed key.
    ///
    /// # Panics
    ///
    /// Panics if the namespace does not fit [`NAMESPACE_BITS`](Self::NAMESPACE_BITS).
    pub fn to_u64(self) -> u64 {
        let (kind, namespace, index) = self.parts();
        assert!(
            namespace >> Self::NAMESPACE_BITS == 0,
            "namespace {namespace} of a function key exceeds {} bits",
            Self::NAMESPACE_BITS
        );
        let word = u32::from(kind) << Self::NAMESPACE_BITS | namespace;
        u64::from(word) << 32 | u64::from(index)
    }

    /// Returns the key that packs to `packed`, if there is one.
    pub fn from_u64(packed: u64) -> Option<Self> {
        Self::from_parts((packed >> 32) as u32, packed as u32)
    }

    /// Returns the namespace word: kind and namespace. It is the `namespace` of a Cranelift
    /// `UserExternalName`.
    ///
    /// # Panics
    ///
    /// Panics where [`to_u64`](Self::to_u64) does.
    pub fn namespace(self) -> u32 {
        (self.to_u64() >> 32) as u32
    }

    /// Returns the index within the namespace. It is the `index` of a Cranelift `UserExternalName`.
    pub fn index(self) -> u32 {
        self.parts().2
    }

    /// Returns the key with this namespace word and index, if there is one.
    pub fn from_parts(namespace: u32, index: u32) -> Option<Self> {
        let kind = (namespace >> Self::NAMESPACE_BITS) as u8;
        let namespace = namespace & ((1 << Self::NAMESPACE_BITS) - 1);
        Self::from_kind(kind, namespace, index)
    }
}

impl Ord for FuncKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_u64().cmp(&other.to_u64())
    }
}

impl PartialOrd for FuncKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<FuncKey> for u64 {
    fn from(key: FuncKey) -> u64 {
        key.to_u64()
    }
}

/// The error for a 64-bit word that is not a packed [`FuncKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey(pub u64);

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x} names no function", self.0)
    }
}

impl std::error::Error for NotAKey {}

impl TryFrom<u64> for FuncKey {
    type Error = NotAKey;

    fn try_from(packed: u64) -> Result<Self, NotAKey> {
        Self::from_u64(packed).ok_or(NotAKey(packed))
    }
}

/// A field of a key, with its conversions to a number and to text.
trait Part: Sized {
    fn pack(self) -> u32;
    fn unpack(raw: u32) -> Option<Self>;
    fn shown(self) -> impl fmt::Display;
}

impl<I: Index> Part for I {
    fn pack(self) -> u32 {
        self.as_u32()
    }

    fn unpack(raw: u32) -> Option<Self> {
        Some(Self::from_u32(raw))
    }

    fn shown(self) -> impl fmt::Display {
        self.as_u32()
    }
}

impl Part for Builtin {
    fn pack(self) -> u32 {
        self.as_u32()
    }

    fn unpack(raw: u32) -> Option<Self> {
        Self::from_u32(raw)
    }

    fn shown(self) -> impl fmt::Display {
        self.name()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error as ValueError, U64Deserializer};

    pub(crate) fn core_func(instance: u32, func: u32) -> FuncKey {
        FuncKey::CoreFunc {
            instance: CoreInstanceId::from_u32(instance),
            func: FuncIndex::from_u32(func),
        }
    }

    pub(crate) fn lower(import: u32) -> FuncKey {
        FuncKey::LowerImport(LowerId::from_u32(import))
    }

    fn entry(signature: u32) -> FuncKey {
        FuncKey::Entry(SigId::from_u32(signature))
    }

    fn any_key() -> impl Strategy<Value = FuncKey> {
        prop_oneof![
            (0..1u32 << FuncKey::NAMESPACE_BITS, any::<u32>()).prop_map(|(i, f)| core_func(i, f)),
            any::<u32>().prop_map(lower),
            any::<u32>().prop_map(entry),
            prop::sample::select(Builtin::ALL).prop_map(FuncKey::Builtin),
            any::<u32>().prop_map(|adapter| FuncKey::Adapter(AdapterId::from_u32(adapter))),
            any::<u32>().prop_map(|builtin| FuncKey::Canon(CanonId::from_u32(builtin))),
            any::<u32>().prop_map(|adapter| FuncKey::Start(AdapterId::from_u32(adapter))),
            any::<u32>().prop_map(|adapter| FuncKey::Return(AdapterId::from_u32(adapter))),
            any::<u32>().prop_map(|copy| FuncKey::Copy(CopyId::from_u32(copy))),
        ]
    }

    #[test]
    fn display_form_and_packed_form() {
        let builtin = FuncKey::Builtin(Builtin::MemoryGrow);
        let number = u64::from(Builtin::MemoryGrow.as_u32());
        for (key, text, packed) in [
            (core_func(3, 17), "core[3]:f17", 0x0100_0003_0000_0011),
            (lower(4), "lower[4]", 0x0200_0000_0000_0004),
            (entry(2), "entry[2]", 0x0300_0000_0000_0002),
            (
                builtin,
                "builtin:memory_grow",
                0x0400_0000_0000_0000 | number,
            ),
            (
                FuncKey::Adapter(AdapterId::from_u32(6)),
                "adapter[6]",
                0x0500_0000_0000_0006,
            ),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(key.to_u64(), packed, "{text}");
        }
    }

    /// Zeroed bytes, an unknown kind, a namespace in a kind that has none, a builtin past the last.
    #[test]
    fn other_words_are_not_keys() {
        let past_the_last = u64::from(Builtin::COUNT as u32);
        for packed in [
            0,
            0xff00_0000_0000_0000,
            0x0200_0001_0000_0000,
            0x0400_0000_0000_0000 | past_the_last,
        ] {
            assert_eq!(FuncKey::from_u64(packed), None, "{packed:#x}");
        }
    }

    #[test]
    #[should_panic(expected = "namespace 16777216 of a function key exceeds 24 bits")]
    fn instance_past_the_namespace_bits() {
        core_func(1 << FuncKey::NAMESPACE_BITS, 0).to_u64();
    }

    proptest! {
        #[test]
        fn packing_round_trips(key in any_key()) {
            prop_assert_eq!(FuncKey::from_u64(key.to_u64()), Some(key));
            prop_assert_eq!(FuncKey::from_parts(key.namespace(), key.index()), Some(key));
        }

        #[test]
        fn unpacking_round_trips(packed in any::<u64>(), kind in 0..12u64, namespace in 0..2u64) {
            for packed in [packed, (kind << 56) | (namespace << 32) | (packed % 16)] {
                if let Some(key) = FuncKey::from_u64(packed) {
                    prop_assert_eq!(key.to_u64(), packed);
                }
            }
        }

        #[test]
        fn keys_are_ordered_as_their_packed_forms(a in any_key(), b in any_key()) {
            prop_assert_eq!(a.cmp(&b), a.to_u64().cmp(&b.to_u64()));
        }

        #[test]
        fn serde_form_is_the_packed_key(key in any_key()) {
            struct Written(FuncKey);
            impl fmt::Display for Written {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.serialize(f)
                }
            }
            prop_assert_eq!(Written(key).to_string(), key.to_u64().to_string());
            let source: U64Deserializer<ValueError> = key.to_u64().into_deserializer();
            prop_assert_eq!(FuncKey::deserialize(source), Ok(key));
        }
    }

    #[test]
    fn serde_refuses_other_words() {
        let source: U64Deserializer<ValueError> = 5u64.into_deserializer();
        let error = FuncKey::deserialize(source).unwrap_err();
        assert_eq!(error.to_string(), "0x0000000000000005 names no function");
    }
}
