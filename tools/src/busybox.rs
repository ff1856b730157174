//! A shell and its tools: the program `busybox` of Debian's package `busybox-static` for arm64.
//!
//! The package is fetched by apt-get from wherever this machine gets its packages, with lists and state of its own, so that
//! the system is not changed and need not know of arm64. What comes is unpacked only if its SHA-256 is one that is written
//! here: others have not been tried.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

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
    "logname",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "more",
    "mount",
    "mv",
    "nl",
    "nohup",
    "nproc",
    "od",
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
    let place = Place::make()?;
    apt_get(&place, &["update"])?;
    apt_get(&place, &["download", PACKAGE])?;
    let package = place.package()?;
    check(&package)?;
    unpack(&package)
}

/// A directory with all that apt-get keeps, gone when dropped.
struct Place(PathBuf);

impl Place {
    fn make() -> anyhow::Result<Self> {
        let place = Self(std::env::temp_dir().join(format!("tine-busybox-{}", std::process::id())));
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(place.0.join(directory)).context("cannot make a temporary directory")?;
        }
        fs::write(place.0.join("status"), "").context("cannot write to a temporary directory")?;
        Ok(place)
    }

    /// The package that was fetched.
    fn package(&self) -> anyhow::Result<Vec<u8>> {
        let files = fs::read_dir(&self.0)?.filter_map(Result::ok).map(|entry| entry.path());
        let package = files.into_iter().find(|path| path.extension() == Some(OsStr::new("deb")));
        Ok(fs::read(package.context("apt-get fetched nothing")?)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of it is the system's to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn apt_get(place: &Place, words: &[&str]) -> anyhow::Result<()> {
    let output = apt_command(&place.0, words).output().context("cannot run apt-get")?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let last = complaints.lines().last().unwrap_or("it does not say why");
    ensure!(output.status.success(), "apt-get {} failed: {last}", words.join(" "));
    Ok(())
}

fn apt_command(place: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    let mut option = |name: &str, value: &OsStr| {
        let mut option = std::ffi::OsString::from(format!("{name}="));
        option.push(value);
        command.arg("-o").arg(option);
    };
    option("Dir::State", place.as_os_str());
    option("Dir::State::lists", place.join("lists").as_os_str());
    option("Dir::State::status", place.join("status").as_os_str());
    option("Dir::Cache", place.join("cache").as_os_str());
    for (name, value) in [
        ("APT::Architecture", "arm64"),
        ("APT::Architectures", "arm64"),
        // The directory is the caller's alone.
        ("APT::Sandbox::User", "root"),
        ("Acquire::Languages", "none"),
        ("Acquire::Retries", "1"),
        ("Acquire::http::Timeout", "20"),
        ("Acquire::https::Timeout", "20"),
    ] {
        option(name, OsStr::new(value));
    }
    command.args(words).current_dir(place).stdin(Stdio::null());
    command
}

fn check(package: &[u8]) -> anyhow::Result<()> {
    let found: String = Sha256::digest(package).iter().map(|byte| format!("{byte:02x}")).collect();
    let versions = KNOWN.map(|(_, version)| version).join(", ");
    ensure!(KNOWN.iter().any(|(known, _)| *known == found), "{PACKAGE} with SHA-256 {found} is none of {versions}");
    Ok(())
}

/// Takes the program out of a package: an `ar` archive with a `tar` in it.
fn unpack(package: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut archive = ar::Archive::new(package);
    while let Some(entry) = archive.next_entry() {
        let entry = entry.context("the package is damaged")?;
        if entry.header().identifier() == b"data.tar.xz" {
            return program_of(liblzma::read::XzDecoder::new(entry));
        }
    }
    bail!("the package has no data.tar.xz");
}

fn program_of(data: impl std::io::Read) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(data);
    for entry in archive.entries().context("the package's files are damaged")? {
        let mut entry = entry.context("the package's files are damaged")?;
        let path = entry.path()?.into_owned();
        if path.strip_prefix(".").unwrap_or(&path) == Path::new(PROGRAM) {
            let mut program = Vec::new();
            entry.read_to_end(&mut program)?;
            return Ok(program);
        }
    }
    bail!("the package has no {PROGRAM}");
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A package as Debian makes them, with this file in it.
    fn package(path: &str, contents: &[u8]) -> Vec<u8> {
        let mut files = tar::Builder::new(liblzma::write::XzEncoder::new(Vec::new(), 1));
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        files.append_data(&mut header, path, contents).unwrap();
        let data = files.into_inner().unwrap().finish().unwrap();
        let mut archive = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar.xz", &data)] {
            archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
        }
        let mut package = archive.into_inner().unwrap();
        package.flush().unwrap();
        package
    }

    #[test]
    fn the_program_comes_out_of_its_package() {
        assert_eq!(unpack(&package("./bin/busybox", b"program")).unwrap(), b"program");
    }

    #[test]
    fn a_package_without_the_program_and_what_is_no_package_are_refused() {
        assert!(unpack(&package("./bin/other", b"program")).unwrap_err().to_string().contains("has no bin/busybox"));
        assert!(unpack(b"not a package").is_err());
    }

    #[test]
    fn a_package_that_nobody_has_tried_is_refused_with_its_hash() {
        let error = check(b"").unwrap_err().to_string();
        assert!(error.contains("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "{error}");
    }

    #[test]
    fn apt_get_keeps_everything_in_its_place() {
        let command = apt_command(Path::new("/place"), &["update"]);
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        for word in ["Dir::State=/place", "Dir::State::lists=/place/lists", "Dir::Cache=/place/cache", "update"] {
            assert!(words.contains(&word), "{word} is not in {words:?}");
        }
        assert_eq!(command.get_current_dir(), Some(Path::new("/place")));
    }

    #[test]
    fn applets_are_sorted_and_there_is_a_shell() {
        assert!(APPLETS.is_sorted());
        assert!(APPLETS.contains(&"sh"));
    }
}
