//! How much a program may have.

/// The resource limits that an address space keeps to, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `RLIMIT_AS`: all that is mapped.
    pub address_space: u64,
    /// `RLIMIT_DATA`: all that is private and writable, but the stack.
    pub data: u64,
    /// `RLIMIT_STACK`: what a stack may grow to.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`: what may be locked.
    pub locked: u64,
}

impl Limits {
    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;

    /// Linux's defaults for ordinary programs: 8 MiB of stack, 64 KiB locked, no other limit.
    pub const DEFAULT: Self =
        Self { address_space: Self::UNLIMITED, data: Self::UNLIMITED, stack: 8 << 20, locked: 64 << 10 };

    /// No limits at all.
    pub const NONE: Self =
        Self { address_space: Self::UNLIMITED, data: Self::UNLIMITED, stack: Self::UNLIMITED, locked: Self::UNLIMITED };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
