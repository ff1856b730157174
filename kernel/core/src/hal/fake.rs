//! Fakes of the machine, so that all of `kcore` runs on the developer's own computer. Behind `cfg(test)` for this
//! crate's tests and behind the feature `fake` for those of other crates.
//!
//! * [`FakeCpu`]: a CPU for each host thread
//! * [`FakeClock`]: a clock that a test moves
//! * [`FakeMemory`]: physical memory made of heap

mod clock;
mod cpu;
mod memory;

pub use clock::FakeClock;
pub use cpu::FakeCpu;
pub use memory::FakeMemory;
