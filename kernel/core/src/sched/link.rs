//! The lists that a thread can be in: one run queue and one wait queue at a time, with a link for each.

use alloc::sync::Arc;

use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

use super::thread::Thread;

intrusive_adapter!(pub(super) RunAdapter<P> = Arc<Thread<P>>: Thread<P> { run_link => LinkedListAtomicLink });
intrusive_adapter!(pub(super) WaitAdapter<P> = Arc<Thread<P>>: Thread<P> { wait_link => LinkedListAtomicLink });

/// One level of a run queue.
pub(super) type RunList<P> = LinkedList<RunAdapter<P>>;
/// The threads in a wait queue.
pub(super) type WaitList<P> = LinkedList<WaitAdapter<P>>;
