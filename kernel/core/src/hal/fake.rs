//! Fakes of the machine, so that all of `kcore` runs on the developer's own computer. Behind `cfg(test)` for this
//! crate's tests and behind the feature `fake` for those of other crates.
//!
//! * [`FakeCpu`]: a CPU for each host thread
//! * [`FakeClock`]: a clock that a test moves

mod clock;
mod cpu;

pub use clock::FakeClock;
pub use cpu::FakeCpu;
