//! Starts one program.

use std::ffi::{CStr, CString};

use sys::process;
use sys::{Errno, Pid};

use crate::table::Command;

/// Status of a child that could not run its program, as shells have it.
const CANNOT_RUN: i32 = 127;

/// Forks and runs `command` in the child, in a session of its own with the console as its terminal.
pub(crate) fn start(command: &Command) -> Result<Pid, Errno> {
    process::spawn(|| {
        // The kernel may have no sessions or terminals yet; the program can do without.
        let _ = process::new_session();
        let _ = process::take_terminal();
        let errno = run(command);
        println!("init: cannot run {command}: {errno}");
        CANNOT_RUN
    })
}

/// Becomes the program. Returns only when that failed.
fn run(command: &Command) -> Errno {
    let words = std::iter::once(&command.path).chain(&command.arguments);
    let words: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_str())).collect();
    let Ok(words) = words else { return Errno::INVAL };
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let environment = environment();
    let environment: Vec<&CStr> = environment.iter().map(CString::as_c_str).collect();
    process::exec(words[0], &words, &environment)
}

/// What init was given, and a usual value for what programs look for first.
fn environment() -> Vec<CString> {
    let mut environment = process::environment();
    for (name, usual) in [("PATH", c"PATH=/bin:/sbin:/usr/bin:/usr/sbin"), ("HOME", c"HOME=/"), ("TERM", c"TERM=vt100")]
    {
        if std::env::var_os(name).is_none() {
            environment.push(usual.to_owned());
        }
    }
    environment
}
