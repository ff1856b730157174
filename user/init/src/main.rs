//! The first process: starts what is to be run, adopts orphans, and switches the machine off when all is done.
//!
//! What is to be run, the first of these that there is:
//!
//! 1. `init -- PATH ARGUMENTS…`, from the kernel's command line: that program alone, and how it ended is said
//! 2. the table in `/etc/init.conf` ([`table`])
//! 3. `/bin/sh`, or without a shell `/bin/forktree`
//!
//! [`supervisor`] runs the list, [`shutdown`] ends what is left and switches off. There are no signal handlers: init
//! waits for children, and every signal that it has not asked for is ignored by the kernel, for it is the first process.

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
    let table = what_to_run();
    Supervisor::default().run(&table);
    shutdown::shut_down(&table);
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
        Err(_) => {
            let path = if Path::new(SHELL).exists() { SHELL } else { DEMONSTRATION };
            Table::of(Entry { mode: Mode::Wait, command: Command { path: path.to_owned(), arguments: Vec::new() } })
        }
    }
}
