//! The bytes of a file, cluster by cluster.

use ::alloc::vec::Vec;

use super::alloc::Loose;
use super::chain::Next;
use super::node::Node;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::offset::ParkedGuard;
use crate::fs::transfer::Writer;
use crate::hal::Cpu;

const PAGE: u64 = PAGE_SIZE as u64;
/// The longest file.
const MOST_BYTES: u64 = u32::MAX as u64;

/// What is known of a file's chain.
pub(super) struct Chain {
    /// The index of the cluster that was looked for last, and its number: mostly one goes on from there.
    found: (u64, u32),
}

impl Chain {
    pub(super) const fn new(first: u32) -> Self {
        Self { found: (0, first) }
    }
}

/// A file's length, and its first cluster; 0 for none.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) size: u32,
    first_cluster: u32,
}

/// How many bytes may be written at `at`.
pub(super) fn room(at: u64, writer: Writer) -> Result<usize, FileError> {
    match (MOST_BYTES.saturating_sub(at), writer.limit.saturating_sub(at)) {
        (0, _) => Err(FileError::TooLarge),
        (_, 0) => Err(FileError::Limit),
        (room, allowed) => Ok(usize::try_from(room.min(allowed)).unwrap_or(usize::MAX)),
    }
}

/// Whether a file may become `bytes` bytes long.
pub(super) fn check_length(bytes: u64, writer: Writer) -> Result<(), FileError> {
    if bytes > MOST_BYTES {
        Err(FileError::TooLarge)
    } else if bytes > writer.limit {
        Err(FileError::Limit)
    } else {
        Ok(())
    }
}

/// A page's worth of bytes on their way.
pub(super) fn buffer() -> Result<Vec<u8>, FileError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PAGE_SIZE).map_err(|_| FileError::OutOfMemory)?;
    buffer.resize(PAGE_SIZE, 0);
    Ok(buffer)
}

/// How many of `wanted` bytes from `at` on are in one page.
pub(super) fn piece(at: u64, wanted: u64) -> usize {
    usize::try_from(wanted.min(PAGE.saturating_sub(at % PAGE))).unwrap_or(PAGE_SIZE)
}

impl<C: Cpu> Node<C> {
    /// Fills `into` from `at` on; with zeroes behind the end.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let mut chain = self.chain.lock();
        self.read_locked(&mut chain, at, into)
    }

    pub(super) fn read_locked(&self, chain: &mut Chain, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let left = usize::try_from(u64::from(self.size()).saturating_sub(at)).unwrap_or(usize::MAX);
        let (mut rest, behind) = into.split_at_mut(left.min(into.len()));
        behind.fill(0);
        let mut at = at;
        while !rest.is_empty() {
            let (index, offset, count) = self.in_cluster(at, rest.len());
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            let place = self.fs.geometry.place(self.cluster(chain, index)?);
            self.fs.volume.read_at(place.saturating_add(offset), now)?;
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    /// Puts `bytes` at `at`, which is not behind the end, and makes the file longer if need be. Says how many were put.
    ///
    /// # Errors
    ///
    /// Only when none was.
    pub(super) fn put(&self, at: u64, bytes: &[u8]) -> Result<usize, FileError> {
        let mut chain = self.chain.lock();
        let mut rest = bytes;
        let mut here = at;
        while !rest.is_empty() {
            let (index, offset, count) = self.in_cluster(here, rest.len());
            let (now, then) = rest.split_at(count);
            let put = self.cluster_or_new(&mut chain, index).and_then(|cluster| {
                self.fs.volume.write_at(self.fs.geometry.place(cluster).saturating_add(offset), now)
            });
            match put {
                Ok(()) => {}
                Err(error) if here == at => return Err(error),
                Err(_) => break,
            }
            (rest, here) = (then, here.saturating_add(count as u64));
        }
        let count = bytes.len().saturating_sub(rest.len());
        self.update_mapped(at, bytes.get(..count).unwrap_or_default());
        let mut state = self.state.lock();
        state.size = state.size.max(u32::try_from(here).unwrap_or(u32::MAX));
        Ok(count)
    }

    /// Makes the file longer, with zeroes: there are no holes. The caller notes it, or takes it back.
    pub(super) fn lengthen(&self, to: u64) -> Result<(), FileError> {
        const ZEROES: &[u8; PAGE_SIZE] = &[0; PAGE_SIZE];
        let mut at = u64::from(self.size());
        self.check_room(at, to)?;
        while at < to {
            let count = piece(at, to.saturating_sub(at));
            at = at.saturating_add(self.put(at, ZEROES.get(..count).unwrap_or_default())? as u64);
        }
        Ok(())
    }

    /// Whether there are clusters for what makes a file of `from` bytes one of `to`: not to be found out by writing zeroes until
    /// the disk is full.
    fn check_room(&self, from: u64, to: u64) -> Result<(), FileError> {
        let more = self.fs.geometry.clusters_of(to).saturating_sub(self.fs.geometry.clusters_of(from));
        let mut chain = self.chain.lock();
        let mut changing = self.fs.change()?;
        if more <= self.fs.free_clusters(&mut changing)?.into() {
            return Ok(());
        }
        if self.fs.freed.lock().len() > 0 {
            self.fs.commit(&mut changing)?;
        }
        // Others may have left more clusters with the file than it needs.
        let has_more = if from == 0 { self.extent().first_cluster != 0 } else { self.cut(&mut chain, from)?.is_some() };
        let free = self.fs.free_clusters(&mut changing)?;
        if has_more || more <= free.into() { Ok(()) } else { Err(FileError::NoSpace) }
    }

    /// How long it is, and where it begins: as its entry says, while nobody writes.
    pub(super) fn extent(&self) -> Extent {
        let state = self.state.lock();
        Extent { size: state.size, first_cluster: state.first_cluster }
    }

    /// Makes the file shorter, and notes it. What is cut off is free once nothing on the disk leads there.
    pub(super) fn shorten(&self, to: u32) -> Result<(), FileError> {
        let mut chain = self.chain.lock();
        let _changing = self.fs.change()?;
        // All that can fail comes first: what is cut off must not stay in the entry.
        if let Some(place) = self.place() {
            self.fs.hold_slot(place)?;
        }
        self.cut_off(&mut chain, to)?;
        self.note_contents()
    }

    /// Notes what was written; where that fails, the file is as long as its entry says.
    pub(super) fn note_written(&self, before: Extent) -> Result<(), FileError> {
        let noted = self.fs.change().and_then(|_changing| self.note_contents());
        noted.inspect_err(|_| self.take_back(before))
    }

    /// What came to the file since its entry was written is not part of it any more. It asks for no memory. Where the disk fails,
    /// clusters are lost to who checks it.
    pub(super) fn take_back(&self, before: Extent) {
        let mut chain = self.chain.lock();
        let _changing = self.fs.changing.lock();
        if before.size > 0 || before.first_cluster == 0 {
            let _shorter = self.cut_off(&mut chain, before.size);
        } else {
            self.state.lock().size = 0;
        }
    }

    /// The caller may change the file system.
    fn cut_off(&self, chain: &mut Chain, to: u32) -> Result<(), FileError> {
        self.fs.freed.lock().expect()?;
        let cut = self.cut(chain, to.into()).inspect_err(|_| self.fs.freed.lock().forget())?;
        let first = {
            let mut state = self.state.lock();
            state.size = to;
            if to == 0 { core::mem::take(&mut state.first_cluster) } else { state.first_cluster }
        };
        let mut freed = self.fs.freed.lock();
        match cut {
            _ if to == 0 && first == 0 => freed.forget(),
            _ if to == 0 => {
                freed.push(Loose::Chain(first));
                *chain = Chain::new(0);
            }
            Some((last, next)) => freed.push(Loose::Behind(last, next)),
            None => freed.forget(),
        }
        Ok(())
    }

    /// Where a chain is to be cut that shall have `to` bytes, not none: its last cluster, and what follows that.
    fn cut(&self, chain: &mut Chain, to: u64) -> Result<Option<(u32, u32)>, FileError> {
        let Some(last) = self.fs.geometry.clusters_of(to).checked_sub(1) else { return Ok(None) };
        if self.state.lock().first_cluster == 0 {
            return Ok(None);
        }
        let cluster = self.cluster(chain, last)?;
        match self.fs.next(cluster)? {
            Next::Cluster(next) => Ok(Some((cluster, next))),
            Next::End | Next::Free | Next::Bad => Ok(None),
        }
    }

    /// The cluster that a byte is in, where in it, and how many of `wanted` bytes are there.
    fn in_cluster(&self, at: u64, wanted: usize) -> (u64, u64, usize) {
        let bytes = u64::from(self.fs.geometry.cluster_bytes);
        let offset = at.checked_rem(bytes).unwrap_or(0);
        let count = usize::try_from(bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(wanted);
        (at.checked_div(bytes).unwrap_or(0), offset, count)
    }

    /// From where the cluster with this index is to be looked for.
    fn nearest(&self, chain: &Chain, index: u64) -> (u64, u32) {
        if chain.found.0 <= index { chain.found } else { (0, self.state.lock().first_cluster) }
    }

    /// The cluster with this index in the file.
    fn cluster(&self, chain: &mut Chain, index: u64) -> Result<u32, FileError> {
        let (from, cluster) = self.nearest(chain, index);
        let cluster = self.fs.walk(cluster, index.saturating_sub(from))?;
        chain.found = (index, cluster);
        Ok(cluster)
    }

    /// The same; where the chain ends before, it is made longer.
    fn cluster_or_new(&self, chain: &mut Chain, index: u64) -> Result<u32, FileError> {
        if index >= self.fs.geometry.clusters_of(self.size().into()) {
            self.finish_cut(chain)?;
        }
        let (mut at, mut cluster) = self.nearest(chain, index);
        if cluster == 0 {
            let mut changing = self.fs.change()?;
            cluster = self.fs.allocate(&mut changing, None)?;
            self.state.lock().first_cluster = cluster;
            at = 0;
        }
        if !self.fs.geometry.has(cluster) {
            return Err(FileError::Io);
        }
        while at < index {
            cluster = match self.fs.next(cluster)? {
                Next::Cluster(next) => next,
                Next::End => self.append_cluster(cluster)?,
                Next::Free | Next::Bad => return Err(FileError::Io),
            };
            at = at.saturating_add(1);
        }
        chain.found = (index, cluster);
        Ok(cluster)
    }

    /// What was cut off still follows in the table as long as the disk may have the file's old length. It must not come to be
    /// part of the file again: it is about to be free, whoever uses the file by then.
    fn finish_cut(&self, chain: &mut Chain) -> Result<(), FileError> {
        // Mostly there is nothing to look for.
        if self.fs.freed.lock().len() == 0 {
            return Ok(());
        }
        let Some(last) = self.fs.geometry.clusters_of(self.size().into()).checked_sub(1) else { return Ok(()) };
        if self.state.lock().first_cluster == 0 {
            return Ok(());
        }
        let last = self.cluster(chain, last)?;
        if self.fs.freed.lock().has_behind(last) {
            let mut changing = self.fs.change()?;
            self.fs.commit(&mut changing)?;
        }
        Ok(())
    }

    /// Puts a cluster more behind `last`, which ends the chain.
    fn append_cluster(&self, last: u32) -> Result<u32, FileError> {
        let mut changing = self.fs.change()?;
        let next = self.fs.allocate(&mut changing, Some(last))?;
        self.fs.link(last, next).inspect_err(|_| self.fs.unallocate(&mut changing, next))?;
        Ok(next)
    }

    /// What programs have mapped has the bytes that were written, too.
    fn update_mapped(&self, at: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            let (now, then) = rest.split_at(piece(at, rest.len() as u64));
            if let Some(frame) = self.mapped_page(at / PAGE) {
                self.fs.needs.pages.write(frame, usize::try_from(at % PAGE).unwrap_or(0), now);
                self.fs.needs.pages.release(frame);
            }
            (rest, at) = (then, at.saturating_add(now.len() as u64));
        }
    }

    /// The same where the file has become shorter: zeroes, and no pages behind the end. Programs' memory is asked for, so no
    /// lock but `writing` is held.
    pub(super) fn cut_mapped(&self, to: u64) {
        const ZEROES: &[u8; PAGE_SIZE] = &[0; PAGE_SIZE];
        let first_gone = to.div_ceil(PAGE);
        let offset = usize::try_from(to % PAGE).unwrap_or(0);
        if offset != 0 {
            self.update_mapped(to, ZEROES.get(offset..).unwrap_or_default());
        }
        let gone = self.mapped.lock().split_off(&first_gone);
        if gone.is_empty() {
            return;
        }
        gone.into_values().for_each(|frame| self.fs.needs.pages.release(frame));
        self.fs.needs.mappings.forget(self.object, first_gone, u64::MAX, true);
    }

    /// The frame of a page that is mapped, with one more reference.
    pub(super) fn mapped_page(&self, index: u64) -> Option<PhysFrame> {
        let mapped = self.mapped.lock();
        let frame = *mapped.get(&index)?;
        self.fs.needs.pages.add_reference(frame);
        Some(frame)
    }

    /// Waits until nobody else writes to it.
    pub(super) fn alone(&self) -> ParkedGuard<'_, ()> {
        self.writing.lock()
    }
}
