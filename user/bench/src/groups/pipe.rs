//! Pipes: within a process, between two, and much at once.

use std::os::fd::OwnedFd;

use sys::file::{self, pipe};
use sys::process::{exit, fork};
use sys::time::now_ns;
use sys::{Errno, Forked, machine};

use super::reap;
use crate::Bench;
use crate::report::{Report, skip, tenths};

/// Bytes of a bulk write.
const BULK: usize = 64 << 10;
/// Bulk writes in a sample.
const BLOCKS: u64 = 64;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(40, 10);
    let own = match pipe() {
        Ok((from, to)) => {
            report.measure("pipe_self_wr_rd", samples, 200, || {
                let _ = to_and_fro(&to, &from);
            });
            report.first.median()
        }
        Err(errno) => return skip("pipe_self_wr_rd", "pipe", errno),
    };
    if let Err(errno) = round_trip(report, "pipe_rt", samples) {
        skip("pipe_rt", "pipe", errno);
    }
    let all = machine::affinity(0).unwrap_or(u64::MAX);
    match machine::set_affinity(0, 1).and_then(|()| round_trip(report, "pipe_rt_pin", samples)) {
        Ok(()) => {
            let switch = (report.first.median() / 2).saturating_sub(own);
            println!("FB {:<34} derived={} (pipe_rt_pin/2 - pipe_self_wr_rd)", "ctxsw_pipe", tenths(switch));
        }
        Err(errno) => skip("pipe_rt_pin", "affinity", errno),
    }
    let _ = machine::set_affinity(0, all);
    match bulk(report, bench.samples(15, 5)) {
        Ok(()) => report.first.print("pipe_bulk_64k_block", BLOCKS),
        Err(errno) => skip("pipe_bulk_64k", "pipe", errno),
    }
}

/// Writes a byte to one, reads a byte from the other.
fn to_and_fro(to: &OwnedFd, from: &OwnedFd) -> Result<(), Errno> {
    let mut byte = [0];
    file::write(to, b"x")?;
    if file::read(from, &mut byte)? == 1 { Ok(()) } else { Err(Errno::IO) }
}

fn round_trip(report: &mut Report, name: &str, samples: usize) -> Result<(), Errno> {
    let ((there, to), (from, back)) = (pipe()?, pipe()?);
    match fork()? {
        Forked::Child => {
            drop((to, from));
            let mut byte = [0];
            while file::read(&there, &mut byte) == Ok(1) && file::write(&back, &byte) == Ok(1) {}
            exit(0)
        }
        Forked::Parent(pid) => {
            drop((there, back));
            let warm_up = (0..20).try_for_each(|_| to_and_fro(&to, &from));
            if warm_up.is_ok() {
                report.measure(name, samples, 100, || {
                    let _ = to_and_fro(&to, &from);
                });
            }
            drop((to, from));
            reap(pid);
            warm_up
        }
    }
}

fn bulk(report: &mut Report, samples: usize) -> Result<(), Errno> {
    let mut buffer = vec![0_u8; BULK];
    report.first.clear();
    for _ in 0..samples {
        let (from, to) = pipe()?;
        match fork()? {
            Forked::Child => {
                drop(to);
                while file::read(&from, &mut buffer).is_ok_and(|count| count > 0) {}
                exit(0)
            }
            Forked::Parent(pid) => {
                drop(from);
                let start = now_ns();
                for _ in 0..BLOCKS {
                    write_all(&to, &buffer);
                }
                drop(to);
                reap(pid);
                report.first.add(start, now_ns(), BLOCKS);
            }
        }
    }
    Ok(())
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) {
    while let Ok(count @ 1..) = file::write(to, bytes) {
        bytes = &bytes[count..];
        if bytes.is_empty() {
            return;
        }
    }
}
