//! An idle board costs its host next to nothing: no tick, no spinning core.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tests::bench::Bench;
use tests::host;

use crate::case::{Case, cases};

/// One stretch of idleness. To let real time pass is the point of this test, and of no other.
const STRETCH: Duration = Duration::from_secs(10);
/// The most CPU time that QEMU may take for it; a single core that spins takes all of [`STRETCH`].
const MOST: Duration = Duration::from_millis(600);
/// Stretches that are tried: the first one may still see the end of the boot, and a busy host makes each wake-up dearer.
const TRIES: u32 = 3;

pub(crate) const CASES: &[Case] = cases![Emulator an_idle_board_leaves_the_host_alone];

fn an_idle_board_leaves_the_host_alone(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    // The monitor has worked once, so everything that starts late has started.
    console.command("threads")?;
    let id = console.process_id().context("no process")?;
    let Some(mut before) = host::cpu_time(id) else {
        eprintln!("no CPU times on this system: nothing was measured");
        return Ok(());
    };
    let mut used = Duration::MAX;
    for _ in 0..TRIES {
        thread::sleep(STRETCH);
        let after = host::cpu_time(id).context("the emulator has ended")?;
        used = after - before;
        before = after;
        if used < MOST {
            return Ok(());
        }
    }
    bail!("{} ms of CPU time for {} s of idleness", used.as_millis(), STRETCH.as_secs())
}
