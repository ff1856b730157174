//! File systems on disks. The input is a byte that chooses the image, and changes of four bytes each: three say where, among
//! all places that are not zero, and one what; or, if the highest bit of the place is set, which bit. A FAT is marked as one
//! that was not unmounted, unless the first byte's highest bit is set, so it is repaired; what was repaired needs no repair. An ext is
//! mounted with its journal, but for that bit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::sync::{Arc, OnceLock};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use kcore::fs::block::{Cache, CacheNeeds, Volume};
use kcore::fs::ext::{Ext, Kind, MountableExt, Reading};
use kcore::fs::fat::{Fat, FatNeeds, Finding, MountableFat};
use kcore::fs::{
    Blocking, BufferSink, BufferSource, DeviceNumber, Extent, Fate, FileKind, FileOperations, Inode, Link, Made,
    Making, Mapping, MountFlags, Mountable, OpenFlags, PageSource, Renaming, Visit, Writer, ext,
};
use kcore::hal::fake::FakeCpu;

use crate::disk::Changed;
use crate::kernel::{ALONE, Frames, fifo, now};

const DEVICE: DeviceNumber = DeviceNumber::new(179, 1);
/// How many files are looked at.
const MOST_FILES: u32 = 80;

/// An image, and where it is worth changing.
struct Base {
    image: &'static [u8],
    places: Vec<usize>,
}

impl Base {
    fn new(image: Vec<u8>) -> Self {
        let places = image.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
        Self { image: Vec::leak(image), places }
    }

    fn changed(&self, changes: &[u8]) -> Changed {
        let mut changed = BTreeMap::new();
        for [low, middle, high, value] in changes.as_chunks::<4>().0 {
            let place = u32::from_le_bytes([*low, *middle, high & 0x7f, 0]) as usize;
            let at = self.places[place % self.places.len()];
            let value = if high & 0x80 != 0 { self.image[at] ^ 1 << (value & 7) } else { *value };
            changed.insert(at, value);
        }
        Changed::new(self.image, changed)
    }
}

fn dirtied() {}

thread_local! {
    /// How often something was found to be repaired.
    static REPAIRED: Cell<u32> = const { Cell::new(0) };
}

fn repaired(_: DeviceNumber, finding: Finding) {
    assert!(!finding.to_string().is_empty());
    if matches!(finding, Finding::Repaired(_)) {
        REPAIRED.set(REPAIRED.get() + 1);
    }
}

/// Says on the disk that it was not unmounted.
fn mark(volume: &Volume<FakeCpu>) {
    let mut sector = [0; 512];
    if volume.read_at(0, &mut sector).is_ok() {
        // A FAT32 has the size of its table where others have none.
        let at = if sector[22..24] == [0, 0] { 65 } else { 37 };
        let _marked = volume.write_at(at, &[sector[usize::try_from(at).unwrap_or(0)] | 1]);
    }
}

fn volume(disk: Changed, frames: &Arc<Frames>) -> Option<Arc<Volume<FakeCpu>>> {
    let needs = CacheNeeds { pages: frames.clone(), parking: &ALONE, dirtied, most_pages: 512 };
    Some(Arc::new(Volume::whole(Cache::new(Box::new(disk), needs).ok()?)))
}

pub(crate) fn fat(bytes: &[u8]) {
    static IMAGES: OnceLock<[Base; 3]> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        [(FatType::Fat12, 1 << 18), (FatType::Fat16, 4 << 20), (FatType::Fat32, 34 << 20)]
            .map(|(kind, bytes)| Base::new(fat_image(kind, bytes)))
    });
    let Some((which, changes)) = bytes.split_first() else { return };
    let frames = Arc::new(Frames::default());
    {
        let disk = images[usize::from(*which & 0x7f) % images.len()].changed(changes);
        let Some(volume) = volume(disk, &frames) else { return };
        let needs =
            FatNeeds { pages: frames.clone(), now, parking: &ALONE, mappings: &ALONE, dirtied, report: repaired };
        if which & 0x80 == 0 {
            mark(&volume);
        }
        let Ok(fs) = Fat::open(volume.clone(), DEVICE, needs.clone()) else { return };
        let mut mounted = MountableFat::new(fs);
        let _may = mounted.set_flags(MountFlags::empty());
        if !mounted.flags().contains(MountFlags::READ_ONLY) {
            mark(&volume);
            REPAIRED.set(0);
            let Ok(fs) = Fat::open(volume, DEVICE, needs) else { return };
            mounted = MountableFat::new(fs);
            let again = mounted.set_flags(MountFlags::empty());
            let is_whole = again.is_ok() && !mounted.flags().contains(MountFlags::READ_ONLY);
            assert!(which & 0x80 != 0 || is_whole && REPAIRED.get() == 0, "what was repaired is repaired again");
        }
        look(&mounted, &frames);
        let _written = mounted.write_back();
        let _synced = mounted.sync();
    }
    assert_eq!(frames.used(), 0, "each frame is given back");
}

pub(crate) fn ext(bytes: &[u8]) {
    static IMAGES: OnceLock<Vec<Base>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        [
            &include_bytes!("../../../kernel/core/src/fs/tests/ext/ext2.gz")[..],
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext3.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-old.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-inline.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext3-journal.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-journal.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-journal-2.gz"),
            include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-journal-3.gz"),
        ]
        .into_iter()
        .flat_map(|packed| {
            let image = miniz_oxide::inflate::decompress_to_vec(&packed[10..packed.len() - 8]).unwrap();
            let mut without_sums = image.clone();
            without_sums[1024 + 0x64] &= !0x10;
            without_sums[1024 + 0x65] &= !4;
            [image, without_sums]
        })
        .map(Base::new)
        .collect()
    });
    fn report(_: DeviceNumber, problem: ext::Problem) {
        assert!(!problem.to_string().is_empty());
    }
    let Some((which, changes)) = bytes.split_first() else { return };
    let frames = Arc::new(Frames::default());
    {
        let disk = images[usize::from(*which & 0x7f) % images.len()].changed(changes);
        let Some(volume) = volume(disk, &frames) else { return };
        let needs = ext::Needs { pages: frames.clone(), devices: &ALONE, fifo, report };
        let reading = Reading { kind: Kind::Ext4, without_journal: which & 0x80 != 0 };
        let Ok(mounted) = Ext::open(volume, DEVICE, reading, needs).and_then(MountableExt::new) else { return };
        look(&mounted, &frames);
    }
    assert_eq!(frames.used(), 0, "each frame is given back");
}

fn look(mounted: &dyn Mountable, frames: &Frames) {
    let _status = mounted.root().file_system();
    let mut left = MOST_FILES;
    visit(&mounted.root(), 5, &mut left, frames);
}

/// Looks at all that can be reached, and tries to change it.
fn visit(directory: &Arc<dyn Inode>, depth: u32, left: &mut u32, frames: &Frames) {
    let mut names = Vec::new();
    let _outcome = directory.read_directory(0, &mut |entry| {
        assert!(!entry.name.is_empty() && entry.name.len() <= 255 && !entry.name.contains(&b'/'));
        names.push(entry.name.to_vec());
        if names.len() < 400 { Visit::More } else { Visit::Enough }
    });
    for name in names.iter().filter(|name| *name != b"." && *name != b"..") {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let Ok(child) = directory.lookup(name) else { continue };
        let _metadata = child.metadata();
        if let Ok(Link::Path(path)) = child.link() {
            assert!(!path.is_empty() && path.len() < 4096);
        }
        match child.protection().kind {
            FileKind::Directory if depth > 0 => visit(&child, depth - 1, left, frames),
            FileKind::Regular => {
                if let Ok(open) = Arc::clone(&child).open(OpenFlags::empty()) {
                    read(open, child.metadata().size, frames);
                }
            }
            _ => {}
        }
    }
    change(directory, &names);
}

fn read(open: Arc<dyn FileOperations>, size: u64, frames: &Frames) {
    for at in [0, 700, size / 2, size.saturating_sub(9), u64::MAX >> 1] {
        let mut bytes = [0; 3000];
        if let Ok(count) = open.read(at, Blocking::Yes, &mut BufferSink::new(&mut bytes)) {
            assert!(count as u64 <= size.saturating_sub(at));
        }
    }
    let _data = open.find(0, size, Extent::Data);
    let _hole = open.find(size / 2, size, Extent::Hole);
    if let Mapping::Pager(pager) = open.mapping() {
        for index in [0, size / 8192, u64::MAX >> 12] {
            if let Ok(frame) = pager.page(index) {
                frames.release(frame);
            }
        }
    }
}

/// What a file system that cannot be changed refuses; others do it, or say why not.
fn change(directory: &Arc<dyn Inode>, names: &[Vec<u8>]) {
    let making = |what| Making { what, permissions: 0o644, uid: 0, gid: 0 };
    if let Ok(made) = Arc::clone(directory).make(b"made by the fuzzer", &making(Made::Regular))
        && let Ok(open) = made.open(OpenFlags::WRITE_ONLY)
    {
        let _written = open.write(3000, Blocking::Yes, &mut BufferSource::new(&[7; 5000]));
        let _synced = open.sync();
        let _shorter = open.resize(700, Writer::KERNEL);
    }
    let _made = Arc::clone(directory).make(b"a directory", &making(Made::Directory));
    let mut names = names.iter().rev().filter(|name| !matches!(&name[..], b"." | b".."));
    if let Some(name) = names.next()
        && let Ok(child) = directory.lookup(name)
    {
        let _removed = directory.remove(name, &child);
    }
    let Some(name) = names.next() else { return };
    let Ok(what) = directory.lookup(name) else { return };
    if let Ok(open) = Arc::clone(&what).open(OpenFlags::WRITE_ONLY) {
        let _longer = open.append(Blocking::Yes, &mut BufferSource::new(&[9; 2000]));
    }
    let new_name = b"a name that is new and longer";
    let renaming = Renaming { name, what: &what, to: directory, new_name, there: None, fate: Fate::Replaced };
    let _renamed = Arc::clone(directory).rename(&renaming);
}

fn fat_image(kind: FatType, bytes: usize) -> Vec<u8> {
    let mut disk = Cursor::new(vec![0; bytes]);
    fatfs::format_volume(&mut disk, FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(512)).unwrap();
    {
        let fs = FileSystem::new(&mut disk, FsOptions::new()).unwrap();
        let root = fs.root_dir();
        let sub = root.create_dir("sub").unwrap();
        sub.create_dir("dir").unwrap().create_file("deep.bin").unwrap().write_all(&[5; 5000]).unwrap();
        for number in 0..30 {
            let name = format!("Ein Name, der länger ist – {number}");
            sub.create_file(&name).unwrap().write_all(&vec![1; number * 97]).unwrap();
            if number % 3 == 0 {
                sub.remove(&name).unwrap();
            }
        }
        root.create_file("EMPTY.TXT").unwrap();
        root.create_file("kernel8.img").unwrap().write_all(&[8; 20_000]).unwrap();
    }
    disk.into_inner()
}
