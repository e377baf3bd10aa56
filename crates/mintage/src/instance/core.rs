//! Core instances inside a component: a back door for test scripts. Needs
//! [`Config::core_exports`](crate::Config::core_exports).

use crate::error::{Context, Result, bail, ensure};
use crate::store::StoreInstance;
use crate::{AsContextMut, Component, Instance, Trap};
use mintage_environ::component::{CoreExport, CoreItem};
use mintage_environ::{DomainId, HeapType, RefType, Reference, ValType};

/// A core value. Floats are their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreVal {
    /// `i32`
    I32(i32),
    /// `i64`
    I64(i64),
    /// `f32`
    F32(u32),
    /// `f64`
    F64(u64),
    /// `v128`
    V128(u128),
    /// A function reference as machine code sees it: 0 is null. Only null can be passed in.
    FuncRef(u64),
    /// A reference of the `extern` hierarchy.
    ExternRef(CoreRef),
    /// A reference of the `any` hierarchy.
    AnyRef(CoreRef),
    /// A reference of the `exn` hierarchy.
    ExnRef(CoreRef),
}

/// The referent of a reference, except one to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreRef {
    /// Nothing.
    Null,
    /// A host value with a number below 2^30.
    Host(u32),
    /// A 31-bit integer.
    I31(u32),
    /// A struct. Neither this nor the next two can be passed in.
    Struct,
    /// An array.
    Array,
    /// An exception.
    Exception,
}

impl CoreVal {
    /// The value as argument words, the second for vectors only.
    fn to_words(self, ty: ValType) -> Result<[u64; 2]> {
        let word = match (self, ty) {
            (CoreVal::I32(value), ValType::I32) => u64::from(value as u32),
            (CoreVal::I64(value), ValType::I64) => value as u64,
            (CoreVal::F32(bits), ValType::F32) => u64::from(bits),
            (CoreVal::F64(bits), ValType::F64) => bits,
            (CoreVal::V128(bits), ValType::V128) => return Ok([bits as u64, (bits >> 64) as u64]),
            (
                CoreVal::FuncRef(0),
                ValType::Ref(RefType {
                    nullable: true,
                    heap,
                }),
            ) if heap.is_function() => 0,
            (CoreVal::FuncRef(_), ValType::Ref(_)) => {
                bail!("only a null function reference can be passed to a guest")
            }
            (
                CoreVal::ExternRef(reference)
                | CoreVal::AnyRef(reference)
                | CoreVal::ExnRef(reference),
                ValType::Ref(ty),
            ) if self.is_in_hierarchy(ty.heap) => reference.to_word(ty)?,
            (value, ty) => bail!("type mismatch: expected a value of type {ty}, found {value:?}"),
        };
        Ok([word, 0])
    }

    /// Returns whether `heap` is of the hierarchy that a reference is in.
    fn is_in_hierarchy(self, heap: HeapType) -> bool {
        match heap {
            HeapType::Extern | HeapType::NoExtern => matches!(self, CoreVal::ExternRef(_)),
            HeapType::Exn | HeapType::NoExn => matches!(self, CoreVal::ExnRef(_)),
            _ => matches!(self, CoreVal::AnyRef(_)) && !heap.is_function(),
        }
    }

    /// The value of argument words; `object` tells the type of an object in the heap.
    fn from_words(words: [u64; 2], ty: ValType, object: impl FnOnce(u64) -> CoreRef) -> CoreVal {
        let word = words[0];
        let reference = || match Reference::from_u32(word as u32) {
            Reference::Null => CoreRef::Null,
            Reference::I31(value) => CoreRef::I31(value),
            Reference::Host(number) => CoreRef::Host(number),
            Reference::Object(_) => object(word),
        };
        match ty {
            ValType::I32 => CoreVal::I32(word as i32),
            ValType::I64 => CoreVal::I64(word as i64),
            ValType::F32 => CoreVal::F32(word as u32),
            ValType::F64 => CoreVal::F64(word),
            ValType::V128 => CoreVal::V128(u128::from(words[0]) | u128::from(words[1]) << 64),
            ValType::Ref(ty) => match ty.heap {
                heap if heap.is_function() => CoreVal::FuncRef(word),
                HeapType::Extern | HeapType::NoExtern => CoreVal::ExternRef(reference()),
                HeapType::Exn | HeapType::NoExn => CoreVal::ExnRef(reference()),
                _ => CoreVal::AnyRef(reference()),
            },
        }
    }
}

impl CoreRef {
    /// The reference as a word, if it is of the type and can be passed to a guest.
    fn to_word(self, ty: RefType) -> Result<u64> {
        let word = match (self, ty.heap) {
            (CoreRef::Null, _) if ty.nullable => Reference::Null,
            (CoreRef::Host(number), HeapType::Extern | HeapType::Any)
                if number <= Reference::MAX_HOST =>
            {
                Reference::Host(number)
            }
            (
                CoreRef::I31(value),
                HeapType::Any | HeapType::Eq | HeapType::I31 | HeapType::Extern,
            ) => Reference::I31(value & (u32::MAX >> 1)),
            _ => bail!("{self:?} cannot be passed to a guest as {ty}"),
        };
        Ok(word.to_u32().into())
    }
}

/// Returns the kind of an object in the GC heap of `domain`.
fn object_kind(instance: &mut StoreInstance, domain: DomainId, word: u64) -> CoreRef {
    let objects = &instance.component.interface().objects;
    match instance.runtime.get_mut().object_type(domain, word) {
        Some(ty) if objects.structs().contains(ty) => CoreRef::Struct,
        Some(ty) if objects.arrays().contains(ty) => CoreRef::Array,
        _ => CoreRef::Exception,
    }
}

/// The exports of all core instances: number of the instance in start order, name.
pub fn exports(component: &Component) -> impl Iterator<Item = (u32, &str)> {
    component
        .interface()
        .core_exports
        .iter()
        .map(|export| (export.instance.as_u32(), &*export.name))
}

fn find(component: &Component, core_instance: u32, name: &str) -> Result<CoreItem> {
    let found =
        |export: &&CoreExport| export.instance.as_u32() == core_instance && *export.name == *name;
    let export = component.interface().core_exports.iter().find(found);
    let export = export.with_context(|| {
        let hint = if component.engine().config().tunables.core_exports {
            ""
        } else {
            " (`Config::core_exports` is off)"
        };
        format!("core instance {core_instance} has no export `{name}`{hint}")
    })?;
    Ok(export.item)
}

/// Calls an exported function of a core instance. Traps leave the instance usable, except an
/// interrupt.
///
/// # Errors
///
/// When there is no such function, the arguments are not of its types, it traps, or another call
/// into the instance is under way or was stopped.
pub fn call(
    mut store: impl AsContextMut,
    instance: &Instance,
    core_instance: u32,
    name: &str,
    args: &[CoreVal],
) -> Result<Vec<CoreVal>> {
    let store = store.as_context_mut().0;
    let component = instance.in_store(&store.opaque)?.component.clone();
    let CoreItem::Func(callee, domain) = find(&component, core_instance, name)? else {
        bail!("export `{name}` of core instance {core_instance} is no function");
    };
    let signature = &component.interface().signatures[callee.sig];
    ensure!(
        args.len() == signature.params.len(),
        "a function of type {signature} is called with {} arguments",
        args.len()
    );
    let mut words = vec![0; signature.array_words()];
    let mut at = 0;
    for (&arg, &ty) in args.iter().zip(&signature.params) {
        let value = arg.to_words(ty)?;
        words[at..][..ty.words()].copy_from_slice(&value[..ty.words()]);
        at += ty.words();
    }
    let entries = &mut store.opaque.instances[instance.id()].entries;
    // No other thread may use the instance, and host functions get the whole store.
    entries.check()?;
    entries.enter();
    let called = store.call_core(instance.id(), domain, callee, &mut words);
    // An interrupted collection leaves objects of a GC heap of which some have moved and others
    // have not. Nothing may run in the instance any more.
    let is_interrupted = called
        .as_ref()
        .is_err_and(|error| error.downcast_ref() == Some(&Trap::Interrupt));
    let entries = &mut store.opaque.instances[instance.id()].entries;
    match is_interrupted {
        true => entries.break_off(),
        false => entries.leave(),
    }
    called?;
    let mut results = Vec::with_capacity(signature.results.len());
    let mut at = 0;
    let instance = &mut store.opaque.instances[instance.id];
    for &ty in &signature.results {
        let value = [words[at], words.get(at + 1).copied().unwrap_or(0)];
        let object = |word| object_kind(instance, domain, word);
        results.push(CoreVal::from_words(value, ty, object));
        at += ty.words();
    }
    Ok(results)
}

/// The value of an exported global of a core instance.
///
/// # Errors
///
/// When there is no such global.
pub fn global(
    mut store: impl AsContextMut,
    instance: &Instance,
    core_instance: u32,
    name: &str,
) -> Result<CoreVal> {
    let opaque = &mut store.as_context_mut().0.opaque;
    instance.in_store(opaque)?;
    let instance = &mut opaque.instances[instance.id];
    match find(&instance.component, core_instance, name)? {
        CoreItem::Global(id, ty) => {
            let domain = instance.runtime.code().layout().globals[id].domain;
            let words = instance.runtime.get_mut().global(id, ty);
            let object = |word| object_kind(instance, domain, word);
            Ok(CoreVal::from_words(words, ty, object))
        }
        _ => bail!("export `{name}` of core instance {core_instance} is no global"),
    }
}

/// A copy of an exported memory of a core instance.
///
/// # Errors
///
/// When there is no such memory.
pub fn memory(
    mut store: impl AsContextMut,
    instance: &Instance,
    core_instance: u32,
    name: &str,
) -> Result<Vec<u8>> {
    let opaque = &mut store.as_context_mut().0.opaque;
    instance.in_store(opaque)?;
    let instance = &mut opaque.instances[instance.id];
    match find(&instance.component, core_instance, name)? {
        CoreItem::Memory(id) => Ok(instance.runtime.get_mut().memory(id).to_vec()),
        _ => bail!("export `{name}` of core instance {core_instance} is no memory"),
    }
}
