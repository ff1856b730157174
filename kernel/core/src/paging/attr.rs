//! Memory types and permissions of leaves, and what a table descriptor forbids below itself.
//!
//! Permissions are enums, so that the bad combinations have no name: the kernel has nothing both writable and
//! executable, every user leaf is PXN, every kernel leaf is UXN. PXN on user leaves is more than a precaution: a page
//! writable at EL0 is implicitly not executable at EL1, but behind a table descriptor with `APTable[1]` the same leaf
//! is read-only, and then only PXN keeps EL1 from executing it.

use bitflags::bitflags;

/// Value of `MAIR_EL1`: byte n describes the [`MemoryType`] with index n (Arm ARM D19, `MAIR_EL1`).
pub const MAIR: u64 = 0x44_04_ff;

/// How memory behaves; the value is the index into [`MAIR`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryType {
    /// Normal, write-back, read- and write-allocate, inner-shareable: RAM.
    Normal,
    /// Device-nGnRE: registers.
    Device,
    /// Normal non-cacheable: buffers of devices that are not coherent.
    NormalNonCacheable,
}

impl MemoryType {
    // AttrIndx [4:2] and SH [9:8] (Arm ARM D8.3.2). Shareability is ignored for Device; non-cacheable memory is
    // outer-shareable whatever is written.
    const fn bits(self) -> u64 {
        match self {
            Self::Normal => INNER_SHAREABLE,
            Self::Device => 1 << 2,
            Self::NormalNonCacheable => 2 << 2 | INNER_SHAREABLE,
        }
    }

    const fn decode(bits: u64) -> Option<Self> {
        const NORMAL: u64 = MemoryType::Normal.bits();
        const DEVICE: u64 = MemoryType::Device.bits();
        const NON_CACHEABLE: u64 = MemoryType::NormalNonCacheable.bits();
        match bits & MEMORY_BITS {
            NORMAL => Some(Self::Normal),
            DEVICE => Some(Self::Device),
            NON_CACHEABLE => Some(Self::NormalNonCacheable),
            _ => None,
        }
    }

    /// Of bits that this kernel wrote.
    const fn decode_ours(bits: u64) -> Self {
        match bits >> 2 & 0b111 {
            0 => Self::Normal,
            2 => Self::NormalNonCacheable,
            _ => Self::Device,
        }
    }
}

const INNER_SHAREABLE: u64 = 0b11 << 8;
const MEMORY_BITS: u64 = 0b111 << 2 | 0b11 << 8;

// AP[1], bit 6: EL0 has access. AP[2], bit 7: nobody may write (Arm ARM D8.4.1).
const EL0: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const ACCESS_BITS: u64 = EL0 | READ_ONLY | NOT_GLOBAL | PXN | UXN;

/// What the kernel may do with a page of its half. EL0 may do nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KernelAccess {
    /// Read: constants.
    ReadOnly,
    /// Read and write: data, stacks, devices.
    ReadWrite,
    /// Read and execute: text.
    ReadExecute,
}

/// What a program may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserAccess {
    /// Nothing: `PROT_NONE` over a page that keeps its frame. EL1 could read it by an ordinary load (the architecture
    /// has no leaf that EL1 may not read), yet not by the unprivileged loads that the copy routines use.
    None,
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
    /// Everything: only where a program asked for writable and executable at once and policy let it.
    ReadWriteExecute,
}

/// The permissions of a leaf of either half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// A leaf of the kernel's half; global.
    Kernel(KernelAccess),
    /// A leaf of a program's half; tagged with its ASID.
    User(UserAccess),
}

impl From<KernelAccess> for Access {
    fn from(access: KernelAccess) -> Self {
        Self::Kernel(access)
    }
}

impl From<UserAccess> for Access {
    fn from(access: UserAccess) -> Self {
        Self::User(access)
    }
}

impl Access {
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::Kernel(KernelAccess::ReadOnly),
        Self::Kernel(KernelAccess::ReadWrite),
        Self::Kernel(KernelAccess::ReadExecute),
        Self::User(UserAccess::None),
        Self::User(UserAccess::ReadOnly),
        Self::User(UserAccess::ReadWrite),
        Self::User(UserAccess::ReadExecute),
        Self::User(UserAccess::ReadWriteExecute),
    ];

    const fn bits(self) -> u64 {
        match self {
            Self::Kernel(KernelAccess::ReadOnly) => READ_ONLY | UXN | PXN,
            Self::Kernel(KernelAccess::ReadWrite) => UXN | PXN,
            Self::Kernel(KernelAccess::ReadExecute) => READ_ONLY | UXN,
            Self::User(UserAccess::None) => READ_ONLY | UXN | PXN | NOT_GLOBAL,
            Self::User(UserAccess::ReadOnly) => EL0 | READ_ONLY | UXN | PXN | NOT_GLOBAL,
            Self::User(UserAccess::ReadWrite) => EL0 | UXN | PXN | NOT_GLOBAL,
            Self::User(UserAccess::ReadExecute) => EL0 | READ_ONLY | PXN | NOT_GLOBAL,
            Self::User(UserAccess::ReadWriteExecute) => EL0 | PXN | NOT_GLOBAL,
        }
    }

    fn decode(bits: u64) -> Option<Self> {
        let access = Self::decode_ours(bits);
        (access.bits() == bits & ACCESS_BITS).then_some(access)
    }

    /// Of bits that this kernel wrote.
    const fn decode_ours(bits: u64) -> Self {
        let (read_only, no_user_execute) = (bits & READ_ONLY != 0, bits & UXN != 0);
        if bits & NOT_GLOBAL == 0 {
            return Self::Kernel(match (read_only, bits & PXN != 0) {
                (true, true) => KernelAccess::ReadOnly,
                (true, false) => KernelAccess::ReadExecute,
                (false, _) => KernelAccess::ReadWrite,
            });
        }
        if bits & EL0 == 0 {
            return Self::User(UserAccess::None);
        }
        Self::User(match (read_only, no_user_execute) {
            (true, true) => UserAccess::ReadOnly,
            (false, true) => UserAccess::ReadWrite,
            (true, false) => UserAccess::ReadExecute,
            (false, false) => UserAccess::ReadWriteExecute,
        })
    }

    /// What is left of these permissions below table descriptors that forbid `limits` (Arm ARM D8.4.1, hierarchical
    /// permissions).
    #[must_use]
    pub fn effective(self, limits: TableLimits) -> Rights {
        let mut rights = match self {
            Self::Kernel(KernelAccess::ReadOnly) | Self::User(UserAccess::None) => Rights::KERNEL_READ,
            Self::Kernel(KernelAccess::ReadWrite) => Rights::KERNEL_READ | Rights::KERNEL_WRITE,
            Self::Kernel(KernelAccess::ReadExecute) => Rights::KERNEL_READ | Rights::KERNEL_EXECUTE,
            Self::User(UserAccess::ReadOnly) => Rights::READ,
            Self::User(UserAccess::ReadWrite) => Rights::READ | Rights::WRITE,
            Self::User(UserAccess::ReadExecute) => Rights::READ | Rights::USER_EXECUTE,
            Self::User(UserAccess::ReadWriteExecute) => Rights::READ | Rights::WRITE | Rights::USER_EXECUTE,
        };
        if limits.contains(TableLimits::READ_ONLY) {
            rights.remove(Rights::WRITE);
        }
        // Execution at EL0 is UXN's business alone: a page that EL0 may not read becomes execute-only.
        if limits.contains(TableLimits::NO_USER_DATA) {
            rights.remove(Rights::USER_READ | Rights::USER_WRITE);
        }
        if limits.contains(TableLimits::NO_USER_EXECUTE) {
            rights.remove(Rights::USER_EXECUTE);
        }
        if limits.contains(TableLimits::NO_KERNEL_EXECUTE) {
            rights.remove(Rights::KERNEL_EXECUTE);
        }
        rights
    }
}

bitflags! {
    /// What EL1 and EL0 may really do at an address.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Rights: u8 {
        /// EL1 loads.
        const KERNEL_READ = 1 << 0;
        /// EL1 stores.
        const KERNEL_WRITE = 1 << 1;
        /// EL1 instruction fetches.
        const KERNEL_EXECUTE = 1 << 2;
        /// EL0 loads.
        const USER_READ = 1 << 3;
        /// EL0 stores.
        const USER_WRITE = 1 << 4;
        /// EL0 instruction fetches.
        const USER_EXECUTE = 1 << 5;
        /// Loads at both levels.
        const READ = Self::KERNEL_READ.bits() | Self::USER_READ.bits();
        /// Stores at both levels.
        const WRITE = Self::KERNEL_WRITE.bits() | Self::USER_WRITE.bits();
    }

    /// What a table descriptor forbids in its whole subtree, whatever the leaves say. The bits are those of the
    /// descriptor (Arm ARM D8.3.1).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct TableLimits: u64 {
        /// `PXNTable`: no execution at EL1.
        const NO_KERNEL_EXECUTE = 1 << 59;
        /// `UXNTable`: no execution at EL0.
        const NO_USER_EXECUTE = 1 << 60;
        /// `APTable[0]`: no loads and stores at EL0.
        const NO_USER_DATA = 1 << 61;
        /// `APTable[1]`: no stores at EL0 and EL1.
        const READ_ONLY = 1 << 62;
    }

    /// Bits 58:55, which the architecture leaves to software in leaves and ignores in table descriptors.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct SoftwareBits: u64 {
        /// The mapping is shared (`MAP_SHARED`): a copy of its table keeps it writable and keeps the frame.
        const SHARED = 1 << 55;
        // The others have no meaning yet, and are kept.
        const _ = 0xf << 55;
    }
}

/// What a leaf says beside the address: `X` is the access type of one half, or [`Access`] for either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Attributes<X> {
    /// How the memory behaves.
    pub memory: MemoryType,
    /// Who may do what.
    pub access: X,
    /// The kernel's own marks.
    pub software: SoftwareBits,
}

impl<X> Attributes<X> {
    /// RAM with this access.
    pub const fn normal(access: X) -> Self {
        Self { memory: MemoryType::Normal, access, software: SoftwareBits::empty() }
    }

    /// Device registers with this access.
    pub const fn device(access: X) -> Self {
        Self { memory: MemoryType::Device, access, software: SoftwareBits::empty() }
    }

    /// The same with other access.
    pub fn with_access<Y>(self, access: Y) -> Attributes<Y> {
        Attributes { memory: self.memory, access, software: self.software }
    }

    /// The same with other marks.
    #[must_use]
    pub fn with_software(self, software: SoftwareBits) -> Self {
        Self { software, ..self }
    }
}

impl Attributes<Access> {
    /// All bits of a leaf that [`bits`](Self::bits) may set.
    pub(super) const MASK: u64 = MEMORY_BITS | ACCESS_BITS | SoftwareBits::all().bits();

    pub(super) const fn bits(self) -> u64 {
        self.memory.bits() | self.access.bits() | self.software.bits()
    }

    /// `None` for combinations that this kernel never writes.
    pub(super) fn decode(bits: u64) -> Option<Self> {
        Some(Self {
            memory: MemoryType::decode(bits)?,
            access: Access::decode(bits)?,
            software: SoftwareBits::from_bits_truncate(bits),
        })
    }

    /// Of bits that this kernel wrote: nothing is checked, and what the caller does not look at is not computed.
    #[inline]
    pub(super) const fn decode_ours(bits: u64) -> Self {
        Self {
            memory: MemoryType::decode_ours(bits),
            access: Access::decode_ours(bits),
            software: SoftwareBits::from_bits_truncate(bits),
        }
    }

    /// The bit of a leaf that takes the right to store from both levels.
    pub(super) const NO_STORE: u64 = READ_ONLY;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_access_survives_encoding() {
        for access in Access::ALL {
            assert_eq!(Access::decode(access.bits()), Some(access));
        }
    }

    #[test]
    fn user_leaves_never_execute_at_el1_and_kernel_leaves_never_at_el0() {
        for access in Access::ALL {
            match access {
                Access::User(_) => assert_eq!(access.bits() & (PXN | NOT_GLOBAL), PXN | NOT_GLOBAL),
                Access::Kernel(_) => assert_eq!(access.bits() & (UXN | NOT_GLOBAL), UXN),
            }
        }
    }

    #[test]
    fn the_kernel_has_nothing_writable_and_executable() {
        for access in Access::ALL {
            let rights = access.effective(TableLimits::empty());
            assert!(!rights.contains(Rights::KERNEL_WRITE | Rights::KERNEL_EXECUTE), "{access:?}");
        }
    }

    #[test]
    fn a_read_only_table_takes_writing_from_both_levels_and_nothing_else() {
        let rights = Access::User(UserAccess::ReadWriteExecute).effective(TableLimits::READ_ONLY);
        assert_eq!(rights, Rights::READ | Rights::USER_EXECUTE);
    }

    #[test]
    fn a_table_without_user_data_leaves_pages_execute_only() {
        let rights = Access::User(UserAccess::ReadExecute).effective(TableLimits::NO_USER_DATA);
        assert_eq!(rights, Rights::KERNEL_READ | Rights::USER_EXECUTE);
        let rights = Access::User(UserAccess::ReadExecute).effective(TableLimits::all());
        assert_eq!(rights, Rights::KERNEL_READ);
    }

    #[test]
    fn mair_agrees_with_the_indices() {
        let byte = |memory: MemoryType| MAIR.to_le_bytes()[usize::try_from(memory.bits() >> 2 & 7).unwrap()];
        assert_eq!(byte(MemoryType::Normal), 0xff);
        assert_eq!(byte(MemoryType::Device), 0x04);
        assert_eq!(byte(MemoryType::NormalNonCacheable), 0x44);
    }
}
