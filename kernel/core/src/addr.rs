//! Addresses and other numbers with a meaning, one type each.
//!
//! A [`PhysAddr`] is what a bus sees, a [`VirtAddr`] what the kernel may dereference, a [`UserAddr`] what a program
//! *claims*: it has no conversion to a pointer, only the copy routines accept it.

use core::fmt;

/// Binary logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Size of a page and of a frame in bytes: the 4 KiB granule is the only one this kernel uses.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;
/// The most CPUs that a supported board has.
pub const MAX_CPUS: usize = 4;
/// One past the highest user address: 39 bits, three levels of translation.
pub const USER_END: u64 = 1 << 39;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a raw address.
            #[must_use]
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw address.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The offset within a page, in bytes.
            #[must_use]
            pub const fn page_offset(self) -> u64 {
                self.0 & (PAGE_SIZE as u64 - 1)
            }

            /// The start of the page that holds this address.
            #[must_use]
            pub const fn page_down(self) -> Self {
                self.align_down(PAGE_SIZE as u64)
            }

            /// Rounded down to a multiple of `align`, which must be a power of two.
            #[must_use]
            pub const fn align_down(self, align: u64) -> Self {
                debug_assert!(align.is_power_of_two());
                Self(self.0 & !(align - 1))
            }

            /// Rounded up to a multiple of `align`, a power of two; `None` where that does not fit 64 bits.
            #[must_use]
            pub const fn align_up(self, align: u64) -> Option<Self> {
                debug_assert!(align.is_power_of_two());
                match self.0.checked_add(align - 1) {
                    Some(sum) => Some(Self(sum & !(align - 1))),
                    None => None,
                }
            }

            /// Whether the address is a multiple of `align`, a power of two.
            #[must_use]
            pub const fn is_aligned(self, align: u64) -> bool {
                debug_assert!(align.is_power_of_two());
                self.0 & (align - 1) == 0
            }

            /// `self + bytes`, or `None` on overflow.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The distance in bytes from `earlier`, or `None` where `earlier` is above.
            #[must_use]
            pub const fn checked_sub(self, earlier: Self) -> Option<u64> {
                self.0.checked_sub(earlier.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A physical address, as a CPU puts it on the bus.
    PhysAddr
}
address! {
    /// An address in the kernel's half (TTBR1).
    VirtAddr
}
address! {
    /// An address that a program named. It is an allegation: nothing may be read through it but by the copy routines.
    UserAddr
}

/// A physical page frame, by number (physical address divided by [`PAGE_SIZE`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PhysFrame(u64);

impl PhysFrame {
    /// The frame with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The frame that contains `address`.
    #[must_use]
    pub const fn containing(address: PhysAddr) -> Self {
        Self(address.get() >> PAGE_SHIFT)
    }

    /// The frame's number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The frame's first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        PhysAddr::new(self.0 << PAGE_SHIFT)
    }
}

impl fmt::Debug for PhysFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhysFrame({:#x})", self.0)
    }
}

/// A CPU, numbered from 0 as the boot CPU; always below [`MAX_CPUS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct CpuId(u8);

impl CpuId {
    /// The CPU that boots.
    pub const BOOT: Self = Self(0);

    /// CPU `number`, or `None` from [`MAX_CPUS`] on.
    #[must_use]
    pub const fn new(number: usize) -> Option<Self> {
        if number < MAX_CPUS {
            #[expect(clippy::cast_possible_truncation, reason = "below MAX_CPUS")]
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// CPU `number`, which comes from a `CpuId` by way of a place that holds numbers only. It costs no branch: bits that no CPU's
    /// number has are left out, which a debug build does not let pass.
    #[must_use]
    pub const fn known(number: u8) -> Self {
        const MASK: u8 = 3;
        const { assert!(MASK as usize + 1 == MAX_CPUS) };
        debug_assert!(number <= MASK, "no CPU has this number");
        Self(number & MASK)
    }

    /// The CPU's number, an index below [`MAX_CPUS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every possible CPU, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..MAX_CPUS).map(|n| {
            #[expect(clippy::cast_possible_truncation, reason = "below MAX_CPUS")]
            Self(n as u8)
        })
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A set of CPUs, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct CpuSet(u8);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self(0);
    /// Every possible CPU.
    pub const ALL: Self = Self((1 << MAX_CPUS) - 1);

    /// Just `cpu`.
    #[must_use]
    pub const fn only(cpu: CpuId) -> Self {
        Self(1 << cpu.0)
    }

    /// The set with `cpu` added.
    #[must_use]
    pub const fn with(self, cpu: CpuId) -> Self {
        Self(self.0 | 1 << cpu.0)
    }

    /// The set with `cpu` taken out.
    #[must_use]
    pub const fn without(self, cpu: CpuId) -> Self {
        Self(self.0 & !(1 << cpu.0))
    }

    /// Whether `cpu` is in the set.
    #[must_use]
    pub const fn contains(self, cpu: CpuId) -> bool {
        self.0 & (1 << cpu.0) != 0
    }

    /// Whether no CPU is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The CPUs in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first CPU in the set, if there is one.
    #[must_use]
    pub const fn first(self) -> Option<CpuId> {
        CpuId::new(self.0.trailing_zeros() as usize)
    }

    /// The one CPU in the set, if there is just one.
    #[must_use]
    pub const fn sole(self) -> Option<CpuId> {
        if self.0.is_power_of_two() { self.first() } else { None }
    }

    /// Bit n stands for CPU n; bits from [`MAX_CPUS`] on are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Bit n stands for CPU n.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The CPUs in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = CpuId> {
        CpuId::all().filter(move |&cpu| self.contains(cpu))
    }
}

/// An address-space identifier: the tag of a translation in the TLB. Both boards have 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Asid(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn align_up_reports_overflow() {
        assert_eq!(PhysAddr::new(u64::MAX).align_up(4096), None);
        assert_eq!(PhysAddr::new(4097).align_up(4096), Some(PhysAddr::new(8192)));
        assert_eq!(PhysAddr::new(4096).align_up(4096), Some(PhysAddr::new(4096)));
    }

    #[test]
    fn a_frame_and_its_start_agree() {
        let frame = PhysFrame::containing(PhysAddr::new(0x1234_5678));
        assert_eq!(frame.number(), 0x12345);
        assert_eq!(frame.start(), PhysAddr::new(0x1234_5000));
    }

    #[test]
    fn cpu_ids_stop_at_the_last_core() {
        assert!(CpuId::new(MAX_CPUS - 1).is_some());
        assert_eq!(CpuId::new(MAX_CPUS), None);
        assert_eq!(CpuId::all().len(), MAX_CPUS);
    }

    #[test]
    fn a_cpu_set_holds_what_was_put_in() {
        let set = CpuSet::EMPTY.with(CpuId::BOOT).with(CpuId(3));
        assert!(set.contains(CpuId(3)) && !set.contains(CpuId(1)));
        assert_eq!(set.iter().count(), 2);
        assert!(set.without(CpuId(3)).without(CpuId::BOOT).is_empty());
    }

    #[test]
    fn a_cpu_set_knows_its_first_and_whether_that_is_all() {
        let three = CpuSet::only(CpuId(3));
        assert_eq!((three.first(), three.sole()), (Some(CpuId(3)), Some(CpuId(3))));
        let two = three.with(CpuId(1));
        assert_eq!((two.first(), two.sole()), (Some(CpuId(1)), None));
        assert_eq!((CpuSet::EMPTY.first(), CpuSet::EMPTY.sole()), (None, None));
    }
}
