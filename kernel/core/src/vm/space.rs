//! The address space itself.

use super::area::{AreaFlags, AreaKind, AreaView, Backing, Protection};
use super::areas::{Areas, Totals};
use super::failure::MapFailure;
use super::layout::Layout;
use super::limits::Limits;
use super::range::{PAGE, PageRange};
use super::statistics::{Resident, SpaceStatistics};
use super::system::{MemorySystem, OutOfMemory, Pager};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::{OutOfFrames, TableCensus, UserTree};

/// A program's memory.
///
/// Must end in [`destroy`](Self::destroy); a drop leaks its frames. All verbs want the system that the space was made
/// with.
#[must_use = "a dropped space is lost frames"]
#[derive(Debug)]
pub struct Space {
    pub(super) tree: UserTree,
    pub(super) areas: Areas,
    pub(super) layout: Layout,
    pub(super) heap: Heap,
    /// Pages that the tables map.
    pub(super) resident: Resident,
    pub(super) limits: Limits,
    /// Whether memory may be writable and executable at once.
    pub(super) write_execute: bool,
    /// Whether what is mapped from now on is locked.
    pub(super) lock_future: bool,
    pub(super) strings: ProgramStrings,
}

/// Where a program's arguments and environment stand in its memory: one string behind the other, as they were when it
/// began. The program may have changed them since, as those do that change their title.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProgramStrings {
    /// The first argument.
    pub start: UserAddr,
    /// Bytes of arguments, each with its NUL.
    pub arguments: u32,
    /// Bytes of environment, directly behind them.
    pub environment: u32,
}

/// The memory below the program break.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heap {
    pub(super) start: UserAddr,
    /// The break. The areas end at the next page border.
    pub(super) end: UserAddr,
}

impl Space {
    /// A space without areas. `tag` is its own: no other living space has it, and no TLB holds anything of an earlier
    /// one.
    pub fn new(system: &impl MemorySystem, tag: Asid, layout: Layout) -> Result<Self, OutOfMemory> {
        if !system.has_room() {
            return Err(OutOfMemory);
        }
        let tree = UserTree::new(system, tag).map_err(|OutOfFrames| OutOfMemory)?;
        Ok(Self {
            tree,
            areas: Areas::new(),
            layout,
            heap: Heap { start: layout.break_start, end: layout.break_start },
            resident: Resident::default(),
            limits: Limits::default(),
            write_execute: false,
            lock_future: false,
            strings: ProgramStrings::default(),
        })
    }

    /// Ends the space. No TTBR holds its root any more.
    ///
    /// It takes as long as there are tables and pages that belong to this space alone; what it shares with others is
    /// not looked at. No lock is held, and the caller may be preempted.
    pub fn destroy(self, system: &impl MemorySystem) {
        system.commitments().uncharge(self.areas.totals().charged);
        self.tree.destroy(system);
    }

    /// The root's frame, for TTBR0. From here on the space counts as in use by CPUs.
    pub fn activate(&mut self) -> PhysFrame {
        self.tree.activate()
    }

    /// The tag of its translations.
    #[must_use]
    pub fn tag(&self) -> Asid {
        self.tree.tables().tag()
    }

    /// Where its parts go.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The limits that it keeps to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Sets the limits. What is there already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Where its program's arguments and environment stand.
    #[must_use]
    pub fn strings(&self) -> ProgramStrings {
        self.strings
    }

    /// Notes where they stand.
    pub fn set_strings(&mut self, strings: ProgramStrings) {
        self.strings = strings;
    }

    /// Whether memory may be writable and executable at once.
    #[must_use]
    pub fn wx_allowed(&self) -> bool {
        self.write_execute
    }

    /// Allows memory that is writable and executable at once, or forbids it from now on.
    pub fn allow_write_execute(&mut self, allowed: bool) {
        self.write_execute = allowed;
    }

    /// How large it is.
    #[must_use]
    pub fn statistics(&self) -> SpaceStatistics {
        let Totals { pages, data, stack, locked, .. } = self.areas.totals();
        let (resident, most_resident) = (self.resident.now(), self.resident.most());
        SpaceStatistics { resident, most_resident, total: pages, data, stack, locked }
    }

    /// How many pages of data and stack there are.
    #[must_use]
    pub fn data_and_stack(&self) -> u64 {
        let Totals { data, stack, .. } = self.areas.totals();
        data + stack
    }

    /// How many pages the tables mapped at a time at most.
    #[must_use]
    pub fn most_resident(&self) -> u64 {
        self.resident.most()
    }

    /// How many translation tables it has. Looks at all of them.
    pub fn tables(&self, system: &impl MemorySystem) -> TableCensus {
        self.tree.census(system.memory())
    }

    /// Its areas, in the order of their addresses.
    pub fn areas(&self) -> impl Iterator<Item = AreaView<'_>> {
        self.areas.as_slice().iter().map(|area| {
            let (pager, offset) = match &area.backing {
                Backing::Anonymous => (None, 0),
                Backing::Object { pager, offset } => (Some(pager), *offset),
            };
            let in_heap = self.heap.start <= area.range.start() && area.range.end() <= self.heap.area_end();
            let kind = match pager {
                Some(pager) if pager.is_kernels_own() => AreaKind::KernelObject,
                Some(_) => AreaKind::Object,
                None if area.flags.contains(AreaFlags::GROWS_DOWN) => AreaKind::Stack,
                None if in_heap => AreaKind::Heap,
                None => AreaKind::Anonymous,
            };
            AreaView {
                start: area.range.start(),
                end: area.range.end(),
                protection: area.protection,
                sharing: area.sharing,
                inheritance: area.inheritance,
                locked: area.flags.contains(AreaFlags::LOCKED),
                kind,
                pager,
                offset,
            }
        })
    }

    /// Where the byte at `offset` of an object is mapped, if it is.
    pub fn place_of(&self, pager: &dyn Pager, offset: u64) -> Option<UserAddr> {
        self.areas.as_slice().iter().find_map(|area| {
            let Backing::Object { pager: mapped, offset: first } = &area.backing else { return None };
            let at = area.range.start().checked_add(offset.checked_sub(*first)?)?;
            (mapped.identity() == pager.identity() && at < area.range.end()).then_some(at)
        })
    }

    /// Checks that `protection` is not one that the policy forbids.
    pub(super) fn check_write_execute(&self, protection: Protection) -> Result<(), MapFailure> {
        let both = Protection::WRITE | Protection::EXECUTE;
        if protection.contains(both) && !self.write_execute { Err(MapFailure::WriteAndExecute) } else { Ok(()) }
    }

    /// Checks that `more` may be added to what there is, when `less` goes.
    pub(super) fn check_limits(&self, more: Totals, less: Totals) -> Result<(), MapFailure> {
        let now = self.areas.totals();
        let fits = |now: u64, more: u64, less: u64, limit: u64| more == 0 || now + more - less <= limit / PAGE;
        let allowed = fits(now.pages, more.pages, less.pages, self.limits.address_space)
            && fits(now.data, more.data, less.data, self.limits.data);
        if !allowed {
            return Err(MapFailure::Limit);
        }
        if fits(now.locked, more.locked, less.locked, self.limits.locked) { Ok(()) } else { Err(MapFailure::LockLimit) }
    }

    /// Takes the pages of `range` out of the tables. The areas stay.
    pub(super) fn forget_pages(&mut self, system: &impl MemorySystem, range: PageRange) -> Result<(), OutOfFrames> {
        if self.resident.now() > 0 {
            self.resident.remove(self.tree.unmap(system, range.tables())?);
        }
        Ok(())
    }
}

impl Heap {
    /// Where its areas end.
    pub(super) fn area_end(self) -> UserAddr {
        self.end.align_up(PAGE).unwrap_or(self.end)
    }
}
