//! Bytes that go from file to pipe, pipe to pipe and pipe to file.

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{PARKING, broken_pipes, doses, until_asleep};
use crate::addr::PAGE_SIZE;
use crate::fs::operations::Blocking::{No, Yes};
use crate::fs::pipe::{First, Original, PipeEnd, Pipes};
use crate::fs::{BufferSink, BufferSource, FileError, OpenFile, OpenFlags, Timestamp};
use crate::sched::Switch;
use crate::sched::fake::HostSwitch;

type End = Arc<PipeEnd<HostSwitch>>;

/// A pipe, and its ends as `splice` sees them.
struct Pipe {
    reader: Arc<OpenFile>,
    writer: Arc<OpenFile>,
    from: End,
    to: End,
}

fn end(file: &OpenFile) -> End {
    Arc::clone(file.operations().unwrap()).as_any().unwrap().downcast().unwrap()
}

fn pipe() -> Pipe {
    let pipes: &'static Pipes<HostSwitch> = Box::leak(Box::default());
    let (reader, writer) = pipes.open((0, 0), Timestamp::default(), OpenFlags::NONBLOCK, true, &PARKING).unwrap();
    Pipe { from: end(&reader), to: end(&writer), reader, writer }
}

fn pipe_of(pages: usize) -> Pipe {
    let pipe = pipe();
    pipe.to.set_capacity(pages * PAGE_SIZE, true).unwrap();
    pipe
}

fn write(pipe: &Pipe, bytes: &[u8]) -> usize {
    pipe.writer.write(&mut BufferSource::new(bytes)).unwrap()
}

fn read(pipe: &Pipe, most: usize) -> Result<Vec<u8>, FileError> {
    let mut buffer = std::vec![0; most];
    let count = pipe.reader.read(&mut BufferSink::new(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

fn text(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// What comes out, to the other file's `most` bytes a write.
fn out(pipe: &Pipe, most: usize, write: usize) -> Result<Vec<u8>, FileError> {
    let mut got = Vec::new();
    let count = pipe.from.splice_out(most, No, |bytes| {
        let taken = bytes.len().min(write);
        got.extend(&bytes[..taken]);
        Ok(taken)
    })?;
    // What was taken is told.
    if count == got.len() { Ok(got) } else { Err(FileError::Io) }
}

#[test]
fn all_that_is_there_goes_out_and_no_more_than_is_wanted() {
    let pipe = pipe();
    let bytes = text(40_000);
    write(&pipe, &bytes);
    assert_eq!(out(&pipe, 10, usize::MAX).unwrap(), bytes[..10]);
    assert_eq!(out(&pipe, 50_000, usize::MAX).unwrap(), bytes[10..]);
    assert_eq!(out(&pipe, 1, 1), Err(FileError::WouldBlock));
    drop((pipe.writer, pipe.to));
    assert_eq!(pipe.from.splice_out(1, Yes, |_| Ok(1)), Ok(0), "the end");
}

#[test]
fn what_the_other_file_does_not_take_stays() {
    let pipe = pipe();
    write(&pipe, b"0123456789");
    assert_eq!(out(&pipe, 10, 4).unwrap(), b"0123");
    assert_eq!(pipe.from.splice_out(10, No, |_| Err(FileError::NoSpace)), Err(FileError::NoSpace));
    assert_eq!(read(&pipe, 10).unwrap(), b"456789");
}

#[test]
fn while_bytes_go_out_others_find_none_and_no_end_and_what_is_left_is_theirs() {
    let pipe = Arc::new(pipe());
    write(&pipe, b"0123456789");
    let others = Arc::clone(&pipe);
    let count = pipe.from.splice_out(10, No, move |bytes| {
        assert_eq!(bytes, b"0123456789");
        assert_eq!(read(&others, 10), Err(FileError::WouldBlock));
        assert_eq!(others.from.splice_out(1, No, |_| Ok(1)), Err(FileError::WouldBlock));
        assert_eq!(write(&others, b"abc"), 3, "what comes goes behind the others");
        Ok(4)
    });
    assert_eq!((count, read(&pipe, 20).unwrap()), (Ok(4), b"456789abc".to_vec()));
}

#[test]
fn who_waits_to_read_after_the_last_writer_went_gets_what_was_left() {
    let pipes: &'static Pipes<HostSwitch> = Box::leak(Box::default());
    let (reader, writer) = pipes.open((0, 0), Timestamp::default(), OpenFlags::empty(), true, &PARKING).unwrap();
    writer.write(&mut BufferSource::new(b"0123")).unwrap();
    drop(writer);
    let (told, thread) = mpsc::channel();
    let (inner, was_there) = (Arc::clone(&reader), Arc::new(AtomicBool::new(false)));
    let sleeper = end(&reader).splice_out(4, Yes, |_| {
        let (inner, told, was_there) = (Arc::clone(&inner), told.clone(), Arc::clone(&was_there));
        let sleeper = thread::spawn(move || {
            told.send(HostSwitch::current()).unwrap();
            let mut buffer = [0; 4];
            let count = inner.read(&mut BufferSink::new(&mut buffer)).unwrap();
            was_there.store(buffer[..count] == *b"3", Ordering::SeqCst);
        });
        until_asleep(&thread.recv().unwrap());
        // It goes on when the ring is let go.
        drop(sleeper);
        Ok(3)
    });
    assert_eq!(sleeper, Ok(3));
    while !was_there.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

#[test]
fn a_file_fills_a_pipe_until_it_is_full_or_the_file_has_no_more() {
    let pipe = pipe_of(2);
    let bytes = text(3 * PAGE_SIZE);
    let mut at = 0;
    let mut from = |page: &mut [u8], _| {
        let count = page.len().min(bytes.len() - at);
        page[..count].copy_from_slice(&bytes[at..at + count]);
        at += count;
        Ok(count)
    };
    assert_eq!(pipe.to.splice_in(usize::MAX, No, &mut from), Ok(2 * PAGE_SIZE));
    assert_eq!(pipe.to.splice_in(usize::MAX, No, &mut from), Err(FileError::WouldBlock));
    assert_eq!(read(&pipe, PAGE_SIZE).unwrap(), bytes[..PAGE_SIZE]);
    assert_eq!(pipe.to.splice_in(10, No, &mut from), Ok(10));
    assert_eq!(read(&pipe, 2 * PAGE_SIZE).unwrap(), bytes[PAGE_SIZE..2 * PAGE_SIZE + 10]);
    assert_eq!(pipe.to.splice_in(usize::MAX, No, &mut from), Ok(PAGE_SIZE - 10));
    assert_eq!(pipe.to.splice_in(usize::MAX, No, &mut from), Ok(0), "the end of the file");
}

#[test]
fn a_stream_that_has_some_bytes_is_waited_for_once() {
    let pipe = pipe();
    let mut asked = Vec::new();
    let count = pipe.to.splice_in(3 * PAGE_SIZE, No, |page, first| {
        asked.push(first);
        Ok(if first == First::Yes { page.len() } else { 7 })
    });
    assert_eq!((count, asked), (Ok(PAGE_SIZE + 7), std::vec![First::Yes, First::No]));
    assert_eq!(pipe.to.splice_in(1, No, |_, _| Err(FileError::Interrupted)), Err(FileError::Interrupted));
}

#[test]
fn nothing_is_read_for_a_pipe_that_nobody_reads() {
    let pipe = pipe();
    drop((pipe.reader, pipe.from));
    let before = broken_pipes();
    assert_eq!(pipe.to.splice_in(1, Yes, |_, _| panic!("it is not asked")), Err(FileError::Pipe));
    assert_eq!(broken_pipes(), before + 1);
}

#[test]
fn bytes_move_from_pipe_to_pipe_as_far_as_there_is_room() {
    let (one, two) = (pipe(), pipe_of(1));
    assert!(one.from.is_of_same_pipe(&one.to) && !one.from.is_of_same_pipe(&two.to));
    let bytes = text(PAGE_SIZE + 100);
    write(&one, &bytes);
    assert_eq!(one.from.splice_to(&two.to, usize::MAX, Yes, Original::Moved), Ok(PAGE_SIZE));
    assert_eq!(one.from.splice_to(&two.to, usize::MAX, No, Original::Moved), Err(FileError::WouldBlock));
    assert_eq!(read(&two, 2 * PAGE_SIZE).unwrap(), bytes[..PAGE_SIZE]);
    assert_eq!(read(&one, 2 * PAGE_SIZE).unwrap(), bytes[PAGE_SIZE..]);
}

#[test]
fn what_is_copied_from_pipe_to_pipe_stays() {
    let (one, two) = (pipe(), pipe());
    let bytes = text(2 * PAGE_SIZE + 5);
    write(&one, &bytes);
    assert_eq!(one.from.splice_to(&two.to, PAGE_SIZE + 1, No, Original::Kept), Ok(PAGE_SIZE + 1));
    assert_eq!(read(&two, usize::MAX >> 40).unwrap(), bytes[..=PAGE_SIZE]);
    assert_eq!(one.from.splice_to(&two.to, usize::MAX, No, Original::Kept), Ok(bytes.len()));
    assert_eq!(read(&two, 4 * PAGE_SIZE).unwrap(), bytes);
    assert_eq!(read(&one, 4 * PAGE_SIZE).unwrap(), bytes);
}

#[test]
fn who_moves_bytes_waits_for_them_and_for_room() {
    for has_bytes in [false, true] {
        let (one, two) = (pipe(), pipe_of(1));
        if has_bytes {
            write(&one, b"abc");
            write(&two, &text(PAGE_SIZE));
        }
        let (told, thread) = mpsc::channel();
        let ends = (Arc::clone(&one.from), Arc::clone(&two.to));
        let mover = thread::spawn(move || {
            told.send(HostSwitch::current()).unwrap();
            ends.0.splice_to(&ends.1, 10, Yes, Original::Moved)
        });
        until_asleep(&thread.recv().unwrap());
        if has_bytes {
            read(&two, PAGE_SIZE).unwrap();
        } else {
            write(&one, b"abc");
        }
        assert_eq!(mover.join().unwrap(), Ok(3));
        assert_eq!(read(&two, 10).unwrap(), b"abc");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    Out(usize, usize),
    In(usize),
    Move(usize),
    Copy(usize),
    Drain(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = 1_usize..3 * PAGE_SIZE;
    prop_oneof![
        bytes.clone().prop_map(Step::Write),
        bytes.clone().prop_map(Step::Read),
        (bytes.clone(), bytes.clone()).prop_map(|(most, write)| Step::Out(most, write)),
        bytes.clone().prop_map(Step::In),
        bytes.clone().prop_map(Step::Move),
        bytes.clone().prop_map(Step::Copy),
        bytes.prop_map(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(doses(4, 256))]

    /// Whatever way bytes go, none is lost, doubled or out of its place.
    #[test]
    fn two_pipes_are_two_queues(steps in prop::collection::vec(step(), 1..60)) {
        let (one, two) = (pipe_of(4), pipe_of(2));
        let (mut first, mut second) = (VecDeque::new(), VecDeque::new());
        let mut next = 0_u8;
        let mut fresh = |count: usize| -> Vec<u8> {
            (0..count).map(|_| { next = next.wrapping_mul(5).wrapping_add(3); next }).collect()
        };
        let taken = |queue: &mut VecDeque<u8>, count: usize| queue.drain(..count).collect::<Vec<_>>();
        for step in steps {
            match step {
                Step::Write(count) => {
                    let bytes = fresh(count);
                    let done = one.writer.write(&mut BufferSource::new(&bytes)).unwrap_or(0);
                    first.extend(&bytes[..done]);
                }
                Step::In(count) => {
                    let bytes = fresh(count);
                    let mut at = 0;
                    let done = one.to.splice_in(count, No, |page, _| {
                        page.copy_from_slice(&bytes[at..at + page.len()]);
                        at += page.len();
                        Ok(page.len())
                    });
                    first.extend(&bytes[..done.unwrap_or(0)]);
                }
                Step::Read(count) => {
                    let got = read(&one, count).unwrap_or_default();
                    prop_assert_eq!(got.len(), count.min(first.len()));
                    prop_assert_eq!(taken(&mut first, got.len()), got);
                }
                Step::Out(most, write) => {
                    let got = out(&one, most, write).unwrap_or_default();
                    prop_assert_eq!(taken(&mut first, got.len()), got);
                }
                Step::Move(most) => {
                    let moved = one.from.splice_to(&two.to, most, No, Original::Moved).unwrap_or(0);
                    second.extend(first.drain(..moved));
                }
                Step::Copy(most) => {
                    let copied = one.from.splice_to(&two.to, most, No, Original::Kept).unwrap_or(0);
                    second.extend(first.iter().take(copied));
                }
                Step::Drain(count) => {
                    let got = read(&two, count).unwrap_or_default();
                    prop_assert_eq!(got.len(), count.min(second.len()));
                    prop_assert_eq!(taken(&mut second, got.len()), got);
                }
            }
        }
    }
}
