//! What a test asks of the host's system, and what the host finds for comparison.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::anyhow;
use sha2::{Digest as _, Sha256};

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 wherever QEMU runs on Linux (proc(5)).
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time that all threads of process `id` have used, user and system; `None` where the system has no `/proc`.
#[must_use]
pub fn cpu_time(id: u32) -> Option<Duration> {
    cpu_time_in(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a tool prints, if it succeeds; `None` where the host has no such tool.
///
/// # Errors
///
/// What it prints, when it does not succeed.
#[must_use]
pub fn run_tool(tool: &str, words: &[&OsStr]) -> Option<anyhow::Result<String>> {
    let program = find_tool(tool)?;
    let output = match Command::new(program).args(words).env("LC_ALL", "C").output() {
        Ok(output) => output,
        Err(error) => return Some(Err(error.into())),
    };
    let [said, complaints] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let said = format!("{said}{complaints}");
    Some(if output.status.success() { Ok(said) } else { Err(anyhow!("{tool}: {}\n{said}", output.status)) })
}

/// Where a tool is; also where only root has its tools.
#[must_use]
pub fn find_tool(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.find_map(|directory| Some(directory.join(tool)).filter(|program| program.is_file()))
}

/// Fields 14 and 15 of a `stat` line. The second field is the program's name in parentheses, which may hold anything.
fn cpu_time_in(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "4711 (qemu) sys) S 1 4711 4711 0 -1 4194560 2345 0 12 0 250 50 0 0 20 0 6 0 12345 0 0";
        assert_eq!(cpu_time_in(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_time_in("garbage"), None);
    }

    #[test]
    fn the_hash_of_nothing_is_the_well_known_one() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_has_a_cpu_time() {
        assert!(cpu_time(std::process::id()).is_some());
    }
}
