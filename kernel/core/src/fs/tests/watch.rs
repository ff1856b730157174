//! Who is told of what.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use crate::fs::{Readiness, WatchList, Watched, Watcher};
use crate::hal::fake::FakeCpu;

type List = WatchList<FakeCpu>;

/// Counts what it is told.
#[derive(Default)]
struct Counter(AtomicU32);

impl Watcher for Counter {
    fn notify(&self, _ready: Readiness) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (Arc<Counter>, Arc<dyn Watcher>) {
    let counter = Arc::new(Counter::default());
    (Arc::clone(&counter), counter)
}

fn told(counter: &Counter) -> u32 {
    counter.0.load(Ordering::Relaxed)
}

#[test]
fn a_watcher_is_told_what_it_asked_for_and_of_errors_always() {
    let list = List::new();
    let (counter, watcher) = counter();
    list.add(watcher, Readiness::READ).unwrap();
    list.notify(Readiness::WRITE);
    assert_eq!(told(&counter), 0);
    list.notify(Readiness::READ | Readiness::READ_NORMAL);
    list.notify(Readiness::HANG_UP);
    list.notify(Readiness::ERROR);
    assert_eq!(told(&counter), 3);
}

#[test]
fn all_are_told_however_many_they_are() {
    let list = List::new();
    let counters: Vec<_> = (0..21)
        .map(|_| {
            let (counter, watcher) = counter();
            list.add(watcher, Readiness::READ).unwrap();
            counter
        })
        .collect();
    list.notify(Readiness::READ);
    assert!(counters.iter().all(|counter| told(counter) == 1));
}

#[test]
fn who_has_left_is_told_nothing_and_is_not_kept() {
    let list = List::new();
    let (counter, watcher) = counter();
    let id = list.add(watcher, Readiness::READ).unwrap();
    list.remove(id);
    list.remove(id);
    list.notify(Readiness::READ);
    assert_eq!((told(&counter), list.watching(), Arc::strong_count(&counter)), (0, 0, 1));
}

/// Leaves the list when it is told.
struct Once {
    list: Arc<List>,
    id: Mutex<Option<crate::fs::WatchId>>,
}

impl Watcher for Once {
    fn notify(&self, _ready: Readiness) {
        let id = self.id.lock().unwrap().take();
        if let Some(id) = id {
            self.list.remove(id);
        }
    }
}

#[test]
fn a_watcher_may_leave_while_it_is_told_and_nobody_is_passed_over() {
    let list = Arc::new(List::new());
    let counters: Vec<_> = (0..20)
        .map(|_| {
            let once = Arc::new(Once { list: Arc::clone(&list), id: Mutex::new(None) });
            let id = list.add(Arc::clone(&once) as Arc<dyn Watcher>, Readiness::READ).unwrap();
            *once.id.lock().unwrap() = Some(id);
            let (counter, watcher) = counter();
            list.add(watcher, Readiness::READ).unwrap();
            counter
        })
        .collect();
    list.notify(Readiness::READ);
    assert!(counters.iter().all(|counter| told(counter) == 1));
    assert_eq!(list.watching(), 20);
}
