//! What a test asks of the host's system, and what the host finds for comparison.

use std::fs;
use std::time::Duration;

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
