//! Firmware and device trees: not ours, and in no repository of ours. They come out of a directory.
//!
//! The directory is a checkout of the firmware's repository (its `boot`), the boot partition of another card, or the one
//! that [`fetch`](super::fetch) fills from two packages of Debian.
//!
//! The firmware may be passed on in binary form, unmodified, for use with a Raspberry Pi, together with its licence: where
//! the licence is missing, there is no image. The device trees are Linux's, under the GPL.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::boot_files::BootFile;
use super::hex;

/// Firmware of the Pi 3, then of the Pi 4: of both the parts that go together.
pub(super) const BLOBS: [&str; 5] = ["bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat"];

/// A device tree, by its name on the card.
pub(super) struct Tree {
    /// Firmware looks for this name: that of its vendor's kernel, before that of Linux.
    name: &'static str,
    /// Its name in Linux.
    pub(super) linux_name: &'static str,
    /// Whether there is no card without it.
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

/// The device trees, one for each model of board. A 3 A+ takes that of the 3 B+, as on Raspberry Pi's own cards.
pub(super) const TREES: [Tree; 6] = [
    Tree { name: "bcm2710-rpi-3-b.dtb", linux_name: "bcm2837-rpi-3-b.dtb", need: Need::Must },
    Tree { name: "bcm2710-rpi-3-b-plus.dtb", linux_name: "bcm2837-rpi-3-b-plus.dtb", need: Need::May },
    Tree { name: "bcm2710-rpi-zero-2-w.dtb", linux_name: "bcm2837-rpi-zero-2-w.dtb", need: Need::May },
    Tree { name: "bcm2711-rpi-4-b.dtb", linux_name: "bcm2711-rpi-4-b.dtb", need: Need::Must },
    Tree { name: "bcm2711-rpi-400.dtb", linux_name: "bcm2711-rpi-400.dtb", need: Need::May },
    Tree { name: "bcm2711-rpi-cm4.dtb", linux_name: "bcm2711-rpi-cm4-io.dtb", need: Need::May },
];

/// The licence of the firmware, as its repository and every card name it.
pub(super) const LICENCE: &str = "LICENCE.broadcom";
/// The terms of Linux, of which the device trees are a part.
pub(super) const LINUX_LICENCE: &str = "COPYING.linux";
/// Says where the files of a directory came from.
const ORIGIN: &str = "ORIGIN";
/// What `sha256sum -c` checks a directory with.
const SUMS: &str = "SHA256SUMS";

/// What others have written, for the boot partition.
#[derive(Debug)]
pub struct Firmware {
    /// The files, licences included.
    pub files: Vec<BootFile>,
    /// Where they came from, for the card's README.
    pub origin: String,
    /// What the README says about licences, a line each.
    pub licences: Vec<String>,
}

impl Firmware {
    /// Takes them from a directory. Where it has a list of checksums, as the one that was fetched has, they are checked.
    ///
    /// # Errors
    ///
    /// What is no directory, and files that are missing, by name, that are empty, or that are not what the list says.
    pub fn from_directory(directory: &Path) -> anyhow::Result<Self> {
        ensure!(directory.is_dir(), "there is no directory {}", directory.display());
        let sums = fs::read_to_string(directory.join(SUMS)).ok();
        let read = |name: &str| read_checked(directory, name, sums.as_deref());
        let mut files = Vec::new();
        let mut missing = Vec::new();
        let mut take = |names: &[&str], name: &str, need| -> anyhow::Result<bool> {
            for candidate in names {
                if let Some(bytes) = read(candidate)? {
                    files.push(BootFile::new(name, bytes));
                    return Ok(true);
                }
            }
            if need == Need::Must {
                missing.push(name.to_owned());
            }
            Ok(false)
        };
        for name in BLOBS {
            take(&[name], name, Need::Must)?;
        }
        for tree in TREES {
            take(&[tree.name, tree.linux_name], tree.name, tree.need)?;
        }
        take(&[LICENCE], LICENCE, Need::Must)?;
        let has_linux_licence = take(&[LINUX_LICENCE], LINUX_LICENCE, Need::May)?;
        ensure!(missing.is_empty(), "{} has no {}", directory.display(), missing.join(", no "));
        let origin = read(ORIGIN)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let origin =
            origin.map_or_else(|| "a directory that the builder had".to_owned(), |text| text.trim().to_owned());
        let mut licences = vec![format!("{LICENCE} is that of the firmware.")];
        licences.push(if has_linux_licence {
            format!("{LINUX_LICENCE} is about the device trees, which are a part of Linux.")
        } else {
            "The device trees are a part of Linux, under the GPL, version 2.".to_owned()
        });
        Ok(Self { files, origin, licences })
    }
}

/// A file of a directory, if it is there. Where a list of checksums has it, it must be as that says.
fn read_checked(directory: &Path, name: &str, sums: Option<&str>) -> anyhow::Result<Option<Vec<u8>>> {
    let path = directory.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    let found = hex(&Sha256::digest(&bytes));
    let differs = |known: &str| !known.eq_ignore_ascii_case(&found);
    ensure!(
        !sums.into_iter().flat_map(str::lines).filter_map(|line| sum_of(line, name)).any(differs),
        "{} is not what {SUMS} beside it says",
        path.display()
    );
    Ok(Some(bytes))
}

/// The checksum in a line of sha256sum(1), if it is that of this file; another's list may have been made as of binary files,
/// or from the directory's own name.
fn sum_of<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    let (sum, rest) = line.split_once(' ')?;
    let file = rest.strip_prefix([' ', '*']).unwrap_or(rest);
    (file.strip_prefix("./").unwrap_or(file) == name).then_some(sum)
}

/// Where what was fetched is kept: `tine/firmware` in the user's cache directory.
///
/// # Errors
///
/// Where there is no such directory, for there is no home.
pub fn cache() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("tine/firmware"))
}

/// Makes a directory as [`Firmware::from_directory`] reads them, all or nothing.
pub(super) fn store(directory: &Path, files: &[BootFile], origin: &str) -> anyhow::Result<()> {
    let parent = directory.parent().context("no directory")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let fresh = parent.join(format!(".firmware-{}", std::process::id()));
    let write = || -> anyhow::Result<()> {
        fs::create_dir(&fresh)?;
        let origin = BootFile::new(ORIGIN, format!("{origin}\n"));
        let mut sums = String::new();
        for file in files.iter().chain([&origin]) {
            fs::write(fresh.join(&file.name), &file.bytes)?;
            sums += &format!("{}  {}\n", hex(&Sha256::digest(&file.bytes)), file.name);
        }
        fs::write(fresh.join(SUMS), sums)?;
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        Ok(fs::rename(&fresh, directory)?)
    };
    write().with_context(|| format!("cannot make {}", directory.display())).inspect_err(|_| {
        // What is left of it is in a cache.
        let _ = fs::remove_dir_all(&fresh);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with all that is needed but `without`.
    fn directory(without: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let trees = ["bcm2837-rpi-3-b.dtb", "bcm2711-rpi-4-b.dtb"];
        for name in BLOBS.into_iter().chain(trees).chain([LICENCE]).filter(|&name| name != without) {
            fs::write(directory.path().join(name), name).unwrap();
        }
        directory
    }

    #[test]
    fn a_tree_goes_onto_the_card_under_the_name_that_firmware_looks_for_first() {
        let directory = directory("");
        let firmware = Firmware::from_directory(directory.path()).unwrap();
        let tree = firmware.files.iter().find(|file| file.name == "bcm2710-rpi-3-b.dtb").unwrap();
        assert_eq!(tree.bytes, b"bcm2837-rpi-3-b.dtb");
        assert!(firmware.files.iter().any(|file| file.name == LICENCE));
        assert!(!firmware.files.iter().any(|file| file.name == "bcm2711-rpi-400.dtb"));
    }

    #[test]
    fn what_is_missing_is_named_and_the_licence_must_be_there() {
        for name in ["fixup4.dat", "bcm2711-rpi-4-b.dtb", LICENCE] {
            let error = Firmware::from_directory(directory(name).path()).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("start.elf"), "{error}");
        }
    }

    #[test]
    fn an_empty_file_is_named_and_so_is_what_is_no_directory() {
        let directory = directory("");
        fs::write(directory.path().join("start4.elf"), "").unwrap();
        let error = Firmware::from_directory(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("start4.elf is empty"), "{error}");
        for path in ["none", "fixup.dat"] {
            let error = Firmware::from_directory(&directory.path().join(path)).unwrap_err().to_string();
            assert!(error.starts_with("there is no directory /"), "{error}");
        }
    }

    #[test]
    fn a_list_of_other_files_beside_them_says_nothing_of_them() {
        let directory = directory("");
        let sums = |text: &str| fs::write(directory.path().join(SUMS), text).unwrap();
        let start = hex(&Sha256::digest("start.elf")).to_uppercase();
        sums(&format!("00 *release.zip\n\n{start} *./start.elf\n"));
        assert!(Firmware::from_directory(directory.path()).is_ok());
        sums("00 *./start.elf\n");
        assert!(Firmware::from_directory(directory.path()).unwrap_err().to_string().contains("start.elf is not what"));
    }

    #[test]
    fn what_was_stored_reads_back_and_a_changed_file_is_found_out() {
        let root = tempfile::tempdir().unwrap();
        let kept = root.path().join("deeper/firmware");
        let files = Firmware::from_directory(directory("").path()).unwrap().files;
        store(&kept, &files, "somewhere").unwrap();
        store(&kept, &files, "elsewhere").unwrap();
        let firmware = Firmware::from_directory(&kept).unwrap();
        assert_eq!((firmware.files, firmware.origin.as_str()), (files, "elsewhere"));
        fs::write(kept.join("start.elf"), "other").unwrap();
        let error = Firmware::from_directory(&kept).unwrap_err().to_string();
        assert!(error.contains("start.elf is not what SHA256SUMS beside it says"), "{error}");
    }
}
