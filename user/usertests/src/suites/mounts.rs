//! Mounts: bound, moved, in use, and what may be done in them; programs that are written and executed.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use sys::process;
use sys::{Errno, file};

use crate::expect::{Checked, as_root, end_of, ensure, equal, exited, io_refused, known, on_tine, refused};

super::tests!("mount":
    a_directory_is_seen_in_two_places, a_bind_mount_alone_is_read_only, mounts_below_are_bound_if_asked_for,
    who_has_a_file_open_keeps_its_mount, a_mount_moves,
    one_file_system_is_not_mounted_twice_on_one_directory, nothing_is_executed_where_it_may_not,
    a_running_program_is_not_written, a_file_that_is_written_is_not_executed, mountinfo_tells_what_is_shown_where);

const READ_ONLY: usize = 1;
const NO_EXECUTION: usize = 8;
const REMOUNT: usize = 32;
const BIND: usize = 4096;
const MOVE: usize = 8192;
const RECURSIVE: usize = 16384;
const DETACH: usize = 2;

/// A directory with two in it, gone at the end, and what is mounted there with it.
struct Place;

impl Place {
    fn new() -> Result<Self, crate::expect::Failure> {
        on_tine()?;
        as_root()?;
        for path in ["/tmp/mounts", "/tmp/mounts/one", "/tmp/mounts/two"] {
            fs::create_dir(path)?;
        }
        known(file::mount(c"none", c"/tmp/mounts/one", c"tmpfs"))?;
        Ok(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for path in [c"/tmp/mounts/two", c"/tmp/mounts/one"] {
            while file::unmount_with(path, DETACH).is_ok() {}
        }
        // A test that failed may leave more; the next one says so.
        let _ = fs::remove_dir_all("/tmp/mounts");
    }
}

fn bind(flags: usize) -> Result<(), Errno> {
    file::mount_with(c"/tmp/mounts/one", c"/tmp/mounts/two", c"", BIND | flags)
}

fn a_directory_is_seen_in_two_places() -> Checked {
    let _place = Place::new()?;
    fs::write("/tmp/mounts/one/file", "x")?;
    bind(0)?;
    equal(fs::read_to_string("/tmp/mounts/two/file")?, "x")?;
    fs::write("/tmp/mounts/two/other", "y")?;
    equal(fs::read_to_string("/tmp/mounts/one/other")?, "y")?;
    equal(fs::canonicalize("/tmp/mounts/two/../two/file")?, std::path::PathBuf::from("/tmp/mounts/two/file"))?;
    ensure(fs::read_to_string("/proc/mounts")?.contains("none /tmp/mounts/two tmpfs rw"), "not listed")?;
    io_refused(fs::rename("/tmp/mounts/one/file", "/tmp/mounts/two/file2"), Errno::XDEV)?;
    known(file::unmount(c"/tmp/mounts/two"))?;
    ensure(!fs::exists("/tmp/mounts/two/file")?, "still there")
}

fn a_bind_mount_alone_is_read_only() -> Checked {
    let _place = Place::new()?;
    bind(0)?;
    file::mount_with(c"", c"/tmp/mounts/two", c"", REMOUNT | BIND | READ_ONLY)?;
    io_refused(fs::write("/tmp/mounts/two/file", "x"), Errno::ROFS)?;
    fs::write("/tmp/mounts/one/file", "x")?;
    ensure(fs::read_to_string("/proc/mounts")?.contains("/tmp/mounts/two tmpfs ro"), "not listed as such")?;
    let writer = OpenOptions::new().write(true).open("/tmp/mounts/one/file")?;
    refused(file::mount_with(c"", c"/tmp/mounts/one", c"", REMOUNT | READ_ONLY), Errno::BUSY)?;
    drop(writer);
    file::mount_with(c"", c"/tmp/mounts/one", c"", REMOUNT | READ_ONLY)?;
    io_refused(fs::write("/tmp/mounts/one/file", "y"), Errno::ROFS)
}

fn mounts_below_are_bound_if_asked_for() -> Checked {
    let _place = Place::new()?;
    fs::create_dir("/tmp/mounts/one/below")?;
    known(file::mount(c"none", c"/tmp/mounts/one/below", c"tmpfs"))?;
    fs::write("/tmp/mounts/one/below/file", "x")?;
    bind(0)?;
    ensure(!fs::exists("/tmp/mounts/two/below/file")?, "bound along")?;
    known(file::unmount(c"/tmp/mounts/two"))?;
    bind(RECURSIVE)?;
    equal(fs::read_to_string("/tmp/mounts/two/below/file")?, "x")?;
    refused(file::unmount(c"/tmp/mounts/two"), Errno::BUSY)
}

fn who_has_a_file_open_keeps_its_mount() -> Checked {
    let _place = Place::new()?;
    fs::write("/tmp/mounts/one/file", "x")?;
    let open = fs::File::open("/tmp/mounts/one/file")?;
    refused(file::unmount(c"/tmp/mounts/one"), Errno::BUSY)?;
    drop(open);
    let inside = crate::expect::child(|| {
        std::env::set_current_dir("/tmp/mounts/one")?;
        refused(file::unmount(c"/tmp/mounts/one"), Errno::BUSY)
    })?;
    crate::expect::passes(inside)?;
    let open = fs::File::open("/tmp/mounts/one/file")?;
    known(file::unmount_with(c"/tmp/mounts/one", DETACH))?;
    equal(std::io::read_to_string(open)?, "x")?;
    ensure(!fs::exists("/tmp/mounts/one/file")?, "still there")
}

fn a_mount_moves() -> Checked {
    let _place = Place::new()?;
    fs::write("/tmp/mounts/one/file", "x")?;
    file::mount_with(c"/tmp/mounts/one", c"/tmp/mounts/two", c"", MOVE)?;
    equal(fs::read_to_string("/tmp/mounts/two/file")?, "x")?;
    ensure(!fs::exists("/tmp/mounts/one/file")?, "still there, too")?;
    known(file::unmount(c"/tmp/mounts/two"))
}

fn one_file_system_is_not_mounted_twice_on_one_directory() -> Checked {
    let _place = Place::new()?;
    known(file::mount(c"none", c"/tmp/mounts/two", c"devtmpfs"))?;
    refused(file::mount(c"none", c"/tmp/mounts/two", c"devtmpfs"), Errno::BUSY)?;
    // Another kind hides it.
    known(file::mount(c"none", c"/tmp/mounts/two", c"tmpfs"))?;
    known(file::mount(c"none", c"/tmp/mounts/two", c"devtmpfs"))?;
    ensure(fs::exists("/tmp/mounts/two/null")?, "not there")
}

/// The lines of a `mountinfo`, each in its fields.
fn fields(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(' ').collect()).collect()
}

fn mountinfo_tells_what_is_shown_where() -> Checked {
    let _place = Place::new()?;
    fs::create_dir("/tmp/mounts/one/a b")?;
    file::mount_with(c"/tmp/mounts/one/a b", c"/tmp/mounts/two", c"", BIND)?;
    file::mount_with(c"", c"/tmp/mounts/two", c"", REMOUNT | BIND | READ_ONLY)?;
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let all = fields(&text);
    let number = fs::metadata("/tmp/mounts/one")?.dev();
    let number = format!("{}:{}", number >> 8 & 0xfff, number & 0xff);
    for (within, place, flags) in [("/", "one", "rw,relatime"), ("/a\\040b", "two", "ro,relatime")] {
        let place = format!("/tmp/mounts/{place}");
        let told = all.iter().find(|line| line[4] == place).and_then(|line| line.get(2..));
        equal(told, Some(&[&number, within, &place, flags, "-", "tmpfs", "none", "rw"][..]))?;
    }
    let ids: BTreeSet<_> = all.iter().map(|line| line[0]).collect();
    equal(ids.len(), all.len())?;
    ensure(all.iter().all(|line| ids.contains(line[1])), "a parent that is not there")?;
    let roots: Vec<_> = all.iter().filter(|line| line[0] == line[1]).map(|line| line[4]).collect();
    equal(roots, ["/"])?;
    // Who has another root sees what is below it, from there.
    let inside = crate::expect::child(|| {
        let mut info = fs::File::open("/proc/self/mountinfo")?;
        std::os::unix::fs::chroot("/tmp/mounts/one")?;
        let mut text = String::new();
        info.read_to_string(&mut text)?;
        equal(fields(&text).iter().map(|line| line[4]).collect::<Vec<_>>(), ["/"])
    })?;
    crate::expect::passes(inside)
}

/// Executes a copy of a program that says hello to nobody.
fn run(path: &std::ffi::CStr) -> Result<std::process::ExitStatus, Errno> {
    end_of(|| {
        let null = file::open(c"/dev/null", 1);
        let quiet = null.is_ok_and(|null| file::replace_standard(&null).is_ok());
        if quiet { process::exec(path, &[path], &[]).0.into() } else { 1 }
    })
}

fn program() -> Checked {
    fs::copy("/bin/hello", "/tmp/mounts/one/hello")?;
    Ok(fs::set_permissions("/tmp/mounts/one/hello", Permissions::from_mode(0o755))?)
}

const HELLO: &std::ffi::CStr = c"/tmp/mounts/one/hello";

fn nothing_is_executed_where_it_may_not() -> Checked {
    let _place = Place::new()?;
    program()?;
    exited(run(HELLO)?, 0)?;
    file::mount_with(c"", c"/tmp/mounts/one", c"", REMOUNT | NO_EXECUTION)?;
    exited(run(HELLO)?, Errno::ACCES.0.into())
}

fn a_running_program_is_not_written() -> Checked {
    on_tine()?;
    let own = std::env::current_exe()?;
    io_refused(OpenOptions::new().write(true).open(&own), Errno::TXTBSY)?;
    io_refused(OpenOptions::new().append(true).open(&own), Errno::TXTBSY)?;
    fs::File::open(&own)?;
    Ok(())
}

fn a_file_that_is_written_is_not_executed() -> Checked {
    let _place = Place::new()?;
    program()?;
    let writer = OpenOptions::new().write(true).open("/tmp/mounts/one/hello")?;
    exited(run(HELLO)?, Errno::TXTBSY.0.into())?;
    drop(writer);
    exited(run(HELLO)?, 0)
}
