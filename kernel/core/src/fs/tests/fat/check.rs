//! A checker of images that knows nothing of the file system that is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString as _};
use std::vec::Vec;

/// What is on an image.
#[derive(Default, Debug)]
pub(super) struct Report {
    /// Files with their contents, directories without.
    pub(super) tree: BTreeMap<String, Option<Vec<u8>>>,
    /// What a repair would lose bytes for.
    pub(super) damage: Vec<String>,
    /// What costs nothing but room, or is to be tidied up.
    pub(super) untidy: Vec<String>,
    /// Whether it says that it was unmounted.
    pub(super) clean: bool,
}

struct Image<'a> {
    bytes: &'a [u8],
    bits: usize,
    table: usize,
    table_bytes: usize,
    data: usize,
    cluster: usize,
    clusters: usize,
    root: Root,
}

#[derive(Clone, Copy)]
enum Root {
    Fixed(usize, usize),
    Chain(usize),
}

fn number(bytes: &[u8], at: usize, count: usize) -> usize {
    (0..count).map(|byte| usize::from(bytes[at + byte]) << (8 * byte)).sum()
}

impl<'a> Image<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let sector = number(bytes, 11, 2);
        let reserved = number(bytes, 14, 2);
        let entries = number(bytes, 17, 2);
        let narrow = number(bytes, 22, 2);
        let table_sectors = if narrow == 0 { number(bytes, 36, 4) } else { narrow };
        let total = if number(bytes, 19, 2) == 0 { number(bytes, 32, 4) } else { number(bytes, 19, 2) };
        let root_at = (reserved + 2 * table_sectors) * sector;
        let data = root_at + entries * 32;
        let cluster = sector * usize::from(bytes[13]);
        let clusters = (total * sector - data) / cluster;
        let bits = match (narrow, clusters) {
            (0, _) => 32,
            (_, ..4085) => 12,
            _ => 16,
        };
        let root = if bits == 32 { Root::Chain(number(bytes, 44, 4)) } else { Root::Fixed(root_at, data) };
        let table = reserved * sector;
        Self { bytes, bits, table, table_bytes: table_sectors * sector, data, cluster, clusters, root }
    }

    /// What the first table says of a cluster, with ends of chains as `None`.
    fn entry(&self, cluster: usize) -> Option<usize> {
        let end = match self.bits {
            12 => 0xff8,
            16 => 0xfff8,
            _ => 0x0fff_fff8,
        };
        Some(self.raw(cluster)).filter(|&entry| entry < end)
    }

    fn raw(&self, cluster: usize) -> usize {
        match self.bits {
            12 => number(self.bytes, self.table + cluster * 3 / 2, 2) >> (cluster % 2 * 4) & 0xfff,
            16 => number(self.bytes, self.table + cluster * 2, 2),
            _ => number(self.bytes, self.table + cluster * 4, 4) & 0x0fff_ffff,
        }
    }

    fn has(&self, cluster: usize) -> bool {
        (2..self.clusters + 2).contains(&cluster)
    }

    fn cluster_bytes(&self, cluster: usize) -> &'a [u8] {
        let at = self.data + (cluster - 2) * self.cluster;
        &self.bytes[at..at + self.cluster]
    }

    /// The clusters of a chain, and whether it ends as it should.
    fn chain(&self, first: usize) -> (Vec<usize>, bool) {
        let mut all = Vec::new();
        let mut at = first;
        loop {
            if !self.has(at) || all.len() > self.clusters {
                return (all, false);
            }
            if self.raw(at) == 0 {
                return (all, false);
            }
            all.push(at);
            match self.entry(at) {
                None => return (all, true),
                Some(next) => at = next,
            }
        }
    }
}

/// Looks at all of it.
pub(super) fn check(bytes: &[u8]) -> Report {
    let image = Image::new(bytes);
    let mut report = Report::default();
    let (state, bit) = if image.bits == 32 { (65, 0x0800_0000) } else { (37, 0x8000) };
    report.clean = bytes[state] & 1 == 0;
    if image.bits != 12 && (image.raw(1) & bit != 0) != report.clean {
        report.untidy.push("the table and the boot sector do not agree".into());
    }
    let tables = &bytes[image.table..];
    if tables[..image.table_bytes] != tables[image.table_bytes..2 * image.table_bytes] {
        report.untidy.push("tables differ".into());
    }
    let mut owner = BTreeMap::new();
    let mut tails = BTreeSet::new();
    let mut todo = std::vec![(String::new(), image.root, 0, 0)];
    if let Root::Chain(first) = image.root {
        image.chain(first).0.into_iter().for_each(|cluster| drop(owner.insert(cluster, "/".into())));
    }
    while let Some((path, root, own, above)) = todo.pop() {
        let entries = match root {
            Root::Fixed(start, end) => bytes[start..end].to_vec(),
            Root::Chain(first) => {
                image.chain(first).0.iter().flat_map(|at| image.cluster_bytes(*at)).copied().collect()
            }
        };
        directory(&image, &path, [own, above], &entries, &mut report, &mut |report, child, first, size| {
            let (chain, ends) = image.chain(first);
            let needed = size.map_or(chain.len(), |size: usize| size.div_ceil(image.cluster));
            if size.is_none() && (!ends || chain.is_empty()) || chain.len() < needed {
                report.damage.push(std::format!("{child}: its chain is too short: {} of {needed}", chain.len()));
            } else if chain.len() > needed || !ends && first != 0 {
                report.untidy.push(std::format!("{child}: its chain is too long"));
            }
            for cluster in chain.iter().take(needed) {
                if let Some(other) = owner.insert(*cluster, child.clone()) {
                    report.damage.push(std::format!("{child} and {other} share cluster {cluster}"));
                }
            }
            tails.extend(chain.iter().skip(needed).copied());
            match size {
                // A directory in a circle is seen once.
                None if report.tree.len() > image.clusters => {}
                None => todo.push((child, Root::Chain(first), first, own)),
                Some(size) => {
                    let all = chain.iter().take(needed).flat_map(|at| image.cluster_bytes(*at)).copied();
                    report.tree.insert(child, Some(all.take(size).collect()));
                }
            }
        });
    }
    for cluster in 2..image.clusters + 2 {
        let is_used = owner.contains_key(&cluster) || tails.contains(&cluster);
        let is_bad = image.raw(cluster) == (1 << image.bits.min(28)) - 9;
        if image.raw(cluster) != 0 && !is_used && !is_bad {
            report.untidy.push(std::format!("cluster {cluster} is lost"));
        }
    }
    let free = (2..image.clusters + 2).filter(|cluster| image.raw(*cluster) == 0).count();
    if image.bits == 32 && number(bytes, 512 + 488, 4) != free {
        report.untidy.push("the number of free clusters is wrong".into());
    }
    report
}

type Found<'a> = dyn FnMut(&mut Report, String, usize, Option<usize>) + 'a;

fn directory(
    image: &Image<'_>,
    path: &str,
    dots: [usize; 2],
    entries: &[u8],
    report: &mut Report,
    found: &mut Found<'_>,
) {
    let mut long: Vec<(u8, u8, Vec<u16>)> = Vec::new();
    let mut names = BTreeSet::new();
    let mut shorts = BTreeSet::new();
    for slot in entries.chunks(32) {
        match slot[0] {
            0 => break,
            0xe5 => {
                if !long.is_empty() {
                    report.untidy.push(std::format!("{path}: part of a long name without a file"));
                }
                long.clear();
                continue;
            }
            _ => {}
        }
        if slot[11] & 0x3f == 0x0f {
            let units = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
            let units = units.map(|at| u16::from_le_bytes([slot[at], slot[at + 1]])).to_vec();
            long.push((slot[0], slot[13], units));
            continue;
        }
        if slot[11] & 8 != 0 {
            continue;
        }
        let first = number(slot, 26, 2) | if image.bits == 32 { number(slot, 20, 2) << 16 } else { 0 };
        if &slot[..11] == b".          " {
            if first != dots[0] {
                report.damage.push(std::format!("{path}: . is {first}"));
            }
            continue;
        }
        if &slot[..11] == b"..         " {
            if first != dots[1] {
                report.untidy.push(std::format!("{path}: .. is {first}"));
            }
            continue;
        }
        if !shorts.insert(slot[..11].to_vec()) {
            report.damage.push(std::format!("{path}: a short name comes twice"));
        }
        let sum = slot[..11].iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte));
        let count = u8::try_from(long.len()).unwrap();
        let is_whole = !long.is_empty()
            && long[0].0 == 0x40 | count
            && long.iter().zip((1..=count).rev()).all(|(part, order)| part.0 & 0x3f == order && part.1 == sum);
        let name = if is_whole {
            let units: Vec<u16> =
                long.iter().rev().flat_map(|part| part.2.clone()).take_while(|&unit| unit != 0).collect();
            String::from_utf16(&units).unwrap()
        } else {
            if !long.is_empty() {
                report.untidy.push(std::format!("{path}: a long name that belongs to nothing"));
            }
            let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_string();
            let (base, extension) = (part(&slot[..8]), part(&slot[8..11]));
            if extension.is_empty() { base } else { std::format!("{base}.{extension}") }
        };
        long.clear();
        let child = if path.is_empty() { name } else { std::format!("{path}/{name}") };
        if !names.insert(child.to_lowercase()) {
            report.damage.push(std::format!("{child}: there are two"));
        }
        let size = (slot[11] & 0x10 == 0).then(|| number(slot, 28, 4));
        if size.is_none() {
            report.tree.insert(child.clone(), None);
        }
        found(report, child, first, size);
    }
    if !long.is_empty() {
        report.untidy.push(std::format!("{path}: part of a long name without a file"));
    }
}

/// That nothing is wrong at all, by this checker and by the one that people have, if it is there.
pub(super) fn check_clean(bytes: &[u8]) -> Report {
    let report = check(bytes);
    assert!(report.damage.is_empty() && report.untidy.is_empty(), "{:?} {:?}", report.damage, report.untidy);
    assert!(report.clean);
    by_others(bytes);
    report
}

/// `fsck.fat -n`, where it is installed.
pub(super) fn by_others(bytes: &[u8]) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let tool = std::path::Path::new("/usr/sbin/fsck.fat");
    if cfg!(miri) || !tool.exists() {
        return;
    }
    let name = std::format!("tine-fat-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    let output = std::process::Command::new(tool).arg("-n").arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
}
