//! Component bytes to a closed Program.
