//! `tine`: the host command. Each subcommand is a file in `command/`: its arguments, and the call into the library.

#![forbid(unsafe_code)]

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{
    bench, bench_card, busybox, console, debian, dtb, flash, image, initramfs, layers, out, profile, push, raw, run,
    summary, test, trace,
};

/// Builds, runs and watches the Tine kernel.
#[derive(Parser)]
#[command(name = "tine", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Raw(raw::Arguments),
    Dtb(dtb::Arguments),
    Busybox(busybox::Arguments),
    Debian(debian::Arguments),
    Initramfs(initramfs::Arguments),
    Image(image::Arguments),
    Flash(flash::Arguments),
    Run(run::Arguments),
    Trace(trace::Arguments),
    Console(console::Arguments),
    Push(push::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    BenchCard(bench_card::Arguments),
    Profile(profile::Arguments),
    Layers(layers::Arguments),
    Summary(summary::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Raw(arguments) => raw::run(&arguments),
        Command::Dtb(arguments) => dtb::run(&arguments),
        Command::Busybox(arguments) => busybox::run(&arguments),
        Command::Debian(arguments) => debian::run(&arguments),
        Command::Initramfs(arguments) => initramfs::run(&arguments),
        Command::Image(arguments) => image::run(&arguments),
        Command::Flash(arguments) => flash::run(&arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Console(arguments) => console::run(&arguments),
        Command::Push(arguments) => push::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchCard(arguments) => bench_card::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Layers(arguments) => layers::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
    };
    outcome.unwrap_or_else(|error| out::status_of(&error))
}
