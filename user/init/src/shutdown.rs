//! The end: what still runs is ended, first politely, then by force; then the machine is switched off.

use std::time::Duration;

use sys::process::{self, Signal, Which, option};
use sys::{Errno, Pid, time};

use crate::start::start;
use crate::supervisor::report;
use crate::table::{Mode, Table};

/// How long programs get to end themselves: so many steps of [`STEP`].
const STEPS: u32 = 20;
/// How often init looks whether they have.
const STEP: Duration = Duration::from_millis(50);

/// Runs the table's `shutdown` entries, ends every process and switches the machine off.
pub(crate) fn shut_down(table: &Table) -> ! {
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
        give_time();
    }
    if process::kill(-1, Signal::KILL).is_ok() {
        while process::wait(Which::Any).is_ok() {}
    }
    process::sync();
    println!("init: power off");
    if let Err(errno) = process::power_off() {
        println!("init: cannot switch off: {errno}");
    }
    // The kernel switches off when the first process ends, too.
    process::exit(0)
}

/// Reaps until `pid` has ended.
fn reap_until(pid: Pid) -> Option<std::process::ExitStatus> {
    loop {
        match process::wait(Which::Any) {
            Ok((ended, status)) if ended == pid => return Some(status),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Reaps for a while, at most until nobody is left. Where the kernel cannot sleep, it only yields.
fn give_time() {
    for _ in 0..STEPS {
        loop {
            match process::wait_for(Which::Any, option::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if time::sleep(STEP) == Err(Errno::NOSYS) {
            std::thread::yield_now();
        }
    }
}
