//! Locks on files that bind those who ask.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use sys::lock::{self, Kind, Owner, Range, Whole};
use sys::process::{self, Signal, Which, spawn, wait};
use sys::{Errno, file, signal};

use crate::expect::{Checked, Failure, child, ensure, equal, in_child, passes, refused};
use crate::meeting::Meeting;

super::tests!("lock":
    a_whole_file_is_locked, a_fork_shares_a_lock_on_a_whole_file, a_waiter_gets_the_lock, a_signal_ends_the_wait,
    ranges, a_range_is_split, any_close_ends_the_locks_of_a_process, an_end_ends_the_locks, a_child_has_no_locks,
    who_would_wait_for_ever_is_told, open_files_own_locks, access_is_asked_for);

/// A file for one test, removed with it.
struct Locked {
    path: PathBuf,
    file: File,
}

impl Locked {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("lock-{}", process::pid()));
        std::fs::create_dir_all(std::env::temp_dir())?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file })
    }

    fn again(&self) -> Result<File, Failure> {
        Ok(OpenOptions::new().read(true).write(true).open(&self.path)?)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn set(file: &File, kind: Kind, start: i64, bytes: i64) -> Result<(), Errno> {
    lock::set(file, Owner::Process, kind, Range { start, bytes })
}

fn a_whole_file_is_locked() -> Checked {
    let locked = Locked::new()?;
    let (one, two) = (&locked.file, locked.again()?);
    lock::whole(one, Whole::Shared)?;
    lock::whole(&two, Whole::Shared)?;
    refused(lock::whole(&two, Whole::Exclusive), Errno::AGAIN)?;
    lock::whole(one, Whole::None)?;
    lock::whole(&two, Whole::Exclusive)?;
    refused(lock::whole(one, Whole::Shared), Errno::AGAIN)?;
    drop(two);
    lock::whole(one, Whole::Exclusive)?;
    // Locks on ranges are others.
    set(&locked.again()?, Kind::Write, 0, 0)?;
    Ok(())
}

fn a_fork_shares_a_lock_on_a_whole_file() -> Checked {
    let locked = Locked::new()?;
    lock::whole(&locked.file, Whole::Exclusive)?;
    let other = locked.again()?;
    in_child(|| {
        refused(lock::whole(&other, Whole::Shared), Errno::AGAIN)?;
        lock::whole(&locked.file, Whole::None)?;
        Ok(())
    })?;
    lock::whole(&other, Whole::Exclusive)?;
    Ok(())
}

fn a_waiter_gets_the_lock() -> Checked {
    let locked = Locked::new()?;
    let meeting = Meeting::new()?;
    set(&locked.file, Kind::Write, 0, 0)?;
    let waiter = child(|| {
        meeting.set(0, 1);
        lock::wait(&locked.file, Owner::Process, Kind::Write, Range { start: 5, bytes: 1 })?;
        equal(meeting.get(1), 1)
    })?;
    meeting.wait(0, 1);
    meeting.set(1, 1);
    set(&locked.file, Kind::Unlock, 0, 0)?;
    passes(waiter)
}

fn a_signal_ends_the_wait() -> Checked {
    let locked = Locked::new()?;
    let meeting = Meeting::new()?;
    lock::whole(&locked.file, Whole::Exclusive)?;
    let other = locked.again()?;
    let waiter = child(|| {
        signal::handle(Signal::USR1, signal::Handler::Count)?;
        meeting.set(0, 1);
        let outcome = lock::wait_whole(&other, Whole::Exclusive);
        meeting.set(1, 1);
        refused(outcome, Errno::INTR)?;
        ensure(signal::caught() > 0, "not by the signal")
    })?;
    meeting.wait(0, 1);
    // It may not wait yet: it is told until it has been interrupted.
    while meeting.get(1) == 0 {
        process::kill(waiter.0, Signal::USR1)?;
        let _ = sys::machine::yield_now();
    }
    passes(waiter)
}

fn ranges() -> Checked {
    let locked = Locked::new()?;
    set(&locked.file, Kind::Write, 10, 10)?;
    set(&locked.file, Kind::Read, 100, 0)?;
    in_child(|| {
        let file = &locked.file;
        set(file, Kind::Write, 0, 10)?;
        refused(set(file, Kind::Read, 19, 1), Errno::AGAIN)?;
        set(file, Kind::Write, 20, 80)?;
        set(file, Kind::Read, 500, 10)?;
        refused(set(file, Kind::Write, 1 << 40, 1), Errno::AGAIN)?;
        refused(set(file, Kind::Write, -1, 1), Errno::INVAL)?;
        let found = lock::find(file, Owner::Process, Kind::Write, Range { start: 15, bytes: 1000 })?;
        equal(found, Some((Kind::Write, Range { start: 10, bytes: 10 }, process::parent().0)))?;
        let found = lock::find(file, Owner::Process, Kind::Read, Range { start: 50, bytes: 0 })?;
        equal(found, None)
    })
}

fn a_range_is_split() -> Checked {
    let locked = Locked::new()?;
    set(&locked.file, Kind::Write, 0, 100)?;
    set(&locked.file, Kind::Read, 40, 20)?;
    set(&locked.file, Kind::Unlock, 50, 1)?;
    in_child(|| {
        let file = &locked.file;
        let first = |start| lock::find(file, Owner::Process, Kind::Write, Range { start, bytes: 0 });
        let parent = process::parent().0;
        equal(first(0)?, Some((Kind::Write, Range { start: 0, bytes: 40 }, parent)))?;
        equal(first(40)?, Some((Kind::Read, Range { start: 40, bytes: 10 }, parent)))?;
        equal(first(50)?, Some((Kind::Read, Range { start: 51, bytes: 9 }, parent)))?;
        equal(first(60)?, Some((Kind::Write, Range { start: 60, bytes: 40 }, parent)))?;
        set(file, Kind::Write, 50, 1)?;
        Ok(())
    })
}

fn any_close_ends_the_locks_of_a_process() -> Checked {
    let locked = Locked::new()?;
    let other = locked.again()?;
    set(&locked.file, Kind::Write, 0, 0)?;
    in_child(|| refused(set(&locked.file, Kind::Write, 0, 1), Errno::AGAIN))?;
    drop(other);
    in_child(|| Ok(set(&locked.file, Kind::Write, 0, 1)?))
}

fn an_end_ends_the_locks() -> Checked {
    let locked = Locked::new()?;
    let other = locked.again()?;
    let pid = spawn(|| i32::from(set(&other, Kind::Write, 0, 0).is_err()))?;
    ensure(wait(Which::Pid(pid))?.1.success(), "not locked")?;
    Ok(set(&locked.file, Kind::Write, 0, 0)?)
}

fn a_child_has_no_locks() -> Checked {
    let locked = Locked::new()?;
    set(&locked.file, Kind::Write, 0, 0)?;
    in_child(|| {
        set(&locked.file, Kind::Unlock, 0, 0)?;
        refused(set(&locked.file, Kind::Read, 0, 0), Errno::AGAIN)
    })
}

fn who_would_wait_for_ever_is_told() -> Checked {
    let locked = Locked::new()?;
    let meeting = Meeting::new()?;
    set(&locked.file, Kind::Write, 1, 1)?;
    let write = |start| lock::wait(&locked.file, Owner::Process, Kind::Write, Range { start, bytes: 1 });
    let other = child(|| {
        write(2)?;
        meeting.set(0, 1);
        // One of the two is told, the other gets what it wants.
        match write(1) {
            Err(Errno::DEADLK) => meeting.arrive(1),
            outcome => outcome?,
        }
        Ok(())
    })?;
    meeting.wait(0, 1);
    match write(2) {
        Err(Errno::DEADLK) => meeting.arrive(1),
        outcome => outcome?,
    }
    set(&locked.file, Kind::Unlock, 0, 0)?;
    passes(other)?;
    equal(meeting.get(1), 1)
}

fn open_files_own_locks() -> Checked {
    let locked = Locked::new()?;
    let other = locked.again()?;
    let range = Range { start: 0, bytes: 10 };
    lock::set(&locked.file, Owner::OpenFile, Kind::Write, range)?;
    refused(lock::set(&other, Owner::OpenFile, Kind::Read, range), Errno::AGAIN)?;
    refused(set(&locked.file, Kind::Read, 0, 1), Errno::AGAIN)?;
    let found = lock::find(&other, Owner::OpenFile, Kind::Read, range)?;
    equal(found, Some((Kind::Write, range, -1)))?;
    // It goes with the last descriptor, not with the first.
    let copy = file::duplicate(&locked.file)?;
    drop(copy);
    refused(lock::set(&other, Owner::OpenFile, Kind::Read, range), Errno::AGAIN)?;
    lock::set(&locked.file, Owner::OpenFile, Kind::Unlock, range)?;
    lock::set(&other, Owner::OpenFile, Kind::Write, range)?;
    Ok(())
}

fn access_is_asked_for() -> Checked {
    let locked = Locked::new()?;
    let reader = File::open(&locked.path)?;
    let writer = OpenOptions::new().write(true).open(&locked.path)?;
    refused(set(&reader, Kind::Write, 0, 1), Errno::BADF)?;
    refused(set(&writer, Kind::Read, 0, 1), Errno::BADF)?;
    set(&reader, Kind::Read, 0, 1)?;
    lock::whole(&reader, Whole::Exclusive)?;
    Ok(())
}
