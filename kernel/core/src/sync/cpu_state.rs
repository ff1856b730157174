//! The states that a lock puts its CPU in, as guards.

use core::marker::PhantomData;

use crate::hal::Cpu;

/// Preemption is off on this CPU as long as this lives; the thread stays where it is, interrupts still come.
#[must_use = "preemption is on again when this is dropped"]
pub struct NoPreempt<C: Cpu> {
    /// Neither `Send` nor `Sync`: the state is one CPU's.
    cpu: PhantomData<*mut C>,
}

impl<C: Cpu> NoPreempt<C> {
    /// Forbids preemption.
    pub fn new() -> Self {
        C::preempt_disable();
        Self { cpu: PhantomData }
    }
}

impl<C: Cpu> Default for NoPreempt<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Cpu> Drop for NoPreempt<C> {
    #[inline]
    fn drop(&mut self) {
        C::preempt_enable();
    }
}

/// Interrupts are masked on this CPU as long as this lives.
#[must_use = "interrupts are as before when this is dropped"]
pub struct IrqMasked<C: Cpu> {
    before: C::IrqState,
    /// Neither `Send` nor `Sync`: the state is one CPU's.
    cpu: PhantomData<*mut C>,
}

impl<C: Cpu> IrqMasked<C> {
    /// Masks interrupts.
    pub fn new() -> Self {
        Self { before: C::irq_save(), cpu: PhantomData }
    }
}

impl<C: Cpu> Default for IrqMasked<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Cpu> Drop for IrqMasked<C> {
    fn drop(&mut self) {
        C::irq_restore(self.before);
    }
}

/// Interrupts are masked on this CPU as long as this lives; what comes after asks for no preemption.
#[must_use = "interrupts are as before when this is dropped"]
pub struct QuietlyMasked<C: Cpu> {
    before: C::IrqState,
    /// Neither `Send` nor `Sync`: the state is one CPU's.
    cpu: PhantomData<*mut C>,
}

impl<C: Cpu> QuietlyMasked<C> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { before: C::irq_save(), cpu: PhantomData }
    }
}

impl<C: Cpu> Drop for QuietlyMasked<C> {
    #[inline]
    fn drop(&mut self) {
        C::irq_restore_only(self.before);
    }
}
