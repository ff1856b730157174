//! A stack for signal handlers.

use bitflags::bitflags;

use super::layout::{get, put};
use crate::addr::UserAddr;

bitflags! {
    /// `ss_flags`, with Linux's numbers. A bit that has no meaning is kept, and refused by
    /// [`AlternateStack::changed`].
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct StackFlags: u32 {
        /// `SS_ONSTACK`: the thread runs on it. As a request it means nothing.
        const ON_STACK = 1;
        /// `SS_DISABLE`: there is none.
        const DISABLE = 2;
        /// `SS_AUTODISARM`: it is put away while a handler runs, so that the handler may leave it by a jump.
        const AUTODISARM = 0x8000_0000;
        const _ = !0;
    }
}

/// What a program asks `sigaltstack` for, or what it is told: `stack_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackRequest {
    /// `ss_sp`: its lowest byte.
    pub base: UserAddr,
    /// `ss_flags`
    pub flags: StackFlags,
    /// `ss_size`, in bytes.
    pub bytes: u64,
}

impl StackRequest {
    /// The size of `stack_t`.
    pub const BYTES: usize = 24;

    /// From the program's structure.
    #[must_use]
    pub fn from_linux(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            base: UserAddr::new(u64::from_le_bytes(get(bytes, 0))),
            flags: StackFlags::from_bits_retain(u32::from_le_bytes(get(bytes, 8))),
            bytes: u64::from_le_bytes(get(bytes, 16)),
        }
    }

    /// As the program's structure.
    #[must_use]
    pub fn to_linux(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        put(&mut bytes, 0, self.base.get().to_le_bytes());
        put(&mut bytes, 8, self.flags.bits().to_le_bytes());
        put(&mut bytes, 16, self.bytes.to_le_bytes());
        bytes
    }
}

/// Why an alternate stack cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackError {
    /// The thread runs on the one it has.
    InUse,
    /// Flags that mean nothing.
    BadFlags,
    /// Too small for a frame.
    TooSmall,
}

/// A thread's alternate signal stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlternateStack {
    base: UserAddr,
    bytes: u64,
    flags: StackFlags,
}

impl AlternateStack {
    /// None.
    pub const DISABLED: Self = Self { base: UserAddr::new(0), bytes: 0, flags: StackFlags::DISABLE };

    /// The smallest that is accepted: `MINSIGSTKSZ` of AArch64.
    pub const MIN_BYTES: u64 = 5120;

    /// One of which these parts were told before.
    #[must_use]
    pub const fn known(base: UserAddr, bytes: u64, flags: u32) -> Self {
        Self { base, bytes, flags: StackFlags::from_bits_retain(flags) }
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.bytes != 0
    }

    /// Its lowest byte.
    #[must_use]
    pub const fn base(&self) -> UserAddr {
        self.base
    }

    /// Its size in bytes; 0 if there is none.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// As the program set them.
    #[must_use]
    pub const fn flags(&self) -> StackFlags {
        self.flags
    }

    /// Whether a thread with this stack pointer runs on it. A stack that is put away while handlers run is never in use.
    #[must_use]
    pub fn is_in_use(&self, stack_pointer: UserAddr) -> bool {
        !self.flags.contains(StackFlags::AUTODISARM) && self.holds(stack_pointer)
    }

    /// Whether `stack_pointer` points into it. Stacks grow down: the end belongs to it, the base does not.
    #[must_use]
    pub fn holds(&self, stack_pointer: UserAddr) -> bool {
        stack_pointer.checked_sub(self.base).is_some_and(|above| above > 0 && above <= self.bytes)
    }

    /// What `sigaltstack` tells a thread with this stack pointer.
    #[must_use]
    pub fn describe(&self, stack_pointer: UserAddr) -> StackRequest {
        let state = if !self.is_enabled() {
            StackFlags::DISABLE
        } else if self.is_in_use(stack_pointer) {
            StackFlags::ON_STACK
        } else {
            StackFlags::empty()
        };
        StackRequest { base: self.base, flags: state | self.flags & StackFlags::AUTODISARM, bytes: self.bytes }
    }

    /// The stack after `sigaltstack` by a thread with this stack pointer.
    ///
    /// # Errors
    ///
    /// [`StackError`]
    pub fn changed(&self, request: StackRequest, stack_pointer: UserAddr) -> Result<Self, StackError> {
        if self.is_in_use(stack_pointer) {
            return Err(StackError::InUse);
        }
        let mode = request.flags - StackFlags::AUTODISARM;
        if mode == StackFlags::DISABLE {
            return Ok(Self { flags: request.flags, ..Self::DISABLED });
        }
        if mode != StackFlags::ON_STACK && !mode.is_empty() {
            return Err(StackError::BadFlags);
        }
        if request.bytes < Self::MIN_BYTES {
            return Err(StackError::TooSmall);
        }
        Ok(Self { base: request.base, bytes: request.bytes, flags: request.flags })
    }

    /// Where the frame of a handler that asked for this stack begins, going down; `None` if there is no stack, or the
    /// thread runs on it already and goes on where it is.
    #[must_use]
    pub fn top(&self, stack_pointer: UserAddr) -> Option<UserAddr> {
        if !self.is_enabled() || self.is_in_use(stack_pointer) {
            return None;
        }
        // One that wraps around ends nowhere: the frame's stores will fault.
        Some(UserAddr::new(self.base.get().wrapping_add(self.bytes)))
    }

    /// The stack while a handler runs.
    #[must_use]
    pub fn while_handling(&self) -> Self {
        if self.flags.contains(StackFlags::AUTODISARM) { Self::DISABLED } else { *self }
    }
}

impl Default for AlternateStack {
    fn default() -> Self {
        Self::DISABLED
    }
}
