//! [`Linker`]: host functions by name, and how they meet a component's imports.

use crate::abi::InstanceTypes;
use crate::call::{
    DynamicAsyncHost, DynamicConcurrentHost, DynamicHost, HostFunction, Reexport, Reexports,
    ResolvedImport, TypedAsyncHost, TypedConcurrentHost, TypedHost,
};
use crate::component::NameMap;
use crate::concurrent::Exposed;
use crate::error::{Context, Error, LinkError, Result, UnmetImport, bail, ensure};
use crate::store::{Destructor, LinkedImports, host_destructor};
use crate::types::{self, ComponentFunc, HostResourceTypes, TypeScope};
use crate::{
    Accessor, AsContextMut, Caller, Component, ComponentNamedList, Engine, Instance, InstancePre,
    Lift, Lower, Module, ResourceType, StoreContextMut, Val,
};
use indexmap::IndexMap;
use mintage_environ::component::{Import, Resource};
use mintage_environ::{ImportId, Index, ResourceId};
use mintage_runtime::HostTable;
use std::pin::Pin;
use std::sync::Arc;

/// Host functions and resource types for stores of host data `T`, by the names under which
/// components import them.
///
/// A definition also meets imports of semver-compatible versions of its name: an import
/// `ns:pkg/iface@1.2.0` is met by a definition of `ns:pkg/iface@1.3.1`.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "host:log/log" (instance $log
///             (export "seen" (func (param "n" u32)))))
///         (core func $seen (canon lower (func $log "seen")))
///         (core module $m
///             (import "" "seen" (func $seen (param i32)))
///             (func (export "run") (call $seen (i32.const 7))))
///         (core instance $i (instantiate $m
///             (with "" (instance (export "seen" (func $seen))))))
///         (func (export "run") (canon lift (core func $i "run"))))"#,
/// )?;
/// let mut linker = Linker::<Vec<u32>>::new(&engine);
/// linker.instance("host:log/log")?.func_wrap("seen", |mut store, (n,): (u32,)| {
///     store.data_mut().push(n);
///     Ok(())
/// })?;
/// let mut store = Store::new(&engine, Vec::new());
/// let instance = linker.instantiate(&mut store, &component)?;
/// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
/// assert_eq!(store.data(), &[7]);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub struct Linker<T: 'static> {
    engine: Engine,
    root: NameMap<Definition<T>>,
    allow_shadowing: bool,
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            root: self.root.clone(),
            allow_shadowing: self.allow_shadowing,
        }
    }
}

/// The definition of a name in a linker.
enum Definition<T: 'static> {
    Func(Arc<dyn HostFunction<T>>),
    Instance(NameMap<Definition<T>>),
    Resource(ResourceType, Destructor<T>),
}

impl<T: 'static> Clone for Definition<T> {
    fn clone(&self) -> Self {
        match self {
            Definition::Func(func) => Definition::Func(func.clone()),
            Definition::Instance(names) => Definition::Instance(names.clone()),
            Definition::Resource(ty, destructor) => Definition::Resource(*ty, destructor.clone()),
        }
    }
}

impl<T: 'static> Definition<T> {
    fn kind(&self) -> &'static str {
        match self {
            Definition::Func(_) => "a function",
            Definition::Instance(_) => "an instance",
            Definition::Resource(..) => "a resource type",
        }
    }
}

/// One instance in a [`Linker`], for definitions of its items. The root of the linker is an
/// instance, too.
///
/// ```
/// use mintage::{Engine, Linker, ResourceType, Val};
///
/// struct File;
///
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::default();
/// let mut linker = Linker::<()>::new(&engine);
/// let mut files = linker.instance("host:fs/files@1.0.0")?;
/// files.resource("file", ResourceType::host::<File>(), |_, rep| {
///     println!("file {rep} was dropped");
///     Ok(())
/// })?;
/// files.func_wrap("add", |_, (a, b): (u32, u32)| Ok((a.wrapping_add(b),)))?;
/// files.func_new("count", |_, _type, params, results| {
///     results[0] = Val::U32(params.len() as u32);
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct LinkerInstance<'a, T: 'static> {
    names: &'a mut NameMap<Definition<T>>,
    allow_shadowing: bool,
}

impl<T: 'static> Linker<T> {
    /// Creates a linker without definitions.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            root: NameMap::default(),
            allow_shadowing: false,
        }
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sets whether a later definition of a name replaces an earlier one; default: off, so that it
    /// is an error.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// Returns the root, for names that components import directly.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance {
            names: &mut self.root,
            allow_shadowing: self.allow_shadowing,
        }
    }

    /// Returns the instance `name`, for example `ns:pkg/iface@1.2.3`. It is created if there is
    /// none.
    ///
    /// # Errors
    ///
    /// If the name is defined as something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        self.root().into_instance(name)
    }

    /// Checks and resolves all imports of a component.
    ///
    /// # Errors
    ///
    /// When imports are missing (one error names all of them with their types), or definitions are
    /// of another type.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>> {
        let resources = HostResourceTypes::new(self.resources(component)?);
        let interface = component.interface();
        let mut destructors = Vec::new();
        let mut thunks = Vec::new();
        for (id, path) in interface.host_resources() {
            let Some(Definition::Resource(_, destructor)) = self.find(path) else {
                bail!("a resource type has no definition")
            };
            thunks.push(host_destructor(destructor));
            destructors.resize(id.index() + 1, None);
            destructors[id.index()] = Some(destructor.clone());
        }
        let mut reexports = Reexports::new();
        for import in component.exports().imported_funcs() {
            let function = self
                .func(component, import)
                .context("an import that is exported again has no definition")?;
            let reexport = Reexport {
                function: function.clone(),
                import: Arc::new(ResolvedImport::reexported(component, &resources, import)),
            };
            reexports.insert(import, Arc::new(reexport));
        }
        let mut funcs = Vec::with_capacity(interface.lowers.len() + thunks.len());
        for (id, lower) in interface.lowers.iter() {
            let func = self
                .func(component, lower.import)
                .context("an import has no definition")?;
            let import = ResolvedImport::lowered(component, &resources, id)?;
            funcs.push(func.clone().lower(import));
        }
        let linked = LinkedImports::new(resources, destructors, reexports);
        funcs.append(&mut thunks);
        Ok(InstancePre::new(
            component,
            HostTable::new(component.code(), funcs, self.engine.stacks())?,
            Arc::new(linked),
        ))
    }

    /// Creates an instance: [`instantiate_pre`](Self::instantiate_pre), then
    /// [`InstancePre::instantiate`].
    ///
    /// # Errors
    ///
    /// As both of these.
    pub fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance> {
        self.instantiate_pre(component)?.instantiate(store)
    }

    /// Creates an instance: [`instantiate_pre`](Self::instantiate_pre), then
    /// [`InstancePre::instantiate_async`].
    ///
    /// # Errors
    ///
    /// As both of these.
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance>
    where
        T: Send,
    {
        let pre = self.instantiate_pre(component)?;
        pre.instantiate_async(store).await
    }

    /// Defines every import of a component that has no definition yet: functions as traps, resource
    /// types as new types.
    ///
    /// # Errors
    ///
    /// If a name is defined as something else.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<()> {
        define_unknown(
            &mut self.root(),
            component,
            &component.interface().imports,
            "",
        )
    }

    /// Returns the type of a component with the resource types of the linker in place of its
    /// imported ones.
    ///
    /// # Errors
    ///
    /// As [`instantiate_pre`](Self::instantiate_pre).
    pub fn substituted_component_type(&self, component: &Component) -> Result<types::Component> {
        let resources = HostResourceTypes::new(self.resources(component)?);
        let scope = TypeScope::linked(component, &resources);
        Ok(types::Component::new(scope))
    }

    /// Checks all imports of a component, and returns what its imported resource types are, by
    /// number.
    fn resources(&self, component: &Component) -> Result<Vec<Option<ResourceType>>> {
        ensure!(
            Engine::same(component.engine(), &self.engine),
            "the component belongs to another `Engine` than the linker"
        );
        let mut check = ImportCheck {
            component,
            resources: Vec::new(),
            unmet: Vec::new(),
        };
        check.instance(&component.interface().imports, Some(&self.root), "");
        LinkError::unless_empty(check.unmet)?;
        Ok(check.resources)
    }

    fn func(&self, component: &Component, import: ImportId) -> Option<&Arc<dyn HostFunction<T>>> {
        match self.find(&component.interface().import_funcs[import].path)? {
            Definition::Func(func) => Some(func),
            _ => None,
        }
    }

    /// Returns the definition at a path of names.
    fn find(&self, path: &[Box<str>]) -> Option<&Definition<T>> {
        let (last, instances) = path.split_last()?;
        let mut names = &self.root;
        for name in instances {
            let Definition::Instance(inner) = names.get(name)? else {
                return None;
            };
            names = inner;
        }
        names.get(last)
    }
}

/// Compares the imports of a component with definitions.
struct ImportCheck<'c> {
    component: &'c Component,
    /// The imported resource types, by number.
    resources: Vec<Option<ResourceType>>,
    /// The imports that are missing or have another type.
    unmet: Vec<UnmetImport>,
}

impl ImportCheck<'_> {
    /// Compares the imports in an instance, or those of the root. `path` is the name of the
    /// instance, followed by a dot, or empty.
    fn instance<T: 'static>(
        &mut self,
        imports: &IndexMap<Box<str>, Import>,
        names: Option<&NameMap<Definition<T>>>,
        path: &str,
    ) {
        for (name, import) in imports {
            let found = names.and_then(|names| names.get(name));
            let full_name = format!("{path}{name}");
            match (import, found) {
                (Import::Type(_) | Import::Static(_), _) => {}
                // An instance that has only types needs no definition.
                (Import::Instance(items), None) => {
                    self.instance::<T>(items, None, &format!("{full_name}."));
                }
                (Import::Instance(items), Some(Definition::Instance(names))) => {
                    self.instance(items, Some(names), &format!("{full_name}."));
                }
                (Import::Resource(id), None)
                    if !is_first_import(self.component, *id, path, name) => {}
                (_, None) => {
                    let ty = self.describe(import);
                    self.unmet.push(UnmetImport::missing(full_name, ty));
                }
                (_, Some(definition)) => {
                    if let Err(mismatch) = self.compare(import, definition) {
                        let (ty, mismatch) = (self.describe(import), format!("{mismatch:#}"));
                        self.unmet
                            .push(UnmetImport::mismatched(full_name, ty, mismatch));
                    }
                }
            }
        }
    }

    /// Describes the type of an import.
    fn describe(&self, import: &Import) -> String {
        let interface = self.component.interface();
        match import {
            Import::Func(id) => {
                let ty = interface.import_funcs[*id].ty;
                interface.types.display_func(ty).to_string()
            }
            Import::Instance(_) => "instance".into(),
            Import::Resource(_) => "resource".into(),
            Import::Type(_) | Import::Static(_) => "type".into(),
        }
    }

    /// Compares an import with the definition of its name.
    fn compare<T: 'static>(&mut self, import: &Import, definition: &Definition<T>) -> Result<()> {
        let interface = self.component.interface();
        match (import, definition) {
            (Import::Func(id), Definition::Func(func)) => func.typecheck(
                interface.import_funcs[*id].ty,
                &InstanceTypes::new(&interface.types, &self.resources),
            ),
            (Import::Resource(id), Definition::Resource(ty, _)) => {
                if self.resources.len() <= id.index() {
                    self.resources.resize(id.index() + 1, None);
                }
                // A type can be imported again under another name, as one that equals the first.
                ensure!(
                    *self.resources[id.index()].get_or_insert(*ty) == *ty,
                    "it is the same resource type as an earlier import, but the linker defines \
                     another type of that name"
                );
                Ok(())
            }
            (_, definition) => bail!(
                "the component has `{}`, and the linker defines {} of that name",
                self.describe(import),
                definition.kind()
            ),
        }
    }
}

/// Returns whether an import of a resource type, whose name is `path` and then `name`, is the first
/// one of this type. The first import needs a definition; the others are equal to it, and need
/// none.
fn is_first_import(component: &Component, resource: ResourceId, path: &str, name: &str) -> bool {
    match &component.interface().resources[resource] {
        Resource::Imported { path: first } => {
            // Of nested names, only those of interfaces have dots, in versions, so joining them is
            // unambiguous.
            let first = first.join(".");
            first.strip_prefix(path) == Some(name)
        }
        Resource::Defined { .. } => false,
    }
}

/// The host's type behind a resource type that is defined as unknown.
enum UnknownResource {}

fn define_unknown<T: 'static>(
    linker: &mut LinkerInstance<'_, T>,
    component: &Component,
    imports: &IndexMap<Box<str>, Import>,
    path: &str,
) -> Result<()> {
    for (name, import) in imports {
        match import {
            Import::Func(_) if linker.names.get(name).is_none() => {
                linker.func_new(name, |_, _, _, _| {
                    bail!("it is defined as a trap (`Linker::define_unknown_imports_as_traps`)")
                })?;
            }
            Import::Resource(id)
                if linker.names.get(name).is_none()
                    && is_first_import(component, *id, path, name) =>
            {
                linker.resource(name, ResourceType::host::<UnknownResource>(), |_, _| Ok(()))?;
            }
            Import::Instance(items) => {
                let mut inner = linker.compatible_instance(name)?;
                define_unknown(&mut inner, component, items, &format!("{path}{name}."))?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl<T: 'static> LinkerInstance<'_, T> {
    /// Sets whether this, and instances that are had from this, may define names again, whatever
    /// [`Linker::allow_shadowing`] says. It is for a host that replaces some of the functions that
    /// generated code defines.
    ///
    /// ```
    /// use mintage::{Engine, Linker};
    ///
    /// # fn main() -> mintage::Result<()> {
    /// let mut linker = Linker::<()>::new(&Engine::default());
    /// let mut instance = linker.instance("example:random/bytes")?;
    /// instance.func_wrap("seed", |_, (): ()| Ok((1_u64,)))?;
    /// assert!(instance.func_wrap("seed", |_, (): ()| Ok((2_u64,))).is_err());
    /// instance.allow_shadowing(true);
    /// instance.func_wrap("seed", |_, (): ()| Ok((2_u64,)))?;
    /// // The linker itself is as it was.
    /// let mut instance = linker.instance("example:random/bytes")?;
    /// assert!(instance.func_wrap("seed", |_, (): ()| Ok((3_u64,))).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// Defines a host function over Rust types. `Params` and `Return` are tuples, and are compared
    /// with the type of the import when a component is linked.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_wrap<F, Params, Return>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: Fn(StoreContextMut<'_, T>, Params) -> Result<Return> + Send + Sync + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        self.func_wrap_caller(name, move |caller: Caller<'_, T>, params: Params| {
            func(caller.into_store(), params)
        })
    }

    /// Defines a host function over Rust types as [`func_wrap`](Self::func_wrap) does, for one that
    /// uses the memory of the guest that calls it. See [`Caller`], which it gets in place of the
    /// store.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_wrap_caller<F, Params, Return>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: Fn(Caller<'_, T>, Params) -> Result<Return> + Send + Sync + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let func = TypedHost::new::<T>(func);
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines an asynchronous host function over Rust types. A guest that calls it is suspended
    /// until its future is ready. Nothing else of the store runs meanwhile: the future has the
    /// store to itself.
    ///
    /// Guests are called by [`TypedFunc::call_async`](crate::TypedFunc::call_async) and the like.
    /// If they are called synchronously, a future that is not ready at its first poll is an error.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_wrap_async<Params, Return, F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'a> Fn(
                StoreContextMut<'a, T>,
                Params,
            ) -> Box<dyn Future<Output = Result<Return>> + Send + 'a>
            + Send
            + Sync
            + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        self.func_wrap_caller_async(name, move |caller: Caller<'_, T>, params: Params| {
            func(caller.into_store(), params)
        })
    }

    /// Defines an asynchronous host function over Rust types as
    /// [`func_wrap_async`](Self::func_wrap_async) does, for one that uses the memory of the guest
    /// that calls it. See [`Caller`], which it gets in place of the store.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_wrap_caller_async<Params, Return, F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'a> Fn(
                Caller<'a, T>,
                Params,
            ) -> Box<dyn Future<Output = Result<Return>> + Send + 'a>
            + Send
            + Sync
            + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let func = TypedAsyncHost::new::<T>(func);
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines an asynchronous host function over [`Val`]s: [`func_new`](Self::func_new) with the
    /// rules of [`func_wrap_async`](Self::func_wrap_async).
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_new_async<F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'a> Fn(
                StoreContextMut<'a, T>,
                ComponentFunc,
                &'a [Val],
                &'a mut [Val],
            ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
            + Send
            + Sync
            + 'static,
    {
        self.insert(
            name,
            Definition::Func(Arc::new(DynamicAsyncHost::new(func))),
        )
    }

    /// Defines a host function over Rust types that goes on while guests do. It gets an
    /// [`Accessor`], since it does not have the store while it waits.
    ///
    /// A guest that calls it with `async` gets a subtask if it is not ready at once. One that calls
    /// it synchronously waits, if the type of the function is `async` with its thread alone, and
    /// otherwise with the whole store. Guests are called by
    /// [`TypedFunc::call_concurrent`](crate::TypedFunc::call_concurrent),
    /// [`TypedFunc::call_async`](crate::TypedFunc::call_async) and the like. See [`Accessor`] for
    /// an example.
    ///
    /// If the guest cancels the subtask, the future is dropped.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_wrap_concurrent<Params, Return, F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: Fn(&Accessor<T>, Params) -> Pin<Box<dyn Future<Output = Result<Return>> + Send + '_>>
            + Send
            + Sync
            + 'static,
        Params: ComponentNamedList + Lift + Send + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let func = TypedConcurrentHost::<F, Params, Return>::new(func);
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a host function over [`Val`]s that goes on while guests do:
    /// [`func_new`](Self::func_new) with the rules of
    /// [`func_wrap_concurrent`](Self::func_wrap_concurrent).
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_new_concurrent<F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'a> Fn(
                &'a Accessor<T>,
                ComponentFunc,
                &'a [Val],
                &'a mut [Val],
            ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>
            + Send
            + Sync
            + 'static,
    {
        let func = DynamicConcurrentHost::new(func);
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a host function over [`Val`]s, which meets imports of any function type. It gets the
    /// type of the import and the parameters, and must set all results.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn func_new<F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: Fn(StoreContextMut<'_, T>, ComponentFunc, &[Val], &mut [Val]) -> Result<()>
            + Send
            + Sync
            + 'static,
    {
        self.insert(name, Definition::Func(Arc::new(DynamicHost::new(func))))
    }

    /// Defines a resource type of the host. `dtor` is called with the representation of each
    /// resource that a guest drops, and by
    /// [`ResourceAny::resource_drop`](crate::ResourceAny::resource_drop).
    ///
    /// `dtor` is not called for resources that guests still own when the store is dropped. Keep the
    /// values behind resources in the host's data, so that they are dropped with it.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn resource<F>(&mut self, name: &str, ty: ResourceType, dtor: F) -> Result<()>
    where
        F: Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    {
        let full_name = name.to_string();
        let dtor = move |store: StoreContextMut<'_, T>, rep| {
            dtor(store, rep).map_err(|error| destructor_failed(&full_name, error))
        };
        let dtor = Destructor::Sync(Arc::new(dtor));
        self.insert(name, Definition::Resource(ty, dtor))
    }

    /// Defines a resource type of the host as [`resource`](Self::resource) does, with an
    /// asynchronous destructor, for which the rules of [`func_wrap_async`](Self::func_wrap_async)
    /// hold. If the host drops the resource, it uses
    /// [`ResourceAny::resource_drop_async`](crate::ResourceAny::resource_drop_async).
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn resource_async<F>(&mut self, name: &str, ty: ResourceType, dtor: F) -> Result<()>
    where
        T: Send,
        F: for<'a> Fn(
                StoreContextMut<'a, T>,
                u32,
            ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
            + Send
            + Sync
            + 'static,
    {
        let full_name: Arc<str> = name.into();
        let dtor = Destructor::new_async(move |store, rep| {
            let (future, full_name) = (Box::into_pin(dtor(store, rep)), full_name.clone());
            Box::pin(async move {
                future
                    .await
                    .map_err(|error| destructor_failed(&full_name, error))
            })
        });
        self.insert(name, Definition::Resource(ty, dtor))
    }

    /// Defines a resource type of the host as [`resource_async`](Self::resource_async) does. The
    /// destructor gets an [`Accessor`]. A guest that drops a resource waits for it, and so does the
    /// rest of the store, except for futures of the host.
    ///
    /// # Errors
    ///
    /// If the name is already defined and shadowing is not allowed.
    pub fn resource_concurrent<F>(&mut self, name: &str, ty: ResourceType, dtor: F) -> Result<()>
    where
        T: Send,
        F: Fn(&Accessor<T>, u32) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>
            + Send
            + Sync
            + 'static,
    {
        let dtor = Arc::new(dtor);
        self.resource_async(name, ty, move |store, rep| {
            let dtor = dtor.clone();
            Box::new(Exposed::new(store, |accessor| {
                Box::pin(async move { dtor(&accessor, rep).await })
            }))
        })
    }

    /// Returns the error that says where core modules are given: to `CodeBuilder::core_module`,
    /// when the component that imports them is compiled.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn module(&mut self, name: &str, _module: &Module) -> Result<()> {
        Err(Module::unsupported()).with_context(|| {
            format!("the linker cannot define the import `{name}` as a core module")
        })
    }

    /// Returns the instance `name` inside this one. It is created if there is none.
    ///
    /// # Errors
    ///
    /// If the name is defined as something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        LinkerInstance {
            names: self.names,
            allow_shadowing: self.allow_shadowing,
        }
        .into_instance(name)
    }

    fn compatible_instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        let name = self.names.full_name(name).unwrap_or(name).to_string();
        self.instance(&name)
    }

    fn insert(&mut self, name: &str, definition: Definition<T>) -> Result<()> {
        if let Some(old) = self.names.get_exact(name).filter(|_| !self.allow_shadowing) {
            bail!(
                "`{name}` is already defined in the linker, as {}; see `Linker::allow_shadowing`",
                old.kind()
            );
        }
        self.names.set(name, definition);
        Ok(())
    }
}

#[cold]
fn destructor_failed(name: &str, error: Error) -> Error {
    error.of_host(format!(
        "the destructor of the host's resource type `{name}` failed"
    ))
}

impl<'a, T: 'static> LinkerInstance<'a, T> {
    /// As [`instance`](Self::instance), by value.
    ///
    /// # Errors
    ///
    /// As [`instance`](Self::instance).
    pub fn into_instance(self, name: &str) -> Result<Self> {
        match self
            .names
            .get_or_insert_with(name, || Definition::Instance(NameMap::default()))
        {
            Definition::Instance(names) => Ok(LinkerInstance {
                names,
                allow_shadowing: self.allow_shadowing,
            }),
            other => bail!(
                "`{name}` is already defined in the linker, as {}",
                other.kind()
            ),
        }
    }
}
