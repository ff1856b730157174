//! `openat2`: files by ways that keep to rules.

use std::ffi::CStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

use sys::Errno;
use sys::file::{HOW_BYTES, How, OnExec, on_exec, open_by, rules};
use sys::stream::{self, command};

use crate::expect::{Checked, Failure, equal, known, refused};

super::tests!("open":
    a_file_is_opened_as_ever, nothing_leads_out_of_a_directory, a_directory_is_a_root, links_are_followed_only_if_allowed,
    a_mount_is_a_border, the_structure_is_checked, flags_are_checked);

/// A directory with a file, some links and a directory of its own, for one test.
struct Place {
    path: PathBuf,
    directory: File,
}

impl Place {
    fn new(test: &str) -> Result<Self, Failure> {
        let path = PathBuf::from(format!("/tmp/open-{test}-{}", std::process::id()));
        fs::create_dir(&path)?;
        fs::create_dir(path.join("in"))?;
        fs::write(path.join("in/file"), "text")?;
        for (link, target) in [("up", "../.."), ("down", "in/file"), ("absolute", "/in/file")] {
            symlink(target, path.join(link))?;
        }
        let directory = File::open(&path)?;
        Ok(Self { path, directory })
    }

    fn open(&self, path: &CStr, resolve: u64) -> Result<OwnedFd, Errno> {
        open_by(&self.directory, path, &How { resolve, ..How::default() }, HOW_BYTES)
    }

    /// It is the file in the directory in it.
    fn is_file(&self, opened: Result<OwnedFd, Errno>) -> Checked {
        let found = File::from(known(opened)?).metadata()?.ino();
        equal(found, fs::metadata(self.path.join("in/file"))?.ino())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn a_file_is_opened_as_ever() -> Checked {
    let place = Place::new("ever")?;
    place.is_file(place.open(c"in/file", 0))?;
    place.is_file(place.open(c"down", 0))?;
    refused(place.open(c"absolute", 0), Errno::NOENT)?;
    let how = How { flags: 0o101 | 0o200_0000 | 0o4000, mode: 0o600, ..How::default() };
    let made = open_by(&place.directory, c"made", &how, HOW_BYTES)?;
    equal(on_exec(&made)?, OnExec::Close)?;
    equal(stream::control(&made, command::GETFL, 0)? & 0o4003, 0o4001)?;
    equal(fs::metadata(place.path.join("made"))?.mode() & 0o777, 0o600)
}

fn nothing_leads_out_of_a_directory() -> Checked {
    let place = Place::new("beneath")?;
    place.is_file(place.open(c"in/../down", rules::BENEATH))?;
    for path in [c"..", c"in/../..", c"up", c"up/tmp", c"absolute", c"/etc/motd"] {
        refused(place.open(path, rules::BENEATH), Errno::XDEV)?;
    }
    let link = std::ffi::CString::new(format!("/proc/self/fd/{}", place.directory.as_raw_fd()));
    let link = link.map_err(|_| Failure::new("a NUL"))?;
    refused(place.open(&link, rules::BENEATH), Errno::XDEV)
}

fn a_directory_is_a_root() -> Checked {
    let place = Place::new("root")?;
    for path in [c"absolute", c"/in/file", c"../../in/file", c"up/down"] {
        place.is_file(place.open(path, rules::IN_ROOT))?;
    }
    refused(place.open(c"/etc/motd", rules::IN_ROOT), Errno::NOENT)
}

fn links_are_followed_only_if_allowed() -> Checked {
    let place = Place::new("links")?;
    place.is_file(place.open(c"in/file", rules::NO_SYMLINKS))?;
    refused(place.open(c"down", rules::NO_SYMLINKS), Errno::LOOP)?;
    refused(place.open(c"up/tmp", rules::NO_SYMLINKS), Errno::LOOP)?;
    place.is_file(place.open(c"down", rules::NO_MAGICLINKS))?;
    let proc = File::open("/proc/self/fd")?;
    let name = std::ffi::CString::new(place.directory.as_raw_fd().to_string());
    let name = name.map_err(|_| Failure::new("a NUL"))?;
    let how = |resolve| How { resolve, ..How::default() };
    open_by(&proc, &name, &how(0), HOW_BYTES).map(drop)?;
    refused(open_by(&proc, &name, &how(rules::NO_MAGICLINKS), HOW_BYTES), Errno::LOOP)?;
    refused(open_by(&proc, &name, &how(rules::BENEATH), HOW_BYTES), Errno::XDEV)
}

fn a_mount_is_a_border() -> Checked {
    let root = File::open("/")?;
    let how = |resolve| How { resolve, ..How::default() };
    known(open_by(&root, c"proc/self", &how(0), HOW_BYTES))?;
    refused(open_by(&root, c"proc", &how(rules::NO_XDEV), HOW_BYTES), Errno::XDEV)?;
    refused(open_by(&root, c"proc/self", &how(rules::NO_XDEV), HOW_BYTES), Errno::XDEV)?;
    let proc = File::open("/proc")?;
    refused(open_by(&proc, c"../etc/motd", &how(rules::NO_XDEV), HOW_BYTES), Errno::XDEV)?;
    open_by(&proc, c"self/stat", &how(rules::NO_XDEV), HOW_BYTES).map(drop)?;
    open_by(&proc, c"self/stat", &how(rules::BENEATH), HOW_BYTES).map(drop)?;
    Ok(())
}

fn the_structure_is_checked() -> Checked {
    let place = Place::new("structure")?;
    let open = |how: How, bytes| open_by(&place.directory, c"in/file", &how, bytes);
    place.is_file(open(How::default(), 32))?;
    for bytes in [0, 8, 23] {
        refused(open(How::default(), bytes), Errno::INVAL)?;
    }
    refused(open(How { beyond: 1 << 56, ..How::default() }, 32), Errno::TOOBIG)?;
    place.is_file(open(How { beyond: 1 << 56, ..How::default() }, 24))?;
    refused(open(How::default(), 4097), Errno::TOOBIG)
}

fn flags_are_checked() -> Checked {
    let place = Place::new("flags")?;
    let open = |flags, mode, resolve| {
        open_by(&place.directory, c"in/file", &How { flags, mode, resolve, beyond: 0 }, HOW_BYTES)
    };
    place.is_file(open(0, 0, 0))?;
    for (flags, mode, resolve) in [
        (1 << 30, 0, 0),
        (1 << 32, 0, 0),
        (0, 0o600, 0),
        (0o100, 0o10000, 0),
        (0, 0, 0x40),
        (0, 0, rules::BENEATH | rules::IN_ROOT),
        (0o10_000_001, 0, 0),
        (0o10_002_000, 0, 0),
        (0o20_000_002, 0, 0),
    ] {
        refused(open(flags, mode, resolve), Errno::INVAL)?;
    }
    place.is_file(open(0o10_000_000, 0, 0))?;
    // It may be had without waiting, or not: who asks that asks again.
    match open(0, 0, rules::CACHED) {
        Err(Errno::AGAIN) => {}
        opened => place.is_file(opened)?,
    }
    refused(open(0o100, 0o600, rules::CACHED), Errno::AGAIN)
}
