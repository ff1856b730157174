//! Tests with the host's threads: one module for each subject, and what they share.

mod operation;
mod programs;
mod requeue;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::vec::Vec;

use super::bucket::BATCH;
use super::*;
use crate::addr::UserAddr;
use crate::hal::Cpu;
use crate::hal::fake::FakeCpu;
use crate::sched::fake::HostSwitch;

std::thread_local! {
    static SEAT: Arc<Seat> = Arc::default();
}

/// Two words of a program, and those who wait for them.
#[derive(Default)]
struct World {
    futexes: Futexes<HostSwitch>,
    words: [AtomicU32; 2],
    signalled: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    /// `FUTEX_WAIT_BITSET` on a word, by the calling thread.
    fn wait_for(&self, word: usize, expected: u32, bits: u32, deadline_ns: Option<u64>) -> WaitEnd {
        let look = || {
            let same = self.words[word].load(Ordering::Relaxed) == expected;
            if same { Look::Same } else { Look::Different }
        };
        let interrupted = || self.signalled.load(Ordering::Relaxed);
        let bits = core::num::NonZeroU32::new(bits).expect("some bits");
        SEAT.with(|seat| self.futexes.wait(seat, key(word), bits, deadline_ns, look, interrupted))
    }

    /// `FUTEX_WAIT`
    fn wait(&self, word: usize, expected: u32) -> WaitEnd {
        self.wait_for(word, expected, EVERY_BIT.get(), None)
    }

    /// `FUTEX_WAKE`
    fn wake(&self, word: usize, most: usize) -> usize {
        self.futexes.wake(key(word), most, EVERY_BIT)
    }

    /// Threads that wait at a word while it is 0, one after the other.
    fn waiters(self: &Arc<Self>, word: usize, count: usize) -> Vec<JoinHandle<WaitEnd>> {
        let start = |n| {
            let world = Arc::clone(self);
            let waiter = thread::spawn(move || world.wait(word, 0));
            self.until_waiting(word, n + 1);
            waiter
        };
        (0..count).map(start).collect()
    }

    /// Spins until so many threads wait; one that never comes hangs the test, which is a failure too.
    fn until_waiting(&self, word: usize, threads: usize) {
        while self.futexes.waiting(key(word)) < threads {
            FakeCpu::relax();
        }
    }
}

/// The key of a word. The two fall into different buckets.
fn key(word: usize) -> Key {
    Key::Private { space: 1, address: UserAddr::new(if word == 0 { 0x1000 } else { 0x1004 }) }
}

fn joined(waiters: Vec<JoinHandle<WaitEnd>>) -> Vec<WaitEnd> {
    waiters.into_iter().map(|waiter| waiter.join().expect("a waiter does not panic")).collect()
}
