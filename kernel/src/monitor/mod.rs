//! The kernel monitor: a few commands on the console for whoever looks after the machine. It runs while there is no init.
//!
//! * [`commands`]: the table of commands, and what they show

mod commands;
mod crash;

use kcore::util::line_editor::{LineEditor, Outcome};

use crate::dev::{tty, uart};
use crate::log::{console, print, println};

/// What the monitor asks with; scripts wait for it.
const PROMPT: &str = "tine> ";

/// Reads commands and runs them, for ever.
pub(crate) fn run() -> ! {
    tty::leave_to_monitor();
    let mut editor = LineEditor::new();
    print!("{PROMPT}");
    loop {
        match editor.push(uart::read_byte()) {
            Outcome::Edited(echo) => console::write_pieces(&[&echo]),
            Outcome::Finished(line) => {
                println!();
                commands::run(&line);
                print!("{PROMPT}");
            }
            Outcome::Dropped => print!("^C\n{PROMPT}"),
            Outcome::TooLong => {
                print!("\nline too long: at most {} characters\n{PROMPT}", kcore::util::line_editor::LONGEST);
            }
            Outcome::ClearScreen => print!("\x1b[H\x1b[2J{PROMPT}{}", editor.text()),
        }
    }
}
