//! Firmware and device trees from two packages of Debian: `raspi-firmware`, and the kernel for arm64.
//!
//! What comes is used only if its SHA-256 is written here, for nothing else has been looked at. The firmware's package
//! changes seldom and is known as a whole. The kernel's changes every other week and its device trees seldom, so those are
//! known each by itself.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::boot_files::BootFile;
use super::firmware::{self, BLOBS, LICENCE, LINUX_LICENCE, TREES};
use super::hex;
use crate::debian::{Content, Package, Source};

/// The component of the archive that has the firmware.
const COMPONENT: &str = "non-free-firmware";
const FIRMWARE_PACKAGE: &str = "raspi-firmware";

/// The firmware's packages that are known: SHA-256 and version. Debian 12, Debian 13.
const KNOWN_FIRMWARE: [(&str, &str); 2] = [
    ("0094ced47a7fbb6a220ff83e7b43aa637a5d8f6802461e2e4e474597fb796f62", "1.20220830+ds-1"),
    ("f95a3d3c41df10bac33580be91b595efa1e126ad5e4b7eca75ce26fbbc69af06", "1.20240424+ds-6"),
];

/// The device trees that are known, by their names in Linux: of Linux 6.1 (Debian 12) and of 6.12 (Debian 13).
const KNOWN_TREES: [(&str, [&str; 2]); 6] = [
    (
        "bcm2837-rpi-3-b.dtb",
        [
            "452eb81cde2331942cf000af509e2b3e9736c742612339ba449b34a591d1849e",
            "04dad97e4af7c63031f8bab57dd6725520a65c7198e5cdd8e831524279892328",
        ],
    ),
    (
        "bcm2837-rpi-3-b-plus.dtb",
        [
            "0b8c6471bc04839641b9dd2c20b861700516df2187a092109c62675711b38ea3",
            "34616a1088033fec7b2fe4be144e3f47ec95d915ebfb6a7cc660720e9d22299e",
        ],
    ),
    (
        "bcm2837-rpi-zero-2-w.dtb",
        [
            "d34246a0fa6358d375139f554cf8a2d8b8f1b34d3de4919456d0e261d6dc9ec8",
            "9cd0cf575118785f342cc3e3d5c7f7351fb2caf2742ef2da16ca2e6f7ae02b45",
        ],
    ),
    (
        "bcm2711-rpi-4-b.dtb",
        [
            "b61443b9dcd7af9ebefa113114af77ec0cd3b477be22bd060f99b3bf376b2ae8",
            "35767bd9bf386edb22685c639f2cf0a538aefa34a08c503aca604f6f06179811",
        ],
    ),
    (
        "bcm2711-rpi-400.dtb",
        [
            "8def0b98bfc4217782fa8e02b844dd3b2f9f2b53536804e7444d6281935ace14",
            "8f569dae47486b4d57c264167c016d696117b663adb03805834c3da1d955d97e",
        ],
    ),
    (
        "bcm2711-rpi-cm4-io.dtb",
        [
            "5f446c7b43c9a0588f6d3fc38f784584a64372b458f1f7057f331b7a7f98d4d4",
            "a15e55f2cbd41c6206797166bbc312401eb3ee2b87c3f01a1680e7cb11a27940",
        ],
    ),
];

/// Whether what nobody has looked at is used all the same. The archive has signed it either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untried {
    /// It is not.
    Refuse,
    /// It is.
    Use,
}

/// Fetches both packages and makes `directory` of them, as [`Firmware::from_directory`](firmware::Firmware::from_directory)
/// reads it. Some 65 to 100 MB come over the network; what is kept has 6.
///
/// # Errors
///
/// Where apt-get is missing or does not find them, or what comes is not known.
pub fn fetch(directory: &Path, untried: Untried) -> anyhow::Result<()> {
    let source = Source::open("arm64", &[COMPONENT])?;
    let firmware = the(source.fetch(&[FIRMWARE_PACKAGE])?)?;
    if untried == Untried::Refuse {
        firmware.require(&KNOWN_FIRMWARE)?;
    }
    let kernel = source.fetch_kernel()?;
    let mut files = firmware_files(&firmware)?;
    files.extend(kernel_files(&kernel, untried)?);
    let origin =
        format!("Debian's packages {} {} and {} {}", firmware.name, firmware.version, kernel.name, kernel.version);
    firmware::store(directory, &files, &origin)
}

fn the(packages: Vec<Package>) -> anyhow::Result<Package> {
    packages.into_iter().next().context("apt-get fetched nothing")
}

fn firmware_files(package: &Package) -> anyhow::Result<Vec<BootFile>> {
    let files = package.files()?;
    let take = |path: &str, name: &str| match files.iter().find(|file| file.path == path) {
        Some(crate::debian::File { content: Content::Data(bytes), .. }) => Ok(BootFile::new(name, bytes.clone())),
        _ => anyhow::bail!("package {} {} has no {path}", package.name, package.version),
    };
    let mut taken = vec![take(&format!("usr/share/doc/{FIRMWARE_PACKAGE}/copyright"), LICENCE)?];
    for name in BLOBS {
        taken.push(take(&format!("usr/lib/{FIRMWARE_PACKAGE}/{name}"), name)?);
    }
    Ok(taken)
}

fn kernel_files(package: &Package, untried: Untried) -> anyhow::Result<Vec<BootFile>> {
    let mut taken = Vec::new();
    for file in package.files()? {
        let Content::Data(bytes) = file.content else { continue };
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if file.path.contains("/broadcom/") && TREES.iter().any(|tree| tree.linux_name == name) {
            if untried == Untried::Refuse {
                check_tree(name, &bytes).with_context(|| format!("package {} {}", package.name, package.version))?;
            }
            taken.push(BootFile::new(name, bytes));
        } else if file.path == format!("usr/share/doc/{}/copyright", package.name) {
            taken.push(BootFile::new(LINUX_LICENCE, bytes));
        }
    }
    Ok(taken)
}

fn check_tree(name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let found = hex(&Sha256::digest(bytes));
    let known = KNOWN_TREES.iter().any(|(known, hashes)| *known == name && hashes.contains(&found.as_str()));
    ensure!(known, "{name} with SHA-256 {found} is not one that was tried");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_of_a_card_is_known() {
        for tree in &TREES {
            assert!(KNOWN_TREES.iter().any(|(name, _)| *name == tree.linux_name), "{}", tree.linux_name);
        }
    }

    #[test]
    fn a_tree_that_nobody_has_looked_at_is_refused_with_its_hash() {
        let error = check_tree("bcm2711-rpi-4-b.dtb", b"").unwrap_err().to_string();
        assert!(error.contains("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "{error}");
    }
}
