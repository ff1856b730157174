//! The initramfs: a `newc` archive whose file data starts on page boundaries, so that a kernel which keeps the
//! archive in memory can map programs where they lie.
//!
//! The padding stands in the name field: `c_namesize` counts NULs behind the name, which GNU cpio, Linux and every
//! reader that takes the name as a C string accept (Linux's own `gen_init_cpio -a` does the same). Linux takes
//! names up to `PATH_MAX` only; where more is needed, an entry for `.` comes first and takes the padding.
//!
//! The same input gives the same bytes: entries are sorted, times are 0, owners are root, inode numbers count up.

use std::collections::BTreeMap;
use std::fmt;

/// File data starts at multiples of this.
pub const DATA_ALIGN: usize = 4096;
/// Bytes of a `newc` header: the magic and 13 numbers of 8 hexadecimal digits.
const HEADER: usize = 110;
/// Linux's `PATH_MAX`: the longest name field, its NULs included.
const NAME_MAX: usize = 4096;
/// Names, data and headers are padded to this.
const ALIGN: usize = 4;

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// An archive in the making: absolute paths and what stands there.
#[derive(Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

/// What stands at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A directory, mode 0755.
    Directory,
    /// A symbolic link to this path, which may be relative.
    Symlink(String),
    /// A regular file, mode 0755 or 0644.
    File {
        /// What is in it.
        data: Vec<u8>,
        /// Whether it is a program.
        access: Access,
    },
}

/// Who may do what with a file of root's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Mode 0644.
    Plain,
    /// Mode 0755.
    Executable,
    /// Mode 0600: nobody else may read it.
    Private,
    /// Mode 4755: whoever runs it does so as root.
    SetUserId,
}

impl Access {
    /// What comes nearest to these permissions, the low twelve bits of `st_mode`.
    #[must_use]
    pub fn of(permissions: u32) -> Self {
        match permissions {
            mode if mode & 0o111 != 0 && mode & 0o4000 != 0 => Self::SetUserId,
            mode if mode & 0o111 != 0 => Self::Executable,
            mode if mode & 0o077 == 0 => Self::Private,
            _ => Self::Plain,
        }
    }

    /// The permissions.
    fn permissions(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Executable => 0o755,
            Self::Private => 0o600,
            Self::SetUserId => 0o4755,
        }
    }
}

/// Why something cannot be put into the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The path is empty, has a `.` or `..` in it, or a NUL.
    Path(String),
    /// Something else is already there.
    Taken(String),
    /// The path is too long for Linux.
    TooLong(String),
    /// The file at this path, or its number, does not fit the format's 32 bits.
    TooLarge(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?} is no path for an archive"),
            Self::Taken(path) => write!(f, "/{path} is in the archive already"),
            Self::TooLong(path) => write!(f, "/{path} is longer than {NAME_MAX} bytes"),
            Self::TooLarge(path) => write!(f, "/{path} does not fit the format's 32-bit numbers"),
        }
    }
}

impl std::error::Error for Error {}

impl Archive {
    /// Puts `entry` at `path`, and directories above it where there are none. A directory may be added twice.
    ///
    /// # Errors
    ///
    /// A path that no archive may have, or that is taken.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), Error> {
        let path = normal(path)?;
        for (slash, _) in path.match_indices('/') {
            let parent = &path[..slash];
            match self.entries.get(parent) {
                Some(Entry::Directory) => {}
                Some(_) => return Err(Error::Taken(parent.to_owned())),
                None => drop(self.entries.insert(parent.to_owned(), Entry::Directory)),
            }
        }
        match self.entries.get(&path) {
            Some(Entry::Directory) if entry == Entry::Directory => Ok(()),
            Some(_) => Err(Error::Taken(path)),
            None => {
                self.entries.insert(path, entry);
                Ok(())
            }
        }
    }

    /// Puts all of another archive into this one; where both have a file or a link, the other's is taken.
    ///
    /// # Errors
    ///
    /// Where one has a directory and the other something else.
    pub fn replace(&mut self, other: Self) -> Result<(), Error> {
        for (path, entry) in other.entries {
            if entry != Entry::Directory && self.entries.get(&path).is_some_and(|old| *old != Entry::Directory) {
                self.entries.remove(&path);
            }
            self.add(&path, entry)?;
        }
        Ok(())
    }

    /// The paths in the archive, without the leading slash, as they will stand in it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The archive's bytes.
    ///
    /// # Errors
    ///
    /// A file of 4 GiB or more.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::default();
        for (path, entry) in &self.entries {
            match entry {
                Entry::Directory => writer.entry(path, S_IFDIR | 0o755, &[])?,
                Entry::Symlink(target) => writer.entry(path, S_IFLNK | 0o777, target.as_bytes())?,
                Entry::File { data, access } => {
                    writer.aligned_entry(path, S_IFREG | access.permissions(), data)?;
                }
            }
        }
        writer.trailer()?;
        Ok(writer.bytes)
    }
}

/// `path` without leading, trailing and double slashes.
fn normal(path: &str) -> Result<String, Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || path.contains('\0') || parts.iter().any(|&part| part == "." || part == "..") {
        return Err(Error::Path(path.to_owned()));
    }
    let path = parts.join("/");
    if path.len() >= NAME_MAX { Err(Error::TooLong(path)) } else { Ok(path) }
}

/// Appends entries.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    inode: u32,
}

impl Writer {
    /// An entry whose data begins wherever it falls.
    fn entry(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<(), Error> {
        self.inode += 1;
        self.padded_entry(path, path.len() + 1, self.inode, mode, data)
    }

    /// An entry whose data begins at a multiple of [`DATA_ALIGN`].
    fn aligned_entry(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<(), Error> {
        if data.is_empty() {
            return self.entry(path, mode, data);
        }
        let least = path.len() + 1;
        if self.aligned_name_size(least) > NAME_MAX {
            // An entry for `.` moves the header to where the name needs no padding.
            let behind = HEADER + least.next_multiple_of(ALIGN) + 2;
            let start = self.bytes.len() + HEADER + 2;
            let target = (start + behind).next_multiple_of(DATA_ALIGN) - behind;
            self.inode += 1;
            let name_size = target - self.bytes.len() - HEADER;
            self.padded_entry(".", name_size, self.inode, S_IFDIR | 0o755, &[])?;
        }
        self.inode += 1;
        let name_size = self.aligned_name_size(least);
        self.padded_entry(path, name_size, self.inode, mode, data)
    }

    /// The size of a name field of at least `least` bytes that ends on a multiple of [`DATA_ALIGN`].
    fn aligned_name_size(&self, least: usize) -> usize {
        let start = self.bytes.len() + HEADER;
        (start + least).next_multiple_of(DATA_ALIGN) - start
    }

    fn padded_entry(&mut self, path: &str, name_size: usize, inode: u32, mode: u32, data: &[u8]) -> Result<(), Error> {
        let number = |size: usize| u32::try_from(size).map_err(|_| Error::TooLarge(path.to_owned()));
        // In the order of the format: ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor,
        // rdevminor, namesize, check.
        let fields = [inode, mode, 0, 0, 1, 0, number(data.len())?, 0, 0, 0, 0, number(name_size)?, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        let name_end = self.bytes.len() + name_size;
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.resize(name_end.next_multiple_of(ALIGN), 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), Error> {
        const NAME: &str = "TRAILER!!!";
        self.padded_entry(NAME, NAME.len() + 1, 0, 0, &[])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn file(data: &[u8]) -> Entry {
        Entry::File { data: data.to_vec(), access: Access::Plain }
    }

    /// A reader as independent of the writer as can be: name, mode, offset of the data, data.
    fn read(archive: &[u8]) -> Vec<(String, u32, usize, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            let header = &archive[at..at + 110];
            assert_eq!(&header[..6], b"070701");
            let field = |index: usize| {
                let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            assert!(name_size <= NAME_MAX);
            let name_field = &archive[at + 110..at + 110 + name_size];
            assert_eq!(name_field.last(), Some(&0));
            let name = name_field.split(|&byte| byte == 0).next().unwrap();
            let name = String::from_utf8(name.to_vec()).unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            at = (data + size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(at, archive.len());
                return found;
            }
            found.push((name, field(1), data, archive[data..data + size].to_vec()));
        }
    }

    #[test]
    fn directories_appear_as_needed_and_before_what_is_in_them() {
        let mut archive = Archive::default();
        archive.add("/usr/bin/hello", file(b"x")).unwrap();
        archive.add("/usr", Entry::Directory).unwrap();
        assert_eq!(archive.paths().collect::<Vec<_>>(), ["usr", "usr/bin", "usr/bin/hello"]);
    }

    #[test]
    fn file_data_is_page_aligned_and_links_are_kept() {
        let mut archive = Archive::default();
        archive.add("/bin/sh", Entry::Symlink("busybox".to_owned())).unwrap();
        let program = Entry::File { data: vec![7; 5000], access: Access::Executable };
        archive.add("/bin/busybox", program).unwrap();
        archive.add("/empty", file(b"")).unwrap();
        let bytes = archive.to_bytes().unwrap();
        let entries = read(&bytes);
        let summary: Vec<_> = entries.iter().map(|(name, mode, _, data)| (&name[..], *mode, data.len())).collect();
        let expected = [
            ("bin", 0o040_755, 0),
            ("bin/busybox", 0o100_755, 5000),
            ("bin/sh", 0o120_777, 7),
            ("empty", 0o100_644, 0),
        ];
        assert_eq!(summary, expected);
        assert_eq!(entries[1].2 % DATA_ALIGN, 0);
    }

    #[test]
    fn permissions_are_kept_where_they_matter() {
        for (found, kept) in [(0o664, 0o644), (0o444, 0o644), (0o700, 0o755), (0o600, 0o600), (0o4711, 0o4755)] {
            assert_eq!(Access::of(found).permissions(), kept, "{found:o}");
        }
    }

    #[test]
    fn a_path_is_taken_only_once() {
        let mut archive = Archive::default();
        archive.add("bin", file(b"x")).unwrap();
        assert_eq!(archive.add("/bin/", Entry::Directory), Err(Error::Taken("bin".to_owned())));
        assert_eq!(archive.add("/bin/sh", file(b"x")), Err(Error::Taken("bin".to_owned())));
        assert_eq!(archive.add("/etc/../passwd", file(b"x")), Err(Error::Path("/etc/../passwd".to_owned())));
    }

    #[test]
    fn of_two_archives_the_others_files_are_taken() {
        let mut archive = Archive::default();
        let mut other = Archive::default();
        archive.add("etc/motd", file(b"old")).unwrap();
        archive.add("etc/passwd", file(b"kept")).unwrap();
        other.add("etc/motd", file(b"new")).unwrap();
        other.add("bin/sh", file(b"x")).unwrap();
        archive.replace(other).unwrap();
        let entries = read(&archive.to_bytes().unwrap());
        let files: Vec<_> = entries.iter().filter(|(_, mode, ..)| mode & S_IFREG == S_IFREG).collect();
        let texts: Vec<_> = files.iter().map(|(name, _, _, data)| (&name[..], &data[..])).collect();
        assert_eq!(texts, [("bin/sh", &b"x"[..]), ("etc/motd", b"new"), ("etc/passwd", b"kept")]);
        let mut other = Archive::default();
        other.add("etc", file(b"x")).unwrap();
        assert_eq!(archive.replace(other), Err(Error::Taken("etc".to_owned())));
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out_aligned(
            files in proptest::collection::btree_map("[a-z]{1,120}", 0usize..9000, 0..12),
        ) {
            let mut archive = Archive::default();
            for (path, size) in &files {
                archive.add(path, file(&vec![0x5a; *size])).unwrap();
            }
            let mut entries = read(&archive.to_bytes().unwrap());
            prop_assert!(entries.iter().all(|(_, _, at, data)| data.is_empty() || at % DATA_ALIGN == 0));
            entries.retain(|(name, ..)| name != ".");
            let read_back: BTreeMap<_, _> = entries.into_iter().map(|(name, _, _, data)| (name, data.len())).collect();
            prop_assert_eq!(read_back, files);
        }

        #[test]
        fn gnu_cpio_reads_the_archive(sizes in proptest::collection::vec(0usize..9000, 1..6)) {
            let mut archive = Archive::default();
            for (index, size) in sizes.iter().enumerate() {
                archive.add(&format!("file{index}"), file(&vec![1; *size])).unwrap();
            }
            // Where there is no cpio, the reader above has to do.
            let Ok(mut cpio) =
                Command::new("cpio").arg("-it").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
            else {
                return Ok(());
            };
            cpio.stdin.take().unwrap().write_all(&archive.to_bytes().unwrap()).unwrap();
            let output = cpio.wait_with_output().unwrap();
            prop_assert!(output.status.success());
            let names = String::from_utf8(output.stdout).unwrap();
            prop_assert_eq!(names.lines().filter(|name| *name != ".").count(), sizes.len());
        }
    }
}
