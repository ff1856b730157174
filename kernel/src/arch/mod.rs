//! The processor: assembly and system registers, and nothing else.
//!
//! * [`boot`]: from the firmware's entry to Rust at a high address
//! * [`vectors`], [`exception`]: the sixteen exception entries and their Rust side
//! * [`cpu`]: who we are and what is masked; implements `kcore::hal::Cpu`
//! * [`user`]: where a program's registers are kept while the kernel runs, and the way into a program
//! * [`user_copy`]: the kernel's reads and writes of a program's memory
//! * [`user_frame`]: what a signal handler returns to
//! * [`vdso`]: what programs do without a call
//! * [`fp`]: a program's floating-point registers
//! * [`context`]: switching threads
//! * [`mmu`], [`cache`]: translation and cache maintenance
//! * [`memory`]: moving and clearing memory
//! * [`probe`]: reading a device that may not be there
//! * [`crash`]: dying on purpose
//! * [`semihosting`]: leaving QEMU with a status
//! * `ktest_asm`: every register filled and looked at, for the self-tests; `ktest_user`, `ktest_programs`: their programs
//! * [`unwind`]: frame records of a stack that may be damaged
//! * [`upcall`]: what this layer asks of the layers above
//!
//! Of `kcore` it sees the addresses and the seam only.

pub(crate) mod boot;
pub(crate) mod cache;
pub(crate) mod context;
pub(crate) mod cpu;
pub(crate) mod crash;
mod exception;
pub(crate) mod fp;
#[cfg(feature = "ktest")]
pub(crate) mod ktest_asm;
#[cfg(feature = "ktest")]
pub(crate) mod ktest_programs;
#[cfg(feature = "ktest")]
pub(crate) mod ktest_user;
pub(crate) mod memory;
pub(crate) mod mmu;
pub(crate) mod probe;
pub(crate) mod semihosting;
pub(crate) mod unwind;
pub(crate) mod upcall;
pub(crate) mod user;
pub(crate) mod user_copy;
pub(crate) mod user_frame;
pub(crate) mod vdso;
pub(crate) mod vectors;
