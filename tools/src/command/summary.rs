//! `tine summary`: one line for all test runners.

use std::path::PathBuf;
use std::process::ExitCode;

use tools::summary::Count;

use super::out::say;

/// Add up what the test runners said in their logs; fails if anything failed
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The logs that tools/suite.sh wrote
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Also write the line into a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut total = Count::default();
    for path in &arguments.logs {
        let count = Count::of_log(&String::from_utf8_lossy(&super::read(path)?));
        if !count.is_success() {
            say!("failed: {} ({count}), see {}", name(path), path.display())?;
        }
        total += count;
    }
    if let Some(out) = &arguments.out {
        super::write(out, format!("{total}\n").as_bytes())?;
    }
    say!("{total}")?;
    Ok(if total.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn name(path: &std::path::Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
