//! The call itself, and how Rust values become arguments.

use std::ffi::CStr;

use bsd::{Errno, check, svc};

/// Calls the kernel with up to six arguments.
///
/// # Safety
///
/// As of [`svc`].
#[inline]
pub(crate) unsafe fn call<const N: usize>(number: usize, arguments: [usize; N]) -> Result<usize, Errno> {
    const { assert!(N <= 6, "the kernel takes six arguments") };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    // SAFETY: the caller's promise.
    check(unsafe { svc(number, all) })
}

/// A signed number as an argument: an `int` fills the low half of a register.
#[inline]
pub(crate) const fn int(value: i32) -> usize {
    value.cast_unsigned() as usize
}

/// The address of a string.
#[inline]
pub(crate) fn text(text: &CStr) -> usize {
    text.as_ptr().expose_provenance()
}

/// The address of something that the kernel reads.
#[inline]
pub(crate) fn input<T>(value: &T) -> usize {
    std::ptr::from_ref(value).expose_provenance()
}

/// The address of something that the kernel writes.
#[inline]
pub(crate) fn output<T>(value: &mut T) -> usize {
    std::ptr::from_mut(value).expose_provenance()
}

/// The low half of what a call returned, as an `int`.
#[inline]
pub(crate) fn to_int(value: usize) -> i32 {
    u32::try_from(value & 0xffff_ffff).map_or(0, u32::cast_signed)
}
