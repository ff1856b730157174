//! ext2, ext3 and ext4: images that e2fsprogs made (`ext/make-images.sh`), as they are and damaged.

mod bad;
mod good;
mod journal;

use std::string::{String, ToString as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec::Vec;

use super::block::support::{FakeDisk, over};
use super::support::{FakeSource, devices, fifo};
use crate::fs::block::Volume;
use crate::fs::ext::{Ext, Kind, MountableExt, Needs, Problem, Reading};
use crate::fs::{Blocking, BufferSink, DeviceNumber, FileError, FileKind, Inode, Mountable as _, OpenFlags, Visit};
use crate::hal::fake::FakeCpu;

/// An image, as it is in the tree.
struct Packed {
    name: &'static str,
    kind: Kind,
    bytes: &'static [u8],
}

const EXT2: Packed = Packed { name: "ext2", kind: Kind::Ext2, bytes: include_bytes!("ext/ext2.gz") };
const EXT3: Packed = Packed { name: "ext3", kind: Kind::Ext3, bytes: include_bytes!("ext/ext3.gz") };
const EXT4: Packed = Packed { name: "ext4", kind: Kind::Ext4, bytes: include_bytes!("ext/ext4.gz") };
const OLD: Packed = Packed { name: "ext4-old", kind: Kind::Ext4, bytes: include_bytes!("ext/ext4-old.gz") };
const INLINE: Packed = Packed { name: "ext4-inline", kind: Kind::Ext4, bytes: include_bytes!("ext/ext4-inline.gz") };
const ALL: [Packed; 5] = [EXT2, EXT3, EXT4, OLD, INLINE];

impl Packed {
    /// The image. What gzip puts around it has a fixed length.
    fn image(&self) -> Vec<u8> {
        let packed = &self.bytes[10..self.bytes.len() - 8];
        miniz_oxide::inflate::decompress_to_vec(packed).unwrap()
    }

    fn reading(&self) -> Reading {
        Reading { kind: self.kind, without_journal: false }
    }

    fn mount(&self) -> Mounted {
        mount(self.image(), self.reading()).unwrap()
    }
}

struct Mounted {
    root: Arc<dyn Inode>,
    source: Arc<FakeSource>,
    disk: FakeDisk,
    fs: MountableExt<FakeCpu>,
}

/// What was told, with the device: each mount of the tests has one of its own.
static TOLD: Mutex<Vec<(DeviceNumber, Problem)>> = Mutex::new(Vec::new());

fn told() -> MutexGuard<'static, Vec<(DeviceNumber, Problem)>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(device: DeviceNumber, problem: Problem) {
    // Shown where a test fails.
    std::eprintln!("{device:?}: {problem}");
    told().push((device, problem));
}

fn new_device() -> DeviceNumber {
    static NEXT: OnceLock<Mutex<u32>> = OnceLock::new();
    let mut next = NEXT.get_or_init(Mutex::default).lock().unwrap();
    *next += 1;
    DeviceNumber::new(179, *next)
}

fn mount(image: Vec<u8>, reading: Reading) -> Result<Mounted, FileError> {
    mount_told(image, reading).0
}

/// The same, and what was told.
fn mount_told(image: Vec<u8>, reading: Reading) -> (Result<Mounted, FileError>, Vec<Problem>) {
    let device = new_device();
    let mounted = mount_as(image, reading, device, FakeSource::default());
    (mounted, told_of(device))
}

fn told_of(device: DeviceNumber) -> Vec<Problem> {
    told().iter().filter(|(of, _)| *of == device).map(|(_, problem)| *problem).collect()
}

fn mount_as(image: Vec<u8>, reading: Reading, device: DeviceNumber, source: FakeSource) -> Result<Mounted, FileError> {
    let disk = FakeDisk::with(image);
    let source = Arc::new(source);
    let volume = Arc::new(Volume::<FakeCpu>::whole(over(&disk, &source, 100_000)));
    let needs = Needs { pages: source.clone(), devices: devices(), fifo, report };
    let fs = MountableExt::new(Ext::open(volume, device, reading, needs)?)?;
    Ok(Mounted { root: fs.root(), source, disk, fs })
}

fn find(root: &Arc<dyn Inode>, path: &str) -> Result<Arc<dyn Inode>, FileError> {
    path.split('/').filter(|name| !name.is_empty()).try_fold(root.clone(), |at, name| at.lookup(name.as_bytes()))
}

fn contents(file: &Arc<dyn Inode>) -> Result<Vec<u8>, FileError> {
    let size = usize::try_from(file.metadata().size).unwrap();
    let open = file.clone().open(OpenFlags::empty())?;
    let mut bytes = std::vec![0xa5; size + 10];
    let mut done = 0;
    // An error behind the first bytes is told by the next read.
    loop {
        match open.read(done as u64, Blocking::Yes, &mut BufferSink::new(&mut bytes[done..]))? {
            0 => break,
            count => done += count,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// The entries of a directory, read a few at a time.
fn names(directory: &Arc<dyn Inode>) -> Result<Vec<(String, FileKind, u64)>, FileError> {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let mut count = 0;
        directory.read_directory(from, &mut |entry| {
            if count == 7 {
                return Visit::Enough;
            }
            count += 1;
            from = entry.next;
            all.push((String::from_utf8_lossy(entry.name).to_string(), entry.kind, entry.inode));
            Visit::More
        })?;
        if count == 0 {
            return Ok(all);
        }
    }
}

/// `seq 1 last`.
fn lines(last: usize) -> Vec<u8> {
    (1..=last).flat_map(|number| std::format!("{number}\n").into_bytes()).collect()
}

fn half(image: &[u8], at: usize) -> usize {
    u16::from_le_bytes([image[at], image[at + 1]]).into()
}

fn word(image: &[u8], at: usize) -> usize {
    u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]]).try_into().unwrap()
}

fn put(image: &mut [u8], at: usize, value: u32) {
    image[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn block_size(image: &[u8]) -> usize {
    1024 << word(image, 1024 + 0x18)
}

/// Where the inode of this number is, in the first group.
fn inode_at(image: &[u8], number: usize) -> usize {
    let block = block_size(image);
    let descriptors = if block == 1024 { 2048 } else { block };
    let size = half(image, 1024 + 0x58);
    word(image, descriptors + 8) * block + (number - 1) * size
}
