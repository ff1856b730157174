//! Files as what stands behind a descriptor, and behind a mapping.

use ::alloc::sync::Arc;

use super::contents::{buffer, check_length, piece, room};
use super::node::Node;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::operations::{Allocation, Appended, Blocking, FileOperations, Mapping, Place, Seeking};
use crate::fs::pages::read_page;
use crate::fs::transfer::{Sink, Source, Writer, give};
use crate::hal::Cpu;
use crate::paging::FewFrames;
use crate::vm::{Pager, PagerError, each_ready};

const PAGE: u64 = PAGE_SIZE as u64;
/// How much is on its way to a program at a time.
const CHUNK: usize = 2048;

impl<C: Cpu> FileOperations for Node<C> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if self.is_directory {
            return Err(FileError::IsDirectory);
        }
        let left = |at| usize::try_from(u64::from(self.size()).saturating_sub(at)).unwrap_or(usize::MAX);
        give(sink, at, &mut [0; CHUNK], |at, wanted| wanted.min(left(at)), |at, bytes| self.read_at(at, bytes))
    }

    fn write(&self, at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        if self.is_directory {
            return Err(FileError::IsDirectory);
        }
        let _alone = self.alone();
        self.write_from(at, source)
    }

    fn append(&self, _blocking: Blocking, source: &mut dyn Source) -> Result<Appended, FileError> {
        if self.is_directory {
            return Err(FileError::IsDirectory);
        }
        let _alone = self.alone();
        let at = self.size().into();
        let bytes = self.write_from(at, source)?;
        Ok(Appended { at, bytes })
    }

    fn seeking(&self) -> Seeking {
        if self.is_directory { Seeking::Cookies } else { Seeking::Bytes { end: self.size().into() } }
    }

    fn mapping(self: Arc<Self>) -> Mapping {
        if self.is_directory { Mapping::None } else { Mapping::Pager(self) }
    }

    /// Nobody would write what programs store there.
    fn shared_mapping(self: Arc<Self>) -> Mapping {
        if self.is_directory { Mapping::None } else { Mapping::ReadOnly(self) }
    }

    fn resize(&self, bytes: u64, writer: Writer) -> Result<(), FileError> {
        self.fs.check_writable()?;
        if self.is_directory {
            return Err(FileError::Invalid);
        }
        let _alone = self.alone();
        match u32::try_from(bytes) {
            Ok(to) if to <= self.size() => {
                self.shorten(to)?;
                self.cut_mapped(bytes);
                Ok(())
            }
            _ => self.extend(bytes, writer),
        }
    }

    fn allocate(&self, how: Allocation, place: Place, writer: Writer) -> Result<(), FileError> {
        self.fs.check_writable()?;
        if self.is_directory {
            return Err(FileError::NotMappable);
        }
        let _alone = self.alone();
        let size = u64::from(self.size());
        match how {
            // There are no holes.
            Allocation::Extend | Allocation::KeepLength if place.end <= size => Ok(()),
            Allocation::Extend => self.extend(place.end, writer),
            Allocation::KeepLength | Allocation::Punch | Allocation::Zero | Allocation::ZeroKeepLength => {
                Err(FileError::Unsupported)
            }
        }
    }

    fn sync(&self) -> Result<(), FileError> {
        self.fs.sync_file()
    }
}

impl<C: Cpu> Node<C> {
    /// Makes the file longer. The caller is alone.
    fn extend(&self, to: u64, writer: Writer) -> Result<(), FileError> {
        check_length(to, writer)?;
        let before = self.extent();
        self.lengthen(to).inspect_err(|_| self.take_back(before))?;
        self.note_written(before)
    }

    /// Writes at `at`. The caller is alone.
    fn write_from(&self, at: u64, source: &mut dyn Source) -> Result<usize, FileError> {
        if source.left() == 0 {
            return Ok(0);
        }
        let most = room(at, source.writer())?.min(source.left());
        let mut buffer = buffer()?;
        let before = self.extent();
        let mut done = 0_usize;
        let mut outcome = Ok(());
        while done < most && outcome.is_ok() {
            let here = at.saturating_add(done as u64);
            let wanted = piece(here, most.saturating_sub(done) as u64);
            let bytes = buffer.get_mut(..wanted).unwrap_or_default();
            outcome = source.take(bytes).map_err(FileError::from).and_then(|count| {
                if done == 0 && at > before.size.into() {
                    self.lengthen(at)?;
                }
                let count = self.put(here, bytes.get(..count).unwrap_or_default())?;
                done = done.saturating_add(count);
                // A source without more is none to go on with.
                if count == 0 { Err(FileError::Invalid) } else { Ok(()) }
            });
        }
        if done == 0 {
            // A cluster that nothing came into, and zeroes with nothing behind them.
            self.take_back(before);
            return outcome.map(|()| 0);
        }
        self.note_written(before)?;
        Ok(done)
    }

    /// Reads a page into a frame of its own; whoever was first keeps his.
    fn make_page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        let at = index.checked_mul(PAGE).ok_or(PagerError::BeyondEnd)?;
        // Who writes to the page meanwhile waits, and then finds it.
        let mut chain = self.chain.lock();
        let size = u64::from(self.size());
        if at >= size {
            return Err(PagerError::BeyondEnd);
        }
        if let Some(frame) = self.mapped_page(index) {
            return Ok(frame);
        }
        let pages = &self.fs.needs.pages;
        let bytes = size.saturating_sub(at).min(PAGE);
        let frame =
            read_page(&**pages, bytes, |offset, into| self.read_locked(&mut chain, at.saturating_add(offset), into))?;
        pages.add_reference(frame);
        self.mapped.lock().insert(index, frame);
        Ok(frame)
    }
}

impl<C: Cpu> Pager for Node<C> {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        match self.mapped_page(index) {
            Some(frame) => Ok(frame),
            None => self.make_page(index),
        }
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        each_ready(first, wanted, frames, |index| self.mapped_page(index))
    }

    fn bytes(&self) -> u64 {
        self.size().into()
    }

    fn identity(&self) -> u64 {
        self.object
    }
}
