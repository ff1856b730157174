//! Clocks and waiting.

use std::error::Error;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

pub(crate) const TESTS: &[(&str, crate::Test)] =
    crate::tests![instants_never_go_back, sleep_lasts_as_long_as_it_says, waiting_ends_in_time];

fn instants_never_go_back() -> Result<(), Box<dyn Error>> {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let mut last = Instant::now();
                for _ in 0..10_000 {
                    let now = Instant::now();
                    assert!(now >= last);
                    last = now;
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
    let (instant, system) = (Instant::now(), SystemTime::now());
    thread::sleep(Duration::from_millis(20));
    assert!(instant.elapsed() >= Duration::from_millis(20));
    assert!(system.elapsed()? >= Duration::from_millis(20));
    Ok(())
}

fn sleep_lasts_as_long_as_it_says() -> Result<(), Box<dyn Error>> {
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(300), Duration::from_millis(7)] {
        let start = Instant::now();
        thread::sleep(time);
        assert!(start.elapsed() >= time);
    }
    Ok(())
}

fn waiting_ends_in_time() -> Result<(), Box<dyn Error>> {
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let time = Duration::from_millis(10);
    let (_guard, result) =
        condition.wait_timeout_while(lock.lock().expect("nobody panics"), time, |()| true).expect("nobody panics");
    assert!(result.timed_out() && start.elapsed() >= time);
    let start = Instant::now();
    while start.elapsed() < time {
        thread::park_timeout(time);
    }
    Ok(())
}
