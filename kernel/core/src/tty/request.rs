//! The requests of `ioctl_tty(2)`, by their numbers on Linux/aarch64.

/// Reads and sets `struct termios`: at once, when output has left, and forgetting input too.
pub const TCGETS: u32 = 0x5401;
/// At once.
pub const TCSETS: u32 = 0x5402;
/// When output has left.
pub const TCSETSW: u32 = 0x5403;
/// When output has left; input is forgotten.
pub const TCSETSF: u32 = 0x5404;
/// The same of `struct termios2`.
pub const TCGETS2: u32 = 0x802c_542a;
/// At once.
pub const TCSETS2: u32 = 0x402c_542b;
/// When output has left.
pub const TCSETSW2: u32 = 0x402c_542c;
/// When output has left; input is forgotten.
pub const TCSETSF2: u32 = 0x402c_542d;
/// `tcdrain(3)`, `tcsendbreak(3)`: waits until output has left. A break is not sent.
pub const TCSBRK: u32 = 0x5409;
/// The same.
pub const TCSBRKP: u32 = 0x5425;
/// `tcflow(3)`
pub const TCXONC: u32 = 0x540a;
/// `tcflush(3)`
pub const TCFLSH: u32 = 0x540b;
/// Only root opens the terminal from here on.
pub const TIOCEXCL: u32 = 0x540c;
/// Whoever may opens it.
pub const TIOCNXCL: u32 = 0x540d;
/// Whether it is so.
pub const TIOCGEXCL: u32 = 0x8004_5440;
/// Makes it the session's terminal.
pub const TIOCSCTTY: u32 = 0x540e;
/// Gives it up.
pub const TIOCNOTTY: u32 = 0x5422;
/// The group in the foreground.
pub const TIOCGPGRP: u32 = 0x540f;
/// Puts one there.
pub const TIOCSPGRP: u32 = 0x5410;
/// The session.
pub const TIOCGSID: u32 = 0x5429;
/// Bytes of output that have not left.
pub const TIOCOUTQ: u32 = 0x5411;
/// Types a byte.
pub const TIOCSTI: u32 = 0x5412;
/// Reads the window's size.
pub const TIOCGWINSZ: u32 = 0x5413;
/// Sets it.
pub const TIOCSWINSZ: u32 = 0x5414;
/// Bytes that can be read.
pub const FIONREAD: u32 = 0x541b;
/// The line discipline's number: 0.
pub const TIOCGETD: u32 = 0x5424;
/// Sets it: to 0.
pub const TIOCSETD: u32 = 0x5423;
/// The device's number.
pub const TIOCGDEV: u32 = 0x8004_5432;
/// Hangs up.
pub const TIOCVHANGUP: u32 = 0x5437;
