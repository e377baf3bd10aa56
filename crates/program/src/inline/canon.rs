//! Canonical definitions: lifts, lowers and built-ins.

use super::items::{CoreFunc, FuncDef, FuncItem, Trampoline, TrampolineId, TypeItem};
use super::{Frame, Inliner};
use crate::ir::{CanonBuiltin, CanonOp};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{CanonOptions, LiftedFunc, LoweredImport, StringEncoding};
use mintage_environ::{FuncTypeId, Index, ResourceId, SigId, Signature, unsupported};
use wasmparser::{CanonicalFunction, CanonicalOption};

impl<'p> Inliner<'p, '_> {
    /// Executes a canonical definition.
    pub(super) fn canon(&mut self, frame: &mut Frame<'p>, canon: &CanonicalFunction) -> Result<()> {
        match canon {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let ty = frame.types.types.component_any_type_at(*type_index);
                let Ok(ty) = ty.try_into() else {
                    bail!("type {type_index} is no function type")
                };
                let ty = frame
                    .types
                    .func(ty, &mut self.out.interface.types, &mut self.budget)?;
                let (options, post_return) = canon_options(frame, options)?;
                let lift = self.out.interface.lifts.push(LiftedFunc {
                    ty,
                    callee: frame.core_funcs[*core_func_index as usize],
                    options,
                    post_return,
                });
                frame.funcs.push(FuncItem::Lift(lift));
            }
            CanonicalFunction::Lower {
                func_index,
                options,
            } => self.lower(frame, *func_index, options)?,
            CanonicalFunction::ResourceNew { resource } => {
                let resource = self.resource(frame, *resource)?;
                self.builtin(frame, CanonOp::ResourceNew(resource), &[])?;
            }
            CanonicalFunction::ResourceRep { resource } => {
                let resource = self.resource(frame, *resource)?;
                self.builtin(frame, CanonOp::ResourceRep(resource), &[])?;
            }
            CanonicalFunction::ResourceDrop { resource } => {
                let resource = self.resource(frame, *resource)?;
                self.builtin(frame, CanonOp::ResourceDrop(resource), &[])?;
            }
            CanonicalFunction::ErrorContextNew { options } => {
                self.builtin(frame, CanonOp::ErrorContextNew, options)?;
            }
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                self.builtin(frame, CanonOp::ErrorContextDebugMessage, options)?;
            }
            CanonicalFunction::ErrorContextDrop => {
                self.builtin(frame, CanonOp::ErrorContextDrop, &[])?
            }
            builtin => {
                let sig = self.validated_signature(frame)?;
                let what = format!("the canonical built-in `{}`", builtin_name(builtin));
                self.push_trampoline(
                    frame,
                    Trampoline::Unsupported {
                        what,
                        domain: frame.domain,
                        sig,
                    },
                    sig,
                );
            }
        }
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
        let signature = types.core_signature(types.func(ty), index64, true);
        ensure!(
            self.out.interface.signatures.find(&signature) == Some(validated),
            "the lowered signature {signature} differs from the validator's (a bug in Mintage)"
        );
        Ok(())
    }

    /// The resource type with index `ty`.
    fn resource(&mut self, frame: &mut Frame<'p>, ty: u32) -> Result<ResourceId> {
        let types = &mut self.out.interface.types;
        let ty = frame.types.types.component_any_type_at(ty);
        match frame.types.type_item(ty, types, &mut self.budget)? {
            TypeItem::Resource(resource) => Ok(resource),
            _ => bail!("a built-in on resources names another type"),
        }
    }

    /// A canonical built-in.
    fn builtin(
        &mut self,
        frame: &mut Frame<'p>,
        op: CanonOp,
        options: &[CanonicalOption],
    ) -> Result<()> {
        let (options, _) = canon_options(frame, options)?;
        let sig = self.validated_signature(frame)?;
        self.push_trampoline(
            frame,
            Trampoline::Canon(CanonBuiltin { op, options, sig }),
            sig,
        );
        Ok(())
    }

    fn push_trampoline(&mut self, frame: &mut Frame<'p>, trampoline: Trampoline, sig: SigId) {
        let id = self.out.trampolines.insert_full(trampoline).0;
        frame.core_funcs.push(CoreFunc {
            def: FuncDef::Trampoline(TrampolineId::from_u32(id as u32)),
            sig,
        });
    }

    /// The validator's signature of the core function that `frame` defines next.
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

/// The options of a lift or lower, with `post-return` apart.
fn canon_options(
    frame: &Frame<'_>,
    options: &[CanonicalOption],
) -> Result<(CanonOptions<CoreFunc>, Option<CoreFunc>)> {
    let mut canon = CanonOptions {
        domain: frame.domain,
        string_encoding: StringEncoding::Utf8,
        memory: None,
        realloc: None,
    };
    let mut post_return = None;
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
            CanonicalOption::PostReturn(index) => post_return = func(index),
            CanonicalOption::Async | CanonicalOption::Callback(_) => {
                bail!(unsupported!(
                    "the canonical option `async` is not supported yet"
                ))
            }
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                bail!(unsupported!(
                    "the canonical option `gc` is not supported yet"
                ))
            }
        }
    }
    Ok((canon, post_return))
}

/// The name of a canonical built-in that is not supported.
fn builtin_name(builtin: &CanonicalFunction) -> String {
    // The validator lets none of them pass as yet, so the name of the variant is good enough.
    let variant = format!("{builtin:?}");
    variant
        .split([' ', '{', '('])
        .next()
        .unwrap_or_default()
        .into()
}
