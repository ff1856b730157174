//! Block maps, version 2.0: which blocks of an image are to be written, with their checksums. `bmaptool` reads them, and
//! Raspberry Pi Imager.

use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeInclusive;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::hex;
use super::sparse::{BLOCK, BlockMap, bytes_of};

/// Stands where the checksum of the file itself will.
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The block map of `image`.
///
/// # Errors
///
/// What reading the image gives.
pub fn write(map: &BlockMap, image: &mut (impl Read + Seek)) -> anyhow::Result<String> {
    let mut text = format!(
        "<?xml version=\"1.0\" ?>\n\
         <bmap version=\"2.0\">\n\
         \x20   <ImageSize> {} </ImageSize>\n\
         \x20   <BlockSize> {BLOCK} </BlockSize>\n\
         \x20   <BlocksCount> {} </BlocksCount>\n\
         \x20   <MappedBlocksCount> {} </MappedBlocksCount>\n\
         \x20   <ChecksumType> sha256 </ChecksumType>\n\
         \x20   <BmapFileChecksum> {NO_CHECKSUM} </BmapFileChecksum>\n\
         \x20   <BlockMap>\n",
        map.size,
        map.blocks(),
        map.mapped(),
    );
    for run in map.runs() {
        let checksum = checksum(image, &run, map.size)?;
        let range =
            if run.start() == run.end() { run.start().to_string() } else { format!("{}-{}", run.start(), run.end()) };
        writeln!(text, "        <Range chksum=\"{checksum}\"> {range} </Range>")?;
    }
    text.push_str("    </BlockMap>\n</bmap>\n");
    let own = hex(&Sha256::digest(text.as_bytes()));
    Ok(text.replacen(NO_CHECKSUM, &own, 1))
}

fn checksum(image: &mut (impl Read + Seek), run: &RangeInclusive<u64>, size: u64) -> anyhow::Result<String> {
    let (start, length) = bytes_of(run, size);
    image.seek(SeekFrom::Start(start))?;
    Ok(super::sha256(image.by_ref().take(length))?)
}

/// A block map that was read.
#[derive(PartialEq, Eq, Debug)]
pub struct Parsed {
    /// The size of the image, in bytes.
    pub size: u64,
    /// The runs of blocks to write, in order, and the SHA-256 of each.
    pub runs: Vec<(RangeInclusive<u64>, String)>,
}

/// Reads a block map as [`write()`] makes them.
///
/// # Errors
///
/// A map that is damaged, or in a form that other programs may write.
pub fn parse(text: &str) -> anyhow::Result<Parsed> {
    let own = field(text, "BmapFileChecksum")?;
    ensure!(own.len() == NO_CHECKSUM.len(), "the checksum is no SHA-256");
    let found = hex(&Sha256::digest(text.replacen(own, NO_CHECKSUM, 1).as_bytes()));
    ensure!(found == own, "the block map does not have the checksum that it says");
    let size = field(text, "ImageSize")?.parse().context("bad size")?;
    ensure!(field(text, "BlockSize")? == BLOCK.to_string(), "its blocks have another size than {BLOCK}");
    ensure!(field(text, "ChecksumType")? == "sha256", "its checksums are no SHA-256");
    let runs: Vec<_> = text.split("<Range").skip(1).map(range).collect::<anyhow::Result<_>>()?;
    for (run, _) in &runs {
        ensure!(run.start() <= run.end() && *run.end() < u64::div_ceil(size, BLOCK), "a range reaches past the image");
    }
    Ok(Parsed { size, runs })
}

/// What stands in an element that occurs once.
fn field<'text>(text: &'text str, name: &str) -> anyhow::Result<&'text str> {
    let (_, rest) = text.split_once(&format!("<{name}>")).with_context(|| format!("no {name}"))?;
    let (value, _) = rest.split_once("</").with_context(|| format!("{name} does not end"))?;
    Ok(value.trim())
}

/// The rest of an element ` chksum="…"> first-last </Range>`.
fn range(element: &str) -> anyhow::Result<(RangeInclusive<u64>, String)> {
    let (attributes, rest) = element.split_once('>').context("a range does not end")?;
    let checksum = attributes.trim().strip_prefix("chksum=\"").and_then(|rest| rest.strip_suffix('"'));
    let checksum = checksum.context("a range without a checksum")?.to_owned();
    let (value, _) = rest.split_once("</Range>").context("a range does not end")?;
    let value = value.trim();
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    Ok((first.parse().context("bad range")?..=last.parse().context("bad range")?, checksum))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn map_of(image: &[u8], written: &[(u64, u64)]) -> String {
        let mut map = BlockMap::empty(image.len() as u64);
        for &(start, length) in written {
            map.note(start, length);
        }
        write(&map, &mut Cursor::new(image)).unwrap()
    }

    #[test]
    fn a_map_reads_back_as_it_was_written() {
        let image = vec![7; 10 * 4096];
        let parsed = parse(&map_of(&image, &[(0, 1), (3 * BLOCK, 2 * BLOCK)])).unwrap();
        assert_eq!(parsed.size, 40960);
        let runs: Vec<_> = parsed.runs.iter().map(|(run, _)| run.clone()).collect();
        assert_eq!(runs, [0..=0, 3..=4]);
        assert_eq!(parsed.runs[0].1, super::super::sha256(&image[..4096]).unwrap());
    }

    #[test]
    fn a_map_that_was_changed_is_refused() {
        let text = map_of(&[0; 8192], &[(0, 1)]);
        assert!(parse(&text.replace("<ImageSize> 8192", "<ImageSize> 4096")).is_err());
        assert!(parse(&text[..text.len() / 2]).is_err());
        assert!(parse("").is_err());
    }
}
