//! Finding QEMU, and telling what to do where there is none.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process;

/// The first release whose `raspi4b` Tine runs on.
pub const OLDEST: Version = Version { major: 9, minor: 0 };
/// The program's name on every system.
const PROGRAM: &str = "qemu-system-aarch64";
/// Names another QEMU than the one in `PATH`.
const VARIABLE: &str = "TINE_QEMU";

/// A QEMU that is new enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qemu {
    /// What to start.
    pub program: PathBuf,
    /// What it said it is.
    pub version: Version,
}

/// A QEMU release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// 10 in 10.0.2.
    pub major: u32,
    /// 0 in 10.0.2.
    pub minor: u32,
}

/// Why there is no QEMU to start.
#[derive(Debug)]
pub enum Error {
    /// It cannot be started.
    Start(PathBuf, io::Error),
    /// It does not say its version, but this.
    Unknown(PathBuf, String),
    /// It is older than [`OLDEST`].
    TooOld(PathBuf, Version),
}

impl Qemu {
    /// The QEMU that `TINE_QEMU` names, else the one in `PATH`.
    ///
    /// # Errors
    ///
    /// With what is missing and what to do about it.
    pub fn find() -> Result<Self, Error> {
        let program = std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(PROGRAM), PathBuf::from);
        let output = match process::Command::new(&program).arg("--version").output() {
            Ok(output) => output,
            Err(error) => return Err(Error::Start(program, error)),
        };
        Self::judge(program, &String::from_utf8_lossy(&output.stdout))
    }

    fn judge(program: PathBuf, said: &str) -> Result<Self, Error> {
        match Version::parse(said) {
            None => Err(Error::Unknown(program, said.lines().next().unwrap_or_default().to_owned())),
            Some(version) if version < OLDEST => Err(Error::TooOld(program, version)),
            Some(version) => Ok(Self { program, version }),
        }
    }
}

impl Version {
    /// The version in what `qemu --version` prints: `QEMU emulator version 10.0.2 (Debian ...)`.
    #[must_use]
    pub fn parse(said: &str) -> Option<Self> {
        let (_, rest) = said.split_once("QEMU emulator version ")?;
        let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, error) if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "{} is not installed", program.display())?;
            }
            Self::Start(program, error) => write!(f, "{} does not start: {error}", program.display())?,
            Self::Unknown(program, said) => {
                write!(f, "{} does not tell its version, but says {said:?}", program.display())?;
            }
            Self::TooOld(program, version) => {
                write!(f, "{} is QEMU {version}; {OLDEST} is the oldest with a raspi4b", program.display())?;
            }
        }
        write!(f, ". `make setup` installs it; {VARIABLE}=PATH names another one")
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_of_developers_are_read() {
        let debian = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright";
        assert_eq!(Version::parse(debian), Some(Version { major: 10, minor: 0 }));
        assert_eq!(Version::parse("QEMU emulator version 9.2.50 (v9.2.0-1)"), Some(Version { major: 9, minor: 2 }));
        assert_eq!(Version::parse("QEMU emulator version 11"), None);
        assert_eq!(Version::parse("bash: qemu-system-aarch64: command not found"), None);
    }

    #[test]
    fn an_old_qemu_is_refused_and_named() {
        let error = Qemu::judge("qemu".into(), "QEMU emulator version 7.2.19 (Debian)").unwrap_err();
        assert!(matches!(error, Error::TooOld(_, Version { major: 7, minor: 2 })));
        let text = error.to_string();
        assert!(text.contains("QEMU 7.2") && text.contains("9.0") && text.contains("make setup"), "{text}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Version { major: 10, minor: 0 } > Version { major: 9, minor: 2 });
        assert!(Qemu::judge("qemu".into(), "QEMU emulator version 9.0.0").is_ok());
    }
}
