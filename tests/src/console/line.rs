//! The stream under a console: a pipe pair, a pseudo-terminal or a serial port.
//!
//! Reading waits for a moment and then says `WouldBlock`, because `expectrl` asks again without a pause. Trace frames
//! are taken out here, so that whoever expects text sees only text.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use anyhow::Context as _;
use expectrl::process::NonBlocking;
use expectrl::session::OsStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tools::demux::{Demux, Piece};

/// How long one read waits.
const MOMENT: Duration = Duration::from_millis(20);
/// The line speed of the console.
const BAUD: u32 = 115_200;

/// A stream of text from and to a board.
pub(super) struct Line {
    port: Port,
    demux: Demux,
    text: VecDeque<u8>,
    frames: Vec<Vec<u8>>,
    transcript: Vec<u8>,
    /// The last read brought something: whoever reads in a loop wants to hear of its end at once.
    flowing: bool,
}

pub(super) enum Port {
    Pipes(ChildStdin, ChildStdout),
    Terminal(OsStream),
    Serial(serialport::TTYPort),
}

impl Line {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            demux: Demux::default(),
            text: VecDeque::new(),
            frames: Vec::new(),
            transcript: Vec::new(),
            flowing: false,
        }
    }

    /// The serial port at `path`.
    pub(super) fn open(path: &str) -> anyhow::Result<Self> {
        let port = serialport::new(path, BAUD).timeout(MOMENT).open_native();
        Ok(Self::new(Port::Serial(port.with_context(|| format!("cannot open {path}"))?)))
    }

    pub(super) fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    pub(super) fn transcript(&self) -> &[u8] {
        &self.transcript
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.transcript.extend(bytes);
        for piece in self.demux.push(bytes) {
            match piece {
                Piece::Text(text) => self.text.extend(text),
                Piece::Frame(frame) => self.frames.push(frame),
            }
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.text.is_empty() {
            let moment = if self.flowing { Duration::ZERO } else { MOMENT };
            self.flowing = false;
            let mut bytes = [0; 4096];
            let count = self.port.read_within(&mut bytes, moment)?;
            if count == 0 {
                return Ok(0);
            }
            self.flowing = true;
            self.take_in(&bytes[..count]);
            if self.text.is_empty() {
                // Frames only. No text is not the end of the text.
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        self.text.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.port {
            Port::Pipes(input, _) => input.write(bytes),
            Port::Terminal(stream) => stream.write(bytes),
            Port::Serial(port) => port.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.port {
            Port::Pipes(input, _) => input.flush(),
            Port::Terminal(stream) => stream.flush(),
            Port::Serial(port) => port.flush(),
        }
    }
}

impl NonBlocking for Line {
    /// Reads never block for long.
    fn set_blocking(&mut self, _on: bool) -> io::Result<()> {
        Ok(())
    }
}

impl Port {
    /// What is there to read; zero at the end of the stream.
    fn read_within(&mut self, bytes: &mut [u8], moment: Duration) -> io::Result<usize> {
        match self {
            Self::Pipes(_, output) => {
                wait_readable(output.as_fd(), moment)?;
                output.read(bytes)
            }
            Self::Terminal(stream) => {
                wait_readable(stream.as_fd(), moment)?;
                ended_is_end(stream.read(bytes))
            }
            Self::Serial(port) => match port.read(bytes) {
                Err(error) if error.kind() == ErrorKind::TimedOut => Err(ErrorKind::WouldBlock.into()),
                // An adapter that was pulled out.
                Ok(0) => Err(io::Error::other(format!("the serial port is gone (fd {})", port.as_raw_fd()))),
                result => result,
            },
        }
    }
}

fn wait_readable(fd: BorrowedFd<'_>, moment: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(moment).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout))? {
        0 => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// On Linux the end of a terminal's other side is an I/O error.
fn ended_is_end(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(0),
        result => result,
    }
}
