//! `tine dtb`: a device tree for QEMU.

use std::path::PathBuf;
use std::process::ExitCode;

use tools::board::Board;

/// Write the small device tree that QEMU passes to the kernel
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which board it describes
    #[arg(long)]
    board: Board,
    /// The blob to write
    out: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::write(&arguments.out, &tools::dtb::blob(arguments.board)?)?;
    Ok(ExitCode::SUCCESS)
}
