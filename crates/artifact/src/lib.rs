//! The compiled file: every table's encoder and decoder.
