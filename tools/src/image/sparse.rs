//! A file that knows which of its blocks were written.
//!
//! Not by asking the host's file system for its holes: what that answers depends on it, and a block of zeros that was
//! written is not the same as one that never was. The table of a fresh FAT is zeros which a card must get, or it keeps
//! what stood there before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::Path;

/// The unit of a block map, in bytes.
pub const BLOCK: u64 = 4096;

/// Which blocks of an image mean something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockMap {
    /// The image's size in bytes.
    pub size: u64,
    mapped: Vec<bool>,
}

impl BlockMap {
    /// A map of `size` bytes, all of whose blocks mean nothing.
    ///
    /// # Panics
    ///
    /// Where the host could not address the image anyway.
    #[must_use]
    pub fn empty(size: u64) -> Self {
        let blocks = usize::try_from(size.div_ceil(BLOCK)).expect("an image that the host can address");
        Self { size, mapped: vec![false; blocks] }
    }

    /// Notes that the `length` bytes from `start` on mean something. What is beyond the end is left out.
    pub fn note(&mut self, start: u64, length: u64) {
        let place = |block: u64| usize::try_from(block).unwrap_or(usize::MAX).min(self.mapped.len());
        let (first, end) = (place(start / BLOCK), place((start + length).div_ceil(BLOCK)));
        if length > 0 {
            self.mapped[first..end].fill(true);
        }
    }

    /// How many blocks there are.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.mapped.len()
    }

    /// How many of them mean something.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.mapped.iter().filter(|&&mapped| mapped).count()
    }

    /// The runs of blocks that mean something, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<RangeInclusive<u64>> {
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for (block, _) in (0..).zip(&self.mapped).filter(|&(_, &mapped)| mapped) {
            match runs.last_mut() {
                Some(run) if run.end() + 1 == block => *run = *run.start()..=block,
                _ => runs.push(block..=block),
            }
        }
        runs
    }
}

/// The bytes of a run of blocks: where they begin, and how many there are in an image of `size` bytes.
#[must_use]
pub fn bytes_of(run: &RangeInclusive<u64>, size: u64) -> (u64, u64) {
    let start = run.start() * BLOCK;
    (start, ((run.end() + 1) * BLOCK).min(size) - start)
}

/// A file of a fixed size, and the map of what was written into it.
#[derive(Debug)]
pub struct SparseFile {
    file: File,
    position: u64,
    map: BlockMap,
}

impl SparseFile {
    /// Makes the file, of nothing but zeros.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn create(path: &Path, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(size)?;
        Ok(Self { file, position: 0, map: BlockMap::empty(size) })
    }

    /// Notes that bytes mean something that are the zeros which they were made as.
    pub fn note(&mut self, start: u64, length: u64) {
        self.map.note(start, length);
    }

    /// Ends the writing.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn finish(mut self) -> io::Result<BlockMap> {
        self.file.flush()?;
        Ok(self.map)
    }
}

impl Read for SparseFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for SparseFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = self.map.size.saturating_sub(self.position);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.write(&buffer[..room])?;
        self.map.note(self.position, count as u64);
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for SparseFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

/// A part of a file, as a file.
#[derive(Debug)]
pub struct Window<'file> {
    file: &'file mut SparseFile,
    start: u64,
    size: u64,
    position: u64,
}

impl<'file> Window<'file> {
    /// The `size` bytes of `file` from `start` on.
    pub const fn new(file: &'file mut SparseFile, start: u64, size: u64) -> Self {
        Self { file, start, size, position: 0 }
    }

    /// Where it begins in its file.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Notes that these bytes of it mean something, though they stay the zeros that they are. They lie inside.
    pub fn note(&mut self, start: u64, length: u64) {
        self.file.note(self.start + start, length);
    }

    /// Goes to the present position, and says how many of `wanted` bytes there are from there on.
    fn prepare(&mut self, wanted: usize) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.start + self.position))?;
        Ok(usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX).min(wanted))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.prepare(buffer.len())?;
        let count = self.file.read(&mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.prepare(buffer.len())?;
        let count = self.file.write(&buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_mapped_zeros_too_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = SparseFile::create(&directory.path().join("image"), 64 * 1024).unwrap();
        file.write_all(&[0; 10]).unwrap();
        file.seek(SeekFrom::Start(2 * BLOCK - 1)).unwrap();
        file.write_all(&[1, 2]).unwrap();
        file.seek(SeekFrom::Start(9 * BLOCK)).unwrap();
        file.write_all(&[0; 4096]).unwrap();
        let map = file.finish().unwrap();
        assert_eq!(map.runs(), [0..=2, 9..=9]);
        assert_eq!((map.mapped(), map.blocks()), (4, 16));
    }

    #[test]
    fn a_window_reaches_nothing_outside_itself() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = SparseFile::create(&directory.path().join("image"), 64 * 1024).unwrap();
        let mut window = Window::new(&mut file, 2 * BLOCK, BLOCK);
        assert_eq!(window.seek(SeekFrom::End(-2)).unwrap(), BLOCK - 2);
        assert_eq!(window.write(b"abcd").unwrap(), 2);
        assert_eq!(window.write(b"cd").unwrap(), 0);
        assert!(window.seek(SeekFrom::Current(-5000)).is_err());
        window.seek(SeekFrom::Start(BLOCK - 2)).unwrap();
        let mut end = Vec::new();
        window.read_to_end(&mut end).unwrap();
        assert_eq!(end, b"ab");
        assert_eq!(file.finish().unwrap().runs(), [2..=2]);
    }

    #[test]
    fn the_last_run_ends_with_the_image() {
        assert_eq!(bytes_of(&(0..=2), 3 * BLOCK - 100), (0, 3 * BLOCK - 100));
        assert_eq!(bytes_of(&(1..=1), 3 * BLOCK), (BLOCK, BLOCK));
    }
}
