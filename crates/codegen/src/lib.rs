//! One function of a Program to machine code.
