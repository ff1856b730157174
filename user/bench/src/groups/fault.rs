//! Page faults: first touch, reading zeroes, copy on write.

use std::sync::atomic::Ordering;

use sys::Errno;
use sys::memory::{Advice, Mapping, PAGE};
use sys::process::spawn;
use sys::time::now_ns;

use super::resident::{aligned_untouched, touch};
use super::{MIB, reap};
use crate::Bench;
use crate::report::{Report, skip};

const BYTES: usize = 16 * MIB;
const PAGES: u64 = 4096;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(12, 3);
    for (kind, advice) in [("4k", Some(Advice::NOHUGEPAGE)), ("def", None)] {
        if let Err(errno) = first_touch(report, samples, advice) {
            return skip("pf_anon_write", "mmap", errno);
        }
        report.first.print(&format!("pf_anon_write_{kind}_perpage"), PAGES);
        report.second.print(&format!("munmap16M_{kind}_perpage"), PAGES);
    }
    match zero_pages(report, samples) {
        Ok(()) => report.first.print("pf_anon_read_4k_perpage", PAGES),
        Err(errno) => skip("pf_anon_read_4k_perpage", "mmap", errno),
    }
    let memory = match small_pages() {
        Ok(memory) => memory,
        Err(errno) => return skip("touch_nofault_16M_perpage_x4096", "mmap", errno),
    };
    touch(&memory);
    report.measure("touch_nofault_16M_perpage_x4096", samples, 1, || touch(&memory));
    match copies(report, samples, &memory) {
        Ok(()) => {
            report.first.print("pf_cow_child_write_4k_perpage", PAGES);
            report.second.print("pf_cow_reuse_parent_4k_perpage", PAGES);
        }
        Err(errno) => skip("pf_cow_child", "fork", errno),
    }
}

/// Private memory without large pages.
fn small_pages() -> Result<Mapping, Errno> {
    let memory = Mapping::private(BYTES)?;
    // Where there are no large pages, there is nothing to refuse.
    let _ = memory.advise(0, BYTES, Advice::NOHUGEPAGE);
    Ok(memory)
}

fn first_touch(report: &mut Report, samples: usize, advice: Option<Advice>) -> Result<(), Errno> {
    report.first.clear();
    report.second.clear();
    for _ in 0..samples {
        let memory = aligned_untouched(BYTES, advice)?;
        let start = now_ns();
        touch(&memory);
        let touched = now_ns();
        drop(memory);
        report.second.add(touched, now_ns(), PAGES);
        report.first.add(start, touched, PAGES);
    }
    Ok(())
}

fn zero_pages(report: &mut Report, samples: usize) -> Result<(), Errno> {
    report.first.clear();
    for _ in 0..samples {
        let memory = small_pages()?;
        let start = now_ns();
        std::hint::black_box(memory.pages_are(0));
        report.first.add(start, now_ns(), PAGES);
    }
    Ok(())
}

/// A child writes every page after a fork; when it is gone, the parent does.
fn copies(report: &mut Report, samples: usize, memory: &Mapping) -> Result<(), Errno> {
    // What the child measured, in nanoseconds: 16 MiB take less than four seconds.
    let measured = Mapping::shared(PAGE)?;
    let measured = measured.word(0);
    report.first.clear();
    report.second.clear();
    for _ in 0..samples {
        touch(memory);
        let pid = spawn(|| {
            let start = now_ns();
            touch(memory);
            measured.store(u32::try_from(now_ns() - start).unwrap_or(u32::MAX), Ordering::SeqCst);
            0
        })?;
        reap(pid);
        let start = now_ns();
        touch(memory);
        report.second.add(start, now_ns(), PAGES);
        report.first.add_ns(measured.load(Ordering::SeqCst).into(), PAGES);
    }
    Ok(())
}
