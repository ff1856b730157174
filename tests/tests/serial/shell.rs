//! A shell on the console, as a person uses it.

use anyhow::ensure;
use tests::bench::Bench;
use tests::console::{Console, ENTER};

use crate::case::{Case, cases};
use crate::userland::start;

pub(crate) const CASES: &[Case] = cases![
    Shell a_shell_has_job_control_and_comes_back_and_switches_the_board_off,
    Shell a_long_paste_arrives_whole_and_lines_can_be_edited,
];

/// What the shell asks with, as the first user.
const PROMPT: &str = "# ";
/// Keys: interrupt, end of file, erase, suspend.
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const DELETE: &str = "\x7f";
const CTRL_Z: &str = "\x1a";

/// Boots to the prompt.
fn boot(bench: &Bench) -> anyhow::Result<Console> {
    let mut console = start(bench, "quiet")?;
    console.until(PROMPT)?;
    Ok(console)
}

/// Types a line and gives what comes behind its echo, up to the next prompt.
fn command(console: &mut Console, line: &str) -> anyhow::Result<String> {
    enter(console, line)?;
    console.until(PROMPT)
}

/// Types a line and waits for its echo.
fn enter(console: &mut Console, line: &str) -> anyhow::Result<()> {
    console.send(format!("{line}{ENTER}"))?;
    console.until(&format!("{line}\r\n"))?;
    Ok(())
}

/// Switches the board off, which must be done in order.
fn power_off(mut console: Console) -> anyhow::Result<()> {
    enter(&mut console, "poweroff")?;
    console.until("init: power off")?;
    let (_, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status}");
    Ok(())
}

fn a_shell_has_job_control_and_comes_back_and_switches_the_board_off(bench: &Bench) -> anyhow::Result<()> {
    let mut console = boot(bench)?;
    let answer = command(&mut console, "echo one two | wc -w")?;
    ensure!(answer.starts_with("2\r\n"), "{answer:?}");
    // It says when it runs: keys that come before would be the shell's.
    let job = "sh -c 'echo begun; exec sleep 1000'";
    enter(&mut console, job)?;
    console.until("begun\r\n")?;
    console.send(CTRL_C)?;
    console.until(PROMPT)?;
    enter(&mut console, job)?;
    console.until("begun\r\n")?;
    console.send(CTRL_Z)?;
    let answer = console.until(PROMPT)?;
    ensure!(answer.contains("Stopped"), "{answer:?}");
    let answer = command(&mut console, "bg; kill %1; wait")?;
    ensure!(answer.contains("Terminated"), "{answer:?}");
    enter(&mut console, "exit")?;
    console.until(PROMPT)?;
    power_off(console)
}

fn a_long_paste_arrives_whole_and_lines_can_be_edited(bench: &Bench) -> anyhow::Result<()> {
    const LINE: usize = 64;
    const LINES: usize = 1024;
    let mut console = boot(bench)?;
    enter(&mut console, "sh -c 'stty -echo; echo ready; wc -c; stty echo'")?;
    console.until("ready\r\n")?;
    console.send(format!("{}{ENTER}", "x".repeat(LINE - 1)).repeat(LINES))?;
    console.send(CTRL_D)?;
    let answer = console.until(PROMPT)?;
    ensure!(answer.trim_start().starts_with(&format!("{}\r\n", LINE * LINES)), "{answer:?}");
    enter(&mut console, "sh -c 'echo ready; cat'")?;
    console.until("ready\r\n")?;
    console.send(format!("helx{DELETE}lo{ENTER}"))?;
    console.until("hello\r\n")?;
    console.send(CTRL_D)?;
    console.until(PROMPT)?;
    power_off(console)
}
