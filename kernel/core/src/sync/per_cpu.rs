//! One value for each CPU.

use core::array;
use core::ops::Deref;

use super::cpu_state::{IrqMasked, NoPreempt};
use super::irq_lock::IrqGuard;
use super::spin_lock::SpinGuard;
use crate::addr::{CpuId, MAX_CPUS};
use crate::hal::Cpu;

/// A value on cache lines of its own (64 bytes on the Cortex-A53 and the A72): CPUs that write neighbouring values
/// would otherwise take the line from each other.
#[derive(Clone, Copy, Default, Debug)]
#[repr(align(64))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// One `T` for each CPU.
///
/// [`this`](Self::this) wants a guard that keeps the caller on its CPU for as long as the reference lives. The reference
/// is a shared one: an interrupt handler on the same CPU may look at the same slot, and any CPU may look at any slot by
/// [`of`](Self::of). What changes is an atomic or stands in an [`IrqLock`](super::IrqLock); without contention that
/// costs a dozen instructions and lets other CPUs drain or steal.
#[derive(Default, Debug)]
pub struct PerCpu<T> {
    slots: [Padded<T>; MAX_CPUS],
}

impl<T> PerCpu<T> {
    /// Slots with these values, as in `PerCpu::new([const { Padded(AtomicU32::new(0)) }; MAX_CPUS])`.
    #[must_use]
    pub const fn new(slots: [Padded<T>; MAX_CPUS]) -> Self {
        Self { slots }
    }

    /// Slots filled by a function of their CPU.
    pub fn from_fn(mut make: impl FnMut(CpuId) -> T) -> Self {
        let mut cpus = CpuId::all();
        Self { slots: array::from_fn(|_| Padded(make(cpus.next().expect("CpuId::all has MAX_CPUS items")))) }
    }

    /// The slot of the CPU that `pinned` keeps us on.
    #[must_use]
    pub fn this<'a>(&'a self, pinned: &'a impl Pinned) -> &'a T {
        self.of(pinned.cpu())
    }

    /// The slot of `cpu`.
    #[must_use]
    pub fn of(&self, cpu: CpuId) -> &T {
        &self.slots[cpu.index()]
    }

    /// Every slot with its CPU.
    pub fn iter(&self) -> impl Iterator<Item = (CpuId, &T)> {
        CpuId::all().zip(self.slots.iter().map(|slot| &slot.0))
    }
}

/// What keeps its owner on one CPU. Implemented by the guards of [`sync`](super) alone.
pub trait Pinned: sealed::Sealed {
    /// The CPU that we are kept on.
    fn cpu(&self) -> CpuId;
}

impl<C: Cpu> Pinned for NoPreempt<C> {
    fn cpu(&self) -> CpuId {
        C::id()
    }
}

impl<C: Cpu> Pinned for IrqMasked<C> {
    fn cpu(&self) -> CpuId {
        C::id()
    }
}

impl<T, C: Cpu> Pinned for SpinGuard<'_, T, C> {
    fn cpu(&self) -> CpuId {
        C::id()
    }
}

impl<T, C: Cpu> Pinned for IrqGuard<'_, T, C> {
    fn cpu(&self) -> CpuId {
        C::id()
    }
}

mod sealed {
    use super::{Cpu, IrqGuard, IrqMasked, NoPreempt, SpinGuard};

    pub trait Sealed {}

    impl<C: Cpu> Sealed for NoPreempt<C> {}
    impl<C: Cpu> Sealed for IrqMasked<C> {}
    impl<T, C: Cpu> Sealed for SpinGuard<'_, T, C> {}
    impl<T, C: Cpu> Sealed for IrqGuard<'_, T, C> {}
}
