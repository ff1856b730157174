//! The second serial line of an emulated board, and what is traced on it.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context as _, bail};
use tools::qemu::Trace;
use tools::trace::{Decoder, Tables};

use crate::console::PATIENCE;

/// Listens for QEMU, which connects as it starts.
#[derive(Debug)]
pub struct TraceListener(TcpListener);

/// The line, once QEMU has connected.
pub struct TraceLine<'tables> {
    stream: TcpStream,
    decoder: Decoder<'tables>,
    lines: Vec<String>,
    bytes: usize,
}

impl TraceListener {
    /// Listens on a port that is free.
    ///
    /// # Errors
    ///
    /// When none can be had.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for the trace")?))
    }

    /// What QEMU has to be told.
    ///
    /// # Errors
    ///
    /// When the system does not tell the port.
    pub fn target(&self) -> anyhow::Result<Trace> {
        Ok(Trace::Socket(self.0.local_addr()?))
    }

    /// The line. The board has said something already, so QEMU has connected.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn accept(self, tables: &Tables) -> anyhow::Result<TraceLine<'_>> {
        self.0.set_nonblocking(true)?;
        let (stream, _) = self.0.accept().context("QEMU did not connect its second serial line")?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(TraceLine { stream, decoder: tables.decoder(), lines: Vec::new(), bytes: 0 })
    }
}

impl TraceLine<'_> {
    /// Waits for a record in which `text` stands, and gives all up to it and what came with it.
    ///
    /// # Errors
    ///
    /// When nothing is traced for [`PATIENCE`] before it comes, or the line ends.
    pub fn until(&mut self, text: &str) -> anyhow::Result<&[String]> {
        while !self.lines.iter().any(|line| line.contains(text)) {
            match self.receive() {
                Ok(0) => bail!("the trace ended without {text:?}: {:#?}", self.lines),
                Ok(_) => {}
                Err(error) => bail!("no {text:?} in the trace ({error}): {:#?}", self.lines),
            }
        }
        Ok(&self.lines)
    }

    /// Everything that was traced, up to the emulator's end, and how many bytes that was.
    ///
    /// # Errors
    ///
    /// When the line does not end.
    pub fn rest(mut self) -> anyhow::Result<(Vec<String>, usize)> {
        while self.receive()? > 0 {}
        Ok((self.lines, self.bytes))
    }

    fn receive(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        self.lines.extend(self.decoder.push(&buffer[..count]));
        self.bytes += count;
        Ok(count)
    }
}
