//! Small images of each kind, mounted and used by paths.

use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use super::super::block::support::{FakeDisk, over};
use super::super::support::{FakeSource, MAPPINGS, PARKING, find, now, open_as_root};
use super::{DEVICE, dirtied, report};
use crate::fs::block::Volume;
use crate::fs::fat::{Fat, FatNeeds, FatOptions, MountableFat};
use crate::fs::{
    AccessId, Base, BufferSink, BufferSource, Context, FileError, FileKind, IfTaken, Made, MountFlags, Mountable,
    OpenFile, OpenFlags, Removal, Side, Visit, make, remove, rename,
};
use crate::hal::fake::FakeCpu;

const ROOT: AccessId<'static> = AccessId::ROOT;
pub(super) const SECTOR: usize = 512;

/// A kind of image: how wide entries are, how many clusters, how many sectors of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) bits: usize,
    pub(super) clusters: usize,
    pub(super) sectors: usize,
}

/// The three widths, as small as they can be: a FAT32 is one by its boot sector.
pub(super) const SMALL: [Kind; 3] = [
    Kind { bits: 12, clusters: 700, sectors: 1 },
    Kind { bits: 16, clusters: 4200, sectors: 1 },
    Kind { bits: 32, clusters: 900, sectors: 2 },
];

/// An empty file system.
pub(super) fn format(kind: Kind) -> Vec<u8> {
    let wide = kind.bits == 32;
    let table = ((kind.clusters + 2) * kind.bits).div_ceil(8 * SECTOR);
    let (reserved, root) = if wide { (32, 0) } else { (1, 64) };
    let total = reserved + 2 * table + root * 32 / SECTOR + kind.clusters * kind.sectors;
    let mut image = std::vec![0; total * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let half = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    put(0, &[0xeb, 0x3c, 0x90]);
    put(3, b"TINETEST");
    put(11, &half(SECTOR));
    put(13, &half(kind.sectors)[..1]);
    put(14, &half(reserved));
    put(16, &[2]);
    put(17, &half(root));
    put(21, &[0xf8]);
    put(32, &word(total));
    put(510, &[0x55, 0xaa]);
    let extended = if wide {
        put(36, &word(table));
        put(44, &word(2));
        put(48, &half(1));
        put(50, &half(6));
        put(512, b"RRaA");
        put(512 + 484, b"rrAa");
        put(512 + 488, &word(kind.clusters - 1));
        put(512 + 492, &word(3));
        put(512 + 510, &[0x55, 0xaa]);
        64
    } else {
        put(22, &half(table));
        36
    };
    put(extended, &[0x80, 0, 0x29, 1, 2, 3, 4]);
    put(extended + 7, b"NO NAME    ");
    put(extended + 18, std::format!("FAT{}   ", kind.bits).as_bytes());
    for copy in 0..2 {
        let at = (reserved + copy * table) * SECTOR;
        match kind.bits {
            12 => put(at, &[0xf8, 0xff, 0xff]),
            16 => put(at, &[0xf8, 0xff, 0xff, 0xff]),
            _ => put(at, &[0xf8, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0x0f, 0xf8, 0xff, 0xff, 0x0f]),
        }
    }
    if wide {
        let boot = image[..SECTOR].to_vec();
        image[6 * SECTOR..7 * SECTOR].copy_from_slice(&boot);
        let information = image[SECTOR..2 * SECTOR].to_vec();
        image[7 * SECTOR..8 * SECTOR].copy_from_slice(&information);
    }
    image
}

/// A file system in use.
pub(super) struct Tree {
    pub(super) context: Context,
    pub(super) mountable: MountableFat<FakeCpu>,
    pub(super) source: Arc<FakeSource>,
    pub(super) disk: FakeDisk,
}

impl Tree {
    pub(super) fn new(image: Vec<u8>) -> Self {
        Self::on(FakeDisk::with(image))
    }

    pub(super) fn on(disk: FakeDisk) -> Self {
        let read_only = disk.state().read_only;
        Self::as_wanted(disk, if read_only { MountFlags::READ_ONLY } else { MountFlags::empty() })
    }

    pub(super) fn as_wanted(disk: FakeDisk, flags: MountFlags) -> Self {
        Self::with_options(disk, flags, FatOptions::USUAL)
    }

    pub(super) fn with_options(disk: FakeDisk, flags: MountFlags, options: FatOptions) -> Self {
        let source = Arc::new(FakeSource::default());
        let volume = Arc::new(Volume::<FakeCpu>::whole(over(&disk, &source, 100_000)));
        let needs = FatNeeds { pages: source.clone(), now, parking: &PARKING, mappings: &MAPPINGS, dirtied, report };
        let mountable = MountableFat::new(Fat::open_with(volume, DEVICE, needs, options).unwrap());
        mountable.set_flags(flags).unwrap();
        Self { context: Context::new(mountable.root(), &PARKING), mountable, source, disk }
    }

    /// Ends its use, and returns what is on the disk.
    pub(super) fn unmount(self) -> Vec<u8> {
        let Self { context, mountable, disk, .. } = self;
        drop(context);
        mountable.set_covered(None).unwrap();
        assert!(!mountable.is_used(1).unwrap());
        drop(mountable);
        let state = disk.state();
        assert!(state.bytes == state.durable);
        state.durable.clone()
    }

    pub(super) fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
        open_as_root(&self.context, path, flags)
    }

    pub(super) fn create(&self, path: &str) -> Result<Arc<OpenFile>, FileError> {
        self.open(path, OpenFlags::CREATE | OpenFlags::READ_WRITE | OpenFlags::TRUNCATE)
    }

    /// Writes a file, from its beginning.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let file = self.create(path)?;
        let mut source = BufferSource::new(bytes);
        let mut done = 0;
        while done < bytes.len() {
            done += file.write(&mut source)?;
        }
        Ok(())
    }

    pub(super) fn append(&self, path: &str, bytes: &[u8]) -> Result<usize, FileError> {
        self.open(path, OpenFlags::WRITE_ONLY | OpenFlags::APPEND)?.write(&mut BufferSource::new(bytes))
    }

    pub(super) fn fsync(&self, path: &str) -> Result<(), FileError> {
        self.open(path, OpenFlags::empty())?.sync()
    }

    pub(super) fn mkdir(&self, path: &str) -> Result<(), FileError> {
        make(&self.context, Base::Working, path.as_bytes(), Made::Directory, 0o755, ROOT)
    }

    pub(super) fn make(&self, path: &str, made: Made<'_>) -> Result<(), FileError> {
        make(&self.context, Base::Working, path.as_bytes(), made, 0o755, ROOT)
    }

    pub(super) fn unlink(&self, path: &str) -> Result<(), FileError> {
        remove(&self.context, Base::Working, path.as_bytes(), Removal::File, ROOT)
    }

    pub(super) fn rmdir(&self, path: &str) -> Result<(), FileError> {
        remove(&self.context, Base::Working, path.as_bytes(), Removal::Directory, ROOT)
    }

    pub(super) fn rename_as(&self, from: &str, to: &str, if_taken: IfTaken) -> Result<(), FileError> {
        let [from, to] = [from, to].map(|path| Side { base: Base::Working, path: path.as_bytes() });
        rename(&self.context, from, to, if_taken, ROOT)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        self.rename_as(from, to, IfTaken::Replace)
    }

    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let file = self.open(path, OpenFlags::empty())?;
        read_whole(&file)
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let directory = find(&self.context, path).unwrap();
        let mut names = Vec::new();
        directory
            .read_directory(2, &mut |entry| {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                Visit::More
            })
            .unwrap();
        names
    }

    pub(super) fn free(&self) -> u64 {
        self.mountable.root().file_system().free_blocks
    }

    /// All that is there: paths with contents; directories have none.
    pub(super) fn all(&self) -> std::collections::BTreeMap<String, Option<Vec<u8>>> {
        let mut all = std::collections::BTreeMap::new();
        let mut todo = std::vec![String::new()];
        while let Some(at) = todo.pop() {
            for name in self.names(&std::format!("/{at}")) {
                let path = if at.is_empty() { name } else { std::format!("{at}/{name}") };
                if find(&self.context, &path).unwrap().protection().kind == FileKind::Directory {
                    todo.push(path.clone());
                    all.insert(path, None);
                } else {
                    let bytes = self.read(&path).unwrap();
                    all.insert(path, Some(bytes));
                }
            }
        }
        all
    }
}

pub(super) fn read_whole(file: &OpenFile) -> Result<Vec<u8>, FileError> {
    let mut bytes = std::vec![0; usize::try_from(file.metadata().size).unwrap() + 1];
    let count = file.read_at(0, &mut BufferSink::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Bytes that are not like their neighbours.
pub(super) fn pattern(seed: usize, count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 509 + seed * 13 + 1).to_le_bytes()[0]).collect()
}
