//! The monitor's commands.

use kcore::addr::{CpuId, PAGE_SIZE};
use kcore::boot::command_line::Trace;
use kcore::frame::FrameUse;
use kcore::sched::{Class, ParkState};

use super::crash;
use crate::arch::cpu;
use crate::dev::{self, clock, irq, power};
use crate::log::{console, print, println, trace};
use crate::mem::frames::frames;
use crate::mem::{heap, stacks};
use crate::task::{switch, thread, timers};

struct Command {
    name: &'static str,
    /// What may follow the name.
    arguments: &'static str,
    help: &'static str,
    run: fn(&[&str]) -> Result<(), Usage>,
}

/// The arguments are not what the command takes.
pub(super) struct Usage;

const COMMANDS: [Command; 10] = [
    Command { name: "help", arguments: "", help: "this list", run: |words| none(words, help) },
    Command { name: "mem", arguments: "", help: "memory: frames by use, heap", run: |words| none(words, memory) },
    Command { name: "cpus", arguments: "", help: "processors and what they do", run: |words| none(words, cpus) },
    Command { name: "threads", arguments: "", help: "kernel threads", run: |words| none(words, threads) },
    Command {
        name: "irq",
        arguments: "",
        help: "interrupts taken, by processor",
        run: |words| none(words, interrupts),
    },
    Command { name: "timers", arguments: "", help: "clock and next alarms", run: |words| none(words, show_timers) },
    Command {
        name: "trace",
        arguments: "[off|uart1..uart5|console|test]",
        help: "where the trace goes; send it elsewhere; write test records",
        run: trace_command,
    },
    Command {
        name: "panic",
        arguments: "[text|write|null|undefined|overflow]",
        help: "crash, to see the report",
        run: crash::run_command,
    },
    Command { name: "reboot", arguments: "", help: "start again", run: |words| none(words, || power::reboot()) },
    Command { name: "poweroff", arguments: "", help: "switch off", run: |words| none(words, || power::power_off()) },
];

/// The most words of a line that are told apart.
const WORDS: usize = 8;

/// Where the explanations begin in the list of commands.
const HELP_COLUMN: usize = 46;

/// Runs one line.
#[cold]
pub(super) fn run(line: &str) {
    let mut words = heapless::Vec::<&str, WORDS>::new();
    for word in line.split_ascii_whitespace() {
        if words.push(word).is_err() {
            println!("too many words: at most {WORDS}");
            return;
        }
    }
    let Some((&name, arguments)) = words.split_first() else { return };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        println!("unknown command: {name} (try help)");
        return;
    };
    if let Err(Usage) = (command.run)(arguments) {
        let gap = if command.arguments.is_empty() { "" } else { " " };
        println!("usage: {}{gap}{}", command.name, command.arguments);
    }
}

fn none(words: &[&str], run: impl FnOnce()) -> Result<(), Usage> {
    if words.is_empty() {
        run();
        Ok(())
    } else {
        Err(Usage)
    }
}

fn help() {
    for Command { name, arguments, help, .. } in &COMMANDS {
        println!("{name} {arguments:<width$} {help}", width = HELP_COLUMN.saturating_sub(name.len()));
    }
}

fn memory() {
    let statistics = frames().statistics();
    let cached: u64 = statistics.cached.iter().sum();
    println!("{:<16} {:>9} {:>10}", "", "frames", "KiB");
    for (name, count) in [
        ("managed", statistics.total),
        ("free", statistics.free),
        ("cached", cached),
        ("reserved", statistics.reserved()),
    ] {
        row(name, count);
    }
    for kind in FrameUse::ALL {
        match statistics.used_for(kind) {
            0 => {}
            count => row(kind.name(), count),
        }
    }
    let (used, cached) = stacks::usage();
    println!("stacks: {used} of threads, {cached} at hand");
    let (used, total) = heap::usage();
    println!("heap: {used} of {total} bytes in use");
    if statistics.refused > 0 {
        println!("{} blocks were given back that were not in use", statistics.refused);
    }
}

fn row(name: &str, frames: u64) {
    println!("{name:<16} {frames:>9} {:>10}", frames * (PAGE_SIZE as u64 / 1024));
}

fn cpus() {
    println!("{:<5} {:<8} {:>8} {:>12}", "cpu", "state", "waiting", "switches");
    for cpu in CpuId::all() {
        let state = if switch::online().contains(cpu) { "online" } else { "absent" };
        let (waiting, switches) = switch::load(cpu);
        println!("{:<5} {state:<8} {waiting:>8} {switches:>12}", cpu.index());
    }
    println!("core: {}", Core(cpu::midr()));
}

/// A core's name from `MIDR_EL1`.
struct Core(u64);

impl core::fmt::Display for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = match self.0 >> 4 & 0xfff {
            0xd03 => "Cortex-A53",
            0xd08 => "Cortex-A72",
            part => return write!(f, "part {part:#x}"),
        };
        write!(f, "{name} r{}p{}", self.0 >> 20 & 0xf, self.0 & 0xf)
    }
}

fn threads() {
    println!("{:>5} {:<15} {:<6} {:>4} {:>4} {:<8} {:>12}", "id", "name", "class", "prio", "cpu", "state", "time (us)");
    for thread in thread::all() {
        let class = match thread.class() {
            Class::Idle => "idle",
            Class::Normal => "normal",
        };
        let state = match thread.park().state() {
            ParkState::Running => "ready",
            ParkState::Parking | ParkState::Notified => "parking",
            ParkState::Parked => "sleeping",
        };
        println!(
            "{:>5} {:<15} {class:<6} {:>4} {:>4} {state:<8} {:>12}",
            thread.id().0,
            thread.name().as_str(),
            thread.priority().get(),
            thread.last_cpu().index(),
            thread.cpu_time_ns() / 1000,
        );
    }
}

fn interrupts() {
    println!("{:>5} {:<16} {:>10} {:>10} {:>10} {:>10}", "line", "name", "cpu0", "cpu1", "cpu2", "cpu3");
    irq::for_each_count(|line, name, counts| {
        match line {
            Some(line) => print!("{line:>5} {name:<16}"),
            None => print!("{:>5} {name:<16}", "-"),
        }
        for count in counts {
            print!(" {count:>10}");
        }
        println!();
    });
    let errors = console::input_errors();
    println!("console input: {} overruns, {} bad bytes", errors.overruns, errors.noise);
}

fn show_timers() {
    let now_ns = clock::now_ns();
    println!("counter: {} Hz, {} us since it started", clock::frequency_hz(), now_ns / 1000);
    for cpu in switch::online().iter() {
        let (timer, slice) = timers::next_on(cpu);
        println!("cpu{cpu}: next timer {}, end of slice {}", In(timer, now_ns), In(slice, now_ns));
    }
}

/// A deadline, from a moment on.
struct In(Option<u64>, u64);

impl core::fmt::Display for In {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(deadline_ns) => write!(f, "in {} us", deadline_ns.saturating_sub(self.1) / 1000),
            None => f.write_str("none"),
        }
    }
}

fn trace_command(words: &[&str]) -> Result<(), Usage> {
    match words {
        [] => {
            let (frames, lost) = trace::counts();
            println!("trace: {}, {frames} records, {lost} lost", trace::place().name());
        }
        ["test"] => test_records(),
        [place] => {
            let place = Trace::from_name(place).ok_or(Usage)?;
            if let Err(why) = dev::trace::send_to(place) {
                println!("trace: {}: {why}", place.name());
            }
        }
        _ => return Err(Usage),
    }
    Ok(())
}

/// A record of each level and of each kind of argument: what a test of the whole path looks for.
fn test_records() {
    defmt::trace!("trace test: level trace");
    defmt::debug!("trace test: level debug");
    defmt::info!("trace test: level info");
    defmt::warn!("trace test: level warn");
    defmt::error!("trace test: level error");
    defmt::info!("trace test: u64 {=u64:#018x}", 0xffff_ffff_8008_0000);
    defmt::info!("trace test: text {=str} and flag {=bool}", "tine", true);
    defmt::info!("trace test: bytes {=[u8]:02x}", [0, 0xff, 0x7f]);
    println!("trace test: 8 records");
}
