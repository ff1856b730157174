//! The subcommands.

pub(crate) mod bench;
pub(crate) mod bench_card;
pub(crate) mod busybox;
pub(crate) mod console;
pub(crate) mod debian;
pub(crate) mod dtb;
pub(crate) mod flash;
pub(crate) mod image;
pub(crate) mod initramfs;
pub(crate) mod layers;
pub(crate) mod out;
pub(crate) mod profile;
pub(crate) mod push;
pub(crate) mod raw;
pub(crate) mod run;
pub(crate) mod summary;
pub(crate) mod test;
pub(crate) mod trace;

use std::path::Path;

use anyhow::{Context as _, ensure};
use clap::builder::{RangedI64ValueParser, RangedU64ValueParser};
use tools::fresh::Fresh;

/// Speeds of a serial line that adapters have, in bits a second.
fn baud() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(300..=12_000_000)
}

/// How long something is waited for, up to a day.
fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(..=86_400)
}

/// Reads a whole file; the error names it.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a kernel's raw image. The ELF file beside it would be started in the middle of its tables.
fn read_kernel(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = read(path)?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    ensure!(!bytes.starts_with(b"\x7fELF"), "{} is an ELF file; `tine raw` makes the raw image of it", path.display());
    Ok(bytes)
}

/// Writes a whole file, making the directory it is in; the error names it. What was there stays until it is whole.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let keep = || {
        let fresh = Fresh::new(path)?;
        std::fs::write(fresh.path(), bytes)?;
        fresh.keep()
    };
    keep().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_raw_image_is_no_kernel() {
        let directory = tempfile::tempdir().unwrap();
        let said = |bytes: &[u8]| {
            let path = directory.path().join("kernel");
            std::fs::write(&path, bytes).unwrap();
            read_kernel(&path).map_err(|error| error.to_string())
        };
        assert_eq!(said(b"code"), Ok(b"code".to_vec()));
        assert!(said(b"\x7fELF\x02\x01").unwrap_err().contains("tine raw"));
        assert!(said(b"").unwrap_err().contains("is empty"));
    }
}
