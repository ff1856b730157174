//! The monitor's commands.

use anyhow::ensure;
use tests::bench::Bench;
use tests::console::Console;

use crate::case::{Case, cases};

/// Every command, as `help` has to name them.
const COMMANDS: [&str; 10] =
    ["help", "mem", "cpus", "threads", "irq", "timers", "trace", "panic", "reboot", "poweroff"];

pub(crate) const CASES: &[Case] = cases![
    Board help_lists_every_command,
    Board cpus_shows_four_cores_online,
    Board mem_adds_up,
    Board threads_shows_an_idle_thread_a_core_and_the_monitor,
    Board irq_counts_the_consoles_interrupts,
    Board timers_shows_a_clock_that_advances,
    Board an_empty_line_brings_a_new_prompt,
    Board an_unknown_command_is_named,
    Board wrong_arguments_bring_the_usage,
];

fn help_lists_every_command(bench: &Bench) -> anyhow::Result<()> {
    let answer = ask(bench, "help")?;
    let first_words: Vec<&str> = answer.lines().filter_map(|line| line.split_ascii_whitespace().next()).collect();
    for command in COMMANDS {
        ensure!(first_words.contains(&command), "no {command} in {answer}");
    }
    Ok(())
}

fn cpus_shows_four_cores_online(bench: &Bench) -> anyhow::Result<()> {
    let answer = ask(bench, "cpus")?;
    ensure!(answer.matches("online").count() == 4, "{answer}");
    ensure!(answer.to_ascii_lowercase().contains(bench.board.cpu().trim_start_matches("arm,")), "{answer}");
    Ok(())
}

fn mem_adds_up(bench: &Bench) -> anyhow::Result<()> {
    let answer = ask(bench, "mem")?;
    let frames = |name: &str| -> Option<u64> {
        let line = answer.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    let (Some(managed), Some(free)) = (frames("managed"), frames("free")) else {
        anyhow::bail!("no managed or no free frames: {answer}");
    };
    ensure!(free > 0 && free < managed, "{answer}");
    // Both boards have at least 900 MiB, and a kernel that has just started needs next to nothing of it.
    ensure!(managed > 900 * 256 && managed - free < managed / 50, "{answer}");
    Ok(())
}

fn threads_shows_an_idle_thread_a_core_and_the_monitor(bench: &Bench) -> anyhow::Result<()> {
    let answer = ask(bench, "threads")?;
    for name in ["idle0", "idle1", "idle2", "idle3", "main", "trace"] {
        ensure!(answer.lines().any(|line| line.split_ascii_whitespace().nth(1) == Some(name)), "no {name} in {answer}");
    }
    Ok(())
}

/// Between two looks the second command was typed, so there is more to count.
fn irq_counts_the_consoles_interrupts(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    let before = console_interrupts(&mut console)?;
    let after = console_interrupts(&mut console)?;
    ensure!(before >= 1, "the command came in without an interrupt");
    ensure!(after > before, "{before} interrupts before, {after} after a command was typed");
    Ok(())
}

fn console_interrupts(console: &mut Console) -> anyhow::Result<u64> {
    let answer = console.command("irq")?;
    let line = answer.lines().find(|line| line.contains("uart0")).unwrap_or_default();
    ensure!(answer.contains("console input: 0 overruns, 0 bad bytes"), "{answer}");
    let counts = line.split_once("uart0").map_or("", |(_, counts)| counts).split_ascii_whitespace();
    Ok(counts.filter_map(|count| count.parse::<u64>().ok()).sum())
}

fn timers_shows_a_clock_that_advances(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    let (first, second) = (uptime_us(&console.command("timers")?)?, uptime_us(&console.command("timers")?)?);
    ensure!(second > first, "{first} us, then {second} us");
    Ok(())
}

/// From `counter: F Hz, N us since it started`.
fn uptime_us(answer: &str) -> anyhow::Result<u64> {
    let number = answer.split_once(" Hz, ").and_then(|(_, rest)| rest.split_once(" us")).map(|(number, _)| number);
    let Some(us) = number.and_then(|number| number.parse().ok()) else { anyhow::bail!("no time in {answer}") };
    Ok(us)
}

fn an_empty_line_brings_a_new_prompt(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for line in ["", "   "] {
        let answer = console.command(line)?;
        ensure!(answer.is_empty(), "{line:?} was answered with {answer:?}");
    }
    Ok(())
}

fn an_unknown_command_is_named(bench: &Bench) -> anyhow::Result<()> {
    let answer = ask(bench, "frobnicate the board")?;
    ensure!(answer == "unknown command: frobnicate (try help)\r\n", "{answer:?}");
    Ok(())
}

fn wrong_arguments_bring_the_usage(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for line in ["mem all", "trace sideways", "trace off now", "panic calmly", "reboot 5"] {
        let answer = console.command(line)?;
        ensure!(answer.starts_with("usage: "), "{line:?} was answered with {answer:?}");
    }
    Ok(())
}

fn ask(bench: &Bench, line: &str) -> anyhow::Result<String> {
    bench.boot()?.0.command(line)
}
