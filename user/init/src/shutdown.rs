//! The end: what still runs is ended, first politely, then by force; then the machine is switched off or started again.

use std::time::{Duration, Instant};

use sys::process::{self, Signal};
use sys::{Errno, Pid};

use crate::disks;
use crate::events::{self, End, Event};
use crate::start::start;
use crate::supervisor::report;
use crate::table::{Mode, Table};

/// How long programs get to end themselves.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the table's `shutdown` entries, ends every process and the machine.
pub(crate) fn shut_down(table: &Table, end: End) -> ! {
    for entry in table.entries.iter().filter(|entry| entry.mode == Mode::Shutdown) {
        if let Ok(pid) = start(&entry.command) {
            reap_until(pid).into_iter().for_each(|status| report(entry, status));
        }
    }
    if process::pid() != Pid(1) {
        println!("init: not the first process, so this is all");
        process::exit(0);
    }
    if process::kill(-1, Signal::TERM).is_ok() {
        // Shells at a terminal end by this one only, and whoever is stopped by the third.
        let _ = process::kill(-1, Signal::HUP);
        let _ = process::kill(-1, Signal::CONT);
        give_time();
    }
    if process::kill(-1, Signal::KILL).is_ok() {
        while process::wait(process::Which::Any).is_ok() {}
    }
    disks::unmount_all();
    let outcome = match end {
        End::PowerOff => {
            println!("init: power off");
            process::power_off()
        }
        End::Restart => {
            println!("init: restart");
            process::restart()
        }
    };
    if let Err(errno) = outcome {
        println!("init: the kernel refuses: {errno}");
    }
    // The kernel switches off when the first process ends, too.
    process::exit(0)
}

/// Reaps until `pid` has ended.
fn reap_until(pid: Pid) -> Option<std::process::ExitStatus> {
    loop {
        match events::next(None) {
            Ok(Event::Child(ended, status)) if ended == pid => return Some(status),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Reaps for a while, at most until nobody is left.
fn give_time() {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match events::next(Some(left)) {
            Ok(Event::TimeOut) | Err(Errno::CHILD) => return,
            Ok(_) if left.is_zero() => return,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
