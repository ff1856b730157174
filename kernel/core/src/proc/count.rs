//! How many processes and threads there are, and how many there may be.
//!
//! Each count is one atomic number. A newcomer adds itself *first* and looks then; if that was one too many it takes
//! itself out again. So two who come at once cannot both take the last place, and the worst that can happen is that
//! both are refused. The claim is a value ([`Claim`]): dropped, it takes the count back, so that whatever fails later
//! need not remember what to undo.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// So many places of each table only root gets: to look around and kill somebody when a user has filled it.
pub const RESERVED_FOR_ROOT: u32 = 5;
/// How many processes there may be, unless somebody says otherwise.
pub const MAX_PROCESSES: u32 = 1_310;
/// How many threads there may be, unless somebody says otherwise.
pub const MAX_THREADS: u32 = 2_620;
/// The soft limit of an ordinary user's processes, unless somebody says otherwise.
pub const USER_PROCESSES: u64 = 80;
/// No more processes than this can be allowed: their numbers are drawn at random, and a draw ought to hit a free one.
const MOST_PROCESSES: u32 = 60_000;
/// No more threads than this can be allowed.
const MOST_THREADS: u32 = 240_000;
/// A full table is told of at most once in this time.
const LOG_INTERVAL_NS: u64 = 10_000_000_000;

/// What there is too much of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// Threads.
    Threads,
    /// Processes.
    Processes,
}

impl Table {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Threads => "thread",
            Self::Processes => "process",
        }
    }
}

/// A table is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full {
    /// Which.
    pub table: Table,
    /// Whether it is time to say so on the console.
    pub tell: bool,
}

/// One in a count, until it is [kept](Self::keep) or dropped.
#[must_use = "a claim that is dropped takes the count back"]
pub struct Claim<'a>(Option<&'a AtomicU32>);

impl Claim<'_> {
    /// The newcomer is there; who removes it counts it out.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// The counts of processes and threads and their limits.
pub struct Counts {
    processes: Limited,
    threads: Limited,
}

struct Limited {
    table: Table,
    count: AtomicU32,
    limit: AtomicU32,
    /// When the table was last said to be full, plus one: zero is never.
    told_ns: AtomicU64,
}

impl Counts {
    /// With the default limits, counting the system's own process and thread.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            processes: Limited::new(Table::Processes, MAX_PROCESSES),
            threads: Limited::new(Table::Threads, MAX_THREADS),
        }
    }

    /// Counts a thread of the user `uid` in. What time it is is asked only if there is one too many.
    ///
    /// # Errors
    ///
    /// [`Full`], and nothing was counted.
    pub fn claim_thread(&self, uid: u32, now_ns: impl FnOnce() -> u64) -> Result<Claim<'_>, Full> {
        self.threads.claim(uid, now_ns)
    }

    /// Counts a process of the user `uid` in; as [`claim_thread`](Self::claim_thread).
    ///
    /// # Errors
    ///
    /// [`Full`], and nothing was counted.
    pub fn claim_process(&self, uid: u32, now_ns: impl FnOnce() -> u64) -> Result<Claim<'_>, Full> {
        self.processes.claim(uid, now_ns)
    }

    /// A thread is gone.
    pub fn release_thread(&self) {
        self.threads.count.fetch_sub(1, Relaxed);
    }

    /// A process is gone.
    pub fn release_process(&self) {
        self.processes.count.fetch_sub(1, Relaxed);
    }

    /// How many processes there are, zombies and the system's own with them.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.processes.count.load(Relaxed)
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.threads.count.load(Relaxed)
    }

    /// How many processes there may be.
    #[must_use]
    pub fn max_processes(&self) -> u32 {
        self.processes.limit.load(Relaxed)
    }

    /// How many threads there may be.
    #[must_use]
    pub fn max_threads(&self) -> u32 {
        self.threads.limit.load(Relaxed)
    }

    /// Sets how many processes there may be, within what their numbers allow. Those that exist stay.
    pub fn set_max_processes(&self, limit: u32) {
        self.processes.limit.store(limit.min(MOST_PROCESSES), Relaxed);
    }

    /// Sets how many threads there may be, within what their numbers allow. Those that exist stay.
    pub fn set_max_threads(&self, limit: u32) {
        self.threads.limit.store(limit.min(MOST_THREADS), Relaxed);
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::new()
    }
}

impl Limited {
    const fn new(table: Table, limit: u32) -> Self {
        Self { table, count: AtomicU32::new(1), limit: AtomicU32::new(limit), told_ns: AtomicU64::new(0) }
    }

    #[inline]
    fn claim(&self, uid: u32, now_ns: impl FnOnce() -> u64) -> Result<Claim<'_>, Full> {
        let before = self.count.fetch_add(1, Relaxed);
        let claim = Claim(Some(&self.count));
        let limit = self.limit.load(Relaxed);
        let limit = if uid == 0 { limit } else { limit.saturating_sub(RESERVED_FOR_ROOT) };
        if before < limit { Ok(claim) } else { Err(Full { table: self.table, tell: self.is_time_to_tell(now_ns()) }) }
    }

    /// At most once an interval, however many ask.
    #[cold]
    fn is_time_to_tell(&self, now_ns: u64) -> bool {
        let told = self.told_ns.load(Relaxed);
        let due = told == 0 || now_ns >= (told - 1).saturating_add(LOG_INTERVAL_NS);
        due && self.told_ns.compare_exchange(told, now_ns.saturating_add(1), Relaxed, Relaxed).is_ok()
    }
}

/// How many processes a user has: those whose real user id it is.
pub struct Account {
    uid: u32,
    processes: AtomicU32,
}

/// The user has as many processes as its limit allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserLimit;

impl Account {
    /// An account without processes.
    #[must_use]
    pub const fn new(uid: u32) -> Self {
        Self { uid, processes: AtomicU32::new(0) }
    }

    /// Whose.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// How many processes.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.processes.load(Relaxed)
    }

    /// Counts a process in, which makes at most `limit`. Root is counted and never refused.
    ///
    /// # Errors
    ///
    /// [`UserLimit`], and nothing was counted.
    pub fn claim(&self, limit: u64) -> Result<Claim<'_>, UserLimit> {
        let before = self.processes.fetch_add(1, Relaxed);
        let claim = Claim(Some(&self.processes));
        if self.uid == 0 || u64::from(before) < limit { Ok(claim) } else { Err(UserLimit) }
    }

    /// Counts a process in that exists already and has become this user's.
    pub fn charge(&self) {
        self.processes.fetch_add(1, Relaxed);
    }

    /// A process is gone, or has become somebody else's.
    pub fn release(&self) {
        self.processes.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    const USER: u32 = 1000;

    fn fill(counts: &Counts, uid: u32) -> u32 {
        let mut taken = 0;
        while let Ok(claim) = counts.claim_thread(uid, || 0) {
            claim.keep();
            taken += 1;
        }
        taken
    }

    #[test]
    fn f1_the_systems_own_process_counts_itself() {
        let counts = Counts::new();
        assert_eq!((counts.processes(), counts.threads()), (1, 1));
    }

    #[test]
    fn f24_the_last_five_threads_are_for_root() {
        let counts = Counts::new();
        counts.set_max_threads(20);
        assert_eq!(fill(&counts, USER), 14, "one is the system's, five are root's");
        assert_eq!(fill(&counts, 0), 5);
        assert_eq!(counts.threads(), 20);
    }

    #[test]
    fn f25_the_last_five_processes_are_for_root() {
        let counts = Counts::new();
        counts.set_max_processes(7);
        counts.claim_process(USER, || 0).map(Claim::keep).unwrap();
        assert_eq!(counts.claim_process(USER, || 0).map(Claim::keep).unwrap_err().table, Table::Processes);
        counts.claim_process(0, || 0).map(Claim::keep).unwrap();
        assert_eq!(counts.processes(), 3);
    }

    #[test]
    fn f26_a_user_has_exactly_as_many_processes_as_the_limit_says() {
        let account = Account::new(USER);
        for _ in 0..4 {
            account.claim(4).map(Claim::keep).unwrap();
        }
        assert!(account.claim(4).is_err());
        assert_eq!(account.processes(), 4, "who was refused is not counted");
        assert!(Account::new(USER).claim(0).is_err(), "zero means none");
    }

    #[test]
    fn f26_root_is_counted_and_never_refused() {
        let account = Account::new(0);
        account.claim(0).map(Claim::keep).unwrap();
        assert_eq!(account.processes(), 1);
    }

    #[test]
    fn f29_a_full_table_is_told_once_in_ten_seconds_by_separate_clocks() {
        let counts = Counts::new();
        counts.set_max_threads(0);
        counts.set_max_processes(0);
        let threads = |ns| counts.claim_thread(0, || ns).map(Claim::keep).unwrap_err().tell;
        let processes = |ns| counts.claim_process(0, || ns).map(Claim::keep).unwrap_err().tell;
        assert_eq!((threads(0), threads(9_999_999_999), threads(10_000_000_000)), (true, false, true));
        assert_eq!((processes(10_000_000_001), processes(10_000_000_002)), (true, false));
    }

    #[test]
    fn f30_limits_can_be_set_while_the_system_runs() {
        let counts = Counts::new();
        assert_eq!((counts.max_processes(), counts.max_threads()), (1_310, 2_620));
        counts.set_max_processes(u32::MAX);
        assert_eq!(counts.max_processes(), MOST_PROCESSES, "never more than there are numbers for");
        counts.set_max_processes(1);
        assert!(counts.claim_process(0, || 0).is_err(), "the one that exists stays");
        assert_eq!(counts.processes(), 1);
    }

    #[test]
    fn f59_claims_that_come_at_once_never_exceed_the_limit_and_leave_nothing_behind() {
        let rounds = if cfg!(miri) { 5 } else { 500 };
        let counts = Counts::new();
        counts.set_max_threads(3);
        let (barrier, granted) = (Barrier::new(4), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let work = || {
                for _ in 0..rounds {
                    barrier.wait();
                    let claim = counts.claim_thread(0, || 0);
                    granted.fetch_add(u32::from(claim.is_ok()), Relaxed);
                    barrier.wait();
                    assert!(granted.load(Relaxed) <= 2, "one of three is the system's");
                    drop(claim);
                    barrier.wait();
                    assert_eq!(counts.threads(), 1);
                    granted.store(0, Relaxed);
                }
            };
            (0..4).for_each(|_| drop(scope.spawn(work)));
        });
        assert_eq!(counts.threads(), 1);
    }
}
