//! What is not as it should be, mended at mount.

use std::string::String;
use std::vec::Vec;

use super::super::block::support::FakeDisk;
use super::check::{Report, check, check_clean};
use super::findings;
use super::support::{Kind, SECTOR, SMALL, Tree, format, pattern};
use crate::fs::fat::{Finding, Repairs};
use crate::fs::{FileError, MountFlags, Mountable as _};

/// An image to be damaged, marked as in use.
struct Image {
    bytes: Vec<u8>,
    kind: Kind,
}

impl Image {
    /// With `ONE.BIN` of five clusters, `TWO.BIN` of three and `SUB/DEEP.BIN` of two.
    fn new(kind: Kind) -> Self {
        let tree = Tree::new(format(kind));
        let cluster = kind.sectors * SECTOR;
        tree.write("ONE.BIN", &pattern(1, 5 * cluster - 7)).unwrap();
        tree.write("TWO.BIN", &pattern(2, 3 * cluster - 7)).unwrap();
        tree.mkdir("SUB").unwrap();
        tree.mkdir("OTHER").unwrap();
        tree.write("SUB/DEEP.BIN", &pattern(3, 2 * cluster - 7)).unwrap();
        let mut image = Self { bytes: tree.unmount(), kind };
        let state = if kind.bits == 32 { 65 } else { 37 };
        image.bytes[state] |= 1;
        image
    }

    fn table(&self) -> [usize; 2] {
        let reserved = if self.kind.bits == 32 { 32 } else { 1 };
        let sectors = ((self.kind.clusters + 2) * self.kind.bits).div_ceil(8 * SECTOR);
        [reserved * SECTOR, (reserved + sectors) * SECTOR]
    }

    fn set_next(&mut self, cluster: u32, next: u32) {
        let cluster = cluster as usize;
        for table in self.table() {
            let at = table + cluster * self.kind.bits / 8;
            match self.kind.bits {
                12 => {
                    let [low, high, ..] = next.to_le_bytes();
                    if cluster.is_multiple_of(2) {
                        self.bytes[at] = low;
                        self.bytes[at + 1] = self.bytes[at + 1] & 0xf0 | high & 0xf;
                    } else {
                        self.bytes[at] = self.bytes[at] & 0xf | low << 4;
                        self.bytes[at + 1] = low >> 4 | high << 4;
                    }
                }
                bits => self.bytes[at..at + bits / 8].copy_from_slice(&next.to_le_bytes()[..bits / 8]),
            }
        }
    }

    fn end(&self) -> u32 {
        u32::MAX >> (32 - self.kind.bits.min(28))
    }

    /// Where the entry with this short name is.
    fn slot(&self, short: &str) -> usize {
        let after = self.table()[1];
        let at = (after..self.bytes.len()).step_by(32).find(|&at| self.bytes[at..].starts_with(short.as_bytes()));
        at.unwrap_or_else(|| panic!("no {short}"))
    }

    fn first(&self, short: &str) -> u32 {
        let at = self.slot(short);
        let half = |at: usize| u32::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]));
        half(at + 20) << 16 | half(at + 26)
    }

    fn set_first(&mut self, at: usize, first: u32) {
        let [a, b, c, d] = first.to_le_bytes();
        self.bytes[at + 26..at + 28].copy_from_slice(&[a, b]);
        self.bytes[at + 20..at + 22].copy_from_slice(&[c, d]);
    }

    fn set_size(&mut self, short: &str, size: u32) {
        let at = self.slot(short);
        self.bytes[at + 28..at + 32].copy_from_slice(&size.to_le_bytes());
    }

    /// Copies an entry behind the last of a directory that another is in.
    fn copy_to(&mut self, short: &str, beside: &str, name: &str) -> usize {
        let from = self.slot(short);
        let entry: [u8; 32] = self.bytes[from..from + 32].try_into().unwrap();
        let mut to = self.slot(beside);
        while self.bytes[to] != 0 {
            to += 32;
        }
        self.bytes[to..to + 32].copy_from_slice(&entry);
        self.bytes[to..to + 11].copy_from_slice(name.as_bytes());
        to
    }

    fn repair(self) -> (Report, Repairs) {
        findings();
        let image = Tree::new(self.bytes).unmount();
        let found = findings();
        let [Finding::Repaired(repairs)] = found[..] else { panic!("{found:?}") };
        (check_clean(&image), repairs)
    }
}

fn names(report: &Report) -> Vec<&str> {
    report.tree.keys().map(String::as_str).collect()
}

fn contents(report: &Report, path: &str, seed: usize, bytes: usize) {
    assert!(report.tree[path] == Some(pattern(seed, bytes)), "{path}: {:?}", report.tree[path].as_ref().map(Vec::len));
}

const ALL: [&str; 5] = ["ONE.BIN", "OTHER", "SUB", "SUB/DEEP.BIN", "TWO.BIN"];

#[test]
fn what_was_not_unmounted_and_is_whole_is_marked_as_clean_and_nothing_is_said() {
    for kind in SMALL {
        findings();
        let image = Tree::new(Image::new(kind).bytes).unmount();
        assert!(findings().is_empty());
        assert_eq!(names(&check_clean(&image)), ALL);
    }
}

#[test]
fn of_two_names_the_younger_stays_whichever_is_found_first() {
    for kind in SMALL {
        for (step, stays, goes) in [(1_u8, "SUB/NEW", "ONE.BIN"), (199, "ONE.BIN", "SUB/NEW")] {
            let mut image = Image::new(kind);
            let cluster = kind.sectors * SECTOR;
            let to = image.copy_to("ONE     BIN", "DEEP    BIN", "NEW        ");
            image.bytes[to + 13] = (image.bytes[to + 13] + step) % 200;
            // The newer is what the file is: here it was cut meanwhile.
            let shorter = if step == 1 { to } else { image.slot("ONE     BIN") };
            image.bytes[shorter + 28..shorter + 32].copy_from_slice(&u32::try_from(cluster).unwrap().to_le_bytes());
            let (report, repairs) = image.repair();
            assert!(!report.tree.contains_key(goes), "{kind:?}");
            contents(&report, stays, 1, cluster);
            assert_eq!((repairs.names, repairs.chains, repairs.lost), (1, 1, 4));
        }
    }
}

#[test]
fn of_two_names_whose_order_nothing_tells_that_with_more_bytes_stays() {
    for kind in SMALL {
        let bytes = 5 * kind.sectors * SECTOR - 7;
        for born in [0, 7] {
            let mut image = Image::new(kind);
            let to = image.copy_to("ONE     BIN", "DEEP    BIN", "NEW        ");
            image.bytes[to + 14] ^= born;
            image.set_size("ONE     BIN", 100);
            let (report, repairs) = image.repair();
            assert_eq!(names(&report), ["OTHER", "SUB", "SUB/DEEP.BIN", "SUB/NEW", "TWO.BIN"]);
            contents(&report, "SUB/NEW", 1, bytes);
            assert_eq!(repairs, Repairs { names: 1, ..Repairs::default() });
        }
    }
}

#[test]
fn a_name_that_has_lost_its_long_part_does_not_win() {
    let mut image = Image::new(SMALL[1]);
    let to = image.copy_to("ONE     BIN", "DEEP    BIN", "NEWNAM~1BIN");
    image.bytes[to + 13] += 1;
    let (report, _) = image.repair();
    assert_eq!(names(&report), ALL);
}

#[test]
fn a_directory_that_moved_half_is_where_it_was_to_go_and_knows_what_is_above() {
    for kind in SMALL {
        let mut image = Image::new(kind);
        let tree_slot = image.slot("OTHER      ");
        let to = image.copy_to("OTHER      ", "DEEP    BIN", "MOVED      ");
        image.bytes[to + 13] = (image.bytes[tree_slot + 13] + 1) % 200;
        let (report, repairs) = image.repair();
        assert_eq!(names(&report), ["ONE.BIN", "SUB", "SUB/DEEP.BIN", "SUB/MOVED", "TWO.BIN"]);
        assert_eq!(repairs, Repairs { names: 1, dots: 1, ..Repairs::default() });
    }
}

#[test]
fn a_directory_is_not_put_below_itself_whatever_is_newer() {
    for kind in SMALL {
        let mut image = Image::new(kind);
        let to = image.copy_to("SUB        ", "DEEP    BIN", "INSIDE     ");
        image.bytes[to + 13] = (image.bytes[to + 13] + 1) % 200;
        let (report, _) = image.repair();
        assert_eq!(names(&report), ALL);
    }
}

#[test]
fn two_directories_of_which_each_is_said_to_have_moved_into_the_other_are_both_kept() {
    for kind in SMALL {
        let mut image = Image::new(kind);
        for (what, into, name) in
            [("SUB        ", "OTHER", "SUB2       "), ("OTHER      ", "DEEP    BIN", "OTHER2     ")]
        {
            // Behind the entry of `..`, where there is nothing in the directory.
            let beside = if into == "OTHER" { 2 } else { 0 };
            let to = if beside == 2 {
                let first = image.first("OTHER      ");
                let place = image.place(first) + 64;
                let from = image.slot(what);
                let entry: [u8; 32] = image.bytes[from..from + 32].try_into().unwrap();
                image.bytes[place..place + 32].copy_from_slice(&entry);
                image.bytes[place..place + 11].copy_from_slice(name.as_bytes());
                place
            } else {
                image.copy_to(what, into, name)
            };
            image.bytes[to + 13] = (image.bytes[to + 13] + 1) % 200;
        }
        let (report, repairs) = image.repair();
        assert_eq!(report.tree.len(), 5, "{:?}", names(&report));
        assert_eq!(repairs.names, 2);
        assert!(names(&report).iter().any(|name| name.ends_with("DEEP.BIN")));
    }
}

impl Image {
    fn place(&self, cluster: u32) -> usize {
        let [first, second] = self.table();
        let root = if self.kind.bits == 32 { 0 } else { 64 * 32 };
        2 * second - first + root + (cluster as usize - 2) * self.kind.sectors * SECTOR
    }
}

#[test]
fn a_chain_that_is_longer_than_its_file_is_cut_and_a_file_that_is_longer_than_its_chain() {
    for kind in SMALL {
        let cluster = kind.sectors * SECTOR;
        let mut image = Image::new(kind);
        image.set_size("ONE     BIN", u32::try_from(2 * cluster).unwrap());
        let (end, second) = (image.end(), image.first("TWO     BIN"));
        image.set_next(second, end);
        image.set_size("DEEP    BIN", 0);
        let (report, repairs) = image.repair();
        contents(&report, "ONE.BIN", 1, 2 * cluster);
        contents(&report, "TWO.BIN", 2, cluster);
        contents(&report, "SUB/DEEP.BIN", 3, 0);
        assert_eq!((repairs.chains, repairs.shortened, repairs.lost), (2, 1, 3 + 2 + 2));
    }
}

#[test]
fn of_two_files_that_meet_the_first_keeps_all() {
    for kind in SMALL {
        let cluster = kind.sectors * SECTOR;
        let mut image = Image::new(kind);
        // The second cluster of the second file is followed by the third of the first.
        let (one, two) = (image.first("ONE     BIN"), image.first("TWO     BIN"));
        image.set_next(two + 1, one + 2);
        image.set_size("TWO     BIN", u32::try_from(5 * cluster).unwrap());
        let (report, repairs) = image.repair();
        contents(&report, "ONE.BIN", 1, 5 * cluster - 7);
        contents(&report, "TWO.BIN", 2, 2 * cluster);
        assert_eq!(repairs, Repairs { shortened: 1, chains: 1, lost: 1, ..Repairs::default() });
    }
}

#[test]
fn what_leads_nowhere_ends_there() {
    for kind in SMALL {
        let cluster = kind.sectors * SECTOR;
        let bad = Image::new(kind).end() & !8;
        // Free, one, marked bad, far outside; itself, and back.
        for (case, next) in [0, 1, bad, bad - 1, 4, 3].into_iter().enumerate() {
            let mut image = Image::new(kind);
            let one = image.first("ONE     BIN");
            let next = if case >= 4 { one + next - 3 } else { next };
            image.set_next(one + 1, next);
            let (report, repairs) = image.repair();
            // What is free or marked bad is not part of it, and where a chain breaks otherwise, is.
            let clusters = if case == 0 || case == 2 { 1 } else { 2 };
            contents(&report, "ONE.BIN", 1, clusters * cluster);
            assert_eq!((repairs.shortened, repairs.chains, repairs.lost), (1, 1, 3), "{next:x}");
        }
        for first in [1, bad, bad - 1, u32::try_from(kind.clusters).unwrap() + 2] {
            let mut image = Image::new(kind);
            let at = image.slot("ONE     BIN");
            image.set_first(at, first);
            let (report, repairs) = image.repair();
            contents(&report, "ONE.BIN", 1, 0);
            assert_eq!((repairs.shortened, repairs.lost), (1, 5));
        }
    }
}

#[test]
fn directories_without_clusters_go_and_what_was_in_them_is_free() {
    for kind in SMALL {
        for first in [0, 1, u32::try_from(kind.clusters).unwrap()] {
            let mut image = Image::new(kind);
            let at = image.slot("SUB        ");
            image.set_first(at, first);
            let (report, repairs) = image.repair();
            assert_eq!(names(&report), ["ONE.BIN", "OTHER", "TWO.BIN"]);
            assert_eq!(repairs, Repairs { directories: 1, lost: 3, ..Repairs::default() });
        }
        // A chain in a circle.
        let mut image = Image::new(kind);
        let sub = image.first("SUB        ");
        image.set_next(sub, sub);
        let (report, repairs) = image.repair();
        assert_eq!((names(&report), repairs), (ALL.to_vec(), Repairs { chains: 1, ..Repairs::default() }));
    }
}

#[test]
fn a_directory_that_does_not_look_like_one_is_not_believed_and_nothing_is_written() {
    for kind in SMALL {
        let mut image = Image::new(kind);
        let first = image.first("SUB        ");
        let place = image.place(first);
        image.bytes[place] = b'x';
        let before = image.bytes.clone();
        findings();
        let tree = Tree::new(image.bytes);
        assert_eq!(findings(), [Finding::Failed(FileError::Damaged)]);
        assert_eq!(tree.write("new", b""), Err(FileError::ReadOnly));
        assert_eq!(tree.read("ONE.BIN").unwrap().len(), 5 * kind.sectors * SECTOR - 7);
        assert!(tree.unmount() == before);
    }
}

#[test]
fn lost_clusters_copies_of_the_table_counts_and_parts_of_names_are_put_right() {
    for kind in SMALL {
        let mut image = Image::new(kind);
        let (end, bad) = (image.end(), image.end() & !8);
        image.set_next(300, 301);
        image.set_next(301, end);
        image.set_next(302, 1);
        image.set_next(303, bad);
        let second = image.table()[1];
        // In a block that has nothing else to be written.
        image.bytes[second + if kind.bits == 12 { 700 } else { 100 }] ^= 5;
        let one = image.slot("ONE     BIN");
        // The first part of a name of two, and no more.
        let to = image.copy_to("ONE     BIN", "DEEP    BIN", "\x41x\0\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}");
        image.bytes[to + 11] = 0x0f;
        image.bytes[to + 26..to + 28].fill(0);
        assert_eq!(image.bytes[one], b'O');
        if kind.bits == 32 {
            image.bytes[SECTOR + 488] ^= 1;
        }
        let (report, repairs) = image.repair();
        assert_eq!(names(&report), ALL);
        let expected =
            Repairs { parts: 1, lost: 3, copies: 1, count: u32::from(kind.bits == 32), ..Repairs::default() };
        assert_eq!(repairs, expected);
        let said = std::format!("{}", Finding::Repaired(repairs));
        assert!(said.starts_with("was not unmounted; repaired: 1 parts of names, 3 lost clusters, 1 blocks of copies"));
    }
}

#[test]
fn what_is_mounted_to_be_read_is_not_repaired_before_it_is_to_be_written() {
    let mut image = Image::new(SMALL[2]);
    image.set_next(300, 301);
    let before = image.bytes.clone();
    let disk = FakeDisk::with(image.bytes);
    findings();
    let tree = Tree::as_wanted(disk.clone(), MountFlags::READ_ONLY);
    assert_eq!(findings(), [Finding::Unrepaired]);
    tree.mountable.sync().unwrap();
    assert!(disk.state().bytes == before);
    // Who has a file would not learn what becomes of it.
    let open = tree.open("ONE.BIN", crate::fs::OpenFlags::empty()).unwrap();
    tree.mountable.set_covered(Some(&tree.mountable.root())).unwrap();
    assert_eq!(tree.mountable.set_flags(MountFlags::empty()), Err(FileError::Busy));
    assert!(disk.state().bytes == before);
    drop(open);
    findings();
    tree.mountable.set_flags(MountFlags::empty()).unwrap();
    assert!(matches!(findings()[..], [Finding::Repaired(Repairs { lost: 1, .. })]));
    tree.write("new", b"new").unwrap();
    check_clean(&tree.unmount());
}

#[test]
fn without_memory_or_with_a_disk_that_fails_it_is_mounted_to_be_read() {
    let mut image = Image::new(SMALL[2]);
    image.set_next(300, 301);
    let bad_block = image.place(image.first("SUB        ")) / SECTOR;
    let disk = FakeDisk::with(image.bytes);
    disk.state().bad.insert(bad_block as u64);
    findings();
    let tree = Tree::on(disk.clone());
    assert_eq!(findings(), [Finding::Failed(FileError::Io)]);
    assert_eq!(tree.write("new", b""), Err(FileError::ReadOnly));
    assert_eq!(tree.read("ONE.BIN").unwrap().len(), 5 * 1024 - 7);
    disk.state().bad.clear();
    let image = tree.unmount();
    assert!(!check(&image).clean);
    check_clean(&Tree::new(image).unmount());
}

#[test]
fn nothing_is_beyond_bounds_whatever_leads_where() {
    // A directory full of names for one file, and of directories that are one.
    let mut image = Image::new(SMALL[0]);
    let first = image.first("SUB        ");
    let place = image.place(first);
    for number in 3..16 {
        for (short, kind) in [("ONE     BIN", b'F'), ("OTHER      ", b'D')] {
            let from = image.slot(short);
            let entry: [u8; 32] = image.bytes[from..from + 32].try_into().unwrap();
            let at = place + number * 32;
            if (number % 2 == 0) == (kind == b'F') {
                image.bytes[at..at + 32].copy_from_slice(&entry);
                image.bytes[at..at + 2].copy_from_slice(&[kind, b'A' + u8::try_from(number).unwrap()]);
            }
        }
    }
    let (report, repairs) = image.repair();
    assert_eq!(report.tree.len(), 5, "{:?}", names(&report));
    assert_eq!(repairs.names, 13);
}
