//! The first process: starts what is to be run, adopts orphans, and switches the machine off when all is done.
//!
//! What is to be run, the first of these that there is:
//!
//! 1. `init -- PATH ARGUMENTS…`, from the kernel's command line: that program alone, and how it ended is said
//! 2. the table in `/etc/init.conf` ([`table`])
//! 3. `/bin/sh`, again and again, or without a shell `/bin/forktree`
//!
//! Each program leads a session of its own with the terminal as its controlling one, so a shell has job control.
//!
//! [`places`] makes ready what programs expect: `/tmp`, `/run`, `/dev/shm`, and `/proc` mounted. [`disks`] mounts what is on
//! cards, by `/etc/fstab` ([`fstab`]). [`supervisor`] runs the list, [`events`] is what it waits for: the end of a child, or the
//! signals by which the machine is switched off (`USR2`, and `USR1`, which halts) or started again (`TERM`), as busybox's
//! `poweroff`, `halt` and `reboot` send them. [`shutdown`] ends what is left, unmounts disks, and ends the machine.

mod disks;
mod events;
mod fstab;
mod places;
mod shutdown;
mod start;
mod supervisor;
mod table;

use std::path::Path;

use crate::supervisor::Supervisor;
use crate::table::{Command, Entry, Mode, Table};

/// Where the table is.
const TABLE: &str = "/etc/init.conf";
/// What is run without a table.
const SHELL: &str = "/bin/sh";
/// What is run without a shell.
const DEMONSTRATION: &str = "/bin/forktree";

fn main() {
    println!("init: {}, pid {}", env!("CARGO_PKG_VERSION"), sys::process::pid());
    if let Err(errno) = events::prepare() {
        println!("init: signals: {errno}");
    }
    places::prepare();
    disks::mount_all();
    let table = what_to_run();
    let end = Supervisor::default().run(&table);
    shutdown::shut_down(&table, end);
}

fn what_to_run() -> Table {
    if let Some(command) = Command::from_arguments(std::env::args().skip(1)) {
        return Table::of(Entry { mode: Mode::Report, command });
    }
    match std::fs::read_to_string(TABLE) {
        Ok(text) => {
            let (table, complaints) = Table::parse(&text);
            complaints.iter().for_each(|complaint| println!("init: {TABLE}: {complaint}"));
            table
        }
        Err(_) if Path::new(SHELL).exists() => {
            println!("init: no {TABLE}: the console is root's, without a password");
            let command = Command { path: SHELL.to_owned(), arguments: vec!["-l".to_owned()] };
            Table::of(Entry { mode: Mode::Respawn, command })
        }
        Err(_) => {
            let command = Command { path: DEMONSTRATION.to_owned(), arguments: Vec::new() };
            Table::of(Entry { mode: Mode::Wait, command })
        }
    }
}
