//! Images that are damaged, or need more than there is.

use proptest::prelude::*;

use super::super::support::doses;
use super::*;
use crate::fs::Link;
use crate::fs::ext::Part;

const ROOT: u32 = 2;

fn number_of(image: &Packed, path: &str) -> usize {
    find(&image.mount().root, path).unwrap().id().inode.try_into().unwrap()
}

/// Where the only place is that has these bytes.
fn place_of(image: &[u8], bytes: &[u8]) -> usize {
    let mut places = image.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
    let place = places.next().unwrap().0;
    assert!(places.next().is_none(), "there are two such places");
    place
}

/// What comes of reading `path` in an image that was changed, and what is told of it.
fn read_changed(
    packed: &Packed,
    path: &str,
    change: impl FnOnce(&mut Vec<u8>),
) -> (Result<(), FileError>, Vec<Problem>) {
    let mut image = packed.image();
    change(&mut image);
    let device = new_device();
    let outcome = mount_as(image, packed.reading(), device, FakeSource::default())
        .and_then(|mounted| find(&mounted.root, path))
        .and_then(|file| match file.protection().kind {
            FileKind::Directory => names(&file).map(drop),
            FileKind::Symlink => file.link().map(drop),
            _ => contents(&file).map(drop),
        });
    (outcome, told_of(device))
}

#[test]
fn what_is_not_what_its_checksum_says_is_an_error_and_the_rest_is_read() {
    let comb = number_of(&EXT4, "comb");
    let many = number_of(&EXT4, "many");
    let (comb_number, many_number) = (u32::try_from(comb).unwrap(), u32::try_from(many).unwrap());
    // The root of the extents is in the inode: what is below is in this block.
    let node = word(&EXT4.image(), inode_at(&EXT4.image(), comb) + 0x28 + 12 + 4) * 1024;
    let leaf = word(&EXT4.image(), inode_at(&EXT4.image(), many) + 0x28 + 12 + 4) * 1024;
    let index = word(&EXT4.image(), leaf + 12 + 8) * 1024;
    let name = place_of(&EXT4.image(), b"file number 222,");
    let extents =
        EXT4.image()[leaf + 12..].chunks(12).take(16).map(|extent| word(extent, 8) * 1024).collect::<Vec<_>>();
    let block = extents.iter().position(|at| (*at..at + 1024).contains(&name)).unwrap() as u64;
    let cases: [(usize, &str, Part); 6] = [
        (1024 + 0x78, "hello", Part::Superblock),
        (2048 + 0x12, "hello", Part::Group(0)),
        (inode_at(&EXT4.image(), 2) + 0x10, "hello", Part::Inode(ROOT)),
        (node + 500, "comb", Part::Map(comb_number)),
        (index + 48, "many", Part::Directory(many_number, 0)),
        (name, "many", Part::Directory(many_number, block)),
    ];
    for (at, path, part) in cases {
        let (outcome, told) = read_changed(&EXT4, path, |image| image[at] ^= 4);
        assert_eq!((outcome, told), (Err(FileError::Checksum), std::vec![Problem::Checksum(part)]), "{part}");
        if path != "hello" {
            assert_eq!(read_changed(&EXT4, "hello", |image| image[at] ^= 4), (Ok(()), Vec::new()));
        }
    }
    // The older sum of 16 bits.
    let (outcome, told) = read_changed(&OLD, "hello", |image| image[4096 + 0x12] ^= 4);
    assert_eq!((outcome, told), (Err(FileError::Checksum), std::vec![Problem::Checksum(Part::Group(0))]));
}

#[test]
fn features_that_are_not_known_are_named() {
    for (bits, words) in [(0x1_0000_u32, " encrypt"), (0x2_0008, " journal_dev casefold"), (0x8000_0000, " 0x80000000")]
    {
        let mut image = EXT3.image();
        let known = u32::try_from(word(&image, 1024 + 0x60)).unwrap();
        put(&mut image, 1024 + 0x60, known | bits);
        let (refused, told) = mount_told(image, EXT3.reading());
        assert_eq!(refused.err(), Some(FileError::Invalid));
        let [Problem::Features(features)] = told[..] else { panic!("{told:?}") };
        assert_eq!(std::format!("{features}"), words);
    }
}

#[test]
fn each_kind_is_mounted_as_its_own_and_later_ones() {
    for image in ALL {
        for kind in [Kind::Ext2, Kind::Ext3, Kind::Ext4] {
            let (mounted, told) = mount_told(image.image(), Reading { kind, without_journal: false });
            // ext3 is ext2 with a journal, so ext2 takes it; nothing is written.
            let fits = match kind {
                Kind::Ext2 => image.kind != Kind::Ext4,
                Kind::Ext3 => image.kind == Kind::Ext3,
                Kind::Ext4 => true,
            };
            let expected = if fits { Vec::new() } else { std::vec![Problem::NotThatKind(kind)] };
            assert_eq!((mounted.is_ok(), told), (fits, expected), "{} as {kind}", image.name);
        }
    }
}

#[test]
fn what_is_no_such_file_system_or_is_cut_off_is_not_mounted() {
    let refused = |image: Vec<u8>| {
        let (mounted, told) = mount_told(image, EXT4.reading());
        (mounted.err(), told)
    };
    assert_eq!(refused(std::vec![0; 512]), (Some(FileError::Invalid), Vec::new()));
    assert_eq!(refused(std::vec![0; 1 << 20]), (Some(FileError::Invalid), Vec::new()));
    assert_eq!(refused(std::vec![0xff; 1 << 20]), (Some(FileError::Invalid), Vec::new()));
    for image in ALL {
        let mut cut = image.image();
        cut.truncate(cut.len() - 4096);
        assert_eq!(refused(cut), (Some(FileError::Invalid), std::vec![Problem::Truncated]));
    }
}

#[test]
fn numbers_that_a_superblock_cannot_have_are_refused() {
    for (at, value) in [
        (0x0, 1_u32),
        (0x0, u32::MAX),
        (0x14, 2),
        (0x14, u32::MAX),
        (0x18, 7),
        (0x18, u32::MAX),
        (0x20, 0),
        (0x20, 1),
        (0x28, 0),
        (0x28, u32::MAX),
        (0x58, 0),
        (0x58, 127),
        (0x58, 4096),
        (0x54, 0),
        (0x54, u32::MAX),
    ] {
        let mut image = EXT2.image();
        put(&mut image, 1024 + at, value);
        let (refused, told) = mount_told(image, EXT2.reading());
        assert_eq!(refused.err(), Some(FileError::Invalid), "{at:#x} {value}");
        assert!(matches!(told[..], [Problem::Superblock(_) | Problem::Truncated]), "{at:#x} {value} {told:?}");
    }
}

#[test]
fn a_directory_below_itself_is_a_loop() {
    let above = number_of(&EXT2, "sub");
    let within = number_of(&EXT2, "sub/dir");
    let mut image = EXT2.image();
    // `sub/dir/deep` becomes `sub`, and another name in it the directory itself.
    let deep = place_of(&image, b"deep\0") - 8;
    put(&mut image, deep, u32::try_from(above).unwrap());
    let mounted = mount(image.clone(), EXT2.reading()).unwrap();
    assert_eq!(find(&mounted.root, "sub/dir/deep").err(), Some(FileError::TooManyLinks));
    put(&mut image, deep, u32::try_from(within).unwrap());
    let mounted = mount(image, EXT2.reading()).unwrap();
    assert_eq!(find(&mounted.root, "sub/dir/deep").err(), Some(FileError::TooManyLinks));
    assert!(contents(&find(&mounted.root, "sub/same").unwrap()).is_ok());
}

#[test]
fn maps_that_lead_in_a_circle_or_off_the_device_are_errors() {
    let comb = number_of(&OLD, "comb");
    let map = inode_at(&OLD.image(), comb) + 0x28;
    let node = word(&OLD.image(), map + 12 + 4);
    let number = u32::try_from(comb).unwrap();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let (outcome, told) = read_changed(&OLD, "comb", change);
        assert_eq!(outcome, Err(FileError::Damaged));
        assert!(matches!(told[0], Problem::Damaged(Part::Map(at), _) if at == number), "{told:?}");
    };
    // A node that says that it is the one above.
    damaged(&|image| image[node * 4096 + 6] = 1);
    // The node below is the root of an index with room for itself.
    damaged(&|image| image[map + 6] = 5);
    damaged(&|image| image[map + 6] = 6);
    damaged(&|image| put(image, map + 12 + 4, u32::MAX));
    damaged(&|image| put(image, map + 12 + 4, 0));
    damaged(&|image| image[map] = 0);
    damaged(&|image| image[node * 4096 + 2] = 0xff);
    damaged(&|image| image[node * 4096 + 3] = 0xff);
    // The first two extents in the wrong order, one without blocks, one behind the end.
    damaged(&|image| image[node * 4096 + 12] = 9);
    damaged(&|image| image[node * 4096 + 12 + 4] = 0);
    damaged(&|image| put(image, node * 4096 + 12 + 8, 0x7fff_ffff));
    // Blocks of numbers.
    let numbers = inode_at(&EXT2.image(), number_of(&EXT2, "numbers")) + 0x28 + 48;
    for wrong in [1, 0x7fff_ffff] {
        let (outcome, told) = read_changed(&EXT2, "numbers", |image| put(image, numbers, wrong));
        assert_eq!((outcome, told.is_empty()), (Err(FileError::Damaged), false));
    }
}

#[test]
fn entries_of_directories_that_make_no_sense_are_errors() {
    let image = EXT2.image();
    let deep = place_of(&image, b"deep\0") - 8;
    let damaged = |change: &dyn Fn(&mut Vec<u8>), error: FileError, path: &str| {
        assert_eq!(read_changed(&EXT2, path, change).0, Err(error), "{path}");
        assert_eq!(read_changed(&EXT2, "hello", change).0, Ok(()));
    };
    for length in [0, 1, 4, 8, 10, 0xfffc] {
        let change = |image: &mut Vec<u8>| put(image, deep + 4, length | 4 << 16);
        damaged(&change, FileError::Damaged, "sub/dir");
    }
    damaged(&|image| image[deep + 6] = 0xff, FileError::Damaged, "sub/dir/deep");
    damaged(&|image| image[deep + 10] = b'/', FileError::Damaged, "sub/dir");
    damaged(&|image| image[deep + 10] = 0, FileError::Damaged, "sub/dir");
    for number in [1, 3, 10, 701, u32::MAX, 699] {
        damaged(&|image| put(image, deep, number), FileError::Damaged, "sub/dir/deep");
    }
}

#[test]
fn inodes_that_make_no_sense_are_errors() {
    let image = EXT3.image();
    let deep = inode_at(&image, number_of(&EXT3, "sub/dir/deep"));
    let long = inode_at(&image, number_of(&EXT3, "long"));
    let sub = inode_at(&image, number_of(&EXT3, "sub"));
    let changes: [(usize, u32, &str); 9] = [
        (deep, 0x0001_f1a4, "sub/dir/deep"),
        (deep + 0x1a, 0, "sub/dir/deep"),
        (deep + 0x6c, 0xffff_ffff, "sub/dir/deep"),
        (deep + 0x80, 0x00ff, "sub/dir/deep"),
        (deep + 0x80, 30, "sub/dir/deep"),
        (long + 4, 0, "long"),
        (long + 4, 5000, "long"),
        (sub + 4, 77, "sub"),
        (sub + 4, 1 << 20, "sub"),
    ];
    for (at, value, path) in changes {
        let (outcome, told) = read_changed(&EXT3, path, |image| put(image, at, value));
        assert_eq!((outcome, told.len()), (Err(FileError::Damaged), 1), "{path} {at:#x}");
    }
    // More than anybody can wait for.
    assert_eq!(read_changed(&EXT3, "sub", |image| put(image, sub + 4, 1 << 30)).0, Err(FileError::TooLarge));
}

#[test]
fn no_more_than_a_few_problems_are_told() {
    let deep = inode_at(&EXT3.image(), number_of(&EXT3, "sub/dir/deep"));
    let mut image = EXT3.image();
    put(&mut image, deep + 0x1a, 0);
    let device = new_device();
    let mounted = mount_as(image, EXT3.reading(), device, FakeSource::default()).unwrap();
    for _ in 0..100 {
        assert_eq!(find(&mounted.root, "sub/dir/deep").err(), Some(FileError::Damaged));
    }
    let told = told_of(device);
    assert_eq!((told.len(), told.last()), (17, Some(&Problem::More)));
}

#[test]
fn a_disk_that_fails_and_memory_that_runs_out_are_errors() {
    let mounted = EXT4.mount();
    mounted.disk.state().gone = true;
    assert_eq!(find(&mounted.root, "sub/dir/deep").err(), Some(FileError::Io));
    for room in 0..=40 {
        let source = FakeSource::with_room_for(room);
        let outcome = mount_as(EXT4.image(), EXT4.reading(), new_device(), source)
            .and_then(|mounted| contents(&find(&mounted.root, "sub/dir/deep")?));
        assert!(matches!(outcome, Err(FileError::OutOfMemory) | Ok(_)), "{room}");
        assert!(outcome.is_err() || room > 0);
        assert!(outcome.is_ok() || room < 40);
    }
}

#[test]
fn directories_may_be_deeper_than_a_stack() {
    let mut at = EXT2.mount().root;
    for _ in 0..300 {
        at = at.lookup(b"d").unwrap();
    }
    assert_eq!(at.lookup(b"d").err(), Some(FileError::NotFound));
    // A frame for each would not fit.
    std::thread::Builder::new().stack_size(32 << 10).spawn(move || drop(at)).unwrap().join().unwrap();
}

/// All that can be reached, to a depth: nothing of it may hang or panic.
fn visit_all(directory: &Arc<dyn Inode>, depth: u32, budget: &mut u32) {
    for (name, ..) in names(directory).unwrap_or_default() {
        if *budget == 0 || name == "." || name == ".." {
            continue;
        }
        *budget -= 1;
        let Ok(child) = directory.lookup(name.as_bytes()) else { continue };
        let _metadata = child.metadata();
        if let Ok(Link::Path(path)) = child.link() {
            assert!(!path.is_empty());
        }
        match child.protection().kind {
            FileKind::Directory if depth > 0 => visit_all(&child, depth - 1, budget),
            FileKind::Regular => {
                let Ok(open) = child.open(OpenFlags::empty()) else { continue };
                for at in [0, 700, 100_000, 3_000_000] {
                    let mut bytes = [0; 3000];
                    let _outcome = open.read(at, Blocking::Yes, &mut BufferSink::new(&mut bytes));
                }
                let _data = open.find(0, 3_000_000, crate::fs::Extent::Data);
            }
            _ => {}
        }
    }
}

/// Where an image has something but data, and zeroes.
fn metadata_of(image: &[u8]) -> Vec<usize> {
    let block = block_size(image);
    let is_text =
        |piece: &[u8]| piece.iter().all(|&byte| byte.is_ascii_digit() || byte == b'\n' || byte == b' ' || byte == 0);
    let pieces = image.chunks(block.min(1024)).enumerate().filter(|(_, piece)| !is_text(piece));
    pieces
        .flat_map(|(index, piece)| {
            let start = index * block.min(1024);
            piece.iter().enumerate().filter(|(_, byte)| **byte != 0).map(move |(at, _)| start + at)
        })
        .collect()
}

proptest! {
    #![proptest_config(doses(1, 60))]

    /// Damage wherever an image has something: with checksums most of it ends there, so images without them are most.
    #[test]
    fn a_damaged_image_gives_errors(
        which in 0_usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..40),
    ) {
        static IMAGES: OnceLock<Vec<(Vec<u8>, Vec<usize>)>> = OnceLock::new();
        let images = IMAGES.get_or_init(|| {
            ALL.iter().map(|packed| packed.image()).map(|mut image| {
                // Without checksums what is damaged is looked at.
                image[1024 + 0x65] &= !4;
                let metadata = metadata_of(&image);
                (image, metadata)
            }).collect()
        });
        let (image, metadata) = &images[which % ALL.len()];
        let mut image = image.clone();
        if which >= ALL.len() {
            image[1024 + 0x65] |= 4;
        }
        for (index, value, is_bit) in damage {
            let at = metadata[index.index(metadata.len())];
            image[at] = if is_bit { image[at] ^ 1 << (value & 7) } else { value };
        }
        if let Ok(mounted) = mount(image, Reading { kind: Kind::Ext4, without_journal: true }) {
            let _status = mounted.root.file_system();
            visit_all(&mounted.root, 4, &mut 60);
        }
    }
}
