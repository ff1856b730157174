//! Files and directories that come, change and go. What a test makes is in a directory of its own.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use sys::identity::set_user;
use sys::limit::{Limit, Resource};
use sys::memory::{PAGE, Protection, Request, flag as map};
use sys::names::{self, flag};
use sys::process::{self, Signal};
use sys::{Errno, Mapping, file, limit, signal};

use crate::expect::{Checked, Failure, as_root, dies, ensure, equal, in_child, io_refused, on_tine, refused};

super::tests!("tree":
    a_file_is_made_written_and_read, a_file_is_made_exclusively, appending, truncating, holes, directories, links,
    renaming, renaming_says_why_not, exchanging, a_file_without_a_name, an_open_file_outlives_its_names,
    permissions, set_id_bits, owners, times, a_sticky_directory, the_mask, nodes, a_fifo, the_size_limit, allocating, copying,
    sending, a_program_is_copied_and_executed, the_file_system_is_described, the_archive_can_be_changed,
    a_shared_mapping_is_the_file, a_private_mapping_is_not, a_page_that_was_cut_off_is_no_memory,
    a_fork_sees_what_was_cut_off, many_names, a_listing_goes_on_behind_what_is_removed, two_processes_append,
    hostile_names);

/// A directory for one test, removed with all that is in it.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tree-{}", process::pid()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> Result<CString, Failure> {
        text(&self.path(name))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<File, Failure> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Failure::new("a NUL in a path"))
}

fn a_file_is_made_written_and_read() -> Checked {
    let place = Place::new()?;
    let path = place.path("file");
    fs::write(&path, b"hello")?;
    equal(fs::read(&path)?, b"hello")?;
    fs::write(&path, b"you")?;
    equal(fs::read(&path)?, b"you")?;
    let long: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(&path, &long)?;
    ensure(fs::read(&path)? == long, "other bytes")?;
    let stat = fs::metadata(&path)?;
    equal((stat.len(), stat.nlink(), stat.blocks()), (100_000, 1, 25 * 8))
}

fn a_file_is_made_exclusively() -> Checked {
    let place = Place::new()?;
    File::create_new(place.path("file"))?;
    io_refused(File::create_new(place.path("file")), Errno::EXIST)?;
    symlink("nowhere", place.path("link"))?;
    io_refused(File::create_new(place.path("link")), Errno::EXIST)?;
    io_refused(File::create(&place.0), Errno::ISDIR)?;
    io_refused(File::create(place.path("file/x")), Errno::NOTDIR)?;
    io_refused(File::create(place.path("no/x")), Errno::NOENT)?;
    // Through a link that leads nowhere the file is made there.
    File::create(place.path("link"))?;
    ensure(place.path("nowhere").exists(), "not made")
}

fn appending() -> Checked {
    let place = Place::new()?;
    let mut one = OpenOptions::new().append(true).create(true).open(place.path("log"))?;
    let mut two = OpenOptions::new().append(true).open(place.path("log"))?;
    one.write_all(b"a")?;
    two.write_all(b"b")?;
    one.write_all(b"c")?;
    equal(fs::read(place.path("log"))?, b"abc")
}

fn truncating() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", &[7; 3 * PAGE])?;
    file.set_len(10)?;
    file.set_len(2 * PAGE as u64)?;
    let bytes = fs::read(place.path("file"))?;
    ensure(bytes[..10] == [7; 10] && bytes[10..].iter().all(|&byte| byte == 0), "something is left")?;
    OpenOptions::new().write(true).truncate(true).open(place.path("file"))?;
    equal(fs::metadata(place.path("file"))?.len(), 0)?;
    let reader = File::open(place.path("file"))?;
    io_refused(reader.set_len(1), Errno::INVAL)
}

fn holes() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", b"")?;
    file.write_at(b"far", 1 << 33)?;
    equal(file.metadata()?.blocks(), 8)?;
    let mut byte = [1];
    file.read_exact_at(&mut byte, 1 << 32)?;
    equal(byte, [0])?;
    equal(names::seek(&file, 0, 3)?, 1 << 33)?;
    equal(names::seek(&file, 0, 4)?, 0)?;
    equal(names::seek(&file, 1 << 33, 4)?, (1 << 33) + 3)?;
    refused(names::seek(&file, (1 << 33) + 3, 3), Errno::NXIO)
}

fn directories() -> Checked {
    let place = Place::new()?;
    fs::create_dir(place.path("a"))?;
    fs::create_dir(place.path("a/b"))?;
    equal(fs::metadata(place.path("a"))?.nlink(), 3)?;
    io_refused(fs::create_dir(place.path("a")), Errno::EXIST)?;
    io_refused(fs::remove_dir(place.path("a")), Errno::NOTEMPTY)?;
    io_refused(fs::remove_file(place.path("a")), Errno::ISDIR)?;
    place.create("file", b"")?;
    io_refused(fs::remove_dir(place.path("file")), Errno::NOTDIR)?;
    in_child(|| {
        std::env::set_current_dir(place.path("a/b"))?;
        fs::remove_dir(place.path("a/b"))?;
        io_refused(File::create("x"), Errno::NOENT)?;
        io_refused(std::env::current_dir(), Errno::NOENT)
    })?;
    fs::remove_dir(place.path("a"))?;
    equal(place.names()?, ["file"])
}

fn links() -> Checked {
    let place = Place::new()?;
    place.create("one", b"data")?;
    fs::hard_link(place.path("one"), place.path("two"))?;
    symlink("two", place.path("soft"))?;
    let [one, two] = [fs::metadata(place.path("one"))?, fs::metadata(place.path("two"))?];
    equal((one.ino(), one.nlink()), (two.ino(), 2))?;
    fs::remove_file(place.path("one"))?;
    equal(fs::read(place.path("soft"))?, b"data")?;
    equal(fs::read_link(place.path("soft"))?, Path::new("two").to_owned())?;
    equal(fs::symlink_metadata(place.path("soft"))?.len(), 3)?;
    io_refused(fs::hard_link(&place.0, place.path("x")), Errno::PERM)?;
    io_refused(fs::hard_link(place.path("two"), place.path("soft")), Errno::EXIST)?;
    io_refused(symlink("", place.path("x")), Errno::NOENT)
}

fn renaming() -> Checked {
    let place = Place::new()?;
    place.create("one", b"1")?;
    place.create("two", b"2")?;
    fs::rename(place.path("one"), place.path("two"))?;
    equal(fs::read(place.path("two"))?, b"1")?;
    fs::create_dir_all(place.path("a/b"))?;
    place.create("a/b/file", b"deep")?;
    fs::create_dir(place.path("c"))?;
    fs::rename(place.path("a/b"), place.path("c"))?;
    equal(fs::read(place.path("c/file"))?, b"deep")?;
    in_child(|| {
        std::env::set_current_dir(place.path("c"))?;
        fs::rename(place.path("c"), place.path("a/d"))?;
        equal(std::env::current_dir()?, place.path("a/d"))?;
        ensure(Path::new("../../two").exists(), "another way up")
    })?;
    equal(place.names()?, ["a", "two"])
}

fn renaming_says_why_not() -> Checked {
    let place = Place::new()?;
    let rename = |from: &str, to: &str| fs::rename(place.path(from), place.path(to));
    fs::create_dir_all(place.path("a/b"))?;
    fs::create_dir(place.path("c"))?;
    place.create("file", b"")?;
    io_refused(rename("none", "x"), Errno::NOENT)?;
    io_refused(rename("file", "c"), Errno::ISDIR)?;
    io_refused(rename("c", "file"), Errno::NOTDIR)?;
    io_refused(rename("c", "a"), Errno::NOTEMPTY)?;
    io_refused(rename("a", "a/b/x"), Errno::INVAL)?;
    io_refused(rename("a/b", "a"), Errno::NOTEMPTY)?;
    io_refused(rename("file", "x/"), Errno::NOTDIR)?;
    io_refused(rename("a/.", "x"), Errno::BUSY)?;
    let [one, other] = [place.text("file")?, place.text("c")?];
    refused(names::rename(&one, &other, 1), Errno::EXIST)?;
    refused(names::rename(&one, &other, 3), Errno::INVAL)?;
    refused(names::rename(&one, &place.text("x")?, 2), Errno::NOENT)
}

fn exchanging() -> Checked {
    let place = Place::new()?;
    place.create("file", b"data")?;
    fs::create_dir_all(place.path("a/b"))?;
    names::rename(&place.text("file")?, &place.text("a/b")?, 2)?;
    equal(fs::read(place.path("a/b"))?, b"data")?;
    ensure(place.path("file").is_dir(), "not exchanged")?;
    refused(names::rename(&place.text("a")?, &place.text("a/b")?, 2), Errno::INVAL)
}

fn a_file_without_a_name() -> Checked {
    let place = Place::new()?;
    let here = text(&place.0)?;
    let file = File::from(names::open(&here, flag::TEMPORARY | flag::READ_WRITE, 0o644)?);
    (&file).write_all(b"data")?;
    equal((place.names()?.len(), file.metadata()?.nlink()), (0, 0))?;
    as_root()?;
    names::link_open(&file, &place.text("named")?)?;
    equal(fs::read(place.path("named"))?, b"data")
}

fn an_open_file_outlives_its_names() -> Checked {
    let place = Place::new()?;
    let mut file = place.create("file", b"data")?;
    fs::remove_file(place.path("file"))?;
    equal(file.metadata()?.nlink(), 0)?;
    file.seek(SeekFrom::Start(0))?;
    let mut read = String::new();
    file.read_to_string(&mut read)?;
    equal(read, "data")
}

fn permissions() -> Checked {
    as_root()?;
    let place = Place::new()?;
    place.create("file", b"data")?;
    fs::create_dir(place.path("closed"))?;
    place.create("closed/x", b"")?;
    fs::set_permissions(place.path("file"), Permissions::from_mode(0o600))?;
    fs::set_permissions(place.path("closed"), Permissions::from_mode(0o700))?;
    equal(fs::metadata(place.path("file"))?.mode(), 0o100_600)?;
    in_child(|| {
        set_user(1000)?;
        io_refused(File::open(place.path("file")), Errno::ACCES)?;
        io_refused(File::open(place.path("closed/x")), Errno::ACCES)?;
        io_refused(File::create(place.path("closed/y")), Errno::ACCES)?;
        io_refused(fs::remove_file(place.path("closed/x")), Errno::ACCES)?;
        io_refused(fs::set_permissions(place.path("file"), Permissions::from_mode(0o666)), Errno::PERM)?;
        fs::write(place.path("own"), b"mine")?;
        fs::set_permissions(place.path("own"), Permissions::from_mode(0o400))?;
        io_refused(OpenOptions::new().write(true).open(place.path("own")), Errno::ACCES)?;
        equal(fs::metadata(place.path("own"))?.uid(), 1000)
    })
}

fn set_id_bits() -> Checked {
    as_root()?;
    let place = Place::new()?;
    let path = place.path("file");
    place.create("file", b"x")?;
    let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode));
    let bits = || Ok::<_, Failure>(fs::metadata(&path)?.mode() & 0o7777);
    mode(0o6777)?;
    OpenOptions::new().append(true).open(&path)?.write_all(b"y")?;
    equal(bits()?, 0o6777)?;
    in_child(|| {
        set_user(1000)?;
        OpenOptions::new().append(true).open(&path)?.write_all(b"y")?;
        equal(bits()?, 0o777)
    })?;
    mode(0o6777)?;
    chown(&path, Some(7), None)?;
    equal(bits()?, 0o777)
}

fn owners() -> Checked {
    as_root()?;
    let place = Place::new()?;
    place.create("file", b"")?;
    chown(place.path("file"), Some(1000), Some(50))?;
    symlink("file", place.path("link"))?;
    std::os::unix::fs::lchown(place.path("link"), Some(3), None)?;
    let [file, link] = [fs::metadata(place.path("link"))?, fs::symlink_metadata(place.path("link"))?];
    equal((file.uid(), file.gid(), link.uid()), (1000, 50, 3))?;
    in_child(|| {
        set_user(1000)?;
        chown(place.path("file"), Some(1000), None)?;
        io_refused(chown(place.path("file"), Some(0), None), Errno::PERM)?;
        io_refused(chown(place.path("file"), None, Some(60)), Errno::PERM)
    })
}

fn times() -> Checked {
    let place = Place::new()?;
    place.create("file", b"x")?;
    let path = place.text("file")?;
    names::set_times(&path, Some(&[[1000, 5], [-2000, 999_999_999]]))?;
    let stat = fs::metadata(place.path("file"))?;
    equal((stat.atime(), stat.atime_nsec()), (1000, 5))?;
    equal((stat.mtime(), stat.mtime_nsec()), (-2000, 999_999_999))?;
    const OMIT: i64 = (1 << 30) - 2;
    names::set_times(&path, Some(&[[0, OMIT], [7, 0]]))?;
    let stat = fs::metadata(place.path("file"))?;
    equal((stat.atime(), stat.mtime()), (1000, 7))?;
    names::set_times(&path, None)?;
    let now = fs::metadata(place.path("file"))?;
    ensure(now.mtime() == now.ctime() && now.mtime_nsec() == now.ctime_nsec(), "not now")?;
    refused(names::set_times(&path, Some(&[[0, 1_000_000_000], [0, 0]])), Errno::INVAL)?;
    refused(names::set_times(&place.text("none")?, None), Errno::NOENT)
}

fn a_sticky_directory() -> Checked {
    as_root()?;
    let place = Place::new()?;
    fs::set_permissions(&place.0, Permissions::from_mode(0o1777))?;
    place.create("roots", b"")?;
    in_child(|| {
        set_user(1000)?;
        io_refused(fs::remove_file(place.path("roots")), Errno::PERM)?;
        io_refused(fs::rename(place.path("roots"), place.path("x")), Errno::PERM)?;
        File::create(place.path("own"))?;
        fs::remove_file(place.path("own"))?;
        Ok(())
    })
}

fn the_mask() -> Checked {
    in_child(|| {
        let place = Place::new()?;
        file::umask(0o027)?;
        names::open(&place.text("file")?, flag::CREATE | flag::WRITE, 0o666)?;
        fs::create_dir(place.path("dir"))?;
        equal(fs::metadata(place.path("file"))?.mode() & 0o7777, 0o640)?;
        equal(fs::metadata(place.path("dir"))?.mode() & 0o7777, 0o750)
    })
}

fn nodes() -> Checked {
    as_root()?;
    let place = Place::new()?;
    names::make_node(&place.text("pipe")?, 0o010_644, 0)?;
    names::make_node(&place.text("null")?, 0o020_666, 0x103)?;
    names::make_node(&place.text("plain")?, 0o644, 0)?;
    ensure(fs::metadata(place.path("pipe"))?.file_type().is_fifo(), "no pipe")?;
    ensure(fs::metadata(place.path("plain"))?.is_file(), "no file")?;
    let mut null = OpenOptions::new().read(true).write(true).open(place.path("null"))?;
    null.write_all(b"gone")?;
    equal(null.read(&mut [0; 4])?, 0)?;
    refused(names::make_node(&place.text("x")?, 0o040_755, 0), Errno::PERM)?;
    refused(names::make_node(&place.text("x")?, 0o120_777, 0), Errno::INVAL)?;
    in_child(|| {
        set_user(1000)?;
        refused(names::make_node(&place.text("x")?, 0o020_666, 0x103), Errno::PERM)?;
        Ok(names::make_node(&place.text("y")?, 0o010_644, 0)?)
    })
}

fn a_fifo() -> Checked {
    let place = Place::new()?;
    names::make_node(&place.text("pipe")?, 0o010_600, 0)?;
    // Each side waits for the other.
    let child = crate::expect::child(|| {
        OpenOptions::new().write(true).open(place.path("pipe"))?.write_all(b"through a name")?;
        Ok(())
    })?;
    equal(fs::read(place.path("pipe"))?, b"through a name")?;
    crate::expect::passes(child)
}

fn the_size_limit() -> Checked {
    let place = Place::new()?;
    let mut file = place.create("file", b"")?;
    in_child(|| {
        signal::handle(Signal::XFSZ, signal::Handler::Ignore)?;
        limit::set(Resource::FILE_SIZE, Limit { soft: 5000, hard: 5000 })?;
        equal(file.write(&[1; 6000])?, 5000)?;
        io_refused(file.write(&[1; 1]), Errno::FBIG)?;
        io_refused(file.set_len(5001), Errno::FBIG)?;
        refused(names::allocate(&file, 0, 0, 5001), Errno::FBIG)?;
        file.set_len(10)?;
        Ok(())
    })?;
    dies(Signal::XFSZ, || {
        let limited = limit::set(Resource::FILE_SIZE, Limit { soft: 10, hard: 10 });
        let written = file.write_at(b"x", 10);
        i32::from(limited.is_err() || written.is_ok())
    })
}

fn allocating() -> Checked {
    const KEEP: usize = 1;
    const PUNCH: usize = 2;
    let place = Place::new()?;
    let file = place.create("file", &[3; 3 * PAGE])?;
    names::allocate(&file, KEEP, 0, 5 * PAGE)?;
    let stat = file.metadata()?;
    equal((stat.len(), stat.blocks()), (3 * PAGE as u64, 40))?;
    names::allocate(&file, PUNCH | KEEP, PAGE, PAGE)?;
    let bytes = fs::read(place.path("file"))?;
    ensure(bytes[PAGE..2 * PAGE].iter().all(|&byte| byte == 0), "no hole")?;
    ensure(bytes[0] == 3 && bytes[2 * PAGE] == 3, "too large a hole")?;
    equal(file.metadata()?.blocks(), 32)?;
    names::allocate(&file, 0, 0, 6 * PAGE)?;
    equal(file.metadata()?.len(), 6 * PAGE as u64)?;
    refused(names::allocate(&file, PUNCH, 0, 1), Errno::OPNOTSUPP)?;
    refused(names::allocate(&file, 0, 0, 0), Errno::INVAL)?;
    refused(names::allocate(&file, 0, 0, 1 << 50), Errno::NOSPC)?;
    equal(file.metadata()?.len(), 6 * PAGE as u64)
}

fn copying() -> Checked {
    let place = Place::new()?;
    let bytes: Vec<u8> = (0..=250).cycle().take(50_000).collect();
    let from = place.create("from", &bytes)?;
    // What std does with `copy_file_range` or `sendfile`.
    fs::copy(place.path("from"), place.path("to"))?;
    ensure(fs::read(place.path("to"))? == bytes, "other bytes")?;
    let to = place.create("part", b"")?;
    let (mut at, mut end) = (10, 5);
    equal(names::copy(&from, &mut at, &to, &mut end, 100)?, 100)?;
    equal((at, end), (110, 105))?;
    ensure(fs::read(place.path("part"))?[5..] == bytes[10..110], "another part")?;
    let (mut at, mut end) = (0, 50);
    refused(names::copy(&from, &mut at, &from, &mut end, 100), Errno::INVAL)?;
    let (mut at, mut end) = (50_000, 0);
    equal(names::copy(&from, &mut at, &to, &mut end, 100)?, 0)
}

fn sending() -> Checked {
    let place = Place::new()?;
    let mut from = place.create("from", &[9; 40_000])?;
    let to = place.create("to", b"x")?;
    from.seek(SeekFrom::Start(30_000))?;
    equal(names::send(&to, &from, 1 << 30)?, 10_000)?;
    equal(from.stream_position()?, 40_000)?;
    equal(to.metadata()?.len(), 10_001)?;
    let log = File::from(names::open(&place.text("log")?, flag::CREATE | flag::WRITE | flag::APPEND, 0o600)?);
    refused(names::send(&log, &from, 10), Errno::INVAL)?;
    refused(names::send(&from, &log, 10), Errno::BADF)
}

fn a_program_is_copied_and_executed() -> Checked {
    on_tine()?;
    let place = Place::new()?;
    fs::copy("/bin/hello", place.path("hello"))?;
    let path = place.text("hello")?;
    let status = crate::expect::end_of(|| {
        let null = file::open(c"/dev/null", 1);
        let quiet = null.is_ok_and(|null| file::replace_standard(&null).is_ok());
        if quiet { process::exec(&path, &[&path], &[]).0.into() } else { 1 }
    })?;
    crate::expect::exited(status, 0)
}

fn the_file_system_is_described() -> Checked {
    on_tine()?;
    let place = Place::new()?;
    let path = text(&place.0)?;
    let [kind, blocks, free, files, free_files] = names::file_system(&path)?;
    equal(kind, 0x0102_1994)?;
    ensure(free < blocks + 1 && free_files < files, "more is free than there is")?;
    let file = place.create("file", &[1; 4 * PAGE])?;
    let [_, _, free_now, _, files_now] = names::file_system(&path)?;
    equal((free - free_now, free_files - files_now), (4, 1))?;
    drop(file);
    fs::remove_file(place.path("file"))?;
    equal(names::file_system(&path)?, [kind, blocks, free, files, free_files])
}

fn the_archive_can_be_changed() -> Checked {
    on_tine()?;
    as_root()?;
    let motd = fs::read("/etc/motd")?;
    let mut file = OpenOptions::new().read(true).write(true).open("/etc/motd")?;
    file.write_all(b"Line")?;
    let changed = fs::read("/etc/motd")?;
    ensure(changed.starts_with(b"Line") && changed[4..] == motd[4..], "not changed")?;
    file.write_at(&motd, 0)?;
    fs::rename("/etc/motd", "/etc/other")?;
    fs::rename("/etc/other", "/etc/motd")?;
    equal(fs::read("/etc/motd")?, motd)
}

fn map_shared(file: &File, pages: usize) -> Result<Mapping, Errno> {
    let (bytes, protection) = (pages * PAGE, Protection::WRITE);
    Mapping::new(Request { address: 0, bytes, protection, flags: map::SHARED, file: Some((file, 0)) })
}

fn a_shared_mapping_is_the_file() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", &[1; 2 * PAGE])?;
    let memory = map_shared(&file, 2)?;
    memory.write(PAGE + 5, b'x');
    let mut byte = [0];
    file.read_exact_at(&mut byte, PAGE as u64 + 5)?;
    equal(byte, *b"x")?;
    file.write_at(b"y", 7)?;
    equal(memory.read(7), b'y')?;
    in_child(|| {
        memory.write(9, b'z');
        let other = map_shared(&file, 1)?;
        equal(other.read(9), b'z')?;
        other.write(10, b'w');
        Ok(())
    })?;
    equal((memory.read(9), memory.read(10)), (b'z', b'w'))?;
    fs::remove_file(place.path("file"))?;
    drop(file);
    equal(memory.read(10), b'w')?;
    let reader = {
        place.create("other", b"x")?;
        File::open(place.path("other"))?
    };
    refused(map_shared(&reader, 1), Errno::ACCES)
}

fn a_private_mapping_is_not() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", &[1; PAGE])?;
    let memory = Mapping::file(&file, 0, PAGE, Protection::WRITE)?;
    memory.write(0, 9);
    file.write_at(&[5], 0)?;
    equal(memory.read(0), 9)?;
    equal(fs::read(place.path("file"))?[0], 5)
}

fn a_page_that_was_cut_off_is_no_memory() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", &[1; 4 * PAGE])?;
    let memory = map_shared(&file, 4)?;
    let private = Mapping::file(&file, 0, 4 * PAGE, Protection::WRITE)?;
    memory.write_pages(2);
    private.write_pages(3);
    file.set_len(PAGE as u64 + 1)?;
    equal((memory.read(PAGE), memory.read(PAGE + 1)), (2, 0))?;
    dies(Signal::BUS, || memory.read(2 * PAGE).into())?;
    dies(Signal::BUS, || private.read(2 * PAGE).into())?;
    file.set_len(4 * PAGE as u64)?;
    equal((memory.read(2 * PAGE), private.read(2 * PAGE), private.read(0)), (0, 0, 3))?;
    memory.write(3 * PAGE, 7);
    equal(fs::read(place.path("file"))?[3 * PAGE], 7)
}

fn a_fork_sees_what_was_cut_off() -> Checked {
    let place = Place::new()?;
    let file = place.create("file", &[1; 4 * PAGE])?;
    let memory = map_shared(&file, 4)?;
    memory.write_pages(2);
    let meeting = crate::meeting::Meeting::new()?;
    let child = crate::expect::child(|| {
        meeting.wait(0, 1);
        dies(Signal::BUS, || memory.read(3 * PAGE).into())?;
        equal(memory.read(0), 2)
    })?;
    file.set_len(PAGE as u64)?;
    meeting.set(0, 1);
    crate::expect::passes(child)
}

fn many_names() -> Checked {
    let place = Place::new()?;
    for number in 0..2000 {
        File::create(place.path(&number.to_string()))?;
    }
    equal(place.names()?.len(), 2000)?;
    for number in 0..2000 {
        fs::remove_file(place.path(&number.to_string()))?;
    }
    equal(place.names()?.len(), 0)
}

fn a_listing_goes_on_behind_what_is_removed() -> Checked {
    let place = Place::new()?;
    for number in 0..500 {
        File::create(place.path(&number.to_string()))?;
    }
    let mut seen = 0;
    for entry in fs::read_dir(&place.0)? {
        fs::remove_file(entry?.path())?;
        seen += 1;
    }
    equal((seen, place.names()?.len()), (500, 0))
}

fn two_processes_append() -> Checked {
    let place = Place::new()?;
    let write = |letter: u8| {
        let mut log = OpenOptions::new().append(true).create(true).open(place.path("log"))?;
        (0..100).try_for_each(|_| log.write_all(&[letter; 300]))?;
        Ok(())
    };
    let child = crate::expect::child(|| write(b'c'))?;
    write(b'p')?;
    crate::expect::passes(child)?;
    let log = fs::read(place.path("log"))?;
    equal(log.len(), 60_000)?;
    ensure(log.chunks(300).all(|line| line.iter().all(|byte| byte == &line[0])), "torn lines")
}

fn hostile_names() -> Checked {
    let place = Place::new()?;
    let long = place.path(&"n".repeat(256));
    io_refused(File::create(&long), Errno::NAMETOOLONG)?;
    io_refused(fs::create_dir(&long), Errno::NAMETOOLONG)?;
    io_refused(symlink("x", &long), Errno::NAMETOOLONG)?;
    io_refused(symlink("x".repeat(4096), place.path("x")), Errno::NAMETOOLONG)?;
    File::create(place.path(&"n".repeat(255)))?;
    io_refused(fs::rename(place.path(&"n".repeat(255)), &long), Errno::NAMETOOLONG)?;
    io_refused(fs::remove_dir(place.path(".")), Errno::INVAL)?;
    io_refused(fs::remove_dir(place.path("..")), Errno::NOTEMPTY)?;
    io_refused(fs::create_dir(place.path("..")), Errno::EXIST)?;
    io_refused(fs::remove_dir("/"), Errno::BUSY)
}
