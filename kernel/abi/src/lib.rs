//! Numbers and layouts that cross a border: between kernel and programs, and between kernel and host tools.
//!
//! * [`trace`]: how defmt frames travel over a serial line
//! * [`symbols`]: the names of functions inside the kernel image
//! * [`counters`]: what the kernel counts, for programs
//! * [`push`]: loading a kernel over the serial line
//! * [`exit`]: the status with which QEMU ends, so that a script can tell a power-off from a panic
#![no_std]

pub mod counters;
pub mod exit;
pub mod push;
pub mod symbols;
pub mod trace;
