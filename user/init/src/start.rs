//! Starts one program.

use std::ffi::{CStr, CString};

use sys::{Errno, Pid, file, process};

use crate::events;
use crate::table::Command;

/// The terminal of programs. The console is the same line; but messages go there whatever becomes of sessions, so it is
/// nobody's controlling terminal by being opened.
const TERMINAL: &CStr = c"/dev/ttyAMA0";
/// For reading and writing, until the program is executed.
const O_RDWR_CLOEXEC: usize = 0o200_0002;

/// Status of a child that could not run its program, as shells have it.
const CANNOT_RUN: i32 = 127;

/// Forks and runs `command` in the child, in a session of its own with a controlling terminal.
pub(crate) fn start(command: &Command) -> Result<Pid, Errno> {
    process::spawn(|| {
        events::forget();
        // A program can do without, and without a terminal of its own it has init's console.
        let _ = process::new_session();
        if let Ok(terminal) = file::open(TERMINAL, O_RDWR_CLOEXEC) {
            let _ = file::replace_standard(&terminal);
        }
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
