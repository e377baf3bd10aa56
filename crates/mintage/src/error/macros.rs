//! The macros that make errors.

// What the macros expand to.
pub use anyhow::anyhow;

/// Makes an [`Error`](crate::Error) from a format string with arguments, or from another error.
///
/// ```
/// use mintage::error::format_err;
///
/// let pages = 3;
/// assert_eq!(format_err!("{pages} pages").to_string(), "3 pages");
/// assert!(format_err!(std::fmt::Error).is::<std::fmt::Error>());
/// ```
#[macro_export]
macro_rules! format_err {
    ($($message:tt)*) => {
        $crate::Error::from_anyhow($crate::error::macros::anyhow!($($message)*))
    };
}

/// Returns from the function with the error that [`format_err!`](crate::format_err) makes.
///
/// ```
/// use mintage::error::{Result, bail};
///
/// fn page(number: u32) -> Result<u32> {
///     match number {
///         0 => bail!("pages are counted from 1"),
///         number => Ok(number - 1),
///     }
/// }
/// assert!(page(0).is_err());
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)*) => {
        return ::std::result::Result::Err($crate::format_err!($($message)*))
    };
}

/// Returns from the function with an error unless a condition holds. After the condition stand the
/// arguments of [`format_err!`](crate::format_err); without them the message is the condition.
///
/// ```
/// use mintage::error::{Result, ensure};
///
/// fn half(number: u32) -> Result<u32> {
///     ensure!(number % 2 == 0, "{number} is odd");
///     Ok(number / 2)
/// }
/// assert_eq!(half(7).unwrap_err().to_string(), "7 is odd");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(,)?) => {
        $crate::ensure!(
            $condition,
            ::std::concat!("condition failed: `", ::std::stringify!($condition), "`")
        )
    };
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::bail!($($message)*);
        }
    };
}
