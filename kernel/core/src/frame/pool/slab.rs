//! Frames cut into slots, and the list of those with free ones.
//!
//! A slab's header stands at the start of its frame, and its slots after it; so the header of a slot's slab is found by
//! clearing the offset within the page. A free slot holds the link to the next. All pointers come from the one to the
//! whole frame, never from a reference to a part of it, and so may reach all of it.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::addr::{PAGE_SIZE, PhysFrame};

/// A place for a `T` that is the owner's alone, with nothing in it.
#[derive(Debug)]
pub(super) struct Slot<T>(NonNull<Place<T>>);

// SAFETY: an empty place has no affinity to a thread; what is put in it moves there with it.
unsafe impl<T> Send for Slot<T> {}

/// What a slot's memory holds.
#[repr(C)]
union Place<T> {
    /// While it is free.
    next: Option<NonNull<Self>>,
    _object: ManuallyDrop<T>,
}

impl<T> Slot<T> {
    /// Where the first slot begins.
    const FIRST: usize = size_of::<Header<T>>().next_multiple_of(align_of::<Place<T>>());

    /// How many slots a slab has.
    pub(super) const PER_SLAB: usize = {
        let slots = (PAGE_SIZE - Self::FIRST) / size_of::<Place<T>>();
        assert!(slots > 0, "an object must fit a frame");
        slots
    };

    /// Puts a value in.
    pub(super) fn write(self, value: T) -> NonNull<T> {
        let object = self.0.cast::<T>();
        // SAFETY: the place is big enough and aligned for a `T`, and ours.
        unsafe { object.write(value) };
        object
    }

    /// The place, for the depot to keep.
    fn into_place(self) -> NonNull<Place<T>> {
        self.0
    }

    /// The slot of an object that is gone.
    ///
    /// # Safety
    ///
    /// `object` came from [`write`](Self::write), and neither it nor the value there is used again.
    pub(super) unsafe fn from_object(object: NonNull<T>) -> Self {
        Self(object.cast())
    }
}

/// The start of a slab.
struct Header<T> {
    frame: PhysFrame,
    /// Neighbours in the depot's list; meaningless while no slot is free.
    next: Option<NonNull<Self>>,
    previous: Option<NonNull<Self>>,
    free: Option<NonNull<Place<T>>>,
    /// Slots that are not free.
    taken: usize,
}

/// The slabs of a pool. It owns their frames and all slots that are free in them.
pub(super) struct Depot<T> {
    /// A list of the slabs with a free slot.
    usable: Option<NonNull<Header<T>>>,
    /// Slabs without an object, at most one.
    spare: Option<NonNull<Header<T>>>,
    slabs: u32,
    objects: PhantomData<T>,
}

// SAFETY: the depot owns the memory behind its pointers, and there is no `T` in it.
unsafe impl<T> Send for Depot<T> {}

impl<T> Depot<T> {
    pub(super) fn new() -> Self {
        Self { usable: None, spare: None, slabs: 0, objects: PhantomData }
    }

    /// How many slabs there are.
    pub(super) fn slabs(&self) -> u32 {
        self.slabs
    }

    /// Cuts a frame into slots.
    ///
    /// # Safety
    ///
    /// `start` is aligned to a page and good for reads and writes of one, by the depot alone until `frame` comes back
    /// from [`put`](Self::put) or [`take_spare`](Self::take_spare).
    pub(super) unsafe fn add(&mut self, start: NonNull<u8>, frame: PhysFrame) {
        let mut free = None;
        for at in (0..Slot::<T>::PER_SLAB).rev() {
            // SAFETY: `PER_SLAB` slots after `FIRST` fit the frame.
            let place = unsafe { start.add(Slot::<T>::FIRST + at * size_of::<Place<T>>()) }.cast::<Place<T>>();
            // SAFETY: within the frame, aligned because the frame and `FIRST` are, and nobody else's.
            unsafe { place.write(Place { next: free }) };
            free = Some(place);
        }
        let slab = start.cast::<Header<T>>();
        // SAFETY: the header fits before the first slot, the frame is aligned to a page, and nobody else's.
        unsafe { slab.write(Header { frame, next: None, previous: None, free, taken: 0 }) };
        self.slabs += 1;
        self.link(slab);
    }

    /// Takes free slots until `into` is full or there are none.
    pub(super) fn take<const N: usize>(&mut self, into: &mut heapless::Vec<Slot<T>, N>) {
        while !into.is_full()
            && let Some(slab) = self.usable
        {
            if self.spare == Some(slab) {
                self.spare = None;
            }
            let header = self.header(slab);
            let place = header.free.expect("a usable slab has a free slot");
            // SAFETY: a free slot of our slab: `next` is what was last written there.
            header.free = unsafe { place.as_ref().next };
            header.taken += 1;
            if header.free.is_none() {
                self.unlink(slab);
            }
            let pushed = into.push(Slot(place));
            debug_assert!(pushed.is_ok(), "checked to have room");
        }
    }

    /// Takes a slot back. If its slab is empty now and another one is too, the frame is the caller's again.
    pub(super) fn put(&mut self, slot: Slot<T>) -> Option<PhysFrame> {
        let place = slot.into_place();
        let offset = place.addr().get() % PAGE_SIZE;
        // SAFETY: the slab begins where the slot's page does, within the same allocation.
        let slab = unsafe { place.byte_sub(offset) }.cast::<Header<T>>();
        let header = self.header(slab);
        let was_full = header.free.is_none();
        // SAFETY: the slot is ours, big enough and aligned.
        unsafe { place.write(Place { next: header.free }) };
        header.free = Some(place);
        header.taken -= 1;
        let is_empty = header.taken == 0;
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

    fn remove(&mut self, slab: NonNull<Header<T>>) -> PhysFrame {
        self.unlink(slab);
        self.slabs -= 1;
        self.header(slab).frame
    }

    fn link(&mut self, slab: NonNull<Header<T>>) {
        let next = self.usable.replace(slab);
        if let Some(next) = next {
            self.header(next).previous = Some(slab);
        }
        let header = self.header(slab);
        header.next = next;
        header.previous = None;
    }

    fn unlink(&mut self, slab: NonNull<Header<T>>) {
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
    fn header(&mut self, mut slab: NonNull<Header<T>>) -> &mut Header<T> {
        // SAFETY: every pointer to a header that the depot meets leads to a slab that `add` wrote and that has not been
        // removed: it comes from the depot's own fields, from a header, or from a slot that is not free, which keeps its slab.
        // The memory is the depot's alone.
        unsafe { slab.as_mut() }
    }
}
