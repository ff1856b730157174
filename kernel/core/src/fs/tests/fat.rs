//! Images made by another implementation of FAT, and damaged ones.

mod check;
mod habits;
mod model;
mod names;
mod power;
mod power_model;
mod repair;
mod support;
mod write;

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Cursor, Seek as _, SeekFrom, Write as _};
use std::string::{String, ToString as _};
use std::sync::Arc;
use std::vec::Vec;

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use proptest::prelude::*;

use super::block::support::{FakeDisk, over};
use super::support::{FakeSource, MAPPINGS, PARKING, doses, now};
use crate::addr::PAGE_SIZE;
use crate::fs::PageSource as _;
use crate::fs::block::Volume;
use crate::fs::fat::{Fat, FatNeeds, Finding, MountableFat};
use crate::fs::{
    Blocking, BufferSink, DeviceNumber, FileError, FileKind, Inode, Mapping, Mountable as _, OpenFlags, Visit,
};
use crate::hal::fake::FakeCpu;

const KINDS: [(FatType, usize); 3] = [(FatType::Fat12, 1 << 20), (FatType::Fat16, 8 << 20), (FatType::Fat32, 36 << 20)];
const DEVICE: DeviceNumber = DeviceNumber::new(179, 1);

/// What is written: names with their contents.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut put = |name: &str, bytes: usize| {
        let contents = (0..bytes).map(|at| (at * 7 + at / 509 + name.len()).to_le_bytes()[0]).collect();
        files.insert(name.to_string(), contents);
    };
    put("EMPTY.TXT", 0);
    put("kernel8.img", 100_000);
    put("one cluster exactly", 512);
    put("Überlänge – ein Name, der länger ist als dreizehn Zeichen.txt", 777);
    put("sub/dir/deep.bin", 5000);
    put("sub/a.b.c.d", 1);
    for number in 0..60 {
        put(&std::format!("many/file number {number}"), number * 37);
    }
    files
}

/// An image with these files, and what the other implementation says is free.
fn image(kind: FatType, bytes: usize) -> (Vec<u8>, u32) {
    let mut disk = Cursor::new(std::vec![0; bytes]);
    let options = FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(512);
    fatfs::format_volume(&mut disk, options).unwrap();
    disk.seek(SeekFrom::Start(0)).unwrap();
    let free = {
        let fs = FileSystem::new(&mut disk, FsOptions::new()).unwrap();
        assert_eq!(fs.fat_type(), kind);
        let root = fs.root_dir();
        root.create_dir("sub").unwrap().create_dir("dir").unwrap();
        root.create_dir("many").unwrap();
        // What is written between others and removed leaves holes, so that chains are not straight.
        for number in 0..20 {
            root.create_file(&std::format!("hole{number}")).unwrap().write_all(&[1; 700]).unwrap();
        }
        for number in (0..20).step_by(2) {
            root.remove(&std::format!("hole{number}")).unwrap();
        }
        for (name, contents) in files() {
            root.create_file(&name).unwrap().write_all(&contents).unwrap();
        }
        for number in (1..20).step_by(2) {
            root.remove(&std::format!("hole{number}")).unwrap();
        }
        fs.stats().unwrap().free_clusters()
    };
    (disk.into_inner(), free)
}

fn dirtied() {}

std::thread_local! {
    /// What file systems of this thread were found to be.
    static FINDINGS: RefCell<Vec<Finding>> = const { RefCell::new(Vec::new()) };
}

fn report(_: DeviceNumber, finding: Finding) {
    FINDINGS.with_borrow_mut(|findings| findings.push(finding));
}

/// What was found since this was asked.
fn findings() -> Vec<Finding> {
    FINDINGS.take()
}

struct Mounted {
    root: Arc<dyn Inode>,
    source: Arc<FakeSource>,
    disk: FakeDisk,
}

fn mount(image: Vec<u8>) -> Result<Mounted, FileError> {
    let disk = FakeDisk::with(image);
    let source = Arc::new(FakeSource::default());
    let volume = Arc::new(Volume::<FakeCpu>::whole(over(&disk, &source, 100_000)));
    let needs = FatNeeds { pages: source.clone(), now, parking: &PARKING, mappings: &MAPPINGS, dirtied, report };
    let fs = MountableFat::new(Fat::open(volume, DEVICE, needs)?);
    Ok(Mounted { root: fs.root(), source, disk })
}

fn find(root: &Arc<dyn Inode>, path: &str) -> Result<Arc<dyn Inode>, FileError> {
    path.split('/').try_fold(root.clone(), |directory, name| directory.lookup(name.as_bytes()))
}

fn contents(file: &Arc<dyn Inode>) -> Result<Vec<u8>, FileError> {
    let size = usize::try_from(file.metadata().size).unwrap();
    let open = file.clone().open(OpenFlags::empty())?;
    let mut bytes = std::vec![0; size + 10];
    let count = open.read(0, Blocking::Yes, &mut BufferSink::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The entries of a directory, read a few at a time.
fn names(directory: &Arc<dyn Inode>) -> Result<Vec<(String, FileKind, u64)>, FileError> {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let mut count = 0;
        directory.read_directory(from, &mut |entry| {
            if count == 3 {
                return Visit::Enough;
            }
            count += 1;
            from = entry.next;
            all.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.kind, entry.inode));
            Visit::More
        })?;
        if count == 0 {
            return Ok(all);
        }
    }
}

#[test]
fn what_another_implementation_wrote_is_read() {
    for (kind, bytes) in KINDS {
        let (image, free) = image(kind, bytes);
        let mounted = mount(image).unwrap();
        for (name, expected) in files() {
            let file = find(&mounted.root, &name).unwrap();
            assert!(contents(&file).unwrap() == expected, "{kind:?} {name}");
            assert_eq!(file.metadata().size, expected.len() as u64);
            // In pieces from behind, too.
            let open = file.open(OpenFlags::empty()).unwrap();
            for at in (0..expected.len()).rev().step_by(1801) {
                let mut piece = [0; 600];
                let count = open.read(at as u64, Blocking::Yes, &mut BufferSink::new(&mut piece)).unwrap();
                assert!(piece[..count] == expected[at..expected.len().min(at + 600)]);
            }
        }
        let status = mounted.root.file_system();
        assert_eq!((status.free_blocks, status.read_only), (u64::from(free), false), "{kind:?}");
    }
}

#[test]
fn directories_show_their_long_names_once_and_with_the_numbers_of_their_files() {
    for (kind, bytes) in KINDS {
        let mounted = mount(image(kind, bytes).0).unwrap();
        for directory in ["", "sub", "sub/dir", "many"] {
            let node =
                if directory.is_empty() { mounted.root.clone() } else { find(&mounted.root, directory).unwrap() };
            let mut expected: Vec<String> = [".", ".."].map(String::from).to_vec();
            let prefix = if directory.is_empty() { String::new() } else { std::format!("{directory}/") };
            let below = files().into_keys().filter_map(|name| name.strip_prefix(&prefix).map(String::from));
            expected.extend(below.map(|name| name.split('/').next().unwrap().to_string()));
            expected.sort();
            expected.dedup();
            let mut found = names(&node).unwrap();
            for (name, kind, inode) in found.iter().filter(|entry| entry.0 != "." && entry.0 != "..") {
                let child = node.lookup(name.as_bytes()).unwrap();
                assert_eq!((child.protection().kind, child.id().inode), (*kind, *inode));
                assert_eq!(child.parent().unwrap().id(), node.id());
            }
            found.sort_by(|one, other| one.0.cmp(&other.0));
            assert_eq!(found.into_iter().map(|entry| entry.0).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn names_are_found_in_whichever_case_and_by_their_short_form() {
    let mounted = mount(image(FatType::Fat16, 8 << 20).0).unwrap();
    for path in
        ["KERNEL8.IMG", "Sub/DIR/deep.BIN", "überlänge – EIN name, der länger ist als dreizehn zeichen.TXT", "ONECLU~1"]
    {
        assert!(find(&mounted.root, path).is_ok(), "{path}");
    }
    for (path, error) in [("nothing", FileError::NotFound), ("empty.txt/x", FileError::NotDirectory)] {
        assert_eq!(find(&mounted.root, path).err(), Some(error));
    }
    let open = find(&mounted.root, "sub").unwrap().open(OpenFlags::empty()).unwrap();
    assert_eq!(open.read(0, Blocking::Yes, &mut BufferSink::new(&mut [0; 9])), Err(FileError::IsDirectory));
}

#[test]
fn pages_of_a_file_are_mapped_with_zeroes_behind_its_end_and_given_back() {
    let (image, _) = image(FatType::Fat32, 36 << 20);
    let mounted = mount(image).unwrap();
    let expected = &files()["kernel8.img"];
    let file = find(&mounted.root, "kernel8.img").unwrap();
    let Mapping::Pager(pager) = file.open(OpenFlags::empty()).unwrap().mapping() else { panic!("it can be mapped") };
    let frame = pager.page(24).unwrap();
    assert_eq!(pager.page(24), Ok(frame));
    let page = mounted.source.contents(frame).unwrap();
    let (start, count) = (24 * PAGE_SIZE, expected.len() - 24 * PAGE_SIZE);
    assert!(page[..count] == expected[start..] && page[count..].iter().all(|&byte| byte == 0));
    assert_eq!((pager.bytes(), pager.page(25).is_err()), (100_000, true));
    mounted.source.release(frame);
    mounted.source.release(frame);
    let before = mounted.source.references().0;
    drop(pager);
    assert_eq!(mounted.source.references().0, before - 1);
}

#[test]
fn chains_that_lead_nowhere_or_in_a_circle_are_errors() {
    let (image, _) = image(FatType::Fat16, 8 << 20);
    let table = usize::from(u16::from_le_bytes([image[14], image[15]])) * 512;
    let mut circle = image.clone();
    // Every cluster is followed by itself.
    for entry in 2..4000_u16 {
        let at = table + usize::from(entry) * 2;
        circle[at..at + 2].copy_from_slice(&entry.to_le_bytes());
    }
    let mounted = mount(circle).unwrap();
    assert_eq!(names(&find(&mounted.root, "many").unwrap()).err(), Some(FileError::Io));
    assert_eq!(find(&mounted.root, "many/no such file").err(), Some(FileError::Io));
    for entry in [0_u16, 1, 0xfff7, 0xfff0] {
        let mut broken = image.clone();
        for number in 2..4000 {
            let at = table + number * 2;
            broken[at..at + 2].copy_from_slice(&entry.to_le_bytes());
        }
        let mounted = mount(broken).unwrap();
        let file = find(&mounted.root, "kernel8.img").unwrap();
        assert_eq!(contents(&file).err(), Some(FileError::Io), "no more than a cluster is there");
        let open = file.open(OpenFlags::empty()).unwrap();
        assert_eq!(open.read(50_000, Blocking::Yes, &mut BufferSink::new(&mut [0; 9])), Err(FileError::Io));
    }
}

#[test]
fn what_is_no_fat_is_refused() {
    assert_eq!(mount(std::vec![0; 1 << 16]).err(), Some(FileError::Invalid));
    assert_eq!(mount(std::vec![0xff; 1 << 16]).err(), Some(FileError::Invalid));
    assert_eq!(mount(Vec::new()).err(), Some(FileError::Invalid));
    let (mut image, _) = image(FatType::Fat12, 1 << 20);
    image.truncate(1 << 19);
    assert_eq!(mount(image).err(), Some(FileError::Invalid), "it ends before its last sector");
}

#[test]
fn a_disk_that_fails_is_an_error() {
    let mounted = mount(image(FatType::Fat16, 8 << 20).0).unwrap();
    mounted.disk.state().gone = true;
    assert_eq!(find(&mounted.root, "sub/dir").err(), Some(FileError::Io));
}

/// All that can be reached, to a depth: nothing of it may hang or panic.
fn visit_all(directory: &Arc<dyn Inode>, depth: u32, budget: &mut u32) {
    for (name, kind, _) in names(directory).unwrap_or_default() {
        if *budget == 0 || name == "." || name == ".." {
            continue;
        }
        *budget -= 1;
        let Ok(child) = directory.lookup(name.as_bytes()) else { continue };
        let _metadata = child.metadata();
        if kind == FileKind::Directory && depth > 0 {
            visit_all(&child, depth - 1, budget);
        } else if let Ok(open) = child.open(OpenFlags::empty()) {
            let mut bytes = std::vec![0; 3000];
            let _outcome = open.read(700, Blocking::Yes, &mut BufferSink::new(&mut bytes));
        }
    }
}

fn small() -> &'static [u8] {
    static IMAGE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    IMAGE.get_or_init(|| image(FatType::Fat12, 1 << 18).0)
}

proptest! {
    #![proptest_config(doses(1, 150))]

    /// Damage in the boot sector, the table and the directories of a small image.
    #[test]
    fn a_damaged_image_gives_errors(
        damage in prop::collection::vec((0_usize..20_000, any::<u8>()), 1..60),
        boot in prop::collection::vec((0_usize..64, any::<u8>()), 0..4),
    ) {
        let mut image = small().to_vec();
        for (at, value) in damage.into_iter().map(|(at, value)| (at + 512, value)).chain(boot) {
            image[at] = value;
        }
        if let Ok(mounted) = mount(image) {
            let _status = mounted.root.file_system();
            visit_all(&mounted.root, 4, &mut 400);
        }
    }
}
