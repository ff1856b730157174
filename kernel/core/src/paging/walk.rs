//! Looking: the walk of one address, as the hardware does it, and the visit of all entries of a range.

use core::ops::ControlFlow;

use heapless::Vec;

use super::address::{HalfAddress, Index, Level, Span, VirtRange};
use super::attr::{Access, Attributes, Rights, TableLimits};
use super::descriptor::{Descriptor, Entry, Leaf};
use super::table::Table;
use super::tree::Tree;
use crate::addr::PhysAddr;
use crate::hal::FrameAccess;

/// One entry that a walk looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The level of the table.
    pub level: Level,
    /// The entry's place in the table.
    pub index: Index,
    /// What stood there.
    pub descriptor: Descriptor,
}

/// The walk of one address: what was looked at, from the root down, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// One step for each level that was reached.
    pub steps: Vec<Step, 3>,
    /// How it ended.
    pub translation: Translation,
}

/// How a walk ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Translation {
    /// At a leaf.
    Mapped(Mapping),
    /// At an invalid entry of a table of this level.
    NotMapped {
        /// The level that a translation fault would report.
        level: Level,
    },
    /// At an entry that this kernel never writes: the tables are damaged.
    Damaged {
        /// The level of the table.
        level: Level,
        /// What stands there.
        descriptor: Descriptor,
    },
    /// Nowhere: the address is not in this half.
    OutOfHalf,
}

/// A translated address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The physical address, offset included.
    pub phys: PhysAddr,
    /// The level of the leaf; it is what a permission fault reports, whichever table forbids the access.
    pub level: Level,
    /// What the leaf says.
    pub attributes: Attributes<Access>,
    /// What the tables on the way forbid, of all levels together.
    pub limits: TableLimits,
    /// What remains.
    pub rights: Rights,
}

impl Walk {
    /// The first step, from the root, whose table descriptor forbids any of `limits`: with
    /// [`TableLimits::READ_ONLY`] the table below it is the topmost shared one.
    #[must_use]
    pub fn first_restricting(&self, limits: TableLimits) -> Option<&Step> {
        self.steps.iter().find(|step| match step.descriptor.decode(step.level) {
            Entry::Table(entry) => entry.limits.intersects(limits),
            Entry::Invalid | Entry::Block(_) | Entry::Page(_) | Entry::Reserved => false,
        })
    }

    /// The translation, if there is one.
    #[must_use]
    pub fn mapping(&self) -> Option<Mapping> {
        match self.translation {
            Translation::Mapped(mapping) => Some(mapping),
            Translation::NotMapped { .. } | Translation::Damaged { .. } | Translation::OutOfHalf => None,
        }
    }
}

/// An entry that is not invalid, as a visit meets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visited<A> {
    /// The first address that the entry stands for.
    pub start: A,
    /// The level of its table.
    pub level: Level,
    /// What it means.
    pub entry: Entry,
    /// What the tables above forbid.
    pub limits: TableLimits,
}

impl<A: HalfAddress> Tree<A> {
    /// Walks `address` from the root.
    #[must_use]
    pub fn walk(&self, memory: &impl FrameAccess, address: A) -> Walk {
        let mut steps = Vec::new();
        let translation = match address.offset() {
            Some(offset) => walk_down(self.root_table(memory), memory, offset, &mut steps),
            None => Translation::OutOfHalf,
        };
        Walk { steps, translation }
    }

    /// The translation of `address`, if there is one: what [`walk`](Self::walk) finds, without the way there.
    #[must_use]
    pub fn translate(&self, memory: &impl FrameAccess, address: A) -> Option<Mapping> {
        let offset = address.offset()?;
        let mut table = self.root_table(memory);
        let mut limits = TableLimits::empty();
        loop {
            let (level, index) = (table.level(), table.level().index(offset));
            match table.child(memory, index) {
                Some((child, entry)) => {
                    limits |= entry.limits;
                    table = child;
                }
                None => return table.entry(index).leaf().map(|leaf| Mapping::new(leaf, level, offset, limits)),
            }
        }
    }

    /// Shows `visitor` every valid entry of `range`, tables before what is below them, in the order of addresses,
    /// until it breaks.
    pub fn visit<B>(
        &self,
        memory: &impl FrameAccess,
        range: VirtRange<A>,
        mut visitor: impl FnMut(Visited<A>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        visit_table(self.root_table(memory), memory, range.span(), TableLimits::empty(), &mut visitor)
    }
}

fn walk_down<'m>(
    mut table: Table<'m>,
    memory: &'m impl FrameAccess,
    offset: u64,
    steps: &mut Vec<Step, 3>,
) -> Translation {
    let mut limits = TableLimits::empty();
    loop {
        let level = table.level();
        let index = level.index(offset);
        let descriptor = table.descriptor(index);
        let noted = steps.push(Step { level, index, descriptor });
        debug_assert!(noted.is_ok(), "a walk has at most three steps");
        match descriptor.decode(level) {
            Entry::Invalid => return Translation::NotMapped { level },
            Entry::Reserved => return Translation::Damaged { level, descriptor },
            Entry::Block(leaf) | Entry::Page(leaf) => {
                return Translation::Mapped(Mapping::new(leaf, level, offset, limits));
            }
            Entry::Table(entry) => limits |= entry.limits,
        }
        match table.child(memory, index) {
            Some((child, _)) => table = child,
            None => return Translation::Damaged { level, descriptor },
        }
    }
}

impl Mapping {
    fn new(leaf: Leaf, level: Level, offset: u64, limits: TableLimits) -> Self {
        let inside = offset & (level.entry_size() - 1);
        Self {
            // The output is a multiple of the entry's size, so that this is an addition.
            phys: PhysAddr::new(leaf.output.get() | inside),
            level,
            attributes: leaf.attributes,
            limits,
            rights: leaf.attributes.access.effective(limits),
        }
    }
}

fn visit_table<'m, A: HalfAddress, B>(
    table: Table<'m>,
    memory: &'m impl FrameAccess,
    span: Span,
    limits: TableLimits,
    visitor: &mut impl FnMut(Visited<A>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let level = table.level();
    for (index, piece) in level.pieces(span) {
        let entry = table.entry(index);
        if entry == Entry::Invalid {
            continue;
        }
        let start = A::from_offset(piece.start & !(level.entry_size() - 1));
        visitor(Visited { start, level, entry, limits })?;
        if let Some((child, entry)) = table.child(memory, index) {
            visit_table(child, memory, piece, limits | entry.limits, visitor)?;
        }
    }
    ControlFlow::Continue(())
}
