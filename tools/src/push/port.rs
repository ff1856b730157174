//! A serial port: bytes, patience, speed.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use abi::push::FIRST_BAUD;
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

    /// The time by which patience is counted.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A port of this machine.
pub struct Serial {
    path: PathBuf,
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
        let port = port.map_err(|error| {
            let hint = hint(io::Error::from(error.clone()).kind());
            anyhow::anyhow!("cannot open {}: {error}{hint}", path.display())
        })?;
        Ok(Self { path: path.to_owned(), port, received: VecDeque::new(), baud: FIRST_BAUD })
    }

    /// What a port says that went away means.
    fn gone(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{} is gone: {error}", self.path.display()))
    }
}

/// What to do about a port that cannot be opened.
const fn hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "; `ls /dev/ttyUSB* /dev/ttyACM*` shows the adapters that are plugged in",
        io::ErrorKind::PermissionDenied => {
            "; it belongs to a group that you are not in (`ls -l` says which; on Debian `sudo adduser $USER dialout`, then log in \
             anew)"
        }
        _ => "",
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
                Ok(0) => return Err(self.gone(&io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.received.extend(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                    if left.is_zero() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(self.gone(&error)),
            }
        }
        Ok(self.received.pop_front())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // At the line's speed it may take longer than any time-out for reading.
        self.port.set_timeout(Duration::from_secs(30))?;
        let written = self.port.write_all(bytes).and_then(|()| self.port.flush());
        written.map_err(|error| self.gone(&error))
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        if self.baud != baud {
            self.port.set_baud_rate(baud)?;
            self.baud = baud;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn a_port_that_is_not_there_and_one_that_goes_are_named() {
        let error = Serial::open(Path::new("/dev/tty-of-nobody")).err().unwrap().to_string();
        assert!(error.contains("/dev/tty-of-nobody") && error.contains("plugged in"), "{error}");

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let mut port = Serial::open(Path::new(&path)).unwrap();
        drop(File::from(master));
        let errors = [port.read(Duration::from_secs(1)).unwrap_err(), port.write(b"x").unwrap_err()];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.starts_with(&format!("{path} is gone: ")), "{error}");
        }
    }
}
