//! What a process has used.
