//! `splice`, `tee`, `vmsplice`.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use sys::process::Signal;
use sys::signal::{Handler, caught, handle};
use sys::splice::{NONBLOCK, put, put_nothing, splice, take, tee};
use sys::stream::{self, kind};
use sys::timer::{Interval, Setting, set_interval};
use sys::{Errno, file};

use crate::expect::{Checked, Failure, child, dies, ensure, equal, in_child, known, passes, refused};

super::tests!("splice":
    a_file_goes_through_a_pipe_to_another, places_of_the_call_move_and_the_files_stay, a_pipe_is_filled_and_no_more,
    sockets_are_read_and_written, pipes_are_copied_and_moved, memory_goes_in_and_comes_out, who_waits_is_woken,
    what_cannot_be_is_refused, nobody_reads_and_that_is_told, a_signal_ends_the_wait, bytes_that_many_move_come_once);

const PLACE: &str = "/tmp/splice";

/// A new file with this in it, read and written at its start.
fn scratch(number: u32, bytes: &[u8]) -> Result<File, Failure> {
    let path = format!("{PLACE}-{number}-{}", std::process::id());
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn text(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn contents(file: &mut File) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn a_file_goes_through_a_pipe_to_another() -> Checked {
    let bytes = text(200_000);
    let (from, mut to) = (scratch(1, &bytes)?, scratch(2, b"")?);
    let (reader, writer) = file::pipe()?;
    let mut all = 0;
    loop {
        let came = known(splice((&from, None), (&writer, None), 1 << 20, 0))?;
        if came == 0 {
            break;
        }
        ensure(came <= 65_536, "more than a pipe has room for")?;
        let mut left = came;
        while left > 0 {
            left -= splice((&reader, None), (&to, None), left, 0)?;
        }
        all += came;
    }
    equal(all, bytes.len())?;
    ensure(contents(&mut to)? == bytes, "other bytes")?;
    drop(writer);
    equal(splice((&reader, None), (&to, None), 1, 0)?, 0)
}

fn places_of_the_call_move_and_the_files_stay() -> Checked {
    let (mut from, mut to) = (scratch(1, b"0123456789")?, scratch(2, b"----------")?);
    let (reader, writer) = file::pipe()?;
    let (mut from_place, mut to_place) = (3, 4);
    equal(known(splice((&from, Some(&mut from_place)), (&writer, None), 5, 0))?, 5)?;
    equal(splice((&reader, None), (&to, Some(&mut to_place)), 2, 0)?, 2)?;
    equal((from_place, to_place), (8, 6))?;
    equal((from.stream_position()?, to.stream_position()?), (0, 0))?;
    equal(splice((&reader, None), (&to, None), 10, 0)?, 3)?;
    equal(to.stream_position()?, 3)?;
    equal(contents(&mut to)?, b"567-34----".to_vec())
}

fn a_pipe_is_filled_and_no_more() -> Checked {
    let from = scratch(1, &text(100_000))?;
    let (reader, writer) = file::pipe()?;
    equal(known(splice((&from, None), (&writer, None), 100_000, 0))?, 65_536)?;
    refused(splice((&from, None), (&writer, None), 1, NONBLOCK), Errno::AGAIN)?;
    equal(stream::available(&reader)?, 65_536)?;
    let zeroes = File::open("/dev/zero")?;
    let (reader, writer) = file::pipe()?;
    equal(splice((&zeroes, None), (&writer, None), 10, 0)?, 10)?;
    let mut got = [1; 20];
    equal(file::read(&reader, &mut got)?, 10)?;
    equal(got[..10].to_vec(), vec![0; 10])
}

fn sockets_are_read_and_written() -> Checked {
    let (one, other) = stream::socket_pair(kind::STREAM)?;
    let (reader, writer) = file::pipe()?;
    equal(file::write(&one, b"hello")?, 5)?;
    equal(known(splice((&other, None), (&writer, None), 100, 0))?, 5)?;
    equal(splice((&reader, None), (&other, None), 3, 0)?, 3)?;
    let mut got = [0; 10];
    equal(file::read(&one, &mut got)?, 3)?;
    equal(&got[..3], b"hel")?;
    refused(splice((&other, None), (&writer, None), 1, NONBLOCK), Errno::AGAIN)?;
    let mut place = 0;
    refused(splice((&other, Some(&mut place)), (&writer, None), 1, 0), Errno::INVAL)
}

fn pipes_are_copied_and_moved() -> Checked {
    let ((one, to_one), (two, to_two)) = (file::pipe()?, file::pipe()?);
    equal(file::write(&to_one, b"abcdef")?, 6)?;
    equal(known(tee(&one, &to_two, 4, 0))?, 4)?;
    equal(splice((&one, None), (&to_two, None), 100, 0)?, 6)?;
    let mut got = [0; 20];
    equal(file::read(&two, &mut got)?, 10)?;
    equal(&got[..10], b"abcdabcdef")?;
    refused(tee(&one, &to_two, 1, NONBLOCK), Errno::AGAIN)?;
    refused(splice((&one, None), (&to_two, None), 1, NONBLOCK), Errno::AGAIN)?;
    drop(to_one);
    equal(tee(&one, &to_two, 1, 0)?, 0)?;
    equal(splice((&one, None), (&to_two, None), 1, 0)?, 0)
}

fn memory_goes_in_and_comes_out() -> Checked {
    let (reader, writer) = file::pipe()?;
    let long = text(10_000);
    equal(known(put(&writer, &[b"abc", b"", &long], 0))?, 10_003)?;
    equal(take(&reader, 3, 0)?, b"abc".to_vec())?;
    ensure(take(&reader, 20_000, 0)? == long, "other bytes")?;
    refused(take(&reader, 1, NONBLOCK), Errno::AGAIN)?;
    equal(put(&writer, &[], 0)?, 0)?;
    equal(put(&writer, &[&text(100_000)], 0)?, 65_536)?;
    refused(put(&writer, &[b"x"], NONBLOCK), Errno::AGAIN)?;
    refused(put_nothing(&writer, 1, 0), Errno::FAULT)?;
    refused(put_nothing(&writer, 1025, 0), Errno::INVAL)?;
    refused(put_nothing(&writer, 0, 16), Errno::INVAL)?;
    refused(put(&scratch(1, b"")?, &[b"x"], 0), Errno::BADF)
}

fn who_waits_is_woken() -> Checked {
    let ((one, to_one), (two, to_two)) = (file::pipe()?, file::pipe()?);
    let mover = child(|| equal(splice((&one, None), (&to_two, None), 10, 0)?, 3))?;
    equal(file::write(&to_one, b"abc")?, 3)?;
    passes(mover)?;
    equal(file::read(&two, &mut [0; 5])?, 3)?;
    known(put(&to_two, &[&text(65_536)], 0))?;
    let mover = child(|| equal(splice((&one, None), (&to_two, None), 10, 0)?, 2))?;
    equal(file::write(&to_one, b"de")?, 2)?;
    equal(file::read(&two, &mut [0; 4096])?, 4096)?;
    passes(mover)
}

fn what_cannot_be_is_refused() -> Checked {
    let ((reader, writer), file) = (file::pipe()?, scratch(1, b"abc")?);
    let mut place = 0;
    equal(known(splice((&reader, None), (&file, None), 0, 99))?, 0)?;
    refused(splice((&reader, None), (&file, None), 1, 16), Errno::INVAL)?;
    refused(splice((&file, None), (&file, None), 1, 0), Errno::INVAL)?;
    refused(splice((&reader, None), (&writer, None), 1, 0), Errno::INVAL)?;
    refused(tee(&reader, &writer, 1, 0), Errno::INVAL)?;
    refused(tee(&reader, &file, 1, 0), Errno::INVAL)?;
    refused(splice((&reader, Some(&mut place)), (&file, None), 1, 0), Errno::SPIPE)?;
    refused(splice((&file, None), (&writer, Some(&mut place)), 1, 0), Errno::SPIPE)?;
    refused(splice((&writer, None), (&file, None), 1, 0), Errno::BADF)?;
    refused(splice((&file, None), (&reader, None), 1, 0), Errno::BADF)?;
    let path = format!("{PLACE}-append");
    let appended = OpenOptions::new().append(true).create(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file::write(&writer, b"x")?;
    refused(splice((&reader, None), (&appended, None), 1, 0), Errno::INVAL)
}

fn nobody_reads_and_that_is_told() -> Checked {
    let (reader, writer) = file::pipe()?;
    let from = scratch(1, b"abc")?;
    known(splice((&from, None), (&writer, None), 1, 0))?;
    drop(reader);
    dies(Signal::PIPE, || {
        let handled = handle(Signal::PIPE, Handler::Default);
        i32::from(handled.is_err() || splice((&from, None), (&writer, None), 1, 0).is_ok())
    })?;
    in_child(|| {
        handle(Signal::PIPE, Handler::Count)?;
        refused(splice((&from, None), (&writer, None), 1, 0), Errno::PIPE)?;
        equal(caught(), 1)
    })
}

fn a_signal_ends_the_wait() -> Checked {
    in_child(|| {
        let (reader, _writer) = file::pipe()?;
        let to = scratch(1, b"")?;
        known(splice((&reader, None), (&to, None), 0, 0))?;
        handle(Signal::ALRM, Handler::Count)?;
        // Should the first come before the wait has begun, the next one ends it.
        set_interval(Interval::Real, Setting::every(std::time::Duration::from_millis(5)))?;
        refused(splice((&reader, None), (&to, None), 1, 0), Errno::INTR)?;
        ensure(caught() > 0, "no handler ran")
    })
}

/// Two threads move bytes at once, from one pipe to another, while a third writes and a fourth reads: all come, each once.
fn bytes_that_many_move_come_once() -> Checked {
    const ALL: usize = 300_000;
    let ((one, to_one), (two, to_two)) = (file::pipe()?, file::pipe()?);
    let outlets = [file::duplicate(&to_two)?, to_two];
    known(splice((&one, None), (&outlets[0], None), 0, 0))?;
    let one = &one;
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let bytes = vec![7; ALL];
            let mut rest: &[u8] = &bytes;
            while !rest.is_empty() {
                rest = &rest[file::write(&to_one, &rest[..rest.len().min(3000)])?..];
            }
            Ok::<_, Errno>(())
        });
        let movers = outlets.map(|outlet| {
            scope.spawn(move || {
                let mut moved = 0;
                loop {
                    match splice((one, None), (&outlet, None), 5000, 0)? {
                        0 => return Ok::<_, Errno>(moved),
                        more => moved += more,
                    }
                }
            })
        });
        let (mut count, mut buffer) = (0, [0; 8192]);
        loop {
            match file::read(&two, &mut buffer)? {
                0 => break,
                came => count += came,
            }
        }
        equal(count, ALL)?;
        let lost = || Failure::new("a thread panicked");
        writer.join().map_err(|_| lost())??;
        let moved = movers.map(|mover| mover.join().map_err(|_| lost()));
        let mut all = 0;
        for moved in moved {
            all += moved??;
        }
        equal(all, ALL)
    })
}
