//! Writes files without end, syncs them in every way there is, and says line by line what must be found after the power is cut:
//!
//! | line | what may be found from now on |
//! |---|---|
//! | `make NAME` | nothing, or anything |
//! | `grow NAME` | what was kept, and anything behind it |
//! | `swap NAME BYTES CRC` | what was kept, or this |
//! | `drop NAME` | what was kept, or nothing |
//! | `kept NAME BYTES CRC` | this: it was synced |
//! | `dropped NAME` | nothing: that was synced |
//!
//! `durable DIRECTORY RUN SEED`; the names of a run begin with its number, so that one run after the other finds its place on
//! the same disk. Between these files it makes and removes others that it never syncs, so that there is always something that
//! waits. It ends only when something fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sys::random::Random;
use sys::{file, process};

/// `O_SYNC`, with `O_DSYNC` in it.
const O_SYNC: i32 = 0o4_010_000;
/// Directories that files are in.
const DIRECTORIES: usize = 4;
/// The most bytes that are written at a time, and the most pieces of a file.
const MOST_PIECE: usize = 6000;
const MOST_PIECES: usize = 4;

/// A file that was synced.
struct Kept {
    /// From the directory on.
    name: String,
    contents: Vec<u8>,
}

struct Writer {
    top: PathBuf,
    run: String,
    random: Random,
    made: usize,
    kept: Vec<Kept>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [top, run, seed] = &words[..] else {
        eprintln!("usage: durable DIRECTORY RUN SEED");
        return ExitCode::FAILURE;
    };
    let random = Random::new(seed.parse().unwrap_or(0));
    let mut writer = Writer { top: PathBuf::from(top), run: run.clone(), random, made: 0, kept: Vec::new() };
    let Err(error) = writer.run();
    println!("durable: failed: {error}");
    ExitCode::FAILURE
}

impl Writer {
    fn run(&mut self) -> io::Result<std::convert::Infallible> {
        for number in 0..DIRECTORIES {
            fs::create_dir_all(self.top.join(format!("d{number}")))?;
        }
        process::sync();
        println!("durable: begins");
        loop {
            self.make_noise()?;
            let is_there = !self.kept.is_empty();
            match self.random.below(10) {
                0..=3 => self.make()?,
                4 if is_there => self.drop_one()?,
                5..=6 if is_there => self.grow()?,
                7..=8 if is_there => self.swap()?,
                _ => self.swap_new()?,
            }
        }
    }

    /// A new name: as short as DOS had them, or longer.
    fn name(&mut self) -> String {
        self.made += 1;
        let directory = self.random.below(DIRECTORIES);
        match self.random.below(2) {
            0 => format!("d{directory}/{}_{}.BIN", self.run, self.made),
            _ => format!("d{directory}/{}-a-name-that-needs-several-entries-{}.data", self.run, self.made),
        }
    }

    fn contents(&mut self) -> Vec<u8> {
        let pieces = self.random.below(MOST_PIECES + 1);
        let bytes = (0..pieces).map(|_| self.random.below(MOST_PIECE)).sum();
        self.random.bytes(bytes)
    }

    /// Writes in pieces, as programs do.
    fn write(&mut self, file: &mut File, contents: &[u8]) -> io::Result<()> {
        let mut rest = contents;
        while !rest.is_empty() {
            let (now, then) = rest.split_at((1 + self.random.below(MOST_PIECE)).min(rest.len()));
            file.write_all(now)?;
            rest = then;
        }
        Ok(())
    }

    /// A new file, synced in one of the ways.
    fn make(&mut self) -> io::Result<()> {
        let (name, contents) = (self.name(), self.contents());
        println!("make {name}");
        let path = self.top.join(&name);
        let way = self.random.below(4);
        let flags = if way == 0 { O_SYNC } else { 0 };
        let mut file = OpenOptions::new().write(true).create_new(true).custom_flags(flags).open(&path)?;
        self.write(&mut file, &contents)?;
        match way {
            0 => sync_directory(&path)?,
            1 => {
                file.sync_all()?;
                sync_directory(&path)?;
            }
            2 => file::sync_file_system(&file).map_err(to_io)?,
            _ => {
                drop(file);
                process::sync();
            }
        }
        self.note(Kept { name, contents });
        Ok(())
    }

    /// More at the end of a file.
    fn grow(&mut self) -> io::Result<()> {
        let Kept { name, mut contents } = self.take();
        let more = self.contents();
        println!("grow {name}");
        let mut file = OpenOptions::new().append(true).open(self.top.join(&name))?;
        self.write(&mut file, &more)?;
        file.sync_data()?;
        contents.extend(more);
        self.note(Kept { name, contents });
        Ok(())
    }

    /// A new version of a file, which takes its place when it is complete: what careful programs do.
    fn swap(&mut self) -> io::Result<()> {
        let Kept { name, .. } = self.take();
        self.swap_to(name)
    }

    /// The same where there was none.
    fn swap_new(&mut self) -> io::Result<()> {
        let name = self.name();
        println!("make {name}");
        self.swap_to(name)
    }

    fn swap_to(&mut self, name: String) -> io::Result<()> {
        let contents = self.contents();
        println!("swap {name} {} {:08x}", contents.len(), crc32fast::hash(&contents));
        let path = self.top.join(&name);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        self.write(&mut file, &contents)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, &path)?;
        sync_directory(&path)?;
        self.note(Kept { name, contents });
        Ok(())
    }

    fn drop_one(&mut self) -> io::Result<()> {
        let Kept { name, .. } = self.take();
        println!("drop {name}");
        let path = self.top.join(&name);
        fs::remove_file(&path)?;
        sync_directory(&path)?;
        println!("dropped {name}");
        Ok(())
    }

    /// One that was kept. There is one.
    fn take(&mut self) -> Kept {
        let index = self.random.below(self.kept.len());
        self.kept.swap_remove(index)
    }

    fn note(&mut self, kept: Kept) {
        println!("kept {} {} {:08x}", kept.name, kept.contents.len(), crc32fast::hash(&kept.contents));
        self.kept.push(kept);
    }

    /// What nobody syncs, and nobody misses: files that come and go.
    fn make_noise(&mut self) -> io::Result<()> {
        let path = self.top.join(format!("noise-{}", self.random.below(6)));
        match self.random.below(3) {
            0 => {
                let contents = self.contents();
                fs::write(path, contents)
            }
            1 => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A new name, or one that is gone, is synced with its directory: fsync(2).
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

fn to_io(errno: sys::Errno) -> io::Error {
    io::Error::other(errno.to_string())
}
