//! The image as a whole, by our own eyes; tests/image.rs looks at it with the tools that users have.

use std::fs;
use std::io::Read as _;

use super::*;

fn files() -> Vec<BootFile> {
    vec![BootFile::new("config.txt", *b"kernel=kernel8.img\n"), BootFile::new("kernel8.img", vec![0xa5; 1_300_000])]
}

fn image(size: u64, files: &[BootFile], data: &mut Data) -> anyhow::Result<(tempfile::TempDir, BlockMap)> {
    let directory = tempfile::tempdir()?;
    let map = write(&directory.path().join("tine.img"), size, files, data)?;
    Ok((directory, map))
}

#[test]
fn the_same_contents_make_the_same_image_and_others_another_disk() {
    let sum = |files: &[BootFile]| {
        let (directory, map) = image(SMALLEST, files, &mut Data::Fat32).unwrap();
        let mut file = File::open(directory.path().join("tine.img")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), SMALLEST);
        let mut head = [0; 512];
        file.read_exact(&mut head).unwrap();
        file.rewind().unwrap();
        (sha256(file).unwrap(), head[440..444].to_vec(), map)
    };
    let (first, again) = (sum(&files()), sum(&files()));
    assert_eq!(first, again);
    let other = sum(&files()[..1]);
    assert_ne!(first.1, other.1);
}

#[test]
fn a_card_gets_all_that_means_something_whatever_stood_on_it_before() {
    let (directory, map) = image(SMALLEST, &files(), &mut Data::Fat32).unwrap();
    let image = fs::read(directory.path().join("tine.img")).unwrap();
    let mut card = vec![0xff; image.len()];
    for run in map.runs() {
        let (start, length) = sparse::bytes_of(&run, SMALLEST);
        let bytes = usize::try_from(start).unwrap()..usize::try_from(start + length).unwrap();
        card[bytes.clone()].copy_from_slice(&image[bytes]);
    }
    // What is not in the map is zeros here and garbage there; no file system may look at it.
    for (start, size) in [(BOOT_START, BOOT_SIZE), (BOOT_START + BOOT_SIZE, SMALLEST - BOOT_START - BOOT_SIZE)] {
        let bytes = usize::try_from(start).unwrap()..usize::try_from(start + size).unwrap();
        let volume = fatfs::FileSystem::new(io::Cursor::new(card[bytes].to_vec()), fatfs::FsOptions::new()).unwrap();
        let names: Vec<_> = volume.root_dir().iter().map(|entry| entry.unwrap().file_name()).collect();
        let expected: &[&str] = if start == BOOT_START { &["config.txt", "kernel8.img"] } else { &[] };
        assert_eq!(names, expected);
        // Counted cluster by cluster in the table, where garbage would be taken for clusters in use.
        let stats = volume.stats().unwrap();
        let used = u64::from(stats.total_clusters() - stats.free_clusters()) * u64::from(stats.cluster_size());
        assert!(used < 2 * MIB, "{used} bytes in use");
    }
    assert!(map.mapped() < 2048, "{} blocks to write", map.mapped());
}

#[test]
fn the_partition_table_is_that_of_sfdisk() {
    let (directory, _) = image(2 * SMALLEST, &files(), &mut Data::Fat32).unwrap();
    let mut head = [0; 512];
    File::open(directory.path().join("tine.img")).unwrap().read_exact(&mut head).unwrap();
    // What sfdisk 2.38 makes of "start=8192,size=131072,type=c" and "start=139264,type=c" on 256 MiB.
    let first = [0x00, 0x82, 0x03, 0x00, 0x0c, 0xaa, 0x22, 0x08, 0, 0x20, 0, 0, 0, 0, 0x02, 0];
    let second = [0x00, 0xaa, 0x23, 0x08, 0x0c, 0xa2, 0x02, 0x20, 0, 0x20, 0x02, 0, 0, 0xe0, 0x05, 0];
    assert_eq!(head[446..478], [first, second].concat());
    assert_eq!(cylinder_of(u32::MAX), CHS::new(1023, 254, 63));
}

#[test]
fn a_file_system_that_was_made_elsewhere_stands_on_the_second_partition() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let mut contents = vec![0; 3 << 20];
    contents[2 << 20] = 7;
    fs::write(&path, &contents).unwrap();
    let (image, map) = image(SMALLEST, &files(), &mut Data::FileSystem(File::open(&path).unwrap())).unwrap();
    let image = fs::read(image.path().join("tine.img")).unwrap();
    let start = usize::try_from(BOOT_START + BOOT_SIZE).unwrap();
    assert_eq!(image[start..start + contents.len()], contents);
    // Its zeros may be those of a file, so a card gets them all.
    let blocks = (start as u64 / sparse::BLOCK)..((start + contents.len()) as u64 / sparse::BLOCK);
    assert!(
        map.runs().iter().any(|run| *run.start() <= blocks.start && blocks.end <= run.end() + 1),
        "{:?}",
        map.runs()
    );
    // Its entry in the partition table: type and first sector.
    assert_eq!(image[0x1be + 16 + 4], kind::LINUX);
    assert_eq!(image[0x1be + 16 + 8..][..4], u32::to_le_bytes(68 * 2048));
}

#[test]
fn sizes_that_no_card_of_qemu_has_and_what_does_not_fit_are_refused() {
    for size in [SMALLEST - 1, SMALLEST / 2, SMALLEST + MIB, LARGEST * 2] {
        assert!(image(size, &files(), &mut Data::None).is_err(), "{size}");
    }
    let directory = tempfile::tempdir().unwrap();
    let large = File::create_new(directory.path().join("large")).unwrap();
    large.set_len(SMALLEST).unwrap();
    let error = image(SMALLEST, &files(), &mut Data::FileSystem(large)).unwrap_err().to_string();
    assert!(error.contains("60 MiB, 68 too few") && error.contains("--size 256 "), "{error}");
}

#[test]
fn an_image_is_as_large_as_its_data_want() {
    let root = tempfile::tempdir().unwrap();
    let data = |size| {
        let file = File::options().write(true).create(true).truncate(false).open(root.path().join("data")).unwrap();
        file.set_len(size).unwrap();
        Data::FileSystem(file)
    };
    for (length, size) in [(1, USUAL), (188 * MIB, USUAL), (188 * MIB + 1, 2 * USUAL), (1000 * MIB, 2048 * MIB)] {
        assert_eq!(size_for(&mut data(length)).unwrap(), size, "{length}");
    }
    assert!(size_for(&mut data(LARGEST)).is_err());
    assert!(size_for(&mut data(0)).unwrap_err().to_string().contains("empty"));
    for other in [&mut Data::Fat32, &mut Data::None] {
        assert_eq!(size_for(other).unwrap(), USUAL);
    }
    let directory = &mut Data::FileSystem(File::open(root.path()).unwrap());
    assert!(size_for(directory).unwrap_err().to_string().contains("directory"));
}
