//! Where the instructions go: what QEMU says of each instruction that a guest executes, counted by function.
//!
//! QEMU is asked for one instruction in a translation block and a line for each block (`-d exec,nochain`). Such a run is
//! some hundred times slower than a plain one, and exact: nothing is sampled. A profile is of *windows*, stretches of
//! the run that begin each time a function of the kernel is entered, say the system call that a benchmark reads the
//! clock with, so that what stands between two readings can be looked at by itself.

use std::collections::{BTreeMap, HashMap};
use std::iter;

use crate::symbols::Place;

/// The arguments for QEMU that make it write a line for each instruction to its standard error.
pub const QEMU_ARGUMENTS: [&str; 4] = ["-accel", "tcg,one-insn-per-tb=on", "-d", "exec,nochain"];

/// The name for code that is not the kernel's.
const PROGRAM: &str = "(program)";
/// Addresses from here on are the kernel's.
const KERNEL: u64 = 0xffff_0000_0000_0000;

/// The address of the instruction that a line of QEMU's log is about; none for another line.
#[must_use]
pub fn executed(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"Trace ")?;
    let bracket = rest.iter().position(|&byte| byte == b'[')?;
    let digits = rest[bracket..].split(|&byte| byte == b'/').nth(1)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a line is one of QEMU's log at all: a block that is listed may be given up before it is executed.
#[must_use]
pub fn is_of_log(line: &[u8]) -> bool {
    line.starts_with(b"Trace ") || line.starts_with(b"Stopped execution ")
}

/// Which windows of a run are counted.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// A window begins whenever this function is entered; without one the whole run is one window.
    pub from: Option<String>,
    /// Only windows in which this function is entered count.
    pub with: Option<String>,
    /// Windows in which this function is entered do not count.
    pub without: Option<String>,
}

/// A profile while it is taken. `find` gives the functions that an address is in, innermost first.
pub struct Profile<F> {
    find: F,
    windows: Windows,
    places: HashMap<u64, Vec<Place>>,
    from: Option<u64>,
    with: Option<u64>,
    without: Option<u64>,
    current: HashMap<u64, u64>,
    has: bool,
    has_not: bool,
    counts: HashMap<u64, u64>,
    counted: u64,
}

/// One row of a profile.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The function.
    pub function: String,
    /// Instructions of it in an average window.
    pub instructions: f64,
}

/// By what the rows of a profile are told apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// The function in whose source the instruction stands, inlined or not.
    Written,
    /// The function that was compiled, with all that was inlined there.
    Compiled,
    /// What was inlined into this one function, as a tree, each node with all that is below it.
    Inlined(String),
}

impl<F: Fn(u64) -> Vec<Place>> Profile<F> {
    /// A profile of nothing yet.
    pub fn new(windows: Windows, find: F) -> Self {
        Self {
            find,
            has: windows.with.is_none(),
            has_not: true,
            windows,
            places: HashMap::new(),
            from: None,
            with: None,
            without: None,
            current: HashMap::new(),
            counts: HashMap::new(),
            counted: 0,
        }
    }

    /// Counts an instruction.
    pub fn push(&mut self, address: u64) {
        if !self.places.contains_key(&address) {
            self.resolve(address);
        }
        if self.from == Some(address) {
            self.close();
        }
        self.has |= self.with == Some(address);
        self.has_not &= self.without != Some(address);
        *self.current.entry(address).or_default() += 1;
    }

    /// The number of windows that counted, and their average by function, largest first. The stretch before the first
    /// window and the one after the last are no windows.
    #[must_use]
    pub fn finish(mut self, by: &By) -> (u64, Vec<Row>) {
        if self.windows.from.is_none() {
            self.close();
        }
        let mut sums: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for (address, count) in &self.counts {
            for path in by.paths(*address, &self.places[address]) {
                *sums.entry(path).or_default() += count;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^52")]
        let average = |sum: u64| sum as f64 / self.counted.max(1) as f64;
        let mut rows: Vec<Row> = sums.iter().map(|(path, &sum)| Row::new(path, average(sum))).collect();
        if !matches!(by, By::Inlined(_)) {
            rows.sort_by(|a, b| b.instructions.total_cmp(&a.instructions).then_with(|| a.function.cmp(&b.function)));
        }
        (self.counted, rows)
    }

    /// Ends the current window, which begins anew.
    fn close(&mut self) {
        let counts = self.has && self.has_not;
        for (address, count) in self.current.drain() {
            if counts {
                *self.counts.entry(address).or_default() += count;
            }
        }
        self.counted += u64::from(counts);
        self.has = self.windows.with.is_none();
        self.has_not = true;
    }

    /// Looks an address up. The first address that is ever seen of a function is where it is entered.
    fn resolve(&mut self, address: u64) {
        let places = if address < KERNEL { Vec::new() } else { (self.find)(address) };
        let is_in = |wanted: &Option<String>| {
            wanted.as_ref().is_some_and(|wanted| places.iter().any(|place| is(&place.function, wanted)))
        };
        if self.from.is_none() && is_in(&self.windows.from) {
            self.from = Some(address);
            // What went before is no window.
            self.current.clear();
            self.has = self.windows.with.is_none();
            self.has_not = true;
        }
        if self.with.is_none() && is_in(&self.windows.with) {
            self.with = Some(address);
        }
        if self.without.is_none() && is_in(&self.windows.without) {
            self.without = Some(address);
        }
        self.places.insert(address, places);
    }
}

impl By {
    /// The rows that an instruction at `address` counts for.
    fn paths(&self, address: u64, places: &[Place]) -> Vec<Vec<String>> {
        let name = |place: Option<&Place>| match place {
            Some(place) => place.function.clone(),
            None if address < KERNEL => PROGRAM.to_owned(),
            None => format!("{address:#x}"),
        };
        match self {
            Self::Written => vec![vec![name(places.first())]],
            Self::Compiled => vec![vec![name(places.last())]],
            Self::Inlined(function) => match places.split_last() {
                Some((compiled, inlined)) if is(&compiled.function, function) => {
                    let whole: Vec<String> =
                        iter::once(compiled).chain(inlined.iter().rev()).map(ToString::to_string).collect();
                    (1..=whole.len()).map(|depth| whole[..depth].to_vec()).collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

impl Row {
    fn new(path: &[String], instructions: f64) -> Self {
        let name = path.last().map_or("", String::as_str);
        Self { function: format!("{:1$}{name}", "", 2 * (path.len() - 1)), instructions }
    }
}

/// Whether `name` is the function `wanted`, of which the last parts of the path are enough.
fn is(name: &str, wanted: &str) -> bool {
    name.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: u64 = KERNEL + 0x100;
    const FORK: u64 = KERNEL + 0x200;
    const COPY: u64 = KERNEL + 0x300;
    const EXEC: u64 = KERNEL + 0x400;

    fn places(address: u64) -> Vec<Place> {
        let names: &[&str] = match address & !0xff {
            CLOCK => &["kernel::syscall::clock"],
            FORK => &["kcore::fork1"],
            COPY => &["core::copy", "kcore::fork1"],
            EXEC => &["kcore::exec"],
            _ => &[],
        };
        names.iter().map(|&name| Place { function: name.to_owned(), source: None }).collect()
    }

    fn profiled(windows: Windows, addresses: &[u64], by: &By) -> (u64, Vec<(String, f64)>) {
        let mut profile = Profile::new(windows, places);
        addresses.iter().for_each(|&address| profile.push(address));
        let (windows, rows) = profile.finish(by);
        (windows, rows.into_iter().map(|row| (row.function, row.instructions)).collect())
    }

    fn row(function: &str, instructions: f64) -> (String, f64) {
        (function.to_owned(), instructions)
    }

    #[test]
    fn a_line_of_the_log_names_an_address() {
        let line = b"Trace 0: 0x7f3088000900 [00000000/ffffffff80080000/03018102/ff000000] kernel_entry";
        assert_eq!(executed(line), Some(0xffff_ffff_8008_0000));
        assert_eq!(executed(b"IN: "), None);
        assert_eq!(executed(b"Trace 0: no bracket"), None);
        assert_eq!(executed(b"Trace 0: [zz/zz/zz]"), None);
        assert!(is_of_log(line) && is_of_log(b"Stopped execution of TB chain before 0x7f30 [ffffffff80080000]"));
        assert!(!is_of_log(b"qemu-system-aarch64: could not load kernel"));
    }

    #[test]
    fn without_windows_the_whole_run_is_counted() {
        let counted = profiled(Windows::default(), &[0x1000, CLOCK, CLOCK + 4, FORK, COPY], &By::Written);
        let rows = vec![
            row("kernel::syscall::clock", 2.0),
            row("(program)", 1.0),
            row("core::copy", 1.0),
            row("kcore::fork1", 1.0),
        ];
        assert_eq!(counted, (1, rows));
    }

    #[test]
    fn only_windows_with_one_function_and_without_another_count_and_the_ends_of_the_run_do_not() {
        let windows = Windows { from: Some("clock".into()), with: Some("fork1".into()), without: Some("exec".into()) };
        let run = [
            [FORK, CLOCK, CLOCK + 4, FORK].as_slice(),
            &[COPY, CLOCK, 0x1000, CLOCK, FORK],
            &[EXEC, CLOCK, FORK, FORK, CLOCK, FORK],
        ]
        .concat();
        let (count, rows) = profiled(windows, &run, &By::Compiled);
        assert_eq!(count, 2);
        assert_eq!(rows, vec![row("kcore::fork1", 2.0), row("kernel::syscall::clock", 1.5)]);
    }

    #[test]
    fn a_function_is_shown_with_what_was_inlined_there() {
        let counted = profiled(Windows::default(), &[CLOCK, FORK, COPY, COPY], &By::Inlined("fork1".into()));
        assert_eq!(counted, (1, vec![row("kcore::fork1", 3.0), row("  core::copy", 2.0)]));
    }

    #[test]
    fn an_unknown_address_is_its_own_row() {
        let counted = profiled(Windows::default(), &[KERNEL], &By::Written);
        assert_eq!(counted, (1, vec![row("0xffff000000000000", 1.0)]));
    }

    #[test]
    fn a_name_is_matched_by_whole_parts_of_its_path() {
        assert!(is("kcore::proc::fork1", "fork1") && is("fork1", "fork1") && is("a::b::c", "b::c"));
        assert!(!is("kcore::proc::refork1", "fork1"));
    }
}
