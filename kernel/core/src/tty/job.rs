//! What a terminal asks of processes.

use crate::fs::FileError;
use crate::sched::Switch;
use crate::signal::Signal;

/// Sessions and groups, as a terminal needs them: `proc` has them. A terminal is named by a number; "the caller" is the
/// current thread's process. A thread of the kernel may do everything.
pub trait JobControl: Switch + Sized {
    /// Whether the caller's wait should end.
    fn is_interrupted() -> bool;

    /// Whether the caller may use the terminal now: not if it is its own and its group is in the background. Then the group
    /// is sent `signal`, `TTIN` or `TTOU`.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](FileError::Interrupted) when that was sent; [`Io`](FileError::Io) where it would be in vain: nobody
    /// is left to continue the group, or the caller blocks or ignores `TTIN`. Who ignores `TTOU` may go on.
    fn check_foreground(terminal: u64, signal: Signal) -> Result<(), FileError>;

    /// Sends `signal` to the group in the foreground.
    fn signal_foreground(terminal: u64, signal: Signal);

    /// Makes the terminal that of the session which the caller leads. With `steal` it is taken away from another one, if the
    /// caller is root.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](FileError::NotPermitted)
    fn acquire(terminal: u64, steal: bool) -> Result<(), FileError>;

    /// Gives up the terminal (`TIOCNOTTY`); a leader's whole session does, and who is in the foreground is hung up.
    ///
    /// # Errors
    ///
    /// [`NotTty`](FileError::NotTty) if it is not the caller's.
    fn release(terminal: u64) -> Result<(), FileError>;

    /// The caller's controlling terminal.
    fn own_terminal() -> Option<u64>;

    /// The session of the terminal and the group in its foreground.
    fn session_and_foreground(terminal: u64) -> Option<(u32, u32)>;

    /// Puts a group of the caller's session into the foreground.
    ///
    /// # Errors
    ///
    /// [`NotTty`](FileError::NotTty) if it is not the caller's terminal, [`NoProcess`](FileError::NoProcess) without such a
    /// group, [`NotPermitted`](FileError::NotPermitted) if it is another session's.
    fn set_foreground(terminal: u64, group: u32) -> Result<(), FileError>;

    /// Whether the caller is root.
    fn is_root() -> bool;
}
