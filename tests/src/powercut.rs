//! The power is cut while a program writes: what was synced must be there afterwards.
//!
//! ```text
//! board: durable ── kept NAME …, over the serial line ──► Promises      what must be found
//! QEMU ── killed at a random moment ──► the card's image ──► fsck.fat   how the file system was left
//!   ▲                                                   └──► mcopy      the files, compared with what was promised
//!   └── booted again: the file system is repaired as it is mounted; then both look again, and must find nothing
//! ```
//!
//! Runs follow each other on one card, as cuts do: the boot that repairs it writes to it next, and all that was kept by earlier
//! runs has to be there still. A new card is taken every [`RUNS_A_CARD`] runs.
//!
//! **What this shows, and what not.** QEMU hands each block to the host when the card has taken it, and a killed process does not
//! take back what it has written. So this is a card that keeps every block that it said it has, and none of those that it was
//! not given: the order of writes and what syncing waits for are tested, torn blocks and cards that lie are not.

mod promise;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tools::image::{self, BOOT_SIZE, BOOT_START, Data, SMALLEST};

pub use self::promise::{Fault, Promises};

use crate::bench::Bench;
use crate::console::{Console, ENTER};
use crate::host::{find_tool, run_tool};

/// How many runs a card serves.
pub const RUNS_A_CARD: usize = 10;
/// The latest that the power is cut, from the first file on.
const LATEST: Duration = Duration::from_millis(2500);
/// Where files are on the data partition.
const DIRECTORY: &str = "durable";
/// What the shell asks with.
const PROMPT: &str = "# ";

/// What became of one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// When the power was cut.
    pub after: Duration,
    /// Files that were kept, and dropped ones, as far as the line brought word of it.
    pub promised: usize,
    /// How the file system was found.
    pub found: Found,
    /// How it is once it was mounted.
    pub repaired: Found,
    /// What `fsck.fat` said of it, before and then.
    pub said: [String; 2],
    /// What was not as promised.
    pub faults: Vec<Fault>,
}

impl Run {
    /// Whether nothing was lost and the file system was clean in the end.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty() && self.repaired == Found::Clean
    }
}

/// How a file system is found after a cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Found {
    /// As if it had been unmounted.
    Clean,
    /// Whole, and marked as not unmounted.
    Marked,
    /// Whole, but for clusters that nobody has, or a count of free ones that is not right.
    Leaking,
    /// Anything else: a rename that has left both names to one file, more clusters than a file's size, or worse.
    Damaged,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::Marked => "whole, marked as in use",
            Self::Leaking => "clusters without a file, or a wrong count of free ones",
            Self::Damaged => "a change half done: two names for one file, more clusters than a file's size, or worse",
        })
    }
}

/// The tools that this needs and the host has not.
#[must_use]
pub fn missing_tools() -> Vec<&'static str> {
    ["fsck.fat", "mcopy"].into_iter().filter(|tool| find_tool(tool).is_none()).collect()
}

/// A card, and what must be on it.
pub struct Card {
    directory: tempfile::TempDir,
    promises: Promises,
    /// The board that has mounted it and goes on with it.
    booted: Option<Console>,
}

impl Card {
    /// A new one, with a FAT on its data partition.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let card = Self { directory: crate::bench::scratch()?, promises: Promises::default(), booted: None };
        image::write(&card.image(), SMALLEST, &[], &mut Data::Fat32)?;
        Ok(card)
    }

    /// Where the image, and the volume as it was last looked at, stay for whoever wants to know what became of it.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("card.img")
    }

    fn volume(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    /// Lets a board write to this card, cuts its power and looks at what is left, before and after it is mounted again.
    ///
    /// # Errors
    ///
    /// When the board or a tool does not do what it should; what the card has lost is no error.
    pub fn cut(&mut self, bench: &Bench, number: usize, random: &mut Chance) -> anyhow::Result<Run> {
        let after = LATEST.mul_f64(random.share());
        let lines = self.write(bench, number, random.next(), after)?;
        let promised = self.promises.read(&lines)?;
        let before = self.examine()?;
        let mut faults = self.promises.compare(&self.files()?);
        // Nobody writes to it between this and the prompt.
        self.booted = Some(self.boot(bench)?);
        let then = self.examine()?;
        faults.extend(self.promises.compare(&self.files()?));
        Ok(Run { after, promised, found: judge(&before), repaired: judge(&then), said: [before, then], faults })
    }

    /// Boots a board with this card, until it has mounted it.
    fn boot(&self, bench: &Bench) -> anyhow::Result<Console> {
        let command = bench.command().initrd(bench.build.programs()?).cmdline("quiet").card(self.image());
        let mut console = Console::start(command.to_process(bench.qemu()?))?;
        console.until(PROMPT)?;
        Ok(console)
    }

    /// What the board said until the power was cut.
    fn write(&mut self, bench: &Bench, number: usize, seed: u64, after: Duration) -> anyhow::Result<String> {
        let mut console = match self.booted.take() {
            Some(console) => console,
            None => self.boot(bench)?,
        };
        console.send(format!("durable /data/{DIRECTORY} {number} {seed}{ENTER}"))?;
        console.until("durable: begins\r\n")?;
        let begun = console.transcript().len();
        let end = Instant::now() + after;
        console.stays(end.saturating_duration_since(Instant::now()))?;
        let said = console.cut()?;
        Ok(String::from_utf8_lossy(&said[begun.min(said.len())..]).into_owned())
    }

    /// What there is to say of the data partition's file system. It is copied out first.
    fn examine(&self) -> anyhow::Result<String> {
        let mut card = File::open(self.image())?;
        card.seek(SeekFrom::Start(BOOT_START + BOOT_SIZE))?;
        let mut volume = File::create(self.volume())?;
        std::io::copy(&mut card, &mut volume)?;
        drop(volume);
        let volume = self.volume();
        // It fails where it finds something, which is told all the same.
        Ok(match run_tool("fsck.fat", &["-n".as_ref(), volume.as_ref()]).context("no fsck.fat")? {
            Ok(said) => said,
            // Behind the line that says which tool failed.
            Err(found) => found.to_string().split_once('\n').map(|(_, said)| said.to_owned()).unwrap_or_default(),
        })
    }

    /// All files, by their names from the directory on.
    fn files(&self) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let copies = self.directory.path().join("copies");
        fs::create_dir_all(&copies)?;
        let words: [OsString; 6] = [
            "-n".into(),
            "-s".into(),
            "-i".into(),
            self.volume().into(),
            format!("::{DIRECTORY}").into(),
            copies.clone().into(),
        ];
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        // Files that cannot be read are found missing.
        let _incomplete = run_tool("mcopy", &words).context("no mcopy")?;
        let mut files = BTreeMap::new();
        collect(&copies.join(DIRECTORY), "", &mut files)?;
        fs::remove_dir_all(&copies)?;
        Ok(files)
    }
}

/// The files below `directory`.
fn collect(directory: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { bail!("{} is no name", entry.path().display()) };
        let name = if name.is_empty() { file } else { format!("{name}/{file}") };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// What `fsck.fat -n` says, in one word. Its first line is its version; lines about what was found before begin with a blank.
fn judge(said: &str) -> Found {
    /// A volume that is in use is marked in its first sector, of which the copy has no mark.
    const MARKED: [&str; 2] = ["Dirty bit is set", "There are differences between boot sector and its backup"];
    const LEAKING: [&str; 4] =
        ["Reclaimed ", "Free cluster summary", "FATs differ but appear to be intact", "Orphaned"];
    const SAYS_NOTHING: [&str; 4] =
        ["This is mostly harmless", "Leaving filesystem unchanged", "Performing changes", "*** Filesystem was changed"];
    let begins = |line: &str, with: &[&str]| with.iter().any(|with| line.starts_with(with));
    let findings = said.lines().skip(1).filter(|line| {
        !line.is_empty() && !line.starts_with(' ') && !line.contains(" files, ") && !begins(line, &SAYS_NOTHING)
    });
    let found = findings.map(|line| match line {
        line if begins(line, &MARKED) => Found::Marked,
        line if begins(line, &LEAKING) => Found::Leaking,
        _ => Found::Damaged,
    });
    found.max().unwrap_or(Found::Clean)
}

/// A sequence of numbers that its seed determines (xorshift64*).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// One that begins with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A share of one.
    pub fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_says_is_one_of_four() {
        let judge = |said: &str| judge(&format!("fsck.fat 4.2 (2021-01-31)\n{said}v: 3 files, 1/120958 clusters\n"));
        let marked = "There are differences between boot sector and its backup.\n\
                      This is mostly harmless. Differences: (offset:original/backup)\n  65:01/00\n  \
                      Not automatically fixing this.\nDirty bit is set. Fs was not properly unmounted and some data may be \
                      corrupt.\n Automatically removing dirty bit.\n\nLeaving filesystem unchanged.\n";
        assert_eq!((judge(""), judge(marked)), (Found::Clean, Found::Marked));
        assert_eq!(judge(&format!("{marked}Reclaimed 1 unused cluster (512 bytes).\n")), Found::Leaking);
        assert_eq!(judge("/durable/a\n  File size is 9 bytes, cluster chain length is 0 bytes.\n"), Found::Damaged);
    }
}
