//! What programs build of it: mutexes and condition variables, as C libraries do.

use super::*;

/// 0: open, 1: taken, 2: taken and perhaps waited for.
fn lock(world: &World, word: usize) {
    let state = &world.words[word];
    if state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        lock_contended(world, word);
    }
}

/// As a waiter that was moved here must: it does not know whether others were.
fn lock_contended(world: &World, word: usize) {
    while world.words[word].swap(2, Ordering::Acquire) != 0 {
        let _end = world.wait(word, 2);
    }
}

fn unlock(world: &World, word: usize) {
    if world.words[word].swap(0, Ordering::Release) == 2 {
        world.wake(word, 1);
    }
}

#[test]
fn no_addition_under_a_mutex_is_lost() {
    let rounds = if cfg!(miri) { 10 } else { 5_000 };
    let world = World::new();
    let counter = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (world, counter) = (Arc::clone(&world), Arc::clone(&counter));
            thread::spawn(move || {
                for _ in 0..rounds {
                    lock(&world, 0);
                    // Two steps, which only the mutex makes one.
                    let value = counter.load(Ordering::Relaxed);
                    counter.store(value + 1, Ordering::Relaxed);
                    unlock(&world, 0);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(counter.load(Ordering::Relaxed), 4 * rounds);
}

/// Word 0 is the condition's sequence, word 1 the mutex.
fn condition_wait(world: &World) {
    let sequence = world.words[0].load(Ordering::Relaxed);
    unlock(world, 1);
    let _end = world.wait(0, sequence);
    lock_contended(world, 1);
}

/// Wakes one, and lets the others wait for the mutex.
fn condition_broadcast(world: &World) {
    let next = world.words[0].load(Ordering::Relaxed) + 1;
    world.words[0].store(next, Ordering::Relaxed);
    let look = || if world.words[0].load(Ordering::Relaxed) == next { Look::Same } else { Look::Different };
    let outcome = world.futexes.compare_requeue(key(0), key(1), 1, usize::MAX, look);
    assert!(outcome.is_ok(), "the mutex is held, so the sequence stays: {outcome:?}");
}

#[test]
fn a_condition_variable_that_requeues_leaves_nobody_asleep() {
    let rounds = if cfg!(miri) { 4 } else { 1_000 };
    let threads = 4;
    let world = World::new();
    let arrived = Arc::new(AtomicU32::new(0));
    // A barrier: each round, all wait for the last.
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (world, arrived) = (Arc::clone(&world), Arc::clone(&arrived));
            thread::spawn(move || {
                for round in 1..=rounds {
                    lock(&world, 1);
                    let count = arrived.fetch_add(1, Ordering::Relaxed) + 1;
                    if count == threads * round {
                        condition_broadcast(&world);
                    }
                    while arrived.load(Ordering::Relaxed) < threads * round {
                        condition_wait(&world);
                    }
                    unlock(&world, 1);
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(key(1))), (0, 0));
}

#[test]
fn two_threads_take_turns() {
    let rounds = if cfg!(miri) { 10 } else { 10_000 };
    let world = World::new();
    // A turn is a value of the word; each waits for the other's to end.
    let player = |mine: u32| {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            let word = &world.words[0];
            for _ in 0..rounds {
                while word.load(Ordering::Acquire) != mine {
                    let _end = world.wait(0, 1 - mine);
                }
                word.store(1 - mine, Ordering::Release);
                world.wake(0, 1);
            }
        })
    };
    [player(0), player(1)].into_iter().for_each(|player| player.join().unwrap());
    assert_eq!(world.words[0].load(Ordering::Relaxed), 0);
}
