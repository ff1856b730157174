//! The shell of an initramfs for which no busybox could be had; `make test-long` makes one.

use anyhow::{Context as _, ensure};
use tests::bench::Bench;
use tests::console::ENTER;

use crate::case::{Case, cases};
use crate::userland::start_with;

pub(crate) const CASES: &[Case] = cases![Fallback without_busybox_the_fallback_shell_runs_our_programs];

const PROMPT: &str = "$ ";

fn without_busybox_the_fallback_shell_runs_our_programs(bench: &Bench) -> anyhow::Result<()> {
    let initramfs = bench.build.fallback().context("build/fallback.cpio is gone")?;
    let mut console = start_with(bench, &initramfs, "quiet")?;
    console.until(PROMPT)?;
    console.send(format!(
        "cd /bin; for word in a b; do hello $word | (read -r line; kill -l 15); done; forktree 2 2{ENTER}"
    ))?;
    console.until("TERM\r\nTERM\r\n")?;
    console.until("forktree: 3 processes")?;
    console.until(PROMPT)?;
    // A job that is stopped and goes on. Until it has written something it may be one that ignores SIGTERM, as this shell does.
    console.send(format!(
        "{{ kill -l 15 >/tmp/begun; while :; do :; done; }} & until read -r line </tmp/begun; do :; done 2>/dev/null{ENTER}"
    ))?;
    console.until(PROMPT)?;
    console.send(format!("kill -STOP $!; kill -CONT $!; kill $!; wait $!; kill -l $?{ENTER}"))?;
    console.until("TERM\r\n")?;
    console.until(PROMPT)?;
    // A shell that ends is started again.
    console.send(format!("exit 3{ENTER}"))?;
    console.until("init: /bin/sh exited with 3")?;
    console.until(PROMPT)?;
    console.send(format!("kill -USR2 1{ENTER}"))?;
    console.until("init: power off")?;
    let (words, status) = console.end()?;
    ensure!(status == i32::from(abi::exit::POWEROFF), "the status is {status} behind {words:?}");
    Ok(())
}
