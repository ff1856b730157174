//! Editing a line, and input that is none. What the kernel took for the line is seen by its answer: it names a command
//! that it does not know.

use anyhow::ensure;
use tests::bench::Bench;
use tests::console::{Console, ENTER};

use crate::case::{Case, cases};

const BACKSPACE: &str = "\x7f";
const CTRL_H: &str = "\x08";
const CTRL_C: &str = "\x03";
const CTRL_L: &str = "\x0c";
const CTRL_U: &str = "\x15";
const CTRL_W: &str = "\x17";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";
const LEFT: &str = "\x1b[D";
const HOME: &str = "\x1b[H";
const END: &str = "\x1b[F";

pub(crate) const CASES: &[Case] = cases![
    Board both_backspaces_erase,
    Board ctrl_u_and_ctrl_w_erase,
    Board arrows_home_and_end_move,
    Board the_history_goes_up_and_down,
    Board ctrl_c_drops_the_line,
    Board ctrl_l_keeps_the_line,
    Board a_line_ends_with_return_newline_or_both,
    Board a_line_too_long_is_refused_and_the_next_one_works,
    Board control_bytes_and_broken_utf8_do_no_harm,
    Board lines_that_are_pasted_all_arrive,
];

fn both_backspaces_erase(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    expect_word(&mut console, &format!("wrom{BACKSPACE}{CTRL_H}ong"), "wrong")?;
    // At the start of a line there is nothing to erase.
    expect_word(&mut console, &format!("x{BACKSPACE}{BACKSPACE}{CTRL_H}word"), "word")
}

fn ctrl_u_and_ctrl_w_erase(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    expect_word(&mut console, &format!("nonsense{CTRL_U}word"), "word")?;
    expect_word(&mut console, &format!("first second{CTRL_W}{CTRL_W}other"), "other")
}

fn arrows_home_and_end_move(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    expect_word(&mut console, &format!("wrd{LEFT}{LEFT}o"), "word")?;
    expect_word(&mut console, &format!("ord{HOME}w{END}s"), "words")?;
    expect_word(&mut console, &format!("wrd{LEFT}{LEFT}{LEFT}{LEFT}{RIGHT}o{RIGHT}{RIGHT}{RIGHT}s"), "words")
}

fn the_history_goes_up_and_down(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for word in ["first", "second", "third"] {
        expect_word(&mut console, word, word)?;
    }
    expect_word(&mut console, &format!("{UP}{UP}{UP}{DOWN}"), "second")?;
    expect_word(&mut console, &format!("{UP}{BACKSPACE}{BACKSPACE}x"), "secox")
}

fn ctrl_c_drops_the_line(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    console.send(format!("poweroff{CTRL_C}"))?;
    console.until_prompt()?;
    expect_word(&mut console, "word", "word")
}

fn ctrl_l_keeps_the_line(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    console.send(format!("wo{CTRL_L}"))?;
    console.until_prompt()?;
    expect_word(&mut console, "rd", "word")
}

fn a_line_ends_with_return_newline_or_both(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for (end, word) in [("\r", "one"), ("\n", "two"), ("\r\n", "three")] {
        console.send(format!("{word}{end}"))?;
        expect_named(&mut console, word)?;
    }
    // The newline after the return was no line of its own: the next answer is to what is typed next.
    expect_word(&mut console, "four", "four")
}

fn a_line_too_long_is_refused_and_the_next_one_works(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    for length in [129, 255, 256, 5000] {
        console.send(format!("{}{ENTER}", "x".repeat(length)))?;
        let answer = console.until_prompt()?;
        ensure!(answer.contains("line too long"), "{length} characters were answered with {answer:?}");
    }
    expect_word(&mut console, "word", "word")?;
    let longest = "y".repeat(128);
    expect_word(&mut console, &longest, &longest)
}

/// Every byte that is no key: the line that follows, cleared first, must come through.
fn control_bytes_and_broken_utf8_do_no_harm(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    let noise: [&[u8]; 5] = [
        b"\x00\x07\x1a\x1c\x1d\x1e\x1f\x11\x13\x04",
        b"\xff\xfe\xc3\x28\xed\xa0\x80\xf5\x80\x80\x80",
        "Grüße, 世界".as_bytes(),
        b"\x1b[999999999999999999999~\x1b[;;;m\x1b[\x1bOx\x1b\x1b\x1b[200~",
        b"\x1b[1;5C\x1b]0;title\x07\x9b3~",
    ];
    for bytes in noise {
        console.send(bytes)?;
        // Ends an escape sequence that is still open, then drops the line.
        console.send(format!("m{CTRL_C}"))?;
        console.until_prompt()?;
        expect_word(&mut console, "word", "word")?;
    }
    ensure!(console.command("irq")?.contains("console input: 0 overruns"), "input was lost");
    Ok(())
}

/// More than the UART's FIFO holds, and without waiting for the echo.
fn lines_that_are_pasted_all_arrive(bench: &Bench) -> anyhow::Result<()> {
    let (mut console, _) = bench.boot()?;
    let words: Vec<String> = (0..50).map(|number| format!("word-{number}-{}", "z".repeat(number))).collect();
    console.send(words.iter().map(|word| format!("{word}{ENTER}")).collect::<String>())?;
    for word in &words {
        expect_named(&mut console, word)?;
    }
    Ok(())
}

/// Types `keys` and a return; the line must then begin with `word`.
fn expect_word(console: &mut Console, keys: &str, word: &str) -> anyhow::Result<()> {
    console.send(format!("{keys}{ENTER}"))?;
    expect_named(console, word)
}

fn expect_named(console: &mut Console, word: &str) -> anyhow::Result<()> {
    console.until("unknown command: ")?;
    let named = console.until(" (try help)\r\n")?;
    console.until_prompt()?;
    ensure!(named == word, "typed was {word:?}, understood was {named:?}");
    Ok(())
}
