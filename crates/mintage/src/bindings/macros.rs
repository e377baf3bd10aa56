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
/// For a world `my-world`: a struct `MyWorld` with a function `call_f` for each exported function
/// `f` and one for each exported interface, `MyWorldPre` and `MyWorldIndices` to instantiate it
/// many times, and `MyWorld::add_to_linker`. For an imported interface `ns:pkg/iface`: a module
/// `ns::pkg::iface` with its types and a trait `Host`; for each resource in it a type and a trait
/// of its own. For an exported interface: a module `exports::ns::pkg::iface` with a struct `Guest`.
///
/// # Options
///
/// All are optional. Paths are relative to the folder of the crate's manifest.
///
/// - `world: "name"`: the world, if there are several.
/// - `path: "folder"` or `path: ["a", "b"]`: WIT files or packages; by default the folder `wit`.
/// - `inline: "..."`: WIT with the world, which may use packages of `path`.
/// - `features: ["x"]` and `all_features: true`: which `@unstable` items there are.
/// - `imports: { "ns:pkg/iface/f": trappable, default: trappable }`: host functions that return a
///   `Result`, whose error ends the guest's call.
/// - `trappable_error_type: { "ns:pkg/iface/error" => Type }`: the host's type in place of an error
///   type. `Host::convert_error` converts it.
/// - `with: { "ns:pkg/iface": path, "ns:pkg/iface.res": Type }`: a module that has the bindings of
///   an interface already, or the host's type for a resource.
/// - `additional_derives: [Trait]`: traits that records, variants and enums derive besides.
/// - `crate: path`: the path of this crate, where it is not a dependency under any name.
///
/// Asynchronous functions, streams and futures are not supported yet.
pub use mintage_macros::bindgen;
