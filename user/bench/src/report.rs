//! Samples, and the lines made of them.

use sys::Errno;
use sys::time::now_ns;

/// The most samples that a row has. They are taken without allocating.
const MOST: usize = 2048;

/// Two rows of samples, in picoseconds an operation, kept for all groups.
pub(crate) struct Report {
    pub(crate) first: Samples,
    pub(crate) second: Samples,
}

/// Samples of one row.
pub(crate) struct Samples(Vec<u64>);

impl Report {
    pub(crate) fn new() -> Self {
        Self { first: Samples(Vec::with_capacity(MOST)), second: Samples(Vec::with_capacity(MOST)) }
    }

    /// Takes `samples` samples of `batch` operations each, and prints the row.
    pub(crate) fn measure(&mut self, name: &str, samples: usize, batch: u64, mut operation: impl FnMut()) {
        self.first.clear();
        for _ in 0..samples {
            let start = now_ns();
            for _ in 0..batch {
                operation();
            }
            self.first.add(start, now_ns(), batch);
        }
        self.first.print(name, batch);
    }
}

impl Samples {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// One more sample, of `batch` operations.
    pub(crate) fn add(&mut self, start: u64, end: u64, batch: u64) {
        self.add_ns(end.saturating_sub(start), batch);
    }

    /// One more sample of so many nanoseconds.
    pub(crate) fn add_ns(&mut self, nanoseconds: u64, batch: u64) {
        if self.0.len() < MOST {
            self.0.push(nanoseconds * 1000 / batch);
        }
    }

    /// The sample in the middle; of two, the mean.
    pub(crate) fn median(&mut self) -> u64 {
        self.0.sort_unstable();
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => 0,
            odd if odd % 2 == 1 => self.0[middle],
            _ => u64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// Prints the row, if there is one.
    pub(crate) fn print(&mut self, name: &str, batch: u64) {
        let median = self.median();
        let (Some(&least), Some(&most)) = (self.0.first(), self.0.last()) else { return };
        let count = self.0.len();
        let mean = self.0.iter().sum::<u64>() / u64::try_from(count).unwrap_or(1);
        println!(
            "FB {name:<34} n={count:<4} batch={batch:<5} min={} med={} mean={} max={}",
            tenths(least),
            tenths(median),
            tenths(mean),
            tenths(most)
        );
    }
}

/// Picoseconds as nanoseconds with one decimal.
pub(crate) fn tenths(picoseconds: u64) -> String {
    format!("{}.{}", picoseconds / 1000, picoseconds % 1000 / 100)
}

/// The line of a row that this kernel cannot do.
pub(crate) fn skip(name: &str, why: &str, errno: Errno) {
    println!("FB {name:<34} SKIP {why} errno={}", errno.0);
}
