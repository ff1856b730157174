//! The two halves of the address space, levels of the walk, and ranges of pages.
//!
//! Inside this module tree an address is its *offset* into its half (bits 38:0): the walk looks at nothing else, and
//! the end of a half, which in TTBR1 would wrap to zero, is simply [`HALF_SIZE`].

use core::fmt::Debug;

use super::attr::{Access, KernelAccess, UserAccess};
use crate::addr::{Asid, PAGE_SIZE, UserAddr, VirtAddr};
use crate::hal::Tlb;

/// Bytes in one half: 39 bits.
pub const HALF_SIZE: u64 = 1 << 39;
/// First address of the kernel's half: the linear map begins here.
pub const KERNEL_BASE: u64 = HALF_SIZE.wrapping_neg();
/// Entries of a table.
pub const ENTRIES: usize = COUNT as usize;

#[cfg(not(loom))]
const COUNT: u16 = 512;
// As few as a model can go through.
#[cfg(loom)]
const COUNT: u16 = 2;

/// An address that one of the two translation-table roots is responsible for.
pub trait HalfAddress: Copy + Ord + Debug + sealed::Sealed {
    /// The permissions that a leaf of this half can have.
    type Access: Copy + PartialEq + Debug + Into<Access> + 'static;
    /// What names the address space to the TLB.
    type Tag: Copy + Debug;

    /// The half's first address.
    const BASE: u64;
    /// Whether a live block may be taken away for a moment. True where a fault on it is handled and retried, false
    /// where the fault's handler itself might need it.
    const TOLERATES_GAPS: bool;

    /// The address at `offset` of the half, modulo its size.
    fn from_offset(offset: u64) -> Self;

    /// The offset into the half, or `None` for an address that is not in it.
    fn offset(self) -> Option<u64>;

    /// Forgets one page of the address space.
    fn flush_page(tlb: &impl Tlb, tag: Self::Tag, page: Self);

    /// Forgets the whole address space.
    fn flush_space(tlb: &impl Tlb, tag: Self::Tag);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::addr::UserAddr {}
    impl Sealed for crate::addr::VirtAddr {}
}

impl HalfAddress for UserAddr {
    type Access = UserAccess;
    type Tag = Asid;

    const BASE: u64 = 0;
    const TOLERATES_GAPS: bool = true;

    fn from_offset(offset: u64) -> Self {
        Self::new(offset % HALF_SIZE)
    }

    fn offset(self) -> Option<u64> {
        (self.get() < HALF_SIZE).then_some(self.get())
    }

    fn flush_page(tlb: &impl Tlb, tag: Asid, page: Self) {
        tlb.flush_user_page(tag, page);
    }

    fn flush_space(tlb: &impl Tlb, tag: Asid) {
        tlb.flush_asid(tag);
    }
}

impl HalfAddress for VirtAddr {
    type Access = KernelAccess;
    type Tag = ();

    const BASE: u64 = KERNEL_BASE;
    const TOLERATES_GAPS: bool = false;

    fn from_offset(offset: u64) -> Self {
        Self::new(KERNEL_BASE | (offset % HALF_SIZE))
    }

    fn offset(self) -> Option<u64> {
        self.get().checked_sub(KERNEL_BASE)
    }

    fn flush_page(tlb: &impl Tlb, (): (), page: Self) {
        tlb.flush_kernel_page(page);
    }

    fn flush_space(tlb: &impl Tlb, (): ()) {
        tlb.flush_all();
    }
}

/// A level of the walk, as the Arm ARM numbers them. A 39-bit half has no level 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// The root; an entry stands for 1 GiB.
    One,
    /// An entry stands for 2 MiB.
    Two,
    /// An entry stands for a page.
    Three,
}

impl Level {
    /// Number of the lowest address bit that indexes a table of this level.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::One => 30,
            Self::Two => 21,
            Self::Three => 12,
        }
    }

    /// Bytes that one entry stands for.
    #[must_use]
    pub const fn entry_size(self) -> u64 {
        1 << self.shift()
    }

    /// The level that a table descriptor of this level leads to.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::One => Some(Self::Two),
            Self::Two => Some(Self::Three),
            Self::Three => None,
        }
    }

    /// 1, 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// The entry of a table of this level that translates `offset`.
    pub(super) const fn index(self, offset: u64) -> Index {
        #[expect(clippy::cast_possible_truncation, reason = "nine bits are left")]
        Index((offset >> self.shift()) as u16 % COUNT)
    }

    /// Cuts `span` at the borders of this level's entries.
    pub(super) fn pieces(self, span: Span) -> impl Iterator<Item = (Index, Span)> {
        let mut start = span.start;
        core::iter::from_fn(move || {
            if start >= span.end {
                return None;
            }
            let border = (start | (self.entry_size() - 1)) + 1;
            let piece = Span { start, end: border.min(span.end) };
            start = border;
            Some((self.index(piece.start), piece))
        })
    }
}

/// The number of an entry in its table, below [`ENTRIES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Index(u16);

impl Index {
    /// Entry `number`, if a table has so many.
    #[expect(clippy::cast_possible_truncation, reason = "below COUNT")]
    pub(super) const fn new(number: usize) -> Option<Self> {
        if number < ENTRIES { Some(Self(number as u16)) } else { None }
    }

    /// Entry `number`, which a table has.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below COUNT")]
    pub(super) const fn within(number: usize) -> Self {
        debug_assert!(number < ENTRIES);
        Self(number as u16 % COUNT)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// All entries of a table, in order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(Self)
    }
}

/// Offsets `start..end` of a half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) const fn bytes(self) -> u64 {
        self.end - self.start
    }
}

/// Whole pages `start..end`, all in one half. May be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtRange<A> {
    start: A,
    span: Span,
}

/// Why there is no such range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeError<A> {
    /// The start is not on a page border.
    MisalignedStart {
        /// The start.
        start: A,
    },
    /// The length is not a whole number of pages.
    MisalignedLength {
        /// The length in bytes.
        bytes: u64,
    },
    /// It begins or ends outside the half.
    OutOfHalf {
        /// The start.
        start: A,
        /// The length in bytes.
        bytes: u64,
    },
}

impl<A: HalfAddress> VirtRange<A> {
    /// `bytes` bytes from `start`.
    pub fn new(start: A, bytes: u64) -> Result<Self, RangeError<A>> {
        const IN_PAGE: u64 = PAGE_SIZE as u64 - 1;
        let out_of_half = RangeError::OutOfHalf { start, bytes };
        let offset = start.offset().ok_or(out_of_half)?;
        if offset & IN_PAGE != 0 {
            return Err(RangeError::MisalignedStart { start });
        }
        if bytes & IN_PAGE != 0 {
            return Err(RangeError::MisalignedLength { bytes });
        }
        let end = offset.checked_add(bytes).filter(|&end| end <= HALF_SIZE).ok_or(out_of_half)?;
        Ok(Self { start, span: Span { start: offset, end } })
    }

    /// The page at `page`.
    pub fn page(page: A) -> Result<Self, RangeError<A>> {
        Self::new(page, PAGE_SIZE as u64)
    }

    /// The first address.
    #[must_use]
    pub fn start(&self) -> A {
        self.start
    }

    /// The length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.span.bytes()
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn both_halves_index_alike() {
        let user = UserAddr::new(0x12_3456_7000).offset();
        let kernel = VirtAddr::new(KERNEL_BASE + 0x12_3456_7000).offset();
        assert_eq!(user, kernel);
        assert_eq!(Level::One.index(0x12_3456_7000).get(), 0x48);
        assert_eq!(Level::Two.index(0x12_3456_7000).get(), 0x1a2);
        assert_eq!(Level::Three.index(0x12_3456_7000).get(), 0x167);
    }

    #[test]
    fn a_range_may_end_where_the_half_ends_and_no_further() {
        let last = VirtAddr::new(u64::MAX - 0xfff);
        assert_eq!(VirtRange::page(last).map(|r| r.bytes()), Ok(4096));
        assert!(matches!(VirtRange::new(last, 8192), Err(RangeError::OutOfHalf { .. })));
        assert!(VirtRange::new(UserAddr::new(0), HALF_SIZE).is_ok());
        assert!(matches!(VirtRange::new(UserAddr::new(HALF_SIZE), 4096), Err(RangeError::OutOfHalf { .. })));
        assert!(matches!(VirtRange::new(UserAddr::new(4096), u64::MAX - 4095), Err(RangeError::OutOfHalf { .. })));
    }

    #[test]
    fn a_user_address_is_not_in_the_kernels_half() {
        assert_eq!(VirtAddr::new(0x8_0000).offset(), None);
        assert_eq!(UserAddr::new(KERNEL_BASE).offset(), None);
    }

    #[test]
    fn half_a_page_is_no_range() {
        assert!(matches!(VirtRange::new(UserAddr::new(2048), 4096), Err(RangeError::MisalignedStart { .. })));
        assert!(matches!(VirtRange::new(UserAddr::new(4096), 100), Err(RangeError::MisalignedLength { bytes: 100 })));
    }

    #[test]
    fn pieces_cover_a_span_and_stop_at_each_border() {
        let span = Span { start: 0x1f_f000, end: 0x40_1000 };
        let pieces: Vec<_> = Level::Two.pieces(span).map(|(i, p)| (i.get(), p.start, p.end)).collect();
        assert_eq!(pieces, [(0, 0x1f_f000, 0x20_0000), (1, 0x20_0000, 0x40_0000), (2, 0x40_0000, 0x40_1000)]);
    }
}
