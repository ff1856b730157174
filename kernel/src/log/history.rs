//! What the kernel said last, for `syslog(2)` and `/dev/kmsg`: its lines, and what programs log beside them, each with a
//! priority and the moment. The oldest make room for new ones.

use core::fmt::{self, Write as _};

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTVCT_EL0, Readable as _};
use kcore::sync::{IrqLock, Once, Rank};
use kcore::util::journal::{About, Cursor, Journal, Lost, MAX_TEXT, Text};

use crate::arch::cpu::Arm;

/// Bytes of records that are kept.
pub(crate) const BYTES: usize = 16 * 1024;
/// The longest record as `syslog(2)` shows it.
const LINE: usize = MAX_TEXT + 40;
/// The priority of the kernel's own lines: `KERN_INFO`.
const INFO: u16 = 6;

struct History {
    journal: Journal<BYTES>,
    /// A line that the kernel has begun and not ended.
    begun: Text,
    /// From here on `SYSLOG_ACTION_READ_ALL` shows records.
    cleared: Cursor,
    /// What `SYSLOG_ACTION_READ` takes next, and how many bytes of that record it has taken.
    unread: (Cursor, usize),
}

/// It is never locked together with the console, beside which it stands.
static HISTORY: IrqLock<History, Arm> = IrqLock::new(Rank::Console, History::new());
/// Called when there are more records.
static NOTIFY: Once<fn()> = Once::new();

/// From now on `notify` is called when there are more records; any lock may be held then. Called once.
pub(crate) fn set_notify(notify: fn()) {
    NOTIFY.call_once(|| notify);
}

/// Notes what the kernel prints.
pub(super) fn note(text: fmt::Arguments<'_>) {
    let has_records = {
        let mut history = HISTORY.lock();
        let before = history.journal.end();
        // Writing cannot fail.
        let _ = history.write_fmt(text);
        history.journal.end() != before
    };
    if has_records {
        tell();
    }
}

/// Notes what a program logs.
pub(super) fn note_record(priority: u16, text: &[u8]) {
    HISTORY.lock().journal.add(priority, now_us(), text);
    tell();
}

fn tell() {
    if let Some(notify) = NOTIFY.get() {
        notify();
    }
}

fn now_us() -> u64 {
    let (ticks, second) = (CNTVCT_EL0.get(), CNTFRQ_EL0.get().max(1));
    ticks / second * 1_000_000 + ticks % second * 1_000_000 / second
}

impl fmt::Write for History {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let (line, ends) = piece.strip_suffix('\n').map_or((piece, false), |line| (line, true));
            let mut left = line.as_bytes();
            loop {
                left = &left[self.begun.push(left)..];
                if left.is_empty() {
                    break;
                }
                self.commit();
            }
            if ends {
                self.commit();
            }
        }
        Ok(())
    }
}

impl History {
    const fn new() -> Self {
        let journal = Journal::new();
        let start = journal.first();
        Self { journal, begun: Text::new(), cleared: start, unread: (start, 0) }
    }

    fn commit(&mut self) {
        self.journal.add(INFO, now_us(), self.begun.bytes());
        self.begun.clear();
    }

    fn take_unread(&mut self, to: &mut [u8]) -> usize {
        let mut text = Text::new();
        let (about, next) = loop {
            match self.journal.read(self.unread.0, &mut text) {
                Ok(Some(record)) => break record,
                Ok(None) => return 0,
                Err(Lost) => self.unread = (self.journal.first(), 0),
            }
        };
        let line = Line::new(about, &text);
        let rest = line.bytes().get(self.unread.1..).unwrap_or_default();
        let count = rest.len().min(to.len());
        to[..count].copy_from_slice(&rest[..count]);
        self.unread = if count == rest.len() { (next, 0) } else { (self.unread.0, self.unread.1 + count) };
        count
    }
}

/// A record as `syslog(2)` shows it.
pub(crate) struct Line(heapless::Vec<u8, LINE>);

impl Line {
    /// Of this record.
    pub(crate) fn new(about: About, text: &Text) -> Self {
        let mut line = Self(heapless::Vec::new());
        let About { priority, time_us, .. } = about;
        // There is room for the longest.
        let _ = write!(line.0, "<{priority}>[{:5}.{:06}] ", time_us / 1_000_000, time_us % 1_000_000);
        let _ = line.0.extend_from_slice(text.bytes());
        let _ = line.0.push(b'\n');
        line
    }

    /// The line with its end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The record at `cursor`, as [`Journal::read`] has it.
pub(crate) fn record(cursor: Cursor, text: &mut Text) -> Result<Option<(About, Cursor)>, Lost> {
    HISTORY.lock().journal.read(cursor, text)
}

/// Before the oldest record.
pub(crate) fn first() -> Cursor {
    HISTORY.lock().journal.first()
}

/// Before the oldest record that was not cleared.
pub(crate) fn first_shown() -> Cursor {
    let history = HISTORY.lock();
    history.cleared.max(history.journal.first())
}

/// Behind the newest record.
pub(crate) fn end() -> Cursor {
    HISTORY.lock().journal.end()
}

/// What was said until now is not shown any more.
pub(crate) fn clear() {
    let mut history = HISTORY.lock();
    history.cleared = history.journal.end();
}

/// Whether all was taken by [`take_unread`].
pub(crate) fn is_all_read() -> bool {
    let history = HISTORY.lock();
    history.unread.0 >= history.journal.end()
}

/// Takes bytes of the record that nobody took yet; 0 where there is none.
pub(crate) fn take_unread(to: &mut [u8]) -> usize {
    HISTORY.lock().take_unread(to)
}

/// How many bytes [`take_unread`] would give.
pub(crate) fn unread_bytes() -> usize {
    let (mut cursor, skipped) = HISTORY.lock().unread;
    cursor = cursor.max(first());
    shown_bytes(cursor, end()).saturating_sub(skipped)
}

/// How many bytes the records from `cursor` on and before `end` have as lines.
pub(crate) fn shown_bytes(mut cursor: Cursor, end: Cursor) -> usize {
    let (mut text, mut bytes) = (Text::new(), 0);
    while cursor < end
        && let Ok(Some((about, next))) = record(cursor, &mut text)
    {
        bytes += Line::new(about, &text).bytes().len();
        cursor = next;
    }
    bytes
}
