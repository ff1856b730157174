//! What waiting asks of the kernel.

use alloc::sync::Arc;

use super::park::Unparked;
use super::thread::Thread;
use crate::hal::Cpu;

/// The change of threads, as the kernel does it. Host tests do it with the host's threads.
pub trait Switch: 'static {
    /// What the kernel hangs on a thread.
    type Payload: Send + Sync + 'static;
    /// The CPU.
    type Cpu: Cpu;

    /// The thread that asks.
    fn current() -> Arc<Thread<Self::Payload>>;

    /// Gives up the CPU, after `Parker::prepare`. Returns once somebody has unparked the thread, at once if that has
    /// already happened; the thread's state is `Running` again then.
    fn block();

    /// As [`block`](Self::block), and a timer unparks the thread at `deadline_ns`, at once if that has passed.
    fn block_until(deadline_ns: u64);

    /// The time that deadlines are measured by, in nanoseconds.
    fn now_ns() -> u64;

    /// Queues a thread that sleeps no more, and sees to it that its CPU takes notice. Called from interrupt handlers too.
    fn make_runnable(thread: Arc<Thread<Self::Payload>>);
}

/// Wakes `thread` wherever it sleeps: timers, signals and wait queues all end here.
pub fn unpark<S: Switch>(thread: Arc<Thread<S::Payload>>) -> Unparked {
    let outcome = thread.park().unpark();
    if outcome == Unparked::Queue {
        S::make_runnable(thread);
    }
    outcome
}
