//! A terminal: the line discipline, its driver, and the threads that wait for either.

use super::discipline::{Asked, Discipline};
use super::input::CAPACITY;
use super::job::JobControl;
use super::settings::{InputModes, Settings, Special, WindowSize};
use crate::fs::{Blocking, FileError, Readiness, Sink, Source, WatchList};
use crate::sched::WaitQueue;
use crate::signal::Signal;
use crate::sync::{Rank, SpinGuard, SpinLock};

/// Bytes of output that are taken from a program at a time: they become eight times as many at most.
const WRITE_PIECE: usize = 128;
/// Bytes of input that are given to a program at a time.
const READ_PIECE: usize = 256;
/// With so little room left for input the other side is told to stop, if it wants to be (`IXOFF`).
const THROTTLE_ROOM: usize = 128;
/// With so few bytes left to be read it is told to go on.
const UNTHROTTLE_LEFT: usize = 128;

/// What a line has to do for its terminal. All calls are made with the terminal's lock held, so they do not sleep and take
/// locks of higher rank only.
pub trait Driver: Send + 'static {
    /// How many bytes it takes now. When there are none, [`Terminal::output_moved`] is called later.
    fn room(&self) -> usize;

    /// Takes bytes. It was asked for room before, and takes them all: a piece of output and what it became on its way may be
    /// some more than that.
    fn put(&mut self, bytes: &[u8]);

    /// How many bytes have not left.
    fn pending(&self) -> usize;

    /// Forgets what has not left, where it is the terminal's alone.
    fn discard(&mut self) {}
}

/// A terminal.
pub struct Terminal<S: JobControl, D: Driver> {
    /// By which processes know it.
    number: u64,
    /// What it begins with, and again after a hang-up.
    usual: Settings,
    state: SpinLock<State<D>, S::Cpu>,
    /// Who waits for input, or for another reader.
    readers: WaitQueue<S>,
    /// Who waits for the line, or for another writer.
    writers: WaitQueue<S>,
    /// Who brings input that there is no room for.
    feeders: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
}

pub(super) struct State<D> {
    pub(super) line: Discipline,
    pub(super) driver: D,
    pub(super) size: WindowSize,
    /// How often it was hung up: files that were opened before are dead.
    pub(super) hang_ups: u32,
    /// A program reads; a line goes to one of them.
    reading: bool,
    /// A program writes; what one call writes is not mixed with another's.
    writing: bool,
    /// The other side was told to stop.
    throttled: bool,
    pub(super) exclusive: bool,
}

/// What there is for a reader.
enum Found {
    Bytes { count: usize, ends: bool },
    Nothing,
    HungUp,
}

impl<S: JobControl, D: Driver> Terminal<S, D> {
    /// The terminal that processes know by `number`, with these settings; `None` without memory.
    #[must_use]
    pub fn new(number: u64, usual: Settings, driver: D) -> Option<Self> {
        let state = State {
            line: Discipline::new(usual)?,
            driver,
            size: WindowSize::default(),
            hang_ups: 0,
            reading: false,
            writing: false,
            throttled: false,
            exclusive: false,
        };
        Some(Self {
            number,
            usual,
            state: SpinLock::new(Rank::Terminal, state),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            feeders: WaitQueue::new(),
            watchers: WatchList::new(),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Shows its driver to `work`.
    pub fn with_driver<T>(&self, work: impl FnOnce(&mut D) -> T) -> T {
        work(&mut self.state.lock().driver)
    }

    pub(super) fn state(&self) -> SpinGuard<'_, State<D>, S::Cpu> {
        self.state.lock()
    }

    pub(super) const fn watchers(&self) -> &WatchList<S::Cpu> {
        &self.watchers
    }

    /// Takes what was typed, as much as there is room for, and says how much that was. Called by threads only.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        loop {
            let (asked, readable) = {
                let mut state = self.state.lock();
                let asked = state.receive_some(&mut rest);
                (asked, state.line.has_input(false))
            };
            if readable {
                self.tell_readers();
            }
            // It may have let output go on.
            self.output_moved();
            match asked {
                Asked::Signal { signal, .. } => S::signal_foreground(self.number, signal),
                Asked::Nothing => return bytes.len().saturating_sub(rest.len()),
            }
        }
    }

    /// Sleeps until there is room for input, as whoever brings it: a thread of the kernel.
    pub fn wait_for_input_room(&self) {
        self.feeders.wait_while(|| !self.state.lock().line.has_room());
    }

    /// Whether there is room for input.
    #[must_use]
    pub fn has_input_room(&self) -> bool {
        self.state.lock().line.has_room()
    }

    /// Whether an echo waits that the line would take.
    #[must_use]
    pub fn has_echoes_to_send(&self) -> bool {
        let mut state = self.state.lock();
        !state.line.is_stopped() && !state.line.echoes().is_empty() && state.driver.room() > 0
    }

    /// Sends echoes that waited.
    pub fn send_echoes(&self) {
        self.state.lock().takes_output();
    }

    /// The line has taken some of what waited for it, or may do so again.
    pub fn output_moved(&self) {
        self.writers.wake_all();
        self.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
    }

    /// Ends what programs do with it: those who have it open find it at its end, and nobody's input and settings are left.
    pub fn hang_up(&self) {
        {
            let mut state = self.state.lock();
            state.hang_ups = state.hang_ups.wrapping_add(1);
            state.exclusive = false;
            state.line.flush_input();
            state.line.set(self.usual);
            state.line.stop(false);
        }
        self.tell_all();
    }

    /// Something has changed that everybody who waits should look at.
    pub(super) fn tell_all(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
        self.feeders.wake_all();
        self.watchers.notify(Readiness::all());
    }

    fn tell_readers(&self) {
        self.readers.wake_all();
        self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
    }

    /// read(2). `alive` tells whether the file was hung up.
    pub(super) fn read(
        &self,
        alive: impl Fn(&State<D>) -> bool,
        blocking: Blocking,
        sink: &mut dyn Sink,
    ) -> Result<usize, FileError> {
        if sink.room() == 0 {
            return Ok(0);
        }
        S::check_foreground(self.number, Signal::TTIN)?;
        let _reading = self.begin(Side::Reading, &alive, blocking)?;
        let settings = *self.state.lock().line.settings();
        let (canonical, minimum, time_ns) = (settings.is_canonical(), settings.minimum(), settings.time_ns());
        // Time without a minimum is the time for the first byte, time with one that between bytes.
        let mut deadline_ns = (!canonical && minimum == 0).then(|| deadline(time_ns, S::now_ns()));
        let mut done = 0_usize;
        while sink.room() > 0 {
            match self.take(&alive, sink) {
                Ok(Found::Bytes { count, ends }) => {
                    done = done.saturating_add(count);
                    if ends {
                        break;
                    }
                    if !canonical && minimum > 0 && time_ns > 0 {
                        deadline_ns = Some(deadline(time_ns, S::now_ns()));
                    }
                }
                Ok(Found::HungUp) => break,
                Ok(Found::Nothing) if !canonical && done >= minimum.max(1) => break,
                Ok(Found::Nothing) if deadline_ns.is_some_and(|end_ns| end_ns <= S::now_ns()) => break,
                Ok(Found::Nothing) if blocking == Blocking::No => return some_or(done, FileError::WouldBlock),
                Ok(Found::Nothing) if S::is_interrupted() => return some_or(done, FileError::Interrupted),
                Ok(Found::Nothing) => self.wait_for_input(&alive, deadline_ns),
                Err(error) => return some_or(done, error),
            }
        }
        Ok(done)
    }

    fn wait_for_input(&self, alive: &impl Fn(&State<D>) -> bool, deadline_ns: Option<u64>) {
        let waits = || {
            let state = self.state.lock();
            !state.line.has_input(false) && alive(&state) && !S::is_interrupted()
        };
        match deadline_ns {
            // How it ended is seen by looking again.
            Some(end_ns) => {
                let _waited = self.readers.wait_while_until(end_ns, waits);
            }
            None => self.readers.wait_while(waits),
        }
    }

    /// Moves a piece of input to the reader.
    fn take(&self, alive: &impl Fn(&State<D>) -> bool, sink: &mut dyn Sink) -> Result<Found, FileError> {
        let mut piece = [0; READ_PIECE];
        let room = sink.room().min(READ_PIECE);
        let buffer = piece.get_mut(..room).unwrap_or_default();
        let found = {
            let state = self.state.lock();
            if !alive(&state) {
                return Ok(Found::HungUp);
            }
            if !state.line.has_input(false) {
                return Ok(Found::Nothing);
            }
            state.line.look(buffer)
        };
        // Nobody else reads, so it is still there; only a flush may have come between.
        let count = match buffer.get(..found.bytes) {
            Some(bytes) if !bytes.is_empty() => sink.put(bytes)?,
            _ => 0,
        };
        let whole = count == found.bytes;
        {
            let mut state = self.state.lock();
            state.line.input.skip(if whole { found.read } else { count });
            state.unthrottle();
        }
        self.feeders.wake_all();
        Ok(Found::Bytes { count, ends: found.ends && whole })
    }

    /// write(2). `alive` tells whether the file was hung up.
    pub(super) fn write(
        &self,
        alive: impl Fn(&State<D>) -> bool,
        blocking: Blocking,
        source: &mut dyn Source,
    ) -> Result<usize, FileError> {
        if self.state.lock().line.settings().local.contains(super::LocalModes::STOP_BACKGROUND_OUTPUT) {
            S::check_foreground(self.number, Signal::TTOU)?;
        }
        let _writing = self.begin(Side::Writing, &alive, blocking)?;
        let mut done = 0_usize;
        while source.left() > 0 {
            if let Err(error) = self.wait_for_line(&alive, blocking) {
                return some_or(done, error);
            }
            let mut piece = [0; WRITE_PIECE];
            let length = source.left().min(WRITE_PIECE);
            let taken = match source.take(piece.get_mut(..length).unwrap_or_default()) {
                Ok(0) => break,
                Ok(taken) => taken,
                Err(fault) => return some_or(done, fault.into()),
            };
            self.state.lock().write(piece.get(..taken).unwrap_or_default());
            done = done.saturating_add(taken);
        }
        Ok(done)
    }

    /// Waits until the line takes output.
    fn wait_for_line(&self, alive: &impl Fn(&State<D>) -> bool, blocking: Blocking) -> Result<(), FileError> {
        let ready = || self.state.lock().takes_output();
        loop {
            if !alive(&self.state.lock()) {
                return Err(FileError::Io);
            }
            if ready() {
                return Ok(());
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            if S::is_interrupted() {
                return Err(FileError::Interrupted);
            }
            self.writers.wait_while(|| !ready() && alive(&self.state.lock()) && !S::is_interrupted());
        }
    }

    /// Waits until all output has left: `tcdrain(3)`.
    pub(super) fn drain(&self, alive: impl Fn(&State<D>) -> bool) -> Result<(), FileError> {
        let waits = || {
            let state = self.state.lock();
            state.driver.pending() > 0 && alive(&state)
        };
        self.writers.wait_while(|| waits() && !S::is_interrupted());
        if waits() { Err(FileError::Interrupted) } else { Ok(()) }
    }

    /// Waits for its turn to read or to write.
    fn begin(
        &self,
        side: Side,
        alive: &impl Fn(&State<D>) -> bool,
        blocking: Blocking,
    ) -> Result<Turn<'_, S, D>, FileError> {
        loop {
            {
                let mut state = self.state.lock();
                if !core::mem::replace(state.busy(side), true) {
                    return Ok(Turn { terminal: self, side });
                }
                if !alive(&state) {
                    // A read finds out by itself, and gets its end of file.
                    let turn = Turn { terminal: self, side: Side::None };
                    return (side == Side::Reading).then_some(turn).ok_or(FileError::Io);
                }
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            if S::is_interrupted() {
                return Err(FileError::Interrupted);
            }
            let waits = || {
                let mut state = self.state.lock();
                *state.busy(side) && alive(&state) && !S::is_interrupted()
            };
            self.queue(side).wait_while(waits);
        }
    }

    const fn queue(&self, side: Side) -> &WaitQueue<S> {
        match side {
            Side::Reading | Side::None => &self.readers,
            Side::Writing => &self.writers,
        }
    }

    /// What can be done without waiting.
    pub(super) fn readiness(&self) -> Readiness {
        let mut state = self.state.lock();
        let mut ready = Readiness::empty();
        if state.line.has_input(true) {
            ready |= Readiness::READ | Readiness::READ_NORMAL;
        }
        if state.takes_output() {
            ready |= Readiness::WRITE | Readiness::WRITE_NORMAL;
        }
        ready
    }

    /// Changes the settings, and with them what can be read.
    pub(super) fn set(&self, settings: &[u8; Settings::BYTES]) {
        {
            let mut state = self.state.lock();
            let changed = state.line.settings().changed(settings);
            state.line.set(changed);
            state.unthrottle();
        }
        self.tell_all();
    }

    /// Forgets input that was not read.
    pub(super) fn flush_input(&self) {
        {
            let mut state = self.state.lock();
            state.line.flush_input();
            state.unthrottle();
        }
        self.feeders.wake_all();
    }

    /// Forgets output that has not left.
    pub(super) fn flush_output(&self) {
        {
            let mut state = self.state.lock();
            state.line.echoes().clear();
            state.driver.discard();
        }
        self.output_moved();
    }

    /// Stops output, or lets it go on.
    pub(super) fn stop_output(&self, stopped: bool) {
        {
            let mut state = self.state.lock();
            state.line.stop(stopped);
            state.takes_output();
        }
        self.output_moved();
    }

    /// Tells the other side to stop sending, or to go on.
    pub(super) fn stop_input(&self, stopped: bool) {
        let mut state = self.state.lock();
        state.send_flow(if stopped { Special::Stop } else { Special::Start });
    }

    /// Sets the window's size. Whoever is in the foreground is told of a new one.
    pub(super) fn resize(&self, size: WindowSize) {
        let before = core::mem::replace(&mut self.state.lock().size, size);
        if before != size {
            S::signal_foreground(self.number, Signal::WINCH);
        }
    }
}

impl<D: Driver> State<D> {
    /// Takes from the front of `bytes` up to the first that asks for something; all, or what there is room for, otherwise.
    fn receive_some(&mut self, bytes: &mut &[u8]) -> Asked {
        let mut asked = Asked::Nothing;
        while let Some((&byte, rest)) = bytes.split_first() {
            if !self.line.has_room() {
                break;
            }
            *bytes = rest;
            asked = self.line.receive(byte);
            if let Asked::Signal { flush, .. } = asked {
                if flush {
                    self.driver.discard();
                    self.unthrottle();
                }
                break;
            }
        }
        self.throttle();
        self.takes_output();
        asked
    }

    /// Sends the echoes that wait, and says whether the line takes more.
    fn takes_output(&mut self) -> bool {
        if self.line.is_stopped() {
            return false;
        }
        while self.driver.room() > 0 {
            let echoes = self.line.echoes();
            if echoes.is_empty() {
                return true;
            }
            let (front, _) = echoes.as_slices();
            let count = front.len().min(self.driver.room());
            self.driver.put(front.get(..count).unwrap_or_default());
            echoes.drain(..count);
        }
        false
    }

    fn write(&mut self, bytes: &[u8]) {
        // One call of the driver for all of them: others may write to the line, too.
        let mut processed = heapless::Vec::<u8, { 8 * WRITE_PIECE }>::new();
        for &byte in bytes {
            self.line.write(byte, &mut |bytes| {
                // There is room for eight times as many.
                let _fits = processed.extend_from_slice(bytes);
            });
        }
        self.driver.put(&processed);
    }

    fn throttle(&mut self) {
        let room = CAPACITY.saturating_sub(self.line.input.len());
        if !self.throttled && room < THROTTLE_ROOM && self.line.settings().input.contains(InputModes::STOP_INPUT) {
            self.throttled = true;
            self.send_flow(Special::Stop);
        }
    }

    fn unthrottle(&mut self) {
        if self.throttled && self.line.input.len() <= UNTHROTTLE_LEFT {
            self.throttled = false;
            self.send_flow(Special::Start);
        }
    }

    fn send_flow(&mut self, special: Special) {
        let byte = self.line.settings().character(special);
        if byte != 0 {
            self.driver.put(&[byte]);
        }
    }

    fn busy(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Reading | Side::None => &mut self.reading,
            Side::Writing => &mut self.writing,
        }
    }
}

/// What somebody does with a terminal, alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Reading,
    Writing,
    /// Nothing: it was hung up.
    None,
}

/// The right to read or to write. Dropping it lets the next one.
struct Turn<'a, S: JobControl, D: Driver> {
    terminal: &'a Terminal<S, D>,
    side: Side,
}

impl<S: JobControl, D: Driver> Drop for Turn<'_, S, D> {
    fn drop(&mut self) {
        if self.side != Side::None {
            *self.terminal.state.lock().busy(self.side) = false;
            self.terminal.queue(self.side).wake_all();
        }
    }
}

/// What was done, or why nothing was.
fn some_or(done: usize, error: FileError) -> Result<usize, FileError> {
    if done > 0 { Ok(done) } else { Err(error) }
}

const fn deadline(time_ns: u64, now_ns: u64) -> u64 {
    now_ns.saturating_add(time_ns)
}
