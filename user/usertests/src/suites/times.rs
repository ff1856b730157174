//! Clocks, sleep, processor time.

use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime};

use sys::memory::Mapping;
use sys::process::{self, Signal, Whose, kill, times, usage};
use sys::signal::{Handler, caught, handle};
use sys::timer::{Interval, Setting, set_interval};
use sys::{Errno, machine, time};

use crate::expect::{Checked, Failure, child, ended_by, ensure, equal, in_child, known, on_tine};
use crate::meeting::Meeting;

super::tests!("time":
    the_monotonic_clock_never_goes_back, it_is_the_same_on_every_cpu, the_counter_and_the_clock_agree, a_sleep_is_long_enough,
    sleepers_wake_in_order, processor_time_grows_with_work,
    the_most_memory_is_remembered_when_it_is_given_up_and_by_the_parent, the_childrens_time_is_added_when_they_are_reaped,
    there_is_a_calendar, a_sleep_uses_no_processor, who_computes_uses_user_time_and_who_calls_uses_system_time,
    others_see_the_time_of_a_thread_that_never_leaves_its_processor, the_virtual_timer_counts_user_time_only);

fn the_monotonic_clock_never_goes_back() -> Checked {
    let mut last = known(time::monotonic())?;
    for _ in 0..10_000 {
        let now = time::monotonic()?;
        ensure(now >= last, "back")?;
        last = now;
    }
    let (std_now, own_now) = (Instant::now(), time::monotonic()?);
    ensure(std_now.elapsed() < Duration::from_secs(1) && own_now > Duration::ZERO, "not a clock")
}

fn it_is_the_same_on_every_cpu() -> Checked {
    let all = machine::affinity(0)?;
    let mut last = time::monotonic()?;
    for _ in 0..20 {
        for cpu in (0..u64::BITS).filter(|cpu| all >> cpu & 1 != 0) {
            machine::set_affinity(0, 1 << cpu)?;
            let now = time::monotonic()?;
            ensure(now >= last, "back on another processor")?;
            last = now;
        }
    }
    Ok(machine::set_affinity(0, all)?)
}

fn the_counter_and_the_clock_agree() -> Checked {
    let (before, frequency) = time::counter();
    ensure(frequency > 100_000, "no frequency")?;
    let start = time::monotonic()?;
    while time::monotonic()? - start < Duration::from_millis(30) {}
    let ticks = time::counter().0 - before;
    let measured = Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / frequency);
    ensure(measured >= Duration::from_millis(29), "the counter is slow")?;
    ensure(measured < Duration::from_secs(3), "the counter is fast")
}

fn a_sleep_is_long_enough() -> Checked {
    for sleep in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(3), Duration::from_millis(20)] {
        let start = time::monotonic()?;
        known(time::sleep(sleep))?;
        ensure(time::monotonic()? - start >= sleep, "too short")?;
    }
    Ok(())
}

fn sleepers_wake_in_order() -> Checked {
    let meeting = Meeting::new()?;
    let sleeper = |milliseconds: u64, word: usize| {
        let meeting = &meeting;
        child(move || {
            meeting.arrive(0);
            meeting.wait(0, 2);
            known(time::sleep(Duration::from_millis(milliseconds)))?;
            meeting.set(word, 1 + meeting.get(3 - word));
            Ok(())
        })
    };
    let (long, short) = (sleeper(150, 1)?, sleeper(10, 2)?);
    crate::expect::passes(long)?;
    crate::expect::passes(short)?;
    ensure(meeting.get(1) > meeting.get(2), "the longer sleep ended first")
}

/// How much processor time the process used, in user mode and in the kernel, in microseconds.
fn own_time() -> Result<(i64, i64), Errno> {
    usage(Whose::Own).map(|usage| (microseconds(usage.user), microseconds(usage.system)))
}

/// Lets the kernel work, and checks that no time becomes less, until the process has used `us` more microseconds.
fn use_time(us: i64, mut work: impl FnMut() -> Checked) -> Result<(i64, i64), Failure> {
    let before = own_time()?;
    let mut last = before;
    while last.0 + last.1 - before.0 - before.1 < us {
        work()?;
        let now = own_time()?;
        ensure(now.0 >= last.0 && now.1 >= last.1, "time became less")?;
        last = now;
    }
    Ok((last.0 - before.0, last.1 - before.1))
}

fn compute() -> Checked {
    for _ in 0..200_000 {
        std::hint::spin_loop();
    }
    Ok(())
}

/// The kernel stores zeroes.
fn let_the_kernel_work(zero: &mut std::fs::File, room: &mut [u8]) -> Checked {
    for _ in 0..8 {
        zero.read_exact(room)?;
    }
    Ok(())
}

fn zeroes() -> Result<(std::fs::File, Vec<u8>), Failure> {
    Ok((std::fs::File::open("/dev/zero")?, vec![0; 256 << 10]))
}

fn who_computes_uses_user_time_and_who_calls_uses_system_time() -> Checked {
    in_child(|| {
        let (user, system) = use_time(300_000, compute)?;
        ensure(user > 2 * system, &format!("computing: {user} us in user mode, {system} us in the kernel"))
    })?;
    in_child(|| {
        let (mut zero, mut room) = zeroes()?;
        let (user, system) = use_time(300_000, || let_the_kernel_work(&mut zero, &mut room))?;
        ensure(system > 2 * user, &format!("calling: {user} us in user mode, {system} us in the kernel"))
    })
}

/// `utime` of another process, in ticks.
fn user_ticks(pid: sys::Pid) -> Result<u64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    Ok(fields.split(' ').nth(11).and_then(|field| field.parse().ok()).unwrap_or_default())
}

fn others_see_the_time_of_a_thread_that_never_leaves_its_processor() -> Checked {
    on_tine()?;
    let pid = process::spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    let begin = Instant::now();
    let mut last = 0;
    while last < 10 && begin.elapsed() < Duration::from_secs(20) {
        known(time::sleep(Duration::from_millis(20)))?;
        let now = user_ticks(pid)?;
        ensure(now >= last, "time became less")?;
        last = now;
    }
    kill(pid.0, Signal::KILL)?;
    process::wait(process::Which::Pid(pid))?;
    ensure(last >= 10, "its time stands still")
}

fn the_virtual_timer_counts_user_time_only() -> Checked {
    in_child(|| {
        handle(Signal::VTALRM, Handler::Count)?;
        let (mut zero, mut room) = zeroes()?;
        // Until a sample has met it there all its time counts as its own.
        use_time(50_000, || let_the_kernel_work(&mut zero, &mut room))?;
        known(set_interval(Interval::Virtual, Setting::once(Duration::from_millis(150))))?;
        use_time(200_000, || let_the_kernel_work(&mut zero, &mut room))?;
        equal(caught(), 0)?;
        let (user, _) = own_time()?;
        while caught() == 0 {
            compute()?;
        }
        ensure(own_time()?.0 - user > 50_000, "too early")
    })
}

/// Works for this long.
fn work(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

fn microseconds([seconds, microseconds]: [i64; 2]) -> i64 {
    seconds * 1_000_000 + microseconds
}

fn processor_time_grows_with_work() -> Checked {
    let before = known(usage(Whose::Own))?;
    work(Duration::from_millis(100));
    let after = usage(Whose::Own)?;
    let used =
        microseconds(after.user) + microseconds(after.system) - microseconds(before.user) - microseconds(before.system);
    ensure((20_000..2_000_000).contains(&used), &format!("{used} us for 100 ms of work"))?;
    ensure(after.max_resident > 0, "no memory used")?;
    ensure(after.faults[0] > 0, "no faults")
}

fn the_most_memory_is_remembered_when_it_is_given_up_and_by_the_parent() -> Checked {
    const BYTES: usize = 8 << 20;
    const KIB: i64 = 8 << 10;
    let most = |whose| Ok::<_, Errno>(usage(whose)?.max_resident);
    ensure(known(most(Whose::Own))? < KIB, "more than there is")?;
    in_child(|| {
        let memory = Mapping::private(BYTES)?;
        memory.write_pages(1);
        drop(memory);
        ensure((KIB..2 * KIB).contains(&most(Whose::Own)?), "its own")
    })?;
    ensure(most(Whose::Own)? < KIB, "a child's is not its parent's")?;
    ensure((KIB..2 * KIB).contains(&most(Whose::Children)?), "the children's")
}

fn the_childrens_time_is_added_when_they_are_reaped() -> Checked {
    let before = known(times())?;
    in_child(|| {
        work(Duration::from_millis(120));
        Ok(())
    })?;
    let after = times()?;
    let ticks = (after[2] + after[3]).saturating_sub(before[2] + before[3]);
    ensure((3..200).contains(&ticks), &format!("{ticks} ticks for 120 ms of a child"))?;
    let children = usage(Whose::Children)?;
    ensure(microseconds(children.user) + microseconds(children.system) > 20_000, "the children's usage")
}

fn there_is_a_calendar() -> Checked {
    let first = SystemTime::now();
    work(Duration::from_millis(2));
    ensure(SystemTime::now() >= first, "back")
}

fn a_sleep_uses_no_processor() -> Checked {
    in_child(|| {
        let before = known(times())?;
        known(time::sleep(Duration::from_millis(200)))?;
        let after = times()?;
        ensure(after[0] + after[1] <= before[0] + before[1] + 5, "it was busy")
    })?;
    // And it ends by a signal at once.
    let pid = process::spawn(|| i32::from(time::sleep(Duration::from_secs(1000)).is_err()))?;
    kill(pid.0, Signal::KILL)?;
    ended_by(process::wait(process::Which::Pid(pid))?.1, Signal::KILL)
}
