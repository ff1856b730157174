//! What the kernel said last, for `syslog(2)`: the text of its lines, each with a level and the moment, as `dmesg` wants
//! them. Old text makes room for new.

use core::fmt::{self, Write as _};

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTVCT_EL0, Readable as _};
use heapless::HistoryBuf;
use kcore::sync::{IrqLock, Rank};

use crate::arch::cpu::Arm;

/// Bytes of text that are kept.
pub(crate) const BYTES: usize = 16 * 1024;

struct History {
    text: HistoryBuf<u8, BYTES>,
    /// Bytes of the text that were cleared: from the oldest on, `SYSLOG_ACTION_READ_ALL` does not show them any more.
    cleared: usize,
    in_line: bool,
}

/// It is never locked together with the console, beside which it stands.
static HISTORY: IrqLock<History, Arm> =
    IrqLock::new(Rank::Console, History { text: HistoryBuf::new(), cleared: 0, in_line: false });

/// Notes what the kernel prints.
pub(super) fn note(text: fmt::Arguments<'_>) {
    let mut history = HISTORY.lock();
    // Writing cannot fail.
    let _ = history.write_fmt(text);
}

impl fmt::Write for History {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            if !self.in_line {
                let (ticks, second) = (CNTVCT_EL0.get(), CNTFRQ_EL0.get().max(1));
                let mut head = heapless::String::<32>::new();
                write!(head, "<6>[{:5}.{:06}] ", ticks / second, ticks % second * 1_000_000 / second)?;
                self.push(head.as_bytes());
            }
            self.push(line.as_bytes());
            self.in_line = !line.ends_with('\n');
        }
        Ok(())
    }
}

impl History {
    fn push(&mut self, bytes: &[u8]) {
        let lost = (self.text.len() + bytes.len()).saturating_sub(BYTES);
        self.cleared = self.cleared.saturating_sub(lost);
        self.text.extend_from_slice(bytes);
    }

    /// How many bytes there are that were not cleared.
    fn shown(&self) -> usize {
        self.text.len() - self.cleared
    }
}

/// How many bytes there are that were not cleared.
pub(crate) fn len() -> usize {
    HISTORY.lock().shown()
}

/// Copies text to `to`, of the last `last` bytes those from `at` on, and says how many bytes that were. Between two pieces the
/// kernel may have said more: then what follows is not the next piece, but text all the same.
pub(crate) fn copy(last: usize, at: usize, to: &mut [u8]) -> usize {
    let history = HISTORY.lock();
    let from = history.text.len().saturating_sub(last.min(history.shown())) + at;
    let bytes = history.text.oldest_ordered().skip(from);
    to.iter_mut().zip(bytes).map(|(place, byte)| *place = *byte).count()
}

/// What was said until now is not shown any more.
pub(crate) fn clear() {
    let mut history = HISTORY.lock();
    history.cleared = history.text.len();
}
