//! [`Boundary`] and [`ResolvedLift`]: what calls need to know of a function, resolved once.

use crate::error::Result;
use mintage_environ::component::{
    CanonOptions, ComponentInterface, HostCalls, InterfaceType, MAX_FLAT_PARAMS, StringEncoding,
};
use mintage_environ::{DomainId, FuncTypeId, IndexVec, LiftId, MemoryId};
use mintage_runtime::{Callee, Code};

/// A function at the boundary between the host and a component instance: its type, and the
/// canonical options by which values cross.
#[derive(Clone, Debug)]
pub(crate) struct Boundary {
    pub ty: FuncTypeId,
    /// The parameters as a tuple.
    pub params: InterfaceType,
    /// The results as a tuple.
    pub results: InterfaceType,
    /// Whether parameters are borrowed handles.
    pub borrows: bool,
    pub guest: GuestOptions,
    pub string_encoding: StringEncoding,
    /// Whether a guest calls the function of the host with `async`.
    pub is_async_lower: bool,
    /// Whether the function of a guest is lifted with `async`, and so gives its result by
    /// `task.return`.
    pub returns_early: bool,
}

/// The canonical options for the memory and the handles of a guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestOptions {
    /// The component instance whose memory and handles are used.
    pub domain: DomainId,
    pub memory: Option<MemoryId>,
    pub realloc: Option<Callee>,
    /// Whether the runtime must know which call runs in the component instance.
    pub is_concurrent: bool,
}

impl GuestOptions {
    /// Resolves the options of a function of a component.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for `realloc`.
    pub fn new(code: &Code, options: &CanonOptions) -> Result<GuestOptions> {
        let realloc = options.realloc.map(|callee| code.callee(callee));
        Ok(GuestOptions {
            memory: options.memory,
            realloc: realloc.transpose()?,
            ..Self::without_memory(code.interface(), options.domain)
        })
    }

    fn without_memory(interface: &ComponentInterface, domain: DomainId) -> GuestOptions {
        let concurrent = &interface.concurrent_domains;
        GuestOptions {
            domain,
            memory: None,
            realloc: None,
            is_concurrent: concurrent.binary_search(&domain).is_ok(),
        }
    }
}

impl Boundary {
    /// Resolves the boundary of a function of type `ty` with the given options.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for `realloc`.
    pub fn new(code: &Code, ty: FuncTypeId, options: &CanonOptions) -> Result<Boundary> {
        Ok(Boundary {
            guest: GuestOptions::new(code, options)?,
            string_encoding: options.string_encoding,
            is_async_lower: false,
            returns_early: false,
            ..Self::without_memory(code.interface(), ty, options.domain)
        })
    }

    /// The boundary of a function whose values do not pass through a guest's memory.
    pub fn without_memory(
        interface: &ComponentInterface,
        ty: FuncTypeId,
        domain: DomainId,
    ) -> Boundary {
        let tuples = interface.types.func_tuples(ty);
        Boundary {
            ty,
            params: tuples.params,
            results: tuples.results,
            borrows: interface.types.has_borrows(ty),
            guest: GuestOptions::without_memory(interface, domain),
            string_encoding: StringEncoding::Utf8,
            is_async_lower: false,
            returns_early: false,
        }
    }
}

/// A function that a component exports, resolved when the component is loaded.
#[derive(Debug)]
pub(crate) struct ResolvedLift {
    pub boundary: Boundary,
    /// The core function.
    pub callee: Callee,
    pub post_return: Option<Callee>,
    /// The functions of the host that a call may reach.
    pub calls: HostCalls,
    /// The types of the values, if all are scalars and pass in words.
    pub scalars: Option<ScalarTypes>,
    /// Whether the result is a scalar, or nothing.
    pub returns_word: bool,
    /// Whether calls are tasks that may wait: whether the function's type is `async`.
    pub is_task: bool,
}

/// The types of a function's values, all of which are booleans, numbers or characters.
#[derive(Debug)]
pub(crate) struct ScalarTypes {
    pub params: Box<[InterfaceType]>,
    pub result: Option<InterfaceType>,
}

impl ScalarTypes {
    /// Returns the types, unless values of others pass, or too many for words.
    fn of(interface: &ComponentInterface, ty: FuncTypeId) -> Option<ScalarTypes> {
        let func = interface.types.func(ty);
        let params: Box<[InterfaceType]> = func.params.iter().map(|&(_, ty)| ty).collect();
        let are_scalars = params.iter().chain(&func.result).all(|ty| ty.is_scalar());
        (are_scalars && params.len() <= MAX_FLAT_PARAMS).then_some(ScalarTypes {
            params,
            result: func.result,
        })
    }
}

impl ResolvedLift {
    /// Resolves all lifts of a component, by number.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for one of the functions.
    pub fn all(code: &Code) -> Result<IndexVec<LiftId, ResolvedLift>> {
        let interface = code.interface();
        interface
            .lifts
            .iter()
            .map(|(id, lift)| {
                let post_return = lift.post_return.map(|callee| code.callee(callee));
                let result = interface.types.func(lift.ty).result;
                Ok(ResolvedLift {
                    boundary: Boundary {
                        returns_early: lift.options.is_async,
                        ..Boundary::new(code, lift.ty, &lift.options)?
                    },
                    callee: code.callee(lift.callee)?,
                    post_return: post_return.transpose()?,
                    scalars: ScalarTypes::of(interface, lift.ty),
                    returns_word: result.is_none_or(|ty| ty.is_scalar()),
                    calls: interface.lift_calls[id],
                    is_task: interface.types.func(lift.ty).is_async,
                })
            })
            .collect()
    }
}

/// Returns whether instances may have tasks that go on when no call is under way, or ends of
/// streams and futures.
pub(super) fn may_have_tasks(interface: &ComponentInterface) -> bool {
    let mut tasks = interface
        .lift_tasks
        .values()
        .chain(interface.tasks.values());
    let mut lowers = interface.lowers.values();
    !interface.concurrent_domains.is_empty()
        || interface.types.has_streams()
        || tasks.any(Option::is_some)
        || lowers.any(|lower| lower.options.is_async)
}
