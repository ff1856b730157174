//! The index of an initial file system: newc cpio archives, read where they lie.
//!
//! [`entries`] walks the headers and says where each name and each file's data are; nothing is copied, and file data
//! is not touched at all. As Linux does (`init/initramfs.c`) it takes several archives one after another with zero
//! padding between and behind them. Unlike Linux it is strict: an archive that ends before its trailer is torn, and a
//! torn one is an error, not a file system with some files missing.
//!
//! A header is 110 bytes: the magic `070701`, then thirteen numbers of eight hexadecimal digits. The name follows,
//! then the data, each padded to a multiple of four from the start (`Documentation/driver-api/early-userspace`).
//! What the names mean (links, `..`, missing directories) is the business of the file system that is built from it.

mod header;

use core::fmt;
use core::ops::Range;

use header::Header;

/// The longest name, without its NUL: `PATH_MAX` - 1.
pub const MAX_NAME: usize = 4095;
/// The most bytes from a header to its data. A builder may pad a name with NULs to put the data at a page border.
pub const MAX_NAME_FIELD: usize = 16 * 1024;

const TRAILER: &[u8] = b"TRAILER!!!";

/// One file, directory, link or device of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The path as archived, not empty, without NULs; possibly with a leading `/` or `./`.
    pub name: &'a [u8],
    /// The inode number; entries with the same `inode` and `device` and `links` > 1 are one file, and the last of them
    /// carries the data.
    pub inode: u32,
    /// The device that the archived file was on, major and minor.
    pub device: (u32, u32),
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The number of links.
    pub links: u32,
    /// Modification time in seconds since 1970.
    pub mtime_s: u32,
    /// For a device node, major and minor.
    pub node: (u32, u32),
    /// Where the data is in the archive's bytes; for a symbolic link, its target.
    pub data: Range<usize>,
}

/// Why an archive was refused. Each carries the offset of the header in question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArchiveError {
    /// Neither a newc header nor zero padding.
    BadMagic(usize),
    /// The old or the checksummed format, or a compressed archive.
    UnsupportedFormat(usize),
    /// A number that is not eight hexadecimal digits.
    BadNumber(usize),
    /// A name that is empty, without its NUL, or longer than [`MAX_NAME`].
    BadName(usize),
    /// The bytes end inside this entry.
    Truncated(usize),
    /// The bytes end where an entry or the trailer should stand.
    MissingTrailer(usize),
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, offset) = match self {
            Self::BadMagic(offset) => ("no newc header", offset),
            Self::UnsupportedFormat(offset) => ("a format other than newc", offset),
            Self::BadNumber(offset) => ("a header field that is no number", offset),
            Self::BadName(offset) => ("a bad name", offset),
            Self::Truncated(offset) => ("torn in the entry", offset),
            Self::MissingTrailer(offset) => ("no trailer", offset),
        };
        write!(f, "{what} at byte {offset}")
    }
}

/// The entries of all archives in `bytes`, in order, without the trailers. After an error there is nothing more.
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { bytes, at: 0, place: Place::Between }
}

/// Iterator over the entries of an initial file system; see [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    /// Where the next header should be; a multiple of 4 while inside an archive.
    at: usize,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Before an archive or behind one: zero padding is fine, and so is the end.
    Between,
    /// Inside an archive.
    Inside,
    /// At the end, or after an error.
    Done,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance().transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.place = Place::Done;
        }
        entry
    }
}

impl core::iter::FusedIterator for Entries<'_> {}

impl<'a> Entries<'a> {
    fn advance(&mut self) -> Result<Option<Entry<'a>>, ArchiveError> {
        loop {
            match self.place {
                Place::Done => return Ok(None),
                Place::Between => {
                    self.skip_padding();
                    if self.at >= self.bytes.len() {
                        return Ok(None);
                    }
                    if !self.at.is_multiple_of(4) {
                        return Err(ArchiveError::BadMagic(self.at));
                    }
                    self.place = Place::Inside;
                }
                Place::Inside => {
                    let entry = self.read_entry()?;
                    if entry.name != TRAILER {
                        return Ok(Some(entry));
                    }
                    self.place = Place::Between;
                }
            }
        }
    }

    fn skip_padding(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let padding = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
        self.at = self.at.saturating_add(padding);
    }

    fn read_entry(&mut self) -> Result<Entry<'a>, ArchiveError> {
        let start = self.at;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty());
        let header = Header::read(rest.ok_or(ArchiveError::MissingTrailer(start))?, start)?;
        let truncated = ArchiveError::Truncated(start);

        let name_start = start.checked_add(Header::BYTES).ok_or(truncated)?;
        if header.name_bytes > MAX_NAME_FIELD {
            return Err(ArchiveError::BadName(start));
        }
        let name_end = name_start.checked_add(header.name_bytes).ok_or(truncated)?;
        let name = self.bytes.get(name_start..name_end).ok_or(truncated)?;
        let name_len = name.iter().position(|&byte| byte == 0).ok_or(ArchiveError::BadName(start))?;
        let name = name.get(..name_len).filter(|name| !name.is_empty() && name.len() <= MAX_NAME);
        let name = name.ok_or(ArchiveError::BadName(start))?;

        let data_start = name_end.checked_next_multiple_of(4).ok_or(truncated)?;
        let data_end = data_start.checked_add(header.data_bytes).ok_or(truncated)?;
        if data_end > self.bytes.len() {
            return Err(truncated);
        }
        // The padding behind the data of the very last entry may be cut off; only an entry after it would miss it.
        self.at = data_end.checked_next_multiple_of(4).ok_or(truncated)?.min(self.bytes.len());
        Ok(header.entry(name, data_start..data_end))
    }
}

#[cfg(test)]
mod tests;
