//! `/dev`: a file system of its own, with the numbers that all Linux systems have.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use sys::{Errno, file, names, terminal};

use crate::expect::{Checked, as_root, ensure, equal, known, on_tine, refused};

super::tests!("device":
    dev_is_mounted_before_anybody_could, nodes_have_the_numbers_of_linux, a_node_made_elsewhere_is_the_same_device,
    a_number_that_nobody_has, dev_takes_further_files, a_terminals_node_comes_and_goes);

/// `makedev`, for numbers below 256.
const fn number(major: u64, minor: u64) -> u64 {
    major << 8 | minor
}

const CHARACTERS: u32 = 0o020_000;

fn dev_is_mounted_before_anybody_could() -> Checked {
    on_tine()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    for line in ["devtmpfs /dev devtmpfs rw", "devpts /dev/pts devpts rw"] {
        ensure(mounts.lines().any(|mount| mount.starts_with(line)), &mounts)?;
    }
    let kinds = fs::read_to_string("/proc/filesystems")?;
    ensure(kinds.contains("nodev\tdevtmpfs\n") && kinds.contains("nodev\tdevpts\n"), &kinds)?;
    let [root, dev, pts] = ["/", "/dev", "/dev/pts"].map(|path| fs::metadata(path).map(|about| about.dev()));
    let (root, dev, pts) = (root?, dev?, pts?);
    ensure(root != dev && dev != pts && root != pts, "they are one file system")?;
    equal(names::file_system(c"/dev")?[0], 0x0102_1994)?;
    equal(names::file_system(c"/dev/pts")?[0], 0x1cd1)
}

fn nodes_have_the_numbers_of_linux() -> Checked {
    for (name, mode, device) in [
        ("null", 0o666, number(1, 3)),
        ("zero", 0o666, number(1, 5)),
        ("full", 0o666, number(1, 7)),
        ("random", 0o666, number(1, 8)),
        ("urandom", 0o666, number(1, 9)),
        ("tty", 0o666, number(5, 0)),
        ("ptmx", 0o666, number(5, 2)),
    ] {
        let about = fs::metadata(format!("/dev/{name}"))?;
        equal((name, about.mode(), about.rdev()), (name, CHARACTERS | mode, device))?;
    }
    on_tine()?;
    equal(fs::metadata("/dev/console")?.rdev(), number(5, 1))?;
    equal(fs::metadata("/dev/ttyAMA0")?.rdev(), number(204, 64))
}

fn a_node_made_elsewhere_is_the_same_device() -> Checked {
    as_root()?;
    let path = c"/tmp/own-null";
    known(names::make_node(path, 0o020_600, 0x103))?;
    let written = fs::write("/tmp/own-null", "gone");
    let read = fs::read("/tmp/own-null");
    fs::remove_file("/tmp/own-null")?;
    written?;
    equal(read?, b"")
}

fn a_number_that_nobody_has() -> Checked {
    as_root()?;
    for (mode, device) in [(0o020_600, 0xffff), (0o060_600, 0x103)] {
        known(names::make_node(c"/tmp/nobody", mode, device))?;
        let opened = file::open(c"/tmp/nobody", 0);
        fs::remove_file("/tmp/nobody")?;
        refused(opened, Errno::NXIO)?;
    }
    Ok(())
}

fn dev_takes_further_files() -> Checked {
    on_tine()?;
    as_root()?;
    std::os::unix::fs::symlink("null", "/dev/own-link")?;
    let is_null = fs::metadata("/dev/own-link").map(|about| about.rdev());
    fs::remove_file("/dev/own-link")?;
    equal(is_null?, number(1, 3))
}

fn a_terminals_node_comes_and_goes() -> Checked {
    let (master, name) = known(terminal::open_master())?;
    let path = name.to_string_lossy().into_owned();
    let about = fs::metadata(&path)?;
    ensure(about.file_type().is_char_device() && about.rdev() >> 8 == 136, "no slave's node")?;
    equal(about.dev(), fs::metadata("/dev/pts")?.dev())?;
    let listed = |wanted: &str| -> std::io::Result<bool> {
        let entries = fs::read_dir("/dev/pts")?.collect::<Result<Vec<_>, _>>()?;
        Ok(entries.iter().any(|entry| format!("/dev/pts/{}", entry.file_name().to_string_lossy()) == wanted))
    };
    ensure(listed(&path)?, "not listed")?;
    ensure(master.as_raw_fd() >= 0, "no master")?;
    drop(master);
    ensure(!fs::exists(&path)? && !listed(&path)?, "still there without its master")
}
