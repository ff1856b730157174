//! `tine raw`: kernel ELF to raw image.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tools::raw::Image;

use super::out::say;

/// Turn a kernel ELF into the raw image that firmware and QEMU load
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kernel with symbols
    elf: PathBuf,
    /// The image to write
    out: PathBuf,
    /// Refuse an image of more bytes than this
    #[arg(long, value_name = "BYTES")]
    max_size: Option<usize>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let elf = super::read(&arguments.elf)?;
    let image = Image::from_elf(&elf).with_context(|| format!("{} is no kernel", arguments.elf.display()))?;
    let size = image.bytes.len();
    if let Some(limit) = arguments.max_size.filter(|&limit| size > limit) {
        anyhow::bail!("the image has {size} bytes, {} more than the {limit} allowed", size - limit);
    }
    super::write(&arguments.out, &image.bytes)?;
    say!("{}: {size} bytes ({} KiB in memory)", arguments.out.display(), image.span.div_ceil(1024))?;
    Ok(ExitCode::SUCCESS)
}
