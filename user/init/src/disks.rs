//! What is on disks: mounted at the beginning as `/etc/fstab` says, and taken away in order at the end.
//!
//! The kernel looks for cards while it boots, in a thread of its own, and makes their nodes when it has found them. So who
//! finds no node does not know whether there will be one. `/proc/partitions` is read then: the kernel answers when it has
//! looked everywhere, after a bounded time, and not before; where there is no card that is at once.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use sys::{Errno, file, process};

use crate::fstab::{self, Entry, plain};

/// Where the table is.
const TABLE: &str = "/etc/fstab";
/// Which disks and partitions there are.
const PARTITIONS: &str = "/proc/partitions";
/// What is mounted.
const MOUNTS: &str = "/proc/mounts";
/// Which kinds of file systems there are; those on disks without a word before them.
const KINDS: &str = "/proc/filesystems";
/// `MS_RDONLY` and `MS_REMOUNT`
const REMOUNT_READ_ONLY: usize = 1 | 32;

/// Mounts what the table says. What cannot be mounted is said, and programs do without.
pub(crate) fn mount_all() {
    let Ok(text) = fs::read_to_string(TABLE) else { return };
    let (entries, complaints) = fstab::parse(&text);
    complaints.iter().for_each(|complaint| println!("init: {TABLE}: {complaint}"));
    let entries: Vec<Entry> = entries.into_iter().filter(|entry| !entry.later).collect();
    for entry in &entries {
        // For who mounts it later, too.
        if let Err(error) = fs::create_dir_all(&entry.place) {
            println!("init: {}: {error}", entry.place);
        }
    }
    if entries.iter().any(|entry| is_missing(&entry.device)) {
        // What it says is not needed: the nodes are there, or not.
        let _ = fs::read(PARTITIONS);
    }
    let (without, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_without_disk);
    if !without.is_empty() {
        let places: Vec<&str> = without.iter().map(|entry| entry.place.as_str()).collect();
        println!("init: no card: nothing is mounted on {}", places.join(", "));
    }
    for entry in &entries {
        if let Err(why) = mount(entry) {
            println!("init: {}: {}: {why}", entry.place, entry.device);
        }
    }
}

/// Whether it names a node that is not there.
fn is_missing(device: &str) -> bool {
    device.starts_with("/dev/") && !Path::new(device).exists()
}

/// Whether not even the disk is there that it is a partition of, and that is no fault.
fn is_without_disk(entry: &Entry) -> bool {
    entry.optional && is_missing(&entry.device) && disk_of(&entry.device).is_none_or(is_missing)
}

/// `/dev/mmcblk0` of `/dev/mmcblk0p1`; none for what is no partition.
fn disk_of(device: &str) -> Option<&str> {
    let (disk, number) = device.rsplit_once('p')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && disk.ends_with(|last: char| last.is_ascii_digit())).then_some(disk)
}

fn mount(entry: &Entry) -> Result<(), String> {
    if is_missing(&entry.device) {
        return Err(match disk_of(&entry.device) {
            Some(disk) if !is_missing(disk) => format!("{disk} has no such partition"),
            _ => "there is no such disk".to_owned(),
        });
    }
    let mut kinds = vec![entry.kind.clone()];
    if entry.kind == "auto" {
        kinds = fs::read_to_string(KINDS).map(|kinds| on_disks(&kinds)).unwrap_or_default();
    }
    let mut outcome = Err(Errno::INVAL);
    for kind in &kinds {
        outcome = mount_as(entry, kind);
        if outcome != Err(Errno::INVAL) {
            break;
        }
    }
    match outcome {
        // The kernel's command line may have run another init before, which mounted it.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(Errno::INVAL) => Err("no file system that is known, or a damaged one".to_owned()),
        Err(errno) => Err(errno.to_string()),
    }
}

/// Of `/proc/filesystems`, those on disks.
fn on_disks(kinds: &str) -> Vec<String> {
    kinds.lines().filter_map(|line| line.strip_prefix('\t')).map(str::to_owned).collect()
}

fn mount_as(entry: &Entry, kind: &str) -> Result<(), Errno> {
    let [Ok(device), Ok(place), Ok(kind), Ok(options)] =
        [entry.device.as_str(), &entry.place, kind, &entry.options].map(CString::new)
    else {
        return Err(Errno::INVAL);
    };
    file::mount_with_options(&device, &place, &kind, entry.flags, &options)
}

/// Takes away what is mounted from disks, the last first, so that each is left as it should be found. What is still used stays,
/// to be read only. All that was written is on its disk afterwards.
pub(crate) fn unmount_all() {
    // First of all: whatever goes wrong from here on, this is done.
    process::sync();
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    for line in mounts.lines().rev() {
        let mut words = line.split(' ').map(plain);
        let (Some(device), Some(place)) = (words.next(), words.next()) else { continue };
        if device.starts_with("/dev/") {
            unmount(&place);
        }
    }
    process::sync();
}

fn unmount(place: &str) {
    let Ok(name) = CString::new(place) else { return };
    let Err(errno) = file::unmount(&name) else { return };
    if errno != Errno::BUSY || file::mount_with(c"", &name, c"", REMOUNT_READ_ONLY).is_err() {
        println!("init: {place}: cannot be unmounted: {errno}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_knows_its_disk() {
        assert_eq!(disk_of("/dev/mmcblk0p12"), Some("/dev/mmcblk0"));
        for other in ["/dev/mmcblk0", "/dev/loop", "/dev/p1", "tmpfs", "/dev/mmcblk0px"] {
            assert_eq!(disk_of(other), None, "{other}");
        }
    }

    #[test]
    fn file_systems_on_disks_are_those_without_a_word_before_them() {
        assert_eq!(on_disks("nodev\ttmpfs\n\tvfat\nnodev\tproc\n\text4\n"), ["vfat", "ext4"]);
    }
}
