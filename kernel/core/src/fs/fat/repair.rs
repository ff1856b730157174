//! What a power cut left half done, or who pulled a card out of a PC, is mended when the file system is mounted to be written.
//!
//! ```text
//! Survey     directories, as often as need be: two names for one file, directories that lead nowhere
//! Mending    files and directories once more: sizes and chains, `.` and `..`, parts of long names without a file
//! sweep      the table: clusters that nobody has become free
//! finish     copies of the table, the number of free clusters; then the mark that somebody writes goes
//! ```
//!
//! **What is believed.** Directory entries first: what no entry leads to was never synced under a name, as
//! [commits](super::commit) put entries behind what they name and take clusters back behind that. It is not kept in a file
//! as `fsck.fat` can do. Of others' systems that is not true: one that writes the table, but not the directory, has lost the
//! file's name, and its clusters become free here.
//!
//! **Two names for one file** are half a rename. The order of commits has the new entry complete before the old one goes, and
//! what the new one's name stood for before is not to be had again: so the new one stays. Which it is, is told by the time of
//! birth, [a step of ten milliseconds](super::slot::renamed) later with each rename. An entry whose long name did not get
//! there stays only if no other has its own. Where nothing tells, as after a rename by others, that with more bytes stays. A
//! directory does not go below itself, whatever is newer.
//!
//! **Two files that share clusters** otherwise are none of ours. The first keeps all, the other ends where they meet:
//! directories before files, those nearer to the root before others.
//!
//! **Another power cut** in the middle is borne, whatever part of what was written is there: entries lose what is not theirs,
//! or nobody's; chains end where their entries say; only what nothing leads to becomes free, and nothing is used again before
//! the end. So the next repair finds less to do, and decides alike.
//!
//! **Bounds.** Three bits of memory for each cluster and 16 bytes for each directory; a list of directories instead of a
//! recursion; so many [passes](survey::MOST_PASSES), and [doubles](survey::MOST_DOUBLES). What has no memory, no bounds or no
//! sense (a directory without `.` and `..`) is not mended but mounted to be read: to write to a file with two names would be
//! to lose it by removing the other.

mod mending;
mod parts;
mod survey;

use ::alloc::vec::Vec;
use core::fmt;

use super::Fat;
use super::alloc::Changing;
use super::chain::Next;
use super::commit::Held;
use super::geometry::FIRST_CLUSTER;
use super::node::Node;
use super::pending::BLOCK_BYTES;
use crate::fs::block::BLOCK_SIZE;
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::hal::Cpu;

/// What became of a file system that had not been unmounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It is mounted to be read, so nothing was done about it.
    Unrepaired,
    /// It was mended: there was at least one thing to do.
    Repaired(Repairs),
    /// It could not be, and is to be read only.
    Failed(FileError),
}

/// What was mended, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Repairs {
    /// Second names of files and directories, taken away.
    pub names: u32,
    /// Directories without clusters, taken away.
    pub directories: u32,
    /// Files that became as long as their clusters.
    pub shortened: u32,
    /// Chains that became as long as their files, or ended where they broke.
    pub chains: u32,
    /// What a directory says of itself or of that above.
    pub dots: u32,
    /// Parts of long names without a file.
    pub parts: u32,
    /// Clusters that became free.
    pub lost: u32,
    /// Blocks of the table's copies.
    pub copies: u32,
    /// Whether the number of free clusters was wrong before.
    pub count: u32,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrepaired => f.write_str("was not unmounted; it is mounted to be read, so nothing is repaired"),
            Self::Failed(error) => write!(f, "was not unmounted; it cannot be repaired ({error}), so it is read only"),
            Self::Repaired(repairs) => write!(f, "was not unmounted; repaired{repairs}"),
        }
    }
}

impl fmt::Display for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.names, "second names"),
            (self.directories, "empty directories"),
            (self.shortened, "files too long"),
            (self.chains, "chains"),
            (self.dots, "dots"),
            (self.parts, "parts of names"),
            (self.lost, "lost clusters"),
            (self.copies, "blocks of copies"),
            (self.count, "wrong number of free clusters"),
        ];
        let mut mark = ':';
        for (count, what) in all.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{mark} {count} {what}")?;
            mark = ',';
        }
        Ok(())
    }
}

fn one_more(count: &mut u32) {
    *count = count.saturating_add(1);
}

impl<C: Cpu> Fat<C> {
    /// Mends what was not unmounted, if it is to be. Nobody uses a file of it, but its root.
    ///
    /// # Errors
    ///
    /// [`Busy`](FileError::Busy) where somebody does; [`OutOfMemory`](FileError::OutOfMemory), [`Io`](FileError::Io);
    /// [`Damaged`](FileError::Damaged) for what is beyond this. It is as it was then, or partly mended, and still marked.
    pub(super) fn repair(&self, root: &Node<C>) -> Result<(), FileError> {
        let mut changing = self.changing.lock();
        if !changing.was_marked {
            return Ok(());
        }
        // All ways to a file begin here, so none is found meanwhile.
        let _root = root.chain.lock();
        if !self.nodes.lock().is_empty() {
            return Err(FileError::Busy);
        }
        self.names.forget_all();
        let outcome = self.repair_all(&mut changing);
        // What could not be written must not be written later.
        self.drop_blocks();
        let repairs = outcome?;
        if repairs != Repairs::default() {
            (self.needs.report)(self.device, Finding::Repaired(repairs));
        }
        Ok(())
    }

    fn repair_all(&self, changing: &mut Changing) -> Result<Repairs, FileError> {
        let mut repair = Repair::new(self)?;
        repair.survey()?;
        repair.mend()?;
        // Nothing leads to what is freed now.
        self.settle()?;
        self.volume.flush()?;
        let free = repair.sweep()?;
        self.settle()?;
        repair.compare_copies()?;
        let were_free = free.saturating_sub(repair.found.lost);
        repair.found.count = u32::from(self.noted_free()?.is_some_and(|noted| noted != were_free));
        changing.free = Some(free);
        self.note_free(changing)?;
        self.volume.flush()?;
        (changing.was_marked, changing.is_marked) = (false, true);
        self.sync_all(changing).inspect_err(|_| changing.was_marked = true)?;
        Ok(repair.found)
    }

    /// Gives all that waits to the cache: a repair's changes may be written in any order.
    fn settle(&self) -> Result<(), FileError> {
        self.write_directories(Held::Gone)?;
        self.write_table()?;
        self.drop_blocks();
        Ok(())
    }

    /// The same where much waits.
    fn settle_some(&self) -> Result<(), FileError> {
        let is_full = self.pending.lock().is_full();
        if is_full { self.settle() } else { Ok(()) }
    }
}

/// A bit for each cluster.
struct Bits(Vec<u64>);

impl Bits {
    fn new(end: u32) -> Result<Self, FileError> {
        let words = usize::try_from(end.div_ceil(u64::BITS)).map_err(|_| FileError::OutOfMemory)?;
        let mut bits = Vec::new();
        bits.try_reserve_exact(words).map_err(|_| FileError::OutOfMemory)?;
        bits.resize(words, 0);
        Ok(Self(bits))
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn has(&self, cluster: u32) -> bool {
        let word = self.0.get(cluster as usize / 64).copied().unwrap_or(0);
        word >> (cluster % u64::BITS) & 1 != 0
    }

    /// Sets one. Says whether it was not.
    fn set(&mut self, cluster: u32) -> bool {
        let Some(word) = self.0.get_mut(cluster as usize / 64) else { return false };
        let before = *word;
        *word |= 1 << (cluster % u64::BITS);
        *word != before
    }
}

/// A directory that there is a way to.
#[derive(Clone, Copy)]
struct Directory {
    /// 0 for a root without clusters.
    first: u32,
    /// The index of that above.
    above: u32,
    /// Where its entry is.
    place: u64,
}

/// A repair in progress.
struct Repair<'a, C: Cpu> {
    fs: &'a Fat<C>,
    /// Clusters that somebody has.
    owned: Bits,
    /// The root first, and each behind that above.
    directories: Vec<Directory>,
    found: Repairs,
}

impl<'a, C: Cpu> Repair<'a, C> {
    fn new(fs: &'a Fat<C>) -> Result<Self, FileError> {
        if !fs.needs.pages.has_room() {
            return Err(FileError::OutOfMemory);
        }
        let owned = Bits::new(fs.geometry.end_cluster())?;
        Ok(Self { fs, owned, directories: Vec::new(), found: Repairs::default() })
    }

    /// Takes a chain, up to `wanted` clusters of it, as far as it is nobody else's; and ends it there. Says how many it took.
    fn claim(&mut self, first: u32, wanted: u64) -> Result<u64, FileError> {
        let fs = self.fs;
        let mut clusters = 0_u64;
        let mut last = None;
        let mut at = first;
        while clusters < wanted && fs.geometry.has(at) {
            let entry = fs.entry(at)?;
            if entry == 0 || entry == fs.geometry.width.unusable() || !self.owned.set(at) {
                break;
            }
            let next = fs.meaning(entry);
            clusters = clusters.saturating_add(1);
            last = Some((at, next));
            let Next::Cluster(next) = next else { break };
            at = next;
        }
        if let Some((last, next)) = last
            && next != Next::End
        {
            one_more(&mut self.found.chains);
            fs.settle_some()?;
            fs.hold_entry(last)?;
            fs.set_entry(last, fs.geometry.width.end());
        }
        Ok(clusters)
    }

    /// Frees what nobody has. Says how many clusters are free then.
    fn sweep(&mut self) -> Result<u32, FileError> {
        let fs = self.fs;
        let mut free = 0_u32;
        let mut outcome = Ok(());
        fs.each_entry(FIRST_CLUSTER, fs.geometry.end_cluster(), &mut |cluster, entry| {
            if entry == 0 {
                one_more(&mut free);
            } else if !self.owned.has(cluster) && entry != fs.geometry.width.unusable() {
                outcome = fs.settle_some().and_then(|()| fs.hold_entry(cluster));
                if outcome.is_err() {
                    return Visit::Enough;
                }
                fs.set_entry(cluster, 0);
                one_more(&mut free);
                one_more(&mut self.found.lost);
            }
            Visit::More
        })?;
        outcome.map(|()| free)
    }

    /// Makes all copies of the table like that which is read.
    fn compare_copies(&mut self) -> Result<(), FileError> {
        let (fs, tables) = (self.fs, self.fs.geometry.tables);
        let mut offset = 0;
        while offset < tables.bytes {
            let at = fs.geometry.table.saturating_add(offset);
            let mut right = [0; BLOCK_SIZE];
            fs.volume.read_at(at, &mut right)?;
            for copy in 1..tables.count {
                let at = at.saturating_add(copy.saturating_mul(tables.bytes));
                let mut other = [0; BLOCK_SIZE];
                fs.volume.read_at(at, &mut other)?;
                if other != right {
                    one_more(&mut self.found.copies);
                    fs.volume.write_at(at, &right)?;
                }
            }
            offset = offset.saturating_add(BLOCK_BYTES);
        }
        Ok(())
    }
}
