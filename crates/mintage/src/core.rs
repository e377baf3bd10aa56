//! Core instances inside a component: a back door for test scripts. Needs [`Config::core_exports`](crate::Config::core_exports).

use crate::{AsContext, AsContextMut, Component, Instance};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{CoreExport, CoreItem};
use mintage_environ::{HeapType, RefType, ValType};

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
    /// A host value, or null.
    ExternRef(Option<u32>),
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
            (CoreVal::FuncRef(0), ValType::Ref(RefType { nullable: true, heap })) if heap.is_function() => 0,
            (CoreVal::ExternRef(None), ValType::Ref(RefType { nullable: true, heap })) if !heap.is_function() => 0,
            (
                CoreVal::ExternRef(Some(number)),
                ValType::Ref(RefType {
                    heap: HeapType::Extern, ..
                }),
            ) => u64::from(number) + 1,
            (CoreVal::FuncRef(_), ValType::Ref(_)) => bail!("only a null function reference can be passed to a guest"),
            (value, ty) => bail!("type mismatch: expected a value of type {ty}, found {value:?}"),
        };
        Ok([word, 0])
    }

    fn from_words(words: [u64; 2], ty: ValType) -> CoreVal {
        let word = words[0];
        match ty {
            ValType::I32 => CoreVal::I32(word as i32),
            ValType::I64 => CoreVal::I64(word as i64),
            ValType::F32 => CoreVal::F32(word as u32),
            ValType::F64 => CoreVal::F64(word),
            ValType::V128 => CoreVal::V128(u128::from(words[0]) | u128::from(words[1]) << 64),
            ValType::Ref(ty) if ty.heap.is_function() => CoreVal::FuncRef(word),
            ValType::Ref(_) => CoreVal::ExternRef(word.checked_sub(1).map(|number| number as u32)),
        }
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
    let found = |export: &&CoreExport| export.instance.as_u32() == core_instance && *export.name == *name;
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

/// Calls an exported function of a core instance. Traps leave the instance usable.
///
/// # Errors
///
/// When there is no such function, the arguments are not of its types, or it traps.
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
    store.call_core(instance.index(), domain, callee, &mut words)?;
    let mut results = Vec::with_capacity(signature.results.len());
    let mut at = 0;
    for &ty in &signature.results {
        let value = [words[at], words.get(at + 1).copied().unwrap_or(0)];
        results.push(CoreVal::from_words(value, ty));
        at += ty.words();
    }
    Ok(results)
}

/// The value of an exported global of a core instance.
///
/// # Errors
///
/// When there is no such global.
pub fn global(store: impl AsContext, instance: &Instance, core_instance: u32, name: &str) -> Result<CoreVal> {
    let store = store.as_context();
    let instance = instance.in_store(&store.0.opaque)?;
    match find(&instance.component, core_instance, name)? {
        CoreItem::Global(id, ty) => Ok(CoreVal::from_words(instance.runtime.global(id, ty), ty)),
        _ => bail!("export `{name}` of core instance {core_instance} is no global"),
    }
}

/// A copy of an exported memory of a core instance.
///
/// # Errors
///
/// When there is no such memory.
pub fn memory(store: impl AsContext, instance: &Instance, core_instance: u32, name: &str) -> Result<Vec<u8>> {
    let store = store.as_context();
    let instance = instance.in_store(&store.0.opaque)?;
    match find(&instance.component, core_instance, name)? {
        CoreItem::Memory(id) => Ok(instance.runtime.memory(id).to_vec()),
        _ => bail!("export `{name}` of core instance {core_instance} is no memory"),
    }
}
