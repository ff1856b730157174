//! One entry of a translation table: a 64-bit descriptor and what it means at its level.
//!
//! Layout (Arm ARM D8.3, 4 KiB granule, 48-bit output addresses):
//!
//! | bits | table | block, page |
//! |---|---|---|
//! | 63 | `NSTable`, zero | – |
//! | 62:59 | `APTable`, `UXNTable`, `PXNTable` | ignored without hardware extensions |
//! | 58:55 | ignored: the upper half of [`Groups`] | ours |
//! | 54, 53 | ignored: with 52 and 51 the lower half | UXN, PXN |
//! | 47:12 | next table | output address |
//! | 11:2 | ignored: how many entries of the next table are in use | nG, AF, SH, AP, NS, `AttrIndx` |
//! | 1:0 | 11 | 01 block, 11 page |

use core::fmt;

use super::address::{ENTRIES, Index, Level};
use super::attr::{Access, Attributes, SoftwareBits, TableLimits};
use crate::addr::{PhysAddr, PhysFrame};

/// Physical addresses are below this power of two: what `TCR_EL1.IPS` is set to (40 bits, the Cortex-A53's range).
pub const PHYSICAL_BITS: u32 = 40;

const VALID: u64 = Descriptor::VALID;
// Bit 1: at level 3 it must be set, at levels 1 and 2 it tells a table from a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
const ACCESS_FLAG: u64 = 1 << 10;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const LIVE_SHIFT: u32 = 2;
const LIVE_MASK: u64 = 0x3ff;
const GROUPS_SHIFT: u32 = 51;

/// The raw value of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Descriptor(u64);

/// What a descriptor means at its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing: an access takes a translation fault.
    Invalid,
    /// The walk goes on in another table.
    Table(TableEntry),
    /// 1 GiB or 2 MiB of memory.
    Block(Leaf),
    /// A page.
    Page(Leaf),
    /// Reserved by the architecture, or of a kind that this kernel never writes.
    Reserved,
}

/// A table descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableEntry {
    /// The frame that holds the next table.
    pub frame: PhysFrame,
    /// What is forbidden below.
    pub limits: TableLimits,
    /// Where entries of the next table may be in use.
    pub groups: Groups,
    /// How many entries of the next table are not invalid, at most 512.
    pub live: u16,
}

/// Which eighths of a table may have entries in use: what a search through the table need not miss, for most tables have
/// their few entries close together. Who adds an entry notes its eighth; nobody takes a note back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Groups(u8);

impl Groups {
    /// Entries in an eighth.
    pub(super) const ENTRIES: usize = ENTRIES.div_ceil(8);
    /// All of them: nothing is known.
    pub const ALL: Self = Self(u8::MAX);

    /// That of one entry.
    #[must_use]
    #[inline]
    pub const fn of(index: Index) -> Self {
        Self(1 << (index.get() / Self::ENTRIES))
    }

    /// Those of the entries from `first` to `last`.
    #[must_use]
    #[inline]
    pub(super) const fn of_range(first: Index, last: Index) -> Self {
        let (low, high) = (first.get() / Self::ENTRIES, last.get() / Self::ENTRIES);
        Self(u8::MAX << low & u8::MAX >> (7 - high))
    }

    /// Those that are among `others`, too.
    #[must_use]
    #[inline]
    pub(super) const fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// These and `others`.
    #[must_use]
    #[inline]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether the eighth `number` is one of them.
    #[inline]
    pub(super) const fn has(self, number: usize) -> bool {
        self.0 >> number & 1 != 0
    }
}

/// A block or page descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The first physical address; a multiple of what the entry's level maps.
    pub output: PhysAddr,
    /// Memory type, permissions, marks.
    pub attributes: Attributes<Access>,
}

impl Descriptor {
    /// The bit that says that a descriptor is in use.
    pub(super) const VALID: u64 = 1 << 0;

    /// The descriptor that means nothing.
    pub const INVALID: Self = Self(0);

    /// Takes a descriptor as it stands in memory.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The descriptor as it stands in memory.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// A table descriptor.
    #[must_use]
    pub fn table(entry: TableEntry) -> Self {
        let live = u64::from(entry.live) << LIVE_SHIFT;
        let groups = u64::from(entry.groups.0) << GROUPS_SHIFT;
        Self(entry.frame.start().get() | entry.limits.bits() | groups | live | TABLE_OR_PAGE | VALID)
    }

    /// A block descriptor at levels 1 and 2, a page descriptor at level 3. The access flag is set: neither board has
    /// hardware that would set it, and no fault is wanted.
    #[must_use]
    pub fn leaf(level: Level, leaf: Leaf) -> Self {
        debug_assert!(leaf.output.is_aligned(level.entry_size()));
        let kind = if level == Level::Three { TABLE_OR_PAGE | VALID } else { VALID };
        Self(leaf.output.get() | leaf.attributes.bits() | ACCESS_FLAG | kind)
    }

    /// What the descriptor means in a table of `level`.
    #[must_use]
    pub fn decode(self, level: Level) -> Entry {
        match (level, self.0 & VALID != 0, self.0 & TABLE_OR_PAGE != 0) {
            (_, false, _) => Entry::Invalid,
            (Level::One | Level::Two, true, true) => self.decode_table(),
            (Level::One | Level::Two, true, false) => self.decode_leaf(level).map_or(Entry::Reserved, Entry::Block),
            (Level::Three, true, true) => self.decode_leaf(level).map_or(Entry::Reserved, Entry::Page),
            (Level::Three, true, false) => Entry::Reserved,
        }
    }

    /// What the descriptor means in a table of `level` that this kernel wrote. Nothing is checked: for loops over whole
    /// tables.
    #[must_use]
    #[inline]
    pub(super) fn decode_ours(self, level: Level) -> Entry {
        if self.0 & VALID == 0 {
            return Entry::Invalid;
        }
        let output = PhysAddr::new(self.0 & ADDRESS);
        let leaf = Leaf { output, attributes: Attributes::decode_ours(self.0) };
        match (level, self.0 & TABLE_OR_PAGE != 0) {
            (Level::One | Level::Two, true) => self.decode_table(),
            (Level::One | Level::Two, false) => Entry::Block(leaf),
            (Level::Three, _) => Entry::Page(leaf),
        }
    }

    /// Whether the entry is in use.
    #[must_use]
    #[inline]
    pub(super) const fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    /// A table descriptor as it may stand in two tables: nothing below is written by way of either.
    #[must_use]
    #[inline]
    pub(super) const fn read_only(self) -> Self {
        Self(self.0 | TableLimits::READ_ONLY.bits())
    }

    /// The frame of the next table, if it is a table descriptor in a table of `level`.
    #[must_use]
    #[inline]
    pub(super) fn next_table(self, level: Level) -> Option<PhysFrame> {
        const TABLE: u64 = TABLE_OR_PAGE | VALID;
        let is_table = level != Level::Three && self.0 & TABLE == TABLE;
        is_table.then(|| PhysFrame::containing(PhysAddr::new(self.0 & ADDRESS)))
    }

    /// A leaf as it may stand in two tables: private memory is not written by way of either.
    #[must_use]
    #[inline]
    pub(super) const fn marked(self) -> Self {
        if self.0 & SoftwareBits::SHARED.bits() == 0 { Self(self.0 | Attributes::<Access>::NO_STORE) } else { self }
    }

    /// A leaf of a page like this one, for the page in `frame`.
    #[must_use]
    #[inline]
    pub(super) const fn moved_to(self, frame: PhysFrame) -> Self {
        Self(self.0 & !ADDRESS | frame.start().get())
    }

    #[inline]
    fn decode_table(self) -> Entry {
        Entry::Table(self.table_entry())
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "ten bits, and eight bits")]
    fn table_entry(self) -> TableEntry {
        TableEntry {
            frame: PhysFrame::containing(PhysAddr::new(self.0 & ADDRESS)),
            limits: TableLimits::from_bits_truncate(self.0),
            groups: Groups((self.0 >> GROUPS_SHIFT) as u8),
            live: (self.0 >> LIVE_SHIFT & LIVE_MASK) as u16,
        }
    }

    /// What the descriptor says of the next table, if it is a table descriptor that this kernel wrote to a table of
    /// `level`.
    #[must_use]
    #[inline]
    pub(super) fn as_table(self, level: Level) -> Option<TableEntry> {
        const TABLE: u64 = TABLE_OR_PAGE | VALID;
        (level != Level::Three && self.0 & TABLE == TABLE).then(|| self.table_entry())
    }

    fn decode_leaf(self, level: Level) -> Option<Leaf> {
        const KNOWN: u64 = ADDRESS | Attributes::<Access>::MASK | ACCESS_FLAG | TABLE_OR_PAGE | VALID;
        let output = PhysAddr::new(self.0 & ADDRESS);
        let ours = self.0 & !KNOWN == 0 && self.0 & ACCESS_FLAG != 0 && output.is_aligned(level.entry_size());
        let attributes = Attributes::decode(self.0)?;
        ours.then_some(Leaf { output, attributes })
    }
}

impl Entry {
    /// The leaf, if the entry is one.
    #[must_use]
    pub const fn leaf(self) -> Option<Leaf> {
        match self {
            Self::Block(leaf) | Self::Page(leaf) => Some(leaf),
            Self::Invalid | Self::Table(_) | Self::Reserved => None,
        }
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Descriptor({:#018x})", self.0)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::paging::attr::{KernelAccess, MemoryType, UserAccess};
    use proptest::prelude::*;

    #[test]
    fn the_eighths_of_a_range_are_those_of_its_entries() {
        let ends: Vec<_> = (0..ENTRIES).step_by(Groups::ENTRIES - 1).filter_map(Index::new).collect();
        for &first in &ends {
            for &last in ends.iter().filter(|&&last| last >= first) {
                let each = (first.get()..=last.get()).filter_map(Index::new).map(Groups::of);
                let all = each.fold(Groups::default(), Groups::with);
                assert_eq!(Groups::of_range(first, last), all, "{first:?} to {last:?}");
            }
        }
    }

    #[test]
    fn the_bits_are_those_of_the_manual() {
        let code = Leaf {
            output: PhysAddr::new(0x8_0000),
            attributes: Attributes::normal(Access::Kernel(KernelAccess::ReadExecute)),
        };
        assert_eq!(Descriptor::leaf(Level::Three, code).raw(), 1 << 54 | 0x8_0000 | 1 << 10 | 3 << 8 | 1 << 7 | 0b11);

        let registers = Leaf {
            output: PhysAddr::new(0xfe00_0000),
            attributes: Attributes::device(Access::Kernel(KernelAccess::ReadWrite)),
        };
        assert_eq!(
            Descriptor::leaf(Level::Two, registers).raw(),
            1 << 54 | 1 << 53 | 0xfe00_0000 | 1 << 10 | 1 << 2 | 0b01
        );

        let data = Leaf {
            output: PhysAddr::new(0x1234_5000),
            attributes: Attributes::normal(Access::User(UserAccess::ReadWrite)).with_software(SoftwareBits::SHARED),
        };
        assert_eq!(
            Descriptor::leaf(Level::Three, data).raw(),
            1 << 55 | 1 << 54 | 1 << 53 | 0x1234_5000 | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 0b11
        );

        let shared = TableEntry {
            frame: PhysFrame::from_number(0x345),
            limits: TableLimits::READ_ONLY,
            groups: Groups::of(Index::new(70).unwrap()),
            live: 512,
        };
        assert_eq!(Descriptor::table(shared).raw(), 1 << 62 | 1 << 52 | 0x34_5000 | 512 << 2 | 0b11);
    }

    #[test]
    fn level_three_has_no_blocks_and_no_tables() {
        assert_eq!(Descriptor::from_raw(0b01).decode(Level::Three), Entry::Reserved);
        assert!(matches!(Descriptor::from_raw(0b11).decode(Level::Two), Entry::Table(_)));
        assert_eq!(Descriptor::from_raw(0b10).decode(Level::One), Entry::Invalid);
    }

    #[test]
    fn a_block_at_an_odd_address_is_reserved() {
        let leaf = Leaf {
            output: PhysAddr::new(0x20_0000),
            attributes: Attributes::normal(Access::User(UserAccess::ReadOnly)),
        };
        let block = Descriptor::leaf(Level::Two, leaf);
        assert_eq!(block.decode(Level::Two), Entry::Block(leaf));
        assert_eq!(block.decode(Level::One), Entry::Reserved);
    }

    fn any_attributes() -> impl Strategy<Value = Attributes<Access>> {
        let memory =
            prop_oneof![Just(MemoryType::Normal), Just(MemoryType::Device), Just(MemoryType::NormalNonCacheable)];
        let access = prop_oneof![
            prop_oneof![Just(KernelAccess::ReadOnly), Just(KernelAccess::ReadWrite), Just(KernelAccess::ReadExecute)]
                .prop_map(Access::Kernel),
            prop_oneof![
                Just(UserAccess::None),
                Just(UserAccess::ReadOnly),
                Just(UserAccess::ReadWrite),
                Just(UserAccess::ReadExecute),
                Just(UserAccess::ReadWriteExecute)
            ]
            .prop_map(Access::User),
        ];
        (memory, access, 0..16_u64).prop_map(|(memory, access, marks)| Attributes {
            memory,
            access,
            software: SoftwareBits::from_bits_truncate(marks << 55),
        })
    }

    proptest! {
        #![proptest_config(crate::paging::tests::dose(256))]

        #[test]
        fn leaves_survive_encoding(attributes in any_attributes(), number in 0..1_u64 << 10, level in 1..=3_u8) {
            let level = [Level::One, Level::Two, Level::Three][usize::from(level) - 1];
            let leaf = Leaf { output: PhysAddr::new(number << level.shift()), attributes };
            prop_assert_eq!(Descriptor::leaf(level, leaf).decode(level).leaf(), Some(leaf));
        }

        #[test]
        fn table_descriptors_survive_encoding(number in 0..1_u64 << 28, limits in 0..16_u64, groups: u8, live in 0..=512_u16) {
            let entry = TableEntry {
                frame: PhysFrame::from_number(number),
                limits: TableLimits::from_bits_truncate(limits << 59),
                groups: Groups(groups),
                live,
            };
            prop_assert_eq!(Descriptor::table(entry).decode(Level::Two), Entry::Table(entry));
        }

        #[test]
        fn what_decodes_to_a_leaf_encodes_to_the_same_bits(raw: u64) {
            let descriptor = Descriptor::from_raw(raw & (ADDRESS | Attributes::<Access>::MASK) | ACCESS_FLAG | 0b11);
            if let Entry::Page(leaf) = descriptor.decode(Level::Three) {
                prop_assert_eq!(Descriptor::leaf(Level::Three, leaf), descriptor);
            }
        }
    }
}
