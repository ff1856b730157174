//! Calls that do next to nothing, and files.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use sys::{file, process, time};

use crate::Bench;
use crate::report::{Report, skip};

const WRITE_ONLY: usize = 1;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(40, 10);
    report.measure("clock_gettime", samples, 1000, || {
        std::hint::black_box(time::now_ns());
    });
    report.measure("clock_gettime_syscall", samples, 1000, || {
        let _ = std::hint::black_box(time::monotonic());
    });
    report.measure("getppid", samples, 1000, || {
        std::hint::black_box(process::parent());
    });
    match file::open(c"/dev/null", WRITE_ONLY) {
        Ok(null) => report.measure("write_devnull_1B", samples, 500, || {
            let _ = file::write(&null, b"x");
        }),
        Err(errno) => skip("write_devnull_1B", "open", errno),
    }
    match file::open(c"/dev/zero", 0) {
        Ok(zero) => {
            let mut byte = [0];
            report.measure("read_devzero_1B", samples, 500, || {
                let _ = file::read(&zero, &mut byte);
            });
        }
        Err(errno) => skip("read_devzero_1B", "open", errno),
    }
    match file::status(&bench.path) {
        Ok(()) => report.measure("stat_self", samples, 200, || {
            let _ = file::status(&bench.path);
        }),
        Err(errno) => skip("stat_self", "stat", errno),
    }
    match file::open(&bench.path, 0).map(File::from) {
        Ok(file) => {
            drop(file);
            report.measure("open_close_self", samples, 200, || {
                if let Ok(file) = file::open(&bench.path, 0) {
                    std::hint::black_box(file.as_raw_fd());
                }
            });
        }
        Err(errno) => skip("open_close_self", "open", errno),
    }
}
