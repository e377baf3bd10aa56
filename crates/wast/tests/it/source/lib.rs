//! Empty: only the manifest beside it is used.
