//! A card's image from beginning to end, as its user goes: made as `make image` makes it, booted, written to, started again,
//! read on a PC. And one with an ext4 for data: what Tine sees of it is what e2fsprogs see.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};
use tests::console::Console;
use tests::host::{run_tool, sha256};
use tools::image::boot_files::{self, BootFile, System};
use tools::image::firmware::Firmware;
use tools::image::{self, BOOT_SIZE, BOOT_START, Data, SMALLEST};
use tools::qemu::Command;

use crate::case::{Case, cases};
use crate::ext_tree;
use crate::session::{FIRST_PROMPT, Session};

pub(crate) const CASES: &[Case] = cases![
    CardTools what_is_written_to_an_image_survives_a_restart_and_is_read_on_the_host,
    ExtTools an_ext4_for_data_has_what_e2fsprogs_see_in_it,
];

/// Where the partitions begin, and how long they are.
const PARTITIONS: [(u64, u64); 2] =
    [(BOOT_START, BOOT_SIZE), (BOOT_START + BOOT_SIZE, SMALLEST - BOOT_START - BOOT_SIZE)];
/// What the shell does before the restart, in the order of the files below.
const WRITE: [&str; 5] = [
    "mkdir -p '/data/a directory/deeper'",
    "dd if=/bin/busybox of='/data/A program, by a longer name' bs=7000 2>/dev/null",
    "seq 1 30000 > '/data/a directory/deeper/numbers'",
    "cp /init /boot/another.bin; echo quiet maxproc=600 > /boot/cmdline.txt",
    "rm /boot/README.txt; mv /boot/start.elf /boot/renamed.elf; : > /data/empty",
];
/// Files that are there then: the partition, and the name on it.
const FILES: [(usize, &str); 6] = [
    (1, "A program, by a longer name"),
    (1, "a directory/deeper/numbers"),
    (1, "empty"),
    (0, "another.bin"),
    (0, "cmdline.txt"),
    (0, "renamed.elf"),
];

/// The image, with stand-ins for firmware, which no machine for tests has to be able to fetch.
fn make(bench: &Bench, directory: &Path, mut data: Data) -> anyhow::Result<PathBuf> {
    let firmware = directory.join("firmware");
    fs::create_dir(&firmware)?;
    let names = ["bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "LICENCE.broadcom"];
    for name in names.into_iter().chain(["bcm2710-rpi-3-b.dtb", "bcm2711-rpi-4-b.dtb"]) {
        fs::write(firmware.join(name), name.repeat(1000))?;
    }
    let system = System {
        kernel: fs::read(bench.build.image())?,
        initramfs: fs::read(bench.build.initramfs())?,
        cmdline: "quiet".to_owned(),
        loader: None,
    };
    let files: Vec<BootFile> = boot_files::all(system, Firmware::from_directory(&firmware)?)?;
    let path = directory.join("card.img");
    image::write(&path, SMALLEST, &files, &mut data)?;
    Ok(path)
}

/// Boots with that card in the slot, from what is on it: QEMU reads no card for that, so it is copied out.
fn boot(bench: &Bench, directory: &Path, card: &Path) -> anyhow::Result<Session> {
    let (kernel, initramfs) = (directory.join("kernel8.img"), directory.join("initramfs.cpio"));
    fs::write(&kernel, read(directory, card, 0, "kernel8.img")?)?;
    fs::write(&initramfs, read(directory, card, 0, "initramfs.cpio")?)?;
    let command = Command::new(bench.board, kernel).dtb(bench.build.tree(bench.board)).initrd(initramfs);
    // As a board: it starts again, and does not end.
    let command = command.cmdline("quiet").card(card).arg("-action").arg("reboot=reset");
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    console.until(FIRST_PROMPT)?;
    Session::begin(console)
}

/// A file of one of the partitions.
fn read(directory: &Path, card: &Path, partition: usize, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut volume = OsString::from(card);
    volume.push(format!("@@{}", PARTITIONS[partition].0));
    let copy = directory.join("copy");
    let name = format!("::{name}");
    let words: [&OsStr; 5] = ["-n".as_ref(), "-i".as_ref(), &volume, name.as_ref(), copy.as_ref()];
    run_tool("mcopy", &words).context("no mcopy")?.with_context(|| name.clone())?;
    Ok(fs::read(copy)?)
}

fn what_is_written_to_an_image_survives_a_restart_and_is_read_on_the_host(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let directory = directory.path();
    let card = make(bench, directory, Data::Fat32)?;
    let mut shell = boot(bench, directory, &card)?;
    shell.expect("mount | grep -c '^/dev/mmcblk0p[12] on /\\(boot\\|data\\) type vfat (rw'", "2\n")?;
    shell.expect("cat /boot/cmdline.txt; head -c 12 /boot/start.elf", "quiet\nstart.elfsta")?;
    for line in WRITE {
        shell.run(line)?;
    }
    let places = FILES.map(|(partition, name)| format!("'/{}/{name}'", ["boot", "data"][partition]));
    let sums = format!("sha256sum {}", places.join(" "));
    let before = shell.run(&sums)?;

    shell.enter("reboot")?;
    shell.until("init: restart")?;
    let mut console = shell.into_console();
    console.until(FIRST_PROMPT)?;
    let mut shell = Session::begin(console)?;
    shell.expect(&sums, &before)?;
    shell.expect(
        "ls -1A /data; ls -A '/data/a directory'",
        "A program, by a longer name\na directory\nempty\ndeeper\n",
    )?;
    shell.run("echo from the second boot > /data/second")?;
    shell.power_off()?;

    let found: Vec<&str> = before.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(found.len() == FILES.len(), "{before}");
    for ((partition, name), sum) in FILES.into_iter().zip(found) {
        let bytes = read(directory, &card, partition, name)?;
        ensure!(sha256(&bytes) == sum, "{name}: {} bytes that are not those of the board", bytes.len());
    }
    let numbers: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    ensure!(read(directory, &card, 1, FILES[1].1)? == numbers.as_bytes(), "the numbers are others");
    ensure!(read(directory, &card, 1, "second")? == b"from the second boot\n", "what the second boot wrote");
    ensure!(read(directory, &card, 0, "cmdline.txt")? == b"quiet maxproc=600\n", "what the first boot wrote");
    ensure!(read(directory, &card, 0, "README.txt").is_err(), "what was removed is there");
    let bytes = fs::read(&card)?;
    for (start, length) in PARTITIONS {
        let volume = directory.join("volume");
        fs::write(&volume, &bytes[usize::try_from(start)?..usize::try_from(start + length)?])?;
        run_tool("fsck.fat", &["-n".as_ref(), volume.as_ref()]).context("no fsck.fat")??;
    }
    Ok(())
}

fn an_ext4_for_data_has_what_e2fsprogs_see_in_it(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let directory = directory.path();
    let volume = ext_tree::make(directory)?;
    let seen = ext_tree::seen_by_debugfs(directory, &volume)?;
    let card = make(bench, directory, Data::FileSystem(File::open(&volume)?))?;
    let mut shell = boot(bench, directory, &card)?;
    shell.expect("mount | grep -c '^/dev/mmcblk0p2 on /data type ext4 (ro'", "1\n")?;
    ensure!(shell.try_run("echo x > /data/new")?.1 != 0, "it can be read only");
    let list = shell.run("cd /data && find . -exec stat -c '%i %f %h %u %g %s %Y %n' {} +")?;
    same("entries", &by_name(&list, 7)?, &seen.entries)?;
    let links = shell.run("find . -type l | while read -r link; do echo \"$(readlink \"$link\") $link\"; done")?;
    same("links", &by_name(&links, 1)?, &seen.links)?;
    let sums = shell.run("find . -type f -exec sha256sum {} +")?;
    // Between the sum and the name are two blanks.
    same("contents", &by_name(&sums.replace("  ", " "), 1)?, &seen.sums)?;
    shell.power_off()
}

/// Lines with the name behind so many words, by their names.
fn by_name(lines: &str, words: usize) -> anyhow::Result<BTreeMap<String, String>> {
    let part = |line: &str| {
        let blank = line.match_indices(' ').nth(words - 1).with_context(|| format!("{line:?} has no name"))?.0;
        Ok((line[blank + 1..].to_owned(), line[..blank].to_owned()))
    };
    lines.lines().map(part).collect()
}

/// Both have the same names, and the same for each.
fn same(what: &str, found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> anyhow::Result<()> {
    for (name, value) in expected {
        ensure!(found.get(name) == Some(value), "{what}: {name:?}: {:?}, not {value:?}", found.get(name));
    }
    let more: Vec<_> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
    ensure!(more.is_empty() && !found.is_empty(), "{what}: {} of them, and more: {more:?}", found.len());
    Ok(())
}
