//! What the first program comes from: an archive, and programs.

use std::sync::Arc;

use kcore::boot::initramfs::entries;
use kcore::elf::{self, Header, Script};
use kcore::fs::initramfs::build;
use kcore::fs::tmpfs::{Limits, Needs, Purpose, Tmpfs};
use kcore::fs::{DeviceNumber, FileKind, Inode, PageSource, Visit};
use kcore::hal::fake::FakeCpu;

use crate::kernel::{ALONE, Frames, fifo, now};

/// The input is an archive.
pub(crate) fn cpio(bytes: &[u8]) {
    /// The most that one has.
    const MOST: usize = 1 << 20;
    let entries = entries(bytes).take(10_000).filter_map(Result::ok).count();
    // The file system keeps what it was made from for ever, so there is one place for that; nothing of the last is left.
    static mut PLACE: [u8; MOST] = [0; MOST];
    let bytes = &bytes[..bytes.len().min(MOST)];
    // SAFETY: the place belongs to this function, which one thread calls, and at its end nothing refers to it any more.
    let place: &'static mut [u8; MOST] = unsafe { (&raw mut PLACE).as_mut().unwrap() };
    place[..bytes.len()].copy_from_slice(bytes);
    let archive: &'static [u8] = &place[..bytes.len()];
    let frames = Arc::new(Frames::default());
    let pages: Arc<dyn PageSource> = frames.clone();
    {
        let limits = Limits::usual(&*pages);
        let needs = Needs { pages, devices: &ALONE, fifo, now, parking: &ALONE, mappings: &ALONE };
        let fs: Arc<Tmpfs<FakeCpu>> = Tmpfs::new(needs, DeviceNumber::new(0, 1), limits, Purpose::Files);
        let root = build(archive, &fs, &mut |problem| assert!(!problem.to_string().is_empty())).unwrap();
        let found = count(&root, 200);
        // Directories that are missing are made: each name has 255 bytes and its path up to 4095.
        assert!(found <= 1 + entries * 2100);
    }
    assert_eq!(frames.used(), 0, "each frame is given back");
}

fn count(directory: &Arc<dyn Inode>, depth: u32) -> usize {
    let mut names = Vec::new();
    let _outcome = directory.read_directory(0, &mut |entry| {
        if entry.name != b"." && entry.name != b".." {
            names.push((entry.name.to_vec(), entry.kind));
        }
        Visit::More
    });
    let mut all = names.len();
    for (name, kind) in names {
        let child = directory.lookup(&name).unwrap();
        let _metadata = child.metadata();
        if kind == FileKind::Directory && depth > 0 {
            all += count(&child, depth - 1);
        }
    }
    all
}

/// The input is the beginning of a program; its length says how long the file is.
pub(crate) fn elf(bytes: &[u8]) {
    let long = bytes.len() as u64 * 4096;
    for file_bytes in [bytes.len() as u64, long] {
        if let Ok(image) = elf::parse(bytes, file_bytes) {
            let pages = image.pages();
            assert!(pages.start < pages.end && image.alignment().is_power_of_two());
        }
        if let Ok(header) = Header::parse(bytes) {
            let _image = header.image(&bytes[bytes.len() / 2..], file_bytes);
        }
    }
}

/// The input is the beginning of a script.
pub(crate) fn script(bytes: &[u8]) {
    if let Ok(Some(script)) = Script::parse(bytes) {
        assert!(!script.interpreter.is_empty());
    }
}
