//! Models of the waits of parents: every interleaving with few enough preemptions, every value the orderings allow.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::news::News;
use super::ppwait::Gate;
use crate::hal::fake::FakeCpu;
use crate::sched::fake::HostSwitch;
use crate::sync::{Rank, SpinLock};

/// A gate and the memory that the child borrows.
struct Lent {
    gate: Gate<HostSwitch>,
    memory: UnsafeCell<u32>,
}

// SAFETY: loom checks each access to `memory`; that none overlap is the point of the model.
unsafe impl Sync for Lent {}

#[test]
fn loom_f32_f44_f47_the_parent_in_vfork_always_wakes_and_has_its_memory_back() {
    loom::model(|| {
        let lent = Arc::new(Lent { gate: Gate::new(), memory: UnsafeCell::new(0) });
        lent.gate.shut();
        let other = Arc::clone(&lent);
        let child = thread::spawn(move || {
            other.memory.with_mut(|memory| {
                // SAFETY: loom has checked that no other access overlaps.
                unsafe { *memory = 7 };
            });
            other.gate.open();
        });
        lent.gate.wait();
        // SAFETY: as above.
        let seen = lent.memory.with(|memory| unsafe { *memory });
        assert_eq!(seen, 7);
        child.join().unwrap();
    });
}

#[test]
fn loom_f44_a_parent_that_is_woken_for_nothing_waits_on() {
    loom::model(|| {
        let gate = Arc::new(Gate::<HostSwitch>::new());
        gate.shut();
        let parent = <HostSwitch as crate::sched::Switch>::current();
        let killer = thread::spawn(move || {
            let _outcome = crate::sched::unpark::<HostSwitch>(parent);
        });
        let other = Arc::clone(&gate);
        let child = thread::spawn(move || other.open());
        gate.wait();
        assert!(!gate.is_shut());
        killer.join().unwrap();
        child.join().unwrap();
    });
}

/// What a parent looks at, and its news.
struct Family {
    zombies: SpinLock<u32, FakeCpu>,
    news: News<HostSwitch>,
}

impl Family {
    fn exit(&self) {
        *self.zombies.lock() += 1;
        self.news.tell();
    }

    fn wait(&self) {
        loop {
            let seen = self.news.count();
            {
                let mut zombies = self.zombies.lock();
                if *zombies > 0 {
                    *zombies -= 1;
                    return;
                }
            }
            assert!(self.news.wait(seen, || false));
        }
    }
}

#[test]
fn loom_f58_no_exit_is_missed_by_a_wait() {
    loom::model(|| {
        let family = Arc::new(Family { zombies: SpinLock::new(Rank::ProcessTree, 0), news: News::new() });
        let other = Arc::clone(&family);
        let child = thread::spawn(move || other.exit());
        family.wait();
        child.join().unwrap();
        assert_eq!(*family.zombies.lock(), 0);
    });
}
