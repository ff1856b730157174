//! `tests`: what the serial console tests stand on. The tests themselves are in `tests/serial`, one file a subject.
//!
//! ```text
//! Bench ──► tools::qemu::Command ──► Console ──► expectrl::Session ──► Line ──► pipe, pty or serial port ──► board
//!                                       │                               │
//!                                       └── process and its status      └── Demux: text one way, trace frames another
//! ```
//!
//! * [`mod@bench`]: one board to be tested, emulated or on a cable, and the ways to start it
//! * [`build`]: where the kernel and its companions are
//! * [`console`]: the conversation with a board
//! * [`guest_stub`]: a start without QEMU's own loader, for what that would refuse
//! * [`host`]: what a test asks of the host's system
//! * [`panic_report`]: the parts of a dying kernel's report
//! * [`powercut`]: the power cut while a program writes, and what is left on the card
//! * [`trace_line`]: the second serial line, decoded
//! * [`tree`]: device trees that are odd, or broken
//!
//! A test waits for what the board says, up to [`console::PATIENCE`]; it sleeps nowhere and measures no speed.

#![forbid(unsafe_code)]

pub mod bench;
pub mod build;
pub mod console;
pub mod guest_stub;
pub mod host;
pub mod panic_report;
pub mod powercut;
pub mod trace_line;
pub mod tree;
