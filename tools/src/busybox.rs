//! A shell and its tools: the program `busybox` of Debian's package `busybox-static` for arm64.
//!
//! What comes is unpacked only if its SHA-256 is one that is written here: every build has it, and others have not been tried.

use anyhow::Context as _;

use crate::debian::Source;

/// The package.
const PACKAGE: &str = "busybox-static";
/// The packages that are known to work: SHA-256 and version.
const KNOWN: [(&str, &str); 2] = [
    ("732c9135564fc71337e0e05fb4da4d11e6c28c1834bce3e405e575afef2a52f5", "1:1.35.0-4+deb12u1+b1"),
    ("c833be48abfa16bc19c4966ec93e289ff1ce5d2f1476cad3a57bd105378cd15c", "1:1.37.0-6+b9"),
];
/// The program in it.
const PROGRAM: &str = "bin/busybox";

/// What links to the program, in `/bin`: those of its applets that have something to work on.
pub const APPLETS: &[&str] = &[
    "[",
    "ar",
    "ash",
    "awk",
    "base64",
    "basename",
    "bc",
    "cal",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "chroot",
    "clear",
    "cmp",
    "cp",
    "cpio",
    "crc32",
    "cut",
    "date",
    "dc",
    "dd",
    "df",
    "diff",
    "dirname",
    "dmesg",
    "du",
    "echo",
    "ed",
    "egrep",
    "env",
    "expand",
    "expr",
    "factor",
    "fallocate",
    "false",
    "fgrep",
    "find",
    "fold",
    "free",
    "getopt",
    "getty",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "halt",
    "head",
    "hexdump",
    "hostname",
    "id",
    "kill",
    "killall",
    "less",
    "link",
    "ln",
    "login",
    "logname",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mkpasswd",
    "mktemp",
    "more",
    "mount",
    "mv",
    "nl",
    "nohup",
    "nproc",
    "od",
    "passwd",
    "paste",
    "patch",
    "pidof",
    "poweroff",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "reboot",
    "renice",
    "reset",
    "resize",
    "rev",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "shred",
    "shuf",
    "sleep",
    "sort",
    "split",
    "stat",
    "strings",
    "stty",
    "su",
    "sync",
    "tac",
    "tail",
    "tar",
    "taskset",
    "tee",
    "test",
    "time",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "umount",
    "uname",
    "unexpand",
    "uniq",
    "unlink",
    "uptime",
    "usleep",
    "uudecode",
    "uuencode",
    "vi",
    "watch",
    "wc",
    "which",
    "whoami",
    "xargs",
    "xxd",
    "yes",
    "zcat",
];

/// Fetches the package and takes the program out of it.
///
/// # Errors
///
/// Where apt-get is missing or finds nothing, or the package is not one of those that are known.
pub fn fetch() -> anyhow::Result<Vec<u8>> {
    let packages = Source::open("arm64", &[])?.fetch(&[PACKAGE])?;
    let package = packages.first().context("apt-get fetched nothing")?;
    package.require(&KNOWN)?;
    package.file(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applets_are_sorted_and_there_is_a_shell() {
        assert!(APPLETS.is_sorted());
        assert!(APPLETS.contains(&"sh"));
    }
}
