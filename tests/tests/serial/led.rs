//! What the ACT LED blinks when the kernel cannot go on: watched at the pin's level, by QEMU's monitor.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};
use tests::console::{Console, ENTER, PROMPT};
use tools::board::Board;
use tools::qemu::Command;

use crate::case::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    Emulator a_panic_that_stays_is_blinked,
    Emulator an_exception_before_the_kernel_has_vectors_is_blinked,
];

/// The levels of the pins 32 to 53 of a Pi 4, and the LED's bit there: pin 42.
const LEVELS: u64 = 0xfe20_0038;
const LED: u32 = 1 << 10;
/// A flash that takes longer is long, a darkness that takes longer a pause.
const LONG: Duration = Duration::from_millis(550);
const PAUSE: Duration = Duration::from_millis(1200);
/// How long a round without a slip is waited for: a busy host may miss a flash.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// `msr vbar_el1, x0` and `isb`, as they stand in the head.
const VECTORS_SET: [u8; 8] = [0x00, 0xc0, 0x18, 0xd5, 0xdf, 0x3f, 0x03, 0xd5];

fn a_panic_that_stays_is_blinked(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let socket = place.path().join("monitor");
    let command = with_monitor(bench.command().cmdline("panic=halt"), &socket);
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    console.until(PROMPT)?;
    console.send(format!("panic{ENTER}"))?;
    console.until("end of panic")?;
    expect(bench, &mut console, &socket, 6)
}

/// The instruction behind the one that sets the first vectors is made one that is undefined.
fn an_exception_before_the_kernel_has_vectors_is_blinked(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let mut image = fs::read(bench.build.image())?;
    let found =
        image.windows(VECTORS_SET.len()).position(|bytes| bytes == VECTORS_SET).context("no vectors are set")?;
    let behind = found + VECTORS_SET.len();
    image[behind..behind + 4].fill(0);
    let broken = place.path().join("kernel8.img");
    fs::write(&broken, image)?;
    let socket = place.path().join("monitor");
    let command = with_monitor(Command::new(bench.board, broken).dtb(bench.build.tree(bench.board)), &socket);
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    expect(bench, &mut console, &socket, 1)?;
    ensure!(console.transcript().is_empty(), "{:?}", String::from_utf8_lossy(console.transcript()));
    Ok(())
}

fn with_monitor(command: Command, socket: &Path) -> Command {
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()))
}

/// One round of a code: a long flash and so many short ones. QEMU's Pi 3 is a B, whose LED is at an expander that QEMU does
/// not have: there the kernel stays, and that is all.
fn expect(bench: &Bench, console: &mut Console, socket: &Path, shorts: usize) -> anyhow::Result<()> {
    if bench.board == Board::Raspi3b {
        return console.stays(Duration::from_millis(500));
    }
    let mut pin = Pin::open(socket)?;
    let mut wanted = vec![true];
    wanted.extend(vec![false; shorts]);
    let end = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    // Which flashes were long, since the last pause.
    let mut round: Option<Vec<bool>> = None;
    let (mut lit, mut since) = (pin.is_lit()?, Instant::now());
    while Instant::now() < end {
        thread::sleep(LOOK);
        let now = pin.is_lit()?;
        let took = since.elapsed();
        if now == lit {
            continue;
        }
        match (&mut round, lit) {
            (Some(flashes), true) => flashes.push(took > LONG),
            (round, false) if took > PAUSE => {
                let last = round.replace(Vec::new());
                if last.as_ref() == Some(&wanted) {
                    return Ok(());
                }
                seen.extend(last);
            }
            _ => {}
        }
        (lit, since) = (now, Instant::now());
    }
    anyhow::bail!("no round with {shorts} short flashes, but {seen:?}")
}

/// The LED's pin.
struct Pin {
    to: UnixStream,
    from: BufReader<UnixStream>,
}

impl Pin {
    fn open(socket: &Path) -> anyhow::Result<Self> {
        let end = Instant::now() + PATIENCE;
        let to = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                // QEMU has not made it yet.
                Err(error) if Instant::now() > end => return Err(error).context("QEMU's monitor does not listen"),
                Err(_) => thread::sleep(LOOK),
            }
        };
        to.set_read_timeout(Some(PATIENCE))?;
        let mut pin = Self { from: BufReader::new(to.try_clone()?), to };
        pin.ask("{\"execute\": \"qmp_capabilities\"}")?;
        Ok(pin)
    }

    fn is_lit(&mut self) -> anyhow::Result<bool> {
        let look = format!("xp /1wx {LEVELS:#x}");
        let answer = self.ask(&format!(
            "{{\"execute\": \"human-monitor-command\", \"arguments\": {{\"command-line\": \"{look}\"}}}}"
        ))?;
        let value = answer.split_once(": 0x").and_then(|(_, rest)| rest.get(..8)).context("no word of memory")?;
        Ok(u32::from_str_radix(value, 16)? & LED != 0)
    }

    /// The answer to a command; what the monitor says of itself is passed over.
    fn ask(&mut self, command: &str) -> anyhow::Result<String> {
        writeln!(self.to, "{command}")?;
        loop {
            let mut line = String::new();
            ensure!(self.from.read_line(&mut line)? > 0, "QEMU's monitor is gone");
            ensure!(!line.contains("\"error\""), "{command}: {line}");
            if line.contains("\"return\"") {
                return Ok(line);
            }
        }
    }
}
