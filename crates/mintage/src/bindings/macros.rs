//! The macros, with their documentation.

/// Implements [`ComponentType`](trait@crate::ComponentType) for a Rust type of the host's.
///
/// A `struct` with named fields is a record, and an `enum` is a variant or, without payloads, an
/// enum of the component model. `#[component(record)]`, `#[component(variant)]` or
/// `#[component(enum)]` says which. Fields and cases have their Rust names in kebab case, or the
/// name that `#[component(name = "...")]` gives.
///
/// ```
/// use mintage::{ComponentType, Lift, Lower};
///
/// #[derive(ComponentType, Lift, Lower)]
/// #[component(record)]
/// struct Person {
///     #[component(name = "full-name")]
///     name: String,
///     age: Option<u32>,
/// }
///
/// #[derive(ComponentType, Lift, Lower)]
/// #[component(variant)]
/// enum Shape {
///     Circle(f64),
///     Polygon(Vec<(f64, f64)>),
///     Empty,
/// }
///
/// #[derive(ComponentType, Lift, Lower)]
/// #[component(enum)]
/// enum Suit {
///     Hearts,
///     Spades,
/// }
/// ```
///
/// A type parameter must stand for a component type as well.
pub use mintage_macros::ComponentType;

/// Implements [`Lift`](trait@crate::Lift) for a Rust type of the host's; see
/// [`ComponentType`](macro@crate::ComponentType).
pub use mintage_macros::Lift;

/// Implements [`Lower`](trait@crate::Lower) for a Rust type of the host's; see
/// [`ComponentType`](macro@crate::ComponentType).
pub use mintage_macros::Lower;

/// Defines a Rust type for a `flags` type of WIT: a set of flags with a constant for each.
///
/// ```
/// mintage::flags! {
///     Permissions {
///         const READ;
///         #[component(name = "write-all")]
///         const WRITE;
///     }
/// }
///
/// let both = Permissions::READ | Permissions::WRITE;
/// assert!(both.contains(Permissions::READ));
/// assert_eq!(both - Permissions::READ, Permissions::WRITE);
/// assert_eq!(format!("{both:?}"), "Permissions(READ | WRITE)");
/// ```
pub use mintage_macros::flags;

/// Generates Rust bindings of a WIT world, for hosts of components of that world.
///
/// ```
/// mintage::bindgen!({
///     inline: r#"
///         package example:greeter;
///
///         interface log {
///             write: func(text: string);
///         }
///
///         world greeter {
///             import log;
///             export greet: func(name: string) -> string;
///         }
///     "#,
/// });
///
/// struct Host {
///     lines: Vec<String>,
/// }
///
/// impl example::greeter::log::Host for Host {
///     fn write(&mut self, text: String) {
///         self.lines.push(text);
///     }
/// }
///
/// # #[cfg(feature = "compiler")]
/// fn greet(component: &mintage::Component) -> mintage::Result<String> {
///     use mintage::{HasSelf, Linker, Store};
///
///     let engine = component.engine();
///     let mut linker = Linker::new(engine);
///     Greeter::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
///     let mut store = Store::new(engine, Host { lines: Vec::new() });
///     let greeter = Greeter::instantiate(&mut store, component, &linker)?;
///     greeter.call_greet(&mut store, "you")
/// }
/// # fn main() {}
/// ```
///
/// # What is generated
///
/// For a world `my-world`:
///
/// - `MyWorld`, an instance: `call_f` calls the exported function `f`, and `func_f` returns it. For
///   an exported interface `ns:pkg/iface` there is a function `ns_pkg_iface`.
/// - `MyWorldPre` and `MyWorldIndices`, to instantiate a component many times.
/// - `MyWorld::add_to_linker`, and `add_to_linker_imports` for what the world imports beside
///   interfaces. For these there is a trait `MyWorldImports`.
///
/// For an imported interface `ns:pkg/iface`: a module `ns::pkg::iface` with its types, a trait
/// `Host`, and functions `add_to_linker` and `add_to_linker_instance`. A resource `x` in it has a
/// type `X`, of which hosts see `Resource<X>`, and a trait `HostX`, whose function `drop` is called
/// when a guest drops one. Names of packages have their version (`pkg1_0_0`) where there are
/// several versions.
///
/// For an exported interface: a module `exports::ns::pkg::iface` with a struct `Guest`. A resource
/// in it is a [`ResourceAny`](crate::ResourceAny), and `Guest::x` returns its functions.
///
/// If WIT has `@unstable` items, `add_to_linker` has a parameter `&LinkOptions` with the features
/// whose items are defined.
///
/// # Flags of functions
///
/// `imports` and `exports` are lists of rules such as
/// `{ "ns:pkg/iface.f": async | trappable, default: async }`. A rule names a function
/// (`ns:pkg/iface.f`, `ns:pkg/iface.[method]x.f`, `[static]x.f`, `[constructor]x`, `[drop]x`), an
/// interface, a package or a namespace, with or without version. The most specific name counts.
/// Functions at the world have their plain name. A rule that no function follows is an error.
///
/// Without flags, the host implements `fn f(&mut self, ...) -> R`, and calls the guest's functions
/// by `fn call_f(&self, store, ...) -> Result<R>`.
///
/// - `async`: `fn f(&mut self, ...) -> impl Future<Output = R> + Send`, which hosts write as
///   `async fn`, and `async fn call_f`.
/// - `store`, for imports: `fn f(host: Access<T, Self>, ...) -> R` in the trait `HostWithStore<T>`;
///   see [`Access`](crate::Access).
/// - `async | store`, which an `async func` of WIT always has. If it is imported, the host
///   implements `async fn f(accessor: &Accessor<T, Self>, ...) -> R` in the trait
///   `HostWithStore<T>`, and calls go on together; see [`Accessor`](crate::Accessor). So do
///   destructors with these flags. Another imported function is asynchronous and gets an `Access`.
///   An exported function is called by `async fn call_f(&self, &Accessor<T, D>, ...) -> Result<R>`,
///   with parameters by value, in [`run_concurrent`](crate::Store::run_concurrent).
/// - `trappable`, for imports: `f` returns a `Result`, whose error ends the guest's call.
/// - `tracing`: each call is a span of the crate `tracing` at the level `TRACE`. Imports have
///   events for arguments and result. The host's crate depends on `tracing`.
/// - `verbose_tracing`: the events of `tracing` show lists in full.
/// - `exact`: the name of the rule is that of a function, not of an interface, package or
///   namespace.
///
/// # Options
///
/// All are optional. Paths of files are relative to the folder of the crate's manifest.
///
/// - `world: "name"`: the world, if there are several.
/// - `path: "folder"` or `path: ["a", "b"]`: WIT files or packages; by default the folder `wit`.
/// - `inline: "..."`: WIT with the world, which may use packages of `path`.
/// - `interfaces: "import ns:pkg/iface;"`: interfaces to generate, without a world around them.
/// - `features: ["x"]`: the features whose `@unstable` items there are; by default all.
/// - `imports`, `exports`: flags of functions. Older spellings are `async: true`,
///   `async: { only_imports: ["f"] }`, `async: { except_imports: ["f"] }`,
///   `trappable_imports: true` or `["f"]`, `tracing: true` and `verbose_tracing: true`.
/// - `trappable_error_type: { "ns:pkg/iface.error" => Type }`: the host's type in place of an error
///   type, in trappable functions. `Host::convert_error` converts it.
/// - `with: { "ns:pkg/iface": path, "ns:pkg/iface.res": Type }`: a module that has the bindings of
///   an interface already, or the host's type for a resource. A name of a package or namespace
///   stands for all its interfaces.
/// - `named_imports: { "ns:pkg/iface": Id }`: bindings in the module `named_imports` for all that a
///   component imports as an implementation of the interface. Functions of the host get an `Id`,
///   which the host chooses by the name of the import.
/// - `ownership: Borrowing { duplicate_if_necessary: true }`: types of parameters of exported
///   functions borrow their strings and lists. A type that is a result as well becomes `XParam` and
///   `XResult`. The default is `Owning`.
/// - `additional_derives: [Trait]`: traits that records, variants and enums derive besides.
/// - `anyhow: true`: functions of the host return `anyhow::Result`.
/// - `require_store_data_send: true`: the data of stores is `Send`, for bindings that use
///   asynchronous ones by `with`.
/// - `skip_mut_forwarding_impls: true`: traits are not implemented for `&mut` of what implements
///   them.
/// - `include_component_type: true`: a constant `COMPONENT_TYPE` with the world in binary format.
/// - `include_generated_code_from_file: true`, or the environment variable `MINTAGE_DEBUG_BINDGEN`:
///   messages of the compiler show the generated code.
/// - `stringify: true`: the macro is the text of the code.
/// - `crate: path` or `wasmtime_crate: path`: the path of this crate, where it is not a dependency
///   under any name.
pub use mintage_macros::bindgen;
