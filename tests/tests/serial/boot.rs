//! Every way in which a board can be started ends at a prompt.

use std::process::Command as Process;

use anyhow::ensure;
use tests::bench::{Bench, scratch};
use tests::console::{Console, ENTER};
use tests::guest_stub;
use tools::qemu::Command;

use crate::case::{Case, cases};

/// Cores of both boards, and the memory in MiB that QEMU gives both.
const CORES: u32 = 4;
const EMULATED_MIB: u32 = 960;
/// Where loaders put an image that has no header of its own, if they do not know our address.
const OTHER_ADDRESS: u64 = 0x20_0000;

pub(crate) const CASES: &[Case] = cases![
    Board the_first_line_names_version_board_cores_and_memory,
    Board the_boot_reports_its_time_its_facts_and_its_randomness,
    Emulator boots_without_a_tree,
    Emulator boots_by_the_command_line_that_a_person_types,
    Emulator boots_an_elf_that_all_cores_enter_at_el3,
    Emulator boots_when_it_is_entered_at_el1,
    Emulator moves_itself_to_where_it_belongs,
    Emulator reports_the_initramfs_that_was_passed,
    Emulator reports_the_initramfs_without_a_tree,
    Emulator reports_a_word_it_does_not_understand_and_boots,
    Emulator a_quiet_boot_says_only_the_first_line_and_what_is_wrong,
];

fn the_first_line_names_version_board_cores_and_memory(bench: &Bench) -> anyhow::Result<()> {
    let (_console, text) = bench.boot()?;
    let first = text.lines().next().unwrap_or_default();
    let parts: Vec<&str> = first.split([' ', '(', ')', ',']).filter(|part| !part.is_empty()).collect();
    ensure!(first.starts_with("Tine ") && first.ends_with(" MiB)"), "the first line is {first:?}");
    ensure!(parts[1].starts_with(|c: char| c.is_ascii_digit()), "no version in {first:?}");
    ensure!(first.contains(&format!("({}, {CORES} cores, ", bench.banner_name())), "board or cores in {first:?}");
    if bench.qemu().is_ok() {
        ensure!(first.ends_with(&format!(", {EMULATED_MIB} MiB)")), "memory in {first:?}");
    }
    Ok(())
}

fn the_boot_reports_its_time_its_facts_and_its_randomness(bench: &Bench) -> anyhow::Result<()> {
    let (_console, text) = bench.boot()?;
    ensure!(text.contains("\r\nfacts: device tree\r\n"), "facts in {text:?}");
    ensure!(text.contains("\r\nboot: ") && text.contains(" us from entry\r\n"), "time in {text:?}");
    ensure!(text.contains("\r\nrandom: ") && !text.contains("WARNING"), "randomness in {text:?}");
    ensure!(text.ends_with("\r\n"), "the prompt is not at the start of a line: {text:?}");
    ensure!(text.matches('\n').count() == text.matches("\r\n").count(), "a line ends without return: {text:?}");
    Ok(())
}

/// The Pi 3's generator is in QEMU, the Pi 4's is not, and the seed is in the tree.
fn boots_without_a_tree(bench: &Bench) -> anyhow::Result<()> {
    let (_console, text) = bench.boot_as(&bench.command_without_tree())?;
    ensure!(text.contains("facts: no device tree; tag list\r\n"), "facts in {text:?}");
    ensure!(text.contains(&format!("{CORES} cores, {EMULATED_MIB} MiB)")), "cores and memory in {text:?}");
    let warned = text.contains("random: WARNING: ");
    let has_generator = bench.board == tools::board::Board::Raspi3b;
    ensure!(warned != has_generator, "a warning belongs to a board without any randomness: {text:?}");
    Ok(())
}

/// On a terminal, without semihosting, and with a reset that resets.
fn boots_by_the_command_line_that_a_person_types(bench: &Bench) -> anyhow::Result<()> {
    let mut process = Process::new(&bench.qemu()?.program);
    process.args(["-M", bench.board.machine(), "-kernel"]).arg(bench.build.image());
    process.args(["-serial", "stdio", "-display", "none"]);
    let mut console = Console::start_on_terminal(process)?;
    let text = console.until_prompt()?;
    ensure!(text.contains(bench.banner_name()), "no banner in {text:?}");
    console.send(format!("poweroff{ENTER}"))?;
    let (_, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status}");
    Ok(())
}

fn boots_an_elf_that_all_cores_enter_at_el3(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, text) = bench.boot_as(&Command::new(bench.board, bench.build.elf()))?;
    ensure!(text.contains("facts: no device tree; built-in table\r\n"), "facts in {text:?}");
    ensure!(text.contains(&format!("{CORES} cores, {EMULATED_MIB} MiB)")), "cores and memory in {text:?}");
    ensure!(console.command("cpus")?.matches("online").count() == usize::try_from(CORES)?, "not every core is online");
    Ok(())
}

/// As in `moves_itself_to_where_it_belongs`, nobody looks after the other cores.
fn boots_when_it_is_entered_at_el1(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let process = guest_stub::at_el1(bench.qemu()?, bench.board, &bench.build.image(), directory.path())?;
    let (mut console, text) = bench.boot_process(process)?;
    ensure!(text.contains(bench.banner_name()), "no banner in {text:?}");
    ensure!(console.command("help")?.contains("this list"), "the monitor does not work");
    Ok(())
}

/// No loader tells the other cores anything here, so their number is not looked at.
fn moves_itself_to_where_it_belongs(bench: &Bench) -> anyhow::Result<()> {
    let image = bench.build.image();
    let process = guest_stub::loaded(bench.qemu()?, bench.board, &[(&image, OTHER_ADDRESS)]);
    let (mut console, text) = bench.boot_process(process)?;
    ensure!(text.contains(bench.banner_name()), "no banner in {text:?}");
    ensure!(console.command("help")?.contains("this list"), "the monitor does not work");
    Ok(())
}

fn reports_the_initramfs_that_was_passed(bench: &Bench) -> anyhow::Result<()> {
    check_initramfs(bench, &bench.command())
}

fn reports_the_initramfs_without_a_tree(bench: &Bench) -> anyhow::Result<()> {
    check_initramfs(bench, &bench.command_without_tree())
}

/// `initramfs: N files at 0xSTART..0xEND`, as long as the archive.
fn check_initramfs(bench: &Bench, command: &Command) -> anyhow::Result<()> {
    let archive = bench.build.initramfs();
    // Without a first program the board stays in the monitor.
    let (_console, text) = bench.boot_as(&command.clone().initrd(&archive).cmdline("init=/none"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("initramfs: ")).unwrap_or_default();
    let range = line.split_once(" at ").and_then(|(_, range)| range.split_once("..")).unwrap_or_default();
    let address = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default();
    let bytes = address(range.1).saturating_sub(address(range.0));
    ensure!(bytes == std::fs::metadata(&archive)?.len(), "{line:?} is {bytes} bytes long");
    ensure!(!line.starts_with("0 files"), "no files in {line:?}");
    Ok(())
}

fn reports_a_word_it_does_not_understand_and_boots(bench: &Bench) -> anyhow::Result<()> {
    let odd = "trace=nonsense maxproc=-1 = == \"open quote";
    let (mut console, text) = bench.boot_as(&bench.command().cmdline(odd))?;
    for part in ["trace=nonsense makes no sense, ignored", "maxproc=-1", "quot"] {
        ensure!(text.contains(part), "no {part:?} in {text:?}");
    }
    ensure!(console.command("trace")?.starts_with("trace: uart1, "), "the bad value has changed the default");
    Ok(())
}

fn a_quiet_boot_says_only_the_first_line_and_what_is_wrong(bench: &Bench) -> anyhow::Result<()> {
    let (_console, text) = bench.boot_as(&bench.command().cmdline("quiet trace=nonsense"))?;
    ensure!(text.starts_with("Tine "), "no banner in {text:?}");
    ensure!(text.contains("trace=nonsense"), "the warning is missing in {text:?}");
    ensure!(!text.contains("facts:") && !text.contains("model:"), "not quiet: {text:?}");
    Ok(())
}
