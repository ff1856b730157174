//! What whoever mounts it says of files' owners and permissions, for which an entry has no place.

/// The permissions that there are.
const ALL: u16 = 0o777;
const WRITE: u16 = 0o222;
const READ_AND_EXECUTE: u16 = 0o555;

/// Options as mount(8) has them for `vfat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FatOptions {
    /// Whose the files are: `uid`.
    pub uid: u32,
    /// Of which group: `gid`.
    pub gid: u32,
    /// Permissions that files have not: `fmask`, or `umask`.
    pub file_mask: u16,
    /// The same of directories: `dmask`, or `umask`.
    pub directory_mask: u16,
}

impl FatOptions {
    /// Files are root's, who alone may write.
    pub const USUAL: Self = Self { uid: 0, gid: 0, file_mask: 0o022, directory_mask: 0o022 };

    /// Of the options `text`, with commas between. Those of names, times and code pages change nothing here, nor do words
    /// that have no value.
    ///
    /// `None` where one has a value that it cannot have, or is not known.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut options = Self::USUAL;
        let text = core::str::from_utf8(text).ok()?;
        let mask = |value| u16::from_str_radix(value, 8).ok().map(|mask| mask & ALL);
        for option in text.split(',') {
            match option.split_once('=') {
                Some(("uid", value)) => options.uid = value.parse().ok()?,
                Some(("gid", value)) => options.gid = value.parse().ok()?,
                Some(("umask", value)) => (options.file_mask, options.directory_mask) = (mask(value)?, mask(value)?),
                Some(("fmask", value)) => options.file_mask = mask(value)?,
                Some(("dmask", value)) => options.directory_mask = mask(value)?,
                Some((
                    "allow_utime" | "check" | "codepage" | "errors" | "iocharset" | "nfs" | "nonumtail" | "shortname"
                    | "time_offset" | "tz" | "uni_xlate" | "utf8",
                    _,
                ))
                | None => {}
                Some(_) => return None,
            }
        }
        Some(options)
    }

    /// The permissions of a file, or a directory, that is marked to be read only or not.
    pub(super) const fn permissions(&self, is_directory: bool, is_read_only: bool) -> u16 {
        let all = ALL & !self.mask(is_directory);
        if is_directory || !is_read_only { all } else { all & !WRITE }
    }

    const fn mask(&self, is_directory: bool) -> u16 {
        if is_directory { self.directory_mask } else { self.file_mask }
    }

    /// Whether permissions tell that a file is marked to be read only; where nobody may write anyway, nothing does.
    pub(super) const fn marks_read_only(&self, permissions: u16) -> Option<bool> {
        if self.file_mask & WRITE == WRITE { None } else { Some(permissions & WRITE == 0) }
    }

    /// Permissions as Linux's vfat keeps them: all that may read and execute do; all that may write do, or nobody, and of a
    /// directory not nobody. `None` for what cannot be kept.
    pub(super) const fn kept(&self, is_directory: bool, wanted: u16) -> Option<u16> {
        let all = ALL & !self.mask(is_directory);
        let kept = wanted & all;
        let same_else = kept & READ_AND_EXECUTE == all & READ_AND_EXECUTE;
        let (write, all_write) = (kept & WRITE, all & WRITE);
        if same_else && (write == all_write || write == 0 && !is_directory) { Some(kept) } else { None }
    }
}
