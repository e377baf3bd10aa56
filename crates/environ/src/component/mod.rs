//! Component types, Canonical ABI arithmetic, and the interface of a compiled component.

mod abi;
mod host_calls;
mod interface;
mod names;
mod types;

pub use abi::{
    CanonicalAbi, FlatTypes, FuncAbi, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
    MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH, UTF16_TAG, VariantLayout, align_to,
    discriminant_size, flags_words,
};
pub use host_calls::HostCalls;
pub use interface::{
    AnnotatedItems, Annotations, AsyncValue, CanonOptions, ComponentInterface, CoreCallee,
    CoreExport, CoreItem, EndOp, Export, GuestCaller, GuestTask, Import, ImportFunc, Initializer,
    LiftedFunc, LoweredImport, Resource, ReturnShape, StaticItem, StringEncoding,
};
pub use names::compatible_version;
pub use types::{ComponentTypes, FuncTuples, FuncType, InterfaceType, Record, Variant};
