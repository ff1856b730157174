//! Threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use sys::process::{self, Signal, spawn};
use sys::{Errno, machine, thread, time};

use crate::expect::{Checked, Failure, dies, end_of, ensure, equal, exited, in_child};

super::tests!("thread":
    a_hundred_are_spawned_and_joined, twenty_at_once, they_share_memory, each_has_its_own_storage, numbers_differ,
    exit_ends_siblings, the_last_one_ends_the_process, a_fork_has_one_thread, a_signal_ends_all, a_fault_of_one_ends_all,
    f57_a_thread_starts_on_each_cpu, a_mutex_counts_right, forks_from_several_threads, memory_changes_are_seen_by_all);

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(0) };
}

/// The result of a thread, of which a panic is a failure.
fn joined<T>(handle: std::thread::JoinHandle<T>) -> Result<T, Failure> {
    handle.join().map_err(|_| Failure::new("the thread died"))
}

fn a_hundred_are_spawned_and_joined() -> Checked {
    for number in 0..100 {
        equal(joined(std::thread::Builder::new().spawn(move || number + 1)?)?, number + 1)?;
    }
    Ok(())
}

fn twenty_at_once() -> Checked {
    let barrier = Barrier::new(20);
    let sum = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (barrier, sum) = (&barrier, &sum);
            scope.spawn(move || {
                barrier.wait();
                sum.fetch_add(number, Ordering::SeqCst);
            });
        }
    });
    equal(sum.load(Ordering::SeqCst), 190)
}

fn they_share_memory() -> Checked {
    let mut value = 1;
    std::thread::scope(|scope| {
        scope.spawn(|| value = 2);
    });
    equal(value, 2)
}

fn memory_changes_are_seen_by_all() -> Checked {
    // One maps, another one stores, a third one reads.
    let memory = joined(std::thread::spawn(|| sys::Mapping::private(64 << 10)))??;
    let memory = joined(std::thread::spawn(move || {
        memory.write_pages(3);
        memory
    }))?;
    ensure(memory.pages_are(3), "not seen")
}

fn each_has_its_own_storage() -> Checked {
    OWN.set(1);
    let other = std::thread::spawn(|| {
        let before = OWN.get();
        OWN.set(2);
        (before, OWN.get())
    });
    equal(joined(other)?, (0, 2))?;
    equal(OWN.get(), 1)
}

fn numbers_differ() -> Checked {
    ensure(thread::is_main(), "the main thread's number is not the process's")?;
    let (pid, tid) = joined(std::thread::spawn(|| (process::pid(), process::tid())))?;
    equal(pid, process::pid())?;
    ensure(tid != process::tid(), "two threads have one number")
}

/// Starts threads that never end: some sleep, some are busy, some wait for a word.
fn start_endless() {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    for kind in 0..6 {
        std::thread::spawn(move || {
            loop {
                match kind % 3 {
                    0 => drop(time::sleep(Duration::from_secs(1000))),
                    1 => std::hint::spin_loop(),
                    _ => drop(sys::sync::wait(&NEVER, 0, None, sys::sync::Scope::Private)),
                }
            }
        });
    }
}

fn exit_ends_siblings() -> Checked {
    for from_thread in [false, true] {
        let status = end_of(|| {
            start_endless();
            if from_thread {
                let _ = std::thread::spawn(|| process::exit(23)).join();
            }
            23
        })?;
        exited(status, 23)?;
    }
    Ok(())
}

fn the_last_one_ends_the_process() -> Checked {
    let status = end_of(|| {
        std::thread::spawn(|| {
            for _ in 0..100 {
                let _ = machine::yield_now();
            }
            process::exit(24)
        });
        thread::leave()
    })?;
    exited(status, 24)?;
    exited(end_of(|| thread::leave())?, 0)
}

fn a_fork_has_one_thread() -> Checked {
    in_child(|| {
        start_endless();
        let inner = end_of(|| {
            // With siblings this would end only itself.
            thread::leave()
        })?;
        exited(inner, 0)?;
        // The same from a thread that is not the main one.
        let from_thread = joined(std::thread::spawn(|| end_of(|| i32::from(!thread::is_main()))))??;
        exited(from_thread, 0)
    })
}

fn a_signal_ends_all() -> Checked {
    dies(Signal::TERM, || {
        start_endless();
        let _ = process::kill(process::pid().0, Signal::TERM);
        loop {
            let _ = time::sleep(Duration::from_secs(1000));
        }
    })
}

fn a_fault_of_one_ends_all() -> Checked {
    dies(Signal::SEGV, || {
        start_endless();
        let _ = std::thread::spawn(|| sys::die::writing(0)).join();
        0
    })
}

fn f57_a_thread_starts_on_each_cpu() -> Checked {
    let all = machine::affinity(0)?;
    for cpu in (0..u64::BITS).filter(|cpu| all >> cpu & 1 != 0) {
        machine::set_affinity(0, 1 << cpu)?;
        let seen = joined(std::thread::spawn(machine::current))??;
        equal(seen, cpu)?;
    }
    Ok(machine::set_affinity(0, all)?)
}

fn a_mutex_counts_right() -> Checked {
    fn add_five_hundred(count: &Mutex<u32>) {
        for _ in 0..500 {
            let mut count = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *count += 1;
            if count.is_multiple_of(64) {
                // Holds it while others come.
                let _ = machine::yield_now();
            }
        }
    }
    let count = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| add_five_hundred(&count));
        }
    });
    equal(count.into_inner().unwrap_or(0), 4000)
}

fn forks_from_several_threads() -> Checked {
    let one = |number: i32| -> Result<(), Errno> {
        for _ in 0..20 {
            let pid = spawn(|| number)?;
            let (_, status) = process::wait(process::Which::Pid(pid))?;
            if status.code() != Some(number) {
                return Err(Errno::INVAL);
            }
        }
        Ok(())
    };
    let threads: Vec<_> = (1..5).map(|number| std::thread::spawn(move || one(number))).collect();
    threads.into_iter().try_for_each(|thread| Ok(joined(thread)??))
}
