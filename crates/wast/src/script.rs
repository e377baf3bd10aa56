//! Runs the directives of a script.

use crate::component::ComponentDefinition;
use crate::component_value;
use crate::core_value;
use crate::engine;
use crate::linking::{InstanceId, Instances, LinkedComponents, LinkedCore};
use crate::report::{Failure, Report, Skipped};
use crate::wrap::{self, CoreModule};
use crate::{header, legacy};
use hashbrown::HashMap;
use mintage::error::{Context, Error, Result, bail, ensure, format_err};
use mintage::{Engine, Trap};
use std::borrow::Cow;
use std::rc::Rc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::{mem, panic};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

/// Stack size of each thread, in bytes. Scripts recurse until the engine's stack limit stops them,
/// which must happen before the thread's stack overflows.
pub(crate) const STACK_SIZE: usize = 16 << 20;

/// Runs a script and reports the outcome of its directives.
///
/// `engine` must have been created with [`Config::core_exports`](mintage::Config::core_exports),
/// because core modules run wrapped in components. A header of the script
/// (`;;! multi_memory = true`) changes settings of the engine.
///
/// # Errors
///
/// Fails if `text` is not a script, or has a header with unknown settings. A directive that fails
/// is not an error, but a [`Failure`] in the report.
pub fn run(engine: &Engine, text: &str) -> Result<Report> {
    let engine = header::engine(engine, text)?;
    let mut text = Cow::Borrowed(text);
    loop {
        match parse_and_run(&engine, &text) {
            Ok(report) => return Ok(report),
            Err(error) => match legacy::rewritten(&text, &error) {
                Some(rewritten) => text = Cow::Owned(rewritten),
                None => return Err(error.into()),
            },
        }
    }
}

fn parse_and_run(engine: &Engine, text: &str) -> Result<Report, wast::Error> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let wast = parser::parse::<Wast<'_>>(&buffer)?;
    let lines = line_starts(text);
    Ok(thread::scope(|scope| {
        Runner::new(scope, engine, &lines).run(wast.directives)
    }))
}

/// Returns the byte offsets at which lines start.
fn line_starts(text: &str) -> Vec<usize> {
    let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
    [0].into_iter()
        .chain(newlines.map(|(offset, _)| offset + 1))
        .collect()
}

/// Returns the keyword of a directive, for messages.
fn keyword(directive: &WastDirective<'_>) -> &'static str {
    match directive {
        WastDirective::Module(module) if is_component(module) => "component",
        WastDirective::Module(_) => "module",
        WastDirective::ModuleDefinition(_) => "definition",
        WastDirective::ModuleInstance { .. } => "instance",
        WastDirective::AssertMalformed { .. } => "assert_malformed",
        WastDirective::AssertMalformedCustom { .. } => "assert_malformed_custom",
        WastDirective::AssertInvalid { .. } => "assert_invalid",
        WastDirective::AssertInvalidCustom { .. } => "assert_invalid_custom",
        WastDirective::AssertTrap { .. } => "assert_trap",
        WastDirective::AssertReturn { .. } => "assert_return",
        WastDirective::AssertExhaustion { .. } => "assert_exhaustion",
        WastDirective::AssertUnlinkable { .. } => "assert_unlinkable",
        WastDirective::AssertException { .. } => "assert_exception",
        WastDirective::AssertSuspension { .. } => "assert_suspension",
        WastDirective::Register { .. } => "register",
        WastDirective::Invoke(_) => "invoke",
        WastDirective::Thread(_) => "thread",
        WastDirective::Wait { .. } => "wait",
    }
}

fn is_component(module: &QuoteWat<'_>) -> bool {
    matches!(
        module,
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..)
    )
}

/// The error of a directive whose instance does not exist, because the directive on line
/// `because_of` failed.
#[derive(Debug, thiserror::Error)]
#[error("the directive on line {because_of}, which defines the instance, failed")]
struct Missing {
    because_of: usize,
}

/// An instance that the script can name.
#[derive(Clone, Copy)]
enum Handle {
    Core(InstanceId),
    Component(InstanceId),
    /// The directive on this line should have defined it, but failed.
    Missing(usize),
}

/// A module or component that can be instantiated.
#[derive(Clone)]
enum Definition {
    Core(Rc<CoreModule>),
    Component(Rc<ComponentDefinition>),
    /// The directive on this line should have defined it, but failed.
    Missing(usize),
}

/// The results of a call.
enum Results {
    Core(Vec<core_value::CoreValue>),
    Component(Vec<mintage::Val>),
}

/// A thread that a script starts.
enum ScriptThread<'scope> {
    Running(ScopedJoinHandle<'scope, Report>),
    /// The directive on this line should have started it, but failed.
    Missing(usize),
}

/// The state of a script's thread: its definitions, instances and report.
struct Runner<'scope, 'e> {
    scope: &'scope Scope<'scope, 'e>,
    engine: &'e Engine,
    /// The byte offsets at which lines start.
    lines: &'e [usize],
    core: Instances<'e, LinkedCore>,
    components: Instances<'e, LinkedComponents>,
    definitions: HashMap<String, Definition>,
    last_definition: Option<Definition>,
    named: HashMap<String, Handle>,
    registered: HashMap<String, InstanceId>,
    registered_components: HashMap<String, InstanceId>,
    current: Option<Handle>,
    threads: HashMap<String, ScriptThread<'scope>>,
    report: Report,
    /// The line of the current directive.
    line: usize,
}

impl<'scope, 'e> Runner<'scope, 'e> {
    fn new(scope: &'scope Scope<'scope, 'e>, engine: &'e Engine, lines: &'e [usize]) -> Self {
        Self {
            scope,
            engine,
            lines,
            core: Instances::new(engine),
            components: Instances::new(engine),
            definitions: HashMap::new(),
            last_definition: None,
            named: HashMap::new(),
            registered: HashMap::new(),
            registered_components: HashMap::new(),
            current: None,
            threads: HashMap::new(),
            report: Report::default(),
            line: 0,
        }
    }

    /// Runs directives, and waits for the threads that they start.
    fn run(mut self, directives: Vec<WastDirective<'e>>) -> Report {
        for directive in directives {
            let keyword = keyword(&directive);
            let offset = directive.span().offset();
            self.line = self.lines.partition_point(|&start| start <= offset);
            let line = self.line;
            match self.directive(directive) {
                Ok(()) if keyword.starts_with("assert_") => self.report.assertions += 1,
                Ok(()) => self.report.actions += 1,
                Err(error) => match error.downcast_ref::<Missing>() {
                    Some(&Missing { because_of }) => {
                        self.report.skipped.push(Skipped { line, because_of })
                    }
                    None => self.report.failures.push(Failure {
                        line,
                        directive: keyword,
                        cause: format!("{error:#}"),
                    }),
                },
            }
        }
        for (_, thread) in mem::take(&mut self.threads) {
            self.join(thread).ok();
        }
        self.report.sort();
        self.report
    }

    fn directive(&mut self, directive: WastDirective<'e>) -> Result<()> {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                let made = self
                    .define(&mut module)
                    .and_then(|definition| self.instantiate(definition));
                self.bind(name, made)
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name();
                let (definition, outcome) = match self.define(&mut module) {
                    Ok(definition) => (definition, Ok(())),
                    Err(error) => (Definition::Missing(self.line), Err(error)),
                };
                if let Some(name) = name {
                    self.definitions
                        .insert(name.name().into(), definition.clone());
                }
                self.last_definition = Some(definition);
                outcome
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let definition = match module {
                    Some(name) => self.definitions.get(name.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let made = definition
                    .context("no such definition")
                    .and_then(|definition| self.instantiate(definition));
                self.bind(instance, made)
            }
            WastDirective::Register { name, module, .. } => match self.handle(module)? {
                Handle::Core(instance) => {
                    self.registered.insert(name.into(), instance);
                    Ok(())
                }
                Handle::Component(instance) => {
                    self.registered_components.insert(name.into(), instance);
                    Ok(())
                }
                Handle::Missing(because_of) => Err(Error::new(Missing { because_of })),
            },
            WastDirective::Invoke(invoke) => self.invoke(invoke).map(drop),
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => {
                let outcome = self.execute(exec);
                expect_trap(outcome, message)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let outcome = self.invoke(call);
                expect_trap(outcome, message)
            }
            WastDirective::AssertException { exec, .. } => expect_exception(self.execute(exec)),
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => self.assert_unlinkable(module, message),
            WastDirective::AssertInvalid {
                mut module,
                message,
                ..
            } => match (module.encode(), is_component(&module)) {
                (Ok(bytes), component) => self.assert_rejected(&bytes, component, message),
                // Encoding resolves the names in a component's text.
                (Err(error), true) => expect_message(&error.into(), message),
                (Err(error), false) => {
                    Err(Error::new(error).context("the module is malformed rather than invalid"))
                }
            },
            WastDirective::AssertMalformed {
                mut module,
                message,
                ..
            } => match (module.encode(), is_component(&module)) {
                (Ok(bytes), component) => self.assert_rejected(&bytes, component, message),
                (Err(error), true) => expect_message(&error.into(), message),
                (Err(_), false) => Ok(()),
            },
            WastDirective::Thread(thread) => self.start_thread(thread),
            WastDirective::Wait { thread, .. } => match self.threads.remove(thread.name()) {
                Some(thread) => self.join(thread),
                None => bail!("no thread ${}", thread.name()),
            },
            other => bail!("the directive `{}` is not supported yet", keyword(&other)),
        }
    }

    /// Starts a thread with its own directives and instances.
    fn start_thread(&mut self, thread: WastThread<'e>) -> Result<()> {
        let (scope, engine, lines) = (self.scope, self.engine, self.lines);
        let name = thread.name.name().to_string();
        let mut shared = None;
        if let Some(id) = thread.shared_module {
            let error = match self.handle(Some(id)) {
                Ok(_) => format_err!(
                    "an instance cannot be shared with a thread, because shared memories are not \
                     supported"
                ),
                Err(error) => error,
            };
            let Some(&Missing { because_of }) = error.downcast_ref::<Missing>() else {
                self.threads.insert(name, ScriptThread::Missing(self.line));
                return Err(error);
            };
            shared = Some((id, because_of));
        }
        let run = move || {
            let mut script = Runner::new(scope, engine, lines);
            if let Some((id, because_of)) = shared {
                script
                    .named
                    .insert(id.name().into(), Handle::Missing(because_of));
            }
            script.run(thread.directives)
        };
        let handle = thread::Builder::new()
            .stack_size(STACK_SIZE)
            .spawn_scoped(scope, run)?;
        self.threads.insert(name, ScriptThread::Running(handle));
        Ok(())
    }

    /// Waits for the end of a thread and adds its report.
    fn join(&mut self, thread: ScriptThread<'scope>) -> Result<()> {
        match thread {
            ScriptThread::Running(handle) => {
                let report = handle
                    .join()
                    .unwrap_or_else(|payload| panic::resume_unwind(payload));
                self.report.append(report);
                Ok(())
            }
            ScriptThread::Missing(because_of) => Err(Error::new(Missing { because_of })),
        }
    }

    /// Encodes a module or component. Components are also compiled; modules are later, when linked.
    fn define(&self, module: &mut QuoteWat<'_>) -> Result<Definition> {
        let component = is_component(module);
        let bytes = module.encode()?;
        if component {
            let definition = ComponentDefinition::new(self.engine, bytes)?;
            return Ok(Definition::Component(Rc::new(definition)));
        }
        match CoreModule::parse(&bytes) {
            Ok(module) => Ok(Definition::Core(Rc::new(module))),
            // The engine's message for the same defect is the better one.
            Err(error) => Err(engine::compile(self.engine, &wrap::validation_only(&bytes))
                .err()
                .unwrap_or(error)),
        }
    }

    /// Instantiates a definition. It imports from registered instances, or else from instances with
    /// that name in the script, which some scripts expect.
    fn instantiate(&mut self, definition: Definition) -> Result<Handle> {
        match definition {
            Definition::Core(module) => {
                let (registered, named) = (&self.registered, &self.named);
                let provider = |name: &str| match (registered.get(name), named.get(name)) {
                    (Some(&instance), _) | (None, Some(&Handle::Core(instance))) => Some(instance),
                    _ => None,
                };
                Ok(Handle::Core(self.core.instantiate(module, provider)?))
            }
            Definition::Component(component) => {
                let (registered, named) = (&self.registered_components, &self.named);
                let provider = |name: &str| match (registered.get(name), named.get(name)) {
                    (Some(&instance), _) | (None, Some(&Handle::Component(instance))) => {
                        Some(instance)
                    }
                    _ => None,
                };
                Ok(Handle::Component(
                    self.components.instantiate(component, provider)?,
                ))
            }
            Definition::Missing(because_of) => Err(Error::new(Missing { because_of })),
        }
    }

    /// Makes an instance the current one and binds it to its name. If instantiation failed, the
    /// name is bound to [`Handle::Missing`].
    fn bind(&mut self, name: Option<Id<'_>>, made: Result<Handle>) -> Result<()> {
        let (handle, outcome) = match made {
            Ok(handle) => (handle, Ok(())),
            Err(error) => {
                let line = error
                    .downcast_ref::<Missing>()
                    .map(|missing| missing.because_of);
                (Handle::Missing(line.unwrap_or(self.line)), Err(error))
            }
        };
        let before = self.current.replace(handle);
        if let Some(name) = name {
            self.named.insert(name.name().into(), handle);
        }
        match before {
            Some(Handle::Core(before)) => {
                let named =
                    |handle: &Handle| matches!(handle, Handle::Core(other) if *other == before);
                if !self.named.values().any(named)
                    && !self.registered.values().any(|&other| other == before)
                {
                    self.core.forget(before);
                }
            }
            Some(Handle::Component(before)) => {
                let named = |handle: &Handle| match handle {
                    Handle::Component(other) => *other == before,
                    _ => false,
                };
                let mut registered = self.registered_components.values();
                if !self.named.values().any(named) && !registered.any(|&other| other == before) {
                    self.components.forget(before);
                }
            }
            Some(Handle::Missing(_)) | None => {}
        }
        outcome
    }

    /// Returns the instance with a name, or the current one.
    fn handle(&self, name: Option<Id<'_>>) -> Result<Handle> {
        let handle = match name {
            Some(name) => self
                .named
                .get(name.name())
                .copied()
                .with_context(|| format!("there is no instance ${}", name.name()))?,
            None => self.current.context("there is no instance")?,
        };
        match handle {
            Handle::Missing(because_of) => Err(Error::new(Missing { because_of })),
            handle => Ok(handle),
        }
    }

    fn invoke(&mut self, invoke: WastInvoke<'_>) -> Result<Results> {
        match self.handle(invoke.module)? {
            Handle::Core(instance) => {
                let args = invoke
                    .args
                    .iter()
                    .map(core_value::argument)
                    .collect::<Result<Vec<_>>>()?;
                self.core
                    .call(instance, invoke.name, &args)
                    .map(Results::Core)
            }
            Handle::Component(instance) => {
                let args = invoke
                    .args
                    .iter()
                    .map(component_value::argument)
                    .collect::<Result<Vec<_>>>()?;
                self.components
                    .call(instance, invoke.name, &args)
                    .map(Results::Component)
            }
            Handle::Missing(because_of) => Err(Error::new(Missing { because_of })),
        }
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Results> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => match self.handle(module)? {
                Handle::Core(instance) => {
                    Ok(Results::Core(vec![self.core.global(instance, global)?]))
                }
                _ => bail!("components have no globals"),
            },
            WastExecute::Wat(wat) => {
                let definition = self.define(&mut QuoteWat::Wat(wat))?;
                self.instantiate(definition)?;
                Ok(Results::Core(Vec::new()))
            }
        }
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, expected: &[WastRet<'_>]) -> Result<()> {
        match self.execute(exec)? {
            Results::Core(actual) => core_value::compare(&actual, expected),
            Results::Component(actual) => component_value::compare(&actual, expected),
        }
    }

    /// Checks that a module is valid on its own but cannot be linked.
    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Result<()> {
        let definition = self.define(&mut QuoteWat::Wat(module))?;
        if let Definition::Core(module) = &definition {
            let alone = wrap::validation_only(&module.bytes);
            engine::compile(self.engine, &alone)
                .context("the module is invalid rather than unlinkable")?;
        }
        match self.instantiate(definition) {
            Ok(_) => bail!("the module can be linked"),
            // Old scripts expect a link error if a segment is out of bounds. Today that is a trap.
            Err(error) if engine::trap(&error).is_some() => expect_trap(Err(error), message)
                .context("the module traps instead of failing to link"),
            Err(_) => Ok(()),
        }
    }

    /// Checks that a module or component is rejected. For components, checks the message as well:
    /// scripts expect those of `wasmparser`, which the engine uses. Scripts of core modules expect
    /// messages of the specification's interpreter instead, which are not compared.
    fn assert_rejected(&self, bytes: &[u8], is_component: bool, message: &str) -> Result<()> {
        let outcome = match is_component {
            true => engine::compile(self.engine, bytes),
            false => engine::compile(self.engine, &wrap::validation_only(bytes)),
        };
        match outcome {
            Ok(_) => bail!("accepted, but the script expects: {message}"),
            Err(error) if is_component => expect_message(&error, message),
            Err(_) => Ok(()),
        }
    }
}

/// Checks that an error's message contains the text that a script expects.
fn expect_message(error: &Error, expected: &str) -> Result<()> {
    let actual = format!("{error:#}");
    ensure!(
        actual.contains(expected),
        "error: {actual}; expected: {expected}"
    );
    Ok(())
}

/// Starts of the messages in Wasmtime's scripts that this engine words differently.
const WORDINGS: &[(&str, Trap)] = &[
    ("string pointer not aligned", Trap::UnalignedPointer),
    ("discriminant ", Trap::InvalidDiscriminant),
    ("invalid debug message pointer", Trap::PointerOutOfBounds),
    (
        "atomic wait on non-shared memory",
        Trap::AtomicWaitNonSharedMemory,
    ),
];

/// Checks that an outcome is a trap with the message that the script expects. Details that only one
/// of them has are ignored: engines name the memory, scripts the element.
fn expect_trap(outcome: Result<Results>, expected: &str) -> Result<()> {
    let error = match outcome {
        Ok(_) => bail!("no trap; expected: {expected}"),
        Err(error) => error,
    };
    if error.is::<Missing>() {
        return Err(error);
    }
    // Some errors of the Canonical ABI are not a `Trap`, or have one as their cause.
    let message = format!("{error:#}");
    let Some(trap) = engine::trap(&error) else {
        return if message.contains(expected) {
            Ok(())
        } else {
            Err(error)
        };
    };
    let actual = trap.to_string();
    if message.contains(expected) || actual.contains(expected) {
        return Ok(());
    }
    if without_numbers(expected).starts_with(&without_numbers(trap.message())) {
        return Ok(());
    }
    if WORDINGS
        .iter()
        .any(|&(start, same)| same == trap && expected.starts_with(start))
    {
        return Ok(());
    }
    // Scripts name the type of the null reference: `null function reference`, `null i31 reference`.
    let is_null = expected.starts_with("null ") && expected.ends_with(" reference");
    if trap == Trap::NullReference && is_null {
        return Ok(());
    }
    Err(format_err!("trap: {message}; expected: {expected}"))
}

/// Checks that an outcome is an uncaught exception.
fn expect_exception(outcome: Result<Results>) -> Result<()> {
    match outcome {
        Ok(_) => bail!("no exception"),
        Err(error) if engine::trap(&error) == Some(Trap::UncaughtException) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the words of a message that are numbers, such as the index of an element.
fn without_numbers(message: &str) -> String {
    let words = message
        .split(' ')
        .filter(|word| word.parse::<u64>().is_err());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let starts = line_starts("a\n\nbc\n");
        let line = |offset: usize| starts.partition_point(|&start| start <= offset);
        assert_eq!(
            [line(0), line(1), line(2), line(3), line(5)],
            [1, 1, 2, 3, 3]
        );
    }

    #[test]
    fn trap_messages_match_by_their_common_part() {
        let trap = |trap: Trap| Err(Error::new(trap));
        expect_trap(trap(Trap::MemoryOutOfBounds), "out of bounds memory access").unwrap();
        expect_trap(trap(Trap::UnreachableCodeReached), "unreachable").unwrap();
        expect_trap(trap(Trap::IndirectCallToNull), "uninitialized element 2").unwrap();
        expect_trap(trap(Trap::IntegerOverflow), "integer divide by zero").unwrap_err();
        expect_trap(trap(Trap::ListOutOfBounds), "wasm trap: list content").unwrap();
        expect_trap(trap(Trap::NullReference), "null structure reference").unwrap();
        expect_trap(trap(Trap::CastFailure), "null structure reference").unwrap_err();
        expect_trap(
            trap(Trap::WrongHandleType),
            "handle index 1 used with the wrong type, expected",
        )
        .unwrap();
        expect_trap(
            trap(Trap::UnknownHandle),
            "handle index 1 used with the wrong type, expected",
        )
        .unwrap_err();
        expect_trap(
            trap(Trap::InvalidDiscriminant),
            "discriminant 2 out of range [0..2)",
        )
        .unwrap();
        expect_trap(
            trap(Trap::InvalidChar),
            "discriminant 2 out of range [0..2)",
        )
        .unwrap_err();
        expect_trap(Err(format_err!("invalid utf-8")), "utf-8").unwrap();
        expect_trap(Err(format_err!("invalid utf-8")), "utf-16").unwrap_err();
        expect_trap(Err(Error::new(Missing { because_of: 7 })), "7").unwrap_err();
        expect_trap(Ok(Results::Core(Vec::new())), "").unwrap_err();
    }
}
