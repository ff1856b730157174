//! Fork, and what a child inherits.

use std::collections::BTreeSet;
use std::path::Path;

use sys::process::{self, Signal, Which, spawn, wait};
use sys::{Errno, Forked, Pid};

use crate::expect::{Checked, child, ended_by, ensure, equal, exited, in_child, known, passes, refused};
use crate::meeting::Meeting;

super::tests!("fork":
    f5_a_child_returns_zero_and_its_parent_the_pid, f2_openbsds_number_forks_too, exit_statuses_arrive,
    a_signal_arrives_as_status, fifty_children_at_once, twenty_generations, f19_umask_and_directory_are_inherited,
    f12_usage_starts_at_zero, children_of_a_child_are_not_the_parents, f42_the_kernel_counts_forks,
    f31_flags_that_make_no_sense_are_refused, five_hundred_in_a_row);

fn f5_a_child_returns_zero_and_its_parent_the_pid() -> Checked {
    let parent = process::pid();
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.set(0, process::pid().0.cast_unsigned());
        equal(process::parent(), parent)
    })?;
    passes(pid)?;
    equal(meeting.get(0), pid.0.cast_unsigned())?;
    ensure(pid != parent, "the child has its parent's pid")
}

fn f2_openbsds_number_forks_too() -> Checked {
    let parent = process::pid();
    match known(bsd::fork())? {
        Forked::Child => process::exit(if process::parent() == parent { 7 } else { 8 }),
        Forked::Parent(pid) => exited(wait(Which::Pid(pid))?.1, 7),
    }
}

fn exit_statuses_arrive() -> Checked {
    for (status, seen) in
        [(0, 0), (1, 1), (2, 2), (127, 127), (128, 128), (255, 255), (256, 0), (-1, 255), (0x1234, 0x34)]
    {
        let pid = spawn(|| process::exit(status))?;
        let (ended, found) = wait(Which::Any)?;
        equal(ended, pid)?;
        exited(found, seen)?;
    }
    Ok(())
}

fn a_signal_arrives_as_status() -> Checked {
    for signal in [Signal::TERM, Signal::KILL, Signal::HUP, Signal::USR1] {
        let pid = spawn(|| {
            let _ = process::kill(process::pid().0, signal);
            0
        })?;
        ended_by(wait(Which::Pid(pid))?.1, signal)?;
    }
    Ok(())
}

fn fifty_children_at_once() -> Checked {
    let meeting = Meeting::new()?;
    let children: Result<BTreeSet<Pid>, Errno> = (0..50)
        .map(|number| {
            spawn(|| {
                meeting.arrive(0);
                meeting.wait(1, 1);
                number
            })
        })
        .collect();
    let mut children = children?;
    equal(children.len(), 50)?;
    meeting.wait(0, 50);
    meeting.set(1, 1);
    let mut statuses = BTreeSet::new();
    while let Ok((pid, status)) = wait(Which::Any) {
        ensure(children.remove(&pid), "a stranger ended")?;
        statuses.insert(status.code());
    }
    ensure(children.is_empty(), "a child was not reported")?;
    equal(statuses.len(), 50)
}

fn twenty_generations() -> Checked {
    fn generation(left: i32) -> Checked {
        if left == 0 { Ok(()) } else { in_child(|| generation(left - 1)) }
    }
    generation(20)
}

fn f19_umask_and_directory_are_inherited() -> Checked {
    in_child(|| {
        known(sys::file::umask(0o027))?;
        std::env::set_current_dir("/etc")?;
        in_child(|| {
            equal(sys::file::umask(0)?, 0o027)?;
            ensure(Path::new("motd").exists(), "the child is elsewhere")?;
            std::env::set_current_dir("/")?;
            Ok(())
        })?;
        // What the child changed is its own.
        equal(sys::file::umask(0)?, 0o027)?;
        ensure(Path::new("motd").exists(), "the child moved its parent")
    })
}

fn f12_usage_starts_at_zero() -> Checked {
    in_child(|| {
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 60 {}
        in_child(|| {
            let [seconds, microseconds] = known(process::usage(process::Whose::Own))?.user;
            ensure(seconds == 0 && microseconds < 50_000, "the child has its parent's user time")
        })
    })
}

fn children_of_a_child_are_not_the_parents() -> Checked {
    let meeting = Meeting::new()?;
    let pid = child(|| {
        let own = spawn(|| {
            meeting.wait(0, 1);
            0
        })?;
        meeting.set(1, own.0.cast_unsigned());
        meeting.wait(0, 1);
        passes(own)
    })?;
    meeting.wait(1, 1);
    let grandchild = Pid(meeting.get(1).cast_signed());
    refused(wait(Which::Pid(grandchild)), Errno::CHILD)?;
    meeting.set(0, 1);
    passes(pid)
}

fn f42_the_kernel_counts_forks() -> Checked {
    let before = known(sys::counters())?;
    for _ in 0..3 {
        in_child(|| Ok(()))?;
    }
    let after = sys::counters()?;
    ensure(after.forks >= before.forks + 3, "forks")?;
    ensure(after.cntfork >= before.cntfork + 3, "cntfork")?;
    ensure(after.sizfork > before.sizfork, "sizfork")?;
    equal(after.processes, before.processes)
}

fn f31_flags_that_make_no_sense_are_refused() -> Checked {
    const CLONE_SIGHAND: usize = 0x800;
    const CLONE_THREAD: usize = 0x1_0000;
    const CLONE_FS_AND_NEWNS: usize = 0x200 | 0x2_0000;
    refused(process::clone(CLONE_SIGHAND | 17), Errno::INVAL)?;
    refused(process::clone(CLONE_THREAD | 17), Errno::INVAL)?;
    refused(process::clone(CLONE_FS_AND_NEWNS | 17), Errno::INVAL)?;
    // The C library's `fork` and this one are the same call.
    match process::clone(17)? {
        Forked::Child => process::exit(3),
        Forked::Parent(pid) => exited(wait(Which::Pid(pid))?.1, 3),
    }
}

fn five_hundred_in_a_row() -> Checked {
    (0..500).try_for_each(|_| in_child(|| Ok(())))
}
