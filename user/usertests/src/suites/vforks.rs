//! Children whose parent waits: Linux's share its memory, OpenBSD's do not (F3).

use std::sync::atomic::{AtomicU32, Ordering};

use sys::memory::PAGE;
use sys::process::{self, Signal, Which, wait};
use sys::{Errno, Forked, Mapping, machine, thread};

use crate::expect::{Checked, ended_by, ensure, equal, exited, known};
use crate::helper::become_helper;
use crate::meeting::Meeting;

super::tests!("vfork":
    linux_the_childs_stores_are_seen, linux_the_parent_waits, f3_openbsd_the_childs_stores_are_its_own,
    f44_openbsd_the_parent_waits, f47_exec_wakes_the_parent, f47_a_killed_child_wakes_the_parent,
    f47_openbsd_exec_wakes_the_parent, f44_siblings_of_the_parent_run_on, f42_the_kernel_counts_waits_and_sharing);

/// Gives everybody else a chance to run first.
fn dawdle() {
    for _ in 0..200 {
        let _ = machine::yield_now();
    }
}

fn linux_the_childs_stores_are_seen() -> Checked {
    let mut local = 1;
    let pid = thread::shared_vfork(|| {
        local = 2;
        5
    })?;
    equal(local, 2)?;
    exited(wait(Which::Pid(pid))?.1, 5)
}

fn linux_the_parent_waits() -> Checked {
    let done = AtomicU32::new(0);
    let pid = thread::shared_vfork(|| {
        dawdle();
        done.store(1, Ordering::SeqCst);
        0
    })?;
    equal(done.load(Ordering::SeqCst), 1)?;
    exited(wait(Which::Pid(pid))?.1, 0)
}

fn f3_openbsd_the_childs_stores_are_its_own() -> Checked {
    let memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(1);
    match known(bsd::vfork())? {
        Forked::Child => {
            let seen = memory.pages_are(1);
            memory.write_pages(2);
            process::exit(if seen && memory.pages_are(2) { 3 } else { 4 })
        }
        Forked::Parent(pid) => {
            ensure(memory.pages_are(1), "the child's stores are seen")?;
            exited(wait(Which::Pid(pid))?.1, 3)
        }
    }
}

fn f44_openbsd_the_parent_waits() -> Checked {
    let meeting = Meeting::new()?;
    match known(bsd::vfork())? {
        Forked::Child => {
            dawdle();
            meeting.set(0, 1);
            process::exit(0)
        }
        Forked::Parent(pid) => {
            equal(meeting.get(0), 1)?;
            exited(wait(Which::Pid(pid))?.1, 0)
        }
    }
}

fn f47_exec_wakes_the_parent() -> Checked {
    let mut failure = Errno(0);
    let pid = thread::shared_vfork(|| {
        failure = become_helper(&[c"exit", c"11"], &[]);
        127
    })?;
    equal(failure, Errno(0))?;
    exited(wait(Which::Pid(pid))?.1, 11)
}

fn f47_openbsd_exec_wakes_the_parent() -> Checked {
    match known(bsd::vfork())? {
        Forked::Child => {
            become_helper(&[c"exit", c"12"], &[]);
            process::exit(127)
        }
        Forked::Parent(pid) => exited(wait(Which::Pid(pid))?.1, 12),
    }
}

fn f47_a_killed_child_wakes_the_parent() -> Checked {
    let pid = thread::shared_vfork(|| {
        loop {
            let _ = process::kill(process::pid().0, Signal::KILL);
        }
    })?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::KILL)
}

fn f44_siblings_of_the_parent_run_on() -> Checked {
    let meeting = Meeting::new()?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meeting.wait(0, 1);
            meeting.set(1, 1);
        });
        // The child ends only when the sibling of its parent has run.
        let pid = thread::shared_vfork(|| {
            meeting.set(0, 1);
            meeting.wait(1, 1);
            0
        })?;
        exited(wait(Which::Pid(pid))?.1, 0)
    })
}

fn f42_the_kernel_counts_waits_and_sharing() -> Checked {
    let before = known(sys::counters())?;
    let pid = thread::shared_vfork(|| 0)?;
    wait(Which::Pid(pid))?;
    let after = sys::counters()?;
    ensure(after.forks_ppwait > before.forks_ppwait, "forks with a waiting parent")?;
    ensure(after.forks_sharevm > before.forks_sharevm, "forks with shared memory")?;
    ensure(after.cntvfork > before.cntvfork, "vforks")
}
