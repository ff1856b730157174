//! Terminals, as the other side of a pseudo-terminal sees them: lines, signals, job control, hang-ups.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;

use sys::process::{self, Disposition, Signal, Which, option, spawn, wait_for};
use sys::{Errno, Pid, file, terminal};

use crate::expect::{Checked, Failure, ensure, equal, refused};

super::tests!("terminal":
    a_line_is_edited_echoed_and_read,
    without_lines_a_read_takes_what_there_is,
    ctrl_c_ends_who_is_in_the_foreground,
    a_read_from_the_background_stops_and_goes_on_in_the_foreground,
    who_leads_no_session_has_no_terminal,
    a_session_gets_the_terminal_that_its_leader_opens,
    a_master_that_is_closed_hangs_up,
    a_leader_that_exits_hangs_up_the_foreground,
    a_slave_that_is_left_is_at_its_end,
    a_slave_has_a_node_as_long_as_its_master,
    a_paste_waits_for_its_reader,
);

/// What each process of these tests says when it has come so far.
const READY: &[u8] = b"ready\n";

/// A pseudo-terminal's master, and what came from it and was not looked at.
struct Master {
    file: OwnedFd,
    seen: Vec<u8>,
}

impl Master {
    fn open() -> Result<(Self, CString), Errno> {
        let (file, name) = terminal::open_master()?;
        Ok((Self { file, seen: Vec::new() }, name))
    }

    fn send(&self, bytes: &[u8]) -> Checked {
        equal(file::write(&self.file, bytes), Ok(bytes.len()))
    }

    /// Reads up to `text`, as the line shows it.
    fn until(&mut self, text: &[u8]) -> Checked {
        loop {
            if let Some(at) = self.seen.windows(text.len()).position(|window| window == text) {
                self.seen.drain(..at + text.len());
                return Ok(());
            }
            let mut buffer = [0; 64];
            let count = file::read(&self.file, &mut buffer)?;
            self.seen.extend_from_slice(&buffer[..count]);
        }
    }
}

/// In a child: leads a session on the terminal `name`, says so, and then does `body`.
fn lead(name: &CStr, body: impl FnOnce(OwnedFd) -> i32) -> i32 {
    let begin = || {
        process::new_session()?;
        let slave = terminal::open(name)?;
        file::write(&slave, READY)?;
        Ok::<_, Errno>(slave)
    };
    begin().map_or(99, body)
}

/// Starts a session on a new terminal; gives the master when it is ready.
fn start(body: impl FnOnce(OwnedFd) -> i32) -> Result<(Master, Pid), Failure> {
    let (mut master, name) = Master::open()?;
    // Only the test itself has the other side.
    file::set_close_on_fork(&master.file)?;
    let leader = spawn(|| lead(&name, body))?;
    master.until(b"ready\r\n")?;
    Ok((master, leader))
}

/// Waits for ever, as far as it goes.
fn stay() -> i32 {
    loop {
        let _ = sys::time::sleep(std::time::Duration::from_secs(60));
    }
}

fn read_line(slave: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut buffer = [0; 256];
    let count = file::read(slave, &mut buffer)?;
    Ok(buffer[..count].to_vec())
}

fn a_line_is_edited_echoed_and_read() -> Checked {
    let (mut master, name) = Master::open()?;
    let slave = terminal::open_only(&name)?;
    master.send(b"lx\x7fs -l\r")?;
    equal(terminal::readable(&slave), Ok(6))?;
    equal(read_line(&slave), Ok(b"ls -l\n".to_vec()))?;
    master.until(b"lx\x08 \x08s -l\r\n")?;
    master.send(b"\x04")?;
    equal(read_line(&slave), Ok(Vec::new()))?;
    file::write(&slave, b"one\ntwo\n")?;
    master.until(b"one\r\ntwo\r\n")
}

fn without_lines_a_read_takes_what_there_is() -> Checked {
    const CANONICAL_AND_ECHO: u32 = 0o12;
    let (master, name) = Master::open()?;
    let slave = terminal::open_only(&name)?;
    let mut settings = terminal::settings(&slave)?;
    settings.local &= !CANONICAL_AND_ECHO;
    settings.characters[6] = 0;
    terminal::set_settings(&slave, &settings)?;
    equal(terminal::settings(&master.file), Ok(settings))?;
    equal(read_line(&slave), Ok(Vec::new()))?;
    master.send(b"a\x7f\x04")?;
    equal(read_line(&slave), Ok(b"a\x7f\x04".to_vec()))?;
    settings.characters[6] = 3;
    terminal::set_settings(&slave, &settings)?;
    master.send(b"abcd")?;
    equal(read_line(&slave), Ok(b"abcd".to_vec()))
}

fn ctrl_c_ends_who_is_in_the_foreground() -> Checked {
    let (master, leader) = start(|_| stay())?;
    master.send(b"\x03")?;
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.signal(), Some(Signal::INT.0))
}

/// A leader's job in a group of its own, which reads a line.
fn job_in_background(slave: &OwnedFd) -> i32 {
    let work = || -> Result<bool, Errno> {
        let job = spawn(|| {
            let _ = process::set_group(Pid(0), Pid(0));
            let line = read_line(slave);
            i32::from(line != Ok(b"line\n".to_vec()))
        })?;
        // It may not have done so itself yet.
        let _ = process::set_group(job, Pid(0));
        let stopped = wait_for(Which::Pid(job), option::UNTRACED)?;
        if stopped.and_then(|(_, status)| status.stopped_signal()) != Some(Signal::TTIN.0) {
            return Ok(false);
        }
        terminal::set_foreground(slave, job)?;
        if terminal::foreground(slave)? != job {
            return Ok(false);
        }
        process::kill(job.0.wrapping_neg(), Signal::CONT)?;
        let (_, status) = process::wait(Which::Pid(job))?;
        Ok(status.success())
    };
    i32::from(work() != Ok(true))
}

fn a_read_from_the_background_stops_and_goes_on_in_the_foreground() -> Checked {
    let (master, leader) = start(|slave| job_in_background(&slave))?;
    master.send(b"line\n")?;
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.code(), Some(0))
}

fn who_leads_no_session_has_no_terminal() -> Checked {
    let (master, name) = Master::open()?;
    let child = spawn(|| {
        let check = || -> Checked {
            process::new_session()?;
            refused(terminal::open(c"/dev/tty"), Errno::NXIO)?;
            let slave = terminal::open_only(&name)?;
            refused(terminal::foreground(&slave), Errno::NOTTY)?;
            refused(terminal::open(c"/dev/tty"), Errno::NXIO)?;
            terminal::acquire(&slave)?;
            equal(terminal::session(&slave), Ok(process::pid()))
        };
        crate::expect::settle(check())
    })?;
    let (_, status) = process::wait(Which::Pid(child))?;
    drop(master);
    equal(status.code(), Some(0))
}

fn a_session_gets_the_terminal_that_its_leader_opens() -> Checked {
    let (mut master, leader) = start(|slave| {
        let check = || -> Checked {
            let own = terminal::open(c"/dev/tty")?;
            equal(terminal::session(&own), Ok(process::pid()))?;
            equal(terminal::foreground(&slave), Ok(process::pid()))?;
            file::write(&own, b"own\n")?;
            Ok(())
        };
        crate::expect::settle(check())
    })?;
    master.until(b"own\r\n")?;
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.code(), Some(0))
}

fn a_master_that_is_closed_hangs_up() -> Checked {
    let (master, leader) = start(|slave| read_line(&slave).map_or(1, |_| 2))?;
    drop(master);
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.signal(), Some(Signal::HUP.0))?;
    let (mut master, leader) = start(|slave| {
        let _ = process::set_disposition(Signal::HUP, Disposition::Ignore);
        let _ = file::write(&slave, b"deaf\n");
        let at_end = read_line(&slave) == Ok(Vec::new());
        let refused = file::write(&slave, b"x") == Err(Errno::IO);
        i32::from(!(at_end && refused))
    })?;
    master.until(b"deaf\r\n")?;
    drop(master);
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.code(), Some(0))
}

fn a_leader_that_exits_hangs_up_the_foreground() -> Checked {
    let (mut master, leader) = start(|slave| {
        let Ok(_job) = spawn(|| {
            let _ = file::write(&slave, b"job\n");
            stay()
        }) else {
            return 1;
        };
        i32::from(read_line(&slave) != Ok(b"go\n".to_vec()))
    })?;
    master.until(b"job\r\n")?;
    master.send(b"go\n")?;
    let (_, status) = process::wait(Which::Pid(leader))?;
    equal(status.code(), Some(0))?;
    // The job, which is in the leader's group, has the slave open until it is gone.
    let mut buffer = [0; 64];
    while let Ok(1..) = file::read(&master.file, &mut buffer) {}
    refused(file::read(&master.file, &mut buffer), Errno::IO)
}

fn a_slave_that_is_left_is_at_its_end() -> Checked {
    let (mut master, name) = Master::open()?;
    let slave = terminal::open_only(&name)?;
    file::write(&slave, b"last")?;
    drop(slave);
    master.until(b"last")?;
    let mut buffer = [0; 8];
    refused(file::read(&master.file, &mut buffer), Errno::IO)?;
    let slave = terminal::open_only(&name)?;
    file::write(&slave, b"again")?;
    master.until(b"again")
}

fn a_slave_has_a_node_as_long_as_its_master() -> Checked {
    let (master, name) = Master::open()?;
    let (other, other_name) = Master::open()?;
    ensure(name != other_name, "two have one name")?;
    drop(other);
    equal(file::status(&name), Ok(()))?;
    refused(file::status(&other_name), Errno::NOENT)?;
    drop(master);
    refused(file::status(&name), Errno::NOENT)
}

fn a_paste_waits_for_its_reader() -> Checked {
    const LINES: usize = 400;
    const LINE: &[u8] = b"0123456789012345678901234567890\n";
    let (master, name) = Master::open()?;
    let slave = terminal::open_only(&name)?;
    let mut settings = terminal::settings(&slave)?;
    settings.local &= !0o10;
    terminal::set_settings(&slave, &settings)?;
    let typist = spawn(|| {
        let mut rest = &LINE.repeat(LINES)[..];
        while let Some(more) = file::write(&master.file, rest).ok().and_then(|count| rest.get(count..)) {
            if more.is_empty() {
                return 0;
            }
            rest = more;
        }
        1
    })?;
    for _ in 0..LINES {
        equal(read_line(&slave), Ok(LINE.to_vec()))?;
    }
    let (_, status) = process::wait(Which::Pid(typist))?;
    equal(status.code(), Some(0))
}
