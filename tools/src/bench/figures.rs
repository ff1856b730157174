//! Rows and their medians.
//!
//! A benchmark prints `FB <name> n=.. batch=.. min=.. med=.. mean=.. max=..` for a row, `FB <name> derived=..` for one that
//! it computed from others, `FB <name> SKIP <why>` for one that the kernel cannot do; `FBSTART` with the machine's counter
//! comes first and `FBEND` last. A line may have anything before `FB`, such as the time.

use std::collections::BTreeMap;
use std::fmt;

/// The row that `FBSTART` gives: microseconds from power-on to the program.
pub const BOOT: &str = "boot_to_program_us";

/// The row that is measured without a benchmark: microseconds from power-on to the shell's first prompt.
pub const PROMPT: &str = "boot_to_prompt_us";

/// Nanoseconds, in tenths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tenths(pub u64);

/// What is known of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Figure {
    /// The median.
    Median(Tenths),
    /// The kernel could not do it, and why.
    Skipped(String),
}

/// The figures of a run, in the order in which they came.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    order: Vec<String>,
    figures: BTreeMap<String, Figure>,
}

/// What a line of a benchmark means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A row.
    Row(String, Figure),
    /// The last line.
    End,
    /// Nothing.
    Other,
}

impl Tenths {
    /// Reads `123.4` or `123`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let tenth: u64 = if tenth.len() == 1 { tenth.parse().ok()? } else { return None };
        whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth).map(Self)
    }
}

impl fmt::Display for Tenths {
    /// Small ones with their tenth, large ones without.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LARGE: u64 = 10_000;
        let text = if self.0 < 10 * LARGE {
            format!("{}.{}", self.0 / 10, self.0 % 10)
        } else {
            ((self.0 + 5) / 10).to_string()
        };
        f.pad(&text)
    }
}

impl Line {
    /// Reads a line of a program.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace().skip_while(|word| !word.starts_with("FB"));
        match words.next() {
            Some("FBEND") => Self::End,
            Some("FBSTART") => boot(words).map_or(Self::Other, |time| Self::Row(BOOT.to_owned(), Figure::Median(time))),
            Some("FB") => row(words).unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }
}

/// The time that the counter shows, in microseconds.
fn boot<'a>(words: impl Iterator<Item = &'a str>) -> Option<Tenths> {
    let numbers: BTreeMap<&str, u64> = words
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name, value.parse().ok()?))
        })
        .collect();
    let (counter, frequency) = (u128::from(*numbers.get("cntvct")?), u128::from(*numbers.get("cntfrq")?));
    let tenths = (counter * 10_000_000).checked_div(frequency)?;
    u64::try_from(tenths).ok().map(Tenths)
}

fn row<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Line> {
    let name = words.next()?.to_owned();
    let words: Vec<&str> = words.collect();
    if let ["SKIP", why @ ..] = &words[..] {
        return Some(Line::Row(name, Figure::Skipped(why.join(" "))));
    }
    let value = words.iter().find_map(|word| word.strip_prefix("med=").or_else(|| word.strip_prefix("derived=")))?;
    Some(Line::Row(name, Figure::Median(Tenths::parse(value)?)))
}

impl Figures {
    /// Reads a file of `name median` lines; `#` starts a comment. Lines of a benchmark will do as well.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            if let Line::Row(name, figure) = Line::parse(line) {
                figures.add(name, figure);
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            if let (Some(name), Some(median), None) = (words.next(), words.next().and_then(Tenths::parse), words.next())
            {
                figures.add(name.to_owned(), Figure::Median(median));
            }
        }
        figures
    }

    /// Adds a row. Of two with one name the first counts.
    pub fn add(&mut self, name: String, figure: Figure) {
        if !self.figures.contains_key(&name) {
            self.order.push(name.clone());
            self.figures.insert(name, figure);
        }
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.order.iter().filter_map(|name| Some((name.as_str(), self.figures.get(name)?)))
    }

    /// The median of a row, if there is one.
    #[must_use]
    pub fn median(&self, name: &str) -> Option<Tenths> {
        match self.figures.get(name)? {
            Figure::Median(median) => Some(*median),
            Figure::Skipped(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(tenths: u64) -> Figure {
        Figure::Median(Tenths(tenths))
    }

    #[test]
    fn a_row_is_read_whatever_stands_before_it() {
        let line = "FB fork_call   n=300  batch=1     min=49264.0 med=49712.0 mean=52703.5 max=193856.0";
        assert_eq!(Line::parse(line), Line::Row("fork_call".into(), median(497_120)));
        assert_eq!(Line::parse(&format!("    5.398 {line}\r")), Line::Row("fork_call".into(), median(497_120)));
        assert_eq!(
            Line::parse("FB ctxsw_pipe derived=4531.2 (a/2 - b)"),
            Line::Row("ctxsw_pipe".into(), median(45_312))
        );
        let skipped = Figure::Skipped("pipe errno=38".into());
        assert_eq!(Line::parse("FB pipe_rt SKIP pipe errno=38"), Line::Row("pipe_rt".into(), skipped));
        assert_eq!(Line::parse("  1.0 FBEND cntvct=1040517837"), Line::End);
    }

    #[test]
    fn the_start_tells_when_the_program_began() {
        let line = "FBSTART pid=1 pinned=0 quick=0 cntfrq=62500000 cntvct=58950193 mono_ns=834683";
        assert_eq!(Line::parse(line), Line::Row(BOOT.into(), median(9_432_030)));
        assert_eq!(Line::parse("FBSTART cntfrq=0 cntvct=1"), Line::Other);
    }

    #[test]
    fn other_lines_mean_nothing() {
        for line in ["", "init: 0.1.0", "FB", "FB x", "FB x med=", "FB x med=1.23", "FB x yields_per_handoff_x100=142"]
        {
            assert_eq!(Line::parse(line), Line::Other, "{line}");
        }
    }

    #[test]
    fn a_file_of_figures_keeps_its_order_and_skips_comments() {
        let figures = Figures::parse("# Linux\ngetppid 537.2\nfork_call 49712\n\ngetppid 1\nnot a row\n");
        let rows: Vec<_> = figures.iter().collect();
        assert_eq!(rows, [("getppid", &median(5372)), ("fork_call", &median(497_120))]);
        assert_eq!(figures.median("getppid"), Some(Tenths(5372)));
        assert_eq!(figures.median("exec"), None);
    }

    #[test]
    fn large_numbers_lose_their_tenth() {
        assert_eq!(Tenths(5372).to_string(), "537.2");
        assert_eq!(Tenths(99_999).to_string(), "9999.9");
        assert_eq!(Tenths(215_102_325).to_string(), "21510233");
        assert_eq!(format!("{:>8}", Tenths(10)), "     1.0");
    }

    #[test]
    fn linuxs_figures_in_the_tree_have_every_row_with_a_goal() {
        let linux = Figures::parse(include_str!("../../data/linux-6.1-raspi3b.txt"));
        // The prompt is that of Tine's own initramfs.
        for goal in crate::bench::goals::GOALS.iter().filter(|goal| goal.row != PROMPT) {
            assert!(linux.median(goal.row).is_some(), "{}", goal.row);
        }
    }
}
