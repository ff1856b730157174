//! `tine profile`: the functions of the kernel in which the instructions of a benchmark go.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use tools::profile::{By, Profile, QEMU_ARGUMENTS, Windows, executed, is_of_log};
use tools::qemu::Qemu;
use tools::symbols::Symbols;

use super::bench;
use super::out::say;

/// Count the instructions of a benchmark by function of the kernel
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The same kernel with symbols
    #[arg(long, value_name = "FILE", default_value = "build/kernel.elf")]
    elf: PathBuf,
    /// An initramfs whose /init is the program
    #[arg(long, value_name = "FILE", default_value = "build/bench.cpio")]
    program: PathBuf,
    /// Arguments for the program
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true)]
    words: String,
    /// A window begins whenever this function is entered [default: the whole run is one window]
    #[arg(long, value_name = "FUNCTION")]
    from: Option<String>,
    /// Only windows in which this function is entered count
    #[arg(long, value_name = "FUNCTION")]
    with: Option<String>,
    /// Windows in which this function is entered do not count
    #[arg(long, value_name = "FUNCTION")]
    without: Option<String>,
    /// Count what was inlined for the function it was inlined into
    #[arg(long)]
    compiled: bool,
    /// Only this function, with what was inlined there, as a tree
    #[arg(long, value_name = "FUNCTION")]
    inlined: Option<String>,
    /// The number of functions that are shown
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    rows: usize,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let symbols = Symbols::load(&arguments.elf)?;
    let windows =
        Windows { from: arguments.from.clone(), with: arguments.with.clone(), without: arguments.without.clone() };
    let mut profile = Profile::new(windows, |address| symbols.find(address));

    let mut command = bench::benchmark(&arguments.kernel, &arguments.program, &arguments.words);
    for argument in QEMU_ARGUMENTS {
        command = command.arg(argument);
    }
    let mut child = command.to_process(&Qemu::find()?).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let log = child.stderr.take().context("QEMU has no log")?;
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        match executed(&line) {
            Some(address) => profile.push(address),
            None if is_of_log(&line) => {}
            // What QEMU has to say to a person.
            None => eprint!("{}", String::from_utf8_lossy(&line)),
        }
        line.clear();
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "QEMU ended with {status}");

    let by = match &arguments.inlined {
        Some(function) => By::Inlined(function.clone()),
        None if arguments.compiled => By::Compiled,
        None => By::Written,
    };
    let (windows, rows) = profile.finish(&by);
    anyhow::ensure!(windows > 0, "there was no such window");
    say!("instructions in an average window of {windows}:")?;
    if arguments.inlined.is_none() {
        say!("{:>12.1}  in all", rows.iter().map(|row| row.instructions).sum::<f64>())?;
    }
    for row in rows.iter().take(arguments.rows) {
        say!("{:>12.1}  {}", row.instructions, row.function)?;
    }
    Ok(ExitCode::SUCCESS)
}
