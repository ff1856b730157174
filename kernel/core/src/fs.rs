//! Files: what a program reads, writes and executes.
