//! The auxiliary vector: what the kernel tells a program beside its arguments.

use crate::addr::{PAGE_SIZE, UserAddr};
use crate::elf::header::PROGRAM_HEADER_BYTES;

/// Ticks of a second, in the few interfaces that count in them (`times`). A fact of Linux's ABI, not of any clock.
pub const CLOCK_TICKS: u64 = 100;
/// What instructions these are, as the name of a directory of libraries; with its NUL.
pub const PLATFORM: &[u8; 8] = b"aarch64\0";

/// What a program is told about itself and the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Where its program headers are, if they are loaded.
    pub program_headers: Option<UserAddr>,
    /// How many there are.
    pub program_header_count: u16,
    /// Where its interpreter was loaded, if there is one.
    pub interpreter_base: Option<UserAddr>,
    /// Where the kernel's own shared object is, if it is mapped.
    pub kernel_object: Option<UserAddr>,
    /// Where the program itself starts (not its interpreter).
    pub entry: UserAddr,
    /// Who runs it.
    pub identity: Identity,
    /// `AT_HWCAP`: what the CPU can do, in Linux's bits.
    pub hardware: u64,
    /// `AT_HWCAP2`: what else.
    pub hardware2: u64,
    /// Bytes that nobody else knows: stack protectors and hash seeds are made of them.
    pub random: [u8; Self::RANDOM_BYTES],
}

/// Who runs a program, as it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub effective_uid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub effective_gid: u32,
    /// Whether it has rights that whoever started it had not, and so must not trust its environment.
    pub is_secure: bool,
}

impl Facts {
    /// How many random bytes a program gets.
    pub const RANDOM_BYTES: usize = 16;
    /// Entries of the vector, with the last.
    pub(super) const VECTOR_LENGTH: usize = 20;

    /// The vector, with the addresses of what stands elsewhere on the stack. In Linux's order,
    /// each number little-endian.
    pub(super) fn vector(&self, random: u64, platform: u64, path: u64) -> [[u64; 2]; Self::VECTOR_LENGTH] {
        let address = |at: Option<UserAddr>| at.map_or(0, UserAddr::get);
        let Identity { uid, effective_uid, gid, effective_gid, is_secure } = self.identity;
        [
            [key::SYSINFO_EHDR, address(self.kernel_object)],
            [key::HWCAP, self.hardware],
            [key::PAGESZ, PAGE_SIZE as u64],
            [key::CLKTCK, CLOCK_TICKS],
            [key::PHDR, address(self.program_headers)],
            [key::PHENT, u64::from(PROGRAM_HEADER_BYTES)],
            [key::PHNUM, u64::from(self.program_header_count)],
            [key::BASE, address(self.interpreter_base)],
            [key::FLAGS, 0],
            [key::ENTRY, self.entry.get()],
            [key::UID, u64::from(uid)],
            [key::EUID, u64::from(effective_uid)],
            [key::GID, u64::from(gid)],
            [key::EGID, u64::from(effective_gid)],
            [key::SECURE, u64::from(is_secure)],
            [key::RANDOM, random],
            [key::HWCAP2, self.hardware2],
            [key::EXECFN, path],
            [key::PLATFORM, platform],
            [key::NULL, 0],
        ]
        .map(|entry| entry.map(u64::to_le))
    }
}

/// Linux's numbers (`include/uapi/linux/auxvec.h`).
pub(super) mod key {
    pub(crate) const NULL: u64 = 0;
    pub(crate) const PHDR: u64 = 3;
    pub(crate) const PHENT: u64 = 4;
    pub(crate) const PHNUM: u64 = 5;
    pub(crate) const PAGESZ: u64 = 6;
    pub(crate) const BASE: u64 = 7;
    pub(crate) const FLAGS: u64 = 8;
    pub(crate) const ENTRY: u64 = 9;
    pub(crate) const UID: u64 = 11;
    pub(crate) const EUID: u64 = 12;
    pub(crate) const GID: u64 = 13;
    pub(crate) const EGID: u64 = 14;
    pub(crate) const PLATFORM: u64 = 15;
    pub(crate) const HWCAP: u64 = 16;
    pub(crate) const CLKTCK: u64 = 17;
    pub(crate) const SECURE: u64 = 23;
    pub(crate) const RANDOM: u64 = 25;
    pub(crate) const HWCAP2: u64 = 26;
    pub(crate) const EXECFN: u64 = 31;
    pub(crate) const SYSINFO_EHDR: u64 = 33;
}
