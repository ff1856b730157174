//! Devices as the kernel uses them: interrupt routing, clock and timers, UART input, randomness, power.
//!
//! The registers and protocols are in the crate `drivers`; here they meet locks, interrupt lines and threads.

pub(crate) mod clock;
pub(crate) mod irq;
