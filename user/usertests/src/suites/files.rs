//! Files, directories and devices, as far as programs need them to start.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sys::file::{self, OnExec, UNSHARE, close_range, is_open};
use sys::memory::{Mapping, PAGE, Protection, Request, flag};
use sys::process::{CLONE_FILES, CLONE_FS, clone, exit, unshare};
use sys::{Errno, Forked, machine};

use crate::expect::{
    Checked, Failure, ensure, equal, in_child, io_refused, is_tine, known, on_tine, passes, refused, settle,
};

super::tests!("file":
    a_file_is_read, f19_a_fork_shares_the_offset, duplicates_share_the_offset, two_opens_do_not, seeking, reading_at_a_place,
    the_root_is_listed, a_listing_can_start_again, links_are_read_and_followed, names_are_checked, metadata,
    null, zero, random_devices, full, random_bytes, dup3_closes_what_was_there,
    f19_a_childs_descriptors_are_its_own, f60_a_descriptor_is_closed_by_fork, relative_names, a_program_is_read_whole,
    what_is_shared_can_be_parted_with, a_range_is_closed_in_a_table_of_ones_own,
    a_file_in_memory_is_a_file_without_a_name, a_file_in_memory_is_shared_with_children, reading_ahead_changes_nothing);

const MOTD: &str = "/etc/motd";

fn motd() -> Result<Vec<u8>, Failure> {
    Ok(fs::read(MOTD)?)
}

fn a_file_is_read() -> Checked {
    let text = motd()?;
    ensure(text.starts_with(b"Tine"), "something else")?;
    let mut file = File::open(MOTD)?;
    let mut byte = [0];
    let mut read = Vec::new();
    while file.read(&mut byte)? == 1 {
        read.push(byte[0]);
    }
    equal(read, text)?;
    equal(file.read(&mut byte)?, 0)
}

fn f19_a_fork_shares_the_offset() -> Checked {
    let text = motd()?;
    let mut file = File::open(MOTD)?;
    let mut four = [0; 4];
    file.read_exact(&mut four)?;
    in_child(|| {
        let mut five = [0; 5];
        (&file).read_exact(&mut five)?;
        equal(&five[..], &text[4..9])
    })?;
    equal(file.stream_position()?, 9)?;
    file.read_exact(&mut four)?;
    equal(&four[..], &text[9..13])
}

fn duplicates_share_the_offset() -> Checked {
    let mut file = File::open(MOTD)?;
    let mut other = File::from(file::duplicate(&file)?);
    file.seek(SeekFrom::Start(7))?;
    equal(other.stream_position()?, 7)?;
    let mut byte = [0];
    other.read_exact(&mut byte)?;
    equal(file.stream_position()?, 8)?;
    drop(file);
    other.read_exact(&mut byte)?;
    Ok(())
}

fn two_opens_do_not() -> Checked {
    let (mut one, mut two) = (File::open(MOTD)?, File::open(MOTD)?);
    one.seek(SeekFrom::Start(7))?;
    equal(two.stream_position()?, 0)
}

fn dup3_closes_what_was_there() -> Checked {
    let file = File::open(MOTD)?;
    let mut other = file::open(c"/etc/passwd", 0)?;
    file::duplicate_to(&file, &mut other, OnExec::Close)?;
    equal(file::on_exec(&other)?, OnExec::Close)?;
    let mut text = String::new();
    File::from(other).read_to_string(&mut text)?;
    equal(text.into_bytes(), motd()?)?;
    equal(file::on_exec(&file::duplicate(&file)?)?, OnExec::Keep)
}

fn f19_a_childs_descriptors_are_its_own() -> Checked {
    let file = File::open(MOTD)?;
    let number = file.as_raw_fd();
    let copy = file::duplicate(&file)?;
    in_child(|| {
        drop(copy);
        let new = File::open(MOTD)?;
        ensure(new.as_raw_fd() > number, "not the lowest that is free")
    })?;
    ensure(is_open(number), "closed by the child")
}

fn seeking() -> Checked {
    let length = u64::try_from(motd()?.len()).unwrap_or(0);
    let mut file = File::open(MOTD)?;
    equal(file.seek(SeekFrom::End(0))?, length)?;
    equal(file.seek(SeekFrom::Current(-3))?, length - 3)?;
    io_refused(file.seek(SeekFrom::Current(-1000)), Errno::INVAL)?;
    equal(file.seek(SeekFrom::Start(1 << 40))?, 1 << 40)?;
    equal(file.read(&mut [0; 8])?, 0)
}

fn reading_at_a_place() -> Checked {
    let text = motd()?;
    let mut file = File::open(MOTD)?;
    let mut six = [0; 6];
    equal(file.read_at(&mut six, 3)?, 6)?;
    equal(&six[..], &text[3..9])?;
    equal(file.stream_position()?, 0)
}

fn listing(path: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn the_root_is_listed() -> Checked {
    let names = listing("/")?;
    for name in ["bin", "etc", "init", "test"] {
        ensure(names.iter().any(|other| other == name), &format!("no {name}"))?;
    }
    equal(listing("/etc")?, ["fstab", "group", "motd", "mtab", "passwd"].map(str::to_owned))?;
    ensure(fs::metadata("/bin")?.is_dir(), "/bin is no directory")?;
    io_refused(fs::read_dir(MOTD), Errno::NOTDIR)
}

fn a_listing_can_start_again() -> Checked {
    let first = listing("/test")?;
    ensure(first.len() > 10, "too few")?;
    equal(listing("/test")?, first)
}

fn links_are_read_and_followed() -> Checked {
    equal(fs::read_link("/test/link")?, Path::new("../etc/motd").to_owned())?;
    equal(fs::read("/test/link")?, motd()?)?;
    ensure(fs::symlink_metadata("/test/link")?.is_symlink(), "not a link")?;
    ensure(fs::metadata("/test/link")?.is_file(), "not followed")?;
    io_refused(File::open("/test/loop"), Errno::LOOP)?;
    io_refused(fs::read_link(MOTD), Errno::INVAL)
}

fn names_are_checked() -> Checked {
    io_refused(File::open("/nowhere"), Errno::NOENT)?;
    io_refused(File::open("/etc/motd/x"), Errno::NOTDIR)?;
    io_refused(File::open("/etc/motd/"), Errno::NOTDIR)?;
    io_refused(File::open(""), Errno::NOENT)?;
    io_refused(File::open(format!("/{}", "x".repeat(256))), Errno::NAMETOOLONG)?;
    io_refused(File::open("/x".repeat(2100)), Errno::NAMETOOLONG)?;
    File::open("//etc/.././etc///motd")?;
    File::open("/../../etc/motd")?;
    Ok(())
}

fn metadata() -> Checked {
    let found = fs::metadata(MOTD)?;
    equal(found.len(), u64::try_from(motd()?.len()).unwrap_or(0))?;
    equal((found.mode() & 0o7777, found.uid(), found.nlink()), (0o644, 0, 1))?;
    equal(fs::metadata("/bin/forktree")?.mode() & 0o777, 0o755)?;
    let (one, two) = (fs::metadata(MOTD)?, fs::metadata("/etc/passwd")?);
    ensure(one.ino() != two.ino() && one.dev() == two.dev(), "two files are one")?;
    equal(File::open(MOTD)?.metadata()?.ino(), one.ino())
}

/// Opens a device; on other kernels it may be missing.
fn device(path: &str) -> Result<File, Failure> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            ensure(file.metadata()?.file_type().is_char_device(), "no device")?;
            Ok(file)
        }
        Err(_) if !is_tine() => Err(Failure::Skipped("no such device here")),
        Err(error) => Err(error.into()),
    }
}

fn null() -> Checked {
    let mut file = device("/dev/null")?;
    equal(file.write(&[1; 1000])?, 1000)?;
    equal(file.read(&mut [1; 16])?, 0)
}

fn zero() -> Checked {
    let mut file = device("/dev/zero")?;
    let mut bytes = vec![1; 10_000];
    equal(file.read(&mut bytes)?, 10_000)?;
    ensure(bytes.iter().all(|&byte| byte == 0), "not zero")?;
    equal(file.write(&bytes)?, 10_000)
}

fn full() -> Checked {
    let mut file = device("/dev/full")?;
    io_refused(file.write(b"x"), Errno::NOSPC)?;
    equal(file.read(&mut [1; 16])?, 16)
}

fn random_devices() -> Checked {
    for path in ["/dev/random", "/dev/urandom"] {
        let mut file = device(path)?;
        let (mut one, mut two) = ([0; 64], [0; 64]);
        file.read_exact(&mut one)?;
        file.read_exact(&mut two)?;
        ensure(one != two && one != [0; 64], "not random")?;
    }
    Ok(())
}

fn random_bytes() -> Checked {
    let (mut one, mut two) = ([0; 256], [0; 256]);
    equal(known(machine::random(&mut one))?, 256)?;
    equal(machine::random(&mut two)?, 256)?;
    ensure(one != two, "twice the same")?;
    // A child does not repeat its parent.
    let shared = Mapping::shared(PAGE)?;
    in_child(|| {
        let mut bytes = [0; 8];
        machine::random(&mut bytes)?;
        bytes.iter().enumerate().for_each(|(place, &byte)| shared.write(place, byte));
        Ok(())
    })?;
    let mut bytes = [0; 8];
    machine::random(&mut bytes)?;
    ensure(shared.copy_out(0, 8) != bytes, "parent and child have the same")
}

fn relative_names() -> Checked {
    in_child(|| {
        std::env::set_current_dir("/etc")?;
        equal(fs::read("motd")?, motd()?)?;
        equal(fs::read("../etc/motd")?, motd()?)?;
        equal(std::env::current_dir()?, Path::new("/etc").to_owned())?;
        io_refused(std::env::set_current_dir("motd"), Errno::NOTDIR)?;
        io_refused(std::env::set_current_dir("/nowhere"), Errno::NOENT)
    })
}

fn a_program_is_read_whole() -> Checked {
    let bytes = fs::read("/bin/usertests")?;
    ensure(bytes.starts_with(b"\x7fELF"), "no program")?;
    equal(u64::try_from(bytes.len()).unwrap_or(0), fs::metadata("/bin/usertests")?.len())
}

fn f60_a_descriptor_is_closed_by_fork() -> Checked {
    on_tine()?;
    let (kept, closed) = (File::open(MOTD)?, File::open(MOTD)?);
    file::set_close_on_fork(&closed)?;
    in_child(|| {
        ensure(!is_open(closed.as_raw_fd()), "the child has it")?;
        ensure(is_open(kept.as_raw_fd()), "the child lost another")
    })?;
    ensure(is_open(closed.as_raw_fd()), "the parent lost it")
}

/// Runs `body` in a child that shares files, and root, working directory and mask, with its parent.
fn in_sharer(body: impl FnOnce() -> Checked) -> Checked {
    const CHLD: usize = 17;
    match clone(CLONE_FILES | CLONE_FS | CHLD)? {
        Forked::Child => exit(settle(body())),
        Forked::Parent(pid) => passes(pid),
    }
}

fn what_is_shared_can_be_parted_with() -> Checked {
    let before = file::umask(0o22)?;
    let outcome = in_sharer(|| {
        known(unshare(CLONE_FILES | CLONE_FS))?;
        equal(file::umask(0o77)?, 0o22)
    });
    let mask = file::umask(before)?;
    outcome?;
    equal(mask, 0o22)?;
    in_child(|| {
        let kept = File::open(MOTD)?;
        let number = kept.as_raw_fd();
        known(unshare(0))?;
        unshare(CLONE_FILES | CLONE_FS)?;
        ensure(is_open(number), "it is lost")?;
        refused(unshare(0x2_0000), Errno::INVAL)?;
        refused(unshare(1), Errno::INVAL)
    })
}

fn a_range_is_closed_in_a_table_of_ones_own() -> Checked {
    // A process of its own, for it is left with a descriptor that nobody owns.
    in_child(|| {
        let kept = File::open(MOTD)?;
        let next = file::duplicate(&kept)?;
        let number = next.as_raw_fd();
        drop(next);
        in_sharer(|| {
            let copy = file::duplicate(&kept)?;
            equal(copy.as_raw_fd(), number)?;
            close_range(copy, UNSHARE)?;
            ensure(!is_open(number), "it is open")
        })?;
        ensure(is_open(number), "it was closed for the parent, too")?;
        let copy = file::duplicate(&kept)?;
        let number = copy.as_raw_fd();
        close_range(copy, UNSHARE)?;
        ensure(!is_open(number), "it is open")
    })
}

fn a_file_in_memory_is_a_file_without_a_name() -> Checked {
    const CLOSE: usize = 1;
    let mut file = File::from(known(file::in_memory(c"scratch", CLOSE))?);
    equal(file::on_exec(&file)?, OnExec::Close)?;
    equal(file::on_exec(&file::in_memory(c"", 0)?)?, OnExec::Keep)?;
    let about = file.metadata()?;
    equal((about.is_file(), about.nlink(), about.len()), (true, 0, 0))?;
    file.write_all(b"a line\n")?;
    file.set_len(10_000)?;
    // Whoever is shown it opens it anew.
    let mut again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut bytes = Vec::new();
    again.read_to_end(&mut bytes)?;
    ensure(bytes.len() == 10_000 && bytes.starts_with(b"a line\n\0"), "other contents")?;
    equal(again.metadata()?.ino(), about.ino())?;
    refused(file::in_memory(c"", 1 << 20), Errno::INVAL)?;
    let name = |length: usize| CString::new(vec![b'x'; length]).unwrap_or_default();
    known(file::in_memory(&name(249), 0))?;
    refused(file::in_memory(&name(250), 0), Errno::INVAL)
}

fn a_file_in_memory_is_shared_with_children() -> Checked {
    let file = File::from(file::in_memory(c"shared", 0)?);
    file.set_len(4096)?;
    let (flags, file_at) = (flag::SHARED, Some((&file, 0)));
    let mapping =
        Mapping::new(Request { address: 0, bytes: 4096, protection: Protection::WRITE, flags, file: file_at })?;
    in_child(|| {
        mapping.write(100, 7);
        Ok(())
    })?;
    equal(mapping.read(100), 7)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, 100)?;
    equal(byte, [7])
}

fn reading_ahead_changes_nothing() -> Checked {
    let file = File::open(MOTD)?;
    known(file::read_ahead(&file))?;
    equal((&file).stream_position()?, 0)?;
    refused(file::read_ahead(&File::open("/dev/null")?), Errno::INVAL)?;
    refused(file::read_ahead(&OpenOptions::new().write(true).open(MOTD)?), Errno::BADF)
}
