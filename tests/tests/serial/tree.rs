//! A device tree may be missing, odd or broken: the kernel says so and boots.
//!
//! QEMU itself refuses a broken tree, so these boots start from a stub of the test's own (`guest_stub`).

use anyhow::ensure;
use tests::bench::{Bench, scratch};
use tests::{guest_stub, tree};

use crate::case::{Case, cases};

/// How the line about the tree begins.
const NONE: &str = "facts: no device tree; built-in table\r\n";
const REFUSED: &str = "facts: device tree refused (";
const GOOD: &str = "facts: device tree\r\n";

pub(crate) const CASES: &[Case] = cases![
    Emulator reads_a_tree_that_is_full_of_nops,
    Emulator reads_a_good_tree_from_any_loader,
    Emulator boots_with_a_tree_of_bad_magic_as_with_none,
    Emulator boots_with_a_tree_of_absurd_size_as_with_none,
    Emulator boots_with_half_a_tree,
    Emulator boots_with_a_tree_that_says_it_is_cut,
    Emulator boots_with_a_garbage_tree,
    Emulator boots_with_a_tree_of_endless_nesting,
];

fn reads_a_tree_that_is_full_of_nops(bench: &Bench) -> anyhow::Result<()> {
    let directory = scratch()?;
    let file = directory.path().join("nops.dtb");
    std::fs::write(&file, tree::with_nops(&bench.tree()?)?)?;
    let command = bench.command_without_tree().dtb(file).cmdline("trace=off");
    let (mut console, text) = bench.boot_as(&command)?;
    ensure!(text.contains(GOOD), "facts in {text:?}");
    ensure!(text.contains(bench.board.model()), "model in {text:?}");
    ensure!(console.command("trace")?.starts_with("trace: off, "), "the command line was not found");
    Ok(())
}

fn reads_a_good_tree_from_any_loader(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &bench.tree()?, GOOD)
}

fn boots_with_a_tree_of_bad_magic_as_with_none(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::with_bad_magic(&bench.tree()?), NONE)
}

fn boots_with_a_tree_of_absurd_size_as_with_none(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::with_absurd_size(&bench.tree()?)?, NONE)
}

fn boots_with_half_a_tree(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::cut_in_half(&bench.tree()?), REFUSED)
}

fn boots_with_a_tree_that_says_it_is_cut(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::with_short_size(&bench.tree()?)?, REFUSED)
}

fn boots_with_a_garbage_tree(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::with_garbage_structure(&bench.tree()?)?, REFUSED)
}

fn boots_with_a_tree_of_endless_nesting(bench: &Bench) -> anyhow::Result<()> {
    boots_with(bench, &tree::with_endless_nesting(&bench.tree()?)?, REFUSED)
}

fn boots_with(bench: &Bench, tree: &[u8], facts: &str) -> anyhow::Result<()> {
    let directory = scratch()?;
    let image = bench.build.image();
    let process = guest_stub::with_tree(bench.qemu()?, bench.board, &image, tree, directory.path())?;
    let (mut console, text) = bench.boot_process(process)?;
    ensure!(text.contains(facts), "no {facts:?} in {text:?}");
    ensure!(text.contains("4 cores, 960 MiB)"), "cores and memory in {text:?}");
    ensure!(console.command("help")?.contains("this list"), "the monitor does not work");
    Ok(())
}
