//! `tine busybox`: a shell for the initramfs.

use std::path::PathBuf;
use std::process::ExitCode;

use tools::busybox;

use super::out::say;

/// Fetch Debian's static busybox for arm64 with apt-get, into a file that is left empty where it cannot be had
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The program to write
    out: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.out.display();
    say!("{name}: fetching busybox-static for arm64 with apt-get; nothing is installed")?;
    let program = match busybox::fetch() {
        Ok(program) => program,
        Err(error) => {
            say!("{name}: {error:#}")?;
            say!("{name}: left empty: there will be no shell; delete it to try again")?;
            Vec::new()
        }
    };
    super::write(&arguments.out, &program)?;
    Ok(ExitCode::SUCCESS)
}
