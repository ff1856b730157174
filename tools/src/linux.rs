//! Debian's Linux for arm64, to measure beside: the kernel, the drivers of its cards' controllers and its device tree of a
//! Pi 3, out of a package, and an initramfs that reads a card.
//!
//! QEMU routes a card by the pins' functions, first to the SDHCI controller and, once pins 48 to 53 have another, to the
//! SDHOST controller. With its own tree Linux takes the latter, by DMA; [`tree`] makes one with which it takes the former,
//! which is the one that Tine drives.

pub mod tree;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cpio::{Access, Archive, Entry, Error};
use crate::debian::{Content, File, Package, Source};

/// Its modules that a card needs, in the order in which they are loaded; a kernel that has one built in has no such file.
const MODULES: [&str; 6] = ["fixed", "gpio-regulator", "sdhci", "sdhci-pltfm", "sdhci-iproc", "bcm2835"];
/// The end of their path: there are others of the same names.
const PLACES: [&str; 2] = ["/drivers/regulator/", "/drivers/mmc/host/"];
const IMAGE: &str = "Image";
const TREE: &str = "bcm2837-rpi-3-b.dtb";
/// Which package it is; written when all else is there.
const ORIGIN: &str = "ORIGIN";

/// A kernel with what belongs to it.
#[derive(Debug)]
pub struct Linux {
    /// Package and version.
    pub origin: String,
    /// The kernel, as QEMU starts it.
    pub image: PathBuf,
    /// The device tree.
    pub tree: Vec<u8>,
    /// Name and content of each module, in the order in which they are loaded.
    modules: Vec<(String, Vec<u8>)>,
}

impl Linux {
    /// The one in `directory`, which is filled from Debian's package if it is not: that fetches 60 to 100 MB.
    ///
    /// # Errors
    ///
    /// Where apt-get is missing or does not find it, or a file cannot be read or written.
    pub fn of(directory: &Path) -> anyhow::Result<Self> {
        if !directory.join(ORIGIN).exists() {
            fetch(directory).context("cannot fetch Debian's kernel")?;
        }
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut modules = Vec::new();
        for name in MODULES {
            let file = format!("{name}.ko");
            if directory.join(&file).exists() {
                modules.push((file.clone(), read(&file)?));
            }
        }
        let origin = String::from_utf8_lossy(&read(ORIGIN)?).trim().to_owned();
        Ok(Self { origin, image: directory.join(IMAGE), tree: read(TREE)?, modules })
    }

    /// An initramfs that loads the modules and then runs `script`, a shell's, and switches the board off.
    ///
    /// # Errors
    ///
    /// None that a caller could cause.
    pub fn initramfs(&self, busybox: Vec<u8>, script: &str) -> Result<Vec<u8>, Error> {
        let mut init = String::from(
            "#!/bin/busybox sh\n/bin/busybox mkdir -p /proc /sys /dev\n/bin/busybox --install -s /bin\n\
             mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\n",
        );
        let mut archive = Archive::default();
        for (name, data) in &self.modules {
            init.push_str(&format!("insmod /modules/{name}\n"));
            let entry = Entry::File { data: data.clone(), access: Access::Plain };
            archive.add(&format!("modules/{name}"), entry)?;
        }
        init.push_str(script);
        init.push_str("\npoweroff -f\n");
        archive.add("bin/busybox", Entry::File { data: busybox, access: Access::Executable })?;
        archive.add("init", Entry::File { data: init.into_bytes(), access: Access::Executable })?;
        archive.to_bytes()
    }
}

fn fetch(directory: &Path) -> anyhow::Result<()> {
    let package = Source::open("arm64", &[])?.fetch_kernel()?;
    fs::create_dir_all(directory)?;
    for (name, bytes) in taken(&package)? {
        fs::write(directory.join(name), bytes)?;
    }
    Ok(fs::write(directory.join(ORIGIN), format!("{} {}\n", package.name, package.version))?)
}

fn taken(package: &Package) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in package.files()? {
        files.extend(take(file)?);
    }
    for name in [IMAGE, TREE, "sdhci-iproc.ko"] {
        let has = files.iter().any(|(taken, _)| taken == name);
        anyhow::ensure!(has, "package {} {} has no {name}", package.name, package.version);
    }
    Ok(files)
}

/// The name under which a file is kept, and its content; nothing for those that are of no use.
fn take(file: File) -> anyhow::Result<Option<(String, Vec<u8>)>> {
    let Content::Data(data) = file.content else { return Ok(None) };
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if file.path.starts_with("boot/vmlinuz-") {
        return Ok(Some((IMAGE.to_owned(), data)));
    }
    if name == TREE && file.path.contains("/broadcom/") {
        return Ok(Some((TREE.to_owned(), data)));
    }
    let (stem, packed) = match name.strip_suffix(".xz") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    let is_module = stem.strip_suffix(".ko").is_some_and(|module| MODULES.contains(&module));
    if !is_module || !PLACES.iter().any(|place| file.path.contains(place)) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    if packed {
        liblzma::read::XzDecoder::new(data.as_slice()).read_to_end(&mut bytes)?;
    } else {
        bytes = data;
    }
    Ok(Some((stem.to_owned(), bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_as(path: &str) -> Option<String> {
        let content = Content::Data(b"x".to_vec());
        take(File { path: path.to_owned(), permissions: 0o644, content }).unwrap().map(|(name, _)| name)
    }

    #[test]
    fn of_a_package_the_kernel_its_tree_and_the_cards_modules_are_taken() {
        assert_eq!(taken_as("boot/vmlinuz-6.1.0-50-arm64").as_deref(), Some("Image"));
        assert_eq!(taken_as("usr/lib/linux-image-6.1/broadcom/bcm2837-rpi-3-b.dtb").as_deref(), Some(TREE));
        assert_eq!(taken_as("lib/modules/6.1/kernel/drivers/mmc/host/sdhci.ko").as_deref(), Some("sdhci.ko"));
        assert_eq!(taken_as("lib/modules/6.1/kernel/sound/soc/bcm/bcm2835.ko"), None);
        assert_eq!(taken_as("boot/config-6.1.0-50-arm64"), None);
    }

    #[test]
    fn a_module_that_is_packed_is_unpacked() {
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(&b"module"[..], 1).read_to_end(&mut packed).unwrap();
        let path = "usr/lib/modules/6.12/kernel/drivers/mmc/host/sdhci.ko.xz".to_owned();
        let file = File { path, permissions: 0o644, content: Content::Data(packed) };
        assert_eq!(take(file).unwrap(), Some(("sdhci.ko".to_owned(), b"module".to_vec())));
    }

    #[test]
    fn modules_are_loaded_in_their_order_before_the_script() {
        let module = |name: &str| (name.to_owned(), b"elf".to_vec());
        let modules = vec![module("sdhci.ko"), module("sdhci-pltfm.ko")];
        let linux = Linux { origin: String::new(), image: PathBuf::new(), tree: Vec::new(), modules };
        let archive = linux.initramfs(b"busybox".to_vec(), "echo hello").unwrap();
        let text = String::from_utf8_lossy(&archive);
        let places = ["insmod /modules/sdhci.ko", "insmod /modules/sdhci-pltfm.ko", "echo hello", "poweroff -f"];
        let places: Vec<_> = places.iter().map(|part| text.find(part).unwrap()).collect();
        assert!(places.is_sorted());
    }
}
