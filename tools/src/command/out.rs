//! Standard output, which may be a pipe whose reader has seen enough: `tine trace | head`.
//!
//! Rust ignores SIGPIPE, and `println!` panics where it cannot write. To let the signal end the program instead would leave
//! a terminal raw, half a file beside the whole one, and a board without its socket; so writing gives an error that ends the
//! program from within, without a word.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The reader of standard output is gone: the end, and no failure to be told of.
#[derive(Debug)]
pub(crate) struct Closed;

impl Closed {
    /// The status that a shell shows of a program that SIGPIPE (13) has ended.
    pub(crate) const STATUS: u8 = 128 + 13;
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads standard output any more")
    }
}

impl std::error::Error for Closed {}

/// Writes a line to standard output, as `println!` does, and gives what comes of it.
macro_rules! say {
    ($($argument:tt)*) => {
        crate::command::out::write(format_args!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use say;

/// Writes text to standard output.
///
/// # Errors
///
/// [`Closed`] where nobody reads it any more; what else writing gives.
pub(crate) fn write(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_fmt(text).and_then(|()| stdout.flush()).map_err(failed)
}

/// What an error of standard output means.
pub(crate) fn failed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Closed.into();
    }
    anyhow::Error::new(error).context("cannot write to standard output")
}

/// Ends the program where nobody reads its output any more. For who is told things as they come and cannot answer, and
/// holds nothing that must be put back.
pub(crate) fn end_if_closed(written: anyhow::Result<()>) {
    if let Err(error) = written {
        explain(&error);
        std::process::exit(if error.is::<Closed>() { Closed::STATUS.into() } else { 1 });
    }
}

/// The status that tells of an error, which is explained unless it is that nobody reads on.
pub(crate) fn status_of(error: &anyhow::Error) -> ExitCode {
    explain(error);
    if error.is::<Closed>() { ExitCode::from(Closed::STATUS) } else { ExitCode::FAILURE }
}

fn explain(error: &anyhow::Error) {
    if !error.is::<Closed>() {
        // Where standard error is closed, too, nobody can be told.
        let _ = writeln!(io::stderr(), "tine: {error:#}");
    }
}
