//! The generator behind every random number in the kernel, and behind `getrandom`.
//!
//! ```text
//! hardware RNG, tree seeds, timer jitter ──> EntropyPool (BLAKE2s, counts what it may believe)
//!                                                 │ extract: 256 bits
//!                                                 ▼
//!                                            root Generator (ChaCha20, fast key erasure)
//!                                                 │ a 256-bit key each, whenever the root has been seeded anew
//!                                                 ▼
//!                                            one Generator a CPU
//! ```
//!
//! [`RandomSource`] is all of it behind its locks. They are of rank `Random`: the root's, and one for each CPU's
//! generator, of which no two are ever held together. Drawing costs no lock that another CPU contends for, but once
//! after each reseeding.

mod entropy;
mod generator;
mod source;

pub use entropy::{Contribution, EntropyPool, Quality, SEEDED_BITS};
pub use generator::{Generator, Key};
pub use source::{RESEED_BYTES, RESEED_INTERVAL, RandomSource, Reseed};
