//! Models of the wait for an open file's offset.

use alloc::boxed::Box;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::offset::{Offset, Parking};

/// A thread of loom waits on its own.
#[derive(Default)]
struct LoomParking {
    turn: Mutex<()>,
    changed: Condvar,
}

impl Parking for LoomParking {
    fn wait_while(&self, _place: usize, condition: &mut dyn FnMut() -> bool) {
        let mut turn = self.turn.lock().unwrap();
        while condition() {
            turn = self.changed.wait(turn).unwrap();
        }
    }

    fn wake_all(&self, _place: usize) {
        drop(self.turn.lock().unwrap());
        self.changed.notify_all();
    }
}

#[test]
fn loom_nobody_waits_for_an_offset_that_is_free() {
    loom::model(|| {
        let offset = Arc::new(Offset::new(Box::leak(Box::<LoomParking>::default()), 0));
        let other = Arc::clone(&offset);
        let thread = thread::spawn(move || *other.lock() += 1);
        *offset.lock() += 1;
        thread.join().unwrap();
        assert_eq!(*offset.lock(), 2);
    });
}

#[test]
fn loom_a_second_waiter_is_woken_too() {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(2);
    bounded.check(|| {
        let offset = Arc::new(Offset::new(Box::leak(Box::<LoomParking>::default()), 0));
        let threads =
            [Arc::clone(&offset), Arc::clone(&offset)].map(|offset| thread::spawn(move || *offset.lock() += 1));
        *offset.lock() += 1;
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*offset.lock(), 3);
    });
}
