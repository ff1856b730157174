//! Pipes, by themselves and between commands.

use std::ffi::CString;
use std::fs::{File, OpenOptions, create_dir_all, remove_file};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sys::file;
use sys::names;
use sys::process::{self, Signal, Which, kill, wait};
use sys::signal::{self, Handler};
use sys::stream::{self, NONBLOCK, PACKETS, command};
use sys::{Errno, machine};

use crate::expect::{Checked, Failure, child, dies, ensure, equal, io_refused, passes, refused};
use crate::meeting::Meeting;

super::tests!("pipe":
    bytes_and_the_end, a_child_writes_to_its_parent, nobody_reads, full_and_empty, a_short_write_is_whole,
    a_signal_interrupts_a_read, a_read_is_made_again, a_write_that_is_interrupted_counts, sizes, packets,
    what_it_is, a_fifo, a_signal_ends_the_wait_of_an_open, bad_arguments, a_commands_output, a_pipeline, much_goes_both_ways, a_command_that_is_not_there);

/// What a pipe holds.
const ROOM: usize = 65536;

fn bytes_and_the_end() -> Checked {
    let (mut reader, mut writer) = io::pipe()?;
    writer.write_all(b"one two")?;
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    equal(text, "one two")
}

fn a_child_writes_to_its_parent() -> Checked {
    let (mut reader, writer) = io::pipe()?;
    let pid = child(|| {
        let mut writer = writer.try_clone()?;
        for number in 0..50_000_u32 {
            writer.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    })?;
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    passes(pid)?;
    let numbers = bytes.chunks(4).map(|bytes| <[u8; 4]>::try_from(bytes).map_or(u32::MAX, u32::from_le_bytes));
    ensure(numbers.eq(0..50_000), "other bytes")
}

fn nobody_reads() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    drop(reader);
    signal::handle(Signal::PIPE, Handler::Ignore)?;
    refused(file::write(&writer, b"x"), Errno::PIPE)?;
    dies(Signal::PIPE, || {
        let handled = signal::handle(Signal::PIPE, Handler::Default);
        i32::from(handled.is_err() || file::write(&writer, b"x").is_ok())
    })?;
    signal::handle(Signal::PIPE, Handler::Count)?;
    refused(file::write(&writer, b"x"), Errno::PIPE)?;
    equal(signal::caught(), 1)
}

fn full_and_empty() -> Checked {
    let (reader, writer) = stream::pipe(NONBLOCK)?;
    let mut buffer = vec![0; ROOM + 1];
    refused(file::read(&reader, &mut buffer), Errno::AGAIN)?;
    equal(file::write(&writer, &vec![7; ROOM + 1])?, ROOM)?;
    refused(file::write(&writer, b"x"), Errno::AGAIN)?;
    equal(file::read(&reader, &mut buffer)?, ROOM)?;
    drop(writer);
    equal(file::read(&reader, &mut buffer)?, 0)
}

fn a_short_write_is_whole() -> Checked {
    const BYTES: usize = 3000;
    let (reader, writer) = stream::pipe(0)?;
    let mut children = Vec::new();
    for name in 0..3_u8 {
        children.push(child(|| {
            for _ in 0..100 {
                equal(file::write(&writer, &[name; BYTES])?, BYTES)?;
            }
            Ok(())
        })?);
    }
    drop(writer);
    let mut all = Vec::new();
    File::from(reader).read_to_end(&mut all)?;
    children.into_iter().try_for_each(passes)?;
    equal(all.len(), 3 * 100 * BYTES)?;
    ensure(all.chunks(BYTES).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])), "mixed")
}

/// Sends this process a signal again and again until `word` of `meeting` is set.
fn signal_until(meeting: &Meeting, signal: Signal) -> Checked {
    let target = process::parent().0;
    while meeting.get(0) == 0 {
        kill(target, signal)?;
        machine::yield_now()?;
    }
    Ok(())
}

fn a_signal_interrupts_a_read() -> Checked {
    let (reader, _writer) = stream::pipe(0)?;
    let meeting = Meeting::new()?;
    signal::handle(Signal::USR1, Handler::Count)?;
    let pid = child(|| signal_until(&meeting, Signal::USR1))?;
    let outcome = file::read(&reader, &mut [0]);
    meeting.set(0, 1);
    refused(outcome, Errno::INTR)?;
    ensure(signal::caught() > 0, "no handler ran")?;
    passes(pid)
}

fn a_read_is_made_again() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    signal::handle(Signal::USR1, Handler::CountAndRestart)?;
    let parent = process::pid().0;
    let pid = child(|| {
        for _ in 0..20 {
            kill(parent, Signal::USR1)?;
            machine::yield_now()?;
        }
        equal(file::write(&writer, b"x")?, 1)
    })?;
    equal(file::read(&reader, &mut [0; 4])?, 1)?;
    ensure(signal::caught() > 0, "no handler ran")?;
    passes(pid)
}

fn a_write_that_is_interrupted_counts() -> Checked {
    let (_reader, writer) = stream::pipe(0)?;
    let meeting = Meeting::new()?;
    signal::handle(Signal::USR1, Handler::Count)?;
    let pid = child(|| signal_until(&meeting, Signal::USR1))?;
    let mut total = 0;
    let outcome = loop {
        match file::write(&writer, &vec![0; ROOM + 1]) {
            Ok(count) => total += count,
            Err(errno) => break errno,
        }
    };
    meeting.set(0, 1);
    equal((total, outcome), (ROOM, Errno::INTR))?;
    passes(pid)
}

fn sizes() -> Checked {
    let (reader, writer) = stream::pipe(NONBLOCK)?;
    equal(stream::control(&reader, command::GETPIPE_SZ, 0)?, ROOM)?;
    equal(stream::control(&writer, command::SETPIPE_SZ, 5000)?, 8192)?;
    equal(file::write(&writer, &vec![0; ROOM])?, 8192)?;
    equal(stream::available(&reader)?, 8192)?;
    refused(stream::control(&writer, command::SETPIPE_SZ, 4096), Errno::BUSY)?;
    equal(stream::control(&writer, command::SETPIPE_SZ, 1 << 20)?, 1 << 20)?;
    equal(file::write(&writer, &vec![0; 2 << 20])?, (1 << 20) - 8192)?;
    let file = File::open("/etc/motd")?;
    refused(stream::control(&file, command::GETPIPE_SZ, 0), Errno::BADF)
}

fn packets() -> Checked {
    let (reader, writer) = stream::pipe(PACKETS)?;
    file::write(&writer, b"first")?;
    file::write(&writer, b"second")?;
    let mut buffer = [0; 100];
    equal(file::read(&reader, &mut buffer)?, 5)?;
    equal(file::read(&reader, &mut buffer[..3])?, 3)?;
    equal(stream::available(&reader)?, 0)
}

fn what_it_is() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    equal(stream::control(&writer, command::GETFL, 0)? & 3, 1)?;
    refused(file::write(&reader, b"x"), Errno::BADF)?;
    refused(file::read(&writer, &mut [0]), Errno::BADF)?;
    let reader = File::from(reader);
    ensure(reader.metadata()?.file_type().is_fifo(), "no FIFO")?;
    io_refused(io::Seek::stream_position(&mut &reader), Errno::SPIPE)
}

/// A FIFO of the caller's own.
fn fifo() -> Result<PathBuf, Failure> {
    create_dir_all(std::env::temp_dir())?;
    let path = std::env::temp_dir().join(format!("fifo-{}", process::pid()));
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Failure::new("a name"))?;
    names::make_node(&name, 0o010_600, 0)?;
    Ok(path)
}

fn a_fifo() -> Checked {
    let path = fifo()?;
    let nonblock = i32::try_from(NONBLOCK).unwrap_or(0);
    io_refused(OpenOptions::new().write(true).custom_flags(nonblock).open(&path).map(drop), Errno::NXIO)?;
    let pid = child(|| Ok(File::create(&path)?.write_all(b"through a name")?))?;
    let mut text = String::new();
    let mut reader = File::open(&path)?;
    ensure(reader.metadata()?.file_type().is_fifo(), "no FIFO")?;
    reader.read_to_string(&mut text)?;
    equal(text, "through a name")?;
    passes(pid)?;
    let writer = OpenOptions::new().write(true).custom_flags(nonblock).open(&path)?;
    drop(reader);
    signal::handle(Signal::PIPE, Handler::Ignore)?;
    refused(file::write(&writer, b"x"), Errno::PIPE)?;
    let both = OpenOptions::new().read(true).write(true).open(&path)?;
    file::write(&both, b"own")?;
    equal(file::read(&both, &mut [0; 8])?, 3)?;
    Ok(remove_file(path)?)
}

fn a_signal_ends_the_wait_of_an_open() -> Checked {
    let path = fifo()?;
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Failure::new("a name"))?;
    let meeting = Meeting::new()?;
    signal::handle(Signal::USR1, Handler::Count)?;
    let pid = child(|| signal_until(&meeting, Signal::USR1))?;
    let outcome = file::open(&name, 0);
    meeting.set(0, 1);
    refused(outcome, Errno::INTR)?;
    passes(pid)?;
    Ok(remove_file(path)?)
}

fn bad_arguments() -> Checked {
    let lowest = || -> Result<i32, Failure> { Ok(File::open("/etc/motd")?.as_raw_fd()) };
    let before = lowest()?;
    refused(stream::pipe_to_nowhere(), Errno::FAULT)?;
    refused(stream::pipe(1), Errno::INVAL)?;
    equal(lowest()?, before)?;
    let (reader, writer) = stream::pipe(0)?;
    file::write(&writer, b"abc")?;
    let mut three = [0; 3];
    equal(file::read(&reader, &mut three)?, 3)?;
    equal(three, *b"abc")
}

fn a_commands_output() -> Checked {
    let output = Command::new("/bin/hello").args(["one", "two words"]).output()?;
    ensure(output.status.success(), "it failed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure(text.contains("two words"), &text)
}

/// This program, as one that copies its input to its output.
fn copier() -> Result<Command, Failure> {
    let mut command = Command::new(process::own_path().to_string_lossy().into_owned());
    command.args(["--helper", "copy"]);
    Ok(command)
}

fn a_pipeline() -> Checked {
    let mut first = Command::new("/bin/hello").args(["through", "three"]).stdout(Stdio::piped()).spawn()?;
    let between = first.stdout.take().ok_or_else(|| Failure::new("no pipe"))?;
    let mut second = copier()?.stdin(between).stdout(Stdio::piped()).spawn()?;
    let between = second.stdout.take().ok_or_else(|| Failure::new("no pipe"))?;
    let output = copier()?.stdin(between).output()?;
    ensure(first.wait()?.success() && second.wait()?.success() && output.status.success(), "one failed")?;
    ensure(String::from_utf8_lossy(&output.stdout).contains("through"), "other text")
}

fn much_goes_both_ways() -> Checked {
    let text = vec![b'x'; 4 * ROOM];
    let mut copy = copier()?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = copy.stdin.take().ok_or_else(|| Failure::new("no pipe"))?;
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Who copies reads all of it, or the output is short.
            let _ = input.write_all(&text);
            drop(input);
        });
        copy.wait_with_output()
    })?;
    ensure(output.status.success(), "it failed")?;
    ensure(output.stdout == text, "other bytes")
}

fn a_command_that_is_not_there() -> Checked {
    io_refused(Command::new("/bin/none").spawn().map(drop), Errno::NOENT)?;
    refused(wait(Which::Any), Errno::CHILD)
}

/// Copies its input to its output: what [`copier`] runs.
pub(crate) fn copy() -> i32 {
    i32::from(io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()).is_err())
}
