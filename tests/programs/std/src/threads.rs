//! Threads, and what they share and send.

use std::cell::Cell;
use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    threads_count_together,
    many_threads_live_at_once,
    a_barrier_lets_nobody_through_early,
    a_condition_wakes_who_waits,
    readers_share_and_a_writer_does_not,
    channels_bring_everything_in_order,
    a_channel_without_room_makes_the_sender_wait,
    a_channel_ends_with_its_other_side,
    each_thread_has_its_own_and_drops_it,
    a_parked_thread_is_unparked,
    something_is_made_once_whoever_comes_first,
];

const THREADS: u32 = 8;
const ROUNDS: u32 = 2000;

fn threads_count_together() -> Result<(), Box<dyn Error>> {
    let locked = Mutex::new(0);
    let atomic = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    *locked.lock().expect("nobody panics") += 1;
                    atomic.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(locked.into_inner()?, THREADS * ROUNDS);
    assert_eq!(atomic.into_inner(), THREADS * ROUNDS);
    assert!(thread::available_parallelism()?.get() >= 1);
    Ok(())
}

fn many_threads_live_at_once() -> Result<(), Box<dyn Error>> {
    const MANY: u32 = 64;
    let all = Arc::new(Barrier::new(MANY as usize));
    let threads: Vec<_> = (0..MANY)
        .map(|number| {
            let all = Arc::clone(&all);
            thread::Builder::new().name(format!("thread {number}")).stack_size(64 << 10).spawn(move || {
                all.wait();
                (number, thread::current().name().map(str::to_owned))
            })
        })
        .collect::<Result<_, _>>()?;
    for (number, thread) in (0..MANY).zip(threads) {
        assert_eq!(thread.join().expect("nobody panics"), (number, Some(format!("thread {number}"))));
    }
    Ok(())
}

fn a_barrier_lets_nobody_through_early() -> Result<(), Box<dyn Error>> {
    let barrier = Barrier::new(THREADS as usize);
    let arrived = AtomicU32::new(0);
    let leaders = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 1..=50 {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    leaders.fetch_add(u32::from(barrier.wait().is_leader()), Ordering::SeqCst);
                    assert!(arrived.load(Ordering::SeqCst) >= round * THREADS);
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), 50);
    Ok(())
}

fn a_condition_wakes_who_waits() -> Result<(), Box<dyn Error>> {
    let turn = (Mutex::new(0_u32), Condvar::new());
    thread::scope(|scope| {
        for number in 0..THREADS {
            let turn = &turn;
            scope.spawn(move || {
                for round in 0..50 {
                    let mine = round * THREADS + number;
                    let guard = turn.0.lock().expect("nobody panics");
                    let mut guard = turn.1.wait_while(guard, |turn| *turn != mine).expect("nobody panics");
                    *guard += 1;
                    turn.1.notify_all();
                }
            });
        }
    });
    assert_eq!(*turn.0.lock().expect("nobody panics"), 50 * THREADS);
    Ok(())
}

fn readers_share_and_a_writer_does_not() -> Result<(), Box<dyn Error>> {
    let pair = RwLock::new((0_u32, 0_u32));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut pair = pair.write().expect("nobody panics");
                    pair.0 += 1;
                    pair.1 += 1;
                }
            });
        }
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let pair = pair.read().expect("nobody panics");
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert_eq!(pair.into_inner()?, (2 * ROUNDS, 2 * ROUNDS));
    Ok(())
}

fn channels_bring_everything_in_order() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = mpsc::channel();
    for number in 0..THREADS {
        let sender = sender.clone();
        thread::spawn(move || (0..ROUNDS).try_for_each(|count| sender.send((number, count))));
    }
    drop(sender);
    let mut next = [0; THREADS as usize];
    for (number, count) in receiver {
        let next = &mut next[number as usize];
        assert_eq!(*next, count);
        *next += 1;
    }
    assert_eq!(next, [ROUNDS; THREADS as usize]);
    Ok(())
}

fn a_channel_without_room_makes_the_sender_wait() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = mpsc::sync_channel(0);
    let taken = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&taken);
    let thread = thread::spawn(move || {
        for count in 0..100 {
            sender.send(count).expect("the receiver stays");
            assert!(seen.load(Ordering::SeqCst) >= count);
        }
    });
    for count in 0..100 {
        taken.store(count, Ordering::SeqCst);
        assert_eq!(receiver.recv()?, count);
    }
    assert!(thread.join().is_ok());
    Ok(())
}

fn a_channel_ends_with_its_other_side() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = mpsc::channel::<u32>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(receiver.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout));
    let thread = thread::spawn(move || receiver.recv());
    drop(sender);
    assert!(thread.join().expect("nobody panics").is_err());
    Ok(())
}

fn each_thread_has_its_own_and_drops_it() -> Result<(), Box<dyn Error>> {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Own(Cell<u32>);
    impl Drop for Own {
        fn drop(&mut self) {
            DROPPED.fetch_add(self.0.get(), Ordering::SeqCst);
        }
    }
    thread_local! { static OWN: Own = const { Own(Cell::new(0)) } }
    let threads: Vec<_> = (1..=THREADS)
        .map(|number| thread::spawn(move || (0..number).for_each(|_| OWN.with(|own| own.0.set(own.0.get() + 1)))))
        .collect();
    threads.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
    assert_eq!(DROPPED.load(Ordering::SeqCst), (1..=THREADS).sum());
    Ok(())
}

fn a_parked_thread_is_unparked() -> Result<(), Box<dyn Error>> {
    let go = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&go);
    let thread = thread::spawn(move || {
        while seen.load(Ordering::Acquire) == 0 {
            thread::park();
        }
    });
    go.store(1, Ordering::Release);
    thread.thread().unpark();
    assert!(thread.join().is_ok());
    Ok(())
}

fn something_is_made_once_whoever_comes_first() -> Result<(), Box<dyn Error>> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let once = OnceLock::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                assert_eq!(*once.get_or_init(|| MADE.fetch_add(1, Ordering::SeqCst) + 41), 41);
            });
        }
    });
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
    Ok(())
}
