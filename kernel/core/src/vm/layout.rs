//! Where the parts of an address space go.
//!
//! From the top: the stack, which has the topmost GiB of the half to itself; below that whatever is mapped without an
//! address, downwards; and far below the image, with the program break behind it.
//!
//! The stack and the image's data are what both sides of a fork write to at once, and the first store copies the table of
//! that GiB. So these tables are kept apart from what a program maps, which can be much: the copy has a few entries,
//! whatever the program's size.

use super::range::PAGE;
use crate::addr::{USER_END, UserAddr};

/// Room for a stack, guard included. A limit beyond that is not refused; the stack then ends at what is mapped.
const STACK_ROOM: u64 = 1 << 30;
/// The stack begins up to so many pages below the end of the half (64 MiB).
const STACK_SPREAD: u64 = 1 << 14;
/// What is mapped anywhere begins up to so many pages below its highest place (256 MiB).
const MAP_SPREAD: u64 = 1 << 16;
/// Images without an address of their own begin at two thirds of the half, or up to so many pages above (1 GiB).
const IMAGE_SPREAD: u64 = 1 << 18;
/// The break begins up to so many pages behind the image (32 MiB).
const BREAK_SPREAD: u64 = 1 << 13;

/// The places of one address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// What is mapped anywhere lies below.
    pub mmap_top: UserAddr,
    /// The first address behind the stack.
    pub stack_top: UserAddr,
    /// Where an image goes that can be anywhere.
    pub image_base: UserAddr,
    /// Where the program break begins. For an image that is at home elsewhere see
    /// [`Space::start_break`](super::Space::start_break).
    pub break_start: UserAddr,
    /// How far behind an image its break begins, in bytes.
    pub break_gap: u64,
}

impl Layout {
    /// A layout that nobody can foresee: `uniform(n)` returns a random number below `n`.
    pub fn random(uniform: &mut dyn FnMut(u64) -> u64) -> Self {
        let mut spread = |pages: u64| uniform(pages) * PAGE;
        let stack_top = USER_END - PAGE - spread(STACK_SPREAD);
        let mmap_top = USER_END - STACK_ROOM - spread(MAP_SPREAD);
        let image_base = USER_END / 3 * 2 / PAGE * PAGE + spread(IMAGE_SPREAD);
        let break_gap = spread(BREAK_SPREAD);
        Self {
            mmap_top: UserAddr::new(mmap_top),
            stack_top: UserAddr::new(stack_top),
            image_base: UserAddr::new(image_base),
            break_start: UserAddr::new(image_base + break_gap),
            break_gap,
        }
    }

    /// The layout without any chance in it: for tests, and for programs that ask for it.
    #[must_use]
    pub fn fixed() -> Self {
        Self::random(&mut |_| 0)
    }
}
