//! `tine bench-card`: how fast a card is read, beside Linux.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tools::bench::card::{Clock, Row, record, table};
use tools::board::Board;
use tools::cpio::{Access, Archive, DATA_ALIGN, Entry};
use tools::linux::{Linux, tree};
use tools::qemu::{Command, Qemu, Speed};

/// The size of the card.
const CARD_MIB: u64 = 256;
/// What is read in a run: more where time is counted, for it is told in hundredths of a second.
const COUNTED_MIB: u32 = 128;
const REAL_MIB: u32 = 32;
/// The longest run, boot included: Linux on a slow host.
const PATIENCE: Duration = Duration::from_secs(600);
/// Begins the line with the uptime before and after.
const MARK: &str = "CARD ";

/// Read a card in QEMU's raspi3b, sequentially, in Tine and in Debian's Linux on the same emulated card
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The initramfs, with a shell
    #[arg(long, value_name = "FILE", default_value = "build/initramfs.cpio")]
    initrd: PathBuf,
    /// The busybox for Linux
    #[arg(long, value_name = "FILE", default_value = "build/busybox")]
    busybox: PathBuf,
    /// Where Debian's kernel is kept; it is fetched when it is not there
    #[arg(long, value_name = "DIRECTORY", default_value = "build/linux")]
    linux: PathBuf,
    /// Write the figures into this document, too
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let qemu = Qemu::find()?;
    let busybox = super::read(&arguments.busybox)?;
    ensure!(!busybox.is_empty(), "{} is empty: there is no shell to read with", arguments.busybox.display());
    let linux = Linux::of(&arguments.linux)?;
    let bench = Bench { qemu, place: arguments.linux.clone(), kernel: &arguments.kernel };
    bench.make_card()?;
    let mut sdhci = linux.tree.clone();
    tree::prefer_sdhci(&mut sdhci)?;
    let mut rows = Vec::new();
    for clock in [Clock::Instructions, Clock::Host] {
        let mib = if clock == Clock::Host { REAL_MIB } else { COUNTED_MIB };
        let archive = linux.initramfs(busybox.clone(), &script(mib))?;
        let own = bench.linux(&linux, ("own.dtb", &linux.tree), &archive, clock)?;
        let same = bench.linux(&linux, ("sdhci.dtb", &sdhci), &archive, clock)?;
        let tine = bench.tine(&super::read(&arguments.initrd)?, &script(mib), clock)?;
        rows.push(Row { clock, mib, linux_dma: own, linux_pio: same, tine });
    }
    let text = table(&linux.origin, &rows);
    super::out::write(format_args!("{text}"))?;
    if let Some(document) = &arguments.record {
        let old = super::read(document).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
        super::write(document, record(&old, &text).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a shell does in either system: waits for the card, and reads it between two looks at the clock.
fn script(mib: u32) -> String {
    format!(
        "while ! [ -e /dev/mmcblk0 ]; do sleep 1; done\nread before rest < /proc/uptime\n\
         dd if=/dev/mmcblk0 of=/dev/null bs=64k count={}\nread after rest < /proc/uptime\n\
         echo \"{MARK}$before $after\"\n",
        mib * 16
    )
}

struct Bench<'a> {
    qemu: Qemu,
    /// For what is made on the way.
    place: PathBuf,
    kernel: &'a Path,
}

impl Bench<'_> {
    fn card(&self) -> PathBuf {
        self.place.join("card.img")
    }

    /// A card of bytes that are no file system. A file without holes: those would be read faster than data.
    fn make_card(&self) -> anyhow::Result<()> {
        let mut state = 1_u64;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < CARD_MIB << 20 {
            // Knuth's multiplier and increment (MMIX).
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        super::write(&self.card(), &bytes)
    }

    fn linux(&self, linux: &Linux, tree: (&str, &[u8]), archive: &[u8], clock: Clock) -> anyhow::Result<f64> {
        let (name, bytes) = tree;
        let (dtb, initrd) = (self.place.join(name), self.place.join("initramfs.cpio"));
        super::write(&dtb, bytes)?;
        super::write(&initrd, archive)?;
        let command = Command::new(Board::Raspi3b, &linux.image).dtb(dtb).initrd(initrd);
        self.time(command.cmdline("console=ttyAMA0 rdinit=/init quiet"), clock)
            .with_context(|| format!("{} with {name}", linux.origin))
    }

    fn tine(&self, initrd: &[u8], script: &str, clock: Clock) -> anyhow::Result<f64> {
        let mut more = Archive::default();
        let data = script.as_bytes().to_vec();
        more.add("etc/bench-card", Entry::File { data, access: Access::Plain })?;
        let mut archive = initrd.to_vec();
        archive.resize(archive.len().next_multiple_of(DATA_ALIGN), 0);
        archive.extend(more.to_bytes()?);
        let path = self.place.join("tine.cpio");
        super::write(&path, &archive)?;
        let command = Command::new(Board::Raspi3b, self.kernel).dtb("build/raspi3b.dtb").initrd(path);
        self.time(command.cmdline("quiet -- /bin/sh /etc/bench-card"), clock).context("Tine")
    }

    /// Boots, and returns the seconds of the guest between the two looks at its clock.
    fn time(&self, command: Command, clock: Clock) -> anyhow::Result<f64> {
        let command = match clock {
            Clock::Host => command,
            Clock::Instructions => {
                let one = command.speed(Speed::Counted).arg("-global").arg("bcm2837.enabled-cpus=1");
                one.arg("-seed").arg("1")
            }
        };
        let command = command.card(self.card());
        let mut child = command.to_process(&self.qemu).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("QEMU has no output")?;
        let end = Instant::now() + PATIENCE;
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut last = Vec::new();
        let mut found = None;
        while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            found = parse(&line);
            if found.is_some() {
                break;
            }
            last.push(line);
        }
        // Linux halts and stays.
        let _ = child.kill();
        child.wait()?;
        let from = last.len().saturating_sub(20);
        found.with_context(|| format!("the card was not read; its last lines were:\n{}", last[from..].join("\n")))
    }
}

/// The seconds between the two figures of a line.
fn parse(line: &str) -> Option<f64> {
    let mut figures = line.trim().strip_prefix(MARK)?.split(' ').map(str::parse::<f64>);
    let (before, after) = (figures.next()?.ok()?, figures.next()?.ok()?);
    Some(after - before).filter(|seconds| *seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_what_passed_between_the_two_figures() {
        assert_eq!(parse("CARD 17.25 18.50\r"), Some(1.25));
        assert_eq!(parse("CARD 17.25"), None);
        assert_eq!(parse("CARD  "), None);
        assert_eq!(parse("512+0 records in"), None);
    }

    #[test]
    fn both_systems_read_so_much_in_blocks_of_64_kib() {
        assert!(script(32).contains("bs=64k count=512"));
    }
}
