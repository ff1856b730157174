//! `tine test`: the test programs on a board that has a loader, which here is QEMU's behind a pseudo-terminal.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tests::bench::Bench;
use tools::on_board::{self, Plan, Said};
use tools::qemu::Command;
use tools::summary::Count;

use crate::case::{Case, cases};
use crate::push::Session;

pub(crate) const CASES: &[Case] = cases![
    Long a_suite_of_the_test_programs_runs_on_a_board_with_a_loader,
    Long all_the_test_programs_run_on_a_board_with_a_loader,
];

/// Far more than a step needs.
const PATIENCE: Duration = Duration::from_secs(120);

fn a_suite_of_the_test_programs_runs_on_a_board_with_a_loader(bench: &Bench) -> anyhow::Result<()> {
    whole_run(bench, &["pipe::"], 5)
}

fn all_the_test_programs_run_on_a_board_with_a_loader(bench: &Bench) -> anyhow::Result<()> {
    whole_run(bench, &[], 200)
}

/// Both kernels, and of the programs' tests those with these names, of which there are so many at least.
fn whole_run(bench: &Bench, names: &[&str], least: u64) -> anyhow::Result<()> {
    let ktest = fs::read(bench.build.ktest())?;
    let (count, lines) = run(bench, names, ktest)?;
    let said = lines.join("\n");
    ensure!(count.is_success(), "{count}:\n{said}");
    // The tree, the initramfs, the command line and the other cores are those that the loader found, twice.
    for part in ["facts: device tree", "4 cores", "tine loader: starting"] {
        ensure!(said.matches(part).count() == 2, "not twice {part:?} in\n{said}");
    }
    let results = |name: &str| -> anyhow::Result<u64> {
        let mut found = lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_suffix(" passed, 0 failed"));
        let passed = found.next().with_context(|| format!("no {name:?} in\n{said}"))?;
        Ok(passed.parse()?)
    };
    let (programs, kernel) = (results("usertests: ")?, results("ktest: ")?);
    ensure!(count.passed == programs + kernel, "{count}, but {programs} and {kernel}");
    ensure!(programs >= least && kernel > 0, "{programs} and {kernel} tests:\n{said}");
    Ok(())
}

/// What `tine test` does, and what the board says meanwhile.
fn run(bench: &Bench, names: &[&str], ktest: Vec<u8>) -> anyhow::Result<(Count, Vec<String>)> {
    let command = Command::new(bench.board, bench.build.loader())
        .dtb(bench.build.tree(bench.board))
        .initrd(bench.build.initramfs())
        .cmdline("maxproc=500")
        // As a board: it starts again, and does not end.
        .arg("-action")
        .arg("reboot=reset");
    let mut session = Session::start_as(bench, &command, None)?;
    let plan = Plan {
        kernel: fs::read(bench.build.image())?,
        ktest: Some(ktest),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        baud: 921_600,
        wait: PATIENCE,
        silence: PATIENCE,
    };
    let mut lines = Vec::new();
    let count = on_board::run(&mut session.port, &plan, &mut |said| {
        if let Said::Line(line) = said {
            lines.push(line);
        }
    })?;
    Ok((count, lines))
}
