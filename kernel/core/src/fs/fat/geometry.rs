//! The boot sector: where table, root directory and data are.

use core::ops::Range;

/// What is no FAT file system, or a damaged one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFat;

/// How many bits an entry of the table has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// Where the root directory is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Root {
    /// Between the table and the data: these bytes.
    Fixed(Range<u64>),
    /// In clusters, this one first.
    Chain(u32),
}

/// Where everything is, in bytes from the beginning of the volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    pub(super) width: Width,
    pub(super) cluster_bytes: u32,
    /// Clusters are numbered from 2 on; this many there are.
    pub(super) clusters: u32,
    /// The table that is read: the first, unless the boot sector names another.
    pub(super) table: u64,
    /// How many there are behind each other that are kept alike.
    pub(super) tables: Tables,
    /// Where the numbers are that say how much is free, if there are any.
    pub(super) information: Option<u64>,
    /// Cluster 2.
    pub(super) data: u64,
    pub(super) root: Root,
}

/// Copies of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tables {
    /// How long each is, in bytes.
    pub(super) bytes: u64,
    /// How many are written.
    pub(super) count: u64,
}

/// The number of the first cluster.
pub(super) const FIRST_CLUSTER: u32 = 2;
/// Fewer clusters are FAT12, fewer than the second FAT16.
const FAT12_CLUSTERS: u32 = 4085;
const FAT16_CLUSTERS: u32 = 65525;
/// What 28 bits can number.
const FAT32_CLUSTERS: u32 = 0x0fff_fff5;
/// The largest cluster that anybody makes.
const MOST_CLUSTER_BYTES: u32 = 256 << 10;
const ENTRY_BYTES: u64 = 32;

fn half(sector: &[u8; 512], at: usize) -> u16 {
    sector.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half))
}

fn word(sector: &[u8; 512], at: usize) -> u32 {
    sector.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

impl Geometry {
    /// Reads the boot sector of a volume of `bytes` bytes.
    pub(super) fn parse(sector: &[u8; 512], bytes: u64) -> Result<Self, BadFat> {
        Self::checked(sector, bytes).ok_or(BadFat)
    }

    fn checked(sector: &[u8; 512], bytes: u64) -> Option<Self> {
        let sector_bytes = u32::from(half(sector, 11));
        let cluster_sectors = u32::from(sector.get(13).copied()?);
        let sizes_fit = matches!(sector_bytes, 512 | 1024 | 2048 | 4096) && cluster_sectors.is_power_of_two();
        let cluster_bytes = sector_bytes.checked_mul(cluster_sectors)?;
        if !sizes_fit || !sector.ends_with(&[0x55, 0xaa]) || cluster_bytes > MOST_CLUSTER_BYTES {
            return None;
        }
        let reserved = u64::from(half(sector, 14));
        let tables = u64::from(sector.get(16).copied()?);
        let root_bytes = u64::from(half(sector, 17)).checked_mul(ENTRY_BYTES)?;
        let small_total = half(sector, 19);
        let total = if small_total == 0 { word(sector, 32) } else { small_total.into() };
        let small_table = half(sector, 22);
        let table_sectors = if small_table == 0 { word(sector, 36) } else { small_table.into() };
        if reserved == 0 || tables == 0 || table_sectors == 0 {
            return None;
        }
        let sector_long = u64::from(sector_bytes);
        let table = reserved.checked_mul(sector_long)?;
        let table_bytes = u64::from(table_sectors).checked_mul(sector_long)?;
        let root = table.checked_add(table_bytes.checked_mul(tables)?)?;
        let data = root.checked_add(root_bytes.checked_next_multiple_of(sector_long)?)?;
        let end = u64::from(total).checked_mul(sector_long)?;
        if end > bytes {
            return None;
        }
        let clusters = end.checked_sub(data)?.checked_div(cluster_bytes.into())?;
        let clusters = u32::try_from(clusters).ok().filter(|&clusters| clusters > 0 && clusters <= FAT32_CLUSTERS)?;
        // As Linux has it: a FAT32 table has its size where others have none.
        let width = if small_table == 0 {
            Width::ThirtyTwo
        } else if clusters < FAT12_CLUSTERS {
            Width::Twelve
        } else if clusters < FAT16_CLUSTERS {
            Width::Sixteen
        } else {
            return None;
        };
        // What the table has no entry for is not there.
        let entries = table_bytes.checked_mul(8)?.checked_div(width.bits())?;
        let numbered = u32::try_from(entries).unwrap_or(u32::MAX).checked_sub(FIRST_CLUSTER)?;
        let clusters = clusters.min(numbered);
        let geometry = Self {
            width,
            cluster_bytes,
            clusters,
            table,
            tables: Tables { bytes: table_bytes, count: tables },
            information: None,
            data,
            root: Root::Fixed(root..data),
        };
        if width != Width::ThirtyTwo {
            return Some(geometry);
        }
        geometry.with_wide(sector, sector_long, reserved)
    }

    /// What only a FAT32's boot sector has.
    fn with_wide(self, sector: &[u8; 512], sector_bytes: u64, reserved: u64) -> Option<Self> {
        const ONE_TABLE: u16 = 0x80;
        let first = word(sector, 44);
        let flags = half(sector, 40);
        let information = Some(u64::from(half(sector, 48)))
            .filter(|&sector| sector != 0 && sector < reserved)
            .and_then(|sector| sector.checked_mul(sector_bytes));
        let (mut table, mut tables) = (self.table, self.tables);
        if flags & ONE_TABLE != 0 {
            let active = Some(u64::from(flags & 0xf)).filter(|&active| active < tables.count)?;
            table = table.checked_add(tables.bytes.checked_mul(active)?)?;
            tables.count = 1;
        }
        let geometry = Self { root: Root::Chain(first), table, tables, information, ..self };
        geometry.has(first).then_some(geometry)
    }

    /// Where the boot sector says whether it was unmounted.
    pub(super) const fn state_place(&self) -> u64 {
        match self.width {
            Width::Twelve | Width::Sixteen => 37,
            Width::ThirtyTwo => 65,
        }
    }

    /// Whether this is the number of a cluster.
    pub(super) fn has(&self, cluster: u32) -> bool {
        cluster.checked_sub(FIRST_CLUSTER).is_some_and(|index| index < self.clusters)
    }

    /// The number behind the last cluster.
    pub(super) const fn end_cluster(&self) -> u32 {
        self.clusters.saturating_add(FIRST_CLUSTER)
    }

    /// How many clusters `bytes` bytes take.
    pub(super) fn clusters_of(&self, bytes: u64) -> u64 {
        bytes.div_ceil(u64::from(self.cluster_bytes).max(1))
    }

    /// Where a cluster is that there is.
    pub(super) fn place(&self, cluster: u32) -> u64 {
        let index = u64::from(cluster.saturating_sub(FIRST_CLUSTER));
        self.data.saturating_add(index.saturating_mul(self.cluster_bytes.into()))
    }
}

impl Width {
    /// What stands for the end of a chain.
    pub(super) const fn end(self) -> u32 {
        match self {
            Self::Twelve => 0xfff,
            Self::Sixteen => 0xffff,
            Self::ThirtyTwo => 0x0fff_ffff,
        }
    }

    /// What stands for a cluster that does not hold what is written there.
    pub(super) const fn unusable(self) -> u32 {
        self.end() & !8
    }

    /// The bit of the second entry that is set as long as nobody writes; there is none where entries are short.
    pub(super) const fn clean_bit(self) -> u32 {
        match self {
            Self::Twelve => 0,
            Self::Sixteen => 0x8000,
            Self::ThirtyTwo => 0x0800_0000,
        }
    }

    /// What of a directory entry's cluster counts: the upper half is FAT32's only.
    pub(super) const fn cluster_mask(self) -> u32 {
        match self {
            Self::Twelve | Self::Sixteen => 0xffff,
            Self::ThirtyTwo => 0x0fff_ffff,
        }
    }

    pub(super) const fn bits(self) -> u64 {
        match self {
            Self::Twelve => 12,
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
        }
    }
}
