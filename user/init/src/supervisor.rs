//! Runs the table, and reaps whatever ends meanwhile: init's own children and the orphans that it adopts.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use sys::{Errno, Pid, time};

use crate::events::{self, End, Event};
use crate::start::start;
use crate::table::{Entry, Mode, Table};

/// A program that ends sooner than this after its start is started again only after [`PAUSE`].
const TOO_SOON: Duration = Duration::from_secs(1);
/// How long such a program waits.
const PAUSE: Duration = Duration::from_secs(1);

/// What init started and has not reaped.
#[derive(Default)]
pub(crate) struct Supervisor<'a> {
    running: Vec<Running<'a>>,
    /// Somebody wants the machine to end.
    asked: Option<End>,
}

struct Running<'a> {
    pid: Pid,
    entry: &'a Entry,
    started: Instant,
}

impl<'a> Supervisor<'a> {
    /// Runs the table to its end: everything has ended and nothing is to be started again, or somebody wants the machine to
    /// end. Says how it shall.
    pub(crate) fn run(&mut self, table: &'a Table) -> End {
        for entry in table.entries.iter().filter(|entry| entry.mode != Mode::Shutdown) {
            if self.asked.is_some() {
                break;
            }
            let Some(pid) = self.start(entry) else { continue };
            if matches!(entry.mode, Mode::Wait | Mode::Report) {
                self.reap_while(|running| running.iter().any(|program| program.pid == pid));
            }
        }
        self.reap_while(|running| !running.is_empty());
        self.asked.unwrap_or(End::PowerOff)
    }

    fn start(&mut self, entry: &'a Entry) -> Option<Pid> {
        match start(&entry.command) {
            Ok(pid) => {
                self.running.push(Running { pid, entry, started: Instant::now() });
                Some(pid)
            }
            Err(errno) => {
                println!("init: cannot fork for {}: {errno}", entry.command);
                None
            }
        }
    }

    /// Reaps as long as `condition` holds of the programs that run, and the machine shall not end.
    fn reap_while(&mut self, condition: impl Fn(&[Running<'a>]) -> bool) {
        while self.asked.is_none() && condition(&self.running) {
            match events::next(None) {
                Ok(Event::Child(pid, status)) => self.ended(pid, status),
                Ok(Event::Asked(end)) => self.asked = Some(end),
                Ok(Event::TimeOut) => {}
                // What is on the list is not ours any more, or the kernel cannot wait: nothing is left to wait for.
                Err(errno) => {
                    println!("init: wait: {errno}");
                    self.running.clear();
                }
            }
        }
    }

    /// Notes that `pid` has ended. Orphans are not on the list, and nobody asks how they ended.
    fn ended(&mut self, pid: Pid, status: ExitStatus) {
        let Some(index) = self.running.iter().position(|program| program.pid == pid) else { return };
        let program = self.running.swap_remove(index);
        report(program.entry, status);
        if program.entry.mode == Mode::Respawn {
            if program.started.elapsed() < TOO_SOON {
                pause();
            }
            self.start(program.entry);
        }
    }
}

/// Says how a program ended: always for the one on the command line, of others when something was wrong.
pub(crate) fn report(entry: &Entry, status: ExitStatus) {
    if entry.mode != Mode::Report && status.success() {
        return;
    }
    match status.code() {
        Some(code) => println!("init: {} exited with {code}", entry.command),
        None => println!("init: {} ended by {status}", entry.command),
    }
}

/// Waits a little; at once where the kernel cannot sleep.
fn pause() {
    while time::sleep(PAUSE) == Err(Errno::INTR) {}
}
