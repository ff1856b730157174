//! Processes: fork, exec, exit, wait, signals that are sent, groups and sessions.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use bsd::{Errno, Forked, Pid, Tid};

use crate::call::{call, input, int, output, text, to_int};
use crate::number;

unsafe extern "C" {
    #[link_name = "fork"]
    safe fn libc_fork() -> i32;
    fn posix_spawn(
        pid: *mut i32,
        path: *const std::ffi::c_char,
        actions: *const u8,
        attributes: *const u8,
        arguments: *const usize,
        environment: *const usize,
    ) -> i32;
}

/// The number of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(pub i32);

macro_rules! signals {
    ($($name:ident = $value:literal),+) => {
        impl Signal { $(#[doc = stringify!(SIG $name)] pub const $name: Self = Self($value);)+ }
    };
}

signals!(
    NONE = 0,
    HUP = 1,
    INT = 2,
    ILL = 4,
    TRAP = 5,
    ABRT = 6,
    BUS = 7,
    KILL = 9,
    USR1 = 10,
    SEGV = 11,
    USR2 = 12,
    PIPE = 13,
    ALRM = 14,
    TERM = 15,
    CHLD = 17,
    CONT = 18,
    STOP = 19,
    TSTP = 20,
    TTIN = 21,
    XCPU = 24,
    XFSZ = 25,
    VTALRM = 26,
    PROF = 27,
    WINCH = 28,
    SYS = 31
);

/// The C library's `fork`: `clone(SIGCHLD)` with its own state put right in the child. Locks that other threads held
/// stay locked there.
///
/// # Errors
///
/// As of the call; the C library keeps it in `errno`, where `std` finds it.
pub fn fork() -> Result<Forked, Errno> {
    match libc_fork() {
        0 => Ok(Forked::Child),
        pid if pid > 0 => Ok(Forked::Parent(Pid(pid))),
        _ => {
            let errno = std::io::Error::last_os_error().raw_os_error();
            Err(Errno(errno.and_then(|errno| u16::try_from(errno).ok()).unwrap_or(0)))
        }
    }
}

/// Forks, runs `body` in the child and ends it with the status that `body` returns.
///
/// # Errors
///
/// As of [`fork`].
pub fn spawn(body: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    match fork()? {
        Forked::Child => exit(body()),
        Forked::Parent(pid) => Ok(pid),
    }
}

/// Ends the process, all threads of it. Nothing of the C library or of Rust is run.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not return, and a process that ends breaks nothing.
        let _ = unsafe { call(number::EXIT_GROUP, [int(status)]) };
    }
}

/// Runs another program in this process. Returns only when that failed.
pub fn exec(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Errno {
    Prepared::new(path, arguments, environment).exec()
}

/// A program with its arguments and environment, ready to be run without allocating.
#[derive(Debug)]
pub struct Prepared<'a> {
    path: &'a CStr,
    arguments: Vec<usize>,
    environment: Vec<usize>,
}

impl<'a> Prepared<'a> {
    /// Puts the vectors together.
    #[must_use]
    pub fn new(path: &'a CStr, arguments: &[&'a CStr], environment: &[&'a CStr]) -> Self {
        Self { path, arguments: pointers(arguments), environment: pointers(environment) }
    }

    /// Runs the program in this process. Returns only when that failed.
    pub fn exec(&self) -> Errno {
        let vectors = [&self.arguments, &self.environment].map(|vector| vector.as_ptr().expose_provenance());
        // SAFETY: the strings are borrowed, so they and the vectors, which end with null, outlive a call that fails.
        match unsafe { call(number::EXECVE, [text(self.path), vectors[0], vectors[1]]) } {
            Err(errno) => errno,
            Ok(_) => Errno::INVAL,
        }
    }

    /// The C library's `posix_spawn` of it, without actions.
    ///
    /// # Errors
    ///
    /// Those of its calls; `NOSYS` where there are no pipes.
    pub fn spawn(&self) -> Result<Pid, Errno> {
        let mut pid = 0;
        let none = std::ptr::null();
        let (arguments, environment) = (self.arguments.as_ptr(), self.environment.as_ptr());
        // SAFETY: as in `exec`; the number is stored.
        let error = unsafe { posix_spawn(&raw mut pid, self.path.as_ptr(), none, none, arguments, environment) };
        if error == 0 { Ok(Pid(pid)) } else { Err(Errno(u16::try_from(error).unwrap_or(0))) }
    }
}

/// Addresses of strings, with the null that ends them.
fn pointers(strings: &[&CStr]) -> Vec<usize> {
    strings.iter().map(|string| text(string)).chain([0]).collect()
}

/// The environment of this process, as [`exec`] takes it.
#[must_use]
pub fn environment() -> Vec<CString> {
    let join = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    std::env::vars_os().filter_map(join).collect()
}

/// Where this program is, to be executed again: the path that it was called by, or, where a shell found it by its name, what the
/// system says.
#[must_use]
pub fn own_path() -> CString {
    let called = std::env::args_os().next().filter(|path| path.as_bytes().starts_with(b"/"));
    let path = called.or_else(|| std::env::current_exe().ok().map(std::path::PathBuf::into_os_string));
    path.and_then(|path| CString::new(path.as_bytes()).ok()).unwrap_or_else(|| c"/proc/self/exe".to_owned())
}

/// The number of this process.
#[must_use]
pub fn pid() -> Pid {
    // SAFETY: no memory; cannot fail.
    Pid(unsafe { call(number::GETPID, []) }.map_or(0, to_int))
}

/// The number of the parent.
#[must_use]
pub fn parent() -> Pid {
    // SAFETY: no memory; cannot fail.
    Pid(unsafe { call(number::GETPPID, []) }.map_or(0, to_int))
}

/// The number of the calling thread, as Linux sees it: the main thread's is that of the process.
#[must_use]
pub fn tid() -> Tid {
    // SAFETY: no memory; cannot fail.
    Tid(unsafe { call(number::GETTID, []) }.map_or(0, to_int))
}

/// Which children are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// This one.
    Pid(Pid),
    /// Those of the caller's process group.
    OwnGroup,
    /// Those of this process group.
    Group(Pid),
}

impl Which {
    /// As `wait4` has it.
    const fn to_wait4(self) -> i32 {
        match self {
            Self::Any => -1,
            Self::Pid(pid) => pid.0,
            Self::OwnGroup => 0,
            Self::Group(group) => group.0.wrapping_neg(),
        }
    }

    /// `P_ALL`, `P_PID`, `P_PGID` and the number.
    const fn to_waitid(self) -> (usize, i32) {
        match self {
            Self::Any => (0, 0),
            Self::Pid(pid) => (1, pid.0),
            Self::OwnGroup => (2, 0),
            Self::Group(group) => (2, group.0),
        }
    }
}

/// Options of [`wait_for`] and [`wait_id`], to be added up.
pub mod option {
    /// Do not wait.
    pub const NOHANG: usize = 1;
    /// Also children that stopped.
    pub const UNTRACED: usize = 2;
    /// Children that ended (`waitid`).
    pub const EXITED: usize = 4;
    /// Also children that were continued.
    pub const CONTINUED: usize = 8;
    /// Leave the child to be waited for again (`waitid`).
    pub const NOWAIT: usize = 0x0100_0000;
}

/// Waits for a child to end.
///
/// # Errors
///
/// `CHILD` without such a child.
pub fn wait(which: Which) -> Result<(Pid, ExitStatus), Errno> {
    loop {
        match wait_for(which, 0) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// `wait4` with options. `None` when there was nothing to report and the options forbid to wait.
///
/// # Errors
///
/// `CHILD` without such a child, `INVAL` for unknown options.
pub fn wait_for(which: Which, options: usize) -> Result<Option<(Pid, ExitStatus)>, Errno> {
    let mut status = 0_i32;
    // SAFETY: the kernel stores one `int` there.
    let pid = unsafe { call(number::WAIT4, [int(which.to_wait4()), output(&mut status), options, 0]) }?;
    Ok((pid != 0).then(|| (Pid(to_int(pid)), ExitStatus::from_raw(status))))
}

/// What `waitid` reports.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C, align(8))]
pub struct ChildInfo {
    /// `SIGCHLD`, or 0 when there was nothing to report.
    pub signal: i32,
    errno: i32,
    /// `CLD_EXITED` 1, `KILLED` 2, `DUMPED` 3, `STOPPED` 5, `CONTINUED` 6.
    pub code: i32,
    padding: i32,
    /// Who.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
    /// The exit status or the signal.
    pub status: i32,
    rest: [i32; 25],
}

const _: () = assert!(size_of::<ChildInfo>() == 128);

/// `waitid`. Of `code` in the result 0 means that there was nothing to report.
///
/// # Errors
///
/// `CHILD` without such a child, `INVAL` for options that make no sense.
pub fn wait_id(which: Which, options: usize) -> Result<ChildInfo, Errno> {
    let mut info = ChildInfo::default();
    let (kind, id) = which.to_waitid();
    // SAFETY: the kernel stores a `siginfo_t` of 128 bytes there.
    unsafe { call(number::WAITID, [kind, int(id), output(&mut info), options, 0]) }?;
    Ok(info)
}

/// Sends a signal to a process; to a group when `to` is negative, to everybody when it is -1.
///
/// # Errors
///
/// `SRCH`, `PERM`, `INVAL`.
pub fn kill(to: i32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: at worst it ends this process.
    unsafe { call(number::KILL, [int(to), int(signal.0)]) }?;
    Ok(())
}

/// Sends a signal to one thread of a process.
///
/// # Errors
///
/// `SRCH`, `PERM`, `INVAL`.
pub fn tgkill(process: Pid, thread: Tid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: at worst it ends this process.
    unsafe { call(number::TGKILL, [int(process.0), int(thread.0), int(signal.0)]) }?;
    Ok(())
}

/// Puts a process (0: this one) into a group (0: its own).
///
/// # Errors
///
/// `PERM`, `SRCH`, `ACCES`, `INVAL`.
pub fn set_group(pid: Pid, group: Pid) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SETPGID, [int(pid.0), int(group.0)]) }?;
    Ok(())
}

/// The group of a process (0: this one).
///
/// # Errors
///
/// `SRCH`.
pub fn group(pid: Pid) -> Result<Pid, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::GETPGID, [int(pid.0)]) }.map(|group| Pid(to_int(group)))
}

/// Starts a session with this process as its leader.
///
/// # Errors
///
/// `PERM` for the leader of a group.
pub fn new_session() -> Result<Pid, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SETSID, []) }.map(|session| Pid(to_int(session)))
}

/// The session of a process (0: this one).
///
/// # Errors
///
/// `SRCH`.
pub fn session(pid: Pid) -> Result<Pid, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::GETSID, [int(pid.0)]) }.map(|session| Pid(to_int(session)))
}

/// Linux's `clone` for a process, with the signal that the parent gets and no shared memory; `flags` may hold what
/// concerns files and the like. The child returns from here too, and does not tell the C library.
///
/// # Errors
///
/// `AGAIN`, `NOMEM`; `INVAL` for flags that share memory, without a call.
pub fn clone(flags: usize) -> Result<Forked, Errno> {
    /// `CLONE_VM`, `CLONE_SETTLS`, and those that store a number: they need more than flags.
    const NEEDS_MORE: usize = 0x100 | 0x8_0000 | 0x10_0000 | 0x20_0000 | 0x100_0000 | 0x1000;
    if flags & NEEDS_MORE != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: memory is copied, so either process may go on from here.
    let returned = unsafe { call(number::CLONE, [flags, 0, 0, 0, 0]) };
    match returned? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid(to_int(pid)))),
    }
}

/// What [`unshare`] parts with, and children of [`clone`] share: files; root, working directory and mask.
pub const CLONE_FILES: usize = 0x400;
/// See [`CLONE_FILES`].
pub const CLONE_FS: usize = 0x200;

/// `unshare`
///
/// # Errors
///
/// As of the call.
pub fn unshare(flags: usize) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::UNSHARE, [flags]) }.map(drop)
}

/// Writes what is in memory to the disks.
pub fn sync() {
    // SAFETY: no memory.
    let _ = unsafe { call(number::SYNC, []) };
}

/// Switches the machine off.
///
/// # Errors
///
/// `PERM`, or what keeps it on.
pub fn power_off() -> Result<(), Errno> {
    const POWER_OFF: usize = 0x4321_fedc;
    reboot(POWER_OFF)
}

/// Starts the machine again.
///
/// # Errors
///
/// As of [`power_off`].
pub fn restart() -> Result<(), Errno> {
    const RESTART: usize = 0x0123_4567;
    reboot(RESTART)
}

fn reboot(command: usize) -> Result<(), Errno> {
    const MAGIC1: usize = 0xfee1_dead;
    const MAGIC2: usize = 672_274_793;
    // SAFETY: no memory.
    unsafe { call(number::REBOOT, [MAGIC1, MAGIC2, command, 0]) }?;
    Ok(())
}

/// Makes the terminal at descriptor 0 the session's.
///
/// # Errors
///
/// `NOTTY`, `PERM`.
pub fn take_terminal() -> Result<(), Errno> {
    const TIOCSCTTY: usize = 0x540e;
    // SAFETY: no memory.
    unsafe { call(number::IOCTL, [0, TIOCSCTTY, 0]) }?;
    Ok(())
}

/// Processor time used, as `times` counts it: user, system, and the same of children that were waited for; in ticks of
/// 1/100 s.
///
/// # Errors
///
/// `NOSYS`.
pub fn times() -> Result<[u64; 4], Errno> {
    let mut times = [0_u64; 4];
    // SAFETY: four `long`s are stored.
    unsafe { call(number::TIMES, [output(&mut times)]) }?;
    Ok(times)
}

/// `struct rusage`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Usage {
    /// User time: seconds, microseconds.
    pub user: [i64; 2],
    /// System time: seconds, microseconds.
    pub system: [i64; 2],
    /// The largest resident size in KiB.
    pub max_resident: i64,
    unused1: [i64; 3],
    /// Faults without and with input.
    pub faults: [i64; 2],
    unused2: [i64; 6],
    /// Switches, voluntary and not.
    pub switches: [i64; 2],
}

const _: () = assert!(size_of::<Usage>() == 144);

/// Whose usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// This process.
    Own,
    /// The children that were waited for.
    Children,
}

/// `getrusage`.
///
/// # Errors
///
/// `NOSYS`.
pub fn usage(whose: Whose) -> Result<Usage, Errno> {
    let mut usage = Usage::default();
    let whose = match whose {
        Whose::Own => 0,
        Whose::Children => -1,
    };
    // SAFETY: one `struct rusage` is stored.
    unsafe { call(number::GETRUSAGE, [int(whose), output(&mut usage)]) }?;
    Ok(usage)
}

/// Blocks, or unblocks, every signal that can be.
///
/// # Errors
///
/// `NOSYS`.
pub fn block_signals(mask: u64) -> Result<u64, Errno> {
    const SET: usize = 2;
    let mut before = 0_u64;
    // SAFETY: 8 bytes are read and 8 stored.
    unsafe { call(number::RT_SIGPROCMASK, [SET, input(&mask), output(&mut before), 8]) }?;
    Ok(before)
}

/// What a signal does from now on, of what needs no handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The default.
    Default = 0,
    /// Nothing.
    Ignore = 1,
}

/// Sets what a signal does.
///
/// # Errors
///
/// `INVAL` for `KILL` and `STOP`.
pub fn set_disposition(signal: Signal, disposition: Disposition) -> Result<(), Errno> {
    let action = [if disposition == Disposition::Ignore { 1_u64 } else { 0 }, 0, 0, 0];
    // SAFETY: a `struct sigaction` of 32 bytes is read: no handler runs.
    unsafe { call(number::RT_SIGACTION, [int(signal.0), input(&action), 0, 8]) }?;
    Ok(())
}
