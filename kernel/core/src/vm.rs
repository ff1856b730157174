//! A program's address space: areas, mappings, faults, fork.
