//! Signals that are caught.

use sys::memory::{Mapping, PAGE, Protection};
use sys::process::{self, Signal, Which, kill, spawn, wait};
use sys::signal::{Handler, caught, handle, store_in_vain};
use sys::{Errno, Pid};

use crate::Bench;
use crate::report::{Report, skip};

const BATCH: u64 = 200;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(40, 10);
    if let Err(errno) = handle(Signal::USR1, Handler::Count) {
        return skip("sig_install", "sigaction", errno);
    }
    report.measure("sig_install", samples, 500, || {
        let _ = handle(Signal::USR1, Handler::Count);
    });
    // A kernel without handlers may end the process: a child tries.
    let tried = spawn(|| i32::from(kill(process::pid().0, Signal::USR1).is_err() || caught() != 1));
    let tried = tried.and_then(|pid| wait(Which::Pid(pid)));
    if !tried.is_ok_and(|(_, status)| status.success()) {
        let _ = handle(Signal::USR1, Handler::Default);
        return skip("sig_catch_kill_self", "not delivered", tried.err().unwrap_or(Errno::NOSYS));
    }
    let Pid(own) = process::pid();
    report.measure("sig_catch_kill_self", samples, BATCH, || {
        let _ = kill(own, Signal::USR1);
    });
    let _ = handle(Signal::USR1, Handler::Default);
    if let Err(errno) = segv(report, samples) {
        skip("sig_catch_segv", "mmap", errno);
    }
    let _ = handle(Signal::SEGV, Handler::Default);
}

fn segv(report: &mut Report, samples: usize) -> Result<(), Errno> {
    let memory = Mapping::private(PAGE)?;
    memory.protect(0, PAGE, Protection::READ)?;
    handle(Signal::SEGV, Handler::StepOver)?;
    // Of the row before.
    let _ = caught();
    report.measure("sig_catch_segv", samples, BATCH, || store_in_vain(&memory));
    let (ran, wanted) = (u64::from(caught()), BATCH * u64::try_from(samples).unwrap_or(0));
    if ran != wanted {
        println!("FB sig_catch_segv WARN handler ran {ran} times, wanted {wanted}");
    }
    Ok(())
}
