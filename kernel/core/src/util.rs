//! Small containers and arithmetic that know nothing of kernels.
//!
//! * [`journal`]: the newest records of a log, in a ring
//! * [`place`]: an `Arc` whose contents are made where they stay
//! * [`ranges`]: a sorted set of half-open ranges of numbers, of fixed capacity: the boot memory map is one
//! * [`ring`]: a lock-free byte ring between one writer and one reader, whose frames arrive whole or not at all
//!
//! Nothing here takes a lock, and nothing but `place` allocates or is `unsafe`.

pub mod journal;
pub mod line_editor;
pub mod place;
pub mod ranges;
pub mod ring;
