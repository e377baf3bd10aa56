//! Canonical definitions: lifts, lowers and built-ins.

use super::items::{CoreFunc, FuncDef, FuncItem, Trampoline, TrampolineId, TypeItem};
use super::{Frame, Inliner};
use crate::ir::{CanonBuiltin, CanonOp};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{
    AsyncValue, CanonOptions, InterfaceType, LiftedFunc, LoweredImport, StringEncoding,
};
use mintage_environ::{FuncTypeId, Index, ResourceId, SigId, Signature, unsupported};
use wasmparser::component_types::ComponentCoreTypeId;
use wasmparser::{CanonicalFunction, CanonicalOption};

impl<'p> Inliner<'p, '_> {
    /// Executes a canonical definition.
    pub(super) fn canon(&mut self, frame: &mut Frame<'p>, canon: &CanonicalFunction) -> Result<()> {
        match canon {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => self.lift(frame, *core_func_index, *type_index, options),
            CanonicalFunction::Lower {
                func_index,
                options,
            } => self.lower(frame, *func_index, options),
            builtin => {
                let definition = self.builtin(frame, builtin)?;
                let sig = self.validated_signature(frame)?;
                let trampoline = match definition {
                    Some((op, options)) => {
                        let (mut options, _) = canon_options(frame, options)?;
                        match *builtin {
                            CanonicalFunction::WaitableSetWait { memory }
                            | CanonicalFunction::WaitableSetPoll { memory } => {
                                options.memory = Some(frame.core_memories[memory as usize]);
                            }
                            CanonicalFunction::SubtaskCancel { async_ }
                            | CanonicalFunction::StreamCancelRead { async_, .. }
                            | CanonicalFunction::StreamCancelWrite { async_, .. }
                            | CanonicalFunction::FutureCancelRead { async_, .. }
                            | CanonicalFunction::FutureCancelWrite { async_, .. } => {
                                options.is_async = async_;
                            }
                            _ => {}
                        }
                        Trampoline::Canon(CanonBuiltin { op, options, sig })
                    }
                    None => Trampoline::Unsupported {
                        what: format!("the canonical built-in `{}`", builtin_name(builtin)),
                        domain: frame.domain,
                        sig,
                    },
                };
                self.push_trampoline(frame, trampoline, sig);
                Ok(())
            }
        }
    }

    /// Returns a canonical built-in with its options, or `None` if it is not supported.
    fn builtin<'o>(
        &mut self,
        frame: &mut Frame<'p>,
        builtin: &'o CanonicalFunction,
    ) -> Result<Option<(CanonOp, &'o [CanonicalOption])>> {
        Ok(Some(match builtin {
            CanonicalFunction::ResourceNew { resource } => {
                (CanonOp::ResourceNew(self.resource(frame, *resource)?), &[])
            }
            CanonicalFunction::ResourceRep { resource } => {
                (CanonOp::ResourceRep(self.resource(frame, *resource)?), &[])
            }
            CanonicalFunction::ResourceDrop { resource } => {
                (CanonOp::ResourceDrop(self.resource(frame, *resource)?), &[])
            }
            CanonicalFunction::ErrorContextNew { options } => (CanonOp::ErrorContextNew, options),
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                (CanonOp::ErrorContextDebugMessage, options)
            }
            CanonicalFunction::ErrorContextDrop => (CanonOp::ErrorContextDrop, &[]),
            CanonicalFunction::BackpressureInc => (CanonOp::BackpressureInc, &[]),
            CanonicalFunction::BackpressureDec => (CanonOp::BackpressureDec, &[]),
            CanonicalFunction::TaskReturn { result, options } => {
                let types = &mut self.out.interface.types;
                let result = result
                    .map(|ty| frame.types.written_value(ty, types, &mut self.budget))
                    .transpose()?;
                (CanonOp::TaskReturn(result), options)
            }
            CanonicalFunction::TaskCancel => (CanonOp::TaskCancel, &[]),
            CanonicalFunction::ContextGet { slot, .. } => (CanonOp::ContextGet(*slot), &[]),
            CanonicalFunction::ContextSet { slot, .. } => (CanonOp::ContextSet(*slot), &[]),
            CanonicalFunction::SubtaskCancel { .. } => (CanonOp::SubtaskCancel, &[]),
            CanonicalFunction::SubtaskDrop => (CanonOp::SubtaskDrop, &[]),
            CanonicalFunction::WaitableSetNew => (CanonOp::WaitableSetNew, &[]),
            CanonicalFunction::WaitableSetWait { .. } => (CanonOp::WaitableSetWait, &[]),
            CanonicalFunction::WaitableSetPoll { .. } => (CanonOp::WaitableSetPoll, &[]),
            CanonicalFunction::WaitableSetDrop => (CanonOp::WaitableSetDrop, &[]),
            CanonicalFunction::WaitableJoin => (CanonOp::WaitableJoin, &[]),
            CanonicalFunction::StreamNew { ty } | CanonicalFunction::FutureNew { ty } => {
                (CanonOp::New(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::StreamRead { ty, options }
            | CanonicalFunction::FutureRead { ty, options } => {
                (CanonOp::Read(self.async_value(frame, *ty)?), options)
            }
            CanonicalFunction::StreamWrite { ty, options }
            | CanonicalFunction::FutureWrite { ty, options } => {
                (CanonOp::Write(self.async_value(frame, *ty)?), options)
            }
            CanonicalFunction::StreamCancelRead { ty, .. }
            | CanonicalFunction::FutureCancelRead { ty, .. } => {
                (CanonOp::CancelRead(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::StreamCancelWrite { ty, .. }
            | CanonicalFunction::FutureCancelWrite { ty, .. } => {
                (CanonOp::CancelWrite(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::StreamDropReadable { ty }
            | CanonicalFunction::FutureDropReadable { ty } => {
                (CanonOp::DropReadable(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::StreamDropWritable { ty }
            | CanonicalFunction::FutureDropWritable { ty } => {
                (CanonOp::DropWritable(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::StreamForward { ty } | CanonicalFunction::FutureForward { ty } => {
                (CanonOp::Forward(self.async_value(frame, *ty)?), &[])
            }
            CanonicalFunction::ThreadIndex => (CanonOp::ThreadIndex, &[]),
            CanonicalFunction::ThreadNewIndirect {
                func_ty_index,
                table_index,
            } => {
                let table = frame.core_tables[*table_index as usize];
                let sig = self.thread_signature(frame, *func_ty_index)?;
                (CanonOp::ThreadNewIndirect(table, sig), &[])
            }
            CanonicalFunction::ThreadResumeLater => (CanonOp::ThreadResumeLater, &[]),
            CanonicalFunction::ThreadSuspend => (CanonOp::ThreadSuspend, &[]),
            CanonicalFunction::ThreadYield => (CanonOp::ThreadYield, &[]),
            CanonicalFunction::ThreadSuspendThenResume => (CanonOp::ThreadSuspendThenResume, &[]),
            CanonicalFunction::ThreadYieldThenResume => (CanonOp::ThreadYieldThenResume, &[]),
            CanonicalFunction::ThreadSuspendThenPromote => (CanonOp::ThreadSuspendThenPromote, &[]),
            CanonicalFunction::ThreadYieldThenPromote => (CanonOp::ThreadYieldThenPromote, &[]),
            CanonicalFunction::Lift { .. }
            | CanonicalFunction::Lower { .. }
            | CanonicalFunction::ThreadSpawnRef { .. }
            | CanonicalFunction::ThreadSpawnIndirect { .. }
            | CanonicalFunction::ThreadAvailableParallelism => return Ok(None),
        }))
    }

    /// Returns the stream or future type with index `ty`.
    fn async_value(&mut self, frame: &mut Frame<'p>, ty: u32) -> Result<AsyncValue> {
        let types = &mut self.out.interface.types;
        let ty = frame.types.types.component_any_type_at(ty);
        match frame.types.type_item(ty, types, &mut self.budget)? {
            TypeItem::Value(InterfaceType::Stream(id)) => Ok(AsyncValue::Stream(id)),
            TypeItem::Value(InterfaceType::Future(id)) => Ok(AsyncValue::Future(id)),
            _ => bail!("a built-in on streams or futures names another type"),
        }
    }

    /// Returns the signature of a thread's function: the core type with index `ty`.
    fn thread_signature(&mut self, frame: &Frame<'p>, ty: u32) -> Result<SigId> {
        let types = frame.types.types;
        let ComponentCoreTypeId::Sub(id) = types.core_type_at_in_component(ty) else {
            bail!("a thread's function has the type of a module")
        };
        let params = types[id].unwrap_func().params();
        let params = params
            .iter()
            .map(|&ty| crate::parse::val_type(ty, |_| None));
        let params = params.collect::<Option<_>>().with_context(|| {
            unsupported!("the type of a thread's function is not supported yet")
        })?;
        let signature = Signature {
            params,
            results: Box::default(),
        };
        Ok(self.out.interface.signatures.intern(signature))
    }

    /// Executes a `canon lift`.
    fn lift(
        &mut self,
        frame: &mut Frame<'p>,
        core_func: u32,
        ty: u32,
        options: &[CanonicalOption],
    ) -> Result<()> {
        let Ok(func_ty) = frame.types.types.component_any_type_at(ty).try_into() else {
            bail!("type {ty} is not a function type")
        };
        let types = &mut self.out.interface.types;
        let ty = frame.types.func(func_ty, types, &mut self.budget)?;
        let (options, functions) = canon_options(frame, options)?;
        let lift = self.out.interface.lifts.push(LiftedFunc {
            ty,
            callee: frame.core_funcs[core_func as usize],
            options,
            post_return: functions.post_return,
            callback: functions.callback,
        });
        frame.funcs.push(FuncItem::Lift(lift));
        Ok(())
    }

    /// Executes a `canon lower`.
    fn lower(
        &mut self,
        frame: &mut Frame<'p>,
        func: u32,
        options: &[CanonicalOption],
    ) -> Result<()> {
        let (options, _) = canon_options(frame, options)?;
        let sig = self.validated_signature(frame)?;
        let (ty, trampoline) = match frame.funcs[func as usize] {
            FuncItem::Import(import) => {
                let ty = self.out.interface.import_funcs[import].ty;
                let options = options.clone();
                (
                    ty,
                    Trampoline::Lower(LoweredImport {
                        import,
                        options,
                        sig,
                    }),
                )
            }
            FuncItem::Lift(lift) => {
                let lower = options.clone();
                (
                    self.out.interface.lifts[lift].ty,
                    Trampoline::Adapter { lift, lower, sig },
                )
            }
        };
        self.check_lowered(ty, &options, sig)?;
        self.push_trampoline(frame, trampoline, sig);
        Ok(())
    }

    /// Checks that a function of type `ty` lowers to the signature that the validator found.
    fn check_lowered(
        &self,
        ty: FuncTypeId,
        options: &CanonOptions<CoreFunc>,
        validated: SigId,
    ) -> Result<()> {
        let index64 = options
            .memory
            .is_some_and(|id| self.out.shape.memories[id].index64);
        let types = &self.out.interface.types;
        let signature = types.core_signature(types.func(ty), index64, options.lower_abi());
        ensure!(
            self.out.interface.signatures.find(&signature) == Some(validated),
            "the lowered signature {signature} differs from the validator's (a bug in Mintage)"
        );
        Ok(())
    }

    /// Returns the resource type with index `ty`.
    fn resource(&mut self, frame: &mut Frame<'p>, ty: u32) -> Result<ResourceId> {
        let types = &mut self.out.interface.types;
        let ty = frame.types.types.component_any_type_at(ty);
        match frame.types.type_item(ty, types, &mut self.budget)? {
            TypeItem::Resource(resource) => Ok(resource),
            _ => bail!("a built-in on resources names another type"),
        }
    }

    /// Adds a core function that a canonical definition makes.
    fn push_trampoline(&mut self, frame: &mut Frame<'p>, trampoline: Trampoline, sig: SigId) {
        let id = self.out.trampolines.insert_full(trampoline).0;
        frame.core_funcs.push(CoreFunc {
            def: FuncDef::Trampoline(TrampolineId::from_u32(id as u32)),
            sig,
        });
    }

    /// Returns the signature that the validator found for the next core function of `frame`.
    fn validated_signature(&mut self, frame: &Frame<'p>) -> Result<SigId> {
        let types = frame.types.types;
        let ty = types[types.core_function_at(frame.core_funcs.len() as u32)].unwrap_func();
        let convert = |types: &[wasmparser::ValType]| {
            types
                .iter()
                .map(|&ty| crate::parse::val_type(ty, |_| None))
                .collect::<Option<_>>()
        };
        let unknown =
            || unsupported!("a canonical function has a core type that is not supported yet");
        let params = convert(ty.params()).with_context(unknown)?;
        let results = convert(ty.results()).with_context(unknown)?;
        Ok(self
            .out
            .interface
            .signatures
            .intern(Signature { params, results }))
    }
}

/// The functions that only a lift names.
#[derive(Default)]
struct LiftFunctions {
    post_return: Option<CoreFunc>,
    callback: Option<CoreFunc>,
}

/// Converts the options of a canonical definition. The functions that only a lift names are
/// returned separately.
fn canon_options(
    frame: &Frame<'_>,
    options: &[CanonicalOption],
) -> Result<(CanonOptions<CoreFunc>, LiftFunctions)> {
    let mut canon = CanonOptions {
        domain: frame.domain,
        string_encoding: StringEncoding::Utf8,
        memory: None,
        realloc: None,
        is_async: false,
    };
    let mut functions = LiftFunctions::default();
    let func = |index: u32| Some(frame.core_funcs[index as usize]);
    for option in options {
        match *option {
            CanonicalOption::UTF8 => canon.string_encoding = StringEncoding::Utf8,
            CanonicalOption::UTF16 => canon.string_encoding = StringEncoding::Utf16,
            CanonicalOption::CompactUTF16 => canon.string_encoding = StringEncoding::CompactUtf16,
            CanonicalOption::Memory(index) => {
                canon.memory = Some(frame.core_memories[index as usize])
            }
            CanonicalOption::Realloc(index) => canon.realloc = func(index),
            CanonicalOption::PostReturn(index) => functions.post_return = func(index),
            CanonicalOption::Async => canon.is_async = true,
            CanonicalOption::Callback(index) => functions.callback = func(index),
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                bail!(unsupported!(
                    "the canonical option `gc` is not supported yet"
                ))
            }
        }
    }
    Ok((canon, functions))
}

/// Returns the name of a canonical built-in that is not supported.
fn builtin_name(builtin: &CanonicalFunction) -> String {
    // The validator currently accepts none of them, so the name of the variant is good enough.
    let variant = format!("{builtin:?}");
    variant
        .split([' ', '{', '('])
        .next()
        .unwrap_or_default()
        .into()
}
