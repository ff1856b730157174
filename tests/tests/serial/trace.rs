//! The trace: on the second serial line as it is, or inside the console stream between the text.

use anyhow::ensure;
use tests::bench::Bench;
use tests::trace_line::TraceListener;
use tools::board::Board;
use tools::trace::Tables;

use crate::case::{Case, cases};

/// What `trace test` writes, in this order: level and message.
const RECORDS: [(&str, &str); 8] = [
    ("TRACE", "trace test: level trace"),
    ("DEBUG", "trace test: level debug"),
    ("INFO", "trace test: level info"),
    ("WARN", "trace test: level warn"),
    ("ERROR", "trace test: level error"),
    ("INFO", "trace test: u64 0xffffffff80080000"),
    ("INFO", "trace test: text tine and flag true"),
    ("INFO", "trace test: bytes [00, ff, 7f]"),
];

pub(crate) const CASES: &[Case] = cases![
    Emulator records_on_the_second_line_decode,
    Board records_in_the_console_stream_decode_and_leave_the_text_alone,
    Emulator the_command_line_sends_the_trace_into_the_console_stream,
    Emulator an_extra_uart_that_is_not_there_leaves_the_trace_where_it_was,
    Emulator no_trace_means_no_byte_of_it,
    Board the_trace_can_be_sent_elsewhere_at_any_time,
];

fn records_on_the_second_line_decode(bench: &Bench) -> anyhow::Result<()> {
    let tables = Tables::load(&bench.build.elf())?;
    let listener = TraceListener::new()?;
    let (mut console, _) = bench.boot_as(&bench.command().trace(listener.target()?))?;
    let mut line = listener.accept(&tables)?;
    check_answer(&console.command("trace test")?)?;
    let records = line.until(RECORDS[RECORDS.len() - 1].1)?;
    check_records(records)?;
    ensure!(records.iter().any(|record| record.contains("boot took")), "no record of the boot: {records:#?}");
    ensure!(console.frames().is_empty(), "frames on the console too");
    Ok(())
}

fn records_in_the_console_stream_decode_and_leave_the_text_alone(bench: &Bench) -> anyhow::Result<()> {
    let tables = Tables::load(&bench.build.elf())?;
    let (mut console, _) = bench.boot()?;
    ensure!(console.command("trace console")?.is_empty(), "an answer to `trace console`");
    check_answer(&console.command("trace test")?)?;
    let last = RECORDS[RECORDS.len() - 1].1;
    // The boot's record may come this way too, before them.
    let records = loop {
        let records = decoded(&tables, console.frames());
        if records.iter().any(|record| record.contains(last)) {
            break records;
        }
        console.until_frames(console.frames().len() + 1)?;
    };
    check_records(&records)?;
    // The same text with frames in between as without any.
    let mixed = console.command("help")?;
    console.command("trace off")?;
    ensure!(mixed == console.command("help")?, "frames have changed the text: {mixed:?}");
    Ok(())
}

fn the_command_line_sends_the_trace_into_the_console_stream(bench: &Bench) -> anyhow::Result<()> {
    let tables = Tables::load(&bench.build.elf())?;
    let listener = TraceListener::new()?;
    let command = bench.command().cmdline("trace=console").trace(listener.target()?);
    let (mut console, text) = bench.boot_as(&command)?;
    let line = listener.accept(&tables)?;
    ensure!(text.starts_with("Tine "), "the banner is not intact: {text:?}");
    for _ in 0..20 {
        check_answer(&console.command("trace test")?)?;
    }
    // The boot's record is the first.
    console.until_frames(1 + 20 * RECORDS.len())?;
    let records = decoded(&tables, console.frames());
    check_records(&records)?;
    ensure!(records.iter().all(|record| !record.contains("malformed")), "a frame is damaged: {records:#?}");
    ensure!(console.command("trace")?.contains(" 0 lost"), "frames were lost");
    console.enter("poweroff")?;
    console.end()?;
    let (_, bytes) = line.rest()?;
    ensure!(bytes == 0, "{bytes} bytes on the second line too");
    Ok(())
}

/// A Pi 3 has none; QEMU's raspi4b lacks them, and the addresses are not even those of an external abort.
fn an_extra_uart_that_is_not_there_leaves_the_trace_where_it_was(bench: &Bench) -> anyhow::Result<()> {
    let why = match bench.board {
        Board::Raspi3b => "this board has no such UART",
        Board::Raspi4b => "what answers there is no PL011",
    };
    let tables = Tables::load(&bench.build.elf())?;
    let listener = TraceListener::new()?;
    let command = bench.command().cmdline("quiet trace=uart5").trace(listener.target()?);
    let (mut console, text) = bench.boot_as(&command)?;
    let said = format!("command line: trace=uart5: {why}; the trace goes to uart1");
    ensure!(text.starts_with("Tine ") && text.lines().any(|line| line == said), "no {said:?} in {text:?}");
    let mut line = listener.accept(&tables)?;
    for uart in ["uart2", "uart3", "uart4", "uart5"] {
        let answer = console.command(&format!("trace {uart}"))?;
        ensure!(answer == format!("trace: {uart}: {why}\r\n"), "{answer:?}");
    }
    check_answer(&console.command("trace test")?)?;
    check_records(line.until(RECORDS[RECORDS.len() - 1].1)?)?;
    ensure!(console.command("trace")?.starts_with("trace: uart1, "), "the trace has moved");
    Ok(())
}

fn no_trace_means_no_byte_of_it(bench: &Bench) -> anyhow::Result<()> {
    let tables = Tables::load(&bench.build.elf())?;
    let listener = TraceListener::new()?;
    let command = bench.command().cmdline("trace=off").trace(listener.target()?);
    let (mut console, _) = bench.boot_as(&command)?;
    let line = listener.accept(&tables)?;
    check_answer(&console.command("trace test")?)?;
    ensure!(console.command("trace")?.starts_with("trace: off, 0 records, 0 lost"), "something was recorded");
    console.enter("poweroff")?;
    console.end()?;
    let (_, bytes) = line.rest()?;
    ensure!(bytes == 0 && console.frames().is_empty(), "{bytes} bytes, {} frames", console.frames().len());
    Ok(())
}

fn the_trace_can_be_sent_elsewhere_at_any_time(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for place in ["console", "off", "uart1"] {
        console.command(&format!("trace {place}"))?;
        let answer = console.command("trace")?;
        ensure!(answer.starts_with(&format!("trace: {place}, ")), "{answer:?}");
    }
    Ok(())
}

fn check_answer(answer: &str) -> anyhow::Result<()> {
    ensure!(answer == "trace test: 8 records\r\n", "`trace test` was answered with {answer:?}");
    Ok(())
}

/// The records of a test are there, in their order, each with its level and its place in the source.
fn check_records(lines: &[String]) -> anyhow::Result<()> {
    let mut left = lines.iter();
    for (level, message) in RECORDS {
        let found = left.find(|line| line.contains(message));
        let Some(line) = found else { anyhow::bail!("no {message:?}, or too early, in {lines:#?}") };
        ensure!(line.contains(level), "no level {level} in {line:?}");
        ensure!(line.contains("monitor/commands.rs:"), "no place in {line:?}");
    }
    Ok(())
}

fn decoded(tables: &Tables, frames: &[Vec<u8>]) -> Vec<String> {
    let mut decoder = tables.decoder();
    frames.iter().flat_map(|frame| decoder.push_frame(frame)).collect()
}
