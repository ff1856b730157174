//! What a disk is, and what speaks against overwriting it.
//!
//! Linux says both: `/sys/class/block` knows the disks, their partitions and what is built upon those (encryption, volume
//! groups, arrays), `/proc/self/mountinfo` and `/proc/swaps` what is in use. Where they are is a parameter, so that the
//! judgment can be tested on disks that do not exist.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// Bytes in a sector of `/sys/class/block/*/size`, whatever the disk's own are.
const SECTOR: u64 = 512;
/// What a running system needs. A disk with one of these is the system's.
const SYSTEM_MOUNTS: [&str; 7] = ["/", "/usr", "/var", "/home", "/boot", "/boot/efi", "/nix"];
/// How deep volumes may be built upon each other before we stop to look.
const DEEPEST: u32 = 8;

/// Where the kernel says what there is.
#[derive(Debug)]
pub struct System {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// Says the number of a block device, as `/sys` writes it; none where the file is no block device.
    pub number_of: fn(&Path) -> io::Result<Option<String>>,
}

impl Default for System {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), number_of: block_number }
    }
}

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Its name in `/dev`.
    pub name: String,
    /// Who made it and what they call it.
    pub model: String,
    /// Its size in bytes.
    pub size: u64,
    /// What speaks against writing to it.
    pub objections: Vec<Objection>,
}

/// What speaks against writing to a disk. Somebody who names the disk may overrule it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Objection {
    /// The running system is on it, at this mount point.
    System(String),
    /// It, or a part of it, is mounted here.
    Mounted(String),
    /// The system swaps to it.
    Swap,
    /// Something is built upon it: a volume group, an array, encryption.
    Held(String),
    /// It is built in: not a card, not a stick.
    NotRemovable,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(place) => write!(f, "the running system is on it ({place})"),
            Self::Mounted(place) => write!(f, "it is mounted at {place}; unmount it first"),
            Self::Swap => f.write_str("the system swaps to it"),
            Self::Held(by) => write!(f, "{by} is built upon it"),
            Self::NotRemovable => f.write_str("it is built in, not a card or a stick"),
        }
    }
}

impl System {
    /// Looks at the disk `device`, a path to it or one that leads there.
    ///
    /// # Errors
    ///
    /// What is no disk, or none that could be written: a partition, a reader without a card, a card whose lock is set.
    pub fn examine(&self, device: &Path) -> anyhow::Result<Disk> {
        let disks = self.sys.join("class/block");
        ensure!(
            disks.is_dir(),
            "no {}: cards are written on Linux; elsewhere Raspberry Pi Imager does it",
            disks.display()
        );
        // Names as in /dev/disk/by-id are links.
        let device = fs::canonicalize(device).with_context(|| format!("no {}", device.display()))?;
        let name = device.file_name().and_then(|name| name.to_str()).context("no name of a disk")?.to_owned();
        let entry = self.entry(&name);
        // A file may be called as a disk is.
        let found = (self.number_of)(&device).with_context(|| format!("cannot look at {}", device.display()))?;
        let expected = fs::read_to_string(entry.join("dev")).ok();
        let is_disk = found.is_some() && found.as_deref() == expected.as_deref().map(str::trim);
        ensure!(
            is_disk,
            "{} is no disk; `lsblk -d -o NAME,SIZE,MODEL,TRAN` shows those that there are",
            device.display()
        );
        ensure!(!entry.join("partition").exists(), "{name} is a partition; name the disk that it is on");
        let size = number(&entry.join("size"))?.checked_mul(SECTOR).context("bad size")?;
        ensure!(size > 0, "{name} has no card in it");
        if number(&entry.join("ro")).unwrap_or(0) != 0 {
            bail!("{name} cannot be written; is its lock set?");
        }
        let mut objections = self.uses(&name, DEEPEST)?;
        if !is_removable(&entry) {
            objections.push(Objection::NotRemovable);
        }
        objections.sort();
        objections.dedup();
        Ok(Disk { model: model(&entry), name, size, objections })
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.sys.join("class/block").join(name)
    }

    /// What a disk or a volume, its partitions and what is built upon them are used for.
    fn uses(&self, name: &str, depth: u32) -> anyhow::Result<Vec<Objection>> {
        let mut objections = self.direct_uses(name)?;
        let entry = self.entry(name);
        let Some(deeper) = depth.checked_sub(1) else { return Ok(objections) };
        for part in children(&entry).filter(|part| entry.join(part).join("partition").exists()) {
            objections.extend(self.uses(&part, deeper)?);
        }
        for holder in children(&entry.join("holders")).chain(self.loops_on(name)) {
            objections.extend(self.uses(&holder, deeper)?);
            objections.push(Objection::Held(holder));
        }
        Ok(objections)
    }

    /// The loop devices upon a disk, which it does not know of.
    fn loops_on(&self, name: &str) -> Vec<String> {
        let device = format!("/dev/{name}");
        let backing =
            |disk: &String| fs::read_to_string(self.entry(disk).join("loop/backing_file")).unwrap_or_default();
        children(&self.sys.join("class/block")).filter(|disk| backing(disk).trim() == device).collect()
    }

    fn direct_uses(&self, name: &str) -> anyhow::Result<Vec<Objection>> {
        let number = fs::read_to_string(self.entry(name).join("dev")).unwrap_or_default();
        let device = format!("/dev/{name}");
        let mut objections = Vec::new();
        let mounts = self.proc.join("self/mountinfo");
        let mounts = fs::read_to_string(&mounts).with_context(|| format!("cannot read {}", mounts.display()))?;
        for mount in mounts.lines().filter_map(Mount::parse) {
            // Some file systems, btrfs among them, have a number of their own and say their disk by name only.
            if mount.number == number.trim() || mount.source == device {
                let place = mount.place.to_owned();
                let is_system = SYSTEM_MOUNTS.contains(&mount.place);
                objections.push(if is_system { Objection::System(place) } else { Objection::Mounted(place) });
            }
        }
        let swaps = fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        if swaps.lines().any(|line| line.split_ascii_whitespace().next() == Some(&device)) {
            objections.push(Objection::Swap);
        }
        Ok(objections)
    }
}

/// A line of mountinfo (proc(5)): `36 35 98:0 /root /mount/point options… - type source options`.
struct Mount<'line> {
    number: &'line str,
    place: &'line str,
    source: &'line str,
}

impl<'line> Mount<'line> {
    fn parse(line: &'line str) -> Option<Self> {
        let (mount, source) = line.split_once(" - ")?;
        let mut words = mount.split(' ');
        Some(Self { number: words.nth(2)?, place: words.nth(1)?, source: source.split(' ').nth(1)? })
    }
}

#[cfg(target_os = "linux")]
fn block_number(path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    let metadata = fs::metadata(path)?;
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    Ok(metadata.file_type().is_block_device().then(|| format!("{major}:{minor}")))
}

/// Elsewhere there is no `/sys` either.
#[cfg(not(target_os = "linux"))]
fn block_number(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// A card in a slot of its own is not said to be removable, but to be an SD card; a chip that is soldered on is an `MMC`.
fn is_removable(entry: &Path) -> bool {
    let text = |path: &str| fs::read_to_string(entry.join(path)).unwrap_or_default();
    text("removable").trim() == "1" || text("device/type").trim() == "SD"
}

fn model(entry: &Path) -> String {
    let words: Vec<_> = ["device/vendor", "device/model", "device/name"]
        .iter()
        .filter_map(|path| fs::read_to_string(entry.join(path)).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    if words.is_empty() { "a disk that does not say what it is".to_owned() } else { words.join(" ") }
}

fn children(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn number(path: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{} is no number", path.display()))
}

#[cfg(test)]
mod tests;
