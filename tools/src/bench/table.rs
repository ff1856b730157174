//! Tine beside Linux.

use std::fmt::Write as _;

use super::figures::{Figure, Figures, Tenths};
use super::goals;

/// A line of the table, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    cells: [String; 5],
}

const HEAD: [&str; 5] = ["row (ns = guest instructions)", "Tine", "Linux 6.1", "Linux/Tine", "goal"];

/// Every row of `tine`, with what Linux took, how many times that is, and the goal.
fn rows(tine: &Figures, linux: &Figures) -> Vec<Row> {
    let row = |(name, figure): (&str, &Figure)| {
        let other = linux.median(name);
        let (own, ratio, goal) = match figure {
            Figure::Median(median) => {
                (median.to_string(), other.and_then(|other| ratio(other, *median)), goal(name, *median))
            }
            Figure::Skipped(why) => (format!("skipped: {why}"), None, None),
        };
        let other = other.map(|other| other.to_string());
        Row { cells: [Some(name.to_owned()), Some(own), other, ratio, goal].map(Option::unwrap_or_default) }
    };
    tine.iter().map(row).collect()
}

/// How many times `one` is `other`, with two or three digits.
fn ratio(one: Tenths, other: Tenths) -> Option<String> {
    let hundredths = one.0.checked_mul(100)?.checked_div(other.0)?;
    Some(match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{}", hundredths / 100, hundredths / 10 % 10),
        _ => (hundredths / 100).to_string(),
    })
}

/// The goal of a row, and whether it is met.
fn goal(row: &str, median: Tenths) -> Option<String> {
    let at_most = goals::of(row)?.at_most;
    Some(format!("{} {}", at_most.0 / 10, if median <= at_most { "met" } else { "missed" }))
}

/// The table for a terminal.
#[must_use]
pub fn plain(tine: &Figures, linux: &Figures) -> String {
    let mut text = String::new();
    let head = Row { cells: HEAD.map(str::to_owned) };
    for Row { cells: [name, tine, linux, ratio, goal] } in std::iter::once(head).chain(rows(tine, linux)) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{name:<36} {tine:>12} {linux:>12} {ratio:>12}  {goal}").trim_end());
    }
    text
}

/// The table for a document.
#[must_use]
pub fn markdown(tine: &Figures, linux: &Figures) -> String {
    let mut text = format!("| {} |\n|---|--:|--:|--:|:--|\n", HEAD.join(" | "));
    for Row { cells } in rows(tine, linux) {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux() -> Figures {
        Figures::parse("getppid 537.2\nfork_call 49712.0\npipe_rt 14855.1\n")
    }

    #[test]
    fn rows_stand_side_by_side_with_ratio_and_goal() {
        let tine = Figures::parse("getppid 120.0\nfork_call 8000.0\nown_row 5.5\n");
        let expected = "\
row (ns = guest instructions)                Tine    Linux 6.1   Linux/Tine  goal
getppid                                     120.0        537.2         4.47  150 met
fork_call                                  8000.0        49712         6.21  4000 missed
own_row                                       5.5
";
        assert_eq!(plain(&tine, &linux()), expected);
    }

    #[test]
    fn what_the_kernel_cannot_do_is_said() {
        let tine = Figures::parse("FB pipe_rt SKIP pipe errno=38\n");
        let table = markdown(&tine, &linux());
        assert!(table.ends_with("| pipe_rt | skipped: pipe errno=38 | 14855 |  |  |\n"), "{table}");
    }

    #[test]
    fn ratios_have_two_or_three_digits() {
        assert_eq!(ratio(Tenths(100), Tenths(200)).as_deref(), Some("0.50"));
        assert_eq!(ratio(Tenths(123_456), Tenths(10_000)).as_deref(), Some("12.3"));
        assert_eq!(ratio(Tenths(215_102_320), Tenths(39_990)).as_deref(), Some("5378"));
        assert_eq!(ratio(Tenths(1), Tenths(0)), None);
    }
}
