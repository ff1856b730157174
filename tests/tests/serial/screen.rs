//! Programs that have the whole screen and every key: an editor, a list of processes, pagers; and the bare terminal.

use anyhow::ensure;
use tests::bench::Bench;
use tests::console::ENTER;

use crate::case::{Case, cases};
use crate::session::{Session, key};

pub(crate) const CASES: &[Case] = cases![
    Shell programs_that_take_the_whole_screen_get_every_key_and_give_it_back,
];

/// What moves the cursor down a line: the key with an arrow.
const DOWN: &str = "\x1b[B";
/// How a pager asks for a key: at the beginning of a cleared line.
const ASKS: &str = "\x1b[K:";

fn programs_that_take_the_whole_screen_get_every_key_and_give_it_back(bench: &Bench) -> anyhow::Result<()> {
    let mut shell = Session::boot(bench)?;
    shell.run("stty -a > /tmp/before")?;
    a_file_is_written_and_edited(&mut shell)?;
    top_shows_processes_until_told_to_stop(&mut shell)?;
    pagers_stop_at_each_page(&mut shell)?;
    the_bare_terminal_gives_every_byte_at_once(&mut shell)?;
    shell.run("stty -a > /tmp/after; cmp /tmp/before /tmp/after")?;
    shell.power_off()
}

/// The editor says in its last line what it does; each step waits for that.
fn a_file_is_written_and_edited(shell: &mut Session) -> anyhow::Result<()> {
    shell.enter("vi /tmp/text")?;
    shell.until("- /tmp/text 1/1")?;
    shell.press("i")?;
    shell.until("I /tmp/text")?;
    shell.press(&format!("first lime{}{}ne{ENTER}second{ENTER}third", key::DELETE, key::DELETE))?;
    shell.until("3/3")?;
    save(shell)?;
    shell.expect("cat /tmp/text", "first line\nsecond\nthird\n")?;
    shell.enter("vi /tmp/text")?;
    shell.until("- /tmp/text 1/3")?;
    // To the second line, away with it, and back behind the third; then a letter and a word are changed.
    shell.press(&format!("{DOWN}dd"))?;
    shell.until("Delete 1 lines")?;
    shell.press("p")?;
    shell.until("Put 1 lines")?;
    shell.press(&format!(":%s/i/I/{ENTER}1Gwcw"))?;
    shell.until("I /tmp/text")?;
    shell.press("words")?;
    save(shell)?;
    shell.expect("cat /tmp/text", "fIrst words\nthIrd\nsecond\n")
}

/// Ends the insertion, which is seen before more is typed: the key begins the sequences of other keys.
fn save(shell: &mut Session) -> anyhow::Result<()> {
    shell.press(key::ESCAPE)?;
    shell.until("- /tmp/text")?;
    shell.press(&format!(":wq{ENTER}"))?;
    let (said, status) = shell.answer()?;
    ensure!(status == 0, "{status} behind {said:?}");
    Ok(())
}

fn top_shows_processes_until_told_to_stop(shell: &mut Session) -> anyhow::Result<()> {
    shell.enter("top -d 1")?;
    for part in ["Mem:", "CPU:", "Load average:", "COMMAND", "top -d 1"] {
        shell.until(part)?;
    }
    // It looks again by itself.
    shell.until("Mem:")?;
    shell.press("q")?;
    let (said, status) = shell.answer()?;
    ensure!(status == 0, "{status} behind {said:?}");
    Ok(())
}

fn pagers_stop_at_each_page(shell: &mut Session) -> anyhow::Result<()> {
    shell.enter("seq 100 199 | more")?;
    let page = shell.until("--More--")?;
    ensure!(page.contains("120") && !page.contains("130"), "{page:?}");
    shell.press(" ")?;
    let page = shell.until("--More--")?;
    ensure!(page.contains("140") && !page.contains("150"), "{page:?}");
    shell.press("q")?;
    shell.answer()?;
    shell.enter("seq 100 999 | less")?;
    shell.until("100\r\n")?;
    shell.until("122\r\n")?;
    shell.until("standard input")?;
    shell.press(" ")?;
    shell.until("145\r\n")?;
    // Between two keys the terminal edits lines: what is typed before the pager asks would be one.
    shell.until(ASKS)?;
    shell.press(&format!("/777{ENTER}"))?;
    shell.until("777\x1b[m\r\n")?;
    shell.until("799\r\n")?;
    shell.until(ASKS)?;
    shell.press("q")?;
    let (said, status) = shell.answer()?;
    ensure!(status == 0, "{status} behind {said:?}");
    Ok(())
}

/// No key interrupts, ends or edits, none is shown, and nobody waits for the end of the line.
fn the_bare_terminal_gives_every_byte_at_once(shell: &mut Session) -> anyhow::Result<()> {
    shell.run("saved=$(stty -g)")?;
    shell.enter("stty raw -echo; echo ready; dd bs=1 count=5 2>/dev/null | od -An -tx1; stty $saved")?;
    shell.until("ready\n")?;
    shell.press(&format!("{}{ENTER}{}{}{}", key::CTRL_C, key::CTRL_D, key::CTRL_Z, key::DELETE))?;
    let (said, status) = shell.answer()?;
    ensure!(said.trim() == "03 0d 04 1a 7f" && status == 0, "{status} behind {said:?}");
    Ok(())
}
