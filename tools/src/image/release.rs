//! What is published beside an image: itself compressed, and an entry for Raspberry Pi Imager.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;

/// Level of compression. 6 takes twice the time, most of it for the zeros, and makes the image smaller by a tenth.
const LEVEL: u32 = 3;
/// What is shown beside the name: Imager has it inside itself. Its schema (`doc/json-schema/os-list-schema.json` of its
/// repository) wants some icon.
const ICON: &str = "icons/use_custom.png";
/// The boards, as Imager's list of devices tags them.
const DEVICES: [&str; 2] = ["pi3-64bit", "pi4-64bit"];

/// Compresses an image, in one thread, so that the same image gives the same bytes.
///
/// # Errors
///
/// What goes wrong with the files.
pub fn compress(image: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = || -> io::Result<()> {
        let mut encoder = liblzma::write::XzEncoder::new(BufWriter::new(File::create(to)?), LEVEL);
        io::copy(&mut File::open(image)?, &mut encoder)?;
        encoder.finish()?.flush()
    };
    copy().with_context(|| format!("cannot compress {} to {}", image.display(), to.display()))
}

/// What Imager is told of a compressed image.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The version, shown behind the name.
    pub version: &'a str,
    /// Where the compressed image is to be had; a `file://` will do.
    pub url: &'a str,
    /// Where its block map is.
    pub bmap_url: &'a str,
    /// The day, as `YYYY-MM-DD`.
    pub date: &'a str,
    /// The image.
    pub image: &'a Path,
    /// The same compressed.
    pub compressed: &'a Path,
}

impl Entry<'_> {
    /// The list of this one entry, as a `.rpi-imager-manifest`.
    ///
    /// # Errors
    ///
    /// A date in another form, and what reading the two files gives.
    pub fn manifest(&self) -> anyhow::Result<String> {
        ensure!(is_date(self.date), "{:?} is no date as YYYY-MM-DD", self.date);
        let read = |path: &Path| -> anyhow::Result<(u64, String)> {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((file.metadata()?.len(), super::sha256(file)?))
        };
        let (size, sha256) = read(self.image)?;
        let (download_size, download_sha256) = read(self.compressed)?;
        let entry = json!({
            "name": format!("Tine {}", self.version),
            "description": "A small Unix kernel with a shell on the serial line (Raspberry Pi 3 and 4)",
            "icon": ICON,
            "url": self.url,
            "bmap_url": self.bmap_url,
            "extract_size": size,
            "extract_sha256": sha256,
            "image_download_size": download_size,
            "image_download_sha256": download_sha256,
            "release_date": self.date,
            "architecture": "armv8",
            "devices": DEVICES,
        });
        Ok(format!("{:#}\n", json!({ "os_list": [entry] })))
    }
}

fn is_date(date: &str) -> bool {
    let form = date.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    let within = |place: Range<usize>, most: u32| {
        let part = date.get(place).and_then(|part| part.parse().ok());
        part.is_some_and(|part| (1..=most).contains(&part))
    };
    form.eq(*b"0000-00-00") && within(5..7, 12) && within(8..10, 31)
}

/// The URL of a file of this machine (RFC 8089): what a path may have and a URL may not is written in hexadecimal digits.
#[must_use]
pub fn file_url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_path_is_a_url_whatever_is_in_it() {
        assert_eq!(file_url(Path::new("/home/me/a b/100%#1/\u{e4}.xz")), "file:///home/me/a%20b/100%25%231/%C3%A4.xz");
    }

    #[test]
    fn imager_finds_sizes_and_sums_of_both_files() {
        let directory = tempfile::tempdir().unwrap();
        let (image, compressed) = (directory.path().join("a.img"), directory.path().join("a.img.xz"));
        fs::write(&image, vec![0; 1 << 20]).unwrap();
        compress(&image, &compressed).unwrap();
        let mut back = Vec::new();
        liblzma::read::XzDecoder::new(File::open(&compressed).unwrap()).read_to_end(&mut back).unwrap();
        assert_eq!(back, vec![0; 1 << 20]);

        let mut entry = Entry {
            version: "1",
            url: "file:///x",
            bmap_url: "",
            date: "2026-01-31",
            image: &image,
            compressed: &compressed,
        };
        let list: serde_json::Value = serde_json::from_str(&entry.manifest().unwrap()).unwrap();
        let entry_of = &list["os_list"][0];
        assert_eq!(entry_of["extract_size"], 1 << 20);
        assert_eq!(entry_of["extract_sha256"], crate::image::sha256(&back[..]).unwrap());
        // What Imager's schema wants of an entry.
        for required in ["name", "description", "icon", "url", "release_date"] {
            assert!(entry_of[required].as_str().is_some_and(|text| !text.is_empty()), "{required}");
        }
        assert!(entry_of["devices"].as_array().is_some_and(|devices| devices.len() == 2));
        assert_eq!(entry_of["image_download_sha256"], crate::image::sha256(File::open(&compressed).unwrap()).unwrap());
        assert_eq!(entry_of["image_download_size"], fs::metadata(&compressed).unwrap().len());
        for date in ["today", "2026-13-01", "2026-01-32", "2026-00-10", ""] {
            entry.date = date;
            assert!(entry.manifest().is_err(), "{date}");
        }
    }
}
