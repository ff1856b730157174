//! The line discipline: what becomes of each byte that is typed.
//!
//! It is what Linux's `N_TTY` does, as termios(3) describes it and programs rely on it: line editing, echo, the characters
//! that are signals, flow control. It is plain data: the terminal around it has the lock, the driver and the waiting.

use alloc::collections::VecDeque;

use super::input::{Input, Piece};
use super::output::{Output, is_continuation, is_control, to_next_tab};
use super::settings::{InputModes, LocalModes, Settings, Special};
use crate::signal::Signal;

/// Bytes of echo that can wait for the line; what is typed beyond is not shown.
const ECHOES: usize = 4096;
/// The most that one byte becomes on its way out.
const MOST_PER_BYTE: usize = 8;
/// What takes a character off the screen.
const RUB_OUT: &[u8] = b"\x08 \x08";

/// Settings, input, and the echoes that wait for the line.
pub(super) struct Discipline {
    settings: Settings,
    pub(super) input: Input,
    output: Output,
    /// As they go to the line.
    echoes: VecDeque<u8>,
    /// Where the echo of the line being edited began.
    line_column: usize,
    /// The next byte means nothing special.
    literal: bool,
    /// Output is held up by the stop character, or by `TCXONC`.
    stopped: bool,
}

/// What a byte asks of the terminal around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// A signal to whoever is in the foreground, and with `flush` output that has not left is to be forgotten.
    Signal { signal: Signal, flush: bool },
}

/// The characters that erase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

impl Discipline {
    /// With nothing typed; `None` without memory.
    pub(super) fn new(settings: Settings) -> Option<Self> {
        let mut echoes = VecDeque::new();
        echoes.try_reserve_exact(ECHOES).ok()?;
        Some(Self {
            settings,
            input: Input::new()?,
            output: Output::default(),
            echoes,
            line_column: 0,
            literal: false,
            stopped: false,
        })
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings. What was typed so far becomes a line where lines begin, and loses its ends where they end.
    pub(super) fn set(&mut self, settings: Settings) {
        let was = core::mem::replace(&mut self.settings, settings).is_canonical();
        match (was, settings.is_canonical()) {
            (false, true) => self.input.begin_lines(),
            (true, false) => self.input.end_lines(),
            _ => {}
        }
        if was != settings.is_canonical() {
            self.literal = false;
        }
        if !settings.input.contains(InputModes::STOP_OUTPUT) {
            self.stopped = false;
        }
    }

    /// Whether output is held up.
    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Whether the next byte can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.input.has_room(self.settings.is_canonical())
    }

    /// Whether a read finds something. A poll(2) without a time-out between bytes wants as many as a read does.
    pub(super) fn has_input(&self, polled: bool) -> bool {
        if self.settings.is_canonical() {
            return self.input.lines_len() > 0;
        }
        let least = if polled && self.settings.time_ns() == 0 { self.settings.minimum().max(1) } else { 1 };
        self.input.len() >= least
    }

    /// How many bytes a read would get: `FIONREAD`.
    pub(super) fn readable(&self) -> usize {
        if self.settings.is_canonical() { self.input.readable_of_lines() } else { self.input.len() }
    }

    /// Shows what a read gets next.
    pub(super) fn look(&self, buffer: &mut [u8]) -> Piece {
        if self.settings.is_canonical() { self.input.look_at_line(buffer) } else { self.input.look(buffer) }
    }

    /// Forgets what was typed and not read.
    pub(super) fn flush_input(&mut self) {
        self.input.clear();
        self.literal = false;
    }

    /// The echoes that wait for the line, for the driver to take from the front.
    pub(super) fn echoes(&mut self) -> &mut VecDeque<u8> {
        &mut self.echoes
    }

    /// Processes a byte of output.
    pub(super) fn write(&mut self, byte: u8, to: &mut impl FnMut(&[u8])) {
        self.output.process(&self.settings, byte, to);
    }

    /// Takes a byte that was typed. [`has_room`](Self::has_room) was asked.
    pub(super) fn receive(&mut self, byte: u8) -> Asked {
        let byte = if self.has(InputModes::STRIP) { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal) {
            self.keep(byte, Shown::Character);
            return Asked::Nothing;
        }
        let lower = self.has(InputModes::TO_LOWER) && self.is(LocalModes::EXTENDED);
        let byte = if lower { byte.to_ascii_lowercase() } else { byte };
        if self.is(LocalModes::EXTERNAL) {
            self.input.push(byte);
            return Asked::Nothing;
        }
        if self.has(InputModes::STOP_OUTPUT) {
            if self.settings.is(Special::Start, byte) {
                self.stopped = false;
                return Asked::Nothing;
            }
            if self.settings.is(Special::Stop, byte) {
                self.stopped = true;
                return Asked::Nothing;
            }
        }
        if let Some(signal) = self.signal_of(byte) {
            return self.signal(byte, signal);
        }
        if self.has(InputModes::STOP_OUTPUT) && self.has(InputModes::ANY_STARTS) {
            self.stopped = false;
        }
        let byte = match byte {
            b'\r' if self.has(InputModes::IGNORE_RETURN) => return Asked::Nothing,
            b'\r' if self.has(InputModes::RETURN_TO_LINE_FEED) => b'\n',
            b'\n' if self.has(InputModes::LINE_FEED_TO_RETURN) => b'\r',
            other => other,
        };
        if !(self.settings.is_canonical() && self.edit(byte)) {
            self.keep(byte, if byte == b'\n' { Shown::Plain } else { Shown::Character });
        }
        Asked::Nothing
    }

    fn has(&self, mode: InputModes) -> bool {
        self.settings.input.contains(mode)
    }

    fn is(&self, mode: LocalModes) -> bool {
        self.settings.local.contains(mode)
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        if !self.is(LocalModes::SIGNALS) {
            return None;
        }
        let signals =
            [(Special::Interrupt, Signal::INT), (Special::Quit, Signal::QUIT), (Special::Suspend, Signal::TSTP)];
        signals.into_iter().find_map(|(special, signal)| self.settings.is(special, byte).then_some(signal))
    }

    fn signal(&mut self, byte: u8, signal: Signal) -> Asked {
        let flush = !self.is(LocalModes::NO_FLUSH);
        if flush {
            self.flush_input();
            self.echoes.clear();
        }
        if self.has(InputModes::STOP_OUTPUT) {
            self.stopped = false;
        }
        if self.is(LocalModes::ECHO) {
            self.echo(byte, Shown::Character);
        }
        Asked::Signal { signal, flush }
    }

    /// Does what the byte means to the line being edited. Says whether it means anything.
    fn edit(&mut self, byte: u8) -> bool {
        let extended = self.is(LocalModes::EXTENDED);
        if self.settings.is(Special::Erase, byte) {
            self.erase(Erase::Character, byte);
        } else if self.settings.is(Special::Kill, byte) {
            self.erase(Erase::Line, byte);
        } else if extended && self.settings.is(Special::WordErase, byte) {
            self.erase(Erase::Word, byte);
        } else if extended && self.settings.is(Special::LiteralNext, byte) {
            self.literal = true;
            if self.is(LocalModes::ECHO) && self.is(LocalModes::ECHO_CONTROL) {
                self.echo(b'^', Shown::Plain);
                self.echo(0x08, Shown::Plain);
            }
        } else if extended && self.is(LocalModes::ECHO) && self.settings.is(Special::Reprint, byte) {
            self.reprint(byte);
        } else if byte == b'\n' {
            if self.is(LocalModes::ECHO) || self.is(LocalModes::ECHO_LINE_FEED) {
                self.echo(byte, Shown::Plain);
            }
            self.input.push_end(byte);
        } else if self.settings.is(Special::EndOfFile, byte) {
            self.input.push_end(0);
        } else if self.settings.is(Special::EndOfLine, byte)
            || (extended && self.settings.is(Special::SecondEndOfLine, byte))
        {
            self.echo_typed(byte, Shown::Character);
            self.double(byte);
            self.input.push_end(byte);
        } else {
            return false;
        }
        true
    }

    /// Keeps a byte that is just that.
    fn keep(&mut self, byte: u8, shown: Shown) {
        self.echo_typed(byte, shown);
        self.double(byte);
        self.input.push(byte);
    }

    /// 255 marks errors where it is asked to, and then stands twice for itself.
    fn double(&mut self, byte: u8) {
        if byte == 0xff && self.has(InputModes::MARK_ERRORS) && !self.has(InputModes::STRIP) {
            self.input.push(byte);
        }
    }

    fn echo_typed(&mut self, byte: u8, shown: Shown) {
        if !self.is(LocalModes::ECHO) {
            return;
        }
        if self.input.edited_len() == 0 {
            self.line_column = self.output.column;
        }
        self.echo(byte, shown);
    }

    /// Puts what shows `byte` behind the other echoes.
    fn echo(&mut self, byte: u8, shown: Shown) {
        let room = ECHOES.saturating_sub(self.echoes.len());
        if room < MOST_PER_BYTE {
            return;
        }
        let echoes = &mut self.echoes;
        let visible = shown == Shown::Character && is_control(byte) && byte != b'\t';
        if visible && self.settings.local.contains(LocalModes::ECHO_CONTROL) {
            echoes.extend([b'^', byte ^ 0x40]);
            self.output.column = self.output.column.wrapping_add(2);
        } else {
            self.output.process(&self.settings, byte, &mut |bytes| echoes.extend(bytes));
        }
    }

    fn echo_all(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.echo(byte, Shown::Plain));
    }

    fn erase(&mut self, what: Erase, byte: u8) {
        if self.input.edited_len() == 0 {
            return;
        }
        let erases = self.is(LocalModes::ECHO_ERASE);
        let shows_it = self.is(LocalModes::ECHO_KILL) && self.is(LocalModes::ECHO_KILL_ERASE) && erases;
        if what == Erase::Line && !(self.is(LocalModes::ECHO) && shows_it) {
            self.input.kill();
            if self.is(LocalModes::ECHO) {
                self.echo(byte, Shown::Character);
                if self.is(LocalModes::ECHO_KILL) {
                    self.echo(b'\n', Shown::Plain);
                }
            }
            return;
        }
        let mut in_word = false;
        while let Some(erased) = self.last_character() {
            if what == Erase::Word {
                let of_word = erased.is_ascii_alphanumeric() || erased == b'_' || erased >= 0x80;
                if in_word && !of_word {
                    return;
                }
                in_word |= of_word;
            }
            self.drop_last_character();
            if self.is(LocalModes::ECHO) {
                if what == Erase::Character && !erases {
                    self.echo(byte, Shown::Character);
                } else {
                    self.rub_out(erased);
                }
            }
            if what == Erase::Character {
                return;
            }
        }
    }

    /// The first byte of the line's last character; `None` in an empty line, and before bytes that belong to none.
    fn last_character(&self) -> Option<u8> {
        let bytes = (0..self.input.edited_len()).rev().map(|index| self.input.edited_at(index));
        bytes.into_iter().find(|&byte| !is_continuation(&self.settings, byte))
    }

    fn drop_last_character(&mut self) {
        while let Some(byte) = self.input.pop() {
            if !is_continuation(&self.settings, byte) {
                return;
            }
        }
    }

    /// Takes a character off the screen that was erased from the line.
    fn rub_out(&mut self, erased: u8) {
        if erased == b'\t' {
            let to = self.column_of_line_end();
            let back = self.output.column.saturating_sub(to).min(MOST_PER_BYTE);
            (0..back).for_each(|_| self.echo(0x08, Shown::Plain));
            return;
        }
        if !is_control(erased) {
            self.echo_all(RUB_OUT);
        } else if self.is(LocalModes::ECHO_CONTROL) {
            self.echo_all(RUB_OUT);
            self.echo_all(RUB_OUT);
        }
    }

    /// Where the echo of the line being edited ends.
    fn column_of_line_end(&self) -> usize {
        let mut column = self.line_column;
        for byte in self.input.edited() {
            let width = match byte {
                b'\t' => to_next_tab(column),
                _ if is_control(byte) => {
                    if self.is(LocalModes::ECHO_CONTROL) {
                        2
                    } else {
                        0
                    }
                }
                _ if is_continuation(&self.settings, byte) => 0,
                _ => 1,
            };
            column = column.wrapping_add(width);
        }
        column
    }

    fn reprint(&mut self, byte: u8) {
        self.echo(byte, Shown::Character);
        self.echo(b'\n', Shown::Plain);
        self.line_column = self.output.column;
        for index in 0..self.input.edited_len() {
            let byte = self.input.edited_at(index);
            self.echo(byte, Shown::Character);
        }
    }
}

/// How a byte is echoed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As it is.
    Plain,
    /// So that one sees what it is.
    Character,
}
