//! Mapping, unmapping and protecting memory.

use sys::memory::{Mapping, PAGE, Protection};

use super::MIB;
use crate::Bench;
use crate::report::{Report, skip};

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(40, 10);
    if let Err(errno) = Mapping::private(PAGE) {
        return skip("mmap_munmap_4k", "mmap", errno);
    }
    report.measure("mmap_munmap_4k", samples, 200, || drop(Mapping::private(PAGE)));
    report.measure("mmap_touch_munmap_4k", samples, 200, || {
        if let Ok(memory) = Mapping::private(PAGE) {
            memory.write(0, 1);
        }
    });
    report.measure("mmap_munmap_16M_untouched", samples, 100, || drop(Mapping::private(16 * MIB)));
    match Mapping::private(PAGE) {
        Ok(memory) => {
            memory.write(0, 1);
            report.measure("mprotect_ro_rw_4k_pair", samples, 200, || {
                let _ = memory.protect(0, PAGE, Protection::READ);
                let _ = memory.protect(0, PAGE, Protection::WRITE);
            });
        }
        Err(errno) => skip("mprotect_ro_rw_4k_pair", "mmap", errno),
    }
}
