//! Cards with ext2, ext3 and ext4 on them, and cards whose file systems are damaged: errors, and a kernel that goes on.

use std::fs;
use std::io::{Cursor, Write as _};

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};

use crate::card::boot;
use crate::case::{Case, cases};
use crate::session::Session;

pub(crate) const CASES: &[Case] = cases![
    Shell cards_with_ext2_ext3_and_ext4_are_mounted_and_read,
    Shell file_systems_that_are_damaged_or_in_circles_give_errors_and_the_others_are_read,
    Shell a_card_of_noise_with_a_table_of_noise_gives_errors,
];

/// Images that e2fsprogs made; `make-images.sh` beside them says what is in them.
const EXT2: &[u8] = include_bytes!("../../../kernel/core/src/fs/tests/ext/ext2.gz");
const EXT3: &[u8] = include_bytes!("../../../kernel/core/src/fs/tests/ext/ext3.gz");
const EXT4: &[u8] = include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4.gz");
const INLINE: &[u8] = include_bytes!("../../../kernel/core/src/fs/tests/ext/ext4-inline.gz");

const BLOCK: usize = 512;
/// A card's size: QEMU wants a power of two.
const CARD_BYTES: usize = 32 << 20;
/// Where the first partition begins.
const FIRST: usize = 2048 * BLOCK;

/// What is between gzip's fixed head and tail.
fn unpack(packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let inner = packed.get(10..packed.len() - 8).context("too short")?;
    miniz_oxide::inflate::decompress_to_vec(inner).map_err(|error| anyhow::anyhow!("{error}"))
}

/// A card with these partitions, one behind the other.
fn card(volumes: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let mut card = vec![0; FIRST];
    for (index, volume) in volumes.iter().enumerate() {
        let entry = 446 + 16 * index;
        let [first, blocks] = [card.len(), volume.len()].map(|bytes| (bytes / BLOCK).try_into());
        card[entry + 4] = 0x83;
        card[entry + 8..entry + 12].copy_from_slice(&u32::to_le_bytes(first?));
        card[entry + 12..entry + 16].copy_from_slice(&u32::to_le_bytes(blocks?));
        card.extend(volume);
    }
    card[510..512].copy_from_slice(&[0x55, 0xaa]);
    ensure!(card.len() <= CARD_BYTES, "the card is too small");
    card.resize(CARD_BYTES, 0);
    Ok(card)
}

/// A shell on a board with this card, and what was said of it.
fn boot_with(bench: &Bench, card: &[u8]) -> anyhow::Result<(Session, String, tempfile::TempDir)> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    fs::write(&path, card).context("cannot write the card")?;
    let (mut shell, said) = boot(bench, &path)?;
    // init has mounted what it could.
    shell.run("umount /boot /data 2>/dev/null; mkdir -p /mnt")?;
    Ok((shell, said, directory))
}

fn cards_with_ext2_ext3_and_ext4_are_mounted_and_read(bench: &Bench) -> anyhow::Result<()> {
    let volumes = [EXT2, EXT3, EXT4, INLINE].map(unpack).into_iter().collect::<Result<Vec<_>, _>>()?;
    let (mut shell, _, _directory) = boot_with(bench, &card(&volumes)?)?;
    shell.expect("seq 1 4000 > /tmp/numbers; grep -c ext /proc/filesystems", "3\n")?;
    for (partition, kind) in [(1, "ext2"), (2, "ext3"), (3, "ext4"), (4, "ext4")] {
        shell.run(&format!("mount -t {kind} -o ro /dev/mmcblk0p{partition} /mnt"))?;
        shell.expect("grep /mnt /proc/mounts | cut -d ' ' -f 3,4", &format!("{kind} ro,relatime\n"))?;
        shell.run("cmp /mnt/numbers /tmp/numbers")?;
        shell.expect("cat /mnt/short /mnt/sub/same; ls /mnt/many | wc -l", "hello\nhello\n299\n")?;
        shell.expect("stat -c '%a %u %g %h %s %Y' /mnt/hello | cut -d ' ' -f 1-5", "4751 70000 80000 2 6\n")?;
        shell.expect(
            "tail -c 15 /mnt/sparse; head -c 3000000 /mnt/sparse | tr -d '\\000' | wc -c",
            "behind the hole0\n",
        )?;
        shell.expect("cat /mnt/sub/inline | wc -c; cat < /mnt/null | wc -c", "100\n0\n")?;
        ensure!(shell.try_run("echo x > /mnt/new")?.1 != 0, "it can be read only");
        // A program with its pages from there would keep it busy, as this does.
        ensure!(shell.try_run("(cd /mnt/sub && umount /mnt)")?.1 != 0, "somebody is in it");
        shell.run("umount /mnt")?;
    }
    ensure!(shell.try_run("mount -t ext2 /dev/mmcblk0p3 /mnt")?.1 != 0, "it is no ext2");
    shell.expect("dmesg | grep -c 'features that no ext2 has'", "1\n")?;
    shell.power_off()
}

/// A FAT whose chains lead in circles and through each other.
fn tangled_fat() -> anyhow::Result<Vec<u8>> {
    let mut volume = Cursor::new(vec![0; 4 << 20]);
    fatfs::format_volume(&mut volume, fatfs::FormatVolumeOptions::new().bytes_per_cluster(512))?;
    {
        let files = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new())?;
        ensure!(files.fat_type() == fatfs::FatType::Fat16, "the entries of the table have 16 bits");
        let root = files.root_dir();
        root.create_file("good")?.write_all(b"untouched\n")?;
        for name in ["circle", "cross", "crossed", "out"] {
            root.create_file(name)?.write_all(&[b'x'; 3000])?;
        }
        let looped = root.create_dir("loop")?;
        for number in 0..40 {
            looped.create_file(&format!("a file with a long name {number}"))?;
        }
    }
    let mut image = volume.into_inner();
    let half = |image: &[u8], at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    let table = usize::from(half(&image, 14)) * BLOCK;
    let place = |cluster: u16| table + 2 * usize::from(cluster);
    let first = |image: &[u8], name: &[u8; 11]| {
        let entry = image.windows(11).position(|window| window == name).context("there is no such entry");
        entry.map(|entry| half(image, entry + 26))
    };
    let [circle, cross, crossed] = [b"CIRCLE     ", b"CROSS      ", b"CROSSED    "].map(|name| first(&image, name));
    let [out, looped] = [b"OUT        ", b"LOOP       "].map(|name| first(&image, name));
    let looped = looped?;
    let after = |image: &[u8], cluster| half(image, place(cluster));
    let leads = [
        (after(&image, circle.as_ref().copied().unwrap_or_default()), circle?),
        (cross?, crossed?),
        (out?, 0xfff0),
        (after(&image, looped), looped),
    ];
    for (from, to) in leads {
        image[place(from)..][..2].copy_from_slice(&to.to_le_bytes());
    }
    Ok(image)
}

/// Changes a bit of the one place behind these bytes.
fn damage(image: &mut [u8], bytes: &[u8], behind: usize) -> anyhow::Result<()> {
    let at = image.windows(bytes.len()).position(|window| window == bytes).context("there is no such place")?;
    image[at + behind] ^= 4;
    Ok(())
}

/// Types a line whose command fails and says why.
fn fails(shell: &mut Session, line: &str, why: &str) -> anyhow::Result<()> {
    let (said, status) = shell.try_run(line)?;
    ensure!(status != 0 && said.contains(why), "{line}: status {status}, {said:?}");
    Ok(())
}

fn file_systems_that_are_damaged_or_in_circles_give_errors_and_the_others_are_read(
    bench: &Bench,
) -> anyhow::Result<()> {
    let mut damaged = unpack(EXT4)?;
    // A block of a directory, and one of the map of a file, which begins like this.
    damage(&mut damaged, b"file number 222,", 0)?;
    let node = damaged.chunks(1024).position(|block| block.starts_with(&[0x0a, 0xf3])).context("there is no node")?;
    damaged[node * 1024 + 500] ^= 4;
    let mut unmountable = unpack(EXT4)?;
    unmountable[1024 + 0x78] ^= 4;
    let mut cut = unpack(EXT3)?;
    cut.truncate(3 << 20);
    let (mut shell, _, _directory) = boot_with(bench, &card(&[tangled_fat()?, damaged, unmountable, cut])?)?;

    shell.run("mount -t vfat /dev/mmcblk0p1 /mnt")?;
    shell.expect("cat /mnt/good", "untouched\n")?;
    shell.expect("cat /mnt/circle | wc -c; cat /mnt/cross /mnt/crossed | wc -c", "3000\n6000\n")?;
    // What is shown of a directory before its error is all that `ls` looks at.
    shell.run("ls /mnt/loop > /dev/null")?;
    fails(&mut shell, "cat /mnt/out > /dev/null", "Input/output error")?;
    fails(&mut shell, "cat /mnt/loop/none", "Input/output error")?;
    shell.run("umount /mnt")?;

    shell.run("mount -t ext4 /dev/mmcblk0p2 /mnt")?;
    shell.expect("cat /mnt/hello; cat /mnt/numbers | wc -l", "hello\n4000\n")?;
    fails(&mut shell, "cat /mnt/many/none", "Bad message")?;
    fails(&mut shell, "cat /mnt/comb > /dev/null", "Bad message")?;
    let told = shell.run("dmesg | grep 'ext4 on'")?;
    ensure!(told.contains("directory 16, block") && told.contains("blocks of inode 12: wrong checksum"), "{told:?}");
    shell.run("umount /mnt")?;

    let (said, status) = shell.try_run("mount -t ext4 /dev/mmcblk0p3 /mnt")?;
    ensure!(status != 0 && said.contains("superblock: wrong checksum"), "{said:?}");
    let (said, status) = shell.try_run("mount -t ext3 /dev/mmcblk0p4 /mnt")?;
    ensure!(status != 0 && said.contains("the device ends before the file system"), "{said:?}");
    shell.expect("seq 3 | tail -n 1", "3\n")?;
    shell.power_off()
}

fn a_card_of_noise_with_a_table_of_noise_gives_errors(bench: &Bench) -> anyhow::Result<()> {
    let mut random = 0x2545_f491_u32;
    let mut card: Vec<u8> = core::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_le_bytes()[3]
    })
    .take(4 << 20)
    .collect();
    // It says that it has a table of the newer kind, and a header for one.
    card[446..510].fill(0);
    card[446 + 4] = 0xee;
    card[446 + 8..446 + 16].copy_from_slice(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    card[510..512].copy_from_slice(&[0x55, 0xaa]);
    card[512..520].copy_from_slice(b"EFI PART");
    // And the marks of all file systems that there are.
    card[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
    card[1024 + 0x60..1024 + 0x64].fill(0);
    let (mut shell, said, _directory) = boot_with(bench, &card)?;
    ensure!(said.contains("header at block 1 is damaged"), "{said:?}");
    for kind in ["vfat", "ext2", "ext3", "ext4"] {
        ensure!(shell.try_run(&format!("mount -t {kind} /dev/mmcblk0 /mnt"))?.1 != 0, "{kind}");
    }
    shell.expect("ls /dev | grep mmc; cat /dev/mmcblk0 | wc -c", "mmcblk0\n4194304\n")?;
    shell.power_off()
}
