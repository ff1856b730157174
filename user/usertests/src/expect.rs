//! What a test expects.

use std::fmt;
use std::io::Write as _;
use std::panic::Location;
use std::process::ExitStatus;

use std::os::unix::process::ExitStatusExt as _;
use sys::process::{Signal, Which, spawn, wait};
use sys::{Errno, Pid};

/// The result of a test, or of a part of it.
pub(crate) type Checked = Result<(), Failure>;

/// Why a test is over.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something was not as it should be.
    Wrong { what: String, place: &'static Location<'static> },
    /// This kernel, or this user, cannot do it.
    Skipped(&'static str),
}

/// The status of a child that found something wrong.
const WRONG: i32 = 1;
/// The status of a test that was skipped.
pub(crate) const SKIPPED: i32 = 77;

impl Failure {
    #[track_caller]
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), place: Location::caller() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { what, place } => {
                let file = place.file().rsplit('/').next().unwrap_or("?");
                write!(f, "({file}:{}: {what})", place.line())
            }
            Self::Skipped(why) => write!(f, "({why})"),
        }
    }
}

impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Self {
        Self::new(errno.to_string())
    }
}

impl From<std::io::Error> for Failure {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// `condition` holds; `what` says what is wrong if not.
#[track_caller]
pub(crate) fn ensure(condition: bool, what: &str) -> Checked {
    if condition { Ok(()) } else { Err(Failure::new(what)) }
}

/// Both are the same.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "found and expected stand side by side, as values")]
pub(crate) fn equal<A: PartialEq<B> + fmt::Debug, B: fmt::Debug>(found: A, expected: B) -> Checked {
    if found == expected { Ok(()) } else { Err(Failure::new(format!("{found:?}, not {expected:?}"))) }
}

/// The call failed with this error.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(result: Result<T, Errno>, expected: Errno) -> Checked {
    match result {
        Err(errno) if errno == expected => Ok(()),
        Err(errno) => Err(Failure::new(format!("{errno}, not {expected}"))),
        Ok(value) => Err(Failure::new(format!("{value:?}, not {expected}"))),
    }
}

/// The same, of `std`'s errors.
#[track_caller]
pub(crate) fn io_refused<T: fmt::Debug>(result: std::io::Result<T>, expected: Errno) -> Checked {
    match result {
        Err(error) if error.raw_os_error() == Some(i32::from(expected.0)) => Ok(()),
        other => Err(Failure::new(format!("{other:?}, not {expected}"))),
    }
}

/// The test is for kernels that know this call.
pub(crate) fn known<T>(result: Result<T, Errno>) -> Result<T, Failure> {
    result.map_err(|errno| match errno {
        Errno::NOSYS => Failure::Skipped("the kernel has no such call"),
        other => other.into(),
    })
}

/// The test is for Tine.
pub(crate) fn on_tine() -> Checked {
    if is_tine() { Ok(()) } else { Err(Failure::Skipped("Tine only")) }
}

/// Whether the kernel is Tine: no other knows its counters.
pub(crate) fn is_tine() -> bool {
    sys::counters().is_ok()
}

/// The test needs the rights of root.
pub(crate) fn as_root() -> Checked {
    if sys::identity::users()? == [0; 3] { Ok(()) } else { Err(Failure::Skipped("not root")) }
}

/// Starts a child that checks something. What it finds wrong it says itself.
pub(crate) fn child(body: impl FnOnce() -> Checked) -> Result<Pid, Errno> {
    spawn(|| settle(body()))
}

/// Says what is wrong, and gives the status that stands for it.
pub(crate) fn settle(result: Checked) -> i32 {
    let Err(failure) = result else { return 0 };
    print!("{failure} ");
    // A console that does not take it is no reason to go on differently.
    let _ = std::io::stdout().flush();
    if matches!(failure, Failure::Skipped(_)) { SKIPPED } else { WRONG }
}

/// Waits for this child, which must have found nothing wrong.
#[track_caller]
pub(crate) fn passes(pid: Pid) -> Checked {
    let (_, status) = wait(Which::Pid(pid))?;
    ensure(status.success(), &format!("child: {status}"))
}

/// Runs `body` in a child, which must find nothing wrong.
#[track_caller]
pub(crate) fn in_child(body: impl FnOnce() -> Checked) -> Checked {
    passes(child(body)?)
}

/// Runs `body` in a child; how it ended.
pub(crate) fn end_of(body: impl FnOnce() -> i32) -> Result<ExitStatus, Errno> {
    Ok(wait(Which::Pid(spawn(body)?))?.1)
}

/// `body`, in a child, ends by this signal.
#[track_caller]
pub(crate) fn dies(by: Signal, body: impl FnOnce() -> i32) -> Checked {
    ended_by(end_of(body)?, by)
}

/// The status says: ended by this signal.
#[track_caller]
pub(crate) fn ended_by(status: ExitStatus, by: Signal) -> Checked {
    ensure(status.signal() == Some(by.0), &format!("{status}, not signal {}", by.0))
}

/// The status says: ended by itself with this status.
#[track_caller]
pub(crate) fn exited(status: ExitStatus, with: i32) -> Checked {
    ensure(status.code() == Some(with), &format!("{status}, not {with}"))
}
