//! What the kernel says: the console for people, the trace for tools, and the last words of a panic.
//!
//! * [`console`]: text lines on the PL011, through a ring that the transmit interrupt empties
//! * [`history`]: the last of those lines, for programs
//! * [`mod@panic`]: the report of a dying kernel, on a path without locks
//! * [`trace`]: `defmt` frames, recorded without a lock
//! * [`backtrace`]: return addresses by frame pointers

pub(crate) mod backtrace;
pub(crate) mod console;
pub(crate) mod history;
pub(crate) mod panic;
pub(crate) mod trace;

/// Prints a line of text on the console.
macro_rules! println {
    () => { $crate::log::console::print(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::log::console::print(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints text on the console.
macro_rules! print {
    ($($argument:tt)*) => { $crate::log::console::print(format_args!($($argument)*)) };
}

pub(crate) use {print, println};
