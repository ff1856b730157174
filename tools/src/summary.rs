//! What all the test runners said, added up.
//!
//! Each runner leaves a log: its output between two lines that `tools/suite.sh` writes,
//!
//! ```text
//! suite: NAME tests
//! ...
//! suite: exit STATUS
//! ```
//!
//! with `check` for `tests` where nothing is counted, as for a formatter. A runner that crashed, was cut short or ran
//! no tests at all counts as one failure, so that silence is never taken for success.

use std::fmt;
use std::ops::AddAssign;

/// Tests that passed and tests that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// How many passed.
    pub passed: u64,
    /// How many failed, and one for each runner that did not do its work.
    pub failed: u64,
}

/// What a suite has to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Results of tests.
    Tests,
    /// Nothing but its status.
    Check,
}

impl Count {
    /// The results in one log.
    #[must_use]
    pub fn of_log(log: &str) -> Self {
        let mut count = Self::default();
        let mut kind = Kind::Tests;
        let mut status = None;
        for line in log.lines().map(str::trim_end) {
            if let Some(result) = of_line(line) {
                count += result;
            } else if let Some(rest) = line.strip_prefix("suite: exit ") {
                status = rest.parse::<i32>().ok();
            } else if line.starts_with("suite: ") && line.ends_with(" check") {
                kind = Kind::Check;
            }
        }
        let silent = kind == Kind::Tests && count == Self::default();
        if count.failed == 0 && (status != Some(0) || silent) {
            count.failed = 1;
        }
        count
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.failed == 0
    }
}

/// The results in one line of cargo's, libtest-mimic's or the kernel's own test runner.
fn of_line(line: &str) -> Option<Count> {
    // `test result: ok. 33 passed; 0 failed; 0 ignored; ...`
    if let Some(rest) = line.strip_prefix("test result: ") {
        let (_, rest) = rest.split_once(". ")?;
        return counts(rest, "; ");
    }
    // `ktest: 12 passed, 0 failed`
    counts(line.strip_prefix("ktest: ")?, ", ")
}

/// The results in `12 passed, 0 failed`, with this between the two.
pub(crate) fn counts(text: &str, separator: &str) -> Option<Count> {
    let (passed, rest) = text.split_once(" passed")?;
    let (failed, _) = rest.strip_prefix(separator)?.split_once(" failed")?;
    Some(Count { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: u64, failed: u64) -> Count {
        Count { passed, failed }
    }

    #[test]
    fn every_test_binary_of_a_cargo_run_counts() {
        let log = "suite: host tests\n\
            test result: ok. 33 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s\n\
            suite: exit 101\n";
        assert_eq!(Count::of_log(log), count(34, 2));
    }

    #[test]
    fn the_kernels_own_runner_counts() {
        let log = "suite: ktest tests\r\ntest a ... ok\r\nktest: 12 passed, 1 failed\r\nsuite: exit 102\n";
        assert_eq!(Count::of_log(log), count(12, 1));
        assert_eq!(Count::of_log("ktest: 12 passed, 0 failed\nsuite: exit 0\n"), count(12, 0));
    }

    #[test]
    fn a_crash_counts_as_a_failure_even_when_no_test_said_so() {
        assert_eq!(Count::of_log("suite: x tests\nktest: 3 passed, 0 failed\nsuite: exit 101\n"), count(3, 1));
        assert_eq!(Count::of_log("suite: x tests\ntest a ... ok\nPANIC\nsuite: exit 101\n"), count(0, 1));
    }

    #[test]
    fn a_runner_that_was_cut_short_counts_as_a_failure() {
        assert_eq!(Count::of_log("suite: x tests\ntest result: ok. 3 passed; 0 failed; 0\n"), count(3, 1));
        assert_eq!(Count::of_log(""), count(0, 1));
    }

    #[test]
    fn silence_is_a_failure_of_tests_but_not_of_a_check() {
        assert_eq!(Count::of_log("suite: host tests\nsuite: exit 0\n"), count(0, 1));
        let filtered = "suite: loom tests\ntest result: ok. 0 passed; 0 failed; 9 filtered out\nsuite: exit 0\n";
        assert_eq!(Count::of_log(filtered), count(0, 1));
        assert_eq!(Count::of_log("suite: fmt check\nsuite: exit 0\n"), count(0, 0));
        assert_eq!(Count::of_log("suite: fmt check\nsuite: exit 1\n"), count(0, 1));
    }

    #[test]
    fn the_total_is_one_line() {
        let mut total = count(33, 0);
        total += count(12, 1);
        assert_eq!(total.to_string(), "45 passed, 1 failed");
        assert!(!total.is_success());
    }
}
