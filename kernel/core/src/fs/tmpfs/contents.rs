//! The bytes of a regular file.
//!
//! A page is one of three: of the file's own, the archive's, or a hole, which reads as zeroes and takes no memory. It
//! becomes one of the file's own when somebody writes to it, or maps it to be shared, or maps a hole. Behind the end of
//! the file its last page has zeroes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Tmpfs;
use super::store::Held;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::offset::{Parked, ParkedGuard};
use crate::fs::operations::{Allocation, Extent, Place};
use crate::fs::pages::{PageSource, Pages};
use crate::fs::transfer::{Sink, Source, Writer};
use crate::hal::Cpu;
use crate::paging::FewFrames;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};
use crate::vm::{PagerError, each_ready};

const PAGE: u64 = PAGE_SIZE as u64;
/// The longest file: offsets are signed.
const MOST_BYTES: u64 = i64::MAX.cast_unsigned();
/// How many bytes are on their way between a program and a page at a time.
const CHUNK: usize = 1024;
/// How many pages are taken out of a file with its pages locked once.
const BATCH: usize = 32;

pub(super) struct Contents<C: Cpu> {
    /// Held by whoever changes bytes or length.
    writing: Parked<()>,
    /// Changes with `frames` locked.
    size: AtomicU64,
    frames: SpinLock<Frames, C>,
    /// What the archive has.
    archived: Option<Pages>,
    /// Whether any program may have mapped it.
    mapped: AtomicBool,
}

struct Frames {
    own: BTreeMap<u64, Own>,
    /// How many of them are frames.
    count: u64,
    /// Up to here the archive's bytes are the file's where it has no page of its own: all, or whole pages.
    archive_end: u64,
}

/// What stands in the place of the archive's page, or of nothing.
#[derive(Clone, Copy)]
enum Own {
    Frame(PhysFrame),
    /// The archive has a page here, and the file none.
    Hole,
}

/// What a page is.
enum Page<'a> {
    Own(Held<'a>),
    Archived(&'static [u8]),
    Hole,
}

impl<C: Cpu> Contents<C> {
    /// Of an empty file.
    pub(super) fn new(fs: &Tmpfs<C>) -> Self {
        Self::with(fs, None)
    }

    /// Of a file that has what the archive has.
    pub(super) fn adopt(fs: &Tmpfs<C>, archived: Pages) -> Self {
        Self::with(fs, Some(archived))
    }

    fn with(fs: &Tmpfs<C>, archived: Option<Pages>) -> Self {
        let bytes = archived.as_ref().map_or(0, |pages| pages.contents().len() as u64);
        let frames = Frames { own: BTreeMap::new(), count: 0, archive_end: bytes };
        Self {
            writing: Parked::new(fs.needs.parking, ()),
            size: AtomicU64::new(bytes),
            frames: SpinLock::new(Rank::SharedMemory, frames),
            archived,
            mapped: AtomicBool::new(false),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// How many pages it has, those of the archive among them.
    pub(super) fn pages(&self) -> u64 {
        let frames = self.frames.lock();
        let archived = frames.archive_end.div_ceil(PAGE);
        let in_place = frames.own.range(..archived).count() as u64;
        archived.saturating_sub(in_place).saturating_add(frames.count)
    }

    /// Waits until nobody else changes it.
    pub(super) fn lock(&self) -> ParkedGuard<'_, ()> {
        self.writing.lock()
    }

    /// Somebody is going to map it.
    pub(super) fn note_mapping(&self) {
        self.mapped.store(true, Ordering::Release);
    }

    /// Reads from `at` on.
    pub(super) fn read(&self, fs: &Tmpfs<C>, at: u64, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let mut done = 0_usize;
        loop {
            let position = at.saturating_add(done as u64);
            let wanted = length(self.size().saturating_sub(position)).min(sink.room());
            if wanted == 0 {
                return Ok(done);
            }
            match self.read_piece(fs, position, wanted, sink) {
                Ok(0) => return Ok(done),
                Ok(count) => done = done.saturating_add(count),
                Err(error) if done == 0 => return Err(error),
                // The next call says so.
                Err(_) => return Ok(done),
            }
        }
    }

    /// Reads some of the `wanted` bytes at `at`, all of which are before the end.
    fn read_piece(&self, fs: &Tmpfs<C>, at: u64, wanted: usize, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if let Some(bytes) = self.untouched(at) {
            return Ok(sink.put(bytes.get(..wanted).unwrap_or(bytes))?);
        }
        let (index, offset) = place_of(at);
        let wanted = wanted.min(PAGE_SIZE.saturating_sub(offset)).min(CHUNK);
        match self.look(fs, index) {
            Page::Archived(bytes) => match bytes.get(offset..).filter(|rest| !rest.is_empty()) {
                Some(rest) => Ok(sink.put(rest.get(..wanted).unwrap_or(rest))?),
                None => put_zeroes(sink, wanted),
            },
            Page::Hole => put_zeroes(sink, wanted),
            Page::Own(page) => {
                let mut buffer = [0; CHUNK];
                let bytes = buffer.get_mut(..wanted).unwrap_or_default();
                fs.source().read(page.frame(), offset, bytes);
                Ok(sink.put(bytes)?)
            }
        }
    }

    /// The archive's bytes from `at` on, if the file has never been changed.
    fn untouched(&self, at: u64) -> Option<&'static [u8]> {
        let archived = self.archived.as_ref()?;
        let frames = self.frames.lock();
        let bytes = archived.contents().get(..length(frames.archive_end))?;
        bytes.get(length(at)..).filter(|rest| frames.own.is_empty() && !rest.is_empty())
    }

    fn look<'a>(&self, fs: &'a Tmpfs<C>, index: u64) -> Page<'a> {
        let frames = self.frames.lock();
        match frames.own.get(&index) {
            Some(Own::Frame(frame)) => Page::Own(Held::new(fs.source(), *frame)),
            Some(Own::Hole) => Page::Hole,
            None => self.archived_page(&frames, index).map_or(Page::Hole, Page::Archived),
        }
    }

    /// The archive's bytes of a page that the file has no own of.
    fn archived_page(&self, frames: &Frames, index: u64) -> Option<&'static [u8]> {
        let start = index.checked_mul(PAGE)?;
        let end = start.checked_add(PAGE)?.min(frames.archive_end);
        let bytes = self.archived.as_ref()?.contents().get(length(start)..length(end))?;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }

    /// Writes at `at`. The caller has the lock.
    pub(super) fn write(&self, fs: &Tmpfs<C>, at: u64, source: &mut dyn Source) -> Result<usize, FileError> {
        if source.left() == 0 {
            return Ok(0);
        }
        let most = room(at, source.writer())?.min(source.left());
        let mut page: Option<(u64, Held<'_>)> = None;
        let mut buffer = [0; CHUNK];
        let mut done = 0_usize;
        while done < most {
            let position = at.saturating_add(done as u64);
            match self.write_piece(fs, position, most.saturating_sub(done), source, &mut buffer, &mut page) {
                Ok(0) => break,
                Ok(count) => done = done.saturating_add(count),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes some of `wanted` bytes at `at`. The page stays at hand for the next piece.
    fn write_piece<'a>(
        &self,
        fs: &'a Tmpfs<C>,
        at: u64,
        wanted: usize,
        source: &mut dyn Source,
        buffer: &mut [u8; CHUNK],
        page: &mut Option<(u64, Held<'a>)>,
    ) -> Result<usize, FileError> {
        let (index, offset) = place_of(at);
        let wanted = wanted.min(PAGE_SIZE.saturating_sub(offset)).min(CHUNK);
        let count = source.take(buffer.get_mut(..wanted).unwrap_or_default())?;
        if page.as_ref().is_none_or(|(at_hand, _)| *at_hand != index) {
            *page = Some((index, self.own(fs, index, Reach::Anywhere)?));
        }
        if let Some((_, page)) = page {
            fs.source().write(page.frame(), offset, buffer.get(..count).unwrap_or_default());
        }
        self.lengthen(at.saturating_add(count as u64));
        Ok(count)
    }

    /// The page, as one of the file's own.
    fn own<'a>(&self, fs: &'a Tmpfs<C>, index: u64, reach: Reach) -> Result<Held<'a>, FileError> {
        match self.existing(fs, index) {
            Some(page) => Ok(page),
            None => self.make_own(fs, index, reach),
        }
    }

    fn existing<'a>(&self, fs: &'a Tmpfs<C>, index: u64) -> Option<Held<'a>> {
        match self.frames.lock().own.get(&index) {
            Some(Own::Frame(frame)) => Some(Held::new(fs.source(), *frame)),
            _ => None,
        }
    }

    /// Makes a page the file's own, unless somebody else does.
    fn make_own<'a>(&self, fs: &'a Tmpfs<C>, index: u64, reach: Reach) -> Result<Held<'a>, FileError> {
        loop {
            let archived = self.archived_bytes(index);
            let fresh = fs.allocate()?;
            if let Some(bytes) = archived {
                fs.source().write(fresh, 0, bytes);
            }
            let outcome = self.put(fs, index, fresh, archived, reach);
            if outcome.is_ok() {
                return outcome;
            }
            fs.free(fresh);
            if let Some(page) = self.existing(fs, index) {
                return Ok(page);
            }
            if reach == Reach::Within && index >= self.size().div_ceil(PAGE) {
                return outcome;
            }
        }
    }

    /// Puts `fresh`, a copy of what the archive had, in the place of a page, if that is as it was.
    fn put<'a>(
        &self,
        fs: &'a Tmpfs<C>,
        index: u64,
        fresh: PhysFrame,
        archived: Option<&'static [u8]>,
        reach: Reach,
    ) -> Result<Held<'a>, FileError> {
        let mut frames = self.frames.lock();
        let now = match frames.own.get(&index) {
            Some(Own::Frame(_)) => return Err(FileError::Stale),
            Some(Own::Hole) => None,
            None => self.archived_page(&frames, index),
        };
        let as_before = now.map(<[u8]>::as_ptr_range) == archived.map(<[u8]>::as_ptr_range);
        if !as_before || reach == Reach::Within && index >= self.size().div_ceil(PAGE) {
            return Err(FileError::Stale);
        }
        frames.own.insert(index, Own::Frame(fresh));
        frames.count = frames.count.saturating_add(1);
        Ok(Held::new(fs.source(), fresh))
    }

    fn archived_bytes(&self, index: u64) -> Option<&'static [u8]> {
        let frames = self.frames.lock();
        let hidden = frames.own.contains_key(&index);
        self.archived_page(&frames, index).filter(|_| !hidden)
    }

    fn lengthen(&self, to: u64) {
        let _frames = self.frames.lock();
        if self.size() < to {
            self.size.store(to, Ordering::Release);
        }
    }

    /// Makes it `to` bytes long. The caller has the lock. `object` is what mappings know the file by.
    pub(super) fn resize(&self, fs: &Tmpfs<C>, to: u64, writer: Writer, object: u64) -> Result<(), FileError> {
        let before = self.size();
        if to > before {
            if to > MOST_BYTES {
                return Err(FileError::TooLarge);
            }
            if to > writer.limit {
                return Err(FileError::Limit);
            }
            self.lengthen(to);
            return Ok(());
        }
        let (last, offset) = place_of(to);
        if offset != 0 && to < before {
            self.clear(fs, Place { start: to, end: last.saturating_add(1).saturating_mul(PAGE) })?;
        }
        let first_gone = to.div_ceil(PAGE);
        {
            let mut frames = self.frames.lock();
            self.size.store(to, Ordering::Release);
            frames.archive_end = frames.archive_end.min(first_gone.saturating_mul(PAGE));
        }
        self.take_out(fs, first_gone, u64::MAX);
        if first_gone < before.div_ceil(PAGE) && self.mapped.load(Ordering::Acquire) {
            fs.needs.mappings.forget(object, first_gone, u64::MAX, true);
        }
        Ok(())
    }

    /// fallocate(2). The caller has the lock. `object` is what mappings know the file by.
    pub(super) fn allocate(
        &self,
        fs: &Tmpfs<C>,
        how: Allocation,
        place: Place,
        writer: Writer,
        object: u64,
    ) -> Result<(), FileError> {
        let extends = matches!(how, Allocation::Extend | Allocation::Zero) && place.end > self.size();
        if extends && place.end > MOST_BYTES {
            return Err(FileError::TooLarge);
        }
        if extends && place.end > writer.limit {
            return Err(FileError::Limit);
        }
        if matches!(how, Allocation::Punch | Allocation::Zero | Allocation::ZeroKeepLength) {
            self.punch(fs, place, object)?;
        }
        if how != Allocation::Punch {
            self.fill(fs, place)?;
        }
        if extends {
            self.lengthen(place.end);
        }
        Ok(())
    }

    /// Makes a hole of the pages that are wholly in `place`, and zeroes of the rest.
    fn punch(&self, fs: &Tmpfs<C>, place: Place, object: u64) -> Result<(), FileError> {
        let (first, end) = (place.start.div_ceil(PAGE), place.end / PAGE);
        if first > end {
            return self.clear(fs, place);
        }
        let (first_byte, end_byte) = (first.saturating_mul(PAGE), end.saturating_mul(PAGE));
        self.clear(fs, Place { start: place.start, end: first_byte })?;
        self.clear(fs, Place { start: end_byte, end: place.end })?;
        {
            let mut frames = self.frames.lock();
            let archived = frames.archive_end.div_ceil(PAGE);
            if end >= archived {
                // All that the archive has of it goes.
                frames.archive_end = frames.archive_end.min(first_byte);
            }
        }
        self.take_out(fs, first, end);
        self.hide_archived(first, end);
        if first < end && self.mapped.load(Ordering::Acquire) {
            fs.needs.mappings.forget(object, first, end, false);
        }
        Ok(())
    }

    /// Lets the archive's pages from `first` on, and before `end`, be holes.
    fn hide_archived(&self, first: u64, end: u64) {
        let mut next = first;
        loop {
            let mut frames = self.frames.lock();
            let end = end.min(frames.archive_end.div_ceil(PAGE));
            let stop = next.saturating_add(BATCH as u64).min(end);
            if next >= end {
                return;
            }
            for index in next..stop {
                frames.own.entry(index).or_insert(Own::Hole);
            }
            next = stop;
        }
    }

    /// Zeroes the bytes of `place`, which is within one page or empty, where there are any.
    fn clear(&self, fs: &Tmpfs<C>, place: Place) -> Result<(), FileError> {
        let (index, offset) = place_of(place.start);
        let count = length(place.end.saturating_sub(place.start)).min(PAGE_SIZE.saturating_sub(offset));
        if count == 0 || matches!(self.look(fs, index), Page::Hole) {
            return Ok(());
        }
        let page = self.own(fs, index, Reach::Anywhere)?;
        let zeroes: &[u8; PAGE_SIZE] = &[0; PAGE_SIZE];
        fs.source().write(page.frame(), offset, zeroes.get(..count).unwrap_or_default());
        Ok(())
    }

    /// Frees the file's own pages from `first` on, and before `end`, a few at a time.
    fn take_out(&self, fs: &Tmpfs<C>, first: u64, end: u64) {
        loop {
            let mut taken = heapless::Vec::<PhysFrame, BATCH>::new();
            let mut frames = self.frames.lock();
            let more = (0..BATCH).all(|_| frames.take_out(first, end).inspect(|own| keep(&mut taken, *own)).is_some());
            drop(frames);
            taken.into_iter().for_each(|frame| fs.free(frame));
            if !more {
                return;
            }
        }
    }

    /// Gives each hole in `place` a page. Where memory does not suffice those that were made go again.
    fn fill(&self, fs: &Tmpfs<C>, place: Place) -> Result<(), FileError> {
        let (first, end) = (place.start / PAGE, place.end.div_ceil(PAGE));
        let holes = self.count_holes(first, end);
        // One after the other could take all that there is, only to find that it does not suffice.
        fs.reserve(holes)?;
        let mut made = Runs::default();
        let mut at = first.saturating_mul(PAGE);
        let end = end.saturating_mul(PAGE);
        let outcome = loop {
            let Some(hole) = self.find(at, end, Extent::Hole).filter(|&hole| hole < end && made.pages < holes) else {
                break Ok(());
            };
            let (index, _) = place_of(hole);
            let fresh = match fs.fresh() {
                Ok(fresh) => fresh,
                Err(error) => break Err(error),
            };
            match self.put(fs, index, fresh, None, Reach::Anywhere) {
                Ok(_) => made.add(index),
                // A fault was first.
                Err(_) => fs.source().release(fresh),
            }
            at = index.saturating_add(1).saturating_mul(PAGE);
        };
        fs.unreserve(holes.saturating_sub(made.pages));
        if outcome.is_err() {
            made.runs.into_iter().for_each(|(first, end)| self.take_out(fs, first, end));
        }
        outcome
    }

    /// How many of the pages from `first` on, and before `end`, are holes.
    fn count_holes(&self, first: u64, end: u64) -> u64 {
        let (mut at, end) = (first.saturating_mul(PAGE), end.saturating_mul(PAGE));
        let mut holes = 0_u64;
        while let Some(hole) = self.find(at, end, Extent::Hole).filter(|&hole| hole < end) {
            at = self.find(hole, end, Extent::Data).unwrap_or(end);
            holes = holes.saturating_add(at.saturating_sub(hole) / PAGE);
        }
        holes
    }

    /// The first offset from `at` on, before `end`, where there is what is looked for; holes are where no page is, and at
    /// the end.
    pub(super) fn find(&self, at: u64, end: u64, what: Extent) -> Option<u64> {
        let (mut index, _) = place_of(at);
        let pages = end.div_ceil(PAGE);
        while index < pages {
            let frames = self.frames.lock();
            for _ in 0..BATCH {
                let (is_data, next) = frames.extent(index);
                if index < pages && is_data == (what == Extent::Data) {
                    return Some(index.saturating_mul(PAGE).max(at));
                }
                index = next.min(pages);
            }
        }
        (what == Extent::Hole).then_some(end)
    }

    /// The frame of a page, with a reference for the caller, to be mapped by who keeps his stores to himself.
    pub(super) fn private_page(&self, fs: &Tmpfs<C>, index: u64) -> Result<PhysFrame, PagerError> {
        self.check_reach(index)?;
        match self.look(fs, index) {
            Page::Own(page) => Ok(page.keep()),
            Page::Hole => self.shared_page(fs, index),
            Page::Archived(_) => match &self.archived {
                Some(archived) => archived.page(index),
                None => Err(PagerError::BeyondEnd),
            },
        }
    }

    /// The frame of a page, with a reference for the caller, to be mapped by who may store to the file.
    pub(super) fn shared_page(&self, fs: &Tmpfs<C>, index: u64) -> Result<PhysFrame, PagerError> {
        self.check_reach(index)?;
        match self.own(fs, index, Reach::Within) {
            Ok(page) => Ok(page.keep()),
            Err(FileError::Stale) => Err(PagerError::BeyondEnd),
            // As of a disk that is full: `SIGBUS` (shmem_fault).
            Err(FileError::NoSpace) => Err(PagerError::Io),
            Err(_) => Err(PagerError::OutOfFrames),
        }
    }

    /// The frames of pages that the file has of its own or, where that is allowed, the archive has.
    pub(super) fn ready(
        &self,
        source: &dyn PageSource,
        first: u64,
        wanted: u16,
        frames: &mut FewFrames,
        archive: ArchivePages,
    ) -> u16 {
        let pages = self.size().div_ceil(PAGE);
        let known = self.frames.lock();
        if known.own.is_empty() && archive == ArchivePages::Ready {
            let whole = known.archive_end;
            drop(known);
            return match &self.archived {
                Some(archived) if whole == archived.contents().len() as u64 => archived.ready(first, wanted, frames),
                _ => 0,
            };
        }
        each_ready(first, wanted, frames, |index| match known.own.get(&index)? {
            Own::Frame(frame) if index < pages => {
                source.add_reference(*frame);
                Some(*frame)
            }
            _ => None,
        })
    }

    fn check_reach(&self, index: u64) -> Result<(), PagerError> {
        if index < self.size().div_ceil(PAGE) { Ok(()) } else { Err(PagerError::BeyondEnd) }
    }

    /// Frees everything.
    pub(super) fn destroy(&mut self, fs: &Tmpfs<C>) {
        for own in core::mem::take(&mut self.frames.get_mut().own).into_values() {
            if let Own::Frame(frame) = own {
                fs.free(frame);
            }
        }
    }
}

/// Which pages a pager offers without being asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchivePages {
    Ready,
    Kept,
}

/// Where a page may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Behind the end too: the file is about to reach there.
    Anywhere,
    /// Not behind the end.
    Within,
}

/// Adds a page to those that are to be freed; there is a place for each of a batch.
fn keep(taken: &mut heapless::Vec<PhysFrame, BATCH>, own: Own) {
    if let Own::Frame(frame) = own {
        let _full = taken.push(frame);
    }
}

impl Frames {
    /// Takes out the first of the file's own pages from `first` on, before `end`.
    fn take_out(&mut self, first: u64, end: u64) -> Option<Own> {
        let (&index, _) = self.own.range(first..end).next()?;
        let own = self.own.remove(&index)?;
        if matches!(own, Own::Frame(_)) {
            self.count = self.count.saturating_sub(1);
        }
        Some(own)
    }

    /// Whether there is data at a page, and a page behind it before which nothing changes.
    fn extent(&self, index: u64) -> (bool, u64) {
        let next = index.saturating_add(1);
        let archived = self.archive_end.div_ceil(PAGE);
        match self.own.get(&index) {
            Some(Own::Frame(_)) => (true, next),
            Some(Own::Hole) => (false, next),
            None if index < archived => (true, next),
            None => (false, self.own.range(next..).next().map_or(u64::MAX, |(&own, _)| own)),
        }
    }
}

/// Pages that follow each other, by the first and the one behind the last.
#[derive(Default)]
struct Runs {
    runs: Vec<(u64, u64)>,
    pages: u64,
}

impl Runs {
    /// Takes note of a page. Where there is no memory for that it is left out.
    fn add(&mut self, index: u64) {
        self.pages = self.pages.saturating_add(1);
        let next = index.saturating_add(1);
        match self.runs.last_mut() {
            Some((_, end)) if *end == index => *end = next,
            _ => {
                if self.runs.try_reserve(1).is_ok() {
                    self.runs.push((index, next));
                }
            }
        }
    }
}

/// How many bytes may be written at `at`.
fn room(at: u64, writer: Writer) -> Result<usize, FileError> {
    match (MOST_BYTES.saturating_sub(at), writer.limit.saturating_sub(at)) {
        (0, _) => Err(FileError::TooLarge),
        (_, 0) => Err(FileError::Limit),
        (room, allowed) => Ok(length(room.min(allowed))),
    }
}

fn put_zeroes(sink: &mut dyn Sink, count: usize) -> Result<usize, FileError> {
    let zeroes: &[u8; CHUNK] = &[0; CHUNK];
    Ok(sink.put(zeroes.get(..count).unwrap_or(zeroes))?)
}

/// The page that an offset is in, and where in it.
fn place_of(at: u64) -> (u64, usize) {
    (at / PAGE, length(at % PAGE))
}

/// A number of bytes as memory has it.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
