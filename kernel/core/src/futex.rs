//! Waiting on a word of a program's memory.
