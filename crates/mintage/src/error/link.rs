//! [`LinkError`]: the imports that a linker does not satisfy.

use std::fmt;

/// The imports of a component that have no definition in a linker, or one of another type.
///
/// It is the cause of the errors of the kind [`ErrorKind::Link`](crate::ErrorKind::Link) that a
/// [`Linker`](crate::Linker) returns: `error.downcast_ref::<LinkError>()`.
#[derive(Debug)]
pub struct LinkError {
    imports: Vec<UnmetImport>,
}

/// An import that has no definition, or one of another type.
#[derive(Clone, Debug)]
pub struct UnmetImport {
    name: String,
    ty: String,
    mismatch: Option<String>,
}

impl LinkError {
    /// Returns an error if there are such imports.
    pub(crate) fn unless_empty(imports: Vec<UnmetImport>) -> Result<(), LinkError> {
        match imports.is_empty() {
            true => Ok(()),
            false => Err(LinkError { imports }),
        }
    }

    /// Returns the imports, in the order of the component.
    pub fn imports(&self) -> &[UnmetImport] {
        &self.imports
    }
}

impl UnmetImport {
    /// An import without definition. `ty` is its type.
    pub(crate) fn missing(name: String, ty: String) -> Self {
        Self {
            name,
            ty,
            mismatch: None,
        }
    }

    /// An import of type `ty` whose definition does not fit, for the reason `mismatch`.
    pub(crate) fn mismatched(name: String, ty: String, mismatch: String) -> Self {
        Self {
            name,
            ty,
            mismatch: Some(mismatch),
        }
    }

    /// Returns the import's name. The name of an item in an instance has the instance's name and a
    /// dot in front: `ns:pkg/iface@1.2.3.item`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type that the component imports, for people: the form may change.
    pub fn ty(&self) -> &str {
        &self.ty
    }

    /// Returns how the definition differs from the type, or `None` if there is no definition.
    pub fn mismatch(&self) -> Option<&str> {
        self.mismatch.as_deref()
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.imports.iter().filter(|i| i.mismatch.is_none()).count();
        let wrong = self.imports.len() - missing;
        if missing > 0 {
            write!(f, "the linker lacks {missing} of the component's imports:")?;
        }
        for import in self.imports.iter().filter(|i| i.mismatch.is_none()) {
            write!(f, "\n  {}: {}", import.name, import.ty)?;
        }
        if missing > 0 && wrong > 0 {
            writeln!(f)?;
        }
        if wrong > 0 {
            write!(
                f,
                "the linker defines {wrong} of the component's imports with another type:"
            )?;
        }
        for import in &self.imports {
            if let Some(mismatch) = &import.mismatch {
                write!(f, "\n  {}: {mismatch}", import.name)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for LinkError {}
