//! `docs/bench.md`: the last run in full, and of every commit that was measured the rows that have a goal.
//!
//! The document is made anew each time; of the old one the lines of earlier runs are kept, and the section on the card.

use std::fmt::Write as _;

use super::figures::{Figure, Figures};
use super::{card, goals, table};

/// What was run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The commit, as `git describe` has it.
    pub commit: String,
    /// The day of the commit.
    pub day: String,
    /// The program.
    pub program: String,
}

/// Begins the line of a run.
const LINE: &str = "| `";
/// Stands before the lines of the runs.
const RUNS: &str = "## All runs";

const INTRODUCTION: &str = "\
# Measured

`make bench` runs a benchmark under QEMU's raspi3b with one processor and
`-icount shift=0,sleep=off -seed 1`: a guest instruction takes a nanosecond, so times are counts of instructions, and
two runs agree to the digit. Cache misses, TLB invalidations and barriers cost nothing there; a board's ratios will
differ. `BENCH=FILE` runs another program that prints the same lines, say the C program that Linux was measured with.

Linux's figures are in `tools/data/linux-6.1-raspi3b.txt`: Debian's kernel, the same machine, the C program. The file
you read is written by `make bench`.
";

/// The document after a run: `old` is the one before, empty at first.
#[must_use]
pub fn updated(old: &str, run: &Run, tine: &Figures, linux: &Figures) -> String {
    let mut text = format!("{INTRODUCTION}\n{}## The last run\n\n", card::kept(old));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "Commit `{}` of {}, `{}`.\n\n{}\n",
        run.commit,
        run.day,
        run.program,
        table::markdown(tine, linux)
    );
    let _ = write!(text, "{RUNS}\n\n{}", head());
    let own = start(run);
    let earlier = old.split_once(RUNS).map_or("", |(_, runs)| runs);
    for line in earlier.lines().filter(|line| line.starts_with(LINE) && !line.starts_with(&own)) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{own}{}", cells(tine));
    text
}

/// The head of the table of runs.
fn head() -> String {
    let rows: Vec<&str> = goals::GOALS.iter().map(|goal| goal.row).collect();
    format!("| commit | day | program | {} |\n|---|---|---|{}\n", rows.join(" | "), "--:|".repeat(rows.len()))
}

/// How the line of a run begins.
fn start(run: &Run) -> String {
    format!("{LINE}{}` | {} | {} |", run.commit, run.day, run.program)
}

/// The cells of a run, in the order of the goals.
fn cells(tine: &Figures) -> String {
    let cell = |row: &str| match tine.iter().find(|(name, _)| *name == row) {
        Some((_, Figure::Median(median))) => format!(" {median} |"),
        Some((_, Figure::Skipped(_))) => " skipped |".to_owned(),
        None => " |".to_owned(),
    };
    goals::GOALS.iter().map(|goal| cell(goal.row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commit: &str, program: &str) -> Run {
        Run { commit: commit.into(), day: "2026-11-24".into(), program: program.into() }
    }

    fn runs(document: &str) -> Vec<&str> {
        document.lines().filter(|line| line.starts_with(LINE)).collect()
    }

    #[test]
    fn each_commit_and_program_has_one_line() {
        let (tine, linux) = (Figures::parse("getppid 120\nFB pipe_rt_pin SKIP pipe\n"), Figures::default());
        let first = updated("", &run("aaa", "bench"), &tine, &linux);
        let second = updated(&first, &run("bbb", "bench"), &tine, &linux);
        let third = updated(&second, &run("bbb", "forkbench"), &tine, &linux);
        assert_eq!(runs(&third).len(), 3);
        // Measured again: the new figure, at the end.
        let again = updated(&third, &run("aaa", "bench"), &Figures::parse("getppid 99\n"), &linux);
        assert_eq!(runs(&again).len(), 3);
        assert!(runs(&again)[2].starts_with("| `aaa` | 2026-11-24 | bench | | 99.0 | |"), "{again}");
        assert!(runs(&again)[0].contains("| 120.0 |") && runs(&again)[0].contains("| skipped |"));
    }

    #[test]
    fn what_was_measured_of_the_card_stays() {
        let first = updated("", &run("aaa", "bench"), &Figures::default(), &Figures::default());
        let section = card::table("linux", &[]);
        let second =
            updated(&card::record(&first, &section), &run("bbb", "bench"), &Figures::default(), &Figures::default());
        assert_eq!(card::kept(&second).trim_end(), section.trim_end());
        assert_eq!(runs(&second).len(), 2);
    }

    #[test]
    fn the_last_run_is_there_in_full() {
        let tine = Figures::parse("own_row 5.5\n");
        let document = updated("rubbish\n| `no` |\n", &run("aaa", "bench"), &tine, &Figures::default());
        assert!(document.contains("Commit `aaa` of 2026-11-24, `bench`."));
        assert!(document.contains("| own_row | 5.5 |"));
        assert_eq!(runs(&document).len(), 1);
    }
}
