//! Switching off and starting again.

use anyhow::ensure;
use tests::bench::Bench;

use crate::case::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    Emulator poweroff_ends_the_emulator_with_status_0,
    Emulator reboot_ends_an_emulator_that_shall_not_reboot,
    Board reboot_boots_again,
    Emulator a_board_boots_again_and_again,
];

/// How often one board is rebooted.
const TIMES: u32 = 5;

fn poweroff_ends_the_emulator_with_status_0(bench: &Bench) -> anyhow::Result<()> {
    ends_with_0(bench, "poweroff")
}

fn reboot_ends_an_emulator_that_shall_not_reboot(bench: &Bench) -> anyhow::Result<()> {
    ends_with_0(bench, "reboot")
}

fn ends_with_0(bench: &Bench, line: &str) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    console.enter(line)?;
    let (words, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status} behind {words:?}");
    ensure!(!words.contains("panic"), "{words:?}");
    Ok(())
}

/// A board on a cable is rebooted by every boot of a test; here it says the same each time.
fn reboot_boots_again(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, first) = match bench.qemu() {
        Ok(_) => bench.boot_as(&bench.command().arg("-action").arg("reboot=reset"))?,
        Err(_) => bench.boot()?,
    };
    console.enter("reboot")?;
    let again = console.until_prompt()?;
    let banner = |text: &str| text.lines().find(|line| line.starts_with("Tine ")).map(str::to_owned);
    ensure!(banner(&first).is_some() && banner(&first) == banner(&again), "first {first:?}, then {again:?}");
    Ok(())
}

/// What the last run left in memory must not disturb the next one.
fn a_board_boots_again_and_again(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot_as(&bench.command().arg("-action").arg("reboot=reset"))?;
    for time in 1..=TIMES {
        console.command("trace test")?;
        console.enter("reboot")?;
        let text = console.until_prompt()?;
        ensure!(text.contains("4 cores, 960 MiB)"), "boot {time}: {text:?}");
    }
    console.enter("poweroff")?;
    let (_, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status}");
    Ok(())
}
