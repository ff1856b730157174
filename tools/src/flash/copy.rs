//! Copying an image to a card, and reading it back.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::ops::Range;

use anyhow::{Context as _, ensure};

use crate::image::bmap::Parsed;
use crate::image::sparse::bytes_of;

/// How much is copied at a time: what cards erase at once, or a part of it.
const CHUNK: usize = 1 << 20;

/// After how much of it the card is waited for, so that what is shown is on it.
const SYNC: usize = 4 << 20;
/// Bytes of the first sector, which has the partition table.
const SECTOR: usize = 512;
/// What it ends with.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// What a file of xz(1) begins with.
const XZ: [u8; 6] = *b"\xfd7zXZ\0";

/// Whether this is the image of a card, and not the kernel or the compressed image beside it.
///
/// # Errors
///
/// What has no partition table, and what reading gives.
pub fn check(image: &mut File) -> anyhow::Result<()> {
    ensure!(image.metadata()?.is_file(), "it is no file");
    let mut first = Vec::new();
    image.rewind()?;
    Read::by_ref(image).take(SECTOR as u64).read_to_end(&mut first)?;
    ensure!(!first.starts_with(&XZ), "it is compressed; `xz -dk` unpacks it");
    ensure!(
        first.len() == SECTOR && first.ends_with(&SIGNATURE),
        "it is no image of a card: it has no partition table"
    );
    Ok(())
}

/// What of an image is to be copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The parts, in order.
    parts: Vec<Range<u64>>,
}

impl Plan {
    /// All of an image.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub fn whole(image: &File) -> io::Result<Self> {
        Ok(Self { parts: std::iter::once(0..image.metadata()?.len()).collect() })
    }

    /// What its block map names.
    ///
    /// # Errors
    ///
    /// When the map is not of this image: another size, or other contents.
    pub fn mapped(image: &mut File, map: &Parsed) -> anyhow::Result<Self> {
        ensure!(map.size == image.metadata()?.len(), "the block map is of an image of another size");
        let mut parts = Vec::new();
        for (run, checksum) in &map.runs {
            let (start, length) = bytes_of(run, map.size);
            image.seek(SeekFrom::Start(start))?;
            let found = crate::image::sha256(Read::by_ref(image).take(length))?;
            ensure!(&found == checksum, "the block map is of another image: blocks {run:?} differ");
            parts.push(start..start + length);
        }
        Ok(Self { parts })
    }

    /// How many bytes are copied.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    fn chunks(&self) -> impl Iterator<Item = (u64, usize)> {
        self.parts.iter().flat_map(|part| {
            let end = part.end;
            part.clone()
                .step_by(CHUNK)
                .map(move |start| (start, usize::try_from(end - start).unwrap_or(CHUNK).min(CHUNK)))
        })
    }
}

/// Copies, and returns when all of it is on the card. `progress` is told of each piece.
///
/// # Errors
///
/// What reading the image or writing the card gives.
pub fn write(plan: &Plan, image: &mut File, card: &mut File, progress: impl Fn(u64)) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut waiting = 0;
    for (start, length) in plan.chunks() {
        let chunk = &mut buffer[..length];
        image.seek(SeekFrom::Start(start))?;
        image.read_exact(chunk).context("cannot read the image")?;
        card.seek(SeekFrom::Start(start))?;
        let place = || format!("cannot write to the card at byte {start}");
        card.write_all(chunk).with_context(place)?;
        waiting += length;
        if waiting >= SYNC {
            card.sync_data().with_context(place)?;
            waiting = 0;
        }
        progress(length as u64);
    }
    card.sync_all().context("the card did not take all that was written")
}

/// Reads back what was copied, from the card and not from memory.
///
/// # Errors
///
/// Where they differ, with the place, and what reading gives.
pub fn verify(plan: &Plan, image: &mut File, card: &mut File, progress: impl Fn(u64)) -> anyhow::Result<()> {
    // What was written is on the card, so the kernel's copy of it can go. If it stays, the comparison still says that the
    // right bytes were written.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(&*card, 0, None, rustix::fs::Advice::DontNeed);
    let (mut expected, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    for (start, length) in plan.chunks() {
        let (expected, found) = (&mut expected[..length], &mut found[..length]);
        image.seek(SeekFrom::Start(start))?;
        image.read_exact(expected).context("cannot read the image")?;
        card.seek(SeekFrom::Start(start))?;
        card.read_exact(found).with_context(|| format!("cannot read the card at byte {start}"))?;
        if let Some(offset) = expected.iter().zip(&*found).position(|(a, b)| a != b) {
            anyhow::bail!(
                "the card does not hold what was written, from byte {} on: a bad card",
                start + offset as u64
            );
        }
        progress(length as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::image::bmap;
    use crate::image::sparse::BlockMap;

    /// An image of 5 MiB and a bit, and a card with other things on it.
    fn files() -> (tempfile::TempDir, File, File) {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str, byte: u8, length: usize| {
            let path = directory.path().join(name);
            std::fs::write(&path, vec![byte; length]).unwrap();
            File::options().read(true).write(true).open(path).unwrap()
        };
        let (image, card) = (make("image", 1, (5 << 20) + 512), make("card", 0xff, 6 << 20));
        (directory, image, card)
    }

    #[test]
    fn a_whole_image_arrives_and_what_is_behind_it_stays() {
        let (directory, mut image, mut card) = files();
        let plan = Plan::whole(&image).unwrap();
        let told = Cell::new(0);
        write(&plan, &mut image, &mut card, |count| told.set(told.get() + count)).unwrap();
        verify(&plan, &mut image, &mut card, |_| ()).unwrap();
        assert_eq!(told.get(), (5 << 20) + 512);
        let bytes = std::fs::read(directory.path().join("card")).unwrap();
        assert!(bytes[..(5 << 20) + 512].iter().all(|&byte| byte == 1));
        assert!(bytes[(5 << 20) + 512..].iter().all(|&byte| byte == 0xff));
    }

    #[test]
    fn what_is_no_image_of_a_card_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let said = |bytes: &[u8]| {
            let path = directory.path().join("image");
            std::fs::write(&path, bytes).unwrap();
            check(&mut File::open(path).unwrap()).map_err(|error| error.to_string())
        };
        let mut sector = vec![0; SECTOR];
        for bytes in [&b""[..], b"short", &sector] {
            assert!(said(bytes).unwrap_err().contains("no image of a card"));
        }
        assert!(said(b"\xfd7zXZ\0\0\x04").unwrap_err().contains("xz -dk"));
        sector[510..].copy_from_slice(&SIGNATURE);
        assert_eq!(said(&sector), Ok(()));
        sector.push(0);
        assert_eq!(said(&sector), Ok(()));
        assert!(check(&mut File::open(directory.path()).unwrap()).unwrap_err().to_string().contains("no file"));
    }

    #[test]
    fn by_its_map_only_what_means_something_is_written() {
        let (directory, mut image, mut card) = files();
        let mut map = BlockMap::empty(image.metadata().unwrap().len());
        map.note(8192, 1);
        map.note(5 << 20, 512);
        let map = bmap::parse(&bmap::write(&map, &mut image).unwrap()).unwrap();
        let plan = Plan::mapped(&mut image, &map).unwrap();
        assert_eq!(plan.length(), 4096 + 512);
        write(&plan, &mut image, &mut card, |_| ()).unwrap();
        let bytes = std::fs::read(directory.path().join("card")).unwrap();
        assert_eq!(bytes.iter().filter(|&&byte| byte == 1).count(), 4096 + 512);
        // The image changes, the map stays.
        image.seek(SeekFrom::Start(9000)).unwrap();
        image.write_all(&[7]).unwrap();
        assert!(Plan::mapped(&mut image, &map).unwrap_err().to_string().contains("another image"));
    }

    #[test]
    fn a_card_that_does_not_keep_what_it_is_given_is_found_out() {
        let (_directory, mut image, mut card) = files();
        let plan = Plan::whole(&image).unwrap();
        write(&plan, &mut image, &mut card, |_| ()).unwrap();
        card.seek(SeekFrom::Start(3_000_000)).unwrap();
        card.write_all(&[0]).unwrap();
        let error = verify(&plan, &mut image, &mut card, |_| ()).unwrap_err().to_string();
        assert!(error.contains("from byte 3000000 on"), "{error}");
    }
}
