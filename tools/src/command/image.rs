//! `tine image`: the SD card image, and what is published with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use tools::fresh::{Fresh, with};
use tools::image::boot_files::{self, System};
use tools::image::fetch::{self, Untried};
use tools::image::firmware::{self, Firmware};
use tools::image::release::{self, Entry};
use tools::image::{self, Data, MIB, bmap};

use super::out::say;

/// Make the image of an SD card that boots a Raspberry Pi 3 or 4
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image to write
    #[arg(default_value = "build/tine.img")]
    out: PathBuf,
    /// The kernel's raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The initramfs
    #[arg(long, value_name = "FILE", default_value = "build/initramfs.cpio")]
    initrd: PathBuf,
    /// The kernel's command line
    #[arg(long, allow_hyphen_values = true, default_value = "")]
    cmdline: String,
    /// Put this program on the card, to be started in place of the kernel
    #[arg(long, value_name = "FILE")]
    loader: Option<PathBuf>,
    /// A directory with firmware and device trees; without it, Debian's packages are fetched with apt-get, once
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "untried")]
    firmware: Option<PathBuf>,
    /// Take packages from Debian of which nobody has said that they work
    #[arg(long)]
    untried: bool,
    /// The second partition: fat32, none, or a file with a file system (mke2fs makes one)
    #[arg(long, value_name = "KIND", default_value = "fat32")]
    data: OsString,
    /// The size of the image in MiB, a power of two [default: 256, or more where the data want it]
    #[arg(long, value_name = "MIB")]
    size: Option<u64>,
    /// Also write the image compressed, OUT.xz, and OUT.rpi-imager-manifest
    #[arg(long, requires = "date")]
    release: bool,
    /// Where the compressed image will be published, for the manifest [default: the file itself]
    #[arg(long, requires = "release")]
    url: Option<String>,
    /// The day of the release, for the manifest
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
}

/// Behind the image's name, the name of what Imager opens.
const MANIFEST: &str = ".rpi-imager-manifest";

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let system = System {
        kernel: super::read_kernel(&arguments.kernel)?,
        initramfs: super::read(&arguments.initrd)?,
        cmdline: arguments.cmdline.clone(),
        loader: arguments.loader.as_deref().map(super::read_kernel).transpose()?,
    };
    let files = boot_files::all(system, firmware(arguments)?)?;
    let mut data = match arguments.data.to_str() {
        Some("fat32") => Data::Fat32,
        Some("none") => Data::None,
        _ => Data::FileSystem(open(Path::new(&arguments.data)).context("the data: fat32, none, or a file")?),
    };
    let out = &arguments.out;
    refuse_its_parts(arguments)?;
    ensure!(
        fs::metadata(out).map_or(true, |metadata| metadata.is_file()),
        "{} is no file; an image goes onto a card by `tine flash`",
        out.display()
    );
    let size = match arguments.size {
        Some(size) => size.checked_mul(MIB).context("no card is that large")?,
        None => image::size_for(&mut data)?,
    };
    // What belongs together gets its names together.
    let image = fresh(out)?;
    let map = image::write(image.path(), size, &files, &mut data)?;
    let block_map = fresh(&with(out, ".bmap"))?;
    fill(&block_map, &bmap::write(&map, &mut open(image.path())?)?)?;
    let mut made = Vec::new();
    if let Some(date) = arguments.date.as_deref().filter(|_| arguments.release) {
        made.extend(release(arguments, image.path(), date)?);
    }
    for file in [image, block_map].into_iter().chain(made) {
        file.keep().with_context(|| format!("cannot write {}", out.display()))?;
    }
    let mapped = map.mapped() as u64 * image::sparse::BLOCK;
    say!("{}: {} MiB, of which {} are written to a card", out.display(), size / MIB, mapped.div_ceil(MIB))?;
    if arguments.release {
        let compressed = with(out, ".xz");
        say!("{}: {} KiB", compressed.display(), fs::metadata(&compressed)?.len().div_ceil(1024))?;
        say!("{}", with(out, MANIFEST).display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The image must not take the place of what it is made of.
fn refuse_its_parts(arguments: &Arguments) -> anyhow::Result<()> {
    let Ok(out) = fs::canonicalize(&arguments.out) else { return Ok(()) };
    let parts = [Some(&arguments.kernel), Some(&arguments.initrd), arguments.loader.as_ref()];
    let data = Path::new(&arguments.data);
    for part in parts.into_iter().flatten().map(PathBuf::as_path).chain([data]) {
        let same = fs::canonicalize(part).is_ok_and(|part| part == out);
        ensure!(!same, "{} is a part of the image, and cannot be the image, too", out.display());
    }
    Ok(())
}

/// What the user has, or what was fetched before, or what is fetched now.
fn firmware(arguments: &Arguments) -> anyhow::Result<Firmware> {
    if let Some(directory) = &arguments.firmware {
        return Firmware::from_directory(directory);
    }
    let cache = firmware::cache()?;
    if !cache.exists() || arguments.untried {
        say!("fetching raspi-firmware and a kernel's device trees from Debian, 65 to 100 MB; nothing is installed")?;
        let untried = if arguments.untried { Untried::Use } else { Untried::Refuse };
        if let Err(error) = fetch::fetch(&cache, untried) {
            bail!(
                "{error:#}\n\n\
                 The firmware is not part of Tine. There are two ways to have it on the card:\n  \
                 --firmware DIRECTORY (make image FIRMWARE=DIRECTORY) takes it from a directory: the boot directory of\n    \
                 a checkout of the repository raspberrypi/firmware, or the boot partition of another card\n  \
                 on Debian 12 or 13 with a network it is fetched with apt-get; where its packages are newer than those\n    \
                 that were tried, --untried takes them all the same"
            );
        }
    }
    Firmware::from_directory(&cache)
        .with_context(|| format!("delete {} to have the firmware fetched again", cache.display()))
}

/// The image compressed, and the manifest.
fn release(arguments: &Arguments, image: &Path, date: &str) -> anyhow::Result<[Fresh; 2]> {
    let name = with(&arguments.out, ".xz");
    let compressed = fresh(&name)?;
    release::compress(image, compressed.path())?;
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => release::file_url(&std::path::absolute(&name)?),
    };
    let bmap_url = format!("{}.bmap", url.strip_suffix(".xz").unwrap_or(&url));
    let version = env!("CARGO_PKG_VERSION");
    let entry = Entry { version, url: &url, bmap_url: &bmap_url, date, image, compressed: compressed.path() };
    let manifest = fresh(&with(&arguments.out, MANIFEST))?;
    fill(&manifest, &entry.manifest()?)?;
    Ok([compressed, manifest])
}

fn fresh(path: &Path) -> anyhow::Result<Fresh> {
    Fresh::new(path).with_context(|| format!("cannot write {}", path.display()))
}

fn fill(file: &Fresh, text: &str) -> anyhow::Result<()> {
    fs::write(file.path(), text).with_context(|| format!("cannot write {}", file.path().display()))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}
