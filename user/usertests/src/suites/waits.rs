//! Waiting for children: zombies, orphans, groups, options.

use sys::process::{self, Signal, Which, option, spawn, wait, wait_for, wait_id};
use sys::{Errno, Pid, machine};

use crate::expect::{Checked, child, ensure, equal, exited, in_child, passes, refused};
use crate::meeting::Meeting;

super::tests!("wait":
    without_children, a_child_is_waited_for_once, nohang_does_not_wait, nowait_leaves_the_zombie, waitid_tells_who_and_how,
    unknown_options, a_stranger_is_no_child, children_of_a_group, a_zombie_keeps_its_pid,
    an_orphan_is_adopted_by_the_first_process, a_zombie_of_a_dead_parent_is_reaped, ignored_children_leave_no_zombie,
    children_in_the_order_they_end, siblings_wait_for_different_children);

const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;

fn without_children() -> Checked {
    refused(wait(Which::Any), Errno::CHILD)?;
    refused(wait_for(Which::Any, option::NOHANG), Errno::CHILD)?;
    refused(wait_id(Which::Any, option::EXITED), Errno::CHILD)
}

fn a_child_is_waited_for_once() -> Checked {
    let pid = spawn(|| 5)?;
    exited(wait(Which::Pid(pid))?.1, 5)?;
    refused(wait(Which::Pid(pid)), Errno::CHILD)
}

fn nohang_does_not_wait() -> Checked {
    let meeting = Meeting::new()?;
    let pid = spawn(|| {
        meeting.wait(0, 1);
        6
    })?;
    equal(wait_for(Which::Pid(pid), option::NOHANG)?, None)?;
    equal(wait_id(Which::Pid(pid), option::EXITED | option::NOHANG)?.signal, 0)?;
    meeting.set(0, 1);
    exited(wait(Which::Pid(pid))?.1, 6)
}

fn nowait_leaves_the_zombie() -> Checked {
    let pid = spawn(|| 9)?;
    for _ in 0..2 {
        let info = wait_id(Which::Pid(pid), option::EXITED | option::NOWAIT)?;
        equal((info.pid, info.code, info.status), (pid.0, CLD_EXITED, 9))?;
    }
    equal(wait_id(Which::Pid(pid), option::EXITED)?.status, 9)?;
    refused(wait_id(Which::Pid(pid), option::EXITED), Errno::CHILD)
}

fn waitid_tells_who_and_how() -> Checked {
    let pid = spawn(|| 300)?;
    let info = wait_id(Which::Pid(pid), option::EXITED)?;
    equal((info.signal, info.code, info.pid, info.status), (Signal::CHLD.0, CLD_EXITED, pid.0, 300 & 0xff))?;
    equal(info.uid, sys::identity::users()?[0])?;
    let pid = spawn(|| {
        loop {
            let _ = process::kill(process::pid().0, Signal::KILL);
        }
    })?;
    let info = wait_id(Which::Any, option::EXITED)?;
    equal((info.signal, info.code, info.pid, info.status), (Signal::CHLD.0, CLD_KILLED, pid.0, Signal::KILL.0))
}

fn unknown_options() -> Checked {
    refused(wait_for(Which::Any, 0x40), Errno::INVAL)?;
    refused(wait_id(Which::Any, 0), Errno::INVAL)?;
    refused(wait_id(Which::Any, option::EXITED | 0x40), Errno::INVAL)?;
    refused(wait_id(Which::Pid(Pid(-3)), option::EXITED), Errno::INVAL)
}

fn a_stranger_is_no_child() -> Checked {
    let pid = spawn(|| 0)?;
    refused(wait(Which::Pid(Pid(1))), Errno::CHILD)?;
    refused(wait(Which::Pid(process::pid())), Errno::CHILD)?;
    refused(wait(Which::Group(pid)), Errno::CHILD)?;
    passes(pid)
}

fn children_of_a_group() -> Checked {
    let in_group = |status: i32, own: bool| {
        let pid = spawn(|| {
            if own {
                let _ = process::set_group(Pid(0), Pid(0));
            }
            status
        })?;
        // Both do it, so that it is done when either goes on. The child may be gone.
        if own {
            let _ = process::set_group(pid, pid);
        }
        Ok::<Pid, Errno>(pid)
    };
    let (first, second) = (in_group(1, false)?, in_group(2, true)?);
    let (pid, status) = wait(Which::Group(second))?;
    equal(pid, second)?;
    exited(status, 2)?;
    refused(wait(Which::Group(second)), Errno::CHILD)?;
    let third = in_group(3, true)?;
    equal(wait(Which::OwnGroup)?.0, first)?;
    equal(wait_id(Which::Group(third), option::EXITED)?.pid, third.0)
}

fn a_zombie_keeps_its_pid() -> Checked {
    let pid = spawn(|| 0)?;
    wait_id(Which::Pid(pid), option::EXITED | option::NOWAIT)?;
    process::kill(pid.0, Signal::NONE)?;
    process::kill(pid.0, Signal::KILL)?;
    exited(wait(Which::Pid(pid))?.1, 0)?;
    refused(process::kill(pid.0, Signal::NONE), Errno::SRCH)
}

fn an_orphan_is_adopted_by_the_first_process() -> Checked {
    let meeting = Meeting::new()?;
    in_child(|| {
        spawn(|| {
            meeting.set(0, 1);
            while process::parent() != Pid(1) {
                let _ = machine::yield_now();
            }
            meeting.set(1, 1);
            0
        })?;
        meeting.wait(0, 1);
        Ok(())
    })?;
    meeting.wait(1, 1);
    refused(wait(Which::Any), Errno::CHILD)
}

fn a_zombie_of_a_dead_parent_is_reaped() -> Checked {
    let meeting = Meeting::new()?;
    in_child(|| {
        let pid = spawn(|| 0)?;
        wait_id(Which::Pid(pid), option::EXITED | option::NOWAIT)?;
        meeting.set(0, pid.0.cast_unsigned());
        Ok(())
    })?;
    let zombie = meeting.get(0).cast_signed();
    if process::parent() == Pid(1) || process::parent() == Pid(0) {
        // This program's own parent is the first process, or it is that: somebody reaps, but maybe only after the test.
        return Ok(());
    }
    for _ in 0..100_000 {
        if process::kill(zombie, Signal::NONE) == Err(Errno::SRCH) {
            return Ok(());
        }
        let _ = machine::yield_now();
    }
    ensure(false, "the first process does not reap")
}

fn ignored_children_leave_no_zombie() -> Checked {
    in_child(|| {
        process::set_disposition(Signal::CHLD, process::Disposition::Ignore)?;
        let pids: Result<Vec<Pid>, Errno> = (0..3).map(|_| spawn(|| 4)).collect();
        let pids = pids?;
        // Waits until all are gone, and then has nothing to report.
        refused(wait(Which::Any), Errno::CHILD)?;
        pids.into_iter().try_for_each(|pid| refused(process::kill(pid.0, Signal::NONE), Errno::SRCH))
    })
}

fn children_in_the_order_they_end() -> Checked {
    let meeting = Meeting::new()?;
    let waits_for = |step| {
        spawn(|| {
            meeting.wait(0, step);
            i32::try_from(step).unwrap_or(0)
        })
    };
    let (late, early) = (waits_for(2)?, waits_for(1)?);
    meeting.set(0, 1);
    equal(wait(Which::Any)?.0, early)?;
    meeting.set(0, 2);
    equal(wait(Which::Any)?.0, late)
}

fn siblings_wait_for_different_children() -> Checked {
    // Two threads of one process, each waiting for a child of its own.
    let meeting = Meeting::new()?;
    let (one, two) = (spawn(|| waits(&meeting, 1))?, spawn(|| waits(&meeting, 2))?);
    let ends = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(Which::Pid(two)));
        meeting.set(0, 2);
        let first = wait(Which::Pid(one));
        (first, waiter.join())
    });
    exited(ends.0?.1, 1)?;
    match ends.1 {
        Ok(found) => exited(found?.1, 2)?,
        Err(_) => ensure(false, "the thread died")?,
    }
    child(|| Ok(())).map_err(Into::into).and_then(passes)
}

fn waits(meeting: &Meeting, status: i32) -> i32 {
    meeting.wait(0, 2);
    status
}
