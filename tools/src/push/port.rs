//! A serial port: bytes, patience, speed.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use abi::push::FIRST_BAUD;
use anyhow::Context as _;
use serialport::SerialPort;

/// What a port has to do.
pub trait Port {
    /// The next byte, if one comes in time.
    ///
    /// # Errors
    ///
    /// Where the port is gone.
    fn read(&mut self, patience: Duration) -> io::Result<Option<u8>>;

    /// Sends bytes, and returns when they have left.
    ///
    /// # Errors
    ///
    /// Where the port is gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Changes the speed, in bits a second.
    ///
    /// # Errors
    ///
    /// Where the port cannot have it.
    fn set_baud(&mut self, baud: u32) -> io::Result<()>;
}

/// A port of this machine.
pub struct Serial {
    port: Box<dyn SerialPort>,
    received: VecDeque<u8>,
    baud: u32,
}

impl Serial {
    /// Opens it, at the speed at which everything begins.
    ///
    /// # Errors
    ///
    /// Where it is not there, or somebody else's.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let port = serialport::new(path.to_string_lossy(), FIRST_BAUD).open();
        let port = port.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { port, received: VecDeque::new(), baud: FIRST_BAUD })
    }
}

impl Port for Serial {
    fn read(&mut self, patience: Duration) -> io::Result<Option<u8>> {
        let end = Instant::now() + patience;
        let mut buffer = [0; 512];
        while self.received.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            // Zero would be a look without waiting, which some drivers do not know.
            self.port.set_timeout(left.clamp(Duration::from_millis(1), Duration::from_secs(1)))?;
            match self.port.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                    if left.is_zero() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.received.pop_front())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // At the line's speed it may take longer than any time-out for reading.
        self.port.set_timeout(Duration::from_secs(30))?;
        self.port.write_all(bytes)?;
        self.port.flush()
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        if self.baud != baud {
            self.port.set_baud_rate(baud)?;
            self.baud = baud;
        }
        Ok(())
    }
}
