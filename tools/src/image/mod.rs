//! The SD card image: an MBR, a FAT32 partition that firmware boots from, a second partition for data.
//!
//! ```text
//! sector 0        MBR, its disk signature made from the contents
//! 4 MiB           TINEBOOT: FAT32, firmware, device trees, config.txt, kernel, initramfs ([`boot_files`])
//! 68 MiB          data: FAT32 labelled TINEDATA, or a file system that was made elsewhere
//! ```
//!
//! The whole is a power of two in size, so that the very file is a card for QEMU too. The same contents make the same
//! bytes: nothing in it comes from a clock or from chance. It is a sparse file, and what was written into it is noted
//! ([`sparse`]), for the block map ([`bmap`]) that lets a card be written without its empty parts.
//!
//! * [`boot_files`]: what stands on the boot partition
//! * [`firmware`]: the firmware and the device trees, out of a directory; [`fetch`] fills one
//! * `kind`: which type a partition has
//! * [`volume`]: a FAT32 volume with a fixed clock
//! * [`sparse`]: the file, and which of its blocks mean something
//! * [`bmap`]: block maps; [`release`]: what else is published with an image

pub mod bmap;
pub mod boot_files;
pub mod fetch;
pub mod firmware;
mod kind;
pub mod release;
pub mod sparse;
pub mod volume;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use mbrman::{BOOT_INACTIVE, CHS, MBR, MBRPartitionEntry};
use sha2::{Digest as _, Sha256};

use self::boot_files::BootFile;
use self::sparse::{BlockMap, SparseFile, Window};

/// Bytes in a mebibyte.
pub const MIB: u64 = 1 << 20;
/// Bytes in a sector.
pub const SECTOR: u64 = 512;
/// Where the boot partition begins: cards erase in units of up to 4 MiB.
pub const BOOT_START: u64 = 4 * MIB;
/// What the boot partition has. FAT32 has no fewer than 65 525 clusters, which 64 MiB give in clusters of one sector.
pub const BOOT_SIZE: u64 = 64 * MIB;
/// The smallest image: a data partition of less than 60 MiB could not be FAT32.
pub const SMALLEST: u64 = 128 * MIB;
/// What an image has where nothing is said, and its data fits.
pub const USUAL: u64 = 256 * MIB;
/// The largest image: beyond it a partition's place does not fit an MBR.
pub const LARGEST: u64 = 1 << 40;

/// The label of the boot partition.
pub const BOOT_LABEL: &str = "TINEBOOT";
/// The label of the data partition.
pub const DATA_LABEL: &str = "TINEDATA";

/// What the second partition holds.
#[derive(Debug)]
pub enum Data {
    /// Nothing: there is no second partition.
    None,
    /// An empty FAT32 volume.
    Fat32,
    /// A file system that was made elsewhere, `mke2fs` say. What the partition has beyond it stays unused.
    FileSystem(File),
}

/// The size of an image with these data: the usual one, or the next one that a card of QEMU's can have and that has room.
///
/// # Errors
///
/// What is no file, and what would fit no image.
pub fn size_for(data: &mut Data) -> anyhow::Result<u64> {
    let Data::FileSystem(source) = data else { return Ok(USUAL) };
    let size = length_of(source)?.saturating_add(BOOT_START + BOOT_SIZE).checked_next_power_of_two();
    let size = size.filter(|&size| size <= LARGEST).context("its file system is larger than any image")?;
    Ok(size.max(USUAL))
}

/// Writes the image of `size` bytes at `path`, and says which of its blocks mean something.
///
/// # Errors
///
/// A size that is no power of two or out of bounds, files that do not fit, and what goes wrong with the file.
pub fn write(path: &Path, size: u64, files: &[BootFile], data: &mut Data) -> anyhow::Result<BlockMap> {
    ensure!(size.is_power_of_two(), "{} MiB: a card for QEMU has to be a power of two in size", size / MIB);
    ensure!(
        (SMALLEST..=LARGEST).contains(&size),
        "{} MiB: between {} MiB and {} MiB will do",
        size / MIB,
        SMALLEST / MIB,
        LARGEST / MIB
    );
    let mut file = SparseFile::create(path, size).with_context(|| format!("cannot write {}", path.display()))?;
    let identity = Identity::of(files);
    write_mbr(&mut file, size, identity.disk, data)?;
    let boot = Window::new(&mut file, BOOT_START, BOOT_SIZE);
    volume::write(boot, BOOT_LABEL, identity.boot, files).context("cannot write the boot partition")?;
    let data_start = BOOT_START + BOOT_SIZE;
    let mut partition = Window::new(&mut file, data_start, size - data_start);
    match data {
        Data::None => {}
        Data::Fat32 => {
            volume::write(partition, DATA_LABEL, identity.data, &[]).context("cannot make the data partition")?;
        }
        Data::FileSystem(source) => copy_file_system(source, &mut partition, size - data_start)?,
    }
    file.finish().with_context(|| format!("cannot write {}", path.display()))
}

/// The numbers by which systems tell disks and volumes apart, from what is on them: the same contents give the same.
struct Identity {
    disk: [u8; 4],
    boot: u32,
    data: u32,
}

impl Identity {
    fn of(files: &[BootFile]) -> Self {
        let mut hash = Sha256::new();
        for file in files {
            hash.update(file.name.as_bytes());
            hash.update([0]);
            hash.update(file.bytes.len().to_le_bytes());
            hash.update(&file.bytes);
        }
        let digest = hash.finalize();
        let word = |index: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&digest[4 * index..][..4]);
            // Zero would mean that there is no number.
            if word == [0; 4] { [1; 4] } else { word }
        };
        Self { disk: word(0), boot: u32::from_le_bytes(word(1)), data: u32::from_le_bytes(word(2)) }
    }
}

fn write_mbr(file: &mut SparseFile, size: u64, signature: [u8; 4], data: &mut Data) -> anyhow::Result<()> {
    let mut mbr = MBR::new_from(file, u32::try_from(SECTOR)?, signature)?;
    // Partitions are where they are put, not on boundaries of cylinders that no card has.
    mbr.align = 1;
    mbr[1] = partition(kind::FAT32, BOOT_START, BOOT_SIZE)?;
    let data_start = BOOT_START + BOOT_SIZE;
    match data {
        Data::None => {}
        Data::Fat32 => mbr[2] = partition(kind::FAT32, data_start, size - data_start)?,
        Data::FileSystem(source) => mbr[2] = partition(kind::of(source)?, data_start, size - data_start)?,
    }
    mbr.write_into(file).context("cannot write the partition table")
}

fn partition(sys: u8, start: u64, size: u64) -> anyhow::Result<MBRPartitionEntry> {
    let (first, sectors) = (u32::try_from(start / SECTOR)?, u32::try_from(size / SECTOR)?);
    Ok(MBRPartitionEntry {
        boot: BOOT_INACTIVE,
        first_chs: cylinder_of(first),
        sys,
        last_chs: cylinder_of(first + sectors - 1),
        starting_lba: first,
        sectors,
    })
}

/// A sector by cylinder, head and number, as `sfdisk` and `parted` write it, who make the tables of the cards that are known to
/// boot: what the ROM of a Pi 3 makes of a table without them nobody tells.
fn cylinder_of(sector: u32) -> CHS {
    // Beyond what the three have room for the last of each stands.
    CHS::from_lba_exact(sector, 1024, 255, 63).unwrap_or_else(|_| CHS::new(1023, 254, 63))
}

/// How many bytes a file system has. It may be on a device.
fn length_of(source: &mut File) -> anyhow::Result<u64> {
    ensure!(!source.metadata()?.is_dir(), "the data are a directory; mke2fs -d makes a file system of one");
    let length = source.seek(SeekFrom::End(0))?;
    ensure!(length > 0, "the data are empty: no file system; a new one is made by --data fat32");
    Ok(length)
}

/// Copies a file system. Its zeros need no room on the host, but a card gets them: which of them mean something only those
/// who know that file system could say, tables of inodes do, and files have some.
fn copy_file_system(source: &mut File, partition: &mut Window<'_>, room: u64) -> anyhow::Result<()> {
    let length = length_of(source)?;
    if length > room {
        let size = size_for(&mut Data::FileSystem(source.try_clone()?))?;
        bail!(
            "the data partition has {} MiB, {} too few for its file system; --size {} has room for it",
            room / MIB,
            (length - room).div_ceil(MIB),
            size / MIB
        );
    }
    source.rewind()?;
    partition.note(0, length);
    let mut chunk = vec![0; usize::try_from(MIB)?];
    let mut position = 0;
    while position < length {
        let count = usize::try_from(MIB.min(length - position))?;
        source.read_exact(&mut chunk[..count])?;
        if chunk[..count].iter().any(|&byte| byte != 0) {
            partition.seek(SeekFrom::Start(position))?;
            partition.write_all(&chunk[..count])?;
        }
        position += MIB;
    }
    Ok(())
}

/// The SHA-256 of all that `source` has, in hexadecimal digits.
///
/// # Errors
///
/// What reading gives.
pub fn sha256(mut source: impl io::Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match source.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// The hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
