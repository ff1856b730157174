//! What `stat` tells about a file.

mod linux;

use super::mount::MountFlags;

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// Bytes.
    Regular,
    /// Names of other files.
    Directory,
    /// A path to another file.
    Symlink,
    /// A device of bytes.
    CharacterDevice,
    /// A device of blocks.
    BlockDevice,
    /// A pipe with a name.
    Fifo,
    /// A socket with a name.
    Socket,
    /// None of these: what has no name anywhere, such as an event counter.
    Nameless,
}

impl FileKind {
    /// The bits of `st_mode` that say the kind: `S_IFMT`.
    pub const MASK: u32 = 0o170_000;

    /// As in `st_mode`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Fifo => 0o010_000,
            Self::CharacterDevice => 0o020_000,
            Self::Directory => 0o040_000,
            Self::BlockDevice => 0o060_000,
            Self::Regular => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::Socket => 0o140_000,
            Self::Nameless => 0,
        }
    }

    /// The kind that an `st_mode` names, if it names one.
    #[must_use]
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & Self::MASK {
            0o010_000 => Self::Fifo,
            0o020_000 => Self::CharacterDevice,
            0o040_000 => Self::Directory,
            0o060_000 => Self::BlockDevice,
            0o100_000 => Self::Regular,
            0o120_000 => Self::Symlink,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }

    /// As in `d_type` of a directory entry: the kind's bits of `st_mode`, moved down.
    #[must_use]
    pub const fn entry_type(self) -> u8 {
        match self {
            Self::Fifo => 1,
            Self::CharacterDevice => 2,
            Self::Directory => 4,
            Self::BlockDevice => 6,
            Self::Regular => 8,
            Self::Symlink => 10,
            Self::Socket => 12,
            Self::Nameless => 0,
        }
    }
}

/// The number of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// No device.
    pub const NONE: Self = Self::new(0, 0);

    /// Device `minor` of driver `major`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// As `st_dev` and `st_rdev` carry it in their 64 bits.
    #[must_use]
    pub const fn encoded(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    /// The inverse of [`encoded`](Self::encoded).
    #[must_use]
    pub const fn decoded(number: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
        let (major, minor) = (
            ((number >> 8) & 0xfff | (number >> 32) & 0xffff_f000) as u32,
            (number & 0xff | (number >> 12) & 0xffff_ff00) as u32,
        );
        Self { major, minor }
    }
}

/// What tells a file from all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId {
    /// The file system, as `st_dev`.
    pub device: DeviceNumber,
    /// The file in it, as `st_ino`.
    pub inode: u64,
}

/// A moment of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// Who may do what with a file: all that a path walk asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection {
    /// The kind of file.
    pub kind: FileKind,
    /// The lower twelve bits of `st_mode`: set-id, sticky, and three times read, write, execute.
    pub permissions: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Protection {
    /// `st_mode`.
    #[must_use]
    pub const fn mode(self) -> u32 {
        self.kind.bits() | self.permissions as u32
    }
}

/// All that `stat` and `statx` tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// Which file.
    pub id: FileId,
    /// Kind, permissions and owner.
    pub protection: Protection,
    /// How many names it has.
    pub links: u32,
    /// For a device node, the device.
    pub represents: DeviceNumber,
    /// The length in bytes; of a symbolic link, that of its target.
    pub size: u64,
    /// The size of reads and writes that suits the file.
    pub block_size: u32,
    /// How many units of 512 bytes it takes.
    pub blocks: u64,
    /// When it was last read.
    pub accessed: Timestamp,
    /// When its contents last changed.
    pub modified: Timestamp,
    /// When anything about it last changed.
    pub changed: Timestamp,
    /// When it was made, where that is known.
    pub born: Option<Timestamp>,
}

impl Metadata {
    /// Of something that takes no room and has one name at most: a pipe, a socket, a set of watched files. It has been the
    /// same since it was `made`.
    #[must_use]
    pub const fn without_contents(id: FileId, protection: Protection, made: Timestamp) -> Self {
        Self {
            id,
            protection,
            links: 1,
            represents: DeviceNumber::NONE,
            size: 0,
            block_size: 4096,
            blocks: 0,
            accessed: made,
            modified: made,
            changed: made,
            born: None,
        }
    }
}

/// All that statfs(2) tells about a file system.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FileSystemStatus {
    /// What type it is: the number that Linux has for it (`linux/magic.h`).
    pub magic: u64,
    /// The size of a block.
    pub block_size: u64,
    /// How many blocks it has; 0 where that means nothing.
    pub blocks: u64,
    /// How many of them are free.
    pub free_blocks: u64,
    /// How many files it may have.
    pub files: u64,
    /// How many more.
    pub free_files: u64,
    /// The file system, as `st_dev`.
    pub device: DeviceNumber,
    /// Whether it cannot be changed.
    pub read_only: bool,
    /// What else may not be done.
    pub flags: MountFlags,
}
