//! Sending signals, and what they do when a thread is about to go back to its program.
//!
//! **Sending.** The sender holds the process tree: so a signal to a group reaches all who are in it at one moment, a
//! child that is being forked with them or not at all, and who has received what is settled before anybody's wait looks.
//! `SIGKILL` ends the whole process there and then (`begin_exit`); `SIGCONT` lets a stopped one go on; what would be
//! ignored is dropped; all else is kept as pending, and a thread that does not block it is woken.
//!
//! **Receiving.** A thread whose [`attention`](super::Thread::attention) is set passes through [`before_user`] on its way back to
//! its program. There it ends if its process does, stands still while the process is stopped, and takes its signals one
//! by one. A handler is the one thing it does not do itself: [`Next::Handle`] says which, and the kernel lays out the
//! frame.
//!
//! Interruptible sleep ends with attention, too: conditions of waits ask [`interrupted`].

mod post;
mod receive;
mod send;

pub use post::{FaultPosted, post_fault, signal, signal_group};
pub(super) use post::{child_info, post, post_to, post_to_group, tell_orphaned};
pub(super) use receive::settle_stop;
pub use receive::{Next, Woken, before_user, child_return, interrupted, take_signal, wait_for_signal};
pub use send::{SignalError, Target, kill, kill_thread, queue, queue_thread, thread};
