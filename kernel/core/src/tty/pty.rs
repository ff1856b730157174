//! Pseudo-terminals (pty(7)): what a terminal is a line for is a program.
//!
//! The **slave** is a [`Terminal`] like any, whose [`Side`] is its driver; the [`Master`] reads what programs write there,
//! and what it writes is typed. When the master is closed, the terminal is hung up for good.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::file::TerminalFile;
use super::job::JobControl;
use super::request;
use super::terminal::{Driver, Terminal};
use crate::addr::UserAddr;
use crate::fs::{Blocking, FileError, FileOperations, Readiness, Sink, Source, Watched};
use crate::hal::UserMemory;
use crate::signal::Signal;

/// Bytes of output that wait for the master.
const CAPACITY: usize = 4096;
/// What a piece of output may be beyond the room that there was: 128 bytes, each of which becomes eight, and more to be safe.
const SLACK: usize = 2048;
/// Bytes that are moved at a time.
const PIECE: usize = 256;

/// A pseudo-terminal's line: what waits between its sides.
pub struct Side {
    output: VecDeque<u8>,
    /// `TIOCSPTLCK`: it cannot be opened yet.
    locked: bool,
    /// How many have the slave open.
    slaves: u32,
    /// Whether anybody has had.
    was_open: bool,
    /// The master was closed.
    gone: bool,
    /// Somebody reads from the master, or writes to it.
    reading: bool,
    writing: bool,
}

impl Side {
    /// Nothing waits, and the slave is locked; `None` without memory.
    #[must_use]
    pub fn new() -> Option<Self> {
        let mut output = VecDeque::new();
        output.try_reserve_exact(CAPACITY.saturating_add(SLACK)).ok()?;
        Some(Self { output, locked: true, slaves: 0, was_open: false, gone: false, reading: false, writing: false })
    }

    /// Nobody has the slave open any more.
    const fn is_left(&self) -> bool {
        self.was_open && self.slaves == 0
    }
}

impl Driver for Side {
    const FAR_SIDE: bool = true;

    fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.output.len())
    }

    fn put(&mut self, bytes: &[u8]) {
        // It never has to grow: there was room.
        let room = CAPACITY.saturating_add(SLACK).saturating_sub(self.output.len());
        self.output.extend(bytes.iter().take(room));
    }

    // A drained terminal is one whose master has everything to read.
    fn pending(&self) -> usize {
        0
    }

    fn discard(&mut self) {
        self.output.clear();
    }

    fn open(&mut self) -> Result<(), FileError> {
        if self.locked || self.gone {
            return Err(FileError::Io);
        }
        self.slaves = self.slaves.saturating_add(1);
        self.was_open = true;
        Ok(())
    }

    fn close(&mut self) {
        self.slaves = self.slaves.saturating_sub(1);
    }
}

/// The side of a pseudo-terminal from which it is driven.
pub struct Master<S: JobControl> {
    terminal: Arc<Terminal<S, Side>>,
    /// The slave's number in `/dev/pts`.
    index: u32,
    file: TerminalFile<S, Side>,
}

impl<S: JobControl> Master<S> {
    /// The other side of `terminal`, which is `/dev/pts/index`.
    #[must_use]
    pub fn new(terminal: Arc<Terminal<S, Side>>, index: u32) -> Self {
        let file = TerminalFile::of_master(Arc::clone(&terminal));
        Self { terminal, index, file }
    }

    /// The slave's number in `/dev/pts`.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Waits as long as `waits` of the line.
    fn wait(&self, blocking: Blocking, waits: impl Fn(&Terminal<S, Side>) -> bool) -> Result<(), FileError> {
        while waits(&self.terminal) {
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            if S::is_interrupted() {
                return Err(FileError::Interrupted);
            }
            self.terminal.far.waiting.wait_while(|| waits(&self.terminal) && !S::is_interrupted());
        }
        Ok(())
    }

    fn read_some(&self, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.wait(blocking, |terminal| terminal.with_driver(|side| side.output.is_empty() && !side.is_left()))?;
        let mut done = 0_usize;
        while sink.room() > 0 {
            let mut piece = [0; PIECE];
            let room = sink.room().min(PIECE);
            let count = self.terminal.with_driver(|side| {
                let waiting = side.output.iter().copied();
                piece.iter_mut().take(room).zip(waiting).map(|(place, byte)| *place = byte).count()
            });
            if count == 0 {
                break;
            }
            let put = match sink.put(piece.get(..count).unwrap_or_default()) {
                Ok(put) => put,
                Err(_) if done > 0 => break,
                Err(fault) => return Err(fault.into()),
            };
            self.terminal.with_driver(|side| side.output.drain(..put.min(side.output.len())).for_each(drop));
            done = done.saturating_add(put);
        }
        self.terminal.output_moved();
        // The slaves are gone: there is nothing more to come but from who opens it anew.
        if done == 0 { Err(FileError::Io) } else { Ok(done) }
    }

    fn write_some(&self, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let mut done = 0_usize;
        while source.left() > 0 {
            match self.wait(blocking, |terminal| !terminal.has_input_room()) {
                Ok(()) => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            let mut piece = [0; PIECE];
            // What is taken is typed at once: there is room. Should somebody else have used it, the rest is not counted.
            let length = source.left().min(PIECE).min(self.terminal.input_room());
            let taken = match source.take(piece.get_mut(..length).unwrap_or_default()) {
                Ok(taken) => taken,
                Err(_) if done > 0 => break,
                Err(fault) => return Err(fault.into()),
            };
            let typed = self.terminal.receive(piece.get(..taken).unwrap_or_default());
            done = done.saturating_add(typed);
            if typed < length {
                break;
            }
        }
        Ok(done)
    }

    fn turn(&self, blocking: Blocking, busy: fn(&mut Side) -> &mut bool) -> Result<Turn<'_, S>, FileError> {
        loop {
            self.wait(blocking, |terminal| terminal.with_driver(|side| *busy(side)))?;
            if !self.terminal.with_driver(|side| core::mem::replace(busy(side), true)) {
                return Ok(Turn { terminal: &self.terminal, busy });
            }
        }
    }
}

/// The right to read from a master, or to write to it. Dropping it lets the next one.
struct Turn<'a, S: JobControl> {
    terminal: &'a Terminal<S, Side>,
    busy: fn(&mut Side) -> &mut bool,
}

impl<S: JobControl> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.terminal.with_driver(|side| *(self.busy)(side) = false);
        self.terminal.far.waiting.wake_all();
    }
}

impl<S: JobControl> FileOperations for Master<S> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if sink.room() == 0 {
            return Ok(0);
        }
        let _reading = self.turn(blocking, |side| &mut side.reading)?;
        self.read_some(blocking, sink)
    }

    fn write(&self, _at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let _writing = self.turn(blocking, |side| &mut side.writing)?;
        self.write_some(blocking, source)
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        let at = UserAddr::new(argument);
        let tell = |number: u32| memory.copy_out(&number.to_le_bytes(), at).map(|()| 0).map_err(FileError::from);
        match request {
            request::TIOCGPTN => tell(self.index),
            request::TIOCGPTLCK => tell(self.terminal.with_driver(|side| side.locked.into())),
            request::TIOCSPTLCK => {
                let mut locked = [0; 4];
                memory.copy_in(at, &mut locked)?;
                self.terminal.with_driver(|side| side.locked = locked != [0; 4]);
                Ok(0)
            }
            request::FIONREAD => {
                let waiting = self.terminal.with_driver(|side| side.output.len());
                tell(u32::try_from(waiting).unwrap_or(u32::MAX))
            }
            request::TIOCSIG => {
                let signal = u32::try_from(argument).ok().and_then(Signal::new).ok_or(FileError::Invalid)?;
                if ![Signal::INT, Signal::QUIT, Signal::TSTP].contains(&signal) {
                    return Err(FileError::Invalid);
                }
                S::signal_foreground(self.terminal.number(), signal);
                Ok(0)
            }
            request::TIOCSCTTY | request::TIOCNOTTY | request::TIOCSTI => Err(FileError::NotTty),
            _ => self.file.ioctl(request, argument, memory),
        }
    }

    fn readiness(&self) -> Readiness {
        let (waiting, left) = self.terminal.with_driver(|side| (!side.output.is_empty(), side.is_left()));
        let mut ready = Readiness::empty();
        if waiting || left {
            ready |= Readiness::READ | Readiness::READ_NORMAL;
        }
        if left {
            ready |= Readiness::HANG_UP;
        }
        if self.terminal.has_input_room() {
            ready |= Readiness::WRITE | Readiness::WRITE_NORMAL;
        }
        ready
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.terminal.far.watchers)
    }
}

impl<S: JobControl> Drop for Master<S> {
    fn drop(&mut self) {
        self.terminal.with_driver(|side| side.gone = true);
        // Who is hung up hears of it before a read ends.
        S::disconnect(self.terminal.number());
        self.terminal.hang_up();
    }
}
