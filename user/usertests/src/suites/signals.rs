//! Signals without handlers: sending, default actions, stop and continue, masks.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use sys::process::{self, Disposition, Signal, Which, block_signals, kill, option, spawn, wait, wait_for, wait_id};
use sys::{Errno, Pid, machine, time};

use crate::expect::{Checked, as_root, child, dies, ended_by, ensure, equal, exited, in_child, passes, refused};
use crate::helper::become_helper;
use crate::meeting::Meeting;

super::tests!("signal":
    numbers_are_checked, a_sleeper_is_ended, a_waiter_is_ended, a_busy_loop_is_ended, stop_and_continue,
    a_stopped_child_can_be_killed, terminate_waits_for_continue, harmless_ones_do_nothing, ignoring_is_inherited,
    a_blocked_one_waits, f8_pending_ones_are_not_inherited, f9_the_mask_is_inherited, kill_and_stop_cannot_be_blocked,
    a_group_is_ended, users_cannot_signal_others, a_thread_can_be_named, continue_cancels_a_pending_stop);

/// The bit of a signal in a mask.
const fn bit(signal: Signal) -> u64 {
    1 << (signal.0 - 1)
}

/// Sleeps for good.
fn sleep_for_good() -> i32 {
    while time::sleep(Duration::from_secs(1000)) != Err(Errno::NOSYS) {}
    0
}

fn numbers_are_checked() -> Checked {
    let own = process::pid().0;
    kill(own, Signal::NONE)?;
    refused(kill(own, Signal(65)), Errno::INVAL)?;
    refused(kill(own, Signal(-1)), Errno::INVAL)?;
    refused(kill(99_999_999, Signal::NONE), Errno::SRCH)?;
    refused(kill(-99_999_999, Signal::NONE), Errno::SRCH)
}

fn a_sleeper_is_ended() -> Checked {
    let meeting = Meeting::new()?;
    let pid = spawn(|| {
        meeting.set(0, 1);
        sleep_for_good()
    })?;
    meeting.wait(0, 1);
    kill(pid.0, Signal::TERM)?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::TERM)
}

fn a_waiter_is_ended() -> Checked {
    // One waits for a word, one for its child, which waits for the word too.
    let meeting = Meeting::new()?;
    let words = spawn(|| {
        meeting.arrive(0);
        meeting.wait(1, 1);
        0
    })?;
    let children = spawn(|| {
        meeting.arrive(0);
        let _ = spawn(|| {
            meeting.wait(1, 1);
            0
        });
        let _ = wait(Which::Any);
        0
    })?;
    meeting.wait(0, 2);
    kill(words.0, Signal::TERM)?;
    kill(children.0, Signal::KILL)?;
    ended_by(wait(Which::Pid(words))?.1, Signal::TERM)?;
    ended_by(wait(Which::Pid(children))?.1, Signal::KILL)?;
    meeting.set(1, 1);
    Ok(())
}

fn a_busy_loop_is_ended() -> Checked {
    let meeting = Meeting::new()?;
    let pid = spawn(|| {
        meeting.set(0, 1);
        loop {
            std::hint::spin_loop();
        }
    })?;
    meeting.wait(0, 1);
    kill(pid.0, Signal::KILL)?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::KILL)
}

fn stop_and_continue() -> Checked {
    const STOPPED: i32 = 5;
    const CONTINUED: i32 = 6;
    let meeting = Meeting::new()?;
    let pid = spawn(|| {
        meeting.set(0, 1);
        meeting.wait(1, 1);
        17
    })?;
    meeting.wait(0, 1);
    for signal in [Signal::STOP, Signal::STOP] {
        kill(pid.0, signal)?;
        let (_, status) = wait_for(Which::Pid(pid), option::UNTRACED)?.unwrap_or((pid, ExitStatus::from_raw(0)));
        equal(status.stopped_signal(), Some(signal.0))?;
        // Told once.
        equal(wait_for(Which::Pid(pid), option::UNTRACED | option::NOHANG)?, None)?;
        kill(pid.0, Signal::CONT)?;
        let (_, status) = wait_for(Which::Pid(pid), option::CONTINUED)?.unwrap_or((pid, ExitStatus::from_raw(0)));
        ensure(status.continued(), "not continued")?;
    }
    kill(pid.0, Signal::STOP)?;
    let info = wait_id(Which::Pid(pid), option::UNTRACED)?;
    equal((info.code, info.status, info.pid), (STOPPED, Signal::STOP.0, pid.0))?;
    kill(pid.0, Signal::CONT)?;
    let info = wait_id(Which::Pid(pid), option::CONTINUED)?;
    equal((info.code, info.status, info.pid), (CONTINUED, Signal::CONT.0, pid.0))?;
    meeting.set(1, 1);
    exited(wait(Which::Pid(pid))?.1, 17)
}

fn stopped_sleeper() -> Result<Pid, Errno> {
    let pid = spawn(sleep_for_good)?;
    kill(pid.0, Signal::STOP)?;
    wait_for(Which::Pid(pid), option::UNTRACED)?;
    Ok(pid)
}

fn a_stopped_child_can_be_killed() -> Checked {
    let pid = stopped_sleeper()?;
    kill(pid.0, Signal::KILL)?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::KILL)
}

fn terminate_waits_for_continue() -> Checked {
    let pid = stopped_sleeper()?;
    kill(pid.0, Signal::TERM)?;
    for _ in 0..50 {
        machine::yield_now()?;
    }
    equal(wait_for(Which::Pid(pid), option::NOHANG)?, None)?;
    kill(pid.0, Signal::CONT)?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::TERM)
}

fn continue_cancels_a_pending_stop() -> Checked {
    in_child(|| {
        block_signals(bit(Signal::TSTP))?;
        kill(process::pid().0, Signal::TSTP)?;
        kill(process::pid().0, Signal::CONT)?;
        // Still running after this only if the stop is gone.
        block_signals(0)?;
        Ok(())
    })
}

fn harmless_ones_do_nothing() -> Checked {
    in_child(|| {
        for signal in [Signal::CHLD, Signal::CONT, Signal::WINCH, Signal(23)] {
            kill(process::pid().0, signal)?;
        }
        Ok(())
    })
}

fn ignoring_is_inherited() -> Checked {
    in_child(|| {
        process::set_disposition(Signal::TERM, Disposition::Ignore)?;
        kill(process::pid().0, Signal::TERM)?;
        in_child(|| Ok(kill(process::pid().0, Signal::TERM)?))?;
        let pid = spawn(|| {
            become_helper(&[c"signal-ignored", c"15"], &[]);
            127
        })?;
        exited(wait(Which::Pid(pid))?.1, 0)?;
        process::set_disposition(Signal::TERM, Disposition::Default)?;
        refused(process::set_disposition(Signal::KILL, Disposition::Ignore), Errno::INVAL)?;
        refused(process::set_disposition(Signal::STOP, Disposition::Ignore), Errno::INVAL)?;
        dies(Signal::TERM, || i32::from(kill(process::pid().0, Signal::TERM).is_err()))
    })
}

fn a_blocked_one_waits() -> Checked {
    let meeting = Meeting::new()?;
    dies(Signal::TERM, || {
        let _ = block_signals(bit(Signal::TERM));
        let _ = kill(process::pid().0, Signal::TERM);
        meeting.set(0, 1);
        let _ = block_signals(0);
        0
    })?;
    equal(meeting.get(0), 1)
}

fn f8_pending_ones_are_not_inherited() -> Checked {
    in_child(|| {
        block_signals(bit(Signal::TERM))?;
        kill(process::pid().0, Signal::TERM)?;
        in_child(|| {
            block_signals(0)?;
            Ok(())
        })?;
        process::set_disposition(Signal::TERM, Disposition::Ignore)?;
        block_signals(0)?;
        Ok(())
    })
}

fn f9_the_mask_is_inherited() -> Checked {
    let mask = bit(Signal::USR1) | bit(Signal::HUP);
    in_child(|| {
        block_signals(mask)?;
        in_child(|| equal(block_signals(0)?, mask))
    })
}

fn kill_and_stop_cannot_be_blocked() -> Checked {
    in_child(|| {
        block_signals(u64::MAX)?;
        equal(block_signals(0)? & (bit(Signal::KILL) | bit(Signal::STOP)), 0)
    })?;
    dies(Signal::KILL, || {
        let _ = block_signals(u64::MAX);
        let _ = kill(process::pid().0, Signal::KILL);
        0
    })
}

fn a_group_is_ended() -> Checked {
    let meeting = Meeting::new()?;
    let pid = child(|| {
        process::set_group(Pid(0), Pid(0))?;
        for _ in 0..3 {
            spawn(|| {
                meeting.arrive(0);
                sleep_for_good()
            })?;
        }
        meeting.arrive(0);
        sleep_for_good();
        Ok(())
    })?;
    meeting.wait(0, 4);
    kill(pid.0.wrapping_neg(), Signal::TERM)?;
    ended_by(wait(Which::Pid(pid))?.1, Signal::TERM)
}

fn users_cannot_signal_others() -> Checked {
    as_root()?;
    let meeting = Meeting::new()?;
    let own = process::pid();
    let sleeper = spawn(|| {
        meeting.wait(0, 1);
        0
    })?;
    in_child(|| {
        sys::identity::set_user(4711)?;
        refused(kill(sleeper.0, Signal::TERM), Errno::PERM)?;
        refused(kill(own.0, Signal::NONE), Errno::PERM)?;
        // Others of the same user can be.
        let pid = spawn(sleep_for_good)?;
        kill(pid.0, Signal::TERM)?;
        ended_by(wait(Which::Pid(pid))?.1, Signal::TERM)
    })?;
    meeting.set(0, 1);
    passes(sleeper)
}

fn a_thread_can_be_named() -> Checked {
    refused(process::tgkill(process::pid(), sys::Tid(99_999_999), Signal::NONE), Errno::SRCH)?;
    refused(process::tgkill(Pid(-1), process::tid(), Signal::NONE), Errno::INVAL)?;
    process::tgkill(process::pid(), process::tid(), Signal::NONE)?;
    dies(Signal::USR1, || {
        let _ = process::tgkill(process::pid(), process::tid(), Signal::USR1);
        0
    })
}
