//! Disks in the host's memory.

mod cache;
mod partition;
mod queue;
#[expect(clippy::panic_in_result_fn, reason = "what nobody may ask fails the test")]
pub(super) mod support;
#[expect(clippy::panic_in_result_fn, reason = "what nobody may ask fails the test")]
mod volume;
