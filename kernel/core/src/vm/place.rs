//! Finding a place for a mapping.

use super::area::{Area, AreaFlags};
use super::failure::MapFailure;
use super::range::{PAGE, PageRange};
use super::space::Space;
use crate::addr::{USER_END, UserAddr};

/// Nothing is mapped below (`vm.mmap_min_addr`): a null pointer leads to nothing, with any small offset.
pub(super) const LOWEST: UserAddr = UserAddr::new(64 << 10);
/// What stays free below a stack, so that one that runs over does not run into something.
pub(super) const STACK_GUARD: u64 = 256 * PAGE;

/// Where a mapping shall go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Where there is room.
    Anywhere,
    /// At this address if nothing is there, else anywhere.
    Hint(UserAddr),
    /// At this address. What is there goes.
    Fixed(UserAddr),
    /// At this address, if nothing is there.
    FixedNoReplace(UserAddr),
}

impl Space {
    /// The range for a mapping of `bytes`, a multiple of the page size, at `place`.
    pub(super) fn choose(&self, place: Place, bytes: u64) -> Result<PageRange, MapFailure> {
        match place {
            Place::Anywhere => self.find_gap(bytes),
            Place::Hint(at) => match self.hinted(at, bytes) {
                Some(range) => Ok(range),
                None => self.find_gap(bytes),
            },
            Place::Fixed(at) => fixed(at, bytes),
            Place::FixedNoReplace(at) => {
                let range = fixed(at, bytes)?;
                match self.areas.overlapping(range).first() {
                    None => Ok(range),
                    Some(area) => Err(MapFailure::Occupied { at: area.range.start().max(range.start()) }),
                }
            }
        }
    }

    /// The pages at the hint, if they are free.
    fn hinted(&self, at: UserAddr, bytes: u64) -> Option<PageRange> {
        let start = at.page_down().max(LOWEST);
        let range = PageRange::between(start, start.checked_add(bytes)?)?;
        self.is_free(range).then_some(range)
    }

    /// Whether nothing is in `range`, and no stack may grow into it.
    pub(super) fn is_free(&self, range: PageRange) -> bool {
        self.areas.from(range.start()).first().is_none_or(|next| claimed_from(next) >= range.end().get())
    }

    /// The highest gap below the place where mappings begin; if there is none, the highest of all.
    pub(super) fn find_gap(&self, bytes: u64) -> Result<PageRange, MapFailure> {
        let usual = self.layout.mmap_top.get().min(USER_END);
        self.gap_below(usual, bytes).or_else(|| self.gap_below(USER_END, bytes)).ok_or(MapFailure::NoGap)
    }

    fn gap_below(&self, ceiling: u64, bytes: u64) -> Option<PageRange> {
        let ceiling = UserAddr::new(ceiling);
        let above = self.areas.from(ceiling).first().map_or(USER_END, claimed_from);
        let mut top = ceiling.get().min(above);
        for area in self.areas.below(ceiling).iter().rev() {
            if top.checked_sub(area.range.end().get()).is_some_and(|gap| gap >= bytes) {
                break;
            }
            top = top.min(claimed_from(area));
        }
        let start = top.checked_sub(bytes).filter(|&start| start >= LOWEST.get())?;
        PageRange::between(UserAddr::new(start), UserAddr::new(top))
    }
}

/// The pages at `at`, whatever is there.
fn fixed(at: UserAddr, bytes: u64) -> Result<PageRange, MapFailure> {
    let range = PageRange::new(at, bytes)?;
    if range.start() < LOWEST { Err(MapFailure::TooLow) } else { Ok(range) }
}

/// Where the memory begins that nothing may be placed in for the sake of `area`.
fn claimed_from(area: &Area) -> u64 {
    let guard = if area.flags.contains(AreaFlags::GROWS_DOWN) { STACK_GUARD } else { 0 };
    area.range.start().get().saturating_sub(guard)
}
