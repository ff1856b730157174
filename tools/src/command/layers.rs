//! `tine layers`: whether the sources keep the order of the house.

use std::path::PathBuf;
use std::process::ExitCode;

use super::out::say;

/// Check who imports whom, and where `unsafe` stands
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The workspace
    #[arg(default_value = ".")]
    root: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let breaches = tools::layers::check(&arguments.root)?;
    for breach in &breaches {
        say!("{breach}")?;
    }
    Ok(if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
