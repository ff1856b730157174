//! Where a console is to be found, and a connection to it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::termios::{self, OptionalActions};

/// How long a read of a serial port waits at a time. It has no end-of-file that would wake the reader.
const PORT_TIMEOUT: Duration = Duration::from_millis(200);

/// A board's console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A USB-serial cable.
    Port {
        /// `/dev/ttyUSB0`
        path: PathBuf,
        /// Bits a second.
        baud: u32,
    },
    /// QEMU or a terminal server, `HOST:PORT`.
    Tcp(String),
    /// A socket of this machine, as QEMU's `-serial unix:PATH,server=on` makes.
    Unix(PathBuf),
    /// A pseudo-terminal, as QEMU's `-serial pty` makes.
    Pty(PathBuf),
}

/// An open line: what is read from it, what is written to it.
pub struct Connection {
    /// Bytes from the board. A timeout means that nothing came, end of file that the line is gone.
    pub reader: Box<dyn Read + Send>,
    /// Bytes to the board.
    pub writer: Box<dyn Write + Send>,
}

impl Line {
    /// Opens the line.
    ///
    /// # Errors
    ///
    /// When it is not there, or not yet.
    pub fn open(&self) -> io::Result<Connection> {
        match self {
            Self::Port { path, baud } => {
                let port = serialport::new(path.to_string_lossy(), *baud).timeout(PORT_TIMEOUT).open()?;
                Ok(Connection { reader: Box::new(port.try_clone()?), writer: Box::new(port) })
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Ok(Connection { reader: Box::new(stream.try_clone()?), writer: Box::new(stream) })
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                Ok(Connection { reader: Box::new(stream.try_clone()?), writer: Box::new(stream) })
            }
            Self::Pty(path) => {
                let file = open_raw(path)?;
                Ok(Connection { reader: Box::new(file.try_clone()?), writer: Box::new(file) })
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { path, baud } => write!(f, "{} at {baud} baud", path.display()),
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) | Self::Pty(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Opens a terminal without echo and line editing, which are the board's.
fn open_raw(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut attributes = termios::tcgetattr(&file)?;
    attributes.make_raw();
    termios::tcsetattr(&file, OptionalActions::Now, &attributes)?;
    Ok(file)
}
