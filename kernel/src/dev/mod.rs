//! Devices as the kernel uses them.
//!
//! * [`card`]: the SD card and what is on it
//! * [`irq`]: interrupt routing in front of either board's controllers
//! * [`clock`]: the monotonic clock, and each CPU's alarm
//! * [`pins`], [`uart`]: the console's pins and input
//! * [`kmsg`]: the kernel's lines as programs read them
//! * [`nodes`]: devices by number, and their nodes in `/dev`
//! * [`tty`]: terminals as programs open them
//! * [`pty`]: pseudo-terminals and their nodes
//! * [`trace`]: carrying the trace off
//! * [`random`]: the kernel's random numbers
//! * [`power`]: switching off, starting again
//!
//! The registers and protocols are in the crate `drivers`; here they meet locks, interrupt lines and threads.

pub(crate) mod card;
pub(crate) mod clock;
pub(crate) mod irq;
pub(crate) mod kmsg;
pub(crate) mod nodes;
pub(crate) mod pins;
pub(crate) mod power;
pub(crate) mod pty;
pub(crate) mod random;
pub(crate) mod trace;
pub(crate) mod tty;
pub(crate) mod uart;
