//! The status with which an emulated board ends.

/// Status of an orderly power-off.
pub const POWEROFF: u8 = 0;
/// Status after a kernel panic with `panic=exit` on QEMU with semihosting.
pub const PANIC: u8 = 101;
/// Status of a kernel self-test run (`ktest`) in which a test failed.
pub const KTEST_FAILED: u8 = 102;
