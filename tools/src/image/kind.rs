//! Which type a partition has in an MBR: that of what stands in it, for systems that go by it and not by the contents.

use std::io::{self, Read as _};

/// MBR type: FAT12 or FAT16, addressed by sector numbers.
const FAT16: u8 = 0x0e;
/// MBR type: FAT32, addressed by sector numbers. Firmware looks for it.
pub(super) const FAT32: u8 = 0x0c;
/// MBR type: exFAT or NTFS.
const EXFAT_OR_NTFS: u8 = 0x07;
/// MBR type: a Linux file system.
pub(super) const LINUX: u8 = 0x83;

/// Clusters from which on a volume is FAT32 (Microsoft, "FAT: General Overview of On-Disk Format", 1.03, page 14).
const FAT32_CLUSTERS: u32 = 65_525;

/// The type of a partition with this file system: a Linux one where it is none of those that have a type of their own.
pub(super) fn of(source: &mut (impl io::Read + io::Seek)) -> io::Result<u8> {
    source.rewind()?;
    let mut sector = Vec::new();
    source.by_ref().take(512).read_to_end(&mut sector)?;
    Ok(of_boot_sector(&sector))
}

fn of_boot_sector(sector: &[u8]) -> u8 {
    // An ext file system leaves its first two sectors to others: what stands there may be an old boot sector. mke2fs clears
    // them.
    if sector.get(510..512) != Some(&[0x55, 0xaa]) {
        return LINUX;
    }
    match &sector[3..11] {
        b"EXFAT   " | b"NTFS    " => EXFAT_OR_NTFS,
        _ => fat(sector).unwrap_or(LINUX),
    }
}

/// The type of a FAT volume, by the count of its clusters: nothing else tells, by the specification.
fn fat(sector: &[u8]) -> Option<u8> {
    let half = |at: usize| u32::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
    let word = |at: usize| half(at) | half(at + 2) << 16;
    let either = |short: u32, long: u32| if short == 0 { long } else { short };
    let is_jump = matches!((sector[0], sector[2]), (0xeb, 0x90) | (0xe9, _));
    let (bytes, sectors_per_cluster) = (half(11), u32::from(sector[13]));
    let (reserved, tables, root) = (half(14), u32::from(sector[16]), half(17));
    let sane = is_jump
        && matches!(bytes, 512 | 1024 | 2048 | 4096)
        && sectors_per_cluster.is_power_of_two()
        && reserved > 0
        && tables > 0;
    if !sane {
        return None;
    }
    let (sectors, table) = (either(half(19), word(32)), either(half(22), word(36)));
    let overhead = tables.checked_mul(table)?.checked_add(reserved + (32 * root).div_ceil(bytes))?;
    let clusters = sectors.checked_sub(overhead)? / sectors_per_cluster;
    match clusters {
        0 => None,
        FAT32_CLUSTERS.. => Some(FAT32),
        _ => Some(FAT16),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use fatfs::{FatType, FormatVolumeOptions, format_volume};

    use super::*;

    fn volume(kind: FatType, size: usize) -> Vec<u8> {
        let mut volume = Cursor::new(vec![0; size]);
        format_volume(&mut volume, FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(512)).unwrap();
        volume.into_inner()
    }

    #[test]
    fn a_fat_volume_has_the_type_of_its_width() {
        for (kind, size, expected) in
            [(FatType::Fat12, 1 << 20, FAT16), (FatType::Fat16, 16 << 20, FAT16), (FatType::Fat32, 40 << 20, FAT32)]
        {
            assert_eq!(of(&mut Cursor::new(volume(kind, size))).unwrap(), expected, "{kind:?}");
        }
    }

    #[test]
    fn exfat_and_ntfs_share_a_type_and_all_else_is_linux() {
        let mut sector = vec![0; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(of_boot_sector(&sector), LINUX);
        for name in [b"EXFAT   ", b"NTFS    "] {
            sector[3..11].copy_from_slice(name);
            assert_eq!(of_boot_sector(&sector), EXFAT_OR_NTFS);
        }
        sector[510] = 0;
        assert_eq!(of_boot_sector(&sector), LINUX);
        for short in [0, 1, 511] {
            assert_eq!(of(&mut Cursor::new(vec![0xeb; short])).unwrap(), LINUX);
        }
    }

    #[test]
    fn a_boot_sector_of_nonsense_is_no_fat_and_no_panic() {
        let good = volume(FatType::Fat16, 16 << 20)[..512].to_vec();
        assert_eq!(of_boot_sector(&good), FAT16);
        for (at, byte) in [(0, 0), (11, 1), (12, 0xff), (13, 0), (13, 3), (14, 0), (16, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(of_boot_sector(&bad), LINUX, "{at}");
        }
        for at in 0..512 {
            for byte in [0x00, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                of_boot_sector(&bad);
            }
        }
        let mut all = vec![0xff; 512];
        all[..3].copy_from_slice(&[0xeb, 0, 0x90]);
        all[510..].copy_from_slice(&[0x55, 0xaa]);
        all[11..14].copy_from_slice(&[0, 2, 1]);
        assert_eq!(of_boot_sector(&all), LINUX);
    }
}
