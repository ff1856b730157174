//! `tine trace`: a trace to text, a recorded one or the one that comes in.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tools::console::{Connection, Line};
use tools::demux::{Demux, Piece};
use tools::trace::{Decoder, Tables};

use super::out::{self, say};

/// How often a port that is gone is looked for.
const RETRY: Duration = Duration::from_millis(500);

/// Decode a recorded trace, or one as it comes in
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kernel with symbols that made the trace
    #[arg(long, value_name = "FILE", default_value = "build/kernel.elf")]
    elf: PathBuf,
    /// The recording is of a console: text goes to standard output, the trace to standard error
    #[arg(long)]
    console: bool,
    /// Decode what comes in at a serial port, until Ctrl-C: a board with trace=uart2 to uart5 sends it on a line of its own
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["console", "file"])]
    port: Option<PathBuf>,
    /// Speed of the serial port
    #[arg(long, default_value_t = 115_200, value_parser = super::baud())]
    baud: u32,
    /// The recording; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let tables = Tables::load(&arguments.elf)?;
    if let Some(port) = &arguments.port {
        return follow(&Line::Port { path: port.clone(), baud: arguments.baud }, &tables);
    }
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
            decoder.push(bytes).iter().try_for_each(|line| say!("{line}"))?;
        }
        if count == 0 {
            break;
        }
    }
    demux.finish().map_or(Ok(()), |piece| print(piece, &mut decoder))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what comes in over a line, as often as it comes back; gives why it cannot go on.
fn follow(line: &Line, tables: &Tables) -> anyhow::Result<ExitCode> {
    let mut waiting = false;
    loop {
        match line.open() {
            Ok(Connection { reader, .. }) => {
                eprintln!("[tine] the trace at {line}; Ctrl-C ends");
                waiting = false;
                let error = print_all(reader, &mut tables.decoder())?;
                eprintln!("[tine] connection lost: {error}");
            }
            Err(error) if !waiting => {
                eprintln!("[tine] waiting for {line}: {error}");
                waiting = true;
            }
            Err(_) => {}
        }
        thread::sleep(RETRY);
    }
}

/// Prints records until the line is gone, and gives how it went.
fn print_all(mut reader: impl Read, decoder: &mut Decoder<'_>) -> anyhow::Result<io::Error> {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => decoder.push(&buffer[..count]).iter().try_for_each(|line| say!("{line}"))?,
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {}
            Err(error) => return Ok(error),
        }
    }
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
}

fn print(piece: Piece, decoder: &mut Decoder<'_>) -> anyhow::Result<()> {
    match piece {
        Piece::Text(text) => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&text).and_then(|()| stdout.flush()).map_err(out::failed)
        }
        Piece::Frame(frame) => {
            let mut stderr = io::stderr().lock();
            decoder.push_frame(&frame).iter().try_for_each(|line| writeln!(stderr, "{line}")).map_err(out::failed)
        }
    }
}
