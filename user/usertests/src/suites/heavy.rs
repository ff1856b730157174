//! Tests that take the whole machine: a thousand processes, a fork bomb, all of its memory.

use std::time::Duration;

use sys::identity::set_user;
use sys::limit::{Limit, Resource, get, set};
use sys::memory::{Mapping, PAGE, Protection, Request, flag};
use sys::process::{self, Signal, Which, kill, spawn, wait};
use sys::{Errno, Forked, Pid, machine, time};

use crate::Test;
use crate::expect::{Checked, as_root, child, ended_by, ensure, equal, in_child, passes, refused};
use crate::meeting::Meeting;

/// These have names of their own, so there is a table instead of one suite.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "many::a_thousand_live_processes_of_one_parent", body: a_thousand },
    Test { name: "bomb::root_can_end_the_fork_bomb_of_a_user", body: bomb },
    Test { name: "oom::a_program_that_takes_all_is_ended", body: take_all },
    Test { name: "oom::a_copy_that_does_not_fit_ends_its_writer", body: copy_all },
];

const MIB: usize = 1 << 20;

fn a_thousand() -> Checked {
    const COUNT: u32 = 1000;
    let Limit { hard, .. } = get(Resource::PROCESSES)?;
    // Root is never refused; a user needs the limit.
    let _ = set(Resource::PROCESSES, Limit { soft: hard, hard });
    let memory = Mapping::private(MIB)?;
    memory.write_pages(1);
    let meeting = Meeting::new()?;
    let mut children = Vec::new();
    for number in 0..COUNT {
        let own = u8::try_from(number % 200 + 2).unwrap_or(2);
        children.push(child(|| {
            ensure(memory.pages_are(1), "inherited wrongly")?;
            memory.write(0, own);
            meeting.arrive(0);
            meeting.wait(1, 1);
            ensure(memory.read(0) == own && memory.read(PAGE) == 1, "changed by another process")
        })?);
    }
    meeting.wait(0, COUNT);
    children.iter().try_for_each(|pid| kill(pid.0, Signal::NONE))?;
    ensure(memory.pages_are(1), "changed by a child")?;
    meeting.set(1, 1);
    children.into_iter().try_for_each(passes)?;
    refused(wait(Which::Any), Errno::CHILD)
}

/// Forks for ever, in every process.
fn explode() -> ! {
    loop {
        // A limit is reached soon: then it tries again.
        match process::fork() {
            Ok(Forked::Child | Forked::Parent(_)) => {}
            Err(_) => drop(machine::yield_now()),
        }
    }
}

fn bomb() -> Checked {
    as_root()?;
    let meeting = Meeting::new()?;
    let leader = spawn(|| {
        let started = process::set_group(Pid(0), Pid(0)).and_then(|()| {
            if !crate::expect::is_tine() {
                set(Resource::PROCESSES, Limit { soft: 80, hard: 80 })?;
            }
            set_user(40_000)
        });
        meeting.set(0, 1);
        if started.is_ok() { explode() } else { 1 }
    })?;
    meeting.wait(0, 1);
    // It goes on for a while; root can work meanwhile.
    for _ in 0..20 {
        if time::sleep(Duration::from_millis(50)).is_err() {
            machine::yield_now()?;
        }
        in_child(|| Ok(()))?;
    }
    let group = leader.0.wrapping_neg();
    kill(group, Signal::KILL)?;
    ended_by(wait(Which::Pid(leader))?.1, Signal::KILL)?;
    // The orphans are the first process's; they are all gone when it has reaped them.
    for _ in 0..2000 {
        if kill(group, Signal::KILL) == Err(Errno::SRCH) {
            return Ok(());
        }
        if time::sleep(Duration::from_millis(5)).is_err() {
            machine::yield_now()?;
        }
    }
    ensure(false, "somebody of the bomb is left")
}

/// A process that has a little memory and must keep it.
fn bystander(meeting: &Meeting) -> Result<Pid, Errno> {
    let pid = child(|| {
        let memory = Mapping::private(4 * MIB)?;
        memory.write_pages(1);
        meeting.set(0, 1);
        meeting.wait(1, 1);
        ensure(memory.pages_are(1), "a bystander's memory changed")?;
        memory.write_pages(2);
        Ok(())
    })?;
    meeting.wait(0, 1);
    Ok(pid)
}

/// Memory that nobody has promised to have.
fn unreserved(bytes: usize) -> Result<Mapping, Errno> {
    let flags = flag::PRIVATE | flag::ANONYMOUS | flag::NORESERVE;
    Mapping::new(Request { address: 0, bytes, protection: Protection::WRITE, flags, file: None })
}

fn take_all() -> Checked {
    let meeting = Meeting::new()?;
    let other = bystander(&meeting)?;
    let (total, _) = machine::memory()?;
    let pid = spawn(|| {
        // Piece by piece, so that no single request is refused for its size.
        let pieces = usize::try_from(total).unwrap_or(usize::MAX) / (8 * MIB) + 16;
        let mut taken = Vec::with_capacity(pieces);
        while taken.len() < pieces {
            let Ok(memory) = unreserved(8 * MIB) else { return 2 };
            memory.write_pages(1);
            taken.push(memory);
        }
        3
    })?;
    let (_, status) = wait(Which::Pid(pid))?;
    meeting.set(1, 1);
    passes(other)?;
    ended_by(status, Signal::KILL)?;
    // The kernel goes on, and what was taken is there again.
    let again = Mapping::private(16 * MIB)?;
    again.write_pages(1);
    ensure(again.pages_are(1), "memory that came back is wrong")
}

fn copy_all() -> Checked {
    let meeting = Meeting::new()?;
    let other = bystander(&meeting)?;
    let (_, free) = machine::memory()?;
    let bytes = usize::try_from(free).unwrap_or(0) / 10 * 6;
    // A parent with more than half of the memory forks; its child writes all of it.
    let pid = spawn(|| {
        let Ok(memory) = unreserved(bytes) else { return 2 };
        memory.write_pages(1);
        let Ok(writer) = spawn(|| {
            memory.write_pages(2);
            3
        }) else {
            // A kernel may refuse the fork instead: then nobody has to die.
            return 0;
        };
        let Ok((_, status)) = wait(Which::Pid(writer)) else { return 4 };
        if ended_by(status, Signal::KILL).is_err() {
            return 5;
        }
        if memory.pages_are(1) { 0 } else { 6 }
    })?;
    let (_, status) = wait(Which::Pid(pid))?;
    meeting.set(1, 1);
    passes(other)?;
    equal(status.code(), Some(0))
}
