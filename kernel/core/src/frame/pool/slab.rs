//! Frames cut into slots, and the list of those with free ones.
//!
//! A slab's header stands at the start of its frame, and its slots after it; so the header of a slot's slab is found by
//! clearing the offset within the page. A free slot holds the link to the next. All pointers come from the one to the
//! whole frame, never from a reference to a part of it, and so may reach all of it.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::addr::{PAGE_SIZE, PhysFrame};

/// How a frame is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    /// Where the first slot begins.
    first: usize,
    /// From one slot to the next.
    stride: usize,
    /// How many slots there are.
    slots: usize,
}

impl Geometry {
    /// Slots for objects of `layout`.
    ///
    /// # Panics
    ///
    /// When not even one fits a frame; in a constant that is a compile-time error.
    pub(crate) const fn of(layout: Layout) -> Self {
        let align = if layout.align() > align_of::<Link>() { layout.align() } else { align_of::<Link>() };
        let bytes = if layout.size() > size_of::<Link>() { layout.size() } else { size_of::<Link>() };
        let first = size_of::<Header>().next_multiple_of(align);
        let stride = bytes.next_multiple_of(align);
        assert!(align <= PAGE_SIZE && first + stride <= PAGE_SIZE, "an object must fit a frame");
        Self { first, stride, slots: (PAGE_SIZE - first) / stride }
    }

    /// How many slots a slab has.
    pub(crate) const fn slots(self) -> usize {
        self.slots
    }
}

/// Memory for one object that is the owner's alone.
#[derive(Debug)]
pub(crate) struct Slot(NonNull<Link>);

// SAFETY: an empty place has no affinity to a thread; what is put in it moves there with it.
unsafe impl Send for Slot {}

/// What a free slot holds.
struct Link {
    next: Option<NonNull<Self>>,
}

impl Slot {
    /// The memory, for the caller to use.
    pub(crate) fn into_memory(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// The slot again.
    ///
    /// # Safety
    ///
    /// `memory` came from [`into_memory`](Self::into_memory), and is not used again.
    pub(crate) unsafe fn from_memory(memory: NonNull<u8>) -> Self {
        Self(memory.cast())
    }
}

/// The start of a slab.
struct Header {
    frame: PhysFrame,
    /// Neighbours in the depot's list; meaningless while no slot is free.
    next: Option<NonNull<Self>>,
    previous: Option<NonNull<Self>>,
    free: Option<NonNull<Link>>,
    /// Slots that are not free.
    taken: usize,
}

/// The slabs of a pool. It owns their frames and all slots that are free in them.
pub(super) struct Depot {
    geometry: Geometry,
    /// A list of the slabs with a free slot.
    usable: Option<NonNull<Header>>,
    /// Slabs without an object, at most one.
    spare: Option<NonNull<Header>>,
    slabs: u32,
    /// Slots that are out, in use or in magazines.
    out: u64,
}

// SAFETY: the depot owns the memory behind its pointers, and there is no object in it.
unsafe impl Send for Depot {}

impl Depot {
    pub(super) const fn new(geometry: Geometry) -> Self {
        Self { geometry, usable: None, spare: None, slabs: 0, out: 0 }
    }

    /// How many slabs there are.
    pub(super) fn slabs(&self) -> u32 {
        self.slabs
    }

    /// How many slots are out, in use or in magazines.
    pub(super) fn out(&self) -> u64 {
        self.out
    }

    /// Cuts a frame into slots.
    ///
    /// # Safety
    ///
    /// `start` is aligned to a page and good for reads and writes of one, by the depot alone until `frame` comes back
    /// from [`put`](Self::put) or [`take_spare`](Self::take_spare).
    pub(super) unsafe fn add(&mut self, start: NonNull<u8>, frame: PhysFrame) {
        let Geometry { first, stride, slots } = self.geometry;
        let mut free = None;
        for at in (0..slots).rev() {
            // SAFETY: so many slots after the first one's begin fit the frame.
            let link = unsafe { start.add(first + at * stride) }.cast::<Link>();
            // SAFETY: within the frame, aligned because the frame, the first slot and the distance are, and nobody else's.
            unsafe { link.write(Link { next: free }) };
            free = Some(link);
        }
        let slab = start.cast::<Header>();
        // SAFETY: the header fits before the first slot, the frame is aligned to a page, and nobody else's.
        unsafe { slab.write(Header { frame, next: None, previous: None, free, taken: 0 }) };
        self.slabs += 1;
        self.link(slab);
    }

    /// Takes free slots until `into` is full or there are none.
    pub(super) fn take<const N: usize>(&mut self, into: &mut heapless::Vec<Slot, N>) {
        while !into.is_full()
            && let Some(slab) = self.usable
        {
            if self.spare == Some(slab) {
                self.spare = None;
            }
            let header = self.header(slab);
            let link = header.free.expect("a usable slab has a free slot");
            // SAFETY: a free slot of our slab: `next` is what was last written there.
            header.free = unsafe { link.as_ref().next };
            header.taken += 1;
            let is_used_up = header.free.is_none();
            if is_used_up {
                self.unlink(slab);
            }
            self.out += 1;
            let pushed = into.push(Slot(link));
            debug_assert!(pushed.is_ok(), "checked to have room");
        }
    }

    /// Takes a slot back. If its slab is empty now and another one is too, the frame is the caller's again.
    #[expect(clippy::needless_pass_by_value, reason = "the slot is the depot's from here on")]
    pub(super) fn put(&mut self, slot: Slot) -> Option<PhysFrame> {
        let link = slot.0;
        let offset = link.addr().get() % PAGE_SIZE;
        // SAFETY: the slab begins where the slot's page does, within the same allocation.
        let slab = unsafe { link.byte_sub(offset) }.cast::<Header>();
        let header = self.header(slab);
        let was_full = header.free.is_none();
        // SAFETY: the slot is ours, big enough and aligned.
        unsafe { link.write(Link { next: header.free }) };
        header.free = Some(link);
        header.taken -= 1;
        let is_empty = header.taken == 0;
        self.out -= 1;
        if was_full {
            self.link(slab);
        }
        if !is_empty {
            return None;
        }
        if self.spare.is_none() {
            self.spare = Some(slab);
            return None;
        }
        Some(self.remove(slab))
    }

    /// The frame of the slab without objects, if there is one.
    pub(super) fn take_spare(&mut self) -> Option<PhysFrame> {
        let spare = self.spare.take()?;
        Some(self.remove(spare))
    }

    fn remove(&mut self, slab: NonNull<Header>) -> PhysFrame {
        self.unlink(slab);
        self.slabs -= 1;
        self.header(slab).frame
    }

    fn link(&mut self, slab: NonNull<Header>) {
        let next = self.usable.replace(slab);
        if let Some(next) = next {
            self.header(next).previous = Some(slab);
        }
        let header = self.header(slab);
        header.next = next;
        header.previous = None;
    }

    fn unlink(&mut self, slab: NonNull<Header>) {
        let header = self.header(slab);
        let (next, previous) = (header.next, header.previous);
        if let Some(next) = next {
            self.header(next).previous = previous;
        }
        match previous {
            Some(previous) => self.header(previous).next = next,
            None => self.usable = next,
        }
    }

    /// The header of one of our slabs. The borrow of the depot keeps two of them from existing at a time.
    fn header(&mut self, mut slab: NonNull<Header>) -> &mut Header {
        // SAFETY: every pointer to a header that the depot meets leads to a slab that `add` wrote and that has not been
        // removed: it comes from the depot's own fields, from a header, or from a slot that is not free, which keeps its slab.
        // The memory is the depot's alone.
        unsafe { slab.as_mut() }
    }
}
