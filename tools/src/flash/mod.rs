//! Writing an image to a card, and to nothing else.
//!
//! * [`disk`]: what a disk is and what speaks against writing to it, by what the kernel says in `/sys` and `/proc`
//! * [`copy`]: the writing, by a block map where there is one, and the reading back

pub mod copy;
pub mod disk;
