//! Conversions between [`Val`]s and Rust types, without a guest.

use super::Val;
use crate::abi::guest::Guest;
use crate::abi::{
    AbiOptions, ComponentType, ComponentTypes, InstanceTypes, InterfaceType, Lift, LiftContext,
    Lower, LowerContext,
};
use crate::error::{Result, bail, ensure};
use crate::types::Type;
use mintage_environ::component::StringEncoding;

impl Val {
    /// Makes a value of the type `ty` of a Rust value: of a type that derives
    /// [`Lower`](trait@Lower), for example, for a call whose other parameters are `Val`s.
    ///
    /// ```
    /// # #[cfg(all(feature = "compiler", feature = "macros"))]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::component::{Component, ComponentType, Lift, Linker, Lower, Val};
    /// use mintage::{Engine, Store};
    ///
    /// #[derive(ComponentType, Lift, Lower, Debug, PartialEq)]
    /// #[component(record)]
    /// struct Point {
    ///     x: u8,
    ///     label: Option<String>,
    /// }
    ///
    /// let engine = Engine::default();
    /// let component = Component::new(
    ///     &engine,
    ///     r#"(component
    ///         (type $p' (record (field "x" u8) (field "label" (option string))))
    ///         (import "point" (type $p (eq $p')))
    ///         (import "draw" (func (param "p" $p))))"#,
    /// )?;
    /// # use mintage::types::ComponentItem;
    /// let types = component.component_type();
    /// let draw = types.get_import(&engine, "draw").unwrap();
    /// let ComponentItem::ComponentFunc(draw) = draw.ty else {
    ///     panic!("`draw` is a function");
    /// };
    /// let (_, ty) = draw.params().next().unwrap();
    ///
    /// let val = Val::from_typed(&Point { x: 3, label: None }, &ty)?;
    /// let fields = [("x", Val::U8(3)), ("label", Val::Option(None))];
    /// let fields = fields.map(|(name, val)| (name.to_string(), val));
    /// assert_eq!(val, Val::Record(fields.to_vec()));
    /// assert_eq!(val.to_typed::<Point>(&ty)?, Point { x: 3, label: None });
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "compiler", feature = "macros")))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// If `T` does not represent `ty`, or the value has resources or error contexts, which only
    /// stores have.
    pub fn from_typed<T: Lower + ?Sized>(value: &T, ty: &Type) -> Result<Val> {
        convert::<T, _>(
            ty,
            |cx, ty, offset| value.lower_memory(cx, ty, offset),
            Val::lift_memory,
        )
    }

    /// Makes a Rust value of a value of the type `ty`; see [`from_typed`](Self::from_typed).
    ///
    /// # Errors
    ///
    /// If `T` does not represent `ty`, the value does not have the type `ty`, or it has resources
    /// or error contexts, which only stores have.
    pub fn to_typed<T: Lift>(&self, ty: &Type) -> Result<T> {
        convert::<T, _>(
            ty,
            |cx, ty, offset| self.lower_memory(cx, ty, offset),
            T::lift_memory,
        )
    }
}

/// Lowers a value of type `ty`, which `T` represents, to a memory of the host and lifts it again.
fn convert<T: ComponentType + ?Sized, R>(
    ty: &Type,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, usize) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, &[u8]) -> Result<R>,
) -> Result<R> {
    let no_types = ComponentTypes::default();
    let Some((ty, scope)) = ty.interface() else {
        bail!("a resource cannot be converted without a store");
    };
    let types = scope.map_or(&no_types, |scope| &scope.interface().types);
    ensure!(
        T::matches(ty, &InstanceTypes::new(types, &[])),
        "type mismatch: the component type is `{}`, the Rust type has `{}`",
        types.display(ty),
        T::describe()
    );
    let options = AbiOptions {
        types,
        encoding: StringEncoding::Utf8,
    };
    let abi = types.abi(ty);
    let mut memory = Vec::new();
    let mut cx = LowerContext::new(options, Guest::detached(&mut memory), None);
    let start = cx.allocate(abi.align32, abi.size32 as usize)?;
    lower(&mut cx, ty, start)?;
    let mut cx = LiftContext::of_memory(options, &memory, usize::MAX);
    lift(&mut cx, ty, &memory[start..][..abi.size32 as usize])
}
