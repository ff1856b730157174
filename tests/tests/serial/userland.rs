//! Programs: the first one, those it runs, and what becomes of the board when it ends.

use std::path::Path;

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, read, scratch};
use tests::console::Console;

use crate::case::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    Emulator init_runs_a_fork_tree_and_switches_off,
    Emulator init_runs_the_program_that_the_command_line_names,
    Emulator a_failed_program_is_told,
    Emulator arguments_and_variables_reach_the_first_program,
    Emulator a_first_program_that_ends_switches_the_board_off,
    Emulator a_first_program_that_is_missing_leaves_the_monitor,
    Emulator a_first_program_that_is_none_leaves_the_monitor,
    Emulator a_torn_archive_keeps_what_came_before_the_tear,
    Emulator limits_on_the_command_line_hold,
    Emulator every_user_test_passes,
    Emulator a_thousand_processes_live_at_once,
    Emulator root_ends_a_fork_bomb,
    Emulator memory_that_runs_out_ends_the_right_process,
    Emulator random_calls_from_many_processes_lose_nothing,
    Emulator the_benchmark_runs_to_its_end,
    Emulator a_program_of_the_rust_library_finds_all_it_wants,
    Compiler a_c_program_finds_all_it_wants_linked_either_way,
];

/// Boots with the usual initramfs and gives the console behind the banner.
pub(crate) fn start(bench: &Bench, cmdline: &str) -> anyhow::Result<Console> {
    start_with(bench, &bench.build.initramfs(), cmdline)
}

/// Boots with this initramfs and gives the console behind the banner.
pub(crate) fn start_with(bench: &Bench, initramfs: &Path, cmdline: &str) -> anyhow::Result<Console> {
    let command = bench.command().initrd(initramfs).cmdline(cmdline);
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    console.until("Tine ")?;
    Ok(console)
}

/// Boots, lets init run `words`, and gives all lines up to the end, which must be an orderly one.
fn run(bench: &Bench, cmdline: &str) -> anyhow::Result<Vec<String>> {
    read_to_the_end(start(bench, cmdline)?)
}

/// Gives all lines up to the end, which must be an orderly one.
fn read_to_the_end(mut console: Console) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let line = console.line().with_context(|| format!("behind {:?}", lines.last()))?;
        let last = line.starts_with("init: power off") || line.ends_with("nothing is left to do");
        ensure!(!line.contains("panic on cpu"), "{lines:?}\n{}", console.until("end of panic")?);
        lines.push(line);
        if last {
            break;
        }
    }
    let (_, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status} behind {lines:?}");
    Ok(lines)
}

/// Runs a program that says in its last line how many of its tests passed; all must.
fn all_pass(bench: &Bench, words: &str, name: &str) -> anyhow::Result<()> {
    judge(&run(bench, &format!("quiet -- {words}"))?, name)
}

/// Whether the program `name` says in its last line that all its tests passed.
fn judge(lines: &[String], name: &str) -> anyhow::Result<()> {
    let summary = lines.iter().find(|line| line.starts_with(&format!("{name}: ")));
    let failed: Vec<_> = lines.iter().filter(|line| line.contains("FAILED")).collect();
    let all = summary.is_some_and(|line| line.ends_with(" passed, 0 failed") && !line.contains(": 0 passed"));
    ensure!(all && failed.is_empty(), "{summary:?}: {failed:#?} in {lines:#?}");
    Ok(())
}

fn init_runs_a_fork_tree_and_switches_off(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "-- /bin/forktree")?;
    ensure!(lines.iter().any(|line| line.starts_with("init: ") && line.ends_with("pid 1")), "no banner: {lines:?}");
    ensure!(lines.iter().any(|line| line == "forktree: 13 processes"), "no tree: {lines:?}");
    Ok(())
}

fn init_runs_the_program_that_the_command_line_names(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "-- /bin/hello one two")?;
    for expected in ["hello from a Rust program", "argv[1] = one", "argv[2] = two"] {
        ensure!(lines.iter().any(|line| line == expected), "no {expected:?} in {lines:?}");
    }
    Ok(())
}

fn a_failed_program_is_told(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "-- /bin/usertests no::such_test_at_all")?;
    ensure!(lines.iter().any(|line| line.starts_with("init: /bin/usertests exited with ")), "{lines:?}");
    Ok(())
}

fn arguments_and_variables_reach_the_first_program(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "init=/bin/hello plain \"two words\" NAME=value -- last")?;
    for expected in ["argv[0] = /bin/hello", "argv[1] = plain", "argv[2] = two words", "argv[3] = last"] {
        ensure!(lines.iter().any(|line| line == expected), "no {expected:?} in {lines:?}");
    }
    Ok(())
}

fn a_first_program_that_ends_switches_the_board_off(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "init=/bin/hello")?;
    ensure!(lines.iter().any(|line| line.starts_with("init exited with status 0")), "{lines:?}");
    Ok(())
}

fn a_first_program_that_is_missing_leaves_the_monitor(bench: &Bench) -> anyhow::Result<()> {
    let mut console = start(bench, "init=/no/such/program")?;
    let text = console.until_prompt()?;
    ensure!(text.contains("init: cannot execute /no/such/program: no such file or directory"), "{text:?}");
    ensure!(console.command("help")?.contains("this list"), "the monitor does not work");
    Ok(())
}

fn a_first_program_that_is_none_leaves_the_monitor(bench: &Bench) -> anyhow::Result<()> {
    let mut console = start(bench, "init=/etc")?;
    let text = console.until_prompt()?;
    ensure!(text.contains("init: cannot execute /etc"), "{text:?}");
    Ok(())
}

/// Cut in the middle of its last file, and cut in the middle of the first program: both boot as far as they can.
fn a_torn_archive_keeps_what_came_before_the_tear(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let torn = directory.path().join("torn.cpio");
    let whole = read(&bench.build.initramfs())?;
    for (length, runs) in [(whole.len() - 8192, true), (4096, false)] {
        std::fs::write(&torn, &whole[..length])?;
        let command = bench.command().initrd(&torn).cmdline("init=/bin/forktree");
        let mut console = Console::start(command.to_process(bench.qemu()?))?;
        console.until("initramfs: ")?;
        if runs {
            console.until("forktree: 13 processes")?;
        } else {
            console.until_prompt()?;
        }
    }
    Ok(())
}

fn limits_on_the_command_line_hold(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "maxproc=8 -- /bin/forktree")?;
    ensure!(lines.iter().any(|line| line == "process: table is full"), "{lines:?}");
    Ok(())
}

fn every_user_test_passes(bench: &Bench) -> anyhow::Result<()> {
    all_pass(bench, "/bin/usertests", "usertests")
}

fn a_thousand_processes_live_at_once(bench: &Bench) -> anyhow::Result<()> {
    all_pass(bench, "/bin/usertests many", "usertests")
}

fn root_ends_a_fork_bomb(bench: &Bench) -> anyhow::Result<()> {
    all_pass(bench, "/bin/usertests bomb", "usertests")
}

fn memory_that_runs_out_ends_the_right_process(bench: &Bench) -> anyhow::Result<()> {
    all_pass(bench, "/bin/usertests oom", "usertests")
}

fn random_calls_from_many_processes_lose_nothing(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "quiet -- /bin/grind 1200 1")?;
    ensure!(lines.iter().any(|line| line == "grind: ok"), "{lines:?}");
    Ok(())
}

fn the_benchmark_runs_to_its_end(bench: &Bench) -> anyhow::Result<()> {
    let lines = run(bench, "quiet -- /bin/bench --quick --maxr 16")?;
    for row in ["fork_call ", "fork_exit_wait ", "vfork_execve_wait ", "pthread_create_join ", "mmap_munmap_4k "] {
        ensure!(
            lines.iter().any(|line| line.starts_with(&format!("FB {row}")) && !line.contains("SKIP")),
            "{row}: {lines:?}"
        );
    }
    ensure!(lines.iter().any(|line| line.starts_with("FBEND")), "{lines:?}");
    Ok(())
}

fn a_program_of_the_rust_library_finds_all_it_wants(bench: &Bench) -> anyhow::Result<()> {
    let console = start_with(bench, &bench.build.programs()?, "quiet -- /bin/stdtest")?;
    judge(&read_to_the_end(console)?, "stdtest")
}

fn a_c_program_finds_all_it_wants_linked_either_way(bench: &Bench) -> anyhow::Result<()> {
    let both = "quiet -- /bin/sh -c \"posix && exec posix-dynamic\"";
    let lines = read_to_the_end(start_with(bench, &bench.build.programs()?, both)?)?;
    let ends: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line.starts_with("posix: ")).collect();
    ensure!(ends.len() == 2, "{lines:#?}");
    let (first, second) = lines.split_at(ends[0].0 + 1);
    judge(first, "posix")?;
    judge(second, "posix")
}
