//! What the ACT LED blinks when the kernel cannot go on: watched at the pin's level, by QEMU's monitor.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use object::{Object as _, ObjectSymbol as _};
use tempfile::TempDir;
use tests::bench::{Bench, scratch};
use tests::console::{Console, ENTER, PROMPT};
use tests::tree;
use tools::board::Board;
use tools::qemu::Command;

use crate::case::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    Emulator a_panic_that_stays_is_blinked,
    Emulator an_exception_before_the_kernel_has_vectors_is_blinked,
    Emulator a_core_of_no_known_board_is_blinked,
    Emulator a_panic_before_the_console_is_blinked,
    Emulator a_panic_before_there_is_memory_is_blinked,
    Emulator a_missing_tree_is_blinked_while_the_kernel_goes_on,
];

/// A Pi 4's LED: pin 42.
const PI_4: Led = Led { levels: 0xfe20_0038, bit: 1 << 10 };
/// That of a Pi 3 A+: pin 29.
const PI_3A: Led = Led { levels: 0x3f20_0034, bit: 1 << 29 };
/// A flash that takes longer is long, a darkness that takes longer a pause.
const LONG: Duration = Duration::from_millis(550);
const PAUSE: Duration = Duration::from_millis(1200);
/// How long a round without a slip is waited for: a busy host may miss a flash.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// `kernel::board::facts::gather`, mangled up to its hash.
const GATHER: &str = "_ZN6kernel5board5facts6gather17h";
/// `mrs x0, midr_el1` and `msr vpidr_el2, x0`, as they stand in the head.
const NAME_SET: [u8; 8] = [0x00, 0x00, 0x38, 0xd5, 0x00, 0x00, 0x1c, 0xd5];
/// `mov x0, #0`
const NO_NAME: [u8; 4] = [0x00, 0x00, 0x80, 0xd2];
/// `udf #0`
const UNDEFINED: [u8; 4] = [0; 4];
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
    let broken = Broken::new(bench, |image| Ok((find(image, &VECTORS_SET)? + VECTORS_SET.len(), UNDEFINED)))?;
    let mut console = Console::start(broken.command(bench).to_process(bench.qemu()?))?;
    expect(bench, &mut console, &broken.socket, 1)?;
    ensure!(console.transcript().is_empty(), "{:?}", String::from_utf8_lossy(console.transcript()));
    Ok(())
}

/// EL2 gives the core another name. The kernel then tries the addresses of a Pi 3, so it has to be one to be seen: a 3 A+, for
/// a 3 B has its LED at the expander.
fn a_core_of_no_known_board_is_blinked(bench: &Bench) -> anyhow::Result<()> {
    let broken = Broken::new(bench, |image| Ok((find(image, &NAME_SET)?, NO_NAME)))?;
    let command = broken.command(bench);
    if bench.board == Board::Raspi4b {
        return Console::start(command.to_process(bench.qemu()?))?.stays(Duration::from_millis(500));
    }
    let mut console = Console::start(command.arg("-M").arg("raspi3ap").to_process(bench.qemu()?))?;
    console.until("the core is none of a Raspberry Pi 3 or 4")?;
    watch(PI_3A, &broken.socket, 4)
}

/// What gathers the facts, the last thing before the console, begins with what is undefined.
fn a_panic_before_the_console_is_blinked(bench: &Bench) -> anyhow::Result<()> {
    let broken = Broken::new(bench, |_| Ok((place_of(&bench.build.elf(), GATHER)?, UNDEFINED)))?;
    let mut console = Console::start(broken.command(bench).to_process(bench.qemu()?))?;
    expect(bench, &mut console, &broken.socket, 5)
}

/// All memory is reserved by the tree.
fn a_panic_before_there_is_memory_is_blinked(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let tree = place.path().join("full.dtb");
    fs::write(&tree, tree::with_reservation(&bench.tree()?, 1 << 32)?)?;
    let socket = place.path().join("monitor");
    let command = without_exit(bench.command_without_tree().dtb(tree));
    let mut console = Console::start(with_monitor(command, &socket).to_process(bench.qemu()?))?;
    console.until("a kernel needs its memory")?;
    console.until("end of panic")?;
    expect(bench, &mut console, &socket, 3)
}

fn a_missing_tree_is_blinked_while_the_kernel_goes_on(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let socket = place.path().join("monitor");
    let command = with_monitor(bench.command_without_tree(), &socket);
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    console.until("facts: no device tree")?;
    console.until(PROMPT)?;
    expect(bench, &mut console, &socket, 2)?;
    ensure!(console.command("trace")?.starts_with("trace: "), "the kernel has stopped");
    Ok(())
}

/// A kernel with one instruction that is another one.
struct Broken {
    place: TempDir,
    socket: PathBuf,
}

impl Broken {
    /// `change` says where in the image it stands, and what stands there then.
    fn new(bench: &Bench, change: impl FnOnce(&[u8]) -> anyhow::Result<(usize, [u8; 4])>) -> anyhow::Result<Self> {
        let place = scratch()?;
        let mut image = fs::read(bench.build.image())?;
        let (at, instruction) = change(&image)?;
        image.get_mut(at..at + 4).context("outside the image")?.copy_from_slice(&instruction);
        let broken = Self { socket: place.path().join("monitor"), place };
        fs::write(broken.image(), image)?;
        Ok(broken)
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("kernel8.img")
    }

    fn command(&self, bench: &Bench) -> Command {
        let command = Command::new(bench.board, self.image()).dtb(bench.build.tree(bench.board));
        with_monitor(without_exit(command), &self.socket)
    }
}

/// Where these instructions stand in the image.
fn find(image: &[u8], instructions: &[u8]) -> anyhow::Result<usize> {
    image.windows(instructions.len()).position(|bytes| bytes == instructions).context("the head has changed")
}

/// Where a function is in the raw image, by a part of its mangled name.
fn place_of(elf: &Path, name: &str) -> anyhow::Result<usize> {
    let bytes = fs::read(elf)?;
    let elf = object::File::parse(bytes.as_slice())?;
    let named = |name: &str| elf.symbols().find(|symbol| symbol.name().is_ok_and(|has| has.contains(name)));
    let start = named("__image_start").context("the image has no start")?.address();
    let function = named(name).with_context(|| format!("no function is called {name}"))?.address();
    Ok(usize::try_from(function - start)?)
}

/// Nobody listens to semihosting, as on a board: a panic's end is no exit.
fn without_exit(command: Command) -> Command {
    command.arg("-semihosting-config").arg("enable=off")
}

fn with_monitor(command: Command, socket: &Path) -> Command {
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()))
}

/// One round of a code. QEMU's Pi 3 is a B, whose LED is at an expander that QEMU does not have: there the kernel stays, and
/// that is all.
fn expect(bench: &Bench, console: &mut Console, socket: &Path, shorts: usize) -> anyhow::Result<()> {
    match bench.board {
        Board::Raspi3b => console.stays(Duration::from_millis(500)),
        Board::Raspi4b => watch(PI_4, socket, shorts),
    }
}

/// Waits for one round of a code: a long flash and so many short ones.
fn watch(led: Led, socket: &Path, shorts: usize) -> anyhow::Result<()> {
    let mut pin = Pin::open(led, socket)?;
    let mut wanted = vec![true];
    wanted.extend(vec![false; shorts]);
    let end = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    // Which flashes were long, since the last pause. Who comes in the middle of a round sees no long one, or not all short
    // ones, and takes the next.
    let mut round = Vec::new();
    let (mut lit, mut since) = (pin.is_lit()?, Instant::now());
    while Instant::now() < end {
        thread::sleep(LOOK);
        let now = pin.is_lit()?;
        let took = since.elapsed();
        if !lit && took > PAUSE && !round.is_empty() {
            if round == wanted {
                return Ok(());
            }
            seen.push(std::mem::take(&mut round));
        }
        if now != lit {
            if lit {
                round.push(took > LONG);
            }
            (lit, since) = (now, Instant::now());
        }
    }
    anyhow::bail!("no round with {shorts} short flashes, but {seen:?}")
}

/// Where an LED's pin is looked at.
#[derive(Clone, Copy)]
struct Led {
    /// The register with the levels of 32 pins.
    levels: u64,
    /// The pin's bit there.
    bit: u32,
}

/// An LED's pin.
struct Pin {
    led: Led,
    to: UnixStream,
    from: BufReader<UnixStream>,
}

impl Pin {
    fn open(led: Led, socket: &Path) -> anyhow::Result<Self> {
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
        let mut pin = Self { led, from: BufReader::new(to.try_clone()?), to };
        pin.ask("{\"execute\": \"qmp_capabilities\"}")?;
        Ok(pin)
    }

    fn is_lit(&mut self) -> anyhow::Result<bool> {
        let look = format!("xp /1wx {:#x}", self.led.levels);
        let answer = self.ask(&format!(
            "{{\"execute\": \"human-monitor-command\", \"arguments\": {{\"command-line\": \"{look}\"}}}}"
        ))?;
        let value = answer.split_once(": 0x").and_then(|(_, rest)| rest.get(..8)).context("no word of memory")?;
        Ok(u32::from_str_radix(value, 16)? & self.led.bit != 0)
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
