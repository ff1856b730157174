//! Files, their offsets and their duplicates.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use sys::random::Random;
use sys::{Errno, file};

use crate::wrong::{Checked, Wrong, ensure};

const PATHS: [&str; 3] = ["/etc/motd", "/etc/passwd", "/bin/hello"];
/// Files that are open at once, at most.
const MOST: usize = 12;

/// What a process has open.
pub(crate) struct Files {
    contents: Vec<Vec<u8>>,
    open: Vec<Open>,
}

struct Open {
    /// Index of the path.
    which: usize,
    file: File,
}

impl From<std::io::Error> for Wrong {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl Files {
    /// Reads what files have, as far as they are there.
    pub(crate) fn new() -> Self {
        let read = |path: &&str| {
            std::fs::read(path).map(|mut bytes| {
                bytes.truncate(5000);
                bytes
            })
        };
        Self { contents: PATHS.iter().map(read).map(Result::unwrap_or_default).collect(), open: Vec::new() }
    }

    pub(crate) fn act(&mut self, random: &mut Random) -> Checked {
        match random.below(6) {
            0 => self.open(random),
            1 => {
                if !self.open.is_empty() {
                    self.open.swap_remove(random.below(self.open.len()));
                }
                Ok(())
            }
            2 => self.duplicate(random),
            3 => {
                ensure(file::open(c"/nowhere", 0).err() == Some(Errno::NOENT), "a file that is not there")?;
                Ok(())
            }
            _ => self.read(random),
        }
    }

    fn open(&mut self, random: &mut Random) -> Checked {
        let which = random.below(PATHS.len());
        if self.open.len() < MOST && !self.contents[which].is_empty() {
            self.open.push(Open { which, file: File::open(PATHS[which])? });
        }
        Ok(())
    }

    /// A duplicate has the same offset, before and after it moves.
    fn duplicate(&mut self, random: &mut Random) -> Checked {
        if self.open.is_empty() {
            return Ok(());
        }
        let index = random.below(self.open.len());
        let Open { which, file } = &mut self.open[index];
        let mut other = File::from(file::duplicate(file)?);
        let place = u64::try_from(random.below(self.contents[*which].len())).unwrap_or(0);
        file.seek(SeekFrom::Start(place))?;
        ensure(other.stream_position()? == place, "a duplicate has another offset")
    }

    fn read(&mut self, random: &mut Random) -> Checked {
        if self.open.is_empty() {
            return self.open(random);
        }
        let index = random.below(self.open.len());
        let Open { which, file } = &mut self.open[index];
        let contents = &self.contents[*which];
        let start = random.below(contents.len());
        let length = 1 + random.below(contents.len() - start);
        file.seek(SeekFrom::Start(u64::try_from(start).unwrap_or(0)))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        ensure(bytes == contents[start..start + length], "a file has other bytes")
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}
