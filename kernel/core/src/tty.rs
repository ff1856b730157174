//! Terminals: Linux's line discipline `N_TTY` (termios(3), `ioctl_tty(2)`), and job control at its border.
//!
//! ```text
//! program ─ TerminalFile ─► Terminal ─┬─ Discipline ── Input    what was typed: lines, and the one being edited
//!              │                      │       └─────── Output   columns, carriage returns; echoes wait here
//!              │                      └─ Driver                 the line itself: a UART, a pseudo-terminal's other side
//!              └─ JobControl ─► proc: sessions, groups, signals
//! ```
//!
//! What is typed goes through [`Terminal::receive`] as soon as it comes, whether anybody reads or not: so it is echoed, and
//! Ctrl-C is a signal. Whoever brings it runs in a thread, for signals cannot be sent by interrupt handlers.
//!
//! A line has at most 4,095 bytes and its end: what is typed beyond replaces the last byte, as on Linux. When lines that
//! nobody has read fill the buffer, input waits with whoever brings it ([`Terminal::wait_for_input_room`]).
//!
//! Public items:
//!
//! * [`Terminal`], [`TerminalFile`], [`Opening`]: the terminal, and what is behind a descriptor
//! * [`Driver`]: what a line has to do
//! * [`JobControl`]: what is asked of processes; `proc` answers
//! * [`Settings`], [`InputModes`], [`OutputModes`], [`LocalModes`], [`WindowSize`]: `struct termios` and its kin
//!
//! # Locks
//!
//! A terminal has one spin lock (`Rank::Terminal`), above those of processes: a session that ends hangs up its terminal.
//! Signals are therefore sent without it, and programs' memory is touched without it.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod discipline;
mod file;
mod input;
mod job;
mod output;
pub mod request;
mod settings;
mod terminal;

pub use file::{Opening, TerminalFile};
pub use job::JobControl;
pub use settings::{ControlModes, InputModes, LocalModes, OutputModes, Settings, WindowSize};
pub use terminal::{Driver, Terminal};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
