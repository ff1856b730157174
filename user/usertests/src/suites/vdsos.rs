//! The kernel's own shared object: clocks without a call, and where handlers return to.

use std::time::Duration;

use sys::memory::PAGE;
use sys::process::{self, Signal, kill};
use sys::signal::{caught, handle_without_restorer};
use sys::vdso::{self, Object};
use sys::{Errno, Mapping, time};

use crate::expect::{Checked, Failure, as_root, dies, ensure, equal, in_child, refused};
use crate::helper::become_helper;

super::tests!("vdso":
    it_is_where_the_kernel_says, clocks_agree_with_the_calls, other_clocks_are_asked_for, the_time_of_day_follows_the_clock,
    nobody_can_change_it, it_can_be_moved, it_can_be_unmapped, it_is_somewhere_else_each_time, a_child_has_it,
    a_handler_needs_no_restorer);

fn object() -> Result<Object, Failure> {
    vdso::find().ok_or(Failure::Skipped("no such object"))
}

fn it_is_where_the_kernel_says() -> Checked {
    let object = vdso::find();
    ensure(vdso::base().is_some() == object.is_some(), "it lacks something")?;
    equal(object.map_or(0, |object| object.base() % PAGE), 0)
}

fn clocks_agree_with_the_calls() -> Checked {
    let object = object()?;
    for clock in [0, 1, 4, 5, 6, 7, 11] {
        for _ in 0..1000 {
            let before = vdso::asked(clock)?.0;
            let between = object.now(clock)?;
            let after = vdso::asked(clock)?.0;
            ensure(before <= between && between <= after, &format!("{before:?} {between:?} {after:?} of {clock}"))?;
        }
        equal(object.resolution(clock)?, vdso::asked(clock)?.1)?;
    }
    Ok(())
}

fn other_clocks_are_asked_for() -> Checked {
    let object = object()?;
    for clock in [2, 3] {
        let before = vdso::asked(clock)?.0;
        let between = object.now(clock)?;
        ensure(before <= between && between <= vdso::asked(clock)?.0, &format!("clock {clock}"))?;
        equal(object.resolution(clock)?, vdso::asked(clock)?.1)?;
    }
    for clock in [10, 12, 31, 32, 33, 64, 99, i32::MAX] {
        refused(object.now(clock), Errno::INVAL)?;
        refused(object.resolution(clock), Errno::INVAL)?;
    }
    Ok(())
}

fn the_time_of_day_follows_the_clock() -> Checked {
    let object = object()?;
    let check = || {
        let before = time::wall()?;
        let (now, zone) = object.time_of_day()?;
        let after = time::wall()?;
        ensure(before <= now + Duration::from_micros(1) && now <= after, &format!("{before:?} {now:?} {after:?}"))?;
        equal(zone, 0)
    };
    check()?;
    as_root()?;
    let before = time::wall()?;
    let far = Duration::new(2_000_000_000, 123_456_789);
    time::set_wall(far)?;
    let checked = check();
    let (now, stands) = (object.now(0), object.now(1));
    time::set_wall(before)?;
    checked?;
    ensure(now? >= far, "it shows another time")?;
    ensure(stands? < far, "the monotonic clock was set")
}

fn nobody_can_change_it() -> Checked {
    let object = object()?;
    const READ: usize = 1;
    const WRITE: usize = 2;
    const EXECUTE: usize = 4;
    in_child(|| {
        for rights in [WRITE, READ | WRITE, READ | WRITE | EXECUTE] {
            refused(vdso::protect(object.base(), rights), Errno::ACCES)?;
        }
        vdso::protect(object.base(), 0)?;
        vdso::protect(object.base(), READ | EXECUTE)?;
        refused(vdso::have_it_written(object.base()), Errno::FAULT)?;
        object.now(1)?;
        Ok(())
    })?;
    dies(Signal::SEGV, || {
        let _ = process::set_disposition(Signal::SEGV, process::Disposition::Default);
        sys::die::writing(object.base())
    })
}

fn it_can_be_moved() -> Checked {
    let object = object()?;
    in_child(|| {
        let place = Mapping::private(PAGE)?.leak();
        let moved = object.moved_to(vdso::move_away(object.base(), place)?);
        let before = vdso::asked(1)?.0;
        let between = moved.now(1)?;
        ensure(before <= between && between <= vdso::asked(1)?.0, "it does not read its clock")?;
        // Handlers return to where it is now.
        handle_without_restorer(Signal::USR1)?;
        kill(process::pid().0, Signal::USR1)?;
        equal(caught(), 1)
    })
}

fn it_can_be_unmapped() -> Checked {
    let object = object()?;
    in_child(|| {
        vdso::unmap(object.base())?;
        vdso::asked(1)?;
        Ok(())
    })?;
    // Who has nowhere to return to dies of it.
    dies(Signal::SEGV, || {
        let _ = process::set_disposition(Signal::SEGV, process::Disposition::Default);
        let _ = vdso::unmap(object.base());
        let _ = handle_without_restorer(Signal::USR1);
        let _ = kill(process::pid().0, Signal::USR1);
        0
    })
}

fn it_is_somewhere_else_each_time() -> Checked {
    let own = object()?.base();
    let mut bits = 0;
    for _ in 0..8 {
        let status = crate::expect::end_of(|| {
            become_helper(&[c"vdso-place"], &[]);
            127
        })?;
        bits |= status.code().unwrap_or(0) ^ i32::try_from(own >> 12 & 0x7f).unwrap_or(0);
    }
    ensure(bits != 0, "it is always at the same place")
}

fn a_child_has_it() -> Checked {
    let object = object()?;
    in_child(|| {
        object.now(1)?;
        in_child(|| object.now(1).map(drop).map_err(Failure::from))
    })
}

fn a_handler_needs_no_restorer() -> Checked {
    let object = object()?;
    in_child(|| {
        handle_without_restorer(Signal::USR1)?;
        for _ in 0..3 {
            kill(process::pid().0, Signal::USR1)?;
        }
        equal(caught(), 3)?;
        ensure(object.sigreturn > object.base(), "no trampoline")
    })
}
