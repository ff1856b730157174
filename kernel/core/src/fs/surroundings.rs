//! What files that keep their users waiting ask of the kernel.

use crate::sched::Switch;

/// The kernel, as pipes and sockets need it. Host tests have a fake.
pub trait Surroundings: Switch + Send + Sync {
    /// Whether a wait of the current thread should end, for there is a signal to be acted upon. Asked while the thread is about
    /// to sleep; whoever makes it true unparks the thread afterwards.
    fn interrupted() -> bool;

    /// The current thread has written where nobody reads: `SIGPIPE`.
    fn broken_pipe();

    /// The process, effective user and group in whose name the current thread runs.
    fn who() -> [u32; 3];

    /// Whether there is memory for more of what programs ask the kernel to keep.
    fn has_room() -> bool;
}
