//! The report of a dying kernel, and the end that the command line asks for.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tests::bench::Bench;
use tests::console::{Console, ENTER};
use tests::panic_report::PanicReport;
use tools::symbols::Symbols;

use crate::case::{Case, cases};

/// How long a kernel that shall stay is watched.
const A_WHILE: Duration = Duration::from_millis(500);
/// The report's last line.
const END: &str = "end of panic\r\n";

pub(crate) const CASES: &[Case] = cases![
    Emulator a_panic_names_its_place_and_the_monitors_function,
    Emulator a_panic_names_functions_without_any_help,
    Emulator a_panic_is_readable_between_trace_frames,
    Emulator a_write_to_constants_is_a_permission_fault,
    Emulator a_read_of_address_zero_is_a_translation_fault,
    Emulator an_undefined_instruction_is_called_one,
    Emulator a_stack_overflow_is_called_one,
    Emulator a_panic_stays_when_it_shall_halt,
    Emulator a_panic_boots_again_when_it_shall_reboot,
    Emulator a_panic_without_semihosting_stays_with_its_report,
];

fn a_panic_names_its_place_and_the_monitors_function(bench: &Bench) -> anyhow::Result<()> {
    let report = crash(bench, "panic text")?;
    let location = report.location.as_deref().context("no location")?;
    ensure!(location.starts_with("kernel/src/monitor/"), "the location is {location}");
    ensure!(report.message.contains("asked for"), "the message is {:?}", report.message);
    ensure_monitor(&report, bench)
}

/// The image carries the names of its functions: `bt 0xADDRESS NAME+0xOFFSET`.
fn a_panic_names_functions_without_any_help(bench: &Bench) -> anyhow::Result<()> {
    for line in ["panic text", "panic undefined"] {
        let report = crash(bench, line)?;
        let mut calls = report.lines.iter().filter(|line| line.starts_with("bt "));
        ensure!(calls.any(|call| call.contains("monitor::") && call.contains("+0x")), "{report:#?}");
    }
    Ok(())
}

/// The report follows records at once, perhaps in the middle of one.
fn a_panic_is_readable_between_trace_frames(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot_as(&bench.command().cmdline("trace=console"))?;
    console.send(format!("trace test{ENTER}panic{ENTER}"))?;
    let text = last_words(&mut console)?;
    let report = PanicReport::find(&text)?;
    ensure!(report.location.is_some() && !report.backtrace.is_empty(), "{report:#?}");
    Ok(())
}

fn a_write_to_constants_is_a_permission_fault(bench: &Bench) -> anyhow::Result<()> {
    let report = crash(bench, "panic write")?;
    ensure!(report.message.contains("kernel write: permission fault"), "the message is {:?}", report.message);
    ensure!(report.field("esr")?.contains("class 0x25: "), "{report:#?}");
    ensure!(report.field("far")?.contains("read-only"), "{report:#?}");
    ensure_registers(&report)?;
    ensure_monitor(&report, bench)
}

fn a_read_of_address_zero_is_a_translation_fault(bench: &Bench) -> anyhow::Result<()> {
    let report = crash(bench, "panic null")?;
    ensure!(report.message.contains("kernel read: translation fault"), "the message is {:?}", report.message);
    ensure!(report.field("far")?.starts_with("0x0000000000000000 (not mapped)"), "{report:#?}");
    ensure_registers(&report)?;
    ensure_monitor(&report, bench)
}

fn an_undefined_instruction_is_called_one(bench: &Bench) -> anyhow::Result<()> {
    let report = crash(bench, "panic undefined")?;
    ensure!(report.message.contains("undefined instruction"), "the message is {:?}", report.message);
    ensure_registers(&report)?;
    ensure_monitor(&report, bench)
}

/// The backtrace has only the innermost calls, which are all the same one.
fn a_stack_overflow_is_called_one(bench: &Bench) -> anyhow::Result<()> {
    let report = crash(bench, "panic overflow")?;
    ensure!(report.message.contains("kernel stack overflow"), "the message is {:?}", report.message);
    ensure_registers(&report)?;
    let functions = report.functions(&symbols(bench)?);
    ensure!(functions.iter().any(|name| name.contains("overflow")), "{functions:#?}");
    Ok(())
}

fn a_panic_stays_when_it_shall_halt(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot_as(&bench.command().cmdline("panic=halt"))?;
    console.enter("panic")?;
    console.until(END)?;
    console.stays(A_WHILE)
}

/// QEMU resets here, where it else ends.
fn a_panic_boots_again_when_it_shall_reboot(bench: &Bench) -> anyhow::Result<()> {
    let command = bench.command().cmdline("panic=reboot").arg("-action").arg("reboot=reset");
    let (mut console, _) = bench.boot_as(&command)?;
    console.enter("panic null")?;
    console.until(END)?;
    let text = console.until_prompt()?;
    ensure!(text.contains("Tine ") && text.contains("facts: device tree\r\n"), "{text:?}");
    Ok(())
}

fn a_panic_without_semihosting_stays_with_its_report(bench: &Bench) -> anyhow::Result<()> {
    let command = bench.command().arg("-semihosting-config").arg("enable=off");
    let (mut console, _) = bench.boot_as(&command)?;
    console.enter("panic")?;
    console.until(END)?;
    console.stays(A_WHILE)?;
    let said = String::from_utf8_lossy(console.transcript()).into_owned();
    ensure!(said.matches("panic on cpu").count() == 1, "the report came twice: {said}");
    Ok(())
}

/// Crashes the kernel by `line`: it has to end with the status that says so, behind a whole report.
fn crash(bench: &Bench, line: &str) -> anyhow::Result<PanicReport> {
    let (mut console, _) = bench.boot()?;
    console.enter(line)?;
    let text = last_words(&mut console)?;
    PanicReport::find(&text)
}

fn last_words(console: &mut Console) -> anyhow::Result<String> {
    let (text, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::PANIC), "the status is {status} behind {text}");
    Ok(text)
}

fn symbols(bench: &Bench) -> anyhow::Result<Symbols> {
    Symbols::load(&bench.build.elf())
}

/// The backtrace leads from the crash to the monitor.
fn ensure_monitor(report: &PanicReport, bench: &Bench) -> anyhow::Result<()> {
    let functions = report.functions(&symbols(bench)?);
    ensure!(functions.iter().any(|name| name.contains("monitor::")), "no monitor in {functions:#?}\n{report:#?}");
    ensure!(functions.len() >= 3, "the backtrace is short: {functions:#?}");
    Ok(())
}

/// All general registers, the stack pointer and the place.
fn ensure_registers(report: &PanicReport) -> anyhow::Result<()> {
    ensure!(report.field("elr")?.starts_with("0xffffffff8"), "the place is no kernel address: {report:#?}");
    let text = report.lines.join("\n");
    for name in ["x0 ", "x1 ", "x15", "x29", "x30", "sp "] {
        ensure!(text.contains(&format!("{name} ")), "no {name} in {text}");
    }
    Ok(())
}
