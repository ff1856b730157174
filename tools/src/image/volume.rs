//! A FAT32 volume, the same for the same contents: its clock stands still.

use std::io::{self, Seek as _, SeekFrom, Write as _};

use anyhow::Context as _;
use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use super::SECTOR;
use super::boot_files::BootFile;
use super::sparse::Window;

/// FAT32 is what has this many clusters or more (Microsoft, "FAT: General Overview of On-Disk Format", 1.03, page 14),
/// and some more for what the tables take of the volume.
const LEAST_CLUSTERS: u64 = 70_000;
/// Beyond 4 KiB a cluster saves nothing and wastes room.
const LARGEST_CLUSTER: u64 = 4096;
/// Where a boot sector says how many sectors stand before the volume on its disk.
const HIDDEN_SECTORS: u64 = 0x1c;
/// Where FAT32 keeps the copy of the boot sector.
const BACKUP_SECTOR: u64 = 6;

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

/// What it shows: it only has to be after 1980.
const DATE: Date = Date { year: 2026, month: 1, day: 1 };

impl TimeProvider for Stopped {
    fn get_current_date(&self) -> Date {
        DATE
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: DATE, time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

/// Makes a volume that fills the window, with `files` in its root.
///
/// # Errors
///
/// What does not fit, and what goes wrong with the file below.
pub fn write(mut window: Window<'_>, label: &str, id: u32, files: &[BootFile]) -> anyhow::Result<()> {
    let mut padded = [b' '; 11];
    for (slot, byte) in padded.iter_mut().zip(label.bytes()) {
        *slot = byte;
    }
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_cluster(u32::try_from(cluster_size(window.size()))?)
        .volume_id(id)
        .volume_label(padded);
    fatfs::format_volume(&mut window, options).context("cannot make a FAT32 volume")?;
    hide_sectors(&mut window)?;
    window.seek(SeekFrom::Start(0))?;
    let volume = FileSystem::new(&mut window, FsOptions::new().time_provider(&Stopped))?;
    for file in files {
        let name = &file.name;
        let mut entry = volume.root_dir().create_file(name).with_context(|| format!("cannot make {name}"))?;
        entry.write_all(&file.bytes).with_context(|| format!("no room for {name}"))?;
    }
    // Counted once, so that it is written down and no system has to count it again.
    volume.stats()?;
    volume.unmount()?;
    Ok(())
}

/// The largest cluster with which the volume is FAT32.
fn cluster_size(size: u64) -> u64 {
    let mut cluster = LARGEST_CLUSTER;
    while cluster > SECTOR && size / cluster < LEAST_CLUSTERS {
        cluster /= 2;
    }
    cluster
}

/// Says in both boot sectors where the volume begins; the crate takes it for a disk of its own.
fn hide_sectors(window: &mut Window<'_>) -> io::Result<()> {
    let hidden = u32::try_from(window.start() / SECTOR).map_err(io::Error::other)?;
    for sector in [0, BACKUP_SECTOR] {
        window.seek(SeekFrom::Start(sector * SECTOR + HIDDEN_SECTORS))?;
        window.write_all(&hidden.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::MIB;
    use super::*;

    #[test]
    fn a_volume_has_the_largest_clusters_with_which_it_is_fat32() {
        assert_eq!(cluster_size(60 * MIB), 512);
        assert_eq!(cluster_size(188 * MIB), 2048);
        assert_eq!(cluster_size(8 << 30), 4096);
    }
}
