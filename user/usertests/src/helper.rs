//! What this program does when a test has it executed: `usertests --helper WHAT ARGUMENTS…`.

use std::ffi::CStr;
use std::sync::atomic::Ordering;

use sys::process::{self, exec, own_path};
use sys::{Errno, Pid, file, memory};

/// What the script in the initramfs ends with when its arguments are right.
pub(crate) const SCRIPT_STATUS: i32 = 41;
/// What `arguments` ends with when all is as it was given.
pub(crate) const AS_GIVEN: i32 = 40;

/// Runs this program again as a helper. Returns only when that failed.
pub(crate) fn become_helper(arguments: &[&CStr], environment: &[&CStr]) -> Errno {
    let path = own_path();
    let all: Vec<&CStr> = [path.as_c_str(), c"--helper"].into_iter().chain(arguments.iter().copied()).collect();
    exec(&path, &all, environment)
}

/// Does what `arguments` ask for. `None` when they ask for tests.
pub(crate) fn run(arguments: &[String]) -> Option<u8> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let status = match words[..] {
        ["--script", script, "one", "two words"] if script.starts_with("/test/") => SCRIPT_STATUS,
        ["--script", ..] => 1,
        ["--helper", "exit", status] => status.parse().unwrap_or(1),
        ["--helper", "arguments", "a", "b c", ""] if environment_is("X=1") => AS_GIVEN,
        ["--helper", "count", ref rest @ ..] => i32::try_from(rest.len() & 0x7f).unwrap_or(1),
        ["--helper", "open", descriptor] => i32::from(descriptor.parse().is_ok_and(file::is_open)),
        ["--helper", "pid", pid] => i32::from(pid.parse() != Ok(process::pid().0)),
        ["--helper", "parent", pid] => i32::from(pid.parse() != Ok(process::parent().0)),
        ["--helper", "alone", pid] => i32::from(pid.parse().map(Pid) != Ok(process::pid()) || !sys::thread::is_main()),
        ["--helper", "copy"] => crate::suites::pipes::copy(),
        ["--helper", "places"] => places(),
        ["--helper", "signal-ignored", signal] => survives(signal),
        ["--helper", "alarm-left"] => {
            i32::from(sys::timer::interval(sys::timer::Interval::Real).unwrap_or_default() == Default::default())
        }
        ["--helper", "vdso-place"] => {
            sys::vdso::base().and_then(|base| i32::try_from(base >> 12 & 0x7f).ok()).unwrap_or(0)
        }
        ["--helper", "sleep"] => i32::from(sys::time::sleep(std::time::Duration::from_secs(1000)).is_err()),
        ["--helper", ..] => 2,
        _ => return None,
    };
    Some(u8::try_from(status).unwrap_or(u8::MAX))
}

/// Whether the environment is this one variable.
fn environment_is(variable: &str) -> bool {
    process::environment().iter().map(|entry| entry.as_bytes()).eq([variable.as_bytes()])
}

/// Seven bits that depend on where stack, heap and mappings are.
fn places() -> i32 {
    let local = std::sync::atomic::AtomicU32::new(0);
    local.store(1, Ordering::Relaxed);
    let stack = std::ptr::from_ref(&local).addr();
    let mapping = memory::Mapping::private(memory::PAGE).map_or(0, |mapping| mapping.address());
    i32::try_from(((stack >> 12) ^ (mapping >> 12).wrapping_mul(31)) & 0x7f).unwrap_or(0)
}

/// Sends the signal to this process, which survives it if it is ignored.
fn survives(signal: &str) -> i32 {
    let sent = process::kill(process::pid().0, process::Signal(signal.parse().unwrap_or(0)));
    i32::from(sent.is_err())
}
