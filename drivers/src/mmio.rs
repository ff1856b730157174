//! Register windows: the only module of this crate with unsafe code.
//!
//! [`Mmio`] is a claim on a block of device registers, made once by whoever mapped it. It dereferences to the block,
//! a `repr(C)` structure of the cells below that `tock_registers::register_structs!` lays out and checks.
//!
//! The cells implement the access traits of `tock-registers`, but are not its own types: [`ReadOnly`] there is a
//! plain integer behind a shared reference, which tells the compiler that the value cannot change, and a device
//! register is nothing but a value that changes. Here every cell is an `UnsafeCell`, so a reference to a block never
//! promises its contents and the compiler may not read it on its own account.
//!
//! Under `cfg(test)` each access is also shown to the `fake` module, which records the order of writes and lets a
//! test play the device.

#![expect(unsafe_code, reason = "the border to the hardware; every other module is free of unsafe code")]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{RegisterLongName, UIntLike};

#[cfg(test)]
pub(crate) mod fake;

/// A window onto the registers `R` of one device.
pub struct Mmio<R: 'static> {
    base: NonNull<R>,
}

impl<R> Mmio<R> {
    /// Takes the registers at `base`.
    ///
    /// # Safety
    ///
    /// For the rest of the program:
    ///
    /// * `base` is aligned for `R` and mapped for reads and writes over `size_of::<R>()` bytes;
    /// * the mapping is of a device memory type (nGnRnE or nGnRE) and leads to the device that `R` describes, which
    ///   tolerates any register value that safe code can write (it may misbehave, it may not touch memory that the
    ///   program did not hand to it);
    /// * no Rust object lives in these bytes, and they are reached through windows only. Several windows onto the same
    ///   device are allowed, as for a console that must still speak in a panic.
    #[must_use]
    pub const unsafe fn new(base: NonNull<R>) -> Self {
        Self { base }
    }
}

impl<R> Deref for Mmio<R> {
    type Target = R;

    fn deref(&self) -> &R {
        // SAFETY: `new` was promised that the address is aligned, mapped for the rest of the program and holds nothing
        // but registers; every register is an `UnsafeCell` of an integer, for which any bit pattern is valid.
        unsafe { self.base.as_ref() }
    }
}

impl<R> fmt::Debug for Mmio<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mmio({:p})", self.base)
    }
}

// SAFETY: a window is an address that is mapped for every core and for the rest of the program; it has no tie to the
// core or thread that made it.
unsafe impl<R> Send for Mmio<R> {}

// SAFETY: shared use leads to single volatile accesses of at most 32 aligned bits, and `new` was promised that these go
// to a device: each is one bus transaction, ordered by the interconnect, and no access to the abstract machine's
// memory, so there is nothing for two cores to race on. What a device makes of interleaved writes is the drivers'
// concern: they ask for `&mut self` where it matters.
unsafe impl<R> Sync for Mmio<R> {}

/// What a register may hold: an integer that one bus access moves.
pub trait Width: UIntLike + Into<u32> {}

impl Width for u8 {}
impl Width for u32 {}

/// A register that may be read and written.
#[repr(transparent)]
pub struct ReadWrite<T: Width, R: RegisterLongName = ()>(Port<T>, PhantomData<R>);

/// A register that may only be read.
#[repr(transparent)]
pub struct ReadOnly<T: Width, R: RegisterLongName = ()>(Port<T>, PhantomData<R>);

/// A register that may only be written.
#[repr(transparent)]
pub struct WriteOnly<T: Width, R: RegisterLongName = ()>(Port<T>, PhantomData<R>);

impl<T: Width, R: RegisterLongName> Readable for ReadWrite<T, R> {
    type T = T;
    type R = R;

    #[inline]
    fn get(&self) -> T {
        self.0.load()
    }
}

impl<T: Width, R: RegisterLongName> Writeable for ReadWrite<T, R> {
    type T = T;
    type R = R;

    #[inline]
    fn set(&self, value: T) {
        self.0.store(value);
    }
}

impl<T: Width, R: RegisterLongName> Readable for ReadOnly<T, R> {
    type T = T;
    type R = R;

    #[inline]
    fn get(&self) -> T {
        self.0.load()
    }
}

impl<T: Width, R: RegisterLongName> Writeable for WriteOnly<T, R> {
    type T = T;
    type R = R;

    #[inline]
    fn set(&self, value: T) {
        self.0.store(value);
    }
}

/// The storage of a register. It has no constructor: one exists only where an [`Mmio`] lays a block over a device.
#[repr(transparent)]
struct Port<T>(UnsafeCell<T>);

impl<T: Width> Port<T> {
    #[inline]
    fn load(&self) -> T {
        let register = self.0.get();
        #[cfg(test)]
        fake::before_read(register.addr());
        // SAFETY: `self` is part of a block behind an `Mmio`: aligned, mapped, and valid for any bit pattern.
        unsafe { register.read_volatile() }
    }

    #[inline]
    fn store(&self, value: T) {
        let register = self.0.get();
        // SAFETY: as for `load`; writing through a shared reference is what the `UnsafeCell` is for.
        unsafe { register.write_volatile(value) };
        #[cfg(test)]
        fake::after_write(register.addr(), value.into());
    }
}
