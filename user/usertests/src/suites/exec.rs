//! Executing programs: arguments, scripts, files that are none.

use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd as _;

use sys::file::{self, OnExec};
use sys::process::{self, Which, exec, spawn, wait};
use sys::{Errno, Pid, thread};

use crate::expect::{Checked, ensure, equal, exited, in_child, refused};
use crate::helper::{AS_GIVEN, SCRIPT_STATUS, become_helper};

super::tests!("exec":
    arguments_and_environment_arrive, a_thousand_arguments, too_many_arguments, no_arguments_at_all, files_that_are_no_programs,
    broken_programs, a_script, a_script_of_a_script, scripts_without_interpreter, f16_pid_and_parent_stay,
    descriptors_close_on_exec, places_are_random, a_failed_exec_changes_nothing, by_a_thread_that_is_not_the_main_one,
    with_siblings_that_sleep, hundred_in_a_row);

/// How a program ended that a child became.
fn run(become_it: impl FnOnce() -> Errno) -> Result<std::process::ExitStatus, Errno> {
    let pid = spawn(|| {
        crate::expect::settle(Err(become_it().into()));
        127
    })?;
    Ok(wait(Which::Pid(pid))?.1)
}

fn arguments_and_environment_arrive() -> Checked {
    let status = run(|| become_helper(&[c"arguments", c"a", c"b c", c""], &[c"X=1"]))?;
    exited(status, AS_GIVEN)
}

fn a_thousand_arguments() -> Checked {
    let long = CString::new(vec![b'x'; 100]).unwrap_or_default();
    let mut arguments: Vec<&CStr> = vec![c"count"];
    arguments.extend(std::iter::repeat_n(long.as_c_str(), 1000));
    exited(run(|| become_helper(&arguments, &[]))?, 1000 & 0x7f)
}

fn too_many_arguments() -> Checked {
    let huge = CString::new(vec![b'x'; 140_000]).unwrap_or_default();
    let large = CString::new(vec![b'x'; 100_000]).unwrap_or_default();
    in_child(|| {
        equal(become_helper(&[c"count", &huge], &[]), Errno::TOOBIG)?;
        let many: Vec<&CStr> = std::iter::repeat_n(large.as_c_str(), 100).collect();
        equal(become_helper(&many, &[]), Errno::TOOBIG)?;
        equal(become_helper(&[c"count"], &many), Errno::TOOBIG)
    })
}

fn no_arguments_at_all() -> Checked {
    // A script has its interpreter's arguments all the same: the helper starts, and misses its own. Or it is refused.
    let status = crate::expect::end_of(|| match exec(c"/test/script", &[], &[]) {
        Errno::INVAL => 1,
        _ => 2,
    })?;
    exited(status, 1)
}

fn refuses(path: &CStr, errno: Errno) -> Checked {
    in_child(|| equal((path, exec(path, &[path], &[])), (path, errno)))
}

fn files_that_are_no_programs() -> Checked {
    refuses(c"/etc/motd", Errno::ACCES)?;
    refuses(c"/etc", Errno::ACCES)?;
    refuses(c"/", Errno::ACCES)?;
    refuses(c"/nowhere", Errno::NOENT)?;
    refuses(c"", Errno::NOENT)?;
    refuses(c"/etc/motd/x", Errno::NOTDIR)?;
    refuses(c"/test/loop", Errno::LOOP)
}

fn broken_programs() -> Checked {
    for path in [
        c"/test/empty",
        c"/test/text",
        c"/test/elf-magic-only",
        c"/test/elf-torn-header",
        c"/test/elf-no-segments",
        c"/test/elf-torn-segments",
        c"/test/elf-other-machine",
        c"/test/elf-32-bit",
        c"/test/elf-absurd-count",
        c"/test/elf-kernel-address",
        c"/test/elf-overflow",
    ] {
        let outcome = crate::expect::end_of(|| match exec(path, &[path], &[]) {
            Errno::NOEXEC => 0,
            // Linux finds some of these only after the point of no return, or has other names for them.
            Errno::INVAL | Errno::IO | Errno::NOMEM if !crate::expect::is_tine() => 0,
            errno => i32::from(errno.0),
        })?;
        let fine = outcome.success() || (!crate::expect::is_tine() && outcome.code().is_none());
        ensure(fine, &format!("{}: {outcome}", path.to_string_lossy()))?;
    }
    Ok(())
}

fn script(path: &CStr) -> Result<std::process::ExitStatus, Errno> {
    run(|| exec(path, &[c"ignored", c"one", c"two words"], &[]))
}

fn a_script() -> Checked {
    exited(script(c"/test/script")?, SCRIPT_STATUS)
}

fn a_script_of_a_script() -> Checked {
    // The inner script's path is one more argument, so the helper knows it is not called as usual: status 1.
    exited(script(c"/test/script-of-script")?, 1)
}

fn scripts_without_interpreter() -> Checked {
    refuses(c"/test/script-nowhere", Errno::NOENT)?;
    refuses(c"/test/script-empty", Errno::NOEXEC)?;
    refuses(c"/test/script-data", Errno::ACCES)?;
    refuses(c"/test/script-itself", Errno::LOOP)
}

fn number(pid: Pid) -> CString {
    CString::new(pid.to_string()).unwrap_or_default()
}

fn f16_pid_and_parent_stay() -> Checked {
    exited(run(|| become_helper(&[c"pid", &number(process::pid())], &[]))?, 0)?;
    exited(run(|| become_helper(&[c"parent", &number(process::parent())], &[]))?, 0)
}

fn descriptors_close_on_exec() -> Checked {
    for (on_exec, expected) in [(OnExec::Close, 0), (OnExec::Keep, 1)] {
        let file = file::open(c"/etc/motd", 0)?;
        file::set_on_exec(&file, on_exec)?;
        equal(file::on_exec(&file)?, on_exec)?;
        let descriptor = CString::new(file.as_raw_fd().to_string()).unwrap_or_default();
        exited(run(|| become_helper(&[c"open", &descriptor], &[]))?, expected)?;
        // The parent's own is as it was.
        ensure(file::is_open(file.as_raw_fd()), "closed in the parent")?;
    }
    Ok(())
}

fn places_are_random() -> Checked {
    let first = run(|| become_helper(&[c"places"], &[]))?;
    for _ in 0..8 {
        if run(|| become_helper(&[c"places"], &[]))? != first {
            return Ok(());
        }
    }
    ensure(false, "always the same")
}

fn a_failed_exec_changes_nothing() -> Checked {
    in_child(|| {
        let file = file::open(c"/etc/motd", 0o200_0000)?;
        let memory = sys::Mapping::private(sys::memory::PAGE)?;
        memory.write(0, 1);
        for path in [c"/nowhere", c"/test/elf-torn-segments", c"/test/text", c"/etc"] {
            exec(path, &[path], &[]);
        }
        equal(memory.read(0), 1)?;
        ensure(file::is_open(file.as_raw_fd()), "a descriptor was closed")?;
        in_child(|| Ok(()))
    })
}

fn by_a_thread_that_is_not_the_main_one() -> Checked {
    let status = run(|| {
        let own = number(process::pid());
        let other = std::thread::spawn(move || become_helper(&[c"alone", &own], &[]));
        other.join().unwrap_or(Errno::INTR)
    })?;
    exited(status, 0)
}

/// What a sibling does while another thread executes a program.
fn go_on(busy: bool) -> ! {
    loop {
        if busy {
            std::hint::spin_loop();
        } else {
            let _ = sys::time::sleep(std::time::Duration::from_secs(1000));
        }
    }
}

fn with_siblings_that_sleep() -> Checked {
    let status = run(|| {
        for busy in [true, false, true, false] {
            std::thread::spawn(move || go_on(busy));
        }
        become_helper(&[c"alone", &number(process::pid())], &[])
    })?;
    exited(status, 0)?;
    ensure(thread::is_main(), "the test itself is a thread")?;
    refused(wait(Which::Any), Errno::CHILD)
}

fn hundred_in_a_row() -> Checked {
    (0..100).try_for_each(|_| exited(run(|| become_helper(&[c"exit", c"5"], &[]))?, 5))
}
