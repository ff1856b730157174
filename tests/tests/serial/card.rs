//! The SD card: found at boot, read and written as a device, and what is wrong with it said.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};
use tests::console::Console;

use crate::case::{Case, cases};
use crate::session::{FIRST_PROMPT, Session};

pub(crate) const CASES: &[Case] = cases![
    Shell what_is_written_to_a_card_and_synced_is_on_it_and_read_back_after_the_next_boot,
    Shell a_board_without_a_card_says_nothing_of_it,
    Shell a_partition_table_that_makes_no_sense_is_said_and_the_card_can_be_used,
    Shell a_card_that_ends_before_its_partitions_has_those_that_are_on_it,
    Shell a_card_with_a_fat_file_system_is_mounted_and_read,
    Shell what_is_done_to_files_of_a_card_is_there_for_others_and_after_the_next_boot,
];

const BLOCK: usize = 512;
/// Blocks of the cards: 4 MiB, for QEMU wants a power of two.
const BLOCKS: u32 = 8192;
/// Where the second partition of a good card begins, and how long it is: not at the border of a page.
const SECOND: (u32, u32) = (2047, 4000);

/// The image of a card whose blocks begin with their numbers, with these partitions.
fn image(partitions: &[(u32, u32)]) -> Vec<u8> {
    let mut image = Vec::new();
    for block in 0..BLOCKS {
        image.extend(block.to_le_bytes());
        image.resize(image.len() + BLOCK - 4, 0);
    }
    for (index, (first, blocks)) in partitions.iter().enumerate() {
        let entry = 446 + 16 * index;
        image[entry + 4] = 0x83;
        image[entry + 8..entry + 12].copy_from_slice(&first.to_le_bytes());
        image[entry + 12..entry + 16].copy_from_slice(&blocks.to_le_bytes());
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

/// Boots to the shell with this card in the slot. What is said up to the line that says that the card can be used comes
/// with it.
pub(crate) fn boot(bench: &Bench, card: &Path) -> anyhow::Result<(Session, String)> {
    let command = bench.command().initrd(bench.build.initramfs()).cmdline("quiet").card(card);
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    let begin = console.until(" lines, ")?;
    let said = format!("{begin} lines, {}", console.line()?);
    // The shell may have asked before that.
    if !begin.contains(FIRST_PROMPT) {
        console.until(FIRST_PROMPT)?;
    }
    Ok((Session::begin(console)?, said))
}

fn what_is_written_to_a_card_and_synced_is_on_it_and_read_back_after_the_next_boot(
    bench: &Bench,
) -> anyhow::Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    let before = image(&[(1, 2046), SECOND]);
    fs::write(&path, &before).context("cannot write the card")?;
    let (mut shell, said) = boot(bench, &path)?;
    ensure!(said.contains("mmcblk0: SD QEMU!, 4 MiB, 4 lines, 50 MHz; p1 p2"), "{said:?}");
    shell.expect("blockdev --getsize64 /dev/mmcblk0p2; blockdev --getss /dev/mmcblk0", "2048000\n512\n")?;
    // Blocks know their numbers, through the partition and through the card.
    shell
        .expect("dd if=/dev/mmcblk0p2 bs=512 skip=5 count=1 2>/dev/null | hexdump -n 4 -e '1/4 \"%d\\n\"'", "2052\n")?;
    shell.expect("dd if=/dev/mmcblk0 bs=512 skip=8191 2>/dev/null | hexdump -n 4 -e '1/4 \"%d\\n\"'", "8191\n")?;
    // Far more than the cache writes at a time, and not whole pages.
    shell.run("dd if=/bin/busybox of=/tmp/what bs=1000 count=1500 2>/dev/null")?;
    shell.run("dd if=/tmp/what of=/dev/mmcblk0p2 bs=7000 conv=fsync 2>/dev/null")?;
    shell.run("echo begin > /dev/mmcblk0p1 && sync")?;
    ensure!(shell.try_run("dd if=/dev/zero of=/dev/mmcblk0p2 bs=512 seek=4000 count=1")?.1 != 0, "behind the end");
    let sum = shell.run("md5sum < /tmp/what")?;
    shell.power_off()?;

    let after = fs::read(&path).context("cannot read the card")?;
    let (first, blocks) = (SECOND.0 as usize * BLOCK, SECOND.1 as usize * BLOCK);
    let written = 1_500_000;
    ensure!(after.len() == before.len() && after[..BLOCK] == before[..BLOCK], "the table has changed");
    ensure!(after[BLOCK..BLOCK + 6] == *b"begin\n", "the first partition has not what was written");
    ensure!(after[BLOCK + 6..first] == before[BLOCK + 6..first], "what was not written has changed before");
    ensure!(after[first + written..] == before[first + written..], "what was not written has changed behind");
    ensure!(after[first..first + written] != before[first..first + written] && blocks > written, "nothing was written");

    let (mut shell, _) = boot(bench, &path)?;
    shell.expect("head -c 1500000 /dev/mmcblk0p2 | md5sum", &sum)?;
    shell.power_off()
}

fn a_board_without_a_card_says_nothing_of_it(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    ensure!(shell.try_run("cat /dev/mmcblk0")?.1 != 0, "a card that is not there");
    let said = shell.run("dmesg | grep mmc; true")?;
    ensure!(said.is_empty(), "{said:?}");
    shell.power_off()
}

fn a_partition_table_that_makes_no_sense_is_said_and_the_card_can_be_used(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    let mut noise = image(&[]);
    // Entries of every kind, an extended one that leads to itself among them.
    for (index, byte) in noise[446..510].iter_mut().enumerate() {
        *byte = (index * 37 + 11).to_le_bytes()[0];
    }
    for (entry, kind) in [(446, 0x0c), (462, 0x05), (478, 0x83), (494, 0x0f)] {
        noise[entry] = 0;
        noise[entry + 4] = kind;
    }
    noise[462 + 8..462 + 16].copy_from_slice(&[0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    fs::write(&path, &noise).context("cannot write the card")?;
    let (mut shell, said) = boot(bench, &path)?;
    ensure!(said.contains("mmcblk0: partition 1 is not all on the disk"), "{said:?}");
    ensure!(said.contains("mmcblk0: the chain of logical partitions is broken at block 0"), "{said:?}");
    shell.expect("dd if=/dev/mmcblk0 bs=512 skip=77 count=1 2>/dev/null | hexdump -n 4 -e '1/4 \"%d\\n\"'", "77\n")?;
    shell.expect("ls /dev | grep mmc", "mmcblk0\n")?;
    shell.power_off()
}

fn a_card_that_ends_before_its_partitions_has_those_that_are_on_it(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    fs::write(&path, image(&[(2048, 6144), (8192, 1), (100, 10_000)])).context("cannot write the card")?;
    let (mut shell, said) = boot(bench, &path)?;
    ensure!(said.contains("partition 2 is not all on the disk") && said.contains("partition 3 is not all"), "{said:?}");
    shell.expect("ls /dev | grep mmc", "mmcblk0\nmmcblk0p1\n")?;
    shell.power_off()
}

/// The card that a person has written on a PC.
fn a_card_with_a_fat_file_system_is_mounted_and_read(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    let long = "A name that is longer than eight and three.txt";
    let mut volume = Cursor::new(vec![0; SECOND.1 as usize * BLOCK]);
    fatfs::format_volume(&mut volume, fatfs::FormatVolumeOptions::new())?;
    {
        let files = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new())?;
        let root = files.root_dir();
        root.create_file(long)?.write_all(b"written on a PC\n")?;
        root.create_dir("sub")?
            .create_file("numbers")?
            .write_all(&(0..=255).cycle().take(300_000).collect::<Vec<u8>>())?;
    }
    let mut card = image(&[(1, 2046), SECOND]);
    let first = SECOND.0 as usize * BLOCK;
    card[first..first + volume.get_ref().len()].copy_from_slice(volume.get_ref());
    fs::write(&path, &card).context("cannot write the card")?;
    let (mut shell, _) = boot(bench, &path)?;
    shell.run("mkdir -p /mnt && umount /data")?;
    ensure!(
        shell.try_run("mount -t vfat /dev/mmcblk0p1 /mnt")?.1 != 0,
        "there is no file system on the first partition"
    );
    shell.run("mount -t vfat -o ro /dev/mmcblk0p2 /mnt")?;
    shell.expect("ls -1 /mnt", &format!("{long}\nsub\n"))?;
    shell.expect("cat '/mnt/a NAME that is longer than eight and three.txt'", "written on a PC\n")?;
    shell
        .expect("wc -c < /mnt/sub/numbers; tail -c 1 /mnt/sub/numbers | hexdump -e '1/1 \"%d\\n\"'", "300000\n223\n")?;
    ensure!(shell.try_run("echo x > /mnt/new")?.1 != 0, "it can be read only");
    shell.run("umount /mnt")?;
    shell.power_off()
}

/// A card for a person's files: they are written here and read on a PC.
fn what_is_done_to_files_of_a_card_is_there_for_others_and_after_the_next_boot(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    let mut volume = Cursor::new(vec![0; SECOND.1 as usize * BLOCK]);
    fatfs::format_volume(&mut volume, fatfs::FormatVolumeOptions::new())?;
    let mut card = image(&[(1, 2046), SECOND]);
    let first = SECOND.0 as usize * BLOCK;
    let range = first..first + volume.get_ref().len();
    card[range.clone()].copy_from_slice(volume.get_ref());
    fs::write(&path, &card).context("cannot write the card")?;

    let (mut shell, _) = boot(bench, &path)?;
    shell.run("mkdir -p /mnt && mount -t vfat /dev/mmcblk0p2 /mnt && mkdir -p /mnt/one/two && cd /mnt")?;
    shell.run("dd if=/bin/busybox of='one/A program.bin' bs=7000 count=90 2>/dev/null")?;
    shell.run("echo first > notes; echo second >> notes; mv notes 'Notes, with a longer name'; echo other > gone")?;
    // Open, and without a name.
    shell.run("exec 5<gone; rm gone; echo again > gone; cat <&5; exec 5<&-")?;
    shell.run(
        "mv one/two moved; mv 'Notes, with a longer name' moved/; rm gone; : > moved/empty; chmod a-w moved/empty",
    )?;
    shell.expect(
        "ls -1 moved; cat 'moved/NOTES, with a LONGER name'",
        "Notes, with a longer name\nempty\nfirst\nsecond\n",
    )?;
    ensure!(shell.try_run("rmdir moved")?.1 != 0 && shell.try_run("ln -s x y")?.1 != 0, "what is refused");
    ensure!(shell.try_run("dd if=/dev/zero of=full bs=64k count=40 2>/dev/null")?.1 != 0, "a full card");
    shell.run("rm full; echo room > room; cd /")?;
    shell.run("mount -o remount,ro /mnt")?;
    ensure!(shell.try_run("echo x > /mnt/new")?.1 != 0, "it can be read only");
    shell.run("mount -o remount,rw /mnt && echo last > /mnt/last")?;
    let sum = shell.run("md5sum < '/mnt/one/a PROGRAM.bin'")?;
    // Nobody unmounts it.
    shell.power_off()?;

    let after = fs::read(&path).context("cannot read the card")?;
    ensure!(after[..first] == card[..first], "what is before the partition has changed");
    let mut found = Vec::new();
    let files = fatfs::FileSystem::new(Cursor::new(after[range.clone()].to_vec()), fatfs::FsOptions::new())?;
    files.root_dir().open_file("moved/Notes, with a longer name")?.read_to_end(&mut found)?;
    ensure!(found == b"first\nsecond\n", "{found:?}");
    let checker = Path::new("/usr/sbin/fsck.fat");
    if checker.exists() {
        let volume = directory.path().join("volume.img");
        fs::write(&volume, &after[range])?;
        let said = Command::new(checker).arg("-n").arg(&volume).output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }

    let (mut shell, _) = boot(bench, &path)?;
    shell.run("mkdir -p /mnt && mount -t vfat /dev/mmcblk0p2 /mnt")?;
    shell.expect("md5sum < '/mnt/one/A program.bin'", &sum)?;
    shell.expect("ls -1 /mnt; cat /mnt/last /mnt/room", "last\nmoved\none\nroom\nlast\nroom\n")?;
    shell.run("mount -t vfat /dev/mmcblk0p2 /tmp && echo seen > /tmp/twice && cat /mnt/twice && umount /tmp")?;
    shell.run("rm -r /mnt/moved && umount /mnt")?;
    shell.power_off()
}
