//! Threads, and the way there and back between two of them.

use std::sync::atomic::{AtomicU32, Ordering};

use sys::sync::{Scope, wait, wake};
use sys::time::now_ns;
use sys::{machine, thread};

use crate::Bench;
use crate::report::{Report, skip};

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    report.first.clear();
    for _ in 0..bench.samples(200, 30) {
        let start = now_ns();
        if let Err(errno) = thread::create_and_join() {
            return skip("pthread_create_join", "create", errno);
        }
        report.first.add(start, now_ns(), 1);
    }
    report.first.print("pthread_create_join", 1);
    let samples = bench.samples(30, 10);
    round_trip(report, "futex_rt_thread", samples);
    let all = machine::affinity(0).unwrap_or(u64::MAX);
    if let Err(errno) = machine::set_affinity(0, 1) {
        return skip("futex_rt_thread_pin", "affinity", errno);
    }
    round_trip(report, "futex_rt_thread_pin", samples);
    let _ = machine::set_affinity(0, all);
}

/// Sleeps while the word is `value`, as often as it takes.
fn while_it_is(word: &AtomicU32, value: u32) {
    while word.load(Ordering::SeqCst) == value {
        let _ = wait(word, value, None, Scope::Private);
    }
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
    let _ = wake(word, 1, Scope::Private);
}

/// 1 asks, 0 is the answer, 2 is the end.
fn round_trip(report: &mut Report, name: &str, samples: usize) {
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                while_it_is(&word, 0);
                if word.load(Ordering::SeqCst) == 2 {
                    return;
                }
                set(&word, 0);
            }
        });
        report.measure(name, samples, 100, || {
            set(&word, 1);
            while_it_is(&word, 1);
        });
        set(&word, 2);
    });
}
