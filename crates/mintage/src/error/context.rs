//! [`Context`]: context for the errors of results.

use super::{Error, Result};
use std::convert::Infallible;
use std::fmt::Display;

mod sealed {
    pub trait Sealed {}

    impl<T, E> Sealed for Result<T, E> {}
    impl<T> Sealed for Option<T> {}
}

/// Adds context to the error of a result, or makes an error of a value that is missing.
///
/// It is there for all errors that `?` converts to an [`Error`].
///
/// ```
/// use mintage::error::{Context, Result};
///
/// fn limit(name: &str) -> Result<u64> {
///     let value = std::env::var(name).with_context(|| format!("`{name}` is not set"))?;
///     value.parse().context("the limit is not a number")
/// }
///
/// let error = limit("NO_SUCH_LIMIT").unwrap_err();
/// assert_eq!(error.to_string(), "`NO_SUCH_LIMIT` is not set");
/// assert!(error.is::<std::env::VarError>());
/// ```
pub trait Context<T, E>: sealed::Sealed {
    /// Adds `context`.
    ///
    /// # Errors
    ///
    /// The error with its context, or one of `context` alone for a missing value.
    fn context<C>(self, context: C) -> Result<T>
    where
        C: Display + Send + Sync + 'static;

    /// Adds what `context` returns, which is called for an error only.
    ///
    /// # Errors
    ///
    /// As [`context`](Self::context).
    fn with_context<C, F>(self, context: F) -> Result<T>
    where
        C: Display + Send + Sync + 'static,
        F: FnOnce() -> C;
}

impl<T, E: Into<Error>> Context<T, E> for std::result::Result<T, E> {
    #[inline]
    fn context<C>(self, context: C) -> Result<T>
    where
        C: Display + Send + Sync + 'static,
    {
        self.map_err(|error| error.into().context(context))
    }

    #[inline]
    fn with_context<C, F>(self, context: F) -> Result<T>
    where
        C: Display + Send + Sync + 'static,
        F: FnOnce() -> C,
    {
        self.map_err(|error| error.into().context(context()))
    }
}

impl<T> Context<T, Infallible> for Option<T> {
    #[inline]
    fn context<C>(self, context: C) -> Result<T>
    where
        C: Display + Send + Sync + 'static,
    {
        Ok(anyhow::Context::context(self, context)?)
    }

    #[inline]
    fn with_context<C, F>(self, context: F) -> Result<T>
    where
        C: Display + Send + Sync + 'static,
        F: FnOnce() -> C,
    {
        Ok(anyhow::Context::with_context(self, context)?)
    }
}

/// Converts a result of another library to one of this crate, for places without the operator `?`,
/// such as the last expression of a function. It is also exported as `ToWasmtimeResult`, the name
/// that hosts of Wasmtime use.
///
/// ```
/// use mintage::error::{Result, ToMintageResult};
///
/// fn pages(text: &str) -> Result<u32> {
///     text.parse::<u32>().to_mintage_result()
/// }
///
/// assert!(pages("many").is_err());
/// ```
pub trait ToMintageResult<T>: sealed::Sealed {
    /// Converts the error.
    ///
    /// # Errors
    ///
    /// The error of `self`.
    fn to_mintage_result(self) -> Result<T>;

    /// Converts the error, as [`to_mintage_result`](Self::to_mintage_result) does.
    ///
    /// # Errors
    ///
    /// The error of `self`.
    fn to_wasmtime_result(self) -> Result<T>
    where
        Self: Sized,
    {
        self.to_mintage_result()
    }
}

impl<T, E: Into<Error>> ToMintageResult<T> for std::result::Result<T, E> {
    #[inline]
    fn to_mintage_result(self) -> Result<T> {
        self.map_err(E::into)
    }
}
