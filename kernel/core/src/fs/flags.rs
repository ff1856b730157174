//! Flags of open files and of descriptors.

use bitflags::bitflags;

use super::access::Wanted;

bitflags! {
    /// How a file is opened: the flags of open(2), in the numbers of Linux/aarch64. The lowest two bits are the access
    /// mode and are read by [`is_readable`](Self::is_readable) and [`is_writable`](Self::is_writable).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct OpenFlags: u32 {
        /// For writing only.
        const WRITE_ONLY = 1;
        /// For reading and writing.
        const READ_WRITE = 2;
        /// Make it where it is not there.
        const CREATE = 0o100;
        /// With [`CREATE`](Self::CREATE): fail where it is there.
        const EXCLUSIVE = 0o200;
        /// A terminal does not become the controlling one.
        const NO_CONTROLLING_TERMINAL = 0o400;
        /// Make it empty.
        const TRUNCATE = 0o1000;
        /// Each write goes to the end.
        const APPEND = 0o2000;
        /// Do not wait.
        const NONBLOCK = 0o4000;
        /// Data is on the medium when a write returns.
        const DATA_SYNC = 0o10000;
        /// Signal when something can be read or written.
        const ASYNC = 0o20000;
        /// Fail where it is no directory.
        const DIRECTORY = 0o40000;
        /// Fail where the last component is a symbolic link.
        const NO_FOLLOW = 0o100_000;
        /// Past the cache.
        const DIRECT = 0o200_000;
        /// Large files: always.
        const LARGE_FILE = 0o400_000;
        /// Reading leaves no trace.
        const NO_ACCESS_TIME = 0o1_000_000;
        /// The descriptor is closed by exec.
        const CLOSE_ON_EXEC = 0o2_000_000;
        /// With [`DATA_SYNC`](Self::DATA_SYNC): metadata too.
        const SYNC = 0o4_000_000;
        /// Only the place of the file, nothing that is in it.
        const PATH_ONLY = 0o10_000_000;
        /// With [`DIRECTORY`](Self::DIRECTORY): a file without a name.
        const TEMPORARY = 0o20_000_000;
    }
}

impl OpenFlags {
    /// The access mode: `O_ACCMODE`.
    pub const ACCESS_MODE: Self = Self::WRITE_ONLY.union(Self::READ_WRITE);
    /// What `F_SETFL` changes.
    pub const SETTABLE: Self =
        Self::APPEND.union(Self::NONBLOCK).union(Self::ASYNC).union(Self::DIRECT).union(Self::NO_ACCESS_TIME);
    /// What matters while the file is being opened and not afterwards.
    pub const WHILE_OPENING: Self = Self::CREATE
        .union(Self::EXCLUSIVE)
        .union(Self::NO_CONTROLLING_TERMINAL)
        .union(Self::TRUNCATE)
        .union(Self::CLOSE_ON_EXEC);

    /// The flags of a program; open(2) ignores bits that it does not know.
    #[must_use]
    pub const fn from_linux(flags: u32) -> Self {
        Self::from_bits_truncate(flags)
    }

    /// Whether the file is open for reading.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.intersection(Self::ACCESS_MODE).is_empty() || self.mode_is(Self::READ_WRITE)
    }

    /// Whether the file is open for writing.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.mode_is(Self::WRITE_ONLY) || self.mode_is(Self::READ_WRITE)
    }

    /// The permissions that an open with these flags needs. The fourth access mode, for ioctl(2) alone, needs both.
    #[must_use]
    pub fn wanted(self) -> Wanted {
        let mut wanted = match self.intersection(Self::ACCESS_MODE) {
            mode if mode.is_empty() => Wanted::READ,
            Self::WRITE_ONLY => Wanted::WRITE,
            _ => Wanted::READ | Wanted::WRITE,
        };
        if self.contains(Self::TRUNCATE) {
            wanted |= Wanted::WRITE;
        }
        wanted
    }

    const fn mode_is(self, mode: Self) -> bool {
        self.intersection(Self::ACCESS_MODE).bits() == mode.bits()
    }
}

bitflags! {
    /// The flags of one descriptor, in the numbers of `F_SETFD`.
    #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
    pub struct DescriptorFlags: u32 {
        /// Exec closes it.
        const CLOSE_ON_EXEC = 1;
        /// Fork does not copy it: `FD_CLOFORK` (POSIX.1-2024), with Darwin's number. Linux has none.
        const CLOSE_ON_FORK = 2;
    }
}
