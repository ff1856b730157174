//! Waiting for files: `ppoll(2)`, `pselect6(2)`.

use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::{self, Polled, Readiness};
use kcore::signal::SignalSet;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Descriptor, Maybe};
use super::errno::Errno;
use super::time::TimeSpec;
use super::{Again, Answer, WholeCaller, file, signal, user};
use crate::dev::clock;
use crate::task::Kernel;

/// How long a call may wait: a time in the program's memory, which is told what is left of it.
struct Timeout {
    at: Maybe,
    /// 0 for not at all.
    deadline_ns: Option<u64>,
}

impl Timeout {
    /// The time at `at`; for ever if that is null.
    fn read(at: Maybe) -> Result<Self, Errno> {
        let time_ns = user::read_if::<TimeSpec>(at)?.map(TimeSpec::to_ns).transpose()?;
        Ok(Self { at, deadline_ns: time_ns.map(deadline_ns) })
    }

    /// Says what is left. Where that cannot be stored, as in a constant, nothing is said.
    fn tell(&self) {
        if let (Some(at), Some(deadline_ns)) = (self.at.0, self.deadline_ns) {
            let left_ns = if deadline_ns == 0 { 0 } else { deadline_ns.saturating_sub(clock::now_ns()) };
            let _ = user::write(at, &TimeSpec::from_ns(left_ns));
        }
    }
}

/// The moment that is `time_ns` from now; 0 for now, so that nobody asks the clock again.
pub(super) fn deadline_ns(time_ns: u64) -> u64 {
    if time_ns == 0 { 0 } else { clock::now_ns().saturating_add(time_ns) }
}

/// Waits for one of `files`, with the signal mask that is given, and says of how many there is something to tell.
fn wait(
    caller: &mut WholeCaller<'_>,
    files: &mut [Polled],
    timeout: &Timeout,
    mask: Option<SignalSet>,
) -> Result<usize, Errno> {
    caller.again = Again::Never;
    let ready = caller.with_mask(mask, |caller| {
        caller.restarting(|caller| Ok(fs::poll::<Kernel>(files, timeout.deadline_ns, || caller.is_interrupted())?))
    });
    timeout.tell();
    ready
}

/// `struct pollfd`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct PollFile {
    file: i32,
    events: u16,
    found: u16,
}

/// The descriptor is not open.
const POLLNVAL: u16 = 0x20;

pub(super) fn ppoll(
    caller: &mut WholeCaller<'_>,
    array: UserAddr,
    count: u32,
    timeout: Maybe,
    mask: Maybe,
    mask_bytes: u64,
) -> Answer {
    if u64::from(count) > file::most_files(caller) {
        return Err(Errno::EINVAL);
    }
    let mut timeout = Timeout::read(timeout)?;
    let mask = mask.0.map(|mask| signal::read_set(mask, mask_bytes)).transpose()?;
    let count = count as usize;
    let mut entries = Vec::new();
    entries.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut files = Vec::new();
    files.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut bad = 0;
    for index in 0..count {
        let mut entry = user::read::<PollFile>(at(array, index)?)?;
        entry.found = 0;
        // One below zero is passed over.
        if entry.file >= 0 {
            match caller.file(Descriptor(entry.file)).ok().filter(|file| file.operations().is_some()) {
                Some(file) => files.push(Polled::new(file, Readiness::from_bits_truncate(entry.events.into()))),
                None => (entry.found, bad) = (POLLNVAL, bad + 1),
            }
        }
        entries.push(entry);
    }
    if bad > 0 {
        timeout.deadline_ns = Some(0);
    }
    let ready = wait(caller, &mut files, &timeout, mask)?;
    let mut found = files.iter();
    for (index, entry) in entries.iter_mut().enumerate() {
        if entry.file >= 0 && entry.found == 0 {
            let bits = found.next().map_or(0, |file| file.found.bits());
            entry.found = u16::try_from(bits).unwrap_or(0);
        }
        user::write(at(array, index)?.checked_add(FOUND).ok_or(Errno::EFAULT)?, &entry.found)?;
    }
    Ok((ready + bad) as u64)
}

/// Where what was found stands in a `struct pollfd`.
const FOUND: u64 = core::mem::offset_of!(PollFile, found) as u64;

fn at(array: UserAddr, index: usize) -> Result<UserAddr, Errno> {
    array.checked_add((index * size_of::<PollFile>()) as u64).ok_or(Errno::EFAULT)
}

/// What a set of select(2) asks about: `POLLIN_SET` and its kin of Linux.
const ASKED: [Readiness; 3] = [
    Readiness::READ.union(Readiness::READ_NORMAL).union(Readiness::HANG_UP).union(Readiness::ERROR),
    Readiness::WRITE.union(Readiness::WRITE_NORMAL).union(Readiness::ERROR),
    Readiness::URGENT,
];
/// Bits in a word of a set.
const WORD_BITS: usize = 64;
/// The most descriptors of a set that are looked at.
const MOST_DESCRIPTORS: usize = 1 << 16;

/// A set of descriptors in the program's memory.
struct Set {
    at: Option<UserAddr>,
    words: Vec<u64>,
}

impl Set {
    /// The first `count` descriptors of the set at `at`, which is empty if that is null.
    fn read(at: Maybe, count: usize) -> Result<Self, Errno> {
        let mut words = Vec::new();
        let Some(start) = at.0 else { return Ok(Self { at: None, words }) };
        words.try_reserve_exact(count.div_ceil(WORD_BITS)).map_err(|_| Errno::ENOMEM)?;
        for index in 0..count.div_ceil(WORD_BITS) {
            words.push(user::read(place(start, index)?)?);
        }
        Ok(Self { at: at.0, words })
    }

    fn contains(&self, descriptor: usize) -> bool {
        self.words.get(descriptor / WORD_BITS).is_some_and(|word| word & bit(descriptor) != 0)
    }

    fn remove(&mut self, descriptor: usize) {
        if let Some(word) = self.words.get_mut(descriptor / WORD_BITS) {
            *word &= !bit(descriptor);
        }
    }

    fn write(&self) -> Result<(), Errno> {
        let Some(at) = self.at else { return Ok(()) };
        self.words.iter().enumerate().try_for_each(|(index, word)| user::write(place(at, index)?, word))
    }
}

const fn bit(descriptor: usize) -> u64 {
    1 << (descriptor % WORD_BITS)
}

fn place(at: UserAddr, index: usize) -> Result<UserAddr, Errno> {
    at.checked_add((index * size_of::<u64>()) as u64).ok_or(Errno::EFAULT)
}

/// A signal set and its size, as `pselect6` takes them for want of registers.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Mask {
    at: u64,
    bytes: u64,
}

pub(super) fn pselect6(
    caller: &mut WholeCaller<'_>,
    count: i32,
    read: Maybe,
    write: Maybe,
    except: Maybe,
    timeout: Maybe,
    mask: Maybe,
) -> Answer {
    let timeout = Timeout::read(timeout)?;
    let mask = user::read_if::<Mask>(mask)?.filter(|mask| mask.at != 0);
    let mask = mask.map(|mask| signal::read_set(UserAddr::new(mask.at), mask.bytes)).transpose()?;
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(MOST_DESCRIPTORS);
    let mut sets = [Set::read(read, count)?, Set::read(write, count)?, Set::read(except, count)?];
    let mut files = Vec::new();
    for descriptor in 0..count {
        let asked = sets.iter().zip(ASKED).filter(|(set, _)| set.contains(descriptor)).map(|(_, asked)| asked);
        let asked = asked.fold(Readiness::empty(), Readiness::union);
        if asked.is_empty() {
            continue;
        }
        let file = caller.file(Descriptor(i32::try_from(descriptor).unwrap_or(-1)))?;
        if file.operations().is_none() {
            return Err(Errno::EBADF);
        }
        files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        files.push(Polled::only(file, asked));
    }
    wait(caller, &mut files, &timeout, mask)?;
    let mut total = 0;
    let mut files = files.iter();
    for descriptor in 0..count {
        if !sets.iter().any(|set| set.contains(descriptor)) {
            continue;
        }
        let found = files.next().map_or(Readiness::empty(), |file| file.found);
        for (set, asked) in sets.iter_mut().zip(ASKED).filter(|(set, _)| set.contains(descriptor)) {
            if found.intersects(asked) {
                total += 1;
            } else {
                set.remove(descriptor);
            }
        }
    }
    sets.iter().try_for_each(Set::write)?;
    Ok(total)
}
