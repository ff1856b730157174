//! What a frame is used for, and the states of its record.

/// What memory is used for. It steers nothing: it is there so that statistics can say where memory went, and so that a
/// frame given back by the wrong hands is noticed with a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FrameUse {
    /// In nobody's use yet: in the hand of a [`Reservation`](super::Reservation).
    Promised,
    /// The kernel's image and what else the boot code placed and the kernel keeps.
    Kernel,
    /// The kernel heap.
    KernelHeap,
    /// Slabs of a [`Pool`](super::Pool).
    ObjectPool,
    /// Kernel stacks.
    Stack,
    /// Translation tables.
    PageTable,
    /// Anonymous memory of programs.
    UserAnonymous,
    /// File contents: the initramfs, tmpfs, the page cache.
    UserFile,
    /// Buffers that a device reads or writes.
    Dma,
    /// Trace rings.
    Trace,
}

impl FrameUse {
    /// How many uses there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every use.
    pub const ALL: [Self; 10] = [
        Self::Promised,
        Self::Kernel,
        Self::KernelHeap,
        Self::ObjectPool,
        Self::Stack,
        Self::PageTable,
        Self::UserAnonymous,
        Self::UserFile,
        Self::Dma,
        Self::Trace,
    ];

    /// An index below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The use that a record's bits for a state tell of, if it is one in use.
    #[inline]
    pub(super) const fn from_state_bits(bits: u32) -> Option<Self> {
        // A table would say the same, with a load; of this the compiler makes a subtraction.
        Some(match bits.wrapping_sub(FrameState::USED) {
            0 => Self::Promised,
            1 => Self::Kernel,
            2 => Self::KernelHeap,
            3 => Self::ObjectPool,
            4 => Self::Stack,
            5 => Self::PageTable,
            6 => Self::UserAnonymous,
            7 => Self::UserFile,
            8 => Self::Dma,
            9 => Self::Trace,
            _ => return None,
        })
    }

    /// The name, as statistics show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promised => "promised",
            Self::Kernel => "kernel",
            Self::KernelHeap => "kernel heap",
            Self::ObjectPool => "object pool",
            Self::Stack => "stack",
            Self::PageTable => "page table",
            Self::UserAnonymous => "user anonymous",
            Self::UserFile => "user file",
            Self::Dma => "dma",
            Self::Trace => "trace",
        }
    }
}

/// What a frame's record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameState {
    /// Not the first frame of any block: inside a larger one, or memory that was never handed over (holes, firmware).
    Inside,
    /// The first frame of a block in the buddy's lists.
    Free,
    /// A single frame in a CPU's cache, or on its way there.
    Cached,
    /// The first frame of a block that somebody uses.
    Used(FrameUse),
}

impl FrameState {
    /// The number of states fits the record's five bits.
    const USED: u32 = 3;

    /// The state as the record keeps it. [`Inside`](Self::Inside) is 0, so that a zeroed table is an empty one.
    pub(super) const fn to_bits(self) -> u32 {
        match self {
            Self::Inside => 0,
            Self::Free => 1,
            Self::Cached => 2,
            Self::Used(kind) => Self::USED + kind as u32,
        }
    }

    /// The state that [`to_bits`](Self::to_bits) made these bits of.
    pub(super) fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Inside,
            1 => Self::Free,
            2 => Self::Cached,
            used => Self::Used(FrameUse::from_state_bits(used).expect("only to_bits makes state bits")),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn used_for(state: FrameState) -> Option<FrameUse> {
        if let FrameState::Used(kind) = state { Some(kind) } else { None }
    }

    #[test]
    fn every_state_survives_its_bits() {
        let used = FrameUse::ALL.into_iter().map(FrameState::Used);
        for state in [FrameState::Inside, FrameState::Free, FrameState::Cached].into_iter().chain(used) {
            assert!(state.to_bits() < 32 && used_for(state) == FrameUse::from_state_bits(state.to_bits()));
            assert_eq!(FrameState::from_bits(state.to_bits()), state);
        }
    }

    #[test]
    fn indices_follow_the_list_of_uses() {
        assert!(FrameUse::ALL.into_iter().enumerate().all(|(i, kind)| kind.index() == i));
    }
}
