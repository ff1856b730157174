//! `/dev`: a file system of its own, with the numbers that all Linux systems have.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::time::Duration;

use sys::process::{Signal, kill, spawn};
use sys::signal::{Handler, caught, handle};
use sys::stream::{self, PollFile, ready};
use sys::timer::{Interval, Setting, set_interval};
use sys::{Errno, file, names, terminal};

use crate::expect::{Checked, as_root, ensure, equal, in_child, known, on_tine, refused};

super::tests!("device":
    dev_is_mounted_before_anybody_could, nodes_have_the_numbers_of_linux, a_node_made_elsewhere_is_the_same_device,
    a_number_that_nobody_has, dev_takes_further_files, a_terminals_node_comes_and_goes,
    the_log_is_read_record_by_record, who_reads_the_log_waits_for_its_end, a_slow_reader_of_the_log_is_told,
    the_log_is_the_same_for_syslog, a_signal_ends_a_wait_for_the_log);

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
        ("kmsg", 0o644, number(1, 11)),
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

const KMSG: &str = "/dev/kmsg";
const NONBLOCK: i32 = 0o4000;

fn log(flags: i32) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(KMSG)
}

/// The next record: priority, sequence number and text.
fn record(log: &mut File) -> std::io::Result<(u16, u64, String)> {
    let mut buffer = [0; 4096];
    let count = log.read(&mut buffer)?;
    let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
    let parse = || {
        let (head, text) = line.split_once(';')?;
        let mut fields = head.split(',');
        let (priority, sequence) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let _time: u64 = fields.next()?.parse().ok()?;
        (fields.next() == Some("-")).then_some(())?;
        Some((priority, sequence, text.strip_suffix('\n')?.to_owned()))
    };
    parse().ok_or_else(|| std::io::Error::other(format!("no record: {line:?}")))
}

fn the_log_is_read_record_by_record() -> Checked {
    on_tine()?;
    as_root()?;
    let mut log = log(NONBLOCK)?;
    equal(log.seek(SeekFrom::End(0))?, 0)?;
    equal(log.read(&mut [0; 100]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock))?;
    equal(log.write(b"<15>first\tone\n")?, 14)?;
    equal(log.write(b"second")?, 6)?;
    let (priority, sequence, text) = record(&mut log)?;
    equal((priority, text.as_str()), (15, "first\\x09one"))?;
    equal(record(&mut log)?, (12, sequence + 1, "second".to_owned()))?;
    equal(log.read(&mut [0; 100]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock))?;
    log.write_all(b"does not fit")?;
    crate::expect::io_refused(log.read(&mut [0; 10]), Errno::INVAL)?;
    equal(log.read(&mut [0; 100]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock))?;
    crate::expect::io_refused(log.seek(SeekFrom::Start(5)), Errno::SPIPE)?;
    crate::expect::io_refused(log.stream_position(), Errno::INVAL)?;
    crate::expect::io_refused(log.write(&[b'x'; 993]), Errno::INVAL)?;
    log.seek(SeekFrom::Start(0))?;
    ensure(record(&mut log)?.1 < sequence, "the first record is not an old one")
}

fn who_reads_the_log_waits_for_its_end() -> Checked {
    on_tine()?;
    as_root()?;
    let mut reader = log(0)?;
    reader.seek(SeekFrom::End(0))?;
    let poll = |time| {
        let mut files = [PollFile::new(&reader, ready::IN)];
        stream::poll(&mut files, Some(time), None).0.map(|_| files[0].found)
    };
    equal(poll(Duration::ZERO)?, 0)?;
    let writer = spawn(|| {
        // Late enough for the reader to sleep, mostly; if not, nothing else is tested.
        std::thread::sleep(Duration::from_millis(20));
        i32::from(log(0).and_then(|mut log| log.write_all(b"<15>awaited")).is_err())
    })?;
    equal(poll(Duration::from_secs(600))?, ready::IN)?;
    crate::expect::passes(writer)?;
    equal(record(&mut reader)?.2, "awaited")?;
    let sleeper = spawn(|| i32::from(record(&mut reader).is_ok()))?;
    kill(sleeper.0, Signal::KILL)?;
    crate::expect::ended_by(sys::process::wait(sys::process::Which::Pid(sleeper))?.1, Signal::KILL)
}

fn a_slow_reader_of_the_log_is_told() -> Checked {
    on_tine()?;
    as_root()?;
    let mut log = log(NONBLOCK)?;
    let (_, before, _) = record(&mut log)?;
    for _ in 0..20 {
        log.write_all(format!("<15>{}", ".".repeat(900)).as_bytes())?;
    }
    equal(log.read(&mut [0; 4096]).map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe))?;
    ensure(record(&mut log)?.1 > before + 1, "nothing was lost")
}

fn the_log_is_the_same_for_syslog() -> Checked {
    on_tine()?;
    as_root()?;
    log(0)?.write_all(b"<15>for both")?;
    let mut buffer = [0; 200];
    let count = known(sys::machine::log(3, &mut buffer))?;
    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
    ensure(text.starts_with('<') && text.ends_with("] for both\n"), &text)?;
    // What nobody took comes once.
    while sys::machine::log(9, &mut [])? > 0 {
        sys::machine::log(2, &mut buffer)?;
    }
    log(0)?.write_all(b"<15>taken")?;
    let parts = [sys::machine::log(2, &mut buffer[..10])?, sys::machine::log(2, &mut buffer[10..])?];
    let text = String::from_utf8_lossy(&buffer[..parts[0] + parts[1]]).into_owned();
    ensure(parts[0] == 10 && text.starts_with("<15>[") && text.ends_with("] taken\n"), &text)?;
    equal(sys::machine::log(9, &mut [])?, 0)
}

fn a_signal_ends_a_wait_for_the_log() -> Checked {
    on_tine()?;
    as_root()?;
    in_child(|| {
        handle(Signal::ALRM, Handler::Count)?;
        // Should the first come before the wait has begun, the next one ends it.
        set_interval(Interval::Real, Setting::every(Duration::from_millis(5)))?;
        let mut buffer = [0; 200];
        let end = loop {
            if let Err(error) = sys::machine::log(2, &mut buffer) {
                break error;
            }
        };
        set_interval(Interval::Real, Setting::default())?;
        equal(end, Errno::INTR)?;
        ensure(caught() > 0, "no handler ran")
    })
}
