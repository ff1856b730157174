//! From segments to mappings.

use alloc::sync::Arc;
use core::ops::Range;

use super::ExecError;
use super::find::Source;
use crate::addr::{PAGE_SIZE, USER_END, UserAddr};
use crate::elf::{Image, Kind, Segment, SegmentAccess};
use crate::vm::{self, MapFailure, MapFlags, MapRequest, MemorySystem, Pager, Place, Protection, Sharing, Space};

/// What is added to a file's addresses, modulo 2^64: a file may have been linked above the place that it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bias(u64);

impl Bias {
    const NONE: Self = Self(0);

    /// Where something is that has this address in the file.
    pub(super) const fn apply(self, address: u64) -> UserAddr {
        UserAddr::new(address.wrapping_add(self.0))
    }

    /// The bias with which the pages of `image` are the first ones from `base` on that have its alignment.
    fn from_base(image: &Image, base: UserAddr) -> Option<Self> {
        let alignment = image.alignment().max(PAGE_SIZE as u64);
        let first = UserAddr::new(image.pages().start).align_down(alignment);
        let bias = Self(base.align_up(alignment)?.get().wrapping_sub(first.get()));
        let start = bias.apply(image.pages().start);
        let bytes = image.pages().end.checked_sub(image.pages().start)?;
        start.checked_add(bytes).filter(|end| end.get() <= USER_END).map(|_| bias)
    }
}

/// Maps a program, and lets its heap begin behind it.
pub(super) fn program<E>(system: &impl MemorySystem, space: &mut Space, source: &Source) -> Result<Bias, ExecError<E>> {
    let bias = match source.image.kind {
        Kind::Fixed => Bias::NONE,
        Kind::Relocatable => Bias::from_base(&source.image, space.layout().image_base).ok_or(ExecError::NoPlace)?,
    };
    segments(system, space, source, bias)?;
    space.start_break(bias.apply(source.image.pages().end));
    Ok(bias)
}

/// Maps the interpreter of a program that is mapped already.
pub(super) fn interpreter<E>(
    system: &impl MemorySystem,
    space: &mut Space,
    source: &Source,
) -> Result<Bias, ExecError<E>> {
    let bias = match source.image.kind {
        Kind::Fixed => Bias::NONE,
        Kind::Relocatable => {
            let gap = gap(system, space, &source.image)?;
            Bias::from_base(&source.image, gap).ok_or(ExecError::NoPlace)?
        }
    };
    segments(system, space, source, bias)?;
    Ok(bias)
}

/// How far above the place where mappings begin the kernel's own object goes: what one table of level 3 maps. So that table
/// is its own, and changes of mappings do not walk through it.
const KERNEL_OBJECT_GAP: u64 = 2 << 20;

/// Maps the kernel's own shared object a little above where mappings begin, and says where. It is a private mapping that can
/// never be written: nobody sees it but its program, and none can change it.
pub(super) fn kernel_object(system: &impl MemorySystem, space: &mut Space, pager: Arc<dyn Pager>) -> Option<UserAddr> {
    let (protection, bytes) = (Protection::READ_EXECUTE, pager.bytes());
    let source = vm::Source::File { pager, offset: 0, max_protection: protection };
    let place = space.layout().mmap_top.checked_add(KERNEL_OBJECT_GAP).map_or(Place::Anywhere, Place::Hint);
    let (sharing, flags) = (Sharing::Private, MapFlags::empty());
    space.map(system, MapRequest { place, bytes, protection, sharing, source, flags }).ok()
}

/// The beginning of a gap in which `image` has room with its alignment: where such a thing would be mapped.
fn gap(system: &impl MemorySystem, space: &mut Space, image: &Image) -> Result<UserAddr, MapFailure> {
    let pages = image.pages();
    let bytes = pages.end.checked_sub(pages.start).and_then(|bytes| bytes.checked_add(image.alignment()));
    let bytes = bytes.ok_or(MapFailure::NoGap)?;
    let start = space.map(system, MapRequest::anonymous(Place::Anywhere, bytes, Protection::NONE))?;
    space.unmap(system, start, bytes)?;
    Ok(start)
}

fn segments<E>(system: &impl MemorySystem, space: &mut Space, source: &Source, bias: Bias) -> Result<(), ExecError<E>> {
    for segment in &source.image.segments {
        let mut loader = Loader { system, space, segment, bias };
        loader.map_file(&source.pager)?;
        loader.map_zeroes()?;
    }
    Ok(())
}

/// One segment on its way.
struct Loader<'a, M> {
    system: &'a M,
    space: &'a mut Space,
    segment: &'a Segment,
    bias: Bias,
}

impl<M: MemorySystem> Loader<'_, M> {
    /// The pages that come from the file.
    fn map_file<E>(&mut self, pager: &Arc<dyn Pager>) -> Result<(), ExecError<E>> {
        let pages = self.segment.file_pages();
        if pages.is_empty() {
            return Ok(());
        }
        let (start, bytes) = (self.bias.apply(pages.start), length(&pages));
        let source = vm::Source::File {
            pager: Arc::clone(pager),
            offset: self.segment.file_page_offset(),
            max_protection: Protection::all(),
        };
        let protection = protection(self.segment.access());
        let (place, sharing, flags) = (Place::FixedNoReplace(start), Sharing::Private, MapFlags::empty());
        self.space.map(self.system, MapRequest { place, bytes, protection, sharing, source, flags })?;
        let tail = self.segment.tail();
        if !tail.is_empty() {
            // The page is in the file, and nobody has touched it: there is no other reason than memory.
            let cut = self.space.cut_page(self.system, self.bias.apply(tail.start));
            cut.map_err(|_| ExecError::OutOfMemory)?;
        }
        Ok(())
    }

    /// The pages behind.
    fn map_zeroes<E>(&mut self) -> Result<(), ExecError<E>> {
        let pages = self.segment.zero_pages();
        if !pages.is_empty() {
            let place = Place::FixedNoReplace(self.bias.apply(pages.start));
            let protection = protection(self.segment.access());
            self.space.map(self.system, MapRequest::anonymous(place, length(&pages), protection))?;
        }
        Ok(())
    }
}

fn protection(access: SegmentAccess) -> Protection {
    let mut protection = Protection::NONE;
    protection.set(Protection::READ, access.read);
    protection.set(Protection::WRITE, access.write);
    protection.set(Protection::EXECUTE, access.execute);
    protection
}

/// How many bytes an ascending range has.
fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
