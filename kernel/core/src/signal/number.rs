//! A signal's number.

use core::fmt;

/// A signal, 1 to 64, numbered as by Linux on AArch64. From [`RTMIN`](Self::RTMIN) on they are real-time signals: each
/// one sent is received.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Signal(u8);

/// What becomes of a process that has said nothing about a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// It ends.
    Terminate,
    /// It ends, and its memory would be worth keeping.
    Core,
    /// It stops until it is continued.
    Stop,
    /// It goes on if it was stopped.
    Continue,
    /// Nothing.
    Ignore,
}

macro_rules! signals {
    ($($name:ident = $number:literal, $does:ident;)*) => {
        impl Signal {
            $(
                #[doc = concat!("`SIG", stringify!($name), "`")]
                pub const $name: Self = Self($number);
            )*

            /// What becomes of a process that has said nothing about this signal. Real-time signals end it.
            #[must_use]
            pub const fn default_action(self) -> DefaultAction {
                match self.0 {
                    $($number => DefaultAction::$does,)*
                    _ => DefaultAction::Terminate,
                }
            }

            /// The name without `SIG`; `RT` for a real-time signal.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "RT",
                }
            }
        }
    };
}

signals! {
    HUP = 1, Terminate;
    INT = 2, Terminate;
    QUIT = 3, Core;
    ILL = 4, Core;
    TRAP = 5, Core;
    ABRT = 6, Core;
    BUS = 7, Core;
    FPE = 8, Core;
    KILL = 9, Terminate;
    USR1 = 10, Terminate;
    SEGV = 11, Core;
    USR2 = 12, Terminate;
    PIPE = 13, Terminate;
    ALRM = 14, Terminate;
    TERM = 15, Terminate;
    STKFLT = 16, Terminate;
    CHLD = 17, Ignore;
    CONT = 18, Continue;
    STOP = 19, Stop;
    TSTP = 20, Stop;
    TTIN = 21, Stop;
    TTOU = 22, Stop;
    URG = 23, Ignore;
    XCPU = 24, Core;
    XFSZ = 25, Core;
    VTALRM = 26, Terminate;
    PROF = 27, Terminate;
    WINCH = 28, Ignore;
    IO = 29, Terminate;
    PWR = 30, Terminate;
    SYS = 31, Core;
}

impl Signal {
    /// The first real-time signal.
    pub const RTMIN: Self = Self(32);
    /// The last signal.
    pub const MAX: Self = Self(64);

    /// Signal `number`, if there is one.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX.0 as u32 {
            #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Where the signal stands in a table of all.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Whether each one sent is received, in order.
    #[must_use]
    pub const fn is_realtime(self) -> bool {
        self.0 >= Self::RTMIN.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_realtime() { write!(f, "SIGRT{}", self.0) } else { write!(f, "SIG{}", self.name()) }
    }
}
