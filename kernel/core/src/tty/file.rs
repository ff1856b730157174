//! A terminal as a program has it open.

use alloc::sync::Arc;

use super::job::JobControl;
use super::request;
use super::settings::{Settings, WindowSize};
use super::terminal::{Driver, State, Terminal};
use crate::addr::UserAddr;
use crate::fs::{Blocking, DeviceNumber, FileError, FileOperations, OpenFlags, Readiness, Sink, Source, Watched};
use crate::hal::UserMemory;
use crate::signal::Signal;

/// By which name a terminal is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Its own: a session's leader without a terminal gets it as the controlling one, and a hang-up ends the file's use.
    Terminal,
    /// `/dev/tty`: a hang-up ends its use, too.
    Controlling,
    /// `/dev/console`: for messages, whatever becomes of sessions.
    Console,
}

/// A terminal in somebody's hands.
pub struct TerminalFile<S: JobControl, D: Driver> {
    terminal: Arc<Terminal<S, D>>,
    opening: Opening,
    /// How often the terminal had been hung up when this was opened.
    hang_ups: u32,
}

impl<S: JobControl, D: Driver> TerminalFile<S, D> {
    /// What a device node stands for: each opening of it is [`open`](Self::open).
    #[must_use]
    pub fn node(terminal: Arc<Terminal<S, D>>, opening: Opening) -> Arc<Self> {
        Arc::new(Self { terminal, opening, hang_ups: 0 })
    }

    /// Opens the terminal.
    ///
    /// # Errors
    ///
    /// [`Busy`](FileError::Busy) if somebody wants it for himself and the caller is not root.
    pub fn open(terminal: &Arc<Terminal<S, D>>, opening: Opening, flags: OpenFlags) -> Result<Arc<Self>, FileError> {
        let hang_ups = {
            let state = terminal.state();
            if state.exclusive && opening == Opening::Terminal && !S::is_root() {
                return Err(FileError::Busy);
            }
            state.hang_ups
        };
        let may_control = opening == Opening::Terminal && flags.is_readable();
        if may_control && !flags.contains(OpenFlags::NO_CONTROLLING_TERMINAL) && S::own_terminal().is_none() {
            // Who leads no session has only opened it.
            let _acquired = S::acquire(terminal.number(), false);
        }
        Ok(Arc::new(Self { terminal: Arc::clone(terminal), opening, hang_ups }))
    }

    /// The terminal.
    #[must_use]
    pub const fn terminal(&self) -> &Arc<Terminal<S, D>> {
        &self.terminal
    }

    fn alive(&self) -> impl Fn(&State<D>) -> bool + use<S, D> {
        let (opening, hang_ups) = (self.opening, self.hang_ups);
        move |state| opening == Opening::Console || state.hang_ups == hang_ups
    }

    fn is_alive(&self) -> bool {
        self.alive()(&self.terminal.state())
    }

    fn settings(&self) -> Settings {
        *self.terminal.state().line.settings()
    }

    /// What changes the terminal is not for groups in the background.
    fn check_change(&self) -> Result<(), FileError> {
        S::check_foreground(self.terminal.number(), Signal::TTOU)
    }

    fn set(&self, from: UserAddr, memory: &dyn UserMemory, when: When) -> Result<u64, FileError> {
        self.check_change()?;
        let mut settings = [0; Settings::BYTES];
        memory.copy_in(from, &mut settings)?;
        if when != When::Now {
            self.terminal.drain(self.alive())?;
        }
        if when == When::DrainedAndFlushed {
            self.terminal.flush_input();
        }
        self.terminal.set(&settings);
        Ok(0)
    }

    fn flush(&self, queues: u64) -> Result<u64, FileError> {
        self.check_change()?;
        match queues {
            0 => self.terminal.flush_input(),
            1 => self.terminal.flush_output(),
            2 => {
                self.terminal.flush_input();
                self.terminal.flush_output();
            }
            _ => return Err(FileError::Invalid),
        }
        Ok(0)
    }

    fn flow(&self, what: u64) -> Result<u64, FileError> {
        self.check_change()?;
        match what {
            0 => self.terminal.stop_output(true),
            1 => self.terminal.stop_output(false),
            2 => self.terminal.stop_input(true),
            3 => self.terminal.stop_input(false),
            _ => return Err(FileError::Invalid),
        }
        Ok(0)
    }

    /// Types a byte, at one's own terminal.
    fn type_byte(&self, from: UserAddr, memory: &dyn UserMemory) -> Result<u64, FileError> {
        if !self.is_own() && !S::is_root() {
            return Err(FileError::NotPermitted);
        }
        let mut byte = [0];
        memory.copy_in(from, &mut byte)?;
        // Where there is no room it is lost, as any other that nobody holds up.
        let _taken = self.terminal.receive(&byte);
        Ok(0)
    }

    fn is_own(&self) -> bool {
        S::own_terminal() == Some(self.terminal.number())
    }

    /// The session and the foreground group, for its own processes.
    fn session_and_foreground(&self) -> Result<(u32, u32), FileError> {
        if !self.is_own() {
            return Err(FileError::NotTty);
        }
        S::session_and_foreground(self.terminal.number()).ok_or(FileError::NotTty)
    }

    fn set_foreground(&self, from: UserAddr, memory: &dyn UserMemory) -> Result<u64, FileError> {
        if !self.is_own() {
            return Err(FileError::NotTty);
        }
        // From a group that nobody can continue the answer is another one than usual.
        self.check_change().map_err(|error| if error == FileError::Io { FileError::NotTty } else { error })?;
        let group = i32::from_le_bytes(number_in(from, memory)?);
        let group = u32::try_from(group).map_err(|_| FileError::Invalid)?;
        S::set_foreground(self.terminal.number(), group)?;
        Ok(0)
    }

    fn hang_up(&self) -> Result<u64, FileError> {
        if !S::is_root() {
            return Err(FileError::NotPermitted);
        }
        self.terminal.hang_up();
        Ok(0)
    }

    fn set_exclusive(&self, exclusive: bool) -> u64 {
        self.terminal.state().exclusive = exclusive;
        0
    }
}

/// When settings are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    Drained,
    DrainedAndFlushed,
}

fn number_in(from: UserAddr, memory: &dyn UserMemory) -> Result<[u8; 4], FileError> {
    let mut number = [0; 4];
    memory.copy_in(from, &mut number)?;
    Ok(number)
}

fn number_out(number: u32, to: UserAddr, memory: &dyn UserMemory) -> Result<u64, FileError> {
    memory.copy_out(&number.to_le_bytes(), to)?;
    Ok(0)
}

/// A count as an `int`.
fn count_out(count: usize, to: UserAddr, memory: &dyn UserMemory) -> Result<u64, FileError> {
    number_out(u32::try_from(count).unwrap_or(u32::MAX), to, memory)
}

impl<S: JobControl, D: Driver> FileOperations for TerminalFile<S, D> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.terminal.read(self.alive(), blocking, sink)
    }

    fn write(&self, _at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        self.terminal.write(self.alive(), blocking, source)
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        if !self.is_alive() {
            return Err(if request == request::TIOCSPGRP { FileError::NotTty } else { FileError::Io });
        }
        let at = UserAddr::new(argument);
        let terminal = &*self.terminal;
        match request {
            request::TCGETS => memory.copy_out(&self.settings().to_linux(), at)?,
            request::TCGETS2 => memory.copy_out(&self.settings().to_linux2(), at)?,
            // The speeds behind the rest of a `struct termios2` cannot be changed.
            request::TCSETS | request::TCSETS2 => return self.set(at, memory, When::Now),
            request::TCSETSW | request::TCSETSW2 => return self.set(at, memory, When::Drained),
            request::TCSETSF | request::TCSETSF2 => return self.set(at, memory, When::DrainedAndFlushed),
            request::TCSBRK | request::TCSBRKP => {
                self.check_change()?;
                terminal.drain(self.alive())?;
            }
            request::TCXONC => return self.flow(argument),
            request::TCFLSH => return self.flush(argument),
            request::TIOCEXCL => return Ok(self.set_exclusive(true)),
            request::TIOCNXCL => return Ok(self.set_exclusive(false)),
            request::TIOCGEXCL => {
                let exclusive = terminal.state().exclusive;
                return number_out(exclusive.into(), at, memory);
            }
            request::TIOCSCTTY => S::acquire(terminal.number(), argument == 1)?,
            request::TIOCNOTTY => S::release(terminal.number())?,
            request::TIOCGPGRP => return number_out(self.session_and_foreground()?.1, at, memory),
            request::TIOCGSID => return number_out(self.session_and_foreground()?.0, at, memory),
            request::TIOCSPGRP => return self.set_foreground(at, memory),
            request::TIOCOUTQ => {
                let pending = terminal.with_driver(|driver| driver.pending());
                return count_out(pending, at, memory);
            }
            request::FIONREAD => {
                let readable = terminal.state().line.readable();
                return count_out(readable, at, memory);
            }
            request::TIOCSTI => return self.type_byte(at, memory),
            request::TIOCGWINSZ => {
                let size = terminal.state().size;
                memory.copy_out(&size.0, at)?;
            }
            request::TIOCSWINSZ => {
                let mut size = WindowSize::default();
                memory.copy_in(at, &mut size.0)?;
                terminal.resize(size);
            }
            request::TIOCGETD => return number_out(0, at, memory),
            request::TIOCSETD => {
                self.check_change()?;
                if number_in(at, memory)? != [0; 4] {
                    return Err(FileError::Invalid);
                }
            }
            // A device's number as 32 bits hold it.
            request::TIOCGDEV => {
                let number = DeviceNumber::decoded(terminal.number()).encoded();
                return number_out(u32::try_from(number).unwrap_or(u32::MAX), at, memory);
            }
            request::TIOCVHANGUP => return self.hang_up(),
            _ => return Err(FileError::NotTty),
        }
        Ok(0)
    }

    fn readiness(&self) -> Readiness {
        if self.is_alive() {
            return self.terminal.readiness();
        }
        Readiness::ALWAYS | Readiness::ERROR | Readiness::HANG_UP
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(self.terminal.watchers())
    }

    fn opened(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        Ok(Some(Self::open(&self.terminal, self.opening, flags)?))
    }
}
