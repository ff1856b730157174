//! `tine test`: the test programs on a board.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tools::on_board::{self, Plan, Said};
use tools::push::Event;
use tools::push::port::Serial;

use super::out::{self, say};

/// Run the test programs on a board whose card has the loader, over the serial line
///
/// The kernel is sent, `usertests` is run at its shell, then the kernel that tests itself is sent. The board's command line
/// is the card's: it must lead to a shell of root's. The status tells whether all passed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The serial port
    #[arg(long, value_name = "DEVICE", default_value = "/dev/ttyUSB0")]
    serial: PathBuf,
    /// The speed to send images with, if both sides can have it
    #[arg(long, default_value_t = 921_600, value_parser = super::baud())]
    baud: u32,
    /// The kernel's raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// That of the kernel that tests itself
    #[arg(long, value_name = "FILE", default_value = "build/ktest.img", conflicts_with = "no_ktest")]
    ktest: PathBuf,
    /// Run the programs only
    #[arg(long)]
    no_ktest: bool,
    /// How long to wait for the board to ask for a kernel, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = super::seconds())]
    wait: u64,
    /// After how many seconds without a word the board is taken for hung
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = super::seconds())]
    silence: u64,
    /// Tests of `usertests`; all but the heavy ones where none is named
    names: Vec<String>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        kernel: super::read_kernel(&arguments.kernel)?,
        ktest: if arguments.no_ktest { None } else { Some(super::read_kernel(&arguments.ktest)?) },
        names: arguments.names.clone(),
        baud: arguments.baud,
        wait: Duration::from_secs(arguments.wait),
        silence: Duration::from_secs(arguments.silence),
    };
    on_board::check(&plan)?;
    let mut port = Serial::open(&arguments.serial)?;
    say!("listening at {}; switch the board on, unless it is", arguments.serial.display())?;
    let count = on_board::run(&mut port, &plan, &mut show)?;
    say!("{count}")?;
    Ok(if count.is_success() && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(said: Said) {
    out::end_if_closed(match said {
        Said::Line(line) => say!("{line}"),
        Said::Step(what) => say!("[tine] {what}"),
        Said::Push(Event::Found { baud, .. }) => say!("[tine] found the loader; sending at {baud} baud"),
        Said::Push(Event::FoundRaw) => say!("[tine] found a loader of another kind; sending without checksums"),
        Said::Push(Event::TooFast(baud)) => say!("[tine] nothing more arrives at {baud} baud"),
        Said::Push(Event::Lost) => say!("[tine] the loader does not answer; waiting for it to ask again"),
        Said::Push(Event::Text(_) | Event::Arrived(_) | Event::Again) => Ok(()),
    });
}
