//! Panics that unwind, to somebody who catches them or to the end of their thread.

use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    a_panic_is_caught_with_what_it_says,
    what_is_on_the_way_is_dropped,
    a_thread_that_panics_tells_who_joins_it,
    a_lock_held_by_a_panic_is_poisoned,
];

/// Runs without the message that a panic prints.
fn quietly<T>(action: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = action();
    panic::set_hook(hook);
    result
}

struct Counted<'a>(&'a AtomicU32);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn a_panic_is_caught_with_what_it_says() -> Result<(), Box<dyn Error>> {
    let payload = quietly(|| panic::catch_unwind(|| panic!("number {}", std::hint::black_box(7))))
        .err()
        .ok_or("it did not panic")?;
    assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("number 7"));
    let payload = quietly(|| panic::catch_unwind(|| panic::panic_any(42_u64))).err().ok_or("it did not panic")?;
    assert_eq!(payload.downcast_ref::<u64>(), Some(&42));
    let bytes = std::hint::black_box([1, 2, 3]);
    let index = std::hint::black_box(3);
    assert!(quietly(|| panic::catch_unwind(|| bytes[index])).is_err());
    Ok(())
}

fn what_is_on_the_way_is_dropped() -> Result<(), Box<dyn Error>> {
    fn down(depth: u32, dropped: &AtomicU32) {
        let _counted = Counted(dropped);
        assert!(depth > 0, "the bottom");
        down(depth - 1, dropped);
    }
    let dropped = AtomicU32::new(0);
    let result = quietly(|| panic::catch_unwind(AssertUnwindSafe(|| down(99, &dropped))));
    assert!(result.is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 100);
    Ok(())
}

fn a_thread_that_panics_tells_who_joins_it() -> Result<(), Box<dyn Error>> {
    let results: Vec<_> = quietly(|| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                thread::spawn(move || {
                    assert!(number % 2 == 0, "odd");
                    number
                })
            })
            .collect();
        threads.into_iter().map(thread::JoinHandle::join).collect()
    });
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Ok(found) => assert_eq!(found, number),
            Err(payload) => assert!(number % 2 == 1 && payload.downcast_ref::<&str>() == Some(&"odd")),
        }
    }
    Ok(())
}

fn a_lock_held_by_a_panic_is_poisoned() -> Result<(), Box<dyn Error>> {
    let lock = Arc::new(Mutex::new(1));
    let held = Arc::clone(&lock);
    let result = quietly(|| {
        thread::spawn(move || {
            let mut guard = held.lock().expect("nobody has panicked yet");
            *guard = 2;
            panic!("with the lock held");
        })
        .join()
    });
    assert!(result.is_err() && lock.is_poisoned());
    assert_eq!(lock.lock().map_err(|error| *error.into_inner()).err(), Some(2));
    Ok(())
}
