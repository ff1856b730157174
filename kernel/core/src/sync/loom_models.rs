//! Models of the locks: loom runs each with every interleaving that has few enough preemptions, and with every value
//! that the orderings allow a load to return.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::*;
use crate::hal::fake::FakeCpu;

/// A value in which loom sees every access; two unordered ones are an error.
struct Watched(UnsafeCell<usize>);

impl Watched {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn add_one(&mut self) {
        self.0.with_mut(|value| {
            // SAFETY: `self` is borrowed exclusively, and loom has checked that no other access overlaps.
            unsafe { *value += 1 };
        });
    }

    fn get(&mut self) -> usize {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

#[test]
fn loom_a_ticket_lock_excludes_and_publishes() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::<_, FakeCpu>::new(Rank::TestSpinOuter, Watched::new()));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || other.lock().add_one());
        lock.lock().add_one();
        thread.join().unwrap();
        assert_eq!(lock.lock().get(), 2);
    });
}

#[test]
fn loom_a_ticket_lock_goes_to_and_fro() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::<_, FakeCpu>::new(Rank::TestSpinOuter, Watched::new()));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || (0..2).for_each(|_| other.lock().add_one()));
        (0..2).for_each(|_| lock.lock().add_one());
        thread.join().unwrap();
        assert_eq!(lock.lock().get(), 4);
    });
}

#[test]
fn loom_try_lock_sees_what_the_last_holder_wrote() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::<_, FakeCpu>::new(Rank::TestSpinOuter, Watched::new()));
        let taken = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| {
            let (lock, taken) = (Arc::clone(&lock), Arc::clone(&taken));
            thread::spawn(move || {
                if let Some(mut guard) = lock.try_lock() {
                    guard.add_one();
                    taken.fetch_add(1, Relaxed);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(lock.lock().get(), taken.load(Relaxed));
        assert!(taken.load(Relaxed) >= 1, "the first to try finds it open");
    });
}

#[test]
fn loom_an_irq_lock_excludes_and_puts_the_mask_back() {
    loom::model(|| {
        let lock = Arc::new(IrqLock::<_, FakeCpu>::new(Rank::TestIrqOuter, Watched::new()));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || {
            other.lock().add_one();
            assert!(!FakeCpu::irqs_masked());
        });
        let mut guard = lock.lock();
        guard.add_one();
        assert!(FakeCpu::irqs_masked());
        drop(guard);
        assert!(!FakeCpu::irqs_masked());
        thread.join().unwrap();
        assert_eq!(lock.lock().get(), 2);
    });
}

#[test]
fn loom_a_stock_lock_excludes_publishes_and_puts_the_mask_back() {
    loom::model(|| {
        let lock = Arc::new(StockLock::<_, FakeCpu>::new(Rank::TestIrqOuter, Watched::new()));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || {
            (0..2).for_each(|_| other.lock().add_one());
            assert!(!FakeCpu::irqs_masked());
        });
        let mut guard = lock.lock();
        guard.add_one();
        assert!(FakeCpu::irqs_masked());
        drop(guard);
        thread.join().unwrap();
        assert_eq!(lock.lock().get(), 3);
    });
}

#[test]
fn loom_who_finds_a_weak_reference_sees_what_it_refers_to() {
    loom::model(|| {
        let weak = Arc::new(WeakOnce::<Watched>::new());
        let other = Arc::clone(&weak);
        let thread = thread::spawn(move || {
            if let Some(found) = other.get() {
                // SAFETY: nobody writes to it any more; that this is after the writing is the point of the model.
                assert_eq!(found.0.with(|value| unsafe { *value }), 1);
            }
        });
        let mut value = Watched::new();
        value.add_one();
        let target = alloc::sync::Arc::new(value);
        weak.set(&target);
        thread.join().unwrap();
        assert!(weak.get().is_some());
    });
}
