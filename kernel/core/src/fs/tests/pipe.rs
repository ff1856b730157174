//! Pipes and FIFOs, with the host's threads.

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::thread;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{
    PARKING, TornSink, broken_pipes, doses, error, fault_at, interrupted, open_as_root, tree, until_asleep,
};
use crate::addr::PAGE_SIZE;
use crate::fs::pipe::{Fifo, NamedPipe, PIPE_BUF, PipeEnd, Pipes};
use crate::fs::{BufferSink, BufferSource, FileError, OpenFile, OpenFlags, Readiness, Timestamp};
use crate::sched::Switch;
use crate::sched::fake::HostSwitch;

const READ: Readiness = Readiness::READ.union(Readiness::READ_NORMAL);
const WRITE: Readiness = Readiness::WRITE.union(Readiness::WRITE_NORMAL);
/// A user, and his group.
const OWNER: (u32, u32) = (1000, 100);

/// Pipes of a test's own, for good.
fn pipes() -> &'static Pipes<HostSwitch> {
    Box::leak(Box::default())
}

fn pipe_with(flags: OpenFlags) -> (Arc<OpenFile>, Arc<OpenFile>) {
    pipes().open(OWNER, Timestamp::default(), flags, false, &PARKING).unwrap()
}

fn pipe() -> (Arc<OpenFile>, Arc<OpenFile>) {
    pipe_with(OpenFlags::empty())
}

fn end(file: &OpenFile) -> Arc<PipeEnd<HostSwitch>> {
    Arc::clone(file.operations().unwrap()).as_any().unwrap().downcast().unwrap()
}

fn write(file: &OpenFile, bytes: &[u8]) -> Result<usize, FileError> {
    file.write(&mut BufferSource::new(bytes))
}

fn read(file: &OpenFile, most: usize) -> Result<Vec<u8>, FileError> {
    let mut buffer = std::vec![0; most];
    let count = file.read(&mut BufferSink::new(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

/// Bytes that differ from their neighbours.
fn text(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn bytes_come_out_as_they_went_in_and_then_there_is_an_end() {
    let (reader, writer) = pipe();
    assert_eq!(write(&writer, b"one"), Ok(3));
    assert_eq!(write(&writer, b"two"), Ok(3));
    assert_eq!(read(&reader, 4).unwrap(), b"onet");
    drop(writer);
    assert_eq!(read(&reader, 4).unwrap(), b"wo");
    assert_eq!(read(&reader, 4).unwrap(), b"");
}

#[test]
fn each_side_does_only_its_own() {
    let (reader, writer) = pipe();
    assert_eq!(write(&reader, b"x"), Err(FileError::BadFile));
    assert_eq!(error(read(&writer, 1)), Some(FileError::BadFile));
    assert_eq!(writer.write_at(0, &mut BufferSource::new(b"x")), Err(FileError::NotSeekable));
    assert_eq!(reader.metadata().protection.mode(), 0o010_600);
}

#[test]
fn an_empty_pipe_and_a_full_one_say_so_to_who_does_not_wait() {
    let (reader, writer) = pipe_with(OpenFlags::NONBLOCK);
    assert_eq!(error(read(&reader, 1)), Some(FileError::WouldBlock));
    assert_eq!((reader.readiness(), writer.readiness()), (Ok(Readiness::empty()), Ok(WRITE)));
    assert_eq!(write(&writer, &text(100_000)), Ok(65536), "as much as fits");
    assert_eq!((reader.readiness(), writer.readiness()), (Ok(READ), Ok(Readiness::empty())));
    assert_eq!(write(&writer, b"x"), Err(FileError::WouldBlock));
    assert_eq!(read(&reader, 65536).unwrap(), text(65536));
    assert_eq!(error(read(&reader, 1)), Some(FileError::WouldBlock));
}

#[test]
fn a_short_write_goes_in_whole_or_not_at_all() {
    let (reader, writer) = pipe_with(OpenFlags::NONBLOCK);
    assert_eq!(write(&writer, &text(65536 - 10)), Ok(65526));
    assert_eq!(write(&writer, &text(PIPE_BUF)), Err(FileError::WouldBlock));
    assert_eq!(write(&writer, &text(PIPE_BUF + 1)), Ok(10), "a long one as far as there is room");
    read(&reader, PAGE_SIZE - 1).unwrap();
    assert_eq!(write(&writer, &text(PIPE_BUF)), Err(FileError::WouldBlock));
    assert_eq!(writer.readiness(), Ok(Readiness::empty()));
    read(&reader, 1).unwrap();
    assert_eq!(writer.readiness(), Ok(WRITE));
    assert_eq!(write(&writer, &text(PIPE_BUF)), Ok(PIPE_BUF));
}

#[test]
fn writing_where_nobody_reads_is_told_twice() {
    let (reader, writer) = pipe();
    write(&writer, b"lost").unwrap();
    drop(reader);
    let before = broken_pipes();
    assert_eq!(write(&writer, b"x"), Err(FileError::Pipe));
    assert_eq!(broken_pipes(), before + 1);
    assert_eq!(writer.readiness(), Ok(WRITE | Readiness::ERROR));
    assert_eq!(write(&writer, b""), Ok(0), "nothing is written nowhere");
}

#[test]
fn a_reader_waits_for_bytes_and_for_the_end() {
    let (reader, writer) = pipe();
    let (tell, told) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        let first = read(&reader, 10).unwrap();
        (first, read(&reader, 10).unwrap())
    });
    until_asleep(&told.recv().unwrap());
    write(&writer, b"word").unwrap();
    drop(writer);
    assert_eq!(sleeper.join().unwrap(), (b"word".to_vec(), Vec::new()));
}

#[test]
fn a_writer_waits_for_room_and_for_the_end() {
    let (reader, writer) = pipe();
    write(&writer, &text(65536)).unwrap();
    let (tell, told) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        (write(&writer, &text(65536 + 1)), broken_pipes())
    });
    let sleeping = told.recv().unwrap();
    until_asleep(&sleeping);
    assert_eq!(read(&reader, 65536).unwrap().len(), 65536);
    while end(&reader).capacity() != 65536 || reader.readiness() != Ok(READ) {
        thread::yield_now();
    }
    until_asleep(&sleeping);
    drop(reader);
    assert_eq!(sleeper.join().unwrap(), (Ok(65536), 1), "what went in is counted, and the signal comes all the same");
}

#[test]
fn a_signal_ends_a_wait_and_what_was_written_is_counted() {
    let (reader, writer) = pipe();
    let other = Arc::clone(&reader);
    assert_eq!(error(interrupted(move || read(&other, 1))), Some(FileError::Interrupted));
    let other = Arc::clone(&writer);
    assert_eq!(interrupted(move || write(&other, &text(70_000))), Ok(65536));
    let other = Arc::clone(&writer);
    assert_eq!(interrupted(move || write(&other, b"x")), Err(FileError::Interrupted));
    assert_eq!(read(&reader, 70_000).unwrap().len(), 65536);
}

#[test]
fn one_write_is_enough_for_all_who_wait_to_read() {
    let (reader, writer) = pipe();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (reader, (tell, told)) = (Arc::clone(&reader), mpsc::channel());
            let thread = thread::spawn(move || {
                tell.send(HostSwitch::current()).unwrap();
                read(&reader, 1).unwrap()
            });
            until_asleep(&told.recv().unwrap());
            thread
        })
        .collect();
    write(&writer, b"abcd").unwrap();
    let mut all: Vec<u8> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, b"abcd");
}

#[test]
fn many_writers_do_not_mix_short_writes() {
    const WRITES: usize = 200;
    let (reader, writer) = pipe();
    thread::scope(|scope| {
        for name in 0..4_u8 {
            let writer = Arc::clone(&writer);
            scope.spawn(move || {
                (0..WRITES).for_each(|_| assert_eq!(write(&writer, &[name; 1000]), Ok(1000)));
            });
        }
        drop(writer);
        let mut all = Vec::new();
        loop {
            let some = read(&reader, 3333).unwrap();
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        assert_eq!(all.len(), 4 * WRITES * 1000);
        assert!(all.chunks(1000).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])));
    });
}

#[test]
fn packets_keep_their_borders() {
    let (reader, writer) = pipe_with(OpenFlags::DIRECT | OpenFlags::NONBLOCK);
    write(&writer, b"first").unwrap();
    write(&writer, b"second").unwrap();
    assert_eq!(read(&reader, 100).unwrap(), b"first");
    assert_eq!(read(&reader, 3).unwrap(), b"sec", "the rest of a packet goes with it");
    assert_eq!(error(read(&reader, 3)), Some(FileError::WouldBlock));
    assert_eq!(write(&writer, &text(PIPE_BUF + 5)), Ok(PIPE_BUF + 5));
    assert_eq!(read(&reader, 10_000).unwrap().len(), PIPE_BUF);
    assert_eq!(read(&reader, 10_000).unwrap().len(), 5);
    end(&writer).set_packets(false);
    write(&writer, b"a").unwrap();
    write(&writer, b"b").unwrap();
    assert_eq!(read(&reader, 10).unwrap(), b"ab");
}

#[test]
fn a_fault_leaves_the_bytes_where_they_were() {
    let (reader, writer) = pipe_with(OpenFlags::NONBLOCK);
    write(&writer, b"abcdef").unwrap();
    let mut torn = TornSink::new(6, 2);
    assert_eq!(reader.read(&mut torn), Ok(2));
    assert_eq!(reader.read(&mut torn), Err(FileError::Fault(fault_at(2))));
    assert_eq!(read(&reader, 10).unwrap(), b"cdef");
}

#[test]
fn the_size_changes_in_powers_of_two_and_not_below_what_is_in_it() {
    let (reader, writer) = pipe_with(OpenFlags::NONBLOCK);
    let end = end(&writer);
    assert_eq!(end.capacity(), 65536);
    assert_eq!(end.set_capacity(5000, false), Ok(8192));
    assert_eq!(write(&writer, &text(100_000)), Ok(8192));
    assert_eq!(end.set_capacity(4096, false), Err(FileError::Busy));
    assert_eq!(end.set_capacity(65537, false), Ok(131_072));
    assert_eq!(write(&writer, &text(200_000)), Ok(131_072 - 8192));
    assert_eq!(read(&reader, 200_000).unwrap().len(), 131_072);
    assert_eq!(end.set_capacity(0, false), Ok(4096));
    assert_eq!(end.set_capacity((1 << 20) + 1, false), Err(FileError::NotPermitted));
    assert_eq!(end.set_capacity((1 << 20) + 1, true), Ok(1 << 21));
}

#[test]
fn a_users_pipes_are_small_when_he_has_many_and_are_counted_back() {
    let pipes = pipes();
    let open = || pipes.open(OWNER, Timestamp::default(), OpenFlags::empty(), false, &PARKING).unwrap();
    let first = open();
    assert_eq!(pipes.pages_of(OWNER.0), 16);
    end(&first.0).set_capacity(1 << 20, false).unwrap();
    let others: Vec<_> = (0..63)
        .map(|_| {
            let pipe = open();
            if end(&pipe.0).set_capacity(1 << 20, false).is_err() {
                assert_eq!(end(&pipe.0).capacity(), 2 * PAGE_SIZE);
            }
            pipe
        })
        .collect();
    assert_eq!(pipes.pages_of(OWNER.0), 16384);
    let small = open();
    assert_eq!(end(&small.0).capacity(), 2 * PAGE_SIZE);
    assert_eq!(end(&small.0).set_capacity(65536, false), Err(FileError::NotPermitted));
    drop((first, others, small));
    assert_eq!(pipes.pages_of(OWNER.0), 0);
}

fn fifo() -> Arc<Fifo<HostSwitch>> {
    Fifo::new(pipes(), OWNER)
}

/// As an open file; whose inode it is does not matter here.
fn open(fifo: &Fifo<HostSwitch>, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
    let inode = Arc::clone(open_as_root(&tree(&[]), "/", OpenFlags::empty()).unwrap().inode());
    Ok(OpenFile::new(inode, fifo.open(flags)?, flags, &PARKING))
}

#[test]
fn the_sides_of_a_fifo_wait_for_each_other() {
    let fifo = fifo();
    let (other, (tell, told)) = (Arc::clone(&fifo), mpsc::channel());
    let reader = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        let file = open(&other, OpenFlags::empty()).unwrap();
        read(&file, 10).unwrap()
    });
    until_asleep(&told.recv().unwrap());
    let writer = open(&fifo, OpenFlags::WRITE_ONLY).unwrap();
    write(&writer, b"met").unwrap();
    assert_eq!(reader.join().unwrap(), b"met");
}

#[test]
fn who_does_not_wait_opens_a_fifo_to_read_but_not_to_write() {
    let fifo = fifo();
    let nonblock = OpenFlags::NONBLOCK;
    assert_eq!(error(open(&fifo, OpenFlags::WRITE_ONLY | nonblock)), Some(FileError::NoDevice));
    let reader = open(&fifo, nonblock).unwrap();
    assert_eq!(reader.readiness(), Ok(Readiness::empty()), "no hang-up before the first writer");
    assert_eq!(read(&reader, 1).unwrap(), b"");
    let writer = open(&fifo, OpenFlags::WRITE_ONLY | nonblock).unwrap();
    write(&writer, b"x").unwrap();
    drop(writer);
    assert_eq!(reader.readiness(), Ok(READ | Readiness::HANG_UP));
    drop(reader);
    let both = open(&fifo, OpenFlags::READ_WRITE | nonblock).unwrap();
    assert_eq!(error(read(&both, 1)), Some(FileError::WouldBlock), "what was in it went with the last");
    write(&both, b"y").unwrap();
    assert_eq!(read(&both, 1).unwrap(), b"y");
}

#[test]
fn a_signal_ends_the_wait_for_the_other_side_of_a_fifo() {
    let fifo = fifo();
    let other = Arc::clone(&fifo);
    assert_eq!(interrupted(move || error(open(&other, OpenFlags::empty()))), Some(FileError::Interrupted));
    let nonblock = OpenFlags::WRITE_ONLY | OpenFlags::NONBLOCK;
    assert_eq!(error(open(&fifo, nonblock)), Some(FileError::NoDevice), "the reader is gone");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..12_000).prop_map(Step::Write),
        (0_usize..12_000).prop_map(Step::Read),
        (1_usize..20).prop_map(|pages| Step::Resize(pages * PAGE_SIZE)),
    ]
}

proptest! {
    #![proptest_config(doses(2, 128))]

    #[test]
    fn a_pipe_is_a_bounded_queue_of_bytes(steps in prop::collection::vec(step(), 1..80)) {
        let (reader, writer) = pipe_with(OpenFlags::NONBLOCK);
        let mut queue = VecDeque::<u8>::new();
        let mut written = 0_usize;
        for step in steps {
            let capacity = end(&reader).capacity();
            match step {
                Step::Write(length) => {
                    let bytes: Vec<u8> = (0..=250).cycle().skip(written % 251).take(length).collect();
                    match write(&writer, &bytes) {
                        Ok(count) => {
                            prop_assert!(count == length || length > PIPE_BUF);
                            queue.extend(&bytes[..count]);
                            written += count;
                        }
                        Err(error) => {
                            prop_assert_eq!(error, FileError::WouldBlock);
                            prop_assert!(queue.len() + length.min(PIPE_BUF) > capacity - PAGE_SIZE);
                        }
                    }
                    prop_assert!(queue.len() <= capacity);
                }
                Step::Read(length) => match read(&reader, length) {
                    Ok(bytes) => {
                        prop_assert_eq!(bytes.len(), length.min(queue.len()));
                        prop_assert!(queue.drain(..bytes.len()).eq(bytes));
                    }
                    Err(error) => {
                        prop_assert_eq!(error, FileError::WouldBlock);
                        prop_assert!(queue.is_empty());
                    }
                },
                Step::Resize(bytes) => match end(&writer).set_capacity(bytes, false) {
                    Ok(now) => prop_assert!(now >= bytes && now.is_power_of_two()),
                    Err(error) => {
                        prop_assert_eq!(error, FileError::Busy);
                        prop_assert!(queue.len() + PAGE_SIZE > bytes);
                    }
                },
            }
            prop_assert_eq!(reader.readiness().unwrap().contains(Readiness::READ), !queue.is_empty());
        }
    }
}
