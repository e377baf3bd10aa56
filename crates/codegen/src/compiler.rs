//! [`Compiler`]: from the key of a function to its machine code.

use crate::builtin;
use crate::canon;
use crate::compiled::CompiledFunction;
use crate::emit::{Effort, Input, Workspace};
use crate::fast;
use crate::isa;
use crate::output;
use crate::reuse::{FunctionCache, Kept, ProgramDigest};
use crate::translate::{self, Stacks};
use crate::unbound::{self, NO_LOCATION, UnboundFunction};
use crate::widen::widen_indices;
use anyhow::{Context as _, Result, anyhow, bail};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{Builder, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{Configurable, Flags};
use cranelift_codegen::{CodegenError, Context};
use mintage_environ::layout::SlabLayout;
use mintage_environ::{
    CoreInstanceId, FuncIndex, FuncKey, OptLevel, Printable, Target, TargetRequest, Tunables,
    limit, unsupported,
};
use mintage_program::{CodeInputs, Program};
use std::borrow::Cow;

/// Checks that code can be generated for a target.
///
/// # Errors
///
/// The errors of [`Compiler::new`].
pub fn check_target(target: &TargetRequest) -> Result<()> {
    let flags = settings(&Tunables::default(), Effort::Least)?;
    isa::code_generator(&isa::requested(target)?, flags).map(|_| ())
}

/// Compiles functions for one processor. All threads share it.
pub struct Compiler {
    isa: OwnedTargetIsa,
    /// A code generator for the same processor with [`Effort::Least`].
    least_effort: OwnedTargetIsa,
    tunables: Tunables,
    function_values: usize,
    cache: Option<FunctionCache>,
}

/// A function that was compiled.
#[derive(Debug)]
pub struct Made {
    /// The function.
    pub function: CompiledFunction,
    /// Where it is kept, if it is.
    pub kept: Option<Kept>,
    /// Whether its code is new, and not that of an equal function.
    pub is_new: bool,
}

/// The default limit on the values of one function, counting operands that are copied to calls and
/// branches. Compiling so many takes about a gibibyte. Ordinary code has less than one value for
/// each of its bytes, but blocks with a thousand parameters multiply.
pub const FUNCTION_VALUES: usize = 1 << 24;

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<Compiler>();
};

/// The buffers of one worker thread, reused from function to function.
#[derive(Default)]
pub struct Scratch {
    pub(crate) workspace: Workspace,
    stacks: Stacks,
    fast: fast::Buffers,
}

impl Compiler {
    /// Returns a compiler for `target`, which is this host by default.
    ///
    /// # Errors
    ///
    /// When the target is not supported, a feature is unknown, or the processor lacks an
    /// instruction set extension that generated code needs.
    pub fn new(target: &TargetRequest, tunables: &Tunables) -> Result<Compiler> {
        let processor = isa::requested(target)?;
        Self::for_processor(&processor, tunables)
    }

    /// Returns a compiler for the processor that `processor` describes.
    pub(crate) fn for_processor(processor: &Builder, tunables: &Tunables) -> Result<Compiler> {
        let isa = isa::code_generator(processor, settings(tunables, Effort::Full)?)?;
        let least_effort = isa::code_generator(processor, settings(tunables, Effort::Least)?)?;
        Ok(Compiler {
            isa,
            least_effort,
            tunables: tunables.clone(),
            function_values: FUNCTION_VALUES,
            cache: None,
        })
    }

    /// Sets the limit on the values of one function, in place of [`FUNCTION_VALUES`].
    pub fn limit_function_values(&mut self, most: usize) {
        self.function_values = most;
    }

    /// Takes machine code from `cache` where it has it, and keeps the rest there.
    pub fn reuse(&mut self, cache: FunctionCache) {
        self.cache = Some(cache);
    }

    /// Returns the target that generated code runs on. It is part of an artifact and is compared at
    /// load.
    pub fn target(&self) -> Target {
        isa::target(&*self.isa)
    }

    /// Returns whether small functions are compiled into their callers.
    pub fn inlines(&self) -> bool {
        self.tunables.inlines()
    }

    /// Returns the key of the functions of `program`, whose slab has the given layout. `None` if
    /// nothing is kept.
    pub fn program_digest(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
    ) -> Option<ProgramDigest> {
        // What `Input` has.
        let inputs = (
            CodeInputs(program),
            layout,
            &self.tunables,
            self.function_values,
        );
        let isas = [&*self.isa, &*self.least_effort];
        self.cache.as_ref()?.program_digest(isas, &inputs)
    }

    /// Returns the functions of a program that was compiled before, and has the same digest.
    pub fn kept(&self, digest: &ProgramDigest) -> Option<Vec<Kept>> {
        self.cache.as_ref()?.list(digest)
    }

    /// Keeps the list of a program's functions.
    pub fn keep(&self, digest: &ProgramDigest, functions: &[Kept]) {
        if let Some(cache) = &self.cache {
            cache.insert_list(digest, functions);
        }
    }

    /// Returns a function of `program`, if the one that is kept has the same body and was not
    /// forgotten. `kept` is of a program with the same digest.
    pub fn restore(&self, program: &Program<'_>, kept: &Kept) -> Option<CompiledFunction> {
        let cache = self.cache.as_ref()?;
        if !kept.has_body(body_digest(cache, program, kept.key)) {
            return None;
        }
        let function = cache.get(&kept.digest())?;
        let start = translate::start(program, kept.key, &self.tunables);
        let start = start.map_or(NO_LOCATION, |start| start.bits());
        function.bind(kept.key, &kept.names(), start).ok()
    }

    /// Compiles the function `key` of `program`, whose slab has the given layout.
    ///
    /// Translation to intermediate code is quick; generating machine code from it is not. In
    /// between, `admit` is called with the number of values of the function, counting operands that
    /// are copied to calls and branches. Its error ends the compilation.
    ///
    /// # Errors
    ///
    /// When the function uses something that is not supported yet, when it is too large, and when
    /// `admit` fails. The error names the function and, if one is known, the byte offset in the
    /// component.
    pub fn compile(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
        key: FuncKey,
        scratch: &mut Scratch,
        admit: impl FnOnce(usize) -> Result<()>,
    ) -> Result<Made> {
        self.build(program, layout, key, scratch)
            .and_then(|()| admit(scratch.workspace.values()))
            .and_then(|()| self.finish(program, key, scratch))
            // A failure half way leaves the buffers in an undefined state.
            .inspect_err(|_| *scratch = Scratch::default())
            .with_context(|| format!("cannot compile {}", describe(program, key)))
    }

    /// Translates the function `key` to CLIF, which is left in the workspace.
    pub(crate) fn build(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
        key: FuncKey,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let input = Input {
            program,
            layout,
            isa: &self.isa,
            tunables: &self.tunables,
            function_values: self.function_values,
        };
        let Scratch {
            workspace, stacks, ..
        } = scratch;
        workspace.start(key);
        match key {
            FuncKey::CoreFunc { instance, func } => {
                translate::core_function(&input, instance, func, workspace, stacks)
            }
            FuncKey::LowerImport(id) => canon::lower::import_trampoline(&input, id, workspace),
            FuncKey::Builtin(builtin) => builtin::trampoline(&input, builtin, workspace),
            FuncKey::Entry(sig) => canon::entry::entry_trampoline(&input, sig, workspace),
            FuncKey::Adapter(id) => canon::adapter::emit(&input, id, workspace),
            FuncKey::Canon(id) => canon::builtin(&input, id, workspace),
            FuncKey::Start(id) => canon::adapter::task::start(&input, id, workspace),
            FuncKey::Return(id) => canon::adapter::task::result(&input, id, workspace),
            FuncKey::Copy(id) => canon::adapter::task::copy(&input, id, workspace),
        }?;
        isa::prepare(&*self.isa, &mut workspace.context.func);
        Ok(())
    }

    /// Returns the machine code of the function `key` as text.
    #[cfg(test)]
    pub(crate) fn disassemble(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
        key: FuncKey,
        scratch: &mut Scratch,
    ) -> Result<String> {
        self.build(program, layout, key, scratch)?;
        let workspace = &mut scratch.workspace;
        let context = &mut workspace.context;
        improve(&*self.isa, workspace.effort, &mut context.func);
        context.set_disasm(true);
        let compiled = context.compile(&*self.isa, &mut ControlPlane::default());
        let compiled = compiled.map_err(|error| codegen_error(error.inner))?;
        compiled
            .vcode
            .clone()
            .context("internal error: the result has no text")
    }

    /// Returns the machine code of the function `key` from the fast tier, or the reason why there
    /// is none.
    #[cfg(test)]
    pub(crate) fn compile_fast(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
        key: FuncKey,
        scratch: &mut Scratch,
    ) -> Result<Result<UnboundFunction, fast::Unsupported>> {
        self.build(program, layout, key, scratch)?;
        let func = &scratch.workspace.context.func;
        let address_map = self.tunables.address_map;
        Ok(fast::compile(
            &*self.isa,
            func,
            &mut scratch.fast,
            address_map,
        ))
    }

    /// Returns the machine code of the CLIF in the workspace.
    fn finish(&self, program: &Program<'_>, key: FuncKey, scratch: &mut Scratch) -> Result<Made> {
        let isa = match scratch.workspace.effort {
            Effort::Full => &self.isa,
            Effort::Least => &self.least_effort,
        };
        let func = &scratch.workspace.context.func;
        let names = unbound::names(func);
        let start = func.params.base_srcloc().bits();
        let Some(cache) = &self.cache else {
            let function = self.generate(&**isa, scratch)?;
            return Ok(Made {
                function: function.bind(key, &names, start)?,
                kept: None,
                is_new: true,
            });
        };
        // Before optimization, which changes the function.
        let settings = [self.tunables.address_map, self.is_fast()].map(u8::from);
        let digest = cache.digest(&**isa, func, &settings);
        let kept = Kept::new(key, body_digest(cache, program, key), &digest, &names);
        if let Some(function) = cache.get(&digest)
            && let Ok(function) = function.bind(key, &names, start)
        {
            return Ok(Made {
                function,
                kept: Some(kept),
                is_new: false,
            });
        }
        let function = self.generate(&**isa, scratch)?;
        let is_kept = cache.insert(&digest, &function);
        Ok(Made {
            function: function.bind(key, &names, start)?,
            kept: is_kept.then_some(kept),
            is_new: true,
        })
    }

    /// Returns whether functions are compiled by the fast tier, which makes no NaN canonical, where
    /// it can.
    fn is_fast(&self) -> bool {
        self.tunables.opt_level == OptLevel::None && !self.tunables.nan_canonicalization
    }

    /// Generates machine code from the CLIF in the workspace.
    fn generate(&self, isa: &dyn TargetIsa, scratch: &mut Scratch) -> Result<UnboundFunction> {
        let Scratch {
            workspace, fast, ..
        } = scratch;
        let address_map = self.tunables.address_map;
        let context = &mut workspace.context;
        if self.is_fast() {
            context.verify_if(isa).map_err(codegen_error)?;
            if let Ok(function) = fast::compile(isa, &context.func, fast, address_map) {
                return Ok(function);
            }
        }
        improve(isa, workspace.effort, &mut context.func);
        generate(isa, address_map, context)
    }
}

/// Hashes the body of a function, which is empty if it is not one of a core module.
fn body_digest(cache: &FunctionCache, program: &Program<'_>, key: FuncKey) -> blake3::Hash {
    cache.body_digest(program.body(key).map_or(&[], |body| body.bytes))
}

/// Changes the CLIF of a function where the code generator would make slower code of it.
fn improve(isa: &dyn TargetIsa, effort: Effort, func: &mut Function) {
    if effort == Effort::Full && isa::extends_for_free(isa) {
        widen_indices(func);
    }
}

/// Generates machine code with Cranelift.
fn generate(
    isa: &dyn TargetIsa,
    address_map: bool,
    context: &mut Context,
) -> Result<UnboundFunction> {
    if let Err(error) = context.compile(isa, &mut ControlPlane::default()) {
        return Err(codegen_error(error.inner));
    }
    let Some(compiled) = context.take_compiled_code() else {
        bail!("internal error: the code generator returned no code")
    };
    output::copy_out(&compiled, &context.func, isa, address_map)
}

fn settings(tunables: &Tunables, effort: Effort) -> Result<Flags> {
    let mut flags = cranelift_codegen::settings::builder();
    let switch = |on| if on { "true" } else { "false" };
    let opt_level = match tunables.opt_level {
        OptLevel::None => "none",
        _ if effort == Effort::Least => "none",
        OptLevel::Speed => "speed",
        OptLevel::SpeedAndSize => "speed_and_size",
    };
    for (name, value) in [
        ("opt_level", opt_level),
        (
            "regalloc_algorithm",
            match effort {
                Effort::Full => "backtracking",
                Effort::Least => "single_pass",
            },
        ),
        ("enable_verifier", switch(tunables.debug_verifier)),
        // The runtime walks the stack by frame pointers.
        ("preserve_frame_pointers", "true"),
        (
            "enable_nan_canonicalization",
            switch(tunables.nan_canonicalization),
        ),
        ("unwind_info", "false"),
        // Results that do not fit in registers are returned through a pointer that the caller
        // passes.
        ("enable_multi_ret_implicit_sret", "true"),
        // References are relative to the pc in any case. This setting only avoids a global offset
        // table.
        ("is_pic", "false"),
        // The linker needs to know where loops are.
        ("machine_code_cfg_info", "true"),
        // Functions check the stack limit explicitly. On a coroutine stack of the host, however,
        // the limit is unknown and only a guard page ends the stack. Its smallest size is 4 KiB, so
        // a frame of a page or more probes each page that it covers.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("probestack_size_log2", "12"),
    ] {
        flags.set(name, value).with_context(|| {
            format!("internal error: the code generator has no setting {name}={value}")
        })?;
    }
    Ok(Flags::new(flags))
}

/// Describes an error to the author of the component, who can split a function but cannot change
/// the code generator.
fn codegen_error(error: CodegenError) -> anyhow::Error {
    match error {
        CodegenError::CodeTooLarge => limit!(
            ComponentSize,
            "its machine code is too large; split the function"
        )
        .into(),
        CodegenError::ImplLimitExceeded => limit!(
            ComponentSize,
            "it has too many values, blocks or locals; split the function"
        )
        .into(),
        CodegenError::Unsupported(what) => {
            unsupported!("the code generator does not support: {what}").into()
        }
        CodegenError::Verifier(errors) => {
            anyhow!("internal error: malformed intermediate code:\n{errors}")
        }
        other => anyhow!("the code generator failed: {other}"),
    }
}

/// Describes a function for messages: its key and, if the component has one, its name.
fn describe(program: &Program<'_>, key: FuncKey) -> Cow<'static, str> {
    let name = |instance: CoreInstanceId, func: FuncIndex| {
        let module = program
            .modules
            .get(program.instances.get(instance)?.module)?;
        let at = module
            .names
            .binary_search_by_key(&func, |&(index, _)| index)
            .ok()?;
        Some(module.names[at].1)
    };
    match key {
        FuncKey::CoreFunc { instance, func } => match name(instance, func) {
            Some(name) => format!("function {key} `{}`", Printable(name)).into(),
            None => format!("function {key}").into(),
        },
        FuncKey::Canon(id) => match program.canons.get(id) {
            Some(builtin) => format!("{key}, the built-in `{}`", builtin.op.name()).into(),
            None => format!("{key}").into(),
        },
        FuncKey::LowerImport(_) | FuncKey::Entry(_) | FuncKey::Builtin(_) => {
            format!("trampoline {key}").into()
        }
        FuncKey::Copy(_) => format!("{key}").into(),
        FuncKey::Adapter(id) | FuncKey::Start(id) | FuncKey::Return(id) => {
            match program.adapters.get(id) {
                Some(adapter) => {
                    let ty = program.interface.types.display_func(adapter.ty);
                    format!(
                        "{key}, the adapter from {:?} to {:?} of {ty}",
                        adapter.lower.domain, adapter.lift.options.domain
                    )
                    .into()
                }
                None => format!("{key}").into(),
            }
        }
    }
}
