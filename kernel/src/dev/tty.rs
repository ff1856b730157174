//! The console as a device that programs open: `/dev/console` and `/dev/tty`.
//!
//! It has the manners of a terminal that a shell and a C library rely on: output gets a carriage return before each line feed,
//! input comes as it is typed, with carriage returns as line feeds, and is echoed. Requests that ask for its settings and its
//! size are answered.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::{Blocking, FileError, FileOperations, Sink, Source};
use kcore::hal::UserMemory;
use linux_raw_sys::ioctl;

use super::uart;
use crate::log::console;
use crate::task;

/// Bytes that are moved at a time.
const PIECE: usize = 256;

struct Console;

/// The device.
pub(crate) fn console() -> Arc<dyn FileOperations> {
    Arc::new(Console)
}

impl FileOperations for Console {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if sink.room() == 0 {
            return Ok(0);
        }
        if blocking == Blocking::No && console::is_input_empty() {
            return Err(FileError::WouldBlock);
        }
        let mut done = 0;
        while done < sink.room() {
            // Only the first byte is waited for.
            let next = if done == 0 { uart::read_byte_unless(task::is_interrupted) } else { console::read() };
            let Some(byte) = next else { break };
            let byte = if byte == b'\r' { b'\n' } else { byte };
            console::write_text(&[byte]);
            done += sink.put(&[byte])?;
            if byte == b'\n' {
                break;
            }
        }
        if done == 0 { Err(FileError::Interrupted) } else { Ok(done) }
    }

    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let mut done = 0;
        while source.left() > 0 {
            let mut piece = [0; PIECE];
            let length = source.left().min(PIECE);
            match source.take(&mut piece[..length]) {
                Ok(0) => break,
                Ok(taken) => {
                    console::write_text(&piece[..taken]);
                    done += taken;
                }
                Err(_) if done > 0 => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(done)
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        let to = UserAddr::new(argument);
        match request {
            ioctl::TCGETS => memory.copy_out(&settings(), to)?,
            ioctl::TIOCGWINSZ => memory.copy_out(&[0; 8], to)?,
            ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETSF | ioctl::TCFLSH | ioctl::TCSBRK | ioctl::TIOCSWINSZ => {}
            _ => return Err(FileError::NotTty),
        }
        Ok(0)
    }
}

/// `struct termios` of the kernel's own layout: ICRNL and IXON, OPOST and ONLCR, 115200 baud with 8 bits and the receiver on,
/// ISIG, ICANON, ECHO and their kin, and the usual control characters.
fn settings() -> [u8; 36] {
    const MODES: [u32; 4] = [0o2400, 0o5, 0o10002 | 0o260, 0o105073];
    const CHARACTERS: [u8; 19] = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];
    let mut bytes = [0; 36];
    for (word, mode) in bytes.chunks_exact_mut(4).zip(MODES) {
        word.copy_from_slice(&mode.to_le_bytes());
    }
    bytes[17..].copy_from_slice(&CHARACTERS);
    bytes
}
