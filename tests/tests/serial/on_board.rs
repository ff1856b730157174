//! `tine test`: the test programs on a board that has a loader, which here is QEMU's behind a pseudo-terminal. To push is
//! slow there, for the cores that wait keep the host busy, and two kernels are pushed.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use tests::bench::Bench;
use tools::on_board::{self, Plan, Said};
use tools::qemu::Command;

use crate::case::{Case, cases};
use crate::push::Session;

pub(crate) const CASES: &[Case] = cases![
    Long the_test_programs_run_on_a_board_with_a_loader,
];

/// Far more than a step needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Few and quick ones of `usertests`.
const NAMES: &str = "pipe::";
fn the_test_programs_run_on_a_board_with_a_loader(bench: &Bench) -> anyhow::Result<()> {
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
        ktest: Some(fs::read(bench.build.ktest())?),
        names: vec![NAMES.to_owned()],
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
    let said = lines.join("\n");
    ensure!(count.is_success(), "{count}:\n{said}");
    // The tree, the initramfs, the command line and the other cores are those that the loader found.
    for part in ["facts: device tree", "4 cores", "initramfs:", "usertests: 1", "ktest: "] {
        ensure!(said.contains(part), "no {part:?} in\n{said}");
    }
    Ok(())
}
