//! [`process_id`]: tells a forked child from its parent.

/// Returns a number of this process, which differs from the number of every process that it was
/// forked from.
///
/// A host function may have state that a forked child must not share with its parent, such as
/// random numbers that were drawn in advance. It keeps this number beside that state. If the number
/// has changed, the process has been forked. The call costs one load; the system's process id costs
/// a system call. Other processes may have the same number.
///
/// ```
/// struct Numbers {
///     process: u64,
///     drawn: Vec<u64>,
/// }
///
/// impl Numbers {
///     /// Returns numbers that no other process has.
///     fn own(&mut self) -> &mut Vec<u64> {
///         let process = mintage::process_id();
///         if self.process != process {
///             self.drawn.clear();
///             self.process = process;
///         }
///         &mut self.drawn
///     }
/// }
///
/// let mut numbers = Numbers { process: mintage::process_id(), drawn: vec![7] };
/// assert_eq!(numbers.own(), &[7]);
/// // As in a child.
/// numbers.process = !numbers.process;
/// assert!(numbers.own().is_empty());
/// ```
#[inline]
pub fn process_id() -> u64 {
    mintage_runtime::process_id()
}
