//! Waiting for files: `ppoll`, `pselect6`, `epoll`, `eventfd`.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use sys::process::{self, Signal, kill};
use sys::signal::{self, Handler};
use sys::stream::{self, Change, Epoll, NONBLOCK, PollFile, SEMAPHORE, manner, ready};
use sys::{Errno, file, machine};

use crate::expect::{Checked, Failure, child, ensure, equal, passes, refused};
use crate::meeting::Meeting;

super::tests!("poll":
    what_is_ready_is_told, a_byte_ends_the_wait, the_end_is_told, what_is_not_open_is_told, time_that_is_left_is_told,
    a_signal_is_let_in_while_it_waits, sets_of_descriptors, epoll_tells_as_long_as_it_is_so, epoll_tells_edges_once,
    epoll_tells_a_one_shot_once, epoll_wakes_a_sleeper, epoll_forgets_what_is_closed, epoll_in_epoll,
    epoll_refuses, a_counter_counts, a_counter_is_a_semaphore, a_counter_wakes_its_reader);

/// Long enough for nothing to happen in.
const SHORT: Duration = Duration::from_millis(10);
/// Not to be waited for.
const LONG: Duration = Duration::from_secs(600);

fn one(file: &impl AsRawFd, events: u16, time: Option<Duration>) -> Result<u16, Failure> {
    let mut files = [PollFile::new(file, events)];
    let told = stream::poll(&mut files, time, None).0?;
    equal(told, usize::from(files[0].found != 0))?;
    Ok(files[0].found)
}

fn what_is_ready_is_told() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    let motd = File::open("/etc/motd")?;
    let both = ready::IN | ready::OUT;
    let mut files = [PollFile::new(&reader, both), PollFile::new(&writer, both), PollFile::new(&motd, ready::IN)];
    equal(stream::poll(&mut files, None, None).0?, 2)?;
    equal(files.map(|file| file.found), [0, ready::OUT, ready::IN])?;
    equal(one(&reader, ready::IN, Some(Duration::ZERO))?, 0)?;
    equal(one(&reader, ready::IN, Some(SHORT))?, 0)
}

fn a_byte_ends_the_wait() -> Checked {
    let ((first, _kept), (second, writer)) = (stream::pipe(0)?, stream::pipe(0)?);
    let pid = child(|| equal(file::write(&writer, b"x")?, 1))?;
    let mut files = [PollFile::new(&first, ready::IN), PollFile::new(&second, ready::IN)];
    equal(stream::poll(&mut files, None, None).0?, 1)?;
    equal(files.map(|file| file.found), [0, ready::IN])?;
    passes(pid)
}

fn the_end_is_told() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    file::write(&writer, b"x")?;
    drop(writer);
    equal(one(&reader, ready::IN, None)?, ready::IN | ready::HUP)?;
    file::read(&reader, &mut [0])?;
    equal(one(&reader, ready::IN, None)?, ready::HUP)?;
    equal(one(&reader, 0, None)?, ready::HUP)?;
    let (reader, writer) = stream::pipe(0)?;
    drop(reader);
    equal(one(&writer, ready::OUT, None)?, ready::OUT | ready::ERR)
}

fn what_is_not_open_is_told() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    let number = writer.as_raw_fd();
    drop(writer);
    let closed = PollFile { file: number, events: ready::IN, found: 0 };
    let negative = PollFile { file: -1, events: ready::IN, found: 0xffff };
    let mut files = [closed, negative, PollFile::new(&reader, 0)];
    equal(stream::poll(&mut files, None, None).0?, 2)?;
    equal(files.map(|file| file.found), [ready::NVAL, 0, ready::HUP])
}

fn time_that_is_left_is_told() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    let mut files = [PollFile::new(&reader, ready::IN)];
    let (told, left) = stream::poll(&mut files, Some(SHORT), None);
    equal((told, left), (Ok(0), Some(Duration::ZERO)))?;
    file::write(&writer, b"x")?;
    let (told, left) = stream::poll(&mut files, Some(LONG), None);
    equal(told, Ok(1))?;
    ensure(left.is_some_and(|left| left > LONG / 2 && left < LONG), "no such time")
}

fn a_signal_is_let_in_while_it_waits() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    signal::handle(Signal::USR1, Handler::Count)?;
    process::block_signals(!stream::all_but(&[Signal::USR1]))?;
    kill(process::pid().0, Signal::USR1)?;
    let mut files = [PollFile::new(&reader, ready::IN)];
    equal(stream::poll(&mut files, Some(SHORT), None).0, Ok(0))?;
    equal(signal::caught(), 0)?;
    refused(stream::poll(&mut files, None, Some(stream::all_but(&[Signal::USR1]))).0, Errno::INTR)?;
    equal(signal::caught(), 1)?;
    // Who does not wait is told, too, unless something is ready.
    kill(process::pid().0, Signal::USR1)?;
    let let_in = Some(stream::all_but(&[Signal::USR1]));
    refused(stream::poll(&mut files, Some(Duration::ZERO), let_in).0, Errno::INTR)?;
    equal(signal::caught(), 1)?;
    file::write(&writer, b"x")?;
    kill(process::pid().0, Signal::USR1)?;
    equal(stream::poll(&mut files, Some(Duration::ZERO), let_in).0, Ok(1))?;
    equal(signal::caught(), 0)
}

fn bit(file: &OwnedFd) -> u64 {
    1 << file.as_raw_fd()
}

fn sets_of_descriptors() -> Checked {
    let (reader, writer) = stream::pipe(0)?;
    let mut sets = [bit(&reader) | bit(&writer), bit(&writer), bit(&reader)];
    equal(stream::select(64, &mut sets, None)?, 1)?;
    equal(sets, [0, bit(&writer), 0])?;
    let mut sets = [bit(&reader), 0, 0];
    equal(stream::select(64, &mut sets, Some(SHORT))?, 0)?;
    equal(sets, [0, 0, 0])?;
    file::write(&writer, b"x")?;
    let mut sets = [bit(&reader), bit(&writer), 0];
    equal(stream::select(64, &mut sets, None)?, 2)?;
    let mut sets = [bit(&reader), 0, 0];
    equal(stream::select(reader.as_raw_fd(), &mut sets, Some(Duration::ZERO))?, 0)?;
    let mut sets = [1 << 63, 0, 0];
    refused(stream::select(64, &mut sets, None), Errno::BADF)?;
    refused(stream::select(-1, &mut sets, None), Errno::INVAL)
}

/// What is told at once: the words that go with it, and what was found.
fn told(set: &Epoll) -> Result<Vec<(u64, u32)>, Failure> {
    Ok(set.wait(Some(Duration::ZERO))?.into_iter().map(|event| (event.data, event.events)).collect())
}

const IN: u32 = ready::IN as u32;
const OUT: u32 = ready::OUT as u32;

fn epoll_tells_as_long_as_it_is_so() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    set.control(Change::Add, &reader, IN, 7)?;
    equal(told(&set)?, [])?;
    file::write(&writer, b"ab")?;
    equal(told(&set)?, [(7, IN)])?;
    equal(told(&set)?, [(7, IN)])?;
    file::read(&reader, &mut [0; 2])?;
    equal(told(&set)?, [])?;
    set.control(Change::Add, &writer, OUT, 8)?;
    equal(told(&set)?, [(8, OUT)])?;
    set.control(Change::Modify, &writer, 0, 9)?;
    equal(told(&set)?, [])?;
    drop(reader);
    equal(told(&set)?, [(9, u32::from(ready::ERR))])
}

fn epoll_tells_edges_once() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    set.control(Change::Add, &reader, IN | manner::EDGE, 1)?;
    file::write(&writer, b"a")?;
    equal(told(&set)?, [(1, IN)])?;
    equal(told(&set)?, [])?;
    file::write(&writer, b"b")?;
    equal(told(&set)?, [(1, IN)])?;
    drop(writer);
    equal(told(&set)?, [(1, IN | u32::from(ready::HUP))])?;
    equal(told(&set)?, [])
}

fn epoll_tells_a_one_shot_once() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    set.control(Change::Add, &reader, IN | manner::ONE_SHOT, 1)?;
    file::write(&writer, b"a")?;
    equal(told(&set)?, [(1, IN)])?;
    file::write(&writer, b"b")?;
    equal(told(&set)?, [])?;
    set.control(Change::Modify, &reader, IN | manner::ONE_SHOT, 2)?;
    equal(told(&set)?, [(2, IN)])?;
    equal(told(&set)?, [])
}

fn epoll_wakes_a_sleeper() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    set.control(Change::Add, &reader, IN | manner::EDGE, 3)?;
    for _ in 0..20 {
        let pid = child(|| equal(file::write(&writer, b"x")?, 1))?;
        let events = set.wait(None)?;
        equal(events.iter().map(|event| event.data).collect::<Vec<_>>(), [3])?;
        passes(pid)?;
    }
    equal(set.wait(Some(SHORT))?, [])
}

fn epoll_forgets_what_is_closed() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    set.control(Change::Add, &reader, IN, 1)?;
    file::write(&writer, b"a")?;
    let copy = file::duplicate(&reader)?;
    drop(reader);
    equal(told(&set)?, [(1, IN)])?;
    drop(copy);
    equal(told(&set)?, [])?;
    // The other end is still there, and the set may go before it.
    let (reader, _writer) = stream::pipe(0)?;
    set.control(Change::Add, &reader, IN, 1)?;
    set.control(Change::Add, &writer, OUT, 2)?;
    drop(set);
    Ok(())
}

fn epoll_in_epoll() -> Checked {
    let (outer, inner, (reader, writer)) = (Epoll::new()?, Epoll::new()?, stream::pipe(0)?);
    inner.control(Change::Add, &reader, IN, 1)?;
    outer.control(Change::Add, &inner, IN, 2)?;
    equal(told(&outer)?, [])?;
    let pid = child(|| equal(file::write(&writer, b"x")?, 1))?;
    equal(outer.wait(None)?.first().map(|event| event.data), Some(2))?;
    equal(told(&inner)?, [(1, IN)])?;
    passes(pid)?;
    file::read(&reader, &mut [0])?;
    equal(told(&outer)?, [])?;
    refused(inner.control(Change::Add, &outer, IN, 3), Errno::LOOP)?;
    let chain: Vec<Epoll> = (0..4).map(|_| Epoll::new()).collect::<Result<_, _>>()?;
    outer_to_inner(&chain)?;
    refused(chain[3].control(Change::Add, &outer, IN, 4), Errno::LOOP)
}

/// Puts each set into the one before it.
fn outer_to_inner(chain: &[Epoll]) -> Checked {
    chain.windows(2).try_for_each(|pair| Ok(pair[0].control(Change::Add, &pair[1], IN, 0)?))
}

fn epoll_refuses() -> Checked {
    let (set, (reader, writer)) = (Epoll::new()?, stream::pipe(0)?);
    refused(set.control(Change::Modify, &reader, IN, 1), Errno::NOENT)?;
    refused(set.control(Change::Remove, &reader, IN, 1), Errno::NOENT)?;
    set.control(Change::Add, &reader, IN, 1)?;
    refused(set.control(Change::Add, &reader, IN, 1), Errno::EXIST)?;
    refused(set.control(Change::Add, &set, IN, 1), Errno::INVAL)?;
    refused(set.control(Change::Add, &File::open("/etc/motd")?, IN, 1), Errno::PERM)?;
    refused(set.control(Change::Add, &Unopened(writer.as_raw_fd() + 100), IN, 1), Errno::BADF)?;
    set.control(Change::Remove, &reader, IN, 1)?;
    file::write(&writer, b"x")?;
    equal(told(&set)?, [])
}

/// A descriptor that is not open.
struct Unopened(i32);

impl AsRawFd for Unopened {
    fn as_raw_fd(&self) -> i32 {
        self.0
    }
}

fn number(counter: &OwnedFd) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    file::read(counter, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn a_counter_counts() -> Checked {
    let counter = stream::counter(3, NONBLOCK)?;
    file::write(&counter, &4_u64.to_ne_bytes())?;
    equal(one(&counter, ready::IN | ready::OUT, None)?, ready::IN | ready::OUT)?;
    equal(number(&counter)?, 7)?;
    refused(number(&counter), Errno::AGAIN)?;
    refused(file::read(&counter, &mut [0; 7]), Errno::INVAL)?;
    refused(file::write(&counter, &u64::MAX.to_ne_bytes()), Errno::INVAL)?;
    file::write(&counter, &(u64::MAX - 1).to_ne_bytes())?;
    refused(file::write(&counter, &1_u64.to_ne_bytes()), Errno::AGAIN)?;
    equal(one(&counter, ready::IN | ready::OUT, None)?, ready::IN)
}

fn a_counter_is_a_semaphore() -> Checked {
    let counter = stream::counter(2, NONBLOCK | SEMAPHORE)?;
    equal((number(&counter), number(&counter)), (Ok(1), Ok(1)))?;
    refused(number(&counter), Errno::AGAIN)
}

fn a_counter_wakes_its_reader() -> Checked {
    let counter = stream::counter(0, SEMAPHORE)?;
    let meeting = Meeting::new()?;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(child(|| {
            meeting.arrive(0);
            equal(number(&counter), Ok(1))
        })?);
    }
    meeting.wait(0, 3);
    machine::yield_now()?;
    file::write(&counter, &3_u64.to_ne_bytes())?;
    readers.into_iter().try_for_each(passes)
}
