//! Processors and registers.

use sys::machine::{Across, affinity, current, names, registers, set_affinity, yield_now};
use sys::process::{self, spawn, wait};
use sys::registers::{self, Quiet};
use sys::{Errno, time};

use crate::expect::{Checked, ensure, equal, exited, in_child, known, refused};

super::tests!("machine":
    affinity_is_honoured, affinity_is_inherited, an_empty_affinity_is_refused, registers_outlive_a_call,
    every_general_register_outlives_a_call, a_handler_finds_every_register,
    registers_outlive_a_switch, registers_outlive_preemption, registers_are_forked,
    registers_are_forked_after_a_switch, uname_says_who, yielding_lets_others_run,
    all_cpus_are_used);

fn cpus(mask: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |cpu| mask >> cpu & 1 != 0)
}

fn affinity_is_honoured() -> Checked {
    let all = affinity(0)?;
    ensure(all != 0, "no processors")?;
    for _ in 0..5 {
        for cpu in cpus(all) {
            set_affinity(0, 1 << cpu)?;
            for _ in 0..20 {
                equal(current()?, cpu)?;
                yield_now()?;
            }
        }
    }
    set_affinity(0, u64::MAX)?;
    equal(affinity(0)?, all)
}

fn affinity_is_inherited() -> Checked {
    for cpu in cpus(affinity(0)?) {
        in_child(|| {
            set_affinity(0, 1 << cpu)?;
            in_child(|| {
                equal(affinity(0)?, 1 << cpu)?;
                equal(current()?, cpu)
            })
        })?;
    }
    Ok(())
}

fn an_empty_affinity_is_refused() -> Checked {
    refused(set_affinity(0, 0), Errno::INVAL)?;
    refused(set_affinity(0, 1 << 63), Errno::INVAL)?;
    refused(set_affinity(99_999_999, 1), Errno::SRCH)
}

fn every_general_register_outlives_a_call() -> Checked {
    for seed in 1..50 {
        for call in [Quiet::Parent, Quiet::ReadNothing, Quiet::OtherRange, Quiet::Unknown] {
            let (mut put, found) = registers::across(seed, call)?;
            ensure(found[0] != put[0], "x0 is the answer")?;
            put[0] = found[0];
            equal(found, put)?;
        }
    }
    Ok(())
}

/// The frame that a handler is given holds what the program had, also where the call did not save it, and all of it comes
/// back.
fn a_handler_finds_every_register() -> Checked {
    for seed in 1..50 {
        let (mut put, found) = registers::across(seed, Quiet::Raise)?;
        put[0] = 0;
        put[19..=28].iter_mut().for_each(|register| *register = register.wrapping_add(1));
        equal(found, put)?;
    }
    Ok(())
}

/// The registers are as they were.
fn kept(seed: u64, across: Across) -> Checked {
    let registers = registers(seed, across);
    ensure(registers.vectors_kept, "vector registers")?;
    ensure(registers.generals_kept, "general registers")?;
    ensure(registers.control_kept, "floating-point control registers")
}

fn registers_outlive_a_call() -> Checked {
    (1..200).try_for_each(|seed| kept(seed, Across::NullCall))
}

fn registers_outlive_a_switch() -> Checked {
    // Two on one processor, with different values in their registers.
    let cpu = cpus(affinity(0)?).last().unwrap_or(0);
    let others: Result<Vec<_>, Errno> = (2..4_u64)
        .map(|number| {
            crate::expect::child(move || {
                set_affinity(0, 1 << cpu)?;
                (0..300).try_for_each(|seed| kept(number << 32 | seed, Across::Yield))
            })
        })
        .collect();
    others?.into_iter().try_for_each(crate::expect::passes)
}

fn registers_outlive_preemption() -> Checked {
    // Three on each processor; each loop is longer than a time slice of most schedulers.
    let count = 3 * affinity(0)?.count_ones();
    let (start, _) = time::counter();
    let others: Result<Vec<_>, Errno> = (0..count)
        .map(|number| {
            crate::expect::child(move || {
                (0..4).try_for_each(|round| kept(start ^ u64::from(number << 8 | round), Across::Loop(5_000_000)))
            })
        })
        .collect();
    others?.into_iter().try_for_each(crate::expect::passes)
}

fn registers_are_forked() -> Checked {
    forked(Across::Fork)
}

/// The kernel may have shut the registers, and still find their values there.
fn registers_are_forked_after_a_switch() -> Checked {
    let cpu = cpus(affinity(0)?).last().unwrap_or(0);
    // It runs in between, without vector registers.
    let other = crate::expect::child(move || {
        set_affinity(0, 1 << cpu)?;
        (0..2000).try_for_each(|_| yield_now()).map_err(Into::into)
    })?;
    in_child(move || {
        set_affinity(0, 1 << cpu)?;
        forked(Across::ForkAfterYield)
    })?;
    crate::expect::passes(other)
}

fn forked(across: Across) -> Checked {
    for seed in 1..20 {
        let registers = registers(seed, across);
        let fine = registers.vectors_kept && registers.generals_kept && registers.control_kept;
        match registers.returned {
            0 => process::exit(i32::from(!fine)),
            pid if pid > 0 => exited(wait(process::Which::Any)?.1, 0)?,
            _ => ensure(false, "fork failed")?,
        }
        ensure(fine, "the parent's registers")?;
    }
    Ok(())
}

fn uname_says_who() -> Checked {
    let [system, _, release, version, machine, _] = known(names())?;
    equal(machine, "aarch64")?;
    ensure(!system.is_empty() && !release.is_empty() && !version.is_empty(), "an empty name")
}

fn yielding_lets_others_run() -> Checked {
    let cpu = cpus(affinity(0)?).next().unwrap_or(0);
    let meeting = crate::meeting::Meeting::new()?;
    in_child(|| {
        set_affinity(0, 1 << cpu)?;
        let pid = spawn(|| {
            meeting.set(0, 1);
            0
        })?;
        while meeting.get(0) == 0 {
            yield_now()?;
        }
        exited(wait(process::Which::Pid(pid))?.1, 0)
    })
}

fn all_cpus_are_used() -> Checked {
    // As many busy children as processors, until each processor was seen; the limit is the runner's patience.
    let all = affinity(0)?;
    let meeting = crate::meeting::Meeting::new()?;
    let children: Result<Vec<_>, Errno> = cpus(all)
        .map(|_| {
            crate::expect::child(|| {
                while u64::from(meeting.get(0)) & all != all {
                    meeting.word(0).fetch_or(1 << current()?, std::sync::atomic::Ordering::SeqCst);
                }
                Ok(())
            })
        })
        .collect();
    children?.into_iter().try_for_each(crate::expect::passes)
}
