//! What is on a card, from the first prompt to the end: mounted by `/etc/fstab`, synced and unmounted when the board is
//! switched off or started again, and found on the host afterwards.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tests::bench::{Bench, scratch};
use tests::console::{Console, PATIENCE};
use tests::host::run_tool;
use tests::powercut::{self, Chance};
use tools::image::boot_files::BootFile;
use tools::image::{self, BOOT_SIZE, BOOT_START, Data, SMALLEST};

use crate::case::{Case, cases};
use crate::session::{FIRST_PROMPT, Session};

pub(crate) const CASES: &[Case] = cases![
    Shell the_prompt_comes_without_a_card_and_init_says_once_what_is_not_there,
    Shell a_card_without_what_the_table_wants_is_said_and_the_prompt_comes,
    Shell both_partitions_are_mounted_at_the_prompt_and_unmounted_on_demand,
    CardTools what_was_written_right_before_the_end_is_on_the_card,
    Shell memory_that_runs_short_takes_the_cards_pages_and_they_are_read_again,
    Shell a_card_that_is_put_in_later_is_found_and_one_that_is_taken_out_is_an_error,
    Shell tables_that_were_written_anew_are_read_when_nobody_uses_the_old_ones,
    CardTools what_was_synced_survives_three_cuts_of_the_power,
];

/// An image as `make image` makes it, with these files in front.
fn card(files: &[BootFile], mut data: Data) -> anyhow::Result<(TempDir, PathBuf)> {
    let directory = scratch()?;
    let path = directory.path().join("card.img");
    image::write(&path, SMALLEST, files, &mut data)?;
    Ok((directory, path))
}

/// Boots to the shell. What was said before its first prompt comes with it.
fn boot(bench: &Bench, card: Option<&Path>) -> anyhow::Result<(Session, String)> {
    let mut command = bench.command().initrd(bench.build.initramfs()).cmdline("quiet");
    if let Some(card) = card {
        command = command.card(card);
    }
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    let said = console.until(FIRST_PROMPT)?;
    Ok((Session::begin(console)?, said))
}

fn the_prompt_comes_without_a_card_and_init_says_once_what_is_not_there(bench: &Bench) -> anyhow::Result<()> {
    let (mut shell, said) = boot(bench, None)?;
    let lines = said.lines().filter(|line| line.contains("/boot")).count();
    ensure!(lines == 1 && said.contains("init: no card: nothing is mounted on /boot, /data\r\n"), "{said:?}");
    shell.expect("cat /proc/partitions", "major minor  #blocks  name\n\n")?;
    shell.power_off()
}

fn a_card_without_what_the_table_wants_is_said_and_the_prompt_comes(bench: &Bench) -> anyhow::Result<()> {
    let (_directory, path) = card(&[], Data::None)?;
    let mut image = fs::read(&path)?;
    let first = usize::try_from(BOOT_START)?;
    image[first..first + 512].fill(0x5a);
    fs::write(&path, &image)?;
    let (shell, said) = boot(bench, Some(&path))?;
    for line in [
        "init: /boot: /dev/mmcblk0p1: no file system that is known, or a damaged one\r\n",
        "init: /data: /dev/mmcblk0p2: /dev/mmcblk0 has no such partition\r\n",
    ] {
        ensure!(said.contains(line), "no {line:?} in {said:?}");
    }
    shell.power_off()
}

fn both_partitions_are_mounted_at_the_prompt_and_unmounted_on_demand(bench: &Bench) -> anyhow::Result<()> {
    let (_directory, path) = card(&[BootFile::new("config.txt", "arm_64bit=1\n")], Data::Fat32)?;
    let (mut shell, said) = boot(bench, Some(&path))?;
    ensure!(said.contains("mmcblk0: SD QEMU!, 128 MiB") && !said.contains("init: /"), "{said:?}");
    shell.expect("cat /boot/config.txt", "arm_64bit=1\n")?;
    let partitions = shell.run("cat /proc/partitions")?;
    for line in ["179        0     131072 mmcblk0\n", "179        1      65536 mmcblk0p1\n"] {
        ensure!(partitions.contains(line), "no {line:?} in {partitions:?}");
    }
    shell.expect(
        "df -m /boot /data | awk 'NR > 1 { print $1, ($2 > 50), $6 }'",
        "/dev/mmcblk0p1 1 /boot\n/dev/mmcblk0p2 1 /data\n",
    )?;
    shell.expect("mount | grep -c '^/dev/mmcblk0p[12] on /\\(boot\\|data\\) type vfat .*noatime'", "2\n")?;
    shell.run("mount -o remount,ro /boot && mount | grep '/boot type vfat (ro'")?;
    ensure!(shell.try_run("echo x > /boot/new")?.1 != 0, "it can be read only");
    // Who stands in it keeps it.
    ensure!(shell.try_run("cd /data && umount /data")?.1 != 0, "it is used");
    shell.run("cd / && umount /data")?;
    ensure!(shell.try_run("mount | grep /data")?.1 != 0, "it is gone");
    shell.run("mount /data && mount | grep '/data type vfat'")?;
    shell.power_off()
}

/// The data partition is written to as a disk, so whatever file system there is has no part in it.
fn what_was_written_right_before_the_end_is_on_the_card(bench: &Bench) -> anyhow::Result<()> {
    let (_directory, path) = card(&[], Data::Fat32)?;
    let place = usize::try_from(BOOT_START + BOOT_SIZE)? + (7 << 20);
    let ends = [("poweroff", "init: power off"), ("reboot", "init: restart"), ("halt", "init: power off")];
    for (command, last_words) in ends.into_iter().chain([("kill -TERM 1", "init: restart")]) {
        let (mut shell, _) = boot(bench, Some(&path))?;
        shell.run("umount /data")?;
        let put = format!("echo {command} | dd of=/dev/mmcblk0p2 bs=512 seek=14336 conv=notrunc 2>/dev/null");
        shell.enter(&format!("{put}; {command}"))?;
        shell.until(last_words)?;
        let (words, status) = shell.into_console().end()?;
        ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status} behind {words:?}");
        let image = fs::read(&path)?;
        let found = &image[place..place + command.len()];
        ensure!(found == command.as_bytes(), "{command}: {}", String::from_utf8_lossy(found));
    }
    // Nobody has touched the file systems.
    let volume = path.with_extension("volume");
    let image = fs::read(&path)?;
    fs::write(&volume, &image[usize::try_from(BOOT_START)?..usize::try_from(BOOT_START + BOOT_SIZE)?])?;
    run_tool("fsck.fat", &["-n".as_ref(), volume.as_ref()]).context("no fsck.fat")?.context("the boot partition")?;
    Ok(())
}

fn memory_that_runs_short_takes_the_cards_pages_and_they_are_read_again(bench: &Bench) -> anyhow::Result<()> {
    let (_directory, path) = card(&[], Data::Fat32)?;
    let (mut shell, _) = boot(bench, Some(&path))?;
    let sum = shell.run("head -c 1000000 /dev/mmcblk0 | md5sum")?;
    shell.run("dd if=/dev/mmcblk0 of=/dev/null bs=128k count=128 2>/dev/null")?;
    let cached = |shell: &mut Session| -> anyhow::Result<u64> {
        Ok(shell.run("awk '/^Cached/ { print $2 }' /proc/meminfo")?.trim().parse()?)
    };
    let before = cached(&mut shell)?;
    ensure!(before >= 16 << 10, "{before} KiB of the card are in memory");
    shell.run("mkdir /tmp/all && mount -t tmpfs -o size=100% all /tmp/all")?;
    ensure!(shell.try_run("dd if=/dev/zero of=/tmp/all/memory bs=1M 2>/dev/null")?.1 != 0, "there is an end of memory");
    shell.run("umount /tmp/all")?;
    let after = cached(&mut shell)?;
    ensure!(after + (14 << 10) < before, "{before} KiB of the card were in memory, now {after}");
    shell.expect("head -c 1000000 /dev/mmcblk0 | md5sum", &sum)?;
    shell.power_off()
}

fn a_card_that_is_put_in_later_is_found_and_one_that_is_taken_out_is_an_error(bench: &Bench) -> anyhow::Result<()> {
    let (directory, path) = card(&[BootFile::new("config.txt", "arm_64bit=1\n")], Data::Fat32)?;
    let socket = directory.path().join("monitor");
    let mut command = bench.command().initrd(bench.build.initramfs()).cmdline("quiet");
    let hand = format!("socket,id=hand,path={},server=on,wait=off", socket.display());
    for word in ["-drive", "if=sd,id=slot", "-chardev", &hand, "-mon", "chardev=hand"] {
        command = command.arg(word);
    }
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    let said = console.until(FIRST_PROMPT)?;
    ensure!(said.contains("init: no card"), "{said:?}");
    let mut hand = Hand::new(&socket)?;
    let mut shell = Session::begin(console)?;
    shell.expect("cat /proc/partitions | wc -l", "2\n")?;
    let put_in = format!("change slot {} raw", path.display());
    hand.does(&put_in)?;
    shell.run("grep 'mmcblk0p2$' /proc/partitions && mount -a")?;
    shell.expect("cat /boot/config.txt", "arm_64bit=1\n")?;
    hand.does("eject -f slot")?;
    let read = "dd if=/dev/mmcblk0 of=/dev/null bs=512 skip=99999 count=1";
    let (said, _) = shell.try_run(&format!("{read} 2>&1"))?;
    ensure!(said.contains("Input/output error"), "{said:?}");
    // A whole page, for which nothing has to be read.
    let put = "dd if=/bin/busybox of=/dev/mmcblk0p2 bs=4096 count=1 seek=1792 conv=notrunc,fsync 2>/dev/null";
    ensure!(shell.try_run(put)?.1 != 0, "it is gone");
    shell.run("sync")?;
    // What could not be written is written when it is back.
    hand.does(&put_in)?;
    shell.run(&format!("sync; {read} 2>/dev/null"))?;
    shell.power_off()?;
    let place = usize::try_from(BOOT_START + BOOT_SIZE)? + (7 << 20);
    ensure!(fs::read(&path)?[place..place + 5] == *b"\x7fELF\x02", "it was not written");
    Ok(())
}

fn tables_that_were_written_anew_are_read_when_nobody_uses_the_old_ones(bench: &Bench) -> anyhow::Result<()> {
    let (_directory, path) = card(&[], Data::Fat32)?;
    let (mut shell, _) = boot(bench, Some(&path))?;
    // The second entry of the table goes.
    shell.run("dd if=/dev/zero of=/dev/mmcblk0 bs=1 seek=462 count=16 conv=notrunc 2>/dev/null")?;
    ensure!(shell.try_run("blockdev --rereadpt /dev/mmcblk0")?.1 != 0, "they are mounted");
    shell.run("umount /data /boot && blockdev --rereadpt /dev/mmcblk0")?;
    shell.expect("ls /dev | grep mmc", "mmcblk0\nmmcblk0p1\n")?;
    shell.run("mount /boot")?;
    shell.power_off()
}

/// `make powercut` does this some hundred times.
fn what_was_synced_survives_three_cuts_of_the_power(bench: &Bench) -> anyhow::Result<()> {
    let (mut card, mut chance) = (powercut::Card::new()?, Chance::new(3));
    let mut promised = 0;
    for number in 0..3 {
        let run = card.cut(bench, number, &mut chance)?;
        let faults: Vec<String> = run.faults.iter().map(ToString::to_string).collect();
        ensure!(faults.is_empty(), "run {number}: {}: {faults:#?}\n{:?}", run.found, run.said);
        ensure!(run.repaired == powercut::Found::Clean, "run {number}: {}\n{}", run.repaired, run.said[1]);
        promised += run.promised;
    }
    ensure!(promised > 10, "{promised} files in three runs");
    Ok(())
}

/// A hand at the slot: QEMU's monitor.
struct Hand(UnixStream);

impl Hand {
    const PROMPT: &str = "(qemu) ";

    fn new(socket: &Path) -> anyhow::Result<Self> {
        let mut hand = Self(UnixStream::connect(socket).context("no monitor")?);
        hand.0.set_read_timeout(Some(PATIENCE))?;
        hand.until_prompt()?;
        Ok(hand)
    }

    fn does(&mut self, what: &str) -> anyhow::Result<()> {
        self.0.write_all(format!("{what}\n").as_bytes())?;
        let said = self.until_prompt()?;
        ensure!(!said.contains("Error") && !said.contains("Could not"), "{what}: {said}");
        Ok(())
    }

    fn until_prompt(&mut self) -> anyhow::Result<String> {
        let mut said = Vec::new();
        while !said.ends_with(Self::PROMPT.as_bytes()) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).with_context(|| String::from_utf8_lossy(&said).into_owned())?;
            said.extend(byte);
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}
