//! Resource limits.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::ExitStatus;
use std::time::Duration;

use sys::identity::set_user;
use sys::limit::{INFINITY, Limit, Resource, get, set};
use sys::process::{self, Disposition, Signal, Which, spawn, wait};
use sys::{Errno, Mapping, Pid, time};

use crate::expect::{Checked, as_root, ended_by, ensure, equal, in_child, io_refused, on_tine, refused};
use crate::meeting::Meeting;

super::tests!("limit":
    soft_is_at_most_hard, an_ordinary_user_cannot_raise_the_hard_one, f13_children_have_their_parents,
    f26_rlimit_nproc_allows_exactly_n, f26_root_is_never_refused, f26_threads_are_not_counted, f30_an_end_makes_room,
    open_files, address_space, data, unknown_resources, f30_defaults, f15_who_computes_too_long_is_told,
    f15_who_ignores_that_is_killed_later, f15_a_child_may_compute_no_longer_than_its_parent,
    f15_threads_use_up_one_limit, f15_sleep_is_no_processor_time, f15_a_child_that_has_ended_is_watched_no_more);

fn limit(soft: u64) -> Limit {
    Limit { soft, hard: soft }
}

fn soft_is_at_most_hard() -> Checked {
    refused(set(Resource::OPEN_FILES, Limit { soft: 11, hard: 10 }), Errno::INVAL)
}

fn unknown_resources() -> Checked {
    refused(get(Resource(16)), Errno::INVAL)?;
    refused(get(Resource(usize::MAX)), Errno::INVAL)?;
    for number in 0..16 {
        let limit = get(Resource(number))?;
        ensure(limit.soft <= limit.hard, "the soft limit is above the hard one")?;
    }
    Ok(())
}

fn an_ordinary_user_cannot_raise_the_hard_one() -> Checked {
    as_root()?;
    in_child(|| {
        set(Resource::OPEN_FILES, limit(50))?;
        set(Resource::OPEN_FILES, limit(60))?;
        set_user(1000)?;
        refused(set(Resource::OPEN_FILES, limit(61)), Errno::PERM)?;
        set(Resource::OPEN_FILES, Limit { soft: 20, hard: 60 })?;
        set(Resource::OPEN_FILES, Limit { soft: 60, hard: 60 })?;
        set(Resource::OPEN_FILES, limit(30))?;
        refused(set(Resource::OPEN_FILES, limit(31)), Errno::PERM)
    })
}

fn f13_children_have_their_parents() -> Checked {
    in_child(|| {
        let Limit { hard, .. } = get(Resource::OPEN_FILES)?;
        set(Resource::OPEN_FILES, Limit { soft: 33, hard })?;
        in_child(|| {
            equal(get(Resource::OPEN_FILES)?.soft, 33)?;
            Ok(set(Resource::OPEN_FILES, Limit { soft: 22, hard })?)
        })?;
        equal(get(Resource::OPEN_FILES)?.soft, 33)
    })
}

/// Forks children that wait for word 0 of `meeting`, until a fork fails: how many, and why.
fn fork_until_refused(meeting: &Meeting, at_most: usize) -> Result<(Vec<Pid>, Option<Errno>), Errno> {
    let mut children = Vec::new();
    while children.len() < at_most {
        match spawn(|| {
            meeting.wait(0, 1);
            0
        }) {
            Ok(pid) => children.push(pid),
            Err(errno) => return Ok((children, Some(errno))),
        }
    }
    Ok((children, None))
}

/// Lets the children go, and waits for them.
fn release(meeting: &Meeting, children: Vec<Pid>) -> Checked {
    meeting.set(0, 1);
    children.into_iter().try_for_each(|pid| {
        wait(Which::Pid(pid))?;
        Ok(())
    })
}

fn f26_rlimit_nproc_allows_exactly_n() -> Checked {
    as_root()?;
    for n in [1_usize, 2, 7] {
        in_child(|| {
            let meeting = Meeting::new()?;
            set(Resource::PROCESSES, limit(n as u64))?;
            // A user that nothing else runs as; the process itself is one of the N.
            set_user(30_000 + u32::try_from(n).unwrap_or(0))?;
            let (children, errno) = fork_until_refused(&meeting, n + 5)?;
            let count = children.len();
            release(&meeting, children)?;
            equal((count, errno), (n - 1, Some(Errno::AGAIN)))
        })?;
    }
    Ok(())
}

fn f30_an_end_makes_room() -> Checked {
    as_root()?;
    in_child(|| {
        set(Resource::PROCESSES, limit(2))?;
        set_user(30_100)?;
        for _ in 0..20 {
            let pid = spawn(|| 0)?;
            // The child may have ended, but it counts until it is reaped.
            let second = spawn(|| 0);
            wait(Which::Pid(pid))?;
            refused(second, Errno::AGAIN)?;
        }
        Ok(())
    })
}

fn f26_root_is_never_refused() -> Checked {
    as_root()?;
    in_child(|| {
        let meeting = Meeting::new()?;
        set(Resource::PROCESSES, limit(1))?;
        let (children, errno) = fork_until_refused(&meeting, 5)?;
        release(&meeting, children)?;
        equal(errno, None)
    })
}

fn f26_threads_are_not_counted() -> Checked {
    as_root()?;
    on_tine()?;
    in_child(|| {
        set(Resource::PROCESSES, limit(1))?;
        set_user(30_200)?;
        let threads: std::io::Result<Vec<_>> =
            (0..5).map(|number| std::thread::Builder::new().spawn(move || number)).collect();
        equal(threads?.into_iter().filter_map(|thread| thread.join().ok()).sum::<i32>(), 10)
    })
}

fn f30_defaults() -> Checked {
    on_tine()?;
    let Limit { hard, .. } = get(Resource::PROCESSES)?;
    ensure(hard <= 1310, "more than there can be")?;
    in_child(|| {
        set(Resource::PROCESSES, limit(INFINITY))?;
        equal(get(Resource::PROCESSES)?.hard, hard.max(1))
    })
}

fn open_files() -> Checked {
    in_child(|| {
        let Limit { hard, .. } = get(Resource::OPEN_FILES)?;
        set(Resource::OPEN_FILES, Limit { soft: 20, hard })?;
        let mut files = Vec::new();
        let error = loop {
            match File::open("/etc/motd") {
                Ok(file) => files.push(file),
                Err(error) => break Err::<(), _>(error),
            }
        };
        io_refused(error, Errno::MFILE)?;
        equal(files.iter().map(|file| file.as_raw_fd()).max(), Some(19))?;
        // The lowest that is free is the next.
        let first = files.swap_remove(0);
        let number = first.as_raw_fd();
        drop(first);
        equal(File::open("/etc/motd")?.as_raw_fd(), number)
    })
}

/// What `bytes` more of address space come to under a limit.
fn map_under(resource: Resource, soft: u64, bytes: usize) -> Result<(), Errno> {
    let Limit { hard, .. } = get(resource)?;
    set(resource, Limit { soft, hard })?;
    Mapping::private(bytes).map(drop)
}

fn address_space() -> Checked {
    in_child(|| refused(map_under(Resource::ADDRESS_SPACE, 64 << 20, 65 << 20), Errno::NOMEM))?;
    in_child(|| Ok(map_under(Resource::ADDRESS_SPACE, 64 << 20, 32 << 20)?))?;
    in_child(|| {
        // Nothing more at all, not even a break.
        set(Resource::ADDRESS_SPACE, Limit { soft: 0, hard: get(Resource::ADDRESS_SPACE)?.hard })?;
        refused(sys::memory::exercise_break(1 << 20), Errno::NOMEM)
    })
}

fn data() -> Checked {
    in_child(|| refused(map_under(Resource::DATA, 16 << 20, 17 << 20), Errno::NOMEM))?;
    in_child(|| Ok(map_under(Resource::DATA, 16 << 20, 4 << 20)?))?;
    in_child(|| {
        set(Resource::DATA, Limit { soft: 1 << 20, hard: get(Resource::DATA)?.hard })?;
        refused(sys::memory::exercise_break(2 << 20), Errno::NOMEM)
    })
}

/// Computes for good.
fn compute() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// How a child ends that does this.
fn end_of(child: impl FnOnce() -> Checked) -> Result<ExitStatus, Errno> {
    let pid = spawn(|| i32::from(child().is_err()))?;
    Ok(wait(Which::Pid(pid))?.1)
}

fn f15_who_computes_too_long_is_told() -> Checked {
    let end = end_of(|| {
        set(Resource::CPU, Limit { soft: 1, hard: 30 })?;
        compute()
    })?;
    ended_by(end, Signal::XCPU)
}

fn f15_who_ignores_that_is_killed_later() -> Checked {
    let end = end_of(|| {
        process::set_disposition(Signal::XCPU, Disposition::Ignore)?;
        set(Resource::CPU, Limit { soft: 1, hard: 2 })?;
        compute()
    })?;
    ended_by(end, Signal::KILL)
}

fn f15_a_child_may_compute_no_longer_than_its_parent() -> Checked {
    in_child(|| {
        set(Resource::CPU, Limit { soft: 1, hard: 30 })?;
        ended_by(end_of(|| compute())?, Signal::XCPU)
    })
}

fn f15_threads_use_up_one_limit() -> Checked {
    let end = end_of(|| {
        std::thread::spawn(|| compute());
        set(Resource::CPU, Limit { soft: 1, hard: 30 })?;
        std::thread::spawn(|| compute());
        // The main thread computes nothing.
        while time::sleep(Duration::from_secs(1000)) != Err(Errno::NOSYS) {}
        Ok(())
    })?;
    ended_by(end, Signal::XCPU)
}

fn f15_sleep_is_no_processor_time() -> Checked {
    in_child(|| {
        set(Resource::CPU, Limit { soft: 1, hard: 1 })?;
        time::sleep(Duration::from_millis(1100))?;
        Ok(())
    })
}

fn f15_a_child_that_has_ended_is_watched_no_more() -> Checked {
    const CHILDREN: u64 = 400;
    on_tine()?;
    let heap = || sys::counters().map(|counters| counters.kernel_heap_frames + counters.object_pool_frames);
    in_child(|| {
        // So long that no look is due while the test runs.
        set(Resource::CPU, limit(100_000))?;
        let children = || (0..CHILDREN).try_for_each(|_| equal(end_of(|| Ok(()))?.code(), Some(0)));
        children()?;
        let before = heap()?;
        children()?;
        // What is kept of each would be a quarter of a frame at least.
        ensure(heap()? < before + CHILDREN / 8, "the kernel keeps something of each child")
    })
}
