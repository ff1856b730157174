//! `/dev/kmsg`: the kernel's lines one by one, for who follows them, and what programs add to them (Linux
//! `Documentation/ABI/testing/dev-kmsg`).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use kcore::addr::CpuSet;
use kcore::fs::devices::{Device, KMSG};
use kcore::fs::{
    Blocking, FileError, FileOperations, OpenFlags, Readiness, Seeking, Sink, Source, Surroundings as _, WatchList,
    Watched, Whence,
};
use kcore::hal::Cpu as _;
use kcore::sync::{Rank, SpinLock};
use kcore::util::journal::{Cursor, Line, Lost, MAX_TEXT, Text, priority_of};

use super::irq::{self, Ipi};
use super::nodes;
use crate::arch::cpu::Arm;
use crate::log::{console, history};
use crate::task::{Kernel, Waiters};

/// The longest line: each byte of its text as a number, and what stands before it.
const LINE: usize = 4 * MAX_TEXT + 64;

static READERS: Waiters = Waiters::new();
/// How many threads wait in [`READERS`].
static WAITING: AtomicU32 = AtomicU32::new(0);
static WATCHERS: WatchList<Arm> = WatchList::new();

/// Adds the device.
#[cold]
pub(super) fn add_node() -> Result<(), FileError> {
    irq::on_log(|| {
        READERS.wake_all();
        WATCHERS.notify(Readiness::READ | Readiness::READ_NORMAL);
    });
    history::set_notify(notify);
    nodes::add(&Device::characters(b"kmsg", KMSG, 0o644), Arc::new(Kmsg))
}

/// Lines are printed with any lock held, so nobody can be woken then: if there is somebody, this CPU interrupts itself, and
/// the handler wakes him.
fn notify() {
    // Who waits counts himself and then looks at the records.
    fence(Ordering::SeqCst);
    if WAITING.load(Ordering::Relaxed) != 0 || WATCHERS.watching() != 0 {
        irq::send(CpuSet::only(Arm::id()), Ipi::Log);
    }
}

/// Sleeps while `condition` holds, which new records end, and no signal comes.
pub(crate) fn wait_while(condition: impl Fn() -> bool) {
    WAITING.fetch_add(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    READERS.wait_while(|| condition() && !Kernel::interrupted());
    WAITING.fetch_sub(1, Ordering::Relaxed);
}

/// The device.
struct Kmsg;

impl FileOperations for Kmsg {
    fn opened(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        Ok(Some(Arc::new(Reader { next: SpinLock::new(Rank::FileObject, history::first()) })))
    }
}

/// One who has it open.
struct Reader {
    /// The record that is read next.
    next: SpinLock<Cursor, Arm>,
}

impl Reader {
    fn next(&self) -> Cursor {
        *self.next.lock()
    }
}

impl FileOperations for Reader {
    /// A record. As on Linux, one that does not fit is gone.
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let mut text = Text::new();
        let about = loop {
            let at = self.next();
            match history::record(at, &mut text) {
                Err(Lost) => {
                    *self.next.lock() = history::first();
                    return Err(FileError::Pipe);
                }
                Ok(Some((about, behind))) => {
                    let mut next = self.next.lock();
                    // Somebody else may have taken it who shares the open file.
                    if *next == at {
                        *next = behind;
                        break about;
                    }
                }
                Ok(None) if blocking == Blocking::No => return Err(FileError::WouldBlock),
                Ok(None) => {
                    wait_while(|| history::end() <= at);
                    if history::end() <= at {
                        return Err(FileError::Interrupted);
                    }
                }
            }
        };
        let mut line = heapless::String::<LINE>::new();
        core::fmt::write(&mut line, format_args!("{}", Line { about, text: text.bytes() }))
            .map_err(|_| FileError::Invalid)?;
        if line.len() > sink.room() {
            return Err(FileError::Invalid);
        }
        Ok(sink.put(line.as_bytes())?)
    }

    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let count = source.left();
        if count > MAX_TEXT {
            return Err(FileError::Invalid);
        }
        let mut bytes = [0; MAX_TEXT];
        let mut taken = 0;
        while taken < count {
            match source.take(&mut bytes[taken..count])? {
                0 => break,
                more => taken += more,
            }
        }
        let (priority, text) = priority_of(&bytes[..taken]);
        console::print_record(priority, text.strip_suffix(b"\n").unwrap_or(text));
        Ok(taken)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Own
    }

    /// To the first record, to the first after the last `SYSLOG_ACTION_CLEAR`, or behind the last.
    fn seek(&self, by: i64, whence: Whence) -> Result<u64, FileError> {
        if by != 0 {
            return Err(FileError::NotSeekable);
        }
        let to = match whence {
            Whence::Start => history::first(),
            Whence::Data => history::first_shown(),
            Whence::End => history::end(),
            Whence::Current | Whence::Hole => return Err(FileError::Invalid),
        };
        *self.next.lock() = to;
        Ok(0)
    }

    fn readiness(&self) -> Readiness {
        let at = self.next();
        let mut ready = Readiness::WRITE | Readiness::WRITE_NORMAL;
        if at < history::end() {
            ready |= Readiness::READ | Readiness::READ_NORMAL;
        }
        if at < history::first() {
            ready |= Readiness::ERROR | Readiness::URGENT;
        }
        ready
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&WATCHERS)
    }
}
