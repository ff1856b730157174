//! A terminal over a line that remembers what it was given, and processes that use it.

use std::collections::VecDeque;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use crate::fs::{Blocking, BufferSink, BufferSource, FileError, FileOperations, OpenFlags};
use crate::hal::{UserFault, UserMemory};
use crate::proc::fake::{Fake, World};
use crate::tty::{Driver, Opening, Settings, Terminal, TerminalFile};

/// What went to the line.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) sent: Vec<u8>,
    /// How much more it takes.
    pub(super) room: usize,
    pub(super) discarded: usize,
}

impl Driver for Wire {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) {
        self.sent.extend(bytes);
        self.room = self.room.saturating_sub(bytes.len());
    }

    fn pending(&self) -> usize {
        if self.room == 0 { 1 } else { 0 }
    }

    fn discard(&mut self) {
        self.discarded += 1;
    }
}

pub(super) type File = TerminalFile<Fake, Wire>;
pub(super) type Thread = Arc<crate::proc::Thread<Fake>>;

/// The number of the terminal.
pub(super) const NUMBER: u64 = 77;

pub(super) fn terminal(settings: Settings) -> Arc<Terminal<Fake, Wire>> {
    Arc::new(Terminal::new(NUMBER, settings, Wire { room: 1 << 20, ..Wire::default() }).unwrap())
}

/// Opens it without more ado.
pub(super) fn open(terminal: &Arc<Terminal<Fake, Wire>>) -> Arc<File> {
    TerminalFile::open(terminal, Opening::Terminal, OpenFlags::READ_WRITE | OpenFlags::NO_CONTROLLING_TERMINAL).unwrap()
}

/// Opens it as a session's leader does.
pub(super) fn open_as_leader(
    world: &'static World,
    leader: &Thread,
    terminal: &Arc<Terminal<Fake, Wire>>,
) -> Arc<File> {
    world.act(leader, || TerminalFile::open(terminal, Opening::Terminal, OpenFlags::READ_WRITE).unwrap())
}

pub(super) fn read(file: &File, room: usize, blocking: Blocking) -> Result<String, FileError> {
    let mut buffer = std::vec![0; room];
    let count = file.read(0, blocking, &mut BufferSink::new(&mut buffer))?;
    Ok(String::from_utf8_lossy(&buffer[..count]).to_string())
}

pub(super) fn write(file: &File, bytes: &[u8], blocking: Blocking) -> Result<usize, FileError> {
    file.write(0, blocking, &mut BufferSource::new(bytes))
}

pub(super) fn sent(terminal: &Terminal<Fake, Wire>) -> Vec<u8> {
    terminal.with_driver(|wire| core::mem::take(&mut wire.sent))
}

/// Waits for what another host thread does.
pub(super) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

/// A program's memory: numbers for `ioctl`, taken and given in turn.
#[derive(Default)]
pub(super) struct Words(std::sync::Mutex<VecDeque<Vec<u8>>>);

impl Words {
    pub(super) fn with(bytes: &[u8]) -> Self {
        Self(std::sync::Mutex::new(VecDeque::from([bytes.to_vec()])))
    }

    pub(super) fn number(&self) -> u32 {
        let bytes = self.0.lock().unwrap().pop_front().unwrap();
        u32::from_le_bytes(bytes.try_into().unwrap())
    }
}

impl UserMemory for Words {
    fn copy_in(&self, from: crate::addr::UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
        let bytes = self.0.lock().unwrap().pop_front().ok_or(UserFault { at: from })?;
        to.copy_from_slice(&bytes[..to.len()]);
        Ok(())
    }

    fn copy_out(&self, from: &[u8], _to: crate::addr::UserAddr) -> Result<(), UserFault> {
        self.0.lock().unwrap().push_back(from.to_vec());
        Ok(())
    }
}

pub(super) fn set(file: &File, settings: &Settings) -> Result<u64, FileError> {
    file.ioctl(crate::tty::request::TCSETS, 0, &Words::with(&settings.to_linux()))
}

pub(super) fn number(file: &File, request: u32) -> Result<u32, FileError> {
    let words = Words::default();
    file.ioctl(request, 0, &words)?;
    Ok(words.number())
}

pub(super) fn set_number(file: &File, request: u32, number: u32) -> Result<u64, FileError> {
    file.ioctl(request, 0, &Words::with(&number.to_le_bytes()))
}
