//! `tine trace`: a recorded trace to text.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tools::demux::{Demux, Piece};
use tools::trace::{Decoder, Tables};

/// Decode a recorded trace
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kernel with symbols that made the trace
    #[arg(long, value_name = "FILE", default_value = "build/kernel.elf")]
    elf: PathBuf,
    /// The recording is of a console: text goes to standard output, the trace to standard error
    #[arg(long)]
    console: bool,
    /// The recording; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let tables = Tables::load(&arguments.elf)?;
    let mut decoder = tables.decoder();
    let mut input = open(&arguments.file)?;
    let mut demux = Demux::default();
    let mut buffer = [0; 4096];
    loop {
        let count = input.read(&mut buffer).context("cannot read the recording")?;
        let bytes = &buffer[..count];
        if arguments.console {
            demux.push(bytes).into_iter().try_for_each(|piece| print(piece, &mut decoder))?;
        } else {
            decoder.push(bytes).iter().for_each(|line| println!("{line}"));
        }
        if count == 0 {
            break;
        }
    }
    demux.finish().map_or(Ok(()), |piece| print(piece, &mut decoder))?;
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
}

fn print(piece: Piece, decoder: &mut Decoder<'_>) -> io::Result<()> {
    match piece {
        Piece::Text(text) => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&text)?;
            stdout.flush()
        }
        Piece::Frame(frame) => {
            decoder.push_frame(&frame).iter().for_each(|line| eprintln!("{line}"));
            Ok(())
        }
    }
}
