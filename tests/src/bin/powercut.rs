//! `make powercut`: cuts the power of a board that writes, again and again, and writes down what became of its card.
//!
//! `powercut [RUNS [SEED]] [--record FILE]`. It fails where a file that was synced is lost, or the file system is not clean once
//! it was mounted again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use tests::bench::Bench;
use tests::powercut::{Card, Chance, Found, RUNS_A_CARD, Run, missing_tools};

/// How many runs there are unless it is said.
const RUNS: usize = 200;
const SEED: u64 = 1;

fn main() -> anyhow::Result<ExitCode> {
    let mut numbers = Vec::new();
    let mut record = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--record" => record = Some(PathBuf::from(words.next().context("--record which file?")?)),
            number => numbers.push(number.parse::<u64>().with_context(|| format!("{number:?} is no number"))?),
        }
    }
    let missing = missing_tools();
    ensure!(missing.is_empty(), "there is no {} (Debian: dosfstools, mtools)", missing.join(" and no "));
    let runs = numbers.first().map_or(Ok(RUNS), |&runs| usize::try_from(runs))?;
    let seed = numbers.get(1).copied().unwrap_or(SEED);
    let table = Table::of(runs, seed)?;
    print!("{}", table.text());
    if let Some(record) = record {
        fs::write(&record, table.document()).with_context(|| format!("cannot write {}", record.display()))?;
    }
    Ok(if table.runs.iter().all(Run::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of all runs.
struct Table {
    runs: Vec<Run>,
    seed: u64,
}

impl Table {
    fn of(count: usize, seed: u64) -> anyhow::Result<Self> {
        let benches = Bench::all()?;
        let mut chance = Chance::new(seed);
        let mut runs: Vec<Run> = Vec::new();
        let mut card = None;
        for number in 0..count {
            // Each card in its board.
            let Some(bench) = benches.get(number / RUNS_A_CARD % benches.len()) else { bail!("no board") };
            let mut served = match card.take() {
                Some(card) if number % RUNS_A_CARD != 0 => card,
                _ => Card::new()?,
            };
            let run = match served.cut(bench, number, &mut chance) {
                Ok(run) => run,
                Err(error) => {
                    let kept = served.keep();
                    return Err(error.context(format!(
                        "run {number} on {}; its card is in {}",
                        bench.board,
                        kept.display()
                    )));
                }
            };
            println!(
                "{number:>4} {} after {:>4} ms: {:>3} promises; {}; mounted: {}",
                bench.board,
                run.after.as_millis(),
                run.promised,
                run.found,
                run.repaired
            );
            for (found, said) in [run.found, run.repaired].into_iter().zip(&run.said) {
                if found == Found::Damaged || run.repaired != Found::Clean {
                    print!("{said}");
                }
            }
            run.faults.iter().for_each(|fault| println!("     LOST {fault}"));
            let is_good = run.is_good();
            runs.push(run);
            if is_good {
                card = Some(served);
            } else {
                println!("     its card is in {}", served.keep().display());
            }
        }
        Ok(Self { runs, seed })
    }

    fn lost(&self) -> usize {
        self.runs.iter().map(|run| run.faults.len()).sum()
    }

    /// The table.
    fn text(&self) -> String {
        let mut counts: BTreeMap<Found, [usize; 2]> = BTreeMap::new();
        for run in &self.runs {
            for (column, found) in [run.found, run.repaired].into_iter().enumerate() {
                counts.entry(found).or_default()[column] += 1;
            }
        }
        let promised: usize = self.runs.iter().map(|run| run.promised).sum();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "| the file system | after the cut | mounted again |\n|---|---|---|");
        for (found, [cut, mounted]) in counts {
            let _ = writeln!(text, "| {found} | {cut} | {mounted} |");
        }
        let all = self.runs.len();
        let _ = writeln!(text, "| **all runs** | {all} | {all} |\n");
        let _ = writeln!(
            text,
            "Of {promised} files that were synced, or removed and that synced, {} were lost.",
            self.lost()
        );
        text
    }

    fn document(&self) -> String {
        format!(
            "# Cutting the power\n\n\
             `make powercut RUNS={} SEED={}` wrote this. A program (`user/durable`) makes files on `/data`, lets them grow,\n\
             replaces and removes them, syncs each change in one of the ways that there are (`fsync`, `fdatasync`, `O_SYNC`,\n\
             `syncfs`, `sync`) and says so over the serial line; beside them it writes what it never syncs. QEMU is killed at a\n\
             random moment. Then `fsck.fat -n` looks at the volume, and each file that was synced, by this run or an earlier one on\n\
             the same card, is read back by `mcopy` and compared. The board boots again, and as it mounts the volume, Tine repairs it;\n\
             both tools look once more at what it made of it. Both boards take part; a card serves {RUNS_A_CARD} runs, which nothing\n\
             but Tine mends.\n\n{}\n\
             What this does not show: QEMU's card keeps each block that it took, in the order in which it took them. Torn blocks,\n\
             and cards that say that they have what they have not, are not tested.\n",
            self.runs.len(),
            self.seed,
            self.text(),
        )
    }
}
