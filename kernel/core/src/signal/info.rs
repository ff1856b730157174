//! Why a signal was sent.

use super::layout::{get, put};
use super::number::Signal;
use crate::addr::UserAddr;

/// `si_code`: who sent a signal, or what happened. Those of programs are at most 0.
pub mod code {
    /// `kill`.
    pub const USER: i32 = 0;
    /// `sigqueue`.
    pub const QUEUE: i32 = -1;
    /// A timer of `timer_create`.
    pub const TIMER: i32 = -2;
    /// Input or output is possible.
    pub const IO: i32 = -5;
    /// `tkill`, `tgkill`.
    pub const TKILL: i32 = -6;
    /// The kernel.
    pub const KERNEL: i32 = 0x80;

    /// `SIGILL`: no such instruction.
    pub const ILLEGAL_OPCODE: i32 = 1;
    /// `SIGILL`: an instruction that programs may not use.
    pub const PRIVILEGED_OPCODE: i32 = 5;
    /// `SIGILL`: a register that programs may not use.
    pub const PRIVILEGED_REGISTER: i32 = 6;

    /// `SIGFPE`: an integer divided by zero.
    pub const INTEGER_DIVIDE: i32 = 1;
    /// `SIGFPE`: an integer too large.
    pub const INTEGER_OVERFLOW: i32 = 2;
    /// `SIGFPE`: divided by zero.
    pub const FLOAT_DIVIDE: i32 = 3;
    /// `SIGFPE`: too large.
    pub const FLOAT_OVERFLOW: i32 = 4;
    /// `SIGFPE`: too small.
    pub const FLOAT_UNDERFLOW: i32 = 5;
    /// `SIGFPE`: inexact.
    pub const FLOAT_INEXACT: i32 = 6;
    /// `SIGFPE`: no such operation.
    pub const FLOAT_INVALID: i32 = 7;
    /// `SIGFPE`: the hardware does not say.
    pub const FLOAT_UNKNOWN: i32 = 14;

    /// `SIGSEGV`: nothing is mapped there.
    pub const NOT_MAPPED: i32 = 1;
    /// `SIGSEGV`: what is mapped there does not allow it.
    pub const ACCESS: i32 = 2;

    /// `SIGBUS`: not aligned.
    pub const ALIGNMENT: i32 = 1;
    /// `SIGBUS`: beyond the end of the mapped object.
    pub const BEYOND_END: i32 = 2;
    /// `SIGBUS`: the object cannot be read.
    pub const OBJECT_ERROR: i32 = 3;

    /// `SIGTRAP`: a breakpoint instruction.
    pub const BREAKPOINT: i32 = 1;
    /// `SIGTRAP`: a single step.
    pub const TRACE: i32 = 2;
    /// `SIGTRAP`: a breakpoint or watchpoint of the debug hardware.
    pub const HARDWARE_BREAKPOINT: i32 = 4;

    /// `SIGCHLD`: it exited.
    pub const EXITED: i32 = 1;
    /// `SIGCHLD`: a signal ended it.
    pub const KILLED: i32 = 2;
    /// `SIGCHLD`: a signal ended it, and its memory was kept.
    pub const DUMPED: i32 = 3;
    /// `SIGCHLD`: its tracer has it.
    pub const TRAPPED: i32 = 4;
    /// `SIGCHLD`: it stopped.
    pub const STOPPED: i32 = 5;
    /// `SIGCHLD`: it went on.
    pub const CONTINUED: i32 = 6;
}

/// A signal and why it was sent: `siginfo_t`. Numbers of processes and users are those that programs see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Which signal.
    pub signal: Signal,
    /// `si_code`, one of [`code`].
    pub code: i32,
    /// `si_errno`; the kernel leaves it 0.
    pub errno: i32,
    /// The rest, which depends on signal and code.
    pub detail: Detail,
}

/// What an [`Info`] tells beyond its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Nothing.
    None,
    /// A process sent it.
    Sender {
        /// The sender.
        pid: u32,
        /// Its real user id.
        uid: u32,
    },
    /// A process sent it, with a value.
    Value {
        /// The sender.
        pid: u32,
        /// Its real user id.
        uid: u32,
        /// `si_value`, a pointer or a number.
        value: u64,
    },
    /// An instruction could not be executed.
    Fault {
        /// What it was about to touch, or where it stands.
        address: UserAddr,
    },
    /// A child changed.
    Child {
        /// The child.
        pid: u32,
        /// Its real user id.
        uid: u32,
        /// Its exit status, or the signal.
        status: i32,
        /// How long it ran in user mode, in ticks of `times(2)`.
        user_ticks: i64,
        /// How long it ran in the kernel.
        system_ticks: i64,
    },
    /// A timer went off.
    Timer {
        /// Which.
        id: i32,
        /// How many times more, since the last signal was taken.
        overrun: i32,
        /// The value that came with the timer.
        value: u64,
    },
    /// A descriptor is ready.
    Poll {
        /// The events, as of `poll(2)`.
        band: i64,
        /// The descriptor.
        fd: i32,
    },
    /// What a program made up for `rt_sigqueueinfo`: the bytes from 16 on, as they came. In words, so that the others, which
    /// lie in the same place, are copied as words.
    Raw([u64; Info::RAW_BYTES / 8]),
}

/// The structure that a program handed in has something where nothing belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadInfo;

/// What can be told of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildEvent {
    /// It exited with this status.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: Signal,
        /// Whether its memory was kept.
        core: bool,
    },
    /// A signal stopped it.
    Stopped(Signal),
    /// Its tracer has it, because of this signal.
    Trapped(Signal),
    /// It went on.
    Continued,
}

impl ChildEvent {
    /// `si_code`.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(_) => code::EXITED,
            Self::Killed { core: false, .. } => code::KILLED,
            Self::Killed { core: true, .. } => code::DUMPED,
            Self::Stopped(_) => code::STOPPED,
            Self::Trapped(_) => code::TRAPPED,
            Self::Continued => code::CONTINUED,
        }
    }

    /// `si_status`.
    #[must_use]
    pub fn status(self) -> i32 {
        match self {
            Self::Exited(status) => i32::from(status),
            Self::Killed { signal, .. } | Self::Stopped(signal) | Self::Trapped(signal) => i32::from(signal.number()),
            Self::Continued => i32::from(Signal::CONT.number()),
        }
    }

    /// The status word of `wait4`.
    #[must_use]
    pub fn wait_status(self) -> i32 {
        match self {
            Self::Exited(status) => i32::from(status) << 8,
            Self::Killed { signal, core } => i32::from(signal.number()) | if core { 0x80 } else { 0 },
            Self::Stopped(signal) | Self::Trapped(signal) => i32::from(signal.number()) << 8 | 0x7f,
            Self::Continued => 0xffff,
        }
    }
}

impl Info {
    /// The size of `siginfo_t`.
    pub const BYTES: usize = 128;
    /// How much of it means anything behind its first 16 bytes.
    pub const RAW_BYTES: usize = 32;

    /// Sent by `kill`.
    #[must_use]
    pub const fn user(signal: Signal, pid: u32, uid: u32) -> Self {
        Self::new(signal, code::USER, Detail::Sender { pid, uid })
    }

    /// Sent by `tkill` or `tgkill`.
    #[must_use]
    pub const fn tkill(signal: Signal, pid: u32, uid: u32) -> Self {
        Self::new(signal, code::TKILL, Detail::Sender { pid, uid })
    }

    /// Sent by `sigqueue`.
    #[must_use]
    pub const fn queue(signal: Signal, pid: u32, uid: u32, value: u64) -> Self {
        Self::new(signal, code::QUEUE, Detail::Value { pid, uid, value })
    }

    /// Sent by the kernel: a terminal, an alarm, a limit.
    #[must_use]
    pub const fn kernel(signal: Signal) -> Self {
        Self::new(signal, code::KERNEL, Detail::Sender { pid: 0, uid: 0 })
    }

    /// Caused by an instruction of the program.
    #[must_use]
    pub const fn fault(signal: Signal, code: i32, address: UserAddr) -> Self {
        Self::new(signal, code, Detail::Fault { address })
    }

    /// `SIGCHLD`: a child changed. The times are in ticks of `times(2)`.
    #[must_use]
    pub fn child(event: ChildEvent, pid: u32, uid: u32, user_ticks: i64, system_ticks: i64) -> Self {
        let detail = Detail::Child { pid, uid, status: event.status(), user_ticks, system_ticks };
        Self::new(Signal::CHLD, event.code(), detail)
    }

    /// A timer of `timer_create` went off.
    #[must_use]
    pub const fn timer(signal: Signal, id: i32, overrun: i32, value: u64) -> Self {
        Self::new(signal, code::TIMER, Detail::Timer { id, overrun, value })
    }

    /// What is left when there was no room for more: somebody sent it.
    #[must_use]
    pub const fn forgotten(signal: Signal) -> Self {
        Self::user(signal, 0, 0)
    }

    /// With this code and detail.
    #[must_use]
    pub const fn new(signal: Signal, code: i32, detail: Detail) -> Self {
        Self { signal, code, errno: 0, detail }
    }

    /// Whether an instruction of the program caused it: it is delivered before all others.
    #[must_use]
    pub const fn is_synchronous(&self) -> bool {
        self.code > code::USER && super::SignalSet::SYNCHRONOUS.contains(self.signal)
    }

    /// What a program handed to `rt_sigqueueinfo` for `signal`; the number in the structure does not count. Whether the
    /// sender may claim such a code is the caller's question: to others, only those below 0 but [`code::TKILL`].
    ///
    /// # Errors
    ///
    /// [`BadInfo`] when the code is none that is known, and bytes behind those that could have a meaning are not zero.
    pub fn from_linux(signal: Signal, bytes: &[u8; Self::BYTES]) -> Result<Self, BadInfo> {
        let word = |at| i32::from_le_bytes(get(bytes, at));
        let is_known = matches!(word(8), -7..=code::USER | -60 | code::KERNEL);
        if !is_known && bytes[16 + Self::RAW_BYTES..].iter().any(|&byte| byte != 0) {
            return Err(BadInfo);
        }
        let raw = |index| u64::from_le_bytes(get(bytes, 16 + 8 * index));
        Ok(Self { signal, code: word(8), errno: word(4), detail: Detail::Raw(core::array::from_fn(raw)) })
    }

    /// As the program's `siginfo_t`.
    #[must_use]
    pub fn to_linux(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        put(&mut bytes, 0, i32::from(self.signal.number()).to_le_bytes());
        put(&mut bytes, 4, self.errno.to_le_bytes());
        put(&mut bytes, 8, self.code.to_le_bytes());
        match self.detail {
            Detail::None => {}
            Detail::Sender { pid, uid } => {
                put(&mut bytes, 16, pid.to_le_bytes());
                put(&mut bytes, 20, uid.to_le_bytes());
            }
            Detail::Value { pid, uid, value } => {
                put(&mut bytes, 16, pid.to_le_bytes());
                put(&mut bytes, 20, uid.to_le_bytes());
                put(&mut bytes, 24, value.to_le_bytes());
            }
            Detail::Fault { address } => put(&mut bytes, 16, address.get().to_le_bytes()),
            Detail::Child { pid, uid, status, user_ticks, system_ticks } => {
                put(&mut bytes, 16, pid.to_le_bytes());
                put(&mut bytes, 20, uid.to_le_bytes());
                put(&mut bytes, 24, status.to_le_bytes());
                put(&mut bytes, 32, user_ticks.to_le_bytes());
                put(&mut bytes, 40, system_ticks.to_le_bytes());
            }
            Detail::Timer { id, overrun, value } => {
                put(&mut bytes, 16, id.to_le_bytes());
                put(&mut bytes, 20, overrun.to_le_bytes());
                put(&mut bytes, 24, value.to_le_bytes());
            }
            Detail::Poll { band, fd } => {
                put(&mut bytes, 16, band.to_le_bytes());
                put(&mut bytes, 24, fd.to_le_bytes());
            }
            Detail::Raw(raw) => {
                for (index, word) in raw.into_iter().enumerate() {
                    put(&mut bytes, 16 + 8 * index, word.to_le_bytes());
                }
            }
        }
        bytes
    }
}
